//! Taking the parts out in order, and their space with them.

use std::{
    fmt,
    io::{self, BufRead, Read},
    sync::Arc,
};

use super::{
    core::{Core, Got},
    reader::{PartReader, read_buffered},
};
use crate::error::Result;

/// Takes the parts out of a [`Spool`](crate::Spool), in order, while later ones still arrive.
///
/// There is one at a time of a spool. Dropped, it leaves the parts that it has not taken.
///
/// # Examples
///
/// ```
/// use std::{io::Read as _, thread};
///
/// let spool = ringkeep::Spool::new();
/// let writer = spool.clone();
/// let writer = thread::spawn(move || {
///     writer.put(1, b"world")?;
///     writer.put(0, b"hello ")?;
///     writer.finish(2)
/// });
/// let mut text = String::new();
/// let mut drain = spool.drain()?;
/// while let Some(mut part) = drain.next_part()? {
///     part.read_to_string(&mut text)?;
/// }
/// assert_eq!(text, "hello world");
/// writer.join().expect("it does not panic")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "parts are taken by `next_part`"]
pub struct Drain {
    core: Arc<Core>,
}

impl Drain {
    pub(super) fn begin(core: &Arc<Core>) -> Result<Self> {
        core.begin_draining()?;
        Ok(Self { core: Arc::clone(core) })
    }

    /// The next part, once it is complete; `None` when the spool is finished and all its parts were
    /// taken. It waits for a part that may still come: one that is being written, and before
    /// [`finish`](crate::Spool::finish) any.
    ///
    /// # Errors
    ///
    /// `PartMissing`: it has failed, or after `finish` nobody writes it; what happens then is up to
    /// [`GapPolicy`](crate::GapPolicy). It is also what ends the wait when the last
    /// [`Spool`](crate::Spool) and the last writer are gone. After an error the same part is the
    /// next one.
    ///
    /// # Examples
    ///
    /// ```
    /// let spool = ringkeep::Spool::new();
    /// spool.put(0, b"bytes")?;
    /// spool.finish(1)?;
    /// let mut drain = spool.drain()?;
    /// assert_eq!(drain.next_part()?.map(|part| part.part()), Some(0));
    /// assert!(drain.next_part()?.is_none());
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    pub fn next_part(&mut self) -> Result<Option<DrainedPart<'_>>> {
        let Some(Got { part, content }) = self.core.take()? else { return Ok(None) };
        let reader = PartReader::of(content);
        Ok(Some(DrainedPart { core: &self.core, part, reader, released: 0 }))
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.core.end_draining();
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("next", &self.core.next()).finish_non_exhaustive()
    }
}

/// A part that was taken out of a spool: it is here, and nowhere else.
///
/// What was read of it is given back at once, memory and disk, unless a
/// [`reader`](crate::Spool::reader) has it too. Dropped, all of it is gone, read or not. Of a spool
/// that [`resume`](crate::SpoolOptions::resume) opened it goes for good when it is dropped after it
/// was read to its end; else the next process has it again, unless this one drains the next part.
///
/// # Examples
///
/// ```
/// use std::io::Read as _;
///
/// let spool = ringkeep::Spool::new();
/// spool.put(0, b"bytes")?;
/// let mut text = String::new();
/// let mut drain = spool.drain()?;
/// let mut part = drain.next_part()?.expect("it is complete");
/// part.read_to_string(&mut text)?;
/// assert_eq!(text, "bytes");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DrainedPart<'a> {
    core: &'a Core,
    part: u64,
    reader: PartReader,
    /// The pieces before this one were given back.
    released: usize,
}

impl DrainedPart<'_> {
    /// Its number.
    ///
    /// # Examples
    ///
    /// ```
    /// let spool = ringkeep::Spool::new();
    /// spool.put(0, b"bytes")?;
    /// assert_eq!(spool.drain()?.next_part()?.map(|part| part.part()), Some(0));
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn part(&self) -> u64 {
        self.part
    }

    /// Bytes of all of it.
    ///
    /// # Examples
    ///
    /// ```
    /// let spool = ringkeep::Spool::new();
    /// spool.put(0, b"bytes")?;
    /// assert_eq!(spool.drain()?.next_part()?.map(|part| part.part_bytes()), Some(5));
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn part_bytes(&self) -> u64 {
        self.reader.part_bytes()
    }
}

impl BufRead for DrainedPart<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let read = self.reader.piece_index();
        // No reader comes to have it too: the part can no longer be found.
        let is_ours = Arc::strong_count(self.reader.content()) == 1;
        if read > self.released && is_ours && !self.core.is_kept() {
            self.reader.content().release(self.released..read);
            self.released = read;
        }
        self.reader.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.reader.consume(bytes);
    }
}

impl Read for DrainedPart<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, out)
    }
}

impl Drop for DrainedPart<'_> {
    fn drop(&mut self) {
        let is_done = self.reader.is_at_end();
        // Where that cannot be written, it is the next one of the next process again.
        if self.core.is_kept() && !(is_done && self.core.drained_before(self.part + 1).is_ok()) {
            self.reader.content().keep();
        }
    }
}

impl fmt::Debug for DrainedPart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, reader, .. } = self;
        f.debug_struct("DrainedPart")
            .field("part", part)
            .field("reader", reader)
            .finish_non_exhaustive()
    }
}
