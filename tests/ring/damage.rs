//! Flipped bits: that record alone is `Corrupt`, with its file and offset; everything else reads.

use ringkeep::{Damage, Read, Ring, VerifyEvent, VerifyReport};

use crate::support::{
    Home, PAGE, assert_keeps, flip, open_producer, open_ring, payload, payloads, place_of, poke,
    ring_options, window,
};

/// What `verify` counts, and the damage that it tells of.
fn verified(ring: &Ring) -> (VerifyReport, Vec<Damage>) {
    let (mut damages, mut last) = (vec![], None);
    let report = ring.verify(|event| match event {
        VerifyEvent::Damaged(damage) => damages.push(damage),
        VerifyEvent::Progress { checked, total } => last = Some((checked, total)),
        other => panic!("{other:?}"),
    });
    let ids = window(ring);
    let total = ids.end - ids.start;
    assert_eq!(last, (total > 0).then_some((total, total)), "the last word is that all is done");
    (report.expect("a verification"), damages)
}

#[track_caller]
fn assert_clean(ring: &Ring, good: u64, absent: u64) {
    let (report, damages) = verified(ring);
    assert_eq!((report.good, report.absent), (good, absent));
    assert_eq!((report.lost, report.corrupt, report.lapped), (0, 0, 0));
    assert_eq!(damages, []);
}

#[test]
fn a_clean_archive_verifies_at_every_fill() {
    let home = Home::new();
    let mut producer = ring_options(12, 100).shards(7).create(home.path()).unwrap();
    let ring = open_ring(home.path()).unwrap();
    assert_clean(&ring, 0, 0);
    for id in 0..250 {
        producer.append(&payload(id, 12)).unwrap();
        if id % 10 == 3 {
            assert_clean(&ring, (id + 1).min(100), 0);
        }
    }
    producer.delete(200).unwrap();
    producer.append_at(255, &payload(255, 12)).unwrap();
    assert_clean(&ring, 94, 6);
    assert_clean(&producer.ring(), 94, 6);
    producer.close().unwrap();
    assert_clean(&ring, 94, 6);
}

#[test]
fn progress_is_told_on_the_way() {
    let home = Home::new();
    let mut producer = ring_options(1, 10_000).create(home.path()).unwrap();
    producer.append_batch(&payloads(0..10_000, 1)).unwrap();
    let mut seen = vec![];
    let report = producer.ring().verify(|event| match event {
        VerifyEvent::Progress { checked, total: 10_000 } => seen.push(checked),
        other => panic!("{other:?}"),
    });
    assert_eq!(report.unwrap().good, 10_000);
    assert!(seen.len() >= 3 && seen.is_sorted(), "{seen:?}");
}

/// Requires that `id` is corrupt, at its place, and everything else in `oldest..next` a record.
#[track_caller]
fn assert_only_corrupt(ring: &Ring, ids: std::ops::Range<u64>, id: u64) {
    let (path, offset) = place_of(ring, id);
    let size = ring.geometry().record_size;
    for other in ids.clone().filter(|&other| other != id) {
        let read = ring.read(other).expect("a read");
        assert_eq!(read, Read::Record(payload(other, size)), "beside {id}: {other}");
    }
    let corrupt = Read::Corrupt { path: path.clone(), id, offset };
    assert_eq!(ring.read(id).expect("a read"), corrupt);
    assert_eq!(ring.view(id, <[u8]>::to_vec).expect("a view"), corrupt);
    let (report, damages) = verified(ring);
    assert_eq!((report.good, report.corrupt), (ids.end - ids.start - 1, 1));
    assert_eq!(damages, [Damage { id, path, offset }]);
}

#[test]
fn any_flipped_bit_of_a_slot_damages_that_record_alone() {
    for size in [1, 7, 12, 2044] {
        let home = Home::new();
        let mut producer = ring_options(size, 30).shards(3).create(home.path()).unwrap();
        producer.append_batch(&payloads(0..50, size)).unwrap();
        let (inside, outside) = (producer.ring(), open_ring(home.path()).unwrap());
        // Slots 11..22 are in the second file, 22..33 in the third.
        let mut files = std::collections::BTreeSet::new();
        for id in 20..50 {
            let (path, offset) = place_of(&inside, id);
            let slot_bytes = u64::try_from(size + 4).unwrap();
            let places = [0, id % slot_bytes, slot_bytes - 4, slot_bytes - 1];
            for at in places {
                let bit = 1 << (id % 8);
                flip(&path, offset + at, bit);
                assert_only_corrupt(&inside, 20..50, id);
                assert_only_corrupt(&outside, 20..50, id);
                flip(&path, offset + at, bit);
            }
            files.insert(path);
        }
        assert_eq!(files.len(), 3);
        assert_clean(&outside, 30, 0);
    }
}

