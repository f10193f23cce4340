//! How an archive that exists is opened, whatever its geometry.

use std::path::Path;

use super::{
    archive::Archive,
    choices::{Io, Opening, Prefetch},
    producer::Producer,
    reader::Ring,
};
#[cfg(doc)]
use crate::error::Error;
use crate::{
    disk::{
        seam::{Access, Disk},
        sync::SyncPolicy,
    },
    error::Result,
};

/// How an archive is opened for writing, whatever its geometry.
///
/// # Examples
///
/// ```
/// use ringkeep::{SyncPolicy, WriteOptions};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("cache.dat");
/// # ringkeep::RingOptions::new(5, 100).create(&path)?.close()?;
/// let options = WriteOptions::new().sync(SyncPolicy::Always).resident_budget(1 << 20);
/// let mut producer = options.open(&path)?;
/// assert_eq!(producer.append(b"12345")?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    pub(crate) policy: SyncPolicy,
    pub(crate) disk: Disk,
    io: Io,
    resident_budget: Option<u64>,
    prefetch: Prefetch,
}

impl WriteOptions {
    /// The defaults: a shared mapping, no budget, [`SyncPolicy::Never`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(ringkeep::WriteOptions::new().open("/nonexistent").is_err());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// When records are made durable. Default: [`SyncPolicy::Never`].
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::WriteOptions::new().sync(ringkeep::SyncPolicy::Always);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn sync(mut self, policy: SyncPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// How its bytes are read and written; see [`Io`]. Default: [`Io::Mapped`].
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::WriteOptions::new().io(ringkeep::Io::File);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn io(mut self, io: Io) -> Self {
        self.io = io;
        self
    }

    /// Bytes of the archive that may be resident in this process at any moment, and dirty in the
    /// page cache: for the producer, and for all readers that it hands out. Default: no limit.
    ///
    /// With a budget that is smaller than the archive, the producer stores through a mapping of at
    /// most 2 MiB that moves on with it, and waits where the disk takes longer to write than half
    /// the budget lasts; what an earlier producer left dirty is written when it opens. Readers map
    /// no slots; a [`view`](crate::Ring::view) is a copy. Their buffers (64 KiB or one record for
    /// each walk) are not counted. A budget that the whole archive fits into changes nothing.
    ///
    /// The kernel counts as dirty whole folios, up to 2 MiB for one changed byte. From 16 MiB on
    /// its count stays within the budget; below that, the bytes that were changed do.
    ///
    /// # Errors
    ///
    /// [`Error::BudgetTooSmall`] when it is opened: the pages and four slots must fit.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::WriteOptions::new().resident_budget(64 << 20);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn resident_budget(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.resident_budget = bytes.into();
        self
    }

    /// Whether walks and tailers read ahead; see [`Prefetch`]. Default: [`Prefetch::Adaptive`].
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::WriteOptions::new().prefetch(ringkeep::Prefetch::Off);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn prefetch(mut self, prefetch: Prefetch) -> Self {
        self.prefetch = prefetch;
        self
    }

    /// Uses a simulated disk instead of the operating system's.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn on(mut self, disk: &crate::disk::sim::SimDisk) -> Self {
        self.disk = Disk::Sim(disk.clone());
        self
    }

    /// Counts what is read from the files of this archive.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn metered(mut self, meter: &crate::disk::meter::Meter) -> Self {
        self.disk = self.disk.metered(meter);
        self
    }

    /// Takes this for the boot that the machine is in, on a real disk: another one is a power cut
    /// later. Only one boot writes an archive at a time.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn boot_id(mut self, boot: [u64; 2]) -> Self {
        self.disk = self.disk.booted_as(boot);
        self
    }

    /// As `RingOptions::smallest_budget`.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn smallest_budget(self) -> Self {
        self.resident_budget(super::budget::SMALLEST)
    }

    /// Opens an archive for writing; see [`Producer::open`].
    ///
    /// # Errors
    ///
    /// As [`Producer::open`], and [`Error::BudgetTooSmall`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// # ringkeep::RingOptions::new(5, 100).create(&path)?.close()?;
    /// let mut producer = ringkeep::WriteOptions::new().io(ringkeep::Io::File).open(&path)?;
    /// assert_eq!(producer.append(b"12345")?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Producer> {
        let archive = Archive::open(&self.disk, path.as_ref(), self.opening())?;
        Producer::start(archive, self.policy)
    }

    pub(crate) fn opening(&self) -> Opening {
        Opening {
            access: Access::Write,
            io: self.io,
            resident_budget: self.resident_budget,
            prefetch: self.prefetch,
        }
    }
}

