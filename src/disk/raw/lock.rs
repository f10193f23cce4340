//! Locks of open file descriptions (`F_OFD_SETLK`).
//!
//! They end with the last descriptor, whatever the process does; they exclude another open of the
//! same file within one process too; and unlike `flock` they can be asked about without being
//! taken.

use std::{fs::File, io, os::fd::AsRawFd};

/// Takes the exclusive lock; `false` when somebody else holds it. Needs write permission.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    set_lock(file, libc::F_WRLCK)
}

/// Takes the lock that readers share; `false` when somebody else holds the exclusive one.
#[cfg(feature = "store")]
pub(crate) fn try_lock_shared(file: &File) -> io::Result<bool> {
    set_lock(file, libc::F_RDLCK)
}

/// Gives the lock up, whoever else still has this descriptor.
pub(crate) fn unlock(file: &File) -> io::Result<()> {
    set_lock(file, libc::F_UNLCK).map(drop)
}

fn set_lock(file: &File, kind: i32) -> io::Result<bool> {
    let request = whole_file(kind);
    // SAFETY: the descriptor is open for the life of `file`; the kernel reads one valid `flock`.
    let code = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const request) };
    if code == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}

/// Whether somebody else holds the lock. Takes nothing and needs only read permission.
pub(crate) fn is_locked(file: &File) -> io::Result<bool> {
    let mut request = whole_file(libc::F_WRLCK);
    // SAFETY: as above; the kernel writes its answer into the same valid `flock`.
    let code = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut request) };
    if code != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(i32::from(request.l_type) != libc::F_UNLCK)
}

fn whole_file(kind: i32) -> libc::flock {
    // SAFETY: `flock` is plain integers, for which zeros are valid; padding must be zero for OFD.
    let mut request: libc::flock = unsafe { std::mem::zeroed() };
    request.l_type = kind.try_into().unwrap_or_default();
    request.l_whence = libc::SEEK_SET.try_into().unwrap_or_default();
    request
}
