//! Opening a spool that outlives its process, and finding out what of it is there.
//!
//! The parts are in the file that the caller names, which is made first and locked by whoever has
//! the spool; the manifest is beside it. Parts are never synced: each one is read and checked
//! instead. Then the manifest is written anew, with what was found and nothing else, so that no
//! record of the past can be mistaken for one of the future; and only then space is given back.

use std::{
    collections::BTreeMap,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    content::{Content, PIECE_BYTES, Piece, Source},
    manifest::{HEADER_BYTES, Header, MAGIC, Manifest, NotAHeader, PARTS_MAGIC, Record, VERSION},
    store::Store,
};
use crate::{
    disk::{
        budget::DiskBudget,
        naming::{Lock, TRIES_MAX, directory_of, lock, replace, sync_directory_of},
        scratch::{MODE, Scratch},
        seam::{Access, Disk, File, FileKind, refuse_network_file_system},
        segment::check_name,
    },
    error::{Error, Foreign, Result},
};

const SUFFIX: &str = ".manifest";

/// What an earlier process has left of a spool.
///
/// # Examples
///
/// ```
/// use ringkeep::SpoolOptions;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("video.parts");
/// let spool = SpoolOptions::new().resume(&path)?;
/// assert_eq!(spool.resumed().parts, 0);
/// spool.put(0, b"bytes")?;
/// drop(spool);
/// let spool = SpoolOptions::new().resume(&path)?;
/// assert_eq!((spool.resumed().parts, spool.resumed().bytes), (1, 5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Resumed {
    /// Complete parts.
    pub parts: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Parts that were complete and are not what they were: they are absent now.
    pub damaged: Vec<u64>,
    /// Bytes at the end of the manifest that tell nothing: of a part that was becoming complete
    /// when the process ended. Where there was no such part, more of them may be missing.
    pub unread_bytes: u64,
}

/// A spool that was opened.
pub(super) struct Found {
    pub(super) store: Arc<Store>,
    pub(super) manifest: Manifest,
    pub(super) next: u64,
    pub(super) contents: BTreeMap<u64, Content>,
    pub(super) resumed: Resumed,
}

/// Opens the spool at this path, or makes one.
pub(super) fn open(disk: &Disk, path: &Path, tag: &str, limits: &[DiskBudget]) -> Result<Found> {
    check_name(tag)?;
    let (file, header) = open_parts(disk, path, tag)?;
    let file_bytes = file.length().map_err(Error::io("look at", path))?;
    let mut resumed = Resumed::default();
    let (next, mut parts) = match open_manifest(disk, path, header.salt)? {
        Some(mut manifest) => read_records(&mut manifest, &mut resumed)?,
        None => (0, BTreeMap::new()),
    };
    let used = used_ranges(&mut parts, file_bytes, &mut resumed.damaged);
    let budgets: Vec<_> = limits.iter().collect();
    let scratch = Scratch::opened(Arc::new(file), path, file_bytes, &budgets);
    let begin = HEADER_BYTES as u64;
    let store = Arc::new(Store::opened(disk.clone(), scratch, begin, file_bytes));
    let (mut contents, mut damaged) = (BTreeMap::new(), Vec::new());
    for (part, pieces) in parts {
        let content = Content::stored(&store, pieces);
        // A sector that cannot be read costs its part, and no other one.
        if content.verify().is_ok() {
            resumed.parts += 1;
            resumed.bytes += content.bytes();
            contents.insert(part, content);
        } else {
            resumed.damaged.push(part);
            damaged.push(content);
        }
    }
    resumed.damaged.sort_unstable();
    // What is given up now is in the manifest no more.
    let manifest =
        write_manifest(disk, path, &header, next, &contents).inspect_err(|_| store.keep())?;
    drop(damaged);
    let ends = used.iter().map(|range| range.end);
    let begins = used.iter().map(|range| range.start).chain([file_bytes.max(begin)]);
    for (end, begin) in [begin].into_iter().chain(ends).zip(begins) {
        store.release(end..begin);
    }
    Ok(Found { store, manifest, next, contents, resumed })
}

