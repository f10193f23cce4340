//! What the fuzz target does with its bytes; the corpus is replayed by `tests/fuzz_corpus.rs`.
//!
//! The first byte says how the rest becomes a file:
//!
//! * even: the rest is the file, as it is;
//! * odd: a small valid file is made, and the rest edits it: `_, offset (2), count, bytes`. With
//!   bit 1 the checksums of header, index and frames are made right again, so that the fields
//!   themselves are tried; bit 2 compresses it, bits 3.. fill it.

use std::{cell::RefCell, collections::BTreeMap, path::Path};

use ringkeep::{Bytes, Compression, FrozenVec, Result, SimDisk, SpillVecOptions};

use crate::{
    checksums::{mend_one, word},
    edits::{Files, apply},
};

const PATH: &str = "/sim/frozen";
const HEADER: usize = 512;
const FRAME_HEADER: usize = 48;
/// More items than this are not read: a frame of empty ones is larger than its file.
const ITEMS_MAX: usize = 10_000;

thread_local! {
    /// Files made so far: making one takes longer than trying it.
    static MADE: RefCell<BTreeMap<u8, Files>> = const { RefCell::new(BTreeMap::new()) };
}

/// Opens the file that `data` describes, and reads it in every way.
pub(crate) fn open_any_frozen(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else { return };
    let disk = SimDisk::reliable(how.into());
    let content = if how % 2 == 0 { rest.to_vec() } else { edited(how, rest) };
    disk.put_file(Path::new(PATH), &content);
    // Every result is fine, as long as there is one.
    let opened = options(how).on(&disk).open_frozen::<Vec<u8>>(PATH);
    if let Ok(frozen) = opened {
        agrees(&frozen);
    }
}

/// However it is read, it is the same.
fn agrees(frozen: &FrozenVec<Vec<u8>, Bytes>) {
    let len = frozen.len();
    let is_whole = frozen.verify().is_ok();
    let forward: Vec<Result<Vec<u8>>> = frozen.iter().take(ITEMS_MAX).collect();
    assert!(forward.len() == len.min(ITEMS_MAX) || !is_whole);
    assert!(forward.iter().all(Result::is_ok) || !is_whole);
    for (index, found) in forward.iter().enumerate().step_by(7) {
        match (frozen.get(index), found) {
            (Ok(Some(one)), Ok(other)) => assert_eq!(one, *other),
            (Err(_), Err(_)) => {}
            (one, other) => panic!("{index}: {one:?} and {other:?}"),
        }
    }
    let backward = frozen.iter().rev().take(ITEMS_MAX).flatten().count();
    assert!(backward == len.min(ITEMS_MAX) || !is_whole);
    assert!(matches!(frozen.get(len), Ok(None)));
}

fn options(how: u8) -> SpillVecOptions<Bytes> {
    let compression = if how & 4 == 0 { Compression::None } else { Compression::Lz4 };
    SpillVecOptions::new(Bytes).frame_bytes(200).compression(compression)
}

fn edited(how: u8, edits: &[u8]) -> Vec<u8> {
    let mut files = MADE.with_borrow_mut(|made| {
        let make = || valid_file(how).expect("nothing fails on a fresh disk");
        made.entry(how).or_insert_with(make).clone()
    });
    apply(&mut files, edits);
    let mut content = files.pop().map_or_else(Vec::new, |(_, content)| content);
    if how & 2 != 0 {
        mend(&mut content);
    }
    content
}

fn valid_file(how: u8) -> Result<Files> {
    let disk = SimDisk::reliable(7);
    let mut vec = options(how).on(&disk).build()?;
    for count in 0..=how / 8 {
        vec.try_extend([vec![count; 70], vec![count], Vec::new()])?;
    }
    vec.persist(PATH)?;
    Ok(disk.contents())
}

/// See docs/FORMAT.md.
fn mend(content: &mut [u8]) {
    let Some(salt) = word(content, 12) else { return };
    let mut at = HEADER;
    while content.get(at..at + 4).is_some_and(|magic| magic == b"RKfr") {
        let Some(body) = word(content, at + 36).map(|body| body as usize) else { return };
        mend_one(content, at + 40, 0, at + FRAME_HEADER..at + FRAME_HEADER + body);
        mend_one(content, at + 4, salt, at + 8..at + FRAME_HEADER);
        at += (FRAME_HEADER + body).next_multiple_of(8);
    }
    let index = word(content, 24).map_or(0, |index| index as usize);
    mend_one(content, 40, 0, index..content.len());
    mend_one(content, 508, 0, 0..508);
}
