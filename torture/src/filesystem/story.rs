//! What had been promised when the power failed, and whether an archive keeps it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
};

use ringkeep::{Read, Result, Ring};

use super::{
    note::Note,
    plan::{Plan, Purpose},
    promises::{After, Promises, Stage},
    rings,
    worker::syncs_each,
};
use crate::report::Report;

/// What an id may hold: the payload of a version, or nothing because it was skipped or deleted.
type Content = Option<u64>;

/// What the notes before a moment say.
#[derive(Debug, Clone, Default)]
pub(super) struct Story {
    pub(super) stage: Stage,
    /// Contents that an id may have; the last one is in the page cache.
    versions: BTreeMap<u64, Vec<Content>>,
    /// The step that has not returned.
    pending: Option<Note>,
    /// One past the largest id that was returned.
    pub(super) handed: u64,
    pub(super) durable: u64,
    /// Ids below it were given up by a jump.
    dropped: u64,
    /// Ids that an earlier crash took.
    lost: BTreeSet<u64>,
    /// What the worker itself did wrong.
    pub(super) violations: Vec<String>,
}

/// What a look at all ids found.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) ids: Range<u64>,
    pub(super) reads: BTreeMap<u64, Read<Vec<u8>>>,
}

impl Promises for Story {
    const WORKERS: [Purpose; 2] = [Purpose::Cut, Purpose::Again];
    const NAME: &str = "ring";
    const CLASSES: &[&[&str]] = &[
        &["records lost above durable", "served above durable", "served below durable"],
        &["mapped", "by position", "windowed"],
    ];
    type Seen = Seen;

    /// It stays, as if it were closed.
    fn survived(&self, seen: &Seen, plan: &Plan) -> Self {
        let mut story = Self { stage: Stage::Closed, ..Self::default() };
        (story.handed, story.durable) = (seen.ids.end, seen.ids.end);
        story.dropped = match self.pending {
            Some(Note::Jump { .. }) => self.dropped.max(seen.ids.start),
            _ => self.dropped,
        };
        for (&id, read) in &seen.reads {
            let written = self.versions.get(&id).into_iter().flatten().copied();
            let left = match read {
                Read::Record(payload) => {
                    let mut written = written.flatten();
                    written.find(|&version| plan.payload(id, version) == *payload).map(Some)
                }
                Read::Absent => Some(None),
                _ => {
                    story.lost.insert(id);
                    None
                }
            };
            story.versions.insert(id, left.into_iter().collect());
        }
        story
    }

    fn tell(&mut self, note: Note, plan: &Plan) {
        self.stage = self.stage.then(note);
        match note {
            Note::Append { first, count } => self.attempt((first..first + count).map(new)),
            Note::Gap { first, id } => {
                self.attempt((first..id).map(|id| (id, None)).chain([new(id)]));
            }
            Note::Jump { id } => self.attempt([new(id)].into_iter()),
            Note::Update { id, version } => self.attempt([(id, Some(version))].into_iter()),
            Note::Delete { id } => self.attempt([(id, None)].into_iter()),
            Note::Closed => self.synced(self.handed),
            Note::Creating
            | Note::Created
            | Note::Closing
            | Note::Opening
            | Note::Other
            | Note::Settled { .. } => {}
            // The step that failed stays the one that has not returned.
            Note::Failed { .. } | Note::End => return,
            Note::Done { next, durable } => return self.done(next, durable, plan),
        }
        self.pending = Some(note);
    }

    fn stage(&self) -> Stage {
        self.stage
    }

    fn judge(&self, after: &After<'_>, mount: &Path, report: &mut Report) -> Option<Seen> {
        rings::judge(self, after, mount, report)
    }

    fn violations(&self) -> &[String] {
        &self.violations
    }
}

impl Story {
    fn attempt(&mut self, contents: impl Iterator<Item = (u64, Content)>) {
        for (id, content) in contents {
            self.versions.entry(id).or_default().push(content);
        }
    }

    /// A step has returned.
    fn done(&mut self, next: u64, durable: u64, plan: &Plan) {
        let expected = match self.pending.take() {
            Some(Note::Append { first, count }) => first + count,
            Some(Note::Gap { id, .. }) => id + 1,
            Some(Note::Jump { id }) => {
                self.dropped = self.dropped.max(id);
                id + 1
            }
            // Below durable it is there for good, and otherwise it goes with the record.
            Some(Note::Update { id, .. } | Note::Delete { id }) if id < self.durable => {
                self.settle(id..id + 1);
                self.handed
            }
            _ => self.handed,
        };
        if next != expected {
            self.violations.push(format!("R4 next is {next} after a step to {expected}"));
        }
        if durable < self.durable || durable > next {
            let before = self.durable;
            self.violations.push(format!("R11 durable {durable} after {before}, next {next}"));
        }
        let was_append = next > self.handed;
        if was_append && syncs_each(plan.policy) && durable < next {
            self.violations.push(format!("policy: next {next} is returned, durable {durable}"));
        }
        self.handed = next;
        self.synced(durable);
    }

    fn synced(&mut self, durable: u64) {
        self.settle(self.durable..durable.max(self.durable));
        self.durable = durable.max(self.durable);
    }

