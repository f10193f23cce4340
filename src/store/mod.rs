//! A store: named buckets of ordered keys and values, on redb.
//!
//! `opening.rs` finds and locks the file, or makes what else the bytes lie in (`backend.rs`).
//! `transactions.rs` and `bucket.rs` are what users hold, `typed.rs` and `key.rs` put types over
//! it, `cached.rs` objects in memory. `upkeep.rs` is what an operator asks for. Everything that is
//! asked of redb goes through `failure.rs`.

mod backend;
pub(crate) mod bucket;
pub(crate) mod cached;
mod failure;
pub(crate) mod file;
pub(crate) mod key;
mod names;
mod opening;
pub(crate) mod options;
mod readers;
pub(crate) mod transactions;
mod turn;
pub(crate) mod typed;
pub(crate) mod upkeep;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::{MappedRwLockReadGuard, Mutex, RwLock, RwLockReadGuard};
use redb::{Database, Durability};

use self::{
    failure::attempt,
    opening::Place,
    options::StoreOptions,
    readers::Readers,
    transactions::{ReadTx, WriteTx},
    turn::{Taken, Turn},
};
use crate::{
    disk::{
        budget::{DiskBudget, MemoryBudget},
        ticker::Ticker,
    },
    error::{Error, Result, StoreError},
};

/// Named buckets of ordered keys and values, in a file, in memory, or in memory until that is full.
///
/// Any number of transactions read, each from the store as it was when it began; one at a time
/// writes, and takes effect as a whole. A commit survives a power cut once it is durable:
/// [`StoreOptions::sync`] says when that is, by default before it returns. One process at a time
/// has the file open; [`StoreFile`](crate::StoreFile) looks at it from others, while nobody has.
///
/// | what | what happens, in a file and in memory |
/// |---|---|
/// | a bucket that does not exist is read | it is empty |
/// | it is written to | it is made |
/// | it is dropped | `false` |
/// | an empty key, an empty value | are like any others; an empty value is not a missing one |
/// | a key is put again | it has the new value |
/// | a bucket's name has 0 bytes, above 255, or a zero first | [`StoreError::BucketName`] |
/// | a bucket is opened twice in a transaction that writes | [`StoreError::BucketInUse`] |
/// | a range whose bounds cross | has no entries |
/// | the closure of a `write` fails or panics | the transaction is rolled back |
/// | a transaction is dropped | it is rolled back |
///
/// Files are those of [redb](https://docs.rs/redb), format 3: its own tools open them too, when
/// nobody else has.
///
/// # Examples
///
/// ```
/// use ringkeep::{BucketRead, Store};
///
/// # let directory = tempfile::tempdir()?;
/// let store = Store::open(directory.path().join("catalogue.redb"))?;
/// store.write(|tx| {
///     let mut sensors = tx.bucket("sensors")?;
///     sensors.put("roof/1", "temperature")?;
///     sensors.put("roof/2", "wind")?;
///     sensors.put("yard/1", "rain")
/// })?;
/// store.read(|tx| {
///     for entry in tx.bucket("sensors")?.prefix("roof/")? {
///         let (name, kind) = entry?;
///         println!("{}: {}", name.escape_ascii(), kind.escape_ascii());
///     }
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Store {
    /// Ends before the store does.
    _ticker: Option<Arc<Ticker>>,
    shared: Arc<Shared>,
}

/// What all handles and transactions of a store share.
struct Shared {
    /// Written by whoever needs it without any transaction.
    database: RwLock<Option<Database>>,
    /// Whether a call of the disk has failed: the database is of no use then.
    has_failed: Arc<AtomicBool>,
    place: Place,
    /// Of a store in memory a word for messages.
    path: PathBuf,
    options: StoreOptions,
    readers: Readers,
    turn: Turn,
    /// Commits since the last durable one.
    unsynced: AtomicU64,
    /// Held by whoever has the table of schemas open, which two threads of a transaction may want.
    schemas: Mutex<()>,
}

impl Shared {
    /// The database, for a transaction to begin, by whoever writes or by a reader.
    fn database(
        self: &Arc<Self>,
        turn: Option<&Taken>,
    ) -> Result<MappedRwLockReadGuard<'_, Database>> {
        if self.has_failed.load(Relaxed) {
            self.reopen(turn)?;
        }
        let opened = RwLockReadGuard::try_map(self.database.read(), Option::as_ref);
        opened.map_err(|_| self.poisoned())
    }

    /// Opens the database again after a call of the disk has failed, when those that were in a
    /// transaction then are gone: what was not committed is forgotten.
    #[cold]
    fn reopen(self: &Arc<Self>, turn: Option<&Taken>) -> Result<()> {
        let _turn = match turn {
            Some(_) => None,
            None => Some(Turn::take(self, Duration::ZERO).map_err(|_| self.poisoned())?),
        };
        let mut database = self.database.write();
        if !self.has_failed.load(Relaxed) {
            return Ok(());
        }
        if self.readers.count() > 0 {
            return Err(self.poisoned());
        }
        // Closed first: after a failure that stores nothing.
        self.close(&mut database);
        self.has_failed.store(false, Relaxed);
        let opened = self.place.open(&self.options, &self.path, &self.has_failed);
        self.has_failed.store(opened.is_err(), Relaxed);
        self.unsynced.store(0, Relaxed);
        *database = Some(opened?);
        Ok(())
    }

    /// What redb cannot store any more is told by the call that failed, or by `sync`.
    fn close(&self, database: &mut Option<Database>) {
        if let Some(database) = database.take() {
            let _ = attempt(&self.path, || database.close());
        }
    }

    fn poisoned(&self) -> Error {
        StoreError::Poisoned { path: self.path.clone() }.into()
    }

    /// Makes all commits durable.
    fn sync(self: &Arc<Self>) -> Result<()> {
        if self.unsynced.load(Relaxed) == 0 {
            return Ok(());
        }
        WriteTx::begin(self)?.commit_as(Durability::Immediate)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut database = self.database.get_mut().take();
        self.close(&mut database);
    }
}

