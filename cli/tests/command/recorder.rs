//! The recorder from its start to its end, whoever ends it.

use std::fs;
use std::io::{Write as _, stderr};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::place::{Ended, Place, RINGKEEP, Running, id, wait_for};

/// A recorder on `rec.dat`, every 2 ms, until it is ended.
fn recorder(place: &Place, args: &[&str]) -> Running {
    let fast = ["record", "rec.dat", "--every", "2ms", "--json"];
    Running::start(place.command(fast.iter().chain(args)))
}

/// Waits until `rec.dat` holds ids up to `least`; gives what `stat` says then.
#[track_caller]
fn until(place: &Place, recorder: &mut Running, least: u64) -> Value {
    wait_for("records", || {
        recorder.still_runs();
        let ended = place.run(["stat", "rec.dat", "--json"]);
        // Before it is made, there is nothing to stat.
        let stat = (ended.code == 0).then(|| ended.json())?;
        (id(&stat["next"]) >= least).then_some(stat)
    })
}

/// The follower of a recorder at work.
fn follower_of(recorder: &Running) -> Pid {
    let pid = recorder.id();
    let children = format!("/proc/{pid}/task/{pid}/children");
    let child = wait_for("a follower", || {
        let children = fs::read_to_string(&children).ok()?;
        children.split_whitespace().next()?.parse().ok()
    });
    Pid::from_raw(child).expect("a process id")
}

/// Everything that was written has been read by both consumers.
#[track_caller]
fn whole(ended: &Ended) -> Value {
    assert_eq!(ended.code, 0, "{ended:?}");
    let summary = ended.json();
    for consumer in ["rolling", "follower"] {
        let it = &summary[consumer];
        assert_eq!(it["read"], summary["records"], "{consumer}: {summary}");
        assert_eq!((&it["missed"], &it["wrong"]), (&0.into(), &0.into()), "{consumer}: {summary}");
    }
    assert_eq!(
        id(&summary["next"]) - id(&summary["from"]),
        summary["records"].as_u64().expect("a count")
    );
    summary
}

#[test]
fn a_second_of_ten_milliseconds_is_a_hundred_records_in_the_default_place() {
    let place = Place::new();
    let ended = place.run(["record", "--for", "1s", "--every", "10ms", "--json"]);
    let summary = whole(&ended);
    assert_eq!(summary["records"], 100, "{summary}");
    assert_eq!(summary["ended_by"], "--for");
    assert!(
        ended.stderr.contains("128.0 MiB of disk") || ended.stderr.contains("127.9 MiB"),
        "{ended:?}"
    );
    assert_eq!(ended.stderr.lines().count(), 1, "no live line off a terminal: {ended:?}");

    let file = "telemetry/cache.dat";
    let report = place.run(["verify", file, "--json"]).succeeded().json();
    assert_eq!((&report["good"], &report["corrupt"]), (&100.into(), &0.into()));
    let stat = place.stat(file);
    assert!(
        stat["schema"].as_str().is_some_and(|schema| schema.starts_with("t:time_ns, ")),
        "{stat}"
    );
    let kept = stat["kept_seconds"].as_f64().expect("a time");
    assert!((0.9..2.0).contains(&kept), "{stat}");
    assert!(stat["newest_time"].as_str().is_some_and(|time| time.ends_with('Z')), "{stat}");
    // The file system may count a block or so of its own.
    assert!(stat["bytes_on_disk"].as_u64() <= Some((128 << 20) + (1 << 16)), "{stat}");
}

#[test]
fn the_summary_reads_as_text_too() {
    let place = Place::new();
    let short = ["record", "rec.dat", "--for", "50ms", "--every", "10ms", "--disk", "64K"];
    let ended = place.run(short).succeeded();
    for word in ["5 records, ids 0..5", "follower   read 5, missed 0, wrong 0", "syncs", "resident"]
    {
        assert!(ended.text().contains(word), "no '{word}' in {ended:?}");
    }
}

/// A recorder inherits that, and then leaves the signal ignored.
fn hangups_are_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("proc");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a mask");
    u64::from_str_radix(ignored.trim(), 16).expect("a mask") & 1 != 0
}

#[test]
fn each_signal_ends_it_with_a_summary() {
    for (signal, name) in
        [(Signal::INT, "SIGINT"), (Signal::TERM, "SIGTERM"), (Signal::HUP, "SIGHUP")]
    {
        if signal == Signal::HUP && hangups_are_ignored() {
            let _ = writeln!(stderr(), "SKIPPED: SIGHUP: it is ignored here, as under nohup");
            continue;
        }
        let place = Place::new();
        let mut recorder = recorder(&place, &["--disk", "1M"]);
        until(&place, &mut recorder, 20);
        recorder.signal(signal);
        let summary = whole(&recorder.ended());
        assert_eq!(summary["ended_by"], name);
        assert_eq!(place.stat("rec.dat")["durable"], summary["next"], "closed cleanly");
    }
}

#[test]
fn a_signal_to_the_whole_group_lets_the_follower_read_to_the_end() {
    let place = Place::new();
    let mut recorder = recorder(&place, &["--disk", "1M"]);
    until(&place, &mut recorder, 20);
    let follower = follower_of(&recorder);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        kill_process(follower, signal).expect("a follower");
    }
    let seen = id(&place.stat("rec.dat")["next"]);
    until(&place, &mut recorder, seen + 20);
    recorder.signal(Signal::INT);
    whole(&recorder.ended());
}

