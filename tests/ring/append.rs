//! Appending records, one by one and in batches.

use ringkeep::{Error, Read};

use crate::support::{Home, assert_keeps, open_ring, payload, payloads, ring_options};

#[test]
fn a_new_ring_is_empty_and_counts_from_zero() {
    let home = Home::new();
    let mut producer = ring_options(12, 10).create(home.path()).unwrap();
    let ring = open_ring(home.path()).unwrap();
    assert_keeps(&ring, 0..0);
    assert_keeps(&producer.ring(), 0..0);
    for id in 0..5 {
        assert_eq!(producer.append(&payload(id, 12)).unwrap(), id);
        assert_keeps(&ring, 0..id + 1);
        assert_keeps(&producer.ring(), 0..id + 1);
    }
}

#[test]
fn every_record_size_comes_back_as_it_was() {
    let sizes = (1..=17).chain([124, 2047, 2048, 4092, 4096, 5000]);
    for size in sizes {
        let home = Home::new();
        let options = ring_options(size, 20).shards(3);
        let mut producer = options.create(home.path()).unwrap();
        let ring = open_ring(home.path()).unwrap();
        for id in 0..50 {
            producer.append(&payload(id, size)).unwrap();
            let record = Read::Record(payload(id, size));
            assert_eq!(ring.read(id).unwrap(), record, "size {size}");
            assert_eq!(producer.ring().read(id).unwrap(), record, "size {size}");
        }
        assert_keeps(&ring, 30..50);
        assert_keeps(&producer.ring(), 30..50);
    }
}

#[test]
fn the_largest_record_is_kept_whole() {
    let size = 16 << 20;
    let home = Home::new();
    let mut producer = ring_options(size, 1).create(home.path()).unwrap();
    for id in 0..3 {
        producer.append(&payload(id, size)).unwrap();
    }
    assert_keeps(&open_ring(home.path()).unwrap(), 2..3);
    producer.update(2, &payload(7, size)).unwrap();
    let found = producer.ring().read(2).unwrap();
    assert!(found == Read::Record(payload(7, size)), "the rewritten record is another one");
}

#[test]
fn records_of_zeros_and_of_ones_are_records() {
    let home = Home::new();
    let mut producer = ring_options(6, 8).create(home.path()).unwrap();
    let ring = open_ring(home.path()).unwrap();
    for id in 0..40 {
        let record = if id % 2 == 0 { [0; 6] } else { [0xFF; 6] };
        producer.append(&record).unwrap();
        assert_eq!(ring.read(id).unwrap(), Read::Record(record.to_vec()));
    }
}

#[test]
fn a_batch_of_any_length_gets_neighbouring_ids() {
    for capacity in [1, 2, 7, 8, 9, 100, 2048] {
        let home = Home::new();
        let mut producer = ring_options(3, capacity).shards(3).create(home.path()).unwrap();
        let ring = open_ring(home.path()).unwrap();
        let (slots, mut next) = (ring.geometry().slots, 0);
        let block = slots - capacity;
        let around = |count: u64| [count.saturating_sub(1), count, count + 1];
        let counts = [0, 1, 2].into_iter();
        let counts = counts.chain(around(block)).chain(around(capacity)).chain(around(slots));
        for count in counts.chain([3 * slots + 2, 0]) {
            let ids = next..next + count;
            let given = producer.append_batch(&payloads(ids.clone(), 3)).unwrap();
            assert_eq!(given, ids, "capacity {capacity}");
            next += count;
            assert_keeps(&ring, next.saturating_sub(capacity)..next);
        }
        assert_keeps(&producer.ring(), next - capacity..next);
    }
}

#[test]
fn a_batch_that_is_no_multiple_of_the_record_size_appends_nothing() {
    let home = Home::new();
    let mut producer = ring_options(8, 10).create(home.path()).unwrap();
    for length in [1, 7, 9, 8 * 30 + 1] {
        let refused = producer.append_batch(&vec![1; length]);
        let found = length;
        assert!(
            matches!(
                refused,
                Err(Error::WrongPayloadLength { found: f, expected: 8 }) if f == found
            ),
            "{refused:?}"
        );
    }
    assert_eq!(producer.append_batch(&[]).unwrap(), 0..0);
    assert_keeps(&producer.ring(), 0..0);
}

#[test]
fn rings_are_shared_between_threads_and_cloned() {
    let home = Home::new();
    let mut producer = ring_options(16, 200).create(home.path()).unwrap();
    producer.append_batch(&payloads(0..300, 16)).unwrap();
    let ring = producer.ring();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let clone = ring.clone();
            scope.spawn(move || assert_keeps(&clone, 100..300));
            scope.spawn(|| assert_keeps(&ring, 100..300));
        }
    });
}
