//! ringkeep's own queue, with its default options but for the memory budget and the mode.

use std::path::Path;

use ringkeep::{Bytes, Error, Mode, Queue, QueueOptions, SyncPolicy};

use super::super::side::{Failure, Guarantee, Peer, Result, Setup, Side};
use crate::table::{OURS, Role};

pub(crate) const SIDE: Side = Side {
    name: OURS,
    role: Role::Ours,
    has_groups: true,
    has_syncs: true,
    open: |directory, setup| Ok(Box::new(Ours::open(directory, setup)?)),
};

#[derive(Debug)]
pub(crate) struct Ours(pub(crate) Queue<Vec<u8>, Bytes>);

impl Ours {
    pub(crate) fn open(directory: &Path, setup: &Setup) -> Result<Self> {
        let mode = match setup.guarantee {
            Guarantee::None => Mode::Spill,
            Guarantee::PowerCut => Mode::Durable(SyncPolicy::Always),
        };
        let options = QueueOptions::new(Bytes).mode(mode).memory_bytes(setup.budget_bytes);
        options.open(directory).map(Self).map_err(Failure::new(OURS, "open"))
    }
}

impl Peer for Ours {
    fn push(&self, item: Vec<u8>) -> Result<()> {
        self.0.push(item).map(drop).map_err(Failure::new(OURS, "push"))
    }

    fn push_group(&self, items: Vec<Vec<u8>>) -> Result<()> {
        self.0.push_batch(items).map(drop).map_err(Failure::new(OURS, "push"))
    }

    fn take(&self) -> Result<Option<Vec<u8>>> {
        match self.0.try_pop() {
            Ok(item) => Ok(Some(item)),
            Err(Error::Empty) => Ok(None),
            Err(error) => Err(Failure::new(OURS, "take")(error)),
        }
    }

    fn take_group(&self, count: usize) -> Result<Vec<Vec<u8>>> {
        // `recv_batch` would wait for ever where items are missing.
        (0..count).map_while(|_| self.take().transpose()).collect()
    }

    fn items_on_disk(&self) -> Option<u64> {
        Some(self.0.stats().items_on_disk)
    }
}
