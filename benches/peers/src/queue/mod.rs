//! The queue beside its peers: `memory`, `overflow` and `durable`, each in a file of its own.
//!
//! Sides are the adapters in `sides/`, behind one trait. Goals, in every run: a consumer that keeps
//! up costs at most twice a locked `VecDeque`; a queue that overflows is at least five times as
//! fast as the best peer at 1 KiB; durable pushes that share syncs are at least twice as fast as
//! the best peer under the same guarantee.

mod durable;
mod items;
mod memory;
mod overflow;
mod side;
mod sides;

use std::{fs, io, path::Path, time::Duration};

use self::side::Failure;
use crate::table::Report;

/// Bytes of an item.
const SIZES: [usize; 2] = [1 << 10, 64 << 10];

/// How much is done.
#[derive(Debug, Clone, Copy)]
struct Plan {
    rounds: u32,
    /// Bytes that pass through memory in a round.
    memory_bytes: usize,
    /// Bytes pushed in a round of `overflow`, at most, and how long a side may take for that.
    overflow_bytes: usize,
    overflow_time: Duration,
    /// What ringkeep may keep of that in memory.
    budget_bytes: usize,
    /// How long a side pushes in a round of `durable`.
    durable_time: Duration,
}

const QUICK: Plan = Plan {
    rounds: 3,
    memory_bytes: 64 << 20,
    overflow_bytes: 64 << 20,
    overflow_time: Duration::from_millis(250),
    budget_bytes: 4 << 20,
    durable_time: Duration::from_millis(60),
};

const FULL: Plan = Plan {
    rounds: 3,
    memory_bytes: 128 << 20,
    overflow_bytes: 512 << 20,
    overflow_time: Duration::from_millis(500),
    budget_bytes: 32 << 20,
    durable_time: Duration::from_millis(500),
};

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// A consumer that keeps up.
    Memory,
    /// Far more items than fit into memory, and then all of them out again.
    Overflow,
    /// Pushes that survive a power cut.
    Durable,
}

/// One scenario, or all of them.
pub(crate) fn run(
    directory: &Path,
    quick: bool,
    scenario: Option<Scenario>,
    report: &mut Report,
) -> Result<(), Failure> {
    let plan = if quick { QUICK } else { FULL };
    match scenario {
        Some(Scenario::Memory) => memory::run(directory, &plan, report),
        Some(Scenario::Overflow) => overflow::run(directory, &plan, report),
        Some(Scenario::Durable) => durable::run(directory, &plan, report),
        None => {
            memory::run(directory, &plan, report)?;
            overflow::run(directory, &plan, report)?;
            durable::run(directory, &plan, report)
        }
    }
}

/// Nanoseconds of each of `count` items.
fn ns_each(time: Duration, count: u32) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(count)
}

/// An empty directory of this name, for one side.
fn fresh(directory: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Failure::new("the benchmark", "empty its directory")(error));
        }
        _ => fs::create_dir(directory),
    }
    .map_err(Failure::new("the benchmark", "make its directory"))
}
