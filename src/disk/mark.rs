//! The mark of a log: how far it is done with. All else is in the segments.
//!
//! Three copies, at 0, 4096 and 8192 of a file; the newest valid one counts. A mark is stored over
//! the copy that is neither the newest one, which a process that dies in it falls back to, nor the
//! newest one that is known to be on the disk, which a power cut does. Each mark says which one
//! that was: what opens the file in the same boot finds them all in the page cache, and after a
//! sync that failed the cache holds what the disk does not, and calls it clean.
//!
//! Opening wipes a copy that is not whole, with ones: zeros, of which a mark has many, could make
//! it whole where the power fails in the middle.
//!
//! | offset | bytes | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | magic | `ringkpmk` |
//! | 8 | 8 | sequence | the larger one is newer |
//! | 16 | 16 | log | as in the segments |
//! | 32 | 8 | done | items before it are not needed any more |
//! | 40 | 8 | durable | items before it were durable when this was written |
//! | 48 | 16 | boot | the boot of the machine in which this was written |
//! | 64 | 8 | synced | sequence of the newest mark that was known to be on the disk |
//! | 72 | 436 | - | zero |
//! | 508 | 4 | checksum | CRC32 of bytes 0 to 508 |

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    frame::NUMBER_END,
    poison::Poison,
    seam::{Access, BootId, Disk, File},
};
use crate::{
    error::{Corruption, Error, Result},
    planted::planted,
};

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
            let newest = Copies::read(&file, path)?.newest();
            if let Some((_, stored)) = newest {
                return Ok(Some(stored.mark));
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

/// What a copy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stored {
    sequence: u64,
    /// Sequence of the one that was known to be on the disk.
    synced: u64,
    mark: Mark,
}

/// What the copies in a file hold; `None` where one is not whole.
struct Copies([Option<Stored>; COPIES.len()]);

impl Copies {
    fn read(file: &File, path: &Path) -> Result<Self> {
        let mut found = [None; COPIES.len()];
        for (copy, offset) in found.iter_mut().zip(COPIES) {
            let mut bytes = [0; COPY_BYTES];
            file.read_at(&mut bytes, offset).map_err(Error::io("read", path))?;
            *copy = decode(&bytes);
        }
        Ok(Self(found))
    }

    /// The newest mark, and which copy that is.
    fn newest(&self) -> Option<(usize, Stored)> {
        let whole = self.0.iter().enumerate().filter_map(|(at, copy)| Some((at, (*copy)?)));
        whole.max_by_key(|(_, stored)| stored.sequence)
    }

    /// Which copy is the newest one that is known to be on the disk.
    fn on_disk(&self, boot: BootId) -> usize {
        let Some((newest, stored)) = self.newest() else { return 0 };
        if stored.mark.boot != boot {
            // What an earlier boot has stored was read from there.
            return newest;
        }
        if planted("queue_mark_of_a_failed_sync_believed") {
            return newest;
        }
        let is_it = |copy: &Option<Stored>| copy.is_some_and(|it| it.sequence == stored.synced);
        self.0.iter().position(is_it).unwrap_or(newest)
    }
}

/// The file that holds it.
#[derive(Debug)]
pub(crate) struct MarkFile {
    file: File,
    path: PathBuf,
    newest: Option<Stored>,
    /// Which copy that is, and which one is known to be on the disk.
    newest_copy: usize,
    synced_copy: usize,
    /// Sequence of that one.
    synced: u64,
    /// Why nobody knows any more what is on the disk.
    poison: Option<Poison>,
}

impl MarkFile {
    /// Opens the mark of a log, or makes an empty one.
    pub(crate) fn open(disk: &Disk, path: &Path, mode: u32, boot: BootId) -> Result<Self> {
        let io = |action| Error::io(action, path);
        let file = disk.create(path, mode).map_err(io("open"))?;
        if !is_made(&file, path)? {
            file.allocate(FILE_BYTES).map_err(io("create"))?;
        }
        let copies = Copies::read(&file, path)?;
        let is_wiped =
            |copy: &Option<Stored>| copy.is_none() && !planted("queue_torn_mark_not_wiped");
        for (offset, _) in COPIES.into_iter().zip(&copies.0).filter(|(_, copy)| is_wiped(copy)) {
            // What a crash left in part: the beginning of the next one, stored over it, could make
            // it whole.
            file.write_at(&[0xFF; COPY_BYTES], offset).map_err(io("write"))?;
        }
        file.sync().map_err(io("sync"))?;
        let newest = copies.newest();
        let synced_copy = copies.on_disk(boot);
        Ok(Self {
            file,
            path: path.into(),
            newest: newest.map(|(_, stored)| stored),
            newest_copy: newest.map_or(0, |(copy, _)| copy),
            synced_copy,
            synced: copies.0[synced_copy].map_or(0, |stored| stored.sequence),
            poison: None,
        })
    }

