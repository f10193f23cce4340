//! Goal: threads that read and write at once see whole commits only, and never wait for ever.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
};

use ringkeep::BucketRead;

use crate::home::on_each;

const ROUNDS: u64 = 200;
const KEYS: u64 = 20;

#[test]
fn readers_see_whole_commits_while_somebody_writes() {
    on_each(|home| {
        let store = home.store();
        let (ended, looks) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !ended.load(Relaxed) {
                        let tx = store.begin_read().expect("a transaction");
                        let (one, other) = (tx.bucket("one"), tx.bucket("other"));
                        let (one, other) = (one.expect("a bucket"), other.expect("a bucket"));
                        let mut values: Vec<Vec<u8>> = Vec::new();
                        for bucket in [&one, &other] {
                            for entry in bucket.iter().expect("a read") {
                                values.push(entry.expect("a read").1.to_vec());
                            }
                        }
                        let expected = if values.is_empty() { 0 } else { 2 * KEYS };
                        assert_eq!(values.len() as u64, expected);
                        assert!(values.windows(2).all(|two| two[0] == two[1]), "half a commit");
                        looks.fetch_add(1, Relaxed);
                    }
                });
            }
            for round in 0..ROUNDS {
                let write = |tx: &ringkeep::WriteTx| {
                    for name in ["one", "other"] {
                        let mut bucket = tx.bucket(name)?;
                        for key in 0..KEYS {
                            bucket.put(key.to_be_bytes(), round.to_be_bytes())?;
                        }
                    }
                    Ok(())
                };
                store.write(write).expect("there is room");
                while looks.load(Relaxed) <= round / 10 {
                    thread::yield_now();
                }
            }
            ended.store(true, Relaxed);
        });
        assert!(looks.into_inner() > ROUNDS / 10);
    });
}

#[test]
fn one_bucket_is_read_by_many_at_once() {
    on_each(|home| {
        let store = home.store();
        store
            .write(|tx| {
                let mut bucket = tx.bucket("b")?;
                (0..2000_u32).try_for_each(|key| bucket.put(key.to_be_bytes(), key.to_le_bytes()))
            })
            .expect("there is room");
        let tx = store.begin_read().expect("a transaction");
        let bucket = tx.bucket("b").expect("a bucket");
        thread::scope(|scope| {
            for seed in 0..4 {
                let bucket = &bucket;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed);
                    for _ in 0..2000 {
                        let key = random.u32(..2500);
                        let found = bucket.get(key.to_be_bytes()).expect("a read");
                        let expected = (key < 2000).then(|| key.to_le_bytes());
                        assert_eq!(found.as_deref(), expected.as_ref().map(|bytes| &bytes[..]));
                    }
                });
            }
        });
    });
}

#[test]
fn buckets_of_one_transaction_are_filled_by_threads() {
    on_each(|home| {
        let tx = home.store().begin_write().expect("a transaction");
        let names = ["a", "b", "c", "d"];
        thread::scope(|scope| {
            for (name, first) in names.into_iter().zip(0..) {
                let tx = &tx;
                scope.spawn(move || {
                    let mut bucket = tx.bucket(name).expect("nobody else has it");
                    for key in (first..4000_u32).step_by(names.len()) {
                        bucket.put(key.to_be_bytes(), name).expect("there is room");
                    }
                });
            }
        });
        tx.commit().expect("there is room");
        home.reopen();
        let tx = home.store().begin_read().expect("a transaction");
        for (name, first) in names.into_iter().zip(0..) {
            let bucket = tx.bucket(name).expect("a bucket");
            assert_eq!(bucket.len().expect("a read"), 1000);
            for (entry, key) in bucket.iter().expect("a read").zip((first..).step_by(4)) {
                let (found, value) = entry.expect("a read");
                let key: u32 = key;
                assert_eq!((&*found, &*value), (&key.to_be_bytes()[..], name.as_bytes()));
            }
        }
    });
}

#[test]
fn writers_take_turns() {
    on_each(|home| {
        let store = home.store();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let add = |tx: &ringkeep::WriteTx| {
                            let mut bucket = tx.bucket("b")?;
                            let before = bucket.get("count")?.map_or(0, |bytes| bytes[0]);
                            bucket.put("count", [before + 1])
                        };
                        store.write(add).expect("each has its turn");
                    }
                });
            }
        });
        let count = store.read(|tx| Ok(tx.bucket("b")?.get("count")?.map(|bytes| bytes[0])));
        assert_eq!(count.expect("a read"), Some(200));
    });
}
