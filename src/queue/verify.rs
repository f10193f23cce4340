//! Reading all files of a queue once.

use super::{inspect::QueueFiles, items::QueueDamage};
use crate::{
    disk::log::look::{LogLook, LogStep},
    error::{Error, Result},
};

/// Items between two words about the progress, at least.
const PROGRESS_ITEMS: u64 = 4096;

/// What [`QueueFiles::verify`] tells on its way.
///
/// # Examples
///
/// ```
/// # use ringkeep::{Bytes, QueueFiles, QueueOptions, QueueVerifyEvent};
/// # let directory = tempfile::tempdir()?;
/// # QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
/// QueueFiles::open(directory.path())?.verify(|event| match event {
///     QueueVerifyEvent::Damaged(damage) => println!("{damage}"),
///     QueueVerifyEvent::Progress { checked, total } => println!("{checked} of {total}"),
///     _ => {}
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum QueueVerifyEvent {
    /// So many items were looked at.
    Progress {
        /// Items looked at.
        checked: u64,
        /// Items to look at.
        total: u64,
    },
    /// Items were found that cannot be read.
    Damaged(QueueDamage),
}

/// What the files of a queue hold, and what they do not.
///
/// # Examples
///
/// ```
/// # use ringkeep::{Bytes, QueueFiles, QueueOptions, QueueVerifyReport};
/// # let directory = tempfile::tempdir()?;
/// # QueueOptions::new(Bytes).open::<Vec<u8>>(directory.path())?;
/// let report = QueueFiles::open(directory.path())?.verify(|_| {})?;
/// assert_eq!(report, QueueVerifyReport::default());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QueueVerifyReport {
    /// Segments.
    pub segments: u64,
    /// Whole frames that hold items that are not acknowledged.
    pub frames: u64,
    /// Items in them that are not acknowledged.
    pub items: u64,
    /// Bytes of these items.
    pub bytes: u64,
    /// Bytes behind the last whole frame: what a crash left of a push that had not returned, or was
    /// not durable. It is no damage. 0 while a process has the queue open.
    pub torn_bytes: u64,
    /// Places that are damaged.
    pub damaged: u64,
    /// Items that are gone with them, or whose files are.
    pub missing: u64,
}

pub(super) fn verify(
    files: &QueueFiles,
    mut on_event: impl FnMut(QueueVerifyEvent),
) -> Result<QueueVerifyReport> {
    let look = &files.look;
    let mut report =
        QueueVerifyReport { segments: look.firsts.len() as u64, ..QueueVerifyReport::default() };
    let (first, total) = (look.items.start, look.items.end - look.items.start);
    let mut walk = look.walk(first);
    let mut told = 0;
    while let Some(step) = walk.step() {
        let checked = match step {
            LogStep::Frame(header, items) => {
                report.frames += 1;
                report.items += items.end - items.start;
                let offset = |number| header.offset_of(walk.body(), number - header.first);
                report.bytes += (offset(items.end) - offset(items.start)) as u64;
                items.end - first
            }
            LogStep::Damage(damage) => {
                let checked = damage.items.end.saturating_sub(first);
                report.damaged += 1;
                report.missing += damage.items.end - damage.items.start;
                on_event(QueueVerifyEvent::Damaged(damage.into()));
                checked
            }
        };
        if checked.saturating_sub(told) >= PROGRESS_ITEMS || checked == total {
            told = checked;
            on_event(QueueVerifyEvent::Progress { checked, total });
        }
    }
    // What is written at this moment is not torn.
    if !files.is_open()? {
        report.torn_bytes = torn_bytes(look)?;
    }
    Ok(report)
}

fn torn_bytes(look: &LogLook) -> Result<u64> {
    let Some(end) = look.end else { return Ok(0) };
    match look.open(end.segment) {
        Err(Error::MissingSegment { .. }) => Ok(0),
        segment => segment?.torn_bytes(end.offset),
    }
}
