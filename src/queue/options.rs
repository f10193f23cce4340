//! How a queue is opened: options, then one verb.

use std::{path::Path, time::Duration};

use super::{Queue, opening};
use crate::{
    disk::{
        budget::{DiskBudget, MemoryBudget},
        codec::{Codec, Postcard},
        compression::Compression,
        log::{LogShape, recover::Recovery},
        seam::Disk,
        sync::SyncPolicy,
    },
    error::Result,
};

const MEMORY_BYTES: usize = 16 << 20;
const SEGMENT_BYTES: u64 = 16 << 20;
/// Room for a few items, and for a run of them on its way to the disk.
const MEMORY_BYTES_MIN: usize = 64 << 10;

/// What a queue keeps, and where.
///
/// # Examples
///
/// ```
/// assert_eq!(ringkeep::Mode::default(), ringkeep::Mode::Spill);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mode {
    /// Items are in memory; from 80 % of it on, some are on the disk. They end with their process.
    /// The default.
    #[default]
    Spill,
    /// Items are on the disk, and in memory too while there is room. What `push` returned survives
    /// its process; the policy says what survives a power cut. The numbers of items that one took
    /// are given again: whoever remembers numbers across restarts waits until
    /// [`Queue::durable`](crate::Queue::durable) has passed them.
    Durable(SyncPolicy),
}

/// What a push does that finds no room.
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, QueueOptions, WhenFull};
///
/// # let directory = tempfile::tempdir()?;
/// let options = QueueOptions::new(Bytes).items_max(2).when_full(WhenFull::DropOldest);
/// let queue = options.open(directory.path())?;
/// for item in ["one", "two", "three"] {
///     queue.push(item.into())?;
/// }
/// assert_eq!(queue.pop()?, b"two");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// It waits until there is room. The default.
    #[default]
    Block,
    /// It gives the item back, with [`Error::Full`](crate::Error::Full).
    Reject,
    /// It drops the item, and counts it.
    DropNewest,
    /// It drops the item that would be received next, and counts it.
    DropOldest,
}

/// How a queue is made or opened.
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, Mode, QueueOptions, SyncPolicy};
///
/// # let directory = tempfile::tempdir()?;
/// let options = QueueOptions::new(Bytes)
///     .mode(Mode::Durable(SyncPolicy::EveryRecords(64)))
///     .memory_bytes(4 << 20);
/// options.open(directory.path())?.push(b"survives its process".to_vec())?;
/// assert_eq!(options.open(directory.path())?.pop()?, b"survives its process");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct QueueOptions<C = Postcard> {
    pub(super) codec: C,
    pub(super) tag: Box<str>,
    pub(super) mode: Mode,
    pub(super) recovery: Recovery,
    pub(super) limits: Limits,
    pub(super) shape: LogShape,
    pub(super) memory_budget: Option<MemoryBudget>,
    pub(super) disk_budget: Option<DiskBudget>,
    pub(super) disk: Disk,
}

/// How much a queue takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) memory_bytes: usize,
    pub(super) disk_bytes_max: u64,
    pub(super) disk_free_min: u64,
    pub(super) items_max: u64,
    pub(super) when_full: WhenFull,
    /// Whether others can make room.
    pub(super) is_shared: bool,
}

impl Limits {
    /// Whether there can be room that nobody tells of.
    pub(super) fn looks_again(&self) -> bool {
        self.disk_free_min > 0 || self.is_shared
    }
}

