//! The operating system's files.

use std::{
    ffi::OsString,
    fs,
    io::{self, IoSliceMut, Write as _},
    ops::Range,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    time::{Duration, Instant},
};

use memmap2::MmapOptions;
use rustix::{
    fs::{AtFlags, CWD, FallocateFlags, RenameFlags},
    io::Errno,
};

use super::{
    raw::{self, Region},
    seam::{Access, BootId, FileId, FileKind},
};

/// Bytes written at once where a file system cannot reserve space by itself.
const ZEROS_BYTES: usize = 1 << 20;

/// The file system of this machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct RealDisk {
    #[cfg(feature = "test-util")]
    watch: Option<std::sync::Arc<dyn raw::Watch>>,
}

/// An open file.
#[derive(Debug)]
pub(crate) struct RealFile {
    file: fs::File,
    #[cfg(feature = "test-util")]
    watch: Option<std::sync::Arc<dyn raw::Watch>>,
}

#[expect(clippy::unused_self, reason = "the same methods as the simulated disk's")]
impl RealDisk {
    /// The same, with every read counted.
    #[cfg(feature = "test-util")]
    pub(crate) fn metered(meter: &super::meter::Meter) -> Self {
        Self { watch: Some(meter.watch()) }
    }

    pub(crate) fn open(&self, path: &Path, access: Access) -> io::Result<RealFile> {
        let write = access == Access::Write;
        // A FIFO or a device must not block or act on being opened; only regular files are read.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let open = fs::OpenOptions::new().read(true).write(write).custom_flags(flags).open(path)?;
        Ok(self.file(open))
    }

    pub(crate) fn create(&self, path: &Path, mode: u32) -> io::Result<RealFile> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(mode);
        Ok(self.file(options.custom_flags(libc::O_NOFOLLOW).open(path)?))
    }

    pub(crate) fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Not every file system can do that in one step; a second name never replaces either.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty())?;
                fs::remove_file(from)
            }
            other => Ok(other?),
        }
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    pub(crate) fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    pub(crate) fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        fs::File::open(directory)?.sync_all()
    }

    pub(crate) fn identify(&self, path: &Path) -> io::Result<FileId> {
        Ok(file_id(&fs::metadata(path)?))
    }

    pub(crate) fn file_system_type(&self, directory: &Path) -> io::Result<u64> {
        Ok(kind_of(rustix::fs::statfs(directory)?))
    }

    pub(crate) fn boot_id(&self) -> io::Result<BootId> {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        let number = u128::from_str_radix(&digits, 16).map_err(io::Error::other)?;
        let bytes = number.to_le_bytes();
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Ok([word(0), word(8)])
    }

    pub(crate) fn random_bytes(&self, out: &mut [u8]) -> io::Result<()> {
        let got = rustix::rand::getrandom(&mut *out, rustix::rand::GetRandomFlags::empty())?;
        // The kernel fills up to 256 bytes at once; nobody asks for more.
        assert_eq!(got, out.len(), "getrandom gives small buffers whole");
        Ok(())
    }

    pub(crate) fn now(&self) -> Duration {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    fn file(&self, file: fs::File) -> RealFile {
        RealFile {
            file,
            #[cfg(feature = "test-util")]
            watch: self.watch.clone(),
        }
    }
}

impl RealFile {
    pub(crate) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    pub(crate) fn kind(&self) -> io::Result<FileKind> {
        let kind = self.file.metadata()?.file_type();
        Ok(match (kind.is_file(), kind.is_dir()) {
            (true, _) => FileKind::Regular,
            (_, true) => FileKind::Directory,
            _ => FileKind::Special,
        })
    }

    pub(crate) fn allocated_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.blocks() * 512)
    }

    pub(crate) fn allocate(&self, length: u64) -> io::Result<()> {
        // A leftover of an earlier creation may have bytes already.
        self.file.set_len(0)?;
        // What was allocated before a signal stays, so that every try gets further.
        let allocate = || rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, length);
        match rustix::io::retry_on_intr(allocate) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                self.write_zeros(length)
            }
            other => Ok(other?),
        }
    }

    pub(crate) fn file_system_type(&self) -> io::Result<u64> {
        Ok(kind_of(rustix::fs::fstatfs(&self.file)?))
    }

    pub(crate) fn fill_holes(&self) -> io::Result<()> {
        let length = self.length()?;
        let fill = || rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, length);
        match rustix::io::retry_on_intr(fill) {
            // Where space cannot be reserved, creation has written every byte.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            other => Ok(other?),
        }
    }

    fn write_zeros(&self, length: u64) -> io::Result<()> {
        let zeros = vec![0; ZEROS_BYTES];
        let mut file = &self.file;
        let mut left = length;
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
            file.write_all(&zeros[..piece])?;
            left -= piece as u64;
        }
        Ok(())
    }

    pub(crate) fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        #[cfg(feature = "test-util")]
        if let Some(watch) = &self.watch {
            watch.loaded(out.len());
        }
        self.file.read_exact_at(out, offset)
    }

    pub(crate) fn read_both_at(
        &self,
        first: &mut [u8],
        rest: &mut [u8],
        offset: u64,
    ) -> io::Result<()> {
        #[cfg(feature = "test-util")]
        if let Some(watch) = &self.watch {
            watch.loaded(first.len() + rest.len());
        }
        let wanted = first.len() + rest.len();
        let buffers = &mut [IoSliceMut::new(first), IoSliceMut::new(rest)];
        match rustix::io::preadv(&self.file, buffers, offset) {
            Ok(read) if read == wanted => Ok(()),
            // Interrupted in the middle, or at the end of the file: piece by piece.
            Ok(_) | Err(Errno::INTR) => {
                self.file.read_exact_at(first, offset)?;
                self.file.read_exact_at(rest, offset + first.len() as u64)
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    pub(crate) fn write_back(&self, bytes: Range<u64>) -> io::Result<()> {
        raw::write_back(&self.file, bytes)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    pub(crate) fn map(&self, bytes: Range<u64>, access: Access) -> io::Result<Region> {
        let length = usize::try_from(bytes.end - bytes.start).map_err(io::Error::other)?;
        let mut options = MmapOptions::new();
        options.offset(bytes.start).len(length);
        let map = match access {
            Access::Read => options.map_raw_read_only(&self.file)?,
            Access::Write => options.map_raw(&self.file)?,
        };
        let region = Region::mapped(map, access == Access::Write);
        #[cfg(feature = "test-util")]
        if let Some(watch) = &self.watch {
            return Ok(region.watched_by(std::sync::Arc::clone(watch)));
        }
        Ok(region)
    }

    pub(crate) fn try_lock(&self) -> io::Result<bool> {
        raw::try_lock(&self.file)
    }

    pub(crate) fn unlock(&self) -> io::Result<()> {
        raw::unlock(&self.file)
    }

    pub(crate) fn is_locked(&self) -> io::Result<bool> {
        raw::is_locked(&self.file)
    }

    pub(crate) fn id(&self) -> io::Result<FileId> {
        Ok(file_id(&self.file.metadata()?))
    }
}

/// The width and sign of the field differ between machines; its low 32 bits do not.
fn kind_of(found: rustix::fs::StatFs) -> u64 {
    #[expect(clippy::cast_sign_loss, reason = "a bit pattern, not a number")]
    let kind = found.f_type as u64;
    kind
}

fn file_id(metadata: &fs::Metadata) -> FileId {
    FileId { device: metadata.dev(), inode: metadata.ino() }
}
