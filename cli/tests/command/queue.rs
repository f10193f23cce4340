//! Queues that the library made, through the command: beside their process, after it, damaged.

use std::fs;
use std::io::{Read as _, pipe};
use std::os::unix::fs::FileExt as _;

use ringkeep::{Bytes, Compression, Mode, Queue, QueueOptions, SyncPolicy};
use rustix::io::ioctl_fionread;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::place::{Place, Running, id, wait_for};

const VERBS: [&str; 5] = ["stat", "verify", "peek", "export", "drain"];
/// Where the frames of a segment begin.
const FRAMES: u64 = 20480;

fn options() -> QueueOptions<Bytes> {
    QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Always)).tag("jobs of today")
}

fn open(place: &Place) -> Queue<Vec<u8>, Bytes> {
    options().open(place.path("jobs")).expect("a queue")
}

/// A queue of these items, which nobody has open.
fn filled(items: &[&[u8]]) -> Place {
    let place = Place::new();
    let queue = open(&place);
    for item in items {
        queue.push(item.to_vec()).expect("there is room");
    }
    drop(queue);
    until_free(&place);
    place
}

/// What another test starts holds our files open until it runs, and their locks with them.
fn until_free(place: &Place) {
    wait_for("the lock to be free", || {
        let stat = place.run(["queue", "stat", "jobs", "--json"]).succeeded().json();
        (stat["open"] == false).then_some(())
    });
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

fn numbers(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| id(&line["number"])).collect()
}

/// Bytes and names of all files of a place.
fn contents(place: &Place) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(place.path("jobs")).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut all: Vec<_> = paths
        .map(|path| (path.to_string_lossy().into_owned(), fs::read(&path).expect("a file")))
        .collect();
    all.sort_unstable();
    all
}

/// Flips a bit of the second of three items, each a frame of its own.
fn damaged() -> (Place, u64) {
    let place = filled(&[b"first", b"second", b"third"]);
    let path = place.path("jobs/00000000000000000000.seg");
    let segment = fs::File::options().read(true).write(true).open(path).expect("a segment");
    // 48 bytes of header, 4 of a length, 5 of an item, up to a multiple of 8.
    let offset = FRAMES + 64;
    let mut byte = [0];
    segment.read_exact_at(&mut byte, offset + 54).expect("a byte");
    segment.write_all_at(&[byte[0] ^ 1], offset + 54).expect("a store");
    // No copy of the last page mends it.
    segment.write_all_at(&[0; 16384], 4096).expect("a store");
    (place, offset)
}

#[test]
fn stat_tells_where_a_queue_stands_beside_its_process_and_after() {
    let place = filled(&[b"one", b"two", b"three"]);
    let queue = open(&place);
    queue.pop().expect("an item");
    let stat = place.run(["queue", "stat", "jobs", "--json"]).succeeded().json();
    for (key, value) in [
        ("kind", json!("durable")),
        ("open", json!(true)),
        ("codec", json!("bytes")),
        ("tag", json!("jobs of today")),
        ("compression", json!(["none"])),
        ("segments", json!(1)),
        ("first", json!("1")),
        ("next", json!("3")),
        ("items", json!(2)),
        ("durable", json!("3")),
        ("at_risk", json!(0)),
        ("set_aside", json!([])),
    ] {
        assert_eq!(stat[key], value, "{key} in {stat}");
    }
    let time = stat["oldest_time"].as_str().expect("a time");
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    drop(queue);
    until_free(&place);
    let text = place.run(["queue", "stat", "jobs"]).succeeded();
    for line in ["open          no\n", "first         1\n", "items         2\n"] {
        assert!(text.text().contains(line), "{text:?}");
    }
}

