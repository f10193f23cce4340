//! Taking a vector apart: items come out, and what held them is given back behind them.

use std::{fmt, iter::FusedIterator, ops::Range, vec};

use super::{
    frames::{Ahead, FrameReader},
    memory::Memory,
    store::Store,
    walk::decode,
};
use crate::{disk::codec::Codec, error::Result};

/// Bytes of disk that are given back at once.
const HOLE_BYTES: u64 = 1 << 20;

/// All items of a [`SpillVec`](crate::SpillVec), first ones first. Disk behind them is given back.
/// After an error there are no more.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "postcard")] {
/// let mut vec = ringkeep::SpillVec::try_from_iter([1_u64, 2])?;
/// vec.spill()?;
/// let items: Result<Vec<u64>, _> = vec.into_iter().collect();
/// assert_eq!(items?, [1, 2]);
/// # }
/// # Ok::<(), ringkeep::Error>(())
/// ```
pub struct IntoIter<T, C> {
    codec: C,
    store: Option<Store>,
    stored: Range<u64>,
    reader: FrameReader,
    /// Up to here the disk was given back.
    given_back: u64,
    items: vec::IntoIter<T>,
    /// They count as held until this ends.
    #[expect(dead_code, reason = "its share of a budget")]
    memory: Memory<T>,
}

impl<T, C: Codec<T>> IntoIter<T, C> {
    pub(super) fn new(codec: C, mut memory: Memory<T>, store: Option<Store>) -> Self {
        let stored = 0..store.as_ref().map_or(0, Store::items);
        let items = memory.take().into_iter();
        let reader = FrameReader::default();
        Self { codec, store, stored, reader, given_back: 0, items, memory }
    }

    fn next_stored(&mut self) -> Option<Result<T>> {
        let item = self.stored.next()?;
        let Self { codec, store, reader, given_back, .. } = self;
        let store = store.as_mut()?;
        if reader.is_at_end(item) {
            give_back(store, item, given_back);
        }
        let pending = Some(&store.pending);
        let bytes = reader.bytes_of(&store.frames, pending, item, Ahead::Forward);
        let found = bytes.and_then(|bytes| decode(&*codec, item, bytes));
        if found.is_err() {
            self.stored = 0..0;
            self.items = Vec::new().into_iter();
        }
        if self.stored.is_empty() {
            self.store = None;
        }
        Some(found)
    }
}

/// Gives back the disk before the frame that begins with this item, if it is much.
fn give_back(store: &mut Store, item: u64, given_back: &mut u64) {
    let index = &store.frames.index;
    let begin = index.place(index.frame_of(item)).bytes.start;
    if item < index.items() && begin >= *given_back + HOLE_BYTES {
        // Where it fails the space comes back at the end.
        let _ = store.scratch.punch(*given_back..begin);
        *given_back = begin;
    }
}

impl<T, C: Codec<T>> Iterator for IntoIter<T, C> {
    type Item = Result<T>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.stored.is_empty() {
            return self.items.next().map(Ok);
        }
        self.next_stored()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let stored = usize::try_from(self.stored.end - self.stored.start).unwrap_or(usize::MAX);
        let count = stored + self.items.len();
        (count, Some(count))
    }
}

impl<T, C: Codec<T>> ExactSizeIterator for IntoIter<T, C> {}

impl<T, C: Codec<T>> FusedIterator for IntoIter<T, C> {}

impl<T, C: Codec<T>> fmt::Debug for IntoIter<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoIter").field("items", &self.len()).finish_non_exhaustive()
    }
}
