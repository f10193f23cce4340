//! Ids of the caller's choice: small gaps leave markers, large ones drop what was before.

use ringkeep::{Error, Read, Ring};

use crate::support::{
    Home, assert_beside, assert_keeps, open_producer, open_ring, payload, payloads, ring_options,
    window,
};

const ID_END: u64 = 1 << 62;

/// Requires that of `ids` exactly those in `records` are records, and the others absent.
#[track_caller]
fn assert_holes(ring: &Ring, ids: std::ops::Range<u64>, records: impl Fn(u64) -> bool) {
    let size = ring.geometry().record_size;
    assert_eq!(window(ring), ids);
    for id in ids.clone() {
        let read = ring.read(id).expect("a read");
        let expected = if records(id) { Read::Record(payload(id, size)) } else { Read::Absent };
        assert_eq!(read, expected, "id {id}");
    }
    assert_beside(ring, ids);
}

#[test]
fn appending_at_next_is_appending() {
    let home = Home::new();
    let mut producer = ring_options(5, 10).create(home.path()).unwrap();
    for id in 0..30 {
        producer.append_at(id, &payload(id, 5)).unwrap();
    }
    assert_eq!(producer.append(&payload(30, 5)).unwrap(), 30);
    assert_keeps(&producer.ring(), 21..31);
    assert_keeps(&open_ring(home.path()).unwrap(), 21..31);
}

#[test]
fn skipped_ids_are_absent_up_to_a_gap_of_one_less_than_the_capacity() {
    for capacity in [2, 3, 8, 17, 40] {
        for gap in 1..capacity {
            let home = Home::new();
            let options = ring_options(5, capacity).shards(3);
            let mut producer = options.create(home.path()).unwrap();
            let first = 2 * capacity + 3;
            producer.append_batch(&payloads(0..first, 5)).unwrap();
            let id = first + gap;
            producer.append_at(id, &payload(id, 5)).unwrap();
            let is_record = |at| at < first || at == id;
            let ids = id + 1 - capacity..id + 1;
            assert_holes(&producer.ring(), ids.clone(), is_record);
            assert_holes(&open_ring(home.path()).unwrap(), ids, is_record);
            // The next lap leaves no trace of the markers.
            producer.append_batch(&payloads(id + 1..id + 1 + capacity, 5)).unwrap();
            assert_keeps(&producer.ring(), id + 1..id + 1 + capacity);
        }
    }
}

#[test]
fn a_gap_of_the_capacity_or_more_drops_everything_older() {
    for capacity in [1, 2, 8, 17, 40] {
        for gap in [capacity, capacity + 1, 2 * capacity + 3, 1000 * capacity, 1 << 40] {
            let home = Home::new();
            let options = ring_options(5, capacity).shards(2);
            let mut producer = options.create(home.path()).unwrap();
            let ring = open_ring(home.path()).unwrap();
            let first = 3 * capacity + 1;
            producer.append_batch(&payloads(0..first, 5)).unwrap();
            let id = first + gap;
            producer.append_at(id, &payload(id, 5)).unwrap();
            assert_keeps(&ring, id..id + 1);
            assert_keeps(&producer.ring(), id..id + 1);
            producer.die();
            let mut producer = open_producer(home.path()).unwrap();
            assert_keeps(&ring, id..id + 1);
            let next = id + 1;
            producer.append_batch(&payloads(next..next + capacity, 5)).unwrap();
            assert_keeps(&ring, next..next + capacity);
        }
    }
}

#[test]
fn an_empty_ring_begins_at_any_id() {
    for start in [1, 2, 10, 11, 1 << 20, 1 << 61] {
        let home = Home::new();
        let mut producer = ring_options(5, 10).create(home.path()).unwrap();
        let ring = open_ring(home.path()).unwrap();
        producer.append_at(start, &payload(start, 5)).unwrap();
        assert_keeps(&ring, start..start + 1);
        producer.append_batch(&payloads(start + 1..start + 8, 5)).unwrap();
        assert_keeps(&ring, start..start + 8);
        producer.append_batch(&payloads(start + 8..start + 40, 5)).unwrap();
        assert_keeps(&ring, start + 30..start + 40);
        producer.close().unwrap();
        assert_keeps(&ring, start + 30..start + 40);
        assert_keeps(&open_ring(home.path()).unwrap(), start + 30..start + 40);
    }
}

