//! The sides, behind a trait for each kind of work. Loops lie within the sides, so that a call
//! through a trait is paid for by many records and not by one.
//!
//! | side | as it is used here |
//! |---|---|
//! | `limit` | `memcpy` and `crc32fast` over a mapped file, slots as ringkeep's; no protocol |
//! | `file` | a plain file: writes of 64 KiB, reads by position, nothing checked |
//! | `striped` | the same slots, under 64 locks of `parking_lot`: one for each append and read |
//! | `ringkeep` | mapped; readers open the archive as those of other processes do |
//! | `ringkeep_file` | `Io::File` on both ends; appends in batches of 64 KiB, as `file` does |
//! | `ringkeep_view` | mapped; readers are the producer's own, single reads are views |
//! | `lmdb`, `redb`, `sqlite`, `fjall` | the last records under an increasing id, see below |
//!
//! The databases have the id as the key (64 bits, big-endian; in SQLite the primary key), 64 MiB
//! of cache where they have one, and delete the ids that fall out of the ring in the transaction
//! that adds new ones. A transaction has 1,024 records, or 1 MiB if that is less; a durable one 64.
//! Reads that are asked for together are in one transaction. Throughput is without syncs:
//! `NO_SYNC`, `Durability::None`, `synchronous = OFF`, `PersistMode::Buffer`. What is durable has
//! one commit of the side for each 64 records, with the syncs that it has by default.
//!
//! No ring or log in a mapped file takes part. Of those on crates.io, commitlog (0.2.0) has no
//! readers beside its writer and gives up the newest records, not the oldest; kekbit (0.3.5) stands
//! on memmap 0.7, which nobody maintains; walrus-rust (0.2.0) reads a topic from its beginning to
//! its end, and has no read of a record by its id.

mod file;
mod fjall;
mod limit;
mod lmdb;
mod redb;
mod ringkeep;
mod sqlite;
mod striped;

use std::{
    ops::Range,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Result, pace::Wait, records::Records};
use crate::table::{OURS, Role};

/// The side that goals are multiples of.
pub(crate) const LIMIT: &str = "limit";
pub(super) const FILE: &str = "file";
pub(super) const OURS_BY_POSITION: &str = "ringkeep_file";
pub(super) const OURS_IN_PROCESS: &str = "ringkeep_view";
pub(super) const STRIPED: &str = "striped";
pub(super) const LMDB: &str = "lmdb";
pub(super) const REDB: &str = "redb";
pub(super) const SQLITE: &str = "sqlite";
pub(super) const FJALL: &str = "fjall";

/// What the databases are given as a cache.
const CACHE_BYTES: u32 = 64 << 20;

/// What is read or written in one call of the system where a side does that itself.
const PIECE_BYTES: usize = 64 << 10;

/// When what was appended is on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syncs {
    /// At some time, or when it is asked for.
    Never,
    /// When an append returns, after one sync.
    EachAppend,
}

/// How a side is opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    pub(super) record_bytes: usize,
    /// How many records are kept.
    pub(super) capacity: u64,
    pub(super) syncs: Syncs,
}

impl Setup {
    /// As many bytes of records as this.
    pub(super) fn new(record_bytes: usize, ring_bytes: u64, syncs: Syncs) -> Self {
        Self { record_bytes, capacity: ring_bytes / record_bytes as u64, syncs }
    }

    /// The ids of each transaction of an append.
    fn transactions(&self, ids: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let count = match self.syncs {
            Syncs::Never => 1024.min((1 << 20) / self.record_bytes as u64),
            Syncs::EachAppend => (ids.end - ids.start).max(1),
        };
        pieces(ids, count)
    }

    /// The ids that fall out when these are appended.
    fn expired(&self, ids: &Range<u64>) -> Range<u64> {
        ids.start.saturating_sub(self.capacity)..ids.end.saturating_sub(self.capacity)
    }

    /// Records in a piece of 64 KiB.
    fn records_of_a_piece(&self) -> usize {
        PIECE_BYTES / self.record_bytes
    }
}

