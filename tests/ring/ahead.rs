//! A producer at speed, whose pages are made ready by a thread: nothing changes but the time.

use std::fs;

use ringkeep::{Read, RingOptions, SyncPolicy};

use crate::support::{Home, payload, skip};

const SIZE: usize = 1020;
/// 16 MiB of slots, more than are made ready at once.
const CAPACITY: u64 = 16 << 10;
const MIB: u64 = 1 << 20;

/// Whether a thread of this process has the name, which the kernel cuts.
fn has_thread(name: &str) -> bool {
    let names = fs::read_dir("/proc/self/task").expect("threads").flatten();
    let mut names = names.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.any(|found| found.trim_end() == name)
}

#[test]
fn laps_at_speed_over_many_shards_keep_every_record_and_dirty_a_few_mib_more() {
    let home = Home::on_disk();
    let options = RingOptions::new(SIZE, CAPACITY).shards(40).sync(SyncPolicy::EveryRecords(4096));
    let mut producer = options.create(home.path()).unwrap();
    let ring = producer.ring();
    let mut is_helped = false;
    for lap in 0..4 {
        for id in lap * CAPACITY..(lap + 1) * CAPACITY {
            assert_eq!(producer.append(&payload(id, SIZE)).unwrap(), id);
        }
        is_helped |= has_thread("ringkeep-ahead");
        for id in ring.oldest().unwrap()..ring.next_id().unwrap() {
            assert_eq!(ring.read(id).unwrap(), Read::Record(payload(id, SIZE)));
        }
        producer.flush().unwrap();
    }
    if !is_helped {
        skip("help for a producer at speed", "this machine is too slow for that now");
    }
    match ring.stats().unwrap().dirty_bytes {
        // Four stretches of 2 MiB, and folios that are dirty in part.
        Some(dirty) => assert!(dirty <= 12 * MIB, "{dirty} bytes are dirty after a sync"),
        None => skip("dirty bytes of an idle producer", "the kernel does not tell"),
    }
    producer.close().unwrap();
}
