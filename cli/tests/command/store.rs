//! Stores that the library made, through the command: closed, open, left by a crash, damaged.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, pipe};
use std::os::unix::ffi::OsStrExt as _;
use std::thread;
use std::time::Duration;

use ringkeep::Store;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::place::{Ended, Place, Running};

/// Keys that a terminal, a line or a text would not survive, in order.
const ODD_KEYS: [&[u8]; 6] = [b"", b"\0", b"a\tb\n", b"back\\slash", b"gr\xc3\xbcn", b"\xff\xfe"];

/// Every verb, on a file of this name.
fn each_verb(name: &str) -> [Vec<&str>; 8] {
    [
        vec!["store", "stat", name],
        vec!["store", "buckets", name],
        vec!["store", "get", name, "sensors", "roof/1"],
        vec!["store", "scan", name, "sensors"],
        vec!["store", "export", name],
        vec!["store", "verify", name],
        vec!["store", "backup", name, "made.redb"],
        vec!["store", "compact", name],
    ]
}

fn fill(store: &Store) {
    let put = store.write(|tx| {
        let mut sensors = tx.bucket("sensors")?;
        for (key, value) in [("roof/1", "temperature"), ("roof/2", "wind"), ("yard/1", "rain")] {
            sensors.put(key, value)?;
        }
        let mut odd = tx.bucket("odd ones")?;
        for (key, number) in ODD_KEYS.into_iter().zip(0_u8..) {
            odd.put(key, [number, 0, 255, b'\n'])?;
        }
        tx.bucket("empty").map(drop)
    });
    put.expect("there is room");
}

fn open(place: &Place) -> Store {
    Store::open(place.path("state.redb")).expect("a store")
}

/// A place with `state.redb`, which nobody has open.
fn filled() -> Place {
    let place = Place::new();
    fill(&open(&place));
    place
}

/// As after kill -9: the file as it is while it is open.
fn crashed() -> Place {
    let place = Place::new();
    let store = Store::open(place.path("live.redb")).expect("a store");
    fill(&store);
    fs::copy(place.path("live.redb"), place.path("state.redb")).expect("a copy");
    place
}

