//! Goal: the table in the documentation of `Store` is true, of a file as of memory.
//!
//! Method: one body for each behaviour, over all backends; among them are those that the tests of
//! the Go library check, which differed between its backends.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use ringkeep::{BucketRead, Error, Store, StoreError, StoreOptions};

use crate::home::{Backend, Home, on_each, pairs};

fn refused<T: std::fmt::Debug>(result: ringkeep::Result<T>) -> StoreError {
    match result {
        Err(Error::Store(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_written_is_read_in_the_same_transaction_in_a_later_one_and_after_reopening() {
    on_each(|home| {
        let store = home.store();
        store
            .write(|tx| {
                let mut bucket = tx.bucket("b")?;
                assert!(bucket.get("key")?.is_none());
                bucket.put("key", "first")?;
                assert_eq!(bucket.get("key")?.as_deref(), Some(&b"first"[..]));
                bucket.put("key", "second")?;
                bucket.put("other", [0, 255])
            })
            .expect("it is written");
        for _ in 0..2 {
            let found = home.store().read(|tx| pairs(&tx.bucket("b")?)).expect("it is read");
            assert_eq!(found.len(), 2);
            assert_eq!(found[0], (b"key".to_vec(), b"second".to_vec()));
            assert_eq!(found[1], (b"other".to_vec(), vec![0, 255]));
            home.reopen();
        }
        // Written after it was read, and read again.
        let store = home.store();
        assert!(store.write(|tx| tx.bucket("b")?.remove("key")).expect("it is written"));
        assert!(!store.write(|tx| tx.bucket("b")?.remove("key")).expect("it is written"));
        let found = store.read(|tx| Ok(tx.bucket("b")?.get("key")?.is_some())).expect("a read");
        assert!(!found);
        assert_eq!(store.read(|tx| tx.bucket("b")?.len()).expect("a read"), 1);
    });
}

#[test]
fn a_missing_bucket_is_empty_and_reading_it_makes_none() {
    on_each(|home| {
        let store = home.store();
        let tx = store.begin_read().expect("a transaction");
        let bucket = tx.bucket("nobody").expect("an empty one");
        assert!(bucket.is_empty().expect("a read") && bucket.len().expect("a read") == 0);
        assert!(bucket.get("key").expect("a read").is_none());
        assert!(bucket.first().expect("a read").is_none());
        assert!(bucket.last().expect("a read").is_none());
        assert_eq!(bucket.range("a".."b").expect("a read").count(), 0);
        assert_eq!(bucket.prefix("a").expect("a read").count(), 0);
        assert!(tx.buckets().expect("a read").is_empty());
        assert!(!store.write(|tx| tx.drop_bucket("nobody")).expect("no error"));
        assert!(store.read(ringkeep::ReadTx::buckets).expect("a read").is_empty());
    });
}

#[test]
fn a_bucket_is_dropped_and_made_again_empty() {
    on_each(|home| {
        let store = home.store();
        store.write(|tx| tx.bucket("b")?.put("old", "value")).expect("it is written");
        store
            .write(|tx| {
                assert!(tx.drop_bucket("b")?);
                assert!(tx.buckets()?.is_empty());
                let mut bucket = tx.bucket("b")?;
                assert!(bucket.is_empty()?);
                bucket.put("new", "value")
            })
            .expect("it is written");
        home.reopen();
        let found = home.store().read(|tx| pairs(&tx.bucket("b")?)).expect("it is read");
        assert_eq!(found, [(b"new".to_vec(), b"value".to_vec())]);
        home.store().write(|tx| tx.drop_bucket("b")).expect("it is written");
        assert!(home.store().read(ringkeep::ReadTx::buckets).expect("a read").is_empty());
    });
}

#[test]
fn an_error_a_panic_and_a_drop_roll_back() {
    on_each(|home| {
        let store = home.store();
        store.write(|tx| tx.bucket("b")?.put("key", "before")).expect("it is written");
        let failed = store.write(|tx| {
            tx.bucket("b")?.put("key", "failed")?;
            tx.bucket("made")?.put("key", "failed")?;
            Err::<(), _>(Error::Full)
        });
        assert!(matches!(failed, Err(Error::Full)));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            store.write(|tx| {
                let mut bucket = tx.bucket("b")?;
                bucket.put("key", "panicked")?;
                tx.drop_bucket("other")?;
                std::panic::resume_unwind(Box::new("on purpose"));
                #[expect(unreachable_code, reason = "the closure needs a type")]
                Ok(())
            })
        }));
        let payload = panicked.expect_err("the panic goes on");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"on purpose"));
        let tx = store.begin_write().expect("the turn is free");
        tx.bucket("b").expect("a bucket").put("key", "dropped").expect("it is written");
        drop(tx);
        let tx = store.begin_write().expect("the turn is free");
        tx.bucket("b").expect("a bucket").put("key", "rolled back").expect("it is written");
        tx.roll_back().expect("it is");
        for _ in 0..2 {
            let tx = home.store().begin_read().expect("a transaction");
            assert_eq!(tx.buckets().expect("a read"), ["b"]);
            let bucket = tx.bucket("b").expect("a bucket");
            assert_eq!(bucket.get("key").expect("a read").as_deref(), Some(&b"before"[..]));
            drop(bucket);
            drop(tx);
            assert!(!home.store().verify().expect("a check").repaired);
            home.reopen();
        }
    });
}

