//! The mark of a log: how far it is done with. All else is in the segments.
//!
//! Three copies, at 0, 4096 and 8192 of a file; the newest valid one counts. A mark is stored over
//! the copy that is neither the newest one, which a process that dies in it falls back to, nor the
//! newest one that was synced, which a power cut does. Opening wipes a copy that is not whole.
//!
//! | offset | bytes | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | magic | `ringkpmk` |
//! | 8 | 8 | sequence | the larger one is newer |
//! | 16 | 16 | log | as in the segments |
//! | 32 | 8 | done | items before it are not needed any more |
//! | 40 | 8 | durable | items before it were durable when this was written |
//! | 48 | 16 | boot | the boot of the machine in which this was written |
//! | 64 | 444 | - | zero |
//! | 508 | 4 | checksum | CRC32 of bytes 0 to 508 |

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    frame::NUMBER_END,
    seam::{Access, BootId, Disk, File},
};
use crate::error::{Corruption, Error, Result};

const COPY_BYTES: usize = 512;
/// A page each: no two of them are in flight because of one.
const COPIES: [u64; 3] = [0, 4096, 8192];
const FILE_BYTES: u64 = 12288;
const CHECKSUM_AT: usize = COPY_BYTES - 4;
const MAGIC: [u8; 8] = *b"ringkpmk";
/// A writer at work may be storing the very copy that is read, and then the next one.
const LOOKS_MAX: usize = 8;

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) log: [u8; 16],
    pub(crate) done: u64,
    pub(crate) durable: u64,
    pub(crate) boot: BootId,
}

impl Mark {
    /// The newest mark that is whole, if there is one. It writes nothing, and needs no lock.
    ///
    /// # Errors
    ///
    /// `Damaged` where the file is no mark's, `Io`.
    pub(crate) fn read(disk: &Disk, path: &Path) -> Result<Option<Self>> {
        let file = match disk.open(path, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(Error::io("open", path))?,
        };
        if !is_made(&file, path)? {
            return Ok(None);
        }
        for _ in 0..LOOKS_MAX {
            let copies = Copies::read(&file, path)?;
            if copies.newest.is_some() || copies.not_whole.is_empty() {
                return Ok(copies.newest);
            }
        }
        Ok(None)
    }
}

/// Whether the file has its whole length; an empty one is being made.
fn is_made(file: &File, path: &Path) -> Result<bool> {
    match file.length().map_err(Error::io("look at", path))? {
        FILE_BYTES => Ok(true),
        0 => Ok(false),
        // Nothing here is written over that is not known to be a mark.
        value => {
            let source = Corruption::Field { field: "file bytes", value };
            Err(Error::damaged(path, 0)(source))
        }
    }
}

/// What the copies in a file hold.
#[derive(Debug, Default)]
struct Copies {
    sequence: u64,
    newest: Option<Mark>,
    newest_copy: usize,
    /// Where those begin that are not whole.
    not_whole: Vec<u64>,
}

impl Copies {
    fn read(file: &File, path: &Path) -> Result<Self> {
        let mut found = Self::default();
        for (copy, offset) in COPIES.into_iter().enumerate() {
            let mut bytes = [0; COPY_BYTES];
            file.read_at(&mut bytes, offset).map_err(Error::io("read", path))?;
            match decode(&bytes) {
                Some((sequence, mark)) if sequence > found.sequence => {
                    (found.sequence, found.newest, found.newest_copy) =
                        (sequence, Some(mark), copy);
                }
                Some(_) => {}
                None => found.not_whole.push(offset),
            }
        }
        Ok(found)
    }
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
        if !is_made(&file, path)? {
            file.allocate(FILE_BYTES).map_err(io("create"))?;
        }
        let Copies { sequence, newest, newest_copy, not_whole } = Copies::read(&file, path)?;
        for offset in not_whole {
            // What a crash left in part: the beginning of the next one, stored over it, could make
            // it whole.
            file.write_at(&[0; COPY_BYTES], offset).map_err(io("write"))?;
        }
        // The newest one may be in the cache alone, and the next one go over what was synced.
        file.sync().map_err(io("sync"))?;
        let synced_copy = newest_copy;
        Ok(Self { file, path: path.into(), sequence, newest, newest_copy, synced_copy })
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
    bytes[48..56].copy_from_slice(&mark.boot[0].to_le_bytes());
    bytes[56..64].copy_from_slice(&mark.boot[1].to_le_bytes());
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
    let whose = std::array::from_fn(|i| bytes[16 + i]);
    let boot = [long(48), long(56)];
    Some((long(8), Mark { log: whose, done: long(32), durable: long(40), boot }))
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "test-util")]
    use std::path::Path;

    #[cfg(feature = "test-util")]
    use super::MarkFile;
    use super::{Mark, decode, encode};
    #[cfg(feature = "test-util")]
    use crate::disk::{seam::Disk, sim::SimDisk};

    #[test]
    fn a_mark_comes_back_and_no_flipped_bit_passes() {
        let mark = Mark { log: [3; 16], done: 70, durable: 90, boot: [5, 6] };
        let bytes = encode(5, mark);
        assert_eq!(decode(&bytes), Some((5, mark)));
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(decode(&flipped), None, "bit {at}");
        }
    }

    #[cfg(feature = "test-util")]
    #[test]
    fn what_is_left_of_a_mark_never_becomes_whole_while_the_next_one_is_stored() {
        let sim = SimDisk::reliable(1);
        let (disk, path) = (Disk::Sim(sim.clone()), Path::new("/sim/mark"));
        let mark = |done| Mark { log: [3; 16], done, durable: 90, boot: [5, 6] };
        let mut file = MarkFile::open(&disk, path, 0o600).expect("a file");
        file.write(mark(1)).expect("a store");
        // Of the one after it, all but the sequence, which is that of a later one.
        let mut torn = encode(2, mark(7));
        torn[8] = 3;
        sim.poke(path, 0, &torn);
        let mut file = MarkFile::open(&disk, path, 0o600).expect("a file");
        assert_eq!(file.newest(), Some(mark(1)));
        sim.poke(path, 0, &encode(2, mark(2))[..16]);
        let found = MarkFile::open(&disk, path, 0o600).expect("a file").newest();
        assert_eq!(found, Some(mark(1)), "one that died in its store");
        file.write(mark(2)).expect("a store");
        let found = MarkFile::open(&disk, path, 0o600).expect("a file").newest();
        assert_eq!(found, Some(mark(2)));
    }
}
