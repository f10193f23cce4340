//! What the kernel keeps of a file in memory: asked for, and written back.

use std::{fs::File, io, ops::Range, os::fd::AsRawFd};

/// The system call's number, on every architecture alike (Linux 6.5).
const SYS_CACHESTAT: libc::c_long = 451;

/// Pages of a range in the page cache, as the system call fills it.
#[repr(C)]
#[derive(Debug, Default)]
struct CacheStat {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

#[repr(C)]
struct CacheRange {
    offset: u64,
    length: u64,
}

/// Bytes of a file in the page cache, and those of them that no disk has yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cached {
    pub(crate) bytes: u64,
    pub(crate) dirty: u64,
}

/// What the page cache holds of a file. The kernel tells its owner, and whoever may write it.
pub(crate) fn cached(file: &File) -> io::Result<Cached> {
    // A length of 0 means up to the end.
    let found = cache_stat(file, &CacheRange { offset: 0, length: 0 })?;
    let page = rustix::param::page_size() as u64;
    Ok(Cached { bytes: found.cached * page, dirty: (found.dirty + found.writeback) * page })
}

/// Whether each page of a range, which is not empty, is dirty.
pub(crate) fn is_dirty(file: &File, bytes: Range<u64>) -> io::Result<bool> {
    let length = bytes.end - bytes.start;
    let found = cache_stat(file, &CacheRange { offset: bytes.start, length })?;
    let page = rustix::param::page_size() as u64;
    Ok(found.dirty >= bytes.end.div_ceil(page) - bytes.start / page)
}

fn cache_stat(file: &File, range: &CacheRange) -> io::Result<CacheStat> {
    let mut found = CacheStat::default();
    // SAFETY: the descriptor is open for the life of `file`; the kernel reads one valid range and
    // writes one valid answer, both laid out as its header has them; flags are none.
    let code = unsafe {
        libc::syscall(SYS_CACHESTAT, file.as_raw_fd(), &raw const *range, &raw mut found, 0)
    };
    if code == 0 { Ok(found) } else { Err(io::Error::last_os_error()) }
}

/// Starts writing the dirty pages of a range, and waits until they are written.
pub(crate) fn write_back(file: &File, bytes: Range<u64>) -> io::Result<()> {
    let number = |bytes: u64| libc::off64_t::try_from(bytes).map_err(io::Error::other);
    let (offset, length) = (number(bytes.start)?, number(bytes.end - bytes.start)?);
    let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: the descriptor is open for the life of `file`; no memory is passed.
    let code = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, flags) };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