/// Removes the files of a spool, if they are still those of this one. Whoever has them open goes on
/// with them.
pub(super) fn remove(disk: &Disk, path: &Path, store: &Store) -> Result<()> {
    let Some(file) = store.file() else { return Ok(()) };
    let id = file.id().map_err(Error::io("look at", path))?;
    if disk.identify(path).is_ok_and(|now| now == id) {
        // The lock goes last. A file of parts without a manifest is an empty spool.
        for path in [&manifest_path(path), path] {
            match disk.remove(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(Error::io("remove", path))?,
            }
        }
    }
    Ok(())
}

fn manifest_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

/// The file of the parts, locked, and its header. One that was not there is durable.
fn open_parts(disk: &Disk, path: &Path, tag: &str) -> Result<(File, Header)> {
    let directory = directory_of(path);
    let kind = disk.file_system_type(directory).map_err(Error::io("look at", directory))?;
    refuse_network_file_system(kind, path)?;
    let file = create_and_lock(disk, path)?;
    let header = match read_header(&file, path, PARTS_MAGIC) {
        Err(Error::NotASpool { .. } | Error::Damaged { .. }) if is_unfinished(&file, path)? => {
            begin(disk, &file, path, tag)?
        }
        found => found?,
    };
    if *header.tag != *tag {
        let told = |tag: &str| format!("parts with the tag {tag:?}").into();
        let (found, expected) = (told(&header.tag), told(tag));
        return Err(Error::CodecMismatch { path: path.into(), found, expected });
    }
    Ok((file, header))
}

/// Whether it is empty, or its creation died: then there is nothing behind its header.
fn is_unfinished(file: &File, path: &Path) -> Result<bool> {
    let file_bytes = file.length().map_err(Error::io("look at", path))?;
    let mut header = [0; HEADER_BYTES];
    let found = usize::try_from(file_bytes).unwrap_or(usize::MAX);
    let Some(header) = header.get_mut(..found) else { return Ok(false) };
    file.read_at(header, 0).map_err(Error::io("read", path))?;
    Ok(header.starts_with(&PARTS_MAGIC) || header.iter().all(|&byte| byte == 0))
}

/// Gives a file its header.
fn begin(disk: &Disk, file: &File, path: &Path, tag: &str) -> Result<Header> {
    let mut salt = [0; 4];
    disk.random_bytes(&mut salt).map_err(Error::io("get random bytes for", path))?;
    let header = Header { salt: u32::from_le_bytes(salt), tag: tag.into() };
    let written = file.write_at(&header.encode(PARTS_MAGIC), 0);
    written.map_err(Error::filling("write", path, HEADER_BYTES as u64))?;
    file.sync().map_err(Error::io("sync", path))?;
    sync_directory_of(disk, path)?;
    Ok(header)
}

fn create_and_lock(disk: &Disk, path: &Path) -> Result<File> {
    for _ in 0..TRIES_MAX {
        let file = disk.create(path, MODE).map_err(Error::making(path, 0))?;
        if file.kind().map_err(Error::io("look at", path))? != FileKind::Regular {
            return Err(Error::NotASpool { path: path.into(), found: Foreign::Special });
        }
        match lock(disk, &file, path)? {
            Lock::Ours => return Ok(file),
            Lock::Held => return Err(file.locked(path)),
            Lock::Stale => {}
        }
    }
    Err(Error::Locked { path: path.into(), holder: None })
}

fn read_header(file: &File, path: &Path, magic: [u8; 8]) -> Result<Header> {
    let foreign = |found| Error::NotASpool { path: path.into(), found };
    match file.kind().map_err(Error::io("look at", path))? {
        FileKind::Regular => {}
        FileKind::Directory => return Err(foreign(Foreign::Directory)),
        FileKind::Special => return Err(foreign(Foreign::Special)),
    }
    if file.length().map_err(Error::io("look at", path))? < HEADER_BYTES as u64 {
        return Err(foreign(Foreign::File));
    }
    let mut header = [0; HEADER_BYTES];
    file.read_at(&mut header, 0).map_err(Error::io("read", path))?;
    Header::decode(magic, &header).map_err(|reason| match reason {
        NotAHeader::Foreign => foreign(Foreign::File),
        NotAHeader::Newer(found) => {
            Error::NewerFormat { path: path.into(), found, supported: VERSION }
        }
        NotAHeader::Damaged(source) => Error::damaged(path, 0)(source),
    })
}

