//! Numbers about an archive, as a plain snapshot.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use super::reader::Ring;
use crate::{
    disk::{raw::Cached, seam::Access},
    error::{Error, Result},
};

/// Where an archive stands. Made by [`Ring::stats`](crate::Ring::stats).
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let mut producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
/// producer.append(b"12345")?;
/// let stats = producer.ring().stats()?;
/// assert_eq!(stats.next - stats.durable, 1, "records that a power cut would take now");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The oldest id kept.
    pub oldest: u64,
    /// The id that the next record gets.
    pub next: u64,
    /// One past the last id that survives a power cut.
    pub durable: u64,
    /// The most by which the time of a record was behind that of an earlier one, or somewhat more:
    /// zero for a clock that was never set back, and without a time field.
    pub clock_step: Duration,
    /// How often the archive was opened for writing.
    pub epoch: u64,
    /// Bytes of disk that the files under its path really take.
    pub bytes_on_disk: u64,
    /// A producer has the archive under this path open now.
    pub writer_live: bool,
    /// Syncs of records by the producer of this process; 0 in other processes.
    pub syncs: u64,
    /// The budget that it was opened with here, in bytes.
    pub resident_budget: Option<u64>,
    /// Bytes of it that are resident in this process now, as the kernel counts them.
    pub resident_bytes: Option<u64>,
    /// Bytes of its files that the page cache holds, for all processes. Known from Linux 6.5 on, to
    /// the owner of the files and to whoever may write them.
    pub cached_bytes: Option<u64>,
    /// Bytes of those that no disk has yet.
    pub dirty_bytes: Option<u64>,
    /// Windows that were fetched ahead of walks and tailers of this process.
    pub prefetches_issued: u64,
    /// Windows of those that a walk or a tailer came to.
    pub prefetches_used: u64,
}

impl Stats {
    pub(crate) fn of(ring: &Ring) -> Result<Self> {
        let archive = ring.archive();
        let mut bytes_on_disk = 0;
        for shard in 0..archive.shards.files().len() {
            let path = archive.shards.file_path(shard);
            let file = archive.disk.open(&path, Access::Read).map_err(Error::io("open", &path))?;
            bytes_on_disk += file.allocated_bytes().map_err(Error::io("look at", &path))?;
        }
        let mut mappings = archive.shards.mappings();
        mappings.extend(archive.pages.mapping());
        let cached = archive.shards.files().iter().try_fold(Cached::default(), |sum, file| {
            let found = file.cached().ok()?;
            Some(Cached { bytes: sum.bytes + found.bytes, dirty: sum.dirty + found.dirty })
        });
        // Asked through a description of its own: the lock's owner may be in this process.
        let path = &archive.path;
        let file = archive.disk.open(path, Access::Read).map_err(Error::io("open", path))?;
        Ok(Self {
            oldest: ring.oldest()?,
            next: ring.next_id()?,
            durable: ring.durable()?,
            clock_step: Duration::from_nanos(archive.clock_step(&archive.session()?)),
            epoch: archive.cursors().epoch(),
            bytes_on_disk,
            writer_live: file.is_locked().map_err(Error::io("ask for the lock of", path))?,
            syncs: archive.syncs.load(Relaxed),
            resident_budget: archive.resident_budget,
            resident_bytes: archive.disk.resident_bytes(&mappings).ok(),
            cached_bytes: cached.map(|cached| cached.bytes),
            dirty_bytes: cached.map(|cached| cached.dirty),
            prefetches_issued: archive.prefetcher.issued.load(Relaxed),
            prefetches_used: archive.prefetcher.used.load(Relaxed),
        })
    }
}
