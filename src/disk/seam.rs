//! The one way to files, mappings and time: the operating system's, or a simulated disk that can
//! lose power. Structures see [`Disk`] and [`File`] only, so every promise about crashes can be
//! tried out on the same code that runs on a real disk.

use std::{ffi::OsString, io, ops::Range, path::Path, time::Duration};

#[cfg(feature = "test-util")]
use super::sim::{SimDisk, SimFile};
use super::{
    raw::{Cached, Region},
    real::{RealDisk, RealFile},
};
use crate::error::{Error, Result};

/// What may be done with an opened file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Regular,
    Directory,
    /// A device, a pipe, ..
    Special,
}

/// Which file on which device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// Which boot of which machine: 128 random bits.
pub(crate) type BootId = [u64; 2];

/// The operating system, or a simulated disk.
#[derive(Debug, Clone)]
pub(crate) enum Disk {
    Real(RealDisk),
    #[cfg(feature = "test-util")]
    Sim(SimDisk),
}

impl Default for Disk {
    fn default() -> Self {
        Self::Real(RealDisk::default())
    }
}

/// An opened file of either.
#[derive(Debug)]
pub(crate) enum File {
    Real(RealFile),
    #[cfg(feature = "test-util")]
    Sim(SimFile),
}

/// Calls the same method on whichever disk or file it is.
macro_rules! dispatch {
    ($self:ident: $kind:ident, $it:ident => $call:expr) => {
        match $self {
            $kind::Real($it) => $call,
            #[cfg(feature = "test-util")]
            $kind::Sim($it) => $call,
        }
    };
}

impl Disk {
    /// The operating system's disk, with every read counted.
    #[cfg(feature = "test-util")]
    pub(crate) fn metered(self, meter: &super::meter::Meter) -> Self {
        Self::Real(self.real().metered(meter))
    }

    /// The operating system's disk, after another boot.
    #[cfg(feature = "test-util")]
    pub(crate) fn booted_as(self, boot: BootId) -> Self {
        Self::Real(self.real().booted_as(boot))
    }

    #[cfg(feature = "test-util")]
    fn real(self) -> RealDisk {
        match self {
            Self::Real(disk) => disk,
            Self::Sim(_) => RealDisk::default(),
        }
    }

    /// Opens an existing file.
    pub(crate) fn open(&self, path: &Path, access: Access) -> io::Result<File> {
        match self {
            Self::Real(disk) => disk.open(path, access).map(File::Real),
            #[cfg(feature = "test-util")]
            Self::Sim(disk) => disk.open(path, access).map(File::Sim),
        }
    }

    /// Opens a file for writing, making an empty one if there is none.
    pub(crate) fn create(&self, path: &Path, mode: u32) -> io::Result<File> {
        match self {
            Self::Real(disk) => disk.create(path, mode).map(File::Real),
            #[cfg(feature = "test-util")]
            Self::Sim(disk) => disk.create(path).map(File::Sim),
        }
    }

    /// Opens a file without a name, which ends with the last process that has it open.
    pub(crate) fn open_unnamed(&self, directory: &Path, mode: u32) -> io::Result<File> {
        match self {
            Self::Real(disk) => disk.open_unnamed(directory, mode).map(File::Real),
            #[cfg(feature = "test-util")]
            Self::Sim(disk) => disk.open_unnamed(directory).map(File::Sim),
        }
    }

