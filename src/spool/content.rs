//! The bytes of a part: pieces, each of them in memory or on the disk.
//!
//! All pieces but the last are of the same length, so a place in a part is found by a division.
//! Each has a checksum: whoever reads from the middle of a part is checked too.

use std::{ops::Range, sync::Arc};

use super::{memory::Buffer, store::Store};
use crate::{
    disk::{locks::Mutex, seam::File},
    error::{Corruption, Error, Result},
};

/// Bytes of a piece.
pub(super) const PIECE_BYTES: usize = PIECE as usize;
pub(super) const PIECE: u32 = 64 << 10;

/// The bytes of a part. Dropped, what it has on the disk is given back.
pub(super) struct Content {
    store: Arc<Store>,
    pieces: Mutex<Pieces>,
    /// Held while pieces move: nobody moves them twice.
    moving: Mutex<()>,
}

#[derive(Default)]
struct Pieces {
    list: Vec<Piece>,
    bytes: u64,
    /// The pieces before this one are not in memory.
    first_in_memory: usize,
    /// Nothing is given back when it is dropped.
    is_kept: bool,
}

/// One piece.
#[derive(Clone)]
pub(super) struct Piece {
    pub(super) bytes: u32,
    pub(super) checksum: u32,
    pub(super) source: Source,
}

/// Where a piece is.
#[derive(Clone)]
pub(super) enum Source {
    Memory(Arc<Buffer>),
    /// At this offset of the store.
    Disk(u64),
    /// It was drained.
    Gone,
}

impl Piece {
    /// A piece of these bytes.
    pub(super) fn of(bytes: &[u8], source: Source) -> Self {
        let length = u32::try_from(bytes.len()).expect("a piece is short");
        Self { bytes: length, checksum: crc32fast::hash(bytes), source }
    }
}

impl Content {
    /// No bytes.
    pub(super) fn new(store: &Arc<Store>) -> Self {
        Self { store: Arc::clone(store), pieces: Mutex::default(), moving: Mutex::default() }
    }

    /// Pieces that are on the disk.
    pub(super) fn stored(store: &Arc<Store>, list: Vec<Piece>) -> Self {
        let content = Self::new(store);
        for piece in list {
            content.push(piece);
        }
        content
    }

    pub(super) fn push(&self, piece: Piece) {
        let mut pieces = self.pieces.lock();
        pieces.bytes += u64::from(piece.bytes);
        pieces.list.push(piece);
    }

    /// Adds a piece of these bytes, on the disk.
    ///
    /// # Errors
    ///
    /// Those of a write; it is not added then.
    pub(super) fn append(&self, bytes: &[u8]) -> Result<()> {
        let offset = self.store.append(bytes.len() as u64, [bytes])?;
        self.push(Piece::of(bytes, Source::Disk(offset)));
        Ok(())
    }

    /// What pieces on the disk are in.
    pub(super) fn file(&self) -> Option<Arc<File>> {
        self.store.file()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.pieces.lock().bytes
    }

    /// Memory that the list of pieces takes.
    pub(super) fn index_bytes(&self) -> usize {
        size_of::<Self>() + self.pieces.lock().list.capacity() * size_of::<Piece>()
    }

    /// Whether some of it is in memory.
    pub(super) fn has_memory(&self) -> bool {
        let pieces = self.pieces.lock();
        let rest = &pieces.list[pieces.first_in_memory..];
        rest.iter().any(|piece| matches!(piece.source, Source::Memory(_)))
    }

    /// The piece at this place of the list, if there is one.
    pub(super) fn piece(&self, index: usize) -> Option<Piece> {
        self.pieces.lock().list.get(index).cloned()
    }

    /// Lets go of some pieces.
    pub(super) fn release(&self, pieces: Range<usize>) {
        release(&self.store, &mut self.pieces.lock().list[pieces]);
    }

    /// Leaves on the disk what is there, for another process.
    pub(super) fn keep(&self) {
        self.pieces.lock().is_kept = true;
    }

    /// Moves pieces from memory to the disk, the first of them, until they are so many bytes. How
    /// many they were.
    ///
    /// # Errors
    ///
    /// Those of a write. All are where they were then.
    pub(super) fn evict(&self, bytes_max: u64) -> Result<u64> {
        let _alone = self.moving.lock();
        let Moving { first, buffers, bytes } = self.moving(bytes_max);
        if bytes == 0 {
            return Ok(0);
        }
        let mut offset = self.store.append(bytes, buffers.iter().map(|buffer| buffer.bytes()))?;
        let mut pieces = self.pieces.lock();
        pieces.first_in_memory = first + buffers.len();
        for (piece, buffer) in pieces.list[first..].iter_mut().zip(&buffers) {
            piece.source = Source::Disk(offset);
            offset += buffer.bytes().len() as u64;
        }
        Ok(bytes)
    }

    /// The first run of pieces in memory.
    fn moving(&self, bytes_max: u64) -> Moving {
        let mut pieces = self.pieces.lock();
        let in_memory = |piece: &Piece| matches!(piece.source, Source::Memory(_));
        let rest = &pieces.list[pieces.first_in_memory..];
        let skipped = rest.iter().position(in_memory).unwrap_or(rest.len());
        let first = pieces.first_in_memory + skipped;
        pieces.first_in_memory = first;
        let mut moving = Moving { first, buffers: Vec::new(), bytes: 0 };
        for piece in &pieces.list[first..] {
            match &piece.source {
                Source::Memory(buffer) if moving.bytes < bytes_max => {
                    moving.bytes += u64::from(piece.bytes);
                    moving.buffers.push(Arc::clone(buffer));
                }
                _ => break,
            }
        }
        moving
    }

    /// Reads all of it that is on the disk.
    ///
    /// # Errors
    ///
    /// `Damaged`, `Io`.
    pub(super) fn verify(&self) -> Result<()> {
        let mut buffer = Vec::new();
        for piece in (0..).map_while(|index| self.piece(index)) {
            if let Source::Disk(offset) = piece.source {
                self.read(&piece, offset, &mut buffer)?;
            }
        }
        Ok(())
    }

    /// Fills `out` with a piece that is on the disk.
    ///
    /// # Errors
    ///
    /// `Damaged`, `Io`.
    pub(super) fn read(&self, piece: &Piece, offset: u64, out: &mut Vec<u8>) -> Result<()> {
        out.resize(piece.bytes as usize, 0);
        self.store.read(out, offset)?;
        let (found, expected) = (crc32fast::hash(out), piece.checksum);
        if found != expected {
            let wrong = Corruption::Checksum { found, expected };
            return Err(Error::damaged(&self.store.path(), offset)(wrong));
        }
        Ok(())
    }
}

/// Pieces on their way to the disk; they are still in memory too.
struct Moving {
    first: usize,
    buffers: Vec<Arc<Buffer>>,
    bytes: u64,
}

impl Drop for Content {
    fn drop(&mut self) {
        let mut pieces = self.pieces.lock();
        if !pieces.is_kept {
            release(&self.store, &mut pieces.list);
        }
    }
}

/// Gives back what these pieces have, neighbours on the disk at once.
fn release(store: &Store, pieces: &mut [Piece]) {
    let mut run = 0..0;
    for piece in pieces {
        if let Source::Disk(offset) = std::mem::replace(&mut piece.source, Source::Gone) {
            if offset != run.end {
                store.release(run);
                run = offset..offset;
            }
            run.end += u64::from(piece.bytes);
        }
    }
    store.release(run);
}
