//! The ground floor: files, mapped bytes and time. It knows no structure.

#[cfg(feature = "test-util")]
pub(crate) mod meter;
pub(crate) mod raw;
pub(crate) mod real;
pub(crate) mod seam;
#[cfg(feature = "test-util")]
pub(crate) mod sim;
pub(crate) mod sync;
