//! One run of a worker, and many power cuts out of its log.

use std::io;

use super::{
    note::Note,
    plan::{BOOTS, Plan},
    promises::{After, NOTHING_YET, Promises, Stage},
    recording::{Left, Recording},
    trial::{Bench, Template},
};
use crate::report::Report;

/// Most power cuts made out of one run.
const CUTS_EACH_MAX: u64 = 8;

/// Outcomes that many trials have to have, whatever is on the disk.
pub(super) const CLASSES: [&str; 12] = [
    NOTHING_YET,
    "cut while creating",
    "cut while running",
    "cut while closing",
    "cut while opening",
    "cut again",
    "journal replayed",
    "some of the unsynced writes kept",
    "policy Never",
    "policy EveryRecords",
    "policy Interval",
    "policy Always",
];

/// Makes so many trials.
pub(super) fn make<P: Promises>(
    bench: &Bench<'_>,
    templates: &[Template],
    trials: u64,
    first_seed: u64,
    report: &mut Report,
) -> io::Result<()> {
    let mut made = 0;
    let mut seed = first_seed;
    while made < trials {
        let plan = Plan::draw(P::WORKERS[0], seed);
        let template = &templates[usize::try_from(seed).unwrap_or(0) % templates.len()];
        let cuts = (trials / 25).clamp(1, CUTS_EACH_MAX).min(trials - made);
        let mut found = Report::default();
        cut_one::<P>(bench, template, &plan, cuts, &mut found)?;
        let cuts = found.trials;
        let name = template.file_system();
        report.join(found.at(&format!("{name} {} seed {seed}", P::NAME)));
        made += cuts;
        seed += 1;
        if made / 100 != (made - cuts) / 100 || made >= trials {
            let bad = report.violations.len();
            eprintln!("{name}, {}: {made} of {trials}, {bad} violations", P::NAME);
        }
    }
    Ok(())
}

/// One run of the worker, cut so often.
fn cut_one<P: Promises>(
    bench: &Bench<'_>,
    template: &Template,
    plan: &Plan,
    cuts: u64,
    report: &mut Report,
) -> io::Result<()> {
    let (recording, options) = bench.record(template, plan, report)?;
    let run = Run { template, plan, recording: &recording, options };
    run.judge_worker(&P::default(), report);
    for cut in 0..cuts {
        let mut random = fastrand::Rng::with_seed(plan.seed.rotate_left(32) ^ cut);
        let mut found = Report::default();
        let (left, promises, seen) = run.cut(bench, &P::default(), 1, &mut random, &mut found)?;
        if let Some(seen) = seen.filter(|_| random.bool() && found.violations.is_empty()) {
            let again = Plan::draw(P::WORKERS[1], plan.seed);
            let from = (&left.image, options);
            let recording = bench.record_again(template, &again, from, &mut found)?;
            let run = Run { template, plan: &again, recording: &recording, options };
            let before = promises.survived(&seen, plan);
            run.judge_worker(&before, &mut found);
            run.cut(bench, &before, 2, &mut random, &mut found)?;
            found.count("cut again");
        }
        report.join(found.at(&format!("cut {cut}")));
    }
    Ok(())
}

/// A recorded run of a worker.
struct Run<'a> {
    template: &'a Template,
    plan: &'a Plan,
    recording: &'a Recording,
    options: &'static str,
}

impl Run<'_> {
    fn judge_worker<P: Promises>(&self, before: &P, report: &mut Report) {
        let notes = self.recording.notes(self.recording.entries.len());
        let whole = before.clone().then(notes, self.plan);
        whole.violations().iter().for_each(|violation| report.fail(violation));
    }

    /// Draws a moment and what is left then, and judges it in another boot; a trial.
    fn cut<P: Promises>(
        &self,
        bench: &Bench<'_>,
        before: &P,
        boot: usize,
        random: &mut fastrand::Rng,
        report: &mut Report,
    ) -> io::Result<(Left, P, Option<P::Seen>)> {
        let Self { template, plan, recording, options } = *self;
        let moment = draw_moment(recording, random);
        let promises = before.clone().then(recording.notes(moment), plan);
        let left = recording.cut(moment, random);
        self.count::<P>(promises.stage(), &left, report);
        let after = After::new(plan, options, BOOTS[boot], random);
        let known = report.violations.len();
        let seen = bench.check(template, &promises, &after, &left.image, report)?;
        let (all, stage) = (recording.entries.len(), promises.stage());
        for violation in &mut report.violations[known..] {
            violation.insert_str(0, &format!("at {moment} of {all} ({options}), {stage:?}: "));
        }
        Ok((left, promises, seen))
    }

    /// What happened in a cut, by class.
    fn count<P: Promises>(&self, stage: Stage, left: &Left, report: &mut Report) {
        report.trials += 1;
        report.count(P::NAME);
        report.count(self.template.file_system());
        report.count(self.plan.policy_class());
        report.count(match stage {
            Stage::Nothing | Stage::Creating => "cut while creating",
            Stage::Running => "cut while running",
            Stage::Closing => "cut while closing",
            Stage::Closed => "cut at rest",
            Stage::Opening => "cut while opening",
        });
        if self.template.has_transactions(&left.image) {
            report.count("journal replayed");
        }
        report.add("sectors kept", left.sectors_kept);
        report.add("sectors gone", left.sectors_gone);
        if left.sectors_gone > 0 && left.sectors_kept > 0 {
            report.count("some of the unsynced writes kept");
        }
    }
}

/// Draws a moment: anywhere, or before a flush that has something to do, or where little time is
/// spent.
fn draw_moment(recording: &Recording, random: &mut fastrand::Rng) -> usize {
    let end = recording.entries.len();
    let any = |moments: Vec<usize>, random: &mut fastrand::Rng| {
        (!moments.is_empty()).then(|| moments[random.usize(..moments.len())])
    };
    let created = recording.moments_of(|note| note == Note::Created);
    let created = created.first().copied().unwrap_or(0);
    let drawn = match random.u8(..12) {
        0 if created > 0 => Some(random.usize(..=created)),
        1 => any(recording.moments_of(|note| note == Note::Closing), random).map(|from| {
            let mut closed = recording.moments_of(|note| note == Note::Closed).into_iter();
            random.usize(from..=closed.find(|&at| at > from).unwrap_or(end))
        }),
        2 => any(recording.moments_of(|note| note == Note::Opening), random)
            .map(|from| random.usize(from..=(from + 12).min(end))),
        3..9 => any(recording.flushes(), random)
            .map(|flush| random.usize(recording.flushed_before(flush)..=flush)),
        _ => None,
    };
    drawn.unwrap_or_else(|| random.usize(created..=end))
}
