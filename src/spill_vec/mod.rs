//! A vector that moves to the disk when it outgrows its memory.
//!
//! Items are in three places, in this order: frames of a scratch file (`store.rs`, `frames.rs`,
//! found by `index.rs`), encoded and waiting for the next frame (`pending.rs`), and a plain vector
//! in memory (`memory.rs`, counted by `measure.rs`). Until memory is full there is only the last;
//! then items move from the front of it to the end of the others, one by one, so at any moment,
//! errors and panics included, each item is in exactly one place. Once memory is empty, new items
//! are encoded at once.
//!
//! `moving.rs` does that. `walk.rs` goes through what is stored; `iter.rs` and `into_iter.rs` are
//! that for users. `sort.rs` and `merge.rs` sort; `persist.rs` writes what `frozen.rs` reads.

mod frames;
pub(crate) mod frozen;
mod frozen_header;
mod index;
pub(crate) mod into_iter;
pub(crate) mod item;
pub(crate) mod iter;
pub(crate) mod measure;
mod memory;
mod merge;
mod moving;
pub(crate) mod options;
mod pending;
mod persist;
pub(crate) mod refused;
mod sort;
pub(crate) mod stats;
mod store;
mod walk;

use std::{
    fmt,
    ops::{Bound, RangeBounds},
    path::Path,
};

use self::{
    frames::FrameReader,
    into_iter::IntoIter,
    item::ItemRef,
    iter::Iter,
    measure::{Measure, Sampler},
    memory::Memory,
    moving::OnDisk,
    options::{Settings, SpillVecOptions},
    refused::SpillVecError,
    stats::SpillVecStats,
    walk::Walk,
};
use crate::{
    disk::{
        budget::MemoryBudget,
        codec::{Codec, Postcard},
        scratch::SpillWarning,
    },
    error::{PushError, Result},
};

/// A vector of any size in a fixed amount of memory: items are in memory until their budget is
/// used up, and on the disk from then on.
///
/// Until then it is a `Vec`, and costs about what a `Vec` costs. Then all items move to an unnamed
/// temporary file, which nobody else sees and which is gone when the process is, however it ends.
/// Memory holds a sparse index of it from then on. What is on the disk is checksummed: what is read
/// is what was pushed, or an error.
///
/// Items cannot be changed in place, because on the disk they could not be. Reading takes `&self`,
/// from any number of threads; pushing takes `&mut self`. To push from several threads, put the
/// vector into a `Mutex`, and push many items under one lock with [`try_extend`](Self::try_extend).
///
/// Every error leaves the vector as it was: what could be read can still be read.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "postcard")] {
/// use ringkeep::{Postcard, SpillVec, SpillVecOptions};
///
/// # let directory = tempfile::tempdir()?;
/// let options = SpillVecOptions::new(Postcard).memory_bytes(1 << 20).directory(directory.path());
/// let mut vec: SpillVec<(u64, String)> = options.build()?;
/// for number in 0..100_000 {
///     vec.push((number % 1000, format!("programme {number}")))?;
/// }
/// assert!(vec.is_spilled());
/// let vec = vec.sorted_by_key(|(start, _)| *start)?;
/// assert_eq!(vec.get(99_999)?.expect("the last one").1, "programme 99999");
/// for item in vec.iter().rev().take(3) {
///     assert_eq!(item?.0, 999);
/// }
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SpillVec<T, C: Codec<T> = Postcard> {
    codec: C,
    settings: Settings,
    memory: Memory<T>,
    disk: Option<OnDisk>,
}

impl<T> SpillVec<T, Postcard>
where
    Postcard: Codec<T>,
{
    /// An empty vector with the default [`SpillVecOptions`]: 64 MiB of memory, and then files where
    /// the system has temporary ones. Nothing is made on the disk yet.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let mut vec = ringkeep::SpillVec::new();
    /// vec.push(7_u64)?;
    /// assert_eq!(vec.len(), 1);
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        SpillVecOptions::new(Postcard).into_vec(Measure::Sampled(Sampler::default()))
    }

    /// A vector of these items, with the default options. With others, see
    /// [`try_extend`](Self::try_extend).
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let vec = ringkeep::SpillVec::try_from_iter(0..10_u64)?;
    /// assert_eq!(vec.len(), 10);
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn try_from_iter(items: impl IntoIterator<Item = T>) -> Result<Self> {
        let mut vec = Self::new();
        vec.try_extend(items)?;
        Ok(vec)
    }
}

