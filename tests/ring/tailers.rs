//! Following a ring: start points, waiting, being lapped, and being left behind by a new archive.

use std::{fs, ops::Range, thread, time::Duration};

use ringkeep::{AfterLap, Producer, Read, Start, Tailed, Tailer};

use crate::support::{
    Home, PATIENCE, eventually, flip, open_producer, open_ring, payload, payloads, place_of,
    ring_options, shows_in_place,
};

const CLOSELY: AfterLap = AfterLap::Oldest { margin: 0 };

/// A ring of 16-byte records.
fn ring_of(home: &Home, capacity: u64, records: u64) -> Producer {
    let mut producer = ring_options(16, capacity).create(home.path()).expect("a ring");
    producer.append_batch(&payloads(0..records, 16)).expect("a batch");
    producer
}

/// Requires that these records come next, and then nothing for now.
#[track_caller]
fn assert_comes(tailer: &mut Tailer, ids: Range<u64>) {
    for expected in ids.clone() {
        match tailer.try_next().expect("a look") {
            Some(Tailed::Record { id, payload: found }) => {
                assert_eq!((id, found), (expected, &payload(expected, 16)[..]));
            }
            other => panic!("{other:?} instead of record {expected}"),
        }
    }
    assert_eq!(tailer.try_next().expect("a look"), None);
    assert_eq!((tailer.position(), tailer.lag().expect("a lag")), (ids.end, 0));
}

#[track_caller]
fn assert_missed(tailer: &mut Tailer, ids: Range<u64>) {
    let before = tailer.missed();
    assert_eq!(tailer.try_next().expect("a look"), Some(Tailed::Missed { ids: ids.clone() }));
    assert_eq!(tailer.missed() - before, ids.end - ids.start);
    assert_eq!(tailer.position(), ids.end, "it goes on where the missed ids end");
}

#[test]
fn each_start_begins_where_it_says() {
    let home = Home::new();
    let mut producer = ring_of(&home, 10, 25);
    for ring in [producer.ring(), open_ring(home.path()).unwrap()] {
        assert_comes(&mut ring.tailer(Start::Oldest), 15..25);
        assert_comes(&mut ring.tailer(Start::Newest), 25..25);
        assert_comes(&mut ring.tailer(Start::Id(20)), 20..25);
        assert_comes(&mut ring.tailer(Start::Id(15)), 15..25);
    }
    let mut newest = producer.ring().tailer(Start::Newest);
    let mut later = producer.ring().tailer(Start::Id(27));
    let mut never = producer.ring().tailer(Start::Id(u64::MAX));
    producer.append_batch(&payloads(25..27, 16)).unwrap();
    assert_comes(&mut newest, 25..27);
    assert_eq!(later.try_next().unwrap(), None);
    assert_eq!(later.lag().unwrap(), 0);
    producer.append_batch(&payloads(27..29, 16)).unwrap();
    assert_comes(&mut newest, 27..29);
    assert_comes(&mut later, 27..29);
    assert_eq!(never.try_next().unwrap(), None);
    assert_eq!((newest.missed(), later.missed(), never.missed()), (0, 0, 0));
}

#[test]
fn a_start_below_the_oldest_id_is_told_what_it_missed() {
    let home = Home::new();
    let producer = ring_of(&home, 10, 25);
    let mut tailer = producer.ring().tailer(Start::Id(3)).after_lap(CLOSELY);
    assert_eq!(tailer.lag().unwrap(), 22);
    assert_missed(&mut tailer, 3..15);
    assert_comes(&mut tailer, 15..25);
    assert_eq!(tailer.missed(), 12);
}

#[test]
fn a_tailer_that_keeps_up_sees_every_record_once() {
    let home = Home::new();
    let mut producer = ring_of(&home, 10, 0);
    let mut inside = producer.ring().tailer(Start::Oldest);
    let mut outside = open_ring(home.path()).unwrap().tailer(Start::Oldest);
    let mut next = 0;
    for count in (0..=10).chain([3, 10, 10, 1]) {
        producer.append_batch(&payloads(next..next + count, 16)).unwrap();
        assert_eq!(inside.lag().unwrap(), count);
        assert_comes(&mut inside, next..next + count);
        assert_comes(&mut outside, next..next + count);
        next += count;
    }
    assert_eq!((inside.missed(), outside.missed()), (0, 0));
}

