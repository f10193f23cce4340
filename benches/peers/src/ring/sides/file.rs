//! A plain file of payloads: no checksum, no protocol. A producer writes 64 KiB at once, which is
//! what is read at once too, but from the disk: there it is 1 MiB.

use std::{
    fs::{File, OpenOptions},
    ops::Range,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    Act, BoxedReader, PIECE_BYTES, Reader, Readers, Records, Result, Setup, Syncs, Wait, Watch,
    Writer, follow,
};

const COLD_PIECE_BYTES: usize = 1 << 20;

pub(super) fn open(directory: &Path, setup: &Setup, act: &mut Act<'_>) -> Result<()> {
    let plain = Plain::open(directory, setup, PIECE_BYTES)?;
    act(&mut Appender { plain: &plain, piece: Vec::new() }, &plain)
}

pub(super) fn watch_cold(directory: &Path, setup: &Setup, act: &mut Watch<'_>) -> Result<()> {
    let plain = Plain::open(directory, setup, COLD_PIECE_BYTES)?;
    act(&mut Walker { plain: &plain, bytes: Vec::new() })
}

struct Plain {
    file: File,
    setup: Setup,
    /// What is read or written at once.
    piece_bytes: usize,
    /// The id after the last one that was written.
    next: AtomicU64,
}

impl Plain {
    fn open(directory: &Path, setup: &Setup, piece_bytes: usize) -> Result<Self> {
        let path = directory.join("records");
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Self { file, setup: *setup, piece_bytes, next: AtomicU64::new(0) })
    }

    fn offset_of(&self, id: u64) -> u64 {
        id % self.setup.capacity * self.setup.record_bytes as u64
    }

    /// Ids of a piece at most that lie one after the other in the file.
    fn piece(&self, ids: &Range<u64>) -> Range<u64> {
        let wrap = (ids.start / self.setup.capacity + 1) * self.setup.capacity;
        let end = ids.start + (self.piece_bytes / self.setup.record_bytes) as u64;
        ids.start..end.min(wrap).min(ids.end)
    }
}

struct Appender<'a> {
    plain: &'a Plain,
    piece: Vec<u8>,
}

impl Writer for Appender<'_> {
    fn append(&mut self, ids: Range<u64>, records: &mut Records) -> Result<()> {
        let mut left = ids;
        while !left.is_empty() {
            let piece = self.plain.piece(&left);
            left.start = piece.end;
            self.piece.clear();
            for id in piece.clone() {
                self.piece.extend_from_slice(records.make(id));
            }
            self.plain.file.write_all_at(&self.piece, self.plain.offset_of(piece.start))?;
            // Release: pairs with a reader's Acquire load; what lies below is in the file.
            self.plain.next.store(piece.end, Ordering::Release);
        }
        if self.plain.setup.syncs == Syncs::EachAppend { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<()> {
        Ok(self.plain.file.sync_data()?)
    }
}

impl Readers for Plain {
    fn reader(&self) -> Result<BoxedReader<'_>> {
        Ok(Box::new(Walker { plain: self, bytes: Vec::new() }))
    }
}

struct Walker<'a> {
    plain: &'a Plain,
    bytes: Vec<u8>,
}

impl Reader for Walker<'_> {
    fn read(&mut self, ids: &[u64], records: &Records) -> Result<()> {
        self.bytes.resize(self.plain.setup.record_bytes, 0);
        for &id in ids {
            self.plain.file.read_exact_at(&mut self.bytes, self.plain.offset_of(id))?;
            records.check(id, &self.bytes)?;
        }
        Ok(())
    }

    fn scan(&mut self, ids: Range<u64>, records: &Records) -> Result<()> {
        let record_bytes = self.plain.setup.record_bytes;
        let mut left = ids;
        while !left.is_empty() {
            let piece = self.plain.piece(&left);
            left.start = piece.end;
            let count = usize::try_from(piece.end - piece.start)?;
            self.bytes.resize(count * record_bytes, 0);
            self.plain.file.read_exact_at(&mut self.bytes, self.plain.offset_of(piece.start))?;
            for (id, payload) in piece.zip(self.bytes.chunks_exact(record_bytes)) {
                records.check(id, payload)?;
            }
        }
        Ok(())
    }

    fn follow(&mut self, ids: Range<u64>, records: &Records, wait: &Wait) -> Result<()> {
        follow(&self.plain.next, ids, wait, |ids| self.scan(ids, records))
    }
}
