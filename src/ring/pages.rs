//! The pages before the slots of `cache.dat`, in one of three forms that all other code need not
//! tell apart.
//!
//! * **Mapped**: what anyone stores shows to everyone at once.
//! * **Fetched**, a reader by position: a copy in memory of this process. What a mapping shows by
//!   itself is read anew by [`Pages::refresh`]: the hot page before each look at a slot and behind
//!   it, the others where they are needed. Copies are taken one at a time, so that no older one
//!   comes over a newer one.
//! * **Written through**, a producer by position: its copy is the truth. A store goes to the file
//!   first, then to the copy. The first one that fails is the last: what the others see then is
//!   what a producer leaves that died right there.
//!
//! The kernel copies aligned words whole in both directions, as a mapping stores them.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

use super::layout::{self, CHECKPOINT_BYTES, CHECKPOINTS, Identity, hot};
use crate::{
    disk::{
        raw::{Region, Words, fence},
        seam::{Access, File},
    },
    error::{Error, Result},
};

pub(crate) const IDENTITY: Range<usize> = 0..layout::PAGE;
pub(crate) const HOT: Range<usize> = hot::CLAIM..hot::FUTEX + 8;
pub(crate) const BOTH_CHECKPOINTS: Range<usize> = CHECKPOINTS[0]..CHECKPOINTS[1] + CHECKPOINT_BYTES;

pub(crate) fn redo(record_size: usize) -> Range<usize> {
    layout::REDO..layout::REDO_PAYLOAD + record_size + 4
}

/// The pages, as this process has them.
#[derive(Debug)]
pub(crate) struct Pages {
    file: Arc<File>,
    path: PathBuf,
    file_bytes: u64,
    region: Region,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Mapped,
    Copied {
        /// Held while a copy is taken.
        buffer: Mutex<Vec<u8>>,
        /// In a producer, until it lets go.
        through: Option<Through>,
    },
}

/// How stores get from the copy to the file.
#[derive(Debug)]
struct Through {
    /// A mapping that is never touched: its address is what waiting readers sleep on. Locked while
    /// the word is changed.
    bell: Mutex<Option<Region>>,
    failed: OnceLock<io::Error>,
    ended: AtomicBool,
}

impl Pages {
    pub(crate) fn map(
        file: &Arc<File>,
        path: &Path,
        identity: &Identity,
        access: Access,
    ) -> Result<Self> {
        let length = layout::slots_offset(0, identity.geometry.record_size);
        let region = file.map(0..length, access).map_err(Error::io("map", path))?;
        Ok(Self::new(file, path, identity, region, Form::Mapped))
    }

    /// Without a mapping.
    pub(crate) fn copy(
        file: &Arc<File>,
        path: &Path,
        identity: &Identity,
        access: Access,
    ) -> Result<Self> {
        let record_size = identity.geometry.record_size;
        let length = layout::slots_offset(0, record_size);
        let region = usize::try_from(length).map_err(io::Error::other).and_then(Region::of_memory);
        let region = region.map_err(Error::io("copy the pages of", path))?;
        let (buffer, through) = (Mutex::default(), None);
        let mut pages = Self::new(file, path, identity, region, Form::Copied { buffer, through });
        if access == Access::Write {
            pages.refresh(0..layout::REDO_PAYLOAD)?;
            if pages.load(layout::REDO) != 0 {
                pages.refresh(redo(record_size))?;
            }
            // Without it readers that wait look again by themselves, twice a second.
            let bell = Mutex::new(file.map(0..HOT.end as u64, Access::Read).ok());
            let (failed, ended) = (OnceLock::new(), AtomicBool::new(false));
            let (buffer, through) = (Mutex::default(), Some(Through { bell, failed, ended }));
            pages.form = Form::Copied { buffer, through };
        }
        Ok(pages)
    }

    fn new(file: &Arc<File>, path: &Path, identity: &Identity, region: Region, form: Form) -> Self {
        let (file, path) = (Arc::clone(file), path.into());
        Self { file, path, file_bytes: identity.file_bytes(), region, form }
    }

    /// Where the mapping lies, if there is one.
    pub(crate) fn mapping(&self) -> Option<Range<usize>> {
        matches!(self.form, Form::Mapped).then(|| self.region.addresses())
    }

    /// Fetches what a mapping would show by itself.
    #[inline]
    pub(crate) fn refresh(&self, bytes: Range<usize>) -> Result<()> {
        match &self.form {
            Form::Copied { buffer, .. } if self.are_polled() => {
                self.fetch(&mut buffer.lock(), bytes)
            }
            _ => Ok(()),
        }
    }

