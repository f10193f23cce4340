//! Goal: a store that spills keeps to its budgets, moves without anybody noticing, and leaves
//! nothing behind.

use ringkeep::{
    BucketRead, Bytes, DiskBudget, Error, MemoryBudget, QueueOptions, SimDisk, Store, StoreOptions,
};

fn fill(store: &Store, keys: std::ops::Range<u32>) -> ringkeep::Result<()> {
    store.write(|tx| {
        let mut bucket = tx.bucket("b")?;
        keys.into_iter()
            .try_for_each(|key| bucket.put(key.to_be_bytes(), vec![key.to_le_bytes()[0]; 1000]))
    })
}

fn check(store: &Store, count: u32) {
    let tx = store.begin_read().expect("a transaction");
    let bucket = tx.bucket("b").expect("a bucket");
    assert_eq!(bucket.len().expect("a read"), u64::from(count));
    for (entry, key) in bucket.iter().expect("a read").zip(0_u32..) {
        let (found, value) = entry.expect("a read");
        assert_eq!(&*found, key.to_be_bytes());
        assert!(value.len() == 1000 && value.iter().all(|&byte| byte == key.to_le_bytes()[0]));
    }
}

#[test]
fn it_moves_when_it_must_and_readers_notice_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let (memory, disk) = (MemoryBudget::new(8 << 20), DiskBudget::new(1 << 30));
    let options = StoreOptions::new().directory(home.path());
    let store = options.spilling(&memory, &disk).expect("a store");
    fill(&store, 0..1000).expect("there is room");
    assert_eq!(disk.used(), 0, "it fits");
    let before = store.begin_read().expect("a transaction");
    for round in 1..20 {
        fill(&store, round * 1000..(round + 1) * 1000).expect("there is room");
        assert!(memory.used() <= memory.bytes());
        check(&store, (round + 1) * 1000);
    }
    assert!(disk.used() > 20 << 20, "{}", disk.used());
    assert_eq!(memory.used(), 2 << 20, "the cache is left");
    assert_eq!(before.bucket("b").expect("a bucket").len().expect("a read"), 1000);
    drop(before);
    assert!(!store.verify().expect("it is whole").repaired);
    let count = std::fs::read_dir(home.path()).expect("a directory").count();
    assert_eq!(count, 0, "its file has no name");
    drop(store);
    assert_eq!((memory.used(), disk.used()), (0, 0));
}

#[test]
fn a_disk_that_has_no_room_is_told_and_what_was_committed_is_read() {
    let (memory, disk) = (MemoryBudget::new(1 << 20), DiskBudget::new(8 << 20));
    let store = Store::spilling(&memory, &disk).expect("a store");
    let mut filled = 0;
    let refused = loop {
        match fill(&store, filled..filled + 500) {
            Ok(()) => filled += 500,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::DiskFull { max_bytes, .. } if max_bytes == 8 << 20));
    assert!(filled >= 2000, "{filled}");
    assert!(disk.used() <= disk.bytes());
    check(&store, filled);
    // What fits is taken still, or it is told that nothing more is.
    match store.write(|tx| tx.bucket("b")?.put(0_u32.to_be_bytes(), vec![0; 1000])) {
        Ok(()) | Err(Error::DiskFull { .. }) => {}
        Err(other) => panic!("{other:?}"),
    }
    check(&store, filled);
}

#[test]
fn it_moves_when_others_need_the_memory() {
    let home = tempfile::tempdir().expect("a directory");
    let (memory, disk) = (MemoryBudget::new(8 << 20), DiskBudget::new(1 << 30));
    let store = StoreOptions::new().cache_bytes(1 << 20).directory(home.path());
    let store = store.spilling(&memory, &disk).expect("a store");
    fill(&store, 0..5600).expect("there is room");
    assert_eq!(disk.used(), 0, "it fits");
    let options = QueueOptions::new(Bytes).memory_budget(&memory);
    let queue = options.open(home.path().join("queue")).expect("a queue");
    queue.push_batch(vec![vec![7; 1000]; 3000]).expect("there is room");
    assert!(disk.used() > 0, "{memory:?}");
    check(&store, 5600);
    assert_eq!(queue.len(), 3000);
}

#[test]
fn every_call_of_the_disk_that_fails_is_told() {
    let mut told = 0;
    for call in 0.. {
        let disk = SimDisk::reliable(1);
        let (memory, room) = (MemoryBudget::new(0), DiskBudget::new(1 << 30));
        let options = StoreOptions::new().on(&disk).directory("/sim");
        let store = options.spilling(&memory, &room).expect("a store");
        disk.fail_a_call(call, false, 28);
        let mut filled = 0;
        let failed = loop {
            match fill(&store, filled..filled + 30) {
                Ok(()) => filled += 30,
                Err(error) => break Some(error),
            }
            if filled > 200 {
                break None;
            }
        };
        let hits = disk.mend_calls();
        match failed {
            Some(error) => {
                assert!(matches!(error, Error::NoSpace { .. } | Error::Io { .. }), "{error:?}");
                told += 1;
            }
            None if hits == 0 => break,
            None => {}
        }
        // The commit that failed is there as a whole, or not at all.
        let count = store.read(|tx| tx.bucket("b")?.len()).expect("a read");
        assert!([filled, filled + 30].map(u64::from).contains(&count), "{count}");
        check(&store, u32::try_from(count).expect("a small number"));
    }
    assert!(told > 5, "{told}");
}
