//! What the fuzz target does with its bytes; the corpus is replayed by `tests/fuzz_corpus.rs`.
//!
//! The first byte says how the rest becomes files:
//!
//! * even: the rest is `cache.dat`, as it is;
//! * odd: a small valid archive is made, and the rest edits it: `file, offset (2), count, bytes`.
//!   With bit 1 the checksums of its pages are made right again, so that the fields themselves are
//!   tried; with bit 2 its producer has died instead of closing it; bits 3.. choose its geometry.

use std::{cell::RefCell, collections::BTreeMap, path::Path, time::UNIX_EPOCH};

use ringkeep::{Error, Read, ReadOptions, Result, Ring, RingOptions, SimDisk, Start, WriteOptions};

use crate::edits::{Files, apply};

const PAGE: usize = 4096;

thread_local! {
    /// Archives made so far: making one takes longer than trying it.
    static MADE: RefCell<BTreeMap<u8, Files>> = const { RefCell::new(BTreeMap::new()) };
}

/// Opens the files that `data` describes, as a reader and as a producer.
pub(crate) fn open_any_bytes(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else { return };
    let disk = SimDisk::reliable(how.into());
    let path = Path::new("/sim/cache.dat");
    if how % 2 == 0 {
        disk.put_file(path, rest);
    } else {
        for (path, bytes) in edited(how, rest, path) {
            disk.put_file(&path, &bytes);
        }
    }
    // Every result is fine, as long as there is one.
    let _ = read_all(&disk, path);
    let _ = write_some(&disk, path);
    let _ = read_all(&disk, path);
}

fn edited(how: u8, edits: &[u8], path: &Path) -> Files {
    let mut files = MADE.with_borrow_mut(|made| {
        let make = || valid_archive(how, path).expect("nothing fails on a fresh disk");
        made.entry(how).or_insert_with(make).clone()
    });
    apply(&mut files, edits);
    if how & 2 != 0 {
        for (_, content) in &mut files {
            mend_checksums(content);
        }
    }
    files
}

fn valid_archive(how: u8, path: &Path) -> Result<Files> {
    let disk = SimDisk::reliable(7);
    let (record_size, capacity, shards) =
        [(5, 3, 1), (8, 20, 2), (124, 17, 3), (16, 64, 1)][usize::from(how >> 3) % 4];
    let mut options = RingOptions::new(record_size, capacity).shards(shards).on(&disk);
    if record_size == 16 {
        options = options.schema("load:f64, t:time_us");
    }
    let mut producer = options.create(path)?;
    for count in 0..how / 8 {
        producer.append(&vec![count; record_size])?;
    }
    if how & 4 == 0 {
        producer.close()?;
    } else {
        producer.die();
    }
    Ok(disk.contents())
}

/// Identity pages have theirs at 4092; checkpoint pages at 508, seeded by the salt at 28.
fn mend_checksums(content: &mut [u8]) {
    let Some(salt) = content.get(28..32).and_then(|salt| salt.try_into().ok()) else { return };
    let salt = u32::from_le_bytes(salt);
    for (start, length, seed) in [(0, PAGE, 0), (2 * PAGE, 512, salt), (3 * PAGE, 512, salt)] {
        let Some(page) = content.get_mut(start..start + length) else { return };
        let (bytes, stored) = page.split_at_mut(length - 4);
        let mut hasher = crc32fast::Hasher::new_with_initial(seed);
        hasher.update(bytes);
        stored.copy_from_slice(&hasher.finalize().to_le_bytes());
    }
}

fn read_all(disk: &SimDisk, path: &Path) -> Result<()> {
    let ring = ReadOptions::new().on(&disk.other_process()).open(path)?;
    let (oldest, next) = (ring.oldest()?, ring.next_id()?);
    assert!(oldest <= next && next - oldest <= ring.geometry().capacity);
    for id in [0, 1, oldest.saturating_sub(1), next, u64::MAX] {
        let read = ring.read(id)?;
        assert!(id < next || matches!(read, Read::NotYet { .. }), "{id}: {read:?}");
    }
    ring.verify(|_| {})?;
    follow(&ring)
}

fn follow(ring: &Ring) -> Result<()> {
    let _ = ring.schema().map(|schema| schema.map(ToString::to_string));
    if let Ok(cursor) = ring.range_by_time(UNIX_EPOCH..) {
        cursor.records().try_for_each(|found| found.map(drop))?;
    }
    for start in [Start::Oldest, Start::Newest, Start::Id(3), Start::Time(UNIX_EPOCH)] {
        let mut tailer = ring.tailer(start);
        for _ in 0..200 {
            match tailer.try_next() {
                Ok(Some(_)) => {}
                Ok(None) | Err(Error::NoTime { .. }) => break,
                Err(error) => return Err(error),
            }
        }
    }
    ring.stats().map(drop)
}

fn write_some(disk: &SimDisk, path: &Path) -> Result<()> {
    let mut producer = WriteOptions::new().on(disk).open(path)?;
    let ring = producer.ring();
    let payload = vec![0xA5; ring.geometry().record_size];
    for _ in 0..10 {
        let id = producer.append(&payload)?;
        assert_eq!(ring.read(id)?, Read::Record(payload.clone()));
    }
    let next = ring.next_id()?;
    producer.append_at(next.saturating_add(5), &payload)?;
    let _ = producer.update(next, &payload);
    let _ = producer.delete(next.saturating_sub(1));
    producer.flush()?;
    Ok(producer.close()?)
}
