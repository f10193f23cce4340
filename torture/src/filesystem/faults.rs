//! Disks that fail: an error is told as one, what was durable stays, and nobody dies of a signal
//! who maps nothing.

use std::{io, process::Output};

use super::{
    disk::Faults,
    mounts::signal_of,
    note::{Failure, Note},
    plan::{BOOTS, Plan, Purpose},
    promises::{After, Promises as _},
    recording::Recording,
    story::Story,
    trial::{Bench, Stand, Template},
};
use crate::{form::Form, report::Report};

/// What a mapping gives when its page cannot be read or made writable.
const SIGBUS: i32 = 7;

/// Runs so many workers on disks that fail.
pub(super) fn run(
    bench: &Bench<'_>,
    templates: &[Template],
    rounds: u64,
    seed: u64,
    report: &mut Report,
) -> io::Result<()> {
    for seed in seed..seed + rounds {
        let template = &templates[usize::try_from(seed).unwrap_or(0) % templates.len()];
        let mut found = Report::default();
        fail_writes(bench, template, seed, &mut found)?;
        fail_reads(bench, template, seed, &mut found)?;
        report.join(found.at(&format!("fault seed {seed}")));
    }
    Ok(())
}

/// From some write or flush on, all of them fail; later the disk works again.
fn fail_writes(
    bench: &Bench<'_>,
    template: &Template,
    seed: u64,
    report: &mut Report,
) -> io::Result<()> {
    let plan = Plan::draw(Purpose::Fault, seed);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut stand = Stand::set_up(bench, template, &mut random)?;
    let left = Some(random.u64(0..150));
    let faults = match random.u8(..3) {
        0 => Faults { flushes: Some(random.u64(0..40)), ..Faults::default() },
        1 => Faults { writes: left, flushes: left.map(|left| left / 4), ..Faults::default() },
        _ => Faults { writes: left, ..Faults::default() },
    };
    stand.disk.set_faults(faults);
    let output = bench.work(&stand, &plan)?;
    let recording = stand.disk.recorded();
    stand.pull_out();
    let occurred = stand.disk.failed() > 0;
    stand.disk.set_faults(Faults::default());
    judge_worker(&plan, &recording, &output, occurred, report);
    let story = Story::of(recording.notes(recording.entries.len()), &plan);
    let after = After::new(&plan, stand.options, BOOTS[1], &mut random);
    let before = report.violations.len();
    bench.check(template, &story, &after, &stand.disk.image(), report)?;
    for violation in &mut report.violations[before..] {
        violation.insert_str(0, &format!("{faults:?} {:?} {}: ", plan.form, stand.options));
    }
    Ok(())
}

/// The worker either got through, or its producer has stopped for good with an error of the disk.
fn judge_worker(
    plan: &Plan,
    recording: &Recording,
    output: &Output,
    occurred: bool,
    report: &mut Report,
) {
    report.count("disk that fails writes or flushes");
    let notes: Vec<_> = recording.notes(recording.entries.len()).collect();
    let failed = notes.iter().position(|note| matches!(note, Note::Failed { .. }));
    if let Some(signal) = signal_of(output) {
        // A store through a mapping has no other way to fail; see the docs.
        match plan.form {
            Form::Mapped if signal == SIGBUS => report.count("failed write: SIGBUS, mapped"),
            Form::Windowed if signal == SIGBUS => report.count("failed write: SIGBUS, windowed"),
            form => report.fail(format!("the worker died of signal {signal}, {form:?}")),
        }
        return;
    }
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        report.fail(format!("the worker fails ({}): {}", output.status, text.trim()));
    }
    let Some(failed) = failed else {
        if notes.last() != Some(&Note::End) {
            report.fail(format!("the worker ended after {:?}", notes.last()));
        }
        report.count(if occurred { "failed write: not noticed yet" } else { "no write failed" });
        return;
    };
    for note in &notes[failed..] {
        match note {
            Note::Failed { error: Failure::Io | Failure::Poisoned | Failure::ReadOnly } => {}
            other => report.fail(format!("after a failure: {other:?}")),
        }
    }
    let created = notes[..failed].contains(&Note::Created);
    let (stopped, none) =
        ("failed write: the producer stopped", "failed write: no archive was made");
    report.count(if created { stopped } else { none });
}

/// A whole archive on a disk where some reads fail: each look is right, or an error.
fn fail_reads(
    bench: &Bench<'_>,
    template: &Template,
    seed: u64,
    report: &mut Report,
) -> io::Result<()> {
    let mut plan = Plan::draw(Purpose::Cut, seed);
    let mut random = fastrand::Rng::with_seed(!seed);
    let mut stand = Stand::set_up(bench, template, &mut random)?;
    let output = bench.work(&stand, &plan)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        report.fail(format!("the worker fails ({}): {}", output.status, text.trim()));
    }
    let written = stand.disk.recorded();
    let story = Story::of(written.notes(written.entries.len()), &plan);
    stand.remount(bench, template)?;
    stand.disk.record();
    stand.disk.set_faults(Faults { reads: Some(random.u64(0..12)), ..Faults::default() });
    plan.purpose = Purpose::Look;
    let output = bench.work(&stand, &plan)?;
    let recording = stand.disk.recorded();
    let occurred = stand.disk.failed() > 0;
    stand.pull_out();
    stand.disk.set_faults(Faults::default());
    report.count("disk that fails reads");
    if let Some(signal) = signal_of(&output) {
        report.fail(format!("the reader died of signal {signal}"));
    } else if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        report.fail(format!("the reader fails ({}): {}", output.status, text.trim()));
    }
    let notes: Vec<_> = recording.notes(recording.entries.len()).collect();
    for note in &notes {
        match note {
            Note::Failed { error: Failure::Io } => report.count("failed read: told as an error"),
            Note::Failed { error } => report.fail(format!("a failed read is told as {error:?}")),
            _ => {}
        }
    }
    let told = notes.iter().any(|note| matches!(note, Note::Failed { .. }));
    report.count(match (occurred, told) {
        (true, true) => "a disk that fails reads was noticed",
        (true, false) => "a disk that fails reads was not noticed",
        (false, _) => "no read failed",
    });
    let after = After::new(&plan, stand.options, BOOTS[1], &mut random);
    bench.check(template, &story, &after, &stand.disk.image(), report)?;
    Ok(())
}
