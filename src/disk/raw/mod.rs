//! The only room with `unsafe`: shared bytes as atomic words, and the calls that rustix lacks.
#![expect(unsafe_code, reason = "shared mappings and file locks; every block says why it is sound")]

mod cache;
mod lock;
mod region;
mod slots;

pub(crate) use cache::{Cached, cached, write_back};
pub(crate) use lock::{is_locked, try_lock, unlock};
pub(crate) use region::Region;
#[cfg(feature = "test-util")]
pub(crate) use region::{Heap, Watch};
pub(crate) use slots::{SlotRegion, Stripes};
