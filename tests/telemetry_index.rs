//! Goal: the example of the store answers what a scan of the archive would, goes on where it
//! stopped, and refuses what it has to.
//!
//! Method: run it. Plain `cargo test` builds it too, and puts it beside the tests. Before
//! `cargo test --test telemetry_index` alone, `cargo build --example telemetry_index` has to.

mod example;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use example::{complaint, said};
use ringkeep::{Producer, RingOptions, Schema, Value};
use tempfile::TempDir;

const COLUMNS: &str = "t:time_ms, status:enum8{ok,fault}, sensor:enum8{boiler,fan,pump}, value:f32";
const SENSORS: [&str; 3] = ["boiler", "fan", "pump"];
const STATUSES: [&str; 2] = ["ok", "fault"];
const HOUR_MS: u64 = 3_600_000;

fn run(arguments: &[&Path]) -> Output {
    example::run("telemetry_index", arguments)
}

/// A record, as the test made it.
#[derive(Clone, Copy)]
struct Made {
    time_ms: u64,
    sensor: usize,
    status: usize,
    value: f32,
}

/// The archive, its index, and what was stored in the archive.
struct Station {
    directory: TempDir,
    producer: Producer,
    made: Vec<Made>,
    random: fastrand::Rng,
}

impl Station {
    fn keeping(records: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let record_size = COLUMNS.parse::<Schema>().expect("columns").record_size();
        let options = RingOptions::new(record_size, records).schema(COLUMNS);
        let producer = options.create(directory.path().join("archive.dat")).expect("an archive");
        Self { directory, producer, made: Vec::new(), random: fastrand::Rng::with_seed(3) }
    }