#[test]
fn a_recorder_under_nohup_outlives_its_terminal() {
    let place = Place::new();
    let mut command = Command::new("sh");
    let script =
        format!("trap '' HUP; exec {RINGKEEP} record rec.dat --every 2ms --disk 1M --json");
    command.args(["-c", &script]).current_dir(place.path("."));
    let mut recorder = Running::start(command);
    let next = id(&until(&place, &mut recorder, 5)["next"]);
    recorder.signal(Signal::HUP);
    until(&place, &mut recorder, next + 20);
    recorder.signal(Signal::TERM);
    assert_eq!(whole(&recorder.ended())["ended_by"], "SIGTERM");
}

#[test]
fn started_again_it_goes_on_whatever_the_archive_keeps() {
    let place = Place::new();
    let short = ["record", "rec.dat", "--for", "100ms", "--every", "10ms", "--json"];
    let first = whole(&place.run(short.iter().chain(&["--keep", "5s"])));
    let again = place.run(short.iter().chain(&["--sync", "always"]));
    assert!(again.stderr.contains("goes on with id 10"), "{again:?}");
    let second = whole(&again);
    assert_eq!(
        (&first["next"], &second["from"], &second["next"]),
        (&"10".into(), &"10".into(), &"20".into())
    );
    assert_eq!(second["at_risk"], 0, "every record was synced");
    let stat = place.stat("rec.dat");
    assert_eq!((&stat["capacity"], &stat["oldest"]), (&500.into(), &"0".into()));
    whole(&place.run(short.iter().chain(&["--keep", "5s"])));
}

#[test]
fn another_length_of_time_than_the_archives_is_refused_with_both() {
    let place = Place::new();
    let short = ["record", "rec.dat", "--for", "20ms", "--every", "10ms"];
    place.run(short.iter().chain(&["--keep", "5s"])).succeeded();
    let before = place.read("rec.dat");
    for (option, value) in [("--keep", "6s"), ("--disk", "1M")] {
        let ended = place.run(short.iter().chain(&[option, value]));
        ended.failed(2, &["rec.dat", "500 records"]);
    }
    place.run(short.iter().chain(&["--keep", "6s"])).failed(2, &["600"]);
    assert!(place.read("rec.dat") == before, "a refusal changed something");
}

#[test]
fn an_archive_of_something_else_is_refused() {
    let place = Place::with_archive(124, 100);
    let before = place.read("cache.dat");
    place.run(["record", "cache.dat", "--for", "1s"]).failed(2, &["cache.dat", "no recorder"]);
    assert!(place.read("cache.dat") == before);
}

#[test]
fn after_kill_9_it_goes_on_and_nothing_is_damaged() {
    let place = Place::new();
    let mut next = 0;
    for _ in 0..3 {
        let mut recorder = recorder(&place, &["--disk", "1M"]);
        next = id(&until(&place, &mut recorder, next + 50)["next"]);
        let follower = follower_of(&recorder);
        recorder.signal(Signal::KILL);
        assert_eq!(recorder.ended().code, -1);
        let stat = place.stat("rec.dat");
        assert!(id(&stat["next"]) >= next && stat["writer"] == "none", "{stat}");
        let report = place.run(["verify", "rec.dat", "--json"]).succeeded().json();
        assert_eq!((&report["lost"], &report["corrupt"]), (&0.into(), &0.into()), "{report}");
        let gone = format!("/proc/{}/exe", follower.as_raw_nonzero());
        wait_for("the follower's end", || fs::read_link(&gone).is_err().then_some(()));
    }
    let seen = place.run(["cat", "rec.dat", "--json"]);
    let ids: Vec<u64> = seen.json_lines().iter().map(|line| id(&line["id"])).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]) && ids.len() >= 150, "{}", ids.len());
}

#[test]
fn a_lapped_follower_says_what_it_missed_and_fails_the_recording() {
    let place = Place::new();
    // 100 records are kept: a stopped follower is lapped soon.
    let mut recorder = recorder(&place, &["--keep", "200ms"]);
    until(&place, &mut recorder, 10);
    let follower = follower_of(&recorder);
    kill_process(follower, Signal::STOP).expect("a follower");
    let stopped = id(&place.stat("rec.dat")["next"]);
    until(&place, &mut recorder, stopped + 300);
    kill_process(follower, Signal::CONT).expect("a follower");
    recorder.signal(Signal::INT);
    let ended = recorder.ended();
    let summary = ended.json();
    assert_eq!(ended.code, 1, "{summary}");
    let found = &summary["follower"];
    assert!(found["missed"].as_u64() > Some(0), "{summary}");
    assert_eq!(found["wrong"], 0, "{summary}");
}

#[test]
fn a_follower_that_died_fails_the_recording() {
    let place = Place::new();
    let mut recorder = recorder(&place, &["--disk", "1M"]);
    until(&place, &mut recorder, 10);
    kill_process(follower_of(&recorder), Signal::KILL).expect("a follower");
    recorder.signal(Signal::INT);
    let ended = recorder.ended();
    assert_eq!((ended.code, &ended.json()["follower"]), (1, &Value::Null), "{ended:?}");
}
