//! Reading many slots at once, for whoever walks over neighbouring ids.
//!
//! The pages are looked at once before the copy and once behind it. A slot that proves its record
//! under its id is that record, as it was when the copy was taken; every other one is looked at
//! again with all care.

use std::{ops::Range, sync::atomic::Ordering, time::Duration};

use super::{
    archive::{Archive, Session},
    lookup::Id,
    pages, slot,
};
use crate::{disk::raw::fence, error::Result, planted::planted};

/// Bytes that are read at once, if a slot is not larger: few for whoever wants few records, and
/// twice as many each time that a walk goes on.
const AHEAD_MIN: usize = 4 << 10;
/// By position each read is a system call; out of a mapping the copy stays in the nearest cache.
const AHEAD_MAX: usize = 64 << 10;
const AHEAD_MAX_MAPPED: usize = 16 << 10;
/// Smaller slots come from memory in time by themselves.
const CACHE_LINE: usize = 64;
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
    /// those that are returned are worth what their checksums prove. None is where something fails:
    /// one of the slots may be unreadable, and which one, single looks tell.
    pub(crate) fn between_looks(
        &self,
        copy: impl FnOnce(Range<u64>) -> Result<()>,
    ) -> Result<Range<u64>> {
        let session = self.session()?;
        Ok(self.between_looks_of(&session, |next| {
            copy(self.oldest_below(&session, next)..next).is_ok()
        }))
    }

    /// The same in a session, with the id that comes next.
    #[inline]
    pub(crate) fn between_looks_of(
        &self,
        session: &Session,
        copy: impl FnOnce(u64) -> bool,
    ) -> Range<u64> {
        let cursors = self.cursors();
        let next = session.next(cursors);
        let before = cursors.counter();
        if !copy(next) {
            return 0..0;
        }
        // Pairs with the fence in `Cursors::announce` and `begin_rewrite`.
        if !planted("fences_of_the_reader_missing") {
            fence(Ordering::Acquire);
        }
        if self.pages.refresh(pages::HOT).is_err() {
            return 0..0;
        }
        // Beside a rewrite, or one that died, the redo slot may know better than the slots.
        let after = cursors.counter();
        let is_rewritten = before != after || !after.is_multiple_of(2);
        let is_believed = session.cold.is_some() || !is_rewritten;
        if !is_believed || !session.is_of(cursors) {
            return 0..0;
        }
        self.oldest_below(session, next)..next
    }
}

/// Slots that were read together, for a reader that walks over ids.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    /// The id of the first one.
    start: u64,
    /// Which of them prove their record; each of the others is looked at by itself.
    proven: Vec<bool>,
    slots: Vec<u8>,
    slot_size: usize,
    /// Of rewrites, before it was read.
    counter: u64,
    read_at: Duration,
    /// Bytes to read next time.
    bytes: usize,
}

impl Default for ReadAhead {
    fn default() -> Self {
        Self {
            start: 0,
            proven: Vec::new(),
            slots: Vec::new(),
            slot_size: 0,
            counter: 0,
            read_at: Duration::ZERO,
            bytes: AHEAD_MIN,
        }
    }
}

impl ReadAhead {
    /// Where the slot of this id is, if it was read; ids before the first one are far behind it.
    #[inline]
    fn index(&self, id: u64) -> usize {
        usize::try_from(id.wrapping_sub(self.start)).unwrap_or(usize::MAX)
    }

    /// Whether the record under `id` was read and proven.
    #[inline]
    pub(crate) fn proves(&self, id: u64) -> bool {
        self.proven.get(self.index(id)).is_some_and(|&proven| proven)
    }

    /// The payload of an id that is proven.
    #[inline]
    pub(crate) fn payload(&self, id: u64) -> &[u8] {
        let at = self.index(id) * self.slot_size;
        &self.slots[at..at + self.slot_size - size_of::<u32>()]
    }

    /// Reads the slot of `id`, unless it was, together with those around it that are `wanted`: as
    /// many as are published, kept, and in one file. Whether it proves the record.
    pub(crate) fn look(&mut self, archive: &Archive, id: u64, wanted: Range<u64>) -> Result<bool> {
        if self.index(id) >= self.proven.len() {
            self.read(archive, id, wanted)?;
        }
        Ok(self.proves(id))
    }

    /// Whether what was read is as it was, for a follower who may have waited since: what shows the
    /// pages as they are knows whether `id` is lapped or something was rewritten.
    #[inline]
    pub(crate) fn is_fresh(&self, archive: &Archive, id: u64) -> bool {
        if archive.shards.are_mapped() {
            archive.is_kept(id) && archive.cursors().counter() == self.counter
        } else {
            archive.disk.now().saturating_sub(self.read_at) <= PAUSE_MAX
        }
    }

    /// Forgets what was read.
    pub(crate) fn clear(&mut self) {
        self.proven.clear();
    }

    fn read(&mut self, archive: &Archive, id: u64, wanted: Range<u64>) -> Result<()> {
        let before = self.start..self.start + self.proven.len() as u64;
        let goes_on = id == before.end || before.start.checked_sub(1) == Some(id);
        let most = if archive.shards.are_mapped() { AHEAD_MAX_MAPPED } else { AHEAD_MAX };
        self.bytes =
            if goes_on && !before.is_empty() { (2 * self.bytes).min(most) } else { AHEAD_MIN };
        self.clear();
        self.slot_size = archive.geometry().slot_size();
        self.counter = archive.cursors().counter();
        if !archive.shards.are_mapped() {
            self.read_at = archive.disk.now();
        }
        let mut ids = 0..0;
        let believed = archive.between_looks(|kept| {
            if !kept.contains(&id) {
                return Ok(());
            }
            let wanted = wanted.start.max(kept.start)..wanted.end.min(kept.end);
            ids = self.around(archive, id, &wanted);
            let count = usize::try_from(ids.end - ids.start).unwrap_or(0);
            self.slots.resize(count * self.slot_size, 0);
            archive.shards.read_many(archive.place(Id(ids.start)), &mut self.slots)
        })?;
        self.start = ids.start;
        // A walk that finds much is going to find more: while this is proven, the next slots are on
        // their way from memory.
        let is_up = goes_on && ids.end < wanted.end;
        let is_full = self.slots.len() + self.slot_size > self.bytes;
        let is_worth_it = self.slot_size >= CACHE_LINE;
        let mut early = (is_up && is_full && is_worth_it).then(|| archive.place(Id(ids.end)));
        let salt = archive.identity.salt;
        for (id, slot) in ids.zip(self.slots.chunks_exact(self.slot_size)) {
            if let Some(place) = &mut early {
                archive.shards.load_early(*place);
                *place = archive.shards.after(*place);
            }
            self.proven.push(believed.contains(&id) && slot::is_record(salt, Id(id), slot));
        }
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
