//! A log: frames in an ordered set of segments, written at its end and read anywhere.
//!
//! * [`writer::LogWriter`] appends; one thread at a time. A segment's space is taken when it
//!   begins, so that an append into it never meets a full disk half way, and given back when it
//!   ends.
//! * [`reader::LogReader`] reads what was appended before, also while the writer goes on.
//! * [`Log`] is what both share: which segments there are.
//!
//! A writer begins with a segment of its own: what an earlier one left behind the last whole frame
//! is never looked at again, because a segment ends where the next one begins, by number.

pub(crate) mod look;
pub(crate) mod reader;
pub(crate) mod recover;
pub(crate) mod writer;

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::atomic::Ordering::Relaxed,
    time::Duration,
};

use super::{
    budget::Share,
    compression::Compression,
    locks::{AtomicUsize, Mutex},
    seam::Disk,
    segment::{FRAMES_AT, LogIdentity, first_of_name, name_of_segment},
};
use crate::error::{Error, Result};

/// Rights of new files, less the umask.
pub(crate) const MODE: u32 = 0o640;
/// A segment holds at least so many bytes of frames.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 4096;
/// No file system has longer files.
const SEGMENT_BYTES_MAX: u64 = 1 << 50;

/// What the writer and the readers of a log share.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) disk: Disk,
    pub(crate) directory: PathBuf,
    pub(crate) identity: LogIdentity,
    pub(crate) shape: LogShape,
    segments: Mutex<Segments>,
    /// How many there are, for a look without the lock.
    count: AtomicUsize,
}

/// The files of a log.
#[derive(Debug, Default)]
struct Segments {
    /// In order; each ends where the next one begins.
    files: VecDeque<Segment>,
    /// Bytes of disk that they take.
    bytes: u64,
    /// Of what is shared with others.
    share: Option<Share>,
    /// Held for a segment that is being made.
    reserved: u64,
}

impl Segments {
    /// Holds what there is, and so many bytes more, if others leave as many.
    fn reserve(&mut self, bytes: u64) -> bool {
        let wanted = self.bytes + bytes;
        let fits = self.share.as_mut().is_none_or(|share| share.try_hold(wanted, 0));
        if fits {
            self.reserved = bytes;
        }
        fits
    }

    /// Holds what there is.
    fn settle(&mut self) {
        let held = self.bytes + self.reserved;
        if let Some(share) = &mut self.share {
            share.hold(held);
        }
    }

    fn push(&mut self, segment: Segment) {
        // One without frames has the same name, and was replaced.
        self.forget_last(segment.first);
        self.reserved = 0;
        self.bytes += segment.bytes;
        self.files.push_back(segment);
    }

    fn forget_last(&mut self, first: u64) {
        if self.files.back().is_some_and(|last| last.first == first) {
            self.bytes -= self.files.pop_back().map_or(0, |last| last.bytes);
        }
    }

    fn pop(&mut self) {
        self.bytes -= self.files.pop_front().map_or(0, |first| first.bytes);
    }

    /// The last one was cut to these bytes.
    fn end_last(&mut self, bytes: u64) {
        if let Some(last) = self.files.back_mut() {
            self.bytes = self.bytes - last.bytes + bytes;
            last.bytes = bytes;
        }
    }
}

/// How large segments become, how old, and what their frames are like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogShape {
    /// Bytes of a segment; a frame that is longer gets one of its own.
    pub(crate) segment_bytes: u64,
    /// A segment that is older takes no more frames.
    pub(crate) segment_age: Option<Duration>,
    pub(crate) compression: Compression,
    /// Whether a sync comes every few frames.
    pub(crate) syncs_often: bool,
}

/// A file of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its first item, and its name.
    pub(crate) first: u64,
    /// Bytes of disk that it takes.
    pub(crate) bytes: u64,
}

/// Where a frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The segment's first item.
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

impl Position {
    /// Of the first frame of a segment.
    pub(crate) fn first_of(segment: u64) -> Self {
        Self { segment, offset: FRAMES_AT }
    }
}