/// The manifest of the spool with this salt, if there is one: not one that an earlier spool here
/// has left.
fn open_manifest(disk: &Disk, path: &Path, salt: u32) -> Result<Option<Manifest>> {
    let path = manifest_path(path);
    let file = match disk.open(&path, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(Error::io("open", &path))?,
    };
    let found = read_header(&file, &path, MAGIC)?;
    Ok((found.salt == salt).then_some(Manifest {
        file: Arc::new(file),
        path,
        salt,
        end: HEADER_BYTES as u64,
    }))
}

/// A manifest of these parts and no others takes the place of the one there is.
fn write_manifest(
    disk: &Disk,
    path: &Path,
    header: &Header,
    next: u64,
    contents: &BTreeMap<u64, Content>,
) -> Result<Manifest> {
    let (path, salt, mut end) = (manifest_path(path), header.salt, HEADER_BYTES as u64);
    let file = replace(disk, &path, MODE, |file, temporary| {
        let written = file.write_at(&header.encode(MAGIC), 0);
        written.map_err(Error::filling("write", temporary, end))?;
        let mut new = Manifest { file: Arc::clone(file), path: temporary.into(), salt, end };
        new.set_next(next)?;
        for (&part, content) in contents {
            new.add_part(part, content)?;
        }
        end = new.end;
        Ok(())
    })?;
    Ok(Manifest { file, path, salt, end })
}

/// Where parts begin that are not gone, and the parts that are listed.
fn read_records(
    manifest: &mut Manifest,
    resumed: &mut Resumed,
) -> Result<(u64, BTreeMap<u64, Vec<Piece>>)> {
    let file_bytes = manifest.file.length().map_err(Error::io("look at", &manifest.path))?;
    let (mut first, mut parts) = (0, BTreeMap::new());
    while let Some(record) = manifest.read_next(file_bytes)? {
        match record {
            Record::Next(next) => first = first.max(next),
            // No spool has as many.
            Record::Part { part: u64::MAX, .. } => resumed.damaged.push(u64::MAX),
            Record::Part { part, bytes, pieces } => {
                parts.insert(part, pieces_of(bytes, &pieces));
            }
        }
    }
    resumed.unread_bytes = file_bytes - manifest.end;
    Ok((first, parts.split_off(&first)))
}

/// The pieces of a part of so many bytes.
fn pieces_of(bytes: u64, entries: &[(u64, u32)]) -> Vec<Piece> {
    let begins = (0..bytes).step_by(PIECE_BYTES);
    let piece = |(begin, &(offset, checksum)): (u64, &(u64, u32))| {
        let length = (bytes - begin).min(PIECE_BYTES as u64);
        let bytes = u32::try_from(length).expect("a piece is short");
        Piece { bytes, checksum, source: Source::Disk(offset) }
    };
    begins.zip(entries).map(piece).collect()
}

/// The ranges of the file that parts are in, in order. A part that shares bytes with another one,
/// or that lies behind the end, is none: it is taken out.
fn used_ranges(
    parts: &mut BTreeMap<u64, Vec<Piece>>,
    file_bytes: u64,
    damaged: &mut Vec<u64>,
) -> Vec<Range<u64>> {
    let mut used = Vec::new();
    for (&part, pieces) in &*parts {
        for piece in pieces {
            if let Source::Disk(offset) = piece.source {
                used.push((offset, offset.saturating_add(piece.bytes.into()), part));
            }
        }
    }
    used.sort_unstable();
    let mut end_before = HEADER_BYTES as u64;
    for &(offset, end, part) in &used {
        if (offset < end_before || end > file_bytes) && parts.remove(&part).is_some() {
            damaged.push(part);
        }
        end_before = end_before.max(end);
    }
    used.retain(|(_, _, part)| parts.contains_key(part));
    used.into_iter().map(|(offset, end, _)| offset..end).collect()
}
