//! Writing a vector to a file that stays.
//!
//! 1. A temporary file beside the one to be is made and locked: whoever holds the lock writes it.
//! 2. Frames are copied as they are, each checked; what is in memory follows in frames of its own.
//! 3. The index, and the header last; then a sync.
//! 4. The file gets its name, which replaces nothing, and the directory is synced.
//!
//! An error removes what there is. A process that dies leaves the temporary file at most, which the
//! next one that writes the same file takes over.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use super::{
    SpillVec,
    frames::{Ahead, FrameReader},
    frozen_header::{ENTRY_BYTES, FrozenHeader, HEADER_BYTES, encode_entry},
    moving::encode_at,
    store::Store,
};
use crate::{
    disk::{
        codec::Codec,
        scratch::{MODE, Scratch},
        seam::{Disk, File},
    },
    error::{Error, Result},
};

const TEMPORARY: &str = ".ringkeep-new";
const TRIES_MAX: u32 = 100;
/// Entries of the index that are written at once.
const ENTRIES: usize = 8192;

/// A file under the name that it has now. Dropped, it is removed.
struct Made<'a> {
    disk: &'a Disk,
    name: Option<PathBuf>,
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What cannot be removed is taken over by the next one.
            let _ = self.disk.remove(name);
        }
    }
}

pub(super) fn persist<T, C: Codec<T>>(vec: &SpillVec<T, C>, path: &Path) -> Result<()> {
    let disk = &vec.settings.disk;
    refuse_existing(disk, path)?;
    let (file, mut made) = make(disk, path)?;
    // A file that was finished before this one was locked.
    refuse_existing(disk, path)?;
    let temporary = made.name.clone().unwrap_or_default();
    file.truncate(0).map_err(Error::io("shorten", &temporary))?;
    let scratch = Scratch::over(file, &temporary);
    let mut store = Store::new(disk, scratch, HEADER_BYTES as u64, vec.settings.shape)?;
    copy(vec, &mut store)?;
    finish(vec, &mut store)?;
    store.frames.file.sync().map_err(Error::io("sync", &temporary))?;
    let renamed = disk.rename_new(&temporary, path);
    renamed.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path: path.into() },
        _ => Error::io("name", path)(error),
    })?;
    made.name = Some(path.into());
    let directory = directory_of(path);
    disk.sync_directory(directory).map_err(Error::io("sync", directory))?;
    made.name = None;
    Ok(())
}

fn refuse_existing(disk: &Disk, path: &Path) -> Result<()> {
    match disk.identify(path) {
        Ok(_) => Err(Error::AlreadyExists { path: path.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("look at", path)(error)),
    }
}

/// The temporary file, locked.
fn make<'a>(disk: &'a Disk, path: &Path) -> Result<(File, Made<'a>)> {
    let mut name = OsString::from(path);
    name.push(TEMPORARY);
    let name = PathBuf::from(name);
    for _ in 0..TRIES_MAX {
        let file = disk.create(&name, MODE).map_err(Error::making(&name, 0))?;
        let mut made = Made { disk, name: Some(name.clone()) };
        if !file.try_lock().map_err(Error::io("lock", &name))? {
            made.name = None;
            break;
        }
        // Between opening and locking, its owner may have finished and renamed it.
        let id = file.id().map_err(Error::io("look at", &name))?;
        if disk.identify(&name).is_ok_and(|now| now == id) {
            return Ok((file, made));
        }
        made.name = None;
    }
    Err(Error::Locked { path: path.into() })
}

/// Puts all items of the vector into the store.
fn copy<T, C: Codec<T>>(vec: &SpillVec<T, C>, into: &mut Store) -> Result<()> {
    if let Some(disk) = &vec.disk {
        let frames = &disk.store.frames;
        into.frames.salt = frames.salt;
        let mut reader = FrameReader::default();
        for frame in 0..frames.index.frames() {
            let items = frames.index.place(frame).items;
            reader.seek(frames, items.start, Ahead::Forward)?;
            into.append_frame(items.end - items.start, reader.frame_bytes(frames))?;
        }
        let pending = &disk.store.pending;
        (0..pending.len()).try_for_each(|at| into.push_encoded(pending.item(at)))?;
    }
    for item in vec.memory.items() {
        into.push(&vec.codec, item).map_err(|error| encode_at(into.items(), error))?;
    }
    into.flush()
}

/// Writes the index and the header.
fn finish<T, C: Codec<T>>(vec: &SpillVec<T, C>, store: &mut Store) -> Result<()> {
    let index = &store.frames.index;
    let (frames, index_offset) = (index.frames(), index.end_offset());
    let mut checksum = crc32fast::Hasher::new();
    let mut offset = index_offset;
    let mut entries = Vec::with_capacity(frames.min(ENTRIES) * ENTRY_BYTES);
    for begin in (0..frames).step_by(ENTRIES) {
        entries.clear();
        for place in (begin..frames.min(begin + ENTRIES)).map(|frame| index.place(frame)) {
            let (items, bytes) = (place.items, place.bytes);
            entries
                .extend_from_slice(&encode_entry(items.end - items.start, bytes.end - bytes.start));
        }
        checksum.update(&entries);
        store.scratch.write_at(&entries, offset)?;
        offset += entries.len() as u64;
    }
    let header = FrozenHeader {
        salt: store.frames.salt,
        items: index.items(),
        index_offset,
        frames: frames as u64,
        index_checksum: checksum.finalize(),
        compression: vec.settings.shape.compression,
        codec: vec.codec.name().into(),
        tag: vec.settings.tag.clone(),
    };
    store.scratch.write_at(&header.encode(), 0)?;
    store.scratch.truncate(offset)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
