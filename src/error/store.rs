//! What only a store says.

use std::{path::PathBuf, time::Duration};

use super::{CodecError, Foreign};

/// Why a store, one of its transactions or one of its buckets was refused or failed.
///
/// Full disks, files that cannot be read and locks are told as they are by all other structures:
/// see [`Error`](crate::Error).
///
/// # Examples
///
/// ```
/// use ringkeep::{Error, Store, StoreError};
///
/// let refused = Store::open("/");
/// assert!(matches!(refused, Err(Error::Store(StoreError::NotAStore { .. }))));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No file has this name.
    #[error("there is no store {}: check the path", path.display())]
    NotFound {
        /// The path that was opened.
        path: PathBuf,
    },
    /// Something else than a store.
    #[error("{} is not a store, it is {found}", path.display())]
    NotAStore {
        /// The path that was opened.
        path: PathBuf,
        /// What is there instead.
        found: Foreign,
    },
    /// Written in a format that this library does not know.
    #[error("{} has version {found} of the format of stores, and this ringkeep reads {supported}: \
             use the ringkeep, or the redb, that wrote it", path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u8,
        /// The only one that this library reads.
        supported: u8,
    },
    /// Bytes of the file are not what was stored.
    #[error("the store {} is damaged ({what}): restore a backup of it", path.display())]
    Damaged {
        /// The file; of a store in memory `memory`.
        path: PathBuf,
        /// What was noticed.
        what: Box<str>,
    },
    /// After a read, a write or a sync that failed, those who were in a transaction then can only
    /// end it. When all have, the store goes on from its last durable commit.
    #[error("an earlier read or write of the store {} failed: end all transactions and begin \
             others, its last durable commit is there", path.display())]
    Poisoned {
        /// The file.
        path: PathBuf,
    },
    /// Another transaction, or thread, is writing.
    #[error(
        "somebody has been writing to the store for more than {waited:?}: end that \
             transaction, or wait longer (lock_wait)"
    )]
    Writing {
        /// How long was waited.
        waited: Duration,
    },
    /// What is to be done needs the store for itself.
    #[error("{readers} transactions are reading from the store: end them first")]
    Reading {
        /// How many there are.
        readers: usize,
    },
    /// An operation of this transaction has failed half way.
    #[error("an earlier operation of this transaction failed: it was rolled back, begin another")]
    HalfDone,
    /// What cannot name a bucket.
    #[error("{name:?} cannot name a bucket: a name has 1 to {max_bytes} bytes, the first no zero")]
    BucketName {
        /// The name.
        name: Box<str>,
        /// Bytes that it may have.
        max_bytes: usize,
    },
    /// A bucket has one writer at a time.
    #[error("bucket {bucket:?} is open in this transaction already: drop that handle first")]
    BucketInUse {
        /// Its name.
        bucket: Box<str>,
    },
    /// A table of another program, in a file that both use.
    #[error("bucket {bucket:?} is no bucket of bytes: {found}")]
    ForeignBucket {
        /// Its name.
        bucket: Box<str>,
        /// What it is.
        found: Box<str>,
    },
    /// A key, a value or the two together that are too long.
    #[error("a key or a value of {found} bytes is too long: store it in pieces")]
    TooLarge {
        /// Bytes that it has.
        found: usize,
    },
    /// The codec could not make bytes of a value, or its key could not be made.
    #[error("a value for bucket {bucket:?} could not be encoded, and was not stored: {source}")]
    Encode {
        /// The bucket.
        bucket: Box<str>,
        /// What the codec said.
        source: CodecError,
    },
    /// The codec could not make a value, or a key, of its bytes.
    #[error("a value of bucket {bucket:?} could not be decoded (its key is {}): {source}",
            key.escape_ascii())]
    Decode {
        /// The bucket.
        bucket: Box<str>,
        /// The key as it is stored.
        key: Vec<u8>,
        /// What the codec said.
        source: CodecError,
    },
}