#[test]
fn a_lapped_tailer_goes_on_after_its_margin() {
    for (margin, goes_on) in [(0, 200), (1, 201), (40, 240), (99, 299), (100, 300), (5000, 300)] {
        let home = Home::new();
        let mut producer = ring_of(&home, 100, 0);
        let margin = AfterLap::Oldest { margin };
        let mut tailer = producer.ring().tailer(Start::Oldest).after_lap(margin);
        producer.append_batch(&payloads(0..20, 16)).unwrap();
        assert_comes(&mut tailer, 0..20);
        producer.append_batch(&payloads(20..300, 16)).unwrap();
        assert_eq!(tailer.lag().unwrap(), 280);
        assert_missed(&mut tailer, 20..goes_on);
        assert_comes(&mut tailer, goes_on..300);
        assert_eq!(tailer.missed(), goes_on - 20);
    }
}

#[test]
fn a_tailer_that_has_read_ahead_tells_of_what_happened_since() {
    // By position it tells so after a moment only.
    if !shows_in_place() {
        return;
    }
    let home = Home::new();
    let mut producer = ring_of(&home, 100, 50);
    let ring = open_ring(home.path()).unwrap();
    let mut tailer = ring.tailer(Start::Oldest).after_lap(CLOSELY);
    let first = tailer.try_next().unwrap();
    assert!(matches!(first, Some(Tailed::Record { id: 0, .. })), "{first:?}");
    producer.update(1, &payload(7, 16)).unwrap();
    let updated = tailer.try_next().unwrap();
    assert_eq!(updated, Some(Tailed::Record { id: 1, payload: &payload(7, 16) }));
    producer.delete(2).unwrap();
    assert_eq!(tailer.try_next().unwrap(), Some(Tailed::Hole { id: 2, read: Read::Absent }));
    producer.append_batch(&payloads(50..300, 16)).unwrap();
    assert_missed(&mut tailer, 3..200);
    assert_comes(&mut tailer, 200..300);
}

#[test]
fn a_lapped_tailer_takes_an_eighth_of_the_capacity_as_its_margin_by_default() {
    let home = Home::new();
    let producer = ring_of(&home, 100, 300);
    let mut tailer = producer.ring().tailer(Start::Id(0));
    assert_missed(&mut tailer, 0..212);
    assert_comes(&mut tailer, 212..300);
}

#[test]
fn a_lapped_tailer_can_go_on_with_what_is_new() {
    let home = Home::new();
    let mut producer = ring_of(&home, 100, 300);
    let mut tailer = producer.ring().tailer(Start::Id(7)).after_lap(AfterLap::Newest);
    assert_missed(&mut tailer, 7..300);
    assert_comes(&mut tailer, 300..300);
    producer.append_batch(&payloads(300..310, 16)).unwrap();
    assert_comes(&mut tailer, 300..310);
}

#[test]
fn a_jump_tells_a_waiting_tailer_what_it_skipped() {
    let home = Home::new();
    let mut producer = ring_of(&home, 100, 30);
    let mut tailer = producer.ring().tailer(Start::Newest).after_lap(CLOSELY);
    let mut beyond = producer.ring().tailer(Start::Id(500)).after_lap(CLOSELY);
    producer.append_at(1000, &payload(1000, 16)).unwrap();
    assert_missed(&mut tailer, 30..1000);
    assert_comes(&mut tailer, 1000..1001);
    let missed = Some(Tailed::Missed { ids: 500..1000 });
    assert_eq!(beyond.next_timeout(PATIENCE).unwrap(), missed);
    assert_comes(&mut beyond, 1000..1001);
}

