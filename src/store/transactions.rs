//! Transactions: one kind reads, the other writes.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use redb::{
    Durability, MultimapTableHandle as _, ReadTransaction, ReadableDatabase as _, TableDefinition,
    TableError, TableHandle as _, WriteTransaction,
};

use super::{
    Shared,
    bucket::{Bucket, Bytes, ReadBucket},
    failure::attempt,
    names::{SCHEMAS, check_bucket_name},
    readers::{Readers, Reading},
    turn::{Taken, Turn},
};
use crate::error::{Result, StoreError};

/// A transaction that reads: it sees the store as it was when it began, whatever is written
/// meanwhile, and nobody waits for it.
///
/// As long as it lives, the pages that it may read are not used again, so the file of a busy store
/// grows: [`StoreStats::oldest_reader`](crate::StoreStats::oldest_reader) tells how old it is.
///
/// # Examples
///
/// ```
/// use ringkeep::{BucketRead, Store};
///
/// let store = Store::in_memory()?;
/// let before = store.begin_read()?;
/// store.write(|tx| tx.bucket("b")?.put("key", "value"))?;
/// assert!(before.bucket("b")?.is_empty()?);
/// assert!(!store.begin_read()?.bucket("b")?.is_empty()?);
/// # Ok::<(), ringkeep::Error>(())
/// ```
pub struct ReadTx {
    pub(super) inner: ReadTransaction,
    pub(super) reading: Reading,
}

impl ReadTx {
    pub(super) fn begin(shared: &Arc<Shared>) -> Result<Self> {
        let database = shared.database(None)?;
        // Before it begins, so that nobody who needs the store for himself misses it.
        let reading = Readers::begin(shared);
        let inner = attempt(&shared.path, || database.begin_read())?;
        Ok(Self { inner, reading })
    }

    /// A bucket; an empty one if there is none of this name.
    ///
    /// # Errors
    ///
    /// [`BucketName`](StoreError::BucketName), [`ForeignBucket`](StoreError::ForeignBucket), and
    /// what all reading says.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{BucketRead, Store};
    ///
    /// let tx = Store::in_memory()?.begin_read()?;
    /// assert_eq!(tx.bucket("b")?.len()?, 0);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn bucket(&self, name: &str) -> Result<ReadBucket<'_>> {
        check_bucket_name(name)?;
        self.table(name)
    }

    pub(super) fn table(&self, name: &str) -> Result<ReadBucket<'_>> {
        let path = &*self.reading.shared().path;
        let table = attempt(path, || match self.inner.open_table(definition(name)) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error),
        })?;
        Ok(ReadBucket { table, path })
    }

    /// Names of all buckets, in order.
    ///
    /// # Errors
    ///
    /// What all reading says.
    ///
    /// # Examples
    ///
    /// ```
    /// let store = ringkeep::Store::in_memory()?;
    /// store.write(|tx| tx.bucket("b").map(drop))?;
    /// assert_eq!(store.begin_read()?.buckets()?, ["b"]);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn buckets(&self) -> Result<Vec<String>> {
        attempt(&self.reading.shared().path, || self.inner.list_tables().map(names_of))
    }

    /// Refuses what another program keeps in the same file in a form that no bucket has.
    pub(super) fn refuse_multimaps(&self) -> Result<()> {
        let path = &self.reading.shared().path;
        let mut multimaps = attempt(path, || self.inner.list_multimap_tables())?;
        multimaps.next().map_or(Ok(()), |table| {
            let (bucket, found) = (table.name().into(), "it has many values for a key".into());
            Err(StoreError::ForeignBucket { bucket, found }.into())
        })
    }
}

impl fmt::Debug for ReadTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTx").finish_non_exhaustive()
    }
}

/// A transaction that writes: there is one at a time, and others see what it does when it has
/// committed. Dropped without a [`commit`](Self::commit), it is rolled back.
///
/// # Examples
///
/// Two buckets, filled by two threads:
///
/// ```
/// use ringkeep::{BucketRead, Store};
///
/// let store = Store::in_memory()?;
/// let tx = store.begin_write()?;
/// let mut buckets = [tx.bucket("even")?, tx.bucket("odd")?];
/// std::thread::scope(|scope| {
///     for (bucket, first) in buckets.iter_mut().zip(0..) {
///         scope.spawn(move || {
///             for key in (first..1000_u32).step_by(2) {
///                 bucket.put(key.to_be_bytes(), "").expect("there is room");
///             }
///         });
///     }
/// });
/// drop(buckets);
/// tx.commit()?;
/// assert_eq!(store.read(|tx| tx.bucket("odd")?.len())?, 500);
/// # Ok::<(), ringkeep::Error>(())
/// ```
pub struct WriteTx {
    /// There until it ends.
    inner: Option<WriteTransaction>,
    /// Given up after the transaction has ended.
    turn: Taken,
}

impl WriteTx {
    pub(super) fn begin(shared: &Arc<Shared>) -> Result<Self> {
        let turn = Turn::take(shared, shared.options.lock_wait)?;
        let database = shared.database(Some(&turn))?;
        let inner = attempt(&shared.path, || database.begin_write())?;
        Ok(Self { inner: Some(inner), turn })
    }

    pub(super) fn shared(&self) -> &Shared {
        self.turn.shared()
    }

