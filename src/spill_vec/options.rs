//! How a vector is made: options, then one verb.

use std::path::{Path, PathBuf};

use super::{
    SpillVec,
    frozen::FrozenVec,
    measure::{Measure, Sampler},
    store::{Shape, Store},
};
use crate::{
    disk::{
        budget::{DiskBudget, MemoryBudget},
        codec::{Codec, Postcard},
        compression::Compression,
        mem_size::MemSize,
        scratch::{Scratch, SpillWarning},
        seam::Disk,
        segment::check_name,
    },
    error::Result,
};

const MEMORY_BYTES: u64 = 64 << 20;
/// Small, because a random read takes all of a frame.
const FRAME_BYTES: usize = 4 << 10;
/// Large, because items become smaller together.
const PACKED_FRAME_BYTES: usize = 64 << 10;
const FRAME_BYTES_MAX: usize = 16 << 20;

/// How a [`SpillVec`] is made.
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, Compression, SpillVecOptions};
///
/// # let directory = tempfile::tempdir()?;
/// let options = SpillVecOptions::new(Bytes)
///     .memory_bytes(1 << 20)
///     .directory(directory.path())
///     .compression(Compression::Lz4);
/// let mut vec = options.build()?;
/// for count in 0..10_000_u32 {
///     vec.push(format!("line {count} of a long text").into_bytes())?;
/// }
/// assert_eq!(vec.get(9_999)?.as_deref(), Some(&b"line 9999 of a long text".to_vec()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SpillVecOptions<C = Postcard> {
    codec: C,
    tag: Box<str>,
    memory_bytes: u64,
    memory_budget: Option<MemoryBudget>,
    disk_bytes_max: u64,
    disk_budget: Option<DiskBudget>,
    directory: Option<PathBuf>,
    frame_bytes: Option<usize>,
    compression: Compression,
    disk: Disk,
}

/// What a vector goes by.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) disk: Disk,
    directory: PathBuf,
    pub(super) shape: Shape,
    pub(super) tag: Box<str>,
    /// Of this vector alone.
    own_disk: DiskBudget,
    shared_disk: Option<DiskBudget>,
}

impl Settings {
    /// A store in a scratch file of its own, within the limits on the disk.
    pub(super) fn store(&self) -> Result<Store> {
        let limits = [Some(&self.own_disk), self.shared_disk.as_ref()];
        let limits: Vec<_> = limits.into_iter().flatten().collect();
        let scratch = Scratch::unnamed(&self.disk, &self.directory, &limits)?;
        Store::new(&self.disk, scratch, 0, self.shape)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }
}

