//! Sorting in a fixed amount of memory.
//!
//! 1. If the items are in memory and there is as much again, they are sorted there.
//! 2. Else all of them move to the disk; from there as many at a time as fit into a part of the
//!    budget are sorted and written behind each other into a second file: the sorted runs.
//! 3. Runs are merged (`merge.rs`), as many at once as the budget has windows for, into the next
//!    file, until there is one. Disk behind the merge is given back.
//!
//! Three files are open at most, whatever the size. The items stay where they were until their
//! sorted copy is complete, so that an error costs nothing. Items that compare equal keep their
//! order: a run is sorted by a stable sort, runs are in the order of their items, and a merge
//! prefers the earlier run.

use std::{cmp::Ordering, ops::Range};

use super::{
    SpillVec,
    merge::merge,
    moving::{OnDisk, encode_at},
    refused::SpillVecError,
    store::Store,
    walk::Walk,
};
use crate::{disk::codec::Codec, error::Result};

/// A run is not smaller, whatever the budget: 1/4 of it otherwise.
const RUN_BYTES_MIN: u64 = 64 << 10;
/// Memory that a merge takes for each run: what was read of it, and its frame unpacked.
const MERGED_RUN_BYTES: u64 = 256 << 10;
/// More runs at once make each comparison slower than another pass would be.
const RUNS_MAX: u64 = 512;

/// Sorted runs behind each other in one file.
pub(super) struct Runs {
    pub(super) store: Store,
    pub(super) items: Vec<Range<u64>>,
}

impl<T, C: Codec<T>> SpillVec<T, C> {
    /// The same items in the order of `compare`; those that are equal keep theirs.
    ///
    /// In memory while half of the budget is enough for the items. Else by an external merge sort,
    /// which keeps to the budget and takes as much disk again as the items have.
    ///
    /// # Errors
    ///
    /// With the vector, whose items are all there, in their old order: `EncodeAt`, `TooLarge`,
    /// `NoSpace`, `DiskFull`, `Damaged`, `Decode`, `Io`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let vec = ringkeep::SpillVec::try_from_iter([2_u64, 3, 1])?;
    /// let sorted = vec.sorted_by(|one, other| other.cmp(one))?;
    /// assert_eq!(sorted.into_vec(1000)?, [3, 2, 1]);
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn sorted_by(
        mut self,
        mut compare: impl FnMut(&T, &T) -> Ordering,
    ) -> Result<Self, SpillVecError<T, C>> {
        if self.disk.is_none() && self.memory.can_sort() {
            self.memory.sort_by(compare);
            return Ok(self);
        }
        match self.sort_on_disk(&mut compare) {
            Ok(()) => Ok(self),
            Err(source) => Err(SpillVecError { vec: self.into(), source: source.into() }),
        }
    }

    /// The same items in the order of their keys; those with equal keys keep theirs. The key is
    /// taken at each comparison.
    ///
    /// # Errors
    ///
    /// As [`sorted_by`](Self::sorted_by).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let vec = ringkeep::SpillVec::try_from_iter([(2_u8, 'b'), (1, 'a')])?;
    /// assert_eq!(vec.sorted_by_key(|item| item.0)?.into_vec(1000)?, [(1, 'a'), (2, 'b')]);
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn sorted_by_key<K: Ord>(
        self,
        mut key: impl FnMut(&T) -> K,
    ) -> Result<Self, SpillVecError<T, C>> {
        self.sorted_by(|one, other| key(one).cmp(&key(other)))
    }

    fn sort_on_disk(&mut self, compare: &mut impl FnMut(&T, &T) -> Ordering) -> Result<()> {
        self.leave_memory()?;
        let mut runs = self.sorted_runs(compare)?;
        let at_once = (self.memory.bytes_max() / 2 / MERGED_RUN_BYTES).clamp(2, RUNS_MAX);
        while runs.items.len() > 1 {
            runs = self.merged(runs, usize::try_from(at_once).unwrap_or(usize::MAX), compare)?;
        }
        self.disk = Some(OnDisk::of(runs.store, &self.settings)?);
        self.count_memory();
        Ok(())
    }

    /// Reads all items, and writes them in runs that are sorted.
    fn sorted_runs(&self, compare: &mut impl FnMut(&T, &T) -> Ordering) -> Result<Runs> {
        let run_bytes = (self.memory.bytes_max() / 4).max(RUN_BYTES_MIN);
        let mut runs = Runs { store: self.settings.store()?, items: Vec::new() };
        let Some(disk) = &self.disk else { return Ok(runs) };
        let mut walk = Walk::of_store(&disk.store, 0..disk.store.items());
        let mut batch: Vec<T> = Vec::new();
        let mut heap_bytes = 0;
        while let Some(found) = walk.next_measured(&self.codec, &self.memory.measure) {
            let (item, item_bytes) = found?;
            heap_bytes += item_bytes;
            batch.push(item);
            if (batch.len() * size_of::<T>()) as u64 + heap_bytes >= run_bytes {
                runs.add(&self.codec, &mut batch, compare)?;
                heap_bytes = 0;
            }
        }
        runs.add(&self.codec, &mut batch, compare)?;
        Ok(runs)
    }

    /// Merges runs, so many at once, into as many fewer ones.
    fn merged(
        &self,
        mut runs: Runs,
        at_once: usize,
        compare: &mut impl FnMut(&T, &T) -> Ordering,
    ) -> Result<Runs> {
        let mut merged = Runs { store: self.settings.store()?, items: Vec::new() };
        for group in runs.items.chunks(at_once) {
            let begin = merged.store.items();
            merge(&self.codec, &mut runs.store, group, compare, &mut merged.store)?;
            merged.end(begin)?;
        }
        Ok(merged)
    }
}

impl Runs {
    /// Writes these items as the next run.
    fn add<T>(
        &mut self,
        codec: &impl Codec<T>,
        batch: &mut Vec<T>,
        compare: &mut impl FnMut(&T, &T) -> Ordering,
    ) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        batch.sort_by(|one, other| compare(one, other));
        let begin = self.store.items();
        for item in batch.drain(..) {
            self.store.push(codec, &item).map_err(|error| encode_at(self.store.items(), error))?;
        }
        self.end(begin)
    }

    /// What was pushed since is a run.
    fn end(&mut self, begin: u64) -> Result<()> {
        self.store.flush()?;
        self.items.push(begin..self.store.items());
        Ok(())
    }
}
