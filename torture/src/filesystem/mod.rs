//! The real kernel: a workload on ext4 and xfs, and what a power cut leaves of it. Archives first;
//! [`stores`] does the same with stores.
//!
//! 1. A disk in this process ([`disk`]) logs what the file system on it writes and flushes. A
//!    worker, a process of its own, uses an archive there and notes each step in the same log.
//! 2. The power fails at any moment of the log: what was flushed is on the disk, and of what was
//!    written since any part, down to single sectors ([`recording`]).
//! 3. The kernel mounts that, replays its journal, and a judge who knows what had been promised at
//!    that moment ([`story`]) reads the archive, under another boot id.
//!
//! One run of the workload is cut many times; each cut is a trial. What is decided is repeated by
//! a seed; the timing of the kernel is not.

mod controls;
mod disk;
mod faults;
mod full;
mod image;
mod mounts;
mod note;
mod plan;
mod recording;
mod stores;
mod story;
mod trial;
mod worker;

use std::{io, path::PathBuf};

use plan::{BOOTS, Plan, Purpose};
use recording::{Left, Recording};
use story::{Seen, Story};
use trial::{After, Bench, Kind, Stand, Template, count_cut, draw_moment};

pub use worker::work;

use crate::report::Report;

/// Most power cuts made out of one run of the workload.
const CUTS_EACH_MAX: u64 = 8;
/// From so many trials on, each class has to occur.
const TRIALS_MANY: u64 = 200;
/// From so many trials on those of [`SURE`] have to.
const TRIALS_FEW: u64 = 20;

/// How much is tried.
#[derive(Debug, Clone)]
pub struct Options {
    /// Power cuts on ext4.
    pub ext4: u64,
    /// Power cuts on xfs.
    pub xfs: u64,
    /// Power cuts on ext4, of stores.
    pub stores: u64,
    /// Of the first run of the workload; that of the next one is larger by 1.
    pub seed: u64,
    /// The program that does the workers' work: it calls [`work`] when its first argument is
    /// `filesystem-worker`. `None`: this one.
    pub program: Option<PathBuf>,
}

/// Outcomes that many trials have to have.
const CLASSES: [&str; 23] = [
    "cut while creating",
    "cut while running",
    "cut while closing",
    "cut while opening",
    "cut again",
    "no archive yet",
    "journal replayed",
    "some of the unsynced writes kept",
    "records lost above durable",
    "served above durable",
    "served below durable",
    "mapped",
    "by position",
    "windowed",
    "policy Never",
    "policy EveryRecords",
    "policy Interval",
    "policy Always",
    "control lost records",
    "control caught a disk that ignores flushes",
    "failed write: the producer stopped",
    "failed read: told as an error",
    "full disk: refused, and nothing left behind",
];

/// Those that do not hang on the kernel's timing.
const SURE: [&str; 7] = [
    "cut while running",
    "journal replayed",
    "records lost above durable",
    "served below durable",
    "control lost records",
    "control caught a disk that ignores flushes",
    "full disk: refused, and nothing left behind",
];

/// Cuts the power of real file systems, lets their disks fail, and fills them.
///
/// Where FUSE, loop devices or the tools are missing, that is said loudly on standard error, and
/// the report has 0 trials.
#[must_use]
pub fn run(options: &Options) -> Report {
    let made = match mounts::what_is_missing() {
        Some(missing) => Err(io::Error::other(missing)),
        None => mounts::in_private(|home| {
            let program = options.program.clone().map_or_else(std::env::current_exe, Ok)?;
            let bench = Bench { home, program: &program };
            let templates = Templates::make(&bench, options.xfs > 0)?;
            // Where even this fails, the machine cannot do it.
            drop(Stand::set_up(&bench, &templates.ext4[0], &mut fastrand::Rng::with_seed(0))?);
            let mut report = Report::default();
            if let Err(error) = try_all(&bench, &templates, options, &mut report) {
                report.fail(format!("the harness fails: {error}"));
            }
            Ok(report)
        }),
    };
    made.unwrap_or_else(|missing| {
        eprintln!("SKIPPED: no power cuts on real file systems: {missing}");
        Report::default()
    })
}

fn try_all(
    bench: &Bench<'_>,
    templates: &Templates,
    options: &Options,
    report: &mut Report,
) -> io::Result<()> {
    cut_many(bench, &templates.ext4, options.ext4, options.seed, report)?;
    if let Some(xfs) = &templates.xfs {
        cut_many(bench, std::slice::from_ref(xfs), options.xfs, options.seed, report)?;
    }
    stores::cut_many(bench, &templates.ext4, options.stores, options.seed, report)?;
    let rounds = (options.ext4 / 50).clamp(3, 12);
    controls::run(bench, &templates.ext4[0], rounds, options.seed, report)?;
    eprintln!("the controls are done");
    faults::run(bench, &templates.ext4, rounds * 4, options.seed, report)?;
    eprintln!("the failing disks are done");
    full::run(bench, report)?;
    eprintln!("the full disks are done");
    if options.ext4 >= TRIALS_FEW {
        report.require(&SURE);
    }
    if options.stores >= TRIALS_MANY {
        report.require(&stores::CLASSES);
    }
    if options.ext4 >= TRIALS_MANY {
        report.require(&CLASSES);
    }
    Ok(())
}

