//! In the steady state nothing is allocated, however an archive is held.

use ringkeep::{Io, Read, ReadBatch, ReadOptions, RingOptions, Start, WriteOptions};

const SIZE: usize = 60;
const CAPACITY: u64 = 50_000;
/// Records of a round.
const COUNT: u64 = 2000;

/// The allocations of the third round of some work: buffers have grown by then.
fn in_the_steady_state(mut work: impl FnMut()) -> u64 {
    work();
    work();
    allocation_counter::measure(work).count_total
}

fn check(what: &str, writing: &WriteOptions, reading: &ReadOptions) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cache.dat");
    let options = RingOptions::new(SIZE, CAPACITY).shards(3);
    options.create(&path).expect("a ring").close().expect("a clean close");
    let mut producer = writing.open(&path).expect("a producer");
    let batch = vec![7; SIZE * 100];
    let mut next = 0;
    let appended = in_the_steady_state(|| {
        for _ in 0..COUNT {
            next = producer.append(&batch[..SIZE]).expect("an append") + 1;
            next = producer.append_batch(&batch).expect("a batch").end;
        }
    });
    assert_eq!(appended, 0, "{what}: appends");

    let ring = reading.open(&path).expect("a reader");
    let (mut payload, mut many) = (vec![0; SIZE], ReadBatch::new());
    let scattered: Vec<u64> = (0..COUNT).map(|index| next - 1 - index * 17).collect();
    let read = in_the_steady_state(|| {
        for &id in &scattered {
            assert_eq!(ring.read_into(id, &mut payload).expect("a read"), Read::Record(()));
        }
        ring.read_many(&scattered, &mut many).expect("a batch");
        ring.read_range(next - COUNT..next, &mut many).expect("a range");
    });
    assert_eq!(read, 0, "{what}: reads");

    let mut cursor = ring.range(next - 4 * COUNT..next);
    let mut tailer = ring.tailer(Start::Id(next - 4 * COUNT));
    let walked = in_the_steady_state(|| {
        for _ in 0..COUNT {
            cursor.next().expect("a walk").expect("more");
            tailer.try_next().expect("a tailer").expect("more");
        }
    });
    assert_eq!(walked, 0, "{what}: walks");
}

#[test]
fn nothing_is_allocated_in_the_steady_state() {
    let (write, read) = (WriteOptions::new, ReadOptions::new);
    check("mapped", &write(), &read());
    check("by position", &write().io(Io::File), &read().io(Io::File));
    let budget = 1 << 20;
    check("a budget", &write().resident_budget(budget), &read().resident_budget(budget));
}
