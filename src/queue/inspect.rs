//! The files of a queue, seen from outside.

use std::{
    ffi::OsString,
    io::ErrorKind,
    ops::Range,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    items::QueueItems,
    opening::{LOCK, MARK},
    verify::{self, QueueVerifyEvent, QueueVerifyReport},
};
use crate::{
    disk::{
        compression::Compression,
        log::{
            look::{LogLook, LogStep},
            recover::ASIDE,
        },
        seam::{Access, Disk, FileKind},
        segment::{LogKind, first_of_name},
    },
    error::{ARCHIVE_MAGIC, Error, Foreign, Result},
};

/// Whether the items of a queue survive their process.
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, QueueFiles, QueueKind, QueueOptions};
///
/// # let directory = tempfile::tempdir()?;
/// let queue = QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
/// assert_eq!(QueueFiles::open(directory.path())?.kind(), QueueKind::Spill);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueKind {
    /// They do: [`Mode::Durable`](crate::Mode::Durable).
    Durable,
    /// They do not, and only those that memory had no room for are in files:
    /// [`Mode::Spill`](crate::Mode::Spill).
    Spill,
}

/// The files of a queue as they are at one moment, whether a process has it open or not, and
/// whatever its items are.
///
/// It takes no lock and writes nothing. What is pushed after the moment is not in it; what is
/// acknowledged after it may be. It needs read permission, and holds no file open.
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, Mode, QueueFiles, QueueOptions, SyncPolicy};
///
/// # let directory = tempfile::tempdir()?;
/// let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never)).tag("orders");
/// let queue = options.open(directory.path())?;
/// queue.push_batch(vec![b"one".to_vec(), b"two".to_vec()])?;
/// queue.pop()?;
///
/// let files = QueueFiles::open(directory.path())?;
/// assert_eq!((files.codec(), files.tag()), (Some("bytes"), Some("orders")));
/// assert_eq!(files.numbers(), 1..2);
/// assert_eq!(files.items().next().transpose()?.map(|item| item.bytes), Some(b"two".to_vec()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct QueueFiles {
    pub(super) look: LogLook,
}

/// What the files of a queue come to.
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, Compression, Mode, QueueFiles, QueueOptions, SyncPolicy};
///
/// # let directory = tempfile::tempdir()?;
/// let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
/// options.open(directory.path())?.push(b"item".to_vec())?;
/// let stats = QueueFiles::open(directory.path())?.stats()?;
/// assert_eq!((stats.segments, stats.compressions), (1, vec![Compression::None]));
/// assert!(stats.oldest.is_some() && stats.oldest == stats.newest);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QueueFilesStats {
    /// Segments.
    pub segments: u64,
    /// Bytes of disk that they take.
    pub disk_bytes: u64,
    /// How they are compressed, each way once.
    pub compressions: Vec<Compression>,
    /// When the first item that is not acknowledged was written; `None` where none is.
    pub oldest: Option<SystemTime>,
    /// When the last item was written, if that is still in the files.
    pub newest: Option<SystemTime>,
    /// Files that an opening has renamed because it could not read them.
    pub set_aside: Vec<PathBuf>,
}

