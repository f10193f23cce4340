//! Searching by time, whatever the clock did.

use std::{
    collections::BTreeMap,
    ops::{Bound, Range},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ringkeep::{Error, Meter, Producer, Read, Ring, RingOptions, Start, Tailed};

use crate::support::{Home, open_producer, open_ring, ring_options, shows_in_place};

const SCHEMA: &str = "value:u32, t:time_ms";

fn options(capacity: u64) -> RingOptions {
    ring_options(12, capacity).schema(SCHEMA).shards(3)
}

fn record(millis: i64) -> Vec<u8> {
    [&[7; 4][..], &millis.to_le_bytes()].concat()
}

fn at(millis: i64) -> SystemTime {
    let length = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { UNIX_EPOCH - length } else { UNIX_EPOCH + length }
}

/// Every kept id in order, with its time if it is a record: the slow and certain way.
fn scan(ring: &Ring) -> BTreeMap<u64, Option<i64>> {
    let time = |payload: &[u8]| i64::from_le_bytes(payload[4..].try_into().expect("8 bytes"));
    let mut found = BTreeMap::new();
    let mut cursor =
        ring.range(ring.oldest().expect("good pages")..ring.next_id().expect("good pages"));
    while let Some((id, read)) = cursor.next().expect("good pages") {
        found.insert(id, read.record().ok().map(time));
    }
    found
}

/// The ids of the records that a search finds, and the ids without a record that it lends.
fn search(ring: &Ring, times: Range<i64>) -> (Vec<u64>, Vec<u64>) {
    let (mut records, mut holes) = (Vec::new(), Vec::new());
    let mut cursor = ring.range_by_time(at(times.start)..at(times.end)).expect("good pages");
    while let Some((id, read)) = cursor.next().expect("good pages") {
        let list = if matches!(read, Read::Record(_)) { &mut records } else { &mut holes };
        list.push(id);
    }
    (records, holes)
}

fn assert_found(ring: &Ring, times: Range<i64>, context: &str) {
    let all = scan(ring);
    let (records, holes) = search(ring, times.clone());
    let wanted = |time: &Option<i64>| time.is_some_and(|time| times.contains(&time));
    let expected: Vec<u64> =
        all.iter().filter(|(_, time)| wanted(time)).map(|(&id, _)| id).collect();
    assert_eq!(records, expected, "{context}: {times:?} of {all:?}");
    // A hole between two records of the range may belong to it.
    if let (Some(&first), Some(&last)) = (expected.first(), expected.last()) {
        for (id, time) in all.range(first..last) {
            assert!(time.is_some() || holes.contains(id), "{context}: hole {id} is not told");
        }
    }
    let late = |time: &Option<i64>| time.is_some_and(|time| time >= times.start);
    let first = all.iter().find(|(_, time)| late(time)).map(|(&id, _)| id);
    let first = first.unwrap_or(ring.next_id().expect("good pages"));
    assert_eq!(ring.tailer(Start::Time(at(times.start))).position(), first, "{context}");
}

/// What the clock of a random ring does from one record to the next.
fn tick(random: &mut fastrand::Rng, clock: &mut i64, manner: u8) {
    match manner {
        1 if random.u8(..20) == 0 => *clock -= random.i64(0..300),
        0 | 1 => *clock += random.i64(0..5),
        _ => *clock = random.i64(-500..500),
    }
}

fn change(random: &mut fastrand::Rng, producer: &mut Producer, time: i64) {
    let ring = producer.ring();
    let next = ring.next_id().expect("good pages");
    let kept = ring.oldest().expect("good pages")..next;
    match random.u8(..40) {
        0 => producer.append_at(next + random.u64(0..8), &record(time)).expect("an append"),
        // Over everything that is kept.
        3 => {
            let capacity = ring.geometry().capacity;
            producer.append_at(next + capacity, &record(time)).expect("a jump");
        }
        // An id without a record cannot be changed: that is no failure here.
        1 if !kept.is_empty() => drop(producer.delete(random.u64(kept))),
        2 if !kept.is_empty() => drop(producer.update(random.u64(kept), &record(time))),
        _ => drop(producer.append(&record(time)).expect("an append")),
    }
}

#[test]
fn a_range_of_time_is_what_a_plain_scan_finds() {
    // Goal: exactly the records with from <= t < to, in id order, whatever the clock did.
    // Method: random clocks (steady, set back now and then, senseless), gaps, deletes, changed
    // times, laps and new producers; each search is compared with a scan of everything.
    for seed in 0..120 {
        let mut random = fastrand::Rng::with_seed(seed);
        let home = Home::new();
        let options = options(random.u64(1..200));
        let manner = random.u8(..3);
        let mut clock = 0;
        for life in 0..3 {
            let mut producer = options.open_or_create(home.path()).unwrap();
            for _ in 0..random.u32(..150) {
                tick(&mut random, &mut clock, manner);
                change(&mut random, &mut producer, clock);
            }
            let rings = [producer.ring(), open_ring(home.path()).unwrap()];
            for _ in 0..20 {
                let from = random.i64(-600..900);
                let context = format!("seed {seed}, life {life}");
                assert_found(&rings[random.usize(..2)], from..from + random.i64(0..200), &context);
            }
            if random.bool() {
                producer.close().unwrap();
            } else {
                producer.die();
            }
        }
    }
}

#[test]
fn ends_of_a_range_may_be_open_or_belong_to_it() {
    use Bound::{Excluded, Included, Unbounded};
    let home = Home::new();
    let mut producer = options(50).create(home.path()).unwrap();
    for millis in 0..10 {
        producer.append(&record(10 * millis)).unwrap();
    }
    let ring = producer.ring();
    let ids = |times: (Bound<i64>, Bound<i64>)| {
        let times = (times.0.map(at), times.1.map(at));
        let cursor = ring.range_by_time(times).unwrap();
        cursor.records().map(|found| found.unwrap().0).collect::<Vec<_>>()
    };
    assert_eq!(ids((Unbounded, Excluded(30))), [0, 1, 2]);
    assert_eq!(ids((Included(70), Unbounded)), [7, 8, 9]);
    assert_eq!(ids((Excluded(70), Included(80))), [8]);
    assert_eq!(ids((Included(31), Excluded(40))), [0; 0]);
    assert_eq!(ids((Included(40), Excluded(30))), [0; 0]);
    assert_eq!(ids((Unbounded, Unbounded)).len(), 10);
}

#[test]
fn a_part_of_the_ids_is_searched_by_time_too() {
    let home = Home::new();
    let mut producer = options(50).create(home.path()).unwrap();
    for millis in 0..80 {
        producer.append(&record(millis)).unwrap();
    }
    let ring = producer.ring();
    let count = |ids, times| ring.range(ids).within(times).unwrap().records().count();
    assert_eq!(count(40..60, at(50)..at(70)), 10);
    assert_eq!(count(0..u64::MAX, at(0)..at(1000)), 50);
    assert_eq!(count(90..200, at(0)..at(1000)), 0);
    // With no beginning in time, ids that are gone are told.
    let mut early = ring.range(28..32).within(..at(1000)).unwrap();
    assert!(matches!(early.next().unwrap(), Some((28, Read::Lapped { oldest: 30, .. }))));
    assert_eq!(early.records().count(), 3);
}

#[test]
fn the_step_of_the_clock_is_the_most_that_a_time_was_behind() {
    let home = Home::new();
    let step = |producer: &Producer| producer.ring().stats().unwrap().clock_step;
    let mut producer = options(50).create(home.path()).unwrap();
    for (millis, expected) in [(100, 0), (200, 0), (200, 0), (150, 50), (120, 80), (199, 80)] {
        producer.append(&record(millis)).unwrap();
        assert_eq!(step(&producer), Duration::from_millis(expected), "{millis}");
    }
    assert_eq!(open_ring(home.path()).unwrap().stats().unwrap().clock_step.as_millis(), 80);
    producer.die();
    let producer = open_producer(home.path()).unwrap();
    assert_eq!(step(&producer), Duration::from_millis(80));
    producer.close().unwrap();
    // Copied files have another inode: the pages alone must know a step that is large enough.
    let copy = Home::new();
    for shard in 0..3 {
        std::fs::copy(home.shard(shard), copy.shard(shard)).unwrap();
    }
    let told = open_ring(copy.path()).unwrap().stats().unwrap().clock_step;
    assert!((80..=160).contains(&told.as_millis()), "{told:?}");
}

#[test]
fn times_in_no_order_at_all_cost_few_pages() {
    let home = Home::new();
    let mut producer = options(4096).create(home.path()).unwrap();
    producer.append(&record(i64::MAX / 2)).unwrap();
    // Each is farther back than the one before.
    let sequence = || {
        let page = std::fs::read(home.path()).unwrap();
        let at = |offset: usize| u64::from_le_bytes(page[offset..][..8].try_into().unwrap());
        at(8192 + 8).max(at(12288 + 8))
    };
    let before = sequence();
    for back in 1..=1000_i64 {
        producer.append(&record(i64::MAX / 2 - back * back)).unwrap();
    }
    let pages = sequence() - before;
    assert!((15..=40).contains(&pages), "{pages} pages");
}

#[test]
fn a_search_reads_the_logarithm_of_the_ring_while_the_clock_never_stepped() {
    let home = Home::new();
    let meter = Meter::new();
    let mut producer = options(200_000).metered(&meter).create(home.path()).unwrap();
    let records: Vec<u8> = (0..150_000).flat_map(record).collect();
    producer.append_batch(&records).unwrap();
    let reads = |times: Range<i64>| {
        let before = meter.read_bytes();
        let (found, _) = search(&producer.ring(), times.clone());
        assert_eq!(found.len(), times.count());
        // A slot has 16 bytes.
        (meter.read_bytes() - before) / 16
    };
    for start in [0, 1, 77_777, 149_990] {
        // 18 looks, and a page of records with the ten and the one behind them.
        let walk = 4096 / 16 + 11;
        let count = reads(start..start + 10);
        assert!(count <= 18 + walk, "{count} reads from {start}");
    }
}

#[test]
fn times_of_both_ends_of_their_type_are_searched() {
    let home = Home::new();
    let schema = "t:time_s";
    let mut producer = ring_options(8, 50).schema(schema).create(home.path()).unwrap();
    for seconds in [0, i64::MAX, i64::MIN, 5, i64::MAX, 7] {
        producer.append(&seconds.to_le_bytes()).unwrap();
    }
    let ids = |from: SystemTime, to: SystemTime| -> Vec<u64> {
        let cursor = producer.ring().range_by_time(from..to).unwrap();
        cursor.records().map(|found| found.unwrap().0).collect()
    };
    let seconds = |count| UNIX_EPOCH + Duration::from_secs(count);
    assert_eq!(ids(seconds(0), seconds(6)), [0, 3]);
    assert_eq!(ids(seconds(7), seconds(u64::MAX >> 1)), [5]);
    assert_eq!(ids(seconds(u64::MAX >> 1), seconds(u64::MAX >> 1)), [0; 0]);
    assert_eq!(producer.ring().range_by_time(seconds(8)..).unwrap().records().count(), 2);
    assert_eq!(producer.ring().range_by_time(..seconds(0)).unwrap().records().count(), 1);
}

#[test]
fn without_a_time_there_is_no_search_by_it() {
    let home = Home::new();
    let no_time = |error: &Error| matches!(error, Error::NoTime { .. });
    for (name, options) in [
        ("a", ring_options(12, 50)),
        ("b", ring_options(12, 50).schema("value:u32, t:u64")),
        ("c", ring_options(16, 50).schema("t:time_ns*2")),
    ] {
        let mut producer = options.create(home.directory().join(name)).unwrap();
        producer.append(&vec![0; producer.ring().geometry().record_size]).unwrap();
        let ring = producer.ring();
        assert!(no_time(&ring.range_by_time(at(0)..).unwrap_err()), "{name}");
        let mut tailer = ring.tailer(Start::Time(at(0)));
        assert!(no_time(&tailer.try_next().unwrap_err()), "{name}");
    }
}

#[test]
fn a_tailer_starts_at_a_time_and_goes_on_from_there() {
    let home = Home::new();
    let mut producer = options(50).create(home.path()).unwrap();
    for millis in [10, 20, 30, 25, 40] {
        producer.append(&record(millis)).unwrap();
    }
    let ring = open_ring(home.path()).unwrap();
    let mut tailer = ring.tailer(Start::Time(at(26)));
    let mut late = ring.tailer(Start::Time(at(1000)));
    producer.append(&record(50)).unwrap();
    for expected in [2, 3, 4, 5] {
        let Some(Tailed::Record { id, .. }) = tailer.try_next().unwrap() else { panic!() };
        assert_eq!(id, expected);
    }
    assert!(matches!(late.try_next().unwrap(), Some(Tailed::Record { id: 5, .. })));
}

#[test]
fn a_time_that_is_changed_during_a_walk_hides_no_other_record() {
    let home = Home::new();
    let mut producer = options(6000).create(home.path()).unwrap();
    let all: Vec<u8> = (0..5000).flat_map(record).collect();
    producer.append_batch(&all).unwrap();
    let ring = open_ring(home.path()).unwrap();
    let mut cursor = ring.range_by_time(at(10)..at(4000)).unwrap();
    assert!(matches!(cursor.next().unwrap(), Some((10, _))));
    producer.update(2000, &record(1_000_000)).unwrap();
    // All of them but the one that has another time now; it may have been read before.
    let found = cursor.records().count();
    let may_be = usize::from(!shows_in_place());
    assert!((3990 - 2..=3990 - 2 + may_be).contains(&found), "{found}");
}
