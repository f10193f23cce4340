//! Buckets: ordered keys and values, of a transaction that reads or of one that writes.

use std::{
    fmt,
    ops::{Bound, Deref, RangeBounds},
    path::Path,
};

use redb::{AccessGuard, ReadOnlyTable, ReadableTable, ReadableTableMetadata as _, Table};

use super::failure::{attempt, attempt_for_user, caught, failure};
use crate::error::Result;

pub(super) type Bytes = &'static [u8];

/// The bytes of a key or a value, as long as its bucket is not changed; `to_vec` keeps them.
///
/// # Examples
///
/// ```
/// use ringkeep::{BucketRead, Store};
///
/// let store = Store::in_memory()?;
/// store.write(|tx| tx.bucket("colours")?.put("sky", "blue"))?;
/// store.read(|tx| {
///     let colours = tx.bucket("colours")?;
///     let sky = colours.get("sky")?.expect("it was put");
///     assert_eq!((&*sky, sky.len()), (&b"blue"[..], 4));
///     Ok(())
/// })?;
/// # Ok::<(), ringkeep::Error>(())
/// ```
pub struct StoredBytes<'a>(AccessGuard<'a, Bytes>);

impl<'a> StoredBytes<'a> {
    /// Of a damaged page, they may lie outside of it: redb panics then, where `attempt` sees it.
    #[inline]
    fn checked(guard: AccessGuard<'a, Bytes>) -> Self {
        let _ = guard.value();
        Self(guard)
    }
}

impl Deref for StoredBytes<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.0.value()
    }
}

impl AsRef<[u8]> for StoredBytes<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for StoredBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

/// Reading from a bucket, whatever transaction it belongs to.
///
/// Keys are in the order of their bytes. A bucket that does not exist has no entry.
///
/// # Examples
///
/// ```
/// use ringkeep::{BucketRead, Result, Store};
///
/// fn longest(bucket: &impl BucketRead) -> Result<usize> {
///     let mut longest = 0;
///     for entry in bucket.iter()? {
///         let (_key, value) = entry?;
///         longest = longest.max(value.len());
///     }
///     Ok(longest)
/// }
///
/// let store = Store::in_memory()?;
/// let written = store.write(|tx| {
///     let mut words = tx.bucket("words")?;
///     words.put("1", "a")?;
///     words.put("2", "word")?;
///     longest(&words)
/// })?;
/// assert_eq!((written, store.read(|tx| longest(&tx.bucket("words")?))?), (4, 4));
/// # Ok::<(), ringkeep::Error>(())
/// ```
pub trait BucketRead: sealed::Source {
    /// The value of a key.
    ///
    /// # Errors
    ///
    /// [`Damaged`](crate::StoreError::Damaged), [`Poisoned`](crate::StoreError::Poisoned); `Io`.
    /// So do all methods that read.
    fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<StoredBytes<'_>>> {
        self.value_of(key.as_ref())
    }

    /// How many keys there are.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    fn len(&self) -> Result<u64> {
        self.count()
    }

    /// Whether there is no key.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    fn is_empty(&self) -> Result<bool> {
        Ok(self.count()? == 0)
    }

    /// All entries, from either end.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    #[expect(clippy::iter_not_returning_iterator, reason = "a damaged file is told first")]
    fn iter(&self) -> Result<Entries<'_>> {
        self.between(Bound::Unbounded, Bound::Unbounded)
    }

    /// The entries whose keys are within these bounds, from either end; none where these cross.
    ///
    /// Bounds are slices, text, or anything that is bytes; with a pair of `Bound` of references,
    /// say of which: `range::<&str>(..)`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::ops::Bound;
    ///
    /// use ringkeep::{BucketRead, Store};
    ///
    /// let store = Store::in_memory()?;
    /// store.write(|tx| {
    ///     let mut bucket = tx.bucket("b")?;
    ///     ["a", "b", "c", "d"].iter().try_for_each(|key| bucket.put(key, ""))
    /// })?;
    /// let tx = store.begin_read()?;
    /// let bucket = tx.bucket("b")?;
    /// assert_eq!(bucket.range("b".."d")?.count(), 2);
    /// assert_eq!(bucket.range::<&str>((Bound::Excluded("b"), Bound::Unbounded))?.count(), 2);
    /// let (last, _) = bucket.range("b"..)?.next_back().expect("three")?;
    /// assert_eq!(&*last, b"d");
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    fn range<K: AsRef<[u8]>>(&self, bounds: impl RangeBounds<K>) -> Result<Entries<'_>> {
        self.between(bounds.start_bound().map(K::as_ref), bounds.end_bound().map(K::as_ref))
    }

    /// The entries whose keys begin with these bytes, from either end.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{BucketRead, Store};
    ///
    /// let store = Store::in_memory()?;
    /// let count = store.write(|tx| {
    ///     let mut bucket = tx.bucket("b")?;
    ///     ["cpu.0", "cpu.1", "mem"].iter().try_for_each(|key| bucket.put(key, ""))?;
    ///     Ok(bucket.prefix("cpu.")?.count())
    /// })?;
    /// assert_eq!(count, 2);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    fn prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Entries<'_>> {
        let prefix = prefix.as_ref();
        let end = end_of_prefix(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.between(Bound::Included(prefix), end)
    }

    /// The entry with the smallest key.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    fn first(&self) -> Result<Option<(StoredBytes<'_>, StoredBytes<'_>)>> {
        self.iter()?.next().transpose()
    }

    /// The entry with the largest key.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    fn last(&self) -> Result<Option<(StoredBytes<'_>, StoredBytes<'_>)>> {
        self.iter()?.next_back().transpose()
    }
}

