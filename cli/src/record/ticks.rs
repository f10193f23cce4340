//! When samples are due: on a grid of absolute times, so that delays never add up.

use std::time::{Duration, Instant};

/// A recorder that fell behind takes the samples it owes at once, up to this much of the past.
/// Further back, and after the process was stopped, it leaves them out and counts them.
const CATCH_UP: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Ticks {
    every: Duration,
    due: Instant,
    end: Option<Instant>,
    late: u64,
    latest: Duration,
    skipped: u64,
}

/// How well the grid was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(super) struct Lateness {
    /// Samples taken more than one interval late.
    pub(super) late: u64,
    /// The largest delay of a sample, in milliseconds.
    pub(super) latest_ms: u64,
    /// Samples that were left out.
    pub(super) skipped: u64,
}

impl Ticks {
    /// The first tick is one interval from `now`; the last is not behind `now + length`.
    pub(super) fn new(now: Instant, every: Duration, length: Option<Duration>) -> Self {
        let end = length.map(|length| now + length);
        Self { every, due: now + every, end, late: 0, latest: Duration::ZERO, skipped: 0 }
    }

    /// When the next sample is due, or when everything is over.
    pub(super) fn next(&self) -> Next {
        match self.end {
            Some(end) if self.due > end => Next::End(end),
            _ => Next::Sample(self.due),
        }
    }

    /// Notes that the sample that was due has been taken at `now`.
    pub(super) fn taken(&mut self, now: Instant) {
        let behind = now.saturating_duration_since(self.due);
        self.latest = self.latest.max(behind);
        self.late += u64::from(behind > self.every);
        self.due += self.every;
        if behind > CATCH_UP.max(self.every) {
            self.skip(behind);
        }
    }

    /// Leaves out the ticks that are past, and stays on the grid.
    fn skip(&mut self, behind: Duration) {
        let count = behind.as_nanos() / self.every.as_nanos();
        let nanos = u64::try_from(count * self.every.as_nanos()).unwrap_or(u64::MAX);
        self.skipped += u64::try_from(count).unwrap_or(u64::MAX);
        self.due += Duration::from_nanos(nanos);
    }

    pub(super) fn lateness(&self) -> Lateness {
        let latest_ms = u64::try_from(self.latest.as_millis()).unwrap_or(u64::MAX);
        Lateness { late: self.late, latest_ms, skipped: self.skipped }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Sample(Instant),
    End(Instant),
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_millis(10);

    /// Takes samples with `delay(n)` after the n-th was due; gives how many until the end.
    fn run(ticks: &mut Ticks, delay: impl Fn(u64) -> Duration) -> u64 {
        let mut now = None;
        for count in 0.. {
            match ticks.next() {
                Next::End(_) => return count,
                Next::Sample(due) => {
                    let at = due.max(now.unwrap_or(due)) + delay(count);
                    ticks.taken(at);
                    now = Some(at);
                }
            }
        }
        0
    }

    #[test]
    fn ten_seconds_of_ten_milliseconds_are_a_thousand_samples() {
        let mut ticks = Ticks::new(Instant::now(), EVERY, Some(Duration::from_secs(10)));
        assert_eq!(run(&mut ticks, |_| Duration::from_millis(1)), 1000);
        assert_eq!(ticks.lateness(), Lateness { late: 0, latest_ms: 1, skipped: 0 });
    }

    #[test]
    fn a_recorder_that_fell_behind_catches_up_and_says_so() {
        let mut ticks = Ticks::new(Instant::now(), EVERY, Some(Duration::from_secs(10)));
        let hiccup = |count| Duration::from_millis(if count == 500 { 100 } else { 0 });
        assert_eq!(run(&mut ticks, hiccup), 1000);
        let Lateness { late, latest_ms, skipped } = ticks.lateness();
        assert_eq!((late, latest_ms, skipped), (9, 100, 0));
    }

    #[test]
    fn a_recorder_that_was_stopped_leaves_samples_out_and_counts_them() {
        let start = Instant::now();
        let mut ticks = Ticks::new(start, EVERY, Some(Duration::from_secs(100)));
        let stop = |count| Duration::from_secs(if count == 500 { 60 } else { 0 });
        let taken = run(&mut ticks, stop);
        assert_eq!(taken + ticks.lateness().skipped, 10_000);
        assert_eq!(ticks.lateness().skipped, 6_000);
    }

    #[test]
    fn a_length_that_ends_between_ticks_is_waited_for() {
        let start = Instant::now();
        let mut ticks = Ticks::new(start, Duration::from_secs(7), Some(Duration::from_secs(10)));
        assert_eq!(run(&mut ticks, |_| Duration::ZERO), 1);
        assert_eq!(ticks.next(), Next::End(start + Duration::from_secs(10)));
    }
}