fn run(place: &Place, args: &[&str]) -> Ended {
    place.run(["store"].iter().chain(args))
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

#[test]
fn stat_and_buckets_tell_what_is_there() {
    let place = filled();
    let stat = run(&place, &["stat", "state.redb", "--json"]).succeeded().json();
    let length = fs::metadata(place.path("state.redb")).expect("a file").len();
    assert_eq!((&stat["path"], &stat["file_bytes"]), (&json!("state.redb"), &json!(length)));
    let names: Vec<&Value> =
        stat["buckets"].as_array().expect("buckets").iter().map(|one| &one["bucket"]).collect();
    assert_eq!(names, ["empty", "odd ones", "sensors"]);
    let sensors = &stat["buckets"][2];
    assert_eq!((&sensors["keys"], &sensors["stored_bytes"]), (&json!(3), &json!(37)));
    assert_eq!(sensors["height"], 1);
    assert!(sensors["page_bytes"].as_u64() >= Some(4096), "{stat}");
    let free = stat["fragmentation_percent"].as_f64().expect("a number");
    assert!((50.0..=100.0).contains(&free), "{stat}");

    let text = run(&place, &["stat", "state.redb"]).succeeded();
    assert!(text.text().starts_with("path           state.redb\nfile_bytes     "), "{text:?}");
    assert!(text.text().contains("\nbuckets        3\n\nbucket    keys  stored"), "{text:?}");
    assert!(text.text().contains("\nsensors      3          37 B"), "{text:?}");

    let text = run(&place, &["buckets", "state.redb"]).succeeded();
    assert_eq!(text.text(), "empty\nodd ones\nsensors\n");
    let lines = run(&place, &["buckets", "state.redb", "--json"]).succeeded().json_lines();
    let bucket = |name: &str, keys: u64| json!({"bucket": name, "keys": keys});
    assert_eq!(lines, [bucket("empty", 0), bucket("odd ones", 6), bucket("sensors", 3)]);
}

#[test]
fn a_store_without_buckets_is_fine() {
    let place = Place::new();
    drop(open(&place));
    for verb in ["stat", "buckets", "export", "verify", "compact"] {
        run(&place, &[verb, "state.redb"]).succeeded();
    }
    run(&place, &["scan", "state.redb", "b"]).failed(1, &["no bucket \"b\" in state.redb"]);
    run(&place, &["backup", "state.redb", "copy.redb"]).succeeded();
    assert_eq!(run(&place, &["buckets", "copy.redb"]).succeeded().text(), "");
}

#[test]
fn get_gives_the_bytes_of_a_value_in_any_form() {
    let place = filled();
    let get = |more: &[&str]| run(&place, &[&["get", "state.redb"], more].concat());
    assert_eq!(get(&["sensors", "roof/1"]).succeeded().stdout, b"temperature");
    let value = [0, 0, 255, b'\n'];
    assert_eq!(get(&["odd ones", ""]).succeeded().stdout, value);
    assert_eq!(get(&["odd ones", "", "--format", "raw"]).succeeded().stdout, value);
    assert_eq!(get(&["odd ones", "", "--format", "hex"]).succeeded().text(), "0000ff0a\n");
    let text = get(&["odd ones", "00", "--hex-key", "--format", "text"]).succeeded();
    assert_eq!(text.text(), "\\x01\\x00\\xff\\n\n");
    let line = get(&["sensors", "roof/2", "--json"]).succeeded().json();
    assert_eq!(line, json!({"key": "roof/2", "value": "wind"}));
    let line = get(&["odd ones", "fffe", "--hex-key", "--json"]).succeeded().json();
    assert_eq!(line, json!({"key_hex": "fffe", "value_hex": "0500ff0a"}));
    for key in ODD_KEYS.iter().filter(|key| !key.contains(&0)) {
        let mut command = place.command(["store", "get", "state.redb", "odd ones"]);
        let output = command.arg(OsStr::from_bytes(key)).output().expect("it runs");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 4), "{output:?}");
    }

    get(&["sensors", "roof/9"]).failed(1, &["no key roof/9 in bucket \"sensors\""]);
    get(&["empty", "\u{1b}[2J"]).failed(1, &["no key \\x1b[2J in"]);
    get(&["nobody", "roof/1"]).failed(1, &["no bucket \"nobody\"", "store buckets"]);
    get(&["", "roof/1"]).failed(2, &["cannot name a bucket"]);
    get(&["sensors", "0", "--hex-key"]).failed(2, &["'0' is not hex"]);
    get(&["sensors", "roof/1", "--json", "--format", "hex"]).failed(2, &["leave one out"]);
    get(&["sensors"]).failed(2, &["KEY"]);
}

#[test]
fn scan_walks_any_range_both_ways() {
    let place = filled();
    let scan = |more: &[&str]| run(&place, &[&["scan", "state.redb"], more].concat());
    let all = "roof/1\ttemperature\nroof/2\twind\nyard/1\train\n";
    assert_eq!(scan(&["sensors"]).succeeded().text(), all);
    for (more, found) in [
        (&["--prefix", "roof/"][..], &["roof/1", "roof/2"][..]),
        (&["--prefix", "roof/", "--reverse"], &["roof/2", "roof/1"]),
        (&["--from", "roof/2"], &["roof/2", "yard/1"]),
        (&["--to", "roof/2"], &["roof/1"]),
        (&["--from", "roof/1", "--to", "yard/1"], &["roof/1", "roof/2"]),
        (&["--from", "roof/1", "--to", "roof/1"], &[]),
        (&["--reverse", "-n", "1"], &["yard/1"]),
        (&["-n", "0"], &[]),
        (&["--prefix", "nothing"], &[]),
        (&["--prefix", ""], &["roof/1", "roof/2", "yard/1"]),
    ] {
        let lines = scan(&[&["sensors", "--json"], more].concat()).succeeded().json_lines();
        let found_now: Vec<&str> = lines.iter().filter_map(|line| line["key"].as_str()).collect();
        assert_eq!(found_now, found, "{more:?}");
    }
    assert_eq!(scan(&["empty"]).succeeded().text(), "");
    scan(&["nobody"]).failed(1, &["no bucket \"nobody\""]);
    scan(&["sensors", "--from", "b", "--to", "a"]).failed(2, &["swap them"]);
    scan(&["sensors", "--prefix", "b", "--to", "a"]).failed(2, &["--prefix"]);
    scan(&["sensors", "--from", "xy", "--hex-keys"]).failed(2, &["'xy' is not hex"]);
}

