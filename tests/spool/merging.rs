//! All parts in a row, into a file or into anything else.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use ringkeep::{Error, Spool, SpoolOptions};

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