    fn archive(&self) -> PathBuf {
        self.path("archive.dat")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn append(&mut self, count: usize) {
        let schema: Schema = COLUMNS.parse().expect("columns");
        let [t, status, sensor, value] = schema.fields() else { panic!("four columns") };
        let mut payload = vec![0; schema.record_size()];
        for _ in 0..count {
            let random = &mut self.random;
            let made = Made {
                // Four seconds and more from one to the next: some hours in all.
                time_ms: 1_700_000_000_000 + self.made.len() as u64 * 4_321,
                sensor: random.usize(..SENSORS.len()),
                status: usize::from(random.u32(..50) == 0),
                value: random.f32() * 100.0 - 50.0,
            };
            for (field, value) in [
                (t, Value::Unsigned(made.time_ms)),
                (status, Value::Unsigned(made.status as u64)),
                (sensor, Value::Unsigned(made.sensor as u64)),
                (value, Value::Single(made.value)),
            ] {
                field.put(&mut payload, 0, value).expect("it fits");
            }
            self.producer.append(&payload).expect("an append");
            self.made.push(made);
        }
    }

    /// What the example says, with its first lines, until the answers begin, apart.
    fn index(&self, name: &str) -> (String, String) {
        let text = said(&run(&[&self.archive(), &self.path(name)]));
        let begin = text.find("boiler\n").expect("an answer");
        (text[..begin].to_owned(), text[begin..].to_owned())
    }

    /// What a scan of all that was made would answer.
    fn scan(&self) -> String {
        let mut text = String::new();
        for (sensor, name) in SENSORS.iter().enumerate() {
            let all = self.made.iter().enumerate().filter(|(_, made)| made.sensor == sensor);
            let all: Vec<(usize, Made)> = all.map(|(id, made)| (id, *made)).collect();
            tell(&mut text, name, &all).expect("a string");
        }
        text
    }
}

fn tell(text: &mut String, name: &str, all: &[(usize, Made)]) -> std::fmt::Result {
    let ((_, first), (newest_id, newest)) = (all[0], *all.last().expect("some"));
    let status = STATUSES[newest.status];
    writeln!(text, "{name}")?;
    let (at, value) = (newest.time_ms, newest.value);
    writeln!(text, "  newest: record {newest_id} at {at}: {status} {value:.3}")?;
    let middle = first.time_ms.midpoint(newest.time_ms);
    let times = middle..middle + 600_000;
    let within = all.iter().filter(|(_, made)| times.contains(&made.time_ms)).count();
    assert!(within > 0, "else the range is not tried");
    writeln!(text, "  from {} to {}: {within} records", times.start, times.end)?;
    for (number, status) in STATUSES.iter().enumerate() {
        let ids = all.iter().filter(|(_, made)| made.status == number).map(|(id, _)| *id);
        let ids: Vec<usize> = ids.collect();
        let (count, first, last) = (ids.len(), ids[0], ids[ids.len() - 1]);
        writeln!(text, "  {status}/{name}/: {count} records, {first} to {last}")?;
    }
    let mut hours = BTreeMap::<u64, Vec<f64>>::new();
    for (_, made) in all {
        hours.entry(made.time_ms / HOUR_MS).or_default().push(made.value.into());
    }
    for (hour, values) in hours.iter().rev().take(3) {
        let (min, max) = values
            .iter()
            .fold((f64::MAX, f64::MIN), |(min, max), &value| (min.min(value), max.max(value)));
        let (count, sum) = (values.len(), values.iter().sum::<f64>());
        let mean = sum / f64::from(u32::try_from(count).expect("few"));
        writeln!(text, "  hour {hour}: {count} records, {min:.3} to {max:.3}, mean {mean:.3}")?;
    }
    Ok(())
}

#[test]
fn its_answers_are_those_of_a_scan_and_a_second_run_indexes_what_is_new() {
    let mut station = Station::keeping(10_000);
    station.append(3_000);
    let (indexed, answers) = station.index("index");
    assert!(indexed.starts_with("indexed 3000 records of ids 0..3000, in "), "{indexed}");
    assert_eq!(answers, station.scan());

    let (indexed, again) = station.index("index");
    assert!(indexed.starts_with("indexed 0 records of ids 3000..3000, in "), "{indexed}");
    assert_eq!(again, answers);

    // In the middle of an hour, which is then added to.
    station.append(1_234);
    let (indexed, answers) = station.index("index");
    assert!(indexed.starts_with("indexed 1234 records of ids 3000..4234, in "), "{indexed}");
    assert_eq!(answers, station.scan());
    assert_eq!(station.index("another index").1, answers);
}

#[test]
fn records_that_were_overwritten_before_they_were_indexed_are_told() {
    let mut station = Station::keeping(1_000);
    station.append(500);
    station.index("index");
    station.append(3_000);
    let (indexed, _) = station.index("index");
    let oldest = station.producer.ring().oldest().expect("an id");
    let lines =
        format!("\n{} before them were overwritten before they were indexed\n", oldest - 500);
    assert!(indexed.ends_with(&lines), "{indexed}");
    assert!(indexed.contains(&format!(" records of ids {oldest}..3500, in ")), "{indexed}");
}

#[test]
fn without_arguments_it_makes_a_sample_that_is_gone_afterwards() {
    let text = said(&run(&[]));
    let mut lines = text.lines();
    let place = lines.next().and_then(|line| line.strip_prefix("in ")).expect("it names it");
    assert!(Path::new(place).parent().is_some_and(Path::is_dir), "{place}");
    assert!(!Path::new(place).exists(), "{place}");
    for ids in ["150000 records of ids 0..150000", "50000 records of ids 150000..200000"] {
        let line = lines.next().expect("a line");
        assert!(line.starts_with(&format!("indexed {ids}, in ")), "{line}");
    }
    assert!(text.contains("\n  fault/pump/: "), "{text}");
}

#[test]
fn what_it_cannot_index_is_refused_and_left_alone() {
    let mut station = Station::keeping(1_000);
    station.append(100);
    let (archive, index) = (station.archive(), station.path("index"));
    let letters = station.path("letters");
    fs::write(&letters, "mine").expect("a file");
    let bare = station.path("bare.dat");
    RingOptions::new(8, 100).create(&bare).expect("an archive");
    let other = station.path("other.dat");
    let columns = "t:time_ms, sensor:u32, value:f64";
    RingOptions::new(20, 100).schema(columns).create(&other).expect("an archive");
    for (archive, place, reason) in [
        (&station.path("nowhere.dat"), &index, "nowhere.dat"),
        (&letters, &index, "letters"),
        (&bare, &index, " has no schema: its columns have no names\n"),
        (&other, &index, " has no column \"status\" of names\n"),
        (&archive, &letters, " is not a store, "),
    ] {
        let (code, text) = complaint(&run(&[archive, place]));
        assert_eq!(code, Some(1), "{text}");
        assert!(text.starts_with("telemetry_index: ") && text.contains(reason), "{text}");
    }
    assert!(!index.exists(), "it makes no index of what it refuses");
    assert_eq!(fs::read(&letters).expect("it is there"), b"mine");
}

#[test]
fn an_index_of_another_archive_is_refused_and_stays_as_it_was() {
    let (mut long, mut short) = (Station::keeping(1_000), Station::keeping(1_000));
    long.append(800);
    short.append(700);
    let index = long.path("index");
    let (_, answers) = long.index("index");
    let (code, text) = complaint(&run(&[&short.archive(), &index]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("goes up to record 800, the archive to 700: "), "{text}");

    let other = long.path("other.dat");
    let columns = "t:time_ms, sensor:u32, status:enum8{ok}, value:f64";
    RingOptions::new(21, 100).schema(columns).create(&other).expect("an archive");
    let (code, text) = complaint(&run(&[&other, &index]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.ends_with(" is one of an archive with other columns\n"), "{text}");
    assert_eq!(long.index("index").1, answers);
}

#[test]
fn wrong_arguments_are_told_how_it_is_used() {
    for arguments in [&["--help"][..], &["one"], &["one", ""], &["one", "two", "three"]] {
        let arguments: Vec<&Path> = arguments.iter().map(Path::new).collect();
        let (code, text) = complaint(&run(&arguments));
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(text.starts_with("usage: telemetry_index "), "{text}");
    }
}