impl<C> QueueOptions<C> {
    /// A queue whose items become bytes by this codec.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::QueueOptions::new(ringkeep::Bytes);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn new(codec: C) -> Self {
        Self {
            codec,
            tag: "".into(),
            mode: Mode::default(),
            recovery: Recovery::default(),
            limits: Limits {
                memory_bytes: MEMORY_BYTES,
                disk_bytes_max: u64::MAX,
                disk_free_min: 0,
                items_max: u64::MAX,
                when_full: WhenFull::default(),
                is_shared: false,
            },
            shape: LogShape {
                segment_bytes: SEGMENT_BYTES,
                segment_age: None,
                compression: Compression::None,
                syncs_often: false,
            },
            memory_budget: None,
            disk_budget: None,
            disk: Disk::default(),
        }
    }

    /// Whether items survive their process. Default: [`Mode::Spill`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, Mode, QueueOptions, SyncPolicy};
    ///
    /// let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Always));
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Names what the items are, in at most 64 bytes: a queue is only opened with the tag that it
    /// was made with. Default: none.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::QueueOptions::new(ringkeep::Bytes).tag("orders, version 2");
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn tag(mut self, tag: impl Into<Box<str>>) -> Self {
        self.tag = tag.into();
        self
    }

    /// What opening does about damage. Default: [`Recovery::Fail`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, QueueOptions, Recovery};
    ///
    /// let options = QueueOptions::new(Bytes).recovery(Recovery::SkipCorrupt);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }

    /// Memory that items take at most, those that are handed out included: their stored bytes and
    /// what the queue keeps of each. Default: 16 MiB; at least 64 KiB.
    ///
    /// An item, or a batch of a durable queue, that alone is larger is received from the disk, one
    /// at a time. Whoever holds more than half of it without acknowledging takes the queue beyond
    /// it, and one item does where those that are handed out have taken the room for reading. What
    /// the allocator keeps of memory that was given back does not count: where many threads push,
    /// that can be a few times as much.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::QueueOptions::new(ringkeep::Bytes).memory_bytes(1 << 20);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn memory_bytes(mut self, bytes: usize) -> Self {
        self.limits.memory_bytes = bytes.max(MEMORY_BYTES_MIN);
        self
    }

    /// Disk that the queue takes at most. Default: as much as there is.
    ///
    /// It is taken segment by segment, see [`segment_bytes`](Self::segment_bytes); the smallest one
    /// takes 24 KiB.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::QueueOptions::new(ringkeep::Bytes).disk_bytes_max(1 << 30);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn disk_bytes_max(mut self, bytes: u64) -> Self {
        self.limits.disk_bytes_max = bytes;
        self
    }

    /// Memory that this queue shares with others: it takes no more than its own
    /// [`memory_bytes`](Self::memory_bytes), and none where others have it all. Default: none is
    /// shared.
    ///
    /// A queue that spills keeps the items on its disk for which there is no memory; a durable one
    /// has them there anyway, and reads them again.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, MemoryBudget, QueueOptions};
    ///
    /// let budget = MemoryBudget::new(64 << 20);
    /// let options = QueueOptions::new(Bytes).memory_budget(&budget);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn memory_budget(mut self, budget: &MemoryBudget) -> Self {
        self.memory_budget = Some(budget.clone());
        self.limits.is_shared = true;
        self
    }

    /// Disk that this queue shares with others: it takes no more than its own
    /// [`disk_bytes_max`](Self::disk_bytes_max), and is full where others have taken the rest; who
    /// waits then looks again ten times a second. Default: none is shared.
    ///
    /// Each queue takes it in whole segments, and keeps the one that it writes.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, DiskBudget, QueueOptions};
    ///
    /// let budget = DiskBudget::new(1 << 30);
    /// let options = QueueOptions::new(Bytes).disk_budget(&budget).segment_bytes(1 << 20);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn disk_budget(mut self, budget: &DiskBudget) -> Self {
        self.disk_budget = Some(budget.clone());
        self.limits.is_shared = true;
        self
    }

    /// Bytes that the queue leaves free on its disk: where less would be left, there is no room, as
    /// if its own limit had been met; whoever waits looks again ten times a second. Default: 0.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::QueueOptions::new(ringkeep::Bytes).disk_free_min(1 << 30);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn disk_free_min(mut self, bytes: u64) -> Self {
        self.limits.disk_free_min = bytes;
        self
    }

    /// Items that are in the queue at most, those that are handed out included. Default: any
    /// number.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::QueueOptions::new(ringkeep::Bytes).items_max(1000);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn items_max(mut self, items: u64) -> Self {
        self.limits.items_max = items.max(1);
        self
    }

    /// What a push does that finds no room. Default: [`WhenFull::Block`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, QueueOptions, WhenFull};
    ///
    /// let options = QueueOptions::new(Bytes).items_max(8).when_full(WhenFull::Reject);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.limits.when_full = when_full;
        self
    }

    /// Bytes that a file on the disk has for items, beside 20 KiB of its own: they are taken when
    /// it begins, and given back when all its items are acknowledged. Default: 16 MiB; at least
    /// 4 KiB. What is larger gets a file of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// let options = ringkeep::QueueOptions::new(ringkeep::Bytes).segment_bytes(1 << 20);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.shape.segment_bytes = bytes;
        self
    }

    /// A file on the disk that is older takes no more items, so that its space comes back although
    /// little is pushed. Default: any age.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let options = ringkeep::QueueOptions::new(ringkeep::Bytes)
    ///     .segment_age(Duration::from_secs(3600));
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn segment_age(mut self, age: Duration) -> Self {
        self.shape.segment_age = Some(age);
        self
    }

    /// How what is stored from now on is made smaller. Default: [`Compression::None`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, Compression, Mode, QueueOptions, SyncPolicy};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let options = QueueOptions::new(Bytes)
    ///     .mode(Mode::Durable(SyncPolicy::Never))
    ///     .compression(Compression::Lz4);
    /// options.open(directory.path())?.push(vec![7; 5000])?;
    /// assert_eq!(options.open(directory.path())?.pop()?, vec![7; 5000]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.shape.compression = compression;
        self
    }

    /// On a simulated disk.
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

    /// Opens the queue in a directory of its own, or makes both.
    ///
    /// # Errors
    ///
    /// `Locked` while another one has it open; `CodecMismatch`, `NewerFormat`,
    /// `UnknownCompression`; `Damaged`, `MissingItems` and `MissingSegment`, unless
    /// [`recovery`](Self::recovery) says to go on; `Io`, `NoSpace`, `InvalidTag`,
    /// `ReadOnlyFileSystem`, `NetworkFileSystem`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Bytes, QueueOptions};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open(directory.path().join("queue"))?;
    /// queue.push(b"item".to_vec())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open<T>(&self, directory: impl AsRef<Path>) -> Result<Queue<T, C>>
    where
        T: Send + 'static,
        C: Codec<T> + Clone,
    {
        opening::open(self, directory.as_ref())
    }
}
