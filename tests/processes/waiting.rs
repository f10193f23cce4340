//! Goal: readers in other processes, who may only read, are woken by an append, outlive their
//! producers, and are told when their archive is replaced.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use ringkeep::{Error, Producer, Ring, RingOptions, Start, Tailed};
use ringkeep_torture::kill::{
    child::{PATIENCE, Running, is_root, say, wait_for_the_end},
    payload::{Style, payload_of, version_of},
};

const SIZE: usize = 32;
const STYLE: Style = Style::IdFirst;
/// A reader that nobody wakes sleeps 500 ms.
const SOON: Duration = Duration::from_millis(400);
const RECORDS: u64 = 50;
/// A busy machine may stop a process for that long now and then; a wake that does not work would be
/// late each time.
const LATE_MAX: usize = 3;

/// The child: says what it reads, and before each record that it waits.
pub(crate) fn tail(arguments: &[String]) {
    let [path] = arguments else { panic!("{arguments:?}") };
    let refused = Producer::open(path);
    let ring = Ring::open(path).expect("a reader needs read permission only");
    let mut tailer = ring.tailer(Start::Oldest);
    say(match refused {
        Err(Error::Io { ref source, .. }) if source.raw_os_error() == Some(13) => "may only read",
        Err(Error::Locked { .. }) => "locked",
        ref other => panic!("{other:?}"),
    });
    let mut room = [0; SIZE];
    loop {
        say("waiting");
        match tailer.next_timeout(PATIENCE).expect("a look") {
            Some(Tailed::Record { id, payload }) => {
                assert!(version_of(STYLE, id, payload, &mut room).is_some(), "{id}: {payload:?}");
                say(&format!("got {id}"));
            }
            Some(Tailed::Replaced) => {
                say("replaced");
                wait_for_the_end();
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The child: appends so many records and waits to be killed.
pub(crate) fn append(arguments: &[String]) {
    let [path, count] = arguments else { panic!("{arguments:?}") };
    let mut producer = options().open_or_create(path).expect("a producer");
    for _ in 0..count.parse().expect("a count") {
        append_one(&mut producer);
    }
    say("appended");
    wait_for_the_end();
}

fn options() -> RingOptions {
    RingOptions::new(SIZE, 1000)
}

/// An archive whose files the child may only read: as another user, or else by their mode.
fn for_readers() -> RingOptions {
    options().mode(if is_root() { 0o644 } else { 0o440 })
}

fn append_one(producer: &mut Producer) -> u64 {
    let id = producer.ring().next_id().expect("next");
    producer.append(&payload_of(STYLE, id, 0, SIZE)).expect("an append")
}

/// A directory that everybody may enter.
fn open_directory() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a directory");
    let everybody = fs::Permissions::from_mode(0o755);
    fs::set_permissions(directory.path(), everybody).expect("permissions");
    directory
}

fn text(path: &Path) -> &str {
    path.to_str().expect("ASCII")
}

#[test]
fn a_reader_with_read_permission_only_is_woken_by_each_append() {
    let directory = open_directory();
    let path = directory.path().join("cache.dat");
    let mut producer = for_readers().create(&path).expect("an archive");
    let child = Running::start_with_read_permission(directory.path(), "tail", &[text(&path)]);
    child.says("may only read");
    let mut waits = Vec::new();
    for id in 0..RECORDS {
        child.says("waiting");
        child.sleeps();
        let begun = Instant::now();
        assert_eq!(append_one(&mut producer), id);
        child.says(&format!("got {id}"));
        waits.push(begun.elapsed());
    }
    waits.sort();
    let middle = waits[waits.len() / 2];
    println!("woken after {middle:?} in the middle, {:?} at most", waits.last());
    let late = waits.iter().filter(|&&wait| wait >= SOON).count();
    assert!(late <= LATE_MAX, "{late} of {RECORDS} came as late as without a wake: {waits:?}");
}

#[test]
fn the_last_record_of_each_burst_reaches_a_reader_that_sleeps() {
    let directory = open_directory();
    let path = directory.path().join("cache.dat");
    let mut producer = for_readers().create(&path).expect("an archive");
    let child = Running::start_with_read_permission(directory.path(), "tail", &[text(&path)]);
    child.says("may only read");
    let mut late = 0;
    let mut next = 0;
    // Bursts of all lengths around the wake-up's rate limit.
    for burst in (1..=30).chain([100, 200, 300]) {
        child.says("waiting");
        child.sleeps();
        for _ in 0..burst {
            append_one(&mut producer);
        }
        let begun = Instant::now();
        for at in 0..burst {
            child.says(&format!("got {next}"));
            next += 1;
            if at + 1 < burst {
                child.says("waiting");
            }
        }
        late += usize::from(begun.elapsed() >= SOON);
    }
    assert!(late <= LATE_MAX, "{late} bursts ended with a record that nobody told");
}

#[test]
fn a_reader_in_another_process_is_told_that_its_archive_was_replaced() {
    let directory = open_directory();
    let path = directory.path().join("cache.dat");
    let mut producer = for_readers().create(&path).expect("an archive");
    append_one(&mut producer);
    let child = Running::start_with_read_permission(directory.path(), "tail", &[text(&path)]);
    for line in ["may only read", "waiting", "got 0", "waiting"] {
        child.says(line);
    }
    producer.close().expect("a close");
    fs::remove_file(&path).expect("the archive is removed");
    let mut another = for_readers().create(&path).expect("another archive");
    append_one(&mut another);
    child.says("replaced");
}

#[test]
fn a_second_producer_in_another_process_is_refused_until_the_first_is_gone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cache.dat");
    for round in 0..10 {
        let child = Running::start("append", &[text(&path), "5"]);
        child.says("appended");
        let refused = [Producer::open(&path).err(), options().open(&path).err()];
        for error in refused {
            assert!(matches!(error, Some(Error::Locked { .. })), "{error:?}");
        }
        let ring = Ring::open(&path).expect("a reader");
        assert!(ring.stats().expect("stats").writer_live);
        let _ = child.kill();
        assert!(!ring.stats().expect("stats").writer_live);
        // At once: the lock went with the process.
        let mut producer = Producer::open(&path).expect("the lock is free");
        assert_eq!(append_one(&mut producer), 6 * round + 5);
        // And the other way round.
        let child = Running::start("tail", &[text(&path)]);
        child.says("locked");
        for _ in 0..6 * round + 6 {
            child.says("waiting");
            assert!(child.line().starts_with("got "));
        }
    }
}

#[test]
fn a_reader_goes_on_with_the_next_producer_when_one_dies() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cache.dat");
    options().create(&path).expect("an archive").die();
    let ring = Ring::open(&path).expect("a reader");
    let mut tailer = ring.tailer(Start::Oldest);
    let mut room = [0; SIZE];
    for round in 0..10 {
        let child = Running::start("append", &[text(&path), "20"]);
        for expected in 20 * round..20 * round + 20 {
            let item = tailer.next_timeout(PATIENCE).expect("a look");
            let Some(Tailed::Record { id, payload }) = item else { panic!("{item:?}") };
            assert_eq!(id, expected);
            assert!(version_of(STYLE, id, payload, &mut room).is_some());
        }
        child.says("appended");
        let _ = child.kill();
        assert_eq!(tailer.try_next().expect("a look"), None);
    }
    assert_eq!(tailer.missed(), 0);
}
