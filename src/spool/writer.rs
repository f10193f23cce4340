//! Writing a part.

use std::{fmt, io, mem, sync::Arc};

use super::{
    Producer,
    content::{Content, PIECE_BYTES, Piece, Source},
    core::WriterId,
    memory::Buffer,
};
use crate::error::{Error, Result};

/// One part of a [`Spool`](crate::Spool) while it is written. [`commit`](Self::commit) makes it
/// complete; dropped before, it is as if it had never been begun.
///
/// It takes up to 64 KiB of memory for what was written last; what is before that stays in memory
/// while the spool's budget has room, and goes to the disk where it has not. Nothing has to be
/// flushed.
///
/// An error of a write (`NoSpace`, `DiskFull`, `Io`, as the source of the [`io::Error`]) takes in
/// none of its bytes: the same write can be tried again.
///
/// # Examples
///
/// ```
/// use std::io::Write as _;
///
/// let spool = ringkeep::Spool::new();
/// let mut part = spool.part(0)?;
/// part.write_all(b"two ")?;
/// part.write_all(b"words")?;
/// part.commit()?;
/// assert_eq!(spool.reader(0)?.part_bytes(), 9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a part that is dropped without `commit` was never written"]
pub struct PartWriter {
    producer: Arc<Producer>,
    id: WriterId,
    content: Arc<Content>,
    buffer: Buffer,
    is_complete: bool,
}

impl PartWriter {
    pub(super) fn begin(producer: &Arc<Producer>, part: u64) -> Result<Self> {
        let producer = Arc::clone(producer);
        let core = &producer.core;
        let id = core.begin(part)?;
        let content = Arc::new(Content::new(&core.store));
        let buffer = Buffer::new(&core.memory);
        Ok(Self { producer, id, content, buffer, is_complete: false })
    }

    /// The number of the part.
    ///
    /// # Examples
    ///
    /// ```
    /// let part = ringkeep::Spool::new().part(7)?;
    /// assert_eq!(part.part(), 7);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn part(&self) -> u64 {
        self.id.0
    }

    /// Bytes that were written.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write as _;
    ///
    /// let mut part = ringkeep::Spool::new().part(7)?;
    /// part.write_all(b"bytes")?;
    /// assert_eq!(part.part_bytes(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn part_bytes(&self) -> u64 {
        self.content.bytes() + self.buffer.bytes().len() as u64
    }

    /// Makes the part complete: it is ready from now on, in place of an earlier one with this
    /// number. Of a spool that [`resume`](crate::SpoolOptions::resume) opened, it survives the end
    /// of the process.
    ///
    /// # Errors
    ///
    /// With the writer, which can try again: `PartDrained`, `PartOutOfRange`; where it goes to the
    /// disk now, `NoSpace`, `DiskFull`, `Io`. An earlier part with this number is still there.
    ///
    /// # Panics
    ///
    /// If what [`on_progress`](crate::SpoolOptions::on_progress) was given panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{PartState, Spool};
    ///
    /// let spool = Spool::new();
    /// let part = spool.part(0)?;
    /// assert_eq!(spool.state(0), PartState::Writing);
    /// part.commit()?;
    /// assert_eq!(spool.state(0), PartState::Ready);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn commit(mut self) -> Result<(), CommitError> {
        match self.complete() {
            Ok(()) => Ok(()),
            Err(source) => Err(CommitError { writer: self.into(), source: source.into() }),
        }
    }

    fn complete(&mut self) -> Result<()> {
        if !self.buffer.bytes().is_empty() {
            self.buffer.shrink();
            self.keep(Buffer::new(&self.producer.core.memory));
            self.producer.core.settle()?;
        }
        self.producer.core.commit(self.id.0, &self.content)?;
        self.is_complete = true;
        Ok(())
    }

    /// Writes all of these bytes.
    pub(super) fn add(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            self.make_room(bytes.len())?;
            let taken = self.buffer.fill(bytes);
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Makes room for some bytes at least; there are at most so many to come.
    fn make_room(&mut self, coming: usize) -> Result<()> {
        if self.buffer.is_full() {
            if self.producer.core.make_room(PIECE_BYTES)? {
                self.keep(Buffer::counted(&self.producer.core.memory));
            } else {
                self.content.append(self.buffer.bytes())?;
                self.buffer.clear();
                self.producer.core.tell_of_moving();
            }
        }
        let lacks = self.buffer.lacks(coming);
        if lacks > 0 {
            // What a writer has last it has in any case.
            if !self.producer.core.make_room(lacks)? {
                self.producer.core.memory.take(lacks);
            }
            self.buffer.grow(lacks);
        }
        Ok(())
    }

    /// Leaves the buffer in memory as a piece, and goes on with the next one.
    fn keep(&mut self, next: Buffer) {
        let full = Arc::new(mem::replace(&mut self.buffer, next));
        self.content.push(Piece::of(full.bytes(), Source::Memory(Arc::clone(&full))));
        self.producer.core.may_evict(self.id, &self.content);
    }
}

impl io::Write for PartWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.make_room(bytes.len())?;
        Ok(self.buffer.fill(bytes))
    }

    /// Does nothing: what was written is not lost, and not complete before
    /// [`commit`](Self::commit).
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for PartWriter {
    fn drop(&mut self) {
        self.producer.core.end(self.id, self.is_complete);
    }
}

impl fmt::Debug for PartWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartWriter").field("part", &self.id.0).finish_non_exhaustive()
    }
}

/// A [`commit`](PartWriter::commit) that failed, with all that was written.
///
/// # Examples
///
/// ```
/// use std::io::Write as _;
///
/// use ringkeep::{CommitError, Error, SpoolOptions};
///
/// # let directory = tempfile::tempdir()?;
/// let options = SpoolOptions::new().memory_bytes(0).disk_bytes_max(10);
/// let mut part = options.directory(directory.path()).build().part(0)?;
/// part.write_all(b"more than ten bytes")?;
/// let CommitError { writer, source } = part.commit().unwrap_err();
/// assert!(matches!(*source, Error::DiskFull { .. }));
/// assert_eq!(writer.part_bytes(), 19);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct CommitError {
    /// To try again.
    pub writer: Box<PartWriter>,
    /// Why.
    pub source: Box<Error>,
}

impl From<CommitError> for Error {
    fn from(failed: CommitError) -> Self {
        *failed.source
    }
}

impl From<CommitError> for io::Error {
    fn from(failed: CommitError) -> Self {
        Self::from(*failed.source)
    }
}