#[test]
fn no_two_keys_look_alike_in_a_scan() {
    let place = filled();
    let scan = |more: &[&str]| run(&place, &[&["scan", "state.redb", "odd ones"], more].concat());
    let text = scan(&[]).succeeded();
    let shown = ["", "\\x00", "a\\tb\\n", "back\\\\slash", "gr\\xc3\\xbcn", "\\xff\\xfe"];
    let lines = shown.iter().zip(0..).map(|(key, n)| format!("{key}\t\\x0{n}\\x00\\xff\\n\n"));
    assert_eq!(text.text(), lines.collect::<String>());
    let lines = scan(&["--json"]).succeeded().json_lines();
    assert_eq!(lines[4], json!({"key": "gr\u{fc}n", "value_hex": "0400ff0a"}));
    assert_eq!(lines[5], json!({"key_hex": "fffe", "value_hex": "0500ff0a"}));
    let lines = scan(&["--json", "--hex-keys", "--from", "00", "--to", "6261"]).succeeded();
    let hexes = ODD_KEYS[1..3].iter().map(|key| hex(key));
    let found = lines.json_lines();
    assert!(found.iter().map(|line| line["key_hex"].as_str().expect("hex")).eq(hexes), "{found:?}");
    let one = scan(&["--hex-keys", "--prefix", "ff"]).succeeded();
    assert_eq!(one.text(), "fffe\t\\x05\\x00\\xff\\n\n");
}

#[test]
fn an_export_loses_no_byte() {
    let place = filled();
    let lines = run(&place, &["export", "state.redb"]).succeeded().json_lines();
    let line = |bucket: &str, key: &[u8], value: &[u8]| {
        let (key, value) = (hex(key), hex(value));
        json!({"bucket": bucket, "key": key, "value": value})
    };
    let odd = ODD_KEYS
        .iter()
        .zip(0_u8..)
        .map(|(key, number)| line("odd ones", key, &[number, 0, 255, b'\n']));
    let sensors = [("roof/1", "temperature"), ("roof/2", "wind"), ("yard/1", "rain")];
    let sensors = sensors.map(|(key, value)| line("sensors", key.as_bytes(), value.as_bytes()));
    assert_eq!(lines, odd.chain(sensors).collect::<Vec<_>>());
    let export = |more: &[&str]| run(&place, &[&["export", "state.redb"], more].concat());
    assert_eq!(export(&["--json"]).succeeded().json_lines(), lines);
    let chosen = export(&["sensors", "empty", "odd ones"]).succeeded().json_lines();
    assert_eq!(chosen, [&lines[6..], &lines[..6]].concat());
    let refused = export(&["sensors", "nobody"]).failed(1, &["no bucket \"nobody\""]);
    assert_eq!(refused.text(), "");
}