#[test]
fn a_panic_of_the_user_is_passed_on_and_not_taken_for_damage() {
    fn on_purpose<R>() -> R {
        std::panic::resume_unwind(Box::new("on purpose"))
    }

    on_each(|home| {
        let store = home.store();
        let put = |key: &str| store.write(|tx| tx.bucket("b")?.put(key, "value"));
        ["1", "2", "3"].into_iter().try_for_each(put).expect("it is written");
        let in_retain = catch_unwind(AssertUnwindSafe(|| {
            store.write(|tx| tx.bucket("b")?.retain(|key, _| key != b"2" || on_purpose()))
        }));
        let in_visit = catch_unwind(AssertUnwindSafe(|| {
            store.read(|tx| tx.bucket("b")?.iter()?.visit(|_, _| on_purpose()))
        }));
        for panicked in [in_retain, in_visit] {
            let payload = panicked.expect_err("the panic goes on");
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"on purpose"));
        }
        assert_eq!(store.read(|tx| tx.bucket("b")?.len()).expect("a read"), 3);
        put("4").expect("the turn is free");
    });
}

#[test]
fn who_is_shown_entries_is_shown_no_more_after_an_error() {
    on_each(|home| {
        let store = home.store();
        store
            .write(|tx| {
                let mut bucket = tx.bucket("b")?;
                (0..10_u8).try_for_each(|key| bucket.put([key], [key]))
            })
            .expect("it is written");
        let mut shown = Vec::new();
        let stopped = store.read(|tx| {
            tx.bucket("b")?.iter()?.visit(|key, _| {
                shown.push(key[0]);
                if key == [3] { Err(Error::Full) } else { Ok(()) }
            })
        });
        assert!(matches!(stopped, Err(Error::Full)));
        assert_eq!(shown, [0, 1, 2, 3]);
    });
}

#[test]
fn a_panic_outside_of_write_rolls_back_too() {
    on_each(|home| {
        let store = home.store().clone();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let tx = store.begin_write().expect("the turn is free");
            let mut bucket = tx.bucket("b").expect("a bucket");
            bucket.put("key", "value").expect("it is written");
            std::panic::resume_unwind(Box::new("on purpose"));
        }));
        assert!(panicked.is_err());
        assert!(store.read(ringkeep::ReadTx::buckets).expect("a read").is_empty());
        store.write(|tx| tx.bucket("b")?.put("key", "later")).expect("the turn is free");
        drop(store);
        home.reopen();
        assert_eq!(home.store().read(|tx| tx.bucket("b")?.len()).expect("a read"), 1);
    });
}

#[test]
fn a_reader_sees_the_store_as_it_was() {
    on_each(|home| {
        let store = home.store();
        store.write(|tx| tx.bucket("b")?.put("key", "before")).expect("it is written");
        let before = store.begin_read().expect("a transaction");
        store
            .write(|tx| {
                tx.bucket("b")?.put("key", "after")?;
                tx.bucket("c")?.put("key", "after")
            })
            .expect("nobody waits");
        store.write(|tx| tx.drop_bucket("b")).expect("nobody waits");
        let bucket = before.bucket("b").expect("a bucket");
        assert_eq!(bucket.get("key").expect("a read").as_deref(), Some(&b"before"[..]));
        assert_eq!(before.buckets().expect("a read"), ["b"]);
        assert_eq!(store.read(ringkeep::ReadTx::buckets).expect("a read"), ["c"]);
    });
}

