//! Walking over neighbouring ids.

use std::{
    ops::{Range, RangeBounds},
    sync::Arc,
    time::SystemTime,
};

use super::{
    archive::Archive,
    clock::{Verdict, Within},
    fetch::ReadAhead,
    read::Read,
    stream::{Direction, Stream},
};
use crate::error::Result;

/// An id, and its payload in the cursor's buffer.
type Lent<'a> = (u64, Read<&'a [u8]>);

/// Lends one record after the other, from one buffer. Made by [`Ring::range`](crate::Ring::range).
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let mut producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
/// # let ring = producer.ring();
/// producer.append_batch(b"abc")?;
/// let mut cursor = ring.range(1..3);
/// while let Some((id, read)) = cursor.next()? {
///     assert_eq!(read.record()?[0], b"abc"[id as usize]);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RangeCursor {
    archive: Arc<Archive>,
    ids: Range<u64>,
    /// Which records are lent, if not all.
    within: Option<Within>,
    ahead: ReadAhead,
    up: Stream,
    down: Stream,
    payload: Vec<u8>,
}

impl RangeCursor {
    pub(crate) fn new(archive: Arc<Archive>, ids: Range<u64>) -> Self {
        let payload = vec![0; archive.geometry().record_size];
        let stream = |direction| Stream::new(&archive, direction);
        let (up, down) = (stream(Direction::Up), stream(Direction::Down));
        Self { archive, ids, within: None, ahead: ReadAhead::default(), up, down, payload }
    }

    /// The next id and what became of it; `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`Ring::read`](crate::Ring::read); the cursor goes on behind the id that failed.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
    /// let mut cursor = producer.ring().range(0..0);
    /// assert!(cursor.next()?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::should_implement_trait, reason = "it lends its buffer: see `records`")]
    pub fn next(&mut self) -> Result<Option<Lent<'_>>> {
        while let Some(id) = self.ids.next() {
            if self.within.is_none() && self.ahead.proves(id) {
                return Ok(Some((id, Read::Record(self.ahead.payload(id)))));
            }
            self.up.pass(&self.archive, id, self.ids.end - 1);
            let read = self.look(id, id..self.ids.end)?;
            match self.judge(id, &read) {
                Verdict::Wanted => return Ok(Some((id, self.lend(id, read)))),
                Verdict::Unwanted => {}
                Verdict::Past => {
                    let grew = match &mut self.within {
                        Some(within) => self.archive.step_grew(within)?,
                        None => false,
                    };
                    if !grew {
                        self.ids.end = id;
                    }
                }
            }
        }
        Ok(None)
    }

    /// The same from the other end: the last id that is left, and what became of it.
    ///
    /// # Errors
    ///
    /// As [`RangeCursor::next`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
    /// producer.append_batch(b"abc")?;
    /// let mut cursor = producer.ring().range(0..3);
    /// let newest = cursor.next_back()?;
    /// assert_eq!(newest, Some((2, ringkeep::Read::Record(&b"c"[..]))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_back(&mut self) -> Result<Option<Lent<'_>>> {
        while let Some(id) = self.ids.next_back() {
            self.down.pass(&self.archive, id, self.ids.start);
            let read = self.look(id, self.ids.start..id + 1)?;
            // No time is the last one to look at from this end: a clock may have been set back.
            if self.judge(id, &read) == Verdict::Wanted {
                return Ok(Some((id, self.lend(id, read))));
            }
        }
        Ok(None)
    }

    fn look(&mut self, id: u64, wanted: Range<u64>) -> Result<Read<()>> {
        if self.ahead.look(&self.archive, id, wanted)? {
            Ok(Read::Record(()))
        } else {
            self.archive.read_slot(id, &mut self.payload)
        }
    }

    fn judge(&self, id: u64, read: &Read<()>) -> Verdict {
        match (&self.within, read) {
            (Some(within), Read::Record(())) => within.judge(self.payload(id)),
            _ => Verdict::Wanted,
        }
    }

    fn lend(&self, id: u64, read: Read<()>) -> Read<&[u8]> {
        read.map(|()| self.payload(id))
    }

    /// Of the record that was looked at last.
    fn payload(&self, id: u64) -> &[u8] {
        if self.ahead.proves(id) { self.ahead.payload(id) } else { &self.payload }
    }

    /// Of these ids only what is published by now and has a time in `times`; see
    /// [`Ring::range_by_time`](crate::Ring::range_by_time).
    ///
    /// # Errors
    ///
    /// [`Error::NoTime`](crate::Error::NoTime) if the schema has no time field, and as
    /// [`Ring::read`](crate::Ring::read).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cache.dat");
    /// let mut producer = ringkeep::RingOptions::new(8, 90).schema("t:time_s").create(path)?;
    /// for seconds in 0_i64..10 {
    ///     producer.append(&seconds.to_le_bytes())?;
    /// }
    /// let end = UNIX_EPOCH + Duration::from_secs(7);
    /// assert_eq!(producer.ring().range(5..10).within(..end)?.records().count(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn within(mut self, times: impl RangeBounds<SystemTime>) -> Result<Self> {
        let (ids, within) = self.archive.within(self.ids.clone(), times)?;
        (self.ids, self.within) = (ids, Some(within));
        Ok(self)
    }

    /// The same as an iterator, with a buffer for each record.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let mut producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
    /// producer.append_batch(b"abc")?;
    /// let records: Result<Vec<_>, _> = producer.ring().range(0..3).records().collect();
    /// assert_eq!(records?.len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn records(self) -> Records {
        Records(self)
    }
}

/// Iterates over ids and their records, from either end. Made by [`RangeCursor::records`].
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
/// assert_eq!(producer.ring().range(0..0).records().count(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Records(RangeCursor);

impl Iterator for Records {
    type Item = Result<(u64, Read<Vec<u8>>)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(owned).transpose()
    }
}

impl DoubleEndedIterator for Records {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(owned).transpose()
    }
}

fn owned(found: Option<Lent<'_>>) -> Option<(u64, Read<Vec<u8>>)> {
    found.map(|(id, read)| (id, read.map(<[u8]>::to_vec)))
}
