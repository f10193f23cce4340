//! Handing out ids: claim, store, show.
//!
//! 0. The step of a clock that went back is on the disk before a record needs it.
//! 1. The limit is on the disk before any id below it is claimed.
//! 2. `claim` and `touched` say which slots are about to change; a fence; views of this process
//!    that still look at newly claimed slots are waited for; the slots.
//! 3. `next` shows them.
//!
//! At most one block is in the making at a time, so that claim <= next + block always.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use super::{
    archive::Archive,
    clock::Clock,
    durability::Durability,
    helpers::Helpers,
    lookup::{ID_END, Id},
    slot,
    views::refuse_inside_view,
};
use crate::{
    error::{Error, Result},
    planted::planted,
};

/// What is published under neighbouring ids.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Piece<'a> {
    /// Whole records, back to back.
    Records(&'a [u8]),
    /// Skipped ids.
    Markers,
}

/// The parts of a producer that know the protocol; the producer adds the policy.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) archive: Arc<Archive>,
    pub(crate) durability: Arc<Durability>,
    pub(crate) helpers: Helpers,
    /// Where records have a time.
    pub(crate) clock: Option<Clock>,
    /// The payload of a marker.
    pub(crate) zeros: Box<[u8]>,
    /// Ids below it may be stored without asking for room under the budget.
    pub(crate) room: u64,
    /// Shards, and folios of theirs, with rewritten slots that may be dirty.
    pub(crate) rewritten: BTreeSet<(usize, u64)>,
    /// Slots on their way to the file, if nothing is mapped.
    pub(crate) run: Vec<u8>,
}

/// Bytes that are stored by position at once, if a slot is not larger.
const RUN_BYTES: usize = 256 << 10;

impl Writer {
    pub(crate) fn next(&self) -> u64 {
        self.archive.cursors().next()
    }

    pub(crate) fn oldest(&self) -> u64 {
        self.archive.oldest_shown()
    }

    /// Ids that are published at once, at most.
    pub(crate) fn piece(&self) -> u64 {
        let block = self.archive.geometry().block();
        self.archive.budget.map_or(block, |budget| block.min(budget.step()))
    }

    pub(crate) fn check_payload(&self, payload: &[u8]) -> Result<()> {
        let (found, expected) = (payload.len(), self.archive.geometry().record_size);
        if found == expected { Ok(()) } else { Err(Error::WrongPayloadLength { found, expected }) }
    }

    /// The next id, if `count` more can be handed out now.
    #[inline]
    pub(crate) fn ready_for(&self, count: u64) -> Result<u64> {
        refuse_inside_view(&self.archive)?;
        self.durability.check()?;
        let next = self.next();
        if count > ID_END - next {
            return Err(Error::IdTooLarge { id: next.saturating_add(count - 1) });
        }
        Ok(next)
    }

    /// Stores a record under the next id, and shows it.
    #[inline]
    pub(crate) fn append(&mut self, payload: &[u8]) -> Result<u64> {
        self.check_payload(payload)?;
        let id = self.ready_for(1)?;
        self.publish(id, 1, Piece::Records(payload))?;
        Ok(id)
    }

    /// Stores neighbouring ids, at most one block of them, and shows them.
    #[inline]
    pub(crate) fn publish(&mut self, first: u64, count: u64, piece: Piece<'_>) -> Result<()> {
        let end = first + count;
        self.watch_clock(piece)?;
        if end > self.room {
            self.make_room(first, end)?;
        }
        let old_claim = self.archive.cursors().claim();
        let claim = if end <= old_claim { None } else { Some(self.claim_for(first, end)?) };
        self.archive.cursors().announce(claim, end);
        if let Some(claim) = claim {
            self.archive.shards.wait_for_views(old_claim..claim);
        }
        if planted("published_before_it_is_stored") {
            self.archive.cursors().publish(end);
        }
        let stored = self.store(first..end, piece);
        self.durability.storing(stored)?;
        self.archive.cursors().publish(end);
        self.helpers.published(end);
        self.durability.check_pages()
    }

    /// Under a budget: what was stored leaves memory step by step, and the producer waits for it
    /// where the disk is slower than it.
    #[cold]
    fn make_room(&mut self, first: u64, end: u64) -> Result<()> {
        self.room = match self.archive.budget {
            None => end.max(self.helpers.ahead.enter(first)),
            Some(budget) => {
                let clean = self.durability.write_back(first, end, budget.dirty_slots)?;
                end.max((first + budget.step()).min(clean + budget.dirty_slots))
            }
        };
        Ok(())
    }