    /// The newest copy that is whole.
    pub(crate) fn newest(&self) -> Option<Mark> {
        self.newest.map(|stored| stored.mark)
    }

    /// Stores a mark. A process that dies after this has written it.
    pub(crate) fn write(&mut self, mark: Mark) -> Result<()> {
        let sequence = self.newest.map_or(0, |stored| stored.sequence) + 1;
        let stored = Stored { sequence, synced: self.synced, mark };
        let is_free = |&copy: &usize| copy != self.newest_copy && copy != self.synced_copy;
        let free = (0..COPIES.len()).find(is_free).unwrap_or(0);
        let copy = if planted("queue_newest_mark_overwritten") { self.newest_copy } else { free };
        let written = self.file.write_at(&encode(stored), COPIES[copy]);
        written.map_err(Error::io("write", &self.path))?;
        (self.newest, self.newest_copy) = (Some(stored), copy);
        Ok(())
    }

    /// Makes it durable. After one that failed, all fail: another one could report success.
    pub(crate) fn sync(&mut self) -> Result<()> {
        let Some(newest) = self.newest.filter(|_| self.newest_copy != self.synced_copy) else {
            return Ok(());
        };
        if let Some(poison) = &self.poison {
            return Err(poison.error());
        }
        let synced = self.file.sync().map_err(Error::io("sync", &self.path));
        synced.inspect_err(|error| self.poison = Some(Poison::of(error, &self.path)))?;
        (self.synced_copy, self.synced) = (self.newest_copy, newest.sequence);
        Ok(())
    }
}

