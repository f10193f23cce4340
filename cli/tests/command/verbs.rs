//! Every verb on archives at rest: what it does, prints and counts.

use std::io::{BufReader, Read, pipe};
use std::process::Stdio;

use ringkeep::Producer;

use crate::place::{Place, id};

/// `count` records of 4 bytes, each its own number.
fn numbered(count: u32) -> Vec<u8> {
    (0..count).flat_map(u32::to_be_bytes).collect()
}

#[test]
fn create_tells_the_geometry_and_takes_the_disk_at_once() {
    let place = Place::new();
    let made = place
        .run(["create", "a.dat", "--record-size", "124", "--capacity", "10000", "--shards", "3"])
        .succeeded();
    assert!(made.text().contains("last 10000 records of 124 bytes, in 3 files"), "{made:?}");
    let stat = place.stat("a.dat");
    assert_eq!((&stat["shards"], &stat["capacity"]), (&3.into(), &10_000.into()));
    assert!(stat["bytes_on_disk"].as_u64() >= Some(10_000 * 128), "{stat}");
    assert!(place.path("a.dat.2").exists());

    let size = ["create", "b.dat", "--record-size", "1KiB", "--capacity", "8", "--shard-bytes"];
    let made = place.run(size.iter().chain(&["64K", "--json"])).succeeded().json();
    assert_eq!((&made["record_size"], &made["capacity"]), (&1024.into(), &8.into()));
}

#[test]
fn raw_records_come_back_as_they_were_appended() {
    let place = Place::with_archive(4, 100);
    place.write("input.bin", numbered(50));
    let appended = place
        .run(["append", "cache.dat", "input.bin", "--format", "raw", "--sync", "8"])
        .succeeded();
    assert!(appended.stderr.contains("appended 50 records, ids 0..50"), "{appended:?}");
    let from_stdin = place.feed(["append", "cache.dat", "-", "--json"], b"last").succeeded();
    let told = from_stdin.json();
    assert_eq!(
        (&told["from"], &told["to"], &told["count"]),
        (&"50".into(), &"51".into(), &1.into())
    );

    let raw = place.run(["cat", "cache.dat", "--format", "raw"]).succeeded();
    assert_eq!(raw.stdout, [numbered(50), b"last".to_vec()].concat());
    let one = place.run(["get", "cache.dat", "7", "--format", "raw"]).succeeded();
    assert_eq!(one.stdout, 7_u32.to_be_bytes());
    let two = place.run(["get", "cache.dat", "50", "7"]).succeeded();
    assert_eq!(two.text(), "50 6c617374\n7 00000007\n");
}

#[test]
fn raw_input_larger_than_a_chunk_keeps_its_records_whole() {
    let place = Place::with_archive(4, 300_000);
    place.append(&numbered(200_001));
    let raw = place.run(["cat", "cache.dat", "--format", "raw"]).succeeded();
    assert!(raw.stdout == numbered(200_001));
}

#[test]
fn records_larger_than_a_chunk_are_appended_too() {
    let place = Place::with_archive(1 << 20, 2);
    let records: Vec<u8> =
        (0..3 << 20).map(|at: u32| at.to_le_bytes()[1] ^ at.to_le_bytes()[2]).collect();
    place.append(&records);
    let raw = place.run(["cat", "cache.dat", "--format", "raw"]).succeeded();
    assert!(raw.stdout == records[1 << 20..]);
}

#[test]
fn raw_input_that_ends_inside_a_record_is_refused_from_there_on() {
    let place = Place::with_archive(4, 100);
    let ended = place
        .feed(["append", "cache.dat", "--format", "raw"], b"aaaabbbbcc")
        .failed(2, &["2 bytes", "of 4"]);
    assert!(ended.stderr.contains("appended 2 records, ids 0..2"), "{ended:?}");
    assert_eq!(place.stat("cache.dat")["next"], "2");
}

#[test]
fn lines_are_padded_with_zeros_and_the_last_needs_no_end() {
    let place = Place::with_archive(4, 100);
    place.feed(["append", "cache.dat", "--format", "lines"], b"abcd\n\nx\nyz").succeeded();
    let raw = place.run(["cat", "cache.dat", "--format", "raw"]).succeeded();
    assert_eq!(raw.stdout, b"abcd\0\0\0\0x\0\0\0yz\0\0");
}

#[test]
fn a_line_that_is_too_long_is_refused_with_its_number() {
    let place = Place::with_archive(4, 100);
    for (input, records) in [(&b"one\ntwo\nthree\nfour\n"[..], 2), (b"fives", 0)] {
        let number = format!("line {}", records + 1);
        let ended = place.feed(["append", "cache.dat", "--format", "lines"], input);
        let ended = ended.failed(2, &[&number, "4 bytes"]);
        let counted = format!("appended {}", if records == 0 { "no" } else { "2" });
        assert!(ended.stderr.contains(&counted), "{ended:?}");
    }
    assert_eq!(place.stat("cache.dat")["next"], "2");
}

