//! The newest records, and what comes after them.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ringkeep::{Producer, RingOptions};
use rustix::io::ioctl_fionread;
use rustix::process::Signal;

use crate::place::{Place, Running, wait_for};

const WAYS: [&str; 2] = ["file", "mmap"];

fn archive(place: &Place, capacity: u64) -> Producer {
    let options = RingOptions::new(12, capacity).schema("t:time_ms, n:u32");
    options.create(place.path("log.dat")).expect("a new archive")
}

fn record(millis: i64, number: u32) -> [u8; 12] {
    let mut record = [0; 12];
    record[..8].copy_from_slice(&millis.to_le_bytes());
    record[8..].copy_from_slice(&number.to_le_bytes());
    record
}

fn append(producer: &mut Producer, numbers: std::ops::Range<u32>) {
    for number in numbers {
        producer.append(&record(i64::from(number), number)).expect("an append");
    }
}

/// A follower, and its lines as they come.
fn follow(place: &Place, args: &[&str]) -> (Running, Receiver<String>) {
    let all = ["tail", "log.dat", "-f", "--fields", "n"].iter().chain(args);
    let mut running = Running::start(place.command(all));
    let lines = BufReader::new(running.output()).lines();
    let (sender, receiver) = channel();
    thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    (running, receiver)
}

fn expect(lines: &Receiver<String>, expected: &str) {
    let found = lines.recv_timeout(Duration::from_secs(30)).expect("a line");
    assert_eq!(found, expected);
}

#[test]
fn what_is_kept_behind_lapped_ids_is_all_printed() {
    let place = Place::new();
    append(&mut archive(&place, 100), 0..250);
    let told = "missed 10 records, ids 140..150: overwritten before they were read";
    let ended = place.run(["tail", "log.dat", "--fields", "n", "--from", "140"]);
    let ended = ended.failed(1, &[told]);
    let printed: Vec<&str> = ended.text().lines().skip(1).collect();
    assert_eq!(printed, (150..250).map(|number| number.to_string()).collect::<Vec<_>>());
    let (running, lines) = follow(&place, &["--from", "140"]);
    expect(&lines, "n");
    (150..250).for_each(|number| expect(&lines, &number.to_string()));
    running.signal(Signal::INT);
    running.ended().failed(1, &[told]);
}

