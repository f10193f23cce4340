//! Going through a vector.

use std::{fmt, iter::FusedIterator, slice};

use super::{item::ItemRef, walk::Walk};
use crate::{disk::codec::Codec, error::Result};

/// Items of a [`SpillVec`](crate::SpillVec), from both ends. After an error there are no more.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "postcard")] {
/// let vec = ringkeep::SpillVec::try_from_iter([1_u64, 2, 3])?;
/// let mut iter = vec.iter();
/// assert_eq!(iter.len(), 3);
/// assert_eq!(iter.next_back().transpose()?.as_deref(), Some(&3));
/// let rest: ringkeep::Result<Vec<u64>> = iter.map(|item| Ok(*item?)).collect();
/// assert_eq!(rest?, [1, 2]);
/// # }
/// # Ok::<(), ringkeep::Error>(())
/// ```
pub struct Iter<'a, T, C> {
    codec: &'a C,
    /// What is stored comes first.
    stored: Option<Walk<'a>>,
    memory: slice::Iter<'a, T>,
}

impl<'a, T, C: Codec<T>> Iter<'a, T, C> {
    pub(super) fn new(codec: &'a C, stored: Option<Walk<'a>>, memory: &'a [T]) -> Self {
        Self { codec, stored, memory: memory.iter() }
    }

    /// What was read, or the end after an error.
    fn told(&mut self, found: Result<T>) -> Result<ItemRef<'a, T>> {
        if found.is_err() {
            self.stored = None;
            self.memory = [].iter();
        }
        found.map(ItemRef::owned)
    }

    #[cold]
    fn end_of_stored(&mut self) -> Option<Result<ItemRef<'a, T>>> {
        self.stored = None;
        self.memory.next().map(|item| Ok(ItemRef::borrowed(item)))
    }
}

impl<'a, T, C: Codec<T>> Iterator for Iter<'a, T, C> {
    type Item = Result<ItemRef<'a, T>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let Some(stored) = &mut self.stored else {
            return self.memory.next().map(|item| Ok(ItemRef::borrowed(item)));
        };
        match stored.next(self.codec) {
            Some(found) => Some(self.told(found)),
            None => self.end_of_stored(),
        }
    }

    fn nth(&mut self, count: usize) -> Option<Self::Item> {
        let skipped = self.stored.as_mut().map_or(0, |stored| {
            let before = stored.len();
            stored.skip(count as u64);
            before - stored.len()
        });
        if let Some(in_memory) = (count - skipped).checked_sub(1) {
            self.memory.nth(in_memory);
        }
        self.next()
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.stored.as_ref().map_or(0, Walk::len) + self.memory.len();
        (count, Some(count))
    }
}

impl<T, C: Codec<T>> DoubleEndedIterator for Iter<'_, T, C> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        if let Some(item) = self.memory.next_back() {
            return Some(Ok(ItemRef::borrowed(item)));
        }
        let found = self.stored.as_mut()?.next_back(self.codec)?;
        Some(self.told(found))
    }
}

impl<T, C: Codec<T>> ExactSizeIterator for Iter<'_, T, C> {}

impl<T, C: Codec<T>> FusedIterator for Iter<'_, T, C> {}

impl<T, C: Codec<T>> fmt::Debug for Iter<'_, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("items", &self.len()).finish_non_exhaustive()
    }
}
