//! What a store's bytes lie in: a file, memory that overflows into one, or a file that is only
//! looked at.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use parking_lot::RwLock;
use redb::StorageBackend;

use crate::{
    disk::{
        budget::{DiskBudget, Member, Share},
        scratch::Scratch,
        seam::{Disk, File},
    },
    error::{Error, Result},
};

/// A file, through the seam: the one lock of ringkeep keeps others out, redb's are not needed.
#[derive(Debug)]
pub(super) struct FileBackend {
    pub(super) file: Arc<File>,
    pub(super) path: PathBuf,
}

impl StorageBackend for FileBackend {
    fn len(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(out, offset)
    }

    /// On space of its own: a full disk is told before anything is half written.
    fn set_len(&self, length: u64) -> io::Result<()> {
        if length > self.file.length()? {
            let extended = self.file.extend(length);
            Ok(extended.map_err(Error::filling("extend", &self.path, length))?)
        } else {
            self.file.truncate(length)
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(self.file.sync_data().map_err(Error::io("sync", &self.path))?)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        let written = self.file.write_at(bytes, offset);
        Ok(written.map_err(Error::filling("write", &self.path, end))?)
    }
}

/// Remembers whether any call has failed: redb does no more then until it is opened again.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) backend: Box<dyn StorageBackend>,
    pub(super) has_failed: Arc<AtomicBool>,
}

impl Watched {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            self.has_failed.store(true, Relaxed);
        }
        result
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.note(self.backend.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.note(self.backend.read(offset, out))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.note(self.backend.set_len(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.note(self.backend.sync_data())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.note(self.backend.write(offset, bytes))
    }
}

/// Bytes that are allocated at once; those that nobody stored are zeros.
const PIECE_BYTES: usize = 64 << 10;

/// Memory within a budget; what would exceed it moves to a file without a name, all at once, and
/// stays there.
pub(super) struct Spilling {
    place: RwLock<Place>,
    disk: Disk,
    directory: PathBuf,
    limit: DiskBudget,
}

enum Place {
    Memory { pieces: Vec<Option<Box<[u8]>>>, length: u64, share: Share },
    Disk { file: Scratch, length: u64 },
}

impl Spilling {
    pub(super) fn new(disk: &Disk, directory: &Path, memory: Share, limit: &DiskBudget) -> Self {
        Self {
            place: RwLock::new(Place::Memory { pieces: Vec::new(), length: 0, share: memory }),
            disk: disk.clone(),
            directory: directory.into(),
            limit: limit.clone(),
        }
    }

    /// Bytes in memory and on the disk.
    pub(super) fn used(&self) -> (u64, u64) {
        match &*self.place.read() {
            Place::Memory { share, .. } => (share.held(), 0),
            Place::Disk { file, .. } => (0, file.disk_bytes()),
        }
    }

    pub(super) fn length(&self) -> u64 {
        let (Place::Memory { length, .. } | Place::Disk { length, .. }) = &*self.place.read();
        *length
    }

    fn move_to_disk(&self, place: &mut Place) -> Result<()> {
        let Place::Memory { pieces, length, .. } = place else { return Ok(()) };
        let mut file = Scratch::unnamed(&self.disk, &self.directory, &[&self.limit])?;
        for (piece, offset) in pieces.iter().zip((0..).step_by(PIECE_BYTES)) {
            if let Some(bytes) = piece {
                file.write_at(bytes, offset)?;
            }
        }
        file.reserve(*length)?;
        *place = Place::Disk { file, length: *length };
        Ok(())
    }
}

/// What redb has of it.
#[derive(Debug)]
pub(super) struct SpillingBackend(pub(super) Arc<Spilling>);

impl StorageBackend for SpillingBackend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.length())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let place = self.0.place.read();
        let (Place::Memory { length, .. } | Place::Disk { length, .. }) = &*place;
        if offset + out.len() as u64 > *length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match &*place {
            Place::Memory { pieces, .. } => {
                in_pieces(offset, out.len(), PIECE_BYTES, |piece, within, here| {
                    let length = here.len();
                    match pieces.get(piece).and_then(Option::as_ref) {
                        Some(bytes) => out[here].copy_from_slice(&bytes[within..within + length]),
                        None => out[here].fill(0),
                    }
                });
                Ok(())
            }
            Place::Disk { file, .. } => file.file().read_at(out, offset),
        }
    }

    fn set_len(&self, new: u64) -> io::Result<()> {
        match &mut *self.0.place.write() {
            Place::Memory { pieces, length, share } => {
                *length = new;
                let kept = usize::try_from(new).unwrap_or(usize::MAX);
                pieces.truncate(kept.div_ceil(PIECE_BYTES));
                // Whoever makes it longer again finds zeros there.
                if let Some(Some(last)) = pieces.get_mut(kept / PIECE_BYTES) {
                    last[kept % PIECE_BYTES..].fill(0);
                }
                share.hold(pieces.iter().flatten().count() as u64 * PIECE_BYTES as u64);
            }
            Place::Disk { file, length } => {
                file.truncate(new)?;
                file.reserve(new)?;
                *length = new;
            }
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut place = self.0.place.write();
        if let Place::Memory { pieces, share, .. } = &mut *place {
            let end = usize::try_from(offset).unwrap_or(usize::MAX) + bytes.len();
            if end.div_ceil(PIECE_BYTES) > pieces.len() {
                pieces.resize(end.div_ceil(PIECE_BYTES), None);
            }
            let mut has_room = true;
            in_pieces(offset, bytes.len(), PIECE_BYTES, |piece, within, here| {
                let piece = &mut pieces[piece];
                if piece.is_none() {
                    has_room &= share.try_hold(share.held() + PIECE_BYTES as u64, 0);
                    *piece = has_room.then(|| vec![0; PIECE_BYTES].into());
                }
                if let Some(piece) = piece {
                    piece[within..within + here.len()].copy_from_slice(&bytes[here]);
                }
            });
            if has_room {
                return Ok(());
            }
            self.0.move_to_disk(&mut place)?;
        }
        let Place::Disk { file, .. } = &mut *place else { return Ok(()) };
        Ok(file.write_at(bytes, offset)?)
    }
}

