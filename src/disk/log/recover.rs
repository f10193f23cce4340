//! Opening a log that somebody left: which items there are, and what is missing.
//!
//! The segments are the truth. Frames and headers say what was durable when they were written, so
//! that two things can be told apart where no whole frame follows:
//!
//! * At or past what was durable the log is *torn*: a crash took what had not been promised. It
//!   ends there, whatever lies behind.
//! * Before that it is *damaged*, and [`Recovery`] says what to do.
//!
//! Nothing is changed before all is judged. What is kept and not known to be durable is stored
//! again and synced: after a sync that failed, the page cache may hold what the disk does not, and
//! call it clean. (What was written in an earlier boot is on the disk, or it would not be here.)
//! Dying in here and opening again comes to the same.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use super::{Segment, reader::SegmentReader, segments_in};
use crate::{
    disk::{
        frame::{ALIGN, NUMBER_END},
        mark::Mark,
        seam::{Access, BootId, Disk},
        segment::{FRAMES_AT, LogIdentity, LogKind, SEGMENT_HEADER_BYTES, name_of_segment},
    },
    error::{Corruption, Error, Result},
    planted::planted,
};

/// What is added to the name of a segment that is set aside.
pub(crate) const ASIDE: &str = ".bad";
/// No log that was not forged comes so far, and one that did has as many numbers left.
const NUMBER_MAX: u64 = NUMBER_END / 2;
/// Segments that are kept aside; of more, the oldest ones go.
const ASIDE_MAX: usize = 16;
/// Bytes that are stored again at once.
const AGAIN_BYTES: u64 = 1 << 20;

/// What opening does about damage: about items that are missing although they were durable.
///
/// What a crash took that had not been promised is no damage. It is dropped in every mode, and the
/// [`RecoveryReport`] says how much.
///
/// # Examples
///
/// ```
/// assert_eq!(ringkeep::Recovery::default(), ringkeep::Recovery::Fail);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recovery {
    /// Refuse to open, with the place of the damage. The default.
    #[default]
    Fail,
    /// Drop what follows the damage, if it is in the last segment; else refuse.
    TruncateTail,
    /// Go on behind the damage.
    SkipCorrupt,
}

/// What opening found of what was there before.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// use ringkeep::{Bytes, QueueOptions};
///
/// let queue = QueueOptions::new(Bytes).open(directory.path())?;
/// assert_eq!(queue.recovery().kept, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoveryReport {
    /// Items that are there.
    pub kept: u64,
    /// Bytes behind the last item: what a crash took, none of it durable.
    pub torn_bytes: u64,
    /// Numbers of items that were durable, and are gone.
    pub lost: Vec<Range<u64>>,
    /// Files that were renamed because they cannot be read.
    pub set_aside: Vec<PathBuf>,
}

/// A log to go on with.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) segments: Vec<Segment>,
    /// The first item that is still needed.
    pub(crate) first: u64,
    /// One past the last item.
    pub(crate) next: u64,
    pub(crate) report: RecoveryReport,
}

/// Judges the segments in a directory; `wanted` is what they have to be.
///
/// # Errors
///
/// `Damaged` and `MissingSegment`, as `how` says; `CodecMismatch`, `NewerFormat`, `Io`.
pub(crate) fn recover(
    disk: &Disk,
    directory: &Path,
    wanted: &LogIdentity,
    mark: Option<Mark>,
    boot: BootId,
    how: Recovery,
) -> Result<Recovered> {
    let firsts = segments_in(disk, directory)?;
    // Without a mark all that is there is needed.
    let done = mark.map_or_else(|| firsts.first().map_or(0, |&first| first), |mark| mark.done);
    let mut walk = Walk {
        disk,
        directory,
        wanted,
        how,
        done,
        durable: mark.map_or(0, |mark| mark.durable),
        is_same_boot: mark.is_none_or(|mark| mark.boot == boot),
        report: RecoveryReport::default(),
        kept: Vec::new(),
        aside: Vec::new(),
        again: Vec::new(),
    };
    walk.learn_what_was_durable(&firsts)?;
    let next = walk.run(&firsts)?.max(done);
    if next > NUMBER_MAX {
        let source = Corruption::Field { field: "number", value: next };
        return Err(Error::damaged(directory, 0)(source));
    }
    let done = walk.done;
    walk.set_aside()?;
    walk.store_again()?;
    let Walk { mut report, kept, .. } = walk;
    let first = kept.first().map_or(done, |segment: &Segment| segment.first.max(done)).min(next);
    let inside = |lost: &Range<u64>| lost.end.min(next).saturating_sub(lost.start.max(first));
    report.kept = next - first - report.lost.iter().map(inside).sum::<u64>();
    let mut segments = done_with(&firsts, done);
    segments.extend(kept);
    Ok(Recovered { segments, first, next, report })
}

