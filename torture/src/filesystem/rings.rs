//! Rings that a power cut left: readers and producers look at what is there, and go on with it.

use std::path::Path;

use ringkeep::{Error, Producer, ReadOptions, Result, Ring, WriteOptions};

use super::{
    plan::{BOOTS, Plan, archive_at},
    promises::{After, NOTHING_YET},
    story::{Seen, Story},
};
use crate::{form::InForm as _, report::Report};

/// A reader looks, then a producer goes on, then a reader looks again.
pub(super) fn judge(
    story: &Story,
    after: &After<'_>,
    mount: &Path,
    report: &mut Report,
) -> Option<Seen> {
    report.count(after.plan.form.name());
    let path = archive_at(mount);
    let done = match ReadOptions::new().boot_id(after.boot).in_form(after.reader).open(&path) {
        Ok(ring) => go_on(story, after, &path, &ring, report).map(Some),
        Err(Error::NotFound { .. }) => judge_absence(story, after, &path, report).map(|()| None),
        Err(error) => Err(error),
    };
    done.unwrap_or_else(|error| {
        report.fail(format!("R1 {error}"));
        None
    })
}

/// There is no archive: it had not been created, and can be now.
fn judge_absence(story: &Story, after: &After<'_>, path: &Path, report: &mut Report) -> Result<()> {
    if story.stage.is_before_creation() {
        report.count(NOTHING_YET);
    } else {
        report.fail(format!("R1 the archive is gone, {:?}", story.stage));
    }
    let mut producer = after.plan.options().boot_id(after.boot).create(path)?;
    append(&mut producer, after.plan, 3)?;
    Ok(producer.close()?)
}

fn go_on(
    story: &Story,
    after: &After<'_>,
    path: &Path,
    ring: &Ring,
    report: &mut Report,
) -> Result<Seen> {
    let plan = after.plan;
    let before = story.judge_ring(ring, plan, report)?;
    let options = WriteOptions::new().boot_id(after.boot);
    let mut producer = options.in_form(after.writer).open(path)?;
    let opened = story.judge_ring(&producer.ring(), plan, &mut Report::default())?;
    before.compare(&opened, "once it is open for write", report);
    let next = opened.ids.end;
    let new = next..next + append(&mut producer, plan, 5)?;
    // A boot later, cleanly closed.
    producer.close()?;
    let ring = ReadOptions::new().boot_id(BOOTS[0]).open(path)?;
    let mut last = Seen { ids: ring.oldest()?..ring.next_id()?, ..Seen::default() };
    for id in last.ids.clone() {
        last.reads.insert(id, ring.read(id)?);
    }
    opened.compare(&last, "after a clean close", report);
    for id in new.start.max(last.ids.start)..new.end {
        if ring.read(id)?.record().ok() != Some(plan.payload(id, 0)) {
            report.fail(format!("R3 id {id} was appended after the crash, and is not there"));
        }
    }
    let verified = ring.verify(|_| {})?;
    if verified.corrupt > 0 || ring.durable()? != new.end {
        report.fail(format!("R5 after a clean close: {verified:?}"));
    }
    Ok(before)
}

/// Appends a few records, and says how many.
fn append(producer: &mut Producer, plan: &Plan, count: u64) -> Result<u64> {
    for _ in 0..count {
        let id = producer.ring().next_id()?;
        producer.append(&plan.payload(id, 0))?;
    }
    Ok(count)
}
