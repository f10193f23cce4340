//! What the fuzz target does with its bytes; the corpus is replayed by `tests/fuzz_corpus.rs`.
//!
//! The first byte says how the rest becomes a spool:
//!
//! * even: the rest is the manifest, as it is, beside a file of parts that is made;
//! * odd: both files of a small valid spool are made, and the rest edits them:
//!   `file, offset (2), count, bytes`. With bit 1 the checksums of the manifest are made right
//!   again, so that the fields themselves are tried; bits 2.. fill it.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::{self, Read as _},
};

use ringkeep::{Error, PartState, Result, SimDisk, Spool, SpoolOptions};

use crate::{
    checksums::{mend_one, word},
    edits::{Files, apply},
};

const PATH: &str = "/sim/spool";
const HEADER: usize = 128;
const RECORD: usize = 32;
const ENTRY: usize = 12;
/// Parts that are looked at: a part may have any number.
const PARTS: u64 = 8;

thread_local! {
    /// Files made so far: making them takes longer than trying them.
    static MADE: RefCell<BTreeMap<u8, Files>> = const { RefCell::new(BTreeMap::new()) };
}

/// Opens the spool that `data` describes, and uses it in every way.
pub(crate) fn open_any_spool(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else { return };
    let disk = SimDisk::reliable(how.into());
    for (path, content) in files(how, rest) {
        disk.put_file(&path, &content);
    }
    // Every result is fine, as long as there is one.
    let Ok(spool) = options(&disk).resume(PATH) else { return };
    use_all(&spool);
    drop(spool);
    // What was opened once can be opened again.
    options(&disk).resume(PATH).expect("it was put right");
}

fn use_all(spool: &Spool) {
    let resumed = spool.resumed();
    assert_eq!(spool.stats().parts_ready, resumed.parts);
    assert!(spool.missing().take(10).all(|part| spool.state(part) != PartState::Ready));
    let ready = |part: &u64| spool.state(*part) == PartState::Ready;
    for part in (0..PARTS).filter(ready) {
        let mut found = Vec::new();
        let reader = spool.reader(part).expect("it is ready");
        let bytes = reader.part_bytes();
        reader.take(1 << 20).read_to_end(&mut found).expect("it was checked");
        assert_eq!(found.len() as u64, bytes.min(1 << 20));
    }
    for part in 0..PARTS {
        match spool.put(part, &[7; 100]) {
            Ok(()) => assert!(ready(&part)),
            Err(Error::PartDrained { .. }) => assert_eq!(spool.state(part), PartState::Drained),
            Err(other) => panic!("{other:?}"),
        }
    }
    if spool.finish(PARTS).is_ok() {
        spool.merge_into(io::sink()).expect("all are there");
        let mut drain = spool.drain().expect("nobody else drains");
        while drain.next_part().expect("all are there").is_some() {}
    }
}

fn options(disk: &SimDisk) -> SpoolOptions {
    SpoolOptions::new().memory_bytes(0).on(disk)
}

fn files(how: u8, rest: &[u8]) -> Files {
    let is_edited = how % 2 == 1;
    let how_filled = if is_edited { how } else { 0 };
    let mut files = MADE.with_borrow_mut(|made| {
        let make = || valid_files(how_filled).expect("nothing fails on a fresh disk");
        made.entry(how_filled).or_insert_with(make).clone()
    });
    if is_edited {
        apply(&mut files, rest);
        if how & 2 != 0 {
            mend(&mut files[1].1);
        }
    } else {
        files[1].1 = rest.to_vec();
        // Of the same spool.
        if let (Some(salt), parts) = (rest.get(12..16), &mut files[0].1) {
            parts[12..16].copy_from_slice(salt);
            mend_one(parts, 124, 0, 0..124);
        }
    }
    files
}

/// The parts, and the manifest.
fn valid_files(how: u8) -> Result<Files> {
    let disk = SimDisk::reliable(7);
    let spool = options(&disk).resume(PATH)?;
    for part in 0..=u64::from(how / 16) {
        spool.put(part, &[how; 90])?;
        spool.put(part / 2 + 2, &[how ^ 1; 300])?;
    }
    if how & 4 != 0 {
        io::copy(&mut spool.drain()?.next_part()?.expect("it is ready"), &mut io::sink())
            .map_err(|source| Error::Output { source })?;
    }
    if how & 8 != 0 {
        spool.put(1, &vec![how; 70_000])?;
    }
    drop(spool);
    Ok(disk.contents())
}

/// See docs/FORMAT.md.
fn mend(manifest: &mut [u8]) {
    mend_one(manifest, 124, 0, 0..124);
    let Some(salt) = word(manifest, 12) else { return };
    let mut at = HEADER;
    while let Some(count) = word(manifest, at.saturating_add(12)) {
        let end = at.saturating_add(RECORD).saturating_add(count as usize * ENTRY);
        mend_one(manifest, at + 4, salt, at + 8..end.max(at + 8));
        at = end;
    }
}
