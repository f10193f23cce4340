//! Limits on memory and disk: of one spool, and shared by several structures.

use std::io::{self, Read as _, Write as _};

use ringkeep::{Bytes, DiskBudget, Error, MemoryBudget, QueueOptions, Spool, SpoolOptions};

const PART: usize = 1 << 20;

fn part(number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    let mut bytes = vec![0; PART];
    random.fill(&mut bytes);
    bytes
}

/// Goal: the disk holds what was not drained, and not much more.
///
/// Method: twenty parts through a spool that may have next to nothing in memory, the oldest of
/// three drained each time, and the disk that the spool takes looked at after that.
#[test]
fn the_disk_never_holds_more_than_what_is_not_drained_and_a_little() {
    let directory = tempfile::tempdir().expect("a directory");
    let spool = SpoolOptions::new().memory_bytes(100_000).directory(directory.path()).build();
    let mut drain = spool.drain().expect("nobody drains");
    let mut left = 0;
    let mut most = 0;
    for number in 0..20 {
        spool.put(number, &part(number)).expect("there is room");
        left += PART;
        if number < 2 {
            continue;
        }
        let mut oldest = drain.next_part().expect("no gap").expect("it is ready");
        let mut found = vec![0; PART / 2];
        oldest.read_exact(&mut found).expect("it can be read");
        let mut rest = Vec::new();
        oldest.read_to_end(&mut rest).expect("it can be read");
        assert!([found, rest].concat() == part(number - 2));
        left -= PART;
        // All but the piece at the end of it was given back while it was read.
        let on_disk = spool.stats().disk_bytes;
        assert!(on_disk <= left as u64 + (256 << 10), "{on_disk}, {left} are left");
        most = most.max(on_disk);
    }
    assert!(most > 2 * PART as u64 - 200_000, "{most}");
}

#[test]
fn a_limit_on_the_disk_is_an_error_until_parts_were_drained() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = SpoolOptions::new().memory_bytes(0).directory(directory.path());
    let spool = options.disk_bytes_max(3 * PART as u64).build();
    for number in 0..3 {
        spool.put(number, &part(number)).expect("there is room");
    }
    let refused = spool.put(3, &part(3)).expect_err("there is none");
    assert!(matches!(refused, Error::DiskFull { max_bytes: 3_145_728, .. }), "{refused:?}");
    let mut writer = spool.part(3).expect("it can come");
    let refused = writer.write_all(&part(3)).expect_err("there is none");
    assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    let written = usize::try_from(writer.part_bytes()).expect("a few bytes");
    drop(spool.drain().expect("alone").next_part().expect("it is ready"));
    writer.write_all(&part(3)[written..]).expect("there is room again");
    writer.commit().expect("it can come");
    for number in 1..4 {
        let mut found = Vec::new();
        spool.reader(number).expect("it is ready").read_to_end(&mut found).expect("it is whole");
        assert!(found == part(number), "{number}");
    }
}

#[test]
fn spools_and_queues_keep_to_one_memory_and_one_disk_together() {
    let directory = tempfile::tempdir().expect("a directory");
    let (memory, disk) = (MemoryBudget::new(4 << 20), DiskBudget::new(64 << 20));
    let options = SpoolOptions::new().memory_budget(&memory).disk_budget(&disk);
    let options = options.directory(directory.path());
    let spools: Vec<Spool> = (0..3).map(|_| options.build()).collect();
    let queue = QueueOptions::new(Bytes).memory_budget(&memory).disk_budget(&disk);
    let queue = queue.open(directory.path().join("queue")).expect("a queue");
    for number in 0..6 {
        for spool in &spools {
            spool.put(number, &part(number)).expect("there is room");
            let taken: u64 = spools.iter().map(|spool| spool.stats().resident_bytes).sum();
            assert!(taken <= 4 << 20, "{taken}");
        }
        queue.push_batch(vec![vec![7; 1000]; 500]).expect("there is room");
        // The queue has room for what it reads besides.
        assert!(memory.used() <= (4 << 20) + (256 << 10), "{memory:?}");
    }
    // The first spool had all of it, until others needed some.
    let resident: Vec<_> = spools.iter().map(|spool| spool.stats().resident_bytes).collect();
    assert!(resident.iter().sum::<u64>() > 1 << 20, "{resident:?}");
    let on_disk: u64 = spools.iter().map(|spool| spool.stats().disk_bytes).sum();
    assert_eq!(disk.used(), on_disk + queue.stats().disk_bytes);
    for spool in &spools {
        spool.finish(6).expect("there are six");
        let mut found = Vec::new();
        spool.merge_into(&mut found).expect("all are there");
        assert!(found == (0..6).flat_map(part).collect::<Vec<_>>());
    }
    drop(spools);
    assert_eq!(disk.used(), queue.stats().disk_bytes);
}

#[test]
fn a_directory_that_vanishes_costs_only_what_has_no_room_in_memory() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = SpoolOptions::new().memory_bytes(300_000).directory(directory.path());
    let spool = options.build();
    spool.put(0, b"in memory").expect("there is room");
    let path = directory.path().to_owned();
    directory.close().expect("it is empty");
    let refused = spool.put(1, &part(1)).expect_err("it is gone");
    let is_told = matches!(&refused, Error::Io { action: "make a temporary file in", .. });
    assert!(is_told, "{refused:?}");
    assert_eq!(
        io::read_to_string(spool.reader(0).expect("it is ready")).expect("text"),
        "in memory"
    );
    std::fs::create_dir(&path).expect("there is room");
    spool.put(1, &part(1)).expect("it is there again");
    std::fs::remove_dir(&path).expect("what is in it has no name");
}

#[test]
fn a_spool_gives_memory_up_to_another_one_that_needs_some() {
    let directory = tempfile::tempdir().expect("a directory");
    let memory = MemoryBudget::new(8 << 20);
    let options = SpoolOptions::new().memory_budget(&memory).directory(directory.path());
    let (one, other) = (options.build(), options.build());
    for number in 0..8 {
        one.put(number, &part(number)).expect("there is room");
    }
    let before = one.stats().resident_bytes;
    for number in 0..8 {
        other.put(number, &part(number)).expect("there is room");
    }
    let (one_has, other_has) = (one.stats().resident_bytes, other.stats().resident_bytes);
    assert!(before > 4 << 20 && one_has < before - (1 << 20), "{before}, then {one_has}");
    assert!(other_has > 1 << 20, "{other_has}");
    for number in 0..8 {
        let found = io::Read::bytes(one.reader(number).expect("it is ready"));
        assert!(found.map(|byte| byte.expect("it is whole")).eq(part(number)));
    }
}

#[test]
fn memory_that_is_free_again_is_used_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = SpoolOptions::new().memory_bytes(3 * PART as u64);
    let spool = options.directory(directory.path()).build();
    for number in 0..6 {
        spool.put(number, &part(number)).expect("there is room");
    }
    let before = spool.stats();
    // The first ones are needed first: they stayed.
    let mut drain = spool.drain().expect("nobody drains");
    for _ in 0..2 {
        drop(drain.next_part().expect("no gap").expect("it is ready"));
    }
    let after = spool.stats();
    assert_eq!(after.disk_bytes, before.disk_bytes, "they were in memory");
    assert_eq!(before.resident_bytes - after.resident_bytes, 2 * PART as u64);
    spool.put(6, &part(6)).expect("there is room");
    assert_eq!(spool.stats().disk_bytes, after.disk_bytes, "there was memory");
}
