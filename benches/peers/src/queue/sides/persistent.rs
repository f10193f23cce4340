//! persistent-queue on redb: an item is a row, a push is a transaction.
//!
//! Acknowledgements are not synced: a lost one brings the item again, as in ringkeep.

use std::path::Path;

use persistent_queue::{Builder, Consumer, Durability, Producer, RedbStore};

use super::super::side::{Failure, Guarantee, Peer, Result, Setup, Side};
use crate::table::Role;

const NAME: &str = "persistent-queue";

pub(crate) const SIDE: Side =
    Side { name: NAME, role: Role::Peer, has_groups: false, has_syncs: true, open };

struct Persistent {
    producer: Producer<RedbStore>,
    consumer: Consumer<RedbStore>,
}

fn open(directory: &Path, setup: &Setup) -> Result<Box<dyn Peer>> {
    let store = RedbStore::open(directory.join("queue.redb"));
    let store = store.map_err(Failure::new(NAME, "open"))?;
    let durability = match setup.guarantee {
        Guarantee::None => Durability::None,
        Guarantee::PowerCut if setup.threads > 1 => Durability::Group,
        Guarantee::PowerCut => Durability::Sync,
    };
    let builder = Builder::new(store).capacity(usize::MAX).durability(durability);
    let ends = builder.durable_acks(false).open();
    let (producer, consumer) =
        ends.map_err(|error| Failure::new(NAME, "open")(error.to_string()))?;
    Ok(Box::new(Persistent { producer, consumer }))
}

impl Peer for Persistent {
    fn push(&self, item: Vec<u8>) -> Result<()> {
        let pushed = self.producer.push(&item);
        pushed.map_err(|error| Failure::new(NAME, "push")(error.to_string()))
    }

    fn push_group(&self, items: Vec<Vec<u8>>) -> Result<()> {
        items.into_iter().try_for_each(|item| self.push(item))
    }

    fn take(&self) -> Result<Option<Vec<u8>>> {
        let reserved = self.consumer.reserve().map_err(Failure::new(NAME, "take"))?;
        let Some(reserved) = reserved else { return Ok(None) };
        let item = reserved.to_vec();
        reserved.ack().map_err(Failure::new(NAME, "take"))?;
        Ok(Some(item))
    }

    fn take_group(&self, count: usize) -> Result<Vec<Vec<u8>>> {
        (0..count).map_while(|_| self.take().transpose()).collect()
    }
}
