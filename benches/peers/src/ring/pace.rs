//! Keeps a producer from lapping its readers, in the same way on all sides, so that each of them
//! reads each record, and so that the limit loop needs no protocol.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::Result;

/// How far each reader has come.
#[derive(Debug)]
pub(super) struct Pace {
    places: Vec<Place>,
}

/// A line of the cache of its own: a reader stores to it while others do the same with theirs.
#[derive(Debug)]
#[repr(align(128))]
struct Place(AtomicU64);

impl Pace {
    pub(super) fn new(readers: u32, first: u64) -> Self {
        Self { places: (0..readers).map(|_| Place(AtomicU64::new(first))).collect() }
    }

    /// A reader needs nothing below this id any more.
    pub(super) fn came_to(&self, reader: usize, id: u64) {
        // Release: pairs with the producer's load; the reads are over when their slots are reused.
        self.places[reader].0.store(id, Ordering::Release);
    }

    /// Waits until no reader needs an id below this one.
    pub(super) fn wait_for(&self, id: u64, wait: &Wait) -> Result<()> {
        for place in &self.places {
            // Acquire: pairs with the reader's Release store.
            while place.0.load(Ordering::Acquire) < id {
                wait.pause()?;
            }
        }
        Ok(())
    }
}

/// Longer than any run takes. A process that waits for one that failed ends then.
const PATIENCE: Duration = Duration::from_secs(300);

/// How one waits for another thread or process: it gives its turn away, and looks again.
#[derive(Debug)]
pub(super) struct Wait {
    over: AtomicBool,
    begun: Instant,
}

impl Wait {
    pub(super) fn new() -> Self {
        Self { over: AtomicBool::new(false), begun: Instant::now() }
    }

    /// Whoever fails ends the waiting of all others.
    pub(super) fn guard<T>(&self, did: Result<T>) -> Result<T> {
        if did.is_err() {
            self.end();
        }
        did
    }

    /// Nobody waits any more.
    pub(super) fn end(&self) {
        // Relaxed: it tells nothing of other memory.
        self.over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) fn pause(&self) -> Result<()> {
        if self.is_over() || self.begun.elapsed() > PATIENCE {
            return Err("it waited for another one, which failed".into());
        }
        thread::yield_now();
        Ok(())
    }
}
