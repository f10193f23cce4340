//! What an archive has instead of mappings, for readers that a bad sector or a file that was cut
//! short must not kill. `fetch.rs` reads with it.

use parking_lot::Mutex;

use crate::disk::seam::File;

/// How an archive's bytes are read.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("cache.dat");
/// # ringkeep::RingOptions::new(5, 100).create(&path)?.close()?;
/// let ring = ringkeep::ReadOptions::new().io(ringkeep::Io::File).open(&path)?;
/// assert_eq!(ring.next_id()?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Io {
    /// Through a shared mapping: the fastest, and woken by the producer. A file that another
    /// program cuts short, or a sector that cannot be read, ends the process with `SIGBUS`.
    #[default]
    Mapped,
    /// By position, without a mapping: the same faults are errors. A single read takes three system
    /// calls. A walk takes three for 64 KiB; an update of what it has read already shows in the
    /// next walk, and to a tailer after 60 milliseconds at most. A reader that waits looks again
    /// and again, 17 times a second at last.
    File,
}

/// What an archive has instead of mappings.
#[derive(Debug)]
pub(crate) struct ByPosition {
    /// All files but the first.
    others: Vec<File>,
    /// Held while pages are copied.
    pub(crate) copy: Mutex<Vec<u8>>,
}

/// Pages of `cache.dat` that change.
pub(crate) mod pages {
    use std::ops::Range;

    use crate::ring::layout::{self, CHECKPOINT_BYTES, CHECKPOINTS, hot};

    pub(crate) const IDENTITY: Range<usize> = 0..layout::PAGE;
    pub(crate) const HOT: Range<usize> = hot::CLAIM..hot::FUTEX + 8;
    pub(crate) const BOTH_CHECKPOINTS: Range<usize> =
        CHECKPOINTS[0]..CHECKPOINTS[1] + CHECKPOINT_BYTES;

    pub(crate) fn redo(record_size: usize) -> Range<usize> {
        layout::REDO..layout::REDO_PAYLOAD + record_size + 4
    }
}

impl ByPosition {
    pub(crate) fn new(others: Vec<File>) -> Self {
        Self { others, copy: Mutex::default() }
    }

    /// The file of a shard; the archive has the first one.
    pub(crate) fn file<'a>(&'a self, first: &'a File, shard: usize) -> &'a File {
        shard.checked_sub(1).map_or(first, |index| &self.others[index])
    }
}
