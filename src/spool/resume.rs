//! Opening a spool that outlives its process, and finding out what of it is there.
//!
//! The parts are in the file that the caller names, the manifest is beside it. The manifest is made
//! first, and durable before the first part comes, so a file of parts without one is somebody
//! else's. Parts are never synced: each one is read and checked instead, and what a power cut has
//! taken is told.

use std::{
    collections::BTreeMap,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    content::{Content, PIECE_BYTES, Piece, Source},
    manifest::{
        HEADER_BYTES, Manifest, NotAManifest, Record, VERSION, decode_header, encode_header,
    },
    store::Store,
};
use crate::{
    disk::{
        budget::DiskBudget,
        naming::{make, refuse_existing},
        scratch::{MODE, Scratch},
        seam::{Access, Disk, FileKind},
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
pub(super) fn open(disk: &Disk, path: &Path, limits: &[DiskBudget]) -> Result<Found> {
    let mut manifest = open_manifest(disk, path)?;
    let file = disk.create(path, MODE).map_err(Error::making(path, 0))?;
    let file_bytes = file.length().map_err(Error::io("look at", path))?;
    let mut resumed = Resumed::default();
    let (next, mut parts) = read_records(&mut manifest, &mut resumed)?;
    let used = used_ranges(&mut parts, file_bytes, &mut resumed.damaged);
    let budgets: Vec<_> = limits.iter().collect();
    let scratch = Scratch::opened(Arc::new(file), path, file_bytes, &budgets);
    let store = Arc::new(Store::opened(disk.clone(), scratch, &used)?);
    let mut contents = BTreeMap::new();
    for (part, pieces) in parts {
        let content = Content::stored(&store, pieces);
        match content.verify() {
            Ok(()) => {
                resumed.parts += 1;
                resumed.bytes += content.bytes();
                contents.insert(part, content);
            }
            // Its space comes back when it is dropped.
            Err(Error::Damaged { .. }) => resumed.damaged.push(part),
            Err(error) => {
                store.keep();
                return Err(error);
            }
        }
    }
    resumed.damaged.sort_unstable();
    Ok(Found { store, manifest, next, contents, resumed })
}

/// Removes the files of a spool. Whoever has them open goes on with them.
pub(super) fn remove(disk: &Disk, path: &Path) -> Result<()> {
    // The manifest goes last: a file of parts without one is refused.
    for path in [path, &manifest_path(path)] {
        disk.remove(path).map_err(Error::io("remove", path))?;
    }
    Ok(())
}

fn manifest_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

/// The manifest, locked, and its header read.
fn open_manifest(disk: &Disk, path: &Path) -> Result<Manifest> {
    let name = manifest_path(path);
    let file = match disk.open(&name, Access::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_manifest(disk, path, &name)?;
            disk.open(&name, Access::Write)
        }
        opened => opened,
    };
    let file = file.map_err(Error::io("open", &name))?;
    let foreign = |found| Error::NotASpool { path: name.clone(), found };
    match file.kind().map_err(Error::io("look at", &name))? {
        FileKind::Regular => {}
        FileKind::Directory => return Err(foreign(Foreign::Directory)),
        FileKind::Special => return Err(foreign(Foreign::Special)),
    }
    if !file.try_lock().map_err(Error::io("lock", &name))? {
        return Err(Error::Locked { path: path.into() });
    }
    if file.length().map_err(Error::io("look at", &name))? < HEADER_BYTES as u64 {
        return Err(foreign(Foreign::File));
    }
    let mut header = [0; HEADER_BYTES];
    file.read_at(&mut header, 0).map_err(Error::io("read", &name))?;
    let salt = decode_header(&header).map_err(|reason| match reason {
        NotAManifest::Foreign => foreign(Foreign::File),
        NotAManifest::Newer(found) => {
            Error::NewerFormat { path: name.clone(), found, supported: VERSION }
        }
        NotAManifest::Damaged(source) => Error::damaged(&name, 0)(source),
    })?;
    Ok(Manifest { file, path: name, salt, end: HEADER_BYTES as u64 })
}

fn make_manifest(disk: &Disk, path: &Path, name: &Path) -> Result<()> {
    refuse_existing(disk, path)?;
    let mut salt = [0; 4];
    disk.random_bytes(&mut salt).map_err(Error::io("get random bytes for", name))?;
    let header = encode_header(u32::from_le_bytes(salt));
    let made = make(disk, name, MODE, |file, temporary| {
        let written = file.write_at(&header, 0);
        written.map_err(Error::filling("write", temporary, HEADER_BYTES as u64))
    });
    match made {
        // Somebody else was faster; whose it is, the lock tells.
        Err(Error::AlreadyExists { .. }) => Ok(()),
        made => made,
    }
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
    let mut end_before = 0;
    for &(offset, end, part) in &used {
        if (offset < end_before || end > file_bytes) && parts.remove(&part).is_some() {
            damaged.push(part);
        }
        end_before = end_before.max(end);
    }
    used.retain(|(_, _, part)| parts.contains_key(part));
    used.into_iter().map(|(offset, end, _)| offset..end).collect()
}
