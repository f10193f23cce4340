//! Items in frames that lie back to back in a file, and how one of them is read.
//!
//! Reads are positional and take `&self`; what was read is in the reader, of which there may be any
//! number. Nothing of a frame is used before its checksums are right.

use std::{ops::Range, path::PathBuf, sync::Arc};

use super::index::{Index, Place};
use crate::{
    disk::{
        compression::Compression,
        frame::{FrameHeader, HEADER_BYTES},
        seam::File,
    },
    error::{Corruption, Error, Result},
};

/// Bytes of frames that are read at once by those who go through them in order.
pub(super) const WINDOW_BYTES: u64 = 128 << 10;
/// Bytes of the length of an item.
const LENGTH_BYTES: usize = 4;

/// Frames of a file that is only read, or only grows.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) file: Arc<File>,
    /// For messages.
    pub(super) path: PathBuf,
    pub(super) salt: u32,
    pub(super) compression: Compression,
    pub(super) index: Index,
}

/// What a reader will want next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ahead {
    Nothing,
    Forward,
    Backward,
}

/// One frame at a time, and the bytes around it.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    /// Bytes of the file, and where they begin in it.
    window: Vec<u8>,
    window_at: u64,
    /// The body of the frame, if it is not in the window as it is.
    unpacked: Vec<u8>,
    /// Where in the window the body is, if it is there.
    body: Option<Range<usize>>,
    /// Where in the body each item ends.
    ends: Vec<u32>,
    frame: usize,
    /// Items of the frame; none: nothing was read, or not well.
    items: Range<u64>,
}

impl FrameReader {
    /// Reads the frame of an item that is in one, if it is not the last one that was read.
    pub(super) fn seek(&mut self, frames: &Frames, item: u64, ahead: Ahead) -> Result<()> {
        if self.items.contains(&item) {
            return Ok(());
        }
        let frame = if item == self.items.end && !self.items.is_empty() {
            self.frame + 1
        } else {
            frames.index.frame_of(item)
        };
        let place = frames.index.place(frame);
        self.items = 0..0;
        self.fill(frames, frame, &place, ahead)?;
        let opened = self.open(frames, &place);
        opened.map_err(Error::damaged(&frames.path, place.bytes.start))?;
        (self.frame, self.items) = (frame, place.items);
        Ok(())
    }

    /// The bytes of an item of the frame that was read.
    pub(super) fn bytes(&self, item: u64) -> &[u8] {
        let at = usize::try_from(item - self.items.start).unwrap_or(usize::MAX);
        let body = match &self.body {
            Some(place) => &self.window[place.clone()],
            None => &self.unpacked,
        };
        let begin = match at.checked_sub(1) {
            Some(before) => self.ends[before] as usize,
            None => self.ends.len() * LENGTH_BYTES,
        };
        &body[begin..self.ends[at] as usize]
    }

    /// Whether an item is the first one behind the frame that was read.
    pub(super) fn is_at_end(&self, item: u64) -> bool {
        item == self.items.end
    }

    /// Where in the file the frame begins that was read.
    pub(super) fn offset(&self, frames: &Frames) -> u64 {
        frames.index.place(self.frame).bytes.start
    }

    /// The frame that was read, as it is stored.
    pub(super) fn frame_bytes(&self, frames: &Frames) -> &[u8] {
        let bytes = frames.index.place(self.frame).bytes;
        let at = |offset: u64| usize::try_from(offset - self.window_at).unwrap_or(usize::MAX);
        &self.window[at(bytes.start)..at(bytes.end)]
    }

    /// Bytes of memory that it holds.
    pub(super) fn memory_bytes(&self) -> usize {
        self.window.capacity() + self.unpacked.capacity() + self.ends.capacity() * size_of::<u32>()
    }

    fn fill(&mut self, frames: &Frames, frame: usize, place: &Place, ahead: Ahead) -> Result<()> {
        let window_end = self.window_at + self.window.len() as u64;
        if self.window_at <= place.bytes.start && place.bytes.end <= window_end {
            return Ok(());
        }
        let wide = window(&frames.index, frame, place, ahead);
        if wide == place.bytes || self.read(frames, wide).is_err() {
            // One bad sector takes no frames with it but its own.
            self.read(frames, place.bytes.clone())?;
        }
        Ok(())
    }

    fn read(&mut self, frames: &Frames, bytes: Range<u64>) -> Result<()> {
        let length = usize::try_from(bytes.end - bytes.start).unwrap_or(usize::MAX);
        if length < self.window.capacity() / 4 {
            // A large item was here.
            self.window = Vec::new();
        }
        self.window.resize(length, 0);
        self.window_at = bytes.start;
        let read = frames.file.read_at(&mut self.window, bytes.start);
        read.inspect_err(|_| self.window.clear()).map_err(Error::io("read", &frames.path))
    }

    /// Checks everything there is to check.
    fn open(&mut self, frames: &Frames, place: &Place) -> Result<(), Corruption> {
        let field = |field, value: usize| Corruption::Field { field, value: value as u64 };
        let at = usize::try_from(place.bytes.start - self.window_at).unwrap_or(usize::MAX);
        let length = usize::try_from(place.bytes.end - place.bytes.start).unwrap_or(usize::MAX);
        let frame = self.window.get(at..).and_then(|rest| rest.get(..length));
        let frame = frame.ok_or(field("frame", length))?;
        let head = frame.first_chunk::<HEADER_BYTES>().ok_or(field("frame", length))?;
        let header = FrameHeader::decode(frames.salt, head, length as u64)?;
        if header.first != place.items.start || header.end() != place.items.end {
            return Err(Corruption::Field { field: "first", value: header.first });
        }
        let (stored, padding) = frame[HEADER_BYTES..].split_at(header.body_bytes as usize);
        if header.frame_bytes() != length as u64 || padding.iter().any(|&byte| byte != 0) {
            return Err(field("frame", length));
        }
        header.check_stored(stored)?;
        let body = if header.is_packed() {
            let raw_bytes = header.raw_bytes as usize;
            frames.compression.unpack(stored, raw_bytes, &mut self.unpacked)?;
            self.body = None;
            &self.unpacked
        } else {
            let begin = at + HEADER_BYTES;
            self.body = Some(begin..begin + stored.len());
            stored
        };
        header.check_body(body)?;
        self.ends.clear();
        // The lengths come first.
        let mut end = header.count * 4;
        self.ends.extend(header.lengths(body).map(|length| {
            end += length;
            end
        }));
        Ok(())
    }
}

/// The bytes to read for a frame, beside those that will be wanted next.
fn window(index: &Index, frame: usize, place: &Place, ahead: Ahead) -> Range<u64> {
    let mut bytes = place.bytes.clone();
    let fits = |from: u64, to: u64| to - from <= WINDOW_BYTES;
    match ahead {
        Ahead::Nothing => {}
        Ahead::Forward => {
            let ends = (frame + 1..index.frames()).map(|frame| index.place(frame).bytes.end);
            let last = ends.take_while(|&end| fits(bytes.start, end)).last();
            bytes.end = last.unwrap_or(bytes.end);
        }
        Ahead::Backward => {
            let begins = (0..frame).rev().map(|frame| index.place(frame).bytes.start);
            let first = begins.take_while(|&begin| fits(begin, bytes.end)).last();
            bytes.start = first.unwrap_or(bytes.start);
        }
    }
    bytes
}
