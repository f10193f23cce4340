//! The judge has to notice when records are gone that were called durable.

use std::io;

use super::{
    note::Note,
    plan::{BOOTS, Plan, Purpose},
    promises::{After, Promises},
    story::Story,
    trial::{Bench, Template},
};
use crate::report::Report;

/// What every control with such a disk has to come to.
pub(super) const CAUGHT: &str = "control caught a disk that ignores flushes";

/// Runs workers on so many disks that ignore flushes; counts how often that was noticed.
pub(super) fn ignore_flushes<P: Promises>(
    bench: &Bench<'_>,
    template: &Template,
    rounds: u64,
    seed: u64,
    report: &mut Report,
) -> io::Result<()> {
    for seed in seed..seed + rounds {
        let mut found = Report::default();
        without_flushes::<P>(bench, template, seed, &mut found)?;
        report.join(found.at(&format!("control of {} seed {seed}", P::NAME)));
    }
    Ok(())
}

/// Runs so many workers that never sync; counts how often that was noticed.
pub(super) fn never_sync(
    bench: &Bench<'_>,
    template: &Template,
    rounds: u64,
    seed: u64,
    report: &mut Report,
) -> io::Result<()> {
    (seed..seed + rounds).try_for_each(|seed| without_syncs(bench, template, seed, report))
}

/// A worker that never syncs says that all it has stored is durable.
fn without_syncs(
    bench: &Bench<'_>,
    template: &Template,
    seed: u64,
    report: &mut Report,
) -> io::Result<()> {
    let plan = Plan::draw(Purpose::NeverSync, seed);
    let (recording, options) = bench.record(template, &plan, report)?;
    let mut random = fastrand::Rng::with_seed(seed);
    let end = recording.entries.len();
    let left = recording.cut(end, &mut random);
    let story = Story::of(recording.notes(end), &plan);
    let after = After::new(&plan, options, BOOTS[1], &mut random);
    let mut found = Report::default();
    bench.check(template, &story, &after, &left.image, &mut found)?;
    let lost = found.violations.iter().filter(|text| text.contains("is lost, durable")).count();
    report.count("control without syncs");
    if lost > 0 {
        report.count("control lost records");
    }
    Ok(())
}

/// A disk that says a flush is complete and keeps nothing since the creation.
fn without_flushes<P: Promises>(
    bench: &Bench<'_>,
    template: &Template,
    seed: u64,
    report: &mut Report,
) -> io::Result<()> {
    let plan = Plan::draw(P::WORKERS[0], seed);
    let (recording, options) = bench.record(template, &plan, report)?;
    let created = recording.moments_of(|note| note == Note::Created);
    let closed = recording.moments_of(|note| note == Note::Closed);
    let (Some(&created), Some(&closed)) = (created.first(), closed.last()) else {
        return Ok(());
    };
    let mut random = fastrand::Rng::with_seed(seed);
    let left = recording.cut(recording.flushed_before(created), &mut random);
    let promises = P::of(recording.notes(closed + 1), &plan);
    let after = After::new(&plan, options, BOOTS[1], &mut random);
    let mut found = Report::default();
    bench.check(template, &promises, &after, &left.image, &mut found)?;
    report.count("control with a disk that ignores flushes");
    if !found.violations.is_empty() {
        report.count(CAUGHT);
    }
    Ok(())
}
