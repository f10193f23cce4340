//! The producer's threads: the flusher, which syncs; the waker, which tells waiting readers; and,
//! for one at speed, that of `ahead.rs`.
//!
//! Readers register nowhere, so a wake is a system call whether anybody sleeps or not. The first
//! record after a quiet time is told by the producer itself; during a burst the waker tells at most
//! one wake a period, and one more when the burst is over. Periods are short at first, so that
//! records of a slow stream are told by the producer too, and grow while a burst goes on.

use std::{
    io,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, Release},
        },
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_utils::CachePadded;

use super::{ahead::PagesAhead, cursors::Cursors, durability::Durability};

/// At most one wake in this time while records keep coming: twice as long after each, up to the
/// longest. What a processor stores is visible to all others in far less than the shortest.
const PERIOD_MIN: Duration = Duration::from_micros(50);
const PERIOD_MAX: Duration = Duration::from_millis(1);

/// The threads of one producer.
#[derive(Debug)]
pub(crate) struct Helpers {
    durability: Arc<Durability>,
    waker: Arc<Waker>,
    flusher: Option<JoinHandle<()>>,
    waking: Option<JoinHandle<()>>,
    pub(crate) ahead: PagesAhead,
}

/// Written by the producer (`woken` while armed) and the waker thread; neither is on the other's
/// cache lines while records are appended.
#[derive(Debug)]
struct Waker {
    /// The next record is told at once, by the producer.
    armed: CachePadded<AtomicBool>,
    /// The next id as it was told last.
    woken: AtomicU64,
    stop: AtomicBool,
}

impl Helpers {
    /// Starts the threads; none on the simulated disk, whose driver takes their steps.
    pub(crate) fn start(durability: &Arc<Durability>) -> io::Result<Self> {
        let waker = Arc::new(Waker {
            armed: CachePadded::new(AtomicBool::new(true)),
            woken: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let ahead = PagesAhead::new(&durability.archive);
        let durability = Arc::clone(durability);
        let mut helpers = Self { durability, waker, flusher: None, waking: None, ahead };
        let durability = &helpers.durability;
        if durability.archive.disk.has_threads() {
            let (durability, waker) = (Arc::clone(durability), Arc::clone(&helpers.waker));
            let flushing = Arc::clone(&durability);
            helpers.flusher = Some(spawn("ringkeep-flush", move || flushing.serve())?);
            let wake = move || waker.serve(durability.archive.cursors());
            helpers.waking = Some(spawn("ringkeep-wake", wake)?);
        }
        Ok(helpers)
    }

    /// Tells waiting readers of a record, now or within a period. One load while records keep
    /// coming.
    #[inline]
    pub(crate) fn published(&self, next: u64) {
        if self.waker.armed.load(Relaxed) {
            self.tell_now(next);
        }
    }

    #[cold]
    fn tell_now(&self, next: u64) {
        let Some(thread) = &self.waking else { return };
        self.waker.woken.store(next, Relaxed);
        // Release: the waker sees what was told.
        self.waker.armed.store(false, Release);
        self.durability.archive.cursors().wake();
        thread.thread().unpark();
    }

    /// Ends the threads, after what they are doing. Called twice, it does nothing.
    pub(crate) fn stop(&mut self) {
        for thread in self.leave() {
            // A flusher that panicked has poisoned its producer.
            let _ = thread.join();
        }
    }

    /// Tells the threads to end, without waiting for it.
    pub(crate) fn leave(&mut self) -> impl Iterator<Item = JoinHandle<()>> + use<> {
        self.durability.stop();
        self.waker.stop.store(true, Release);
        if let Some(waking) = &self.waking {
            waking.thread().unpark();
        }
        let ahead = self.ahead.leave();
        [self.flusher.take(), self.waking.take(), ahead].into_iter().flatten()
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Waker {
    fn serve(&self, cursors: Cursors<'_>) {
        let mut period = PERIOD_MIN;
        while !self.stop.load(Relaxed) {
            if self.armed.load(Relaxed) {
                thread::park();
                period = PERIOD_MIN;
            } else {
                self.calm_down(cursors, period);
                period = (2 * period).min(PERIOD_MAX);
            }
        }
        // The last record is told, whatever was going on.
        cursors.wake();
    }

    /// One wake a period while records keep coming; arms the producer when none came for one.
    fn calm_down(&self, cursors: Cursors<'_>, period: Duration) {
        thread::park_timeout(period);
        if self.tell_news(cursors) {
            return;
        }
        self.armed.store(true, Release);
        // A producer that saw the flag unarmed a moment ago may have published without telling. Its
        // store is visible long before another period is over; then this side tells.
        thread::park_timeout(PERIOD_MIN);
        self.tell_news(cursors);
    }

    fn tell_news(&self, cursors: Cursors<'_>) -> bool {
        let next = cursors.next();
        if self.woken.swap(next, Relaxed) == next {
            return false;
        }
        cursors.wake();
        true
    }
}

pub(super) fn spawn(
    name: &str,
    task: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(task)
}
