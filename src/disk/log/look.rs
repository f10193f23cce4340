//! Looking at a log from outside: without its lock, writing nothing, also while its writer goes on.
//!
//! Which items there are is judged as [`recover`](super::recover) does: where no whole frame
//! follows, the log is *torn* if nothing that is needed and was durable comes behind, and ends
//! there; else it is *damaged*, and the walk goes on behind the damage.
//!
//! A writer changes the files meanwhile, so each look has an order: the mark first, then the names,
//! then the last segment. Whatever the mark calls durable was stored before, and is found. What is
//! gone when it is read was done with: the mark says so, which is then read again. What is stored
//! later lies behind the last item of the look, and is not walked to.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use super::{Position, reader::SegmentReader, segments_in};
use crate::{
    disk::{
        frame::{ALIGN, FrameHeader},
        mark::Mark,
        seam::Disk,
        segment::{FRAMES_AT, LogIdentity, LogKind, SegmentHeader, name_of_segment},
    },
    error::{Corruption, Error, Result},
};

/// A writer that outruns so many looks is given up on.
const LOOKS_MAX: usize = 64;

/// A log as its files show it at one moment.
#[derive(Debug, Clone)]
pub(crate) struct LogLook {
    pub(crate) disk: Disk,
    pub(crate) directory: PathBuf,
    mark_path: PathBuf,
    /// `None` without a segment whose header is one.
    pub(crate) identity: Option<LogIdentity>,
    pub(crate) mark: Option<Mark>,
    /// First items of its segments, in order.
    pub(crate) firsts: Vec<u64>,
    /// Those that are needed, damaged ones included.
    pub(crate) items: Range<u64>,
    /// One past the last item that is known to be durable.
    pub(crate) durable: u64,
    /// When the last whole frame was written.
    pub(crate) newest_ns: Option<u64>,
    /// Where the log ends.
    pub(crate) end: Option<Position>,
}

impl LogLook {
    /// Looks at the log in a directory. `is_live`: somebody has it open now.
    ///
    /// # Errors
    ///
    /// `NewerFormat`, `UnknownCompression`, `Io`; `Damaged` where the mark is no mark.
    pub(crate) fn new(
        disk: &Disk,
        directory: &Path,
        mark_path: &Path,
        is_live: bool,
    ) -> Result<Self> {
        let mut looks = 1;
        loop {
            match Self::try_new(disk, directory, mark_path, is_live) {
                // A segment was retired between its name and its opening.
                Err(Error::MissingSegment { .. }) if looks < LOOKS_MAX => looks += 1,
                look => return look,
            }
        }
    }

    fn try_new(disk: &Disk, directory: &Path, mark_path: &Path, is_live: bool) -> Result<Self> {
        let mark = Mark::read(disk, mark_path)?;
        let firsts = segments_in(disk, directory)?;
        let first = firsts.first().copied().unwrap_or(0);
        let done = mark.map_or(first, |mark| mark.done);
        let mut look = Self {
            disk: disk.clone(),
            directory: directory.into(),
            mark_path: mark_path.into(),
            identity: None,
            mark,
            firsts,
            items: done..done,
            durable: mark.map_or(0, |mark| mark.durable),
            newest_ns: None,
            end: None,
        };
        look.learn_from_the_last_segment()?;
        look.find_the_end(is_live)?;
        // What was acknowledged meanwhile may be gone.
        let done = look.done()?.unwrap_or(done);
        look.items = done..look.items.end.max(done);
        Ok(look)
    }

    pub(crate) fn path(&self, first: u64) -> PathBuf {
        self.directory.join(name_of_segment(first))
    }

