//! Rows that come in: CSV and NDJSON by the schema, whole or not at all.

use std::io::Write as _;
use std::process::Stdio;

use rustix::process::Signal;

use crate::place::{Ended, Place, Running, id, wait_for};

const SCHEMA: &str = "t:time_s, temp:f32[C], rpm:u16, tag:str4";
const HEADER: &str = "t,temp,rpm,tag\n";

fn logbook() -> Place {
    let place = Place::new();
    place.run(["create", "log.dat", "--schema", SCHEMA, "--capacity", "100"]).succeeded();
    place
}

fn append(place: &Place, more: &[&str], input: &str) -> Ended {
    let args = ["append", "log.dat"].iter().chain(more);
    place.feed(args, input.as_bytes())
}

fn next(place: &Place) -> u64 {
    id(&place.stat("log.dat")["next"])
}

fn rows(place: &Place) -> String {
    let fields = ["cat", "log.dat", "--fields", "t,temp,rpm,tag"];
    place.run(fields).succeeded().text().replacen(HEADER, "", 1)
}

#[test]
fn csv_is_read_as_people_and_programs_write_it() {
    let place = logbook();
    for (input, expected) in [
        // Any order of columns, CRLF, a byte-order mark, no line feed at the end.
        ("\u{feff}tag,rpm,t,temp\r\nab,7,5,1.5\r\ncd,8,6,2.5", "5,1.5,7,ab\n6,2.5,8,cd\n"),
        // Quotes, with a comma, quotes and a line break inside.
        (
            "\"t\",temp,rpm,tag\n1,2,3,\"a,\"\"b\"\n2,3,4,\"x\ny\"\n",
            "1,2.0,3,\"a,\"\"b\"\n2,3.0,4,\"x\ny\"\n",
        ),
        // Empty lines between rows, and a column of ids.
        ("id,t,temp,rpm,tag\n\n900,1,2,3,\n\n\n901,2,,4,abcd\n", "1,2.0,3,\n2,,4,abcd\n"),
        // Spaces around numbers.
        ("t, temp,rpm ,tag\n 1 , 2 ,3, x\n", "1,2.0,3, x\n"),
        // Nothing at all, and nothing but a header.
        ("", ""),
        (HEADER, ""),
    ] {
        let before = rows(&place);
        append(&place, &[], input).succeeded();
        let expected: String = expected
            .split_inclusive('\n')
            .map(|line| match line.split_once(',') {
                Some((second, rest)) if second.parse::<u8>().is_ok() => {
                    format!("1970-01-01T00:00:0{second}Z,{rest}")
                }
                _ => line.to_owned(),
            })
            .collect();
        assert_eq!(rows(&place), before + &expected, "{input:?}");
    }
}

#[test]
fn a_wrong_row_is_told_with_its_line_and_column_and_ends_it() {
    for (row, words) in [
        ("1,2,3", &["line 3 has 3 columns", "header has 4"][..]),
        ("1,2,3,x,y", &["line 3 has 5 columns"]),
        ("1,warm,3,x", &["line 3, column 2 (temp): 'warm' is no f32"]),
        ("1,2,65536,x", &["line 3, column 3 (rpm): 65536 is out of range", "0 to 65535"]),
        ("1,2,-1,x", &["line 3, column 3 (rpm): -1 is out of range"]),
        ("1,2,3.5,x", &["line 3, column 3 (rpm): '3.5' is no u16"]),
        ("1,2,,x", &["line 3, column 3 (rpm): is empty"]),
        ("1,1e39,3,x", &["line 3, column 2 (temp): '1e39' is out of range of f32"]),
        ("1,2,3,abcde", &["line 3, column 4 (tag): 5 bytes do not fit into str4"]),
        ("2026-02-30,2,3,x", &["line 3, column 1 (t): '2026-02-30' is no time"]),
        ("soon,2,3,x", &["line 3, column 1 (t): 'soon' is no time"]),
        ("1970-01-01T00:00:00.5Z,2,3,x", &["line 3, column 1 (t)", "more digits"]),
        ("99999999999999999999,2,3,x", &["line 3, column 1 (t)", "out of range"]),
    ] {
        let place = logbook();
        let input = format!("{HEADER}1,2,3,good\n{row}\n4,5,6,late\n");
        let ended = append(&place, &[], &input).failed(2, words);
        assert!(ended.stderr.contains("appended 1 record, id 0"), "{ended:?}");
        assert!(ended.stderr.contains("--skip-bad"), "{ended:?}");
        assert_eq!(rows(&place), "1970-01-01T00:00:01Z,2.0,3,good\n", "{row}");
    }
    let place = logbook();
    let input = [HEADER.as_bytes(), b"1,2,3,\xFF\xFE\n"].concat();
    place.feed(["append", "log.dat"], &input).failed(2, &["line 2, column 4 (tag): is not UTF-8"]);
    assert_eq!(next(&place), 0);
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    let place = logbook();
    let input = format!("{HEADER}\n1,2,3,\"a\n\nb\"\r\n\r\n4,5,6,x\n7,8,nine,z\n");
    append(&place, &[], &input).failed(2, &["line 8, column 3 (rpm)"]);
    assert_eq!(next(&place), 2);
}