/// The smallest key behind all those with this prefix, if there is one.
fn end_of_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte < u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

mod sealed {
    use super::{Bound, Entries, Result, StoredBytes};

    /// What the two kinds of buckets do in their own ways.
    pub trait Source {
        fn value_of(&self, key: &[u8]) -> Result<Option<StoredBytes<'_>>>;
        fn count(&self) -> Result<u64>;
        fn between(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Entries<'_>>;
    }
}

/// A bucket of a transaction that reads: as it was when that began.
///
/// There is nothing to write with:
///
/// ```compile_fail,E0599
/// # let store = ringkeep::Store::in_memory()?;
/// store.read(|tx| tx.bucket("b")?.put("key", "value"))?;
/// # Ok::<(), ringkeep::Error>(())
/// ```
///
/// # Examples
///
/// ```
/// use ringkeep::{BucketRead, Store};
///
/// let store = Store::in_memory()?;
/// let found = store.read(|tx| Ok(tx.bucket("nobody made it")?.get("key")?.is_some()))?;
/// assert!(!found);
/// # Ok::<(), ringkeep::Error>(())
/// ```
pub struct ReadBucket<'tx> {
    pub(super) table: Option<ReadOnlyTable<Bytes, Bytes>>,
    pub(super) path: &'tx Path,
}

impl sealed::Source for ReadBucket<'_> {
    #[inline]
    fn value_of(&self, key: &[u8]) -> Result<Option<StoredBytes<'_>>> {
        let Some(table) = &self.table else { return Ok(None) };
        attempt(self.path, || {
            ReadableTable::get(table, key).map(|value| value.map(StoredBytes::checked))
        })
    }

    fn count(&self) -> Result<u64> {
        self.table.as_ref().map_or(Ok(0), |table| attempt(self.path, || table.len()))
    }

    fn between(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Entries<'_>> {
        match &self.table {
            Some(table) => Entries::of(table, self.path, start, end),
            None => Ok(Entries { range: None, path: self.path }),
        }
    }
}

impl BucketRead for ReadBucket<'_> {}

impl fmt::Debug for ReadBucket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBucket").field("exists", &self.table.is_some()).finish_non_exhaustive()
    }
}

