//! A budget on memory: what is resident and dirty stays within it, and nothing else changes.

use std::{
    fs::OpenOptions,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use ringkeep::{Error, Io, Producer, Read, ReadOptions, Ring, RingOptions, Stats, WriteOptions};

use ringkeep_torture::form::Form;

use crate::support::{Home, PATIENCE, eventually, form, payload, payloads, skip};

const SIZE: usize = 124;
const MIB: u64 = 1 << 20;

/// Keeps the most that it is shown.
#[derive(Debug, Default)]
struct Most {
    resident: u64,
    /// `None` where the kernel does not tell.
    dirty: Option<u64>,
}

impl Most {
    fn see(&mut self, stats: &Stats) {
        self.resident = self.resident.max(stats.resident_bytes.expect("smaps can be read"));
        self.dirty = self.dirty.max(stats.dirty_bytes);
    }
}

/// What a producer in full flow and readers of every kind need at most, all in this process.
fn most_at_work(producer: &mut Producer) -> Most {
    let batch = payloads(0..4096, SIZE);
    let (ring, stop) = (producer.ring(), AtomicBool::new(false));
    let walk = |back: bool| {
        let mut seen = 0_u64;
        while !stop.load(Relaxed) {
            let ids = ring.oldest().expect("good pages")..ring.next_id().expect("good pages");
            let mut cursor = ring.range(ids);
            while !stop.load(Relaxed) {
                let found = if back { cursor.next_back() } else { cursor.next() };
                match found.expect("good pages") {
                    Some(_) => seen += 1,
                    None => break,
                }
            }
        }
        seen
    };
    let random = || {
        let (mut random, mut out) = (fastrand::Rng::with_seed(1), [0; SIZE]);
        while !stop.load(Relaxed) {
            let ids = ring.oldest().expect("good pages")..ring.next_id().expect("good pages");
            let id = random.u64(ids);
            let read = ring.read_into(id, &mut out).expect("good pages");
            assert!(read != Read::Record(()) || out == payload(id % 4096, SIZE)[..]);
        }
    };
    thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut most = Most::default();
            while !stop.load(Relaxed) {
                most.see(&ring.stats().expect("statistics"));
            }
            most
        });
        // Readers find a window on what they want.
        producer.append_batch(&batch).expect("a batch");
        let walkers = [scope.spawn(|| walk(false)), scope.spawn(|| walk(true))];
        scope.spawn(random);
        let slots = producer.ring().geometry().slots;
        let mut random = fastrand::Rng::with_seed(2);
        while producer.ring().next_id().expect("good pages") < slots + slots / 2 {
            producer.append_batch(&batch).expect("a batch");
            for _ in 0..4 {
                let kept = ring.oldest().expect("good pages")..ring.next_id().expect("good pages");
                let id = random.u64(kept);
                producer.update(id, &payload(id % 4096, SIZE)).expect("a kept record");
            }
        }
        stop.store(true, Relaxed);
        for walker in walkers {
            assert!(walker.join().expect("a walker") > 0);
        }
        sampler.join().expect("the sampler")
    })
}

#[test]
fn what_is_resident_and_dirty_stays_within_the_budget() {
    if form() != Form::Mapped {
        return;
    }
    let (budget, capacity) = (16 * MIB, 64 * MIB / 128);
    let options = RingOptions::new(SIZE, capacity);
    for options in [options.clone(), options.clone().io(Io::File)] {
        let home = Home::on_disk();
        let mut producer = options.resident_budget(budget).create(home.path()).unwrap();
        assert_eq!(producer.ring().stats().unwrap().resident_budget, Some(budget));
        let most = most_at_work(&mut producer);
        assert!(most.resident <= budget, "{most:?}");
        match most.dirty {
            Some(dirty) => assert!(dirty <= budget, "{most:?}"),
            None => skip("dirty bytes under a budget", "they can be asked for from Linux 6.5 on"),
        }
        assert_eq!(producer.ring().verify(|_| {}).unwrap().corrupt, 0);
    }
    // What the same work takes without one: the measure measures.
    let home = Home::on_disk();
    let most = most_at_work(&mut options.create(home.path()).unwrap());
    assert!(most.resident > 3 * budget, "{most:?}");
    assert!(most.dirty.is_none_or(|dirty| dirty > budget), "{most:?}");
}