#[test]
fn empty_keys_and_values_are_like_any_others() {
    on_each(|home| {
        let store = home.store();
        store
            .write(|tx| {
                let mut bucket = tx.bucket("b")?;
                bucket.put("", "of the empty key")?;
                bucket.put("empty value", "")
            })
            .expect("it is written");
        home.reopen();
        let tx = home.store().begin_read().expect("a transaction");
        let bucket = tx.bucket("b").expect("a bucket");
        assert_eq!(bucket.get("empty value").expect("a read").as_deref(), Some(&b""[..]));
        let (first, value) = bucket.first().expect("a read").expect("an entry");
        assert_eq!((&*first, &*value), (&b""[..], &b"of the empty key"[..]));
        assert_eq!(bucket.prefix("").expect("a read").count(), 2);
    });
}

#[test]
fn names_that_cannot_be_and_handles_that_are_open_are_refused() {
    on_each(|home| {
        let store = home.store();
        for name in [String::new(), "\0schemas".into(), "n".repeat(256)] {
            let read = store.read(|tx| tx.bucket(&name).map(drop));
            assert!(matches!(refused(read), StoreError::BucketName { .. }));
            let written = store.write(|tx| tx.bucket(&name).map(drop));
            assert!(matches!(refused(written), StoreError::BucketName { .. }));
            let dropped = store.write(|tx| tx.drop_bucket(&name));
            assert!(matches!(refused(dropped), StoreError::BucketName { .. }));
        }
        let name = "\u{e4}".repeat(127);
        store.write(|tx| tx.bucket(&name)?.put("key", "value")).expect("it is a name");
        assert_eq!(store.read(ringkeep::ReadTx::buckets).expect("a read"), [name]);
        let tx = store.begin_write().expect("a transaction");
        let open = tx.bucket("b").expect("a bucket");
        assert!(matches!(refused(tx.bucket("b")), StoreError::BucketInUse { .. }));
        assert!(matches!(refused(tx.drop_bucket("b")), StoreError::BucketInUse { .. }));
        drop(open);
        assert!(tx.drop_bucket("b").expect("nobody has it"));
    });
}

#[test]
fn one_transaction_writes_and_others_wait_as_long_as_they_want() {
    let options = StoreOptions::new().lock_wait(Duration::from_millis(20));
    for backend in [Backend::File, Backend::Memory] {
        let home = Home::new(backend, options.clone());
        let tx = home.store().begin_write().expect("a transaction");
        let found = refused(home.store().write(|_tx| Ok(())));
        let waited = Duration::from_millis(20);
        assert!(matches!(found, StoreError::Writing { waited: found } if found == waited));
        drop(tx);
        home.store().write(|_tx| Ok(())).expect("the turn is free");
    }
}

#[test]
fn long_keys_and_values_are_stored() {
    on_each(|home| {
        let long = vec![7; 3 << 20];
        home.store().write(|tx| tx.bucket("b")?.put(&long, &long)).expect("there is room");
        home.reopen();
        let found = home.store().read(|tx| pairs(&tx.bucket("b")?)).expect("a read");
        assert!(found == [(long.clone(), long.clone())]);
    });
}

#[test]
fn keys_are_removed_by_what_they_are() {
    on_each(|home| {
        let store = home.store();
        let left = store.write(|tx| {
            let mut bucket = tx.bucket("b")?;
            (0..1000_u32).try_for_each(|key| bucket.put(key.to_be_bytes(), [7; 50]))?;
            bucket.retain(|key, value| key[3] % 10 == 0 && value.len() == 50)?;
            bucket.len()
        });
        let expected = (0..1000_u32).filter(|key| key.to_be_bytes()[3] % 10 == 0).count();
        assert_eq!(left.expect("it is written"), expected as u64);
    });
}

#[test]
fn a_transaction_outlives_the_handle_that_began_it() {
    on_each(|home| {
        let store = home.store().clone();
        let (write, read) = (store.begin_write().expect("one"), store.begin_read().expect("one"));
        drop(store);
        write.bucket("b").expect("a bucket").put("key", "value").expect("it is written");
        write.commit().expect("it is written");
        assert!(read.bucket("b").expect("a bucket").is_empty().expect("a read"));
        drop(read);
        home.reopen();
        assert_eq!(home.store().read(|tx| tx.bucket("b")?.len()).expect("a read"), 1);
    });
}

#[test]
fn a_store_in_memory_is_its_own() {
    let (one, other) = (Store::in_memory().expect("one"), Store::in_memory().expect("one"));
    one.write(|tx| tx.bucket("b")?.put("key", "value")).expect("it is written");
    assert!(other.read(ringkeep::ReadTx::buckets).expect("a read").is_empty());
}