#[test]
fn what_is_no_store_is_refused_by_every_verb() {
    let place = Place::with_archive(4, 10);
    fs::create_dir(place.path("dir")).expect("a directory");
    place.write("void", "");
    place.write("notes.txt", "These are notes, and no keys.\n".repeat(1000));
    place.write("short.txt", "no");
    for (name, words) in [
        ("gone", "there is no store gone"),
        ("dir", "a directory"),
        ("void", "an empty file"),
        ("notes.txt", "some other file"),
        ("short.txt", "some other file"),
        ("cache.dat", "not a store"),
        ("/dev/null", "a device"),
    ] {
        for args in each_verb(name) {
            let ended = place.run(&args).failed(1, &[name, words]);
            assert_eq!(ended.stderr.lines().count(), 1, "one sentence: {args:?} {ended:?}");
            assert!(ended.stdout.is_empty(), "{args:?} {ended:?}");
        }
    }
    assert!(!place.path("gone").exists() && !place.path("made.redb").exists());
    let mut newer = filled().read("state.redb");
    newer[64] = 9;
    newer[192] = 9;
    place.write("newer.redb", newer);
    for args in each_verb("newer.redb") {
        place.run(&args).failed(1, &["newer.redb has version 9"]);
    }
    run(&place, &[]).failed(2, &["say what to do"]);
    run(&place, &["put", "state.redb"]).failed(2, &["put"]);
}

#[test]
fn a_table_of_another_program_is_told_and_passed_over() {
    let place = filled();
    let database = redb::Database::open(place.path("state.redb")).expect("its own format");
    let tx = database.begin_write().expect("nobody else writes");
    let theirs = redb::TableDefinition::<u64, u64>::new("numbers");
    tx.open_table(theirs).expect("a table").insert(1, 2).expect("room");
    tx.commit().expect("a good disk");
    drop(database);
    let words = ["\"numbers\" is no bucket of bytes"];
    let export = run(&place, &["export", "state.redb"]).failed(1, &words);
    assert_eq!(export.text().lines().count(), 9);
    let shown = run(&place, &["buckets", "state.redb", "--json"]).failed(1, &words).json_lines();
    assert_eq!(shown[1], json!({"bucket": "numbers", "keys": null}));
    assert_eq!(shown[3], json!({"bucket": "sensors", "keys": 3}));
    run(&place, &["buckets", "state.redb"]).succeeded();
    run(&place, &["scan", "state.redb", "numbers"]).failed(1, &words);
}

#[test]
fn a_store_that_is_open_is_refused_with_the_process_that_has_it() {
    let place = filled();
    let store = open(&place);
    let holder = format!("process {}", std::process::id());
    for args in each_verb("state.redb") {
        let ended = place.run(&args).failed(3, &["state.redb is locked", &holder]);
        assert_eq!(ended.stderr.lines().count(), 1, "one sentence: {args:?} {ended:?}");
        assert!(ended.stdout.is_empty(), "{args:?} {ended:?}");
    }
    drop(store);
    run(&place, &["buckets", "state.redb"]).succeeded();
}

#[test]
fn no_verb_but_compact_changes_a_byte() {
    for place in [filled(), crashed()] {
        let before = place.read("state.redb");
        for args in each_verb("state.redb").iter().filter(|args| args[1] != "compact") {
            for json in [&[][..], &["--json"]] {
                let _ = fs::remove_file(place.path("made.redb"));
                let ended = place.run(args.iter().chain(json)).succeeded();
                assert!(!ended.stdout.is_empty(), "{args:?}");
                assert!(place.read("state.redb") == before, "{args:?} wrote");
            }
        }
        let report = run(&place, &["verify", "state.redb", "--json"]).succeeded().json();
        assert_eq!((&report["buckets"], &report["keys"]), (&json!(3), &json!(9)));
        assert_eq!(report["repaired"], false);
        let text = run(&place, &["verify", "state.redb"]).succeeded();
        assert!(text.text().ends_with("free_pages    right\n"), "{text:?}");
    }
}