impl Log {
    pub(crate) fn new(
        disk: Disk,
        directory: PathBuf,
        identity: LogIdentity,
        shape: LogShape,
        segments: Vec<Segment>,
        budget: Option<Share>,
    ) -> Self {
        let segment_bytes = shape.segment_bytes.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        let shape = LogShape { segment_bytes, ..shape };
        let mut found = Segments { share: budget, ..Segments::default() };
        for segment in segments {
            found.push(segment);
        }
        found.settle();
        let count = AtomicUsize::new(found.files.len());
        Self { disk, directory, identity, shape, segments: Mutex::new(found), count }
    }

    /// Path of a segment.
    pub(crate) fn path(&self, first: u64) -> PathBuf {
        self.directory.join(name_of_segment(first))
    }

    /// How many segments there are, and the bytes of disk that they take.
    pub(crate) fn size(&self) -> (usize, u64) {
        let segments = self.segments.lock();
        (segments.files.len(), segments.bytes)
    }

    /// Whether others leave room for so many bytes more: they are held until there is a segment of
    /// them, or [`unreserve`](Self::unreserve) gives them back.
    pub(crate) fn reserve(&self, bytes: u64) -> bool {
        self.segments.lock().reserve(bytes)
    }

    /// Whether others leave room for so many bytes, beside nothing of this log.
    pub(crate) fn could_hold(&self, bytes: u64) -> bool {
        self.segments.lock().share.as_ref().is_none_or(|share| share.could_hold(bytes))
    }

    /// What was reserved is not needed, or there is a segment of it.
    pub(crate) fn unreserve(&self) {
        self.change(|segments| segments.reserved = 0);
    }

    /// How many segments there were a moment ago.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Changes the list of segments.
    fn change<R>(&self, change: impl FnOnce(&mut Segments) -> R) -> R {
        let mut segments = self.segments.lock();
        let changed = change(&mut segments);
        segments.settle();
        self.count.store(segments.files.len(), Relaxed);
        changed
    }

    /// The segment that holds `item`.
    fn segment_of(&self, item: u64) -> Result<Segment> {
        let segments = &self.segments.lock().files;
        let next = segments.partition_point(|segment| segment.first <= item);
        let found = next.checked_sub(1).and_then(|at| segments.get(at).copied());
        found.ok_or_else(|| Error::MissingSegment { path: self.path(item) })
    }

    /// The first item of the segment behind the one that begins with `first`.
    fn next_segment(&self, first: u64) -> Option<u64> {
        let segments = &self.segments.lock().files;
        let next = segments.partition_point(|segment| segment.first <= first);
        segments.get(next).map(|segment| segment.first)
    }

    /// Whether there are segments that end at or before `item`.
    pub(crate) fn has_done(&self, item: u64) -> bool {
        self.first_done(item).is_some()
    }

    /// The first segment, if it ends at or before `item`.
    fn first_done(&self, item: u64) -> Option<u64> {
        let segments = &self.segments.lock().files;
        let is_done = segments.get(1).is_some_and(|next| next.first <= item);
        segments.front().filter(|_| is_done).map(|segment| segment.first)
    }

    /// Removes the segments that end at or before `item`, from the first one on.
    pub(crate) fn retire(&self, item: u64) -> Result<()> {
        // Named in the look that finds it done: another thread may remove it, and then the first
        // one is one that is still needed.
        while let Some(first) = self.first_done(item) {
            self.remove(first)?;
        }
        Ok(())
    }

    /// Removes all segments.
    pub(crate) fn retire_all(&self) -> Result<()> {
        let first = || self.segments.lock().files.front().map(|segment| segment.first);
        while let Some(first) = first() {
            self.remove(first)?;
        }
        Ok(())
    }

    /// Removes the first segment, unless somebody else has.
    fn remove(&self, first: u64) -> Result<()> {
        let path = self.path(first);
        match self.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &path)(error));
            }
            _ => {}
        }
        self.change(|segments| {
            if segments.files.front().is_some_and(|segment| segment.first == first) {
                segments.pop();
            }
        });
        Ok(())
    }
}

/// The segments that lie in a directory, in order.
pub(crate) fn segments_in(disk: &Disk, directory: &Path) -> Result<Vec<u64>> {
    let names = disk.list(directory).map_err(Error::io("list", directory))?;
    let mut found: Vec<u64> = names.iter().filter_map(|name| first_of_name(name)).collect();
    found.sort_unstable();
    Ok(found)
}