#[test]
fn an_id_below_next_is_refused_and_nothing_changes() {
    let home = Home::new();
    let mut producer = ring_options(5, 10).create(home.path()).unwrap();
    producer.append_batch(&payloads(0..25, 5)).unwrap();
    for id in [0, 14, 15, 24] {
        let refused = producer.append_at(id, &payload(id, 5));
        let found = id;
        assert!(
            matches!(refused, Err(Error::IdBelowNext { id, next: 25 }) if id == found),
            "{refused:?}"
        );
    }
    assert_keeps(&producer.ring(), 15..25);
}

#[test]
fn ids_end_below_the_second_highest_bit() {
    // Blocks of 1, 2 and 256 ids: the last ids must fit whatever is claimed at once.
    for capacity in [9, 20, 3000] {
        let home = Home::new();
        let mut producer = ring_options(5, capacity).create(home.path()).unwrap();
        let ring = open_ring(home.path()).unwrap();
        producer.append_batch(&payloads(0..5, 5)).unwrap();
        for id in [ID_END, ID_END + 1, u64::MAX] {
            let refused = producer.append_at(id, &[0; 5]);
            assert!(
                matches!(refused, Err(Error::IdTooLarge { id: found }) if found == id),
                "{refused:?}"
            );
        }
        let first = ID_END - 5;
        producer.append_at(first, &payload(first, 5)).unwrap();
        assert_keeps(&ring, first..first + 1);
        assert_keeps(&open_ring(home.path()).unwrap(), first..first + 1);
        assert_eq!(producer.append(&payload(first + 1, 5)).unwrap(), first + 1);
        assert!(matches!(producer.append_batch(&[0; 20]), Err(Error::IdTooLarge { .. })));
        producer.append_batch(&payloads(first + 2..ID_END, 5)).unwrap();
        producer.flush().unwrap();
        assert_keeps(&ring, first..ID_END);
        let refused = producer.append(&[0; 5]);
        assert!(matches!(refused, Err(Error::IdTooLarge { id: ID_END })), "{refused:?}");
        producer.die();
        assert_keeps(&open_ring(home.path()).unwrap(), first..ID_END);
        let mut producer = open_producer(home.path()).unwrap();
        assert!(producer.append(&[0; 5]).is_err());
        producer.update(ID_END - 1, &payload(ID_END - 1, 5)).unwrap();
        producer.close().unwrap();
        assert_keeps(&open_ring(home.path()).unwrap(), first..ID_END);
    }
}

#[test]
fn the_last_id_of_all_can_be_jumped_to() {
    for capacity in [1, 9, 20, 3000] {
        let home = Home::new();
        let mut producer = ring_options(5, capacity).create(home.path()).unwrap();
        let last = ID_END - 1;
        producer.append_at(last, &payload(last, 5)).unwrap();
        assert_keeps(&producer.ring(), last..ID_END);
        producer.close().unwrap();
        let producer = open_producer(home.path()).unwrap();
        assert_keeps(&producer.ring(), last..ID_END);
        assert_keeps(&open_ring(home.path()).unwrap(), last..ID_END);
    }
}

#[test]
fn gaps_and_batches_alternate_across_many_laps() {
    for capacity in [3, 19, 100] {
        let home = Home::new();
        let mut producer = ring_options(4, capacity).shards(4).create(home.path()).unwrap();
        let ring = open_ring(home.path()).unwrap();
        let mut records = std::collections::BTreeSet::new();
        let mut next = 0;
        for round in 0..60 {
            let id = next + if next == 0 { 0 } else { round % capacity };
            producer.append_at(id, &payload(id, 4)).unwrap();
            let batch = id + 1..id + 1 + round % 7;
            producer.append_batch(&payloads(batch.clone(), 4)).unwrap();
            records.insert(id);
            records.extend(batch.clone());
            next = batch.end;
            let ids = next.saturating_sub(capacity)..next;
            assert_holes(&ring, ids.clone(), |at| records.contains(&at));
            assert_holes(&producer.ring(), ids, |at| records.contains(&at));
        }
    }
}
