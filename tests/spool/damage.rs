//! Goal: no damage to a file makes a wrong part, and none ends in a panic or loses other parts.
//!
//! Method: every byte flipped and every prefix cut, of what a spool has on the disk and of its
//! manifest; files that are something else.

use std::{
    io::{self, Read as _},
    path::Path,
};

use ringkeep::{Corruption, Error, Foreign, PartState, SimDisk, Spool, SpoolOptions};

const PATH: &str = "/sim/kept";
const MANIFEST: &str = "/sim/kept.manifest";
/// Bytes that both files begin with.
const HEADER: usize = 128;

fn bytes(part: u64) -> Vec<u8> {
    (0..60 + part.to_le_bytes()[0]).map(|at| at ^ part.to_le_bytes()[0]).collect()
}

fn options(disk: &SimDisk) -> SpoolOptions {
    SpoolOptions::new().memory_bytes(0).on(disk)
}

fn filled(spool: &Spool) {
    for part in [2, 0, 1] {
        spool.put(part, &bytes(part)).expect("there is room");
    }
}

/// Reads a part: whether it is what it was, or else damaged.
fn is_whole(spool: &Spool, part: u64) -> bool {
    let mut found = Vec::new();
    match spool.reader(part).expect("it is ready").read_to_end(&mut found) {
        Ok(_) => {
            assert!(found == bytes(part), "{part}");
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            let error: Error = error.downcast().expect("an error of the library");
            assert!(matches!(error, Error::Damaged { source: Corruption::Checksum { .. }, .. }));
            false
        }
    }
}

#[test]
fn every_flipped_byte_on_the_disk_is_told_and_costs_its_part_only() {
    let disk = SimDisk::reliable(1);
    let spool = options(&disk).build();
    filled(&spool);
    spool.finish(3).expect("there are three");
    let length: usize = (0..3).map(|part| bytes(part).len()).sum();
    for at in 0..length {
        disk.flip_unnamed(at, u32::try_from(at % 8).expect("a bit"));
        let whole = (0..3).filter(|&part| is_whole(&spool, part)).count();
        assert_eq!(whole, 2, "byte {at}");
        let refused = spool.merge_into(io::sink()).expect_err("one is damaged");
        assert!(matches!(refused, Error::Damaged { .. }), "{refused:?}");
        let refused = spool.merge_to_file("/sim/output").expect_err("one is damaged");
        assert!(matches!(refused, Error::Damaged { .. }), "{refused:?}");
        assert!(disk.contents().is_empty());
        disk.flip_unnamed(at, u32::try_from(at % 8).expect("a bit"));
    }
    disk.cut_unnamed(10);
    let refused = spool.merge_into(io::sink()).expect_err("it is cut");
    assert!(matches!(refused, Error::Io { action: "read", .. }), "{refused:?}");
}

/// What a spool that outlives its process has in its two files.
fn files() -> (Vec<u8>, Vec<u8>) {
    let disk = SimDisk::reliable(1);
    let spool = options(&disk).resume(PATH).expect("a spool");
    filled(&spool);
    drop(spool.drain().expect("alone").next_part().expect("it is ready"));
    drop(spool);
    let mut files = disk.contents().into_iter();
    let mut next = |name| {
        let (path, bytes) = files.next().expect("two files");
        assert_eq!(path, Path::new(name));
        bytes
    };
    (next(PATH), next(MANIFEST))
}

