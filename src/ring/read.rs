//! What became of an id.

use std::{fmt, path::PathBuf};

use crate::error::{Error, Result};

/// What became of an id: its record, or why there is none.
///
/// Losing the race with the producer is an outcome with a name, not an error. `T` is the payload,
/// or `()` where the payload went into the caller's buffer.
///
/// # Examples
///
/// ```
/// use ringkeep::{Read, RingOptions};
///
/// # let directory = tempfile::tempdir()?;
/// let mut producer = RingOptions::new(4, 8).create(directory.path().join("cache.dat"))?;
/// let id = producer.append(b"ping")?;
/// let ring = producer.ring();
/// assert_eq!(ring.read(id)?, Read::Record(b"ping".to_vec()));
/// assert_eq!(ring.read(id + 1)?, Read::NotYet { next: 1 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Read<T> {
    /// The record, exactly as it was written.
    Record(T),
    /// The id was not handed out yet.
    NotYet {
        /// The id that comes next.
        next: u64,
    },
    /// The record was overwritten or dropped: the ring keeps `oldest..next`.
    Lapped {
        /// The oldest id that may still be there.
        oldest: u64,
        /// How many ids from this one on are gone: `oldest - id`.
        missed: u64,
    },
    /// The id was skipped, or its record deleted.
    Absent,
    /// A crash took it: it was being appended, or was not durable yet. It never comes back.
    Lost,
    /// The stored bytes are not what was written: the medium or another program damaged them.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The id that lay there.
        id: u64,
        /// Where its slot begins, in bytes.
        offset: u64,
    },
}

impl<T> Read<T> {
    /// The record; anything else becomes an error.
    ///
    /// # Errors
    ///
    /// [`Error::NotARecord`] says what was there instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::Read;
    ///
    /// assert_eq!(Read::Record(7).record()?, 7);
    /// assert!(Read::<u8>::Absent.record().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record(self) -> Result<T> {
        match self {
            Self::Record(payload) => Ok(payload),
            other => Err(Error::NotARecord(other.map(drop))),
        }
    }

    /// Changes the payload, if there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::Read;
    ///
    /// assert_eq!(Read::Record(b"abc").map(|payload| payload.len()), Read::Record(3));
    /// ```
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Read<U> {
        match self {
            Self::Record(payload) => Read::Record(change(payload)),
            Self::NotYet { next } => Read::NotYet { next },
            Self::Lapped { oldest, missed } => Read::Lapped { oldest, missed },
            Self::Absent => Read::Absent,
            Self::Lost => Read::Lost,
            Self::Corrupt { path, id, offset } => Read::Corrupt { path, id, offset },
        }
    }
}

impl fmt::Display for Read<()> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(()) => write!(f, "there is a record"),
            Self::NotYet { next } => {
                write!(f, "the record was not written yet: the next id is {next}")
            }
            Self::Lapped { oldest, missed } => write!(
                f,
                "the record was overwritten, with {missed} in all: the oldest kept id is {oldest}"
            ),
            Self::Absent => write!(f, "the id was skipped or its record deleted"),
            Self::Lost => write!(f, "a crash took the record before it was durable"),
            Self::Corrupt { path, id, offset } => write!(
                f,
                "record {id} is damaged: its slot at byte {offset} of {} does not match its \
                 checksum",
                path.display()
            ),
        }
    }
}