    fn fetch(&self, buffer: &mut Vec<u8>, bytes: Range<usize>) -> Result<()> {
        buffer.resize(bytes.len(), 0);
        let read = self.file.read_at(buffer, bytes.start as u64);
        read.map_err(|error| unreadable(&self.file, &self.path, self.file_bytes, error))?;
        self.region.write(bytes.start, buffer);
        Ok(())
    }

    /// Whether a reader has to look again and again, for nobody wakes it.
    #[inline]
    pub(crate) fn are_polled(&self) -> bool {
        match &self.form {
            Form::Mapped => false,
            Form::Copied { through, .. } => {
                through.as_ref().is_none_or(|through| through.ended.load(Ordering::Acquire))
            }
        }
    }

    /// The caller is about to let another producer in: from now on its stores are fetched.
    pub(crate) fn end_stores(&self) {
        if let Some(through) = self.through() {
            through.ended.store(true, Ordering::Release);
        }
    }

    #[inline]
    fn through(&self) -> Option<&Through> {
        match &self.form {
            Form::Mapped => None,
            Form::Copied { through, .. } => through.as_ref(),
        }
    }

    // As a region.

    #[inline]
    pub(crate) fn load(&self, offset: usize) -> u64 {
        self.region.load(offset)
    }

    pub(crate) fn load_acquire(&self, offset: usize) -> u64 {
        self.region.words_at::<1>(offset).load_acquire(0)
    }

    #[inline]
    pub(crate) fn hot_words(&self) -> Words<'_, { hot::WORDS }> {
        self.region.words_at(hot::CLAIM)
    }

    pub(crate) fn read(&self, offset: usize, out: &mut [u8]) {
        self.region.read(offset, out);
    }

    /// Stores a word for everyone.
    #[inline]
    pub(crate) fn store(&self, offset: usize, value: u64, order: Ordering) {
        if self.put(offset, &value.to_le_bytes()) {
            self.region.store(offset, value, order);
        }
    }

    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        if self.put(offset, bytes) {
            self.region.write(offset, bytes);
        }
    }

    /// Makes a range durable, and maybe more.
    pub(crate) fn sync(&self, offset: usize, length: usize) -> Result<()> {
        self.check()?;
        let synced = match &self.form {
            Form::Mapped => self.region.sync(offset, length),
            Form::Copied { .. } => self.file.sync(),
        };
        synced.map_err(Error::io("sync", &self.path))
    }

    /// Writes a store through, if it has to be; whether the copy may have it too.
    #[inline]
    fn put(&self, offset: usize, bytes: &[u8]) -> bool {
        self.through().is_none_or(|through| self.write_through(through, offset, bytes))
    }

    #[inline(never)]
    fn write_through(&self, through: &Through, offset: usize, bytes: &[u8]) -> bool {
        if through.failed.get().is_some() {
            return false;
        }
        // What this thread wrote before shows before: a system call alone promises no order.
        fence(Ordering::Release);
        let written = self.file.write_at(bytes, offset as u64);
        written.map_err(|error| through.failed.set(error)).is_ok()
    }

    /// Fails once a store has failed: none after it was made.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        match self.through().and_then(|through| through.failed.get()) {
            None => Ok(()),
            Some(error) => Err(Error::io("write", &self.path)(again(error))),
        }
    }

    // Waiting, in any process.

    pub(crate) fn wait_word(&self) -> u32 {
        self.region.wait_word(hot::FUTEX)
    }

    pub(crate) fn wait(&self, seen: u32, timeout: Duration) {
        self.region.wait(hot::FUTEX, seen, timeout);
    }

    pub(crate) fn wake(&self) {
        let Some(through) = self.through() else {
            return self.region.wake(hot::FUTEX);
        };
        let bell = through.bell.lock();
        let word = self.region.wait_word(hot::FUTEX).wrapping_add(1);
        if self.put(hot::FUTEX, &word.to_le_bytes()) {
            self.region.wake(hot::FUTEX);
        }
        if let Some(bell) = &*bell {
            bell.ring(hot::FUTEX);
        }
    }
}

/// The same error, to be told once more.
fn again(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// Why a file that was whole when it was opened cannot be read now.
pub(crate) fn unreadable(file: &File, path: &Path, expected_bytes: u64, error: io::Error) -> Error {
    if error.kind() != io::ErrorKind::UnexpectedEof {
        return Error::io("read", path)(error);
    }
    let path = path.into();
    match file.length() {
        Ok(found_bytes) => Error::CutShort { path, found_bytes, expected_bytes },
        Err(error) => Error::io("look at", &path)(error),
    }
}