#[test]
fn a_reader_of_its_own_keeps_to_its_budget_too() {
    let home = Home::new();
    let capacity = 16 * MIB / 128;
    let mut producer = RingOptions::new(SIZE, capacity).create(home.path()).unwrap();
    producer.append_batch(&payloads(0..capacity, SIZE)).unwrap();
    let resident_after_a_walk = |ring: &Ring| {
        let records = ring.range(0..capacity).records();
        assert_eq!(records.flatten().count() as u64, capacity);
        ring.stats().unwrap().resident_bytes.expect("smaps can be read")
    };
    let open = |budget| ReadOptions::new().resident_budget(budget).open(home.path()).unwrap();
    let bounded = resident_after_a_walk(&open(MIB));
    assert!(bounded <= MIB, "{bounded} bytes are resident");
    // A budget for everything changes nothing; one byte less does.
    let whole = whole_bytes(&producer.ring());
    assert!(resident_after_a_walk(&open(whole)) >= 15 * MIB);
    assert!(resident_after_a_walk(&open(whole - 1)) <= MIB);
}

/// The least budget that an archive fits into: its files, each up to the end of its last page.
fn whole_bytes(ring: &Ring) -> u64 {
    let geometry = ring.geometry();
    geometry.bytes_on_disk() + u64::from(geometry.shards) * 4096
}

#[test]
fn a_budget_that_is_too_small_is_refused_with_the_least_that_would_do() {
    let home = Home::new();
    let options = RingOptions::new(5000, 1000);
    let refused = options.clone().resident_budget(1).create(home.path()).unwrap_err();
    let Error::BudgetTooSmall { path, found: 1, needed } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(path, home.path());
    // Nothing is left of it.
    assert_eq!(home.names(), [""; 0]);
    let least = options.clone().resident_budget(needed);
    assert!(options.resident_budget(needed - 1).create(home.path()).is_err());
    let mut producer = least.create(home.path()).unwrap();
    // The least does do.
    producer.append_batch(&payloads(0..2500, 5000)).unwrap();
    assert_eq!(producer.ring().verify(|_| {}).unwrap().corrupt, 0);
    producer.close().unwrap();

    let write = |budget| WriteOptions::new().resident_budget(budget).open(home.path());
    assert!(matches!(write(needed - 1), Err(Error::BudgetTooSmall { .. })));
    let before = home.state();
    let read = |budget| ReadOptions::new().resident_budget(budget).open(home.path());
    let Err(Error::BudgetTooSmall { needed: for_readers, .. }) = read(1) else {
        panic!("read with one byte");
    };
    assert!(for_readers < needed);
    assert!(read(for_readers - 1).is_err());
    assert_eq!(read(for_readers).unwrap().read(2400).unwrap().record().unwrap().len(), 5000);
    assert!(home.state() == before, "a reader changed something");
    assert!(write(needed).is_ok());
}

#[test]
fn a_budget_for_the_whole_archive_shows_records_in_place() {
    let home = Home::new();
    let options = RingOptions::new(8, 10_000);
    // Neighbouring slots lie back to back, copies in one buffer of their own.
    let shown_in_place = |producer: &mut Producer| {
        producer.append_batch(b"a recordanother.").unwrap();
        let ring = producer.ring();
        let newest = ring.next_id().unwrap() - 1;
        let address = |id| ring.view(id, |shown| shown.as_ptr().addr()).unwrap().record().unwrap();
        address(newest) == address(newest - 1) + 12
    };
    let mut producer = options.create(home.path()).unwrap();
    let whole = whole_bytes(&producer.ring());
    assert!(shown_in_place(&mut producer));
    producer.close().unwrap();
    let open = |budget| WriteOptions::new().resident_budget(budget).open(home.path()).unwrap();
    assert!(shown_in_place(&mut open(whole)));
    assert!(!shown_in_place(&mut open(whole - 1)));
}

