//! Limits: on items, memory, disk; and what a queue does that has reached one.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use ringkeep::{
    Bytes, Codec, CodecError, Compression, DiskBudget, Error, Mode, PushError, Queue, QueueOptions,
    SimDisk, SyncPolicy, WhenFull,
};
use rustix::io::Errno;

const MEMORY: usize = 64 << 10;

fn spilling(disk: &SimDisk) -> QueueOptions<Bytes> {
    QueueOptions::new(Bytes).memory_bytes(MEMORY).segment_bytes(16 << 10).on(disk)
}

fn numbers(queue: &Queue<Vec<u8>, Bytes>) -> Vec<u64> {
    std::iter::from_fn(|| {
        let delivery = queue.try_recv().ok()?;
        let number = delivery.number();
        delivery.ack();
        Some(number)
    })
    .collect()
}

#[test]
fn while_consumers_keep_up_nothing_touches_the_disk() {
    let disk = SimDisk::reliable(1);
    let queue = spilling(&disk).open("/sim/queue").expect("a queue");
    for round in 0..1_000_u64 {
        queue.push(round.to_le_bytes().repeat(100)).expect("there is room");
        assert_eq!(queue.pop().expect("an item"), round.to_le_bytes().repeat(100));
    }
    assert_eq!(disk.contents().len(), 1, "the lock is all there is");
}

#[test]
fn memory_stays_within_its_budget_whatever_waits() {
    let disk = SimDisk::reliable(1);
    let queue = spilling(&disk).open("/sim/queue").expect("a queue");
    let mut held = Vec::new();
    for round in 0..3_000 {
        queue.push(vec![7; 700]).expect("there is room");
        if round % 3 == 0 {
            held.push(queue.try_recv().expect("an item"));
        }
        if held.len() > 40 {
            held.remove(0).ack();
        }
        let found = queue.stats().memory_bytes;
        assert!(found <= MEMORY as u64, "{found} bytes in round {round}");
    }
    assert!(queue.stats().items_on_disk > 1_000);
    drop(held);
    assert_eq!(queue.len(), numbers(&queue).len() as u64);
    assert_eq!(queue.stats().memory_bytes, 0);
}

#[test]
fn what_is_handed_out_leaves_room_for_what_is_read_next() {
    let disk = SimDisk::reliable(1);
    let queue = spilling(&disk).open("/sim/queue").expect("a queue");
    for _ in 0..200 {
        queue.push(vec![0; 1_000]).expect("there is room");
    }
    while queue.stats().items_on_disk > 100 {
        queue.pop().expect("an item");
    }
    for _ in 0..100 {
        queue.push(vec![0; 1_000]).expect("there is room");
    }
    let mut held = Vec::new();
    for _ in 0..24 {
        held.push(queue.recv().expect("an item"));
        let found = queue.stats().memory_bytes;
        assert!(found <= MEMORY as u64, "{found} bytes with {} handed out", held.len());
    }
}

#[test]
fn a_full_queue_does_what_it_is_told() {
    for (when_full, kept) in [
        (WhenFull::Block, 0..3),
        (WhenFull::Reject, 0..3),
        (WhenFull::DropNewest, 0..3),
        (WhenFull::DropOldest, 7..10),
    ] {
        for mode in [Mode::Spill, Mode::Durable(SyncPolicy::Never)] {
            let disk = SimDisk::reliable(1);
            let options = spilling(&disk).mode(mode).items_max(3).when_full(when_full);
            let queue = options.open("/sim/queue").expect("a queue");
            let (mut refused, mut dropped) = (0, 0);
            for item in 0..10_u8 {
                match queue.try_push(vec![item]) {
                    Ok(Some(_)) => {}
                    Ok(None) => dropped += 1,
                    Err(error) => {
                        assert!(matches!(*error.source, Error::Full), "{error:?}");
                        assert_eq!(error.item, Some(vec![item]));
                        refused += 1;
                    }
                }
            }
            let told = format!("{when_full:?} {mode:?}");
            let expected = match when_full {
                WhenFull::DropNewest => (0, 7, 7),
                WhenFull::DropOldest => (0, 0, 7),
                _ => (7, 0, 0),
            };
            assert_eq!((refused, dropped, queue.stats().dropped), expected, "{told}");
            let items: Vec<_> = std::iter::from_fn(|| queue.try_pop().ok()).collect();
            assert_eq!(items, kept.clone().map(|item| vec![item]).collect::<Vec<_>>(), "{told}");
        }
    }
}

