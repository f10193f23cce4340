//! How a store is opened: options, then one verb.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Store, opening};
use crate::{
    disk::{
        budget::{DiskBudget, MemoryBudget},
        seam::Disk,
        sync::SyncPolicy,
        watcher::Watcher,
    },
    error::Result,
};

const CACHE_BYTES: u64 = 64 << 20;
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// How a [`Store`] is opened.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use ringkeep::{StoreOptions, SyncPolicy};
///
/// # let directory = tempfile::tempdir()?;
/// let store = StoreOptions::new()
///     .cache_bytes(16 << 20)
///     .sync(SyncPolicy::Interval(Duration::from_secs(1)))
///     .lock_wait(Duration::from_secs(30))
///     .open(directory.path().join("positions.redb"))?;
/// store.write(|tx| tx.bucket("positions")?.put("reader", 7_u64.to_be_bytes()))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub(super) cache_bytes: u64,
    pub(super) sync: SyncPolicy,
    pub(super) lock_wait: Duration,
    pub(super) checks_always: bool,
    pub(super) repair_watcher: Option<Watcher<f64>>,
    pub(super) directory: Option<PathBuf>,
    pub(super) disk: Disk,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl StoreOptions {
    /// The defaults.
    ///
    /// # Examples
    ///
    /// ```
    /// let store = ringkeep::StoreOptions::new().in_memory()?;
    /// # let _ = store;
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            cache_bytes: CACHE_BYTES,
            sync: SyncPolicy::Always,
            lock_wait: LOCK_WAIT,
            checks_always: false,
            repair_watcher: None,
            directory: None,
            disk: Disk::default(),
        }
    }

    /// Memory for pages of the file: those that were read last, and up to half of it for those that
    /// a transaction has written. Default: 64 MiB. Of a [`spilling`](Self::spilling) store a
    /// quarter of its budget, if that is less.
    ///
    /// # Examples
    ///
    /// ```
    /// let store = ringkeep::StoreOptions::new().cache_bytes(1 << 20).in_memory()?;
    /// # let _ = store;
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// When commits become durable. Default: [`SyncPolicy::Always`], before `commit` returns.
    ///
    /// A store counts commits where a ring counts records. Whatever the policy, a commit is there
    /// as a whole or not at all. Those that were not synced are only in the memory of the process:
    /// its end takes them too, and so does a call of the disk that fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{StoreOptions, SyncPolicy};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let options = StoreOptions::new().sync(SyncPolicy::EveryRecords(100));
    /// let store = options.open(directory.path().join("catalogue.redb"))?;
    /// store.write(|tx| tx.bucket("names")?.put("7", "seven"))?;
    /// store.sync()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn sync(mut self, policy: SyncPolicy) -> Self {
        self.sync = policy;
        self
    }

    /// How long `open` waits for another process to close the file, and `begin_write` for another
    /// transaction to end. Default: 10 seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use ringkeep::{Error, StoreError, StoreOptions};
    ///
    /// let store = StoreOptions::new().lock_wait(Duration::ZERO).in_memory()?;
    /// let first = store.begin_write()?;
    /// let second = store.begin_write();
    /// assert!(matches!(second, Err(Error::Store(StoreError::Writing { .. }))));
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// Reads and checks the whole file whenever it is opened, not only after a crash. A file that
    /// was changed behind a store's back is then refused, where it is found out later otherwise,
    /// or never.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// let options = ringkeep::StoreOptions::new().check_always();
    /// let store = options.open(directory.path().join("from-elsewhere.redb"))?;
    /// # let _ = store;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn check_always(mut self) -> Self {
        self.checks_always = true;
        self
    }

    /// Is told how far a repair has come, from 0 to 1. A store that was not closed is repaired when
    /// it is opened, which reads all of it.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// let store = ringkeep::StoreOptions::new()
    ///     .on_repair(|done| eprintln!("repairing: {:.0} %", done * 100.0))
    ///     .open(directory.path().join("large.redb"))?;
    /// # let _ = store;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on_repair(mut self, tell: impl Fn(f64) + Send + Sync + 'static) -> Self {
        self.repair_watcher = Some(Watcher::new(move |&done| tell(done)));
        self
    }

    /// Where a [`spilling`](Self::spilling) store makes its temporary file. Default: `TMPDIR`, or
    /// `/tmp`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{DiskBudget, MemoryBudget, StoreOptions};
    ///
    /// let options = StoreOptions::new().directory("/var/tmp");
    /// let store = options.spilling(&MemoryBudget::new(1 << 20), &DiskBudget::new(1 << 30))?;
    /// # let _ = store;
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// On a simulated disk.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn on(mut self, disk: &crate::disk::sim::SimDisk) -> Self {
        self.disk = Disk::Sim(disk.clone());
        self
    }

    /// Opens the store in this file, or makes one if there is no such file.
    ///
    /// # Errors
    ///
    /// `Locked` after [`lock_wait`](Self::lock_wait), naming the process that has it;
    /// [`NotAStore`](crate::StoreError::NotAStore),
    /// [`OtherVersion`](crate::StoreError::OtherVersion),
    /// [`Damaged`](crate::StoreError::Damaged); `NoSpace`, `ReadOnlyFileSystem`,
    /// `NetworkFileSystem`, `Io`. A file that is refused is left as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// let store = ringkeep::StoreOptions::new().open(directory.path().join("state.redb"))?;
    /// assert!(store.read(|tx| tx.buckets())?.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Store> {
        opening::open_or_make(self, path.as_ref())
    }

    /// Opens the store in this file, which must be there.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::StoreError::NotFound), and what [`open`](Self::open) says.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Error, StoreError, StoreOptions};
    ///
    /// let refused = StoreOptions::new().open_existing("/nonexistent/state.redb");
    /// assert!(matches!(refused, Err(Error::Store(StoreError::NotFound { .. }))));
    /// ```
    pub fn open_existing(&self, path: impl AsRef<Path>) -> Result<Store> {
        opening::open_existing(self, path.as_ref())
    }

    /// A store in memory: it does all that one in a file does, and ends with its last handle.
    ///
    /// # Errors
    ///
    /// None that are known.
    ///
    /// # Examples
    ///
    /// ```
    /// let store = ringkeep::StoreOptions::new().in_memory()?;
    /// store.write(|tx| tx.bucket("a")?.put("key", "value"))?;
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn in_memory(&self) -> Result<Store> {
        opening::in_memory(self)
    }

    /// A store in memory that moves to a temporary file without a name when it finds no more
    /// memory, and takes no more of the disk than there is. It ends with its last handle.
    ///
    /// A quarter of the memory, at most [`cache_bytes`](Self::cache_bytes), is its cache, which it
    /// keeps; the rest it gives back when it moves. It moves early when others who share the budget
    /// need it.
    ///
    /// # Errors
    ///
    /// None that are known: errors of the disk are told by the operation that meets them.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{DiskBudget, MemoryBudget, StoreOptions};
    ///
    /// let (memory, disk) = (MemoryBudget::new(4 << 20), DiskBudget::new(1 << 30));
    /// let store = StoreOptions::new().spilling(&memory, &disk)?;
    /// store.write(|tx| {
    ///     let mut bucket = tx.bucket("many")?;
    ///     (0..10_000_u32).try_for_each(|key| bucket.put(key.to_be_bytes(), [7; 1000]))
    /// })?;
    /// assert!(memory.used() <= memory.bytes() && disk.used() > 0);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn spilling(&self, memory: &MemoryBudget, disk: &DiskBudget) -> Result<Store> {
        opening::spilling(self, memory, disk)
    }
}
