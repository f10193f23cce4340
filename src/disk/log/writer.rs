//! The end of a log, where frames are appended.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{Log, MODE, Position, Segment};
use crate::{
    disk::{
        frame::{HEADER_BYTES, SealedFrame},
        seam::{Disk, File},
        segment::{FRAMES_AT, SegmentHeader},
        tail::TailCopies,
    },
    error::{Error, Result},
    planted::planted,
};

/// How much is prepared at once: a few hundred small frames. A frame that is larger takes longer
/// than what this saves.
const PREPARED_BYTES: u64 = 256 << 10;
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Appends frames.
#[derive(Debug)]
pub(crate) struct LogWriter {
    log: Arc<Log>,
    current: Option<Current>,
    /// Number of the next item.
    next: u64,
    /// Files with frames since the last sync, but for the current one.
    unsynced: Vec<(Arc<File>, PathBuf)>,
    /// Whether files were made since the directory was synced.
    has_new_names: bool,
}

/// The segment that takes frames.
#[derive(Debug)]
struct Current {
    /// Its first item, and its name.
    first: u64,
    file: Arc<File>,
    path: PathBuf,
    salt: u32,
    /// Where the next frame begins.
    offset: u64,
    bytes: u64,
    began: Duration,
    /// It takes no more frames.
    is_old: bool,
    is_dirty: bool,
    tail_copies: TailCopies,
    /// Up to here the file system has its blocks written, not only allocated.
    prepared: u64,
}

impl Current {
    /// Stores zeros up to `end` and beyond. A sync of blocks that were never written has to change
    /// the file's extents too, through the journal; one of written blocks has not.
    fn prepare(&mut self, end: u64) {
        if end <= self.prepared {
            return;
        }
        let mut at = self.prepared.max(self.offset);
        self.prepared = end.max(at + PREPARED_BYTES).min(self.bytes);
        while at < self.prepared {
            let count = (self.prepared - at).min(ZEROS.len() as u64);
            // Where that fails a sync takes longer; what is wrong, the frame's own write tells.
            let _ = self.file.write_at(&ZEROS[..usize::try_from(count).unwrap_or(0)], at);
            at += count;
        }
    }
}

/// What has to be synced before everything up to `next` is durable.
#[derive(Debug)]
pub(crate) struct LogSync {
    disk: Disk,
    files: Vec<(Arc<File>, PathBuf)>,
    directory: Option<PathBuf>,
    pub(crate) next: u64,
}

impl LogSync {
    /// Whether it makes the names of new segments durable.
    pub(crate) fn made_segments(&self) -> bool {
        self.directory.is_some()
    }

    /// Makes it durable.
    pub(crate) fn run(&self) -> Result<()> {
        for (file, path) in &self.files {
            file.sync().map_err(Error::io("sync", path))?;
        }
        match &self.directory {
            Some(path) => self.disk.sync_directory(path).map_err(Error::io("sync", path)),
            None => Ok(()),
        }
    }
}

impl LogWriter {
    /// Goes on behind everything there is, with item `next`, in a segment of its own.
    pub(crate) fn new(log: Arc<Log>, next: u64) -> Self {
        Self { log, current: None, next, unsynced: Vec::new(), has_new_names: false }
    }

    /// Number of the next item.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Bytes of disk that a new segment would take for this frame; 0 where it fits the current one,
    /// which may come to its age by this look alone: what is held for a new one is what
    /// [`append`](Self::append) takes.
    pub(crate) fn bytes_needed(&mut self, frame_bytes: u64) -> u64 {
        if let (Some(current), Some(age)) = (&mut self.current, self.log.shape.segment_age) {
            current.is_old |= self.log.disk.now().saturating_sub(current.began) >= age;
        }
        if self.fits(frame_bytes) { 0 } else { self.segment_bytes(frame_bytes) }
    }

    fn segment_bytes(&self, frame_bytes: u64) -> u64 {
        self.log.shape.segment_bytes.max(frame_bytes) + FRAMES_AT
    }

    fn fits(&self, frame_bytes: u64) -> bool {
        let fits = |it: &Current| it.offset + frame_bytes <= it.bytes && !it.is_old;
        self.current.as_ref().is_some_and(fits)
    }

    /// Begins a segment without a frame: what lies behind the last item of the one before it is
    /// given up.
    pub(crate) fn begin_anew(&mut self, durable: u64) -> Result<()> {
        self.rotate(0, durable)
    }

