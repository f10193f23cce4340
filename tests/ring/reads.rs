//! Reading many records at once, and walking over them.

use ringkeep::{Error, Producer, Read, ReadBatch, Ring};

use crate::support::{Home, flip, open_ring, payload, payloads, place_of, ring_options};

/// Ids 10..40 of a ring of 30 in 3 shards; 20 is deleted, 35 damaged, 39 follows a gap.
fn mixed(home: &Home) -> Producer {
    let mut producer = ring_options(6, 30).shards(3).create(home.path()).expect("a ring");
    producer.append_batch(&payloads(0..37, 6)).expect("a batch");
    producer.append_at(39, &payload(39, 6)).expect("a record after a gap");
    producer.delete(20).expect("a deletion");
    let (path, offset) = place_of(&producer.ring(), 35);
    flip(&path, offset + 9, 0x80);
    producer
}

/// What becomes of each id of `mixed`.
fn expected(ring: &Ring, id: u64) -> Read<Vec<u8>> {
    let (path, offset) = place_of(ring, id);
    match id {
        0..10 => Read::Lapped { oldest: 10, missed: 10 - id },
        20 | 37 | 38 => Read::Absent,
        35 => Read::Corrupt { path, id, offset },
        40.. => Read::NotYet { next: 40 },
        _ => Read::Record(payload(id, 6)),
    }
}

#[track_caller]
fn assert_batch(ring: &Ring, batch: &ReadBatch, ids: &[u64]) {
    assert_eq!((batch.len(), batch.is_empty()), (ids.len(), ids.is_empty()));
    let found: Vec<_> = batch.iter().map(|(id, read)| (id, read.map(<[u8]>::to_vec))).collect();
    let all = ids.iter().map(|&id| (id, expected(ring, id)));
    assert_eq!(found, all.collect::<Vec<_>>());
    assert_eq!(batch.payloads().len(), ids.len() * 6);
    for (payload, &id) in batch.payloads().chunks(6).zip(ids) {
        let record = expected(ring, id).record().unwrap_or(vec![0; 6]);
        assert_eq!(payload, record, "zeros where there is no record: {id}");
    }
}

#[test]
fn many_ids_are_read_in_the_order_given_with_an_outcome_each() {
    let home = Home::new();
    let producer = mixed(&home);
    let mut batch = ReadBatch::new();
    for ring in [producer.ring(), open_ring(home.path()).unwrap()] {
        for ids in
            [&[][..], &[39], &[39, 10, 20, 35, 10, 10, 0, 9, 40, u64::MAX, 25], &[35, 35, 35]]
        {
            ring.read_many(ids, &mut batch).unwrap();
            assert_batch(&ring, &batch, ids);
        }
    }
}

#[test]
fn ranges_give_an_outcome_for_each_id() {
    let home = Home::new();
    let producer = mixed(&home);
    let mut batch = ReadBatch::new();
    for ring in [producer.ring(), open_ring(home.path()).unwrap()] {
        for ids in [0..0, 7..7, 10..40, 8..41, 30..45, 100..103, 0..33, u64::MAX - 2..u64::MAX] {
            let all: Vec<u64> = ids.clone().collect();
            ring.read_range(ids.clone(), &mut batch).unwrap();
            assert_batch(&ring, &batch, &all);
            let mut cursor = ring.range(ids.clone());
            for &id in &all {
                let (found, read) = cursor.next().unwrap().unwrap();
                assert_eq!((found, read.map(<[u8]>::to_vec)), (id, expected(&ring, id)));
            }
            assert!(cursor.next().unwrap().is_none());
            let records = ring.range(ids).records().map(Result::unwrap);
            let expected = all.iter().map(|&id| (id, expected(&ring, id)));
            assert!(records.eq(expected));
        }
    }
}

#[test]
fn a_range_that_ends_before_it_begins_is_empty() {
    let home = Home::new();
    let ring = mixed(&home).ring();
    let mut batch = ReadBatch::new();
    let (start, end) = (20, 10);
    ring.read_range(start..end, &mut batch).unwrap();
    assert!(batch.is_empty());
    assert!(ring.range(start..end).next().unwrap().is_none());
}

#[test]
fn more_ids_than_slots_are_refused_before_anything_is_allocated() {
    let home = Home::new();
    let ring = mixed(&home).ring();
    let slots = ring.geometry().slots;
    let mut batch = ReadBatch::new();
    ring.read_range(5..5 + slots, &mut batch).unwrap();
    ring.read_many(&vec![12; usize::try_from(slots).unwrap()], &mut batch).unwrap();
    let refused = |result: ringkeep::Result<()>, asked: u64| match result {
        Err(Error::RangeTooLong { count, max }) => assert_eq!((count, max), (asked, slots)),
        other => panic!("{other:?}"),
    };
    refused(ring.read_range(0..slots + 1, &mut batch), slots + 1);
    refused(ring.read_range(0..u64::MAX, &mut batch), u64::MAX);
    let ids = vec![12; usize::try_from(slots).unwrap() + 1];
    refused(ring.read_many(&ids, &mut batch), slots + 1);
}

#[test]
fn a_batch_is_used_again_for_another_ring() {
    let (home, other) = (Home::new(), Home::new());
    let producer = mixed(&home);
    let mut wide = ring_options(100, 5).create(other.path()).unwrap();
    wide.append_batch(&payloads(0..5, 100)).unwrap();
    let mut batch = ReadBatch::new();
    producer.ring().read_range(10..40, &mut batch).unwrap();
    wide.ring().read_range(1..3, &mut batch).unwrap();
    assert_eq!(batch.payloads(), payloads(1..3, 100));
    assert_eq!(batch.len(), 2);
}

#[test]
fn a_buffer_of_another_size_is_refused() {
    let home = Home::new();
    let ring = mixed(&home).ring();
    for length in [0, 5, 7, 600] {
        let refused = ring.read_into(12, &mut vec![0; length]);
        let found = length;
        assert!(
            matches!(
                refused,
                Err(Error::WrongPayloadLength { found: f, expected: 6 }) if f == found
            ),
            "{refused:?}"
        );
    }
    let mut buffer = [0; 6];
    assert_eq!(ring.read_into(12, &mut buffer).unwrap(), Read::Record(()));
    assert_eq!(buffer, payload(12, 6)[..]);
}

#[test]
fn an_outcome_that_is_no_record_becomes_an_error_that_says_why() {
    let home = Home::new();
    let ring = mixed(&home).ring();
    let says = |id: u64| ring.read(id).unwrap().record().unwrap_err().to_string();
    assert!(says(3).contains("oldest kept id is 10"), "{}", says(3));
    assert!(says(20).contains("deleted"), "{}", says(20));
    assert!(says(77).contains("next id is 40"), "{}", says(77));
    let (path, offset) = place_of(&ring, 35);
    let damaged = says(35);
    assert!(damaged.contains(&format!("byte {offset} of {}", path.display())), "{damaged}");
}
