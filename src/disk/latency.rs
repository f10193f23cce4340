//! How long something took, each time: counted by powers of two.

use std::{
    array, iter,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Durations below 1 ns, 2 ns, 4 ns, .., and in the last bucket all from 1.2 hours on.
const BUCKETS: usize = 43;

/// How often something was done, and how long it took: as of one moment, since it was opened.
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, Mode, QueueOptions, SyncPolicy};
///
/// # let directory = tempfile::tempdir()?;
/// let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Always));
/// let queue = options.open(directory.path())?;
/// queue.push(b"item".to_vec())?;
/// let sync = queue.latencies().sync;
/// assert_eq!(sync.count(), 1);
/// assert!(sync.quantile(0.5) >= sync.total() && sync.total() == sync.mean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    buckets: [u64; BUCKETS],
    total_ns: u64,
}

impl Latency {
    /// How often it was done.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ringkeep::Latency::default().count(), 0);
    /// ```
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How long it took in all.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(ringkeep::Latency::default().total().is_zero());
    /// ```
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.total_ns)
    }

    /// How long it took on average; 0 where it was never done.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(ringkeep::Latency::default().mean().is_zero());
    /// ```
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.total_ns.checked_div(self.count()).unwrap_or(0))
    }

    /// What this share of all times was below, 0.99 for instance: up to twice the real value,
    /// because times are counted by powers of two of nanoseconds. 0 where it was never done.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(ringkeep::Latency::default().quantile(0.99).is_zero());
    /// ```
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let mut seen = 0;
        // Counts beyond 2^53 lose their last bits, which change no share.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        let reached = |seen: u64| seen > 0 && seen as f64 >= share * self.count() as f64;
        self.buckets()
            .find(|&(_, count)| {
                seen += count;
                reached(seen)
            })
            .map_or(Duration::ZERO, |(below, _)| below)
    }

    /// The buckets: a time, and how often it took less, but no less than the time before. The last
    /// one has all that took longer, too.
    ///
    /// # Examples
    ///
    /// ```
    /// let latency = ringkeep::Latency::default();
    /// assert!(latency.buckets().all(|(_, count)| count == 0));
    /// ```
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + use<'_> {
        let times = iter::successors(Some(1), |&ns: &u64| ns.checked_mul(2));
        times.map(Duration::from_nanos).zip(self.buckets)
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], total_ns: 0 }
    }
}

/// Takes times in, from any thread.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    total_ns: AtomicU64,
}

impl Histogram {
    pub(crate) fn record(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // 0 below 1 ns, 1 below 2 ns, ..
        let bucket = (u64::BITS - ns.leading_zeros()) as usize;
        self.buckets[bucket.min(BUCKETS - 1)].fetch_add(1, Relaxed);
        self.total_ns.fetch_add(ns, Relaxed);
    }

    pub(crate) fn look(&self) -> Latency {
        Latency {
            buckets: array::from_fn(|bucket| self.buckets[bucket].load(Relaxed)),
            total_ns: self.total_ns.load(Relaxed),
        }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: array::from_fn(|_| AtomicU64::new(0)), total_ns: AtomicU64::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Histogram, Latency};

    #[test]
    fn times_are_in_the_bucket_that_ends_above_them() {
        for (ns, below) in [(0, 1), (1, 2), (2, 4), (3, 4), (4, 8), (1023, 1024), (1024, 2048)] {
            let histogram = Histogram::default();
            histogram.record(Duration::from_nanos(ns));
            let found: Vec<_> =
                histogram.look().buckets().filter(|&(_, count)| count > 0).collect();
            assert_eq!(found, [(Duration::from_nanos(below), 1)], "{ns} ns");
        }
        let histogram = Histogram::default();
        histogram.record(Duration::from_secs(1 << 40));
        assert_eq!(histogram.look().count(), 1, "the last bucket has no end");
    }

    #[test]
    fn quantiles_are_at_most_twice_the_value() {
        let histogram = Histogram::default();
        for ns in 1..=1000 {
            histogram.record(Duration::from_nanos(ns));
        }
        let latency = histogram.look();
        assert_eq!(latency.mean(), Duration::from_nanos(500));
        for (share, ns) in [(0.0, 2), (0.5, 512), (0.6, 1024), (0.99, 1024), (1.0, 1024)] {
            assert_eq!(latency.quantile(share), Duration::from_nanos(ns), "{share}");
        }
        assert_eq!(Latency::default().quantile(1.0), Duration::ZERO);
    }
}
