//! The locks of the queue, of its log and of the spool, what their threads wait on, and the words
//! they share without a lock.
//!
//! They are those of `parking_lot` and of std. Under `cfg(shuttle)` they belong to a model checker
//! instead, which decides who goes on at each of them: see `modelled.rs`. Whatever is above this
//! room is the same.

#[cfg(all(test, shuttle))]
mod modelled;
#[cfg(all(test, shuttle))]
pub(crate) mod schedules;

#[cfg(all(test, shuttle))]
pub(crate) use modelled::{
    AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, let_time_pass, step,
};
#[cfg(not(all(test, shuttle)))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::sync::atomic::{AtomicU64, AtomicUsize};