#[test]
fn a_limit_on_the_disk_holds_in_both_modes() {
    for mode in [Mode::Spill, Mode::Durable(SyncPolicy::Never)] {
        let disk = SimDisk::reliable(1);
        let options = spilling(&disk).mode(mode).disk_bytes_max(300_000);
        let queue = options.when_full(WhenFull::Reject).open("/sim/queue").expect("a queue");
        let mut pushed = 0;
        let refused = loop {
            match queue.push(vec![1; 900]) {
                Ok(_) => pushed += 1,
                Err(error) => break error,
            }
            assert!(queue.stats().disk_bytes <= 300_000);
            assert!(pushed < 10_000);
        };
        assert!(matches!(*refused.source, Error::Full) && refused.item.is_some(), "{refused:?}");
        assert!(pushed > 80, "{mode:?}: {pushed}");
        // Half of it is received: there is room again.
        for _ in 0..pushed / 2 {
            queue.pop().expect("an item");
        }
        queue.push(vec![1; 900]).expect("there is room");
        assert_eq!(numbers(&queue).len(), pushed - pushed / 2 + 1, "{mode:?}");
    }
}

#[test]
fn a_full_disk_gives_the_item_back_and_costs_nothing() {
    for mode in [Mode::Spill, Mode::Durable(SyncPolicy::Never)] {
        let disk = SimDisk::reliable(1);
        let queue = spilling(&disk).mode(mode).open("/sim/queue").expect("a queue");
        for _ in 0..20 {
            queue.push(vec![2; 900]).expect("there is room");
        }
        disk.fill_up();
        let mut pushed = 20;
        let refused = loop {
            match queue.push_batch(vec![vec![3; 900]; 3]) {
                Ok(_) => pushed += 3,
                Err(error) => break error,
            }
            assert!(pushed < 1_000);
        };
        assert!(matches!(*refused.source, Error::NoSpace { .. }), "{refused:?}");
        assert_eq!(refused.item.map(|items| items.len()), Some(3));
        let items = std::iter::from_fn(|| queue.try_pop().ok());
        assert_eq!(items.count(), pushed, "{mode:?}");
        queue.push(vec![4]).expect("there is room");
    }
}

#[test]
fn items_larger_than_memory_or_a_segment_go_through_one_at_a_time() {
    for mode in [Mode::Spill, Mode::Durable(SyncPolicy::Never)] {
        let disk = SimDisk::reliable(1);
        let queue = spilling(&disk).mode(mode).open("/sim/queue").expect("a queue");
        for item in 0..5_u8 {
            queue.push(vec![item; 300_000]).expect("there is room");
        }
        let memory = queue.stats().memory_bytes;
        assert!(memory <= MEMORY as u64, "{mode:?}: {memory}");
        for item in 0..5_u8 {
            assert_eq!(queue.pop().expect("an item"), vec![item; 300_000]);
        }
        assert!(queue.is_empty());
    }
}

#[test]
fn a_batch_that_can_never_fit_is_refused() {
    let disk = SimDisk::reliable(1);
    let queue = spilling(&disk).items_max(3).open("/sim/queue").expect("a queue");
    let refused = queue.push_batch(vec![vec![1]; 4]).expect_err("too many");
    assert!(matches!(*refused.source, Error::TooManyItems { found: 4, max: 3 }), "{refused:?}");
    assert_eq!(refused.item.map(|items| items.len()), Some(4));
    let options = spilling(&disk.other_process()).mode(Mode::Durable(SyncPolicy::Never));
    let queue = options.disk_bytes_max(50_000).open("/sim/other").expect("a queue");
    let refused = queue.push(vec![1; 60_000]).expect_err("too large");
    assert!(matches!(*refused.source, Error::TooLarge { .. }), "{refused:?}");
}

