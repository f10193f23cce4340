//! Reading everything once.

use std::path::PathBuf;

use super::{read::Read, reader::Ring};
use crate::error::Result;

/// Records between two words about the progress.
const PROGRESS_RECORDS: u64 = 4096;

/// A record whose bytes are not what was written.
///
/// # Examples
///
/// ```
/// let damage = ringkeep::Damage { id: 7, path: "cache.dat".into(), offset: 20_480 };
/// println!("record {} at byte {} of {}", damage.id, damage.offset, damage.path.display());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Its id.
    pub id: u64,
    /// The file it lies in.
    pub path: PathBuf,
    /// Where its slot begins, in bytes.
    pub offset: u64,
}

/// What [`Ring::verify`](crate::Ring::verify) tells on its way.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
/// producer.ring().verify(|event| match event {
///     ringkeep::VerifyEvent::Damaged(damage) => println!("{damage:?}"),
///     ringkeep::VerifyEvent::Progress { checked, total } => println!("{checked} of {total}"),
///     _ => {}
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyEvent {
    /// So many ids were looked at.
    Progress {
        /// Ids looked at.
        checked: u64,
        /// Ids to look at.
        total: u64,
    },
    /// A damaged record was found.
    Damaged(Damage),
}

/// How many ids came to what.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let producer = ringkeep::RingOptions::new(5, 9).create(directory.path().join("x"))?;
/// let report = producer.ring().verify(|_| {})?;
/// assert_eq!(report, ringkeep::VerifyReport::default());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Records that are what was written.
    pub good: u64,
    /// Ids that were skipped or deleted.
    pub absent: u64,
    /// Records that a crash took.
    pub lost: u64,
    /// Records whose bytes are not what was written.
    pub corrupt: u64,
    /// Records that were overwritten before they were looked at.
    pub lapped: u64,
}

pub(crate) fn verify(ring: &Ring, mut on_event: impl FnMut(VerifyEvent)) -> Result<VerifyReport> {
    let ids = ring.oldest()?..ring.next_id()?;
    let (first, total) = (ids.start, ids.end.saturating_sub(ids.start));
    let mut report = VerifyReport::default();
    let mut cursor = ring.range(ids);
    while let Some((id, read)) = cursor.next()? {
        match read {
            Read::Record(_) => report.good += 1,
            Read::Absent => report.absent += 1,
            Read::Lost => report.lost += 1,
            // Ids below `next` were written; a power cut between two looks cannot be.
            Read::Lapped { .. } | Read::NotYet { .. } => report.lapped += 1,
            Read::Corrupt { path, id, offset } => {
                report.corrupt += 1;
                on_event(VerifyEvent::Damaged(Damage { id, path, offset }));
            }
        }
        let checked = id - first + 1;
        if checked.is_multiple_of(PROGRESS_RECORDS) || checked == total {
            on_event(VerifyEvent::Progress { checked, total });
        }
    }
    Ok(report)
}
