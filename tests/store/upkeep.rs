//! Goal: backups, checks, compaction and numbers, of stores in use.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use ringkeep::{BucketRead, Error, Store, StoreError, StoreFile, StoreOptions};

use crate::home::{Backend, Home, on_each, pairs};

fn fill(store: &Store, bucket: &str, keys: std::ops::Range<u32>, value: u8) {
    store
        .write(|tx| {
            let mut bucket = tx.bucket(bucket)?;
            keys.into_iter().try_for_each(|key| bucket.put(key.to_be_bytes(), [value; 100]))
        })
        .expect("there is room");
}

#[test]
fn a_backup_is_one_moment_of_a_store_in_use() {
    on_each(|home| {
        let (store, ended) = (home.store(), AtomicBool::new(false));
        fill(store, "b", 0..2000, 0);
        fill(store, "c", 0..2000, 0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for value in 1..=u8::MAX {
                    // Both or none, in one transaction.
                    store
                        .write(|tx| {
                            for name in ["b", "c"] {
                                let mut bucket = tx.bucket(name)?;
                                for key in (0..2000_u32).step_by(50) {
                                    bucket.put(key.to_be_bytes(), [value; 100])?;
                                }
                            }
                            Ok(())
                        })
                        .expect("there is room");
                    if ended.load(Relaxed) {
                        return;
                    }
                }
            });
            scope.spawn(|| {
                while !ended.load(Relaxed) {
                    let count = store.read(|tx| Ok(tx.bucket("b")?.iter()?.count()));
                    assert_eq!(count.expect("a read"), 2000);
                }
            });
            for number in 0..3 {
                let path = home.directory.path().join(format!("backup {number}"));
                store.backup_to(&path).expect("there is room");
                let backup = Store::open(&path).expect("a store");
                assert!(!backup.verify().expect("it is whole").repaired);
                let tx = backup.begin_read().expect("a transaction");
                let of = |name| pairs(&tx.bucket(name).expect("a bucket")).expect("a read");
                let (one, other) = (of("b"), of("c"));
                assert!(one.len() == 2000 && one == other, "not of one moment");
                let again = store.backup_to(&path);
                assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
            }
            ended.store(true, Relaxed);
        });
        let names = fs::read_dir(home.directory.path()).expect("a directory");
        let names = names.map(|entry| entry.expect("a name").file_name());
        assert!(names.into_iter().all(|name| !name.to_string_lossy().ends_with("-new")));
    });
}

#[test]
fn a_backup_into_nowhere_leaves_nothing() {
    let home = Home::new(Backend::File, StoreOptions::new());
    fill(home.store(), "b", 0..10, 0);
    let refused = home.store().backup_to(home.directory.path().join("no directory/backup"));
    assert!(matches!(refused, Err(Error::Io { .. })), "{refused:?}");
    assert_eq!(fs::read_dir(home.directory.path()).expect("a directory").count(), 1);
}

#[test]
fn compaction_makes_the_file_smaller_and_keeps_what_is_in_it() {
    on_each(|home| {
        let store = home.store();
        fill(store, "kept", 0..500, 1);
        fill(store, "dropped", 0..30_000, 2);
        fill(store, "kept", 500..1000, 1);
        store.write(|tx| tx.drop_bucket("dropped")).expect("there is room");
        let before = store.stats().expect("a read");
        assert!(before.fragmentation() > 0.8, "{}", before.fragmentation());
        let done = store.compact().expect("nobody is at work");
        assert_eq!(done.before_bytes, before.file_bytes);
        assert!(done.after_bytes < done.before_bytes / 4, "{done:?}");
        assert!(done.to_string().contains(&format!("{} bytes", done.after_bytes)));
        home.reopen();
        let found = home.store().read(|tx| pairs(&tx.bucket("kept")?)).expect("a read");
        assert!(found.len() == 1000 && found.iter().all(|(_, value)| *value == [1; 100]));
        if home.backend == Backend::File {
            let length = fs::metadata(home.path()).expect("it is there").len();
            assert!(length < done.before_bytes / 4, "{length}");
        }
    });
}

