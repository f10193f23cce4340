//! Reading a part.

use std::{
    fmt,
    io::{self, BufRead, Read, Seek, SeekFrom},
    sync::Arc,
};

use super::{
    content::{Content, PIECE_BYTES, Source},
    memory::Buffer,
};
use crate::error::Result;

/// Reads one complete part of a [`Spool`](crate::Spool), from any place of it.
///
/// It reads what the part was when the reader was made, even if the part is written again, drained
/// or let go of meanwhile. Each piece of 64 KiB is checked when it comes from the disk. A reader
/// has one of them in memory, beyond the budget.
///
/// An error has a [`ringkeep::Error`](crate::Error) as its source: `Damaged`, `Io`.
///
/// # Examples
///
/// ```
/// use std::io::{Read as _, Seek as _, SeekFrom};
///
/// let spool = ringkeep::Spool::new();
/// spool.put(0, b"some bytes")?;
/// let mut reader = spool.reader(0)?;
/// reader.seek(SeekFrom::Start(5))?;
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "bytes");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PartReader {
    content: Arc<Content>,
    bytes: u64,
    at: u64,
    /// The piece that was read last, by its place in the list.
    loaded: Option<(usize, Loaded)>,
    /// For pieces from the disk.
    buffer: Vec<u8>,
}

/// Where the bytes of the piece that was read last are.
enum Loaded {
    Shared(Arc<Buffer>),
    Own,
}

impl PartReader {
    pub(super) fn of(content: Arc<Content>) -> Self {
        let bytes = content.bytes();
        Self { content, bytes, at: 0, loaded: None, buffer: Vec::new() }
    }

    /// Bytes of the whole part.
    ///
    /// # Examples
    ///
    /// ```
    /// let spool = ringkeep::Spool::new();
    /// spool.put(0, b"some bytes")?;
    /// assert_eq!(spool.reader(0)?.part_bytes(), 10);
    /// # Ok::<(), ringkeep::Error>(())
    /// ```
    #[must_use]
    pub fn part_bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes
    }

    /// The pieces before this one have been read.
    pub(super) fn piece_index(&self) -> usize {
        usize::try_from(self.at / PIECE_BYTES as u64).unwrap_or(usize::MAX)
    }

    pub(super) fn content(&self) -> &Arc<Content> {
        &self.content
    }

    fn load(&mut self, index: usize) -> Result<()> {
        if self.loaded.as_ref().is_some_and(|(loaded, _)| *loaded == index) {
            return Ok(());
        }
        self.loaded = None;
        let piece = self.content.piece(index).expect("the part is as long as it was");
        let loaded = match &piece.source {
            Source::Memory(buffer) => Loaded::Shared(Arc::clone(buffer)),
            Source::Disk(offset) => {
                self.content.read(&piece, *offset, &mut self.buffer)?;
                Loaded::Own
            }
            Source::Gone => unreachable!("only what was read before is let go of"),
        };
        self.loaded = Some((index, loaded));
        Ok(())
    }
}

impl BufRead for PartReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.is_at_end() {
            return Ok(&[]);
        }
        self.load(self.piece_index())?;
        let piece = match &self.loaded {
            Some((_, Loaded::Shared(buffer))) => buffer.bytes(),
            _ => &self.buffer,
        };
        // Within a piece.
        let begin = usize::try_from(self.at % PIECE_BYTES as u64).unwrap_or(usize::MAX);
        Ok(&piece[begin..])
    }

    fn consume(&mut self, bytes: usize) {
        self.at += bytes as u64;
    }
}

/// Reads what is in the buffer.
pub(super) fn read_buffered(reader: &mut impl BufRead, out: &mut [u8]) -> io::Result<usize> {
    let found = reader.fill_buf()?;
    let bytes = found.len().min(out.len());
    out[..bytes].copy_from_slice(&found[..bytes]);
    reader.consume(bytes);
    Ok(bytes)
}

impl Read for PartReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, out)
    }
}

impl Seek for PartReader {
    /// Seeking behind the end is no error: there is nothing to read there.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(from) => self.bytes.checked_add_signed(from),
            SeekFrom::Current(from) => self.at.checked_add_signed(from),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl fmt::Debug for PartReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, at, .. } = self;
        f.debug_struct("PartReader").field("bytes", bytes).field("at", at).finish_non_exhaustive()
    }
}
