//! Numbered parts that arrive in any order and are wanted in theirs.
//!
//! `parts.rs` knows which parts there are, and `core.rs` who waits for them. The bytes of a part
//! are pieces (`content.rs`), in memory that is counted (`memory.rs`) or in the one file of the
//! spool (`store.rs`, whose free pages `holes.rs` finds). `writer.rs` fills pieces; where memory is
//! used up, those that are needed last move to the file. `reader.rs`, `drain.rs` and `merge.rs` are
//! the ways out. `manifest.rs` and `resume.rs` are for spools that outlive their process.

mod content;
mod core;
pub(crate) mod drain;
mod holes;
mod manifest;
mod memory;
mod merge;
pub(crate) mod options;
mod parts;
pub(crate) mod reader;
pub(crate) mod resume;
#[cfg(all(test, shuttle))]
mod schedules;
pub(crate) mod stats;
mod store;
pub(crate) mod writer;

use std::{fmt, io::Write, path::Path, sync::Arc};

use self::{
    core::{Core, Kept},
    drain::Drain,
    options::SpoolOptions,
    parts::Parts,
    reader::PartReader,
    resume::{Found, Resumed},
    stats::SpoolStats,
    store::Store,
    writer::PartWriter,
};
use crate::error::{Error, PartState, Result};

/// Parts of something large, numbered from 0 on: written in any order by any number of threads,
/// and read in order, in a fixed amount of memory.
///
/// The segments of a video, the ranges of a download: each is streamed in as it arrives, and goes
/// to the disk where memory does not suffice, part by part and piece by piece, those that are
/// needed last first. All of it is one file, which has no name and is gone with the process, unless
/// [`resume`](SpoolOptions::resume) was asked for.
///
/// What comes out is what went in, or an error: each piece of 64 KiB on the disk has a checksum.
/// [`drain`](Self::drain) takes parts out while later ones still arrive and gives their space back
/// as it reads, so the disk never holds anything twice. [`merge_to_file`](Self::merge_to_file)
/// makes a file that is whole and durable when it appears.
///
/// A part that is written again replaces the one before it when it is complete. Clones are the same
/// spool.
///
/// # Examples
///
/// ```
/// use std::{io::Write as _, thread};
///
/// use ringkeep::{Result, SpoolOptions};
///
/// # let directory = tempfile::tempdir()?;
/// # let output = directory.path().join("output");
/// let spool = SpoolOptions::new().memory_bytes(1 << 20).directory(directory.path()).build();
/// thread::scope(|scope| {
///     for first in 0..4 {
///         let spool = &spool;
///         scope.spawn(move || {
///             for number in (first..40).step_by(4) {
///                 let mut part = spool.part(number)?;
///                 for _ in 0..1000 {
///                     writeln!(part, "a line of part {number}")?;
///                 }
///                 part.commit()?;
///             }
///             Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
///         });
///     }
/// });
/// spool.finish(40)?;
/// assert_eq!(spool.missing().count(), 0);
/// let bytes = spool.merge_to_file(&output)?;
/// assert_eq!(bytes, std::fs::metadata(&output)?.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Spool {
    producer: Arc<Producer>,
}

/// Whoever may bring a part has this.
struct Producer {
    core: Arc<Core>,
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.core.abandon();
    }
}

