//! Goal: no damage to a file is a panic, and none is served as what was stored once it was checked.
//!
//! Method: bytes of a closed file flipped and prefixes cut, opened plainly and with a check; what
//! is read is what was stored, or an error says that the file is damaged.

use std::{collections::BTreeMap, panic, path::Path, time::Duration};

use ringkeep::{BucketRead, Error, Result, SimDisk, StoreError, StoreFile, StoreOptions};

const PATH: &str = "/sim/store";

fn options(disk: &SimDisk) -> StoreOptions {
    StoreOptions::new().cache_bytes(1 << 20).lock_wait(Duration::ZERO).on(disk)
}

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

fn sample() -> Contents {
    let key = |number: u32| number.to_be_bytes().to_vec();
    (0..400).map(|number| (key(number), vec![7; 20 + number as usize])).collect()
}

/// A closed store of several levels.
fn bytes_of_a_store() -> Vec<u8> {
    let disk = SimDisk::reliable(1);
    let store = options(&disk).open(PATH).expect("a store");
    store
        .write(|tx| {
            let mut bucket = tx.bucket("b")?;
            sample().iter().try_for_each(|(key, value)| bucket.put(key, value))
        })
        .expect("there is room");
    drop(store);
    disk.contents().remove(0).1
}

/// Everything that reading can do; an entry that is not as it was stored is one too many.
fn read_all(tx: &ringkeep::ReadTx, sample: &Contents) -> Result<usize> {
    let mut wrong = 0;
    for name in tx.buckets()? {
        let bucket = tx.bucket(&name)?;
        let mut count = 0;
        for entries in [bucket.iter()?, bucket.range(&[0_u8][..]..)?] {
            for entry in entries {
                let (key, value) = entry?;
                count += 1;
                wrong += usize::from(sample.get(&*key).is_none_or(|kept| *kept != *value));
                // Pages that point at each other.
                if count > 10_000 {
                    return Ok(count);
                }
            }
        }
        let mut shown = 0;
        let outcome = bucket.iter()?.visit(|key, value| {
            shown += 1;
            wrong += usize::from(sample.get(key).is_none_or(|kept| kept != value));
            if shown > 10_000 { Err(Error::Full) } else { Ok(()) }
        });
        match outcome {
            Err(Error::Full) => return Ok(shown),
            outcome => outcome?,
        }
        for (key, value) in sample {
            wrong += usize::from(bucket.get(key)?.as_deref() != Some(value));
        }
    }
    Ok(wrong)
}

fn is_damage(error: &Error) -> bool {
    matches!(
        error,
        Error::Store(
            StoreError::Damaged { .. }
                | StoreError::NotAStore { .. }
                | StoreError::OtherVersion { .. }
                | StoreError::Poisoned { .. }
                | StoreError::HalfDone
                | StoreError::ForeignBucket { .. }
        ) | Error::Io { .. }
    )
}

#[derive(Debug, Default)]
struct Seen {
    refused: u64,
    failed: u64,
    wrong: u64,
    harmless: u64,
}

fn look(
    bytes: &[u8],
    options: impl Fn(&SimDisk) -> StoreOptions,
    sample: &Contents,
    seen: &mut Seen,
) {
    let disk = SimDisk::reliable(1);
    disk.put_file(Path::new(PATH), bytes);
    let judge = |error: &Error| assert!(is_damage(error), "{error:?}");
    let file = StoreFile::open_with(&options(&disk), PATH);
    match file.and_then(|file| file.read(|tx| read_all(tx, sample))) {
        Ok(0) => seen.harmless += 1,
        Ok(_) => seen.wrong += 1,
        Err(error) => {
            judge(&error);
            seen.refused += 1;
        }
    }
    let Ok(store) = options(&disk).open_existing(PATH) else { return };
    let changed = store.write(|tx| {
        let mut bucket = tx.bucket("b")?;
        bucket.put("new", [1; 3000])?;
        bucket.remove(7_u32.to_be_bytes())?;
        bucket.retain(|key, _| key.last() != Some(&3))
    });
    for result in [changed, store.verify().map(drop), store.compact().map(drop)] {
        if let Err(error) = result {
            judge(&error);
            seen.failed += 1;
        }
    }
}

/// Whatever redb panics about is told as an error; nobody needs to see it here.
fn quietly<T>(test: impl FnOnce() -> T) -> T {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.location().is_some_and(|place| place.file().contains("redb")) {
            hook(info);
        }
    }));
    test()
}

#[test]
fn flipped_bits_are_no_panic_and_a_check_finds_all_that_matter() {
    quietly(|| {
        let (bytes, sample) = (bytes_of_a_store(), sample());
        let mut random = fastrand::Rng::with_seed(7);
        let (mut plain, mut checked) = (Seen::default(), Seen::default());
        let header = (0..512).step_by(3);
        let elsewhere = (0..300).map(|_| random.usize(512..bytes.len()));
        for at in header.chain(elsewhere).collect::<Vec<_>>() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << random.u8(..8);
            look(&damaged, options, &sample, &mut plain);
            look(&damaged, |disk| options(disk).check_always(), &sample, &mut checked);
        }
        assert!(plain.refused > 20 && plain.harmless > 100, "{plain:?}");
        assert!(plain.wrong > 0, "a check would not be needed: {plain:?}");
        assert_eq!(checked.wrong, 0, "{checked:?}");
    });
}

#[test]
fn prefixes_are_no_panic_and_hold_nothing_wrong() {
    quietly(|| {
        let (bytes, sample) = (bytes_of_a_store(), sample());
        let mut seen = Seen::default();
        for length in (0..bytes.len()).step_by(bytes.len() / 150) {
            look(&bytes[..length], options, &sample, &mut seen);
        }
        assert!(seen.refused > 100 && seen.wrong == 0, "{seen:?}");
    });
}

#[test]
fn pages_of_noise_are_no_panic() {
    quietly(|| {
        let (bytes, sample) = (bytes_of_a_store(), sample());
        let mut random = fastrand::Rng::with_seed(11);
        let mut seen = Seen::default();
        for _ in 0..150 {
            let mut damaged = bytes.clone();
            let page = random.usize(0..bytes.len() / 4096) * 4096;
            let begin = page.max(512);
            random.fill(&mut damaged[begin..page + 4096]);
            look(&damaged, options, &sample, &mut seen);
        }
        assert!(seen.refused > 0 && seen.harmless > 0, "{seen:?}");
    });
}

#[test]
fn an_undamaged_file_is_served() {
    let (bytes, sample) = (bytes_of_a_store(), sample());
    let mut seen = Seen::default();
    look(&bytes, options, &sample, &mut seen);
    assert_eq!((seen.harmless, seen.failed), (1, 0));
}