#[test]
fn a_file_that_is_cut_short_under_its_producer_takes_no_more_records() {
    for options in [WriteOptions::new().io(Io::File), WriteOptions::new().smallest_budget()] {
        let home = Home::new();
        RingOptions::new(8, 3000).shards(3).create(home.path()).unwrap().close().unwrap();
        let mut producer = options.open(home.path()).unwrap();
        let first_of_second = producer.ring().geometry().slots_per_shard;
        producer.append_batch(&payloads(0..first_of_second, 8)).unwrap();
        let second = OpenOptions::new().write(true).open(home.shard(1)).unwrap();
        second.set_len(4096).unwrap();
        // Stores by position look once a block.
        let block = 256;
        let mut results = (0..=block).map(|_| producer.append(b"too late"));
        let refused = results.find_map(Result::err).expect("a refusal");
        let Error::CutShort { path, .. } = refused else {
            panic!("{options:?}: {refused:?}");
        };
        assert_eq!(path, home.shard(1));
        let first = producer.ring().read(0).unwrap();
        assert_eq!(first.record().unwrap(), payload(0, 8));
    }
}

#[test]
fn every_shard_that_the_next_records_go_to_is_looked_at() {
    let home = Home::new();
    let options = RingOptions::new(8, 3000).shards(60).io(Io::File);
    let mut producer = options.create(home.path()).unwrap();
    let third = OpenOptions::new().write(true).open(home.shard(3)).unwrap();
    third.set_len(4096).unwrap();
    let refused = producer.append(b"too late").unwrap_err();
    assert!(matches!(refused, Error::CutShort { found_bytes: 4096, .. }), "{refused:?}");
    // What is cut stays cut: a file that grows again would hide the loss.
    assert_eq!(third.metadata().unwrap().len(), 4096);
}

#[test]
fn a_producer_by_position_wakes_readers_of_its_mapping() {
    let home = Home::new();
    let mut producer = RingOptions::new(8, 100).io(Io::File).create(home.path()).unwrap();
    let ring = Ring::open(home.path()).unwrap();
    let received = std::sync::atomic::AtomicU64::new(0);
    // Sleepers that nobody wakes look again twice a second: so many would take too long.
    let count = 300;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut tailer = ring.tailer(ringkeep::Start::Oldest);
            // None once nothing more is appended.
            while received.load(Relaxed) < count && tailer.next_timeout(PATIENCE).unwrap().is_some()
            {
                received.fetch_add(1, Relaxed);
            }
        });
        eventually("300 records reach a mapped reader", || {
            let seen = received.load(Relaxed);
            if seen < count && producer.ring().next_id().unwrap() == seen {
                producer.append(&seen.to_le_bytes()).unwrap();
            }
            seen == count
        });
    });
}

#[test]
fn readers_outlive_their_producer_by_position_and_follow_the_next() {
    let home = Home::new();
    for options in [WriteOptions::new().io(Io::File), WriteOptions::new().smallest_budget()] {
        let mut first = RingOptions::new(8, 100).create(home.path()).unwrap();
        first.append(b"record 0").unwrap();
        first.close().unwrap();
        let producer = options.open(home.path()).unwrap();
        let ring = producer.ring();
        drop(producer);
        let mut next = options.open(home.path()).unwrap();
        next.append(b"record 1").unwrap();
        assert_eq!(ring.next_id().unwrap(), 2);
        assert_eq!(ring.read(1).unwrap().record().unwrap(), b"record 1");
        drop(next);
        std::fs::remove_file(home.path()).unwrap();
    }
}
