//! Scratch files: room on a disk for what does not fit memory, which ends with its process.
//!
//! A scratch file has no name, so nothing is left behind whatever ends the process, and nobody else
//! can open it. It grows in steps ahead of what is written, on space of its own: a full disk is an
//! error before anything is half written. A file that is to get its name when it is complete grows
//! in the same way.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    budget::{DiskBudget, Share},
    seam::{Disk, File, is_memory_file_system},
};
use crate::error::{Error, Result};

/// Nobody but the user may read what was in memory.
pub(crate) const MODE: u32 = 0o600;
/// It grows by a part of what it takes, but by no less and no more than these.
const GROWTH: u64 = 32;
const STEP_BYTES_MIN: u64 = 64 << 10;
const STEP_BYTES_MAX: u64 = 16 << 20;

/// A file that grows as it is written, within limits.
#[derive(Debug)]
pub(crate) struct Scratch {
    file: Arc<File>,
    /// For messages: of a file without a name the directory.
    path: PathBuf,
    length: u64,
    /// Bytes whose space was given back.
    punched: u64,
    limits: Vec<Limit>,
}

/// What the file has of a limit on the disk.
#[derive(Debug)]
struct Limit {
    share: Share,
    bytes_max: u64,
}

impl Limit {
    fn of(budget: &DiskBudget) -> Self {
        Self { share: budget.share(), bytes_max: budget.bytes() }
    }
}

impl Scratch {
    /// A file without a name in this directory, within all of these limits.
    pub(crate) fn unnamed(disk: &Disk, directory: &Path, limits: &[&DiskBudget]) -> Result<Self> {
        let file = disk.open_unnamed(directory, MODE);
        let file = file.map_err(Error::filling("make a temporary file in", directory, 0))?;
        Ok(Self::opened(Arc::new(file), directory, 0, limits))
    }

    /// A new, empty file that has a name.
    pub(crate) fn over(file: Arc<File>, path: &Path) -> Self {
        Self::opened(file, path, 0, &[])
    }

    /// A file of so many bytes that has a name. It may have more than its limits, and grows only
    /// within them.
    pub(crate) fn opened(
        file: Arc<File>,
        path: &Path,
        length: u64,
        limits: &[&DiskBudget],
    ) -> Self {
        let limits = limits.iter().map(|budget| Limit::of(budget)).collect();
        let mut scratch = Self { file, path: path.into(), length, punched: 0, limits };
        scratch.hold();
        scratch
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of disk that it takes.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.length - self.punched
    }

    /// Whether it lies on a file system whose files are memory.
    pub(crate) fn is_memory(&self) -> Result<bool> {
        let kind = self.file.file_system_type();
        Ok(is_memory_file_system(kind.map_err(Error::io("look at", &self.path))?))
    }

    /// Stores bytes; the file grows where they need it.
    ///
    /// # Errors
    ///
    /// `DiskFull`, `NoSpace`, `Io`. What was stored before is as it was, but for the range itself.
    pub(crate) fn write_at(&mut self, bytes: &[u8], offset: u64) -> Result<()> {
        let end = offset + bytes.len() as u64;
        self.reserve(end)?;
        let written = self.file.write_at(bytes, offset);
        written.map_err(Error::filling("write", &self.path, end))
    }

    /// Gives back the space of a range that nobody will read again. Where a file system cannot do
    /// that, the space comes back when the file ends.
    pub(crate) fn punch(&mut self, bytes: Range<u64>) -> Result<()> {
        let punched = self.file.punch(bytes.clone());
        punched.map_err(Error::io("give space back of", &self.path))?;
        self.punched += bytes.end - bytes.start;
        self.hold();
        Ok(())
    }

    /// Gives back the space behind so many bytes.
    pub(crate) fn truncate(&mut self, length: u64) -> Result<()> {
        if length < self.length {
            self.file.truncate(length).map_err(Error::io("shorten", &self.path))?;
            self.length = length;
            self.hold();
        }
        Ok(())
    }

    /// Gives back the space behind so many bytes, of which there are no holes before.
    pub(crate) fn clear(&mut self, length: u64) -> Result<()> {
        self.file.truncate(length).map_err(Error::io("shorten", &self.path))?;
        (self.length, self.punched) = (length, 0);
        self.hold();
        Ok(())
    }

    /// Makes it so long at least, on space of its own.
    pub(crate) fn reserve(&mut self, end: u64) -> Result<()> {
        if end <= self.length {
            return Ok(());
        }
        let ample = end + (self.disk_bytes() / GROWTH).clamp(STEP_BYTES_MIN, STEP_BYTES_MAX);
        // Near a limit every byte counts.
        self.extend(ample).or_else(|_| self.extend(end))
    }

