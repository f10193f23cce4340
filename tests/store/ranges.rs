//! Goal: ranges and prefixes give what a sorted map gives, for each combination of bounds, from
//! both ends, and from both at once.

use std::{collections::BTreeMap, ops::Bound};

use ringkeep::{BucketRead, Entries};

use crate::home::{Pairs, on_each};

fn sample() -> BTreeMap<Vec<u8>, Vec<u8>> {
    let keys: [&[u8]; 9] =
        [b"", b"a", b"a\0", b"ab", b"b", b"b\xFF", b"b\xFF\xFF", b"c", b"\xFF\xFF"];
    keys.iter().map(|key| (key.to_vec(), key.repeat(2))).collect()
}

fn kept(entry: <Entries<'_> as Iterator>::Item) -> (Vec<u8>, Vec<u8>) {
    let (key, value) = entry.expect("it is read");
    (key.to_vec(), value.to_vec())
}

/// Shown, from the front, from the back, and from both in turn.
fn check(entries: impl Fn() -> Walks, expected: &Pairs) {
    let [shown, forward, mut backward, mut alternating] = entries();
    assert_eq!(&shown, expected);
    assert_eq!(&forward, expected);
    backward.reverse();
    assert_eq!(&backward, expected);
    alternating.sort();
    assert_eq!(&alternating, expected);
}

type Walks = [Pairs; 4];

fn in_all_ways<'a>(open: impl Fn() -> Entries<'a>) -> Walks {
    let mut alternating = Vec::new();
    let mut entries = open();
    while let Some(entry) =
        if alternating.len() % 2 == 0 { entries.next() } else { entries.next_back() }
    {
        alternating.push(kept(entry));
    }
    assert!(entries.next().is_none() && entries.next_back().is_none());
    let mut shown = Vec::new();
    let outcome = open().visit(|key, value| {
        shown.push((key.to_vec(), value.to_vec()));
        Ok(())
    });
    outcome.expect("it is read");
    [shown, open().map(kept).collect(), open().rev().map(kept).collect(), alternating]
}

fn bounds(keys: &[Vec<u8>]) -> Vec<Bound<Vec<u8>>> {
    let mut bounds = vec![Bound::Unbounded];
    for key in keys {
        bounds.extend([Bound::Included(key.clone()), Bound::Excluded(key.clone())]);
    }
    bounds
}

fn holds(start: &Bound<Vec<u8>>, end: &Bound<Vec<u8>>, key: &Vec<u8>) -> bool {
    let after = match start {
        Bound::Included(start) => key >= start,
        Bound::Excluded(start) => key > start,
        Bound::Unbounded => true,
    };
    let before = match end {
        Bound::Included(end) => key <= end,
        Bound::Excluded(end) => key < end,
        Bound::Unbounded => true,
    };
    after && before
}

#[test]
fn every_combination_of_bounds_gives_what_a_sorted_map_gives() {
    on_each(|home| {
        let sample = sample();
        let write = |tx: &ringkeep::WriteTx| {
            let mut bucket = tx.bucket("b")?;
            sample.iter().rev().try_for_each(|(key, value)| bucket.put(key, value))?;
            check_all(&bucket, &sample);
            Ok(())
        };
        home.store().write(write).expect("it is written");
        let tx = home.store().begin_read().expect("a transaction");
        check_all(&tx.bucket("b").expect("a bucket"), &sample);
    });
}

fn check_all(bucket: &impl BucketRead, sample: &BTreeMap<Vec<u8>, Vec<u8>>) {
    let mut asked: Vec<Vec<u8>> = sample.keys().cloned().collect();
    asked.extend([b"aa".to_vec(), b"bz".to_vec(), b"\xFF\xFF\xFF".to_vec()]);
    let mut empty = 0;
    for start in bounds(&asked) {
        for end in bounds(&asked) {
            let expected: Pairs = sample
                .iter()
                .filter(|(key, _)| holds(&start, &end, key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            empty += usize::from(expected.is_empty());
            let range = || bucket.range((start.clone(), end.clone())).expect("a range");
            check(|| in_all_ways(range), &expected);
        }
    }
    assert!(empty > 100, "{empty}");
}

#[test]
fn every_prefix_gives_the_keys_that_begin_with_it() {
    on_each(|home| {
        let sample = sample();
        home.store()
            .write(|tx| {
                let mut bucket = tx.bucket("b")?;
                sample.iter().try_for_each(|(key, value)| bucket.put(key, value))
            })
            .expect("it is written");
        let tx = home.store().begin_read().expect("a transaction");
        let bucket = tx.bucket("b").expect("a bucket");
        let prefixes: [&[u8]; 8] =
            [b"", b"a", b"ab", b"b\xFF", b"\xFF", b"\xFF\xFF", b"\xFF\xFF\xFF", b"z"];
        for prefix in prefixes {
            let expected: Pairs = sample
                .iter()
                .filter(|(key, _)| key.starts_with(prefix))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            check(|| in_all_ways(|| bucket.prefix(prefix).expect("a range")), &expected);
        }
        let (first, last) = (bucket.first().expect("a read"), bucket.last().expect("a read"));
        let key = |entry: Option<(ringkeep::StoredBytes<'_>, _)>| {
            let (key, _value): (_, ringkeep::StoredBytes<'_>) = entry.expect("an entry");
            key.to_vec()
        };
        assert_eq!((key(first), key(last)), (vec![], vec![0xFF, 0xFF]));
    });
}
