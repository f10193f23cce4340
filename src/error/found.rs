//! What was found in place of what should be there.

/// What is wrong with a block of bytes.
///
/// # Examples
///
/// ```
/// let wrong = ringkeep::Corruption::Checksum { found: 1, expected: 2 };
/// assert_eq!(wrong.to_string(), "its checksum is 0x00000001 instead of 0x00000002");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corruption {
    /// The checksum over a block is not the stored one.
    #[error("its checksum is {found:#010x} instead of {expected:#010x}")]
    Checksum {
        /// As stored.
        found: u32,
        /// As computed.
        expected: u32,
    },
    /// A field has a value that no writer stores.
    #[error("its field {field} is {value}, which is impossible")]
    Field {
        /// Name as in docs/FORMAT.md.
        field: &'static str,
        /// As stored.
        value: u64,
    },
    /// Neither of the two checkpoint pages is valid.
    #[error("neither checkpoint page is valid")]
    NoCheckpoint,
}

/// What was found where an archive, a queue or a frozen vector should be.
///
/// # Examples
///
/// ```
/// use ringkeep::{Error, Foreign, Ring};
///
/// let refused = Ring::open("/");
/// assert!(matches!(refused, Err(Error::NotAnArchive { found: Foreign::Directory, .. })));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// A directory.
    Directory,
    /// A device, a pipe or a socket.
    Special,
    /// A file without a single byte.
    Empty,
    /// A file whose first bytes are not an archive's.
    File,
    /// An archive, where a queue should be.
    Archive,
    /// A directory without a single file.
    EmptyDirectory,
    /// A directory that has no file of a queue.
    OtherDirectory,
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Directory => "a directory",
            Self::Special => "a device, a pipe or a socket",
            Self::Empty => "an empty file",
            Self::File => "some other file",
            Self::Archive => "a ring archive",
            Self::EmptyDirectory => "an empty directory",
            Self::OtherDirectory => "a directory of other files",
        })
    }
}

/// What has become of a part of a spool.
///
/// # Examples
///
/// ```
/// assert_eq!(ringkeep::PartState::Absent.to_string(), "absent");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartState {
    /// Nobody has begun it, or whoever did has given up without a word.
    Absent,
    /// Somebody writes it.
    Writing,
    /// It is complete.
    Ready,
    /// Somebody said that it does not come.
    Failed,
    /// It was taken out, or passed over.
    Drained,
}

impl std::fmt::Display for PartState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent",
            Self::Writing => "being written",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Drained => "drained",
        })
    }
}