#[test]
fn appending_nothing_is_fine_and_said() {
    let place = Place::with_archive(4, 100);
    let ended = place.feed(["append", "cache.dat"], b"").succeeded();
    assert!(ended.stderr.contains("appended no records"), "{ended:?}");
}

#[test]
fn get_tries_every_id_and_tells_each_miss_with_its_reason() {
    let place = Place::with_archive(4, 10);
    place.append(&numbered(20));
    let ended =
        place.run(["get", "cache.dat", "0", "15", "99", "16"]).failed(1, &["id 0", "id 99"]);
    assert_eq!(ended.text(), "15 0000000f\n16 00000010\n");
    assert_eq!(ended.stderr.lines().count(), 2, "{ended:?}");
    let past = u64::MAX.to_string();
    let ended = place.run(["get", "cache.dat", &past, "16"]);
    assert!(ended.code != 0 && ended.text() == "16 00000010\n", "{ended:?}");
}

#[test]
fn cat_prints_the_range_it_was_asked_for() {
    let place = Place::with_archive(4, 10);
    place.append(&numbered(20));
    for (args, ids) in [
        (&[][..], 10..20),
        (&["--last", "3"], 17..20),
        (&["--last", "999"], 10..20),
        (&["--last", "0"], 20..20),
        (&["--from", "12", "--to", "14"], 12..14),
        (&["--to", "12"], 10..12),
        (&["--from", "18"], 18..20),
        (&["--from", "20"], 20..20),
        (&["--from", "18", "--to", "99"], 18..20),
    ] {
        let ended = place.run(["cat", "cache.dat"].iter().chain(args)).succeeded();
        let lines: Vec<String> = ids.map(|id| format!("{id} {id:08x}")).collect();
        assert_eq!(ended.text().lines().collect::<Vec<_>>(), lines, "{args:?}");
    }
}

#[test]
fn cat_tells_what_was_asked_for_and_is_lapped() {
    let place = Place::with_archive(4, 10);
    place.append(&numbered(20));
    let ended =
        place.run(["cat", "cache.dat", "--from", "7", "--to", "12"]).failed(1, &["3 records"]);
    assert_eq!(ended.text(), "10 0000000a\n11 0000000b\n");
    place.run(["cat", "cache.dat", "--from", "5", "--to", "4"]).failed(2, &["swap"]);
}

#[test]
fn ids_near_two_to_the_sixty_keep_every_digit() {
    let place = Place::with_archive(4, 10);
    let first = (1 << 60) + 1;
    let mut producer = Producer::open(place.path("cache.dat")).expect("an archive");
    producer.append_at(first, b"some").expect("a jump");
    producer.append(b"more").expect("the next");
    producer.close().expect("a good disk");
    let lines = place.run(["cat", "cache.dat", "--json"]).succeeded().json_lines();
    assert_eq!(lines.iter().map(|line| id(&line["id"])).collect::<Vec<_>>(), [first, first + 1]);
    assert_eq!(lines[0]["payload"], "736f6d65");
    assert_eq!(id(&place.stat("cache.dat")["next"]), first + 2);
}

#[test]
fn absent_ids_are_no_records_and_no_damage() {
    let place = Place::with_archive(4, 10);
    let mut producer = Producer::open(place.path("cache.dat")).expect("an archive");
    producer.append_batch(b"zeroone.two.").expect("room");
    producer.delete(1).expect("a record");
    producer.append_at(5, b"five").expect("a gap");
    producer.close().expect("a good disk");
    let cat = place.run(["cat", "cache.dat", "--format", "raw"]).succeeded();
    assert_eq!(cat.stdout, b"zerotwo.five");
    assert!(cat.stderr.contains("3 ids hold no record"), "{cat:?}");
    place.run(["get", "cache.dat", "1"]).failed(1, &["id 1"]);
    let report = place.run(["verify", "cache.dat", "--json"]).succeeded().json();
    assert_eq!((&report["good"], &report["absent"]), (&3.into(), &3.into()));
}