    pub(crate) fn is_spill(&self) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.kind == LogKind::Spill)
    }

    /// The first item that is not done, as the mark says now.
    fn done(&self) -> Result<Option<u64>> {
        Ok(Mark::read(&self.disk, &self.mark_path)?.map(|mark| mark.done))
    }

    /// The header of a segment; `None` where it is none of this log, or gone.
    pub(crate) fn header(&self, first: u64) -> Result<Option<SegmentHeader>> {
        match self.open(first) {
            Ok(segment) => Ok(Some(segment.header)),
            Err(Error::Damaged { .. } | Error::MissingSegment { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a segment.
    ///
    /// # Errors
    ///
    /// `Damaged` where it is none of this log; `MissingSegment`, `Io`, ..
    pub(crate) fn open(&self, first: u64) -> Result<SegmentReader> {
        let path = self.path(first);
        let segment = SegmentReader::open(&self.disk, &path)?;
        let found = &segment.header;
        let log = self.mark.map(|mark| mark.log);
        let log = log.or(self.identity.as_ref().map(|identity| identity.log));
        let field =
            |field, value| Err(Error::damaged(&path, 0)(Corruption::Field { field, value }));
        if log.is_some_and(|log| log != found.identity.log) {
            return field(
                "log",
                u64::from_le_bytes(std::array::from_fn(|i| found.identity.log[i])),
            );
        }
        if found.first != first {
            return field("first", found.first);
        }
        Ok(segment)
    }

    /// Whose log it is, and what was durable: both grow from one segment to the next.
    fn learn_from_the_last_segment(&mut self) -> Result<()> {
        for &first in self.firsts.iter().rev() {
            match self.open(first) {
                Ok(mut segment) => {
                    self.durable = self.durable.max(segment.durable()?);
                    self.identity = Some(segment.header.identity);
                    break;
                }
                Err(Error::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if self.is_spill() {
            self.durable = 0;
        }
        Ok(())
    }

    /// What lies before the last segment of a log in use was judged when it was opened; of one that
    /// is not, what lies before the last durable item is there, or damaged.
    fn find_the_end(&mut self, is_live: bool) -> Result<()> {
        let done = self.items.start;
        let known = if is_live || self.is_spill() { self.firsts.last().copied() } else { None };
        // The frame of the one before it says when that was written.
        let from = known.unwrap_or(0).max(self.durable).saturating_sub(1).max(done);
        let mut walk = LogWalk::new(self, from, u64::MAX, self.durable);
        while let Some(step) = walk.step() {
            match step {
                LogStep::Damage(LogDamage {
                    source: Error::Damaged { .. } | Error::MissingItems { .. },
                    ..
                })
                | LogStep::Frame(..) => {}
                LogStep::Damage(damage) => return Err(damage.source),
            }
        }
        let (end, newest_ns, position) = (walk.at, walk.newest_ns, walk.position);
        self.items.end = end.max(self.durable).max(self.items.start);
        (self.newest_ns, self.end) = (newest_ns, position);
        Ok(())
    }

    /// Walks through the items that are needed, from this one on.
    pub(crate) fn walk(&self, from: u64) -> LogWalk<'_> {
        let end = self.items.end;
        LogWalk::new(self, from.max(self.items.start), end, end)
    }
}

/// Items that cannot be read, and where they should be.
#[derive(Debug)]
pub(crate) struct LogDamage {
    pub(crate) items: Range<u64>,
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    pub(crate) source: Error,
}

/// What a walk comes to.
#[derive(Debug)]
pub(crate) enum LogStep {
    /// A frame, and those of its items that were asked for; [`LogWalk::body`] has the others too.
    Frame(FrameHeader, Range<u64>),
    Damage(LogDamage),
}

/// The way through the frames of a log.
#[derive(Debug)]
pub(crate) struct LogWalk<'a> {
    look: &'a LogLook,
    /// Items before it are not asked for.
    from: u64,
    end: u64,
    /// Items before it must be there.
    owed: u64,
    /// The item that comes next.
    at: u64,
    /// Which segment comes next.
    next: usize,
    open: Option<SegmentReader>,
    /// In the open one.
    offset: u64,
    /// Where the last segment that was read ends.
    position: Option<Position>,
    newest_ns: Option<u64>,
    /// Of the last frame.
    body: Vec<u8>,
}

impl<'a> LogWalk<'a> {
    fn new(look: &'a LogLook, from: u64, end: u64, owed: u64) -> Self {
        let next = look.firsts.partition_point(|&first| first <= from).saturating_sub(1);
        let at = look.firsts.get(next).map_or(from, |&first| first.min(from));
        Self {
            look,
            from,
            end,
            owed,
            at,
            next,
            open: None,
            offset: FRAMES_AT,
            position: None,
            newest_ns: None,
            body: Vec::new(),
        }
    }

    /// The body of the last frame.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// One past the last item of the open segment: the next one begins there.
    fn limit(&self) -> u64 {
        self.look.firsts.get(self.next).copied().unwrap_or(u64::MAX)
    }

    /// The next frame, or damage; `None` at the end.
    pub(crate) fn step(&mut self) -> Option<LogStep> {
        while self.at < self.end {
            let found = match self.open.take() {
                None if self.next < self.look.firsts.len() => self.enter(),
                None if self.look.is_spill() => self.stop(),
                None => {
                    let path = self.look.path(self.at);
                    let (first, end) = (self.at, self.owed);
                    self.lose(end, 0, Error::MissingItems { path, first, end })
                }
                Some(segment) => self.read(segment),
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Goes on with the next segment.
    fn enter(&mut self) -> Option<LogStep> {
        let first = self.look.firsts[self.next];
        if first > self.at {
            if self.look.is_spill() {
                self.at = first;
            } else {
                let (path, from) = (self.look.path(first), self.at);
                let missing = Error::MissingItems { path, first: from, end: first };
                return self.lose(first, 0, missing);
            }
        }
        self.next += 1;
        self.offset = FRAMES_AT;
        match self.look.open(first) {
            Ok(segment) => {
                self.position = Some(Position::first_of(first));
                self.open = Some(segment);
                None
            }
            Err(error) => self.lose(self.limit(), 0, error),
        }
    }

    /// Reads the next frame of a segment, which stays open unless this is its end.
    fn read(&mut self, mut segment: SegmentReader) -> Option<LogStep> {
        let limit = self.limit();
        match segment.frame_at(self.offset) {
            // What was given up by whoever began the next segment.
            _ if self.at >= limit => None,
            Ok(header) if header.first == self.at => self.take(segment, header),
            // What was not spilled has no place on the disk.
            Ok(header) if self.look.is_spill() && header.first > self.at => {
                self.at = header.first;
                self.take(segment, header)
            }
            Ok(header) => {
                let source = Corruption::Field { field: "first", value: header.first };
                let error = Error::damaged(&segment.path, self.offset)(source);
                self.go_on_behind(segment, error)
            }
            Err(error @ Error::Damaged { .. }) => self.go_on_behind(segment, error),
            Err(error) => self.lose(limit, self.offset, error),
        }
    }

    fn take(&mut self, mut segment: SegmentReader, header: FrameHeader) -> Option<LogStep> {
        let (offset, end) = (self.offset, header.end().min(self.limit()));
        self.offset += header.frame_bytes();
        self.position = Some(Position { segment: segment.header.first, offset: self.offset });
        self.newest_ns = Some(header.time_ns);
        let items = header.first.max(self.from)..end.min(self.end);
        let body = if items.is_empty() { Ok(&[][..]) } else { segment.body(&header, offset) };
        let step = match body {
            Ok(body) => {
                self.body.clear();
                self.body.extend_from_slice(body);
                self.at = end;
                (!items.is_empty()).then_some(LogStep::Frame(header, items))
            }
            Err(error) => self.lose(end, offset, error),
        };
        self.open = Some(segment);
        step
    }

    /// There is no frame here that comes next.
    fn go_on_behind(&mut self, mut segment: SegmentReader, error: Error) -> Option<LogStep> {
        let (offset, limit) = (self.offset, self.limit());
        if !self.is_owed() {
            return self.stop();
        }
        match segment.next_frame(offset + ALIGN as u64, self.at) {
            Ok(Some((found, header))) if header.first < limit => {
                self.offset = found;
                self.open = Some(segment);
                self.lose(header.first, offset, error)
            }
            // Its last frame may come long before what the next segment begins with.
            Ok(_) if self.look.is_spill() => None,
            Ok(_) => self.lose(limit, offset, error),
            Err(error) => self.lose(limit, offset, error),
        }
    }

    /// Whether items that are needed must come here or behind. What was spilled may be anywhere.
    fn is_owed(&self) -> bool {
        self.look.is_spill() || self.at.max(self.look.items.start) < self.owed
    }

    /// The log ends here: a crash took what follows, or nobody has written it yet.
    fn stop(&mut self) -> Option<LogStep> {
        self.end = self.at;
        None
    }

    /// Items up to `end` are not there; where that is not known, all that must be.
    fn lose(&mut self, end: u64, offset: u64, source: Error) -> Option<LogStep> {
        let path = match &source {
            Error::Damaged { path, .. }
            | Error::MissingItems { path, .. }
            | Error::MissingSegment { path }
            | Error::Io { path, .. } => path.clone(),
            _ => self.look.directory.clone(),
        };
        let is_missing = matches!(source, Error::Damaged { .. } | Error::MissingItems { .. });
        if self.end == u64::MAX && !is_missing {
            // A look cannot tell where the log ends.
            self.stop();
            let items = self.at..self.at;
            return Some(LogStep::Damage(LogDamage { items, path, offset, source }));
        }
        if !self.is_owed() {
            return self.stop();
        }
        let end = if end == u64::MAX { self.owed.max(self.at) } else { end };
        let first = self.at.max(self.from).max(self.done_since(&source));
        let last = end.min(self.end);
        self.at = end;
        let items = first.min(last)..last;
        // In a segment that is there a damaged frame is damage, whoever needed it.
        let is_told = !items.is_empty() || offset > 0;
        is_told.then_some(LogStep::Damage(LogDamage { items, path, offset, source }))
    }

    /// What somebody has done with since the look is nobody's loss, nor is what was read of a spill
    /// and removed.
    fn done_since(&self, source: &Error) -> u64 {
        match source {
            Error::MissingSegment { .. } | Error::Damaged { offset: 0, .. }
                if self.look.is_spill() =>
            {
                u64::MAX
            }
            // A mark that cannot be read any more excuses nothing.
            _ => self.look.done().ok().flatten().unwrap_or(0),
        }
    }
}