#[test]
fn what_an_export_reads_stays_in_the_queue_and_its_files_as_they_were() {
    let items: [&[u8]; 4] = [b"plain", b"", b"\x00\xff\n", "gr\u{fc}n".as_bytes()];
    let place = filled(&items);
    let before = contents(&place);
    let lines = place.run(["queue", "export", "jobs"]).succeeded().json_lines();
    assert_eq!(numbers(&lines), [0, 1, 2, 3]);
    for (line, item) in lines.iter().zip(items) {
        assert_eq!(line["bytes"], hex(item));
        assert!(line["time"].as_str().expect("a time").ends_with('Z'), "{line}");
    }
    let run = |args: &[&str]| place.run(["queue", "export", "jobs"].iter().chain(args));
    assert_eq!(run(&["--json"]).succeeded().json_lines(), lines);
    assert_eq!(run(&["--raw"]).succeeded().stdout, items.concat());
    let text = run(&["--lines", "--from", "2"]).succeeded();
    assert_eq!(text.stdout, [b"\x00\xff\n\n".as_slice(), items[3], b"\n"].concat());
    assert_eq!(run(&["--from", "9"]).succeeded().text(), "");
    run(&["--raw", "--lines"]).failed(2, &["--lines"]);
    run(&["--raw", "--json"]).failed(2, &["leave one out"]);

    let peek = |args: &[&str]| place.run(["queue", "peek", "jobs"].iter().chain(args)).succeeded();
    let shown = peek(&[]);
    assert!(shown.text().starts_with("0  20") && shown.text().ends_with("Z  5 bytes  \"plain\"\n"));
    let shown = peek(&["-n", "9"]);
    assert_eq!(shown.text().lines().count(), 4);
    assert!(shown.text().contains(r#"3 bytes  "\x00\xff\n""#), "{shown:?}");
    assert!(peek(&["-n", "3", "--hex"]).text().ends_with("3 bytes  00ff0a\n"));
    let one = peek(&["--json"]).json();
    assert_eq!((&one["number"], &one["size"]), (&json!("0"), &json!(5)));
    assert_eq!(one["bytes"], hex(b"plain"));
    place.run(["queue", "verify", "jobs"]).succeeded();
    assert!(contents(&place) == before, "a reader wrote");
}

#[test]
fn readers_work_beside_the_process_and_drain_is_refused() {
    let place = filled(&[b"one", b"two"]);
    let queue = open(&place);
    queue.push(b"three".to_vec()).expect("there is room");
    let all = place.run(["queue", "export", "jobs", "--lines"]).succeeded();
    assert_eq!(all.text(), "one\ntwo\nthree\n");
    let report = place.run(["queue", "verify", "jobs", "--json"]).succeeded().json();
    assert_eq!((&report["items"], &report["torn_bytes"]), (&json!(3), &json!(0)));
    let refused = place.run(["queue", "drain", "jobs"]).failed(3, &["jobs", "locked"]);
    assert_eq!(refused.text(), "");
    assert_eq!(queue.len(), 3);
}

#[test]
fn a_copy_taken_from_a_dead_process_is_whole() {
    let place = Place::new();
    let queue = options().compression(Compression::Lz4).open(place.path("live")).expect("a queue");
    for number in 0..100_u8 {
        queue.push(vec![number; 500]).expect("there is room");
    }
    queue.pop().expect("an item");
    // As after kill -9: the files as they are while it is open.
    fs::create_dir(place.path("jobs")).expect("a directory");
    for entry in fs::read_dir(place.path("live")).expect("a directory") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        place.write(&format!("jobs/{name}"), place.read(&format!("live/{name}")));
    }
    let stat = place.run(["queue", "stat", "jobs", "--json"]).succeeded().json();
    assert_eq!((&stat["open"], &stat["items"]), (&json!(false), &json!(99)));
    assert_eq!(stat["compression"], json!(["lz4"]));
    place.run(["queue", "verify", "jobs"]).succeeded();
    let drained = place.run(["queue", "drain", "jobs", "--raw"]).succeeded();
    assert_eq!(drained.stdout, (1..100_u8).flat_map(|number| [number; 500]).collect::<Vec<_>>());
}

#[test]
fn damage_is_told_with_its_place_and_passed_over() {
    let (place, offset) = damaged();
    let file = "jobs/00000000000000000000.seg";
    let told = format!("item 1 cannot be read: {file} byte {offset}: its checksum is");
    let verified = place.run(["queue", "verify", "jobs"]);
    assert_eq!(verified.code, 1, "{verified:?}");
    assert!(verified.text().starts_with(&told), "{verified:?}");
    assert!(verified.text().ends_with("damaged    1\nmissing    1\n"), "{verified:?}");
    let report = place.run(["queue", "verify", "jobs", "--json"]).json();
    assert_eq!((&report["items"], &report["missing"]), (&json!(2), &json!(1)));
    let place_told = &report["places"][0];
    assert_eq!((&place_told["first"], &place_told["end"]), (&json!("1"), &json!("2")));
    assert_eq!((&place_told["file"], &place_told["offset"]), (&json!(file), &json!(offset)));

    let all = place.run(["queue", "export", "jobs", "--lines"]).failed(1, &[&told]);
    assert_eq!(all.text(), "first\nthird\n");
    let two = place.run(["queue", "peek", "jobs", "-n", "2"]).failed(1, &[&told]);
    assert_eq!(two.text().lines().count(), 2);

    let refused = place.run(["queue", "drain", "jobs", "--lines"]);
    let refused = refused.failed(1, &[file, "damaged", "--skip-bad"]);
    assert_eq!(refused.text(), "");
    let rest = place.run(["queue", "drain", "jobs", "--skip-bad"]).failed(1, &["1 items could"]);
    assert_eq!(numbers(&rest.json_lines()), [0, 2]);
    assert!(open(&place).is_empty());
}

#[test]
fn a_drain_takes_out_what_it_wrote_and_no_more() {
    let place = filled(&[b"one", b"two", b"three", b"four"]);
    let drain = |args: &[&str]| place.run(["queue", "drain", "jobs"].iter().chain(args));
    let first = drain(&["-n", "1"]).failed(0, &["drained 1 item\n"]);
    let line = &first.json_lines()[0];
    assert_eq!((id(&line["number"]), &line["bytes"]), (0, &json!(hex(b"one"))));
    assert!(line["time"].as_str().expect("a time").ends_with('Z'), "{line}");
    assert_eq!(drain(&["-n", "0"]).succeeded().text(), "");

    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let output =
        place.command(["queue", "drain", "jobs"]).stdout(writer).output().expect("it runs");
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    let full = fs::File::options().write(true).open("/dev/full").expect("a Linux host");
    let output = place.command(["queue", "drain", "jobs"]).stdout(full).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3), "{output:?}");

    assert_eq!(drain(&["--lines"]).failed(0, &["drained 3 items"]).text(), "two\nthree\nfour\n");
    assert_eq!(drain(&[]).failed(0, &["drained no items"]).text(), "");
    let queue = open(&place);
    assert_eq!(queue.push(b"five".to_vec()).expect("there is room"), Some(4));
}

