//! What a queue tells about itself.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{
    disk::{
        latency::{Histogram, Latency},
        seam::Disk,
    },
    error::Result,
};

/// Counted since the queue was opened.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) pushed: u64,
    pub(super) received: u64,
    pub(super) acknowledged: u64,
    pub(super) returned: u64,
    pub(super) dropped: u64,
    pub(super) dead: u64,
    pub(super) lost: u64,
}

/// Counted without the lock of the state, since the queue was opened.
#[derive(Debug, Default)]
pub(super) struct Meters {
    pub(super) push_wait: Histogram,
    pub(super) receive_wait: Histogram,
    pub(super) write: Histogram,
    pub(super) read: Histogram,
    pub(super) sync: Histogram,
    pub(super) raw_bytes: AtomicU64,
    pub(super) stored_bytes: AtomicU64,
    pub(super) errors: AtomicU64,
}

impl Meters {
    /// Does what needs the disk, and counts how long that takes, and whether it fails.
    pub(super) fn timed<R>(
        &self,
        histogram: &Histogram,
        disk: &Disk,
        work: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        let began = disk.now();
        let result = work();
        histogram.record(disk.now().saturating_sub(began));
        self.counted(result)
    }

    /// Counts what failed.
    pub(super) fn counted<R>(&self, result: Result<R>) -> Result<R> {
        result.inspect_err(|_| {
            self.errors.fetch_add(1, Relaxed);
        })
    }

    pub(super) fn look(&self) -> QueueLatencies {
        QueueLatencies {
            push_wait: self.push_wait.look(),
            receive_wait: self.receive_wait.look(),
            write: self.write.look(),
            read: self.read.look(),
            sync: self.sync.look(),
        }
    }
}

/// A queue at one moment.
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, QueueOptions};
///
/// # let directory = tempfile::tempdir()?;
/// let queue = QueueOptions::new(Bytes).open(directory.path())?;
/// queue.push(b"item".to_vec())?;
/// let stats = queue.stats();
/// assert_eq!((stats.items, stats.pushed, stats.disk_bytes), (1, 1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QueueStats {
    /// Items that are not acknowledged.
    pub items: u64,
    /// Of these, items that are handed out now.
    pub leased: u64,
    /// Of these, items that are on the disk and not in memory.
    pub items_on_disk: u64,
    /// Memory that items take.
    pub memory_bytes: u64,
    /// Disk that the queue's segments take.
    pub disk_bytes: u64,
    /// Files that they are.
    pub segments: u64,
    /// Items taken in since the queue was opened.
    pub pushed: u64,
    /// Items handed out since then, some of them more than once.
    pub received: u64,
    /// Items acknowledged since then, dead letters included.
    pub acknowledged: u64,
    /// Items that came back unacknowledged since then.
    pub returned: u64,
    /// Items that were dropped since then because there was no room.
    pub dropped: u64,
    /// Items that went to the dead letters since then.
    pub dead: u64,
    /// Items that were passed over since then because they were damaged.
    pub lost: u64,
    /// Bytes of items that were stored since then, each with 4 bytes for its length.
    pub raw_bytes: u64,
    /// Bytes of disk that they were stored in: compressed, with headers.
    pub stored_bytes: u64,
    /// Writes, reads, syncs and removals that failed since then.
    pub errors: u64,
}

/// How long a queue took for what it did, since it was opened. Time that somebody waited for
/// somebody else, and time of the disk, are kept apart; what memory alone was needed for is in none
/// of them.
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, QueueOptions};
///
/// # let directory = tempfile::tempdir()?;
/// let queue = QueueOptions::new(Bytes).open(directory.path())?;
/// queue.push(b"item".to_vec())?;
/// queue.pop()?;
/// assert_eq!(queue.latencies(), ringkeep::QueueLatencies::default());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QueueLatencies {
    /// Pushes that waited for room: until they had it or gave up.
    pub push_wait: Latency,
    /// Receivers that waited for an item: until they had one or gave up.
    pub receive_wait: Latency,
    /// Frames that were written: one holds the items of a push, or of a run that is spilled.
    pub write: Latency,
    /// Frames that were read.
    pub read: Latency,
    /// Syncs.
    pub sync: Latency,
}
