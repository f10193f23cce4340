//! `ringkeep tail`: prints the newest records, and follows what comes.

use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use ringkeep::{AfterLap, Ring, Start, Tailed, Tailer};

use crate::exit::{Exit, Failure};
use crate::opening::{self, Bound, IoArgs};
use crate::output;
use crate::records::{FormatArgs, RecordWriter};
use crate::seen::Seen;
use crate::stop::{Again, Stop};

/// Print the newest records, and follow what is appended
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The archive
    file: PathBuf,
    /// Go on with what is appended, until a signal
    #[arg(short, long)]
    follow: bool,
    /// Begin with the newest N ids
    #[arg(short = 'n', long, value_name = "N", default_value = "10", conflicts_with = "from")]
    last: u64,
    /// Begin with this id or time, or that long ago
    #[arg(long, value_name = "ID|TIME|AGO", value_parser = opening::bound)]
    from: Option<Bound>,
    /// What to do about overwritten records: skip or fail
    #[arg(long, value_name = "WHAT", hide_possible_values = true, default_value = "skip")]
    on_lapped: OnLapped,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    io: IoArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnLapped {
    Skip,
    Fail,
}

const EXAMPLES: &str = "\
Records that were overwritten before they were read are told on stderr, with
their count and ids; the exit code is 1 then, as for lost and corrupt ones. With
--io file an idle follower looks at most 20 times a second; with --io mmap the
producer wakes it at once.

Examples:
  ringkeep tail cache.dat
  ringkeep tail log.dat -n 100 --fields t,temp
  ringkeep tail log.dat --from 10m --json
  ringkeep tail -f cache.dat | head -n 5";

/// Pauses of an idle follower that nobody wakes: longer and longer.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(60);
/// How long a follower that is woken can take to see a signal, or a pipe that was closed.
const NAP: Duration = Duration::from_millis(250);

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let ring = args.io.open(&args.file)?;
    let mut writer = RecordWriter::new(&args.format, &ring, json)?;
    let stop = args.follow.then(|| Stop::listen(Again::Kills)).transpose()?;
    let end = ring.next_id()?;
    let (start, lapped) = args.start(&ring, end)?;
    let mut tailer = ring.tailer(start);
    if !args.follow {
        // It ends soon: a head start would give up ids that can still be read.
        tailer = tailer.after_lap(AfterLap::Oldest { margin: 0 });
    }
    // A time that the archive cannot be searched by is told now, and not as an empty result.
    if let Some(Bound::Time(time)) = args.from {
        ring.range(end..end).within(time..)?;
    }
    let mut following = Following { args, tailer, seen: Seen::of(true) };
    let outcome = following.missed(&lapped).and_then(|()| match stop {
        None => following.print(&mut writer, end, Duration::ZERO).map(drop),
        Some(stop) => following.follow(&mut writer, &stop),
    });
    // What was read before an error is still printed, and what was missed is still told.
    writer.flush()?;
    let exit = following.seen.tell();
    outcome.map(|()| exit)
}

impl Args {
    /// Where to begin, and the ids that were asked for and are lapped already. A tailer that began
    /// there would take its head start, and give up ids on top that can still be read.
    fn start(&self, ring: &Ring, next: u64) -> Result<(Start, Range<u64>), Failure> {
        let oldest = ring.oldest()?;
        Ok(match self.from {
            Some(Bound::Id(id)) => (Start::Id(id.max(oldest)), id..oldest),
            Some(Bound::Time(time)) => (Start::Time(time), 0..0),
            None => (Start::Id(next.saturating_sub(self.last).max(oldest)), 0..0),
        })
    }
}

/// A tailer, and what it missed.
#[derive(Debug)]
struct Following<'a> {
    args: &'a Args,
    tailer: Tailer,
    seen: Seen,
}

impl Following<'_> {
    fn follow(&mut self, writer: &mut RecordWriter, stop: &Stop) -> Result<(), Failure> {
        let mut pause = PAUSE_MIN;
        let mut wait = Duration::ZERO;
        loop {
            let printed = self.print(writer, u64::MAX, wait)?;
            writer.flush()?;
            if output::is_closed() {
                return Ok(());
            }
            // Where the producer wakes it, the tailer waits; else it is a signal that can.
            pause = if printed { PAUSE_MIN } else { (2 * pause).min(PAUSE_MAX) };
            let mut due = Instant::now();
            if self.args.io.is_mapped() {
                wait = NAP;
            } else {
                due += pause;
            }
            if stop.wait_until(due).is_some() {
                return Ok(());
            }
        }
    }

    /// Prints what is there up to `end`, a part of it if it follows, so that signals are heard in
    /// a burst; whether there was anything.
    fn print(
        &mut self,
        writer: &mut RecordWriter,
        end: u64,
        wait: Duration,
    ) -> Result<bool, Failure> {
        let part = if self.args.follow { 10_000 } else { u64::MAX };
        for count in 0..part {
            if self.tailer.position() >= end {
                return Ok(count > 0);
            }
            // A look for news costs a call of the system by itself: only the first one asks for it.
            let item = match count {
                0 => self.tailer.next_timeout(wait)?,
                _ => self.tailer.try_next()?,
            };
            match item {
                None => return Ok(count > 0),
                Some(Tailed::Record { id, payload }) => writer.write(id, payload)?,
                Some(Tailed::Hole { id, read }) => self.seen.count(id, &read),
                Some(Tailed::Missed { ids }) => self.missed(&ids)?,
                Some(_) => {
                    return Err(Failure::data("another archive has taken its place: open it anew"));
                }
            }
        }
        Ok(true)
    }

    fn missed(&mut self, ids: &Range<u64>) -> Result<(), Failure> {
        if ids.is_empty() {
            return Ok(());
        }
        self.seen.count_missed(ids);
        match self.args.on_lapped {
            OnLapped::Skip => Ok(()),
            OnLapped::Fail => {
                Err(Failure::data("too slow for the producer, and --on-lapped fail ends it"))
            }
        }
    }
}
