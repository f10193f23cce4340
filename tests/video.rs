//! Goal: the example that users start from does what it says, and refuses what it has to.
//!
//! Method: run it. Plain `cargo test` builds it too, and puts it beside the tests. Before
//! `cargo test --test video` alone, `cargo build --example video` has to.

mod example;

use std::{fs, path::Path, process::Output};

use example::{complaint, said};

fn run(arguments: &[&Path]) -> Output {
    example::run("video", arguments)
}

/// The number that stands before these words.
fn number_before(text: &str, words: &str) -> u64 {
    let before = text.split(words).next().filter(|before| before.len() < text.len());
    let before = before.unwrap_or_else(|| panic!("{words:?} is not in\n{text}"));
    let word = before.split_whitespace().next_back().expect("a word");
    word.parse().unwrap_or_else(|_| panic!("{word} {words} in\n{text}"))
}

#[test]
fn frames_overflow_to_the_disk_and_outlive_a_restart_and_a_kill() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().join("new");
    let text = said(&run(&[&place]));
    for line in [
        "overflow: 4000 frames, 4096 KiB of memory, a slow encoder",
        "  4000 encoded: 0 in memory (0 KiB), 0 on disk",
        "restart: 300 frames pushed, 100 received, 60 acknowledged",
        "  opened again: 240 frames are there",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
    }
    assert!(text.contains("\n  240 frames from number 60 on, in order and whole, "), "{text}");
    assert!(number_before(&text, " frames on disk, and ") > 0, "{text}");
    assert!(number_before(&text, " KiB in memory\n") <= 4096, "{text}");
    let pushed = number_before(&text, " pushes were known to return\n");
    let kept = number_before(&text, " frames kept, ");
    assert!(pushed >= 2000 && kept >= pushed, "{text}");
    let all = format!("\n  all {pushed} are there, and {} more\n", kept - pushed);
    assert!(text.ends_with(&all), "{text}");
    assert_eq!(fs::read_dir(&place).expect("it stays").count(), 0, "it takes its queues away");
}

#[test]
fn without_a_directory_it_uses_one_that_is_gone_afterwards() {
    let text = said(&run(&[]));
    let place = text.lines().find_map(|line| line.strip_prefix("in ")).expect("it names it");
    assert!(Path::new(place).parent().is_some_and(Path::is_dir), "{place}");
    assert!(!Path::new(place).exists(), "{place}");
}

#[test]
fn what_is_not_its_own_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("letters");
    fs::write(&file, "mine").expect("a file");
    let (code, text) = complaint(&run(&[directory.path()]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.ends_with(" is not empty, letters is in it: give another one\n"), "{text}");
    let (code, text) = complaint(&run(&[&file]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("video: cannot use "), "{text}");
    assert_eq!(fs::read(&file).expect("it is there"), b"mine");
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
}

#[test]
fn wrong_arguments_are_told_how_it_is_used() {
    for arguments in [&["--help"][..], &[""], &["one", "two"], &["--push-until-killed"]] {
        let arguments: Vec<&Path> = arguments.iter().map(Path::new).collect();
        let (code, text) = complaint(&run(&arguments));
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(text.starts_with("usage: video "), "{text}");
    }
}
