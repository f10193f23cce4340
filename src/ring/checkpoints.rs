//! Writing checkpoint pages: always over the older one, flushed before anybody relies on it.

use std::{ops::Range, time::Duration};

use super::{
    archive::{Archive, with_range},
    layout::{CHECKPOINT_BYTES, CHECKPOINTS, Checkpoint, CrashRange},
    lookup::ID_END,
};
use crate::{
    error::{Corruption, Error, Result},
    planted::planted,
};

/// The limit's step doubles while raising it that often: up to a second's worth of records.
const STEP_WORTH: Duration = Duration::from_secs(1);
/// Where it is still less than that, the step grows by so much: a producer at speed reaches the
/// limit before the page with the next one is on the disk, and waits for each of the first few.
const FAST: u32 = 8;
const NO_RANGE: CrashRange = CrashRange { first: 0, end: 0 };

/// The newest checkpoint, and how far the next one will go.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    newest: Checkpoint,
    page: usize,
    /// Ids by which the limit moves: R in DESIGN, one block to an eighth of the capacity.
    step: u64,
    raised_at: Option<Duration>,
}

impl Checkpoints {
    /// Takes over the newest page on the disk.
    pub(crate) fn of(archive: &Archive) -> Result<Self> {
        let (newest, page) = newest_checkpoint(archive)?;
        Ok(Self { newest, page, step: archive.geometry().block(), raised_at: None })
    }

    pub(crate) fn newest(&self) -> &Checkpoint {
        &self.newest
    }

    /// Whether `next` is so near to the limit that it should move before anybody waits for it.
    pub(crate) fn is_close(&self, next: u64) -> bool {
        self.newest.limit.saturating_sub(next) <= self.step / 2
    }

    /// Stores a page with the next sequence number over the older one, and flushes it.
    pub(crate) fn write(&mut self, archive: &Archive, page: Checkpoint) -> Result<()> {
        let page = Checkpoint { sequence: self.newest.sequence + 1, ..page };
        let older = if planted("one_checkpoint_copy") { self.page } else { 1 - self.page };
        archive.pages.write(CHECKPOINTS[older], &page.encode(archive.identity.salt));
        archive.pages.sync(CHECKPOINTS[older], CHECKPOINT_BYTES)?;
        archive.cursors().set_proven(page.sequence);
        archive.pages.check()?;
        (self.newest, self.page) = (page, older);
        Ok(())
    }

    /// Makes the limit at least `ids.end`, and a step past `ids.start`. It is on the disk before
    /// any slot of an id below it is touched.
    pub(crate) fn raise_limit(
        &mut self,
        archive: &Archive,
        ids: Range<u64>,
        kept: u64,
    ) -> Result<()> {
        if planted("limit_not_persisted") {
            self.newest.limit = self.newest.limit.max(ids.end + self.step);
            return Ok(());
        }
        let limit = self.newest.limit.max(ids.end).max((ids.start + self.step).min(ID_END));
        self.write(archive, Checkpoint { limit, kept, ..self.present(archive) })?;
        let now = archive.disk.now();
        let since = self.raised_at.map_or(STEP_WORTH / 2, |before| now.saturating_sub(before));
        if since < STEP_WORTH {
            let growth = if since < STEP_WORTH / FAST { FAST } else { 2 };
            self.step = (u64::from(growth) * self.step).min(step_max(archive));
        }
        self.raised_at = Some(now);
        Ok(())
    }

    /// Makes the clock step at least this. Rounded up to a power of two: records in no order at all
    /// cost 64 pages, not one each.
    pub(crate) fn raise_clock_step(&mut self, archive: &Archive, step: u64) -> Result<()> {
        if step <= self.newest.clock_step || planted("clock_step_not_persisted") {
            return Ok(());
        }
        let clock_step = step.checked_next_power_of_two().unwrap_or(u64::MAX);
        // A jump's page has the new oldest kept id before the hot page does.
        let kept = self.newest.kept.max(archive.cursors().kept());
        self.write(archive, Checkpoint { kept, clock_step, ..self.present(archive) })
    }

    /// The newest page, brought up to date with what became durable and was left behind since.
    fn present(&self, archive: &Archive) -> Checkpoint {
        let (hot, capacity) = (archive.cursors().load_all(), archive.geometry().capacity);
        Checkpoint {
            // As it was before this page: what is durable is never claimed too early.
            durable: hot.durable,
            ranges: with_range(&self.newest.ranges, NO_RANGE, hot.next.saturating_sub(capacity)),
            ..self.newest
        }
    }
}

/// The newest page, and which of the two it is.
pub(crate) fn newest_checkpoint(archive: &Archive) -> Result<(Checkpoint, usize)> {
    let found = archive.checkpoint().ok_or(Corruption::NoCheckpoint);
    found.map_err(Error::damaged(&archive.path, CHECKPOINTS[0] as u64))
}

/// The most ids that a power cut may cost at the old end: max(block, capacity / 8).
pub(crate) fn step_max(archive: &Archive) -> u64 {
    (archive.geometry().capacity / 8).max(archive.geometry().block())
}
