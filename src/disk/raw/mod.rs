//! The only room with `unsafe`: shared bytes as atomic words, and the one call that rustix lacks.
#![expect(unsafe_code, reason = "shared mappings and file locks; every block says why it is sound")]

mod lock;
mod region;

pub(crate) use lock::{is_locked, try_lock, unlock};
#[cfg(feature = "test-util")]
pub(crate) use region::{Heap, Watch};
pub(crate) use region::{Region, Stripes};