/// How an archive is opened for reading.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("cache.dat");
/// # ringkeep::RingOptions::new(5, 100).create(&path)?.close()?;
/// let ring = ringkeep::ReadOptions::new().open(&path)?;
/// assert_eq!(ring.next_id()?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    io: Io,
    resident_budget: Option<u64>,
    prefetch: Prefetch,
    disk: Disk,
}

impl ReadOptions {
    /// The defaults: a shared mapping, read only.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::ReadOptions::new();
    /// assert!(options.open("/nonexistent").is_err());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How its bytes are read. Default: [`Io::Mapped`].
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::ReadOptions::new().io(ringkeep::Io::File);
    /// assert!(options.open("/nonexistent").is_err());
    /// ```
    #[must_use]
    pub fn io(mut self, io: Io) -> Self {
        self.io = io;
        self
    }

    /// Bytes of the archive that may be resident in this process at any moment. Default: no limit.
    ///
    /// With a budget that is smaller than the archive no slots are mapped, so that no more than the
    /// first pages of `cache.dat` can ever be resident: 20 KiB, or a record's size if that is more.
    /// Buffers of readers (64 KiB or one record for each walk) are not counted.
    ///
    /// # Errors
    ///
    /// [`Error::BudgetTooSmall`] when it is opened: the pages must fit.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// # ringkeep::RingOptions::new(5, 100).create(&path)?.close()?;
    /// let ring = ringkeep::ReadOptions::new().resident_budget(64 << 20).open(&path)?;
    /// assert_eq!(ring.next_id()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn resident_budget(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.resident_budget = bytes.into();
        self
    }

    /// Whether walks and tailers read ahead; see [`Prefetch`]. Default: [`Prefetch::Adaptive`].
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::ReadOptions::new().prefetch(ringkeep::Prefetch::Off);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn prefetch(mut self, prefetch: Prefetch) -> Self {
        self.prefetch = prefetch;
        self
    }

    /// Uses a simulated disk instead of the operating system's.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn on(mut self, disk: &crate::disk::sim::SimDisk) -> Self {
        self.disk = Disk::Sim(disk.clone());
        self
    }

    /// As `WriteOptions::boot_id`.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn boot_id(mut self, boot: [u64; 2]) -> Self {
        self.disk = self.disk.booted_as(boot);
        self
    }

    /// As `RingOptions::smallest_budget`: no slots are mapped.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn smallest_budget(self) -> Self {
        self.resident_budget(super::budget::SMALLEST)
    }

    /// Opens an archive for reading, in any process, beside its producer or without one.
    ///
    /// Only read permission is needed, and nothing is ever written.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and what is wrong with the files: [`Error::NotAnArchive`],
    /// [`Error::NewerFormat`], [`Error::Truncated`], [`Error::MissingShard`],
    /// [`Error::MixedShards`], [`Error::Damaged`]; [`Error::NetworkFileSystem`], [`Error::Io`];
    /// and [`Error::BudgetTooSmall`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// # let mut producer = ringkeep::RingOptions::new(5, 100).create(&path)?;
    /// # producer.append(b"12345")?;
    /// let ring = ringkeep::ReadOptions::new().open(&path)?;
    /// assert_eq!(ring.read(0)?.record()?, b"12345");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Ring> {
        let opening = Opening {
            access: Access::Read,
            io: self.io,
            resident_budget: self.resident_budget,
            prefetch: self.prefetch,
        };
        let archive = Archive::open(&self.disk, path.as_ref(), opening)?;
        // Refuses an archive whose pages make no sense, now rather than at the first read.
        archive.view()?;
        Ok(Ring::of(archive.into()))
    }
}