#[test]
fn ids_without_a_record_are_holes_in_their_order() {
    let home = Home::new();
    let mut producer = ring_of(&home, 100, 5);
    producer.append_at(7, &payload(7, 16)).unwrap();
    producer.delete(2).unwrap();
    let (path, offset) = place_of(&producer.ring(), 3);
    flip(&path, offset + 3, 1);
    let corrupt = Read::Corrupt { path, id: 3, offset };
    for ring in [producer.ring(), open_ring(home.path()).unwrap()] {
        let mut tailer = ring.tailer(Start::Oldest);
        let mut holes = vec![];
        let mut ids = vec![];
        while let Some(item) = tailer.try_next().unwrap() {
            match item {
                Tailed::Record { id, .. } => ids.push(id),
                Tailed::Hole { id, read } => {
                    ids.push(id);
                    holes.push((id, read));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6, 7]);
        let absent = |id| (id, Read::Absent);
        assert_eq!(holes, [absent(2), (3, corrupt.clone()), absent(5), absent(6)]);
        assert_eq!(tailer.missed(), 0, "holes are not missed");
    }
}

#[test]
fn a_wait_ends_when_its_time_is_over() {
    let home = Home::new();
    let producer = ring_of(&home, 10, 3);
    for ring in [producer.ring(), open_ring(home.path()).unwrap()] {
        let mut tailer = ring.tailer(Start::Newest);
        for timeout in [Duration::ZERO, Duration::from_millis(5)] {
            assert_eq!(tailer.next_timeout(timeout).unwrap(), None);
        }
        let mut tailer = ring.tailer(Start::Id(2));
        let found = tailer.next_timeout(Duration::ZERO).unwrap();
        assert!(matches!(found, Some(Tailed::Record { id: 2, .. })), "{found:?}");
    }
}

/// Goal: a waiting tailer wakes up for every record, the last one of a burst too. Method: the
/// producer appends the next burst only when the tailers have all of the last one, so that a wake
/// that is forgotten stops both for good.
#[test]
fn appending_wakes_tailers_in_other_threads() {
    let home = Home::new();
    let mut producer = ring_of(&home, 1000, 0);
    let rings = [producer.ring(), open_ring(home.path()).unwrap(), producer.ring()];
    let bursts = [1, 1, 2, 40, 1, 500, 3, 1, 900];
    let barrier = std::sync::Barrier::new(rings.len() + 1);
    thread::scope(|scope| {
        for ring in &rings {
            scope.spawn(|| {
                let mut tailer = ring.tailer(Start::Oldest);
                let mut next = 0;
                for burst in bursts {
                    for expected in next..next + burst {
                        match tailer.next_timeout(PATIENCE).expect("a wait") {
                            Some(Tailed::Record { id, .. }) => assert_eq!(id, expected),
                            other => panic!("{other:?} instead of {expected}"),
                        }
                    }
                    next += burst;
                    barrier.wait();
                }
                assert_eq!(tailer.missed(), 0);
            });
        }
        let mut next = 0;
        for burst in bursts {
            for id in next..next + burst {
                producer.append(&payload(id, 16)).unwrap();
            }
            next += burst;
            barrier.wait();
        }
    });
}

#[test]
fn a_tailer_follows_through_closes_and_deaths_of_producers() {
    let home = Home::new();
    let mut producer = ring_of(&home, 30, 0);
    let mut inside = producer.ring().tailer(Start::Oldest);
    let mut outside = open_ring(home.path()).unwrap().tailer(Start::Oldest);
    for round in 0..12 {
        producer.append_batch(&payloads(9 * round..9 * (round + 1), 16)).unwrap();
        if round % 2 == 0 {
            producer.die();
        } else {
            producer.close().unwrap();
        }
        producer = open_producer(home.path()).unwrap();
        assert_comes(&mut inside, 9 * round..9 * (round + 1));
        assert_comes(&mut outside, 9 * round..9 * (round + 1));
    }
}

/// Waits for the next item and drops what it borrows.
fn next_is_replaced(tailer: &mut Tailer) -> bool {
    let found = tailer.next_timeout(PATIENCE).expect("a wait");
    assert!(matches!(found, Some(Tailed::Replaced | Tailed::Record { .. })), "{found:?}");
    found == Some(Tailed::Replaced)
}

#[test]
fn a_tailer_says_when_its_archive_was_replaced() {
    let home = Home::new();
    let producer = ring_of(&home, 30, 5);
    let (inside, outside) = (producer.ring(), open_ring(home.path()).unwrap());
    let mut tailers = [inside.tailer(Start::Oldest), outside.tailer(Start::Oldest)];
    producer.close().unwrap();
    fs::remove_file(home.path()).unwrap();
    for tailer in &mut tailers {
        assert_comes(tailer, 0..5);
        let gone = tailer.next_timeout(Duration::from_millis(5)).unwrap();
        assert_eq!(gone, None, "a file that is gone may come back");
    }
    let mut producer = ring_of(&home, 30, 0);
    for tailer in &mut tailers {
        assert!(next_is_replaced(tailer));
        assert!(next_is_replaced(tailer), "and it stays so");
        assert_eq!(tailer.try_next().unwrap(), Some(Tailed::Replaced));
    }
    producer.append_batch(&payloads(0..7, 16)).unwrap();
    let mut anew = open_ring(home.path()).unwrap().tailer(Start::Oldest);
    assert_comes(&mut anew, 0..7);
}

/// Goal: what the old archive holds is read to its end before `Replaced` is said. Method: tailers
/// sleep while a record is appended and the archive is replaced right after; which of the two they
/// see first when they wake up is a race, so there are many of them.
#[test]
fn a_tailer_reads_to_the_end_before_it_says_replaced() {
    let (home, spare) = (Home::new(), Home::new());
    for round in 0..6 {
        let mut producer = ring_of(&home, 30, 1);
        ring_of(&spare, 30, 0).close().unwrap();
        let ring = open_ring(home.path()).unwrap();
        let barrier = std::sync::Barrier::new(9);
        let follow = || {
            let mut tailer = ring.tailer(Start::Oldest);
            barrier.wait();
            let mut read = 0;
            while !next_is_replaced(&mut tailer) {
                read += 1;
            }
            read
        };
        let counts: Vec<u64> = thread::scope(|scope| {
            let tailers: Vec<_> = (0..8).map(|_| scope.spawn(follow)).collect();
            barrier.wait();
            for id in 1..9 {
                thread::park_timeout(Duration::from_millis(2));
                producer.append(&payload(id, 16)).unwrap();
            }
            fs::rename(spare.path(), home.path()).unwrap();
            tailers.into_iter().map(|tailer| tailer.join().unwrap()).collect()
        });
        assert_eq!(counts, [9; 8], "records read before `Replaced`, in round {round}");
        fs::remove_file(home.path()).unwrap();
    }
}

/// Goal: who never waits hears of a replacement too, and so does whoever reads on in a file that
/// another archive was written over.
#[test]
fn a_tailer_that_only_polls_says_replaced_too() {
    for overwritten in [false, true] {
        let home = Home::on_disk();
        ring_of(&home, 10, 3).close().unwrap();
        let other = Home::on_disk();
        ring_of(&other, 10, 5).close().unwrap();
        let mut tailer = open_ring(home.path()).unwrap().tailer(Start::Newest);
        if overwritten {
            fs::write(home.path(), fs::read(other.path()).unwrap()).unwrap();
        } else {
            fs::rename(other.path(), home.path()).unwrap();
        }
        eventually("Replaced", || matches!(tailer.try_next(), Ok(Some(Tailed::Replaced))));
    }
}

#[test]
fn waiting_inside_a_view_is_refused() {
    // Elsewhere a view is a copy, and holds nothing up.
    if !shows_in_place() {
        return;
    }
    let home = Home::new();
    let mut producer = ring_of(&home, 10, 3);
    let ring = producer.ring();
    let mut tailer = ring.tailer(Start::Newest);
    let waited = ring.view(0, |_| tailer.next_timeout(Duration::MAX).map(drop)).unwrap();
    assert!(matches!(waited, Read::Record(Err(ringkeep::Error::InsideView))), "{waited:?}");
    producer.append(&payload(3, 16)).unwrap();
    assert_comes(&mut tailer, 3..4);
}
