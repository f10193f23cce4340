//! Updating and deleting what is kept, above and below what is durable.

use ringkeep::{Error, Producer, Read};

use crate::support::{
    Home, assert_keeps, flip, open_producer, open_ring, payload, payload_of_version, payloads,
    place_of, ring_options,
};

/// A ring of 20 with ids 15..35, durable below 25.
fn half_durable(home: &Home, size: usize) -> Producer {
    let options = ring_options(size, 20).shards(3);
    let mut producer = options.create(home.path()).expect("a new ring");
    producer.append_batch(&payloads(0..25, size)).expect("a batch");
    producer.flush().expect("a flush");
    producer.append_batch(&payloads(25..35, size)).expect("a batch");
    producer
}

#[test]
fn an_update_shows_at_once_in_every_ring_and_stays() {
    for size in [1, 4, 13, 124, 4092, 5000] {
        let home = Home::new();
        let mut producer = half_durable(&home, size);
        let (inside, outside) = (producer.ring(), open_ring(home.path()).unwrap());
        for version in 1..4 {
            for id in 15..35 {
                let new = payload_of_version(id, version, size);
                producer.update(id, &new).unwrap();
                assert_eq!(inside.read(id).unwrap(), Read::Record(new.clone()));
                assert_eq!(outside.read(id).unwrap(), Read::Record(new));
            }
        }
        assert_eq!(inside.durable().unwrap(), 25, "an update moves nothing");
        producer.die();
        let producer = open_producer(home.path()).unwrap();
        for ring in [&inside, &outside, &producer.ring()] {
            for id in 15..35 {
                let record = Read::Record(payload_of_version(id, 3, size));
                assert_eq!(ring.read(id).unwrap(), record, "size {size}");
            }
        }
    }
}

#[test]
fn a_deleted_id_is_absent_for_good() {
    let home = Home::new();
    let mut producer = half_durable(&home, 12);
    let outside = open_ring(home.path()).unwrap();
    let deleted = [15, 24, 25, 34];
    for id in deleted {
        producer.delete(id).unwrap();
        assert_eq!(producer.ring().read(id).unwrap(), Read::Absent);
        assert_eq!(outside.read(id).unwrap(), Read::Absent);
    }
    producer.close().unwrap();
    let mut producer = open_producer(home.path()).unwrap();
    for id in 15..35 {
        let read = outside.read(id).unwrap();
        assert_eq!(read == Read::Absent, deleted.contains(&id), "id {id}: {read:?}");
    }
    // Its slot is used again when the ring comes round.
    producer.append_batch(&payloads(35..60, 12)).unwrap();
    assert_keeps(&outside, 40..60);
}

#[test]
fn only_an_id_that_reads_as_a_record_can_be_rewritten() {
    let home = Home::new();
    let mut producer = half_durable(&home, 12);
    producer.delete(30).unwrap();
    producer.append_at(37, &payload(37, 12)).unwrap();
    let corrupt = 33;
    let (path, offset) = place_of(&producer.ring(), corrupt);
    flip(&path, offset, 1);
    let id = corrupt;
    let not_yet = Read::NotYet { next: 38 };
    let cases = [
        (30, Read::Absent),
        (36, Read::Absent),
        (38, not_yet.clone()),
        (u64::MAX, not_yet),
        (0, Read::Lapped { oldest: 18, missed: 18 }),
        (17, Read::Lapped { oldest: 18, missed: 1 }),
        (corrupt, Read::Corrupt { path, id, offset }),
    ];
    let before = home.settled_state();
    for (id, expected) in cases {
        for refused in [producer.update(id, &[1; 12]), producer.delete(id)] {
            let Err(Error::NotARecord(found)) = refused else { panic!("{id}: {refused:?}") };
            assert_eq!(found, expected, "id {id}");
        }
    }
    assert!(home.state() == before, "a refused rewrite writes nothing");
    producer.delete(32).unwrap();
}

#[test]
fn a_rewrite_leaves_its_neighbours_alone() {
    for size in [1, 2, 3, 5, 7, 12] {
        let home = Home::new();
        let mut producer = half_durable(&home, size);
        for id in [16, 22, 28, 33] {
            producer.update(id, &payload_of_version(id, 9, size)).unwrap();
            producer.update(id, &payload(id, size)).unwrap();
        }
        assert_keeps(&producer.ring(), 15..35);
        assert_keeps(&open_ring(home.path()).unwrap(), 15..35);
    }
}

#[test]
fn a_rewrite_with_a_payload_of_another_length_is_refused() {
    let home = Home::new();
    let mut producer = half_durable(&home, 12);
    for length in [0, 11, 13] {
        let refused = producer.update(20, &vec![0; length]);
        let found = length;
        assert!(
            matches!(
                refused,
                Err(Error::WrongPayloadLength { found: f, expected: 12 }) if f == found
            ),
            "{refused:?}"
        );
    }
    assert_keeps(&producer.ring(), 15..35);
}

#[test]
fn many_rewrites_survive_deaths_and_closes() {
    let home = Home::new();
    let mut producer = half_durable(&home, 9);
    let ring = open_ring(home.path()).unwrap();
    let mut versions = [0_u64; 35];
    for round in 1..200_u64 {
        let id = 15 + round * 7 % 20;
        versions[usize::try_from(id).unwrap()] = round;
        producer.update(id, &payload_of_version(id, round, 9)).unwrap();
        if round % 9 == 0 {
            producer.die();
            producer = open_producer(home.path()).unwrap();
        } else if round % 14 == 0 {
            producer.close().unwrap();
            producer = open_producer(home.path()).unwrap();
        }
        for (id, version) in (0..).zip(versions).skip(15) {
            let record = Read::Record(payload_of_version(id, version, 9));
            assert_eq!(ring.read(id).unwrap(), record, "id {id} in round {round}");
        }
    }
}