#[test]
fn a_file_that_ends_inside_a_quoted_cell_is_not_taken_for_whole() {
    let place = logbook();
    append(&place, &[], &format!("{HEADER}1,2,3,x\n4,5,6,\"on")).failed(2, &["line 3", "no end"]);
    assert_eq!(next(&place), 1);
}

#[test]
fn a_header_that_does_not_fit_appends_nothing() {
    let place = logbook();
    for (header, words) in [
        ("t,temp,rpm", &["line 1: there is no column 'tag'", "t, temp, rpm, tag"][..]),
        ("t,temp,rpm,tag,more", &["line 1, column 5: there is no field 'more'"]),
        ("t,temp,rpm,tag,t", &["line 1, column 5: 't' is there twice"]),
        ("1,2,3,x", &["line 1, column 1: there is no field '1'"]),
    ] {
        let input = format!("{header}\n1,2,3,x\n");
        append(&place, &[], &input).failed(2, words);
        append(&place, &["--skip-bad"], &input).failed(2, words);
    }
    assert_eq!(next(&place), 0);
}

#[test]
fn rows_that_are_passed_over_are_counted_and_fail_the_command() {
    let place = logbook();
    let input = format!("{HEADER}1,2,3,a\nx,2,3,b\n2,3,4,c\n1,2,3\n3,4,5,d\n");
    let ended = append(&place, &["--skip-bad", "--json"], &input).failed(
        1,
        &[
            "appended 3 records, ids 0..3",
            "passed over 2 wrong rows, the first: line 3, column 1 (t): 'x' is no time",
        ],
    );
    assert_eq!(ended.json()["skipped"], 2);
    assert_eq!(rows(&place).lines().count(), 3);
    let json = "{\"t\":1}\n{\"t\":1,\"temp\":2,\"rpm\":3,\"tag\":\"x\"}\nno\n";
    let ended = append(&place, &["--skip-bad", "--format", "ndjson"], json);
    ended.failed(1, &["appended 1 record", "passed over 2 wrong rows"]);
    // Good rows alone are fine.
    append(&place, &["--skip-bad"], &format!("{HEADER}1,2,3,a\n")).succeeded();
}

