//! Queues that crash, are killed, and whose disk fails (F1, F2, F3, F5), judged by an oracle that
//! knows what was pushed and acknowledged. And queues that nothing happens to, under load:
//! [`stress`].
//!
//! After every crash: the items that are there are those that were pushed, in their order, without
//! a hole; what a push returned is there after a death, and what was durable after a power cut; a
//! batch is there as a whole or not at all; what was acknowledged does not come back after a death,
//! and nothing is gone that was not; opening twice comes to the same.

mod crashes;
mod faults;
mod kills;
pub mod stress;

use crate::{kill::child, report::Report, work};

/// From so many trials on every class has to occur.
const REQUIRED_FROM: u64 = 5_000;
/// The same, of kills.
const REQUIRED_FROM_KILLS: u64 = 50;
/// Queues whose processes are killed at a time.
const STORIES_MAX: usize = 2;

/// What must have occurred, or the crashes prove little.
const CLASSES: [&str; 14] = [
    "at rest",
    "kill while opening",
    "cut while opening",
    "kill while working",
    "cut while working",
    "crash in recovery",
    "torn tail",
    "torn page",
    "lost suffix",
    "received above durable",
    "acknowledged and received again",
    "many segments",
    "failed sync",
    "received",
];

/// What must have occurred, or the kills prove little.
const KILL_CLASSES: [&str; 6] = [
    "killed while opening",
    "killed while working",
    "killed while closing",
    "pushes that returned",
    "items received again",
    "items acknowledged",
];

/// Makes so many crashes on a simulated disk, on so many threads.
#[must_use]
pub fn crash(trials: u64, seed: u64, threads: usize) -> Report {
    let mut report = work::lives(trials, seed, threads, crashes::of);
    if trials >= REQUIRED_FROM {
        report.require(&CLASSES);
    }
    report
}

/// Kills so many processes that work on queues.
#[must_use]
pub fn kill(trials: u64, seed: u64) -> Report {
    let threads = work::processors().min(STORIES_MAX);
    let mut report = work::lives(trials, seed, threads, kills::of);
    if trials >= REQUIRED_FROM_KILLS {
        report.require(&KILL_CLASSES);
    }
    report
}

/// Plays the role of a child, if it is one of these.
///
/// # Panics
///
/// If a promise is broken; the parent is told before.
#[must_use]
pub fn plays(role: &str, arguments: &[String]) -> bool {
    let is_mine = role == kills::ROLE;
    if is_mine {
        child::play(role, arguments, kills::act_until_killed);
    }
    is_mine
}

/// Lets each call of the disk fail in turn, once and for good, under a day in the life of a queue.
#[must_use]
pub fn fail() -> Report {
    faults::run()
}