#[test]
fn whoever_is_at_work_keeps_compaction_and_checks_away() {
    let options = StoreOptions::new().lock_wait(Duration::from_millis(20));
    for backend in [Backend::File, Backend::Memory, Backend::Spilled] {
        let home = Home::new(backend, options.clone());
        let store = home.store();
        fill(store, "b", 0..10, 0);
        let reading = store.begin_read().expect("a transaction");
        for refused in [store.compact().map(drop), store.verify().map(drop)] {
            let refused = refused.expect_err("somebody reads");
            assert!(matches!(refused, Error::Store(StoreError::Reading { readers: 1 })));
        }
        assert_eq!(reading.bucket("b").expect("a bucket").len().expect("a read"), 10);
        drop(reading);
        let writing = store.begin_write().expect("a transaction");
        for refused in [store.compact().map(drop), store.verify().map(drop)] {
            let refused = refused.expect_err("somebody writes");
            assert!(matches!(refused, Error::Store(StoreError::Writing { .. })), "{refused:?}");
        }
        drop(writing);
        store.compact().expect("nobody is at work");
        assert_eq!(store.verify().expect("nobody is at work").keys, 10);
    }
}

#[test]
fn compaction_waits_for_those_who_read() {
    let home = Home::new(Backend::Memory, StoreOptions::new());
    let reading = home.store().begin_read().expect("a transaction");
    thread::scope(|scope| {
        let compacting = scope.spawn(|| home.store().compact());
        thread::park_timeout(Duration::from_millis(30));
        assert!(home.store().begin_read().is_ok(), "others go on");
        drop(reading);
        compacting.join().expect("no panic").expect("it had its turn");
    });
}

#[test]
fn numbers_are_those_of_what_is_there() {
    on_each(|home| {
        let store = home.store();
        let empty = store.stats().expect("a read");
        assert_eq!((empty.stored_bytes, empty.readers, empty.oldest_reader), (0, 0, None));
        assert!(empty.buckets.is_empty());
        fill(store, "b", 0..5000, 0);
        fill(store, "c", 0..10, 0);
        let reading = store.begin_read().expect("a transaction");
        thread::park_timeout(Duration::from_millis(5));
        let stats = store.stats().expect("a read");
        assert_eq!(stats.stored_bytes, 5010 * 104);
        let [b, c] = &stats.buckets[..] else { panic!("{stats:?}") };
        assert_eq!((&*b.name, b.keys, b.stored_bytes), ("b", 5000, 5000 * 104));
        assert_eq!((&*c.name, c.keys, c.height), ("c", 10, 1));
        assert!(b.height >= 2 && b.page_bytes > b.stored_bytes);
        assert!(stats.file_bytes >= stats.buckets.iter().map(|bucket| bucket.page_bytes).sum());
        assert!(stats.readers == 1 && stats.oldest_reader >= Some(Duration::from_millis(5)));
        assert!((0.0..1.0).contains(&stats.fragmentation()));
        assert!(stats.cache_bytes <= 64 << 20);
        drop(reading);
        assert_eq!(store.stats().expect("a read").readers, 0);
        if home.backend == Backend::File {
            let length = fs::metadata(home.path()).expect("it is there").len();
            assert_eq!(stats.file_bytes, length);
            home.reopen();
        }
        let report = home.store().verify().expect("it is whole");
        assert_eq!((report.buckets, report.keys, report.stored_bytes), (2, 5010, 5010 * 104));
    });
}

#[test]
fn whoever_looks_at_a_file_has_the_same_numbers_and_backups() {
    let mut home = Home::new(Backend::File, StoreOptions::new());
    fill(home.store(), "b", 0..500, 3);
    home.reopen();
    let stats = home.store().stats().expect("a read");
    let path = home.path();
    let backup = home.directory.path().join("backup");
    home.close();
    let file = StoreFile::open(&path).expect("nobody has it");
    let looked = file.stats().expect("a read");
    assert_eq!((looked.buckets, looked.stored_bytes), (stats.buckets, stats.stored_bytes));
    assert_eq!(looked.file_bytes, fs::metadata(&path).expect("it is there").len());
    assert_eq!(file.verify().expect("it is whole").keys, 500);
    file.backup_to(&backup).expect("there is room");
    let tx = file.begin_read().expect("a transaction");
    let backup = Store::open(&backup).expect("a store").begin_read().expect("a transaction");
    let of = |tx: &ringkeep::ReadTx| pairs(&tx.bucket("b").expect("a bucket")).expect("a read");
    assert!(of(&tx) == of(&backup));
}