#[test]
fn whoever_waits_for_room_goes_on_when_an_item_is_acknowledged_or_the_queue_is_closed() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = QueueOptions::new(Bytes).items_max(1);
    let queue = options.open(directory.path()).expect("a queue");
    queue.push(vec![1]).expect("there is room");
    assert!(queue.push_timeout(vec![2], Duration::from_millis(5)).is_err());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| queue.push(vec![2]));
        assert_eq!(queue.pop().expect("the first one"), [1]);
        assert_eq!(waiting.join().expect("no panic").expect("there is room"), Some(1));
        let waiting = scope.spawn(|| queue.push(vec![3]));
        queue.close().expect("nothing fails");
        let refused = waiting.join().expect("no panic").expect_err("it is closed");
        assert!(matches!(*refused.source, Error::Closed) && refused.item == Some(vec![3]));
    });
    assert_eq!(queue.pop().expect("the second one"), [2]);
    assert!(matches!(queue.recv(), Err(Error::Closed)));
}

#[test]
fn a_failed_sync_is_told_and_nothing_more_is_taken_in() {
    let disk = SimDisk::new(1, 512);
    let options = spilling(&disk).mode(Mode::Durable(SyncPolicy::Always));
    let queue = options.open("/sim/queue").expect("a queue");
    queue.push(vec![1]).expect("nothing fails");
    disk.fail_next_sync(true);
    let failed = queue.push(vec![2]).expect_err("its sync fails");
    assert!(matches!(*failed.source, Error::Io { .. }) && failed.item.is_none(), "{failed:?}");
    for _ in 0..3 {
        let refused = queue.push(vec![3]).expect_err("it is poisoned");
        assert!(matches!(*refused.source, Error::Poisoned { .. }), "{refused:?}");
        assert_eq!(refused.item, Some(vec![3]));
        assert!(matches!(queue.sync(), Err(Error::Poisoned { .. })));
        assert_eq!(queue.durable(), 1);
    }
    assert_eq!(queue.pop().expect("what was there stays"), [1]);
}

/// Cannot read one item.
#[derive(Debug, Clone)]
struct Forgetful;

impl Codec<Vec<u8>> for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }

    fn encode(&self, item: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        Bytes.encode(item, out)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        if bytes.first() == Some(&100) { Err("which one was it".into()) } else { Ok(bytes.into()) }
    }
}

/// Panics for one item, where it is written.
#[derive(Debug, Clone)]
struct Touchy;

impl Codec<Vec<u8>> for Touchy {
    fn name(&self) -> &'static str {
        "touchy"
    }

    fn encode(&self, item: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        assert!(item.first() != Some(&100), "not this one");
        out.extend_from_slice(item);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        Ok(bytes.to_vec())
    }

    fn encoded_bytes(&self, item: &Vec<u8>) -> Option<usize> {
        Some(item.len())
    }
}

#[test]
fn a_codec_that_panics_costs_no_item() {
    let disk = SimDisk::reliable(1);
    let options = QueueOptions::new(Touchy).memory_bytes(MEMORY).on(&disk);
    let queue = options.open("/sim/queue").expect("a queue");
    let pushed = (0..200_u8).take_while(|&item| {
        let push = || queue.push(vec![item; 1_000]);
        catch_unwind(AssertUnwindSafe(push)).is_ok_and(|pushed| pushed.is_ok())
    });
    let pushed = pushed.count();
    assert!((50..200).contains(&pushed), "{pushed}");
    for item in 0..pushed {
        assert_eq!(usize::from(queue.pop().expect("an item")[0]), item);
    }
    assert!(queue.is_empty());
}