impl<C> SpillVecOptions<C> {
    /// A vector whose items become bytes by this codec, once they leave memory.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::SpillVecOptions::new(ringkeep::Bytes);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn new(codec: C) -> Self {
        Self {
            codec,
            tag: "".into(),
            memory_bytes: MEMORY_BYTES,
            memory_budget: None,
            disk_bytes_max: u64::MAX,
            disk_budget: None,
            directory: None,
            frame_bytes: None,
            compression: Compression::None,
            disk: Disk::default(),
        }
    }

    /// Memory that items take before they move to the disk, and that sorting takes. Default:
    /// 64 MiB; 0 keeps all of them on the disk.
    ///
    /// Counted are the items' places in the row and what they have on the heap, exactly with
    /// [`build_exact`](Self::build_exact), else by samples. What is beside it: the index of what is
    /// on the disk, under half a byte for an item of 200 bytes, and about 0.5 MiB of buffers.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::SpillVecOptions::new(ringkeep::Bytes).memory_bytes(1 << 20);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Memory that this vector shares with other structures: it takes no more than its own
    /// [`memory_bytes`](Self::memory_bytes), and moves to the disk where others have the rest.
    /// What it has it keeps until it moves itself. Default: none is shared.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, MemoryBudget, SpillVecOptions};
    ///
    /// let budget = MemoryBudget::new(64 << 20);
    /// let options = SpillVecOptions::new(Bytes).memory_budget(&budget);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn memory_budget(mut self, budget: &MemoryBudget) -> Self {
        self.memory_budget = Some(budget.clone());
        self
    }

    /// Disk that the vector takes at most; sorting takes as much again as the items have. Default:
    /// as much as there is.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::SpillVecOptions::new(ringkeep::Bytes).disk_bytes_max(1 << 30);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn disk_bytes_max(mut self, bytes: u64) -> Self {
        self.disk_bytes_max = bytes;
        self
    }

    /// Disk that this vector shares with other structures. Default: none is shared.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, DiskBudget, SpillVecOptions};
    ///
    /// let budget = DiskBudget::new(1 << 30);
    /// let options = SpillVecOptions::new(Bytes).disk_budget(&budget);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn disk_budget(mut self, budget: &DiskBudget) -> Self {
        self.disk_budget = Some(budget.clone());
        self
    }

    /// Where temporary files are made, once there are any; it has to exist. Default: where the
    /// system has them (`TMPDIR`, or `/tmp`).
    ///
    /// On many systems that is a `tmpfs`, whose files take memory: [`warning`](Self::warning) tells
    /// so.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::SpillVecOptions::new(ringkeep::Bytes).directory("/var/tmp");
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Bytes of items that are stored, checked and compressed together: a random read takes as
    /// many. Default: 4 KiB; where they are compressed 64 KiB. At most 16 MiB; a longer item is
    /// stored alone.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::SpillVecOptions::new(ringkeep::Bytes).frame_bytes(16 << 10);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn frame_bytes(mut self, bytes: usize) -> Self {
        self.frame_bytes = Some(bytes);
        self
    }

    /// How what lies on the disk is made smaller. Default: [`Compression::None`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, Compression, SpillVecOptions};
    ///
    /// let options = SpillVecOptions::new(Bytes).compression(Compression::Lz4);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Names what the items are, in at most 64 bytes: a frozen file is only opened with the tag
    /// that it was written with. Default: none.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::SpillVecOptions::new(ringkeep::Bytes).tag("programmes, version 2");
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn tag(mut self, tag: impl Into<Box<str>>) -> Self {
        self.tag = tag.into();
        self
    }

    /// On a simulated disk.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn on(mut self, disk: &crate::disk::sim::SimDisk) -> Self {
        self.disk = Disk::Sim(disk.clone());
        self
    }

    /// What is unwise about the directory, if something is: asked before there is a file.
    ///
    /// # Errors
    ///
    /// `Io`: the directory cannot be looked at.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, SpillVecOptions, SpillWarning};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let options = SpillVecOptions::new(Bytes).directory(directory.path());
    /// if let Some(SpillWarning::MemoryFileSystem { directory }) = options.warning()? {
    ///     println!("items that leave memory for {} do not", directory.display());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn warning(&self) -> Result<Option<SpillWarning>> {
        SpillWarning::of(&self.disk, self.directory_or_default())
    }

    /// Makes an empty vector, which finds out what items have on the heap by encoding some of them.
    ///
    /// # Errors
    ///
    /// `InvalidTag`.
    ///
    /// # Examples
    ///
    /// ```
    /// let vec = ringkeep::SpillVecOptions::new(ringkeep::Bytes).build::<Vec<u8>>()?;
    /// assert!(vec.is_empty());
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn build<T>(&self) -> Result<SpillVec<T, C>>
    where
        C: Codec<T> + Clone,
    {
        self.check_names()?;
        Ok(self.clone().into_vec(Measure::Sampled(Sampler::default())))
    }

    /// Makes an empty vector whose items tell what they have on the heap.
    ///
    /// # Errors
    ///
    /// `InvalidTag`.
    ///
    /// # Examples
    ///
    /// ```
    /// let vec = ringkeep::SpillVecOptions::new(ringkeep::Bytes).build_exact::<Vec<u8>>()?;
    /// assert!(vec.stats().is_exact);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn build_exact<T: MemSize>(&self) -> Result<SpillVec<T, C>>
    where
        C: Codec<T> + Clone,
    {
        self.check_names()?;
        Ok(self.clone().into_vec(Measure::Exact(T::heap_bytes)))
    }

    /// Opens a file that [`SpillVec::persist`] wrote, with this codec and tag; other options do
    /// not matter.
    ///
    /// # Errors
    ///
    /// `NotAFrozenVec`, `Truncated`, `Damaged`, `NewerFormat`, `UnknownCompression`,
    /// `CodecMismatch`, `InvalidTag`, `Io`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, SpillVecOptions};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("frozen");
    /// let options = SpillVecOptions::new(Bytes).tag("lines");
    /// let mut vec = options.build()?;
    /// vec.push(b"a line".to_vec())?;
    /// vec.persist(&path)?;
    /// assert_eq!(options.open_frozen(&path)?.get(0)?, Some(b"a line".to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_frozen<T>(&self, path: impl AsRef<Path>) -> Result<FrozenVec<T, C>>
    where
        C: Codec<T> + Clone,
    {
        self.check_names()?;
        FrozenVec::open_with(&self.disk, path.as_ref(), self.codec.clone(), &self.tag)
    }

    /// Whether codec and tag can be stored.
    fn check_names<T>(&self) -> Result<()>
    where
        C: Codec<T>,
    {
        check_name(self.codec.name())?;
        check_name(&self.tag)
    }

    pub(super) fn into_vec<T>(self, measure: Measure<T>) -> SpillVec<T, C>
    where
        C: Codec<T>,
    {
        let frame_bytes = match self.compression {
            Compression::None => FRAME_BYTES,
            _ => PACKED_FRAME_BYTES,
        };
        let frame_bytes = self.frame_bytes.unwrap_or(frame_bytes).min(FRAME_BYTES_MAX);
        let settings = Settings {
            directory: self.directory_or_default(),
            disk: self.disk,
            shape: Shape { frame_bytes, compression: self.compression },
            tag: self.tag,
            own_disk: DiskBudget::new(self.disk_bytes_max),
            shared_disk: self.disk_budget,
        };
        SpillVec::of(self.codec, settings, measure, self.memory_bytes, self.memory_budget.as_ref())
    }

    fn directory_or_default(&self) -> PathBuf {
        self.directory.clone().unwrap_or_else(std::env::temp_dir)
    }
}
