//! Whom a structure tells how far it is.

use std::{fmt, sync::Arc};

/// A function of the user's.
pub(crate) struct Watcher<T>(Arc<dyn Fn(&T) + Send + Sync>);

impl<T> Watcher<T> {
    pub(crate) fn new(tell: impl Fn(&T) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(crate) fn tell(&self, progress: &T) {
        (self.0)(progress);
    }
}

impl<T> Clone for Watcher<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Watcher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}
