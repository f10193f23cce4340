//! A disk in this process: a FUSE file system with one file, which a loop device turns into a
//! block device. It logs writes and flushes in the order they come in, and can be told to fail.
//!
//! Nothing is cached on the way: the file is opened for direct I/O, so that a write of the loop
//! device returns when it is in the log, and its flush (`REQ_FLUSH` becomes an fsync of the file)
//! when that is. A second file takes notes of the worker into the same log.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyWrite, Request, Session, WriteFlags,
};
use parking_lot::Mutex;

use super::{
    image::{Image, index},
    note::{NOTE_BYTES, Note},
    recording::{Entry, Recording},
};

const DISK: INodeNo = INodeNo(2);
const NOTES: INodeNo = INodeNo(3);
/// Nobody else changes these files.
const FOREVER: Duration = Duration::from_secs(1 << 30);

/// Which requests fail from now on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Faults {
    /// Reads that still succeed; `None`: all do.
    pub(super) reads: Option<u64>,
    /// Writes that still succeed.
    pub(super) writes: Option<u64>,
    /// Flushes that still succeed.
    pub(super) flushes: Option<u64>,
}

#[derive(Debug, Default)]
struct State {
    image: Image,
    recording: Option<Recording>,
    faults: Faults,
    failed: u64,
}

/// A disk that is mounted as a file, until it is dropped.
#[derive(Debug)]
pub(super) struct Disk {
    state: Arc<Mutex<State>>,
    directory: PathBuf,
    /// Unmounts when it is dropped. Its thread ends once the last user of the file has gone.
    session: Option<BackgroundSession>,
}

impl Disk {
    /// Serves an image below a directory.
    pub(super) fn serve(image: Image, directory: &Path) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(State { image, ..State::default() }));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("ringkeep-torture".into())];
        let session = Session::new(Served(Arc::clone(&state)), directory, &config)?.spawn()?;
        Ok(Self { state, directory: directory.into(), session: Some(session) })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.join("disk")
    }

    pub(super) fn notes_path(&self) -> PathBuf {
        self.directory.join("notes")
    }

    /// Begins to record.
    pub(super) fn record(&self) {
        let mut state = self.state.lock();
        state.recording = Some(Recording { base: state.image.clone(), entries: Vec::new() });
    }

    /// Ends the recording.
    pub(super) fn recorded(&self) -> Recording {
        self.state.lock().recording.take().unwrap_or_default()
    }

    /// What it holds now, flushed or not.
    pub(super) fn image(&self) -> Image {
        self.state.lock().image.clone()
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        self.state.lock().faults = faults;
    }

    /// Requests that have failed.
    pub(super) fn failed(&self) -> u64 {
        self.state.lock().failed
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Joining it would wait for whoever still has the file open.
        drop(self.session.take());
    }
}

impl State {
    fn attributes(&self, inode: INodeNo) -> FileAttr {
        let (kind, size) = match inode {
            INodeNo::ROOT => (FileType::Directory, 0),
            DISK => (FileType::RegularFile, self.image.length()),
            _ => (FileType::RegularFile, NOTE_BYTES as u64),
        };
        let epoch = SystemTime::UNIX_EPOCH;
        FileAttr {
            ino: inode,
            size,
            blocks: size / 512,
            atime: epoch,
            mtime: epoch,
            ctime: epoch,
            crtime: epoch,
            kind,
            perm: 0o700,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    fn log(&mut self, entry: Entry) {
        if let Some(recording) = &mut self.recording {
            recording.entries.push(entry);
        }
    }

    /// Whether a request fails whose kind has so many left.
    fn fails(&mut self, left: impl Fn(&mut Faults) -> &mut Option<u64>) -> bool {
        match left(&mut self.faults) {
            Some(0) => {
                self.failed += 1;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }
}

/// What answers the kernel's requests.
struct Served(Arc<Mutex<State>>);

impl Filesystem for Served {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let inode = match name.to_str() {
            Some("disk") => DISK,
            Some("notes") => NOTES,
            _ => return reply.error(Errno::ENOENT),
        };
        reply.entry(&FOREVER, &self.0.lock().attributes(inode), Generation(0));
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOREVER, &self.0.lock().attributes(inode));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let flags = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_NOFLUSH;
        reply.opened(FileHandle(0), flags);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut state = self.0.lock();
        if state.fails(|faults| &mut faults.reads) {
            return reply.error(Errno::EIO);
        }
        let length = state.image.length().saturating_sub(offset).min(size.into());
        let mut bytes = vec![0; index(length)];
        state.image.read(offset, &mut bytes);
        drop(state);
        reply.data(&bytes);
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut state = self.0.lock();
        if inode == NOTES {
            match Note::decode(bytes) {
                Some(note) => state.log(Entry::Note(note)),
                None => return reply.error(Errno::EINVAL),
            }
        } else if state.fails(|faults| &mut faults.writes) {
            return reply.error(Errno::EIO);
        } else {
            state.image.write(offset, bytes);
            state.log(Entry::Write { offset, bytes: bytes.into() });
        }
        drop(state);
        reply.written(u32::try_from(bytes.len()).expect("the kernel cuts long writes"));
    }

    fn fsync(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let mut state = self.0.lock();
        if inode == DISK && state.fails(|faults| &mut faults.flushes) {
            return reply.error(Errno::EIO);
        }
        state.log(Entry::Flush);
        drop(state);
        reply.ok();
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Every close of the file; nothing becomes durable by it.
        reply.ok();
    }

    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: u64,
        _: u64,
        _: i32,
        reply: ReplyEmpty,
    ) {
        // A loop device discards by punching holes; this disk cannot.
        reply.error(Errno::EOPNOTSUPP);
    }
}