#[test]
fn an_empty_queue_always_has_room_however_little_disk_it_may_take() {
    for mode in [Mode::Spill, Mode::Durable(SyncPolicy::Never)] {
        let disk = SimDisk::reliable(1);
        let options = spilling(&disk).mode(mode).disk_bytes_max(30_000).segment_bytes(4096);
        let queue = options.open("/sim/queue").expect("a queue");
        for _ in 0..200 {
            queue.try_push(vec![5; 100]).expect("there is room");
            queue.pop().expect("an item");
        }
    }
}

#[test]
fn dropping_stops_where_it_would_free_nothing() {
    let disk = SimDisk::reliable(1);
    let options = spilling(&disk).mode(Mode::Durable(SyncPolicy::Never)).disk_bytes_max(60_000);
    let options = options.segment_bytes(4096).when_full(WhenFull::DropOldest);
    let queue = options.open("/sim/queue").expect("a queue");
    queue.push(vec![6; 100]).expect("there is room");
    let held = queue.recv().expect("an item");
    let refused = (0..1_000).find_map(|_| queue.try_push(vec![6; 100]).err());
    assert!(refused.is_some_and(|refused| matches!(*refused.source, Error::Full)));
    assert_eq!(queue.stats().dropped, 0);
    held.ack();
    queue.try_push(vec![6; 100]).expect("the oldest ones go");
    assert!(queue.stats().dropped > 0);
}

#[test]
fn nothing_is_dropped_for_a_disk_that_others_have_filled() {
    let disk = SimDisk::reliable(1);
    let options = spilling(&disk).mode(Mode::Durable(SyncPolicy::Never)).segment_bytes(4096);
    let options = options.disk_free_min(1 << 20).when_full(WhenFull::DropOldest);
    let queue = options.open("/sim/queue").expect("a queue");
    queue.push(vec![6; 100]).expect("there is room");
    disk.fill_up();
    let refused = (0..100).find_map(|_| queue.try_push(vec![6; 100]).err());
    assert!(refused.is_some_and(|refused| matches!(*refused.source, Error::Full)));
    assert_eq!(queue.stats().dropped, 0, "the disk");

    let disk = SimDisk::reliable(1);
    let budget = DiskBudget::new(100_000);
    let durable = spilling(&disk).mode(Mode::Durable(SyncPolicy::Never)).segment_bytes(4096);
    let durable = durable.disk_budget(&budget).when_full(WhenFull::Reject);
    let others = durable.open("/sim/others").expect("a queue");
    let queue = durable.when_full(WhenFull::DropOldest).open("/sim/queue").expect("a queue");
    queue.push(vec![6; 100]).expect("there is room");
    while others.push(vec![6; 1_000]).is_ok() {}
    let refused = queue.try_push(vec![6; 9_000]).expect_err("more than what it has makes room for");
    assert!(matches!(*refused.source, Error::Full), "{refused:?}");
    assert_eq!(queue.stats().dropped, 0, "a budget");
    queue.try_push(vec![6; 4_000]).expect("what it has goes for it");
    assert_eq!((queue.stats().dropped, queue.len()), (1, 1));
}

#[test]
fn a_push_that_drops_the_oldest_is_told_nothing_that_a_receiver_is_to_know() {
    let disk = SimDisk::reliable(1);
    let options = QueueOptions::new(Forgetful).when_full(WhenFull::DropOldest).items_max(200);
    let options = options.memory_bytes(MEMORY).segment_bytes(16 << 10).on(&disk);
    let queue = options.open("/sim/queue").expect("a queue");
    for number in 0..200_u8 {
        queue.push([number].repeat(900)).expect("there is room");
    }
    // It takes what comes before the one that cannot be decoded.
    let received = queue.recv_batch(200).expect("items").len();
    assert!(received < 200, "{received}");
    queue.push([200].repeat(900)).expect("the oldest one goes, or has gone");
    queue.push([201].repeat(900)).expect("the oldest one goes");
    assert!(matches!(queue.try_recv(), Err(Error::Decode { .. })), "it was told later");
}

