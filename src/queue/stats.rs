//! What a queue tells about itself.

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
}