/// A drain of more than a pipe holds, which waits for its reader.
fn waiting(place: &Place) -> Running {
    let queue = open(place);
    queue.push_batch(vec![vec![7; 1000]; 1000]).expect("there is room");
    drop(queue);
    until_free(place);
    Running::start(place.command(["queue", "drain", "jobs"]))
}

#[test]
fn a_signal_or_a_death_takes_out_nothing_that_was_not_written() {
    for signal in [Signal::INT, Signal::KILL] {
        let place = Place::new();
        let mut drain = waiting(&place);
        let mut output = drain.output();
        wait_for("a full pipe", || {
            ioctl_fionread(&output).is_ok_and(|bytes| bytes >= 1 << 15).then_some(())
        });
        drain.signal(signal);
        let mut text = String::new();
        output.read_to_string(&mut text).expect("text");
        let ended = drain.ended();
        let written = text.matches('\n').count() as u64;
        let stat = place.run(["queue", "stat", "jobs", "--json"]).succeeded().json();
        if signal == Signal::INT {
            assert_eq!(ended.code, 0, "{ended:?}");
            assert!((1..1000).contains(&written), "{written}");
            assert_eq!(id(&stat["first"]), written);
        } else {
            assert_eq!((ended.code, id(&stat["first"])), (-1, 0), "{written}: {ended:?}");
        }
    }
}

#[test]
fn a_queue_that_only_spills_shows_what_is_in_files_and_has_nothing_to_drain() {
    let place = Place::new();
    let queue = QueueOptions::new(Bytes).memory_bytes(1).open(place.path("jobs"));
    let queue = queue.expect("a queue");
    let stat = || place.run(["queue", "stat", "jobs", "--json"]).succeeded().json();
    assert_eq!((&stat()["kind"], &stat()["items"]), (&json!("spill"), &json!(0)));
    place.run(["queue", "peek", "jobs"]).failed(0, &["only spills"]);
    for _ in 0..5000 {
        queue.push(vec![1; 100]).expect("there is room");
    }
    assert!(stat()["items"].as_u64() > Some(1000), "{}", stat());
    place.run(["queue", "verify", "jobs"]).succeeded();
    place.run(["queue", "drain", "jobs"]).failed(2, &["only spills"]);
}

#[test]
fn an_empty_queue_is_fine_and_said() {
    let place = filled(&[]);
    for verb in VERBS {
        let ended = place.run(["queue", verb, "jobs"]).succeeded();
        let is_told = matches!(verb, "stat" | "verify");
        assert_eq!(ended.stdout.is_empty(), !is_told, "{verb}: {ended:?}");
    }
    place.run(["queue", "peek", "jobs"]).failed(0, &["the queue is empty"]);
    let stat = place.run(["queue", "stat", "jobs", "--json"]).succeeded().json();
    assert_eq!((&stat["codec"], &stat["oldest_time"]), (&Value::Null, &Value::Null));
}

#[test]
fn what_is_no_queue_is_refused_by_every_verb() {
    let place = Place::with_archive(4, 10);
    fs::create_dir(place.path("empty")).expect("a directory");
    fs::create_dir(place.path("other")).expect("a directory");
    place.write("other/notes.txt", "no queue");
    for (name, words) in [
        ("gone", "there is no queue gone"),
        ("empty", "an empty directory"),
        ("other", "a directory of other files"),
        ("cache.dat", "a ring archive"),
        ("other/notes.txt", "some other file"),
    ] {
        for verb in VERBS {
            let ended = place.run(["queue", verb, name]).failed(1, &[name, words]);
            assert_eq!(ended.stderr.lines().count(), 1, "one sentence: {ended:?}");
            assert!(ended.stdout.is_empty(), "{ended:?}");
        }
    }
    assert_eq!(fs::read_dir(place.path("empty")).expect("a directory").count(), 0);
    place.run(["queue"]).failed(2, &["say what to do"]);
    place.run(["queue", "fill", "jobs"]).failed(2, &["fill"]);
}

#[test]
fn no_verb_of_a_queue_minds_a_pipe_that_is_closed_already() {
    let place = filled(&[b"one", b"two"]);
    for verb in VERBS {
        for json in [&[][..], &["--json"]] {
            let (reader, writer) = pipe().expect("a pipe");
            drop(reader);
            let mut command = place.command(["queue", verb, "jobs"].iter().chain(json));
            let output = command.stdout(writer).output().expect("it runs");
            assert_eq!(output.status.code(), Some(0), "{verb} {output:?}");
        }
    }
    assert_eq!(open(&place).len(), 2);
}
