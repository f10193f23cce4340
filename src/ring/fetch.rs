//! Reading many slots at once, for whoever walks over neighbouring ids.
//!
//! The pages are looked at once before the copy and once behind it. A slot that proves its record
//! under its id is that record, as it was when the copy was taken; every other one is looked at
//! again with all care.

use std::{ops::Range, sync::atomic::Ordering, time::Duration};

use super::{
    archive::Archive,
    lookup::Id,
    pages,
    slot::{self, Content},
};
use crate::{disk::raw::fence, error::Result, planted::planted};

/// Bytes that are read at once, if a slot is not larger: few for whoever wants few records, and
/// twice as many each time that a walk goes on.
const AHEAD_MIN: usize = 4 << 10;
/// By position each read is a system call; out of a mapping the copy stays in the nearest cache.
const AHEAD_MAX: usize = 64 << 10;
const AHEAD_MAX_MAPPED: usize = 16 << 10;
/// The longest sleep before a waiting reader looks again by itself.
pub(crate) const SLEEP_MAX: Duration = Duration::from_millis(500);
/// Pauses between two looks of a reader that waits: longer and longer, 17 looks a second at last.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(60);

impl Archive {
    /// How long a reader that has looked so often in vain may sleep before it looks again, if it
    /// has so much time left.
    pub(crate) fn pause_after(&self, looks: u32, left: Duration) -> Duration {
        // Otherwise the producer wakes it.
        let is_polled = self.pages.are_polled();
        let most =
            if is_polled { (PAUSE_MIN * (1 << looks.min(6))).min(PAUSE_MAX) } else { SLEEP_MAX };
        most.min(left)
    }

    /// Lets `copy` copy slots of ids that are published and kept, of which it is told. Copies of
    /// those that are returned are worth what their checksums prove. None is where `copy` fails:
    /// one of the slots may be unreadable, and which one, single looks tell.
    pub(crate) fn between_looks(
        &self,
        copy: impl FnOnce(Range<u64>) -> Result<()>,
    ) -> Result<Range<u64>> {
        let session = self.session()?;
        let next = self.next(&session);
        let before = self.cursors().counter();
        if copy(self.oldest(&session)..next).is_err() {
            return Ok(0..0);
        }
        // Pairs with the fence in `Cursors::announce` and `begin_rewrite`.
        if !planted("fences_of_the_reader_missing") {
            fence(Ordering::Acquire);
        }
        self.pages.refresh(pages::HOT)?;
        // Beside a rewrite, or one that died, the redo slot may know better than the slots.
        let after = self.cursors().counter();
        let is_rewritten = before != after || !after.is_multiple_of(2);
        let is_believed = session.cold.is_some() || !is_rewritten;
        if !is_believed || !self.is_current(&session) {
            return Ok(0..0);
        }
        Ok(self.oldest(&session)..next)
    }
}

/// Slots that were read together, for a reader that walks over ids.
#[derive(Debug)]
pub(crate) struct Ahead {
    ids: Range<u64>,
    /// The others could not be read or believed together: each is looked at by itself.
    believed: Range<u64>,
    /// Of rewrites, before it was read.
    counter: u64,
    read_at: Duration,
    slots: Vec<u8>,
    /// Bytes to read next time.
    bytes: usize,
}

impl Default for Ahead {
    fn default() -> Self {
        let read_at = Duration::ZERO;
        Self { ids: 0..0, believed: 0..0, counter: 0, read_at, slots: Vec::new(), bytes: AHEAD_MIN }
    }
}

impl Ahead {
    /// Where the payload of the record under `id` lies in [`Ahead::bytes`], if the slot, read
    /// together with those around it that are `wanted`, proves it. `None` says nothing about the
    /// id.
    #[inline]
    pub(crate) fn take(
        &mut self,
        archive: &Archive,
        id: u64,
        wanted: Range<u64>,
    ) -> Result<Option<Range<usize>>> {
        if !self.ids.contains(&id) {
            self.read(archive, id, wanted)?;
        }
        if !self.ids.contains(&id) || !self.believed.contains(&id) {
            return Ok(None);
        }
        let index = id - self.ids.start;
        let size = archive.geometry().slot_size();
        let at = usize::try_from(index).unwrap_or(usize::MAX).saturating_mul(size);
        let Some((payload, crc)) = self.slots[at..at + size].split_last_chunk() else {
            return Ok(None);
        };
        let proven = slot::decode(archive.identity.salt, Id(id), payload, u32::from_le_bytes(*crc));
        Ok((proven == Some(Content::Record)).then_some(at..at + payload.len()))
    }

    pub(crate) fn bytes(&self, at: Range<usize>) -> &[u8] {
        &self.slots[at]
    }

    /// Forgets what was read a while ago, for a follower who may have waited since: what shows the
    /// pages as they are knows whether `id` is lapped or something was rewritten.
    #[inline]
    pub(crate) fn refresh(&mut self, archive: &Archive, id: u64) {
        let is_old = if archive.shards.are_mapped() {
            archive.oldest_shown() > id || archive.cursors().counter() != self.counter
        } else {
            archive.disk.now().saturating_sub(self.read_at) > PAUSE_MAX
        };
        if is_old {
            self.clear();
        }
    }

    /// Forgets what was read.
    pub(crate) fn clear(&mut self) {
        self.ids = 0..0;
    }

    /// Reads slots from `id` on, or up to it: those that are wanted, published, kept, and in one
    /// file.
    fn read(&mut self, archive: &Archive, id: u64, wanted: Range<u64>) -> Result<()> {
        let beside = id == self.ids.end || self.ids.start.checked_sub(1) == Some(id);
        let goes_on = beside && !self.ids.is_empty();
        let most = if archive.shards.are_mapped() { AHEAD_MAX_MAPPED } else { AHEAD_MAX };
        self.bytes = if goes_on { (2 * self.bytes).min(most) } else { AHEAD_MIN };
        self.ids = 0..0;
        self.counter = archive.cursors().counter();
        if !archive.shards.are_mapped() {
            self.read_at = archive.disk.now();
        }
        self.believed = archive.between_looks(|kept| {
            if !kept.contains(&id) {
                return Ok(());
            }
            let wanted = wanted.start.max(kept.start)..wanted.end.min(kept.end);
            self.ids = self.around(archive, id, &wanted);
            let count = usize::try_from(self.ids.end - self.ids.start).unwrap_or(0);
            self.slots.resize(count * archive.geometry().slot_size(), 0);
            archive.shards.read_many(archive.place(Id(self.ids.start)), &mut self.slots)
        })?;
        Ok(())
    }

    /// As many neighbours of one file as are read at once, on the side where more are wanted.
    fn around(&self, archive: &Archive, id: u64, wanted: &Range<u64>) -> Range<u64> {
        let (geometry, place) = (archive.geometry(), archive.place(Id(id)));
        let fit = (self.bytes / geometry.slot_size()).max(1) as u64;
        let shard = u32::try_from(place.shard).unwrap_or(u32::MAX);
        if wanted.start == id {
            let in_file = geometry.slots_in(shard) - place.slot as u64;
            id..wanted.end.min(id + fit.min(in_file))
        } else {
            let in_file = place.slot as u64 + 1;
            wanted.start.max((id + 1).saturating_sub(fit.min(in_file)))..id + 1
        }
    }
}
