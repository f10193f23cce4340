//! The one writer of an archive.

use std::{collections::BTreeSet, fmt, ops::Range, path::Path, sync::Arc};

use crossbeam_utils::CachePadded;
use parking_lot::RwLock;

use super::{
    archive::Archive,
    clock::Clock,
    durability::Durability,
    helpers::Helpers,
    lookup::ID_END,
    opening::WriteOptions,
    reader::Ring,
    recover::recover,
    views::{is_inside_view, refuse_inside_view},
    writer::{Piece, Writer},
};
use crate::{
    disk::{raw::Stripes, sync::SyncPolicy},
    error::{Error, Result},
};

/// Locks between the producer and views of its process.
const STRIPES: usize = 64;

/// The one writer of an archive: appends, rewrites, and says when that is durable.
///
/// There is one producer for an archive on the whole machine; a second one gets
/// [`Error::Locked`]. What `append` returned survives the death of the process at any moment; what
/// a power cut takes depends on the [`SyncPolicy`].
///
/// A process that forks leaves its producer to one side: the other must not use or drop it.
///
/// Dropping a producer closes it as well as it can; [`Producer::close`] tells whether that worked.
///
/// # Examples
///
/// ```
/// use ringkeep::{Producer, Read, RingOptions};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("cache.dat");
/// let mut producer = RingOptions::new(5, 100).create(&path)?;
/// producer.append(b"first")?;
/// producer.close()?;
///
/// let mut producer = Producer::open(&path)?;
/// assert_eq!(producer.append(b"later")?, 1);
/// assert_eq!(producer.ring().read(0)?, Read::Record(b"first".to_vec()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Producer {
    writer: Writer,
    policy: SyncPolicy,
    /// The next id when the last sync was asked for.
    begun: u64,
    closed: bool,
}

/// A producer that could not be closed cleanly, and why.
///
/// The records are still readable through `producer.ring()`; the next producer treats the archive
/// as after a crash, and loses nothing that `append` returned unless the power fails too.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("cache.dat"))?;
/// if let Err(failed) = producer.close() {
///     eprintln!("{failed}");
///     let ring = failed.producer.ring();
///     eprintln!("{} records are readable still", ring.next_id()? - ring.oldest()?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[error("the archive was not closed cleanly: {source}")]
pub struct CloseError {
    /// The producer, as it was.
    pub producer: Box<Producer>,
    /// What failed.
    pub source: Error,
}

impl From<CloseError> for Error {
    fn from(failed: CloseError) -> Self {
        failed.source
    }
}