    fn extend(&mut self, length: u64) -> Result<()> {
        let taken = length - self.punched;
        let lacks_room =
            |limit: &mut Limit| (!limit.share.try_hold(taken, 0)).then_some(limit.bytes_max);
        let extended = if let Some(max_bytes) = self.limits.iter_mut().find_map(lacks_room) {
            Err(Error::DiskFull { needed_bytes: taken, max_bytes })
        } else {
            let extended = self.file.extend(length);
            extended.map_err(Error::filling("extend", &self.path, length))
        };
        if extended.is_ok() {
            self.length = length;
        } else {
            self.hold();
        }
        extended
    }

    /// What it has of its limits is what it takes.
    fn hold(&mut self) {
        let taken = self.disk_bytes();
        for limit in &mut self.limits {
            limit.share.hold(taken);
        }
    }
}

/// What works, but not as one may think.
///
/// # Examples
///
/// ```
/// let warning = ringkeep::SpillWarning::MemoryFileSystem { directory: "/tmp".into() };
/// assert!(warning.to_string().starts_with("files in /tmp take memory"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpillWarning {
    /// The directory is on a `tmpfs` or a `ramfs`: what leaves memory for it stays there.
    MemoryFileSystem {
        /// The directory.
        directory: PathBuf,
    },
}

impl SpillWarning {
    /// What is unwise about temporary files in this directory.
    pub(crate) fn of(disk: &Disk, directory: PathBuf) -> Result<Option<Self>> {
        let kind = disk.file_system_type(&directory);
        let kind = kind.map_err(Error::io("look at", &directory))?;
        Ok(is_memory_file_system(kind).then_some(Self::MemoryFileSystem { directory }))
    }
}

impl std::fmt::Display for SpillWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::MemoryFileSystem { directory } => write!(
                f,
                "files in {} take memory: choose a directory on a disk, /var/tmp for instance",
                directory.display()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Disk, DiskBudget, Scratch};
    #[cfg(feature = "test-util")]
    use crate::disk::sim::SimDisk;
    use crate::error::Error;

    fn works(disk: &Disk, directory: &Path) {
        let budget = DiskBudget::new(1 << 20);
        let mut file = Scratch::unnamed(disk, directory, &[&budget]).expect("a file");
        file.write_at(&vec![7; 100_000], 8).expect("there is room");
        file.write_at(&[9; 10], 50_000).expect("there is room");
        let mut found = [0; 12];
        file.file().read_at(&mut found, 49_999).expect("it was stored");
        assert_eq!(found, [7, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 7]);
        assert_eq!(budget.used(), file.disk_bytes());
        let before = file.disk_bytes();
        file.punch(8192..16384).expect("a hole");
        assert_eq!((file.disk_bytes(), budget.used()), (before - 8192, before - 8192));
        file.file().read_at(&mut found, 8187).expect("it is as long as before");
        assert_eq!(found, [7, 7, 7, 7, 7, 0, 0, 0, 0, 0, 0, 0]);
        let refused = file.write_at(&vec![1; 1 << 20], 65_536);
        assert!(matches!(refused, Err(Error::DiskFull { max_bytes, .. }) if max_bytes == 1 << 20));
        assert_eq!(budget.used(), before - 8192);
        file.truncate(20_000).expect("a shorter one");
        assert_eq!(budget.used(), 20_000 - 8192);
        drop(file);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_scratch_file_has_no_name_and_keeps_to_its_limits() {
        let directory = tempfile::tempdir().expect("a directory");
        works(&Disk::default(), directory.path());
        let file = Scratch::unnamed(&Disk::default(), directory.path(), &[]).expect("a file");
        let count = std::fs::read_dir(directory.path()).expect("a directory").count();
        assert_eq!((count, file.is_memory().expect("an answer")), (0, false));
        drop(file);
        directory.close().expect("it is empty");
    }

    #[test]
    #[cfg(feature = "test-util")]
    fn on_the_simulated_disk_it_is_the_same_and_a_full_disk_is_told_before_a_write() {
        let disk = SimDisk::reliable(1);
        let seam = Disk::Sim(disk.clone());
        works(&seam, Path::new("/sim"));
        assert!(disk.unnamed_files().is_empty());
        let mut file = Scratch::unnamed(&seam, Path::new("/sim"), &[]).expect("a file");
        file.write_at(b"before", 0).expect("there is room");
        let length = disk.unnamed_files()[0];
        disk.fill_up();
        let refused = file.write_at(&[0; 100], length as u64);
        assert!(matches!(refused, Err(Error::NoSpace { .. })), "{refused:?}");
        assert_eq!(disk.unnamed_files(), [length]);
        let mut found = [0; 6];
        file.file().read_at(&mut found, 0).expect("it is there");
        assert_eq!(&found, b"before");
        disk.set_file_system_type(0x0102_1994);
        assert!(file.is_memory().expect("an answer"));
    }
}
