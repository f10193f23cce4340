//! What an operator asks of a store: numbers, a backup, a check, a smaller file.

use std::{
    fmt,
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use redb::{Builder, ReadableDatabase as _, ReadableTableMetadata as _, TableDefinition};

use super::{
    Shared, Store,
    backend::FileBackend,
    bucket::{BucketRead as _, Bytes},
    failure::attempt,
    names::SCHEMAS,
    opening::MODE,
    transactions::ReadTx,
    turn::Turn,
};
use crate::{
    disk::naming,
    error::{Error, Result, StoreError},
};

/// Keys from one commit to the next while a backup is written: memory for its bookkeeping.
const BACKUP_KEYS: usize = 100_000;
/// A backup is written once, in order.
const BACKUP_CACHE_BYTES: usize = 16 << 20;

/// What a bucket takes.
///
/// # Examples
///
/// See [`Store::stats`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketStats {
    /// Its name.
    pub name: String,
    /// Keys in it.
    pub keys: u64,
    /// Bytes of its keys and values.
    pub stored_bytes: u64,
    /// Bytes of the pages that they are in.
    pub page_bytes: u64,
    /// Levels of its tree.
    pub height: u32,
}

/// What a store takes, and who reads it.
///
/// # Examples
///
/// See [`Store::stats`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Bytes of the file; of a store in memory, of what would be its file.
    pub file_bytes: u64,
    /// Bytes of all keys and values.
    pub stored_bytes: u64,
    /// Each bucket, by name.
    pub buckets: Vec<BucketStats>,
    /// Bytes of its cache that are in use.
    pub cache_bytes: u64,
    /// Transactions that read now, this look at it not counted.
    pub readers: usize,
    /// How long the oldest of them has been reading: pages that were freed since are kept for it.
    pub oldest_reader: Option<Duration>,
    /// Commits that a power cut would take, and an end of the process too.
    pub unsynced_commits: u64,
}

impl StoreStats {
    /// The part of the file that no key and no value takes, from 0 to 1: pages that are free, and
    /// room within pages.
    ///
    /// # Examples
    ///
    /// ```
    /// let fragmentation = ringkeep::Store::in_memory()?.stats()?.fragmentation();
    /// assert!((0.0..=1.0).contains(&fragmentation));
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a part of a whole")]
    pub fn fragmentation(&self) -> f64 {
        let free = self.file_bytes.saturating_sub(self.stored_bytes);
        free as f64 / self.file_bytes.max(1) as f64
    }
}

/// What came of a check.
///
/// # Examples
///
/// See [`Store::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreVerifyReport {
    /// Buckets that were read.
    pub buckets: u64,
    /// Keys that were read, all of them in order.
    pub keys: u64,
    /// Bytes of keys and values that were read.
    pub stored_bytes: u64,
    /// Whether what the file says of its free pages was wrong, and was made right. No key was lost.
    pub repaired: bool,
}

/// What a compaction has done.
///
/// # Examples
///
/// See [`Store::compact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compaction {
    /// Bytes of the file before.
    pub before_bytes: u64,
    /// Bytes of it now.
    pub after_bytes: u64,
}

impl Store {
    /// What the store takes, and who reads it. Reads every page that is in use; nobody waits for
    /// it.
    ///
    /// # Errors
    ///
    /// What all reading says.
    ///
    /// # Examples
    ///
    /// ```
    /// let store = ringkeep::Store::in_memory()?;
    /// store.write(|tx| tx.bucket("b")?.put("key", "value"))?;
    /// let stats = store.stats()?;
    /// assert_eq!((stats.buckets[0].keys, stats.stored_bytes), (1, 8));
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn stats(&self) -> Result<StoreStats> {
        let shared = &self.shared;
        let oldest = shared.readers.oldest();
        let readers = shared.readers.count();
        let tx = self.begin_read()?;
        let mut buckets = Vec::new();
        for name in tx.buckets()? {
            buckets.push(stats_of(&tx, name, &shared.path)?);
        }
        Ok(StoreStats {
            file_bytes: shared.place.bytes(&shared.path)?,
            stored_bytes: buckets.iter().map(|bucket| bucket.stored_bytes).sum(),
            buckets,
            cache_bytes: shared.database(None)?.cache_stats().used_bytes() as u64,
            readers,
            oldest_reader: oldest.map(|began| shared.options.disk.now().saturating_sub(began)),
            unsynced_commits: shared.unsynced.load(Relaxed),
        })
    }

