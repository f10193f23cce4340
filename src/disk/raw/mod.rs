//! The only room with `unsafe`: shared bytes as atomic words, and the calls that rustix lacks.
#![expect(unsafe_code, reason = "shared mappings and file locks; every block says why it is sound")]

mod atomic;
mod cache;
mod copy;
mod lock;
#[cfg(all(test, loom))]
mod modelled;
mod region;
mod slots;

pub(crate) use atomic::fence;
pub(crate) use cache::{Cached, cached, is_dirty, write_back};
#[cfg(feature = "store")]
pub(crate) use lock::try_lock_shared;
pub(crate) use lock::{is_locked, try_lock, unlock};
#[cfg(all(test, loom))]
pub(crate) use modelled::watch;
#[cfg(feature = "test-util")]
pub(crate) use region::{Heap, Watch};
pub(crate) use region::{Region, Words};
pub(crate) use slots::{SlotRegion, Stripes};
