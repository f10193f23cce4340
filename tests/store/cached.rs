//! Goal: a cache gives what was put last, writes it once, and keeps to its bound.

use std::{collections::HashMap, sync::Arc, thread};

use ringkeep::{
    BucketRead, BucketSchema, Cached, Codec, CodecError, Error, Postcard, Store, StoreOptions,
};

use crate::home::{Backend, Home};

const ROUNDS: u64 = 3000;

type Names = Cached<u32, String, Postcard>;

fn schema() -> BucketSchema<u32, String, Postcard> {
    BucketSchema::new("names", Postcard)
}

fn stored(store: &Store, key: u32) -> Option<String> {
    store.read(|tx| tx.typed(&schema())?.get(&key)).expect("a read")
}

fn found(cache: &Names, key: u32) -> Option<String> {
    cache.get(&key).expect("a read").map(|name| name.to_string())
}

#[test]
fn changes_are_seen_at_once_and_written_by_a_flush() {
    let store = Store::in_memory().expect("a store");
    store.write(|tx| tx.typed(&schema())?.put(&1, &"stored".into())).expect("there is room");
    let cache = Names::new(&store, schema(), 1 << 20);
    assert_eq!(found(&cache, 1).as_deref(), Some("stored"));
    assert_eq!(found(&cache, 2), None);
    cache.put(&1, "changed".to_owned()).expect("there is room");
    cache.put(&2, Arc::new("made".to_owned())).expect("there is room");
    cache.remove(&3).expect("there is room");
    assert_eq!(found(&cache, 1).as_deref(), Some("changed"));
    assert_eq!(found(&cache, 2).as_deref(), Some("made"));
    assert_eq!(stored(&store, 1).as_deref(), Some("stored"));
    assert_eq!(cache.flush().expect("there is room"), 3);
    assert_eq!(cache.flush().expect("there is nothing"), 0);
    assert_eq!(stored(&store, 1).as_deref(), Some("changed"));
    assert_eq!(stored(&store, 2).as_deref(), Some("made"));
    cache.remove(&1).expect("there is room");
    assert_eq!(found(&cache, 1), None);
    drop(cache);
    assert_eq!(stored(&store, 1), None, "a drop writes too");
    assert_eq!(store.read(|tx| tx.bucket("names")?.len()).expect("a read"), 1);
}

#[test]
fn what_is_in_memory_keeps_to_the_bound() {
    let store = Store::in_memory().expect("a store");
    let bound = 20_000;
    let cache = Names::new(&store, schema(), bound);
    for key in 0..1000 {
        cache.put(&key, "n".repeat(100)).expect("a flush makes room");
        let stats = cache.stats();
        assert!(stats.bytes <= bound && stats.dirty_bytes <= bound / 2, "{stats:?}");
    }
    for key in 0..1000 {
        assert_eq!(found(&cache, key).map(|name| name.len()), Some(100));
        assert!(cache.stats().bytes <= bound);
    }
    let stats = cache.stats();
    assert!(stats.flushes > 5 && stats.misses > 500 && stats.objects < 200, "{stats:?}");
    let refused = cache.put(&7, "n".repeat(bound)).expect_err("it has no room");
    assert!(matches!(refused, Error::TooLarge { .. }), "{refused:?}");
    // One that is used again and again stays.
    let misses = |cache: &Names| cache.stats().misses;
    assert!(found(&cache, 5).is_some());
    let before = misses(&cache);
    for key in 100..400 {
        assert!(found(&cache, key).is_some() && found(&cache, 5).is_some());
    }
    assert!(misses(&cache) - before <= 300, "{:?}", cache.stats());
}

/// Refuses what begins with a zero.
struct Picky;

impl Codec<String> for Picky {
    fn name(&self) -> &'static str {
        "picky"
    }

    fn encode(&self, item: &String, out: &mut Vec<u8>) -> Result<(), CodecError> {
        if item.starts_with('0') {
            return Err("it begins with a zero".into());
        }
        out.extend_from_slice(item.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<String, CodecError> {
        Ok(String::from_utf8(bytes.to_vec())?)
    }
}

#[test]
fn a_flush_that_fails_loses_nothing() {
    let store = Store::in_memory().expect("a store");
    let cache = Cached::<u32, String, _>::new(&store, BucketSchema::new("b", Picky), 1 << 20);
    cache.put(&1, "one".to_owned()).expect("there is room");
    cache.put(&2, "0 cannot be".to_owned()).expect("there is room");
    assert!(cache.flush().is_err());
    assert!(store.read(|tx| tx.bucket("b")?.is_empty()).expect("a read"), "all or nothing");
    assert_eq!(cache.get(&1).expect("a read").as_deref().map(String::as_str), Some("one"));
    cache.put(&2, "can be".to_owned()).expect("there is room");
    assert_eq!(cache.flush().expect("all can be written"), 2);
}

#[test]
fn random_changes_agree_with_a_map() {
    let mut home = Home::new(Backend::File, StoreOptions::new());
    let mut random = fastrand::Rng::with_seed(3);
    let mut model = HashMap::new();
    for _ in 0..20 {
        let cache = Names::new(home.store(), schema(), random.usize(2_000..20_000));
        for _ in 0..500 {
            let key = random.u32(..60);
            match random.u8(..20) {
                0..8 => {
                    let name = "n".repeat(random.usize(..300));
                    cache.put(&key, name.clone()).expect("there is room");
                    model.insert(key, name);
                }
                8..11 => {
                    cache.remove(&key).expect("there is room");
                    model.remove(&key);
                }
                11 => drop(cache.flush().expect("there is room")),
                _ => assert_eq!(found(&cache, key), model.get(&key).cloned()),
            }
        }
        drop(cache);
        home.reopen();
        for key in 0..60 {
            assert_eq!(stored(home.store(), key), model.get(&key).cloned());
        }
    }
}

#[test]
fn threads_see_no_object_older_than_the_last_they_have_seen() {
    let store = Store::in_memory().expect("a store");
    // So small that nearly every read asks the store.
    let cache = Cached::<u32, u64, _>::new(&store, BucketSchema::new("b", Postcard), 300);
    thread::scope(|scope| {
        scope.spawn(|| {
            for value in 1..=ROUNDS {
                for key in 0..4 {
                    cache.put(&key, value).expect("there is room");
                }
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = [0; 4];
                while last[3] < ROUNDS {
                    for key in 0..4_u32 {
                        let value = cache.get(&key).expect("a read").map_or(0, |value| *value);
                        let last = &mut last[key as usize];
                        assert!(value >= *last, "{value} after {last}");
                        *last = value;
                    }
                }
            });
        }
    });
    let stats = cache.stats();
    assert!(stats.misses > 100 && stats.flushes > 100, "{stats:?}");
}
