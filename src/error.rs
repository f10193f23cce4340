//! What can go wrong, as facts; the messages say what happened and what to do.

mod archive_id;
mod convert;
mod found;
mod push;
#[cfg(feature = "store")]
mod store;

use std::{
    io,
    path::{Path, PathBuf},
};

pub(crate) use self::archive_id::ARCHIVE_MAGIC;
#[cfg(feature = "store")]
pub use self::store::StoreError;
pub use self::{
    archive_id::ArchiveId,
    found::{Corruption, Foreign, PartState},
    push::PushError,
};
use crate::ring::{
    lookup::{Geometry, GeometryError},
    read::Read,
    schema::{Difference, SchemaError},
};

/// What the functions of this crate return.
///
/// # Examples
///
/// ```
/// fn newest(ring: &ringkeep::Ring) -> ringkeep::Result<Vec<u8>> {
///     ring.read(ring.next_id()?.saturating_sub(1))?.record()
/// }
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a [`Codec`](crate::Codec) says when it fails.
///
/// # Examples
///
/// ```
/// let error: ringkeep::CodecError = "less than 8 bytes".into();
/// assert_eq!(error.to_string(), "less than 8 bytes");
/// ```
pub type CodecError = Box<dyn std::error::Error + Send + Sync>;

/// Why an operation was refused or failed.
///
/// What became of a single record is a value, [`Read`](crate::Read), not an error.
///
/// # Examples
///
/// ```
/// use ringkeep::{Error, Ring};
///
/// match Ring::open("/nonexistent/cache.dat") {
///     Err(Error::NotFound { path }) => assert!(path.ends_with("cache.dat")),
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused or failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "open", "map", ..
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The disk or the quota cannot hold a file that was to be made. Nothing was left behind.
    #[error("{} needs {needed_bytes} bytes, which this disk or quota cannot give ({source}): \
             make room, or ask for less", path.display())]
    NoSpace {
        /// The archive, or the file of another structure.
        path: PathBuf,
        /// Its length; of an archive, that of all its files.
        needed_bytes: u64,
        /// What the operating system said.
        source: io::Error,
    },
    /// The archive lies on a file system that is mounted read-only.
    #[error("{} is on a read-only file system: only readers can open it there", path.display())]
    ReadOnlyFileSystem {
        /// The file or directory.
        path: PathBuf,
    },
    /// Locks and shared mappings do not work across machines.
    #[error("{} is on {name}, a network file system, where ringkeep cannot keep its promises: \
             use a local disk", path.display())]
    NetworkFileSystem {
        /// The archive.
        path: PathBuf,
        /// What the file system is called.
        name: &'static str,
    },
    /// No file has this name.
    #[error("there is no archive {}: check the path, or create it first", path.display())]
    NotFound {
        /// The path that was opened.
        path: PathBuf,
    },
    /// `create` never replaces a file.
    #[error("{} exists already: open it, or choose another name", path.display())]
    AlreadyExists {
        /// The file in the way.
        path: PathBuf,
    },
    /// A shard with records lies here without the `cache.dat` that it belongs to.
    #[error("{} holds records of an archive whose first file is gone: \
             move it away before a new archive is made here", path.display())]
    LeftoverShard {
        /// The shard file.
        path: PathBuf,
    },
    /// Something else than an archive, a directory for instance.
    #[error("{} is not a ringkeep archive: it is {found}", path.display())]
    NotAnArchive {
        /// The path that was opened.
        path: PathBuf,
        /// What is there instead.
        found: Foreign,
    },
    /// No directory has this name.
    #[error("there is no queue {}: check the path", path.display())]
    NoQueue {
        /// The path that was opened.
        path: PathBuf,
    },
    /// Something else than the directory of a queue.
    #[error("{} is not a queue, it is {found}: give the directory that a queue was opened in",
            path.display())]
    NotAQueue {
        /// The path that was opened.
        path: PathBuf,
        /// What is there instead.
        found: Foreign,
    },
    /// Something else than a frozen vector.
    #[error("{} is not a frozen vector, it is {found}", path.display())]
    NotAFrozenVec {
        /// The path that was opened.
        path: PathBuf,
        /// What is there instead.
        found: Foreign,
    },
    /// Something else than the file of a spool, or its manifest.
    #[error("{} is no file of a spool, it is {found}: choose another path, or move it away",
            path.display())]
    NotASpool {
        /// The path that was opened.
        path: PathBuf,
        /// What is there instead.
        found: Foreign,
    },
    /// Compressed in a way that this build does not know.
    #[error("{} is compressed in a way that this build cannot read (number {found}; 2 is zstd): \
             build ringkeep with that feature, or use a newer one", path.display())]
    UnknownCompression {
        /// The file.
        path: PathBuf,
        /// What its header calls it.
        found: u32,
    },
    /// Written by a later ringkeep.
    #[error("{} has format version {found}, this ringkeep reads up to {supported}: \
             use a newer ringkeep", path.display())]
    NewerFormat {
        /// The archive.
        path: PathBuf,
        /// Its version, or the version of the feature it needs.
        found: u32,
        /// The newest version this code knows.
        supported: u32,
    },
    /// A file is shorter than its archive says.
    #[error("{} has {found_bytes} bytes instead of {expected_bytes}: it was cut short; \
             restore it from a copy", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length.
        found_bytes: u64,
        /// The length that the archive's geometry gives.
        expected_bytes: u64,
    },
    /// A file was shortened while it was read.
    #[error("{} was cut short to {found_bytes} bytes while it was read, it had {expected_bytes}: \
             restore it from a copy", path.display())]
    CutShort {
        /// The file.
        path: PathBuf,
        /// Its length now.
        found_bytes: u64,
        /// The length that the archive's geometry gives.
        expected_bytes: u64,
    },
    /// A file of the archive is gone.
    #[error("{} is missing: put all {shards} files of the archive back together", path.display())]
    MissingShard {
        /// The file that should be there.
        path: PathBuf,
        /// How many files the archive has.
        shards: u32,
    },
    /// A file belongs to another archive, or to another place in this one.
    #[error("{} is shard {found_index} of archive {found}, not shard {expected_index} of archive \
             {expected}: put the right file back", path.display())]
    MixedShards {
        /// The file.
        path: PathBuf,
        /// Archive it belongs to.
        found: ArchiveId,
        /// Shard it is there.
        found_index: u32,
        /// Archive it was found with.
        expected: ArchiveId,
        /// Shard it should be.
        expected_index: u32,
    },
    /// A page that the archive cannot do without is damaged.
    #[error("{} is damaged at byte {offset}: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damaged block begins.
        offset: u64,
        /// What is wrong with it.
        source: Corruption,
    },
    /// The archive has another geometry than the options ask for.
    #[error("{} keeps {found}, but {expected} was asked for: open it as it is, or make another \
             archive", path.display())]
    GeometryMismatch {
        /// The archive.
        path: PathBuf,
        /// What it has.
        found: Geometry,
        /// What was asked for.
        expected: Geometry,
    },
    /// The archive has another schema than the options ask for.
    #[error("{} has other columns than were asked for:{}", path.display(),
            Difference { found, expected })]
    SchemaMismatch {
        /// The archive.
        path: PathBuf,
        /// What it has; empty for none.
        found: Box<str>,
        /// What was asked for.
        expected: Box<str>,
    },
    /// These options make no ring.
    #[error(transparent)]
    InvalidOptions(#[from] GeometryError),
    /// This text is no schema.
    #[error(transparent)]
    InvalidSchema(#[from] SchemaError),
    /// A schema describes records of another size.
    #[error(
        "the schema makes records of {schema_bytes} bytes, and these have {record_size}: \
             make the two agree, with padding (_:pad2) for bytes without a name"
    )]
    SchemaSize {
        /// Bytes of all fields.
        schema_bytes: usize,
        /// Bytes of a record.
        record_size: usize,
    },
    /// A type of records has another size than these.
    #[error("{} has records of {record_size} bytes, and the type has {type_bytes}: open it with \
             the type that it was written with", path.display())]
    TypeSize {
        /// The archive.
        path: PathBuf,
        /// Bytes of a record.
        record_size: usize,
        /// Bytes of the type.
        type_bytes: usize,
    },
    /// Records here have no time to search by.
    #[error("{} has no time: its schema would need a field of the type time_s, time_ms, time_us \
             or time_ns", path.display())]
    NoTime {
        /// The archive.
        path: PathBuf,
    },
    /// A budget on memory that not even what is always needed fits into.
    #[error("a budget of {found} bytes is too small for {}: it needs {needed}", path.display())]
    BudgetTooSmall {
        /// The archive.
        path: PathBuf,
        /// Bytes given.
        found: u64,
        /// Bytes needed: the pages, and a producer's few slots.
        needed: u64,
    },
    /// Somebody else, of this process or another one, has the archive, the queue, the spool or the
    /// store open to write.
    #[error("{} is locked: {} has it open", path.display(), convert::who(*holder))]
    Locked {
        /// The file, or the queue's directory.
        path: PathBuf,
        /// The process that holds the lock, where the kernel tells it: not of other users.
        holder: Option<u32>,
    },
    /// A record has a fixed size.
    #[error("the payload has {found} bytes, records here have {expected}")]
    WrongPayloadLength {
        /// Bytes given; of a batch, all of them.
        found: usize,
        /// Bytes of a record.
        expected: usize,
    },
    /// Ids only grow.
    #[error("id {id} is below the next one, {next}: ids only grow")]
    IdBelowNext {
        /// The id given.
        id: u64,
        /// The smallest id that can still be appended.
        next: u64,
    },
    /// Ids end at 2^62.
    #[error("id {id} is past the last possible one, {}", crate::ring::lookup::ID_END - 1)]
    IdTooLarge {
        /// The id that would have been used.
        id: u64,
    },
    /// More ids at once than the ring has slots.
    #[error("a range of {count} ids was asked for at once, at most {max} can be: read it in parts")]
    RangeTooLong {
        /// Ids asked for.
        count: u64,
        /// The ring's slots.
        max: u64,
    },
    /// A record was needed, and there is none.
    #[error("{0}")]
    NotARecord(Read<()>),
    /// The producer was called from within a `view` of its own ring, which it would wait for.
    #[error(
        "the producer was called from inside a view of its own ring: return from the view first"
    )]
    InsideView,
    /// An earlier sync, or a store without a mapping, failed. What was appended since the last good
    /// sync may not be on the disk, and no later one could tell, so this producer stops.
    #[error("an earlier sync or write of {} failed ({source}): open it again to go on",
            path.display())]
    Poisoned {
        /// The file whose sync or store failed.
        path: PathBuf,
        /// What the operating system said then.
        source: io::Error,
    },
    /// A file of a queue is gone.
    #[error("{} is missing: restore it, or open with Recovery::SkipCorrupt", path.display())]
    MissingSegment {
        /// The file.
        path: PathBuf,
    },
    /// Items that were durable are gone.
    #[error("items {first}..{end} before {} are missing: restore the files, or open with \
             Recovery::SkipCorrupt", path.display())]
    MissingItems {
        /// The file behind them.
        path: PathBuf,
        /// The first one that is gone.
        first: u64,
        /// One past the last one.
        end: u64,
    },
    /// What is on the disk is only opened with the codec, the tag and the mode that it was written
    /// with.
    #[error("{} holds {found}, not {expected}: open it with the codec and the tag that it was \
             written with", path.display())]
    CodecMismatch {
        /// The file that says so.
        path: PathBuf,
        /// Codec and tag in the file.
        found: Box<str>,
        /// Codec and tag that were asked for.
        expected: Box<str>,
    },
    /// The codec could not make bytes of an item.
    #[error("the item could not be encoded, and was not taken: {source}")]
    Encode {
        /// What the codec said.
        source: CodecError,
    },
    /// The codec could not make bytes of an item that a vector has in memory, so it and what is
    /// behind it stay there.
    #[error("item {index} could not be encoded, so it cannot leave memory: {source}")]
    EncodeAt {
        /// Index of the item.
        index: u64,
        /// What the codec said.
        source: CodecError,
    },
    /// The codec could not make an item of its bytes. They are here; a queue has them no more.
    #[error("item {item} could not be decoded from its {} bytes: {source}", bytes.len())]
    Decode {
        /// Number of the item.
        item: u64,
        /// As they were stored.
        bytes: Vec<u8>,
        /// What the codec said.
        source: CodecError,
    },
    /// An item, or a batch, that has no room even when all else is gone.
    #[error(
        "{found} bytes at once are too many, at most {max} can be stored: push less at once, or \
             raise the limit on the disk"
    )]
    TooLarge {
        /// Bytes that it takes when it is stored.
        found: u64,
        /// Bytes that there may be.
        max: u64,
    },
    /// The limit on the disk, or what others left of a shared one, does not suffice.
    #[error(
        "{needed_bytes} bytes of disk are needed, which the limits of {max_bytes} bytes in all do \
             not leave: raise them, or keep less"
    )]
    DiskFull {
        /// Bytes that the file would have had.
        needed_bytes: u64,
        /// The smallest limit on it.
        max_bytes: u64,
    },
    /// Items take more memory than the caller wants to give.
    #[error("the items take {found_bytes} bytes of memory or more, and {max_bytes} may be taken")]
    OverLimit {
        /// Bytes of the items that were looked at.
        found_bytes: u64,
        /// Bytes that there may be.
        max_bytes: u64,
    },
    /// A batch of more items than the queue may ever have.
    #[error(
        "a batch of {found} items is too long, the queue has at most {max}: push less at once, \
             or raise its limit"
    )]
    TooManyItems {
        /// Items of the batch.
        found: u64,
        /// Items that there may be.
        max: u64,
    },
    /// What names a codec or the items is too long, or has a zero in it.
    #[error("{tag:?} cannot name what is in here: at most {max_bytes} bytes can, and no zeros")]
    InvalidTag {
        /// The name.
        tag: Box<str>,
        /// Bytes that it may have.
        max_bytes: usize,
    },
    /// A queue has no room. The item came back.
    #[error("the queue is full: wait until items are received, or raise its limits")]
    Full,
    /// A queue has no item that could be received now.
    #[error("the queue has no item to receive now: try again later")]
    Empty,
    /// A queue takes no more items; those it had have been received.
    #[error("the queue is closed: it takes no more items, and all it had are received")]
    Closed,
    /// A part of a spool is wanted, and is not there.
    #[error("part {part} is {state}: write it, or choose a GapPolicy that does without it")]
    PartMissing {
        /// Its number.
        part: u64,
        /// What has become of it.
        state: PartState,
    },
    /// A part of a spool was drained or passed over, and can be neither written nor read again; or
    /// it is being merged, and cannot be written.
    #[error("part {part} was drained or passed over, or is being merged: it can come no more")]
    PartDrained {
        /// Its number.
        part: u64,
    },
    /// A part of a spool that was finished without it.
    #[error(
        "part {part} is none of the {total} of this spool: number parts from 0, or finish it \
             with more"
    )]
    PartOutOfRange {
        /// Its number.
        part: u64,
        /// Parts that the spool has.
        total: u64,
    },
    /// A spool has one drain at a time.
    #[error("the spool is drained elsewhere: drop the other drain first")]
    DrainedElsewhere,
    /// What the caller gave to write to has failed.
    #[error("the output could not be written: {source}")]
    Output {
        /// What it said.
        source: io::Error,
    },
    /// What only a store says.
    #[cfg(feature = "store")]
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Rewrites kept this reader from a consistent look for very long.
    #[error("id {id} could not be read in peace beside constant updates: try again")]
    Contended {
        /// The id.
        id: u64,
    },
}

impl Error {
    /// For `map_err`: names the action and the file, and gives full disks, read-only ones and
    /// missing archives a variant of their own.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnlyFileSystem { path: path.into() },
            _ => Self::Io { action, path: path.into(), source },
        }
    }

    /// For `map_err`: a file of so many bytes cannot be made; often there is no room.
    pub(crate) fn making(path: &Path, needed_bytes: u64) -> impl FnOnce(io::Error) -> Self {
        Self::filling("create", path, needed_bytes)
    }

    /// For `map_err`: names the action; often there is no room for so many bytes.
    pub(crate) fn filling(
        action: &'static str,
        path: &Path,
        needed_bytes: u64,
    ) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => {
                Self::NoSpace { path: path.into(), needed_bytes, source }
            }
            _ => Self::io(action, path)(source),
        }
    }

    /// For `map_err`: a page of `path` at `offset` does not decode.
    pub(crate) fn damaged(path: &Path, offset: u64) -> impl FnOnce(Corruption) -> Self {
        move |source| Self::Damaged { path: path.into(), offset, source }
    }
}
