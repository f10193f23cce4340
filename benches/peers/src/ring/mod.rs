//! The ring beside what the machine can do, a plain file, and databases that keep the last records
//! under an increasing id. `sides/mod.rs` says how each of them is used.
//!
//! Every side does the same in rounds that alternate their order. What is read is checked, and
//! readers that follow a producer get every id in order. A figure is the median of the rounds; a
//! ratio is taken within rounds. `goals.rs` has what ringkeep is to reach.

mod board;
mod child;
mod durable;
mod follow;
mod goals;
mod hot;
mod latency;
mod pace;
mod records;
mod rows;
mod sides;
mod wake;

use std::path::Path;

use clap::ValueEnum;

use self::{board::Board, sides::Setup};
pub(crate) use self::{child::Child, sides::LIMIT};
use crate::table::Report;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Bytes of a payload.
const SIZES: [usize; 3] = [32, 128, 4096];

/// A part of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Appends, reads and scans of one thread, and a scan from the disk.
    Hot,
    /// A sync for each 64 records.
    Durable,
    /// Readers that follow a producer.
    Follow,
    /// The time of single reads.
    Latency,
    /// A sleeping reader in another process.
    Wake,
}

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    rounds: u32,
    /// Bytes of all records that are kept.
    ring_bytes: u64,
    /// Records written again at most, and read in any order at most.
    writes: u64,
    reads: u64,
    /// Groups of 64 records, with a sync each.
    groups: u64,
    /// Bytes of all records that are kept where readers follow, and how much a producer appends
    /// then and each of them reads: bytes or records, whichever is less.
    followed_ring_bytes: u64,
    followed_bytes: u64,
    followed_records: u64,
    /// Reads that are timed one by one.
    timed_reads: u64,
    wakes: u64,
}

impl Plan {
    pub(crate) fn new(quick: bool, ring_mib: Option<u64>) -> Self {
        let mut plan = if quick { QUICK } else { FULL };
        if let Some(mib) = ring_mib {
            plan.ring_bytes = mib << 20;
        }
        plan
    }

    fn followed(&self, setup: &Setup) -> u64 {
        self.followed_records.min(self.followed_bytes / setup.record_bytes as u64)
    }
}

const QUICK: Plan = Plan {
    rounds: 3,
    ring_bytes: 16 << 20,
    writes: 50_000,
    reads: 50_000,
    groups: 8,
    followed_ring_bytes: 4 << 20,
    followed_bytes: 32 << 20,
    followed_records: 50_000,
    timed_reads: 10_000,
    wakes: 200,
};

const FULL: Plan = Plan {
    rounds: 5,
    ring_bytes: 64 << 20,
    writes: 500_000,
    reads: 200_000,
    groups: 50,
    followed_ring_bytes: 16 << 20,
    followed_bytes: 256 << 20,
    followed_records: 1_000_000,
    timed_reads: 100_000,
    wakes: 2_000,
};

/// The parts that are named, or all of them.
pub(crate) fn run(
    directory: &Path,
    plan: &Plan,
    parts: &[Part],
    report: &mut Report,
) -> Result<()> {
    let mut board = Board::default();
    let wanted = |part| parts.is_empty() || parts.contains(&part);
    for record_bytes in SIZES {
        if wanted(Part::Hot) {
            hot::run(directory, plan, record_bytes, &mut board)?;
        }
        if wanted(Part::Durable) {
            durable::run(directory, plan, record_bytes, &mut board)?;
        }
        if wanted(Part::Follow) {
            follow::run(directory, plan, record_bytes, &mut board)?;
        }
    }
    if wanted(Part::Latency) {
        latency::run(directory, plan, &mut board)?;
    }
    if wanted(Part::Wake) {
        wake::run(directory, plan, &mut board)?;
    }
    goals::judge(&board, report);
    board.report(report);
    Ok(())
}
