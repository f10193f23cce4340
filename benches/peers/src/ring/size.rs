//! The hot works once with a small ring and once with a large one. What a large one costs more in
//! caches and translations it costs the limit too, so that ratios to the limit are compared, each
//! taken within one run.
//!
//! Where files are on a disk, the kernel has written much of a large ring back before it is full,
//! so that appends to it find other pages than those to a small one. In `writeback` both find pages
//! that were just written, and on tmpfs no page is ever written back.

use std::{fs, path::Path};

use clap::Args;
use rustix::fs::statvfs;

use super::{
    Bench, Plan, Result,
    board::{Board, Row},
    hot, rows,
    sides::{LIMIT, Side},
};
use crate::table::{Goal, OURS, Report};

/// Bytes of a record where none are asked for.
pub(super) const RECORD_BYTES: usize = 128;
/// More than any slot takes beside its record.
const BESIDE_BYTES: u64 = 16;
/// More than anything else takes.
const SPARE_BYTES: u64 = 512 << 20;
/// How many times as far from the limit a large ring may be as a small one.
const GROWTH_MAX: f64 = 1.3;

const JUDGED: [rows::Name; 6] = [
    rows::OVERWRITE,
    rows::WRITEBACK,
    rows::RANDOM_READ,
    rows::READ_MANY,
    rows::SCAN,
    rows::READ_RANGE,
];

/// Of the part `size`.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Sizes {
    /// MiB of records of the small ring of the part `size`.
    #[arg(long, value_name = "N", default_value_t = 64)]
    small_mib: u64,
    /// MiB of records of the large one.
    #[arg(long, value_name = "N", default_value_t = 8192)]
    large_mib: u64,
}

impl Sizes {
    /// Whether a run would end well: the file of one side at a time, and all of it in memory.
    pub(super) fn check(self, directory: &Path, record_bytes: usize) -> Result<()> {
        if self.small_mib >= self.large_mib {
            return Err("size: the small ring is not smaller than the large one".into());
        }
        let count = bytes(self.large_mib) / record_bytes as u64;
        let needed = count.saturating_mul(record_bytes as u64 + BESIDE_BYTES);
        let needed_mib = needed.saturating_add(SPARE_BYTES) >> 20;
        let found = statvfs(directory)?;
        let disk_mib = found.f_bavail.saturating_mul(found.f_frsize) >> 20;
        let memory_mib = available_kib()? >> 10;
        if needed_mib > disk_mib.min(memory_mib) {
            return Err(format!(
                "size: rings of {} MiB need {needed_mib} MiB of disk, of which {disk_mib} are \
                 free, and as much memory, of which {memory_mib} are; see --large-mib",
                self.large_mib
            )
            .into());
        }
        Ok(())
    }
}

fn bytes(mib: u64) -> u64 {
    mib.saturating_mul(1 << 20)
}

/// What the page cache could take.
fn available_kib() -> Result<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.ok_or("/proc/meminfo does not say what is available")?.parse()?)
}

pub(super) fn run(
    bench: &Bench<'_>,
    record_bytes: usize,
    sizes: Sizes,
    report: &mut Report,
) -> Result<()> {
    let able = |side: &&Side| [LIMIT, OURS].contains(&side.name);
    let compared: Vec<Side> = bench.sides.iter().filter(able).copied().collect();
    let measure = |mib| {
        let plan = Plan { ring_bytes: bytes(mib), ..bench.plan };
        let bench = Bench { directory: bench.directory, plan, sides: compared.clone() };
        let mut board = Board::default();
        hot::run(&bench, record_bytes, &mut board).map(|()| board)
    };
    let Sizes { small_mib, large_mib } = sizes;
    let (small, large) = (measure(small_mib)?, measure(large_mib)?);
    for (work, what) in JUDGED {
        let row = Row { work, what, record_bytes };
        let ratio = |board: &Board| {
            let work = board.find(row)?;
            work.times(OURS, work, LIMIT)
        };
        let (Some(near), Some(far)) = (ratio(&small), ratio(&large)) else { continue };
        let growth = far.median / near.median;
        report.add_goal(Goal {
            text: format!("size, {work}, {what}, {record_bytes} bytes, at most {GROWTH_MAX}"),
            found: format!(
                "{OURS} takes {far} times as long as {LIMIT} at {large_mib} MiB and {near} at \
                 {small_mib} MiB: {growth:.2} times"
            ),
            is_met: growth <= GROWTH_MAX,
        });
    }
    small.report_of(&format!("a ring of {small_mib} MiB"), report);
    large.report_of(&format!("a ring of {large_mib} MiB"), report);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_that_does_not_fit_is_refused_with_what_it_needs() {
        let place = tempfile::tempdir().unwrap();
        let check = |small_mib, large_mib| {
            let checked = Sizes { small_mib, large_mib }.check(place.path(), 128);
            checked.map_err(|error| error.to_string())
        };
        assert!(check(64, 1 << 40).unwrap_err().contains("1236950581760 MiB of disk"));
        assert!(check(64, u64::MAX).is_err() && check(64, 64).is_err());
        assert_eq!(check(1, 2), Ok(()));
    }
}
