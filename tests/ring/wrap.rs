//! Going round: the window `oldest..next` is exactly the last `capacity` ids, whatever the shape.

use ringkeep::{Read, Ring};

use crate::support::{
    Home, assert_beside, assert_keeps, open_ring, payload, payloads, ring_options, window,
};

/// Looks at a ring without reading all of it: its ends, and what is about to be overwritten.
#[track_caller]
fn assert_ends(ring: &Ring, capacity: u64, next: u64) {
    let (oldest, size) = (next.saturating_sub(capacity), ring.geometry().record_size);
    assert_eq!(window(ring), oldest..next);
    for id in [oldest, oldest + 1, oldest + (next - oldest) / 2, next - 1] {
        if (oldest..next).contains(&id) {
            let read = ring.read(id).expect("a read");
            assert_eq!(read, Read::Record(payload(id, size)), "id {id} of {oldest}..{next}");
        }
    }
    assert_beside(ring, oldest..next);
}

#[test]
fn small_capacities_keep_exactly_the_last_records_after_every_append() {
    for capacity in 1..=20 {
        let home = Home::new();
        let mut producer = ring_options(9, capacity).create(home.path()).unwrap();
        let (inside, outside) = (producer.ring(), open_ring(home.path()).unwrap());
        for id in 0..4 * capacity + 5 {
            producer.append(&payload(id, 9)).unwrap();
            let ids = (id + 1).saturating_sub(capacity)..id + 1;
            assert_keeps(&inside, ids.clone());
            assert_keeps(&outside, ids);
        }
    }
}

#[test]
fn capacities_around_block_boundaries_keep_exactly_the_last_records() {
    let multiples = [8, 16, 24, 64, 128, 1024];
    let around = multiples.into_iter().flat_map(|many| [many - 1, many, many + 1]);
    for capacity in around.chain([2039, 2047, 2048, 2049, 2303, 2304, 2305]) {
        let home = Home::new();
        let mut producer = ring_options(5, capacity).shards(3).create(home.path()).unwrap();
        let (inside, outside) = (producer.ring(), open_ring(home.path()).unwrap());
        let geometry = inside.geometry();
        assert_eq!(geometry.slots, capacity + (capacity / 8).clamp(1, 256));
        for id in 0..2 * geometry.slots + 3 {
            producer.append(&payload(id, 5)).unwrap();
            assert_ends(if id % 2 == 0 { &inside } else { &outside }, capacity, id + 1);
        }
        let next = 2 * geometry.slots + 3;
        assert_keeps(&inside, next - capacity..next);
        assert_keeps(&outside, next - capacity..next);
    }
}

#[test]
fn a_single_lap_more_drops_the_oldest_lap() {
    let home = Home::new();
    let mut producer = ring_options(4, 100).create(home.path()).unwrap();
    producer.append_batch(&payloads(0..100, 4)).unwrap();
    assert_keeps(&producer.ring(), 0..100);
    producer.append(&payload(100, 4)).unwrap();
    let lapped = Read::Lapped { oldest: 1, missed: 1 };
    assert_eq!(producer.ring().read(0).unwrap(), lapped);
    assert_keeps(&producer.ring(), 1..101);
}

#[test]
fn every_number_of_shards_gives_the_same_ring() {
    for capacity in [1, 7, 20, 33] {
        let slots = ring_options(7, capacity).geometry().unwrap().slots;
        for count in (1..=slots + 3).chain([10_000, 16_384]) {
            let count = u32::try_from(count).unwrap();
            let home = Home::new();
            let options = ring_options(7, capacity).shards(count);
            let mut producer = options.create(home.path()).unwrap();
            let geometry = producer.ring().geometry();
            assert!(u64::from(geometry.shards) <= slots.min(count.into()), "{geometry}");
            assert_eq!(home.names().len(), geometry.shards as usize, "{:?}", home.names());
            let ring = open_ring(home.path()).unwrap();
            producer.append_batch(&payloads(0..slots + 1, 7)).unwrap();
            assert_keeps(&ring, slots + 1 - capacity..slots + 1);
            producer.append_batch(&payloads(slots + 1..3 * slots, 7)).unwrap();
            assert_keeps(&ring, 3 * slots - capacity..3 * slots);
        }
    }
}

#[test]
fn shards_of_odd_sizes_hold_their_slots_and_the_last_one_the_rest() {
    // Capacity 30 has 33 slots; of 10 bytes each.
    let shapes = [
        (1, 1, 33),
        (9, 1, 33),
        (10, 1, 33),
        (19, 1, 33),
        (20, 2, 17),
        (70, 7, 5),
        (105, 10, 4),
        (320, 32, 2),
        (330, 33, 1),
        (1 << 40, 33, 1),
    ];
    for (bytes, slots_per_shard, shards) in shapes {
        let home = Home::new();
        let options = ring_options(6, 30).shard_bytes(bytes);
        let mut producer = options.create(home.path()).unwrap();
        let geometry = producer.ring().geometry();
        assert_eq!((geometry.slots_per_shard, geometry.shards), (slots_per_shard, shards));
        let length = |index| std::fs::metadata(home.shard(index)).unwrap().len();
        let all: u64 = (0..shards).map(length).sum();
        assert_eq!(all, geometry.bytes_on_disk(), "{geometry}");
        let rest = 33 - slots_per_shard * u64::from(shards - 1);
        if shards > 1 {
            assert_eq!(length(1), 4096 + 10 * if shards == 2 { rest } else { slots_per_shard });
            assert_eq!(length(shards - 1), 4096 + 10 * rest);
        }
        producer.append_batch(&payloads(0..200, 6)).unwrap();
        assert_keeps(&open_ring(home.path()).unwrap(), 170..200);
        assert_keeps(&producer.ring(), 170..200);
    }
}