impl QueueFiles {
    /// Looks at the queue in a directory.
    ///
    /// It reads the last segment, or, of a queue that nobody has open, all that is not known to be
    /// durable.
    ///
    /// # Errors
    ///
    /// `NoQueue`, `NotAQueue`; `Damaged` where the mark is no mark; `NewerFormat`,
    /// `UnknownCompression`, `Io`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Error, QueueFiles};
    ///
    /// let refused = QueueFiles::open("/nonexistent/queue");
    /// assert!(matches!(refused, Err(Error::NoQueue { .. })));
    /// ```
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        look(&Disk::default(), directory.as_ref())
    }

    /// On a simulated disk.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    #[cfg(feature = "test-util")]
    pub fn open_on(directory: impl AsRef<Path>, disk: &crate::disk::sim::SimDisk) -> Result<Self> {
        look(&Disk::Sim(disk.clone()), directory.as_ref())
    }

    /// The directory.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueFiles, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// # QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
    /// assert_eq!(QueueFiles::open(directory.path())?.directory(), directory.path());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.look.directory
    }

    /// Whether its items survive their process.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, Mode, QueueFiles, QueueKind, QueueOptions, SyncPolicy};
    /// # let directory = tempfile::tempdir()?;
    /// let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
    /// options.open::<Vec<u8>>(directory.path())?;
    /// assert_eq!(QueueFiles::open(directory.path())?.kind(), QueueKind::Durable);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> QueueKind {
        match &self.look.identity {
            Some(identity) if identity.kind == LogKind::Durable => QueueKind::Durable,
            None if self.look.mark.is_some() => QueueKind::Durable,
            _ => QueueKind::Spill,
        }
    }

    /// Name of the codec that made bytes of its items; `None` while no segment says it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueFiles, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
    /// assert_eq!(QueueFiles::open(directory.path())?.codec(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn codec(&self) -> Option<&str> {
        self.look.identity.as_ref().map(|identity| &*identity.codec)
    }

    /// What its user calls the items; empty for nothing, `None` while no segment says it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, Mode, QueueFiles, QueueOptions, SyncPolicy};
    /// # let directory = tempfile::tempdir()?;
    /// let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
    /// options.open(directory.path())?.push(b"item".to_vec())?;
    /// assert_eq!(QueueFiles::open(directory.path())?.tag(), Some(""));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.look.identity.as_ref().map(|identity| &*identity.tag)
    }

    /// The first item that is not acknowledged, and one past the last item. Of a queue that spills:
    /// of what is in files, some of which may have been read and acknowledged.
    ///
    /// Items behind the first one may be acknowledged already; the files do not say it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, Mode, QueueFiles, QueueOptions, SyncPolicy};
    /// # let directory = tempfile::tempdir()?;
    /// let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
    /// let queue = options.open(directory.path())?;
    /// queue.push_batch(vec![b"one".to_vec(), b"two".to_vec()])?;
    /// assert_eq!(QueueFiles::open(directory.path())?.numbers(), 0..2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn numbers(&self) -> Range<u64> {
        self.look.items.clone()
    }

    /// One past the last item that is known to survive a power cut. The process that has the queue
    /// open may know of more.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, Mode, QueueFiles, QueueOptions, SyncPolicy};
    /// # let directory = tempfile::tempdir()?;
    /// let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Always));
    /// let queue = options.open(directory.path())?;
    /// queue.push(b"item".to_vec())?;
    /// assert_eq!(QueueFiles::open(directory.path())?.durable(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.look.durable
    }

    /// Whether a process has the queue open now.
    ///
    /// # Errors
    ///
    /// `Io`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueFiles, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// let queue = QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
    /// let files = QueueFiles::open(directory.path())?;
    /// assert!(files.is_open()?);
    /// drop(queue);
    /// assert!(!files.is_open()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_open(&self) -> Result<bool> {
        is_open(&self.look.disk, &self.look.directory)
    }

    /// Counts and sizes; it reads the header of each segment.
    ///
    /// # Errors
    ///
    /// `UnknownCompression`, `NewerFormat`, `Io`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, QueueFiles, QueueOptions};
    /// # let directory = tempfile::tempdir()?;
    /// # QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
    /// assert_eq!(QueueFiles::open(directory.path())?.stats()?.segments, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> Result<QueueFilesStats> {
        let look = &self.look;
        let mut stats = QueueFilesStats {
            oldest: self.oldest(),
            newest: look.newest_ns.map(time_of),
            ..QueueFilesStats::default()
        };
        for &first in &look.firsts {
            let path = look.path(first);
            let file = match look.disk.open(&path, Access::Read) {
                // It is done with.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                opened => opened.map_err(Error::io("open", &path))?,
            };
            stats.segments += 1;
            stats.disk_bytes += file.length().map_err(Error::io("look at", &path))?;
            let compression = look.header(first)?.map(|header| header.compression);
            let is_new = |found: &Compression| !stats.compressions.contains(found);
            stats.compressions.extend(compression.filter(is_new));
        }
        let names = look.disk.list(&look.directory);
        let names = names.map_err(Error::io("list", &look.directory))?;
        let is_aside = |name: &&OsString| name.as_encoded_bytes().ends_with(ASIDE.as_bytes());
        stats.set_aside =
            names.iter().filter(is_aside).map(|name| look.directory.join(name)).collect();
        stats.set_aside.sort_unstable();
        Ok(stats)
    }

    /// When the first item that is there was written.
    fn oldest(&self) -> Option<SystemTime> {
        let mut walk = self.look.walk(self.look.items.start);
        loop {
            match walk.step()? {
                LogStep::Frame(header, _) => return Some(time_of(header.time_ns)),
                LogStep::Damage(_) => {}
            }
        }
    }

    /// The items that are not acknowledged, in order.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, Mode, QueueFiles, QueueOptions, SyncPolicy};
    /// # let directory = tempfile::tempdir()?;
    /// let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
    /// options.open(directory.path())?.push(b"item".to_vec())?;
    /// for item in QueueFiles::open(directory.path())?.items() {
    ///     assert_eq!(item?.bytes, b"item");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn items(&self) -> QueueItems<'_> {
        self.items_from(0)
    }

    /// As [`items`](Self::items), from the one with this number on.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, Mode, QueueFiles, QueueOptions, SyncPolicy};
    /// # let directory = tempfile::tempdir()?;
    /// let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
    /// options.open(directory.path())?.push_batch(vec![b"one".to_vec(), b"two".to_vec()])?;
    /// assert_eq!(QueueFiles::open(directory.path())?.items_from(1).count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn items_from(&self, number: u64) -> QueueItems<'_> {
        QueueItems::new(self.look.walk(number))
    }

    /// Reads every frame that is needed, and checks it. `on_event` is told of damage as it is
    /// found, and how far it is.
    ///
    /// # Errors
    ///
    /// `Io`. What cannot be read of the items is damage, and no error.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringkeep::{Bytes, Mode, QueueFiles, QueueOptions, SyncPolicy};
    /// # let directory = tempfile::tempdir()?;
    /// let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
    /// options.open(directory.path())?.push(b"item".to_vec())?;
    /// let report = QueueFiles::open(directory.path())?.verify(|_| {})?;
    /// assert_eq!((report.items, report.bytes, report.damaged), (1, 4, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify(&self, on_event: impl FnMut(QueueVerifyEvent)) -> Result<QueueVerifyReport> {
        verify::verify(self, on_event)
    }
}

