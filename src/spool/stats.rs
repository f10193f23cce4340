//! What a spool tells about itself.

use std::fmt;

/// A [`Spool`](crate::Spool) at one moment.
///
/// # Examples
///
/// ```
/// let spool = ringkeep::Spool::new();
/// spool.put(0, &[7; 100_000])?;
/// let stats = spool.stats();
/// assert_eq!((stats.parts_ready, stats.ready_bytes, stats.disk_bytes), (1, 100_000, 0));
/// # Ok::<(), ringkeep::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SpoolStats {
    /// Parts that are complete and were not drained.
    pub parts_ready: u64,
    /// Parts that somebody writes, and that are not complete.
    pub parts_writing: u64,
    /// Parts that were said to fail.
    pub parts_failed: u64,
    /// Parts that were drained.
    pub parts_drained: u64,
    /// Parts that never came and were passed over.
    pub parts_skipped: u64,
    /// Bytes of the parts that are complete.
    pub ready_bytes: u64,
    /// Bytes of the parts that were drained.
    pub drained_bytes: u64,
    /// Memory that bytes of parts take: what the budget is about.
    pub resident_bytes: u64,
    /// The most that it was.
    pub resident_bytes_peak: u64,
    /// Memory that lists the pieces of the complete parts.
    pub index_bytes: u64,
    /// Disk that the spool's file takes.
    pub disk_bytes: u64,
}

/// Where the bytes of parts are.
///
/// # Examples
///
/// ```
/// assert_eq!(ringkeep::Storage::Disk.to_string(), "disk");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// In memory, all of them.
    #[default]
    Memory,
    /// Some are on the disk.
    Disk,
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
        })
    }
}

/// How far a spool has come: see [`on_progress`](crate::SpoolOptions::on_progress).
///
/// # Examples
///
/// ```
/// use ringkeep::{SpoolOptions, SpoolProgress};
///
/// let show = |now: &SpoolProgress| eprintln!("{} parts, {} bytes", now.parts, now.bytes);
/// let spool = SpoolOptions::new().on_progress(show).build();
/// spool.put(0, b"bytes")?;
/// # Ok::<(), ringkeep::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpoolProgress {
    /// Parts that have been complete, those that were drained since included.
    pub parts: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Parts that there will be, once that is known.
    pub total: Option<u64>,
    /// Where the bytes are.
    pub storage: Storage,
}
