//! The operating system's files.

use std::{
    ffi::OsString,
    fs,
    io::{self, IoSliceMut, Write as _},
    num::NonZeroU64,
    ops::Range,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use memmap2::MmapOptions;
use rustix::{
    fs::{Advice, AtFlags, CWD, FallocateFlags, RenameFlags},
    io::{Errno, ReadWriteFlags},
};

use super::{
    lock_holder,
    raw::{self, Cached, Region},
    seam::{Access, BootId, FileId, FileKind},
};

/// Bytes written at once where a file system cannot reserve space by itself.
const ZEROS_BYTES: usize = 1 << 20;

/// Bytes copied at once where the kernel cannot do it.
const COPY_BYTES: usize = 128 << 10;
/// Up to this size a copy is cheaper than a call with two buffers.
const SMALL_BYTES: usize = 512;
/// Bytes that the kernel fetches for one call, whatever its settings: it cuts longer ranges.
const AHEAD_BYTES: usize = 128 << 10;

/// The file system of this machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct RealDisk {
    #[cfg(feature = "test-util")]
    watch: Option<std::sync::Arc<dyn raw::Watch>>,
    /// Told instead of this machine's.
    #[cfg(feature = "test-util")]
    boot: Option<BootId>,
}

/// An open file.
#[derive(Debug)]
pub(crate) struct RealFile {
    file: fs::File,
    has_lock: AtomicBool,
    #[cfg(feature = "test-util")]
    watch: Option<std::sync::Arc<dyn raw::Watch>>,
}

#[expect(clippy::unused_self, reason = "the same methods as the simulated disk's")]
impl RealDisk {
    /// The same, with every read counted.
    #[cfg(feature = "test-util")]
    pub(crate) fn metered(self, meter: &super::meter::Meter) -> Self {
        Self { watch: Some(meter.watch()), ..self }
    }