/// So long after 1970.
pub(super) fn time_of(unix_ns: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(unix_ns)
}

fn look(disk: &Disk, directory: &Path) -> Result<QueueFiles> {
    refuse_others(disk, directory)?;
    let is_live = is_open(disk, directory)?;
    let look = LogLook::new(disk, directory, &directory.join(MARK), is_live)?;
    Ok(QueueFiles { look })
}

fn is_open(disk: &Disk, directory: &Path) -> Result<bool> {
    let path = directory.join(LOCK);
    match disk.open(&path, Access::Read) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("open", &path)(error)),
        Ok(lock) => lock.is_locked().map_err(Error::io("ask for the lock of", &path)),
    }
}

/// Refuses what is not the directory of a queue, and says what it is.
fn refuse_others(disk: &Disk, directory: &Path) -> Result<()> {
    let foreign = |found| Err(Error::NotAQueue { path: directory.into(), found });
    let names = match disk.list(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::NoQueue { path: directory.into() });
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            return foreign(file_kind(disk, directory)?);
        }
        names => names.map_err(Error::io("list", directory))?,
    };
    let is_ours = |name: &OsString| name == MARK || first_of_name(name).is_some();
    // A queue that only spills may have no other file; others have files of that name too.
    let has_lock = || match file_kind(disk, &directory.join(LOCK)) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(false),
        kind => kind.map(|kind| kind == Foreign::Empty),
    };
    if names.iter().any(is_ours) || has_lock()? {
        return Ok(());
    }
    foreign(if names.is_empty() { Foreign::EmptyDirectory } else { Foreign::OtherDirectory })
}

/// What a path leads to.
fn file_kind(disk: &Disk, path: &Path) -> Result<Foreign> {
    let file = disk.open(path, Access::Read).map_err(Error::io("open", path))?;
    match file.kind().map_err(Error::io("look at", path))? {
        FileKind::Regular => {}
        FileKind::Directory => return Ok(Foreign::Directory),
        FileKind::Special => return Ok(Foreign::Special),
    }
    let mut magic = [0; ARCHIVE_MAGIC.len()];
    match file.length().map_err(Error::io("look at", path))? {
        0 => return Ok(Foreign::Empty),
        length if length < magic.len() as u64 => return Ok(Foreign::File),
        _ => file.read_at(&mut magic, 0).map_err(Error::io("read", path))?,
    }
    Ok(if magic == ARCHIVE_MAGIC { Foreign::Archive } else { Foreign::File })
}
