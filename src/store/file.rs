//! A store that is looked at from outside.

use std::{fmt, path::Path};

use super::{
    Store, opening,
    options::StoreOptions,
    transactions::ReadTx,
    upkeep::{StoreStats, StoreVerifyReport},
};
use crate::error::Result;

/// A store's file, for whoever only looks at it: nothing in it is changed, not even to repair it
/// after a crash.
///
/// Any number of processes can look at it at once, and no one can open it to write meanwhile.
///
/// # Examples
///
/// ```
/// use ringkeep::{BucketRead, Store, StoreFile};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("state.redb");
/// Store::open(&path)?.write(|tx| tx.bucket("b")?.put("key", "value"))?;
/// let file = StoreFile::open(&path)?;
/// assert_eq!(file.read(|tx| tx.bucket("b")?.len())?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct StoreFile {
    store: Store,
}

impl StoreFile {
    /// Opens the file. One that was not closed is repaired in memory, which reads all of it.
    ///
    /// # Errors
    ///
    /// `Locked`: a process has it open to write; [`NotFound`](crate::StoreError::NotFound),
    /// [`NotAStore`](crate::StoreError::NotAStore),
    /// [`OtherVersion`](crate::StoreError::OtherVersion),
    /// [`Damaged`](crate::StoreError::Damaged); `NetworkFileSystem`, `Io`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Error, StoreError, StoreFile};
    ///
    /// let refused = StoreFile::open("/nonexistent/state.redb");
    /// assert!(matches!(refused, Err(Error::Store(StoreError::NotFound { .. }))));
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(&StoreOptions::new().lock_wait(std::time::Duration::ZERO), path)
    }

    /// Opens the file with options: those about the cache, the wait for the lock and the checks
    /// count.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Store, StoreFile, StoreOptions};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("state.redb");
    /// drop(Store::open(&path)?);
    /// let file = StoreFile::open_with(&StoreOptions::new().cache_bytes(1 << 20), &path)?;
    /// # let _ = file;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_with(options: &StoreOptions, path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { store: opening::look(options, path.as_ref())? })
    }

    /// As [`Store::read`].
    ///
    /// # Errors
    ///
    /// What `f` says, and what all reading says.
    ///
    /// # Examples
    ///
    /// See [`StoreFile`].
    pub fn read<R>(&self, f: impl FnOnce(&ReadTx) -> Result<R>) -> Result<R> {
        self.store.read(f)
    }

    /// As [`Store::begin_read`].
    ///
    /// # Errors
    ///
    /// What all reading says.
    ///
    /// # Examples
    ///
    /// See [`Store::begin_read`].
    pub fn begin_read(&self) -> Result<ReadTx> {
        self.store.begin_read()
    }

    /// As [`Store::stats`].
    ///
    /// # Errors
    ///
    /// What all reading says.
    ///
    /// # Examples
    ///
    /// See [`Store::stats`].
    pub fn stats(&self) -> Result<StoreStats> {
        self.store.stats()
    }

    /// As [`Store::verify`]; what it repairs is repaired in memory.
    ///
    /// # Errors
    ///
    /// As [`Store::verify`].
    ///
    /// # Examples
    ///
    /// See [`Store::verify`].
    pub fn verify(&self) -> Result<StoreVerifyReport> {
        self.store.verify()
    }

    /// As [`Store::backup_to`].
    ///
    /// # Errors
    ///
    /// As [`Store::backup_to`].
    ///
    /// # Examples
    ///
    /// See [`Store::backup_to`].
    pub fn backup_to(&self, path: impl AsRef<Path>) -> Result<()> {
        self.store.backup_to(path)
    }
}

impl fmt::Debug for StoreFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreFile").field("store", &self.store).finish()
    }
}