#[test]
fn every_bit_of_a_marker_counts() {
    let home = Home::new();
    let mut producer = ring_options(5, 30).create(home.path()).unwrap();
    producer.append_batch(&payloads(0..5, 5)).unwrap();
    producer.append_at(7, &payload(7, 5)).unwrap();
    producer.delete(2).unwrap();
    let ring = producer.ring();
    for id in [2, 5, 6] {
        let (path, offset) = place_of(&ring, id);
        for at in 0..9 {
            for bit in 0..8 {
                flip(&path, offset + at, 1 << bit);
                let corrupt = Read::Corrupt { path: path.clone(), id, offset };
                assert_eq!(ring.read(id).unwrap(), corrupt);
                flip(&path, offset + at, 1 << bit);
            }
        }
        assert_eq!(ring.read(id).unwrap(), Read::Absent);
    }
}

#[test]
fn damage_outlives_every_reopening_until_it_is_lapped() {
    let home = Home::new();
    let mut producer = ring_options(12, 30).shards(3).create(home.path()).unwrap();
    producer.append_batch(&payloads(0..50, 12)).unwrap();
    let ring = open_ring(home.path()).unwrap();
    let (path, offset) = place_of(&ring, 35);
    flip(&path, offset + 5, 0x10);
    producer.close().unwrap();
    assert_only_corrupt(&ring, 20..50, 35);
    open_producer(home.path()).unwrap().die();
    assert_only_corrupt(&ring, 20..50, 35);
    let mut producer = open_producer(home.path()).unwrap();
    producer.append_batch(&payloads(50..65, 12)).unwrap();
    assert_only_corrupt(&ring, 35..65, 35);
    producer.append_batch(&payloads(65..70, 12)).unwrap();
    assert_keeps(&ring, 40..70);
    assert_clean(&ring, 30, 0);
}

#[test]
fn a_slot_of_zeros_or_of_another_id_is_corrupt() {
    let home = Home::new();
    let mut producer = ring_options(12, 30).create(home.path()).unwrap();
    producer.append_batch(&payloads(0..30, 12)).unwrap();
    let ring = producer.ring();
    let (path, offset) = place_of(&ring, 7);
    poke(&path, offset, &[0; 16]);
    assert_only_corrupt(&ring, 0..30, 7);
    let other = crate::support::peek(&path, offset + 16, 16);
    poke(&path, offset, &other);
    assert_only_corrupt(&ring, 0..30, 7);
}

/// Goal: whatever the hot page holds, opening does not panic and nothing wrong is served; and after
/// a clean close a page that makes no sense costs nothing.
#[test]
fn a_damaged_hot_page_never_brings_a_wrong_record() {
    let home = Home::new();
    let words = [0, 8, 64, 72, 128, 136, 144, 192, 200, 208, 216, 224, 256];
    let mut random = fastrand::Rng::with_seed(7);
    let [mut whole, mut partial] = [0; 2];
    for round in 0..600 {
        let _ = std::fs::remove_file(home.path());
        let mut producer = ring_options(12, 30).create(home.path()).unwrap();
        producer.append_batch(&payloads(0..50, 12)).unwrap();
        producer.close().unwrap();
        let word = words[round % words.len()];
        let near = [0, 19, 20, 49, 51, 53, 1 << 62, u64::MAX, random.u64(..)];
        let value = near[round / words.len() % near.len()];
        poke(&home.path(), PAGE + word, &value.to_le_bytes());
        let ring = open_ring(home.path()).unwrap();
        let mut served = 0;
        for id in window(&ring).take(200).chain(0..60) {
            if let Read::Record(found) = ring.read(id).unwrap() {
                assert_eq!(found, payload(id, 12), "id {id} in round {round}");
                served += 1;
            }
        }
        let _ = ring.verify(|_| {}).unwrap();
        if let Ok(mut producer) = open_producer(home.path()) {
            let id = producer.append(&payload(1, 12)).unwrap();
            assert!(id >= 50, "id {id} was handed out twice in round {round}");
            assert_eq!(producer.ring().read(id).unwrap(), Read::Record(payload(1, 12)));
        }
        *(if served >= 30 { &mut whole } else { &mut partial }) += 1;
    }
    assert!(whole > 300 && partial > 0, "{whole} rounds lost nothing, {partial} something");
}