/// A bucket of a transaction that writes. Who has it is its only writer; other buckets of the
/// transaction can be written by other threads meanwhile.
///
/// It sees what its transaction has done. It does not outlive that:
///
/// ```compile_fail,E0505
/// # let store = ringkeep::Store::in_memory()?;
/// let tx = store.begin_write()?;
/// let mut bucket = tx.bucket("b")?;
/// tx.commit()?;
/// bucket.put("key", "value")?;
/// # Ok::<(), ringkeep::Error>(())
/// ```
///
/// # Examples
///
/// ```
/// use ringkeep::{BucketRead, Store};
///
/// let store = Store::in_memory()?;
/// store.write(|tx| {
///     let mut bucket = tx.bucket("b")?;
///     bucket.put("key", "value")?;
///     assert_eq!(bucket.get("key")?.as_deref(), Some(&b"value"[..]));
///     assert!(bucket.remove("key")?);
///     assert!(bucket.is_empty()?);
///     Ok(())
/// })?;
/// # Ok::<(), ringkeep::Error>(())
/// ```
pub struct Bucket<'tx> {
    pub(super) table: Table<'tx, Bytes, Bytes>,
    pub(super) path: &'tx Path,
}

impl Bucket<'_> {
    /// Stores a value under a key, in place of the one that it has. Both may be empty.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](crate::StoreError::TooLarge) above 3 GiB, and what reading says; `NoSpace`,
    /// `DiskFull`. After an error of the disk the transaction can only end.
    ///
    /// # Examples
    ///
    /// ```
    /// let store = ringkeep::Store::in_memory()?;
    /// store.write(|tx| tx.bucket("b")?.put("key", "value"))?;
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let (key, value) = (key.as_ref(), value.as_ref());
        attempt(self.path, || self.table.insert(key, value).map(drop))
    }

    /// Removes a key and its value; whether it was there.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    ///
    /// # Examples
    ///
    /// ```
    /// let store = ringkeep::Store::in_memory()?;
    /// assert!(!store.write(|tx| tx.bucket("b")?.remove("key"))?);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn remove(&mut self, key: impl AsRef<[u8]>) -> Result<bool> {
        let key = key.as_ref();
        attempt(self.path, || self.table.remove(key).map(|removed| removed.is_some()))
    }

    /// Removes the keys that `keep` says no to, in order.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{BucketRead, Store};
    ///
    /// let store = Store::in_memory()?;
    /// store.write(|tx| {
    ///     let mut bucket = tx.bucket("by time")?;
    ///     (0..100_u8).try_for_each(|second| bucket.put([second], "sample"))?;
    ///     bucket.retain(|key, _value| key[0] >= 90)?;
    ///     assert_eq!(bucket.len()?, 10);
    ///     Ok(())
    /// })?;
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
        attempt_for_user(self.path, |is_users| {
            self.table.retain(|key, value| {
                is_users.set(true);
                let is_kept = keep(key, value);
                is_users.set(false);
                is_kept
            })
        })
    }
}

impl sealed::Source for Bucket<'_> {
    #[inline]
    fn value_of(&self, key: &[u8]) -> Result<Option<StoredBytes<'_>>> {
        attempt(self.path, || self.table.get(key).map(|value| value.map(StoredBytes::checked)))
    }

    fn count(&self) -> Result<u64> {
        attempt(self.path, || self.table.len())
    }

    fn between(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Entries<'_>> {
        Entries::of(&self.table, self.path, start, end)
    }
}

impl BucketRead for Bucket<'_> {}

impl fmt::Debug for Bucket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").finish_non_exhaustive()
    }
}

/// Entries in the order of their keys; from behind with [`rev`](Iterator::rev).
///
/// After an error it ends.
///
/// # Examples
///
/// ```
/// use ringkeep::{BucketRead, Store};
///
/// let store = Store::in_memory()?;
/// store.write(|tx| {
///     let mut bucket = tx.bucket("b")?;
///     bucket.put("1", "one")?;
///     bucket.put("2", "two")
/// })?;
/// let tx = store.begin_read()?;
/// let bucket = tx.bucket("b")?;
/// let mut keys = Vec::new();
/// for entry in bucket.iter()?.rev() {
///     let (key, _value) = entry?;
///     keys.push(key.to_vec());
/// }
/// assert_eq!(keys, [b"2", b"1"]);
/// # Ok::<(), ringkeep::Error>(())
/// ```
pub struct Entries<'a> {
    range: Option<redb::Range<'a, Bytes, Bytes>>,
    path: &'a Path,
}

