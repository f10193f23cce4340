//! Others beside a recorder at work: readers of any user, a second recorder, a terminal.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::place::{Place, RINGKEEP, Running, id, wait_for};
use crate::terminal::{seen, terminal};

/// A recorder on `rec.dat` that has written a few records already.
fn at_work(place: &Place) -> Running {
    let args = ["record", "rec.dat", "--every", "2ms", "--disk", "1M", "--json"];
    let mut recorder = Running::start(place.command(args));
    wait_for("records", || {
        recorder.still_runs();
        let ended = place.run(["stat", "rec.dat", "--json"]);
        (ended.code == 0 && id(&ended.json()["next"]) >= 20).then_some(())
    });
    recorder
}

#[test]
fn stat_cat_and_verify_work_while_it_records() {
    let place = Place::new();
    let recorder = at_work(&place);
    let stat = place.stat("rec.dat");
    assert_eq!(stat["writer"], "live", "{stat}");
    let (next, durable) = (id(&stat["next"]), id(&stat["durable"]));
    assert_eq!(stat["at_risk"], next - durable, "{stat}");
    let last = place.run(["cat", "rec.dat", "--last", "5", "--json"]).succeeded().json_lines();
    let ids: Vec<u64> = last.iter().map(|line| id(&line["id"])).collect();
    assert_eq!(ids.len(), 5);
    assert!(ids.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{ids:?}");
    let time = last[0]["t"].as_str().expect("a time");
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    assert!(last[0]["mem_available"].as_u64() > Some(0), "{last:?}");
    let report = place.run(["verify", "rec.dat", "--json"]).succeeded().json();
    assert!(report["good"].as_u64() >= Some(next) && report["corrupt"] == 0, "{report}");
    recorder.signal(Signal::INT);
    recorder.ended().succeeded();
}

#[test]
fn a_second_recorder_is_refused_with_the_reason() {
    let place = Place::new();
    let recorder = at_work(&place);
    for args in [&["record", "rec.dat"][..], &["record", "rec.dat", "--disk", "1M"]] {
        let second = place.run(args).failed(3, &["rec.dat", "locked"]);
        assert!(second.stdout.is_empty(), "{second:?}");
    }
    recorder.signal(Signal::INT);
    let first = recorder.ended().succeeded().json();
    assert_eq!(first["follower"]["wrong"], 0, "the refused one did no harm: {first}");
}

#[test]
fn another_user_reads_with_read_permission_only() {
    if !rustix::process::geteuid().is_root() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: another_user_reads_with_read_permission_only: only root can change users"
        );
        return;
    }
    let place = Place::new();
    let recorder = at_work(&place);
    let binary = place.path("ringkeep");
    fs::copy(RINGKEEP, &binary).expect("a copy");
    for (name, mode) in [(".", 0o755), ("rec.dat", 0o644)] {
        fs::set_permissions(place.path(name), Permissions::from_mode(mode)).expect("root can");
    }
    for args in [&["stat", "--json"][..], &["cat", "--last", "5"], &["verify"]] {
        let mut command = Command::new(&binary);
        command.args(args).arg("rec.dat").current_dir(place.path(".")).uid(65534).gid(65534);
        let output = command.output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{args:?} {output:?}");
        if args[0] == "stat" {
            let stat: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(stat["writer"], "live", "{stat}");
        }
    }
    recorder.signal(Signal::INT);
    recorder.ended().succeeded();
}

#[test]
fn a_terminal_shows_one_live_line_and_the_summary_follows() {
    let place = Place::new();
    let (terminal, peer) = terminal(80);
    let args = ["record", "rec.dat", "--every", "10ms", "--for", "1200ms", "--disk", "1M"];
    let mut command = place.command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::from(peer));
    let child = command.spawn().expect("it runs");
    // The command holds the terminal's other side open; the reader ends when both are gone.
    drop(command);
    let reader = seen(terminal);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("recorded   120 records"));
    let shown = reader.join().expect("a thread");
    let lines: Vec<&str> = shown.split('\r').filter(|line| line.starts_with("cpu ")).collect();
    assert!(lines.len() >= 2, "{shown}");
    for word in ["load", "/s keeps", "cut loses", "rss"] {
        assert!(lines.iter().all(|line| line.contains(word)), "no {word} in {shown}");
    }
    assert!(lines.iter().all(|line| line.len() <= 79 + "\x1b[K".len()), "{shown}");
    assert!(shown.ends_with("\r\x1b[K"), "the line is gone at the end: {shown:?}");
}
