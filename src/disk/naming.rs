//! Files that appear under their name when they are complete, or not at all.
//!
//! 1. A temporary file beside the one to be is made and locked: whoever holds its lock makes it.
//! 2. It is filled and synced.
//! 3. It gets its name, which replaces nothing, and the directory is synced.
//!
//! A process that dies leaves the temporary file at most, which the next one that makes the same
//! file takes over.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::seam::{Disk, File};
use crate::error::{Error, Result};

/// What the name of a file that is not complete ends in.
pub(crate) const TEMPORARY: &str = ".ringkeep-new";
const TRIES_MAX: u32 = 100;

/// The name that a file has until it is complete.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY);
    name.into()
}

/// The directory that a path's name lies in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses a name that is taken.
pub(crate) fn refuse_existing(disk: &Disk, path: &Path) -> Result<()> {
    match disk.identify(path) {
        Ok(_) => Err(Error::AlreadyExists { path: path.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("look at", path)(error)),
    }
}

/// The temporary file of this one, locked; it may hold what a process that died has left.
///
/// # Errors
///
/// `Locked`: somebody else makes this file. `NoSpace` of so many bytes, `ReadOnlyFileSystem`, `Io`:
/// nothing is left behind then.
pub(crate) fn create_locked(
    disk: &Disk,
    path: &Path,
    mode: u32,
    needed_bytes: u64,
) -> Result<File> {
    let temporary = temporary(path);
    for _ in 0..TRIES_MAX {
        let file = disk.create(&temporary, mode).map_err(Error::making(path, needed_bytes))?;
        let mut unfinished = Unfinished { disk, name: Some(temporary.clone()) };
        let is_ours = file.try_lock().map_err(Error::io("lock", &temporary))?;
        let id = file.id().map_err(Error::io("look at", &temporary))?;
        unfinished.name = None;
        if !is_ours {
            break;
        }
        // Between opening and locking, its owner may have finished and renamed it.
        if disk.identify(&temporary).is_ok_and(|now| now == id) {
            return Ok(file);
        }
    }
    Err(Error::Locked { path: path.into() })
}

/// Gives a complete file its name.
///
/// # Errors
///
/// `AlreadyExists`, `Io`.
pub(crate) fn give_name(disk: &Disk, from: &Path, to: &Path) -> Result<()> {
    disk.rename_new(from, to).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path: to.into() },
        _ => Error::io("name", to)(error),
    })
}

/// Makes a file: `fill` stores its bytes, and it appears with its name when they are durable.
///
/// # Errors
///
/// `AlreadyExists`; `Locked` while somebody else makes it; `NoSpace`, `ReadOnlyFileSystem`, `Io`,
/// and what `fill` says. Nothing is left behind then.
pub(crate) fn make(
    disk: &Disk,
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&Arc<File>, &Path) -> Result<()>,
) -> Result<()> {
    refuse_existing(disk, path)?;
    let opened = Arc::new(create_locked(disk, path, mode, 0)?);
    let mut unfinished = Unfinished { disk, name: Some(temporary(path)) };
    // A file that was finished before this one was locked.
    refuse_existing(disk, path)?;
    let temporary = temporary(path);
    opened.truncate(0).map_err(Error::io("shorten", &temporary))?;
    fill(&opened, &temporary)?;
    opened.sync().map_err(Error::io("sync", &temporary))?;
    give_name(disk, &temporary, path)?;
    unfinished.name = Some(path.into());
    let directory = directory_of(path);
    disk.sync_directory(directory).map_err(Error::io("sync", directory))?;
    unfinished.name = None;
    Ok(())
}

/// A file under the name that it has now. Dropped, it is removed.
struct Unfinished<'a> {
    disk: &'a Disk,
    name: Option<PathBuf>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What cannot be removed is taken over by the next one that makes it.
            let _ = self.disk.remove(name);
        }
    }
}
