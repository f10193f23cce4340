//! The ground floor: files, mapped bytes, logs and time. It knows no structure.

pub(crate) mod budget;
pub(crate) mod codec;
pub(crate) mod compression;
pub(crate) mod frame;
pub(crate) mod latency;
pub(crate) mod lock_holder;
pub(crate) mod locks;
pub(crate) mod log;
pub(crate) mod mark;
pub(crate) mod mem_size;
#[cfg(feature = "test-util")]
pub(crate) mod meter;
pub(crate) mod naming;
pub(crate) mod poison;
pub(crate) mod raw;
pub(crate) mod real;
pub(crate) mod scratch;
pub(crate) mod seam;
pub(crate) mod segment;
#[cfg(feature = "test-util")]
pub(crate) mod sim;
pub(crate) mod sync;
pub(crate) mod tail;
pub(crate) mod ticker;
pub(crate) mod watcher;
