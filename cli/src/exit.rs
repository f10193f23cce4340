//! Exit codes, in one table, and the ways a command ends early.

use std::io;
use std::process::ExitCode;

use ringkeep::{Error, StoreError};

use crate::output;

/// How a command ended. Later ones outweigh earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Everything that was asked for was done.
    Fine = 0,
    /// The data is not as it should be, or a job finished but lost something.
    Data = 1,
    /// Wrong use, or an archive of another geometry.
    Use = 2,
    /// The operating system refused, or someone else holds the archive.
    System = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The table: which errors of the library end a command with which code.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::NotFound { .. }
            | Error::LeftoverShard { .. }
            | Error::NotAnArchive { .. }
            | Error::NoQueue { .. }
            | Error::NotAQueue { .. }
            | Error::MissingSegment { .. }
            | Error::MissingItems { .. }
            | Error::UnknownCompression { .. }
            | Error::NewerFormat { .. }
            | Error::Truncated { .. }
            | Error::MissingShard { .. }
            | Error::MixedShards { .. }
            | Error::Damaged { .. }
            | Error::NotARecord(_)
            | Error::Store(
                StoreError::NotFound { .. }
                | StoreError::NotAStore { .. }
                | StoreError::OtherVersion { .. }
                | StoreError::Damaged { .. }
                | StoreError::ForeignBucket { .. }
                | StoreError::Decode { .. },
            ) => Self::Data,
            Error::AlreadyExists { .. }
            | Error::GeometryMismatch { .. }
            | Error::SchemaMismatch { .. }
            | Error::CodecMismatch { .. }
            | Error::InvalidSchema(_)
            | Error::SchemaSize { .. }
            | Error::TypeSize { .. }
            | Error::NoTime { .. }
            | Error::BudgetTooSmall { .. }
            | Error::InvalidOptions(_)
            | Error::WrongPayloadLength { .. }
            | Error::IdBelowNext { .. }
            | Error::IdTooLarge { .. }
            | Error::RangeTooLong { .. }
            | Error::InsideView
            | Error::Store(
                StoreError::BucketName { .. }
                | StoreError::BucketInUse { .. }
                | StoreError::TooLarge { .. }
                | StoreError::Encode { .. },
            ) => Self::Use,
            // Io, CutShort, NoSpace, ReadOnlyFileSystem, NetworkFileSystem, Locked, Poisoned,
            // Contended, a store that others read or write, and what a later library adds: none of
            // them is the data's or the caller's fault.
            _ => Self::System,
        }
    }
}

/// Why a command ended before its work was done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Standard output took no more; a closed pipe is among these.
    Stdout(io::Error),
    /// The library refused.
    Archive(Error),
    /// A sentence of the command's own.
    Told(Exit, String),
}

/// A bare `io::Error` is always about standard output; all others are told with their path.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Stdout(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Archive(error)
    }
}

impl Failure {
    pub(crate) fn wrong_use(sentence: impl Into<String>) -> Self {
        Self::Told(Exit::Use, sentence.into())
    }

    pub(crate) fn data(sentence: impl Into<String>) -> Self {
        Self::Told(Exit::Data, sentence.into())
    }

    pub(crate) fn system(sentence: impl Into<String>) -> Self {
        Self::Told(Exit::System, sentence.into())
    }