#[test]
fn a_disk_that_became_read_only_ends_the_taking_in() {
    for call in 0..3 {
        let disk = SimDisk::new(1, 512);
        let options = spilling(&disk).mode(Mode::Durable(SyncPolicy::Never));
        let queue = options.open("/sim/queue").expect("a queue");
        queue.push(vec![1]).expect("nothing fails");
        disk.fail_a_call(call, false, Errno::ROFS.raw_os_error());
        queue.sync().expect_err("a call fails");
        assert_eq!(disk.mend_calls(), 1);
        assert!(matches!(queue.sync(), Err(Error::Poisoned { .. })), "call {call}");
        assert!(queue.push(vec![2]).is_err(), "call {call}");
    }
}

#[test]
fn a_frame_that_failed_and_one_that_finds_no_room_cost_nothing() {
    let disk = SimDisk::reliable(1);
    let options = spilling(&disk).mode(Mode::Durable(SyncPolicy::Always)).segment_bytes(4096);
    let queue = options.open("/sim/queue").expect("a queue");
    // The segment's header is written, and zeros for its frames; the first frame is not.
    disk.fail_a_call(5, false, Errno::IO.raw_os_error());
    let refused = queue.push(vec![1; 100]).expect_err("a call fails");
    assert!(matches!(*refused.source, Error::Io { action: "write", .. }), "{refused:?}");
    assert_eq!(disk.mend_calls(), 1);
    disk.fill_up();
    queue.push(vec![2; 9_000]).expect_err("a segment of its own finds no room");
    // What a push returns from now on is there afterwards.
    let pushed = (0..3).filter(|_| queue.push(vec![3; 100]).is_ok()).count() as u64;
    drop(queue);
    let queue = options.on(&disk.other_process()).open::<Vec<u8>>("/sim/queue").expect("a queue");
    assert_eq!(queue.len(), pushed);
}

#[test]
fn numbers_beyond_all_reason_are_made_reasonable() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = QueueOptions::new(Bytes)
        .memory_bytes(usize::MAX)
        .disk_bytes_max(u64::MAX)
        .items_max(u64::MAX);
    let queue = options.open(directory.path()).expect("a queue");
    queue.push_timeout(vec![1], Duration::MAX).expect("there is room");
    assert_eq!(queue.recv_timeout(Duration::MAX).expect("an item").ack(), [1]);
    drop(queue);
    let options = options.segment_bytes(u64::MAX).mode(Mode::Durable(SyncPolicy::Always));
    let queue = options.open(directory.path()).expect("a queue");
    // No file system has such a file.
    queue.push(vec![1]).expect_err("it has no room");
    assert!(queue.is_empty());
}

#[test]
fn what_is_compressed_takes_less_disk_and_any_queue_reads_it() {
    let disk = SimDisk::reliable(1);
    let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never)).on(&disk);
    let item = |number: u8| [vec![number; 900], b"and its end".to_vec()].concat();
    let mut sizes = Vec::new();
    for (at, compression) in [Compression::None, Compression::Lz4].into_iter().enumerate() {
        let queue = options.clone().compression(compression).open(format!("/sim/{at}"));
        let queue = queue.expect("a queue");
        for number in 0..100 {
            queue.push(item(number)).expect("there is room");
        }
        drop(queue);
        let queue = options.open(format!("/sim/{at}")).expect("it opens");
        sizes.push(queue.stats().disk_bytes - 20_480);
        for number in 0..100 {
            assert_eq!(queue.pop().expect("an item"), item(number));
        }
    }
    assert!(sizes[1] * 5 < sizes[0], "{sizes:?}");
}

