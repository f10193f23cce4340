//! Walking over neighbouring ids.

use std::{ops::Range, sync::Arc};

use super::{archive::Archive, read::Read};
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
    payload: Vec<u8>,
}

impl RangeCursor {
    pub(crate) fn new(archive: Arc<Archive>, ids: Range<u64>) -> Self {
        let payload = vec![0; archive.geometry().record_size];
        Self { archive, ids, payload }
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
        let Some(id) = self.ids.next() else {
            return Ok(None);
        };
        let read = self.archive.read_slot(id, &mut self.payload)?;
        Ok(Some((id, read.map(|()| &self.payload[..]))))
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

/// Iterates over ids and their records. Made by [`RangeCursor::records`].
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
        let owned = |(id, read): Lent<'_>| (id, read.map(<[u8]>::to_vec));
        self.0.next().map(|found| found.map(owned)).transpose()
    }
}
