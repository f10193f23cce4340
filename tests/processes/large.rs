//! Goal: how much is read to open an archive does not grow with the archive.
//!
//! Method: a child fills a part of an archive of a gibibyte and is killed; then the library's seam
//! counts what an opening and the first append read. Counted, not timed.

use std::{fs, io::Write as _, os::unix::fs::FileExt as _, path::Path};

use ringkeep::{Meter, Producer, Ring, RingOptions};
use ringkeep_torture::kill::{
    child::{Running, say, wait_for_the_end},
    payload::{Style, fill, payload_of},
};

/// With its CRC a slot has 1 KiB.
const SIZE: usize = 1020;
const CAPACITY: u64 = 1 << 20;
const RECORDS: u64 = 20_000;
const BATCH: u64 = 500;
const FREE_BYTES_MIN: u64 = 3 << 30;
const READ_BYTES_MAX: u64 = 1 << 20;
/// Where the hot page has the boot id; see docs/FORMAT.md.
const BOOT: u64 = 4096 + 200;

fn options() -> RingOptions {
    RingOptions::new(SIZE, CAPACITY)
}

/// The child: fills a part, all of it far up, and waits to be killed.
pub(crate) fn fill_a_part(arguments: &[String]) {
    let [path] = arguments else { panic!("{arguments:?}") };
    let mut producer = options().create(path).expect("a gibibyte");
    // Around the end of the last lap, so that all files are used.
    let first = 7 * CAPACITY;
    producer.append_at(first, &payload_of(Style::Hash, first, 0, SIZE)).expect("a jump");
    let mut records = vec![0; SIZE * usize::try_from(BATCH).expect("few")];
    for batch in 0..RECORDS / BATCH {
        let ids = first + 1 + batch * BATCH..;
        for (id, payload) in ids.zip(records.chunks_mut(SIZE)) {
            fill(Style::Hash, id, 0, payload);
        }
        producer.append_batch(&records).expect("a batch");
    }
    say("filled");
    wait_for_the_end();
}

fn free_bytes(directory: &Path) -> u64 {
    let found = rustix::fs::statvfs(directory).expect("a file system");
    found.f_bavail * found.f_frsize
}

#[test]
fn opening_a_gibibyte_after_a_kill_reads_a_bounded_number_of_bytes() {
    let directory = tempfile::tempdir().expect("a directory");
    if free_bytes(directory.path()) < FREE_BYTES_MIN {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: less than 3 GiB are free in {}",
            directory.path().display()
        );
        return;
    }
    let path = directory.path().join("cache.dat");
    let child = Running::start("fill a part", &[path.to_str().expect("ASCII")]);
    child.says("filled");
    let _ = child.kill();
    let mut next = 7 * CAPACITY + 1 + RECORDS;
    next = open_and_append(&path, "killed", |found| assert_eq!(found, next));

    // The same after a power cut: without its boot id the hot page is not believed.
    let file = fs::OpenOptions::new().write(true).open(&path).expect("the archive");
    file.write_all_at(&[0; 16], BOOT).expect("a boot id");
    open_and_append(&path, "power cut", |found| assert!(found > next));
    let ring = Ring::open(&path).expect("a reader");
    let id = next - 2;
    let payload = payload_of(Style::Hash, id, 0, SIZE);
    assert_eq!(ring.read(id).and_then(ringkeep::Read::record).expect("a record"), payload);
}

/// Opens, appends one record and dies; the next id.
fn open_and_append(path: &Path, state: &str, check_next: impl Fn(u64)) -> u64 {
    let meter = Meter::new();
    let mut producer = options().metered(&meter).open(path).expect("a producer");
    let opened_bytes = meter.read_bytes();
    let next = producer.ring().next_id().expect("next");
    check_next(next);
    let payload = payload_of(Style::Hash, next, 0, SIZE);
    assert_eq!(producer.append(&payload).expect("an append"), next);
    let read_bytes = meter.read_bytes();
    println!("{state}: opening read {opened_bytes} bytes, with the first append {read_bytes}");
    assert!(opened_bytes > 4096, "the meter counts identity pages at least: {opened_bytes}");
    assert!(read_bytes < READ_BYTES_MAX, "{state}: {read_bytes} bytes were read");
    Producer::die(producer);
    next + 1
}