    /// Gives a file its new name, unless that name is taken: `AlreadyExists`.
    pub(crate) fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        dispatch!(self: Self, disk => disk.rename_new(from, to))
    }

    /// Gives a file the name of another one, which loses it.
    pub(crate) fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        dispatch!(self: Self, disk => disk.replace(from, to))
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        dispatch!(self: Self, disk => disk.remove(path))
    }

    /// Makes a directory, and those it lies in, where there are none.
    pub(crate) fn create_directory(&self, path: &Path) -> io::Result<()> {
        dispatch!(self: Self, disk => disk.create_directory(path))
    }

    /// Names in a directory.
    pub(crate) fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        dispatch!(self: Self, disk => disk.list(directory))
    }

    /// Makes the names in a directory durable.
    pub(crate) fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        dispatch!(self: Self, disk => disk.sync_directory(directory))
    }

    /// Which file a path leads to now.
    pub(crate) fn identify(&self, path: &Path) -> io::Result<FileId> {
        dispatch!(self: Self, disk => disk.identify(path))
    }

    /// The file system's type as `statfs` tells it.
    pub(crate) fn file_system_type(&self, directory: &Path) -> io::Result<u64> {
        dispatch!(self: Self, disk => disk.file_system_type(directory))
    }

    /// Bytes that a file in there could still take.
    pub(crate) fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        dispatch!(self: Self, disk => disk.free_bytes(directory))
    }

    pub(crate) fn boot_id(&self) -> io::Result<BootId> {
        dispatch!(self: Self, disk => disk.boot_id())
    }

    pub(crate) fn random_bytes(&self, out: &mut [u8]) -> io::Result<()> {
        dispatch!(self: Self, disk => disk.random_bytes(out))
    }

    /// Time since some moment in the past; never goes back.
    pub(crate) fn now(&self) -> Duration {
        dispatch!(self: Self, disk => disk.now())
    }

    /// The time of day, in nanoseconds since 1970.
    pub(crate) fn unix_ns(&self) -> u64 {
        dispatch!(self: Self, disk => disk.unix_ns())
    }

    /// Bytes of these addresses that are resident in this process.
    pub(crate) fn resident_bytes(&self, mappings: &[Range<usize>]) -> io::Result<u64> {
        dispatch!(self: Self, disk => disk.resident_bytes(mappings))
    }

    /// Whether background threads serve a structure; on the simulated disk its driver takes their
    /// steps one by one, so that a seed repeats a run. Under shuttle the model has threads.
    pub(crate) fn has_threads(&self) -> bool {
        cfg!(all(test, shuttle)) || matches!(self, Self::Real(_))
    }
}

impl File {
    pub(crate) fn length(&self) -> io::Result<u64> {
        dispatch!(self: Self, file => file.length())
    }

    pub(crate) fn kind(&self) -> io::Result<FileKind> {
        dispatch!(self: Self, file => file.kind())
    }

    /// Bytes of disk that are really allocated.
    pub(crate) fn allocated_bytes(&self) -> io::Result<u64> {
        dispatch!(self: Self, file => file.allocated_bytes())
    }

    /// The file system's type as `statfs` tells it.
    pub(crate) fn file_system_type(&self) -> io::Result<u64> {
        dispatch!(self: Self, file => file.file_system_type())
    }

    /// Fills holes with space of their own: a store into a hole on a full disk ends in a signal.
    pub(crate) fn fill_holes(&self) -> io::Result<()> {
        dispatch!(self: Self, file => file.fill_holes())
    }

    /// Makes the file `length` bytes long, all of them zeros on space of its own.
    pub(crate) fn allocate(&self, length: u64) -> io::Result<()> {
        dispatch!(self: Self, file => file.allocate(length))
    }

    /// Makes the file longer, by zeros on space of their own; what it holds stays. Nobody has it
    /// mapped.
    pub(crate) fn extend(&self, length: u64) -> io::Result<()> {
        dispatch!(self: Self, file => file.extend(length))
    }

    /// Gives back the space of a range, which reads as zeros from now on.
    pub(crate) fn punch(&self, bytes: Range<u64>) -> io::Result<()> {
        dispatch!(self: Self, file => file.punch(bytes))
    }

    /// Gives back the space behind the first `length` bytes.
    pub(crate) fn truncate(&self, length: u64) -> io::Result<()> {
        dispatch!(self: Self, file => file.truncate(length))
    }

