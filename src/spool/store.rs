//! The one file that holds what of all parts is not in memory.
//!
//! It only grows at its end. Ranges that nobody needs any more become holes, so its length says
//! nothing about the disk that it takes; when none is needed it begins anew.

use std::{ops::Range, path::PathBuf, sync::Arc};

use super::holes::Holes;
use crate::{
    disk::{
        budget::DiskBudget,
        locks::Mutex,
        scratch::Scratch,
        seam::{Disk, File},
    },
    error::{Error, Result},
};

/// The file, and what of it is in use.
#[derive(Debug)]
pub(super) struct Store {
    disk: Disk,
    /// For the temporary file, once there is one.
    directory: PathBuf,
    limits: Vec<DiskBudget>,
    /// Where the first bytes go: behind a header, if there is one.
    begin: u64,
    space: Mutex<Space>,
}

#[derive(Debug, Default)]
struct Space {
    scratch: Option<Scratch>,
    /// Where the next bytes go.
    end: u64,
    holes: Holes,
    /// What is there stays there.
    is_kept: bool,
}

impl Store {
    /// One that makes its temporary file when it is needed.
    pub(super) fn new(disk: Disk, directory: PathBuf, limits: Vec<DiskBudget>) -> Self {
        Self { disk, directory, limits, begin: 0, space: Mutex::default() }
    }

    /// One over a file of so many bytes, of which those before `begin` are not its own. All others
    /// are in use.
    pub(super) fn opened(disk: Disk, scratch: Scratch, begin: u64, file_bytes: u64) -> Self {
        let (directory, limits) = (scratch.path().into(), Vec::new());
        let end = file_bytes.max(begin);
        let space = Space { scratch: Some(scratch), end, ..Space::default() };
        Self { disk, directory, limits, begin, space: Mutex::new(space) }
    }

    /// Stores pieces of so many bytes in all behind everything there is: where they begin.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `NoSpace`, `Io`.
    pub(super) fn append<'a>(
        &self,
        bytes: u64,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<u64> {
        let (file, begin) = self.reserve(bytes)?;
        let mut offset = begin;
        for piece in pieces {
            if let Err(error) = file.write_at(piece, offset) {
                self.release(begin..begin + bytes);
                return Err(Error::filling("write", &self.path(), begin + bytes)(error));
            }
            offset += piece.len() as u64;
        }
        Ok(begin)
    }

    /// Space behind everything there is.
    fn reserve(&self, bytes: u64) -> Result<(Arc<File>, u64)> {
        let mut space = self.space.lock();
        let Space { scratch, end, .. } = &mut *space;
        let scratch = if let Some(scratch) = scratch {
            scratch
        } else {
            let limits: Vec<_> = self.limits.iter().collect();
            scratch.insert(Scratch::unnamed(&self.disk, &self.directory, &limits)?)
        };
        scratch.reserve(*end + bytes)?;
        let begin = *end;
        *end += bytes;
        Ok((Arc::clone(scratch.file()), begin))
    }

    /// Fills a buffer with what is stored there.
    pub(super) fn read(&self, out: &mut [u8], offset: u64) -> Result<()> {
        let file = self.file().expect("what is read was stored");
        file.read_at(out, offset).map_err(Error::io("read", &self.path()))
    }

    /// Gives a range back. Where the file system cannot do that, its space comes back with all the
    /// others': this is no error.
    pub(super) fn release(&self, bytes: Range<u64>) {
        let mut space = self.space.lock();
        if bytes.is_empty() || space.is_kept {
            return;
        }
        let Space { scratch: Some(scratch), end, holes, .. } = &mut *space else { return };
        let pages = holes.free(bytes);
        if holes.are_all(&(self.begin..*end)) && scratch.clear(self.begin).is_ok() {
            *end = self.begin;
            holes.clear();
        } else if !pages.is_empty() {
            let _ = scratch.punch(pages);
        }
    }

    /// From now on nothing is given back: another process will need what there is.
    pub(super) fn keep(&self) {
        self.space.lock().is_kept = true;
    }

    /// The file, if there is one.
    pub(super) fn file(&self) -> Option<Arc<File>> {
        self.space.lock().scratch.as_ref().map(|scratch| Arc::clone(scratch.file()))
    }

    /// For messages.
    pub(super) fn path(&self) -> PathBuf {
        let space = self.space.lock();
        space.scratch.as_ref().map_or(&*self.directory, Scratch::path).into()
    }

    /// Bytes of disk that it takes.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.space.lock().scratch.as_ref().map_or(0, Scratch::disk_bytes)
    }
}
