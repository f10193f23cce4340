//! The mark of a log: how far it is done with. All else is in the segments.
//!
//! Three copies, at 0, 4096 and 8192 of a file; the newest valid one counts. A mark is stored over
//! the copy that is neither the newest one, which a process that dies in it falls back to, nor the
//! newest one that was synced, which a power cut does.
//!
//! | offset | bytes | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | magic | `ringkpmk` |
//! | 8 | 8 | sequence | the larger one is newer |
//! | 16 | 16 | log | as in the segments |
//! | 32 | 8 | done | items before it are not needed any more |
//! | 40 | 8 | durable | items before it were durable when this was written |
//! | 48 | 460 | - | zero |
//! | 508 | 4 | checksum | CRC32 of bytes 0 to 508 |

use std::path::{Path, PathBuf};

use super::{
    frame::NUMBER_END,
    seam::{Disk, File},
};
use crate::error::{Error, Result};

const COPY_BYTES: usize = 512;
/// A page each: no two of them are in flight because of one.
const COPIES: [u64; 3] = [0, 4096, 8192];
const FILE_BYTES: u64 = 12288;
const CHECKSUM_AT: usize = COPY_BYTES - 4;
const MAGIC: [u8; 8] = *b"ringkpmk";

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) log: [u8; 16],
    pub(crate) done: u64,
    pub(crate) durable: u64,
}

/// The file that holds it.
#[derive(Debug)]
pub(crate) struct MarkFile {
    file: File,
    path: PathBuf,
    sequence: u64,
    newest: Option<Mark>,
    /// Which copy that is, and which one was synced last.
    newest_copy: usize,
    synced_copy: usize,
}

impl MarkFile {
    /// Opens the mark of a log, or makes an empty one.
    pub(crate) fn open(disk: &Disk, path: &Path, mode: u32) -> Result<Self> {
        let io = |action| Error::io(action, path);
        let file = disk.create(path, mode).map_err(io("open"))?;
        if file.length().map_err(io("look at"))? < FILE_BYTES {
            file.allocate(FILE_BYTES).map_err(io("create"))?;
        }
        let mut mark = Self {
            file,
            path: path.into(),
            sequence: 0,
            newest: None,
            newest_copy: 0,
            synced_copy: 0,
        };
        for (copy, offset) in COPIES.into_iter().enumerate() {
            let mut bytes = [0; COPY_BYTES];
            mark.file.read_at(&mut bytes, offset).map_err(io("read"))?;
            if let Some((sequence, found)) = decode(&bytes)
                && sequence > mark.sequence
            {
                (mark.sequence, mark.newest, mark.newest_copy) = (sequence, Some(found), copy);
            }
        }
        // It may be in the cache alone, and the next one go over what was synced before it.
        mark.file.sync().map_err(io("sync"))?;
        mark.synced_copy = mark.newest_copy;
        Ok(mark)
    }

    /// The newest copy that is whole.
    pub(crate) fn newest(&self) -> Option<Mark> {
        self.newest
    }

    /// Stores a mark. A process that dies after this has written it.
    pub(crate) fn write(&mut self, mark: Mark) -> Result<()> {
        let sequence = self.sequence + 1;
        let is_free = |&copy: &usize| copy != self.newest_copy && copy != self.synced_copy;
        let copy = (0..COPIES.len()).find(is_free).unwrap_or(0);
        let written = self.file.write_at(&encode(sequence, mark), COPIES[copy]);
        written.map_err(Error::io("write", &self.path))?;
        (self.sequence, self.newest, self.newest_copy) = (sequence, Some(mark), copy);
        Ok(())
    }

    /// Makes it durable.
    pub(crate) fn sync(&mut self) -> Result<()> {
        if self.synced_copy != self.newest_copy {
            self.file.sync().map_err(Error::io("sync", &self.path))?;
            self.synced_copy = self.newest_copy;
        }
        Ok(())
    }
}

fn encode(sequence: u64, mark: Mark) -> [u8; COPY_BYTES] {
    let mut bytes = [0; COPY_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..16].copy_from_slice(&sequence.to_le_bytes());
    bytes[16..32].copy_from_slice(&mark.log);
    bytes[32..40].copy_from_slice(&mark.done.to_le_bytes());
    bytes[40..48].copy_from_slice(&mark.durable.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..CHECKSUM_AT]);
    bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; COPY_BYTES]) -> Option<(u64, Mark)> {
    let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
    let (content, checksum) = bytes.split_at(CHECKSUM_AT);
    if content[..8] != MAGIC || *checksum != crc32fast::hash(content).to_le_bytes() {
        return None;
    }
    if [8, 32, 40].into_iter().any(|at| long(at) >= NUMBER_END) {
        return None;
    }
    let bytes_of_log = std::array::from_fn(|i| bytes[16 + i]);
    Some((long(8), Mark { log: bytes_of_log, done: long(32), durable: long(40) }))
}

#[cfg(test)]
mod tests {
    use super::{Mark, decode, encode};

    #[test]
    fn a_mark_comes_back_and_no_flipped_bit_passes() {
        let mark = Mark { log: [3; 16], done: 70, durable: 90 };
        let bytes = encode(5, mark);
        assert_eq!(decode(&bytes), Some((5, mark)));
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(decode(&flipped), None, "bit {at}");
        }
    }
}