/// Ids, `count` at a time.
pub(super) fn pieces(ids: Range<u64>, count: u64) -> impl Iterator<Item = Range<u64>> {
    let mut start = ids.start;
    std::iter::from_fn(move || {
        let piece = start..ids.end.min(start + count);
        start = piece.end;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Reads ids as a producer shows them, in a side whose cursor is a word in memory.
fn follow(
    next: &AtomicU64,
    ids: Range<u64>,
    wait: &Wait,
    mut scan: impl FnMut(Range<u64>) -> Result<()>,
) -> Result<()> {
    let mut id = ids.start;
    while id < ids.end {
        // Acquire: pairs with the producer's Release store.
        let end = next.load(Ordering::Acquire).min(ids.end);
        if id < end {
            scan(id..end)?;
            id = end;
        } else {
            wait.pause()?;
        }
    }
    Ok(())
}

/// The one that appends.
pub(super) trait Writer {
    /// The records of these ids, which follow those that are there; readers see them when this
    /// returns.
    fn append(&mut self, ids: Range<u64>, records: &mut Records) -> Result<()>;

    /// All that was appended is on stable storage when this returns.
    fn sync(&mut self) -> Result<()>;
}

/// One that reads. Each payload is checked; an id that is not there is an error.
pub(super) trait Reader {
    /// In any order, one at a time.
    fn read(&mut self, ids: &[u64], records: &Records) -> Result<()>;

    /// In any order, at once where the side can do that.
    fn read_many(&mut self, ids: &[u64], records: &Records) -> Result<()> {
        self.read(ids, records)
    }

    /// One after the other.
    fn scan(&mut self, ids: Range<u64>, records: &Records) -> Result<()>;

    /// One after the other, many in one call where the side can do that.
    fn read_range(&mut self, ids: Range<u64>, records: &Records) -> Result<()> {
        self.scan(ids, records)
    }

    /// One after the other, beside the producer, waiting for what is not there yet. The ids of a
    /// call follow those of the one before.
    fn follow(&mut self, ids: Range<u64>, records: &Records, wait: &Wait) -> Result<()>;
}

pub(super) type BoxedReader<'a> = Box<dyn Reader + Send + 'a>;

/// What makes readers for threads of this process.
pub(super) trait Readers {
    fn reader(&self) -> Result<BoxedReader<'_>>;
}

/// What is done with an open side, and with a reader.
pub(super) type Act<'a> = dyn FnMut(&mut dyn Writer, &dyn Readers) -> Result<()> + 'a;
pub(super) type Watch<'a> = dyn FnMut(&mut dyn Reader) -> Result<()> + 'a;

type OpenReader = fn(&Path, &Setup, &mut Watch<'_>) -> Result<()>;

/// A side of the comparison.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub(super) name: &'static str,
    pub(super) role: Role,
    /// Makes or opens the files in this directory and hands them out: what reads from LMDB cannot
    /// be moved.
    pub(super) open: fn(&Path, &Setup, &mut Act<'_>) -> Result<()>,
    /// Opens a reader in another process, where the side can do that.
    pub(super) watch: Option<OpenReader>,
}

impl Side {
    /// Whether its producer is one of its own: that of `ringkeep_view` is ringkeep's.
    pub(super) fn writes(&self) -> bool {
        self.name != OURS_IN_PROCESS
    }

    /// Opens a reader of what is not in memory. The raw ways of the limit and of the plain file are
    /// the best that they have for that.
    pub(super) fn watch_cold(&self) -> Option<OpenReader> {
        match self.name {
            LIMIT => Some(limit::watch_cold),
            FILE => Some(file::watch_cold),
            _ => self.watch,
        }
    }

    /// Whether it has two ways to scan; the limit is there for the ratio.
    pub(super) fn reads_ranges(&self) -> bool {
        self.name == LIMIT || self.name.starts_with(OURS)
    }
}

pub(super) const SIDES: [Side; 10] = [
    Side { name: LIMIT, role: Role::Limit, open: limit::open, watch: Some(limit::watch) },
    Side { name: FILE, role: Role::Limit, open: file::open, watch: None },
    Side { name: STRIPED, role: Role::Peer, open: striped::open, watch: None },
    Side { name: OURS, role: Role::Ours, open: ringkeep::open, watch: Some(ringkeep::watch) },
    Side {
        name: OURS_BY_POSITION,
        role: Role::OtherMode,
        open: ringkeep::open_by_position,
        watch: Some(ringkeep::watch_by_position),
    },
    Side {
        name: OURS_IN_PROCESS,
        role: Role::OtherMode,
        open: ringkeep::open_in_process,
        watch: None,
    },
    Side { name: LMDB, role: Role::Peer, open: lmdb::open, watch: Some(lmdb::watch) },
    Side { name: REDB, role: Role::Peer, open: redb::open, watch: None },
    Side { name: SQLITE, role: Role::Peer, open: sqlite::open, watch: Some(sqlite::watch) },
    Side { name: FJALL, role: Role::Peer, open: fjall::open, watch: None },
];

/// What a missing id is told with.
const MISSING: &str = "an id is missing";

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: u64 = 1000;

    #[test]
    fn every_side_keeps_the_last_records_and_no_others() {
        for syncs in [Syncs::Never, Syncs::EachAppend] {
            let setup = Setup { record_bytes: 32, capacity: CAPACITY, syncs };
            for side in &SIDES {
                let place = tempfile::tempdir().unwrap();
                let kept = keep(side, place.path(), &setup);
                kept.unwrap_or_else(|error| panic!("{}, {syncs:?}: {error}", side.name));
            }
        }
    }

    fn keep(side: &Side, place: &Path, setup: &Setup) -> Result<()> {
        let mut records = Records::new(setup.record_bytes);
        let kept = 1500..1500 + CAPACITY;
        (side.open)(place, setup, &mut |writer, readers| {
            // No lap and no transaction ends where another does.
            for ids in pieces(0..kept.end, 333) {
                writer.append(ids, &mut records)?;
            }
            writer.sync()?;
            let mut reader = readers.reader()?;
            read(&mut *reader, &kept, &records)?;
            let gone = kept.start - 300;
            assert!(reader.read(&[gone], &records).is_err(), "{}: {gone}", side.name);
            assert!(reader.scan(gone..kept.end, &records).is_err(), "{}", side.name);
            writer.append(kept.end..kept.end + 1, &mut records)?;
            reader.follow(kept.end - 5..kept.end + 1, &records, &Wait::new())
        })?;
        let kept = kept.start + 1..kept.end + 1;
        for watch in side.watch.into_iter().chain(side.watch_cold()) {
            watch(place, setup, &mut |reader| read(reader, &kept, &records))?;
        }
        (side.open)(place, setup, &mut |_, readers| read(&mut *readers.reader()?, &kept, &records))
    }

    fn read(reader: &mut dyn Reader, kept: &Range<u64>, records: &Records) -> Result<()> {
        let ids: Vec<u64> = kept.clone().rev().step_by(7).collect();
        reader.read(&ids, records)?;
        reader.read_many(&ids, records)?;
        reader.scan(kept.clone(), records)?;
        reader.read_range(kept.clone(), records)
    }

    #[test]
    fn pieces_are_all_of_the_ids() {
        let found: Vec<_> = pieces(3..10, 3).collect();
        assert_eq!(found, [3..6, 6..9, 9..10]);
        assert_eq!(pieces(5..5, 3).count(), 0);
    }
}
