//! Who writes: one transaction at a time.

use std::{sync::Arc, time::Duration};

use parking_lot::{Condvar, Mutex};

use super::Shared;
use crate::error::{Result, StoreError};

#[derive(Debug, Default)]
pub(super) struct Turn {
    is_taken: Mutex<bool>,
    free: Condvar,
}

/// Whoever has it writes. Dropped, it is the next one's.
#[derive(Debug)]
pub(super) struct Taken(Arc<Shared>);

impl Turn {
    pub(super) fn take(shared: &Arc<Shared>, wait: Duration) -> Result<Taken> {
        let turn = &shared.turn;
        let mut is_taken = turn.is_taken.lock();
        if turn.free.wait_while_for(&mut is_taken, |taken| *taken, wait).timed_out() && *is_taken {
            return Err(StoreError::Writing { waited: wait }.into());
        }
        *is_taken = true;
        drop(is_taken);
        Ok(Taken(Arc::clone(shared)))
    }
}

impl Taken {
    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        *self.0.turn.is_taken.lock() = false;
        self.0.turn.free.notify_one();
    }
}
