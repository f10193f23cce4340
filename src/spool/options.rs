//! How a spool is made: options, then one verb.

use std::path::{Path, PathBuf};

use super::{Spool, stats::SpoolProgress};
use crate::{
    disk::{
        budget::{DiskBudget, MemoryBudget},
        scratch::SpillWarning,
        seam::Disk,
        watcher::Watcher,
    },
    error::Result,
};

const MEMORY_BYTES: u64 = 64 << 20;

/// What happens where the next part does not come: it has failed, or the spool is finished and
/// nobody writes it.
///
/// # Examples
///
/// ```
/// use ringkeep::{Error, GapPolicy, SpoolOptions};
///
/// let options = SpoolOptions::new();
/// let (strict, lenient) = (options.build(), options.clone().gaps(GapPolicy::Skip).build());
/// for spool in [&strict, &lenient] {
///     spool.put(1, b"the second one")?;
///     spool.finish(2)?;
/// }
/// let mut out = Vec::new();
/// assert!(matches!(strict.merge_into(&mut out), Err(Error::PartMissing { part: 0, .. })));
/// assert_eq!(lenient.merge_into(&mut out)?, 14);
/// # Ok::<(), ringkeep::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GapPolicy {
    /// An error says so; once the part is there after all, it goes on.
    #[default]
    Error,
    /// The part is passed over, and can no longer be written once it was by a
    /// [`Drain`](crate::Drain).
    Skip,
    /// Somebody will try again: it waits.
    Wait,
}

