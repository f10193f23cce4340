//! Mapped or by position: what a user chooses, and what goes wrong without a mapping.

use std::{io, path::Path};

use crate::{disk::seam::File, error::Error};

/// How an archive's bytes are read and written.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("cache.dat");
/// # ringkeep::RingOptions::new(5, 100).create(&path)?.close()?;
/// let ring = ringkeep::ReadOptions::new().io(ringkeep::Io::File).open(&path)?;
/// assert_eq!(ring.next_id()?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Io {
    /// Through a shared mapping: the fastest, and woken by the producer. A file that another
    /// program cuts short, or a sector that cannot be read, ends the process with `SIGBUS`.
    /// Where the address space has no room for a mapping, slots go by position.
    #[default]
    Mapped,
    /// By position, without a mapping: the same faults are errors, to readers and producers.
    ///
    /// A single read takes two system calls. A walk, or a
    /// [`read_range`](crate::Ring::read_range), takes three for 64 KiB; an update of what it has
    /// read already shows in the next walk, and to a tailer after 60 milliseconds at most. A
    /// reader that waits looks again and again, 17 times a second at last.
    ///
    /// An append takes three system calls, and so does a batch for each 256 of its records. A
    /// sync flushes whole files. Whether a file was cut short is looked at once for so many
    /// appends.
    File,
}

/// Why a file that was whole when it was opened cannot be read now.
pub(crate) fn unreadable(file: &File, path: &Path, expected_bytes: u64, error: io::Error) -> Error {
    if error.kind() != io::ErrorKind::UnexpectedEof {
        return Error::io("read", path)(error);
    }
    let path = path.into();
    match file.length() {
        Ok(found_bytes) => Error::CutShort { path, found_bytes, expected_bytes },
        Err(error) => Error::io("look at", &path)(error),
    }
}
