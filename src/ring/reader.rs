//! A reader of an archive, in any process.

use std::{
    ops::{Range, RangeBounds},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    archive::Archive,
    batch::ReadBatch,
    lookup::{Geometry, Id},
    opening::ReadOptions,
    range::RangeCursor,
    read::Read,
    schema::Schema,
    slot::{self, Content},
    stats::Stats,
    tailer::{Start, Tailer},
    verify::{VerifyEvent, VerifyReport, verify},
    views::{Held, refuse_inside_view},
};
use crate::error::{Error, Result};

/// A reader: of the producer's own process, or of any other one.
///
/// It never writes and registers nowhere; a producer does not know that it exists, and is never
/// held up by it (except by a `view` in its own process, while that lasts). Cloning is cheap;
/// clones can be used from many threads at once.
///
/// On a mapped archive, another program that truncates its files makes a read end in `SIGBUS`;
/// [`Io::File`](crate::Io::File) makes that an error.
///
/// # Examples
///
/// ```
/// use ringkeep::{Read, Ring, RingOptions};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("cache.dat");
/// let mut producer = RingOptions::new(8, 1000).create(&path)?;
/// for number in 0..2000_u64 {
///     producer.append(&number.to_le_bytes())?;
/// }
/// let ring = Ring::open(&path)?; // as any other process would
/// assert_eq!(ring.oldest()?..ring.next_id()?, 1000..2000);
/// assert_eq!(ring.read(1500)?, Read::Record(1500_u64.to_le_bytes().to_vec()));
/// assert_eq!(ring.read(10)?, Read::Lapped { oldest: 1000, missed: 990 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ring {
    archive: Arc<Archive>,
}