#[test]
fn a_wrong_line_of_ndjson_is_told_with_its_place() {
    for (line, words) in [
        (r#"{"t":1,"temp":2,"rpm":3"#, &["line 2, column 23"][..]),
        ("7", &["line 2", "an object"]),
        (r#"{"t":1,"temp":2,"rpm":3}"#, &["line 2, there is no 'tag'"]),
        (r#"{"t":1,"t":2,"temp":2,"rpm":3,"tag":""}"#, &["line 2, 't' is there twice"]),
        (r#"{"t":1,"temp":2,"rpm":3,"tag":"","x":1}"#, &["line 2, there is no field 'x'"]),
        (r#"{"t":1,"temp":"warm","rpm":3,"tag":""}"#, &["line 2, key temp: 'warm' is no f32"]),
        (r#"{"t":1,"temp":2,"rpm":null,"tag":""}"#, &["key rpm: is null"]),
        (r#"{"t":1,"temp":2,"rpm":[3],"tag":""}"#, &["key rpm: u16 takes a single value"]),
        (r#"{"t":1,"temp":2,"rpm":3,"tag":4}"#, &["key tag: str4 takes a string"]),
        (r#"{"t":1,"temp":2,"rpm":1e9,"tag":""}"#, &["key rpm: '1e9' is no u16"]),
    ] {
        let place = logbook();
        let good = r#"{"id":"77","rpm":3,"t":"1970-01-01T00:00:01Z","temp":null,"tag":"ok"}"#;
        let input = format!("{good}\n{line}\n");
        append(&place, &["--format", "ndjson"], &input).failed(2, words);
        assert_eq!(rows(&place), "1970-01-01T00:00:01Z,,3,ok\n", "{line}");
    }
}

#[test]
fn a_row_without_an_end_takes_bounded_memory() {
    let place = logbook();
    let quoted = format!("{HEADER}1,2,3,\"{}", "x".repeat(3 << 20));
    append(&place, &[], &quoted).failed(2, &["line 2 is longer than"]);
    let commas = format!("{HEADER}{}", ",".repeat(5 << 20));
    append(&place, &[], &commas).failed(2, &["line 2 is longer than"]);
    let object = format!("{{\"t\":\"{}", "x".repeat(3 << 20));
    append(&place, &["--format", "ndjson"], &object).failed(2, &["line 1 is longer than"]);
    append(&place, &["--format", "lines"], &object).failed(2, &["line 1 is longer than"]);
    assert_eq!(next(&place), 0);
}

#[test]
fn rows_are_appended_as_they_arrive() {
    let place = logbook();
    for (format, head, row, rest) in [
        ("csv", HEADER, "1,2,3,a\n4,", "5,6,b"),
        (
            "ndjson",
            "",
            "{\"t\":1,\"temp\":2,\"rpm\":3,\"tag\":\"\"}\n{\"t\":",
            "1,\"temp\":2,\"rpm\":3,\"tag\":\"\"}",
        ),
        ("lines", "", "one\ntw", "o"),
    ] {
        let begun = next(&place);
        let mut command = place.command(["append", "log.dat", "--format", format]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(format!("{head}{row}").as_bytes()).expect("it reads");
        wait_for("the first row", || (next(&place) == begun + 1).then_some(()));
        input.write_all(rest.as_bytes()).expect("it reads");
        drop(input);
        assert!(child.wait_with_output().expect("it ends").status.success());
        assert_eq!(next(&place), begun + 2);
    }
}

#[test]
fn a_schema_that_makes_no_record_makes_no_archive() {
    let place = Place::new();
    for (schema, words) in [
        ("t:time_ns, temp:f31", &["column 17", "'f31' is no type"][..]),
        ("a:u8, a:u8", &["column 7", "there is a 'a' already"]),
        ("a:u64*99999999999", &["column 7", "1 to 16777216"]),
        ("a:u64*16777216", &["column 1"]),
        ("id:u8", &["column 1", "'id' cannot name a field"]),
        ("", &["column 1"]),
        (&format!("a:u8[{}]", "x".repeat(2048)), &["2048"]),
    ] {
        let args = ["create", "log.dat", "--schema", schema, "--capacity", "10"];
        let ended = place.run(args).failed(2, words);
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    let both = ["create", "log.dat", "--schema", "a:u8", "--record-size", "2", "--capacity", "1"];
    place.run(both).failed(2, &["1 bytes", "2", "padding"]);
    for keep in ["7d", "7d@", "@1s", "7d@0s", "x@1s"] {
        place.run(["create", "log.dat", "--schema", "a:u8", "--keep", keep]).failed(2, &["keep"]);
    }
    place.run(["create", "log.dat", "--schema", "a:u8"]).failed(2, &["--capacity"]);
    place.run(["create", "log.dat", "--capacity", "5"]).failed(2, &["--schema"]);
    place.run(["create", "log.dat", "--schema", "a:u8", "--disk", "1K"]).failed(2, &["no record"]);
    assert!(!place.path("log.dat").exists());
}

#[test]
fn an_archive_is_made_for_a_length_of_time_or_a_size_of_disk() {
    let place = Place::new();
    let schema = ["--schema", "t:time_ms, x:f64"];
    let made = |name: &str, how: [&str; 2]| {
        let args = ["create", name].into_iter().chain(schema).chain(how).chain(["--json"]);
        place.run(args).succeeded().json()
    };
    let week = made("week.dat", ["--keep", "7d@10s"]);
    assert_eq!((&week["capacity"], &week["record_size"]), (&60_480.into(), &16.into()));
    assert_eq!(week["schema"], "t:time_ms, x:f64");
    let disk = made("disk.dat", ["--disk", "1M"]);
    let bytes = disk["bytes_on_disk"].as_u64().expect("a size");
    assert!(((1 << 20) - 8192..=1 << 20).contains(&bytes), "{disk}");
}

#[test]
fn an_interrupted_append_leaves_whole_records() {
    let place = logbook();
    let mut command = place.command(["append", "log.dat"]);
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    let mut input = running.input();
    input.write_all(format!("{HEADER}1,2,3,a\n2,3").as_bytes()).expect("it reads");
    wait_for("the first row", || (next(&place) == 1).then_some(()));
    // Not SIGINT, which whoever runs the tests in the background has had ignored.
    running.signal(Signal::TERM);
    running.ended();
    assert_eq!(rows(&place), "1970-01-01T00:00:01Z,2.0,3,a\n");
    append(&place, &[], &format!("{HEADER}2,3,4,b\n")).succeeded();
    assert_eq!(next(&place), 2);
}
