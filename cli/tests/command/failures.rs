//! Every exit code, wrong input of every kind, and that refusals change nothing on disk.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

use ringkeep::Producer;

use crate::place::{Place, RINGKEEP};

/// Every verb that opens an archive, on `name`.
fn each_verb(name: &str) -> [Vec<&str>; 6] {
    [
        vec!["append", name],
        vec!["get", name, "0"],
        vec!["cat", name],
        vec!["stat", name],
        vec!["verify", name],
        vec!["record", name, "--for", "10ms", "--every", "10ms"],
    ]
}

/// Runs each verb on `name`; each is refused with `code` and `words`, and the files stay.
fn refused_by_each_verb(place: &Place, name: &str, code: i32, words: &[&str]) {
    let before = contents(place);
    for args in each_verb(name) {
        let ended = place.run(&args).failed(code, words);
        assert_eq!(ended.stderr.lines().count(), 1, "one sentence: {args:?} {ended:?}");
        assert!(ended.stdout.is_empty(), "{args:?} {ended:?}");
    }
    assert!(contents(place) == before, "a refused open changed something");
}

/// Bytes and names of all files of a place.
fn contents(place: &Place) -> Vec<(Vec<u8>, String)> {
    let entries = fs::read_dir(place.path(".")).expect("a directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    let read = |name: String| (fs::read(place.path(&name)).unwrap_or_default(), name);
    names.into_iter().map(read).collect()
}

fn set_len(place: &Place, name: &str, bytes: u64) {
    let file = OpenOptions::new().write(true).open(place.path(name)).expect("a file");
    file.set_len(bytes).expect("a good disk");
}

fn sharded(place: &Place, name: &str) {
    place
        .run(["create", name, "--record-size", "124", "--capacity", "1000", "--shards", "3"])
        .succeeded();
}

#[test]
fn what_is_not_there_is_no_archive() {
    let place = Place::new();
    for args in each_verb("gone.dat").iter().filter(|args| args[0] != "record") {
        place.run(args).failed(1, &["gone.dat"]);
    }
    assert!(contents(&place).is_empty());
}

#[test]
fn a_directory_is_no_archive() {
    let place = Place::new();
    fs::create_dir(place.path("dir")).expect("a directory");
    refused_by_each_verb(&place, "dir", 1, &["dir", "not"]);
}

#[test]
fn an_empty_file_is_no_archive() {
    let place = Place::new();
    place.write("empty", "");
    refused_by_each_verb(&place, "empty", 1, &["empty"]);
}

#[test]
fn some_other_file_is_no_archive() {
    let place = Place::new();
    place.write("notes.txt", "These are notes, and no records.\n".repeat(1000));
    refused_by_each_verb(&place, "notes.txt", 1, &["notes.txt", "not"]);
}

#[test]
fn a_file_that_was_cut_short_is_refused() {
    let place = Place::new();
    sharded(&place, "cache.dat");
    let bytes = fs::metadata(place.path("cache.dat.1")).expect("a shard").len();
    set_len(&place, "cache.dat.1", bytes - 1);
    refused_by_each_verb(&place, "cache.dat", 1, &["cache.dat.1"]);
    set_len(&place, "cache.dat.1", 0);
    refused_by_each_verb(&place, "cache.dat", 1, &["cache.dat.1"]);
}

#[test]
fn a_missing_shard_is_told_by_its_name() {
    let place = Place::new();
    sharded(&place, "cache.dat");
    fs::remove_file(place.path("cache.dat.2")).expect("a shard");
    refused_by_each_verb(&place, "cache.dat", 1, &["cache.dat.2"]);
}

#[test]
fn shards_of_two_archives_are_not_mixed() {
    let place = Place::new();
    sharded(&place, "cache.dat");
    sharded(&place, "other.dat");
    fs::copy(place.path("other.dat.1"), place.path("cache.dat.1")).expect("a copy");
    refused_by_each_verb(&place, "cache.dat", 1, &["cache.dat.1"]);
}

#[test]
fn a_damaged_first_page_is_refused() {
    let place = Place::with_archive(124, 1000);
    let mut bytes = place.read("cache.dat");
    bytes[40] ^= 0x10;
    place.write("cache.dat", bytes);
    refused_by_each_verb(&place, "cache.dat", 1, &["cache.dat"]);
}

#[test]
fn create_never_replaces_a_file() {
    let place = Place::with_archive(4, 10);
    let before = contents(&place);
    let again = ["create", "cache.dat", "--record-size", "8", "--capacity", "10"];
    place.run(again).failed(2, &["cache.dat", "exists"]);
    assert!(contents(&place) == before);
}

#[test]
fn geometries_that_make_no_ring_are_refused() {
    let place = Place::new();
    let most = u64::MAX.to_string();
    for (record_size, capacity, shards) in [
        ("0", "10", "1"),
        ("4", "0", "1"),
        ("4", "10", "0"),
        ("17M", "10", "1"),
        ("4", most.as_str(), "1"),
        ("16M", "9223372036854775807", "1"),
    ] {
        let geometry = ["--record-size", record_size, "--capacity", capacity, "--shards", shards];
        place.run(["create", "a.dat"].iter().chain(&geometry)).failed(2, &[]);
    }
    assert!(contents(&place).is_empty());
}

#[test]
fn wrong_use_is_told_and_does_nothing() {
    let place = Place::with_archive(4, 10);
    let before = contents(&place);
    for args in [
        &[][..],
        &["frobnicate"],
        &["get", "cache.dat"],
        &["get", "cache.dat", "-1"],
        &["get", "cache.dat", "one"],
        &["cat", "cache.dat", "--last", "1", "--from", "2"],
        &["cat", "cache.dat", "--format", "csv"],
        &["cat", "cache.dat", "--format", "raw", "--json"],
        &["append", "cache.dat", "--sync", "sometimes"],
        &["append", "cache.dat", "--sync", "0"],
        &["create", "b.dat", "--record-size", "4"],
        &["create", "b.dat", "--record-size", "4x", "--capacity", "4"],
        &[
            "create",
            "b.dat",
            "--record-size",
            "4",
            "--capacity",
            "4",
            "--shards",
            "2",
            "--shard-bytes",
            "4K",
        ],
        &["record", "b.dat", "--every", "0s"],
        &["record", "b.dat", "--every", "10"],
        &["record", "b.dat", "--keep", "1d", "--disk", "1M"],
        &["record", "b.dat", "--disk", "100"],
    ] {
        place.run(args).failed(2, &[]);
    }
    assert!(contents(&place) == before);
}

#[test]
fn a_locked_archive_takes_no_second_writer_but_readers() {
    let place = Place::with_archive(4, 10);
    let producer = Producer::open(place.path("cache.dat")).expect("an archive");
    place.feed(["append", "cache.dat"], b"data").failed(3, &["cache.dat", "locked"]);
    assert_eq!(place.stat("cache.dat")["writer"], "live");
    place.run(["cat", "cache.dat"]).succeeded();
    producer.close().expect("a good disk");
    assert_eq!(place.stat("cache.dat")["writer"], "none");
    place.feed(["append", "cache.dat"], b"data").succeeded();
}

#[test]
fn input_that_cannot_be_read_is_the_operating_systems_fault() {
    let place = Place::with_archive(4, 10);
    place.run(["append", "cache.dat", "gone.bin"]).failed(3, &["gone.bin"]);
    place.run(["append", "cache.dat", "."]).failed(3, &["cannot read"]);
}

#[test]
fn a_full_disk_under_standard_output_is_an_error() {
    let place = Place::with_archive(4, 10);
    let full = File::options().write(true).open("/dev/full").expect("a Linux host");
    let output = place.command(["stat", "cache.dat"]).stdout(full).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

#[test]
fn a_directory_that_is_not_there_cannot_hold_a_new_archive() {
    let place = Place::new();
    let args = ["create", "no/where.dat", "--record-size", "4", "--capacity", "4"];
    place.run(args).failed(3, &["no"]);
}

#[test]
fn no_permission_is_the_operating_systems_fault() {
    if !rustix::process::geteuid().is_root() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no_permission_is_the_operating_systems_fault: only root can change users"
        );
        return;
    }
    let place = Place::with_archive(4, 10);
    let binary = place.path("ringkeep");
    fs::copy(RINGKEEP, &binary).expect("a copy");
    for (name, mode) in [(".", 0o755), ("cache.dat", 0o600)] {
        fs::set_permissions(place.path(name), Permissions::from_mode(mode)).expect("root can");
    }
    let as_nobody = |args: &[&str]| {
        let mut command = std::process::Command::new(&binary);
        command.args(args).current_dir(place.path(".")).uid(65534).gid(65534);
        command.output().expect("it runs")
    };
    for args in [&["stat", "cache.dat"][..], &["append", "cache.dat", "ringkeep"]] {
        let output = as_nobody(args);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("cache.dat"), "{output:?}");
    }
    let create = ["create", "new.dat", "--record-size", "4", "--capacity", "4"];
    assert_eq!(as_nobody(&create).status.code(), Some(3));
    // Read permission reads, and still does not write.
    fs::set_permissions(place.path("cache.dat"), Permissions::from_mode(0o644)).expect("root can");
    assert_eq!(as_nobody(&["stat", "cache.dat"]).status.code(), Some(0));
    assert_eq!(as_nobody(&["append", "cache.dat", "ringkeep"]).status.code(), Some(3));
}
