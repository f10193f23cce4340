//! Handing out ids: claim, store, show.
//!
//! 0. The step of a clock that went back is on the disk before a record needs it.
//! 1. The limit is on the disk before any id below it is claimed.
//! 2. `claim` and `touched` say which slots are about to change; a fence; the slots.
//! 3. `next` shows them.
//!
//! At most one block is in the making at a time, so that claim <= next + block always.

use std::sync::Arc;

use super::{
    archive::Archive,
    clock::Clock,
    durability::Durability,
    helpers::Helpers,
    lookup::{ID_END, Id},
    slot,
    views::refuse_inside_view,
};
use crate::error::{Error, Result};

/// What is published under neighbouring ids.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Piece<'a> {
    /// Whole records, back to back.
    Records(&'a [u8]),
    /// So many skipped ids.
    Markers(u64),
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
}

impl Writer {
    pub(crate) fn next(&self) -> u64 {
        self.archive.cursors().next()
    }

    pub(crate) fn oldest(&self) -> u64 {
        self.archive.oldest_shown()
    }

    pub(crate) fn block(&self) -> usize {
        usize::try_from(self.archive.geometry().block()).unwrap_or(usize::MAX)
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
        self.publish(id, Piece::Records(payload))?;
        Ok(id)
    }

    /// Stores neighbouring ids, at most one block of them, and shows them.
    #[inline]
    pub(crate) fn publish(&mut self, first: u64, piece: Piece<'_>) -> Result<()> {
        let end = first + piece.count(self.zeros.len());
        self.watch_clock(piece)?;
        let claim = self.claim_for(first, end)?;
        let cursors = self.archive.cursors();
        cursors.announce(claim, end);
        self.store(first, piece);
        cursors.publish(end);
        self.helpers.published(end);
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

    /// The new claim, if the old one does not reach; the limit is on the disk before it moves.
    #[inline]
    fn claim_for(&self, first: u64, end: u64) -> Result<Option<u64>> {
        if end <= self.archive.cursors().claim() {
            return Ok(None);
        }
        if !self.durability.covers(end) {
            self.durability.raise_limit(first..end, None)?;
        }
        self.durability.request_raise_if_close(end);
        Ok(Some((first + self.archive.geometry().block()).min(self.durability.limit())))
    }

    /// A record far ahead: everything before it is dropped, without a marker for each skipped id.
    pub(crate) fn jump(&mut self, id: u64, payload: &[u8]) -> Result<()> {
        if id == self.next() {
            return self.publish(id, Piece::Records(payload));
        }
        let end = id + 1;
        self.watch_clock(Piece::Records(payload))?;
        // The page carries the oldest kept id too: after a power cut the skipped ids stay out.
        self.durability.raise_limit(id..end, Some(id))?;
        let claim = (id + self.archive.geometry().block()).min(self.durability.limit());
        let cursors = self.archive.cursors();
        cursors.announce_jump(claim, end);
        self.store(id, Piece::Records(payload));
        // Before next: nobody may look for the skipped ids.
        cursors.set_kept(id);
        cursors.publish(end);
        self.helpers.published(end);
        Ok(())
    }

    #[inline]
    fn store(&self, first: u64, piece: Piece<'_>) {
        let store = |id, payload, crc: fn(u32, Id, &[u8]) -> u32| {
            let (shard, slot) = self.archive.place(Id(id));
            let crc = crc(self.archive.identity.salt, Id(id), payload);
            shard.region.write_slot(slot, payload, crc);
        };
        match piece {
            Piece::Records(records) => {
                for (id, payload) in (first..).zip(records.chunks_exact(self.zeros.len())) {
                    store(id, payload, slot::checksum);
                }
            }
            Piece::Markers(count) => {
                for id in first..first + count {
                    store(id, &self.zeros, slot::marker_checksum);
                }
            }
        }
    }
}

impl Piece<'_> {
    fn count(&self, record_size: usize) -> u64 {
        match self {
            Self::Records(records) => (records.len() / record_size) as u64,
            Self::Markers(count) => *count,
        }
    }
}