    /// Writes all that the store holds now into a new file, which appears when it is complete and
    /// durable. Others read and write meanwhile.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, `NoSpace`, `ReadOnlyFileSystem`, `Io`, and what all reading says;
    /// [`ForeignBucket`](StoreError::ForeignBucket) where another program keeps its tables in the
    /// same file. There is no new file then.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{BucketRead, Store};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let store = Store::in_memory()?;
    /// store.write(|tx| tx.bucket("b")?.put("key", "value"))?;
    /// let path = directory.path().join("backup.redb");
    /// store.backup_to(&path)?;
    /// assert_eq!(Store::open(&path)?.read(|tx| tx.bucket("b")?.len())?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn backup_to(&self, path: impl AsRef<Path>) -> Result<()> {
        let (path, tx) = (path.as_ref(), self.begin_read()?);
        naming::make(&self.shared.options.disk, path, MODE, |file, temporary| {
            let backend = FileBackend { file: Arc::clone(file), path: temporary.into() };
            let builder = || {
                let mut builder = Builder::new();
                builder.set_cache_size(BACKUP_CACHE_BYTES);
                builder.create_with_backend(backend)
            };
            let database = attempt(temporary, builder)?;
            tx.refuse_multimaps()?;
            let mut names = tx.buckets()?;
            names.push(SCHEMAS.into());
            for name in names {
                copy_bucket(&tx, &database, &name, temporary)?;
            }
            attempt(temporary, || database.close())
        })
    }

    /// Reads and checks the whole store: the checksum of every page, the order of all keys, and
    /// which pages are free. Nobody reads or writes meanwhile.
    ///
    /// # Errors
    ///
    /// [`Damaged`](StoreError::Damaged): what was stored is not all there.
    /// [`Reading`](StoreError::Reading) and [`Writing`](StoreError::Writing): somebody is at work,
    /// and does not end within [`lock_wait`](crate::StoreOptions::lock_wait).
    ///
    /// # Examples
    ///
    /// ```
    /// let store = ringkeep::Store::in_memory()?;
    /// store.write(|tx| tx.bucket("b")?.put("key", "value"))?;
    /// let report = store.verify()?;
    /// assert_eq!((report.buckets, report.keys, report.repaired), (1, 1, false));
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn verify(&self) -> Result<StoreVerifyReport> {
        let is_clean = self.shared.alone(redb::Database::check_integrity)?;
        let tx = self.begin_read()?;
        let mut report =
            StoreVerifyReport { buckets: 0, keys: 0, stored_bytes: 0, repaired: !is_clean };
        for name in tx.buckets()? {
            let bucket = match tx.table(&name) {
                // Its pages are checked with all others.
                Err(Error::Store(StoreError::ForeignBucket { .. })) => continue,
                bucket => bucket?,
            };
            report.buckets += 1;
            let mut last: Option<Vec<u8>> = None;
            for entry in bucket.iter()? {
                let (key, value) = entry?;
                if last.as_deref().is_some_and(|last| last >= &*key) {
                    let what = format!("keys of bucket {name:?} are out of order").into();
                    return Err(StoreError::Damaged { path: self.shared.path.clone(), what }.into());
                }
                report.keys += 1;
                report.stored_bytes += (key.len() + value.len()) as u64;
                let last = last.get_or_insert_default();
                last.clear();
                last.extend_from_slice(&key);
            }
        }
        Ok(report)
    }

    /// Checks the file and makes it smaller, where that can be: moves pages from its end to where
    /// some are free. Nobody reads or writes meanwhile.
    ///
    /// # Errors
    ///
    /// [`Reading`](StoreError::Reading) and [`Writing`](StoreError::Writing) as
    /// [`verify`](Self::verify); [`Damaged`](StoreError::Damaged); `NoSpace`, `Io`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::Store;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let store = Store::open(directory.path().join("state.redb"))?;
    /// store.write(|tx| {
    ///     let mut bucket = tx.bucket("b")?;
    ///     (0..10_000_u32).try_for_each(|key| bucket.put(key.to_be_bytes(), [7; 100]))
    /// })?;
    /// store.write(|tx| tx.drop_bucket("b"))?;
    /// let done = store.compact()?;
    /// assert!(done.after_bytes < done.before_bytes);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compact(&self) -> Result<Compaction> {
        let before_bytes = self.shared.place.bytes(&self.shared.path)?;
        self.shared.alone(|database| {
            // redb trusts what it moves, and goes round in circles where pages do.
            database.check_integrity()?;
            // One round moves what it can; another one may find more.
            let is_smaller = database.compact()? && database.compact()?;
            Ok::<_, redb::Error>(is_smaller)
        })?;
        Ok(Compaction { before_bytes, after_bytes: self.shared.place.bytes(&self.shared.path)? })
    }
}

