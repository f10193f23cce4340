//! How a ring of a given shape is made or opened: options, then one verb.

use std::path::Path;

use super::{
    archive::Archive,
    choices::{Io, Prefetch},
    create::{Blueprint, create},
    lookup::{Geometry, Sharding},
    opening::WriteOptions,
    producer::Producer,
    schema::Schema,
};
use crate::{
    disk::sync::SyncPolicy,
    error::{Error, Result},
};

const SHARD_BYTES_DEFAULT: u64 = 256 << 20;
const MODE_DEFAULT: u32 = 0o640;

/// Shape and policy of a ring to create, or to open if it has that shape.
///
/// A record takes `record_size + 4` bytes of disk. Sizes that divide a page well are fastest: 124
/// gives slots of 128 bytes, 4092 whole pages.
///
/// # Examples
///
/// ```
/// use ringkeep::{RingOptions, SyncPolicy};
/// use std::time::Duration;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("cache.dat");
/// let options = RingOptions::new(124, 100_000)
///     .shards(4)
///     .sync(SyncPolicy::Interval(Duration::from_secs(1)));
/// let mut producer = options.open_or_create(&path)?;
/// producer.append(&[0; 124])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct RingOptions {
    record_size: usize,
    capacity: u64,
    sharding: Option<Sharding>,
    mode: u32,
    schema: Option<Box<str>>,
    write: WriteOptions,
}

impl RingOptions {
    /// A ring that keeps the last `capacity` records of `record_size` bytes each.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(ringkeep::RingOptions::new(128, 1 << 20).geometry().is_ok());
    /// ```
    #[must_use]
    pub fn new(record_size: usize, capacity: u64) -> Self {
        Self {
            record_size,
            capacity,
            sharding: None,
            mode: MODE_DEFAULT,
            schema: None,
            write: WriteOptions::new(),
        }
    }

