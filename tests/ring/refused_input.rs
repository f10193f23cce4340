//! Options that make no ring: a typed error that names the number, before anything is touched.

use ringkeep::{Error, GeometryError, RingOptions};

use crate::support::{Home, payloads, ring_options};

const LARGEST: usize = 16 << 20;

/// Requires the error of `geometry`, and of every verb, with nothing made.
#[track_caller]
fn assert_invalid(options: &RingOptions, expected: GeometryError) {
    let home = Home::new();
    let is_expected = |error: Option<Error>| {
        let told = error.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(
            matches!(error, Some(Error::InvalidOptions(found)) if found == expected),
            "{error:?} instead of {expected:?}"
        );
        assert_eq!(told, expected.to_string());
    };
    is_expected(options.create(home.path()).err());
    is_expected(options.open_or_create(home.path()).err());
    is_expected(options.open(home.path()).err());
    assert!(home.names().is_empty(), "{:?}", home.names());
    // An archive that is there is not touched either.
    let mut producer = ring_options(4, 10).create(home.path()).expect("a ring");
    producer.append_batch(&payloads(0..7, 4)).expect("a batch");
    producer.close().expect("a clean close");
    let before = home.state();
    is_expected(options.open(home.path()).err());
    is_expected(options.open_or_create(home.path()).err());
    assert!(home.state() == before);
}

#[test]
fn record_sizes_are_bounded() {
    for size in [0, LARGEST + 1, usize::MAX] {
        let found = size as u64;
        assert_invalid(&ring_options(size, 10), GeometryError::RecordSize { found });
    }
    assert!(ring_options(LARGEST, 10).geometry().is_ok());
}

#[test]
fn capacities_are_bounded_and_never_overflow() {
    for found in [0, 1 << 40, (1 << 40) - 255, u64::MAX - 256, u64::MAX] {
        assert_invalid(&ring_options(10, found), GeometryError::Capacity { found });
    }
    // Each number alone would do, both together are more bytes than a disk has.
    let found = 1 << 35;
    assert_invalid(&ring_options(LARGEST, found), GeometryError::Capacity { found });
    let largest = ring_options(10, (1 << 40) - 256).shard_bytes(1 << 40).geometry();
    assert_eq!(largest.unwrap().slots, 1 << 40);
}

#[test]
fn numbers_of_files_are_bounded() {
    for count in [0, 16_385, u32::MAX] {
        let found = count.into();
        let options = ring_options(10, 1000).shards(count);
        assert_invalid(&options, GeometryError::Shards { found });
    }
    assert_invalid(&ring_options(10, 1000).shard_bytes(0), GeometryError::ShardBytes);
    // 100,000 records and a block of 256, one to a file.
    let options = ring_options(10, 100_000).shard_bytes(1);
    assert_invalid(&options, GeometryError::Shards { found: 100_256 });
}

#[test]
fn a_schema_is_one_line_of_bounded_length() {
    let home = Home::new();
    let longest = format!("a:u32[{}]", "y".repeat(2041));
    for text in ["", "two\nlines", "a\0b", "tab\t", "\u{7f}", "a:u31", &format!("{longest} ")] {
        let refused = ring_options(4, 10).schema(text).create(home.path());
        assert!(matches!(refused, Err(Error::InvalidSchema(_))), "{text:?}: {refused:?}");
    }
    assert_eq!(home.state().len(), 0);
    let producer = ring_options(4, 10).schema(&longest).create(home.path()).unwrap();
    assert_eq!(producer.ring().schema_text(), Some(&*longest));
}

#[test]
fn a_schema_of_another_size_than_the_record_makes_no_ring() {
    let home = Home::new();
    for options in [ring_options(11, 10), ring_options(13, 10)] {
        let options = options.schema("t:time_ns, temp:f32[C]");
        for refused in [options.create(home.path()), options.open(home.path())] {
            let Err(Error::SchemaSize { schema_bytes: 12, record_size }) = refused else {
                panic!("{refused:?}");
            };
            assert_ne!(record_size, 12);
        }
    }
    assert_eq!(home.state().len(), 0);
}

#[test]
fn the_last_setting_of_the_files_wins() {
    let geometry = |options: RingOptions| options.geometry().unwrap().shards;
    let options = ring_options(6, 70);
    assert_eq!(geometry(options.clone().shards(5).shard_bytes(1 << 20)), 1);
    assert_eq!(geometry(options.clone().shard_bytes(0).shards(5)), 5);
    assert_eq!(geometry(options), 1);
}

#[test]
fn wrong_payload_lengths_are_refused_and_nothing_is_appended() {
    let home = Home::new();
    let mut producer = ring_options(8, 10).create(home.path()).unwrap();
    producer.append_batch(&payloads(0..25, 8)).unwrap();
    producer.flush().unwrap();
    let before = home.settled_state();
    for length in [0, 1, 7, 9, 16, 1000] {
        let bytes = vec![0; length];
        for refused in [
            producer.append(&bytes).map(drop),
            producer.append_durable(&bytes).map(drop),
            producer.append_at(25, &bytes),
            producer.append_at(3, &bytes),
            producer.update(20, &bytes),
        ] {
            let Err(Error::WrongPayloadLength { found, expected }) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!((found, expected), (length, 8));
        }
    }
    assert!(home.state() == before, "nothing was written");
    assert_eq!(producer.ring().next_id().unwrap(), 25);
}