impl<T> Default for SpillVec<T, Postcard>
where
    Postcard: Codec<T>,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<T, C: Codec<T>> SpillVec<T, C> {
    fn of(
        codec: C,
        settings: Settings,
        measure: Measure<T>,
        memory_bytes: u64,
        memory_budget: Option<&MemoryBudget>,
    ) -> Self {
        let memory = Memory::new(measure, memory_bytes, memory_budget);
        Self { codec, settings, memory, disk: None }
    }

    /// Puts an item behind all others. The push that finds no more memory moves all items to the
    /// disk first.
    ///
    /// # Errors
    ///
    /// With the item, and the vector has what it had: `Encode`, `TooLarge` for an item of 1 GiB;
    /// `EncodeAt` if an earlier item cannot leave memory for this one; `NoSpace`, `DiskFull`, `Io`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let mut vec = ringkeep::SpillVec::new();
    /// vec.push(String::from("seven"))?;
    /// assert_eq!(vec.get(0)?.as_deref(), Some(&String::from("seven")));
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), PushError<T>> {
        if self.disk.is_none() && self.memory.admit(&self.codec, &item) {
            self.memory.push(item);
            return Ok(());
        }
        self.push_to_disk(item)
    }

    /// Puts items behind all others, one by one, up to the first that is refused.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push). Items before the refused one are in; the others were not asked for,
    /// so with `items.by_ref()` they are still in the iterator.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, SpillVecOptions};
    ///
    /// let mut vec = SpillVecOptions::new(Bytes).build()?;
    /// vec.try_extend([b"one".to_vec(), b"two".to_vec()])?;
    /// assert_eq!(vec.len(), 2);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn try_extend(&mut self, items: impl IntoIterator<Item = T>) -> Result<(), PushError<T>> {
        items.into_iter().try_for_each(|item| self.push(item))
    }

    /// How many items there are.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")]
    /// assert_eq!(ringkeep::SpillVec::<u64>::new().len(), 0);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.stored_count() + self.memory.items().len()
    }

    /// Whether there are none.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")]
    /// assert!(ringkeep::SpillVec::<u64>::new().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at this index, if there is one. From the disk a frame is read for it, by position;
    /// neighbours come from the same frame without another read.
    ///
    /// # Errors
    ///
    /// `Damaged`, `Decode`, `Io`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let vec = ringkeep::SpillVec::try_from_iter([7_u64])?;
    /// assert_eq!(vec.get(0)?.as_deref(), Some(&7));
    /// assert!(vec.get(1)?.is_none());
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[inline]
    pub fn get(&self, index: usize) -> Result<Option<ItemRef<'_, T>>> {
        match index.checked_sub(self.stored_count()) {
            Some(index) => Ok(self.memory.items().get(index).map(ItemRef::borrowed)),
            None => self.read(index as u64).map(|item| item.map(ItemRef::owned)),
        }
    }

    /// What `look` says about the item at this index, if there is one: borrowed from memory, or
    /// read and let go of.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let vec = ringkeep::SpillVec::try_from_iter(["seven".to_owned()])?;
    /// assert_eq!(vec.with(0, |item| item.len())?, Some(5));
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn with<R>(&self, index: usize, look: impl FnOnce(&T) -> R) -> Result<Option<R>> {
        Ok(self.get(index)?.map(|item| look(&item)))
    }

    /// All items, from both ends. After an error there are no more.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let vec = ringkeep::SpillVec::try_from_iter([1_u64, 2, 3])?;
    /// let mut sum = 0;
    /// for item in &vec {
    ///     sum += *item?;
    /// }
    /// assert_eq!(sum, 6);
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T, C> {
        self.range(..)
    }

    /// The items in a range of indexes, from both ends.
    ///
    /// # Panics
    ///
    /// If the range ends behind the last item, or before it begins.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let vec = ringkeep::SpillVec::try_from_iter(0..100_u64)?;
    /// assert_eq!(vec.range(10..20).len(), 10);
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn range(&self, indexes: impl RangeBounds<usize>) -> Iter<'_, T, C> {
        let (begin, end) = bounds(&indexes, self.len());
        let stored = self.stored_count();
        let walk = self.disk.as_ref().map(|disk| {
            let items = begin.min(stored) as u64..end.min(stored) as u64;
            Walk::of_store(&disk.store, items)
        });
        let memory = begin.saturating_sub(stored)..end.saturating_sub(stored);
        Iter::new(&self.codec, walk, &self.memory.items()[memory])
    }

    /// Whether it has moved to the disk.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")]
    /// assert!(!ringkeep::SpillVec::<u64>::new().is_spilled());
    /// ```
    #[must_use]
    pub fn is_spilled(&self) -> bool {
        self.disk.is_some()
    }

    /// What is unwise about where it has moved, if something is.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")]
    /// assert_eq!(ringkeep::SpillVec::<u64>::new().warning(), None);
    /// ```
    #[must_use]
    pub fn warning(&self) -> Option<&SpillWarning> {
        self.disk.as_ref()?.warning.as_ref()
    }

    /// Moves all items to the disk now, so that memory holds none.
    ///
    /// # Errors
    ///
    /// `EncodeAt`, `TooLarge`, `NoSpace`, `DiskFull`, `Io`. Some items have moved then; all are
    /// there.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let mut vec = ringkeep::SpillVec::try_from_iter([7_u64])?;
    /// vec.spill()?;
    /// assert_eq!((vec.is_spilled(), vec.stats().items_on_disk), (true, 1));
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn spill(&mut self) -> Result<()> {
        self.leave_memory()?;
        if let Some(disk) = &mut self.disk {
            disk.store.flush()?;
        }
        self.count_memory();
        Ok(())
    }

    /// Drops all items, and gives disk and memory back: it is as new.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let mut vec = ringkeep::SpillVec::try_from_iter([7_u64])?;
    /// vec.clear();
    /// assert!(vec.is_empty() && !vec.is_spilled());
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn clear(&mut self) {
        self.disk = None;
        self.memory.clear();
    }

    /// Keeps the first items, so many, and gives back the disk of the others.
    ///
    /// # Errors
    ///
    /// `Damaged`, `Io`: no item is dropped then.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let mut vec = ringkeep::SpillVec::try_from_iter([1_u64, 2, 3])?;
    /// vec.truncate(2)?;
    /// assert_eq!(vec.len(), 2);
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn truncate(&mut self, len: usize) -> Result<()> {
        let stored = self.stored_count();
        if len < stored
            && let Some(disk) = &mut self.disk
        {
            disk.store.truncate(len as u64)?;
            // Other items will have the numbers of those that are gone.
            *disk.last.get_mut() = FrameReader::default();
        }
        if self.disk.is_some() && len <= stored {
            self.memory.clear();
        } else {
            self.memory.truncate(len - stored);
        }
        self.count_memory();
        Ok(())
    }

    /// Takes all items out into memory, if they take no more than so many bytes of it.
    ///
    /// # Errors
    ///
    /// With the vector as it was: `OverLimit`, `Damaged`, `Decode`, `Io`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let vec = ringkeep::SpillVec::try_from_iter([1_u64, 2, 3])?;
    /// assert_eq!(vec.into_vec(1 << 20)?, [1, 2, 3]);
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn into_vec(mut self, bytes_max: u64) -> Result<Vec<T>, SpillVecError<T, C>> {
        match self.read_all(bytes_max) {
            Ok(items) if items.is_empty() => Ok(self.memory.take()),
            Ok(mut items) => {
                items.append(&mut self.memory.take());
                Ok(items)
            }
            Err(source) => Err(SpillVecError { vec: self.into(), source: source.into() }),
        }
    }

    /// Writes all items to a file that [`FrozenVec`](crate::FrozenVec) reads. It appears under its
    /// name when it is complete and durable; a file that has the name is not replaced.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`; `Locked` while somebody else writes that file; `NoSpace`,
    /// `ReadOnlyFileSystem`, `Io`; `EncodeAt`, `TooLarge`; `Damaged` if an item cannot be read.
    /// Nothing is left behind then.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// use ringkeep::{FrozenVec, SpillVec};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("frozen");
    /// SpillVec::try_from_iter(0..1000_u64)?.persist(&path)?;
    /// assert_eq!(FrozenVec::<u64>::open(&path)?.get(999)?, Some(999));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn persist(&self, path: impl AsRef<Path>) -> Result<()> {
        persist::persist(self, path.as_ref())
    }

    /// How it is doing.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "postcard")] {
    /// let vec = ringkeep::SpillVec::try_from_iter([1_u64, 2, 3])?;
    /// assert!(vec.stats().is_exact, "numbers have nothing on the heap");
    /// # }
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> SpillVecStats {
        let mut stats = SpillVecStats {
            items: self.len() as u64,
            memory_bytes: self.memory.bytes(),
            is_exact: self.memory.measure.is_exact(),
            ..SpillVecStats::default()
        };
        if let Some(OnDisk { store, last, .. }) = &self.disk {
            let index = &store.frames.index;
            stats.items_on_disk = index.items();
            stats.index_bytes = index.memory_bytes() as u64;
            let buffers = store.memory_bytes() - index.memory_bytes();
            stats.buffer_bytes = (buffers + last.lock().memory_bytes()) as u64;
            stats.frames = index.frames() as u64;
            stats.disk_bytes = store.scratch.disk_bytes();
            stats.stored_bytes = store.stored_bytes();
            stats.raw_bytes = store.raw_bytes();
        }
        stats
    }
}

fn bounds(indexes: &impl RangeBounds<usize>, len: usize) -> (usize, usize) {
    let begin = match indexes.start_bound() {
        Bound::Included(&begin) => begin,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match indexes.end_bound() {
        Bound::Included(&last) => last.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => len,
    };
    assert!(begin <= end && end <= len, "{begin}..{end} is not a range of {len} items");
    (begin, end)
}

impl<T, C: Codec<T>> IntoIterator for SpillVec<T, C> {
    type Item = Result<T>;
    type IntoIter = IntoIter<T, C>;

    fn into_iter(self) -> IntoIter<T, C> {
        IntoIter::new(self.codec, self.memory, self.disk.map(|disk| disk.store))
    }
}

impl<'a, T, C: Codec<T>> IntoIterator for &'a SpillVec<T, C> {
    type Item = Result<ItemRef<'a, T>>;
    type IntoIter = Iter<'a, T, C>;

    fn into_iter(self) -> Iter<'a, T, C> {
        self.iter()
    }
}

impl<T, C: Codec<T>> fmt::Debug for SpillVec<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpillVec").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