impl Shared {
    /// Runs `f` while no transaction lives.
    fn alone<T, E: Into<redb::Error>>(
        self: &Arc<Self>,
        f: impl FnOnce(&mut redb::Database) -> Result<T, E>,
    ) -> Result<T> {
        let turn = Turn::take(self, self.options.lock_wait)?;
        let deadline = self.options.disk.now() + self.options.lock_wait;
        loop {
            // No transaction begins while this is held; those that live are waited for without it.
            drop(self.database(Some(&turn))?);
            let mut database = self.database.write();
            let readers = self.readers.count();
            if let Some(database) = database.as_mut()
                && readers == 0
            {
                let done = attempt(&self.path, || f(database))?;
                self.unsynced.store(0, Relaxed);
                return Ok(done);
            }
            drop(database);
            let left = deadline.saturating_sub(self.options.disk.now());
            if !self.readers.wait_for_fewer(readers, left) {
                return Err(StoreError::Reading { readers }.into());
            }
        }
    }
}

/// Whatever types another program has given the table.
fn stats_of(tx: &ReadTx, name: String, path: &Path) -> Result<BucketStats> {
    let handle = TableDefinition::<Bytes, Bytes>::new(&name);
    let table = attempt(path, || tx.inner.open_untyped_table(handle))?;
    let stats = attempt(path, || table.stats())?;
    let (stored_bytes, others) = (stats.stored_bytes(), stats.metadata_bytes());
    let keys = attempt(path, || table.len())?;
    Ok(BucketStats {
        keys,
        stored_bytes,
        page_bytes: stored_bytes + others + stats.fragmented_bytes(),
        height: stats.tree_height(),
        name,
    })
}

fn copy_bucket(tx: &ReadTx, to: &redb::Database, name: &str, path: &Path) -> Result<()> {
    let bucket = tx.table(name)?;
    if bucket.table.is_none() {
        return Ok(());
    }
    let mut entries = bucket.iter()?.peekable();
    loop {
        let commit = attempt(path, || to.begin_write())?;
        {
            let table = redb::TableDefinition::<Bytes, Bytes>::new(name);
            let mut table = attempt(path, || commit.open_table(table))?;
            for entry in entries.by_ref().take(BACKUP_KEYS) {
                let (key, value) = entry?;
                attempt(path, || table.insert(&*key, &*value).map(drop))?;
            }
        }
        attempt(path, || commit.commit())?;
        if entries.peek().is_none() {
            return Ok(());
        }
    }
}

impl fmt::Display for Compaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, {} before", self.after_bytes, self.before_bytes)
    }
}
