//! How verbs open an archive, and how they are told where to begin and to end.

use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use ringkeep::{Io, ReadOptions, Ring, RingOptions, WriteOptions};

use crate::exit::Failure;
use crate::{times, units};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum How {
    #[default]
    File,
    Mmap,
}

impl How {
    fn io(self) -> Io {
        match self {
            Self::File => Io::File,
            Self::Mmap => Io::Mapped,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, clap::Args)]
struct BudgetArg {
    #[arg(
        long,
        help = "Keep at most this much in memory [env: RINGKEEP_RESIDENT_BUDGET]",
        value_name = "SIZE",
        env = "RINGKEEP_RESIDENT_BUDGET",
        hide_env = true,
        value_parser = units::size
    )]
    resident_budget: Option<u64>,
}

/// For verbs that only read.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct IoArgs {
    /// file: disk faults are errors; mmap: is woken at once [default: file]
    #[arg(
        long,
        value_name = "HOW",
        hide_possible_values = true,
        hide_default_value = true,
        default_value = "file"
    )]
    io: How,
    #[command(flatten)]
    budget: BudgetArg,
}

/// For verbs that write.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct WriteArgs {
    /// mmap: fastest; file: a file cut short is an error [default: mmap]
    #[arg(
        long,
        value_name = "HOW",
        hide_possible_values = true,
        hide_default_value = true,
        default_value = "mmap"
    )]
    io: How,
    #[command(flatten)]
    budget: BudgetArg,
}

impl IoArgs {
    pub(crate) fn is_mapped(&self) -> bool {
        self.io == How::Mmap
    }

    pub(crate) fn open(&self, path: &Path) -> Result<Ring, Failure> {
        Ok(read_options(self.io, self.budget).open(path)?)
    }
}

impl WriteArgs {
    /// For an archive that is there.
    pub(crate) fn options(self) -> WriteOptions {
        WriteOptions::new().io(self.io.io()).resident_budget(self.budget.resident_budget)
    }

    /// For an archive to be made.
    pub(crate) fn apply_to(self, options: RingOptions) -> RingOptions {
        options.io(self.io.io()).resident_budget(self.budget.resident_budget)
    }

    /// A reader beside the writer, opened alike.
    pub(crate) fn open_reader(self, path: &Path) -> Result<Ring, Failure> {
        Ok(read_options(self.io, self.budget).open(path)?)
    }

    /// As another process of this program wants to be told.
    pub(crate) fn to_arguments(self) -> Vec<String> {
        let how = if self.io == How::File { "file" } else { "mmap" };
        let budget = self.budget.resident_budget;
        let budget = budget.map(|bytes| format!("--resident-budget={bytes}"));
        [Some(format!("--io={how}")), budget].into_iter().flatten().collect()
    }
}

fn read_options(io: How, budget: BudgetArg) -> ReadOptions {
    ReadOptions::new().io(io.io()).resident_budget(budget.resident_budget)
}

/// An end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Id(u64),
    Time(SystemTime),
}

impl Bound {
    pub(crate) fn id(self) -> Option<u64> {
        match self {
            Self::Id(id) => Some(id),
            Self::Time(_) => None,
        }
    }

    pub(crate) fn time(self) -> Option<SystemTime> {
        match self {
            Self::Id(_) => None,
            Self::Time(time) => Some(time),
        }
    }
}

/// One now for all bounds of a command: `--to 10m --from 10m` is empty, and not upside down.
static NOW: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);

/// Reads an id, a time, or how long ago: `1000`, `2026-02-03T04:05:06Z`, `10m`.
pub(crate) fn bound(text: &str) -> Result<Bound, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let id = text.parse().map_err(|_| "write an id, a time, or how long ago, like 10m")?;
        return Ok(Bound::Id(id));
    }
    let before = |ago: Duration| NOW.checked_sub(ago);
    if let Some(time) = units::duration(text).ok().and_then(before) {
        return Ok(Bound::Time(time));
    }
    let nanos = times::parse_utc(text)
        .map_err(|_| "write an id, a time like 2026-02-03T04:05:06Z, or how long ago, like 10m")?;
    times::system_time(nanos).map(Bound::Time).ok_or_else(|| "that time is out of range".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn an_end_is_an_id_a_time_or_how_long_ago() {
        assert_eq!(bound("1000"), Ok(Bound::Id(1000)));
        assert_eq!(
            bound("1970-01-01T00:00:02Z"),
            Ok(Bound::Time(UNIX_EPOCH + Duration::from_secs(2)))
        );
        assert_eq!(
            bound("1969-12-31 23:59:59"),
            Ok(Bound::Time(UNIX_EPOCH - Duration::from_secs(1)))
        );
        assert_eq!(bound("10m"), Ok(Bound::Time(*NOW - Duration::from_secs(600))));
        assert!(NOW.elapsed().is_ok_and(|ago| ago.as_secs() < 60), "it is the host's clock");
        for wrong in ["", "-5", "10", "10x", "yesterday", "2026-13-01", "99999999999999999999"] {
            assert!(wrong == "10" || bound(wrong).is_err(), "{wrong}");
        }
    }
}
