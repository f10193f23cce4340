//! Goal: a store is a map of sorted maps, whatever is done to it in which order.
//!
//! Method: random sequences of transactions, committed, rolled back or reopened, against
//! `BTreeMap`; readers that live through several of them see what there was when they began.

use std::collections::BTreeMap;

use ringkeep::{BucketRead, ReadTx, Result, StoreOptions, SyncPolicy, WriteTx};

use crate::home::{Backend, Home, pairs};

const SEQUENCES: u64 = 5000;
const TRANSACTIONS: usize = 6;
const OPERATIONS: usize = 12;
const BUCKETS: [&str; 3] = ["a", "b", "c"];

type Model = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

fn key(random: &mut fastrand::Rng) -> Vec<u8> {
    let length = random.usize(..4);
    (0..length).map(|_| *random.choice(b"\0a\xFF").expect("three")).collect()
}

fn value(random: &mut fastrand::Rng) -> Vec<u8> {
    let length = if random.u8(..20) == 0 { 6000 } else { random.usize(..40) };
    vec![random.u8(..); length]
}

fn operate(tx: &WriteTx, model: &mut Model, random: &mut fastrand::Rng) -> Result<()> {
    let name = *random.choice(&BUCKETS).expect("three");
    if random.u8(..15) == 0 {
        assert_eq!(tx.drop_bucket(name)?, model.remove(name).is_some());
        return Ok(());
    }
    let mut bucket = tx.bucket(name)?;
    let expected = model.entry(name.into()).or_default();
    for _ in 0..OPERATIONS {
        let key = key(random);
        match random.u8(..8) {
            0..4 => {
                let value = value(random);
                bucket.put(&key, &value)?;
                expected.insert(key, value);
            }
            4..6 => assert_eq!(bucket.remove(&key)?, expected.remove(&key).is_some()),
            6 => assert_eq!(bucket.get(&key)?.as_deref(), expected.get(&key).map(Vec::as_slice)),
            _ => {
                let other = self::key(random);
                let found: Result<Vec<_>> = bucket
                    .range(&key[..]..&other[..])?
                    .map(|entry| Ok(entry?.0.to_vec()))
                    .collect();
                let range = (key < other).then(|| expected.range(key..other));
                let expected: Vec<_> =
                    range.into_iter().flatten().map(|(key, _)| key.clone()).collect();
                assert_eq!(found?, expected);
            }
        }
    }
    assert_eq!(bucket.len()?, expected.len() as u64);
    Ok(())
}

fn check(tx: &ReadTx, model: &Model) {
    let names = tx.buckets().expect("a read");
    assert!(names.iter().eq(model.keys()), "{names:?}");
    for (name, expected) in model {
        let found = pairs(&tx.bucket(name).expect("a bucket")).expect("a read");
        assert!(found.into_iter().eq(expected.clone()), "{name}");
    }
}

/// How many commits, roll backs and reopenings there were.
fn live_through(seed: u64) -> [u64; 3] {
    let mut random = fastrand::Rng::with_seed(seed);
    let backend = [Backend::File, Backend::Memory, Backend::Spilled][(seed % 3) as usize];
    let options = StoreOptions::new().sync(SyncPolicy::Never).cache_bytes(1 << 20);
    let mut home = Home::new(backend, options);
    let (mut model, mut counts) = (Model::new(), [0; 3]);
    let mut old: Option<(ReadTx, Model)> = None;
    for _ in 0..TRANSACTIONS {
        let mut changed = model.clone();
        let tx = home.store().begin_write().expect("the turn is free");
        for _ in 0..random.usize(1..4) {
            operate(&tx, &mut changed, &mut random).expect("there is room");
        }
        if random.u8(..3) == 0 {
            counts[1] += 1;
            drop(tx);
        } else {
            counts[0] += 1;
            tx.commit().expect("there is room");
            model = changed;
        }
        let tx = home.store().begin_read().expect("a transaction");
        check(&tx, &model);
        if let Some((tx, model)) = &old {
            check(tx, model);
        }
        match random.u8(..6) {
            0 => old = Some((tx, model.clone())),
            1 => old = None,
            2 => {
                drop((tx, old.take()));
                counts[2] += 1;
                home.reopen();
                check(&home.store().begin_read().expect("a transaction"), &model);
            }
            _ => {}
        }
    }
    drop(old);
    assert!(!home.store().verify().expect("it is whole").repaired);
    counts
}

#[test]
fn random_sequences_agree_with_a_map_of_maps() {
    let workers: Vec<_> = (0..2)
        .map(|worker| {
            std::thread::spawn(move || {
                (worker..SEQUENCES)
                    .step_by(2)
                    .map(live_through)
                    .fold([0; 3], |sum, seen| std::array::from_fn(|at| sum[at] + seen[at]))
            })
        })
        .collect();
    for worker in workers {
        let seen = worker.join().expect("no sequence disagrees");
        assert!(seen.iter().all(|&count| count > SEQUENCES / 10), "{seen:?}");
    }
}
