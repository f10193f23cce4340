//! A store that fails, at every place where one can: the producer ends, and what it returned stays.

use std::{ops::Range, path::Path};

use ringkeep::{Error, Io, Producer, Read, ReadOptions, Result, RingOptions, SimDisk, SyncPolicy};
use rustix::io::Errno;

use crate::support::{payload, payloads};

const SIZE: usize = 12;
const CAPACITY: u64 = 60;
const PATH: &str = "/data/cache.dat";

fn options(disk: &SimDisk) -> RingOptions {
    RingOptions::new(SIZE, CAPACITY).shards(3).sync(SyncPolicy::EveryRecords(7)).on(disk)
}

/// What a producer does when a store fails under it.
type Work = fn(&mut Producer, next: u64) -> Result<()>;

const WORKS: [(&str, Work); 6] = [
    ("append", |producer, next| producer.append(&payload(next, SIZE)).map(drop)),
    ("a batch", |producer, next| producer.append_batch(&payloads(next..next + 40, SIZE)).map(drop)),
    ("append_at", |producer, next| producer.append_at(next + 3, &payload(next + 3, SIZE))),
    ("a jump", |producer, next| producer.append_at(next + 900, &payload(next + 900, SIZE))),
    ("update", |producer, next| producer.update(next - 5, &payload(next - 5, SIZE))),
    ("delete", |producer, next| producer.delete(next - 5)),
];

/// Everything that a ring shows is genuine, and these ids it does show.
fn assert_genuine(disk: &SimDisk, shown: &[Range<u64>], told: &str) {
    let ring = ReadOptions::new().on(disk).open(PATH).expect("a ring");
    for id in 0..ring.next_id().expect("good pages") {
        match ring.read(id).expect("good pages") {
            Read::Record(found) => assert_eq!(found, payload(id, SIZE), "{told}: {id}"),
            other @ Read::Corrupt { .. } => panic!("{told}: {id} is {other:?}"),
            other => {
                assert!(!shown.iter().any(|ids| ids.contains(&id)), "{told}: {id} is {other:?}");
            }
        }
    }
}

/// The producer ends with its first failed store, and the next one finds all in order.
fn assert_ends(disk: &SimDisk, mut producer: Producer, failed: &Error, returned: u64, told: &str) {
    assert!(matches!(failed, Error::Io { .. } | Error::Poisoned { .. }), "{told}: {failed:?}");
    for again in [
        producer.append(&[9; SIZE]).map(drop),
        producer.update(returned - 3, &[9; SIZE]),
        producer.append_at(returned + 5000, &[9; SIZE]),
        producer.flush(),
    ] {
        assert!(matches!(again, Err(Error::Poisoned { .. })), "{told}: {again:?}");
    }
    // A jump gives up what is before it when it begins.
    let before = if told.contains("jump") { 0..0 } else { returned - 4..returned };
    assert_genuine(disk, std::slice::from_ref(&before), told);
    producer.die();
    let mut next = options(disk).open(PATH).expect("the next producer");
    let first = next.ring().next_id().expect("good pages");
    assert!(first >= returned, "{told}: {first}");
    next.append_batch(&payloads(first..first + 10, SIZE)).expect("a batch");
    let shown = [before, first..first + 10];
    assert_genuine(disk, &shown, told);
    next.close().expect("a clean close");
    assert_genuine(disk, &shown, told);
}

fn filled(disk: &SimDisk, options: &RingOptions) -> (Producer, u64) {
    let mut producer = options.create(PATH).expect("a ring");
    producer.append_batch(&payloads(0..100, SIZE)).expect("a batch");
    assert!(disk.contents().iter().any(|(path, _)| path == Path::new(PATH)));
    (producer, 100)
}

#[test]
fn any_write_by_position_that_fails_ends_the_producer_and_costs_nothing() {
    for (name, work) in WORKS {
        let mut failures = 0;
        for after in 0.. {
            let disk = SimDisk::reliable(after);
            let (mut producer, returned) = filled(&disk, &options(&disk).io(Io::File));
            disk.fail_a_write(after);
            let worked = work(&mut producer, returned);
            if !disk.has_failed_a_write() {
                worked.expect("no write failed");
                break;
            }
            let told = format!("{name}, write {after}");
            // Waking readers is a write that nothing depends on; the next call tells.
            let failed = worked.and_then(|()| producer.flush()).expect_err(&told);
            assert_ends(&disk, producer, &failed, returned, &told);
            failures += 1;
        }
        assert!(failures >= 3, "{name}: {failures}");
    }
}

#[test]
fn a_window_that_cannot_be_mapped_ends_the_producer_and_costs_nothing() {
    for (name, work) in WORKS {
        let disk = SimDisk::reliable(1);
        let (mut producer, returned) = filled(&disk, &options(&disk).smallest_budget());
        disk.refuse_mappings(Some(Errno::NOMEM.raw_os_error()));
        let worked = work(&mut producer, returned);
        disk.refuse_mappings(None);
        if let Err(failed) = worked {
            assert_ends(&disk, producer, &failed, returned, name);
        } else {
            assert_eq!(name, "append", "it may fit the window that is there");
        }
    }
}