impl Ring {
    /// Opens an archive for reading; needs only read permission. See [`ReadOptions::open`].
    ///
    /// # Errors
    ///
    /// As [`ReadOptions::open`].
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(ringkeep::Ring::open("/nonexistent/cache.dat").is_err());
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        ReadOptions::new().open(path)
    }

    pub(crate) fn of(archive: Arc<Archive>) -> Self {
        Self { archive }
    }

    pub(crate) fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Reads a record into a buffer of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when the pages of the archive make no sense any more,
    /// [`Error::Contended`] beside endless rewrites.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// # let ring = producer.ring();
    /// let id = producer.append(b"12345")?;
    /// assert_eq!(ring.read(id)?.record()?, b"12345");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(&self, id: u64) -> Result<Read<Vec<u8>>> {
        let mut payload = vec![0; self.archive.geometry().record_size];
        let read = self.archive.read_slot(id, &mut payload)?;
        Ok(read.map(|()| payload))
    }

    /// Reads a record into the caller's buffer, which must have its size.
    ///
    /// Unless the outcome is [`Read::Record`], what the buffer holds afterwards means nothing.
    ///
    /// # Errors
    ///
    /// [`Error::WrongPayloadLength`], and as [`Ring::read`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// # let ring = producer.ring();
    /// let id = producer.append(b"12345")?;
    /// let mut payload = [0; 5];
    /// ring.read_into(id, &mut payload)?.record()?;
    /// assert_eq!(&payload, b"12345");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_into(&self, id: u64, payload: &mut [u8]) -> Result<Read<()>> {
        self.archive.read_slot(id, payload)
    }

    /// Reads any ids, in the order given.
    ///
    /// # Errors
    ///
    /// [`Error::RangeTooLong`] for more ids than the ring has slots, and as [`Ring::read`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Read, ReadBatch};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
    /// # let ring = producer.ring();
    /// producer.append_batch(b"abc")?;
    /// let mut batch = ReadBatch::new();
    /// ring.read_many(&[2, 0], &mut batch)?;
    /// assert_eq!(batch.payloads(), b"ca");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_many(&self, ids: &[u64], batch: &mut ReadBatch) -> Result<()> {
        self.check_count(ids.len() as u64)?;
        batch.fill(&self.archive, ids)
    }

    /// Reads neighbouring ids, with an outcome for each.
    ///
    /// # Errors
    ///
    /// [`Error::RangeTooLong`] for more ids than the ring has slots, and as [`Ring::read`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Read, ReadBatch};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
    /// # let ring = producer.ring();
    /// producer.append_batch(b"abc")?;
    /// let mut batch = ReadBatch::new();
    /// ring.read_range(1..4, &mut batch)?;
    /// assert_eq!(batch.payloads(), b"bc\0");
    /// assert_eq!(batch.iter().last(), Some((3, Read::NotYet { next: 3 })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_range(&self, ids: Range<u64>, batch: &mut ReadBatch) -> Result<()> {
        self.check_count(ids.end.saturating_sub(ids.start))?;
        batch.fill_range(&self.archive, ids)
    }

    fn check_count(&self, count: u64) -> Result<()> {
        let max = self.archive.geometry().slots;
        if count > max { Err(Error::RangeTooLong { count, max }) } else { Ok(()) }
    }

    /// Walks over ids with one buffer.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
    /// # let ring = producer.ring();
    /// producer.append_batch(b"abc")?;
    /// let mut cursor = ring.range(ring.oldest()?..ring.next_id()?);
    /// while let Some((id, read)) = cursor.next()? {
    ///     println!("{id}: {:?}", read.record()?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn range(&self, ids: Range<u64>) -> RangeCursor {
        RangeCursor::new(Arc::clone(&self.archive), ids)
    }

    /// Reads the kept records with a time in `times`, one after the other, in the order of their
    /// ids, whatever the clock did.
    ///
    /// It begins with a binary search (about 20 looks in a million records), so long as the clock
    /// was never set back. If it was, it reads as many more records as lie within twice its largest
    /// step around the range. Ids without a record have no time: they are lent too where their time
    /// may have been in the range. What is appended after this call is not. `ring.range(ids)`
    /// followed by [`RangeCursor::within`] is the same for a part of the ids.
    ///
    /// # Errors
    ///
    /// [`Error::NoTime`] if the schema has no time field, and as [`Ring::read`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// let mut producer = ringkeep::RingOptions::new(8, 90).schema("t:time_s").create(path)?;
    /// for seconds in [10_i64, 20, 30, 25, 35] {
    ///     producer.append(&seconds.to_le_bytes())?;
    /// }
    /// let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    /// let mut found = Vec::new();
    /// let mut cursor = producer.ring().range_by_time(at(20)..at(30))?;
    /// while let Some((id, _)) = cursor.next()? {
    ///     found.push(id);
    /// }
    /// assert_eq!(found, [1, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn range_by_time(&self, times: impl RangeBounds<SystemTime>) -> Result<RangeCursor> {
        self.range(self.oldest()?..self.next_id()?).within(times)
    }

    /// Looks at a record: in place in the producer's process, in a checked copy elsewhere.
    ///
    /// In the producer's process `look` runs under a lock: be brief. The producer takes it before
    /// it begins a block of up to 256 records, if one of them goes into this slot or a few others.
    /// An append from inside is refused with [`Error::InsideView`].
    ///
    /// # Errors
    ///
    /// As [`Ring::read`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// # let ring = producer.ring();
    /// let id = producer.append(b"12345")?;
    /// let nines = ring.view(id, |payload| payload.iter().filter(|&&byte| byte == b'9').count())?;
    /// assert_eq!(nines.record()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn view<R>(&self, id: u64, look: impl FnOnce(&[u8]) -> R) -> Result<Read<R>> {
        let look = match self.view_in_place(id, look)? {
            Ok(result) => return Ok(Read::Record(result)),
            Err(look) => look,
        };
        Ok(self.read(id)?.map(|payload| look(&payload)))
    }

    /// Under the stripe's lock nobody writes the slot, so a record that is in the window and has
    /// its checksum can be shown. Everything else is left to the copying way: `look` comes back.
    fn view_in_place<R, L: FnOnce(&[u8]) -> R>(&self, id: u64, look: L) -> Result<Result<R, L>> {
        let archive = &self.archive;
        let session = archive.session()?;
        if session.cold.is_some() || id >= archive.next(&session) {
            return Ok(Err(look));
        }
        let _held = Held::new(archive);
        let mut look = Some(look);
        let is_kept = || {
            archive.cursors().counter().is_multiple_of(2)
                && archive.is_current(&session)
                && archive.lapped(&session, Id(id)).is_none()
        };
        let shown = archive.shards.view(archive.place(Id(id)), is_kept, |payload, stored| {
            let proven = slot::decode(archive.identity.salt, Id(id), payload, stored);
            let take = proven == Some(Content::Record);
            if take { look.take().map(|look| look(payload)) } else { None }
        });
        Ok(match (shown.flatten(), look) {
            (Some(result), _) => Ok(result),
            (None, Some(look)) => Err(look),
            (None, None) => unreachable!("`look` was called, so there is its result"),
        })
    }

    /// Follows the ring from `start` on, and waits for what is appended.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Start, Tailed};
    /// use std::time::Duration;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// # let ring = producer.ring();
    /// producer.append(b"12345")?;
    /// let mut tailer = ring.tailer(Start::Oldest);
    /// let first = tailer.next_timeout(Duration::from_secs(1))?;
    /// assert_eq!(first, Some(Tailed::Record { id: 0, payload: b"12345" }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn tailer(&self, start: Start) -> Tailer {
        Tailer::new(Arc::clone(&self.archive), start)
    }

    /// The oldest id that may still be read: the ids kept are `oldest..next`.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when the pages of the archive make no sense any more.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// assert_eq!(producer.ring().oldest()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn oldest(&self) -> Result<u64> {
        let session = self.archive.session()?;
        let oldest = self.archive.oldest(&session);
        Ok(oldest.min(self.archive.next(&session)))
    }

    /// The id that the next record gets.
    ///
    /// # Errors
    ///
    /// As [`Ring::oldest`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// assert_eq!(producer.ring().next_id()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_id(&self) -> Result<u64> {
        Ok(self.archive.next(&self.archive.session()?))
    }

    /// One past the last id that survives a power cut.
    ///
    /// # Errors
    ///
    /// As [`Ring::oldest`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// producer.append(b"12345")?;
    /// assert_eq!(producer.ring().durable()?, 0);
    /// producer.flush()?;
    /// assert_eq!(producer.ring().durable()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn durable(&self) -> Result<u64> {
        Ok(self.archive.durable(&self.archive.session()?))
    }

    /// Waits until the record under `id` is durable; `false` when time is over first.
    ///
    /// Under [`SyncPolicy::Never`](crate::SyncPolicy::Never), or once a sync has failed, that may
    /// never be: choose a timeout that you can wait for.
    ///
    /// # Errors
    ///
    /// [`Error::NotARecord`] with [`Read::Lost`] when a crash took it; [`Error::InsideView`] from
    /// inside a view of the producer's process, which the sync may wait for; and as
    /// [`Ring::oldest`].
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{RingOptions, SyncPolicy};
    /// use std::time::Duration;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// let every_millisecond = SyncPolicy::Interval(Duration::from_millis(1));
    /// let mut producer = RingOptions::new(5, 9).sync(every_millisecond).create(path)?;
    /// let id = producer.append(b"12345")?;
    /// assert!(producer.ring().wait_durable(id, Duration::from_secs(10))?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_durable(&self, id: u64, timeout: Duration) -> Result<bool> {
        refuse_inside_view(&self.archive)?;
        let archive = &self.archive;
        let end = archive.disk.now().saturating_add(timeout);
        let mut looks = 0_u32;
        loop {
            // Before the look at `durable`: what moves it afterwards changes the word.
            let word = archive.cursors().wait_word();
            if id < self.durable()? {
                let lost = matches!(self.read(id)?, Read::Lost);
                return if lost { Err(Error::NotARecord(Read::Lost)) } else { Ok(true) };
            }
            let left = end.saturating_sub(archive.disk.now());
            if left.is_zero() {
                return Ok(false);
            }
            archive.cursors().wait(word, archive.pause_after(looks, left));
            looks = looks.saturating_add(1);
        }
    }

    /// Shape of the ring.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// assert_eq!(producer.ring().geometry().capacity, 9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        *self.archive.geometry()
    }

    /// The columns of a record, if the ring was created with a schema.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSchema`] or [`Error::SchemaSize`] when this version makes no sense of it;
    /// everything that needs no columns works all the same.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// let producer = ringkeep::RingOptions::new(8, 9).schema("t:time_ns").create(path)?;
    /// let ring = producer.ring();
    /// let schema = ring.schema()?.ok_or("no columns")?;
    /// assert_eq!(&*schema.fields()[0].name, "t");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn schema(&self) -> Result<Option<&Schema>> {
        let archive = &self.archive;
        match (&archive.schema, self.schema_text()) {
            (None, Some(text)) => {
                // Was refused when the archive was opened; this time for the reason.
                Schema::of_records(text, archive.geometry().record_size).map(|_| None)
            }
            (schema, _) => Ok(schema.as_ref()),
        }
    }

    /// The schema as it was given when the ring was created, if any.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// let producer = ringkeep::RingOptions::new(8, 9).schema("t:time_ns").create(path)?;
    /// assert_eq!(producer.ring().schema_text(), Some("t:time_ns"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn schema_text(&self) -> Option<&str> {
        Some(&*self.archive.identity.schema).filter(|schema| !schema.is_empty())
    }

    /// Path of the first file, as it was opened.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// assert!(producer.ring().path().ends_with("x"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.archive.path
    }

    /// Where the archive stands now.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when a file cannot be looked at, and as [`Ring::oldest`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// assert!(producer.ring().stats()?.writer_live);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> Result<Stats> {
        Stats::of(self)
    }

    /// Reads every record once and says what became of it; works beside a producer too.
    ///
    /// Records that are overwritten meanwhile count as `lapped`; they are no damage. `on_event` is
    /// told of each damaged record, and of the progress every few thousand records.
    ///
    /// # Errors
    ///
    /// As [`Ring::read`]; damaged records are not errors.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
    /// producer.append(b"12345")?;
    /// let report = producer.ring().verify(|event| println!("{event:?}"))?;
    /// assert_eq!((report.good, report.corrupt), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn verify(&self, on_event: impl FnMut(VerifyEvent)) -> Result<VerifyReport> {
        verify(self, on_event)
    }
}