    fn inner(&self) -> Result<&WriteTransaction> {
        self.inner.as_ref().ok_or(StoreError::HalfDone.into())
    }

    /// A bucket to read from and write to; it is made if there is none of this name.
    ///
    /// # Errors
    ///
    /// [`BucketName`](StoreError::BucketName), [`BucketInUse`](StoreError::BucketInUse) while this
    /// transaction has it open elsewhere, [`ForeignBucket`](StoreError::ForeignBucket), and what
    /// all reading says.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Error, Store, StoreError};
    ///
    /// let tx = Store::in_memory()?.begin_write()?;
    /// let first = tx.bucket("b")?;
    /// assert!(matches!(tx.bucket("b"), Err(Error::Store(StoreError::BucketInUse { .. }))));
    /// drop(first);
    /// assert!(tx.bucket("b").is_ok());
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn bucket(&self, name: &str) -> Result<Bucket<'_>> {
        check_bucket_name(name)?;
        self.table(name)
    }

    pub(super) fn table(&self, name: &str) -> Result<Bucket<'_>> {
        let (inner, path) = (self.inner()?, &*self.shared().path);
        let table = attempt(path, || inner.open_table(definition(name)))?;
        Ok(Bucket { table, path })
    }

    /// Removes a bucket and all that is in it; whether it was there.
    ///
    /// # Errors
    ///
    /// As [`bucket`](Self::bucket).
    ///
    /// # Examples
    ///
    /// ```
    /// let store = ringkeep::Store::in_memory()?;
    /// store.write(|tx| tx.bucket("b")?.put("key", "value"))?;
    /// assert!(store.write(|tx| tx.drop_bucket("b"))?);
    /// assert!(store.read(|tx| tx.buckets())?.is_empty());
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn drop_bucket(&self, name: &str) -> Result<bool> {
        check_bucket_name(name)?;
        let inner = self.inner()?;
        let was_there = attempt(&self.shared().path, || inner.delete_table(definition(name)))?;
        if was_there {
            self.forget_schema(name)?;
        }
        Ok(was_there)
    }

    /// Names of all buckets, in order; those that this transaction has made are among them.
    ///
    /// # Errors
    ///
    /// What all reading says.
    ///
    /// # Examples
    ///
    /// ```
    /// let tx = ringkeep::Store::in_memory()?.begin_write()?;
    /// tx.bucket("b")?;
    /// assert_eq!(tx.buckets()?, ["b"]);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn buckets(&self) -> Result<Vec<String>> {
        let inner = self.inner()?;
        attempt(&self.shared().path, || inner.list_tables().map(names_of))
    }

    /// Ends the transaction: all that it did is there for those who begin from now on, and is
    /// durable when the store's [`SyncPolicy`](crate::SyncPolicy) says so.
    ///
    /// # Errors
    ///
    /// `NoSpace`, `DiskFull`, `Io`: it is there as a whole or not at all, which the next
    /// transaction tells. [`HalfDone`](StoreError::HalfDone): it was rolled back.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{BucketRead, Store};
    ///
    /// let store = Store::in_memory()?;
    /// let tx = store.begin_write()?;
    /// tx.bucket("b")?.put("key", "value")?;
    /// tx.commit()?;
    /// assert_eq!(store.read(|tx| tx.bucket("b")?.len())?, 1);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn commit(self) -> Result<()> {
        let commits = self.shared().unsynced.load(Relaxed) + 1;
        let group = self.shared().options.sync.group();
        self.commit_as(if group.is_some_and(|group| commits >= group) {
            Durability::Immediate
        } else {
            Durability::None
        })
    }

    pub(super) fn commit_as(mut self, durability: Durability) -> Result<()> {
        let Some(mut inner) = self.inner.take() else { return Ok(()) };
        // Nothing that would need another one is ever done.
        let _ = inner.set_durability(durability);
        attempt(&self.shared().path, || inner.commit())?;
        let unsynced = &self.shared().unsynced;
        match durability {
            Durability::None => unsynced.fetch_add(1, Relaxed),
            _ => unsynced.swap(0, Relaxed),
        };
        Ok(())
    }

    /// Ends the transaction as if it had not been.
    ///
    /// # Errors
    ///
    /// `Io`: it did not happen all the same, and the store opens itself again.
    ///
    /// # Examples
    ///
    /// ```
    /// let store = ringkeep::Store::in_memory()?;
    /// let tx = store.begin_write()?;
    /// tx.bucket("b")?.put("key", "value")?;
    /// tx.roll_back()?;
    /// assert!(store.read(|tx| tx.buckets())?.is_empty());
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn roll_back(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        self.inner.take().map_or(Ok(()), |inner| attempt(&self.shared().path, || inner.abort()))
    }
}

/// While a panic unwinds, redb itself rolls back nothing, and repairs that when the file is opened
/// next.
impl Drop for WriteTx {
    fn drop(&mut self) {
        // Where it fails the store opens itself again, without what was not committed.
        let _ = self.end();
    }
}

impl fmt::Debug for WriteTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTx").finish_non_exhaustive()
    }
}

fn definition(name: &str) -> TableDefinition<'_, Bytes, Bytes> {
    TableDefinition::new(name)
}

fn names_of(tables: impl Iterator<Item = redb::UntypedTableHandle>) -> Vec<String> {
    let names = tables.map(|table| table.name().to_owned());
    names.filter(|name| name != SCHEMAS).collect()
}