/// How a [`Spool`] is made.
///
/// # Examples
///
/// ```
/// use ringkeep::SpoolOptions;
///
/// # let directory = tempfile::tempdir()?;
/// let spool = SpoolOptions::new()
///     .memory_bytes(1 << 20)
///     .directory(directory.path())
///     .disk_bytes_max(1 << 30)
///     .build();
/// spool.put(0, &[7; 5_000_000])?;
/// assert!(spool.stats().resident_bytes <= 1 << 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SpoolOptions {
    pub(super) memory_bytes: u64,
    pub(super) memory_budget: Option<MemoryBudget>,
    disk_bytes_max: u64,
    disk_budget: Option<DiskBudget>,
    directory: Option<PathBuf>,
    pub(super) tag: Box<str>,
    pub(super) gaps: GapPolicy,
    pub(super) watcher: Option<Watcher<SpoolProgress>>,
    pub(super) disk: Disk,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl SpoolOptions {
    /// The defaults.
    ///
    /// # Examples
    ///
    /// ```
    /// let spool = ringkeep::SpoolOptions::new().build();
    /// # let _ = spool;
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            memory_bytes: MEMORY_BYTES,
            memory_budget: None,
            disk_bytes_max: u64::MAX,
            disk_budget: None,
            directory: None,
            tag: "".into(),
            gaps: GapPolicy::Error,
            watcher: None,
            disk: Disk::default(),
        }
    }

    /// Memory that the bytes of parts take at most: what exceeds it goes to the disk, the parts
    /// that are needed last first. Default: 64 MiB.
    ///
    /// Each part that is being written has up to 64 KiB of it in any case. Beyond it are one piece
    /// of 64 KiB for each reader, about 400 bytes for each part that is there, and 24 bytes for
    /// each 64 KiB of it.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::SpoolOptions::new().memory_bytes(8 << 20);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Memory that this spool shares with other structures: it takes no more than its own
    /// [`memory_bytes`](Self::memory_bytes), and gives some of it up when others need it. Default:
    /// none is shared.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{MemoryBudget, SpoolOptions};
    ///
    /// let options = SpoolOptions::new().memory_budget(&MemoryBudget::new(64 << 20));
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn memory_budget(mut self, budget: &MemoryBudget) -> Self {
        self.memory_budget = Some(budget.clone());
        self
    }

    /// Disk that the spool takes at most; a write that finds no more is refused, and can be tried
    /// again when parts were drained. Default: as much as there is.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::SpoolOptions::new().disk_bytes_max(1 << 30);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn disk_bytes_max(mut self, bytes: u64) -> Self {
        self.disk_bytes_max = bytes;
        self
    }

    /// Disk that this spool shares with other structures. Default: none is shared.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{DiskBudget, SpoolOptions};
    ///
    /// let options = SpoolOptions::new().disk_budget(&DiskBudget::new(1 << 30));
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn disk_budget(mut self, budget: &DiskBudget) -> Self {
        self.disk_budget = Some(budget.clone());
        self
    }

    /// Where the temporary file is made, once there is one; it has to exist. Default: where the
    /// system has them (`TMPDIR`, or `/tmp`).
    ///
    /// On many systems that is a `tmpfs`, whose files take memory: [`warning`](Self::warning) tells
    /// so.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::SpoolOptions::new().directory("/var/tmp");
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Names what the parts are, in at most 64 bytes: a spool that outlives its process is only
    /// opened with the tag that it was made with. Default: none.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Error, SpoolOptions};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("video.parts");
    /// let options = SpoolOptions::new();
    /// drop(options.clone().tag("one video").resume(&path)?);
    /// let refused = options.tag("another video").resume(&path);
    /// assert!(matches!(refused, Err(Error::CodecMismatch { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn tag(mut self, tag: impl Into<Box<str>>) -> Self {
        self.tag = tag.into();
        self
    }

    /// What happens where a part does not come. Default: [`GapPolicy::Error`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{GapPolicy, SpoolOptions};
    ///
    /// let options = SpoolOptions::new().gaps(GapPolicy::Skip);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn gaps(mut self, policy: GapPolicy) -> Self {
        self.gaps = policy;
        self
    }

    /// Is called when a part has become complete, and when parts begin to move to the disk: by the
    /// thread that brought it about, which may use the spool in it. Of several threads the later
    /// one may be told first. Default: nobody is told.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::SpoolOptions;
    ///
    /// let options = SpoolOptions::new()
    ///     .on_progress(|now| eprintln!("{} parts in {}", now.parts, now.storage));
    /// options.build().put(0, b"bytes")?;
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn on_progress(mut self, tell: impl Fn(&SpoolProgress) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Watcher::new(tell));
        self
    }

    /// On a simulated disk.
    #[cfg(feature = "test-util")]
    #[must_use]
    pub fn on(mut self, disk: &crate::disk::sim::SimDisk) -> Self {
        self.disk = Disk::Sim(disk.clone());
        self
    }

    /// What is unwise about the directory, if something is.
    ///
    /// # Errors
    ///
    /// `Io`: the directory cannot be looked at.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// let options = ringkeep::SpoolOptions::new().directory(directory.path());
    /// if let Some(warning) = options.warning()? {
    ///     eprintln!("warning: {warning}");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn warning(&self) -> Result<Option<SpillWarning>> {
        SpillWarning::of(&self.disk, self.directory_or_default())
    }

    /// Makes an empty spool. What of it goes to the disk goes to a file without a name: nothing is
    /// left behind, however the process ends.
    ///
    /// # Examples
    ///
    /// ```
    /// let spool = ringkeep::SpoolOptions::new().build();
    /// assert_eq!(spool.stats().parts_ready, 0);
    /// ```
    #[must_use]
    pub fn build(&self) -> Spool {
        Spool::unnamed(self)
    }

    /// Opens the spool in the file at this path, or makes one there: its complete parts outlive the
    /// process. Which parts there are is kept in a second file, `PATH.manifest`. Whoever has a
    /// [`Spool`], a [`Drain`](crate::Drain), a writer or a reader of it has it locked.
    ///
    /// A part is in the file when [`commit`](crate::PartWriter::commit) returns, and not only in
    /// memory. Files are not synced, which would cost more than to fetch a part again: after a
    /// power cut some parts may be missing. Opening reads and checks each one;
    /// [`Spool::resumed`] tells what was found. [`Spool::discard`] removes both files.
    ///
    /// # Errors
    ///
    /// `Locked`: somebody has it open. `NotASpool`, `NewerFormat`, `Damaged`: what is at this path,
    /// or at `PATH.manifest`, is not a spool's, or its first 128 bytes are damaged; it is left as
    /// it is. `CodecMismatch`: it has another [`tag`](Self::tag). `InvalidTag`,
    /// `NetworkFileSystem`, `NoSpace`, `ReadOnlyFileSystem`, `Io`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{PartState, SpoolOptions};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("video.parts");
    /// let options = SpoolOptions::new();
    /// options.resume(&path)?.put(0, b"from the first run")?;
    /// let spool = options.resume(&path)?;
    /// assert_eq!(spool.state(0), PartState::Ready);
    /// spool.discard()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume(&self, path: impl AsRef<Path>) -> Result<Spool> {
        Spool::resume(self, path.as_ref())
    }

    pub(super) fn directory_or_default(&self) -> PathBuf {
        self.directory.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// The limits on the disk.
    pub(super) fn limits(&self) -> Vec<DiskBudget> {
        let own = DiskBudget::new(self.disk_bytes_max);
        [Some(own), self.disk_budget.clone()].into_iter().flatten().collect()
    }
}