    /// Only the last version of these ids is left.
    fn settle(&mut self, ids: Range<u64>) {
        for (_, versions) in self.versions.range_mut(ids) {
            versions.drain(..versions.len().saturating_sub(1));
        }
    }

    /// One past the largest id of a step that has not returned.
    fn inflight(&self) -> u64 {
        match self.pending {
            Some(Note::Append { first, count }) => first + count,
            Some(Note::Gap { id, .. } | Note::Jump { id }) => id + 1,
            _ => 0,
        }
    }

    /// Reads all ids of an archive after a crash, and judges them.
    ///
    /// # Errors
    ///
    /// What could not be read.
    pub(super) fn judge_ring(&self, ring: &Ring, plan: &Plan, report: &mut Report) -> Result<Seen> {
        let (oldest, next, durable) = (ring.oldest()?, ring.next_id()?, ring.durable()?);
        self.judge_bounds(oldest..next, durable, plan, report);
        let mut seen = Seen { ids: oldest..next, reads: BTreeMap::new() };
        for id in oldest..next {
            let read = ring.read(id)?;
            self.judge_read(id, &read, plan, report);
            seen.reads.insert(id, read);
        }
        Ok(seen)
    }

    fn judge_bounds(&self, ids: Range<u64>, durable: u64, plan: &Plan, report: &mut Report) {
        let Range { start: oldest, end: next } = ids;
        if next < self.handed {
            report
                .fail(format!("R4 next {next} is below an id that was returned: {}", self.handed));
        }
        if durable < self.durable {
            report.fail(format!("R11 durable went back from {} to {durable}", self.durable));
        }
        if self.stage == Stage::Closed && next != self.handed {
            report.fail(format!("R3 closed at {}, next {next}", self.handed));
        }
        let reach = self.handed.max(self.inflight());
        if next > reach + plan.reservation() {
            report.fail(format!("R3 the limit {next} gives up more than R beyond {reach}"));
        }
        let mut floor = next.saturating_sub(plan.capacity).max(self.dropped);
        let jump = match self.pending {
            Some(Note::Jump { id }) => Some(id),
            _ => None,
        };
        // Until it returns it may be made, and then it has given up all older ids.
        if let Some(id) = jump.filter(|&id| next > id) {
            floor = floor.max(id);
        }
        // Once it is announced it laps everything, before its own id shows.
        let announced = jump.is_some() && oldest == next;
        if oldest > floor.min(next) && !announced {
            report.fail(format!("R3 the oldest is {oldest}, but {floor} is owed, next {next}"));
        }
        if oldest < self.dropped.min(next) {
            report.fail(format!("R11 a jump to {} came undone: {oldest}", self.dropped));
        }
        let oldest_before = self.handed.saturating_sub(plan.capacity).max(self.dropped);
        if jump.is_none() && oldest_before < oldest.min(self.durable) {
            report.count("given up by reservation");
        }
    }

    fn judge_read(&self, id: u64, read: &Read<Vec<u8>>, plan: &Plan, report: &mut Report) {
        let versions = self.versions.get(&id).map_or(&[][..], Vec::as_slice);
        match read {
            Read::Record(payload) => {
                let mut written = versions.iter().flatten();
                if !written.any(|&version| plan.payload(id, version) == *payload) {
                    report.fail(format!("R2 id {id} reads a record that is none of {versions:?}"));
                }
                self.count_served(id, report);
            }
            Read::Absent => {
                if !versions.contains(&None) {
                    report.fail(format!("R2 id {id} is absent, and may be {versions:?}"));
                }
                self.count_served(id, report);
            }
            Read::Lost if self.lost.contains(&id) => report.count("Lost stays Lost"),
            Read::Lost if id < self.durable => {
                report.fail(format!("R3 id {id} is lost, durable {}", self.durable));
            }
            Read::Lost if versions.is_empty() => report.count("Lost, never written"),
            Read::Lost => report.count("records lost above durable"),
            other => report.fail(format!("R5 id {id} reads {other:?}, durable {}", self.durable)),
        }
    }

    fn count_served(&self, id: u64, report: &mut Report) {
        let is_owed = id < self.durable;
        report.count(if is_owed { "served below durable" } else { "served above durable" });
    }
}

fn new(id: u64) -> (u64, Content) {
    (id, Some(0))
}

impl Seen {
    /// What was read once reads the same later, but for the oldest that others have lapped.
    pub(super) fn compare(&self, later: &Self, when: &str, report: &mut Report) {
        for (id, read) in self.reads.range(later.ids.start..) {
            let now = later.reads.get(id);
            if now != Some(read) {
                let what = kind(read);
                let now = now.map_or("nothing", kind);
                report.fail(format!("R12 id {id} was {what} and is {now} {when}"));
            }
        }
        if later.ids.end < self.ids.end {
            report.fail(format!("R4 next went from {:?} to {:?} {when}", self.ids, later.ids));
        }
    }
}

fn kind(read: &Read<Vec<u8>>) -> &'static str {
    match read {
        Read::Record(_) => "a record",
        Read::Absent => "absent",
        Read::Lost => "lost",
        Read::Lapped { .. } => "lapped",
        Read::NotYet { .. } => "not yet",
        _ => "something else",
    }
}
