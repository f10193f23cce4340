//! `ringkeep cat`: prints the records of a range of ids, oldest first.

use std::io::{self, IsTerminal};
use std::ops::Range;
use std::path::PathBuf;

use ringkeep::{Read, Ring};

use crate::exit::{Exit, Failure};
use crate::output::{self, Progress};
use crate::records::{FormatArgs, RecordWriter};

/// Print the records of a range of ids, oldest first
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The archive
    file: PathBuf,
    /// First id to print [default: the oldest]
    #[arg(long, value_name = "ID")]
    from: Option<u64>,
    /// One past the last id to print [default: the next]
    #[arg(long, value_name = "ID")]
    to: Option<u64>,
    /// Print the newest N ids instead
    #[arg(long, value_name = "N", conflicts_with_all = ["from", "to"])]
    last: Option<u64>,
    #[command(flatten)]
    format: FormatArgs,
}

const EXAMPLES: &str = "\
It prints what is kept now and ends. Skipped and deleted ids are counted on stderr. Records that
were asked for and are lapped, lost or corrupt are told on stderr; the exit code is 1 then.

Examples:
  ringkeep cat cache.dat --last 5
  ringkeep cat cache.dat --from 1000 --to 2000 --json
  ringkeep cat cache.dat --format raw > records.bin";

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let ring = Ring::open(&args.file)?;
    let mut writer = RecordWriter::new(&args.format, &ring, json)?;
    let asked = Asked::of(args, ring.oldest()?, ring.next_id()?)?;
    let mut seen = Seen { begun: args.from.is_some(), ..Seen::default() };
    seen.count_lapped(asked.lapped);
    let outcome = print(&ring, asked.ids, &mut writer, &mut seen);
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

impl Asked {
    fn of(args: &Args, oldest: u64, next: u64) -> Result<Self, Failure> {
        if let (Some(from), Some(to)) = (args.from, args.to)
            && from > to
        {
            return Err(Failure::wrong_use(format!("--from {from} is above --to {to}: swap them")));
        }
        let last = args.last.map(|count| next.saturating_sub(count).max(oldest));
        let from = args.from.or(last).unwrap_or(oldest);
        let to = args.to.unwrap_or(next.max(from));
        if to > next {
            output::note(&format!("ids from {next} on are not written yet"));
        }
        let ids = from.clamp(oldest, next)..to.clamp(oldest, next);
        let ids = ids.start.min(ids.end)..ids.end;
        Ok(Self { lapped: oldest.min(to).saturating_sub(from), ids })
    }
}

fn print(
    ring: &Ring,
    ids: Range<u64>,
    writer: &mut RecordWriter,
    seen: &mut Seen,
) -> Result<(), Failure> {
    let mut progress = Progress::new();
    let beside = !io::stdout().is_terminal();
    let (start, total) = (ids.start, ids.end - ids.start);
    let mut cursor = ring.range(ids);
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

/// What came instead of records.
#[derive(Debug, Default)]
struct Seen {
    /// The first id is settled: `--from` gave it, or a record was printed.
    begun: bool,
    absent: u64,
    /// Lapped before the first id was settled: a producer at work moved the start of the range.
    moved: u64,
    lapped: u64,
    lost: u64,
    corrupt: u64,
    others: u64,
}

impl Seen {
    fn count(&mut self, id: u64, read: &Read<()>) {
        match read {
            Read::Absent => self.absent += 1,
            Read::Lapped { .. } => self.count_lapped(1),
            Read::Lost => self.lost += 1,
            Read::Corrupt { .. } => {
                self.corrupt += 1;
                output::note(&format!("id {id}: {read}"));
            }
            _ => {
                self.others += 1;
                output::note(&format!("id {id}: {read}"));
            }
        }
    }

    fn count_lapped(&mut self, count: u64) {
        if self.begun {
            self.lapped += count;
        } else {
            self.moved += count;
        }
    }

    /// Tells the counts on stderr. A start that moved is no loss: nobody asked for those ids.
    fn tell(&self) -> Exit {
        for (count, what) in [
            (self.absent, "ids hold no record (skipped or deleted)"),
            (self.moved, "records were overwritten before the first one was read"),
            (self.lapped, "records were overwritten before they were read"),
            (self.lost, "records were lost in a crash"),
            (self.corrupt, "records are corrupt; 'ringkeep verify' shows where"),
        ] {
            if count > 0 {
                output::note(&format!("{count} {what}"));
            }
        }
        let missing = self.lapped + self.lost + self.corrupt + self.others;
        if missing > 0 { Exit::Data } else { Exit::Fine }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(from: Option<u64>, to: Option<u64>, last: Option<u64>) -> Asked {
        let format = FormatArgs::default();
        let args = Args { file: PathBuf::new(), from, to, last, format };
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