#[test]
fn the_newest_records_are_printed_and_it_ends() {
    let place = Place::new();
    let mut producer = archive(&place, 50);
    append(&mut producer, 0..70);
    let numbers = |args: &[&str]| -> Vec<u32> {
        let all = ["tail", "log.dat", "--fields", "n"].iter().chain(args);
        let told = place.run(all).succeeded();
        told.text().lines().skip(1).map(|line| line.parse().expect("a number")).collect()
    };
    for io in WAYS {
        assert_eq!(numbers(&["--io", io]), (60..70).collect::<Vec<_>>());
        assert_eq!(numbers(&["--io", io, "-n", "3"]), [67, 68, 69]);
        assert_eq!(numbers(&["-n", "0", "--io", io]), [0; 0]);
        assert_eq!(numbers(&["-n", "500", "--io", io]), (20..70).collect::<Vec<_>>());
        assert_eq!(numbers(&["--from", "68", "--io", io]), [68, 69]);
        assert_eq!(numbers(&["--from", "1970-01-01T00:00:00.066Z"]), [66, 67, 68, 69]);
        assert_eq!(numbers(&["--from", "10m", "--io", io]), [0; 0]);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("past 1970").as_millis();
    producer.append(&record(i64::try_from(now).expect("it fits"), 70)).expect("an append");
    assert_eq!(numbers(&["--from", "10m"]), [70]);
    let lapped = place.run(["tail", "log.dat", "--from", "3"]);
    lapped.failed(1, &["missed", "records, ids 3.."]);
    place.run(["tail", "log.dat", "--from", "3", "--on-lapped", "fail"]).failed(1, &["too slow"]);
}

#[test]
fn records_of_another_process_are_followed_until_a_signal() {
    let place = Place::new();
    let mut producer = archive(&place, 500);
    append(&mut producer, 0..5);
    for (io, signal) in WAYS.iter().zip([Signal::INT, Signal::TERM]) {
        let (running, lines) = follow(&place, &["-n", "2", "--io", io]);
        expect(&lines, "n");
        expect(&lines, "3");
        expect(&lines, "4");
        append(&mut producer, 5..8);
        for expected in ["5", "6", "7"] {
            expect(&lines, expected);
        }
        let mut slowest = Duration::ZERO;
        for number in 8..40 {
            let begun = Instant::now();
            append(&mut producer, number..number + 1);
            expect(&lines, &number.to_string());
            slowest = slowest.max(begun.elapsed());
        }
        assert!(slowest < Duration::from_secs(5), "{io}: {slowest:?}");
        running.signal(signal);
        let ended = running.ended().succeeded();
        assert_eq!(ended.stderr, "", "{io}");
        producer.append_at(producer.ring().next_id().unwrap() + 500, &record(0, 3)).unwrap();
        append(&mut producer, 4..5);
    }
}

#[test]
fn what_it_was_too_slow_for_is_told_with_its_ids() {
    let place = Place::new();
    let mut producer = archive(&place, 100);
    append(&mut producer, 0..10);
    for (policy, words) in [("skip", "missed"), ("fail", "too slow")] {
        let (running, lines) = follow(&place, &["-n", "1", "--on-lapped", policy]);
        expect(&lines, "n");
        lines.recv_timeout(Duration::from_secs(30)).expect("the newest");
        running.signal(Signal::STOP);
        let next = producer.ring().next_id().unwrap();
        append(&mut producer, 0..1000);
        running.signal(Signal::CONT);
        if policy == "skip" {
            // It goes on with what is kept, and fails at its end.
            while lines.recv_timeout(Duration::from_secs(30)).expect("a line") != "999" {}
            running.signal(Signal::INT);
        }
        let told = format!("records, ids {next}..");
        running.ended().failed(1, &["missed", &told, words]);
    }
}

#[test]
fn a_reader_that_is_gone_ends_an_idle_follower_quietly() {
    for io in WAYS {
        let place = Place::new();
        let mut producer = archive(&place, 100);
        append(&mut producer, 0..3);
        let mut running = Running::start(place.command(["tail", "log.dat", "-f", "--io", io]));
        let mut first = [0; 1];
        let mut output = running.output();
        output.read_exact(&mut first).expect("a byte");
        drop(output);
        let ended = running.ended().succeeded();
        assert_eq!(ended.stderr, "", "{io}");
    }
}

#[test]
fn a_follower_behind_a_reader_that_stopped_reading_can_be_ended() {
    let place = Place::new();
    let mut producer = archive(&place, 100_000);
    append(&mut producer, 0..100_000);
    let args = ["tail", "log.dat", "-f", "-n", "100000"];
    let mut running = Running::start(place.command(args));
    // It holds the pipe and reads no more: the follower is stuck in a write.
    let mut output = running.output();
    output.read_exact(&mut [0; 1]).expect("a byte");
    wait_for("a full pipe", || (ioctl_fionread(&output).ok()? > 60_000).then_some(()));
    running.signal(Signal::TERM);
    running.signal(Signal::INT);
    assert_eq!(running.ended().code, -1, "killed");
    drop(output);
}

#[test]
fn an_archive_that_is_replaced_or_cut_short_ends_it() {
    let place = Place::new();
    let mut producer = archive(&place, 100);
    append(&mut producer, 0..3);
    let (running, lines) = follow(&place, &[]);
    expect(&lines, "n");
    fs::rename(place.path("log.dat"), place.path("old.dat")).unwrap();
    drop(archive(&place, 100));
    running.ended().failed(1, &["another archive"]);

    let (running, lines) = follow(&place, &[]);
    expect(&lines, "n");
    let file = fs::OpenOptions::new().write(true).open(place.path("log.dat")).unwrap();
    file.set_len(4096).unwrap();
    running.ended().failed(3, &["cut short to 4096 bytes", "log.dat"]);
}

/// Voluntary switches of a process, and its processor time in ticks.
fn effort(running: &Running) -> (u64, u64) {
    let read = |name: &str| {
        fs::read_to_string(format!("/proc/{}/{name}", running.id())).expect("a process")
    };
    let status = read("status");
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt")).expect("a count");
    let switches = line.split_whitespace().last().expect("a number").parse().expect("a number");
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
    (switches, ticks(11) + ticks(12))
}

#[test]
fn an_idle_follower_costs_next_to_nothing() {
    for (io, switches_max) in WAYS.into_iter().zip([20.0, 10.0]) {
        let place = Place::new();
        drop(archive(&place, 100));
        let (running, lines) = follow(&place, &["--io", io]);
        // The header is out: from here on it is idle, after a few short pauses.
        expect(&lines, "n");
        wait_for("half a second", {
            let begun = Instant::now();
            move || (begun.elapsed() > Duration::from_millis(500)).then_some(())
        });
        let (begun, before) = (Instant::now(), effort(&running));
        wait_for("two seconds", move || (begun.elapsed() > Duration::from_secs(2)).then_some(()));
        let after = effort(&running);
        let seconds = begun.elapsed().as_secs_f64();
        // The main thread's: each pause is one.
        let switches = u32::try_from(after.0 - before.0).expect("few");
        assert!(f64::from(switches) <= switches_max * seconds + 2.0, "{io}: {switches} switches");
        assert!(after.1 - before.1 <= 5, "{io}: {} ticks", after.1 - before.1);
        running.signal(Signal::INT);
        running.ended().succeeded();
    }
}

#[test]
fn a_time_needs_a_field_that_is_one() {
    let place = Place::new();
    place.run(["create", "log.dat", "--schema", "n:u32", "--capacity", "9"]).succeeded();
    for args in
        [&["cat", "--from", "10m"][..], &["cat", "--to", "2026-01-01"], &["tail", "--from", "1h"]]
    {
        place.run(args.iter().chain(&["log.dat"])).failed(2, &["has no time", "time_ns"]);
    }
    let place = Place::with_archive(12, 5);
    place.run(["cat", "cache.dat", "--from", "10m"]).failed(2, &["has no time"]);
    for wrong in ["yesterday", "-5", "10x", "2026-13-01"] {
        let from = format!("--from={wrong}");
        place.run(["cat", "cache.dat", &from]).failed(2, &["an id, a time"]);
    }
    place.run(["cat", "cache.dat", "--from", "1s", "--to", "1h"]).failed(2, &["swap them"]);
    // The same time, whichever is read first: an empty range, which needs a time as any other.
    place.run(["cat", "cache.dat", "--to", "1h", "--from", "1h"]).failed(2, &["has no time"]);
    place.run(["cat", "cache.dat", "--from", "5", "--to", "4"]).failed(2, &["swap them"]);
}

#[test]
fn ids_and_times_can_be_mixed() {
    let place = Place::new();
    let mut producer = archive(&place, 100);
    append(&mut producer, 0..50);
    let ids = |args: &[&str]| -> Vec<u64> {
        let all = ["cat", "log.dat", "--fields", "id"].iter().chain(args);
        let told = place.run(all).succeeded();
        told.text().lines().skip(1).map(|line| line.parse().expect("an id")).collect()
    };
    let at = "1970-01-01 00:00:00.04";
    assert_eq!(ids(&["--from", "37", "--to", at]), [37, 38, 39]);
    assert_eq!(ids(&["--from", at, "--to", "42"]), [40, 41]);
    assert_eq!(ids(&["--from", at, "--to", "7"]), [0; 0]);
    // Nothing is printed, not even the names of columns.
    let refused = place.run(["cat", "log.dat", "--from", "7", "--to", "6"]);
    assert_eq!(refused.failed(2, &["swap them"]).stdout, b"");
}
