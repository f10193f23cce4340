//! Reading ahead of whoever walks over neighbouring ids, so that it does not wait for the disk.
//!
//! A walk looks at the window in front of it once it enters the one before: if the last byte of it
//! is in the page cache (asked without waiting, `RWF_NOWAIT`), nothing is to be done, and windows
//! stay small; if not, the archive's one worker lets the kernel fetch the window, and the next one
//! is twice as large. Where the kernel's own reading ahead is far enough in front, the worker stays
//! out of its way for that reason.
//!
//! Whoever wants many scattered ids by position asks for all that are not in the page cache before
//! it waits for the first: a disk serves many requests in hardly more time than one.

use std::{
    ops::Range,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use super::{archive::Archive, choices::Prefetch, layout, lookup::Id, prefetch::Prefetcher};

/// Bytes of the first window of a walk, and of each one on a file that is in the page cache.
const WINDOW_MIN: u64 = 512 << 10;
const WINDOW_MAX: u64 = 8 << 20;
/// Scattered slots that are asked for at once, and bytes of them, if a slot is not larger.
pub(crate) const TOGETHER_MAX: usize = 64;
const TOGETHER_BYTES: u64 = 1 << 20;
/// One of so many is probed before all are: on a file that is in the page cache, probes are for
/// nothing.
const PROBED: usize = 16;

/// The windows of one walk, in one direction: ids are counted along its way.
#[derive(Debug)]
pub(crate) struct Stream {
    prefetcher: Arc<Prefetcher>,
    direction: Direction,
    /// In front of the one that is being read.
    window: Range<u64>,
    /// Bytes of it that the worker was told of.
    fetched: u64,
    /// The same of the window that is being read.
    reading: u64,
    /// Bytes of the next one.
    size: u64,
    /// Nothing is to be done before the walk comes here.
    next_look: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

impl Archive {
    /// Scattered ids that are asked for at once.
    pub(crate) fn fetched_together(&self) -> usize {
        let pages = self.geometry().slot_size().next_multiple_of(layout::PAGE) as u64;
        let bytes = TOGETHER_BYTES.min(self.prefetcher.ahead_max);
        usize::try_from(bytes / pages).unwrap_or(usize::MAX).clamp(1, TOGETHER_MAX)
    }

    /// Lets the kernel fetch the slots of these ids, those that are not in the page cache.
    pub(crate) fn fetch_together(&self, ids: &[u64]) {
        if self.shards.are_mapped() || self.prefetcher.is_off() || ids.len() < 2 {
            return;
        }
        let slot_size = self.geometry().slot_size() as u64;
        let misses = |&id: &u64| {
            let place = self.place(Id(id));
            let (file, begin) = (&self.shards.files()[place.shard], self.shards.offset_of(place));
            let is_missing = file.is_cached_at(begin) == Some(false);
            is_missing.then_some((file, begin..begin + slot_size))
        };
        if !ids.iter().step_by(PROBED).any(|id| misses(id).is_some()) {
            return;
        }
        for (file, bytes) in ids.iter().filter_map(misses) {
            // What cannot be fetched, the reader will be told of.
            if file.read_ahead(bytes).is_ok() {
                self.prefetcher.issued.fetch_add(1, Relaxed);
                self.prefetcher.used.fetch_add(1, Relaxed);
            }
        }
    }
}

impl Direction {
    /// How far an id is along the way; and the other way round.
    fn along(self, id: u64) -> u64 {
        match self {
            Self::Up => id,
            Self::Down => u64::MAX - id,
        }
    }
}

impl Stream {
    pub(crate) fn new(archive: &Archive, direction: Direction) -> Self {
        let prefetcher = Arc::clone(&archive.prefetcher);
        let next_look = if prefetcher.is_off() { u64::MAX } else { 0 };
        let (window, size) = (0..0, WINDOW_MIN);
        Self { prefetcher, direction, window, fetched: 0, reading: 0, size, next_look }
    }

    /// The walk comes to `id`, on its way to `last`.
    #[inline]
    pub(crate) fn pass(&mut self, archive: &Archive, id: u64, last: u64) {
        if self.direction.along(id) >= self.next_look {
            self.look_ahead(archive, id, last);
        }
    }

    #[cold]
    fn look_ahead(&mut self, archive: &Archive, id: u64, last: u64) {
        let here = self.direction.along(id);
        let entered = self.window.contains(&here);
        if entered && self.fetched > 0 {
            self.prefetcher.used.fetch_add(1, Relaxed);
        }
        self.prefetcher.ahead.fetch_sub(self.reading, Relaxed);
        self.reading = std::mem::take(&mut self.fetched);
        // A new walk looks at what it reads itself, and then ahead.
        let start = if entered { self.window.end } else { here };
        let count = self.records(archive);
        let ids = self.ids_from(archive, start, count, last);
        self.window = start..start.saturating_add(ids.end - ids.start);
        // At the end of what there is, the next look is a window later.
        self.next_look = if ids.is_empty() { here.saturating_add(count) } else { start };
        if !ids.is_empty() {
            self.fetch(archive, ids);
        }
    }

    /// Records of the next window.
    fn records(&self, archive: &Archive) -> u64 {
        match self.prefetcher.policy {
            Prefetch::Records(count) => count,
            _ => (self.size / archive.geometry().slot_size() as u64).max(1),
        }
    }

    /// So many ids from here on along the way: published, and back to back in one file.
    fn ids_from(&self, archive: &Archive, start: u64, count: u64, last: u64) -> Range<u64> {
        let geometry = archive.geometry();
        let newest = archive.cursors().next().saturating_sub(1);
        let first = self.direction.along(start);
        if first > newest {
            return 0..0;
        }
        let place = archive.place(Id(first));
        let slot = place.slot as u64;
        match self.direction {
            Direction::Up => {
                let in_file = geometry.slots_in(u32::try_from(place.shard).unwrap_or(0)) - slot;
                let end = first.saturating_add(count.min(in_file));
                first..end.min(last.saturating_add(1)).min(newest + 1).max(first)
            }
            Direction::Down => {
                let begin = (first + 1).saturating_sub(count.min(slot + 1)).max(last);
                begin.min(first + 1)..first + 1
            }
        }
    }

    /// Lets a window be fetched, unless it is there.
    fn fetch(&mut self, archive: &Archive, ids: Range<u64>) {
        let shards = &archive.shards;
        let place = archive.place(Id(ids.start));
        let begin = shards.offset_of(place);
        let end = begin + (ids.end - ids.start) * archive.geometry().slot_size() as u64;
        let far = if self.direction == Direction::Up { end - 1 } else { begin };
        let file = &shards.files()[place.shard];
        // Where that cannot be told, nothing is gained by a guess.
        if file.is_cached_at(far).unwrap_or(true) {
            self.size = WINDOW_MIN;
        } else if self.prefetcher.fetch(file, begin..end) {
            self.fetched = end - begin;
            self.size = (2 * self.size).min(WINDOW_MAX);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.prefetcher.ahead.fetch_sub(self.reading + self.fetched, Relaxed);
    }
}
