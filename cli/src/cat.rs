//! `ringkeep cat`: prints the records of a range of ids, oldest first.

use std::io::{self, IsTerminal};
use std::ops::{self, Range};
use std::path::PathBuf;
use std::time::SystemTime;

use ringkeep::{RangeCursor, Read};

use crate::exit::{Exit, Failure};
use crate::opening::{self, Bound, IoArgs};
use crate::output::{self, Progress};
use crate::records::{FormatArgs, RecordWriter};
use crate::seen::Seen;

/// From when, and until when.
type TimeRange = (ops::Bound<SystemTime>, ops::Bound<SystemTime>);

/// Print the records of a range of ids, oldest first
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The archive
    file: PathBuf,
    /// Begin with this id or time, or that long ago [default: the oldest]
    #[arg(long, value_name = "ID|TIME|AGO", value_parser = opening::bound)]
    from: Option<Bound>,
    /// End before this id or time, or that long ago [default: the next]
    #[arg(long, value_name = "ID|TIME|AGO", value_parser = opening::bound)]
    to: Option<Bound>,
    /// Print the newest N ids instead
    #[arg(long, value_name = "N", conflicts_with_all = ["from", "to"])]
    last: Option<u64>,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    io: IoArgs,
}

const EXAMPLES: &str = "\
It prints what is kept now, in the order of ids, and ends. By time it prints
exactly the records with from <= t < to, whatever the clock did. Skipped and
deleted ids are counted on stderr. Records that were asked for and are lapped,
lost or corrupt are told there too; the exit code is 1 then.

Examples:
  ringkeep cat cache.dat --last 5
  ringkeep cat log.dat --from 2026-01-01T00:00:00Z --fields t,temp
  ringkeep cat log.dat --from 10m --json
  ringkeep cat cache.dat --from 3 --to 7 --format raw > records.bin";

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let ring = args.io.open(&args.file)?;
    let asked = Asked::of(args, ring.oldest()?, ring.next_id()?)?;
    let mut seen = Seen::of(args.from.is_some_and(|from| from.id().is_some()));
    seen.count_lapped(asked.lapped);
    let mut cursor = ring.range(asked.ids.clone());
    if let Some(times) = args.times()? {
        cursor = cursor.within(times)?;
    }
    let mut writer = RecordWriter::new(&args.format, &ring, json)?;
    let outcome = print(cursor, asked.ids, &mut writer, &mut seen);
    // What was read before an error is still printed, and what was missed is still told.
    writer.flush()?;
    let exit = seen.tell();
    outcome.map(|()| exit)
}

/// The part of the asked ids that the archive can have, and how many are lapped already.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    ids: Range<u64>,
    lapped: u64,
}

impl Args {
    /// The times of the range, if it has any.
    fn times(&self) -> Result<Option<TimeRange>, Failure> {
        let from = self.from.and_then(Bound::time);
        let to = self.to.and_then(Bound::time);
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(Failure::wrong_use("--from is a later time than --to: swap them"));
        }
        let from_bound = from.map_or(ops::Bound::Unbounded, ops::Bound::Included);
        let to_bound = to.map_or(ops::Bound::Unbounded, ops::Bound::Excluded);
        Ok((from.is_some() || to.is_some()).then_some((from_bound, to_bound)))
    }
}

impl Asked {
    fn of(args: &Args, oldest: u64, next: u64) -> Result<Self, Failure> {
        let (from, to) = (args.from.and_then(Bound::id), args.to.and_then(Bound::id));
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(Failure::wrong_use(format!("--from {from} is above --to {to}: swap them")));
        }
        let last = args.last.map(|count| next.saturating_sub(count).max(oldest));
        let from = from.or(last).unwrap_or(oldest);
        let to = to.unwrap_or(next.max(from));
        if to > next {
            output::note(&format!("ids from {next} on are not written yet"));
        }
        let ids = from.clamp(oldest, next)..to.clamp(oldest, next);
        let ids = ids.start.min(ids.end)..ids.end;
        Ok(Self { lapped: oldest.min(to).saturating_sub(from), ids })
    }
}

fn print(
    mut cursor: RangeCursor,
    ids: Range<u64>,
    writer: &mut RecordWriter,
    seen: &mut Seen,
) -> Result<(), Failure> {
    let mut progress = Progress::new();
    let beside = !io::stdout().is_terminal();
    let (start, total) = (ids.start, ids.end - ids.start);
    while let Some((id, read)) = cursor.next()? {
        match read {
            Read::Record(payload) => {
                seen.begun = true;
                writer.write(id, payload)?;
            }
            other => seen.count(id, &other.map(drop)),
        }
        if beside {
            progress.show(|| format!("{} of {total} ids", id - start + 1));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(from: Option<u64>, to: Option<u64>, last: Option<u64>) -> Asked {
        let (format, io) = (FormatArgs::default(), IoArgs::default());
        let (from, to) = (from.map(Bound::Id), to.map(Bound::Id));
        let args = Args { file: PathBuf::new(), from, to, last, format, io };
        Asked::of(&args, 100, 200).expect("a good range")
    }

    #[test]
    fn ranges_are_cut_to_what_is_kept_and_the_lapped_part_is_counted() {
        for (from, to, last, ids, lapped) in [
            (None, None, None, 100..200, 0),
            (Some(150), None, None, 150..200, 0),
            (None, Some(150), None, 100..150, 0),
            (Some(50), Some(150), None, 100..150, 50),
            (Some(50), Some(60), None, 100..100, 10),
            (None, Some(60), None, 100..100, 0),
            (Some(300), None, None, 200..200, 0),
            (Some(150), Some(900), None, 150..200, 0),
            (None, None, Some(5), 195..200, 0),
            (None, None, Some(500), 100..200, 0),
            (None, None, Some(0), 200..200, 0),
        ] {
            assert_eq!(asked(from, to, last), Asked { ids, lapped }, "{from:?} {to:?} {last:?}");
        }
    }
}
