//! A vector that comes back.

use std::fmt;

use super::SpillVec;
use crate::{
    disk::codec::{Codec, Postcard},
    error::Error,
};

/// A vector that could not be sorted or taken out of, with the vector as it was.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "postcard")] {
/// use ringkeep::{Error, SpillVec};
///
/// let vec = SpillVec::try_from_iter(0..1000_u64)?;
/// let refused = vec.into_vec(100).unwrap_err();
/// assert!(matches!(*refused.source, Error::OverLimit { max_bytes: 100, .. }));
/// assert_eq!(refused.vec.len(), 1000);
/// # }
/// # Ok::<(), ringkeep::Error>(())
/// ```
#[derive(thiserror::Error)]
#[error("{source}")]
pub struct SpillVecError<T, C: Codec<T> = Postcard> {
    /// The vector.
    pub vec: Box<SpillVec<T, C>>,
    /// Why.
    pub source: Box<Error>,
}

impl<T, C: Codec<T>> From<SpillVecError<T, C>> for Error {
    fn from(refused: SpillVecError<T, C>) -> Self {
        *refused.source
    }
}

impl<T, C: Codec<T>> fmt::Debug for SpillVecError<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpillVecError").field("source", &self.source).finish_non_exhaustive()
    }
}
