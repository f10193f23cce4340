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
/// Of somebody who opens a file that others may be renaming.
pub(crate) const TRIES_MAX: u32 = 100;

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

/// What came of locking a file that was opened by its name.
pub(crate) enum Lock {
    /// It is locked, and still has the name.
    Ours,
    /// Somebody else has it.
    Held,
    /// Between opening and locking its owner has renamed or removed it.
    Stale,
}

/// Locks a file that this name led to.
pub(crate) fn lock(disk: &Disk, file: &File, name: &Path) -> Result<Lock> {
    if !file.try_lock().map_err(Error::io("lock", name))? {
        return Ok(Lock::Held);
    }
    let id = file.id().map_err(Error::io("look at", name))?;
    let is_ours = disk.identify(name).is_ok_and(|now| now == id);
    Ok(if is_ours { Lock::Ours } else { Lock::Stale })
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
        let lock = lock(disk, &file, &temporary)?;
        unfinished.name = None;
        match lock {
            Lock::Ours => return Ok(file),
            Lock::Held => return Err(file.locked(path)),
            Lock::Stale => {}
        }
    }
    Err(Error::Locked { path: path.into(), holder: None })
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
    let temporary = temporary(path);
    let mut unfinished = Unfinished { disk, name: Some(temporary.clone()) };
    // A file that was finished before this one was locked.
    refuse_existing(disk, path)?;
    fill_anew(&opened, &temporary, fill)?;
    give_name(disk, &temporary, path)?;
    unfinished.name = Some(path.into());
    sync_directory_of(disk, path)?;
    unfinished.name = None;
    Ok(())
}

/// Makes a file in place of the one that has its name, which is there until the new one is durable.
/// Nobody else may do so: whoever calls holds a lock that says so.
///
/// # Errors
///
/// `NoSpace`, `ReadOnlyFileSystem`, `Io`, and what `fill` says.
pub(crate) fn replace(
    disk: &Disk,
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&Arc<File>, &Path) -> Result<()>,
) -> Result<Arc<File>> {
    let temporary = temporary(path);
    let opened = disk.create(&temporary, mode).map_err(Error::making(&temporary, 0))?;
    let opened = Arc::new(opened);
    let mut unfinished = Unfinished { disk, name: Some(temporary.clone()) };
    fill_anew(&opened, &temporary, fill)?;
    disk.replace(&temporary, path).map_err(Error::io("name", path))?;
    unfinished.name = None;
    sync_directory_of(disk, path)?;
    Ok(opened)
}

/// What is left in the file goes, and what `fill` stores is durable.
fn fill_anew(
    opened: &Arc<File>,
    temporary: &Path,
    fill: impl FnOnce(&Arc<File>, &Path) -> Result<()>,
) -> Result<()> {
    opened.truncate(0).map_err(Error::io("shorten", temporary))?;
    fill(opened, temporary)?;
    opened.sync().map_err(Error::io("sync", temporary))
}

/// Makes the name of a file durable.
pub(crate) fn sync_directory_of(disk: &Disk, path: &Path) -> Result<()> {
    let directory = directory_of(path);
    disk.sync_directory(directory).map_err(Error::io("sync", directory))
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
