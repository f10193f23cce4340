//! Random crashes of the ring on a simulated disk (F1, F2, F3), judged by an oracle that knows what
//! was written.
//!
//! A seed is one archive and several lifetimes of a producer. A lifetime ends by a clean close, a
//! failed sync, the death of the process or a power cut, at any store of its creation, opening,
//! work or closing. A reader looks between the stores, before any producer has opened, and after.
//! Each crash at a chosen step is a trial. A seed repeats all that happens to its archive.

mod driver;
pub mod exhaustive;
mod lives;
mod operations;
mod oracle;

use std::time::Duration;

use driver::Driver;
use ringkeep::SyncPolicy;

use crate::{
    report::Report,
    work::{self, guarded},
};

/// The policy of a seed, counted round.
pub const POLICIES: [SyncPolicy; 4] = [
    SyncPolicy::Never,
    SyncPolicy::EveryRecords(3),
    SyncPolicy::Interval(Duration::from_secs(1)),
    SyncPolicy::Always,
];

/// From so many trials on every class has to occur.
const REQUIRED_FROM: u64 = 5_000;

/// What must have occurred, or the trials prove little.
const CLASSES: [&str; 27] = [
    "Record",
    "Absent",
    "Lost",
    "Lapped",
    "NotYet",
    "torn tail",
    "torn sector",
    "taken by a torn sector",
    "served above durable",
    "Lost stays Lost",
    "given up by reservation",
    "double cut",
    "kill then cut",
    "kill while creating",
    "cut while creating",
    "kill while opening",
    "cut while opening",
    "kill while running",
    "cut while running",
    "kill while closing",
    "cut while closing",
    "failed sync",
    "clean close",
    "recovered twice",
    "jump",
    "gap",
    "rewrite below durable",
];

/// Which seeds to take: `first`, `first + step`, .. until there were `trials` crashes.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The first seed.
    pub first: u64,
    /// From one seed to the next; 4 stays with one policy.
    pub step: usize,
    /// Crashes after which no new archive begins.
    pub trials: u64,
    /// Archives at a time.
    pub threads: usize,
}

/// Makes the trials of a plan; many of them have to meet every class.
#[must_use]
pub fn run(plan: &Plan) -> Report {
    let seeds = (plan.first..).step_by(plan.step);
    let enough = |report: &Report| report.trials >= plan.trials;
    let mut report = work::all(plan.threads, seeds, |seed| archive(seed, false), enough);
    if plan.trials >= REQUIRED_FROM {
        report.require(&CLASSES);
    }
    report
}

/// What happens to one archive; with `trace` each step is told on standard error.
#[must_use]
pub fn archive(seed: u64, trace: bool) -> Report {
    guarded(seed, || Driver::new(seed, trace).run())
}

/// Many producers that die early on one archive, until its table of crash ranges is full.
#[must_use]
pub fn many_kills(seed: u64) -> Report {
    guarded(seed, || Driver::of_many_kills(seed).run_many_kills())
}

/// Producers on a ring of a few records that die while they append the next one or two.
#[must_use]
pub fn short_lives(seed: u64) -> Report {
    guarded(seed, || Driver::of_short_lives(seed).run_short_lives())
}
