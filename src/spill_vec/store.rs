//! Items in a scratch file: frames, and behind them what waits for the next ones.

use std::sync::Arc;

use super::{
    frames::{Ahead, FrameReader, Frames},
    index::Index,
    pending::Pending,
};
use crate::{
    disk::{
        codec::Codec, compression::Compression, frame::FrameBuilder, scratch::Scratch, seam::Disk,
    },
    error::{Error, Result},
};

/// Bytes of items that are written at once, at least.
const RUN_BYTES: usize = 64 << 10;
/// Memory that a builder keeps, whatever the last frame took.
const KEPT_BYTES: usize = 256 << 10;

/// How items are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// A frame ends with the item that makes it so long.
    pub(super) frame_bytes: usize,
    pub(super) compression: Compression,
}

/// Items that were pushed, in order.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) scratch: Scratch,
    pub(super) frames: Frames,
    pub(super) pending: Pending,
    shape: Shape,
    builder: FrameBuilder,
    /// Frames on their way to the disk.
    run: Vec<u8>,
    /// Bytes of the bodies of all frames, before they were compressed.
    raw_bytes: u64,
}

impl Store {
    /// No items, in a file that is empty; the first frame will begin at `offset`.
    pub(super) fn new(disk: &Disk, scratch: Scratch, offset: u64, shape: Shape) -> Result<Self> {
        let mut salt = [0; 4];
        disk.random_bytes(&mut salt).map_err(Error::io("get random bytes for", scratch.path()))?;
        let frames = Frames {
            file: Arc::clone(scratch.file()),
            path: scratch.path().into(),
            salt: u32::from_le_bytes(salt),
            compression: shape.compression,
            index: Index::new(offset),
        };
        let (pending, builder) = (Pending::default(), FrameBuilder::default());
        Ok(Self { scratch, frames, pending, shape, builder, run: Vec::new(), raw_bytes: 0 })
    }

    /// Items in frames, and pending.
    pub(super) fn items(&self) -> u64 {
        self.frames.index.items() + self.pending.len() as u64
    }

    pub(super) fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }

    /// Bytes of disk that hold frames.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.frames.index.end_offset()
    }

    /// Memory that it takes: the index and what is about one run.
    pub(super) fn memory_bytes(&self) -> usize {
        let index = self.frames.index.memory_bytes();
        index + self.pending.memory_bytes() + self.run.capacity() + self.builder.memory_bytes()
    }

    /// Adds an item behind the others; whether frames were written for it.
    ///
    /// # Errors
    ///
    /// `Encode`, `TooLarge`, and those of a write. The item is not added then, and everything else
    /// is as it was.
    pub(super) fn push<T>(&mut self, codec: &impl Codec<T>, item: &T) -> Result<bool> {
        // Only after a write that failed.
        if self.is_full() {
            self.write(false)?;
        }
        let before = self.pending.len();
        self.pending.encode(codec, item)?;
        let is_full = self.is_full();
        if is_full && let Err(error) = self.write(false) {
            self.pending.truncate(before);
            return Err(error);
        }
        Ok(is_full)
    }

    /// As `push`, of an item that is encoded.
    pub(super) fn push_encoded(&mut self, bytes: &[u8]) -> Result<()> {
        self.pending.push(bytes);
        if self.is_full() { self.write(false) } else { Ok(()) }
    }

    /// Writes everything that is pending.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.pending.len() == 0 { Ok(()) } else { self.write(true) }
    }

    /// Adds frames of another store as they are. Nothing may be pending.
    pub(super) fn append_frame(&mut self, items: u64, bytes: &[u8]) -> Result<()> {
        self.scratch.write_at(bytes, self.frames.index.end_offset())?;
        self.frames.index.push(items, bytes.len() as u64);
        Ok(())
    }

    /// Keeps so many items: those that a frame loses at its end are pending then.
    ///
    /// # Errors
    ///
    /// Those of reading that frame, `Io`. All items are there then.
    pub(super) fn truncate(&mut self, items: u64) -> Result<()> {
        let in_frames = self.frames.index.items();
        if items >= in_frames {
            let kept = usize::try_from(items - in_frames).unwrap_or(usize::MAX);
            self.pending.truncate(kept.min(self.pending.len()));
            return Ok(());
        }
        let frame = self.frames.index.frame_of(items);
        let place = self.frames.index.place(frame);
        let mut pending = Pending::default();
        if place.items.start < items {
            let mut reader = FrameReader::default();
            reader.seek(&self.frames, items, Ahead::Nothing)?;
            (place.items.start..items).for_each(|item| pending.push(reader.bytes(item)));
        }
        self.scratch.truncate(place.bytes.start)?;
        self.frames.index.truncate(frame);
        self.pending = pending;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.pending.body_bytes() >= self.shape.frame_bytes.max(RUN_BYTES)
    }

    /// Writes what is pending in frames: whole ones, and if it is `all` of it a last one that is
    /// short.
    fn write(&mut self, all: bool) -> Result<()> {
        let (first, offset) = (self.frames.index.items(), self.frames.index.end_offset());
        let mut added = Vec::new();
        let mut raw_bytes = 0;
        let mut taken = 0;
        self.run.clear();
        while taken < self.pending.len() {
            let (count, is_whole) = self.pending.fill(taken, self.shape.frame_bytes);
            if !is_whole && !all && taken > 0 {
                break;
            }
            self.builder.begin(count);
            for at in taken..taken + count {
                self.builder.add(|out| {
                    out.extend_from_slice(self.pending.item(at));
                    Ok::<(), Error>(())
                })?;
            }
            let mut sealed = self.builder.seal(self.shape.compression);
            raw_bytes += sealed.raw_bytes();
            let bytes = sealed.finish(self.frames.salt, first + taken as u64, 0, 0);
            added.push((count as u64, bytes.len() as u64));
            if taken == 0 && count == self.pending.len() {
                // A large item is not copied once more.
                self.scratch.write_at(bytes, offset)?;
            } else {
                self.run.extend_from_slice(bytes);
            }
            taken += count;
        }
        if !self.run.is_empty() {
            self.scratch.write_at(&self.run, offset)?;
        }
        // What was written is used from here on, and only here.
        for (count, bytes) in added {
            self.frames.index.push(count, bytes);
        }
        self.pending.drop_first(taken);
        self.raw_bytes += raw_bytes;
        self.builder.shrink(KEPT_BYTES);
        self.run.clear();
        self.run.shrink_to(KEPT_BYTES);
        Ok(())
    }
}
