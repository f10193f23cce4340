//! Records as columns: out in every form, and in again.

use ringkeep::{Producer, RingOptions};

use crate::place::Place;

/// Every kind of value, arrays, labels and padding.
const SCHEMA: &str = "t:time_us, a:i8, b:i64, c:u64, d:f32[C], e:f64*2, f:bool, g:str6, h:bytes3, \
                      i:enum8{idle,run}, j:enum16, k:bits8{x,y}, l:bits32, m:time_s*2, n:str3*2, \
                      _:pad3";

const CSV: &str = "\
id,t,a,b,c,d,e.0,e.1,f,g,h,i,j,k,l,m.0,m.1,n.0,n.1
0,2026-02-03T04:05:06.000007Z,-128,-9223372036854775808,18446744073709551615,21.5,0.1,-0.0,true,\
\"a,\"\"b\",00ff10,run,65535,x|y|128,7,1970-01-01T00:00:00Z,9999-12-31T23:59:59Z,\"x\ny\",
1,1969-12-31T23:59:59.999999Z,127,9223372036854775807,0,,inf,-inf,false,,000000,7,0,0,0,\
9223372036854775807,-9223372036854775808,,z
";

fn with_columns() -> Place {
    let place = Place::new();
    place.run(["create", "log.dat", "--schema", SCHEMA, "--capacity", "100"]).succeeded();
    place.feed(["append", "log.dat"], CSV.as_bytes()).succeeded();
    place
}

#[test]
fn values_of_every_kind_go_in_and_out_as_csv() {
    let place = with_columns();
    let out = place.run(["cat", "log.dat"]).succeeded();
    assert_eq!(out.text(), CSV);
    // What comes out goes in again, ids and all.
    place.feed(["append", "log.dat"], &out.stdout).succeeded();
    let raw = place.run(["cat", "log.dat", "--format", "raw"]).succeeded().stdout;
    assert_eq!(raw.len() % 4, 0);
    assert!(raw[..raw.len() / 2] == raw[raw.len() / 2..]);
}

