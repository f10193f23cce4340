//! Which parts there are, and what may still come. No waiting, no bytes.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::content::Content;
use crate::error::{Error, PartState, Result};

/// The parts of a spool.
#[derive(Default)]
pub(super) struct Parts {
    /// Those from `next` on that somebody writes, has written, or has given up.
    slots: BTreeMap<u64, Slot>,
    /// The part that is drained next: those before it are gone.
    next: u64,
    /// The parts before this one are being merged, and can no longer be written.
    sealed: u64,
    total: Option<u64>,
    pub(super) counts: Counts,
}

/// Of parts, since the spool was opened; what was found then counts as committed.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) committed: u64,
    pub(super) committed_bytes: u64,
    pub(super) skipped: u64,
    pub(super) drained: u64,
    pub(super) drained_bytes: u64,
}

#[derive(Default)]
struct Slot {
    /// The last complete one.
    ready: Option<Arc<Content>>,
    /// How many write it now.
    writers: usize,
    has_failed: bool,
}

impl Slot {
    fn state(&self) -> PartState {
        match self {
            Self { ready: Some(_), .. } => PartState::Ready,
            Self { writers: 1.., .. } => PartState::Writing,
            Self { has_failed: true, .. } => PartState::Failed,
            _ => PartState::Absent,
        }
    }
}

/// What somebody who wants a part finds.
pub(super) enum Found {
    Ready(Arc<Content>),
    /// It may still come.
    NotYet,
    /// It does not come, unless somebody tries again.
    Gap(PartState),
    /// There are no more parts.
    End,
}

impl Parts {
    /// What an earlier process has left.
    pub(super) fn resumed(next: u64, contents: BTreeMap<u64, Content>) -> Self {
        let mut parts = Self { next, ..Self::default() };
        for (part, content) in contents {
            parts.put(part, &Arc::new(content));
        }
        parts
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }

    pub(super) fn state(&self, part: u64) -> PartState {
        match self.slots.get(&part) {
            _ if part < self.next => PartState::Drained,
            Some(slot) => slot.state(),
            None => PartState::Absent,
        }
    }

    /// Refuses a part that cannot come any more.
    pub(super) fn check(&self, part: u64) -> Result<()> {
        // There is a number behind the last part, too.
        let total = self.total.unwrap_or(u64::MAX);
        if part < self.next.max(self.sealed) {
            return Err(Error::PartDrained { part });
        }
        if part >= total { Err(Error::PartOutOfRange { part, total }) } else { Ok(()) }
    }

    /// Somebody begins to write a part.
    pub(super) fn enter(&mut self, part: u64) {
        self.slots.entry(part).or_default().writers += 1;
    }

    /// Somebody no longer writes it. It may be gone.
    pub(super) fn leave(&mut self, part: u64) {
        if let Some(slot) = self.slots.get_mut(&part) {
            slot.writers -= 1;
            if slot.state() == PartState::Absent {
                self.slots.remove(&part);
            }
        }
    }

    /// A complete part, in place of an earlier one.
    pub(super) fn put(&mut self, part: u64, content: &Arc<Content>) -> Option<Arc<Content>> {
        let slot = self.slots.entry(part).or_default();
        slot.has_failed = false;
        let before = slot.ready.replace(Arc::clone(content));
        self.counts.committed += u64::from(before.is_none());
        self.counts.committed_bytes += content.bytes();
        self.counts.committed_bytes -= before.as_ref().map_or(0, |before| before.bytes());
        before
    }

    /// Nobody will bring a part, unless somebody tries again.
    pub(super) fn fail(&mut self, part: u64) {
        self.slots.entry(part).or_default().has_failed = true;
    }

    /// There are no more parts than these.
    pub(super) fn finish(&mut self, total: u64) -> Result<()> {
        let is_there = |slot: &Slot| slot.ready.is_some() || slot.writers > 0;
        let last = self.slots.iter().rev().find(|(_, slot)| is_there(slot));
        let last = last.map(|(&part, _)| part).or(self.next.checked_sub(1));
        if let Some(part) = last.filter(|&part| part >= total) {
            return Err(Error::PartOutOfRange { part, total });
        }
        // Somebody looked for the end, and went beyond it.
        self.slots.split_off(&total);
        self.total = Some(total);
        Ok(())
    }

    pub(super) fn find(&self, part: u64) -> Found {
        let slot = self.slots.get(&part);
        if let Some(content) = slot.and_then(|slot| slot.ready.as_ref()) {
            return Found::Ready(Arc::clone(content));
        }
        match (slot.map_or(PartState::Absent, Slot::state), self.total) {
            (_, Some(total)) if part >= total => Found::End,
            (PartState::Failed, _) => Found::Gap(PartState::Failed),
            (PartState::Absent, Some(_)) => Found::Gap(PartState::Absent),
            _ => Found::NotYet,
        }
    }

    /// The next part is drained.
    pub(super) fn drain_next(&mut self, bytes: u64) {
        self.counts.drained += 1;
        self.counts.drained_bytes += bytes;
        self.pass();
    }

    /// The parts before this one never come.
    pub(super) fn skip_to(&mut self, part: u64) {
        self.counts.skipped += part - self.next;
        while self.slots.first_entry().is_some_and(|first| *first.key() < part) {
            self.slots.pop_first();
        }
        self.next = part;
    }

    /// Where a gap that begins with this part ends: with the next part that anything is known of,
    /// or that there need not be.
    pub(super) fn gap_end(&self, part: u64) -> u64 {
        let known = self.slots.range(part + 1..).next().map(|(&part, _)| part);
        known.or(self.total).unwrap_or(part + 1)
    }

    /// The part that is merged next.
    pub(super) fn sealed(&self) -> u64 {
        self.sealed.max(self.next)
    }

    /// The parts before this one are no longer written.
    pub(super) fn seal(&mut self, part: u64) {
        self.sealed = part;
    }

    fn pass(&mut self) {
        self.slots.remove(&self.next);
        self.next += 1;
    }

    /// Runs of parts that there have to be and that are not ready.
    pub(super) fn missing(&self) -> Vec<Range<u64>> {
        let mut runs = Vec::new();
        let mut next = self.next;
        for (&part, _) in self.slots.iter().filter(|(_, slot)| slot.ready.is_some()) {
            runs.push(next..part);
            next = part + 1;
        }
        let last = self.slots.last_key_value().map_or(self.next, |(part, _)| part + 1);
        runs.push(next..self.total.unwrap_or(last));
        runs
    }

    /// How many there are in this state.
    pub(super) fn count(&self, state: PartState) -> u64 {
        self.slots.values().filter(|slot| slot.state() == state).count() as u64
    }

    /// Those that are ready.
    pub(super) fn ready(&self) -> impl Iterator<Item = &Arc<Content>> {
        self.slots.values().filter_map(|slot| slot.ready.as_ref())
    }
}
