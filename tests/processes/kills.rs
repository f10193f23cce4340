//! Goal: after `kill -9` at any moment everything that append returned is there, nothing wrong is
//! served, no id is used twice, and the next producer opens at once.
//!
//! Method: a child does random things and says each one before the next; the parent kills it after
//! a random number of lines, checks as a reader, checks as a producer, and goes on. The child, its
//! killer and the ledger are those of the command `ringkeep-torture kill`, which adds readers that
//! live through the kills; the tests here are the long lives of single kinds.

use std::{path::Path, time::Duration};

use ringkeep::{Producer, RingOptions};
use ringkeep_torture::{
    form::Form,
    kill::{
        child::{PATIENCE, Running, say, wait_for_the_end},
        killer::{Killer, spin},
        life::{Life, POLICIES, STYLE, Shape},
        payload::{fast_directory, payload_of},
    },
};

const ROUNDS: u64 = 100;
/// Kills in the middle of a slot that have to occur.
const CUTS_MIN: u32 = 3;
const ACTS: [&str; 3] = ["append", "everything", "rewrite"];

const SHAPES: [Shape; 2] = [
    Shape { record_size: 13, capacity: 500, shards: 3 },
    // Long enough to be killed in the middle of one.
    Shape { record_size: 20_000, capacity: 100, shards: 2 },
];

/// The child that does nothing but open, change a little and die: path, shape.
pub(crate) fn open_until_killed(arguments: &[String]) {
    let [path, shape @ ..] = arguments else { panic!("{arguments:?}") };
    let shape = Shape::of(shape);
    loop {
        say("opening");
        let mut producer = Producer::open(path).expect("an archive that opens");
        say("opened");
        let next = producer.ring().next_id().expect("next");
        for id in next..next + 3 {
            let payload = payload_of(STYLE, id, 0, shape.record_size);
            say(&format!("a {}", producer.append(&payload).expect("an append")));
        }
        say(&format!("U {next} 1"));
        let payload = payload_of(STYLE, next, 1, shape.record_size);
        producer.update(next, &payload).expect("an update");
        say(&format!("u {next} 1"));
        // Now and then a redo slot that was written through is left behind.
        if next.is_multiple_of(2) {
            producer.flush().expect("a flush");
        }
        producer.die();
    }
}

/// The child that makes archives until it is killed: directory.
pub(crate) fn create_until_killed(arguments: &[String]) {
    let [directory] = arguments else { panic!("{arguments:?}") };
    for number in 0.. {
        let path = Path::new(directory).join(format!("ring{number}"));
        say(&format!("creating {number}"));
        RingOptions::new(100, 1000).shards(5).create(path).expect("an archive").die();
    }
    wait_for_the_end();
}

#[test]
fn a_hundred_killed_producers_lose_nothing_that_append_returned() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut random = fastrand::Rng::with_seed(100);
    let mut cut = 0;
    for shape in SHAPES {
        let path = directory.path().join(format!("ring{}", shape.record_size));
        let mut killer = Killer::new(shape);
        for round in 0..ROUNDS / 2 {
            let policy = POLICIES[usize::try_from(round % 4).expect("small")];
            let acts = ACTS[usize::try_from(round / 4 % 3).expect("small")];
            let (seed, path) = (random.u64(..), path.clone());
            let (form, number) = (Form::Mapped, round + 1);
            let life = Life { path, shape, policy, form, acts, seed, number };
            let child = life.start();
            // A sync takes long: fewer lines there.
            let lines_max = if policy == "Always" { 60 } else { 400 };
            let moment = Duration::from_micros(random.u64(..500));
            killer.kill_after(child, random.u64(3..lines_max), moment);
            killer.check(&life.path, round.is_multiple_of(2));
        }
        let Killer { ledger, tailed, slowest, cut_appends, cut_rewrites, .. } = killer;
        let sums = ledger.sums;
        println!("{shape:?}: {sums:?}, {tailed} tailed, slowest opening {slowest:?}");
        println!("{cut_appends} appends and {cut_rewrites} rewrites were cut in a slot");
        let each = [sums.appended, sums.skipped, sums.jumps, sums.updated, sums.deleted, tailed];
        assert!(each.iter().all(|&count| count > 0), "{sums:?}");
        cut += sums.found + sums.lost;
        assert!(slowest < PATIENCE / 6, "a producer opens at once, not after {slowest:?}");
    }
    assert!(cut > 0, "no append was ever cut");
}

