//! Stores whose process dies, whose power fails (F1, F2), and whose disk fails (F5), judged by
//! an oracle that keeps what the store held after each commit.
//!
//! After every crash the store holds what some commit has left, as a whole: the last durable one or
//! a later one, up to the one that was being committed. Looking at the file without writing finds
//! the same, and opening twice comes to the same.

pub(crate) mod crashes;
mod faults;

use crate::{report::Report, work};

/// From so many trials on every class has to occur.
const REQUIRED_FROM: u64 = 1000;

/// What must have occurred, or the crashes prove little.
const CLASSES: [&str; 11] = [
    "at rest",
    "kill while opening",
    "cut while opening",
    "kill while working",
    "cut while working",
    "crash in recovery",
    "failed sync",
    "lost what was not durable",
    "kept what was not durable",
    "cut in a commit that is there",
    "cut in a commit that is not there",
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

/// Lets each call of the disk, or one of so many, fail in turn, once and for good.
#[must_use]
pub fn fail(share: usize) -> Report {
    faults::run(share)
}