#[test]
fn a_backup_holds_the_same_and_takes_the_place_of_nothing() {
    for place in [filled(), crashed()] {
        let lines = run(&place, &["export", "state.redb"]).succeeded().stdout;
        place.write("made.redb.ringkeep-new", "left by one that was killed");
        let made = run(&place, &["backup", "state.redb", "made.redb", "--json"]).succeeded().json();
        let length = fs::metadata(place.path("made.redb")).expect("a file").len();
        assert_eq!(made, json!({"path": "made.redb", "file_bytes": length}));
        assert!(!place.path("made.redb.ringkeep-new").exists());
        assert_eq!(run(&place, &["export", "made.redb"]).succeeded().stdout, lines);
        run(&place, &["verify", "made.redb"]).succeeded();

        place.write("precious", "not a store");
        run(&place, &["backup", "state.redb", "precious"]).failed(2, &["precious", "exists"]);
        assert_eq!(place.read("precious"), b"not a store");
        run(&place, &["backup", "state.redb", "state.redb"]).failed(2, &["state.redb"]);
        run(&place, &["backup", "state.redb", "gone/made.redb"]).failed(3, &["gone"]);
        let text = run(&place, &["backup", "state.redb", "other.redb"]).succeeded();
        assert!(text.text().starts_with("other.redb is a store of "), "{text:?}");
    }
}

#[test]
fn compact_makes_a_file_with_free_pages_smaller_and_takes_no_key() {
    let place = filled();
    let store = open(&place);
    let put = store.write(|tx| {
        let mut bucket = tx.bucket("many")?;
        (0..20_000_u32).try_for_each(|key| bucket.put(key.to_be_bytes(), [7; 200]))
    });
    put.and_then(|()| store.write(|tx| tx.drop_bucket("many"))).expect("there is room");
    drop(store);
    let lines = run(&place, &["export", "state.redb"]).succeeded().stdout;
    let before = fs::metadata(place.path("state.redb")).expect("a file").len();
    let done = run(&place, &["compact", "state.redb", "--json"]).succeeded().json();
    let after = fs::metadata(place.path("state.redb")).expect("a file").len();
    assert_eq!(done["before_bytes"], before);
    assert!(done["after_bytes"].as_u64() < Some(before / 2) && after < before / 2, "{done}");
    assert_eq!(run(&place, &["export", "state.redb"]).succeeded().stdout, lines);
    let text = run(&place, &["compact", "state.redb"]).succeeded();
    assert!(text.text().starts_with("before  "), "{text:?}");
}

/// A store of some megabytes with as much room left over.
fn large() -> Place {
    let place = Place::new();
    let store = open(&place);
    let put = |name: &str| {
        store.write(|tx| {
            let mut bucket = tx.bucket(name)?;
            (0..20_000_u32).try_for_each(|key| bucket.put(key.to_be_bytes(), [7; 500]))
        })
    };
    put("old").and_then(|()| put("kept")).expect("there is room");
    store.write(|tx| tx.drop_bucket("old")).expect("a good disk");
    drop(store);
    place
}

/// Runs a verb and sends it a signal after so long: before it has begun, at work, or too late,
/// as the machine has it.
fn interrupt(place: &Place, args: &[&str], after: Duration) {
    let running = Running::start(place.command(["store"].iter().chain(args)));
    thread::park_timeout(after);
    running.signal(Signal::INT);
    assert!(matches!(running.ended().code, -1 | 0), "{args:?}");
}

fn is_whole(place: &Place, name: &str) {
    let report = run(place, &["verify", name, "--json"]).succeeded().json();
    assert_eq!((&report["buckets"], &report["keys"]), (&json!(1), &json!(20_000)));
}

