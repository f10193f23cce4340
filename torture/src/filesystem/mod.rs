//! The real kernel: a workload on ext4 and xfs, and what a power cut leaves of it.
//!
//! 1. A disk in this process ([`disk`]) logs what the file system on it writes and flushes. A
//!    worker, a process of its own, uses a ring, a store or a queue there, and notes each step in
//!    the same log.
//! 2. The power fails at any moment of the log: what was flushed is on the disk, and of what was
//!    written since any part, down to single sectors ([`recording`]).
//! 3. The kernel mounts that, replays its journal, and a judge who knows what had been promised at
//!    that moment ([`promises`]) looks at what is there, under another boot id.
//!
//! One run of the workload is cut many times; each cut is a trial. What is decided is repeated by
//! a seed; the timing of the kernel is not.

mod controls;
mod cuts;
mod disk;
mod faults;
mod full;
mod image;
mod mounts;
mod note;
mod plan;
mod progress;
mod promises;
mod queues;
mod recording;
mod rings;
mod stores;
mod story;
mod trial;
mod worker;

use std::{io, path::PathBuf};

use promises::Promises;
use queues::Items;
use stores::Commits;
use story::Story;
use trial::{Bench, Kind, Template};

pub use worker::work;

use crate::report::Report;

/// From so many trials on, each class has to occur.
const TRIALS_MANY: u64 = 200;
/// From so many trials on those of [`SURE`] have to.
const TRIALS_FEW: u64 = 20;

/// How much is tried.
#[derive(Debug, Clone)]
pub struct Options {
    /// Power cuts on ext4, of rings.
    pub ext4: u64,
    /// Power cuts on xfs, of each kind that is tried on ext4.
    pub xfs: u64,
    /// Power cuts on ext4, of stores.
    pub stores: u64,
    /// Power cuts on ext4, of queues.
    pub queues: u64,
    /// Of the first run of the workload; that of the next one is larger by 1.
    pub seed: u64,
    /// The program that does the workers' work: it calls [`work`] when its first argument is
    /// `filesystem-worker`. `None`: this one.
    pub program: Option<PathBuf>,
}

/// Outcomes that many trials with rings have to have, beside those of all trials.
const CLASSES: [&str; 4] = [
    "control lost records",
    "failed write: the producer stopped",
    "failed read: told as an error",
    "full disk: refused, and nothing left behind",
];

/// Those that do not hang on the kernel's timing.
const SURE: [&str; 6] = [
    "cut while running",
    "journal replayed",
    "records lost above durable",
    "served below durable",
    "control lost records",
    "full disk: refused, and nothing left behind",
];

/// Cuts the power of real file systems, lets their disks fail, and fills them.
///
/// Where FUSE, loop devices or the tools are missing, that is said loudly on standard error, and
/// the report has 0 trials; where only xfs is, it has none of those.
#[must_use]
pub fn run(options: &Options) -> Report {
    let made = match mounts::what_is_missing() {
        Some(missing) => Err(io::Error::other(missing)),
        None => mounts::in_private(|home| {
            let program = options.program.clone().map_or_else(std::env::current_exe, Ok)?;
            let bench = Bench { home, program: &program };
            let templates = Templates::make(&bench, options.xfs > 0)?;
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
    if options.ext4 > 0 {
        cut::<Story>(bench, templates, options, options.ext4, report)?;
        let rounds = rounds(options.ext4);
        controls::never_sync(bench, &templates.ext4[0], rounds, options.seed, report)?;
        faults::run(bench, &templates.ext4, rounds * 4, options.seed, report)?;
        eprintln!("the failing disks are done");
        full::run(bench, report)?;
        eprintln!("the full disks are done");
    }
    if options.ext4 >= TRIALS_FEW {
        report.require(&SURE);
    }
    if options.ext4 >= TRIALS_MANY {
        report.require(&CLASSES);
    }
    if options.stores > 0 {
        cut::<Commits>(bench, templates, options, options.stores, report)?;
    }
    if options.queues > 0 {
        cut::<Items>(bench, templates, options, options.queues, report)?;
    }
    Ok(())
}

/// Cuts the power of so many on ext4, and lets some disks ignore flushes.
fn cut<P: Promises>(
    bench: &Bench<'_>,
    templates: &Templates,
    options: &Options,
    ext4: u64,
    report: &mut Report,
) -> io::Result<()> {
    let mut found = Report::default();
    cuts::make::<P>(bench, &templates.ext4, ext4, options.seed, &mut found)?;
    if let Some(xfs) = &templates.xfs {
        cuts::make::<P>(bench, std::slice::from_ref(xfs), options.xfs, options.seed, &mut found)?;
    }
    let first = &templates.ext4[0];
    controls::ignore_flushes::<P>(bench, first, rounds(ext4), options.seed, &mut found)?;
    found.require(&[controls::CAUGHT]);
    if ext4 >= TRIALS_MANY {
        found.require(&cuts::CLASSES);
        for classes in P::CLASSES {
            found.require(classes);
        }
    }
    report.join(found);
    Ok(())
}

/// Controls for so many trials.
fn rounds(trials: u64) -> u64 {
    (trials / 50).clamp(3, 12)
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
            let arguments = ["-q", "-F", "-b", block, "-J", journal, "-N", "256", "-E", lazy];
            let options = &["data=ordered", "data=ordered", "data=journal", "data=writeback"];
            Template::make(bench, Kind::Ext4, 24 << 20, &arguments, options)
        };
        let xfs = || {
            let arguments = ["-q", "-f", "-K"];
            Template::make(bench, Kind::Xfs, 320 << 20, &arguments, &["nouuid"])
        };
        let skip = |missing: &io::Error| eprintln!("SKIPPED: no power cuts on xfs: {missing}");
        Ok(Self {
            ext4: [ext4("4096", "size=4")?, ext4("1024", "size=2")?],
            xfs: if with_xfs { xfs().inspect_err(skip).ok() } else { None },
        })
    }
}
