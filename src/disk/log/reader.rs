//! Reading frames of a log, while its writer goes on.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Log, Position};
use crate::{
    disk::{
        frame::{ALIGN, FrameHeader, HEADER_BYTES, body_bytes_claimed, is_magic},
        seam::{Access, Disk, File},
        segment::{FRAMES_AT, NotASegment, SEGMENT_HEADER_BYTES, SegmentHeader},
        tail::TailCopy,
    },
    error::{Corruption, Error, Result},
};

/// Bytes that are fetched at once, at least.
const CHUNK_BYTES: u64 = 64 << 10;
/// Bytes that the kernel is asked for ahead of what is read, a half of them at a time.
const AHEAD_BYTES: u64 = 1 << 20;

/// Reads frames, in order for the most part.
#[derive(Debug)]
pub(crate) struct LogReader {
    log: Arc<Log>,
    open: Option<SegmentReader>,
}

impl LogReader {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self { log, open: None }
    }

    /// The frame that holds `item`, which was appended. `position` is at that frame or before it,
    /// and comes to be behind it.
    ///
    /// # Errors
    ///
    /// `Damaged` where there is no such frame, `MissingSegment`, `Io`.
    pub(crate) fn read(
        &mut self,
        position: &mut Position,
        item: u64,
    ) -> Result<(FrameHeader, &[u8])> {
        let first = self.log.segment_of(item)?.first;
        if position.segment != first {
            *position = Position::first_of(first);
        }
        let segment = self.segment(first)?;
        loop {
            let header = match segment.frame_at(position.offset) {
                // What lies before the item is not needed, whole or not.
                Err(error @ Error::Damaged { .. }) => {
                    let found = segment.next_frame(position.offset + ALIGN as u64, 0)?;
                    let Some((at, header)) = found.filter(|(_, header)| header.first <= item)
                    else {
                        return Err(error);
                    };
                    position.offset = at;
                    header
                }
                header => header?,
            };
            if header.first > item {
                let source = Corruption::Field { field: "first", value: header.first };
                return Err(Error::damaged(&segment.path, position.offset)(source));
            }
            let offset = position.offset;
            position.offset += header.frame_bytes();
            if item < header.end() {
                return Ok((header, segment.body(&header, offset)?));
            }
        }
    }

    /// Passes over a damaged frame: `position` comes to be at the first whole one behind it that
    /// begins with `item` or a later one, in this segment or the next. That item, if there is one.
    pub(crate) fn skip_damage(
        &mut self,
        position: &mut Position,
        item: u64,
    ) -> Result<Option<u64>> {
        let next = self.log.next_segment(position.segment);
        let segment = match self.segment(position.segment) {
            Err(Error::Damaged { .. } | Error::MissingSegment { .. }) => {
                return Ok(next.filter(|&next| next > item));
            }
            segment => segment?,
        };
        let end = next.unwrap_or(u64::MAX);
        match segment.next_frame(position.offset + ALIGN as u64, item)? {
            Some((offset, header)) if header.first < end => {
                position.offset = offset;
                Ok(Some(header.first))
            }
            _ => Ok(next.filter(|&next| next > item)),
        }
    }

    fn segment(&mut self, first: u64) -> Result<&mut SegmentReader> {
        if self.open.as_ref().is_none_or(|open| open.header.first != first) {
            // A segment that the last frame was read from is not held open beside the new one.
            self.open = None;
            self.open = Some(SegmentReader::open(&self.log.disk, &self.log.path(first))?);
        }
        Ok(self.open.as_mut().expect("it was opened"))
    }
}

/// One segment, open for reading.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: File,
    pub(crate) path: PathBuf,
    pub(crate) header: SegmentHeader,
    /// Length of the file.
    pub(crate) bytes: u64,
    /// Count where they differ from the file.
    copies: Vec<TailCopy>,
    chunk: Chunk,
    /// Up to here the kernel was asked to have it in its cache.
    ahead: u64,
    /// A body that was compressed.
    unpacked: Vec<u8>,
}

/// What was read of a file.
#[derive(Debug, Default)]
struct Chunk {
    at: u64,
    bytes: Vec<u8>,
}

impl Chunk {
    fn get(&self, offset: u64, count: u64) -> Option<&[u8]> {
        let at = usize::try_from(offset.checked_sub(self.at)?).ok()?;
        let count = usize::try_from(count).ok()?;
        self.bytes.get(at..at.checked_add(count)?)
    }
}