impl Spool {
    /// An empty spool with the default [`SpoolOptions`]: 64 MiB of memory, and then a file where
    /// the system has temporary ones. Nothing is made on the disk yet.
    ///
    /// # Examples
    ///
    /// ```
    /// let spool = ringkeep::Spool::new();
    /// spool.put(0, b"bytes")?;
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        SpoolOptions::new().build()
    }

    fn unnamed(options: &SpoolOptions) -> Self {
        let directory = options.directory_or_default();
        let store = Store::new(options.disk.clone(), directory, options.limits());
        Self::of(Core::new(options, Arc::new(store), Parts::default(), None))
    }

    fn resume(options: &SpoolOptions, path: &Path) -> Result<Self> {
        // The process may go elsewhere before it is discarded.
        let path = std::path::absolute(path).map_err(Error::io("look at", path))?;
        let Found { store, manifest, next, contents, resumed } =
            resume::open(&options.disk, &path, &options.tag, &options.limits())?;
        let parts = Parts::resumed(next, contents);
        let kept = Kept { path, resumed };
        Ok(Self::of(Core::new(options, store, parts, Some((kept, manifest)))))
    }

    fn of(core: Arc<Core>) -> Self {
        Self { producer: Arc::new(Producer { core }) }
    }

    fn core(&self) -> &Arc<Core> {
        &self.producer.core
    }

    /// Begins to write a part, or to write it again: what is there of it stays until the new one is
    /// complete.
    ///
    /// # Errors
    ///
    /// `PartDrained`; `PartOutOfRange` after [`finish`](Self::finish).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write as _;
    ///
    /// let spool = ringkeep::Spool::new();
    /// let mut part = spool.part(3)?;
    /// part.write_all(b"bytes")?;
    /// part.commit()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn part(&self, part: u64) -> Result<PartWriter> {
        PartWriter::begin(&self.producer, part)
    }

    /// Writes a part of these bytes.
    ///
    /// # Errors
    ///
    /// `PartDrained`, `PartOutOfRange`; `NoSpace`, `DiskFull`, `Io`. The part is as it was before.
    ///
    /// # Examples
    ///
    /// ```
    /// let spool = ringkeep::Spool::new();
    /// spool.put(3, b"bytes")?;
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn put(&self, part: u64, bytes: &[u8]) -> Result<()> {
        let mut writer = self.part(part)?;
        writer.add(bytes)?;
        Ok(writer.commit()?)
    }

    /// Says that nobody will bring a part, so that nobody waits for it. Writing it again is
    /// possible; a part that is complete stays so.
    ///
    /// # Errors
    ///
    /// `PartDrained`, `PartOutOfRange`.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::PartState;
    ///
    /// let spool = ringkeep::Spool::new();
    /// spool.fail(3)?;
    /// assert_eq!(spool.state(3), PartState::Failed);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn fail(&self, part: u64) -> Result<()> {
        self.core().fail(part)
    }

    /// Says that there are `total` parts, and that nobody begins one of them any more, but to try
    /// again: one that is neither complete nor being written is a gap from now on.
    ///
    /// # Errors
    ///
    /// `PartOutOfRange`: there is a part with a larger number.
    ///
    /// # Examples
    ///
    /// ```
    /// let spool = ringkeep::Spool::new();
    /// spool.put(0, b"all there is")?;
    /// spool.finish(1)?;
    /// assert_eq!(spool.merge_into(&mut Vec::new())?, 12);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn finish(&self, total: u64) -> Result<()> {
        self.core().finish(total)
    }

    /// What has become of a part.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::PartState;
    ///
    /// assert_eq!(ringkeep::Spool::new().state(3), PartState::Absent);
    /// ```
    #[must_use]
    pub fn state(&self, part: u64) -> PartState {
        self.core().state_of(part)
    }

    /// The parts that are not complete, of those that there have to be: up to the total, or to the
    /// last one that anything is known of. They are those of this moment.
    ///
    /// # Examples
    ///
    /// ```
    /// let spool = ringkeep::Spool::new();
    /// spool.put(2, b"bytes")?;
    /// spool.finish(4)?;
    /// assert_eq!(spool.missing().collect::<Vec<_>>(), [0, 1, 3]);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn missing(&self) -> impl Iterator<Item = u64> + use<> {
        self.core().missing().into_iter().flatten()
    }

    /// Reads a complete part. Any number of readers can.
    ///
    /// # Errors
    ///
    /// `PartMissing`, `PartDrained`.
    ///
    /// # Examples
    ///
    /// ```
    /// let spool = ringkeep::Spool::new();
    /// spool.put(0, b"bytes")?;
    /// assert_eq!(std::io::read_to_string(spool.reader(0)?)?, "bytes");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reader(&self, part: u64) -> Result<PartReader> {
        Ok(PartReader::of(self.core().ready(part)?))
    }

    /// Begins to take parts out in order, and their memory and disk with them.
    ///
    /// # Errors
    ///
    /// `DrainedElsewhere`: somebody does that already.
    ///
    /// # Examples
    ///
    /// See [`Drain`].
    pub fn drain(&self) -> Result<Drain> {
        Drain::begin(self.core())
    }

    /// Writes all parts that were not drained, in order, each when it is complete, up to the end of
    /// a finished spool: how many bytes. The parts stay.
    ///
    /// # Errors
    ///
    /// `PartMissing`, by the [`GapPolicy`](crate::GapPolicy); `PartDrained` where somebody else
    /// drains; `Output`; `Damaged`, `Io`. Some of it is written then.
    ///
    /// # Examples
    ///
    /// ```
    /// let spool = ringkeep::Spool::new();
    /// spool.put(1, b"world")?;
    /// spool.put(0, b"hello ")?;
    /// spool.finish(2)?;
    /// let mut out = Vec::new();
    /// spool.merge_into(&mut out)?;
    /// assert_eq!(out, b"hello world");
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn merge_into(&self, mut out: impl Write) -> Result<u64> {
        merge::merge_into(self.core(), &mut out)
    }

    /// Makes a file of all parts that were not drained, in order, each when it is complete, up to
    /// the end of a finished spool: how many bytes. It appears under its name when it is complete
    /// and durable, and only then the parts are drained; a file that has the name is not replaced.
    ///
    /// What is on the disk the kernel copies, after it was checked. That takes no space where the
    /// file system shares blocks between files, and else as much again.
    ///
    /// # Errors
    ///
    /// `PartMissing`, by the [`GapPolicy`](crate::GapPolicy); `DrainedElsewhere`; `AlreadyExists`;
    /// `Locked` while somebody else makes that file; `NoSpace`, `ReadOnlyFileSystem`, `Damaged`,
    /// `Io`. No file is left behind then, and all parts are there.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("output");
    /// let spool = ringkeep::Spool::new();
    /// spool.put(0, b"all there is")?;
    /// spool.finish(1)?;
    /// assert_eq!(spool.merge_to_file(&path)?, 12);
    /// assert_eq!(std::fs::read(&path)?, b"all there is");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn merge_to_file(&self, path: impl AsRef<Path>) -> Result<u64> {
        merge::merge_to_file(self.core(), path.as_ref())
    }

    /// What an earlier process has left: nothing, unless [`resume`](SpoolOptions::resume) opened
    /// it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ringkeep::Spool::new().resumed(), ringkeep::Resumed::default());
    /// ```
    #[must_use]
    pub fn resumed(&self) -> Resumed {
        self.core().resumed()
    }

    /// Removes the files of a spool that [`resume`](SpoolOptions::resume) opened: nobody will go on
    /// with it. The handles that there are still work; their parts end with the process. Of another
    /// spool there are no files to remove.
    ///
    /// # Errors
    ///
    /// `Io`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("video.parts");
    /// let spool = ringkeep::SpoolOptions::new().resume(&path)?;
    /// spool.discard()?;
    /// assert!(!path.exists());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn discard(&self) -> Result<()> {
        self.core().discard()
    }

    /// The spool at this moment.
    ///
    /// # Examples
    ///
    /// ```
    /// let spool = ringkeep::Spool::new();
    /// spool.put(0, b"bytes")?;
    /// assert_eq!(spool.stats().ready_bytes, 5);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> SpoolStats {
        self.core().stats()
    }
}

impl Default for Spool {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
