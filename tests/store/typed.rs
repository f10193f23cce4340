//! Goal: a typed bucket gives back what was put, in order, and is opened with nothing else.

use ringkeep::{
    BucketRead, BucketSchema, Bytes, Codec, CodecError, Error, Postcard, Store, StoreError,
};

use crate::home::on_each;

type Readings = BucketSchema<(u32, i64), (f64, String), Postcard>;

fn readings() -> Readings {
    BucketSchema::new("readings", Postcard).tag("reading 1")
}

#[test]
fn typed_entries_come_back_in_the_order_of_their_keys() {
    on_each(|home| {
        let schema = readings();
        let keys = [(1, -5), (1, 3), (2, i64::MIN), (2, 0), (u32::MAX, 7)];
        let value = |key: (u32, i64)| (f64::from(key.0), format!("at {}", key.1));
        home.store()
            .write(|tx| {
                let mut bucket = tx.typed(&schema)?;
                for key in keys.into_iter().rev() {
                    bucket.put(&key, &value(key))?;
                }
                assert_eq!(bucket.get(&keys[0])?, Some(value(keys[0])));
                bucket.put(&(3, 3), &value((3, 3)))?;
                assert!(bucket.remove(&(3, 3))? && !bucket.remove(&(3, 3))?);
                Ok(())
            })
            .expect("there is room");
        home.reopen();
        let tx = home.store().begin_read().expect("a transaction");
        let bucket = tx.typed(&schema).expect("the same schema");
        assert_eq!((bucket.len().expect("a read"), bucket.is_empty().expect("a read")), (5, false));
        let all: ringkeep::Result<Vec<_>> = bucket.iter().expect("a read").collect();
        assert_eq!(all.expect("a read"), keys.map(|key| (key, value(key))));
        let some = bucket.range((1, 0)..=(2, 0)).expect("a read").rev();
        let some: Vec<_> = some.map(|entry| entry.expect("a read").0).collect();
        assert_eq!(some, [(2, 0), (2, i64::MIN), (1, 3)]);
        assert_eq!(bucket.as_bytes().len().expect("a read"), 5);
        assert_eq!(bucket.get(&(9, 9)).expect("a read"), None);
    });
}

fn mismatch<T: std::fmt::Debug>(result: ringkeep::Result<T>) -> (String, String) {
    match result {
        Err(Error::CodecMismatch { found, expected, .. }) => (found.into(), expected.into()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_codec_or_tag_is_refused_by_readers_and_writers() {
    on_each(|home| {
        let (first, second) = (readings(), readings().tag("reading 2"));
        let bytes = BucketSchema::<(u32, i64), Vec<u8>, _>::new("readings", Bytes);
        let store = home.store();
        let put = |tx: &ringkeep::WriteTx| tx.typed(&first)?.put(&(1, 1), &(1.0, "one".into()));
        store.write(put).expect("there is room");
        let expected = ("postcard reading 1".to_owned(), "postcard reading 2".to_owned());
        assert_eq!(mismatch(store.read(|tx| tx.typed(&second).map(drop))), expected);
        assert_eq!(mismatch(store.write(|tx| tx.typed(&second).map(drop))), expected);
        assert_eq!(mismatch(store.read(|tx| tx.typed(&bytes).map(drop))).1, "bytes");
        // What has entries and no schema is of no type.
        store.write(|tx| tx.bucket("plain")?.put("key", "value")).expect("there is room");
        let plain = BucketSchema::<String, Vec<u8>, _>::new("plain", Bytes);
        let found = mismatch(store.read(|tx| tx.typed(&plain).map(drop))).0;
        assert_eq!(found, "a bucket without a schema");
        assert_eq!(mismatch(store.write(|tx| tx.typed(&plain).map(drop))).0, found);
        // One that is made again may be another one.
        let put = |tx: &ringkeep::WriteTx| {
            tx.drop_bucket("readings")?;
            tx.typed(&second)?.put(&(2, 2), &(2.0, "two".into()))
        };
        store.write(put).expect("there is room");
        home.reopen();
        assert!(home.store().read(|tx| tx.typed(&second).map(drop)).is_ok());
        assert_eq!(home.store().read(ringkeep::ReadTx::buckets).expect("a read").len(), 2);
    });
}

#[test]
fn tags_that_cannot_be_stored_are_refused() {
    let store = Store::in_memory().expect("a store");
    for tag in ["a\0b", &"t".repeat(65)] {
        let schema = readings().tag(tag);
        let refused = store.write(|tx| tx.typed(&schema).map(drop));
        assert!(matches!(refused, Err(Error::InvalidTag { .. })), "{refused:?}");
    }
    assert!(store.read(ringkeep::ReadTx::buckets).expect("a read").is_empty());
}

/// Takes odd numbers, and gives back those below 100.
#[derive(Debug)]
struct Picky;

impl Codec<u64> for Picky {
    fn name(&self) -> &'static str {
        "picky"
    }

    fn encode(&self, item: &u64, out: &mut Vec<u8>) -> Result<(), CodecError> {
        if item.is_multiple_of(2) {
            return Err("it is even".into());
        }
        out.extend_from_slice(&item.to_le_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<u64, CodecError> {
        match u64::from_le_bytes(bytes.try_into()?) {
            item @ ..100 => Ok(item),
            _ => Err("it is large".into()),
        }
    }
}

#[test]
fn a_codec_that_fails_costs_its_value_only() {
    on_each(|home| {
        let schema = BucketSchema::<u8, u64, _>::new("b", Picky);
        let written = home.store().write(|tx| {
            let mut bucket = tx.typed(&schema)?;
            let refused = bucket.put(&1, &2).expect_err("it is even");
            assert!(matches!(refused, Error::Store(StoreError::Encode { .. })), "{refused:?}");
            bucket.put(&2, &101)?;
            bucket.put(&3, &3)
        });
        written.expect("there is room");
        let tx = home.store().begin_read().expect("a transaction");
        let bucket = tx.typed(&schema).expect("the same schema");
        let found: Vec<_> = bucket.iter().expect("a read").collect();
        let [Err(Error::Store(StoreError::Decode { bucket: name, key, .. })), Ok((3, 3))] =
            &found[..]
        else {
            panic!("{found:?}")
        };
        assert_eq!((&**name, &key[..]), ("b", &[2][..]));
        assert!(bucket.get(&2).is_err() && bucket.get(&1).expect("a read").is_none());
        // A key of another size is no key either.
        home.store().write(|tx| tx.bucket("b")?.put("long", 1_u64.to_le_bytes())).expect("room");
        let tx = home.store().begin_read().expect("a transaction");
        let bucket = tx.typed(&schema).expect("the same schema");
        assert!(bucket.iter().expect("a read").next_back().expect("an entry").is_err());
    });
}

#[test]
fn typed_buckets_are_opened_by_several_threads_of_a_transaction() {
    let store = Store::in_memory().expect("a store");
    let schemas: Vec<_> = (0..8)
        .map(|number| BucketSchema::<u32, Vec<u8>, _>::new(&format!("bucket {number}"), Bytes))
        .collect();
    for _ in 0..20 {
        let tx = store.begin_write().expect("a transaction");
        std::thread::scope(|scope| {
            for schema in &schemas {
                let tx = &tx;
                scope.spawn(move || {
                    let mut bucket = tx.typed(schema).expect("nobody else has it");
                    bucket.put(&7, &vec![1]).expect("there is room");
                });
            }
        });
        tx.commit().expect("there is room");
    }
    assert_eq!(store.read(ringkeep::ReadTx::buckets).expect("a read").len(), schemas.len());
}
