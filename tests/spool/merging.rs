//! All parts in a row, into a file or into anything else.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    thread,
};

use ringkeep::{Error, GapPolicy, Spool, SpoolOptions};

fn bytes(part: u8) -> Vec<u8> {
    (0..150_000 + usize::from(part)).map(|at| at.to_le_bytes()[0] ^ part).collect()
}

/// Ten parts, some of them in memory and some on the disk.
fn spool(directory: &Path) -> (Spool, Vec<u8>) {
    let spool = SpoolOptions::new().memory_bytes(600_000).directory(directory).build();
    let mut all = Vec::new();
    for part in 0..10 {
        spool.put(part.into(), &bytes(part)).expect("there is room");
        all.extend(bytes(part));
    }
    spool.finish(10).expect("there are ten");
    let stats = spool.stats();
    assert!(stats.disk_bytes > 0 && stats.resident_bytes > 0, "{stats:?}");
    (spool, all)
}

fn names(directory: &Path) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let names = fs::read_dir(directory).expect("a directory").map(name);
    names.map(|name| name.into_string().expect("text")).collect()
}

#[test]
fn a_file_has_all_parts_in_order_wherever_they_were_and_then_they_are_gone() {
    let directory = tempfile::tempdir().expect("a directory");
    let (spool, all) = spool(directory.path());
    let mut found = Vec::new();
    assert_eq!(spool.merge_into(&mut found).expect("all are there"), all.len() as u64);
    assert!(found == all);
    let path = directory.path().join("output");
    assert_eq!(spool.merge_to_file(&path).expect("all are there"), all.len() as u64);
    assert!(fs::read(&path).expect("it is there") == all);
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o600, 0o600);
    let stats = spool.stats();
    assert_eq!((stats.parts_ready, stats.resident_bytes, stats.disk_bytes), (0, 0, 0));
    assert_eq!((stats.parts_drained, names(directory.path())), (10, vec!["output".to_owned()]));
}

#[test]
fn another_file_system_gets_the_same_bytes() {
    let memory = Path::new("/dev/shm");
    let Ok(elsewhere) = tempfile::tempdir_in(memory) else {
        writeln!(io::stderr(), "SKIPPED another_file_system_gets_the_same_bytes: no /dev/shm")
            .expect("a terminal");
        return;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let (spool, all) = spool(directory.path());
    let path = elsewhere.path().join("output");
    spool.merge_to_file(&path).expect("all are there");
    assert!(fs::read(&path).expect("it is there") == all);
}

#[test]
fn a_file_that_cannot_be_made_costs_nothing_and_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let (spool, all) = spool(directory.path());
    let path = directory.path().join("output");
    fs::write(&path, "in the way").expect("there is room");
    let refused = spool.merge_to_file(&path).expect_err("it is in the way");
    assert!(matches!(refused, Error::AlreadyExists { .. }), "{refused:?}");
    assert_eq!(fs::read(&path).expect("it is there"), b"in the way");
    fs::remove_file(&path).expect("it is there");
    let nowhere = directory.path().join("no such directory").join("output");
    let refused = spool.merge_to_file(nowhere).expect_err("there is none");
    assert!(matches!(refused, Error::Io { action: "create", .. }), "{refused:?}");
    let refused = spool.merge_to_file(directory.path()).expect_err("a directory");
    assert!(matches!(refused, Error::AlreadyExists { .. }), "{refused:?}");
    let drain = spool.drain().expect("nobody drains");
    let refused = spool.merge_to_file(&path).expect_err("somebody drains");
    assert!(matches!(refused, Error::DrainedElsewhere), "{refused:?}");
    drop(drain);
    assert!(names(directory.path()).is_empty());
    spool.merge_to_file(&path).expect("nothing is in the way");
    assert!(fs::read(&path).expect("it is there") == all);
}

/// Takes so many bytes, and fails then.
struct Full(usize);

impl io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_fails_says_so_and_the_parts_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    let (spool, all) = spool(directory.path());
    let refused = spool.merge_into(Full(500_000)).expect_err("it is full");
    let is_full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
    assert!(matches!(&refused, Error::Output { source } if is_full(source)), "{refused:?}");
    let mut found = Vec::new();
    spool.merge_into(&mut found).expect("all are there");
    assert!(found == all);
}

#[test]
fn parts_that_were_drained_are_not_merged() {
    let directory = tempfile::tempdir().expect("a directory");
    let (spool, all) = spool(directory.path());
    let mut first = Vec::new();
    let mut drain = spool.drain().expect("nobody drains");
    let mut part = drain.next_part().expect("it is ready").expect("it is ready");
    io::copy(&mut part, &mut first).expect("it can be read");
    drop(part);
    drop(drain);
    let mut rest = Vec::new();
    spool.merge_into(&mut rest).expect("all are there");
    assert!([first, rest].concat() == all);
}

/// What is written while a file is made is in it, or is refused: it never vanishes.
#[test]
fn a_part_that_the_merge_has_passed_can_no_longer_be_written() {
    for gaps in [GapPolicy::Error, GapPolicy::Skip] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("output");
        let spool = SpoolOptions::new().gaps(gaps).build();
        match gaps {
            GapPolicy::Skip => spool.fail(0).expect("it can fail"),
            _ => spool.put(0, b"zero ").expect("it can come"),
        }
        let mut one = spool.part(1).expect("it can come");
        spool.finish(2).expect("there are two");
        let (merging, merged) = (spool.clone(), path.clone());
        let merging = thread::spawn(move || merging.merge_to_file(merged));
        // Until the merge has passed it, a new part 0 is the one that is merged.
        let mut last = String::new();
        for time in 0.. {
            let text = format!("{time} ");
            match spool.put(0, text.as_bytes()) {
                Ok(()) => last = text,
                Err(Error::PartDrained { part: 0 }) => break,
                Err(other) => panic!("{other:?}"),
            }
            thread::yield_now();
        }
        one.write_all(b"one").expect("there is room");
        one.commit().expect("it can come");
        merging.join().expect("no panic").expect("all are there");
        let found = fs::read_to_string(&path).expect("it is there");
        let expected =
            if last.is_empty() && gaps == GapPolicy::Error { "zero ".into() } else { last };
        assert_eq!(found, expected + "one");
    }
}

#[test]
fn a_merge_that_failed_leaves_all_parts_to_be_written_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let spool = Spool::new();
    spool.put(0, b"zero ").expect("it can come");
    spool.fail(1).expect("it can fail");
    spool.finish(2).expect("there are two");
    let path = directory.path().join("output");
    let refused = spool.merge_to_file(&path).expect_err("one has failed");
    assert!(matches!(refused, Error::PartMissing { part: 1, .. }), "{refused:?}");
    spool.put(0, b"once more ").expect("it can come again");
    spool.put(1, b"one").expect("it can come again");
    spool.merge_to_file(&path).expect("all are there");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "once more one");
}
