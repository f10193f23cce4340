//! When what was written is made durable.

use std::time::Duration;

/// Shorter ones would keep a thread spinning.
const INTERVAL_MIN: Duration = Duration::from_millis(1);
/// A century: longer ones cannot be added to a clock.
const INTERVAL_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// When a producer makes its records durable, that is, safe from a power cut.
///
/// A process that dies loses nothing under any policy: what an append stored is in the kernel's
/// page cache. The policies differ in what a *power cut* takes:
///
/// | policy | a power cut loses |
/// |---|---|
/// | `Never` | what was appended since the last `flush` |
/// | `EveryRecords(n)` | at most `n - 1` returned records and the group that is being synced |
/// | `Interval(d)` | at most the records of the last `d` and of one sync |
/// | `Always` | nothing that `append` returned |
///
/// # Examples
///
/// ```
/// use ringkeep::{RingOptions, SyncPolicy};
///
/// # let directory = tempfile::tempdir()?;
/// let mut producer = RingOptions::new(12, 100)
///     .sync(SyncPolicy::EveryRecords(64))
///     .create(directory.path().join("cache.dat"))?;
/// producer.append(b"twelve bytes")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SyncPolicy {
    /// Records are synced by `flush`, `append_durable` and `close` only. The default.
    ///
    /// Under every policy, an `update` or `delete` of a durable record is synced, and now and then
    /// a page that reserves ids ahead.
    #[default]
    Never,
    /// A background sync begins whenever so many records were appended since the last one began;
    /// an append waits for the running sync when its next group is full. 0 counts as 1, and 1 is
    /// `Always`.
    EveryRecords(u64),
    /// A background sync begins that long after the last one began, if there is anything to sync.
    Interval(Duration),
    /// Every append returns after its own sync.
    Always,
}

impl SyncPolicy {
    /// Records a group holds before a sync must begin; `None` where only time or the caller
    /// decides.
    pub(crate) fn group(self) -> Option<u64> {
        match self {
            Self::Never | Self::Interval(_) => None,
            Self::EveryRecords(count) => Some(count.max(1)),
            Self::Always => Some(1),
        }
    }

    /// Time between two background syncs.
    pub(crate) fn interval(self) -> Option<Duration> {
        match self {
            Self::Interval(interval) => Some(interval.clamp(INTERVAL_MIN, INTERVAL_MAX)),
            _ => None,
        }
    }
}
