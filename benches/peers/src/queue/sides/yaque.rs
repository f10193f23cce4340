//! yaque: segments in a directory, a sender and a receiver with one handle each.
//!
//! Its receiver saves its place in a file now and then; here it does so when it is dropped.

use std::path::Path;

use parking_lot::Mutex;
use yaque::{Receiver, ReceiverBuilder, Sender, TryRecvError};

use super::super::side::{Failure, Peer, Result, Setup, Side};
use crate::table::Role;

const NAME: &str = "yaque";

pub(crate) const SIDE: Side =
    Side { name: NAME, role: Role::Peer, has_groups: true, has_syncs: false, open };

struct Yaque {
    sender: Mutex<Sender>,
    receiver: Mutex<Receiver>,
}

fn open(directory: &Path, _: &Setup) -> Result<Box<dyn Peer>> {
    let sender = Sender::open(directory).map_err(Failure::new(NAME, "open"))?;
    let receiver = ReceiverBuilder::new().save_every_nth(None).save_every(None);
    let receiver = receiver.open(directory).map_err(Failure::new(NAME, "open"))?;
    Ok(Box::new(Yaque { sender: Mutex::new(sender), receiver: Mutex::new(receiver) }))
}

impl Peer for Yaque {
    fn push(&self, item: Vec<u8>) -> Result<()> {
        let sent = self.sender.lock().try_send(item);
        sent.map_err(|error| Failure::new(NAME, "push")(error.to_string()))
    }

    fn push_group(&self, items: Vec<Vec<u8>>) -> Result<()> {
        let sent = self.sender.lock().try_send_batch(items);
        sent.map_err(|error| Failure::new(NAME, "push")(error.to_string()))
    }

    fn take(&self) -> Result<Option<Vec<u8>>> {
        match self.receiver.lock().try_recv() {
            Ok(guard) => guard.try_into_inner().map(Some).map_err(Failure::new(NAME, "take")),
            Err(TryRecvError::QueueEmpty) => Ok(None),
            Err(TryRecvError::Io(error)) => Err(Failure::new(NAME, "take")(error)),
        }
    }

    fn take_group(&self, count: usize) -> Result<Vec<Vec<u8>>> {
        match self.receiver.lock().try_recv_batch_up_to(count) {
            Ok(guard) => guard.try_into_inner().map_err(Failure::new(NAME, "take")),
            Err(TryRecvError::QueueEmpty) => Ok(Vec::new()),
            Err(TryRecvError::Io(error)) => Err(Failure::new(NAME, "take")(error)),
        }
    }
}
