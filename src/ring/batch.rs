//! Many records read at once, into buffers that are used again.

use std::ops::Range;

use super::{
    archive::Archive,
    fetch::ReadAhead,
    lookup::Id,
    read::Read,
    slot::{self, Content},
    stream::TOGETHER_MAX,
};
use crate::error::Result;

/// Slots that are on their way from memory while one is copied.
const EARLY: usize = 16;

/// What `read_many` and `read_range` fill: payloads back to back, and an outcome for each id.
///
/// # Examples
///
/// ```
/// use ringkeep::ReadBatch;
///
/// # let directory = tempfile::tempdir()?;
/// # let mut producer = ringkeep::RingOptions::new(1, 9).create(directory.path().join("x"))?;
/// # let ring = producer.ring();
/// producer.append_batch(b"abc")?;
/// let mut batch = ReadBatch::new();
/// ring.read_range(0..3, &mut batch)?;
/// let good = batch.iter().filter(|(_, read)| matches!(read, ringkeep::Read::Record(_)));
/// assert_eq!((good.count(), batch.payloads()), (3, &b"abc"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct ReadBatch {
    record_size: usize,
    payloads: Vec<u8>,
    /// Of each id; `None` is a record, as nearly all of them are.
    outcomes: Vec<(u64, Option<Box<Read<()>>>)>,
    ahead: ReadAhead,
}

impl ReadBatch {
    /// Empty buffers; they grow when they are filled.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(ringkeep::ReadBatch::new().is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With scattered ids.
    pub(crate) fn fill(&mut self, archive: &Archive, ids: &[u64]) -> Result<()> {
        self.record_size = archive.geometry().record_size;
        self.outcomes.clear();
        // Each of them is stored, so that what is there already need not be zeros.
        self.payloads.resize(ids.len() * self.record_size, 0);
        let mut together = ids.chunks(archive.fetched_together());
        together
            .try_for_each(|ids| {
                archive.fetch_together(ids);
                self.read_together(archive, ids)
            })
            .inspect_err(|_| self.clear(archive))
    }

    fn read_together(&mut self, archive: &Archive, ids: &[u64]) -> Result<()> {
        let start = self.outcomes.len() * self.record_size;
        let mut crcs = [0; TOGETHER_MAX];
        let payloads = self.payloads[start..].chunks_exact_mut(self.record_size).zip(&mut crcs);
        let believed = archive.between_looks(|kept| {
            let load_early = |id: u64| archive.shards.load_early(archive.place(Id(id)));
            ids.iter().take(EARLY).copied().for_each(load_early);
            for (index, (&id, (payload, crc))) in ids.iter().zip(payloads).enumerate() {
                ids.get(index + EARLY).copied().map(load_early);
                if kept.contains(&id) {
                    *crc = archive.shards.read(archive.place(Id(id)), payload)?;
                }
            }
            Ok(())
        })?;
        for ((&id, crc), at) in ids.iter().zip(crcs).zip((start..).step_by(self.record_size)) {
            let payload = &mut self.payloads[at..at + self.record_size];
            let is_record = believed.contains(&id)
                && slot::decode(archive.identity.salt, Id(id), payload, crc)
                    == Some(Content::Record);
            let outcome = if is_record { None } else { look(archive, id, payload)? };
            self.outcomes.push((id, outcome));
        }
        Ok(())
    }

    /// With neighbouring ids.
    pub(crate) fn fill_range(&mut self, archive: &Archive, ids: Range<u64>) -> Result<()> {
        self.clear(archive);
        for id in ids.clone() {
            let outcome = if self.ahead.look(archive, id, id..ids.end)? {
                self.payloads.extend_from_slice(self.ahead.payload(id));
                None
            } else {
                let start = self.payloads.len();
                self.payloads.resize(start + self.record_size, 0);
                look(archive, id, &mut self.payloads[start..])?
            };
            self.outcomes.push((id, outcome));
        }
        Ok(())
    }

    fn clear(&mut self, archive: &Archive) {
        self.record_size = archive.geometry().record_size;
        self.payloads.clear();
        self.outcomes.clear();
        self.ahead.clear();
    }

    /// Ids read.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ringkeep::ReadBatch::new().len(), 0);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Whether no id was read.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(ringkeep::ReadBatch::new().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }

    /// All payloads back to back, zeros where there is no record.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ringkeep::ReadBatch::new().payloads(), b"");
    /// ```
    #[must_use]
    pub fn payloads(&self) -> &[u8] {
        &self.payloads
    }

    /// Each id with what became of it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ringkeep::ReadBatch::new().iter().count(), 0);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (u64, Read<&[u8]>)> {
        let payloads = self.payloads.chunks_exact(self.record_size.max(1));
        let outcomes = self.outcomes.iter().zip(payloads);
        outcomes.map(|((id, outcome), payload)| match outcome {
            None => (*id, Read::Record(payload)),
            Some(read) => (*id, Read::clone(read).map(|()| payload)),
        })
    }
}

/// What became of an id that nothing has proven yet; zeros unless there is a record.
#[cold]
fn look(archive: &Archive, id: u64, payload: &mut [u8]) -> Result<Option<Box<Read<()>>>> {
    let read = archive.read_slot(id, payload)?;
    if read == Read::Record(()) {
        return Ok(None);
    }
    payload.fill(0);
    Ok(Some(Box::new(read)))
}
