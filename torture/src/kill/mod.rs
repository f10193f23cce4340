//! Real producers that are killed with `kill -9` at random moments (F1), with readers in other
//! processes that live through it, and second producers that have to wait (F7).
//!
//! A child says each thing it does before the next one; what it said is what was acknowledged. Its
//! parent holds that against what a reader finds, what the next producer finds, and what the other
//! processes saw. A seed repeats what is drawn; the moment of a kill is the machine's.

pub mod child;
pub mod killer;
pub mod ledger;
pub mod life;
pub mod payload;
mod readers;
mod story;

use crate::{
    report::Report,
    work::{self, guarded},
};

/// Archives at a time: more would only wait for processors.
const STORIES_MAX: usize = 2;
/// From so many trials on every class has to occur.
const REQUIRED_FROM: u64 = 100;

/// What must have occurred, or the trials prove little.
pub const CLASSES: [&str; 24] = [
    "Never",
    "EveryRecords",
    "Interval",
    "Always",
    "mapped",
    "by position",
    "windowed",
    "kill while creating",
    "kill while opening",
    "kill while recovering again",
    "kill while running",
    "kill while closing",
    "clean close",
    "gap",
    "jump",
    "cut append found",
    "cut rewrite",
    "lost",
    "durable told",
    "stopped reader",
    "lapped reader",
    "reader saw a kill",
    "second producer refused",
    "second producer took over",
];

/// Makes so many kills, and a few more to end the last archives.
#[must_use]
pub fn run(trials: u64, seed: u64) -> Report {
    let story = |seed| guarded(seed, || story::of(seed));
    let enough = |report: &Report| report.trials >= trials;
    let threads = work::processors().min(STORIES_MAX);
    let mut report = work::all(threads, seed.., story, enough);
    if trials >= REQUIRED_FROM {
        report.require(&CLASSES);
    }
    report
}

/// Plays a role of a child, if it is one of these.
///
/// # Panics
///
/// If a promise is broken; the parent is told before.
#[must_use]
pub fn plays(role: &str, arguments: &[String]) -> bool {
    let play = match role {
        "act until killed" => life::act_until_killed,
        "read until killed" => readers::read_until_killed,
        "take over" => story::take_over,
        _ => return false,
    };
    child::play(role, arguments, play);
    true
}