    /// Appends a frame whose first item has this number, [`next`](Self::next) or a later one; where
    /// it is. A process that dies after this has written it.
    ///
    /// # Errors
    ///
    /// `NoSpace`, where a new segment finds none: nothing has changed. `Io`, where the disk
    /// refuses: nothing was appended, but a writer whose frame could not be taken back (`Poisoned`)
    /// has to be opened again.
    pub(crate) fn append(
        &mut self,
        first: u64,
        frame: &mut SealedFrame<'_>,
        durable: u64,
    ) -> Result<Position> {
        debug_assert!(first >= self.next, "numbers only grow");
        self.next = first;
        if !self.fits(frame.frame_bytes()) {
            self.rotate(frame.frame_bytes(), durable)?;
        }
        let Some(current) = &mut self.current else { unreachable!("rotating makes one") };
        let position = Position { segment: current.first, offset: current.offset };
        if self.log.shape.syncs_often && frame.frame_bytes() <= PREPARED_BYTES {
            current.prepare(current.offset + frame.frame_bytes());
        }
        let bytes = frame.finish(current.salt, first, durable, self.log.disk.unix_ns());
        if let Err(error) = current.file.write_at(bytes, current.offset) {
            // What was written of it must not look like a frame to whoever opens the log.
            let zeros = [0; HEADER_BYTES];
            current.is_dirty = true;
            return Err(match current.file.write_at(&zeros, current.offset) {
                Ok(()) => Error::io("write", &current.path)(error),
                Err(_) => Error::Poisoned { path: current.path.clone(), source: error },
            });
        }
        current.is_dirty = true;
        current.offset += frame.frame_bytes();
        self.next += frame.count();
        Ok(position)
    }

    fn rotate(&mut self, frame_bytes: u64, durable: u64) -> Result<()> {
        let bytes = self.segment_bytes(frame_bytes);
        let path = self.log.path(self.next);
        if self.current.as_ref().is_some_and(|current| current.first == self.next) {
            // It has no frame, and the new one has its name.
            self.current = None;
            self.log.change(|segments| segments.forget_last(self.next));
        }
        let current = self.begin(&path, bytes, durable).inspect_err(|_| {
            // What there is of it holds nothing; where it cannot be removed, opening does.
            let _ = self.log.disk.remove(&path);
        })?;
        self.end_segment();
        self.log.change(|segments| segments.push(Segment { first: self.next, bytes }));
        (self.current, self.has_new_names) = (Some(current), true);
        Ok(())
    }

    fn begin(&self, path: &Path, bytes: u64, durable: u64) -> Result<Current> {
        let disk = &self.log.disk;
        let making = || Error::making(path, bytes);
        let mut salt = [0; 4];
        disk.random_bytes(&mut salt).map_err(making())?;
        let header = SegmentHeader {
            identity: self.log.identity.clone(),
            salt: u32::from_le_bytes(salt),
            first: self.next,
            durable,
            time_ns: disk.unix_ns(),
            compression: self.log.shape.compression,
        };
        let file = disk.create(path, MODE).map_err(making())?;
        file.allocate(bytes).map_err(making())?;
        file.write_at(&header.encode(), 0).map_err(making())?;
        Ok(Current {
            first: self.next,
            file: Arc::new(file),
            path: path.into(),
            salt: header.salt,
            offset: FRAMES_AT,
            bytes,
            began: disk.now(),
            is_old: false,
            is_dirty: true,
            tail_copies: TailCopies::default(),
            prepared: 0,
        })
    }

    /// Gives back the space behind the last frame.
    fn end_segment(&mut self) {
        let Some(current) = self.current.take() else { return };
        // Without that it only takes more disk than it needs.
        if current.file.truncate(current.offset).is_ok() {
            self.log.change(|segments| segments.end_last(current.offset));
        }
        self.unsynced.push((current.file, current.path));
    }

    /// What has to be synced so that everything appended before is durable.
    pub(crate) fn begin_sync(&mut self) -> Result<LogSync> {
        let mut files = std::mem::take(&mut self.unsynced);
        if let Some(current) = &mut self.current
            && std::mem::take(&mut current.is_dirty)
        {
            let Current { file, path, salt, offset, tail_copies, .. } = current;
            tail_copies.store(file, *salt, *offset).map_err(Error::io("write", path))?;
            files.push((Arc::clone(&current.file), current.path.clone()));
        }
        let has_new_names =
            std::mem::take(&mut self.has_new_names) && !planted("queue_names_not_synced");
        let directory = has_new_names.then(|| self.log.directory.clone());
        Ok(LogSync { disk: self.log.disk.clone(), files, directory, next: self.next })
    }

    /// Ends the current segment, so that the disk has no more of it than its frames.
    pub(crate) fn end(&mut self) {
        self.end_segment();
    }
}