#[test]
fn values_of_every_kind_go_in_and_out_as_ndjson() {
    let place = with_columns();
    let out = place.run(["cat", "log.dat", "--json"]).succeeded();
    let lines = out.json_lines();
    let [first, second] = &lines[..] else { panic!("{out:?}") };
    for (key, value) in [
        ("id", r#""0""#),
        ("t", r#""2026-02-03T04:05:06.000007Z""#),
        ("b", "-9223372036854775808"),
        ("c", "18446744073709551615"),
        ("d", "21.5"),
        ("e", "[0.1,-0.0]"),
        ("g", r#""a,\"b""#),
        ("i", r#""run""#),
        ("j", "65535"),
        ("k", r#"["x","y",128]"#),
        ("m", r#"["1970-01-01T00:00:00Z","9999-12-31T23:59:59Z"]"#),
        ("n", r#"["x\ny",""]"#),
    ] {
        assert_eq!(first[key].to_string(), value, "{key}");
    }
    assert_eq!(second["d"], serde_json::Value::Null);
    assert_eq!(second["e"].to_string(), r#"["inf","-inf"]"#);
    assert_eq!(second["i"], 7);
    assert!(first.get("_").is_none());
    place.feed(["append", "log.dat", "--format", "ndjson"], &out.stdout).succeeded();
    let raw = place.run(["cat", "log.dat", "--format", "raw"]).succeeded().stdout;
    assert!(raw[..raw.len() / 2] == raw[raw.len() / 2..]);
    assert_eq!(place.run(["cat", "log.dat", "--format", "ndjson", "--last", "0"]).text(), "");
}

#[test]
fn fields_are_chosen_in_any_order() {
    let place = with_columns();
    let fields = |names: &str| {
        place.run(["get", "log.dat", "0", "--fields", names]).succeeded().text().to_owned()
    };
    assert_eq!(fields("d,id"), "d,id\n21.5,0\n");
    assert_eq!(fields("e"), "e.0,e.1\n0.1,-0.0\n");
    assert_eq!(fields("m.1"), "m.1\n9999-12-31T23:59:59Z\n");
    let json = place.run(["get", "log.dat", "0", "--json", "--fields", "e.0,e"]).succeeded();
    assert_eq!(json.text(), "{\"e.0\":0.1,\"e\":[0.1,-0.0]}\n");
    // A row of one empty cell is a row.
    let nan = place.run(["get", "log.dat", "1", "--fields", "d"]).succeeded();
    assert_eq!(nan.text(), "d\n\"\"\n");
    for wrong in ["x", "e.2", "e.x", "d.0", "_", ""] {
        let ended = place.run(["cat", "log.dat", "--fields", wrong]);
        ended.failed(2, &["there is no field", "id, t, a, b"]);
    }
}

#[test]
fn ids_past_the_precision_of_a_float_keep_their_digits() {
    let place = Place::new();
    let path = place.path("log.dat");
    let mut producer = RingOptions::new(1, 10).schema("a:u8").create(path).unwrap();
    producer.append_at((1 << 60) + 1, &[7]).unwrap();
    producer.close().unwrap();
    let told = place.run(["cat", "log.dat", "--json"]).succeeded();
    assert_eq!(told.text(), "{\"id\":\"1152921504606846977\",\"a\":7}\n");
    let told = place.run(["tail", "log.dat"]).succeeded();
    assert_eq!(told.text(), "id,a\n1152921504606846977,7\n");
    let one = place.run(["get", "log.dat", "1152921504606846977", "--fields", "id"]).succeeded();
    assert_eq!(one.text(), "id\n1152921504606846977\n");
}

#[test]
fn without_a_schema_there_are_bytes_and_no_columns() {
    let place = Place::with_archive(4, 10);
    place.feed(["append", "cache.dat"], b"ab\ncd\n").succeeded();
    assert_eq!(place.run(["cat", "cache.dat"]).succeeded().text(), "0 61620000\n1 63640000\n");
    let json = place.run(["tail", "cache.dat", "-n", "1", "--json"]).succeeded();
    assert_eq!(json.text(), "{\"id\":\"1\",\"payload\":\"63640000\"}\n");
    for format in ["csv", "table"] {
        place.run(["cat", "cache.dat", "--format", format]).failed(2, &["no schema", "hex or raw"]);
    }
    place.run(["cat", "cache.dat", "--fields", "a"]).failed(2, &["no schema"]);
    place.feed(["append", "cache.dat", "--format", "csv"], b"a\n1\n").failed(2, &["no schema"]);
    assert_eq!(place.stat("cache.dat")["next"], "2");
}

#[test]
fn forms_that_contradict_each_other_are_refused() {
    let place = with_columns();
    for (args, word) in [
        (&["--json", "--format", "csv"][..], "--format csv"),
        (&["--json", "--format", "raw"], "--format raw"),
        (&["--fields", "a", "--format", "hex"], "--fields"),
    ] {
        let all = ["cat", "log.dat"].iter().chain(args);
        place.run(all).failed(2, &["leave", word]);
    }
}

#[test]
fn an_archive_whose_schema_is_of_a_later_version_is_shown_in_bytes() {
    let place = Place::new();
    let path = place.path("log.dat");
    let mut producer = RingOptions::new(4, 10).schema("a:u32").create(&path).unwrap();
    producer.append(b"abcd").unwrap();
    producer.close().unwrap();
    // Another type under a right checksum.
    let mut bytes = place.read("log.dat");
    bytes[98..101].copy_from_slice(b"q32");
    let crc = crc32fast::hash(&bytes[..4092]);
    bytes[4092..4096].copy_from_slice(&crc.to_le_bytes());
    place.write("log.dat", bytes);
    let shown = place.run(["cat", "log.dat"]).succeeded();
    assert_eq!(shown.text(), "0 61626364\n");
    assert!(shown.stderr.contains("'q32' is no type"), "{shown:?}");
    place.run(["cat", "log.dat", "--format", "csv"]).failed(2, &["column 3", "'q32'"]);
    let stat = place.stat("log.dat");
    assert_eq!(stat["schema"], "a:q32");
    assert!(stat["schema_error"].as_str().is_some_and(|why| why.contains("'q32'")), "{stat}");
    let text = place.run(["stat", "log.dat"]).succeeded();
    assert!(text.text().contains("schema        a:q32 ("), "{text:?}");
    Producer::open(&path).unwrap().append(b"efgh").unwrap();
}

#[test]
fn more_columns_than_anybody_reads_are_not_laid_out() {
    let place = Place::new();
    let schema = ["create", "log.dat", "--schema", "a:u8*1000000", "--capacity", "2"];
    place.run(schema).succeeded();
    place.run(["cat", "log.dat"]).failed(2, &["1000001 columns", "--fields"]);
    place.run(["cat", "log.dat", "--fields", "a.999999"]).succeeded();
    place.run(["cat", "log.dat", "--format", "hex"]).succeeded();
}

#[test]
fn a_clock_set_back_further_than_the_archive_keeps_leaves_that_unknown() {
    let place = Place::new();
    place.run(["create", "log.dat", "--schema", "v:u8, t:time_s", "--capacity", "9"]).succeeded();
    place.feed(["append", "log.dat"], b"t,v\n1000,1\n10,2\n").succeeded();
    let stat = place.stat("log.dat");
    assert_eq!(stat["kept_seconds"], serde_json::Value::Null, "{stat}");
    assert_eq!(stat["clock_step_seconds"], 990.0, "{stat}");
    let text = place.run(["stat", "log.dat"]).succeeded();
    assert!(text.text().contains("kept          unknown: the clock was set back"), "{text:?}");
}
