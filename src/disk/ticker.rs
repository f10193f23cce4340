//! The thread that does something again and again, as long as a structure lives.

use std::{
    path::Path,
    sync::{
        Arc, Weak,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::error::{Error, Result};

/// Ends its thread, and waits for that, when it is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    ticking: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Does `task` whenever so much time has passed.
    ///
    /// # Errors
    ///
    /// `Io`: there is no thread.
    pub(crate) fn start<S: Send + Sync + 'static>(
        structure: &Arc<S>,
        path: &Path,
        interval: Duration,
        task: impl Fn(&Arc<S>) + Send + 'static,
    ) -> Result<Self> {
        let (ticking, gone) = channel();
        let weak = Arc::downgrade(structure);
        let thread = thread::Builder::new().name("ringkeep-sync".into());
        let started = thread.spawn(move || tick(&weak, &gone, interval, task));
        let started = started.map_err(Error::io("start a thread for", path))?;
        Ok(Self { ticking: Some(ticking), thread: Some(started) })
    }
}

fn tick<S>(weak: &Weak<S>, gone: &Receiver<()>, interval: Duration, task: impl Fn(&Arc<S>)) {
    while gone.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        let Some(structure) = weak.upgrade() else { return };
        task(&structure);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.ticking = None;
        if let Some(thread) = self.thread.take()
            // What the task drops may hold the structure's last handle.
            && thread.thread().id() != thread::current().id()
        {
            // One that panicked has done nothing more, which is all it could do wrong.
            let _ = thread.join();
        }
    }
}
