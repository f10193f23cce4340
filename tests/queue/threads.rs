//! Many producers and consumers at once, on the real disk.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    thread,
};

use parking_lot::Mutex;
use ringkeep::{Bytes, Error, Mode, QueueOptions, SyncPolicy};

const PRODUCERS: usize = 10;
const CONSUMERS: usize = 5;
const EACH: u64 = 2_000;

/// Goal: nothing is lost, doubled or out of order, whoever is at it.
/// Method: producers number their items; consumers sometimes put one back, and note what they
/// acknowledge under the queue's number. In that order each producer's items have to grow by one.
fn all_arrive_in_order(mode: Mode) {
    let directory = tempfile::tempdir().expect("a directory");
    let options = QueueOptions::new(Bytes).mode(mode).memory_bytes(256 << 10);
    let queue = options.segment_bytes(1 << 20).open(directory.path()).expect("a queue");
    let done = Mutex::new(BTreeMap::new());
    let (left, spilled) = (AtomicUsize::new(PRODUCERS), AtomicU64::new(0));
    thread::scope(|scope| {
        for producer in 0..PRODUCERS as u64 {
            let (queue, left) = (queue.clone(), &left);
            scope.spawn(move || {
                for count in 0..EACH {
                    let mut item = [producer.to_le_bytes(), count.to_le_bytes()].concat();
                    item.resize(1_000, 0);
                    queue.push(item).expect("there is room");
                }
                if left.fetch_sub(1, Relaxed) == 1 {
                    queue.close().expect("nothing fails");
                }
            });
        }
        for consumer in 0..CONSUMERS {
            let (queue, done, spilled) = (queue.clone(), &done, &spilled);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(consumer as u64);
                loop {
                    match queue.recv() {
                        Ok(delivery) if random.u8(..20) == 0 => delivery.nack(),
                        Ok(delivery) => {
                            let number = delivery.number();
                            let item = delivery.ack();
                            assert!(done.lock().insert(number, item).is_none(), "{number} twice");
                        }
                        Err(Error::Closed) => break,
                        Err(error) => panic!("{error}"),
                    }
                    spilled.fetch_max(queue.stats().items_on_disk, Relaxed);
                }
            });
        }
    });
    let done = done.into_inner();
    assert!(done.keys().copied().eq(0..PRODUCERS as u64 * EACH));
    let mut next = [0; PRODUCERS];
    for item in done.values() {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| item[at + i]));
        let producer = usize::try_from(word(0)).expect("small");
        assert_eq!(word(8), next[producer], "producer {producer}");
        next[producer] += 1;
    }
    let stats = queue.stats();
    assert_eq!((stats.items, stats.leased, stats.memory_bytes), (0, 0, 0), "{stats:?}");
    println!("{mode:?}: up to {} on the disk", spilled.into_inner());
}

#[test]
fn all_arrive_in_order_through_memory_and_disk() {
    all_arrive_in_order(Mode::Spill);
}

#[test]
fn all_arrive_in_order_through_a_log() {
    all_arrive_in_order(Mode::Durable(SyncPolicy::EveryRecords(500)));
}

#[test]
fn a_sync_serves_all_who_wait_for_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Always));
    let queue = options.open(directory.path()).expect("a queue");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let number = queue.push(vec![0; 100]).expect("there is room");
                    assert!(number.is_some_and(|number| number < queue.durable()));
                }
            });
        }
    });
    assert_eq!((queue.durable(), queue.len()), (160, 160));
}

#[test]
fn a_queue_that_was_dropped_can_be_opened_beside_programs_that_are_started() {
    let directory = tempfile::tempdir().expect("a directory");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Each of them has a copy of every descriptor for a moment.
        let starting = scope.spawn(|| {
            let mut started = 0;
            while !is_over.load(Relaxed) {
                Command::new("true").status().expect("a program");
                started += 1;
            }
            started
        });
        let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
        let opened = (0..2_000).find_map(|_| options.open::<Vec<u8>>(directory.path()).err());
        is_over.store(true, Relaxed);
        assert!(opened.is_none(), "{opened:?}");
        assert!(starting.join().expect("it ends") > 10);
    });
}
