//! queue-file: a ring in one file, that grows; one handle, behind a lock.
//!
//! Without syncs it runs as fast as it goes: the file is as large as it will get from the start,
//! its header is written when it is closed, and what is taken is not overwritten with zeros. With
//! syncs the header is written and synced by every push; the large file stays, which spares it the
//! growing.

use std::path::Path;

use parking_lot::Mutex;
use queue_file::QueueFile;

use super::super::side::{Failure, Guarantee, Peer, Result, Setup, Side};
use crate::table::Role;

const NAME: &str = "queue-file";

/// Of its own, for an item and for the file: more than it takes.
const OVERHEAD_BYTES: usize = 64;

pub(crate) const SIDE: Side =
    Side { name: NAME, role: Role::Peer, has_groups: true, has_syncs: true, open };

struct File(Mutex<QueueFile>);

fn open(directory: &Path, setup: &Setup) -> Result<Box<dyn Peer>> {
    let items = setup.total_bytes / setup.item_bytes + 64;
    let bytes = items * (setup.item_bytes + OVERHEAD_BYTES);
    let file = QueueFile::with_capacity(directory.join("queue"), bytes as u64);
    let mut file = file.map_err(Failure::new(NAME, "open"))?;
    file.set_overwrite_on_remove(false);
    file.set_sync_writes(setup.guarantee == Guarantee::PowerCut);
    file.set_skip_write_header_on_add(setup.guarantee == Guarantee::None);
    Ok(Box::new(File(Mutex::new(file))))
}

impl Peer for File {
    fn push(&self, item: Vec<u8>) -> Result<()> {
        self.0.lock().add(&item).map_err(Failure::new(NAME, "push"))
    }

    fn push_group(&self, items: Vec<Vec<u8>>) -> Result<()> {
        self.0.lock().add_n(items).map_err(Failure::new(NAME, "push"))
    }

    fn take(&self) -> Result<Option<Vec<u8>>> {
        let mut file = self.0.lock();
        let item = file.peek().map_err(Failure::new(NAME, "take"))?;
        if item.is_some() {
            file.remove().map_err(Failure::new(NAME, "take"))?;
        }
        Ok(item)
    }

    fn take_group(&self, count: usize) -> Result<Vec<Vec<u8>>> {
        let mut file = self.0.lock();
        let items: Vec<Vec<u8>> = file.iter().take(count).collect();
        file.remove_n(items.len()).map_err(Failure::new(NAME, "take"))?;
        Ok(items)
    }
}