#[test]
fn stat_tells_where_the_archive_stands() {
    let place = Place::with_archive(4, 10);
    place.append(&numbered(20));
    let stat = place.stat("cache.dat");
    for (key, value) in [
        ("record_size", 4.into()),
        ("capacity", 10.into()),
        ("shards", 1.into()),
        ("oldest", "10".into()),
        ("next", "20".into()),
        ("durable", "20".into()),
        ("at_risk", 0.into()),
        ("writer", "none".into()),
        ("schema", serde_json::Value::Null),
        ("kept_seconds", serde_json::Value::Null),
    ] {
        assert_eq!(stat[key], value, "{key} in {stat}");
    }
    assert!(
        stat["slots"].as_u64() > Some(10) && stat["bytes_on_disk"].as_u64() > Some(0),
        "{stat}"
    );
    let epoch = stat["epoch"].as_u64();
    place.append(b"more");
    assert!(place.stat("cache.dat")["epoch"].as_u64() > epoch);
    let text = place.run(["stat", "cache.dat"]).succeeded();
    assert!(text.text().contains("next          21\n"), "{text:?}");
}

#[test]
fn a_damaged_record_is_told_with_its_id_file_and_byte_and_the_others_read() {
    let place = Place::with_archive(16, 100);
    let records: Vec<[u8; 16]> = (0..50_u8).map(|number| [number + 65; 16]).collect();
    place.append(&records.concat());
    let mut bytes = place.read("cache.dat");
    let offset = bytes.windows(16).position(|window| window == records[17]).expect("a record");
    bytes[offset + 3] ^= 1;
    place.write("cache.dat", bytes);

    let verified = place.run(["verify", "cache.dat"]);
    let told = format!("record 17 is damaged: cache.dat byte {offset}\n");
    assert_eq!(verified.code, 1, "{verified:?}");
    assert!(verified.text().starts_with(&told), "{verified:?}");
    assert!(verified.text().contains("good     49\n"), "{verified:?}");
    let report = place.run(["verify", "cache.dat", "--json"]);
    let (code, report) = (report.code, report.json());
    assert_eq!((code, &report["corrupt"], &report["good"]), (1, &1.into(), &49.into()));
    let damaged = serde_json::json!([{"id": "17", "file": "cache.dat", "offset": offset}]);
    assert_eq!(report["damaged"], damaged);

    let cat = place.run(["cat", "cache.dat"]).failed(1, &["id 17", "1 records are corrupt"]);
    assert_eq!(cat.text().lines().count(), 49);
    let get = place.run(["get", "cache.dat", "16", "17", "18"]).failed(1, &["id 17"]);
    assert_eq!(get.text().lines().count(), 2);
}

#[test]
fn verify_of_a_sound_archive_is_fine() {
    let place = Place::with_archive(4, 10);
    place.append(&numbered(20));
    let ended = place.run(["verify", "cache.dat"]).succeeded();
    assert!(ended.text().starts_with("good     10\n"), "{ended:?}");
    assert_eq!(ended.stderr, "", "no progress off a terminal");
    let report = place.run(["--json", "verify", "cache.dat"]).succeeded().json();
    assert_eq!((&report["good"], &report["damaged"]), (&10.into(), &serde_json::json!([])));
}

#[test]
fn reading_verbs_change_nothing_on_disk() {
    let place = Place::with_archive(4, 10);
    place.append(&numbered(20));
    let before = place.read("cache.dat");
    for args in [&["stat", "cache.dat"][..], &["verify", "cache.dat"], &["cat", "cache.dat"]] {
        place.run(args).succeeded();
    }
    assert!(place.read("cache.dat") == before);
}

#[test]
fn a_reader_that_closes_the_pipe_ends_the_command_quietly() {
    let place = Place::with_archive(4, 100_000);
    place.append(&numbered(100_000));
    for format in [&["--format", "hex"][..], &["--format", "raw"], &["--json"]] {
        let mut command = place.command(["cat", "cache.dat"].iter().chain(format));
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut first = [0; 8];
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        lines.read_exact(&mut first).expect("a record");
        drop(lines);
        let mut said = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
        assert_eq!((child.wait().expect("a child").code(), said.as_str()), (Some(0), ""));
    }
}

#[test]
fn no_verb_minds_a_pipe_that_is_closed_already() {
    let place = Place::with_archive(4, 100);
    place.append(&numbered(10));
    for args in [
        &["cat", "cache.dat"][..],
        &["get", "cache.dat", "1"],
        &["stat", "cache.dat"],
        &["stat", "cache.dat", "--json"],
        &["verify", "cache.dat"],
        &["verify", "cache.dat", "--json"],
        &["create", "new.dat", "--record-size", "4", "--capacity", "4"],
        &["append", "cache.dat", "--json"],
        &["record", "rec.dat", "--for", "20ms", "--every", "10ms", "--disk", "64K"],
        &["--help"],
    ] {
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        let output = place.command(args).stdout(writer).output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{args:?} {output:?}");
    }
}