    /// Fills `out` from `offset` on; `UnexpectedEof` where the file is shorter.
    pub(crate) fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        dispatch!(self: Self, file => file.read_at(out, offset))
    }

    /// Fills `first` from `offset` on, then `rest`, in one call of the system where that can be.
    pub(crate) fn read_both_at(
        &self,
        first: &mut [u8],
        rest: &mut [u8],
        offset: u64,
    ) -> io::Result<()> {
        dispatch!(self: Self, file => file.read_both_at(first, rest, offset))
    }

    /// Whether a byte is in the page cache; `None` where that cannot be told.
    pub(crate) fn is_cached_at(&self, offset: u64) -> Option<bool> {
        dispatch!(self: Self, file => file.is_cached_at(offset))
    }

    /// Lets the kernel fetch a range into the page cache.
    pub(crate) fn read_ahead(&self, bytes: Range<u64>) -> io::Result<()> {
        dispatch!(self: Self, file => file.read_ahead(bytes))
    }

    /// What the page cache holds of it.
    pub(crate) fn cached(&self) -> io::Result<Cached> {
        dispatch!(self: Self, file => file.cached())
    }

    /// Whether each page of a range is dirty in the page cache.
    pub(crate) fn is_dirty(&self, bytes: Range<u64>) -> io::Result<bool> {
        dispatch!(self: Self, file => file.is_dirty(bytes))
    }

    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        dispatch!(self: Self, file => file.write_at(bytes, offset))
    }

    /// Copies a range to a place of another file, in the kernel where it can.
    pub(crate) fn copy(&self, bytes: Range<u64>, to: &Self, offset: u64) -> io::Result<()> {
        #[cfg_attr(
            not(feature = "test-util"),
            expect(irrefutable_let_patterns, reason = "there is no other disk")
        )]
        if let (Self::Real(from), Self::Real(to)) = (self, to) {
            return from.copy(bytes, to, offset);
        }
        let mut buffer = vec![0; usize::try_from(bytes.end - bytes.start).unwrap_or(usize::MAX)];
        self.read_at(&mut buffer, bytes.start)?;
        to.write_at(&buffer, offset)
    }

    /// Waits until what was stored in a range is on its way out of memory: the kernel holds it no
    /// longer as dirty. It is not durable before a sync.
    pub(crate) fn write_back(&self, bytes: Range<u64>) -> io::Result<()> {
        dispatch!(self: Self, file => file.write_back(bytes))
    }

    /// Lets go of what is in memory and, as far as the kernel knows, on the disk too: it is read
    /// again from there.
    #[cfg(feature = "store")]
    pub(crate) fn forget(&self) -> io::Result<()> {
        dispatch!(self: Self, file => file.forget())
    }

    /// Makes content, length and allocation durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        dispatch!(self: Self, file => file.sync())
    }

    /// Makes content durable, and of the rest what it takes to read it; not its times.
    #[cfg(feature = "store")]
    pub(crate) fn sync_data(&self) -> io::Result<()> {
        dispatch!(self: Self, file => file.sync_data())
    }

    /// Shares a range that begins with a page with every other mapping of this file.
    pub(crate) fn map(&self, bytes: Range<u64>, access: Access) -> io::Result<Region> {
        dispatch!(self: Self, file => file.map(bytes, access))
    }

    /// Takes the exclusive lock; `false` when somebody else holds it.
    pub(crate) fn try_lock(&self) -> io::Result<bool> {
        dispatch!(self: Self, file => file.try_lock())
    }

    /// Takes the lock that any number of readers can have, and no writer beside them; `false` when
    /// somebody has the exclusive one.
    #[cfg(feature = "store")]
    pub(crate) fn try_lock_shared(&self) -> io::Result<bool> {
        dispatch!(self: Self, file => file.try_lock_shared())
    }

    /// What to say when somebody else holds the lock.
    pub(crate) fn locked(&self, path: &Path) -> Error {
        Error::Locked { path: path.into(), holder: dispatch!(self: Self, file => file.holder()) }
    }

    /// Gives the lock up.
    pub(crate) fn unlock(&self) -> io::Result<()> {
        dispatch!(self: Self, file => file.unlock())
    }

    /// Whether somebody else holds the lock.
    pub(crate) fn is_locked(&self) -> io::Result<bool> {
        dispatch!(self: Self, file => file.is_locked())
    }

    pub(crate) fn id(&self) -> io::Result<FileId> {
        dispatch!(self: Self, file => file.id())
    }
}

/// The name of a file system that lives on another machine, where neither locks nor mappings can
/// be trusted.
fn network_file_system(kind: u64) -> Option<&'static str> {
    // Magic numbers of statfs(2) and linux/magic.h; the high bits of some are sign-extended.
    Some(match kind & 0xFFFF_FFFF {
        0x6969 => "NFS",
        0x517B => "SMB",
        0xFF53_4D42 => "CIFS",
        0xFE53_4D42 => "SMB2",
        0x00C3_6400 => "Ceph",
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x0102_1997 => "9P",
        0x0BD0_0BD0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x7375_7245 => "Coda",
        0x0116_1970 => "GFS2",
        0x7461_636F => "OCFS2",
        _ => return None,
    })
}

/// Whether files there are memory, by another name.
pub(crate) fn is_memory_file_system(kind: u64) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58F6;
    matches!(kind & 0xFFFF_FFFF, TMPFS | RAMFS)
}

/// Locks and mappings do not work across machines.
pub(crate) fn refuse_network_file_system(kind: u64, path: &Path) -> Result<()> {
    match network_file_system(kind) {
        Some(name) => Err(Error::NetworkFileSystem { path: path.into(), name }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::network_file_system;

    #[test]
    fn network_file_systems_are_known_by_name_and_local_ones_pass() {
        assert_eq!(network_file_system(0x6969), Some("NFS"));
        assert_eq!(network_file_system(0xFFFF_FFFF_FF53_4D42), Some("CIFS"));
        for (local, name) in [(0xEF53, "ext4"), (0x5846_5342, "xfs"), (0x0102_1994, "tmpfs")] {
            assert_eq!(network_file_system(local), None, "{name}");
        }
    }
}