    /// Says what happened in one sentence on stderr, and gives the exit code.
    pub(crate) fn tell(&self) -> Exit {
        match self {
            // Whoever read our output has seen enough: not an error.
            Self::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Fine,
            Self::Stdout(error) => {
                output::note(&format!("cannot write to standard output: {error}"));
                Exit::System
            }
            Self::Archive(error) => {
                output::note(&error.to_string());
                Exit::of(error)
            }
            Self::Told(exit, sentence) => {
                output::note(sentence);
                *exit
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use ringkeep::{ArchiveId, CodecError, Corruption, Foreign, Read, RingOptions, Schema};

    use super::*;

    fn path() -> PathBuf {
        PathBuf::from("cache.dat")
    }

    fn denied() -> io::Error {
        io::Error::from(io::ErrorKind::PermissionDenied)
    }

    fn wrong_data() -> [Error; 14] {
        let (found, expected) = (ArchiveId([1; 16]), ArchiveId([2; 16]));
        [
            Error::NotFound { path: path() },
            Error::LeftoverShard { path: path() },
            Error::NotAnArchive { path: path(), found: Foreign::Directory },
            Error::NoQueue { path: path() },
            Error::NotAQueue { path: path(), found: Foreign::Archive },
            Error::MissingSegment { path: path() },
            Error::MissingItems { path: path(), first: 1, end: 2 },
            Error::UnknownCompression { path: path(), found: 7 },
            Error::NewerFormat { path: path(), found: 2, supported: 1 },
            Error::Truncated { path: path(), found_bytes: 1, expected_bytes: 2 },
            Error::MissingShard { path: path(), shards: 2 },
            Error::MixedShards { path: path(), found, found_index: 1, expected, expected_index: 1 },
            Error::Damaged { path: path(), offset: 0, source: Corruption::NoCheckpoint },
            Error::NotARecord(Read::Lost),
        ]
    }

    fn wrong_use() -> [Error; 15] {
        let geometry = |capacity| RingOptions::new(4, capacity).geometry();
        let [found, expected] = [8, 9].map(|capacity| geometry(capacity).expect("a geometry"));
        [
            Error::AlreadyExists { path: path() },
            Error::GeometryMismatch { path: path(), found, expected },
            Error::SchemaMismatch { path: path(), found: "".into(), expected: "t:u8".into() },
            Error::CodecMismatch { path: path(), found: "a".into(), expected: "b".into() },
            geometry(0).expect_err("a capacity of nothing"),
            Error::InvalidSchema("t".parse::<Schema>().expect_err("half a field")),
            Error::SchemaSize { schema_bytes: 1, record_size: 2 },
            Error::TypeSize { path: path(), record_size: 1, type_bytes: 2 },
            Error::NoTime { path: path() },
            Error::BudgetTooSmall { path: path(), found: 1, needed: 2 },
            Error::WrongPayloadLength { found: 3, expected: 4 },
            Error::IdBelowNext { id: 1, next: 2 },
            Error::IdTooLarge { id: u64::MAX },
            Error::RangeTooLong { count: 3, max: 2 },
            Error::InsideView,
        ]
    }

    fn system() -> [Error; 8] {
        [
            Error::Io { action: "open", path: path(), source: denied() },
            Error::NoSpace { path: path(), needed_bytes: 1, source: denied() },
            Error::ReadOnlyFileSystem { path: path() },
            Error::NetworkFileSystem { path: path(), name: "NFS" },
            Error::Locked { path: path(), holder: None },
            Error::Poisoned { path: path(), source: denied() },
            Error::Contended { id: 1 },
            Error::CutShort { path: path(), found_bytes: 1, expected_bytes: 2 },
        ]
    }

    fn of_stores() -> [(StoreError, Exit); 14] {
        let bucket = || Box::<str>::from("b");
        let source = || CodecError::from("it is too short");
        [
            (StoreError::NotFound { path: path() }, Exit::Data),
            (StoreError::NotAStore { path: path(), found: Foreign::File }, Exit::Data),
            (StoreError::OtherVersion { path: path(), found: 4, supported: 3 }, Exit::Data),
            (StoreError::Damaged { path: path(), what: "a sum".into() }, Exit::Data),
            (StoreError::ForeignBucket { bucket: bucket(), found: "u64".into() }, Exit::Data),
            (StoreError::Decode { bucket: bucket(), key: vec![1], source: source() }, Exit::Data),
            (StoreError::BucketName { name: "".into(), max_bytes: 255 }, Exit::Use),
            (StoreError::BucketInUse { bucket: bucket() }, Exit::Use),
            (StoreError::TooLarge { found: 4 }, Exit::Use),
            (StoreError::Encode { bucket: bucket(), source: source() }, Exit::Use),
            (StoreError::Poisoned { path: path() }, Exit::System),
            (StoreError::Writing { waited: Duration::ZERO }, Exit::System),
            (StoreError::Reading { readers: 1 }, Exit::System),
            (StoreError::HalfDone, Exit::System),
        ]
    }

    #[test]
    fn every_error_has_its_code_in_the_table() {
        for (errors, exit, code) in [
            (&wrong_data()[..], Exit::Data, 1),
            (&wrong_use()[..], Exit::Use, 2),
            (&system()[..], Exit::System, 3),
        ] {
            assert_eq!(exit as u8, code);
            for error in errors {
                assert_eq!(Exit::of(error), exit, "{error}");
            }
        }
        for (error, exit) in of_stores() {
            let error = Error::Store(error);
            assert_eq!(Exit::of(&error), exit, "{error}");
        }
    }

    #[test]
    fn only_a_closed_pipe_is_a_quiet_end() {
        let broken = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(broken.tell(), Exit::Fine);
        assert_eq!(full.tell(), Exit::System);
    }
}
