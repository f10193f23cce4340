//! What comes back when something cannot be pushed.

use std::fmt;

use super::Error;

/// A push that failed, with what was to be pushed.
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, Error, QueueOptions, WhenFull};
///
/// # let directory = tempfile::tempdir()?;
/// let options = QueueOptions::new(Bytes).items_max(1).when_full(WhenFull::Reject);
/// let queue = options.open(directory.path())?;
/// queue.push(b"first".to_vec())?;
/// let refused = queue.push(b"second".to_vec()).unwrap_err();
/// assert!(matches!(*refused.source, Error::Full));
/// assert_eq!(refused.item.as_deref(), Some(&b"second"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(thiserror::Error)]
#[error("{source}")]
pub struct PushError<I> {
    /// What was to be pushed. `None` where it is in the queue all the same: it was stored, and the
    /// sync after it failed.
    pub item: Option<I>,
    /// Why.
    pub source: Box<Error>,
}

impl<I> From<PushError<I>> for Error {
    fn from(refused: PushError<I>) -> Self {
        *refused.source
    }
}

impl<I> fmt::Debug for PushError<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushError").field("source", &self.source).finish_non_exhaustive()
    }
}