impl SegmentReader {
    /// Opens the segment with this path.
    ///
    /// # Errors
    ///
    /// `MissingSegment`, `NewerFormat`; `Damaged` where its header is none.
    pub(crate) fn open(disk: &Disk, path: &Path) -> Result<Self> {
        let file = disk.open(path, Access::Read).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::MissingSegment { path: path.into() },
            _ => Error::io("open", path)(error),
        })?;
        let bytes = file.length().map_err(Error::io("look at", path))?;
        let mut header = [0; SEGMENT_HEADER_BYTES];
        if bytes >= header.len() as u64 {
            file.read_at(&mut header, 0).map_err(Error::io("read", path))?;
        }
        let header = SegmentHeader::decode(&header).map_err(|problem| match problem {
            NotASegment::Newer(found) => {
                Error::NewerFormat { path: path.into(), found, supported: 1 }
            }
            NotASegment::UnknownCompression(found) => {
                Error::UnknownCompression { path: path.into(), found }
            }
            NotASegment::Foreign => {
                let value = u64::from_le_bytes(std::array::from_fn(|i| header[i]));
                Error::damaged(path, 0)(Corruption::Field { field: "magic", value })
            }
            NotASegment::Damaged(source) => Error::damaged(path, 0)(source),
        })?;
        let copies = if bytes < FRAMES_AT {
            Vec::new()
        } else {
            TailCopy::read_all(&file, header.salt).map_err(Error::io("read", path))?
        };
        Ok(Self {
            file,
            path: path.into(),
            header,
            bytes,
            copies,
            chunk: Chunk::default(),
            ahead: 0,
            unpacked: Vec::new(),
        })
    }

    /// The header of the frame that begins here; its body is whole, and fetched.
    pub(crate) fn frame_at(&mut self, offset: u64) -> Result<FrameHeader> {
        let is_fetched = self.chunk.get(offset, HEADER_BYTES as u64).is_some();
        match self.try_frame_at(offset) {
            // It may have been fetched before it was written.
            Err(Error::Damaged { .. }) if is_fetched => {
                self.chunk.bytes.clear();
                self.try_frame_at(offset)
            }
            found => found,
        }
    }

    fn try_frame_at(&mut self, offset: u64) -> Result<FrameHeader> {
        let header = self.fetch(offset, HEADER_BYTES as u64)?;
        let header = *header.first_chunk().expect("it was fetched");
        let room = self.bytes.saturating_sub(offset);
        let header = FrameHeader::decode(self.header.salt, &header, room);
        let header = header.map_err(Error::damaged(&self.path, offset))?;
        let body = self.fetch(offset + HEADER_BYTES as u64, header.body_bytes.into())?;
        header.check_stored(body).map_err(Error::damaged(&self.path, offset))?;
        Ok(header)
    }

    /// The body of the frame that was looked at last, and began here.
    pub(crate) fn body(&mut self, header: &FrameHeader, offset: u64) -> Result<&[u8]> {
        let stored = self.chunk.get(offset + HEADER_BYTES as u64, header.body_bytes.into());
        let mut body = stored.expect("the frame was looked at");
        let damaged = |source| Error::damaged(&self.path, offset)(source);
        if header.is_packed() {
            let (raw_bytes, out) = (header.raw_bytes as usize, &mut self.unpacked);
            self.header.compression.unpack(body, raw_bytes, out).map_err(damaged)?;
            body = out;
        }
        header.check_body(body).map_err(damaged)?;
        Ok(body)
    }

    /// Bytes of the file, which come with those behind them.
    fn fetch(&mut self, offset: u64, count: u64) -> Result<&[u8]> {
        if self.chunk.get(offset, count).is_none() {
            self.read_chunk(offset, count)?;
        }
        Ok(self.chunk.get(offset, count).expect("it was read"))
    }

    fn read_chunk(&mut self, offset: u64, count: u64) -> Result<()> {
        let end = offset.saturating_add(count);
        self.chunk.bytes.clear();
        let is_short = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
        loop {
            if end > self.bytes {
                let source = Corruption::Field { field: "file bytes", value: self.bytes };
                return Err(Error::damaged(&self.path, offset)(source));
            }
            let length = count.max(CHUNK_BYTES.min(self.bytes - offset));
            self.chunk.bytes.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
            let read = self.file.read_at(&mut self.chunk.bytes, offset);
            match read {
                Ok(()) => break,
                // Its writer ended it, and gave back what it did not need.
                Err(error) if is_short(&error) => {
                    self.chunk.bytes.clear();
                    let bytes = self.file.length().map_err(Error::io("look at", &self.path))?;
                    if bytes >= self.bytes {
                        return Err(Error::io("read", &self.path)(error));
                    }
                    self.bytes = bytes;
                }
                Err(error) => {
                    self.chunk.bytes.clear();
                    return Err(Error::io("read", &self.path)(error));
                }
            }
        }
        for copy in &self.copies {
            copy.lay_over(&mut self.chunk.bytes, offset);
        }
        self.chunk.at = offset;
        self.read_ahead(offset + self.chunk.bytes.len() as u64);
        Ok(())
    }

    /// The kernel fetches what comes behind `end`, while what comes before it is worked on.
    fn read_ahead(&mut self, end: u64) {
        let wanted = end.saturating_add(AHEAD_BYTES).min(self.bytes);
        let begin = self.ahead.max(end);
        if begin < wanted && (wanted - begin >= AHEAD_BYTES / 2 || wanted == self.bytes) {
            // What cannot be fetched, its read will tell.
            let _ = self.file.read_ahead(begin..wanted);
            self.ahead = wanted;
        }
    }

    /// The last byte from `offset` on that is not zero.
    fn last_byte(&mut self, offset: u64) -> Result<Option<u64>> {
        let (mut at, mut last) = (offset, None);
        while at < self.bytes {
            let count = CHUNK_BYTES.min(self.bytes - at);
            let bytes = self.fetch(at, count)?;
            let found = bytes.iter().rposition(|&byte| byte != 0);
            last = found.map(|found| at + found as u64).or(last);
            at += count;
        }
        Ok(last)
    }

    /// The first place from `offset` on where a frame's header may be.
    fn next_magic(&mut self, mut offset: u64) -> Result<Option<u64>> {
        while offset + HEADER_BYTES as u64 <= self.bytes {
            let (bytes, count) = (self.bytes, CHUNK_BYTES.min(self.bytes - offset));
            match self.fetch(offset, count).map(drop) {
                // Its writer ended it meanwhile: it is shorter now.
                Err(Error::Damaged { .. }) if self.bytes < bytes => continue,
                fetched => fetched?,
            }
            let mut places = self.fetch(offset, count)?.chunks_exact(ALIGN);
            if let Some(place) = places.position(is_magic) {
                let found = offset + (place * ALIGN) as u64;
                return Ok((found + HEADER_BYTES as u64 <= self.bytes).then_some(found));
            }
            offset += count;
        }
        Ok(None)
    }

    /// The first whole frame from `offset` on that begins with `item` or a later one.
    pub(crate) fn next_frame(
        &mut self,
        offset: u64,
        item: u64,
    ) -> Result<Option<(u64, FrameHeader)>> {
        let mut offset = offset.next_multiple_of(ALIGN as u64);
        // What is there now counts, not what was there when it was fetched.
        self.chunk.bytes.clear();
        // Headers that overlap, as no writer leaves them, must not be read again and again.
        let mut left = self.bytes.saturating_mul(4);
        while left > 0 {
            let Some(magic) = self.next_magic(offset)? else { break };
            offset = magic;
            let claimed = match self.fetch(offset, HEADER_BYTES as u64) {
                Err(Error::Damaged { .. }) => 0,
                header => body_bytes_claimed(header?),
            };
            left = left.saturating_sub(claimed.min(self.bytes));
            match self.try_frame_at(offset) {
                Ok(header) if header.first >= item => return Ok(Some((offset, header))),
                Ok(_) | Err(Error::Damaged { .. }) => offset += ALIGN as u64,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// One past the last item that was durable when something in here was written, whole or behind
    /// damage.
    pub(crate) fn durable(&mut self) -> Result<u64> {
        let (first, mut durable) = (self.header.first, self.header.durable);
        let mut offset = FRAMES_AT;
        while let Some((at, header)) = self.next_frame(offset, first)? {
            durable = durable.max(header.durable);
            offset = at + header.frame_bytes();
        }
        Ok(durable)
    }

    /// Bytes from here on to the last one that is not zero.
    pub(crate) fn torn_bytes(&mut self, offset: u64) -> Result<u64> {
        self.last_byte(offset).map(|last| last.map_or(0, |last| last + 1 - offset))
    }
}
