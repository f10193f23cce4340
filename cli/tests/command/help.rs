//! The help says what works: every example in it runs.

use std::fs;
use std::process::Command;

use ringkeep::{Bytes, Mode, QueueOptions, Store, SyncPolicy};

use crate::place::{Place, RINGKEEP};

const VERBS: [&str; 25] = [
    "record",
    "create",
    "append",
    "get",
    "cat",
    "tail",
    "stat",
    "verify",
    "queue",
    "queue stat",
    "queue verify",
    "queue peek",
    "queue export",
    "queue drain",
    "store",
    "store stat",
    "store buckets",
    "store get",
    "store scan",
    "store export",
    "store verify",
    "store compact",
    "store backup",
    "completions",
    "man",
];

/// A place with what the examples speak of.
fn prepared(verb: &str) -> Place {
    let place = Place::new();
    place.write("readings.csv", "t,temp\n2026-01-01T00:00:00Z,21.5\n2026-01-01T12:00:00Z,22\n");
    if verb != "create" {
        let schema = "t:time_ms, temp:f32[C]";
        place.run(["create", "log.dat", "--schema", schema, "--capacity", "1000"]).succeeded();
        place.run(["append", "log.dat", "readings.csv"]).succeeded();
        place.run(["create", "cache.dat", "--record-size", "8", "--capacity", "100"]).succeeded();
        place.feed(["append", "cache.dat"], b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n").succeeded();
    }
    if verb.starts_with("queue") {
        let options = QueueOptions::new(Bytes).mode(Mode::Durable(SyncPolicy::Never));
        let queue = options.open(place.path("jobs")).expect("a queue");
        queue.push_batch(vec![b"a".to_vec(), b"b".to_vec()]).expect("there is room");
    }
    if verb.starts_with("store") {
        let store = Store::open(place.path("state.redb")).expect("a store");
        let put = store.write(|tx| {
            let mut sensors = tx.bucket("sensors")?;
            ["roof/1", "roof/2", "yard/1"].iter().try_for_each(|key| sensors.put(key, "a sensor"))
        });
        put.expect("there is room");
    }
    if verb.is_empty() {
        place.run(["record", "--for", "50ms", "--every", "10ms"]).succeeded();
    }
    place
}

fn examples(help: &str) -> Vec<String> {
    let (_, examples) = help.split_once("Examples:\n").expect("examples");
    let without_remark =
        |line: &str| line.trim().split("   ").next().unwrap_or_default().to_owned();
    examples.lines().map(without_remark).collect()
}

#[test]
fn every_example_of_the_help_runs() {
    let bin = std::path::Path::new(RINGKEEP).parent().expect("a directory");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    for verb in VERBS.into_iter().chain([""]) {
        let place = prepared(verb);
        let help = place.run(verb.split_whitespace().chain(["--help"])).succeeded();
        let examples = examples(help.text());
        assert!(!examples.is_empty(), "{verb}");
        for mut example in examples {
            assert!(example.contains("ringkeep "), "{verb}: {example}");
            // A recorder runs until a signal: here for a moment.
            if example.contains("ringkeep record") && !example.contains("--for") {
                example += " --for 50ms";
            }
            let example = example.replace("--for 10s", "--for 50ms");
            let mut command = Command::new("sh");
            command.arg("-c").arg(&example).env("PATH", &path).current_dir(place.path("."));
            let output = command.output().expect("a shell");
            assert!(output.status.success(), "{verb}: {example}: {output:?}");
        }
    }
}

#[test]
fn the_commands_of_the_readme_run() {
    let readme = include_str!("../../../README.md");
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mine: Vec<&str> = blocks.filter(|block| block.starts_with("ringkeep ")).collect();
    assert_eq!(mine.len(), 1);
    let bin = std::path::Path::new(RINGKEEP).parent().expect("a directory");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let place = Place::new();
    let mut command = Command::new("sh");
    command.arg("-ec").arg(mine[0]).env("PATH", &path).current_dir(place.path("."));
    let output = command.output().expect("a shell");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(told.ends_with("id,t,temp,state\n0,2026-01-01T00:00:00.000Z,21.5,run\n"), "{told}");
}

#[test]
fn help_fits_a_screen() {
    let place = Place::new();
    for verb in VERBS.into_iter().chain(["--json"]) {
        for flag in ["-h", "--help"] {
            let help = place.run(verb.split_whitespace().chain([flag])).succeeded();
            let lines: Vec<&str> = help.text().lines().collect();
            assert!(lines.len() <= 40, "{verb}: {} lines", lines.len());
            let long = lines.iter().find(|line| line.len() > 80);
            assert_eq!(long, None, "{verb}");
        }
    }
    let all = place.run(["--help"]).succeeded();
    assert!(!all.text().contains("follow-"), "the follower is nobody's verb: {all:?}");
    assert!(place.run(["--version"]).succeeded().text().starts_with("ringkeep "));
}

#[test]
fn shells_are_told_of_every_verb_and_of_no_hidden_one() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.run(["completions", shell]).succeeded();
        for word in VERBS.iter().flat_map(|verb| verb.split_whitespace()) {
            assert!(script.text().contains(word), "{shell}: {word}");
        }
        assert!(!script.text().contains("follow-recorder"), "{shell}");
    }
    let script = place.run(["completions", "bash"]).succeeded().stdout;
    place.write("script", script);
    let checked = Command::new("bash").arg("-n").arg(place.path("script")).status();
    assert!(checked.map_or(true, |status| status.success()), "bash reads it");
    place.run(["completions", "ksh"]).failed(2, &["ksh"]);
}

#[test]
fn the_manual_has_a_page_for_every_verb() {
    let place = Place::new();
    let names = place.run(["man", "."]).succeeded();
    assert_eq!(names.text().lines().count(), VERBS.len() + 1);
    for verb in VERBS {
        let name = format!("ringkeep-{}.1", verb.replace(' ', "-"));
        let page = fs::read_to_string(place.path(&name)).expect("a page");
        assert!(page.contains("Examples:") && page.contains(".TH"), "{verb}");
    }
    let pages = fs::read_dir(place.path(".")).expect("a directory").count();
    assert_eq!(pages, VERBS.len() + 1, "a page for each name");
    place.run(["man", "gone"]).failed(3, &["gone", "cannot write"]);
}
