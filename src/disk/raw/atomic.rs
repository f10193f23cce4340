//! The atomic words of shared memory, the fences between them, and sleeping on them.
//!
//! They are those of std and of the kernel. Under `cfg(loom)` the words of chosen ranges belong to
//! the model checker loom instead: see `modelled.rs`. Whatever is above this file is the same.

#[cfg(all(test, loom))]
pub(crate) use super::modelled::{
    AtomicU8, AtomicU16, AtomicU32, AtomicU64, fence, futex_wait, futex_wake,
};
#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, fence};

#[cfg(not(all(test, loom)))]
use rustix::thread::futex;
#[cfg(not(all(test, loom)))]
use std::time::Duration;

/// Sleeps until `word` is woken or differs from `seen`, or time is over.
#[cfg(not(all(test, loom)))]
pub(crate) fn futex_wait(word: &AtomicU32, seen: u32, timeout: Duration) {
    let timeout = rustix::thread::Timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // Every way to return (woken, changed, timed out, a signal) means: look again.
    let _ = futex::wait(word, futex::Flags::empty(), seen, Some(&timeout));
}

/// Wakes everybody who sleeps on `word`, in any process.
#[cfg(not(all(test, loom)))]
pub(crate) fn futex_wake(word: &AtomicU32) {
    // Failure would mean a bad address or flag: a bug here, and sleeps are bounded anyway.
    let _ = futex::wake(word, futex::Flags::empty(), i32::MAX as u32);
}
