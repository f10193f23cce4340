//! `ringkeep append`: appends records from a file or from standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ringkeep::{Producer, SyncPolicy};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::output::{self, Progress};
use crate::units;

/// Append records from a file or from standard input
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The archive
    file: PathBuf,
    /// Where records come from; - is standard input
    #[arg(default_value = "-")]
    input: PathBuf,
    /// raw: records back to back; lines: one a line, zero-padded
    #[arg(long, hide_possible_values = true, default_value = "raw")]
    format: InputFormat,
    /// When to sync: never, always, every N records, every 500ms
    #[arg(long, value_name = "WHEN", default_value = "never", value_parser = units::sync)]
    sync: SyncPolicy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    Raw,
    Lines,
}

const EXAMPLES: &str = "\
Count and ids are told on stderr. The end of the command syncs, whatever --sync says. A line that
is too long, or raw input that ends in the middle of a record, ends the command with exit code 2;
what came before it is appended.

Examples:
  ringkeep append cache.dat records.bin --sync 64
  journalctl -f | cut -c -120 | ringkeep append cache.dat - --format lines --sync 1s";

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let mut input = open(&args.input)?;
    let mut producer = Producer::open(&args.file)?;
    producer.set_sync(args.sync);
    let mut feed = Feed::new(producer)?;
    let outcome = match args.format {
        InputFormat::Raw => feed.raw(&mut input, &args.input),
        InputFormat::Lines => feed.lines(BufReader::new(input), &args.input),
    };
    // What was appended is told, whatever ended it.
    match (outcome, feed.close()) {
        (outcome, Ok(ids)) => tell(&ids, json).and(outcome).map(|()| Exit::Fine),
        (Ok(()), Err(unclosed)) => Err(unclosed),
        (Err(failure), Err(unclosed)) => {
            unclosed.tell();
            Err(failure)
        }
    }
}

fn open(input: &Path) -> Result<Box<dyn Read>, Failure> {
    if input == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    match File::open(input) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(unreadable(input, &error)),
    }
}

fn unreadable(input: &Path, error: &io::Error) -> Failure {
    Failure::system(format!("cannot read the input {}: {error}", input.display()))
}

#[derive(Debug, Serialize)]
struct Appended {
    count: u64,
    from: String,
    to: String,
}

fn tell(ids: &Range<u64>, json: bool) -> Result<(), Failure> {
    let count = ids.end - ids.start;
    match count {
        0 => output::note("appended no records"),
        1 => output::note(&format!("appended 1 record, id {}", ids.start)),
        _ => output::note(&format!("appended {count} records, ids {}..{}", ids.start, ids.end)),
    }
    if json {
        let mut out = output::stdout();
        let appended = Appended { count, from: ids.start.to_string(), to: ids.end.to_string() };
        output::json(&mut out, &appended)?;
        out.flush()?;
    }
    Ok(())
}

/// Appends what it is fed, in bounded memory, as soon as a whole record is there.
#[derive(Debug)]
struct Feed {
    producer: Producer,
    record_size: usize,
    ids: Range<u64>,
    progress: Progress,
}

/// As many bytes as are read at once, if a record is not larger.
const CHUNK_BYTES: usize = 1 << 18;

impl Feed {
    fn new(producer: Producer) -> Result<Self, Failure> {
        let ring = producer.ring();
        let next = ring.next_id()?;
        let record_size = ring.geometry().record_size;
        Ok(Self { producer, record_size, ids: next..next, progress: Progress::new() })
    }

    fn raw(&mut self, input: &mut dyn Read, name: &Path) -> Result<(), Failure> {
        let records = (CHUNK_BYTES / self.record_size).max(1);
        let mut chunk = vec![0; records * self.record_size];
        let mut filled = 0;
        loop {
            match input.read(&mut chunk[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(name, &error)),
            }
            let whole = filled - filled % self.record_size;
            if whole > 0 {
                self.append(&chunk[..whole])?;
                chunk.copy_within(whole..filled, 0);
                filled -= whole;
            }
        }
        if filled == 0 {
            return Ok(());
        }
        Err(Failure::wrong_use(format!(
            "the input ends with {filled} bytes of a record of {}: they were not appended, \
             complete or remove them",
            self.record_size
        )))
    }

    fn lines(&mut self, mut input: impl BufRead, name: &Path) -> Result<(), Failure> {
        // A line that fits, its end, and one byte more to know one that does not.
        let line_max = self.record_size as u64 + 2;
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            match input.by_ref().take(line_max).read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Err(unreadable(name, &error)),
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            if line.len() > self.record_size {
                return Err(Failure::wrong_use(format!(
                    "line {number} is longer than a record ({} bytes): it and what follows \
                     were not appended, shorten it",
                    self.record_size
                )));
            }
            line.resize(self.record_size, 0);
            self.append(&line)?;
        }
        Ok(())
    }

    fn append(&mut self, records: &[u8]) -> Result<(), Failure> {
        let ids = self.producer.append_batch(records)?;
        self.ids.end = ids.end;
        self.progress.show(|| format!("{} records", self.ids.end - self.ids.start));
        Ok(())
    }

    fn close(self) -> Result<Range<u64>, Failure> {
        self.producer.close().map_err(|error| error.source)?;
        Ok(self.ids)
    }
}
