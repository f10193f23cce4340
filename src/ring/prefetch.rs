//! The archive's one worker that lets the kernel fetch windows of slots, so that no walk waits for
//! the disk; its queue is bounded, and so is what it fetches ahead.

use std::{
    ops::Range,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use super::choices::Prefetch;
use crate::disk::seam::File;

/// Windows that wait for the worker; one more is not fetched ahead.
const QUEUE_MAX: usize = 16;

/// An archive's worker, started by the first window that is not in the page cache.
#[derive(Debug)]
pub(crate) struct Prefetcher {
    pub(crate) policy: Prefetch,
    /// Bytes that may be fetched and not yet read, of all walks together.
    pub(crate) ahead_max: u64,
    pub(crate) ahead: AtomicU64,
    /// `None`: no thread could be started.
    worker: OnceLock<Option<SyncSender<Request>>>,
    pub(crate) issued: AtomicU64,
    pub(crate) used: AtomicU64,
}

#[derive(Debug)]
struct Request {
    file: Arc<File>,
    bytes: Range<u64>,
}

impl Prefetcher {
    pub(crate) fn new(policy: Prefetch, resident_budget: Option<u64>) -> Self {
        Self {
            policy,
            ahead_max: resident_budget.map_or(u64::MAX, |budget| budget / 2),
            ahead: AtomicU64::new(0),
            worker: OnceLock::new(),
            issued: AtomicU64::new(0),
            used: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_off(&self) -> bool {
        matches!(self.policy, Prefetch::Off | Prefetch::Records(0))
    }

    /// Lets the worker fetch a window, if the budget and its queue have room.
    pub(crate) fn fetch(&self, file: &Arc<File>, bytes: Range<u64>) -> bool {
        let length = bytes.end - bytes.start;
        let before = self.ahead.fetch_add(length, Relaxed);
        let fits = before.saturating_add(length) <= self.ahead_max;
        let sender = self.worker.get_or_init(start_worker).as_ref().filter(|_| fits);
        let file = Arc::clone(file);
        // A queue that is full, or a worker that died: the reader waits for the disk itself.
        let told = sender.is_some_and(|sender| sender.try_send(Request { file, bytes }).is_ok());
        if told {
            self.issued.fetch_add(1, Relaxed);
        } else {
            self.ahead.fetch_sub(length, Relaxed);
        }
        told
    }
}

fn start_worker() -> Option<SyncSender<Request>> {
    let (sender, requests) = sync_channel(QUEUE_MAX);
    let thread = thread::Builder::new().name("ringkeep-fetch".into());
    thread.spawn(move || serve(&requests)).is_ok().then_some(sender)
}

/// Ends with the archive, which has the other end.
fn serve(requests: &Receiver<Request>) {
    for Request { file, bytes } in requests {
        // What cannot be fetched, the reader will be told of.
        let _ = file.read_ahead(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::seam::{Access, Disk};

    #[test]
    fn without_a_worker_nothing_is_fetched_and_nothing_waits() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let file = Arc::new(Disk::default().open(file.path(), Access::Read).unwrap());
        let (dead, requests) = sync_channel(QUEUE_MAX);
        drop(requests);
        for worker in [None, Some(dead)] {
            let prefetcher = Prefetcher::new(Prefetch::Adaptive, None);
            prefetcher.worker.set(worker).unwrap();
            for _ in 0..=QUEUE_MAX {
                assert!(!prefetcher.fetch(&file, 0..4096));
            }
            assert_eq!(prefetcher.ahead.load(Relaxed), 0);
            assert_eq!(prefetcher.issued.load(Relaxed), 0);
        }
    }
}