fn encode(Stored { sequence, synced, mark }: Stored) -> [u8; COPY_BYTES] {
    let mut bytes = [0; COPY_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..16].copy_from_slice(&sequence.to_le_bytes());
    bytes[16..32].copy_from_slice(&mark.log);
    bytes[32..40].copy_from_slice(&mark.done.to_le_bytes());
    bytes[40..48].copy_from_slice(&mark.durable.to_le_bytes());
    bytes[48..56].copy_from_slice(&mark.boot[0].to_le_bytes());
    bytes[56..64].copy_from_slice(&mark.boot[1].to_le_bytes());
    bytes[64..72].copy_from_slice(&synced.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..CHECKSUM_AT]);
    bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; COPY_BYTES]) -> Option<Stored> {
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
    let mark = Mark { log: whose, done: long(32), durable: long(40), boot };
    Some(Stored { sequence: long(8), synced: long(64), mark })
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "test-util")]
    use std::path::Path;

    #[cfg(feature = "test-util")]
    use super::{Copies, MarkFile, Result};
    use super::{Mark, Stored, decode, encode};
    #[cfg(feature = "test-util")]
    use crate::disk::{
        seam::{Access, Disk},
        sim::{Crash, SimDisk},
    };

    #[test]
    fn a_mark_comes_back_and_no_flipped_bit_passes() {
        let mark = Mark { log: [3; 16], done: 70, durable: 90, boot: [5, 6] };
        let stored = Stored { sequence: 5, synced: 4, mark };
        let bytes = encode(stored);
        assert_eq!(decode(&bytes), Some(stored));
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(decode(&flipped), None, "bit {at}");
        }
    }

    #[cfg(feature = "test-util")]
    const BOOT: [u64; 2] = [5, 6];

    #[cfg(feature = "test-util")]
    fn mark(done: u64) -> Mark {
        Mark { log: [3; 16], done, durable: 90, boot: BOOT }
    }

    #[cfg(feature = "test-util")]
    #[test]
    fn what_is_left_of_a_mark_never_becomes_whole_while_the_next_one_is_stored() {
        let sim = SimDisk::reliable(1);
        let (disk, path) = (Disk::Sim(sim.clone()), Path::new("/sim/mark"));
        let open = || MarkFile::open(&disk, path, 0o600, BOOT).expect("a file");
        let encoded = |sequence, done| encode(Stored { sequence, synced: 0, mark: mark(done) });
        let mut file = open();
        file.write(mark(1)).expect("a store");
        // Of the one after it, all but the sequence, which is that of a later one.
        let mut torn = encoded(2, 7);
        torn[8] = 3;
        sim.poke(path, 0, &torn);
        assert_eq!(open().newest(), Some(mark(1)));
        sim.poke(path, 0, &encoded(2, 2)[..16]);
        let mut file = open();
        assert_eq!(file.newest(), Some(mark(1)), "one that died in its store");
        file.write(mark(2)).expect("a store");
        assert_eq!(open().newest(), Some(mark(2)));
    }

    #[cfg(feature = "test-util")]
    #[test]
    fn a_torn_mark_never_becomes_whole_while_it_is_wiped() {
        let found: Vec<_> = (0..200)
            .filter_map(|seed| {
                let sim = SimDisk::new(seed, 64);
                let (disk, path) = (Disk::Sim(sim.clone()), Path::new("/sim/mark"));
                let mut file = MarkFile::open(&disk, path, 0o600, BOOT).expect("a file");
                disk.sync_directory(Path::new("/sim")).expect("a sync");
                file.write(mark(1)).expect("a store");
                file.sync().expect("a sync");
                // Garbage, where a mark has zeros.
                let newest = super::COPIES[file.newest_copy] + 200;
                sim.poke(path, usize::try_from(newest).expect("small"), &[7; 8]);
                sim.arm(Crash::Cut, 1 + seed % 100);
                let _ = MarkFile::open(&disk, path, 0o600, BOOT);
                let fired = sim.disarm();
                sim.cut_power();
                let file = disk_after(&sim).open(path, Access::Read).expect("a file");
                assert!(Copies::read(&file, path).expect("a read").newest().is_none(), "{seed}");
                fired
            })
            .collect();
        assert!(found.len() > 50, "the power failed while it was wiped: {}", found.len());
    }

    /// Goal: what was known to be on the disk stays there, although a later sync failed.
    /// Method: the cache holds the newest mark after that, and the disk any part of it. Another
    /// process opens it in the same boot, and the power fails while it works.
    #[cfg(feature = "test-util")]
    #[test]
    fn after_a_sync_that_failed_the_mark_before_it_is_kept_until_there_is_a_new_one() {
        let mut older = 0;
        for seed in 0..500 {
            let sim = SimDisk::new(seed, 64);
            let (disk, path) = (Disk::Sim(sim.clone()), Path::new("/sim/mark"));
            let mut file = MarkFile::open(&disk, path, 0o600, BOOT).expect("a file");
            disk.sync_directory(Path::new("/sim")).expect("a sync");
            for done in 1..=4 {
                file.write(mark(done)).expect("a store");
                file.sync().expect("a sync");
            }
            for done in 5..=5 + seed % 3 {
                file.write(mark(done)).expect("a store");
            }
            sim.fail_next_sync(true);
            file.sync().expect_err("it fails");
            file.sync().expect_err("nobody knows what is on the disk");
            if seed % 2 == 0 {
                file.write(mark(8)).expect("a store");
            }
            let other = Disk::Sim(sim.other_process());
            sim.arm(Crash::Cut, 1 + seed % 70);
            let work = || -> Result<u64> {
                let mut file = MarkFile::open(&other, path, 0o600, BOOT)?;
                file.write(mark(9))?;
                file.sync().map(|()| 9)
            };
            let kept = work().unwrap_or(4);
            let _ = sim.disarm();
            sim.cut_power();
            let found = Mark::read(&disk_after(&sim), path).expect("a read").expect("a mark");
            assert!(found.done >= kept, "seed {seed}: {} of {kept}", found.done);
            older += u64::from(found.done == 4);
        }
        assert!(older > 50, "the one before it was needed: {older}");
    }

    #[cfg(feature = "test-util")]
    fn disk_after(sim: &SimDisk) -> Disk {
        Disk::Sim(sim.other_process())
    }
}