impl Producer {
    /// Opens an archive for writing, whatever its geometry, with [`SyncPolicy::Never`].
    ///
    /// What a crash left is made good first; that reads and writes a bounded number of bytes,
    /// whatever the size of the archive.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Locked`], and what is wrong with the files. Nothing is changed
    /// by a refused opening.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// # ringkeep::RingOptions::new(5, 100).create(&path)?.close()?;
    /// let mut producer = ringkeep::Producer::open(&path)?;
    /// let size = producer.ring().geometry().record_size;
    /// producer.append(&vec![7; size])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        WriteOptions::new().open(path)
    }

    /// Recovers a locked archive and begins to write.
    pub(crate) fn start(mut archive: Archive, policy: SyncPolicy) -> Result<Self> {
        let stripes: Stripes = (0..STRIPES).map(|_| CachePadded::new(RwLock::new(()))).collect();
        archive.shards.guard(&stripes);
        let recovered = recover(&archive)?;
        archive.pages.check()?;
        let archive = Arc::new(archive);
        let durability = Arc::new(Durability::new(Arc::clone(&archive), recovered));
        if archive.budget.is_some() {
            // What an earlier producer left dirty counts too.
            durability.write_back_all()?;
        }
        let helpers = Helpers::start(&durability)
            .map_err(Error::io("start the threads of", &archive.path))?;
        let zeros = vec![0; archive.geometry().record_size].into();
        let mut producer = Self {
            begun: archive.cursors().durable(),
            writer: Writer {
                clock: Clock::of(&archive)?,
                archive,
                durability,
                helpers,
                zeros,
                room: 0,
                rewritten: BTreeSet::new(),
                run: Vec::new(),
            },
            policy: SyncPolicy::Never,
            closed: false,
        };
        producer.doubt_unknown_clock()?;
        producer.set_sync(policy);
        // Whoever waited while there was no producer looks again now.
        producer.writer.archive.cursors().wake();
        producer.writer.archive.pages.check()?;
        Ok(producer)
    }

    /// Times in a schema that this version makes no sense of are not watched: whoever searches by
    /// them later must not rely on their order.
    fn doubt_unknown_clock(&self) -> Result<()> {
        let archive = &self.writer.archive;
        let unknown = archive.schema.is_none() && !archive.identity.schema.is_empty();
        if unknown && archive.cursors().clock_step() != u64::MAX {
            self.writer.durability.raise_clock_step(u64::MAX)?;
        }
        Ok(())
    }

    /// Changes the policy from the next append on.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// producer.set_sync(ringkeep::SyncPolicy::Always);
    /// let id = producer.append(b"12345")?;
    /// assert!(id < producer.ring().durable()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_sync(&mut self, policy: SyncPolicy) {
        self.policy = policy;
        self.writer.durability.set_interval(policy.interval());
    }

    /// Appends a record and returns its id.
    ///
    /// It is visible to every reader, and survives the death of this process, on return.
    ///
    /// # Errors
    ///
    /// * [`Error::WrongPayloadLength`], [`Error::IdTooLarge`], [`Error::InsideView`]: nothing was
    ///   appended.
    /// * [`Error::Poisoned`]: an earlier sync or store failed; nothing was appended.
    /// * [`Error::Io`]: the sync that the policy asked for failed, and the record may have been
    ///   appended; or the page that reserves ids, or remembers how far the clock was set back,
    ///   could not be synced, and it was not. Either way the producer appends no more.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// assert_eq!(producer.append(b"12345")?, 0);
    /// assert_eq!(producer.append(b"67890")?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append(&mut self, payload: &[u8]) -> Result<u64> {
        let id = self.writer.append(payload)?;
        self.keep_policy()?;
        Ok(id)
    }

    /// Appends a record and returns its id once it is durable, whatever the policy.
    ///
    /// # Errors
    ///
    /// As [`Producer::append`]; after [`Error::Io`] the record is not known to be durable.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// let id = producer.append_durable(b"12345")?;
    /// assert_eq!(producer.ring().durable()?, id + 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append_durable(&mut self, payload: &[u8]) -> Result<u64> {
        let id = self.writer.append(payload)?;
        self.sync_now()?;
        Ok(id)
    }

    /// Appends whole records that lie back to back, and returns their ids.
    ///
    /// Readers see them in pieces of up to 256 records. Any number of records may be given, more
    /// than the ring keeps too.
    ///
    /// # Errors
    ///
    /// As [`Producer::append`]; an error in the middle leaves the pieces before it appended.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// assert_eq!(producer.append_batch(b"1234567890")?, 0..2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append_batch(&mut self, records: &[u8]) -> Result<Range<u64>> {
        let expected = self.writer.archive.geometry().record_size;
        if !records.len().is_multiple_of(expected) {
            return Err(Error::WrongPayloadLength { found: records.len(), expected });
        }
        let count = (records.len() / expected) as u64;
        let first = self.writer.ready_for(count)?;
        let piece_bytes = usize::try_from(self.writer.piece()).unwrap_or(1) * expected;
        for piece in records.chunks(piece_bytes) {
            let count = (piece.len() / expected) as u64;
            self.writer.publish(self.writer.next(), count, Piece::Records(piece))?;
            self.keep_policy()?;
        }
        Ok(first..first + count)
    }

    /// Appends a record under an id of the caller's choice, the next one or any later one.
    ///
    /// The ids in between read as `Absent`. A gap costs one marker for each skipped id; a gap of
    /// the ring's capacity or more drops all older records instead, and until it returns a power
    /// cut may drop them without it.
    ///
    /// # Errors
    ///
    /// [`Error::IdBelowNext`], and as [`Producer::append`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Read, RingOptions};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let mut producer = RingOptions::new(5, 9).create(directory.path().join("cache.dat"))?;
    /// producer.append_at(3, b"12345")?;
    /// producer.append_at(5, b"67890")?;
    /// assert_eq!(producer.ring().read(4)?, Read::Absent);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn append_at(&mut self, id: u64, payload: &[u8]) -> Result<()> {
        self.writer.check_payload(payload)?;
        let next = self.writer.ready_for(0)?;
        let gap = id.checked_sub(next).ok_or(Error::IdBelowNext { id, next })?;
        if id >= ID_END {
            return Err(Error::IdTooLarge { id });
        }
        let is_empty = self.writer.oldest() >= next;
        if gap >= self.writer.archive.geometry().capacity || is_empty {
            self.writer.jump(id, payload)?;
        } else {
            let mut left = gap;
            while left > 0 {
                let piece = left.min(self.writer.piece());
                self.writer.publish(self.writer.next(), piece, Piece::Markers)?;
                self.keep_policy()?;
                left -= piece;
            }
            self.writer.publish(id, 1, Piece::Records(payload))?;
        }
        self.keep_policy()
    }

    /// Writes another payload under an id that is kept.
    ///
    /// Of an id below `durable` the new payload is durable on return; otherwise it becomes durable
    /// with the record. A crash leaves the old or the new payload, never a mixture.
    ///
    /// # Errors
    ///
    /// [`Error::NotARecord`] when there is no record under the id, and as [`Producer::append`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Read, RingOptions};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let mut producer = RingOptions::new(5, 9).create(directory.path().join("cache.dat"))?;
    /// let id = producer.append(b"wrong")?;
    /// producer.update(id, b"right")?;
    /// assert_eq!(producer.ring().read(id)?, Read::Record(b"right".to_vec()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update(&mut self, id: u64, payload: &[u8]) -> Result<()> {
        self.writer.check_payload(payload)?;
        self.writer.rewrite(id, Some(payload))
    }

    /// Takes the record under an id away; it reads as `Absent` from then on.
    ///
    /// Durable as [`Producer::update`]. The slot is used again when the ring comes round.
    ///
    /// # Errors
    ///
    /// As [`Producer::update`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Read, RingOptions};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let mut producer = RingOptions::new(5, 9).create(directory.path().join("cache.dat"))?;
    /// let id = producer.append(b"wrong")?;
    /// producer.delete(id)?;
    /// assert_eq!(producer.ring().read(id)?, Read::Absent);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delete(&mut self, id: u64) -> Result<()> {
        self.writer.rewrite(id, None)
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the sync failed, [`Error::Poisoned`] when an earlier one had.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// producer.append(b"12345")?;
    /// producer.flush()?;
    /// assert_eq!(producer.ring().durable()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush(&mut self) -> Result<()> {
        self.writer.ready_for(0)?;
        self.sync_now()
    }

    /// Syncs, marks the archive as cleanly closed, and lets the next producer in.
    ///
    /// # Errors
    ///
    /// A [`CloseError`] with the producer and what failed.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// producer.append(b"12345")?;
    /// producer.close()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(mut self) -> Result<(), CloseError> {
        match self.close_once() {
            Ok(()) => Ok(()),
            Err(source) => Err(CloseError { producer: Box::new(self), source }),
        }
    }

    /// A reader in this process, which can look at records without copying them.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// let ring = producer.ring();
    /// let id = producer.append(b"12345")?;
    /// assert_eq!(ring.view(id, |payload| payload[0])?.record()?, b'1');
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ring(&self) -> Ring {
        Ring::of(Arc::clone(&self.writer.archive))
    }

    // Durability.

    #[inline]
    fn keep_policy(&mut self) -> Result<()> {
        match self.policy.group() {
            Some(1) => self.sync_now(),
            Some(group) if self.writer.next().saturating_sub(self.begun) >= group => {
                self.writer.durability.request_sync()?;
                self.begun = self.writer.next();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn sync_now(&mut self) -> Result<()> {
        self.writer.durability.sync()?;
        self.begun = self.writer.next();
        self.writer.helpers.ahead.synced(self.begun);
        Ok(())
    }

    fn close_once(&mut self) -> Result<()> {
        refuse_inside_view(&self.writer.archive)?;
        self.writer.durability.check()?;
        self.writer.helpers.stop();
        self.writer.durability.close()?;
        self.let_go();
        Ok(())
    }

    #[cfg(feature = "test-util")]
    pub(crate) fn durability(&self) -> &Durability {
        &self.writer.durability
    }

    #[cfg(feature = "test-util")]
    pub(crate) fn stop_helpers(&mut self) {
        self.writer.helpers.stop();
    }

    /// Lets the next producer in. Rings of this process read on, from now on like those of others.
    pub(crate) fn let_go(&mut self) {
        self.closed = true;
        self.writer.archive.shards.end_views();
        self.writer.archive.pages.end_stores();
        // If this fails, the lock ends with the last ring of this process.
        let _ = self.writer.archive.file.unlock();
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if is_inside_view(&self.writer.archive) {
            // The flusher may wait for this very view; the lock goes with the last ring.
            self.writer.helpers.leave().for_each(drop);
        } else if !self.closed {
            // Best effort: who needs to know calls `close`.
            let _ = self.close_once();
            // Before the lock goes: a poisoned producer's threads may still store.
            self.writer.helpers.stop();
            self.let_go();
        }
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("path", &self.writer.archive.path)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