#[test]
fn appends_and_rewrites_that_are_cut_in_the_middle_of_a_slot_are_made_good() {
    let directory = fast_directory();
    let mut random = fastrand::Rng::with_seed(50);
    // Slots so large that one kill in ten comes while one is stored.
    let shape = Shape { record_size: 200_000, capacity: 6, shards: 2 };
    let path = directory.path().join("cache.dat");
    let mut killer = Killer::new(shape);
    let mut round = 0;
    while killer.cut_appends.min(killer.cut_rewrites) < CUTS_MIN && round < 1000 {
        let acts = if round % 3 == 0 { "append" } else { "update" };
        let (seed, path) = (random.u64(..), path.clone());
        let (policy, form, number) = ("Never", Form::Mapped, round + 1);
        let life = Life { path, shape, policy, form, acts, seed, number };
        let child = life.start();
        killer.kill_after(child, random.u64(6..12), Duration::from_micros(random.u64(..1000)));
        killer.check(&life.path, round % 2 == 0);
        round += 1;
    }
    let Killer { cut_appends, cut_rewrites, ledger, .. } = killer;
    println!("{cut_appends} appends and {cut_rewrites} rewrites of {round} were cut in a slot");
    assert!(cut_appends.min(cut_rewrites) >= CUTS_MIN && ledger.sums.lost > 0);
}

#[test]
fn producers_killed_while_they_open_leave_everything_as_it_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("cache.dat");
    let shape = SHAPES[0];
    let mut killer = Killer::new(shape);
    shape.options().create(&path).expect("an archive").close().expect("a close");
    let mut random = fastrand::Rng::with_seed(40);
    let (mut rounds, mut inside) = (0, 0);
    while rounds < 40 {
        let [size, capacity, shards] = shape.arguments();
        let arguments = [path.to_str().expect("ASCII"), &size, &capacity, &shards];
        let child = Running::start("open until killed", &arguments);
        for _ in 0..random.u32(..40) {
            killer.ledger.note(&child.line());
        }
        // On to the next opening; then a moment that may end inside it.
        let mut last = String::new();
        while last != "opening" {
            last = child.line();
            killer.ledger.note(&last);
        }
        spin(Duration::from_micros(random.u64(..8000)));
        for line in child.kill() {
            killer.ledger.note(&line);
            last = line;
        }
        inside += u32::from(last == "opening");
        rounds += 1;
        killer.check(&path, rounds % 5 == 0);
    }
    println!("{inside} of {rounds} kills inside an opening: {:?}", killer.ledger.sums);
    assert!(inside > 0);
}

#[test]
fn a_creation_that_is_killed_leaves_a_whole_archive_or_none() {
    let mut random = fastrand::Rng::with_seed(30);
    let (mut whole, mut none) = (0, 0);
    for _ in 0..30 {
        let directory = tempfile::tempdir().expect("a directory");
        let name = directory.path().to_str().expect("ASCII");
        let child = Running::start("create until killed", &[name]);
        for _ in 0..random.u32(1..4) {
            let _ = child.line();
        }
        spin(Duration::from_micros(random.u64(..3000)));
        let _ = child.kill();
        for number in 0.. {
            let path = directory.path().join(format!("ring{number}"));
            let options = RingOptions::new(100, 1000).shards(5);
            let existed = path.exists();
            let mut producer = options.open_or_create(&path).expect("whole or none");
            assert_eq!(producer.append(&[1; 100]).expect("an append"), 0);
            if !existed {
                none += 1;
                break;
            }
            whole += 1;
        }
    }
    println!("{whole} archives were whole, {none} creations were not finished");
    assert!(whole > 0 && none > 0);
}
