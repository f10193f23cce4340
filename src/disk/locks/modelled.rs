//! Locks under a model checker: `cfg(shuttle)`, for what `schedules.rs` runs alone.
//!
//! [shuttle](https://docs.rs/shuttle) runs a closure again and again. Its threads take turns on one
//! thread of the operating system; before each lock, unlock, notification and access to an atomic a
//! scheduler says whose turn it is. When nobody can go on, that is a deadlock, and the test fails.
//!
//! Mutexes and atomics are shuttle's own, in the form that `parking_lot` gives them. The condition
//! variable is not: shuttle's never times out. Here a timed wait ends at any moment, or never, as
//! the model says. As with `parking_lot` a wait ends for one of these two reasons alone, and whom
//! [`Condvar::notify_one`] wakes was waiting: somebody whose time is up takes no wake away from
//! another. Which one of those who wait it is, is drawn.
//!
//! shuttle knows no memory order: every atomic access is as `SeqCst`.

use std::{
    cell::Cell,
    ops::{Deref, DerefMut},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64 as Count, Ordering::Relaxed},
    },
    time::Duration,
};

pub(crate) use shuttle::sync::atomic::{AtomicU64, AtomicUsize};
use shuttle::{
    future::batch_semaphore::{BatchSemaphore, Fairness},
    rand::{Rng, thread_rng},
    sync, thread,
};

/// Of eight looks at the clock one finds that the time is up.
const LOOKS: u8 = 8;

thread_local! {
    /// Of the model that this thread of the operating system runs.
    static TIME_PASSES: Cell<bool> = const { Cell::new(false) };
}

/// Whether timed waits time out: any of them at any moment, or none ever.
pub(crate) fn let_time_pass(passes: bool) {
    TIME_PASSES.set(passes);
}

/// A moment at which others may go on: each call of the simulated disk is one.
pub(crate) fn step() {
    thread::sleep(Duration::ZERO);
}

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, held: Some(self.hold()) }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let held = self.0.try_lock().ok()?;
        Some(MutexGuard { mutex: self, held: Some(held) })
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self) -> sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// `None` while it is let go of for a moment.
    held: Option<sync::MutexGuard<'a, T>>,
}

impl<T> MutexGuard<'_, T> {
    pub(crate) fn unlocked<R>(guard: &mut Self, call: impl FnOnce() -> R) -> R {
        guard.held = None;
        let returned = call();
        guard.held = Some(guard.mutex.hold());
        returned
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect("it is held")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect("it is held")
    }
}

/// Who waits has a place in here until it is woken or its time is up.
#[derive(Debug, Default)]
pub(crate) struct Condvar {
    /// Never held while another thread has its turn.
    sleepers: parking_lot::Mutex<Vec<Arc<BatchSemaphore>>>,
    waits: Count,
    time_outs: Count,
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// How often somebody has waited here.
    pub(crate) fn waits(&self) -> u64 {
        self.waits.load(Relaxed)
    }

    /// How often that ended because the time was up.
    pub(crate) fn time_outs(&self) -> u64 {
        self.time_outs.load(Relaxed)
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let me = self.fall_asleep(guard);
        let _ = me.acquire_blocking(1);
        guard.held = Some(guard.mutex.hold());
    }

    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _timeout: Duration) {
        if !TIME_PASSES.get() {
            return self.wait(guard);
        }
        let me = self.fall_asleep(guard);
        while me.try_acquire(1).is_err() {
            if thread_rng().gen_range(0..LOOKS) == 0 && self.get_up(&me) {
                self.time_outs.fetch_add(1, Relaxed);
                break;
            }
            thread::yield_now();
        }
        guard.held = Some(guard.mutex.hold());
    }

    /// Lets go of the lock and is asleep, in one step: a turn can end before the lock is let go of,
    /// but not after that.
    fn fall_asleep<T>(&self, guard: &mut MutexGuard<'_, T>) -> Arc<BatchSemaphore> {
        let me = Arc::new(BatchSemaphore::new(0, Fairness::Unfair));
        guard.held = None;
        self.waits.fetch_add(1, Relaxed);
        self.sleepers.lock().push(Arc::clone(&me));
        me
    }

    /// Whether nobody has woken this one before.
    fn get_up(&self, me: &Arc<BatchSemaphore>) -> bool {
        let mut sleepers = self.sleepers.lock();
        let before = sleepers.len();
        sleepers.retain(|sleeper| !Arc::ptr_eq(sleeper, me));
        sleepers.len() < before
    }

    /// Whether anybody waited.
    pub(crate) fn notify_one(&self) -> bool {
        step();
        let woken = {
            let mut sleepers = self.sleepers.lock();
            let count = sleepers.len();
            (count > 0).then(|| sleepers.swap_remove(thread_rng().gen_range(0..count)))
        };
        woken.is_some_and(|sleeper| {
            sleeper.release(1);
            true
        })
    }

    pub(crate) fn notify_all(&self) {
        step();
        let woken = std::mem::take(&mut *self.sleepers.lock());
        for sleeper in woken {
            sleeper.release(1);
        }
    }
}
