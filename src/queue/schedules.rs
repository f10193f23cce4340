//! Goal: whatever the order in which the threads of a queue take their steps, each item comes out
//! once and in its place, what was promised is kept, and nobody waits for ever.
//!
//! Method: the real queue on the simulated disk under the model checker shuttle, as
//! src/disk/locks/schedules.rs says.

mod durable;
mod spilling;

use shuttle::{
    rand::{Rng, thread_rng},
    thread,
};

use super::{Queue, delivery::Delivery, options::QueueOptions};
use crate::{
    disk::{
        codec::Bytes,
        locks::schedules::{Met, check},
        sim::SimDisk,
    },
    error::Error,
};

const PATH: &str = "/sim/queue";
/// Less than users may set, so that a few items overflow: room for four, and runs of one.
const MEMORY_BYTES: usize = 5_000;
const ITEM_BYTES: usize = 1_000;
/// Three items.
const SEGMENT_BYTES: u64 = 4_096;

type Bytequeue = Queue<Vec<u8>, Bytes>;

fn options(disk: &SimDisk) -> QueueOptions<Bytes> {
    let mut options = QueueOptions::new(Bytes).segment_bytes(SEGMENT_BYTES).on(disk);
    options.limits.memory_bytes = MEMORY_BYTES;
    options
}

/// Nobody sees its power fail.
fn open(options: impl FnOnce(QueueOptions<Bytes>) -> QueueOptions<Bytes>) -> Bytequeue {
    let disk = SimDisk::reliable(1);
    options(self::options(&disk)).open(PATH).expect("an empty disk")
}

/// The `count`th item of a producer.
fn item(producer: u8, count: u8) -> Vec<u8> {
    let mut item = vec![0; ITEM_BYTES];
    item[..2].copy_from_slice(&[producer, count]);
    item
}

fn name(item: &[u8]) -> (u8, u8) {
    (item[0], item[1])
}

type Numbered = (u64, (u8, u8));

/// Pushes so many items; their numbers.
fn produce(queue: &Bytequeue, producer: u8, count: u8) -> Vec<Numbered> {
    let push = |count| {
        let number = queue.push(item(producer, count)).expect("a push");
        (number.expect("nothing is dropped"), (producer, count))
    };
    (0..count).map(push).collect()
}

/// Receives until the queue is closed.
fn consume(queue: &Bytequeue) -> Vec<Numbered> {
    let mut received = Vec::new();
    loop {
        match queue.recv() {
            Ok(delivery) => received.push(acknowledge(delivery)),
            Err(Error::Closed) => return received,
            Err(error) => panic!("{error}"),
        }
    }
}

fn acknowledge(delivery: Delivery<Vec<u8>, Bytes>) -> Numbered {
    let number = delivery.number();
    (number, name(&delivery.ack()))
}

/// A thread of the model that has a handle of the queue.
fn spawn<T: Send + 'static>(
    queue: &Bytequeue,
    body: impl FnOnce(&Bytequeue) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let queue = queue.clone();
    thread::spawn(move || body(&queue))
}

fn join<T>(thread: thread::JoinHandle<T>) -> T {
    thread.join().expect("no thread panics")
}

fn join_all<T>(threads: impl IntoIterator<Item = thread::JoinHandle<Vec<T>>>) -> Vec<T> {
    let threads: Vec<_> = threads.into_iter().collect();
    threads.into_iter().flat_map(join).collect()
}

fn draw(below: u64) -> u64 {
    thread_rng().gen_range(0..below)
}

/// What was pushed came out, each item once; and each producer's items have numbers in its order.
fn assert_all_once(mut pushed: Vec<Numbered>, mut received: Vec<Numbered>) {
    pushed.sort_unstable();
    received.sort_unstable();
    assert_eq!(received, pushed);
    for producer in 0..=u8::MAX {
        let counts = received.iter().filter(|(_, item)| item.0 == producer).map(|(_, item)| item.1);
        assert!(counts.is_sorted(), "{received:?}");
    }
}

/// One receiver's items, where none comes back, are in the order of the queue.
fn assert_in_order(received: &[Numbered]) {
    assert!(received.is_sorted_by(|before, after| before.0 < after.0), "{received:?}");
}