/// Opens a spool of these files. Which parts are as they were; all others are told, or unknown.
fn opened(parts: &[u8], manifest: &[u8]) -> Result<(Vec<u64>, u64), Error> {
    let disk = SimDisk::reliable(1);
    disk.put_file(Path::new(PATH), parts);
    disk.put_file(Path::new(MANIFEST), manifest);
    let spool = options(&disk).resume(PATH)?;
    let resumed = spool.resumed();
    let ready = |part: &u64| spool.state(*part) == PartState::Ready;
    let whole: Vec<_> = (0..4).filter(ready).collect();
    assert!(whole.iter().all(|&part| is_whole(&spool, part)), "{whole:?}");
    assert_eq!(whole.len() as u64, resumed.parts);
    assert!(resumed.damaged.iter().all(|part| !whole.contains(part)));
    let told = resumed.damaged.len() as u64 + resumed.unread_bytes;
    for part in 0..4 {
        spool.put(part, &bytes(part)).expect("it can come again");
    }
    spool.finish(4).expect("there are four");
    let mut found = Vec::new();
    spool.merge_into(&mut found).expect("all are there");
    assert!(found == (0..4).flat_map(bytes).collect::<Vec<_>>());
    Ok((whole, told))
}

#[test]
fn a_flipped_byte_of_a_file_that_is_opened_costs_its_part_or_those_noted_after_it() {
    let (parts, manifest) = files();
    assert_eq!(opened(&parts, &manifest).expect("a spool"), (vec![0, 1, 2], 0));
    let used: usize = (0..3).map(|part| bytes(part).len()).sum();
    for at in 0..HEADER + used {
        let mut flipped = parts.clone();
        flipped[at] ^= 1 << (at % 8);
        match opened(&flipped, &manifest) {
            Err(Error::Damaged { .. } | Error::NotASpool { .. } | Error::NewerFormat { .. }) => {
                assert!(at < HEADER);
            }
            Ok((whole, told)) => assert!(at >= HEADER && (whole.len(), told) == (2, 1), "{at}"),
            Err(other) => panic!("{other:?}"),
        }
    }
    for at in 0..manifest.len() {
        let mut flipped = manifest.clone();
        flipped[at] ^= 1 << (at % 8);
        match opened(&parts, &flipped) {
            Err(Error::Damaged { .. } | Error::NotASpool { .. } | Error::NewerFormat { .. }) => {
                assert!(at < HEADER);
            }
            Ok((whole, told)) => assert!(at >= HEADER && whole.len() < 3 && told > 0, "byte {at}"),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_prefix_of_files_that_are_opened_has_the_parts_that_are_whole_in_it() {
    let (parts, manifest) = files();
    for length in 0..parts.len() {
        match opened(&parts[..length], &manifest) {
            Ok((whole, told)) if length > HEADER => assert_eq!(whole.len() as u64 + told, 3),
            // There is nothing behind the header: a spool that begins.
            Ok((whole, _)) => assert!(whole.is_empty(), "{length} bytes"),
            Err(Error::NotASpool { found: Foreign::File, .. }) => assert!(length < 8),
            Err(other) => panic!("{other:?}"),
        }
    }
    let mut most = 0;
    for length in 0..manifest.len() {
        match opened(&parts, &manifest[..length]) {
            Ok((whole, _)) => most = most.max(whole.len()),
            Err(Error::NotASpool { found: Foreign::File, .. }) => assert!(length < HEADER),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(most, 2);
}

/// Goal: what was lost once does not take anything with it later.
///
/// Method: damage of every kind, then parts are written in its place, and the spool is opened
/// once more.
#[test]
fn what_is_written_after_damage_is_there_the_next_time() {
    let (parts, manifest) = files();
    let opened_again = |parts: &[u8], manifest: &[u8]| {
        let disk = SimDisk::reliable(1);
        disk.put_file(Path::new(PATH), parts);
        disk.put_file(Path::new(MANIFEST), manifest);
        for time in 0..2 {
            let Ok(spool) = options(&disk).resume(PATH) else { return false };
            let resumed = spool.resumed();
            assert!(time == 0 || resumed.damaged.is_empty() && resumed.parts == 3, "{resumed:?}");
            for part in spool.missing().collect::<Vec<_>>() {
                spool.put(part, &bytes(part)).expect("it can come again");
            }
            for part in (0..3).filter(|&part| spool.reader(part).is_err()) {
                spool.put(part, &bytes(part)).expect("it can come again");
            }
            assert!((0..3).all(|part| is_whole(&spool, part)));
        }
        true
    };
    let mut count = 0;
    for at in 0..parts.len().min(HEADER + 250) {
        let mut flipped = parts.clone();
        flipped[at] ^= 1 << (at % 8);
        count += u64::from(opened_again(&flipped, &manifest));
        count += u64::from(opened_again(&parts[..at], &manifest));
    }
    for at in 0..manifest.len() {
        let mut flipped = manifest.clone();
        flipped[at] ^= 1 << (at % 8);
        count += u64::from(opened_again(&parts, &flipped));
        count += u64::from(opened_again(&parts, &manifest[..at]));
    }
    assert!(count > 600, "{count}");
}

#[test]
fn files_of_others_are_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("kept");
    let manifest = directory.path().join("kept.manifest");
    let options = SpoolOptions::new();
    std::fs::write(&path, "somebody's").expect("there is room");
    let refused = options.resume(&path).expect_err("it is no spool's");
    assert!(matches!(refused, Error::NotASpool { found: Foreign::File, .. }), "{refused:?}");
    assert_eq!(std::fs::read(&path).expect("it is there"), b"somebody's");
    std::fs::remove_file(&path).expect("it is there");
    std::fs::write(&manifest, "somebody's text, which is longer than a header").expect("room");
    let refused = options.resume(&path).expect_err("that is none");
    assert!(matches!(refused, Error::NotASpool { found: Foreign::File, .. }), "{refused:?}");
    assert!(std::fs::read(&manifest).expect("it is there").starts_with(b"somebody's text"));
    std::fs::remove_file(&manifest).expect("it is there");
    std::fs::create_dir(&manifest).expect("there is room");
    let refused = options.resume(&path).expect_err("that is none");
    assert!(matches!(refused, Error::NotASpool { found: Foreign::Directory, .. }), "{refused:?}");
    std::fs::remove_dir(&manifest).expect("it is there");
    drop(options.resume(&path).expect("nothing is in the way"));
    let mut newer = std::fs::read(&manifest).expect("it is there");
    newer[8] = 2;
    let checksum = crc32fast::hash(&newer[..124]);
    newer[124..128].copy_from_slice(&checksum.to_le_bytes());
    std::fs::write(&manifest, newer).expect("there is room");
    let refused = options.resume(&path).expect_err("it is newer");
    assert!(matches!(refused, Error::NewerFormat { found: 2, supported: 1, .. }), "{refused:?}");
    let fifo = directory.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)
        .expect("a pipe");
    let refused = options.resume(&fifo).expect_err("a pipe");
    assert!(matches!(refused, Error::NotASpool { found: Foreign::Special, .. }), "{refused:?}");
    let refused = options.resume(directory.path()).expect_err("a directory");
    assert!(matches!(refused, Error::Io { action: "create", .. }), "{refused:?}");
    for nothing in ["", "/", "no such directory/kept"] {
        options.resume(nothing).expect_err("no file can be there");
    }
    assert!(!Path::new(".manifest").exists());
}

#[test]
fn a_spool_that_is_discarded_takes_no_other_one_with_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("kept");
    let options = SpoolOptions::new();
    let first = options.resume(&path).expect("a spool");
    first.put(0, b"the first one's").expect("there is room");
    first.discard().expect("it is there");
    let second = options.resume(&path).expect("another one");
    second.put(0, b"the second one's").expect("there is room");
    first.discard().expect("there is nothing to remove");
    assert_eq!(io::read_to_string(first.reader(0).expect("it is ready")).expect("text").len(), 15);
    drop((first, second));
    let third = options.resume(&path).expect("the second one");
    assert_eq!((third.resumed().parts, third.resumed().bytes), (1, 16));
    let reader = third.reader(0).expect("it is ready");
    drop(third);
    let refused = options.resume(&path).expect_err("somebody reads it");
    assert!(matches!(refused, Error::Locked { .. }), "{refused:?}");
    drop(reader);
    options.resume(&path).expect("nobody has it").discard().expect("it is there");
    assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 0);
}