    /// The step of a clock that went back is on the disk before a record shows it.
    #[inline]
    fn watch_clock(&mut self, piece: Piece<'_>) -> Result<()> {
        match (&mut self.clock, piece) {
            (Some(clock), Piece::Records(records)) => match clock.observe(records) {
                Some(step) => self.durability.raise_clock_step(step),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The new claim, where the old one does not reach; the limit is on the disk before it moves.
    #[cold]
    fn claim_for(&self, first: u64, end: u64) -> Result<u64> {
        let claim = first + self.archive.geometry().block();
        self.check_lengths(first..claim)?;
        if !self.durability.covers(end) {
            self.durability.raise_limit(first..end, None)?;
        }
        self.durability.request_raise_if_close(end);
        Ok(claim.min(self.durability.limit()))
    }

    /// A store by position would make a file that was cut short longer again, in silence.
    fn check_lengths(&self, ids: Range<u64>) -> Result<()> {
        let shards = &self.archive.shards;
        if shards.are_mapped() {
            return Ok(());
        }
        // That of the pages.
        let mut checked = 0;
        shards.check_length(checked)?;
        for shard in ids.map(|id| self.archive.place(Id(id)).shard) {
            if shard != checked {
                shards.check_length(shard)?;
                checked = shard;
            }
        }
        Ok(())
    }

    /// A record far ahead: everything before it is dropped, without a marker for each skipped id.
    pub(crate) fn jump(&mut self, id: u64, payload: &[u8]) -> Result<()> {
        if id == self.next() {
            return self.publish(id, 1, Piece::Records(payload));
        }
        let end = id + 1;
        self.watch_clock(Piece::Records(payload))?;
        self.check_lengths(id..end)?;
        self.durability.skip_to(id)?;
        self.room = 0;
        // The page carries the oldest kept id too: after a power cut the skipped ids stay out.
        self.durability.raise_limit(id..end, Some(id))?;
        let claim = (id + self.archive.geometry().block()).min(self.durability.limit());
        self.archive.cursors().announce_jump(claim, end);
        self.archive.shards.wait_for_views(id..claim);
        let stored = self.store(id..end, Piece::Records(payload));
        self.durability.storing(stored)?;
        let cursors = self.archive.cursors();
        // Before next: nobody may look for the skipped ids.
        if !planted("kept_not_moved_by_a_jump") {
            cursors.set_kept(id);
        }
        cursors.publish(end);
        self.helpers.published(end);
        self.durability.check_pages()
    }

    /// Stores slots that were announced.
    #[inline]
    fn store(&mut self, ids: Range<u64>, piece: Piece<'_>) -> Result<()> {
        if self.archive.shards.take_runs() {
            return self.store_runs(ids, piece);
        }
        let (archive, salt) = (&self.archive, self.archive.identity.salt);
        let mut place = archive.place(Id(ids.start));
        for (at, id) in ids.enumerate() {
            let (payload, crc) = piece.slot(at, salt, Id(id), &self.zeros);
            archive.shards.write(place, payload, crc)?;
            place = archive.shards.after(place);
        }
        Ok(())
    }

    /// The same by position: as many at once as lie in one file.
    fn store_runs(&mut self, ids: Range<u64>, piece: Piece<'_>) -> Result<()> {
        // Nothing is stored that the announcement does not cover.
        self.durability.check_pages()?;
        let (archive, salt) = (&self.archive, self.archive.identity.salt);
        self.run.clear();
        let mut place = archive.place(Id(ids.start));
        let mut begin = place;
        for (at, id) in ids.enumerate() {
            let is_next = place.shard == begin.shard && place.slot >= begin.slot;
            if !self.run.is_empty() && (!is_next || self.run.len() >= RUN_BYTES) {
                archive.shards.write_run(begin, &self.run)?;
                self.run.clear();
                begin = place;
            }
            let (payload, crc) = piece.slot(at, salt, Id(id), &self.zeros);
            self.run.extend_from_slice(payload);
            self.run.extend_from_slice(&crc.to_le_bytes());
            place = archive.shards.after(place);
        }
        archive.shards.write_run(begin, &self.run)
    }
}

impl<'a> Piece<'a> {
    /// Payload and CRC of one of its ids, of which `zeros` is the payload of a marker.
    #[inline]
    fn slot(self, at: usize, salt: u32, id: Id, zeros: &'a [u8]) -> (&'a [u8], u32) {
        match self {
            Self::Records(records) => {
                let payload = &records[at * zeros.len()..][..zeros.len()];
                (payload, slot::checksum(salt, id, payload))
            }
            Self::Markers => (zeros, slot::marker_checksum(salt, id, zeros)),
        }
    }
}
