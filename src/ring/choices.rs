//! What users choose about how an archive is held. Values only: `budget.rs` and `archive.rs` act on
//! them.

use crate::disk::seam::Access;

/// How an archive's bytes are read and written.
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
    /// Where the address space has no room for a mapping, slots go by position.
    #[default]
    Mapped,
    /// By position, without a mapping: the same faults are errors, to readers and producers.
    ///
    /// A single read takes two system calls. A walk, or a
    /// [`read_range`](crate::Ring::read_range), takes three for 64 KiB; an update of what it has
    /// read already shows in the next walk, and to a tailer after 60 milliseconds at most. A
    /// reader that waits looks again and again, 17 times a second at last.
    ///
    /// An append takes three system calls, and so does a batch for each 256 of its records. A
    /// sync flushes whole files. Whether a file was cut short is looked at once for so many
    /// appends.
    File,
}

/// Whether walks, tailers and [`read_many`](crate::Ring::read_many) read ahead.
///
/// One thread for each opened archive fetches windows of slots into the page cache, from the first
/// window on that is not there; never more ahead than half of the resident budget. Where it could
/// not be started, or its queue is full, readers wait for the disk themselves, as they do where the
/// kernel's own reading ahead is in front already. `read_many` of archives that are read by
/// position, or under a budget, asks for all its slots before it waits for the first.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("cache.dat");
/// # ringkeep::RingOptions::new(5, 100).create(&path)?.close()?;
/// use ringkeep::{Prefetch, ReadOptions};
///
/// let ring = ReadOptions::new().prefetch(Prefetch::Records(10_000)).open(&path)?;
/// assert_eq!(ring.stats()?.prefetches_issued, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Prefetch {
    /// Not at all: no thread is started.
    Off,
    /// So many records at once; none with 0.
    Records(u64),
    /// Windows of 512 KiB, twice as large each time that one was not in the page cache, up to
    /// 8 MiB.
    #[default]
    Adaptive,
}

/// What all options come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening {
    pub(crate) access: Access,
    pub(crate) io: Io,
    /// Bytes that may be resident, and dirty.
    pub(crate) resident_budget: Option<u64>,
    pub(crate) prefetch: Prefetch,
}
