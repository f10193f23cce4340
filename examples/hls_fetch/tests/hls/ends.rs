//! Ends before the end: signals, kills, and what the next run finds.

use std::fs;

use ringkeep::SpoolOptions;
use rustix::process::Signal;

use super::{
    program::{Fetching, Place},
    server::Answer,
    stream::{Stream, playlist, random},
};

/// Six segments, of which three come to an end.
fn stuck() -> Stream {
    let stream = Stream::of(6, 200_000);
    for number in 3..6 {
        stream.fails(number, &[Answer::Silence]);
    }
    stream
}

/// Fetches until three segments are there, and the others were asked for.
fn fetch_until_stuck(place: &Place, options: &str, stream: &Stream) -> Fetching {
    let fetching = place.fetch_until(options, &stream.url, " 3/6 ");
    for number in 3..6 {
        stream.server.wait_for(&format!("/{number}.ts"));
    }
    fetching
}

/// All of them do after all.
fn heal(stream: &Stream) {
    for number in 3..6 {
        stream.heals(number);
    }
    stream.server.take_requests();
}

const KEPT: [&str; 2] = ["output.parts", "output.parts.manifest"];

#[test]
fn a_signal_ends_it_at_once_and_nothing_is_left() {
    let stream = stuck();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for options in ["", "--memory 64KiB"] {
            let place = Place::new();
            let fetching = fetch_until_stuck(&place, options, &stream);
            assert_eq!(fetching.end(signal), (Some(code), String::new()), "{options}");
            assert!(place.names().is_empty(), "{options}: {:?}", place.names());
        }
    }
}

#[test]
fn a_signal_cuts_the_pause_before_a_retry_short() {
    let stream = Stream::of(2, 1_000);
    stream.fails(1, &[|_| Answer::Status(500)]);
    let place = Place::new();
    let fetching = place.fetch_until("--retries 1000000", &stream.url, " 1/2 ");
    assert_eq!(fetching.end(Signal::INT), (Some(130), String::new()));
    assert!(place.names().is_empty());
}

#[test]
fn a_kill_leaves_nothing() {
    let stream = stuck();
    let place = Place::new();
    let fetching = place.fetch_until("--memory 64KiB", &stream.url, "3/6 (50.0%) [0.6 MB, on disk");
    assert_eq!(fetching.end(Signal::KILL).0, None);
    assert!(place.names().is_empty(), "{:?}", place.names());
}

#[test]
fn after_a_kill_only_what_is_missing_is_fetched() {
    for signal in [Signal::KILL, Signal::INT] {
        let stream = stuck();
        let place = Place::new();
        fetch_until_stuck(&place, "--resume", &stream).end(signal);
        assert_eq!(place.names(), KEPT);
        heal(&stream);
        let text = place.fetched("--resume", &stream.url);
        assert_eq!(stream.server.take_requests(), ["/3.ts", "/4.ts", "/5.ts", "/list.m3u8"]);
        let first = "Downloading segments: 3/6 (50.0%) [0.6 MB, on disk]\n";
        assert!(text.starts_with(first), "{text}");
        assert!(place.bytes() == stream.bytes());
        assert_eq!(place.names(), ["output"]);
    }
}

#[test]
fn what_a_failed_run_has_fetched_is_kept_if_it_is_to_be_resumed() {
    let stream = Stream::of(3, 1_000);
    stream.fails(2, &[|_| Answer::Status(404)]);
    let place = Place::new();
    place.refused("--resume --parallel 1", &stream.url);
    assert_eq!(place.names(), KEPT);
    stream.heals(2);
    stream.server.take_requests();
    place.fetched("--resume", &stream.url);
    assert_eq!(stream.server.take_requests(), ["/2.ts", "/list.m3u8"]);
    assert!(place.bytes() == stream.bytes());
}

#[test]
fn segments_of_another_playlist_are_refused_and_kept() {
    let stream = stuck();
    let place = Place::new();
    fetch_until_stuck(&place, "--resume", &stream).end(Signal::KILL);
    stream.server.put("/other.m3u8", playlist(&["0.ts", "1.ts", "2.ts", "3.ts", "5.ts", "4.ts"]));
    let told = place.refused("--resume", &format!("{}/other.m3u8", stream.server.url));
    assert!(told.contains("output.parts is of another playlist: remove "), "{told}");
    assert_eq!(place.names(), KEPT);
    heal(&stream);
    place.fetched("--resume", &stream.url);
    assert_eq!(stream.server.take_requests(), ["/3.ts", "/4.ts", "/5.ts", "/list.m3u8"]);
    assert!(place.bytes() == stream.bytes());
}

#[test]
fn segments_under_another_pass_are_the_same_segments() {
    let stream = stuck();
    let place = Place::new();
    fetch_until_stuck(&place, "--resume", &stream).end(Signal::KILL);
    let lines = [0, 1, 2, 3, 4, 5].map(|number| format!("{number}.ts?pass=2"));
    stream.server.put("/list.m3u8", playlist(&lines));
    for number in 3..6 {
        stream.server.put(&format!("/{number}.ts?pass=2"), random(number, 200_000));
    }
    place.fetched("--resume", &stream.url);
    assert!(place.bytes() == stream.bytes());
}

#[test]
fn files_of_a_run_that_was_killed_behind_its_output_are_begun_anew() {
    let stream = stuck();
    let place = Place::new();
    fetch_until_stuck(&place, "--resume", &stream).end(Signal::KILL);
    // What that run called its parts stands in their file.
    let kept = place.path().join(KEPT[0]);
    let tag = fs::read(&kept).expect("it is there")[32..96].to_vec();
    let tag = String::from_utf8(tag).expect("text");
    let options = SpoolOptions::new().tag(tag.trim_end_matches('\0'));
    let spool = options.resume(&kept).expect("nobody has it");
    for part in 3..6 {
        spool.put(part, b"whatever it was").expect("room");
    }
    spool.finish(6).expect("six parts");
    spool.merge_to_file(place.path().join("moved away")).expect("a file");
    drop(spool);
    heal(&stream);
    place.fetched("--resume", &stream.url);
    assert!(place.bytes() == stream.bytes());
    assert_eq!(place.names(), ["moved away", "output"]);
}

#[test]
fn two_runs_do_not_share_what_is_kept() {
    let stream = stuck();
    let place = Place::new();
    let fetching = fetch_until_stuck(&place, "--resume", &stream);
    let told = place.refused("--resume", &stream.url);
    assert!(told.contains("output.parts"), "{told}");
    fetching.end(Signal::KILL);
}