/// Segments that nobody needs: a power cut may bring back names of some that were removed. They go
/// as soon as the mark that says so is on the disk.
fn done_with(firsts: &[u64], done: u64) -> Vec<Segment> {
    let ends = firsts.iter().skip(1);
    let pairs = firsts.iter().zip(ends).take_while(|&(_, &end)| end <= done);
    pairs.map(|(&first, _)| Segment { first, bytes: 0 }).collect()
}

/// The way through the segments.
struct Walk<'a> {
    disk: &'a Disk,
    directory: &'a Path,
    wanted: &'a LogIdentity,
    how: Recovery,
    /// Items before it are not needed.
    done: u64,
    durable: u64,
    /// What is not known to be durable may be in the cache alone.
    is_same_boot: bool,
    report: RecoveryReport,
    kept: Vec<Segment>,
    /// Segments that nothing can be read of, or that the log ends before.
    aside: Vec<u64>,
    /// Segments with whole frames that may not be on the disk, and where these begin and end.
    again: Vec<(u64, Range<u64>)>,
}

impl Walk<'_> {
    fn path(&self, first: u64) -> PathBuf {
        self.directory.join(name_of_segment(first))
    }

    /// A segment of this log; `None` where its header is none.
    fn open(&self, first: u64) -> Result<Option<SegmentReader>> {
        let path = self.path(first);
        let segment = match SegmentReader::open(self.disk, &path) {
            Err(Error::Damaged { .. }) => return Ok(None),
            other => other?,
        };
        let found = &segment.header.identity;
        if found.log != self.wanted.log || segment.header.first != first {
            return Ok(None);
        }
        if (found.kind, &found.codec, &found.tag)
            != (self.wanted.kind, &self.wanted.codec, &self.wanted.tag)
        {
            let of = |identity: &LogIdentity| {
                let kind = match identity.kind {
                    LogKind::Durable => "",
                    LogKind::Spill => "a spill of ",
                };
                format!("{kind}{} {}", identity.codec, identity.tag).trim_end().into()
            };
            return Err(Error::CodecMismatch { path, found: of(found), expected: of(self.wanted) });
        }
        Ok(Some(segment))
    }

    /// The header and the whole frames of the last segment that can be read say it.
    fn learn_what_was_durable(&mut self, firsts: &[u64]) -> Result<()> {
        // What is known grows from one segment to the next.
        let mut readable = None;
        for &first in firsts.iter().rev() {
            readable = self.open(first)?;
            if readable.is_some() {
                break;
            }
        }
        let Some(mut segment) = readable else { return Ok(()) };
        self.durable = self.durable.max(segment.durable()?);
        Ok(())
    }

    /// Whether items that are needed, and were durable, come after `end`.
    fn is_owed(&self, end: u64) -> bool {
        end.max(self.done) < self.durable
    }

    /// One past the last item.
    fn run(&mut self, firsts: &[u64]) -> Result<u64> {
        let done = self.done;
        let begin = firsts.partition_point(|&first| first <= done).saturating_sub(1);
        let Some(&first) = firsts.get(begin) else {
            if self.is_owed(done) {
                self.miss(done..self.durable, &self.path(done), 0)?;
                self.done = self.durable;
            }
            return Ok(self.done);
        };
        let mut end = first.min(done);
        for (at, &first) in firsts.iter().enumerate().skip(begin) {
            let next = firsts.get(at + 1).copied();
            if first > end && !self.go_on(end, first, &self.path(first), false)? {
                self.aside.extend(&firsts[at..]);
                return Ok(end);
            }
            let Some(mut segment) = self.open(first)? else {
                // Nothing in here was ever durable, or it is gone with its header.
                let limit = next.unwrap_or(self.durable.max(first));
                if limit > first && !self.go_on(first, limit, &self.path(first), next.is_none())? {
                    self.aside.extend(&firsts[at..]);
                    return Ok(first);
                }
                self.aside.push(first);
                end = limit;
                continue;
            };
            self.kept.push(Segment { first, bytes: segment.bytes });
            end = self.scan(&mut segment, next)?;
        }
        Ok(end)
    }

    /// One past the last item of a segment that is followed by one that begins with `next`.
    fn scan(&mut self, segment: &mut SegmentReader, next: Option<u64>) -> Result<u64> {
        // What lies behind it shows that it was durable to its end.
        if let Some(next) = next.filter(|&next| next <= self.durable) {
            return Ok(next);
        }
        let mut end = segment.header.first;
        let mut offset = FRAMES_AT;
        let mut again = None;
        loop {
            match segment.frame_at(offset) {
                Ok(header) if header.first == end && next.is_none_or(|next| end < next) => {
                    end = header.end();
                    if end > self.durable && self.is_same_boot {
                        again.get_or_insert(offset);
                    }
                    offset += header.frame_bytes();
                }
                Ok(_) | Err(Error::Damaged { .. }) => {
                    let Some((at, first)) = self.behind(segment, offset, end, next)? else { break };
                    (offset, end) = (at, first);
                }
                Err(error) => return Err(error),
            }
        }
        if self.how == Recovery::SkipCorrupt && next.is_none() && self.is_owed(end) {
            // Their numbers are not given again.
            end = self.durable;
        }
        if next.is_none() {
            self.report.torn_bytes += segment.torn_bytes(offset)?;
        }
        if let Some(begin) = again {
            self.again.push((segment.header.first, begin..offset));
        }
        Ok(end)
    }

    /// Where to go on in a segment that has no whole frame at `offset`, if anywhere.
    fn behind(
        &mut self,
        segment: &mut SegmentReader,
        offset: u64,
        end: u64,
        next: Option<u64>,
    ) -> Result<Option<(u64, u64)>> {
        if next.is_some_and(|next| end >= next) {
            return Ok(None);
        }
        let goes_on = self.how == Recovery::SkipCorrupt;
        let found = if self.is_owed(end) && (goes_on || end < self.done) {
            segment.next_frame(offset + ALIGN as u64, end)?
        } else {
            None
        };
        let found = found.filter(|(_, header)| next.is_none_or(|next| header.first < next));
        if let Some((at, header)) = found {
            // Damage to what is done with is none.
            if header.first <= self.done {
                return Ok(Some((at, header.first)));
            }
            if goes_on {
                self.miss(end.max(self.done)..header.first, &segment.path, offset)?;
                return Ok(Some((at, header.first)));
            }
        }
        // The segment behind it is judged by its own first item.
        if next.is_none() && self.is_owed(end) {
            self.miss(end.max(self.done)..self.durable, &segment.path, offset)?;
        }
        Ok(None)
    }

    /// Whether to go on with `first`, although what is before it from `end` on is not there.
    fn go_on(&mut self, end: u64, first: u64, path: &Path, is_last: bool) -> Result<bool> {
        if first <= self.done {
            return Ok(true);
        }
        let was_durable = self.is_owed(end);
        match self.how {
            Recovery::SkipCorrupt if was_durable => {
                self.miss(end..first, path, 0)?;
                Ok(true)
            }
            Recovery::TruncateTail if was_durable && is_last => {
                self.miss(end..self.durable, path, 0)?;
                Ok(false)
            }
            _ if was_durable => {
                Err(Error::MissingItems { path: path.into(), first: end, end: first })
            }
            _ => Ok(false),
        }
    }

    /// Items that were durable are not there.
    fn miss(&mut self, items: Range<u64>, path: &Path, offset: u64) -> Result<()> {
        if self.how == Recovery::Fail {
            let source = Corruption::Field { field: "first", value: items.start };
            return Err(Error::damaged(path, offset)(source));
        }
        self.report.lost.push(items);
        Ok(())
    }

    fn set_aside(&mut self) -> Result<()> {
        if self.aside.is_empty() {
            return Ok(());
        }
        for first in std::mem::take(&mut self.aside) {
            let path = self.path(first);
            let mut aside = path.clone().into_os_string();
            aside.push(ASIDE);
            let aside = PathBuf::from(aside);
            match self.disk.rename_new(&path, &aside) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    self.disk.remove(&path).map_err(Error::io("remove", &path))?;
                }
                renamed => renamed.map_err(Error::io("rename", &path))?,
            }
            self.report.set_aside.push(aside);
        }
        self.forget_the_oldest()
    }

    fn forget_the_oldest(&self) -> Result<()> {
        let names = self.disk.list(self.directory).map_err(Error::io("list", self.directory))?;
        let mut aside: Vec<_> = names
            .into_iter()
            .filter(|name| name.as_encoded_bytes().ends_with(ASIDE.as_bytes()))
            .collect();
        aside.sort_unstable();
        let too_many = aside.len().saturating_sub(ASIDE_MAX);
        for name in &aside[..too_many] {
            let path = self.directory.join(name);
            self.disk.remove(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(())
    }

    /// Makes all that is kept durable.
    fn store_again(&self) -> Result<()> {
        if planted("queue_frames_not_stored_again") {
            return Ok(());
        }
        for (first, bytes) in &self.again {
            let path = self.path(*first);
            let file = self.disk.open(&path, Access::Write).map_err(Error::io("open", &path))?;
            // What is durable is not touched.
            let is_durable = *first < self.durable && !planted("queue_headers_stored_again");
            let header_bytes = if is_durable { 0 } else { SEGMENT_HEADER_BYTES as u64 };
            let header = 0..header_bytes;
            for Range { start, end } in [header, bytes.clone()] {
                for offset in (start..end).step_by(usize::try_from(AGAIN_BYTES).unwrap_or(1)) {
                    let length = (end - offset).min(AGAIN_BYTES);
                    let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
                    file.read_at(&mut piece, offset).map_err(Error::io("read", &path))?;
                    file.write_at(&piece, offset).map_err(Error::io("write", &path))?;
                }
            }
            file.sync().map_err(Error::io("sync", &path))?;
        }
        let directory = self.directory;
        self.disk.sync_directory(directory).map_err(Error::io("sync", directory))
    }
}
