//! A file opened by a simulated process.

use std::{
    io,
    ops::Range,
    sync::{Arc, atomic::Ordering::SeqCst},
};

use super::{Mapping, SimDisk, file_id, state::Inode};
use crate::disk::{
    raw::{Cached, Heap, Region},
    seam::{Access, FileId, FileKind},
};

/// One open of a file; its lock belongs to it.
pub(crate) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) inode: usize,
    pub(super) handle: u64,
}

impl SimFile {
    pub(crate) fn length(&self) -> io::Result<u64> {
        self.disk.call()?;
        Ok(self.disk.shared.state.lock().inodes[self.inode].length as u64)
    }

    pub(crate) fn kind(&self) -> io::Result<FileKind> {
        self.disk.call().map(|()| FileKind::Regular)
    }

    pub(crate) fn allocated_bytes(&self) -> io::Result<u64> {
        self.length()
    }

    pub(crate) fn file_system_type(&self) -> io::Result<u64> {
        self.disk.call()?;
        Ok(self.disk.shared.state.lock().file_system_type)
    }

    pub(crate) fn fill_holes(&self) -> io::Result<()> {
        self.disk.call()
    }

    pub(crate) fn allocate(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.disk.change(|state| {
            if state.no_space {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let inode = &mut state.inodes[self.inode];
            inode.cache = Heap::new(length);
            inode.length = length;
            inode.durable = vec![0; length];
            inode.versions.clear();
            Ok(())
        })
    }

    pub(crate) fn extend(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.disk.change(|state| {
            if state.no_space {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.extend(self.inode, length);
            Ok(())
        })
    }

    pub(crate) fn punch(&self, bytes: Range<u64>) -> io::Result<()> {
        let begin = usize::try_from(bytes.start).map_err(io::Error::other)?;
        let end = usize::try_from(bytes.end).map_err(io::Error::other)?;
        self.disk.change(|state| {
            state.punch(self.inode, begin..end);
            Ok(())
        })
    }

    /// Of what goes, nothing is in flight any more; the length goes at once or with a sync.
    pub(crate) fn truncate(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.disk.change(|state| {
            state.truncate(self.inode, length);
            Ok(())
        })
    }

    pub(crate) fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.call()?;
        let state = self.disk.shared.state.lock();
        let inode = &state.inodes[self.inode];
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        if offset + out.len() > inode.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        inode.cache.load(offset, out);
        Ok(())
    }

    pub(crate) fn read_both_at(
        &self,
        first: &mut [u8],
        rest: &mut [u8],
        offset: u64,
    ) -> io::Result<()> {
        self.read_at(first, offset)?;
        self.read_at(rest, offset + first.len() as u64)
    }

    /// A file grows where it is written behind its end, if there is room.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let end = offset + bytes.len();
        let is_longer = self.disk.shared.state.lock().inodes[self.inode].length < end;
        if is_longer {
            self.extend(end as u64)?;
        } else {
            self.disk.call()?;
        }
        for (at, piece) in (offset..).step_by(8).zip(bytes.chunks(8)) {
            self.disk.alive()?;
            {
                let mut state = self.disk.shared.state.lock();
                state.inodes[self.inode].cache.put(at, piece);
                state.remember(self.inode, at, piece.len());
            }
            self.disk.step();
        }
        Ok(())
    }

    /// There is no slower disk behind the cache.
    pub(crate) fn is_cached_at(&self, _offset: u64) -> Option<bool> {
        self.disk.alive().ok().map(|()| true)
    }

    pub(crate) fn read_ahead(&self, _bytes: Range<u64>) -> io::Result<()> {
        self.disk.call()
    }

    #[cfg(feature = "store")]
    pub(crate) fn forget(&self) -> io::Result<()> {
        self.disk.call()?;
        self.disk.shared.state.lock().forget(self.inode);
        Ok(())
    }

    pub(crate) fn cached(&self) -> io::Result<Cached> {
        self.disk.alive()?;
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn is_dirty(&self, _bytes: Range<u64>) -> io::Result<bool> {
        self.disk.alive()?;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What is written back is not durable: there is nothing to see of it.
    pub(crate) fn write_back(&self, _bytes: Range<u64>) -> io::Result<()> {
        self.disk.call()
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        let length = self.disk.shared.state.lock().inodes[self.inode].length;
        self.disk.sync_range(self.inode, 0, length)
    }

    #[cfg(feature = "store")]
    pub(crate) fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    pub(crate) fn map(&self, bytes: Range<u64>, access: Access) -> io::Result<Region> {
        self.disk.call()?;
        let state = self.disk.shared.state.lock();
        if let Some(code) = state.no_mapping {
            return Err(io::Error::from_raw_os_error(code));
        }
        let cache = Arc::clone(&state.inodes[self.inode].cache);
        drop(state);
        let (first, end) = (usize::try_from(bytes.start), usize::try_from(bytes.end));
        let (first, end) = (first.map_err(io::Error::other)?, end.map_err(io::Error::other)?);
        let watch = Mapping { disk: self.disk.clone(), inode: self.inode, first };
        Ok(cache.region(first, end - first, access == Access::Write, Arc::new(watch)))
    }

    pub(crate) fn try_lock(&self) -> io::Result<bool> {
        self.disk.call()?;
        let free = !self.is_locked()?;
        if free {
            let owner = (self.handle, Arc::clone(&self.disk.process));
            self.disk.shared.state.lock().inodes[self.inode].lock = Some(owner);
        }
        Ok(free)
    }

    /// One reader at a time: stricter than the real disk.
    #[cfg(feature = "store")]
    pub(crate) fn try_lock_shared(&self) -> io::Result<bool> {
        self.try_lock()
    }

    /// All its processes are this one, more or less.
    #[expect(clippy::unused_self, reason = "as the real disk")]
    pub(crate) fn holder(&self) -> Option<u32> {
        None
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the real disk")]
    pub(crate) fn unlock(&self) -> io::Result<()> {
        let mut state = self.disk.shared.state.lock();
        let lock = &mut state.inodes[self.inode].lock;
        if lock.as_ref().is_some_and(|(handle, _)| *handle == self.handle) {
            *lock = None;
        }
        Ok(())
    }

    pub(crate) fn is_locked(&self) -> io::Result<bool> {
        self.disk.call()?;
        let state = self.disk.shared.state.lock();
        let lock = state.inodes[self.inode].lock.as_ref();
        Ok(lock.is_some_and(|(handle, owner)| *handle != self.handle && !owner.dead.load(SeqCst)))
    }

    pub(crate) fn id(&self) -> io::Result<FileId> {
        self.disk.call().map(|()| file_id(self.inode))
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let _ = self.unlock();
        let mut state = self.disk.shared.state.lock();
        let inode = &mut state.inodes[self.inode];
        if inode.is_unnamed {
            *inode = Inode::new();
        }
    }
}
