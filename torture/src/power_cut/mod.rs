//! Random crashes of the ring on a simulated disk (F1, F2, F3), judged by an oracle that knows what
//! was written.
//!
//! Each trial is one archive and several lifetimes of a producer. A lifetime ends by a clean close,
//! a failed sync, the death of the process or a power cut, at any store of its creation, opening,
//! work or closing. A reader looks between the stores, before any producer has opened, and after.
//! A trial is repeated by its seed alone.

pub mod exhaustive;
mod lives;
mod operations;
mod oracle;
mod trial;

use std::time::Duration;

use ringkeep::SyncPolicy;
use trial::Trial;

use crate::{
    report::Report,
    work::{self, guarded},
};

/// The policy of a trial is that of its seed, counted round.
pub const POLICIES: [SyncPolicy; 4] = [
    SyncPolicy::Never,
    SyncPolicy::EveryRecords(3),
    SyncPolicy::Interval(Duration::from_secs(1)),
    SyncPolicy::Always,
];

/// What must have occurred, or the trials prove little.
pub const CLASSES: [&str; 28] = [
    "crashes",
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

/// Which trials to make: `first`, `first + step`, .. until there were `crashes` crashes.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The first seed.
    pub first: u64,
    /// From one seed to the next; 4 stays with one policy.
    pub step: usize,
    /// Crashes after which no new trial begins.
    pub crashes: u64,
    /// Threads that make trials.
    pub threads: usize,
}

/// Makes the trials of a plan.
#[must_use]
pub fn run(plan: &Plan) -> Report {
    let seeds = (plan.first..).step_by(plan.step);
    let crashes = |report: &Report| report.outcomes.get("crashes").copied().unwrap_or_default();
    let enough = |report: &Report| crashes(report) >= plan.crashes;
    work::all(plan.threads, seeds, |seed| trial(seed, false), enough)
}

/// One trial; with `trace` it tells each step on standard output.
#[must_use]
pub fn trial(seed: u64, trace: bool) -> Report {
    guarded(seed, || Trial::new(seed, trace).run())
}

/// Many producers that die early on one archive, until its table of crash ranges is full.
#[must_use]
pub fn many_kills(seed: u64) -> Report {
    guarded(seed, || Trial::of_many_kills(seed).run_many_kills())
}

/// Producers on a ring of a few records that die while they append the next one or two.
#[must_use]
pub fn short_lives(seed: u64) -> Report {
    guarded(seed, || Trial::of_short_lives(seed).run_short_lives())
}
