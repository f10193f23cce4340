//! `disk_backed_queue`: a table in SQLite, in WAL mode.
//!
//! Single items are sent from outside its runtime, which writes on the thread that calls and spares
//! it the way to a pool. Items are byte strings that serde copies as a whole.

use std::path::Path;

use disk_backed_queue::{
    DiskBackedReceiver, DiskBackedSender, DurabilityLevel, disk_backed_channel_with_durability,
};
use parking_lot::Mutex;
use serde_bytes::ByteBuf;
use tokio::runtime::Runtime;

use super::super::side::{Failure, Guarantee, Peer, Result, Setup, Side};
use crate::table::Role;

const NAME: &str = "disk_backed_queue";

pub(crate) const SIDE: Side =
    Side { name: NAME, role: Role::Peer, has_groups: true, has_syncs: true, open };

struct Table {
    sender: DiskBackedSender<ByteBuf>,
    receiver: Mutex<DiskBackedReceiver<ByteBuf>>,
    runtime: Runtime,
}

fn open(directory: &Path, setup: &Setup) -> Result<Box<dyn Peer>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
    let runtime = runtime.map_err(Failure::new(NAME, "start its runtime"))?;
    let level = match setup.guarantee {
        Guarantee::None => DurabilityLevel::Off,
        Guarantee::PowerCut => DurabilityLevel::Full,
    };
    let path = directory.join("queue.db");
    let channel = disk_backed_channel_with_durability(path, "items".to_owned(), None, level);
    let (sender, receiver) = runtime.block_on(channel).map_err(Failure::new(NAME, "open"))?;
    Ok(Box::new(Table { sender, receiver: Mutex::new(receiver), runtime }))
}

impl Peer for Table {
    fn push(&self, item: Vec<u8>) -> Result<()> {
        self.sender.blocking_send(ByteBuf::from(item)).map_err(Failure::new(NAME, "push"))
    }

    fn push_group(&self, items: Vec<Vec<u8>>) -> Result<()> {
        let items = items.into_iter().map(ByteBuf::from).collect();
        self.runtime.block_on(self.sender.send_batch(items)).map_err(Failure::new(NAME, "push"))
    }

    fn take(&self) -> Result<Option<Vec<u8>>> {
        let item = self.runtime.block_on(self.receiver.lock().recv());
        Ok(item.map_err(Failure::new(NAME, "take"))?.map(ByteBuf::into_vec))
    }

    fn take_group(&self, count: usize) -> Result<Vec<Vec<u8>>> {
        let items = self.runtime.block_on(self.receiver.lock().recv_batch(count));
        let items = items.map_err(Failure::new(NAME, "take"))?;
        Ok(items.into_iter().map(ByteBuf::into_vec).collect())
    }
}