#[test]
fn a_signal_in_the_middle_takes_no_key() {
    let place = large();
    let before = place.read("state.redb");
    for after in [1, 5, 10, 20, 40, 80].map(Duration::from_millis) {
        interrupt(&place, &["backup", "state.redb", "made.redb"], after);
        assert!(place.read("state.redb") == before, "a backup wrote");
        // What is left of one is no file, and is taken over by the next.
        if !place.path("made.redb").exists() {
            run(&place, &["backup", "state.redb", "made.redb"]).succeeded();
        }
        is_whole(&place, "made.redb");
        fs::remove_file(place.path("made.redb")).expect("it is there");

        place.write("state.redb", &before);
        interrupt(&place, &["compact", "state.redb"], after);
        is_whole(&place, "state.redb");
        run(&place, &["compact", "state.redb"]).succeeded();
        is_whole(&place, "state.redb");
        place.write("state.redb", &before);
    }
}

#[test]
fn a_store_that_was_cut_short_is_damage_and_no_panic() {
    let place = large();
    let length = fs::metadata(place.path("state.redb")).expect("a file").len();
    for cut in [length / 2, length / 3, length - 1, length - 4096, 4096, 1000, 321, 320] {
        let bytes = place.read("state.redb");
        place.write("cut.redb", &bytes[..usize::try_from(cut).expect("a small file")]);
        for args in each_verb("cut.redb") {
            let ended = place.run(&args);
            assert_eq!(ended.code, 1, "{cut} {args:?} {ended:?}");
            assert_eq!(ended.stderr.lines().count(), 1, "{cut} {args:?} {ended:?}");
            assert!(ended.stderr.starts_with("ringkeep: "), "{cut} {args:?} {ended:?}");
        }
    }
}

#[test]
fn a_flipped_byte_is_told_in_one_sentence_or_in_nobodys_way() {
    let place = crashed();
    let whole = place.read("state.redb");
    let pages = (0..whole.len()).step_by(4096);
    let places = pages.flat_map(|page| (0..64).step_by(7).map(move |at| page + at));
    let mut refused = 0;
    for offset in places.filter(|&offset| whole[offset] != 0) {
        let mut bytes = whole.clone();
        bytes[offset] ^= 0xff;
        place.write("state.redb", bytes);
        for verb in ["export", "verify"] {
            let ended = run(&place, &[verb, "state.redb"]);
            assert!(matches!(ended.code, 0 | 1), "{offset} {verb} {ended:?}");
            assert!(ended.stderr.lines().count() <= 1, "{offset} {verb} {ended:?}");
            refused += ended.code;
        }
    }
    assert!(refused > 0);
}

#[test]
fn a_compaction_refuses_damage_and_leaves_it_as_it_is() {
    let place = large();
    let mut bytes = place.read("state.redb");
    // In the middle of a value.
    let value = bytes.windows(300).rposition(|bytes| bytes == [7; 300]).expect("a value");
    bytes[value] = 8;
    place.write("state.redb", &bytes);
    run(&place, &["compact", "state.redb"]).failed(1, &["state.redb is damaged"]);
    run(&place, &["verify", "state.redb"]).failed(1, &["state.redb is damaged"]);
    assert!(place.read("state.redb") == bytes, "it was written");
}

#[test]
fn no_verb_of_a_store_minds_a_pipe_that_is_closed_already() {
    let place = large();
    fill(&open(&place));
    for args in each_verb("state.redb") {
        for json in [&[][..], &["--json"]] {
            let _ = fs::remove_file(place.path("made.redb"));
            let (reader, writer) = pipe().expect("a pipe");
            drop(reader);
            let mut command = place.command(args.iter().chain(json));
            let output = command.stdout(writer).output().expect("it runs");
            assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
        }
    }
    let mut export = Running::start(place.command(["store", "export", "state.redb"]));
    let mut line = String::new();
    BufReader::new(export.output()).read_line(&mut line).expect("a line");
    assert!(line.ends_with("\"}\n"), "{line}");
    let ended = export.ended();
    assert_eq!((ended.code, ended.stderr.len()), (0, 0), "{ended:?}");
}
