//! Reading without a mapping: by position, so that a bad sector or a file that was cut short is an
//! error and not a signal.
//!
//! The pages of `cache.dat` are copied into memory of this process, where all other code finds them
//! as it would in a mapping. What a mapping shows by itself is fetched here by `Archive::refresh`:
//! the hot page before each look at a slot and behind it, the others where they are needed. Copies
//! are taken one at a time, so that no older one comes over a newer one. The kernel copies aligned
//! words whole, as the producer stores them.
//!
//! Slots are read straight into the reader's buffer. Whoever walks over neighbouring ids reads many
//! at once ([`Ahead`]): a slot that proves its record under its id is that record, as it was when
//! the copy was taken; every other one is looked at again with all care.

use std::{
    io,
    ops::Range,
    sync::atomic::{Ordering, fence},
    time::Duration,
};

use super::{
    archive::Archive,
    by_position::{ByPosition, pages},
    layout,
    lookup::Id,
    slot::{self, Content},
};
use crate::{
    disk::seam::File,
    error::{Error, Result},
};

/// Bytes that are read ahead at once, if a slot is not larger.
const AHEAD_BYTES: usize = 64 << 10;
/// Pauses between two looks of a reader that waits: longer and longer, 17 looks a second at last.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(60);

impl Archive {
    /// Fetches pages that a mapping would show by itself.
    #[inline]
    pub(crate) fn refresh(&self, bytes: Range<usize>) -> Result<()> {
        match &self.by_position {
            None => Ok(()),
            Some(files) => self.copy_pages(files, bytes),
        }
    }

    fn copy_pages(&self, files: &ByPosition, bytes: Range<usize>) -> Result<()> {
        let mut copy = files.copy.lock();
        copy.resize(bytes.len(), 0);
        let read = self.file.read_at(&mut copy, bytes.start as u64);
        read.map_err(|error| self.unreadable(&self.file, 0, error))?;
        self.shards[0].region.write(bytes.start, &copy);
        Ok(())
    }

    /// Reads one slot, or several back to back, if the archive is not mapped.
    pub(crate) fn read_slots(
        &self,
        id: Id,
        first: &mut [u8],
        rest: &mut [u8],
    ) -> Option<Result<()>> {
        let files = self.by_position.as_ref()?;
        let place = self.geometry().place_of(self.geometry().slot_of(id));
        let file = files.file(&self.file, place.shard);
        let offset =
            self.shards[place.shard].slots_offset + place.slot * self.geometry().slot_size();
        let read = file.read_both_at(first, rest, offset as u64);
        Some(read.map_err(|error| self.unreadable(file, place.shard, error)))
    }

    /// Why a file that was whole when it was opened cannot be read now.
    fn unreadable(&self, file: &File, shard: usize, error: io::Error) -> Error {
        let path = self.shard_file(shard);
        if error.kind() != io::ErrorKind::UnexpectedEof {
            return Error::io("read", &path)(error);
        }
        let index = u32::try_from(shard).unwrap_or(u32::MAX);
        let expected_bytes = layout::file_bytes(self.geometry(), index);
        match file.length() {
            Ok(found_bytes) => Error::CutShort { path, found_bytes, expected_bytes },
            Err(error) => Error::io("look at", &path)(error),
        }
    }

    /// How long a reader that has looked so often in vain may sleep before it looks again.
    pub(crate) fn pause_after(&self, looks: u32, bound: Duration) -> Duration {
        match self.by_position {
            // The producer wakes it.
            None => bound,
            Some(_) => (PAUSE_MIN * (1 << looks.min(6))).min(PAUSE_MAX).min(bound),
        }
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
        if archive.by_position.is_none() {
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
        let place = geometry.place_of(geometry.slot_of(Id(id)));
        let shard = u32::try_from(place.shard).unwrap_or(u32::MAX);
        let fit = (AHEAD_BYTES / geometry.slot_size()).max(1) as u64;
        let in_file = geometry.slots_in(shard) - place.slot as u64;
        let count = fit.min(in_file).min(end.min(kept.end) - id);
        self.slots.resize(usize::try_from(count).unwrap_or(0) * geometry.slot_size(), 0);
        let before = archive.cursors().counter();
        self.apart = id..id + count;
        if !matches!(archive.read_slots(Id(id), &mut self.slots, &mut []), Some(Ok(()))) {
            // One of them may be unreadable; which one, single looks tell.
            return Ok(());
        }
        fence(Ordering::Acquire);
        archive.refresh(pages::HOT)?;
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