impl<'a> Entries<'a> {
    fn of(
        table: &'a impl ReadableTable<Bytes, Bytes>,
        path: &'a Path,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
    ) -> Result<Self> {
        // redb is not asked for a range that ends before it begins.
        let is_empty = match (start, end) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(first), Bound::Included(last)) => first > last,
            (
                Bound::Included(first) | Bound::Excluded(first),
                Bound::Included(last) | Bound::Excluded(last),
            ) => first >= last,
        };
        let open = || attempt(path, || table.range::<&[u8]>((start, end)));
        Ok(Self { range: (!is_empty).then(open).transpose()?, path })
    }

    /// Shows each entry that is left to `see`, until that fails. It is faster than a loop, which
    /// is handed entries that may outlive its round.
    ///
    /// # Errors
    ///
    /// What `see` says; [`Damaged`](crate::StoreError::Damaged),
    /// [`Poisoned`](crate::StoreError::Poisoned); `Io`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{BucketRead, Store};
    ///
    /// let store = Store::in_memory()?;
    /// store.write(|tx| {
    ///     let mut bucket = tx.bucket("names")?;
    ///     bucket.put("en/1", "one")?;
    ///     bucket.put("en/3", "three")?;
    ///     bucket.put("fr/1", "un")
    /// })?;
    /// let mut bytes = 0;
    /// store.read(|tx| {
    ///     tx.bucket("names")?.prefix("en/")?.visit(|_key, value| {
    ///         bytes += value.len();
    ///         Ok(())
    ///     })
    /// })?;
    /// assert_eq!(bytes, 8);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn visit(self, mut see: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        self.show(&mut see)
    }

    fn show(self, see: &mut See<'_>) -> Result<()> {
        let Some(range) = self.range else { return Ok(()) };
        attempt_for_user(self.path, |is_users| {
            for entry in range {
                let (key, value) = entry?;
                let (key, value) = (key.value(), value.value());
                is_users.set(true);
                let seen = see(key, value);
                is_users.set(false);
                if seen.is_err() {
                    return Ok::<_, redb::StorageError>(seen);
                }
            }
            Ok(Ok(()))
        })?
    }

    #[inline]
    fn step(
        &mut self,
        step: impl FnOnce(&mut redb::Range<'a, Bytes, Bytes>) -> Option<Found<'a>>,
    ) -> Option<Result<(StoredBytes<'a>, StoredBytes<'a>)>> {
        let range = self.range.as_mut()?;
        // Entries are large: they are stored where they are needed, and matched once.
        let mut found = None;
        let outcome = caught(self.path, || {
            found = step(range);
            if let Some(Ok((key, value))) = &found {
                let _ = (key.value(), value.value());
            }
        });
        let error = match (outcome, found) {
            (Ok(()), None) => return None,
            (Ok(()), Some(Ok((key, value)))) => {
                return Some(Ok((StoredBytes(key), StoredBytes(value))));
            }
            (Ok(()), Some(Err(error))) => failure(self.path, error.into()),
            (Err(error), _) => error,
        };
        self.range = None;
        Some(Err(error))
    }
}

/// Who is shown a key and its value.
type See<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;

/// What redb gives for an entry.
type Found<'a> = Result<(AccessGuard<'a, Bytes>, AccessGuard<'a, Bytes>), redb::StorageError>;

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(StoredBytes<'a>, StoredBytes<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(redb::Range::next)
    }
}

impl DoubleEndedIterator for Entries<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(redb::Range::next_back)
    }
}

impl fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        error::{Error, StoreError},
        store::Store,
    };

    #[test]
    fn what_is_too_long_is_refused_and_costs_nothing() {
        let store = Store::in_memory().expect("a store");
        // Never touched, so never memory.
        let huge = vec![0; (3 << 30) + 1];
        for (key, value) in [(&huge[..1], &huge[..]), (&huge[..], &huge[..1])] {
            let refused = store.write(|tx| tx.bucket("b")?.put(key, value));
            let Err(Error::Store(StoreError::TooLarge { found })) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!(found, huge.len());
        }
        store.write(|tx| tx.bucket("b")?.put("key", "value")).expect("there is room");
    }
}