    /// Bytes of slots in each file, at least one slot. Default: 256 MiB.
    ///
    /// # Examples
    ///
    /// ```
    /// let geometry = ringkeep::RingOptions::new(60, 1000).shard_bytes(64 << 10).geometry()?;
    /// assert_eq!((geometry.slots_per_shard, geometry.shards), (1024, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn shard_bytes(mut self, bytes: u64) -> Self {
        self.sharding = Some(Sharding::Bytes(bytes));
        self
    }

    /// At most so many files of equal size, instead of a size for each.
    ///
    /// # Examples
    ///
    /// ```
    /// let geometry = ringkeep::RingOptions::new(60, 1000).shards(5).geometry()?;
    /// assert_eq!((geometry.slots_per_shard, geometry.shards), (225, 5));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn shards(mut self, count: u32) -> Self {
        self.sharding = Some(Sharding::Count(count));
        self
    }

    /// Permissions of new files, less the umask. Default: `0o640`. The owner may always read and
    /// write them, or there would be no producer.
    ///
    /// Whoever may read the files may read the ring; nobody needs to write them but the producer.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::RingOptions::new(60, 1000).mode(0o644);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode | 0o600;
        self
    }

    /// When records are made durable. Default: [`SyncPolicy::Never`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{RingOptions, SyncPolicy};
    ///
    /// let options = RingOptions::new(60, 1000).sync(SyncPolicy::Always);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn sync(mut self, policy: SyncPolicy) -> Self {
        self.write = self.write.sync(policy);
        self
    }

    /// How its bytes are read and written; see [`Io`]. Default: [`Io::Mapped`].
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::RingOptions::new(60, 1000).io(ringkeep::Io::File);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn io(mut self, io: Io) -> Self {
        self.write = self.write.io(io);
        self
    }

    /// Bytes of the archive that may be resident in this process, and dirty in the page cache; see
    /// [`WriteOptions::resident_budget`]. Default: no limit.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::RingOptions::new(60, 1 << 30).resident_budget(64 << 20);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn resident_budget(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.write = self.write.resident_budget(bytes);
        self
    }

    /// Whether walks and tailers read ahead; see [`Prefetch`]. Default: [`Prefetch::Adaptive`].
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::RingOptions::new(60, 1000).prefetch(ringkeep::Prefetch::Off);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn prefetch(mut self, prefetch: Prefetch) -> Self {
        self.write = self.write.prefetch(prefetch);
        self
    }

    /// Names the columns of a record, in one line of at most 2048 bytes that is kept with the ring;
    /// see [`Schema`]. Default: none.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::RingOptions::new(12, 1000).schema("t:time_ns, temp:f32[C]");
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn schema(mut self, text: &str) -> Self {
        self.schema = Some(text.into());
        self
    }

    /// Uses a simulated disk instead of the operating system's.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn on(mut self, disk: &crate::disk::sim::SimDisk) -> Self {
        self.write = self.write.on(disk);
        self
    }

    /// The smallest budget there is, on an archive of any size: each slot is stored through a
    /// mapping of three or so, and few may be dirty.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn smallest_budget(self) -> Self {
        self.resident_budget(super::budget::SMALLEST)
    }

    /// Counts what is read from the files of this archive.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn metered(mut self, meter: &crate::disk::meter::Meter) -> Self {
        self.write = self.write.metered(meter);
        self
    }

    /// As `WriteOptions::boot_id`.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn boot_id(mut self, boot: [u64; 2]) -> Self {
        self.write = self.write.boot_id(boot);
        self
    }

    /// The shape that these options give; nothing is touched.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOptions`] says which number makes no ring.
    ///
    /// # Examples
    ///
    /// ```
    /// let geometry = ringkeep::RingOptions::new(124, 1000).geometry()?;
    /// assert!(geometry.bytes_on_disk() > 1000 * 128);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn geometry(&self) -> Result<Geometry> {
        let sharding = self.sharding.unwrap_or(Sharding::Bytes(SHARD_BYTES_DEFAULT));
        Ok(Geometry::new(self.record_size as u64, self.capacity, sharding)?)
    }

    /// Makes a new archive: `path`, and `path.1`, `path.2`, .. if it has several files.
    ///
    /// All its space is allocated before it appears under its name. A crash or a failure in between
    /// leaves no archive, and nothing that a later creation does not clear away.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`], [`Error::InvalidOptions`], [`Error::NoSpace`], [`Error::Locked`]
    /// when somebody else is creating it, [`Error::LeftoverShard`], [`Error::NetworkFileSystem`],
    /// [`Error::ReadOnlyFileSystem`], [`Error::Io`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Error, RingOptions};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// let producer = RingOptions::new(124, 1000).create(&path)?;
    /// let again = RingOptions::new(124, 1000).create(&path);
    /// assert!(matches!(again, Err(Error::AlreadyExists { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(&self, path: impl AsRef<Path>) -> Result<Producer> {
        let blueprint = self.blueprint()?;
        let opening = self.write.opening();
        let (archive, made) = create(&self.write.disk, path.as_ref(), &blueprint, opening)?;
        let producer = Producer::start(archive, self.write.policy)?;
        made.keep();
        Ok(producer)
    }

    /// Opens an archive that has this record size and capacity; and these files and this schema,
    /// where they were set.
    ///
    /// # Errors
    ///
    /// [`Error::GeometryMismatch`] or [`Error::SchemaMismatch`] tell both sides; otherwise as
    /// [`Producer::open`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Error, RingOptions};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// RingOptions::new(124, 1000).create(&path)?.close()?;
    /// let other = RingOptions::new(124, 2000).open(&path);
    /// assert!(matches!(other, Err(Error::GeometryMismatch { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Producer> {
        let expected = self.blueprint()?;
        let archive = Archive::open(&self.write.disk, path.as_ref(), self.write.opening())?;
        self.check_same(&archive, &expected)?;
        Producer::start(archive, self.write.policy)
    }

    /// Opens the archive if there is one, and creates it otherwise.
    ///
    /// # Errors
    ///
    /// As [`RingOptions::open`] and [`RingOptions::create`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// for expected in 0..3 {
    ///     let mut producer = ringkeep::RingOptions::new(2, 10).open_or_create(&path)?;
    ///     assert_eq!(producer.append(b"hi")?, expected);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(&self, path: impl AsRef<Path>) -> Result<Producer> {
        let path = path.as_ref();
        match self.open(path) {
            Err(Error::NotFound { .. }) => match self.create(path) {
                // Somebody else was faster.
                Err(Error::AlreadyExists { .. }) => self.open(path),
                created => created,
            },
            opened => opened,
        }
    }

    fn blueprint(&self) -> Result<Blueprint> {
        if let Some(text) = &self.schema {
            Schema::of_records(text, self.record_size)?;
        }
        let schema = self.schema.clone().unwrap_or_default();
        Ok(Blueprint { geometry: self.geometry()?, schema, mode: self.mode })
    }

    fn check_same(&self, archive: &Archive, expected: &Blueprint) -> Result<()> {
        let path = &archive.path;
        let (found, wanted) = (*archive.geometry(), expected.geometry);
        let same_files = self.sharding.is_none() || found == wanted;
        let same_records =
            (found.record_size, found.capacity) == (wanted.record_size, wanted.capacity);
        if !same_files || !same_records {
            return Err(Error::GeometryMismatch { path: path.clone(), found, expected: wanted });
        }
        let (found, wanted) = (&archive.identity.schema, &expected.schema);
        // Compared as columns: spaces make no other schema.
        if self.schema.is_some() && archive.schema != wanted.parse().ok() {
            let (found, expected) = (found.clone(), wanted.clone());
            return Err(Error::SchemaMismatch { path: path.clone(), found, expected });
        }
        Ok(())
    }
}
