//! The judge has to notice when records are gone that were called durable.

use std::io;

use super::{
    note::Note,
    plan::{BOOTS, Plan, Purpose},
    story::Story,
    trial::{After, Bench, Template},
};
use crate::report::Report;

/// Runs each control so often; counts how often it was noticed.
pub(super) fn run(
    bench: &Bench<'_>,
    template: &Template,
    rounds: u64,
    seed: u64,
    report: &mut Report,
) -> io::Result<()> {
    for round in 0..rounds {
        without_syncs(bench, template, seed + round, report)?;
        without_flushes(bench, template, seed + round, report)?;
    }
    Ok(())
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
    let after = After::new(&plan, &story, options, BOOTS[1], &mut random);
    let mut found = Report::default();
    bench.check(template, &after, &left.image, &mut found)?;
    let lost = found.violations.iter().filter(|text| text.contains("is lost, durable")).count();
    report.count("control without syncs");
    if lost > 0 {
        report.count("control lost records");
    }
    Ok(())
}

/// A disk that says a flush is complete and keeps nothing since the archive was created.
fn without_flushes(
    bench: &Bench<'_>,
    template: &Template,
    seed: u64,
    report: &mut Report,
) -> io::Result<()> {
    let plan = Plan::draw(Purpose::Cut, seed);
    let (recording, options) = bench.record(template, &plan, report)?;
    let created = recording.moments_of(|note| note == Note::Created);
    let closed = recording.moments_of(|note| note == Note::Closed);
    let (Some(&created), Some(&closed)) = (created.first(), closed.last()) else {
        return Ok(());
    };
    let mut random = fastrand::Rng::with_seed(seed);
    let left = recording.cut(recording.flushed_before(created), &mut random);
    let story = Story::of(recording.notes(closed + 1), &plan);
    let after = After::new(&plan, &story, options, BOOTS[1], &mut random);
    let mut found = Report::default();
    bench.check(template, &after, &left.image, &mut found)?;
    report.count("control with a disk that ignores flushes");
    if !found.violations.is_empty() {
        report.count("control caught a disk that ignores flushes");
    }
    Ok(())
}
