//! Reading many slots at once, for whoever walks over neighbouring ids of an archive whose slots
//! are not mapped.
//!
//! A slot that proves its record under its id is that record, as it was when the copy was taken;
//! every other one is looked at again with all care.

use std::{
    ops::Range,
    sync::atomic::{Ordering, fence},
    time::Duration,
};

use super::{
    archive::Archive,
    lookup::Id,
    pages,
    slot::{self, Content},
};
use crate::error::Result;

/// Bytes that are read ahead at once, if a slot is not larger.
const AHEAD_BYTES: usize = 64 << 10;
/// Pauses between two looks of a reader that waits: longer and longer, 17 looks a second at last.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(60);

impl Archive {
    /// How long a reader that has looked so often in vain may sleep before it looks again.
    pub(crate) fn pause_after(&self, looks: u32, bound: Duration) -> Duration {
        if !self.pages.are_polled() {
            // The producer wakes it.
            return bound;
        }
        (PAUSE_MIN * (1 << looks.min(6))).min(PAUSE_MAX).min(bound)
    }
}

/// Slots that were read together, for a reader that walks over ids.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    ids: Range<u64>,
    /// What could not be read or believed together: each of these is looked at by itself.
    apart: Range<u64>,
    read_at: Duration,
    slots: Vec<u8>,
}

impl Ahead {
    /// Copies the record under `id` into `payload`, if the archive is not mapped and the slot, read
    /// together with those up to `end`, proves it. `false` says nothing about the id.
    pub(crate) fn take(
        &mut self,
        archive: &Archive,
        id: u64,
        end: u64,
        payload: &mut [u8],
    ) -> Result<bool> {
        if archive.shards.are_mapped() {
            return Ok(false);
        }
        if !self.ids.contains(&id) && !self.apart.contains(&id) {
            self.read(archive, id, end)?;
        }
        let Some(index) = id.checked_sub(self.ids.start).filter(|_| self.ids.contains(&id)) else {
            return Ok(false);
        };
        let size = archive.geometry().slot_size();
        let at = usize::try_from(index).unwrap_or(usize::MAX).saturating_mul(size);
        let Some((bytes, crc)) = self.slots[at..at + size].split_last_chunk() else {
            return Ok(false);
        };
        payload.copy_from_slice(bytes);
        let proven = slot::decode(archive.identity.salt, Id(id), payload, u32::from_le_bytes(*crc));
        Ok(proven == Some(Content::Record))
    }

    /// Forgets what was read a while ago: a follower may have waited since.
    pub(crate) fn refresh(&mut self, archive: &Archive) {
        if archive.disk.now().saturating_sub(self.read_at) > PAUSE_MAX {
            (self.ids, self.apart) = (0..0, 0..0);
        }
    }

    /// Reads slots from `id` on: published, kept, and in one file.
    fn read(&mut self, archive: &Archive, id: u64, end: u64) -> Result<()> {
        let session = archive.session()?;
        let kept = archive.oldest(&session)..archive.next(&session);
        self.ids = 0..0;
        if !kept.contains(&id) {
            return Ok(());
        }
        let geometry = archive.geometry();
        let place = archive.place(Id(id));
        let shard = u32::try_from(place.shard).unwrap_or(u32::MAX);
        let fit = (AHEAD_BYTES / geometry.slot_size()).max(1) as u64;
        let in_file = geometry.slots_in(shard) - place.slot as u64;
        let count = fit.min(in_file).min(end.min(kept.end) - id);
        self.slots.resize(usize::try_from(count).unwrap_or(0) * geometry.slot_size(), 0);
        let before = archive.cursors().counter();
        self.apart = id..id + count;
        if archive.shards.read_many(place, &mut self.slots).is_err() {
            // One of them may be unreadable; which one, single looks tell.
            return Ok(());
        }
        fence(Ordering::Acquire);
        archive.pages.refresh(pages::HOT)?;
        // Beside a rewrite, or one that died, the redo slot may know better than the slots.
        let after = archive.cursors().counter();
        if session.cold.is_some() || (before == after && after.is_multiple_of(2)) {
            self.ids = id..id + count;
            self.apart = 0..0;
            self.read_at = archive.disk.now();
        }
        Ok(())
    }
}
