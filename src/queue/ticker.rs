//! The thread that syncs by time.

use std::{
    sync::{
        Arc, Weak,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{core::Core, options::Mode};
use crate::error::{Error, Result};

/// Ends its thread, and waits for that, when it is dropped.
#[derive(Debug)]
pub(super) struct Ticker {
    ticking: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// None where the policy needs none, and on the simulated disk, whose driver syncs.
    pub(super) fn start<T, C>(core: &Arc<Core<T, C>>) -> Result<Option<Self>>
    where
        T: Send + 'static,
        C: Send + Sync + 'static,
    {
        let interval = match core.mode {
            Mode::Durable(policy) if core.log.disk.has_threads() => policy.interval(),
            _ => None,
        };
        let Some(interval) = interval else { return Ok(None) };
        let (ticking, gone) = channel();
        let weak = Arc::downgrade(core);
        let thread = thread::Builder::new().name("ringkeep-sync".into());
        let started = thread.spawn(move || tick(&weak, &gone, interval));
        let started = started.map_err(Error::io("start a thread for", &core.log.directory))?;
        Ok(Some(Self { ticking: Some(ticking), thread: Some(started) }))
    }
}

fn tick<T, C>(core: &Weak<Core<T, C>>, gone: &Receiver<()>, interval: Duration) {
    while gone.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        let Some(core) = core.upgrade() else { return };
        // It has poisoned the queue: whoever pushes or syncs next is told.
        let _ = core.sync_all();
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.ticking = None;
        if let Some(thread) = self.thread.take()
            // An item of the queue may hold its last handle, and be dropped by that thread.
            && thread.thread().id() != thread::current().id()
        {
            // One that panicked has synced nothing more, which is all it could do wrong.
            let _ = thread.join();
        }
    }
}
