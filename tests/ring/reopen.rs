//! Closing, dropping and dying, and what the next producer and the readers that stay find.

use std::fs;

use ringkeep::{Error, Producer, Read, ReadOptions, Ring};

use crate::support::{
    Home, assert_keeps, open_producer, open_ring, payload, payloads, ring_options, window,
};

/// How a producer ends, and what that is called.
type End = (&'static str, fn(Producer));

const ENDS: [End; 3] = [
    ("close", |producer| producer.close().expect("a clean close")),
    ("drop", drop),
    ("die", Producer::die),
];

#[test]
fn a_ring_goes_on_where_it_was_however_its_producer_ended() {
    for capacity in [1, 5, 16, 100] {
        for (end_name, end) in ENDS {
            let home = Home::new();
            let options = ring_options(7, capacity).shards(3);
            options.create(home.path()).unwrap().close().unwrap();
            let ring = open_ring(home.path()).unwrap();
            let mut next = 0;
            for round in 0..20 {
                let mut producer = open_producer(home.path()).unwrap();
                assert_eq!(producer.ring().next_id().unwrap(), next, "{end_name}");
                for _ in 0..round {
                    assert_eq!(producer.append(&payload(next, 7)).unwrap(), next);
                    next += 1;
                }
                let ids = next.saturating_sub(capacity)..next;
                assert_keeps(&producer.ring(), ids.clone());
                end(producer);
                assert_keeps(&ring, ids.clone());
                assert_keeps(&open_ring(home.path()).unwrap(), ids);
            }
        }
    }
}

#[test]
fn in_another_boot_the_checkpoint_rules_and_not_the_hot_page() {
    let home = Home::new();
    let mut producer = ring_options(7, 100).boot_id([1, 2]).create(home.path()).unwrap();
    producer.append(&payload(0, 7)).unwrap();
    producer.die();
    let same = ReadOptions::new().boot_id([1, 2]).open(home.path()).unwrap();
    assert_eq!(same.next_id().unwrap(), 1);
    let other = ReadOptions::new().boot_id([2, 1]).open(home.path()).unwrap();
    assert!(other.next_id().unwrap() > 1, "what was reserved is given up");
    assert_eq!(other.read(1).unwrap(), Read::Lost);
    assert_eq!(other.read(0).unwrap(), Read::Record(payload(0, 7)), "it proves itself");
}

#[test]
fn each_opening_for_write_begins_a_new_epoch() {
    let home = Home::new();
    let producer = ring_options(7, 10).create(home.path()).unwrap();
    let ring = open_ring(home.path()).unwrap();
    let mut epoch = ring.stats().unwrap().epoch;
    producer.close().unwrap();
    for (_, end) in ENDS {
        open_ring(home.path()).unwrap();
        assert_eq!(ring.stats().unwrap().epoch, epoch, "a reader is no opening for write");
        let producer = open_producer(home.path()).unwrap();
        let new = ring.stats().unwrap().epoch;
        assert!(new > epoch, "{new} after {epoch}");
        epoch = new;
        end(producer);
    }
}

#[test]
fn a_clean_close_makes_everything_durable_and_a_death_nothing() {
    let home = Home::new();
    let mut producer = ring_options(7, 10).create(home.path()).unwrap();
    let ring = open_ring(home.path()).unwrap();
    producer.append_batch(&payloads(0..5, 7)).unwrap();
    producer.die();
    assert_eq!(ring.durable().unwrap(), 0);
    let mut producer = open_producer(home.path()).unwrap();
    assert_eq!(ring.durable().unwrap(), 0);
    producer.append_batch(&payloads(5..8, 7)).unwrap();
    producer.close().unwrap();
    assert_eq!(ring.durable().unwrap(), 8);
    drop(open_producer(home.path()).unwrap());
    assert_eq!(ring.durable().unwrap(), 8);
}

#[test]
fn rings_of_every_earlier_producer_read_on() {
    let home = Home::new();
    let mut rings = vec![];
    let mut producer = ring_options(4000, 20).shards(2).create(home.path()).unwrap();
    let mut next = 0;
    for round in 0..12 {
        rings.push(producer.ring());
        rings.push(open_ring(home.path()).unwrap());
        producer.append_batch(&payloads(next..next + 9, 4000)).unwrap();
        next += 9;
        for ring in &rings {
            assert_keeps(ring, next.saturating_sub(20)..next);
        }
        ENDS[round % 3].1(producer);
        for ring in &rings {
            assert_keeps(ring, next.saturating_sub(20)..next);
        }
        producer = open_producer(home.path()).unwrap();
    }
}

#[test]
fn an_opening_that_appends_nothing_changes_no_record() {
    let home = Home::new();
    let mut producer = ring_options(7, 30).shards(4).create(home.path()).unwrap();
    producer.append_batch(&payloads(0..50, 7)).unwrap();
    producer.close().unwrap();
    let shards = |home: &Home| {
        let bytes = |index| fs::read(home.shard(index)).unwrap();
        (1..4).map(bytes).collect::<Vec<_>>()
    };
    let before = shards(&home);
    for (_, end) in ENDS {
        end(open_producer(home.path()).unwrap());
        assert_eq!(shards(&home), before);
        assert_keeps(&open_ring(home.path()).unwrap(), 20..50);
    }
}

#[test]
fn open_or_create_creates_once_and_then_opens() {
    let home = Home::new();
    let options = ring_options(7, 30).shards(4);
    for id in 0..40 {
        let mut producer = options.open_or_create(home.path()).unwrap();
        assert_eq!(producer.append(&payload(id, 7)).unwrap(), id);
    }
    assert_keeps(&open_ring(home.path()).unwrap(), 10..40);
}

#[test]
fn a_schema_is_kept_and_compared_only_where_it_was_asked_for() {
    let home = Home::new();
    let schema = "t:time_ns, temp:f32[C]";
    let options = ring_options(12, 5);
    options.clone().schema(schema).create(home.path()).unwrap().close().unwrap();
    assert_eq!(open_ring(home.path()).unwrap().schema_text(), Some(schema));
    assert_eq!(options.open(home.path()).unwrap().ring().schema_text(), Some(schema));
    options.clone().schema(schema).open(home.path()).unwrap();
    options.clone().schema(" t:time_ns,temp : f32 [C]").open(home.path()).unwrap();
    let wanted = "t:time_ns, temp:u32[C]";
    let other = options.schema(wanted).open(home.path());
    let Err(Error::SchemaMismatch { path, found, expected }) = other else { panic!("{other:?}") };
    assert_eq!((path, &*found, &*expected), (home.path(), schema, wanted));
}

#[test]
fn copied_files_of_a_closed_archive_are_an_archive() {
    let (home, elsewhere) = (Home::new(), Home::new());
    let mut producer = ring_options(7, 30).shards(4).create(home.path()).unwrap();
    producer.append_at(1000, &payload(1000, 7)).unwrap();
    producer.append_batch(&payloads(1001..1050, 7)).unwrap();
    producer.close().unwrap();
    for index in 0..4 {
        fs::copy(home.shard(index), elsewhere.shard(index)).unwrap();
    }
    let ring = open_ring(elsewhere.path()).unwrap();
    assert_keeps(&ring, 1020..1050);
    assert_eq!(ring.durable().unwrap(), 1050);
    let mut producer = open_producer(elsewhere.path()).unwrap();
    assert_keeps(&producer.ring(), 1020..1050);
    producer.append(&payload(1050, 7)).unwrap();
    assert_keeps(&ring, 1021..1051);
    assert_keeps(&open_ring(home.path()).unwrap(), 1020..1050);
}

#[test]
fn a_copy_of_an_archive_that_was_not_closed_serves_nothing_wrong() {
    let (home, elsewhere) = (Home::new(), Home::new());
    let mut producer = ring_options(7, 100).shards(4).create(home.path()).unwrap();
    producer.append_batch(&payloads(0..250, 7)).unwrap();
    producer.flush().unwrap();
    producer.append_batch(&payloads(250..270, 7)).unwrap();
    producer.die();
    for index in 0..4 {
        fs::copy(home.shard(index), elsewhere.shard(index)).unwrap();
    }
    // Its hot page is another file's, so it is as after a power cut: at most R of the oldest are
    // given up, and no id is handed out twice.
    let look = |ring: &Ring| {
        let ids = window(ring);
        assert!(ids.start <= 170 + 12 + 100 && ids.end >= 270, "{ids:?}");
        for id in ids {
            match ring.read(id).unwrap() {
                Read::Record(found) => assert_eq!(found, payload(id, 7), "record {id}"),
                Read::Lost => assert!(id >= 270, "record {id} was there"),
                other => panic!("{id}: {other:?}"),
            }
        }
    };
    let ring = open_ring(elsewhere.path()).unwrap();
    look(&ring);
    let mut producer = open_producer(elsewhere.path()).unwrap();
    look(&producer.ring());
    look(&ring);
    let next = producer.append(&payload(ring.next_id().unwrap(), 7)).unwrap();
    assert!(next >= 270);
    look(&ring);
}

#[test]
fn a_ring_can_be_moved_while_it_is_closed() {
    let home = Home::new();
    let mut producer = ring_options(7, 30).shards(2).create(home.path()).unwrap();
    producer.append_batch(&payloads(0..50, 7)).unwrap();
    producer.close().unwrap();
    let elsewhere = home.directory().join("other.dat");
    fs::rename(home.path(), &elsewhere).unwrap();
    fs::rename(home.shard(1), home.directory().join("other.dat.1")).unwrap();
    assert_keeps(&open_producer(&elsewhere).unwrap().ring(), 20..50);
    assert!(matches!(open_ring(home.path()), Err(Error::NotFound { .. })));
}

/// Goal: a copy with holes cannot end its producer with a signal on a disk that is full later.
#[test]
fn a_copy_with_holes_gets_all_its_space_when_it_is_opened() {
    use std::os::unix::fs::MetadataExt;
    let home = Home::on_disk();
    ring_options(60, 100_000).create(home.path()).unwrap().close().unwrap();
    let bytes = fs::read(home.path()).unwrap();
    let length = bytes.len() as u64;
    let copy = fs::File::create(home.path()).unwrap();
    copy.set_len(length).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&copy, &bytes[..20_480], 0).unwrap();
    let allocated = || copy.metadata().unwrap().blocks() * 512;
    assert!(allocated() < length / 2, "this file system makes no holes");
    let mut producer = open_producer(home.path()).unwrap();
    assert!(allocated() >= length, "{} of {length} bytes", allocated());
    assert_eq!(producer.append(&[7; 60]).unwrap(), 0);
}