impl Store {
    /// Opens the store in this file with the default options, or makes one.
    ///
    /// # Errors
    ///
    /// As [`StoreOptions::open`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// let store = ringkeep::Store::open(directory.path().join("state.redb"))?;
    /// # let _ = store;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        StoreOptions::new().open(path)
    }

    /// A store in memory: [`StoreOptions::in_memory`].
    ///
    /// # Errors
    ///
    /// None that are known.
    ///
    /// # Examples
    ///
    /// ```
    /// let store = ringkeep::Store::in_memory()?;
    /// # let _ = store;
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn in_memory() -> Result<Self> {
        StoreOptions::new().in_memory()
    }

    /// A store in memory until there is no more, then in a temporary file:
    /// [`StoreOptions::spilling`].
    ///
    /// # Errors
    ///
    /// None that are known.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{DiskBudget, MemoryBudget, Store};
    ///
    /// let store = Store::spilling(&MemoryBudget::new(8 << 20), &DiskBudget::new(1 << 30))?;
    /// # let _ = store;
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn spilling(memory: &MemoryBudget, disk: &DiskBudget) -> Result<Self> {
        StoreOptions::new().spilling(memory, disk)
    }

    /// Reads: what `f` returns, from the store as it is now.
    ///
    /// # Errors
    ///
    /// What `f` says, and what all reading says.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{BucketRead, Store};
    ///
    /// let store = Store::in_memory()?;
    /// let count = store.read(|tx| tx.bucket("b")?.len())?;
    /// assert_eq!(count, 0);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn read<R>(&self, f: impl FnOnce(&ReadTx) -> Result<R>) -> Result<R> {
        f(&self.begin_read()?)
    }

    /// Writes: what `f` does takes effect as a whole when it returns, and not at all if it fails or
    /// panics.
    ///
    /// Waits up to [`StoreOptions::lock_wait`] for another transaction that writes: one inside
    /// another one waits in vain.
    ///
    /// # Errors
    ///
    /// What `f` says, and what [`begin_write`](Self::begin_write) and
    /// [`commit`](WriteTx::commit) say.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Error, Store};
    ///
    /// let store = Store::in_memory()?;
    /// let refused = store.write(|tx| {
    ///     tx.bucket("b")?.put("key", "value")?;
    ///     Err::<(), _>(Error::Full)
    /// });
    /// assert!(refused.is_err());
    /// assert!(store.read(|tx| tx.buckets())?.is_empty());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn write<R>(&self, f: impl FnOnce(&WriteTx) -> Result<R>) -> Result<R> {
        let tx = self.begin_write()?;
        // Dropped, it is rolled back.
        let value = f(&tx)?;
        tx.commit().map(|()| value)
    }

    /// A transaction that reads, for whoever cannot do it in a closure.
    ///
    /// # Errors
    ///
    /// What all reading says.
    ///
    /// # Examples
    ///
    /// ```
    /// let tx = ringkeep::Store::in_memory()?.begin_read()?;
    /// assert!(tx.buckets()?.is_empty());
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn begin_read(&self) -> Result<ReadTx> {
        ReadTx::begin(&self.shared)
    }

    /// A transaction that writes, for whoever cannot do it in a closure.
    ///
    /// # Errors
    ///
    /// [`Writing`](crate::StoreError::Writing) if another one does not end within
    /// [`StoreOptions::lock_wait`]; [`Poisoned`](crate::StoreError::Poisoned) after an error of the
    /// disk.
    ///
    /// # Examples
    ///
    /// ```
    /// let tx = ringkeep::Store::in_memory()?.begin_write()?;
    /// tx.bucket("b")?.put("key", "value")?;
    /// tx.commit()?;
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn begin_write(&self) -> Result<WriteTx> {
        WriteTx::begin(&self.shared)
    }

    /// Makes all commits durable, whatever the policy. Dropping the last handle does it too, but
    /// cannot tell when it fails.
    ///
    /// # Errors
    ///
    /// As [`begin_write`](Self::begin_write) and [`commit`](WriteTx::commit).
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{StoreOptions, SyncPolicy};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let options = StoreOptions::new().sync(SyncPolicy::Never);
    /// let store = options.open(directory.path().join("state.redb"))?;
    /// store.write(|tx| tx.bucket("b")?.put("key", "value"))?;
    /// store.sync()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sync(&self) -> Result<()> {
        self.shared.sync()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("path", &self.path).finish_non_exhaustive()
    }
}