    /// The same, after another boot.
    #[cfg(feature = "test-util")]
    pub(crate) fn booted_as(self, boot: BootId) -> Self {
        Self { boot: Some(boot), ..self }
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

    pub(crate) fn open_unnamed(&self, directory: &Path, mode: u32) -> io::Result<RealFile> {
        let mut options = fs::OpenOptions::new();
        // Exclusive: it can never get a name.
        options.read(true).write(true).mode(mode).custom_flags(libc::O_TMPFILE | libc::O_EXCL);
        match options.open(directory) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR)) => {
                self.open_and_remove(directory, mode)
            }
            other => Ok(self.file(other?)),
        }
    }

    /// Where a file system has no files without a name: one that loses it at once.
    fn open_and_remove(&self, directory: &Path, mode: u32) -> io::Result<RealFile> {
        let mut number = [0; 16];
        self.random_bytes(&mut number)?;
        let path = directory.join(format!(".ringkeep-{:032x}", u128::from_le_bytes(number)));
        let mut options = fs::OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(mode).open(&path)?;
        fs::remove_file(&path)?;
        Ok(self.file(file))
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

    pub(crate) fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    pub(crate) fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
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

    pub(crate) fn free_bytes(&self, directory: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(directory)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    pub(crate) fn boot_id(&self) -> io::Result<BootId> {
        #[cfg(feature = "test-util")]
        if let Some(boot) = self.boot {
            return Ok(boot);
        }
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

    pub(crate) fn resident_bytes(&self, mappings: &[Range<usize>]) -> io::Result<u64> {
        resident_of(&fs::read_to_string("/proc/self/smaps")?, mappings)
    }

    pub(crate) fn now(&self) -> Duration {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    pub(crate) fn unix_ns(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    fn file(&self, file: fs::File) -> RealFile {
        RealFile {
            file,
            has_lock: AtomicBool::new(false),
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

    pub(crate) fn extend(&self, length: u64) -> io::Result<()> {
        let before = self.length()?;
        let more = length.saturating_sub(before);
        let extend = || rustix::fs::fallocate(&self.file, FallocateFlags::empty(), before, more);
        match rustix::io::retry_on_intr(extend) {
            // Space is found when it is written to, or that fails.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.file.set_len(length),
            Err(error) => {
                // Some of it may have been found.
                let _ = self.file.set_len(before);
                Err(error.into())
            }
            Ok(()) => Ok(()),
        }
    }

    pub(crate) fn punch(&self, bytes: Range<u64>) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let length = bytes.end - bytes.start;
        let punch = || rustix::fs::fallocate(&self.file, flags, bytes.start, length);
        Ok(rustix::io::retry_on_intr(punch)?)
    }

    pub(crate) fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
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
        if wanted <= SMALL_BYTES {
            let mut both = [0; SMALL_BYTES];
            self.file.read_exact_at(&mut both[..wanted], offset)?;
            let (head, tail) = both[..wanted].split_at(first.len());
            first.copy_from_slice(head);
            rest.copy_from_slice(tail);
            return Ok(());
        }
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

    pub(crate) fn copy(&self, bytes: Range<u64>, to: &Self, offset: u64) -> io::Result<()> {
        let (mut from, mut at) = (bytes.start, offset);
        while from < bytes.end {
            let left = usize::try_from(bytes.end - from).unwrap_or(usize::MAX);
            let copied = rustix::fs::copy_file_range(
                &self.file,
                Some(&mut from),
                &to.file,
                Some(&mut at),
                left,
            );
            match copied {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                // Between two file systems, or not on this one, or not for this process.
                Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                    return self.copy_by_hand(from..bytes.end, to, at);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn copy_by_hand(&self, bytes: Range<u64>, to: &Self, offset: u64) -> io::Result<()> {
        let mut buffer = vec![0; COPY_BYTES];
        for begin in bytes.clone().step_by(COPY_BYTES) {
            let length = usize::try_from(bytes.end - begin).unwrap_or(usize::MAX).min(COPY_BYTES);
            self.read_at(&mut buffer[..length], begin)?;
            to.write_at(&buffer[..length], offset + (begin - bytes.start))?;
        }
        Ok(())
    }

    pub(crate) fn is_cached_at(&self, offset: u64) -> Option<bool> {
        let mut byte = [0];
        let buffers = &mut [IoSliceMut::new(&mut byte)];
        match rustix::io::preadv2(&self.file, buffers, offset, ReadWriteFlags::NOWAIT) {
            Ok(_) => Some(true),
            Err(Errno::AGAIN) => Some(false),
            Err(_) => None,
        }
    }

    pub(crate) fn read_ahead(&self, bytes: Range<u64>) -> io::Result<()> {
        for begin in bytes.clone().step_by(AHEAD_BYTES) {
            let length = NonZeroU64::new((bytes.end - begin).min(AHEAD_BYTES as u64));
            rustix::fs::fadvise(&self.file, begin, length, Advice::WillNeed)?;
        }
        Ok(())
    }

    #[cfg(feature = "store")]
    pub(crate) fn forget(&self) -> io::Result<()> {
        Ok(rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed)?)
    }

    pub(crate) fn cached(&self) -> io::Result<Cached> {
        raw::cached(&self.file)
    }

    pub(crate) fn is_dirty(&self, bytes: Range<u64>) -> io::Result<bool> {
        raw::is_dirty(&self.file, bytes)
    }

    pub(crate) fn write_back(&self, bytes: Range<u64>) -> io::Result<()> {
        raw::write_back(&self.file, bytes)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    #[cfg(feature = "store")]
    pub(crate) fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
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
        self.note_lock(raw::try_lock(&self.file))
    }

    #[cfg(feature = "store")]
    pub(crate) fn try_lock_shared(&self) -> io::Result<bool> {
        self.note_lock(raw::try_lock_shared(&self.file))
    }

    fn note_lock(&self, taken: io::Result<bool>) -> io::Result<bool> {
        if matches!(taken, Ok(true)) {
            self.has_lock.store(true, Relaxed);
        }
        taken
    }

    pub(crate) fn holder(&self) -> Option<u32> {
        lock_holder::of(file_id(&self.file.metadata().ok()?))
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

/// A lock would end with the last descriptor, and a child that was forked has each of them until it
/// runs another program.
impl Drop for RealFile {
    fn drop(&mut self) {
        if *self.has_lock.get_mut() {
            let _ = self.unlock();
        }
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

/// Sums up what `proc_pid_smaps(5)` tells of the mappings that lie in these addresses.
fn resident_of(smaps: &str, mappings: &[Range<usize>]) -> io::Result<u64> {
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let (mut inside, mut kilobytes) = (false, 0);
    for line in smaps.lines() {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((begin, end)) = first.split_once('-') {
            let address = |digits| usize::from_str_radix(digits, 16).map_err(|_| malformed());
            let (begin, end) = (address(begin)?, address(end)?);
            // The kernel joins mappings that lie beside each other.
            inside = mappings.iter().any(|mapping| begin < mapping.end && mapping.start < end);
        } else if first == "Rss:" && inside {
            let number = rest.trim().trim_end_matches(" kB");
            kilobytes += number.parse::<u64>().map_err(|_| malformed())?;
        }
    }
    Ok(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::{RealDisk, resident_of};

    #[test]
    fn a_lock_ends_with_its_file_though_a_child_has_the_descriptor() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        let open = || RealDisk::default().create(&path, 0o600).expect("a file");
        let (locked, other) = (open(), open());
        assert!(locked.try_lock().expect("an answer"));
        let of_the_child = locked.file.try_clone().expect("another descriptor of the same");
        assert!(!other.try_lock().expect("an answer"));
        drop(locked);
        assert!(other.try_lock().expect("an answer"));
        drop(of_the_child);
    }

    #[test]
    fn a_file_without_a_name_is_private_whether_it_ever_had_one_or_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let disk = RealDisk::default();
        let unnamed = disk.open_unnamed(directory.path(), 0o600).expect("a file");
        let removed = disk.open_and_remove(directory.path(), 0o600).expect("a file");
        for file in [unnamed, removed] {
            let mode = file.file.metadata().expect("it is open").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            file.write_at(b"bytes", 0).expect("there is room");
        }
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 0);
    }

    #[test]
    fn resident_bytes_are_those_of_the_mappings_asked_for() {
        let smaps = "1000-3000 r--p 00000000 fd:00 1 /cache.dat\nSize: 8 kB\nRss:    8 kB\n\
                     3000-4000 rw-p 00000000 00:00 0 [heap]\nRss: 4 kB\n\
                     7000-9000 rw-s 00005000 fd:00 1 /cache.dat\nRss: 4 kB\nVmFlags: rd wr\n";
        let both = [0x1000..0x3000, 0x8000..0x8001];
        let resident = |mappings| resident_of(smaps, mappings).expect("it is well formed");
        assert_eq!((resident(&both), resident(&both[1..]), resident(&[])), (12 << 10, 4 << 10, 0));
        assert!(resident_of("1000-300g r--p\n", &[]).is_err());
        assert!(resident_of("1000-3000 r--p\nRss: many kB\n", &both).is_err());
    }
}
