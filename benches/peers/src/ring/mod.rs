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
mod picture;
mod records;
mod rows;
mod sides;
mod size;
mod wake;

use std::{ops::RangeInclusive, path::Path};

use clap::{Args, ValueEnum};

use self::{
    board::Board,
    sides::{SIDES, Setup, Side},
    size::Sizes,
};
pub(crate) use self::{child::Child, picture::draw, sides::LIMIT};
use crate::table::Report;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Bytes of a payload.
const SIZES: [usize; 3] = [32, 128, 4096];
/// Both marks fit into the least, and the most into what is written at once.
const SIZES_RANGE: RangeInclusive<usize> = 16..=64 << 10;

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
    /// The hot works with a small ring and with a large one, records of 128 bytes; only if it is
    /// asked for with `--quick`.
    Size,
}

/// What is compared.
#[derive(Debug, Args)]
pub(crate) struct Choice {
    /// Only these kinds of work.
    #[arg(long, value_enum, value_delimiter = ',')]
    parts: Vec<Part>,
    /// Only payloads of so many bytes, 16 to 65536. Default: 32, 128 and 4096.
    #[arg(long, value_delimiter = ',', value_name = "BYTES")]
    record_bytes: Vec<usize>,
    /// Only these systems: limit, file, striped, ringkeep, ..; ratios need `limit` and `ringkeep`.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    systems: Vec<String>,
    /// MiB of records that each side keeps. Default: 64, or 16 with `--quick`.
    #[arg(long, value_name = "N")]
    ring_mib: Option<u64>,
    #[command(flatten)]
    sizes: Sizes,
}

impl Choice {
    fn record_bytes_or<'a>(&'a self, others: &'a [usize]) -> &'a [usize] {
        if self.record_bytes.is_empty() { others } else { &self.record_bytes }
    }
}

/// How much is done.
#[derive(Debug, Clone, Copy)]
struct Plan {
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
    fn followed(&self, setup: &Setup) -> u64 {
        self.followed_records.min(self.followed_bytes / setup.record_bytes as u64)
    }
}

const QUICK: Plan = Plan {
    rounds: 3,
    ring_bytes: 16 << 20,
    writes: 50_000,
    reads: 50_000,
    groups: 100,
    followed_ring_bytes: 64 << 20,
    followed_bytes: 128 << 20,
    followed_records: 500_000,
    timed_reads: 10_000,
    wakes: 200,
};

const FULL: Plan = Plan {
    rounds: 5,
    ring_bytes: 64 << 20,
    writes: 500_000,
    reads: 200_000,
    groups: 500,
    followed_ring_bytes: 64 << 20,
    followed_bytes: 256 << 20,
    followed_records: 500_000,
    timed_reads: 100_000,
    wakes: 1_000,
};

/// A run of the comparison: where, how much, and who takes part.
struct Bench<'a> {
    directory: &'a Path,
    plan: Plan,
    sides: Vec<Side>,
}

/// What is chosen, or all of it.
pub(crate) fn run(
    directory: &Path,
    quick: bool,
    choice: &Choice,
    report: &mut Report,
) -> Result<()> {
    if let Some(bytes) = choice.record_bytes.iter().find(|bytes| !SIZES_RANGE.contains(bytes)) {
        return Err(format!("payloads of {bytes} bytes are not compared").into());
    }
    let mut plan = if quick { QUICK } else { FULL };
    if let Some(mib) = choice.ring_mib {
        plan.ring_bytes = mib << 20;
    }
    let bench = Bench { directory, plan, sides: sides_of(choice)? };
    // First of all: a run of hours does not fail at its end.
    let wants_size = wants_size(directory, quick, choice, report)?;
    let mut board = Board::default();
    // A full run takes its time: whoever waits sees what for.
    let begins = |part: Part, record_bytes: usize| {
        let begins = choice.parts.is_empty() || choice.parts.contains(&part);
        if begins {
            eprintln!("{part:?}, {record_bytes} bytes ..");
        }
        begins
    };
    for &record_bytes in choice.record_bytes_or(&SIZES) {
        if begins(Part::Hot, record_bytes) {
            hot::run(&bench, record_bytes, &mut board)?;
        }
        if begins(Part::Durable, record_bytes) {
            durable::run(&bench, record_bytes, &mut board)?;
        }
        if begins(Part::Follow, record_bytes) {
            follow::run(&bench, record_bytes, &mut board)?;
        }
    }
    if begins(Part::Latency, latency::RECORD_BYTES) {
        latency::run(&bench, &mut board)?;
    }
    if begins(Part::Wake, wake::RECORD_BYTES) {
        wake::run(&bench, &mut board)?;
    }
    if wants_size {
        for &record_bytes in choice.record_bytes_or(&[size::RECORD_BYTES]) {
            size::run(&bench, record_bytes, choice.sizes, report)?;
        }
    }
    goals::judge(&board, report);
    board.report(report);
    Ok(())
}

/// Whether the part `size` is done. Where it is one of all, it is left out for want of room.
fn wants_size(directory: &Path, quick: bool, choice: &Choice, report: &mut Report) -> Result<bool> {
    let is_chosen = choice.parts.contains(&Part::Size);
    if !is_chosen && (quick || !choice.parts.is_empty()) {
        return Ok(false);
    }
    let mut record_bytes = choice.record_bytes_or(&[size::RECORD_BYTES]).iter();
    match record_bytes.try_for_each(|&bytes| choice.sizes.check(directory, bytes)) {
        Err(error) if !is_chosen => {
            report.note(format!("left out: {error}"));
            Ok(false)
        }
        checked => checked.map(|()| true),
    }
}

fn sides_of(choice: &Choice) -> Result<Vec<Side>> {
    let known = |name: &&String| SIDES.iter().any(|side| side.name == **name);
    if let Some(name) = choice.systems.iter().find(|name| !known(name)) {
        return Err(format!("{name} is no system").into());
    }
    let wanted = |side: &Side| {
        choice.systems.is_empty() || choice.systems.iter().any(|name| name == side.name)
    };
    Ok(SIDES.into_iter().filter(wanted).collect())
}
