//! Reading ahead: cold files are fetched before a walk comes to them, and nothing else changes.

use std::{collections::VecDeque, fs::File};

use ringkeep::{Io, Prefetch, Read, ReadBatch, ReadOptions, Ring};
use rustix::fs::{Advice, fadvise};

use crate::support::{Home, open_ring, payload, payloads, ring_options, skip};

const SIZE: usize = 124;
const CAPACITY: u64 = 8 << 13; // 8 MiB of slots
/// Cold reads that may find the kernel to have been faster.
const TRIES_MAX: u32 = 8;

/// An archive on a disk, several files of it, none of it dirty.
fn on_disk() -> Home {
    let home = Home::on_disk();
    let options = ringkeep::RingOptions::new(SIZE, CAPACITY).shards(3);
    let mut producer = options.create(home.path()).expect("a ring");
    producer.append_batch(&payloads(0..CAPACITY, SIZE)).expect("a batch");
    producer.close().expect("a clean close");
    home
}

/// Lets the page cache forget the files; whether it did.
fn chill(home: &Home) -> bool {
    for shard in 0..3 {
        let file = File::open(home.shard(shard)).expect("a shard");
        fadvise(&file, 0, None, Advice::DontNeed).expect("an advice");
    }
    let stats = Ring::open(home.path()).expect("a ring").stats().expect("statistics");
    let is_cold = stats.cached_bytes.is_some_and(|bytes| bytes < 1 << 20);
    if !is_cold {
        skip("fetching ahead on a cold file", "the page cache cannot be emptied or asked here");
    }
    is_cold
}

/// Reads cold files until it lets so many windows be fetched and comes to all of them: a busy
/// kernel may have them in its cache before they are asked for. `false` where files do not become
/// cold.
fn is_fetched_ahead(
    home: &Home,
    issued_min: u64,
    told: &str,
    read: impl Fn() -> (u64, u64),
) -> bool {
    for _ in 0..TRIES_MAX {
        if !chill(home) {
            return false;
        }
        let (issued, used) = read();
        assert_eq!(used, issued, "{told}");
        if issued >= issued_min {
            return true;
        }
    }
    panic!("{told}: less than {issued_min} windows are fetched");
}

/// Windows that a whole walk lets be fetched, and those of them that it came to.
fn walk(ring: &Ring, back: bool) -> (u64, u64) {
    let mut cursor = ring.range(0..CAPACITY);
    let mut seen = 0;
    loop {
        let found = if back { cursor.next_back() } else { cursor.next() };
        let Some((id, read)) = found.expect("good pages") else { break };
        assert_eq!(id, if back { CAPACITY - 1 - seen } else { seen });
        assert_eq!(read.record().expect("a record"), payload(id, SIZE));
        seen += 1;
    }
    assert_eq!(seen, CAPACITY);
    let stats = ring.stats().expect("statistics");
    (stats.prefetches_issued, stats.prefetches_used)
}

#[test]
fn a_cold_walk_is_fetched_ahead_and_a_hot_one_is_not() {
    let home = on_disk();
    for io in [Io::Mapped, Io::File] {
        for (policy, back) in [
            (Prefetch::Adaptive, false),
            (Prefetch::Adaptive, true),
            (Prefetch::Records(5000), false),
            (Prefetch::Records(5000), true),
        ] {
            let open = || ReadOptions::new().io(io).prefetch(policy).open(home.path()).unwrap();
            let told = format!("{io:?} {policy:?} {back}");
            if !is_fetched_ahead(&home, 1, &told, || walk(&open(), back)) {
                return;
            }
            assert_eq!(walk(&open(), back), (0, 0), "{io:?} {policy:?} hot");
        }
    }
}

#[test]
fn without_a_policy_or_room_in_the_budget_nothing_is_fetched_ahead() {
    let home = on_disk();
    let options = ReadOptions::new();
    for options in [
        options.clone().prefetch(Prefetch::Off),
        options.clone().prefetch(Prefetch::Records(0)),
        options.clone().resident_budget(256 << 10),
    ] {
        if !chill(&home) {
            return;
        }
        assert_eq!(walk(&options.open(home.path()).unwrap(), false), (0, 0), "{options:?}");
    }
    // Half of this holds one window.
    let options = options.resident_budget(1 << 20);
    let open = || options.open(home.path()).unwrap();
    is_fetched_ahead(&home, 1, "one window", || walk(&open(), false));
}

#[test]
fn scattered_ids_are_asked_for_together() {
    let home = on_disk();
    if !chill(&home) {
        return;
    }
    let read_all = |options: ReadOptions| {
        let ring = options.io(Io::File).open(home.path()).unwrap();
        let (mut random, mut batch) = (fastrand::Rng::with_seed(5), ReadBatch::new());
        for _ in 0..20 {
            let mut ids: Vec<u64> = (0..200).map(|_| random.u64(0..CAPACITY)).collect();
            ids.push(CAPACITY);
            ring.read_many(&ids, &mut batch).unwrap();
            assert!(batch.iter().map(|(id, _)| id).eq(ids.iter().copied()));
            for (id, read) in batch.iter().take(200) {
                assert_eq!(read, Read::Record(&payload(id, SIZE)[..]));
            }
            let last = batch.iter().last();
            assert_eq!(last, Some((CAPACITY, Read::NotYet { next: CAPACITY })));
        }
        let stats = ring.stats().unwrap();
        (stats.prefetches_issued, stats.prefetches_used)
    };
    assert_eq!(read_all(ReadOptions::new().prefetch(Prefetch::Off)), (0, 0));
    is_fetched_ahead(&home, 100, "scattered", || read_all(ReadOptions::new()));
    assert_eq!(read_all(ReadOptions::new()), (0, 0), "hot");
}

#[test]
fn tailers_are_fetched_ahead_too() {
    let home = on_disk();
    is_fetched_ahead(&home, 1, "a tailer", || {
        let ring = Ring::open(home.path()).expect("a ring");
        let mut tailer = ring.tailer(ringkeep::Start::Oldest);
        let mut seen = 0;
        while tailer.try_next().expect("good pages").is_some() {
            seen += 1;
        }
        assert_eq!(seen, CAPACITY);
        let stats = ring.stats().expect("statistics");
        (stats.prefetches_issued, stats.prefetches_used)
    });
}

#[test]
fn a_walk_from_both_ends_meets_in_the_middle() {
    let home = Home::new();
    let mut producer = ring_options(12, 3000).shards(5).create(home.path()).unwrap();
    producer.append_batch(&payloads(0..4000, 12)).unwrap();
    for id in (2000..4000).step_by(7) {
        producer.delete(id).unwrap();
    }
    producer.append_at(4100, &payload(4100, 12)).unwrap();
    let ring = open_ring(home.path()).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..50 {
        let start = random.u64(900..4100);
        let ids = start..random.u64(start..4200);
        let single = |id| (id, ring.read(id).unwrap());
        let mut expected: VecDeque<_> = ids.clone().map(single).collect();
        let mut records = ring.range(ids).records();
        loop {
            let back = random.bool();
            for _ in 0..random.u32(0..300) {
                let found = if back { records.next_back() } else { records.next() };
                let wanted = if back { expected.pop_back() } else { expected.pop_front() };
                assert_eq!(found.transpose().unwrap(), wanted);
            }
            if expected.is_empty() {
                assert!(records.next().is_none() && records.next_back().is_none());
                break;
            }
        }
    }
}
