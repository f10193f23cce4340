//! Waking those who wait for a change of the state, threads and tasks alike.

use std::time::Duration;

#[cfg(feature = "tokio")]
use tokio::sync::{Notify, futures::Notified};

use crate::disk::locks::{Condvar, MutexGuard};

/// That something has changed, for whoever waits for it.
#[derive(Debug, Default)]
pub(super) struct Signal {
    threads: Condvar,
    #[cfg(feature = "tokio")]
    tasks: Notify,
}

impl Signal {
    /// Wakes one of those who wait. Where none does, the next task to wait looks once more.
    #[cfg_attr(
        not(feature = "tokio"),
        expect(clippy::needless_return, reason = "nothing comes behind it without tasks")
    )]
    pub(super) fn notify_one(&self) {
        if self.threads.notify_one() {
            return;
        }
        #[cfg(feature = "tokio")]
        self.tasks.notify_one();
    }

    /// Wakes all of those who wait.
    pub(super) fn notify_all(&self) {
        self.threads.notify_all();
        #[cfg(feature = "tokio")]
        self.tasks.notify_waiters();
    }

    /// Sleeps until the next signal, or so long. The lock of the state is given up meanwhile.
    pub(super) fn wait<S>(&self, state: &mut MutexGuard<'_, S>, longest: Option<Duration>) {
        match longest {
            None => self.threads.wait(state),
            Some(longest) => {
                self.threads.wait_for(state, longest);
            }
        }
    }

    /// What threads wait on: a model counts their waits.
    #[cfg(all(test, shuttle))]
    pub(super) fn threads(&self) -> &Condvar {
        &self.threads
    }

    /// Is ready at the next signal; to be enabled before the look that finds nothing.
    #[cfg(feature = "tokio")]
    pub(super) fn next(&self) -> Notified<'_> {
        self.tasks.notified()
    }
}