/// Asked by others who share the budget, it moves to the disk as a whole.
impl Member for Spilling {
    fn held(&self) -> u64 {
        self.used().0
    }

    fn relieve(&self, _bytes: u64, _equal_share: u64) -> u64 {
        // Whoever asks may be this store, in the middle of a write.
        let Some(mut place) = self.place.try_write() else { return 0 };
        let held = if let Place::Memory { share, .. } = &*place { share.held() } else { 0 };
        // A disk that has no room is told to whoever fills the memory.
        if held > 0 && self.move_to_disk(&mut place).is_ok() { held } else { 0 }
    }
}

impl fmt::Debug for Spilling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (memory, disk) = self.used();
        f.debug_struct("Spilling")
            .field("memory_bytes", &memory)
            .field("disk_bytes", &disk)
            .finish()
    }
}

const PAGE_BYTES: usize = 4096;

/// A file that is never written: what redb stores to repair it after a crash stays in memory.
#[derive(Debug)]
pub(super) struct Overlay {
    file: Arc<File>,
    written: RwLock<Written>,
}

#[derive(Debug)]
struct Written {
    /// Bytes of the file that are still as they were.
    below: u64,
    length: u64,
    pages: BTreeMap<usize, Box<[u8]>>,
}

impl Overlay {
    pub(super) fn over(file: Arc<File>) -> io::Result<Self> {
        let length = file.length()?;
        let written = Written { below: length, length, pages: BTreeMap::new() };
        Ok(Self { file, written: RwLock::new(written) })
    }

    /// What lies in the file, and zeros behind it.
    fn read_below(&self, below: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = usize::try_from(below.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (from_file, behind) = out.split_at_mut(there.min(out.len()));
        behind.fill(0);
        self.file.read_at(from_file, offset)
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written.read().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written.read();
        if offset + out.len() as u64 > written.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.read_below(written.below, offset, out)?;
        in_pieces(offset, out.len(), PAGE_BYTES, |page, within, here| {
            if let Some(bytes) = written.pages.get(&page) {
                let length = here.len();
                out[here].copy_from_slice(&bytes[within..within + length]);
            }
        });
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut written = self.written.write();
        written.below = written.below.min(length);
        written.length = length;
        let end = usize::try_from(length).unwrap_or(usize::MAX);
        written.pages.split_off(&end.div_ceil(PAGE_BYTES));
        if let Some(last) = written.pages.get_mut(&(end / PAGE_BYTES)) {
            last[end % PAGE_BYTES..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut written = self.written.write();
        let mut result = Ok(());
        in_pieces(offset, bytes.len(), PAGE_BYTES, |page, within, here| {
            let below = written.below;
            let bytes_of_page = written.pages.entry(page).or_insert_with(|| {
                let mut before = vec![0; PAGE_BYTES];
                let begin = page as u64 * PAGE_BYTES as u64;
                if let Err(error) = self.read_below(below, begin, &mut before) {
                    result = Err(error);
                }
                before.into()
            });
            bytes_of_page[within..within + here.len()].copy_from_slice(&bytes[here]);
        });
        result
    }
}

/// Cuts a range into what lies in one piece each: its number, the offset within it, and which of
/// the range's bytes lie there.
fn in_pieces(
    offset: u64,
    length: usize,
    piece_bytes: usize,
    mut each: impl FnMut(usize, usize, std::ops::Range<usize>),
) {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let mut done = 0;
    while done < length {
        let within = (offset + done) % piece_bytes;
        let here = (piece_bytes - within).min(length - done);
        each((offset + done) / piece_bytes, within, done..done + here);
        done += here;
    }
}
