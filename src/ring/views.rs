//! Which rings this thread is looking into, so that a producer never waits for its own thread.

use std::cell::RefCell;

use super::archive::Archive;
use crate::error::{Error, Result};

thread_local! {
    static HELD: RefCell<Vec<*const Archive>> = const { RefCell::new(Vec::new()) };
}

/// While it lives, this thread may hold a stripe's lock of the archive.
#[derive(Debug)]
pub(crate) struct Held;

impl Held {
    pub(crate) fn new(archive: &Archive) -> Self {
        // A thread that is past its thread-local values cannot be found out, and does not wait.
        let _ = HELD.try_with(|held| held.borrow_mut().push(archive));
        Self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = HELD.try_with(|held| held.borrow_mut().pop());
    }
}

/// Whether this thread is inside a view of the archive.
pub(crate) fn is_inside_view(archive: &Archive) -> bool {
    // A thread that is past its thread-local values is inside no view.
    HELD.try_with(|held| held.borrow().iter().any(|&one| std::ptr::eq(one, archive)))
        .unwrap_or(false)
}

/// Refuses what would wait for a lock that this thread holds.
pub(crate) fn refuse_inside_view(archive: &Archive) -> Result<()> {
    if is_inside_view(archive) { Err(Error::InsideView) } else { Ok(()) }
}
