//! Reading one slot while somebody may write it.
//!
//! A reader copies first and asks afterwards whether the copy can be trusted. Nearly always one
//! copy between two looks at the pages proves the record (`fetch.rs`); whatever else there is, a
//! look with care tells:
//!
//! 1. `next` (Acquire): an id at or above it was not written yet.
//! 2. The rewrite counter, then the slot, copied as relaxed words.
//! 3. `fence(Acquire)`: pairs with the producer's fence between its claim and its slots. If the
//!    copy holds one word of a later lap, the loads behind the fence see the claim that covers it.
//! 4. A page of another boot or epoch: start over. A claim one lap past the id: `Lapped`.
//! 5. A rewrite was under way: the redo slot was complete before it began. The counter moved:
//!    again.
//! 6. The checksum decides. What it does not prove is `Lost` in a crash range, `Corrupt` elsewhere.

use std::sync::atomic::Ordering;

use super::{
    archive::{Archive, Session, pause},
    lookup::Id,
    pages,
    read::Read,
    redo::{self, Redo},
    slot::{self, Content},
};
use crate::{
    disk::raw::fence,
    error::{Error, Result},
    planted::planted,
};

/// Looks before a checksum is accepted although the counter moves on and on.
const PATIENT_LOOKS: u32 = 64;
/// Looks before a reader gives up.
const LOOKS_MAX: u32 = 100_000;

impl Archive {
    /// Copies the record under `id` into `payload`, or says why there is none.
    pub(crate) fn read_slot(&self, id: u64, payload: &mut [u8]) -> Result<Read<()>> {
        let expected = self.geometry().record_size;
        if payload.len() != expected {
            return Err(Error::WrongPayloadLength { found: payload.len(), expected });
        }
        if self.is_proven(Id(id), payload) {
            return Ok(Read::Record(()));
        }
        self.look_with_care(id, payload)
    }

    /// Whether one copy out of mapped memory proves the record, as nearly every one does.
    #[inline]
    fn is_proven(&self, id: Id, payload: &mut [u8]) -> bool {
        let Some(session) = self.known_session() else { return false };
        let mut stored = None;
        let believed = self.between_looks_of(&session, |next| {
            if id.0 < next {
                stored = self.shards.read_mapped(self.place(id), payload);
            }
            stored.is_some()
        });
        stored.filter(|_| believed.contains(&id.0)).is_some_and(|stored| {
            slot::decode(self.identity.salt, id, payload, stored) == Some(Content::Record)
        })
    }

    #[cold]
    #[inline(never)]
    fn look_with_care(&self, id: u64, payload: &mut [u8]) -> Result<Read<()>> {
        // A verdict of damage or loss counts when it comes twice: between a copy and the look at
        // redo slot and ranges, a producer may have opened and repaired, or lapped and forgotten.
        // Twice the same: what was lost a look ago is not damaged when its range is forgotten now.
        let mut doubted = None;
        for look in 0..LOOKS_MAX {
            let session = self.session_for(id)?;
            match self.look(&session, Id(id), payload, look >= PATIENT_LOOKS)? {
                Some(read @ (Read::Lost | Read::Corrupt { .. }))
                    if doubted.as_ref() != Some(&read) =>
                {
                    doubted = Some(read);
                }
                Some(read) => return Ok(read),
                None => pause(look),
            }
        }
        Err(Error::Contended { id })
    }

    /// One look; `None` means again. `hasty`: a right checksum is enough.
    fn look(
        &self,
        session: &Session,
        id: Id,
        payload: &mut [u8],
        hasty: bool,
    ) -> Result<Option<Read<()>>> {
        let next = self.next(session);
        if id.0 >= next {
            return Ok(self.is_current(session).then_some(Read::NotYet { next }));
        }
        let before = self.cursors().counter();
        let stored = self.shards.read(self.place(id), payload)?;
        let rewriting = session.cold.is_none() && !before.is_multiple_of(2);
        let redo = if rewriting { redo::load(self, id)? } else { None };
        // Pairs with the fence in `Cursors::announce` and `begin_rewrite`.
        if !planted("fences_of_the_reader_missing") {
            fence(Ordering::Acquire);
        }
        self.pages.refresh(pages::HOT)?;
        if !self.is_current(session) {
            return Ok(None);
        }
        if let Some(lapped) = self.lapped(session, id) {
            return Ok(Some(lapped));
        }
        let moved = self.cursors().counter() != before;
        if let (Some(redo), false) = (redo, moved) {
            return Ok(Some(serve(&redo, payload)));
        }
        let proven = slot::decode(self.identity.salt, id, payload, stored);
        if moved && !(hasty && proven.is_some()) {
            return Ok(None);
        }
        match proven {
            Some(content) => Ok(Some(read_of(content))),
            None => self.without_proof(session, id, payload).map(Some),
        }
    }

    /// Lapped, if the producer has claimed the id's slot for a later one, or dropped the id.
    #[inline]
    pub(crate) fn lapped(&self, session: &Session, id: Id) -> Option<Read<()>> {
        let oldest = self.oldest(session);
        let missed = oldest.checked_sub(id.0).filter(|&missed| missed > 0)?;
        Some(Read::Lapped { oldest, missed })
    }

    /// The slot's bytes are not the record's. A redo slot that was written through may be; a crash
    /// explains it in its ranges; nothing does elsewhere.
    #[cold]
    fn without_proof(&self, session: &Session, id: Id, payload: &mut [u8]) -> Result<Read<()>> {
        if let Some(redo) = redo::load(self, id)?.filter(|redo| redo.through) {
            return Ok(serve(&redo, payload));
        }
        let ranges = match &session.cold {
            Some(view) => &view.ranges,
            None => &self.view()?.ranges,
        };
        if ranges.iter().any(|range| (range.first..range.end).contains(&id.0)) {
            return Ok(Read::Lost);
        }
        let (path, offset) = self.locate(id);
        Ok(Read::Corrupt { path, id: id.0, offset })
    }
}

fn serve(redo: &Redo, payload: &mut [u8]) -> Read<()> {
    payload.copy_from_slice(&redo.payload);
    read_of(redo.content)
}

pub(crate) fn read_of(content: Content) -> Read<()> {
    match content {
        Content::Record => Read::Record(()),
        Content::Absent => Read::Absent,
    }
}