/// Empty file systems, each made once.
struct Templates {
    /// With blocks of 4 KiB and of 1 KiB, which tear within a page.
    ext4: [Template; 2],
    xfs: Option<Template>,
}

impl Templates {
    fn make(bench: &Bench<'_>, with_xfs: bool) -> io::Result<Self> {
        let ext4 = |block, journal| {
            let lazy = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
            let arguments = ["-q", "-F", "-b", block, "-J", journal, "-N", "64", "-E", lazy];
            let options = &["data=ordered", "data=ordered", "data=journal", "data=writeback"];
            Template::make(bench.home, Kind::Ext4, 24 << 20, &arguments, options)
        };
        let xfs = || {
            let arguments = ["-q", "-f", "-K"];
            Template::make(bench.home, Kind::Xfs, 320 << 20, &arguments, &["nouuid"])
        };
        Ok(Self {
            ext4: [ext4("4096", "size=4")?, ext4("1024", "size=2")?],
            xfs: with_xfs.then(xfs).transpose()?,
        })
    }
}

fn cut_many(
    bench: &Bench<'_>,
    templates: &[Template],
    trials: u64,
    first_seed: u64,
    report: &mut Report,
) -> io::Result<()> {
    let mut made = 0;
    let mut seed = first_seed;
    while made < trials {
        let plan = Plan::draw(Purpose::Cut, seed);
        let template = &templates[usize::try_from(seed).unwrap_or(0) % templates.len()];
        let cuts = (trials / 25).clamp(1, CUTS_EACH_MAX).min(trials - made);
        let mut found = Report::default();
        cut_one(bench, template, &plan, cuts, &mut found)?;
        let cuts = found.trials;
        for violation in &mut found.violations {
            let name = template.file_system();
            violation.insert_str(0, &format!("{name} seed {seed}: "));
        }
        report.join(found);
        made += cuts;
        seed += 1;
        if made / 100 != (made - cuts) / 100 || made >= trials {
            let bad = report.violations.len();
            eprintln!("{} {made} of {trials}, {bad} violations", template.file_system());
        }
    }
    Ok(())
}

/// One run of the workload, cut so often.
fn cut_one(
    bench: &Bench<'_>,
    template: &Template,
    plan: &Plan,
    cuts: u64,
    report: &mut Report,
) -> io::Result<()> {
    let (recording, options) = bench.record(template, plan, report)?;
    let whole = Story::of(recording.notes(recording.entries.len()), plan);
    whole.violations.into_iter().for_each(|violation| report.fail(violation));
    for cut in 0..cuts {
        let mut random = fastrand::Rng::with_seed(plan.seed.rotate_left(32) ^ cut);
        let mut found = Report::default();
        let run = Run { template, plan, recording: &recording, options };
        let (left, story, seen) = run.cut(bench, Story::default, 1, &mut random, &mut found)?;
        if let Some(seen) = seen.filter(|_| random.bool() && found.violations.is_empty()) {
            let again = Plan { purpose: Purpose::Again, ..plan.clone() };
            let from = (&left.image, options);
            let recording = bench.record_again(template, &again, from, &mut found)?;
            let run = Run { template, plan: &again, recording: &recording, options };
            let before = || story.survived(&seen, plan);
            let whole = before().then(recording.notes(recording.entries.len()), plan);
            whole.violations.into_iter().for_each(|violation| found.fail(violation));
            run.cut(bench, before, 2, &mut random, &mut found)?;
            found.count("cut again");
        }
        for violation in &mut found.violations {
            violation.insert_str(0, &format!("cut {cut}: "));
        }
        report.join(found);
    }
    Ok(())
}

/// A recorded run of the workload.
struct Run<'a> {
    template: &'a Template,
    plan: &'a Plan,
    recording: &'a Recording,
    options: &'static str,
}

impl Run<'_> {
    /// Draws a moment and what is left then, and judges it in another boot; a trial.
    fn cut(
        &self,
        bench: &Bench<'_>,
        before: impl Fn() -> Story,
        boot: usize,
        random: &mut fastrand::Rng,
        report: &mut Report,
    ) -> io::Result<(Left, Story, Option<Seen>)> {
        let Self { template, plan, recording, options } = *self;
        let moment = draw_moment(recording, random);
        let story = before().then(recording.notes(moment), plan);
        let left = recording.cut(moment, random);
        count_cut(template, plan, &story, &left, report);
        let after = After::new(plan, &story, options, BOOTS[boot], random);
        let known = report.violations.len();
        let seen = bench.check(template, &after, &left.image, report)?;
        let (all, stage) = (recording.entries.len(), story.stage);
        for violation in &mut report.violations[known..] {
            violation.insert_str(0, &format!("at {moment} of {all} ({options}), {stage:?}: "));
        }
        Ok((left, story, seen))
    }
}