#[test]
fn what_the_disk_is_to_keep_free_is_left_free() {
    for mode in [Mode::Spill, Mode::Durable(SyncPolicy::Never)] {
        let disk = SimDisk::reliable(1);
        let options = spilling(&disk).mode(mode).disk_free_min(SimDisk::BYTES - 300_000);
        let queue = options.when_full(WhenFull::Reject).open("/sim/queue").expect("a queue");
        let refused = (0..2_000).find_map(|_| queue.push(vec![1; 900]).err()).expect("a limit");
        assert!(matches!(*refused.source, Error::Full) && refused.item.is_some(), "{refused:?}");
        let found = queue.stats().disk_bytes;
        assert!((200_000..=300_000).contains(&found), "{mode:?}: {found}");
    }
}

#[test]
fn an_item_that_comes_back_too_often_goes_to_the_dead_letters() {
    let disk = SimDisk::reliable(1);
    let queue = spilling(&disk).open("/sim/queue").expect("a queue");
    let dead = spilling(&disk).items_max(1).open("/sim/dead").expect("a queue");
    let letters = dead.clone();
    let take = move |item| match letters.try_push(item) {
        Err(PushError { item: Some(item), .. }) => Err(item),
        _ => Ok(()),
    };
    assert!(queue.dead_letters(3, take));
    assert!(!queue.dead_letters(1, |_| Ok(())), "the first one stays");
    queue.push_batch(vec![vec![1], vec![2]]).expect("there is room");
    for attempts in 1..=3 {
        let delivery = queue.try_recv().expect("an item");
        assert_eq!((&delivery[..], delivery.attempts()), (&[1][..], attempts));
    }
    assert_eq!((queue.len(), queue.stats().dead), (1, 1));
    assert_eq!(dead.len(), 1);
    // There is no room for a second one: it stays where it is.
    for _ in 0..5 {
        assert_eq!(queue.try_recv().expect("an item")[..], [2]);
    }
    assert_eq!(dead.pop().expect("an item"), [1]);
    drop(queue.try_recv().expect("an item"));
    assert!(queue.is_empty());
    assert_eq!(dead.pop().expect("an item"), [2]);
}

#[test]
fn dead_letters_that_panic_over_an_item_have_it() {
    let disk = SimDisk::reliable(1);
    let queue = spilling(&disk).open("/sim/queue").expect("a queue");
    assert!(queue.dead_letters(1, |_: Vec<u8>| panic!("over an item")));
    queue.push(vec![1]).expect("there is room");
    let delivery = queue.try_recv().expect("an item");
    assert!(catch_unwind(AssertUnwindSafe(|| drop(delivery))).is_err());
    let stats = queue.stats();
    assert_eq!((queue.len(), stats.leased, stats.dead, stats.memory_bytes), (0, 0, 1, 0));
}

#[test]
fn a_segment_that_has_come_to_its_age_takes_no_more() {
    let disk = SimDisk::reliable(1);
    let options = spilling(&disk).mode(Mode::Durable(SyncPolicy::Never)).segment_bytes(4096);
    let options = options.segment_age(Duration::from_secs(60)).when_full(WhenFull::Reject);
    let queue = options.open("/sim/queue").expect("a queue");
    queue.push(vec![1; 100]).expect("there is room");
    disk.advance(Duration::from_secs(59));
    queue.push(vec![1; 100]).expect("there is room");
    assert_eq!(queue.stats().segments, 1);
    disk.advance(Duration::from_secs(1));
    queue.push(vec![1; 100]).expect("there is room");
    assert_eq!(queue.stats().segments, 2, "one that is old takes no more");
}

#[test]
fn who_waits_for_a_disk_that_others_fill_looks_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
    let queue = options.disk_free_min(u64::MAX / 2).open(directory.path()).expect("a queue");
    let begun = Instant::now();
    let refused = queue.push_timeout(vec![1], Duration::from_millis(250)).expect_err("no room");
    assert!(matches!(*refused.source, Error::Full) && begun.elapsed().as_millis() >= 250);
}
