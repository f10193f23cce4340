//! Writing a part.

use std::{fmt, io, mem, sync::Arc};

use super::{
    content::{Content, PIECE_BYTES, Piece, Source},
    core::{Core, WriterId},
    memory::Buffer,
};
use crate::error::Result;

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
    core: Arc<Core>,
    id: WriterId,
    /// `None` once it is complete.
    content: Option<Arc<Content>>,
    buffer: Buffer,
}

impl PartWriter {
    pub(super) fn begin(core: &Arc<Core>, part: u64) -> Result<Self> {
        let id = core.begin(part)?;
        let content = Some(Arc::new(Content::new(&core.store)));
        Ok(Self { core: Arc::clone(core), id, content, buffer: Buffer::new(&core.memory) })
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
        let stored = self.content.as_ref().map_or(0, |content| content.bytes());
        stored + self.buffer.bytes().len() as u64
    }

    /// Makes the part complete: it is ready from now on, in place of an earlier one with this
    /// number. Of a spool that [`resume`](crate::SpoolOptions::resume) opened, it survives the end
    /// of the process.
    ///
    /// # Errors
    ///
    /// `PartDrained`, `PartOutOfRange`; where it goes to the disk now, `NoSpace`, `DiskFull`, `Io`.
    /// What was written is given up, and an earlier part with this number is still there.
    ///
    /// # Panics
    ///
    /// If what [`on_progress`](crate::SpoolOptions::on_progress) was given panics; the part is
    /// complete then.
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
    pub fn commit(mut self) -> Result<()> {
        let Some(content) = &self.content else { return Ok(()) };
        let mut last = mem::replace(&mut self.buffer, Buffer::new(&self.core.memory));
        if !last.bytes().is_empty() {
            last.shrink();
            keep(&self.core, self.id, content, last);
            self.core.settle()?;
        }
        self.core.commit(self.id.0, content)
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
            let Some(content) = &self.content else { return Ok(()) };
            if self.core.make_room(PIECE_BYTES)? {
                let next = Buffer::counted(&self.core.memory);
                let full = mem::replace(&mut self.buffer, next);
                keep(&self.core, self.id, content, full);
            } else {
                content.append(self.buffer.bytes())?;
                self.buffer.clear();
                self.core.tell_of_moving();
            }
        }
        let lacks = self.buffer.lacks(coming);
        if lacks > 0 {
            // What a writer has last it has in any case.
            if !self.core.make_room(lacks)? {
                self.core.memory.take(lacks);
            }
            self.buffer.grow(lacks);
        }
        Ok(())
    }
}

/// Leaves a piece in memory.
fn keep(core: &Core, id: WriterId, content: &Arc<Content>, buffer: Buffer) {
    let buffer = Arc::new(buffer);
    content.push(Piece::of(buffer.bytes(), Source::Memory(Arc::clone(&buffer))));
    core.may_evict(id, content);
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
        self.content = None;
        self.core.end(self.id);
    }
}

impl fmt::Debug for PartWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartWriter").field("part", &self.id.0).finish_non_exhaustive()
    }
}
