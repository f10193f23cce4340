//! A consumer in the recorder's own process: a rolling summary of the last minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use ringkeep::{Ring, Tailed};
use serde::Serialize;

use super::consume::consume;
use super::sample::Sample;
use crate::exit::Failure;
use crate::numbers::float;

/// Where it stands. It takes the same memory however long it runs.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Rolling {
    /// Records read.
    pub(super) read: u64,
    /// Records overwritten before they were read.
    pub(super) missed: u64,
    /// Ids without a record, and records that are no samples.
    pub(super) wrong: u64,
    /// Mean CPU use in percent, of about the last minute.
    pub(super) cpu_mean: f64,
    /// Highest CPU use of a single sample.
    pub(super) cpu_peak: f64,
    /// Lowest available memory in bytes.
    pub(super) mem_available_min: Option<u64>,
    #[serde(skip)]
    oldest: u64,
    #[serde(skip)]
    newest: u64,
}

/// Old samples fade with this time constant; until so much has passed, all weigh the same.
const MINUTE_NANOS: u64 = 60_000_000_000;

impl Rolling {
    fn take(&mut self, item: &Tailed<'_>) {
        match item {
            Tailed::Record { payload, .. } => match Sample::decode(payload) {
                Some(sample) => self.add(&sample),
                None => self.wrong += 1,
            },
            Tailed::Missed { ids } => self.missed += ids.end - ids.start,
            _ => self.wrong += 1,
        }
    }

    fn add(&mut self, sample: &Sample) {
        let busy = f64::from(sample.cpu_busy());
        if self.read == 0 {
            (self.oldest, self.newest) = (sample.t, sample.t);
        }
        let known = sample.t.saturating_sub(self.oldest).min(MINUTE_NANOS);
        let passed = sample.t.saturating_sub(self.newest).min(known);
        // The first sample weighs all: nothing was known before it.
        let weight = if known == 0 { 1.0 } else { float(passed) / float(known) };
        self.read += 1;
        self.newest = sample.t;
        self.cpu_mean += weight * (busy - self.cpu_mean);
        self.cpu_peak = self.cpu_peak.max(busy);
        let lowest = self.mem_available_min.unwrap_or(u64::MAX);
        self.mem_available_min = Some(lowest.min(sample.mem_available));
    }
}

/// The thread that keeps it.
#[derive(Debug)]
pub(super) struct RollingThread {
    state: Arc<Mutex<Rolling>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), ringkeep::Error>>,
}

impl RollingThread {
    pub(super) fn start(ring: Ring, from: u64) -> Result<Self, Failure> {
        let state = Arc::new(Mutex::new(Rolling::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&state), Arc::clone(&stop));
        let run = move || {
            consume(&ring, from, &stopped, |item| {
                shared.lock().take(item);
            })
        };
        let thread = thread::Builder::new()
            .name("rolling".to_owned())
            .spawn(run)
            .map_err(|error| Failure::system(format!("cannot start a thread: {error}")))?;
        Ok(Self { state, stop, thread })
    }

    pub(super) fn now(&self) -> Rolling {
        *self.state.lock()
    }

    /// Reads what is there, and ends.
    pub(super) fn finish(self) -> Result<Rolling, Failure> {
        // Release: pairs with the Acquire load in `consume`.
        self.stop.store(true, Ordering::Release);
        let now = Arc::clone(&self.state);
        match self.thread.join() {
            Ok(ended) => ended?,
            Err(_) => {
                return Err(Failure::system("the rolling summary panicked; please report it"));
            }
        }
        Ok(*now.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: u64, cpu_user: f32, mem_available: u64) -> Sample {
        let mut sample = Sample::decode(&[0; 124]).expect("the right length");
        sample.t = second * 1_000_000_000;
        sample.cpu_user = cpu_user;
        sample.mem_available = mem_available;
        sample
    }

    #[test]
    fn the_mean_forgets_what_is_older_than_minutes() {
        let mut rolling = Rolling::default();
        for second in 0..600 {
            rolling.add(&sample(second, 100.0, 7));
        }
        assert!((rolling.cpu_mean - 100.0).abs() < 1e-6, "{rolling:?}");
        for second in 600..1_200 {
            rolling.add(&sample(second, 0.0, 9));
        }
        assert!(rolling.cpu_mean < 0.1, "{rolling:?}");
        assert!((rolling.cpu_peak - 100.0).abs() < 1e-6, "{rolling:?}");
        assert_eq!((rolling.read, rolling.mem_available_min), (1_200, Some(7)));
    }

    #[test]
    fn in_the_first_minute_the_mean_is_a_plain_one() {
        let mut rolling = Rolling::default();
        for second in 0..=20 {
            rolling.add(&sample(second, if second > 10 { 50.0 } else { 0.0 }, 7));
        }
        assert!((rolling.cpu_mean - 25.0).abs() < 1e-6, "{rolling:?}");
    }

    #[test]
    fn what_is_no_sample_is_counted() {
        let mut rolling = Rolling::default();
        rolling.take(&Tailed::Record { id: 0, payload: &[1, 2, 3] });
        rolling.take(&Tailed::Missed { ids: 1..5 });
        rolling.take(&Tailed::Hole { id: 5, read: ringkeep::Read::Lost });
        assert_eq!((rolling.read, rolling.missed, rolling.wrong), (0, 4, 2));
    }
}
