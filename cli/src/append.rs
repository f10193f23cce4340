//! `ringkeep append`: appends records from a file or from standard input.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ringkeep::{Producer, Schema, SyncPolicy};
use serde::Serialize;

use crate::columns::csv::CsvDecoder;
use crate::columns::ndjson::JsonRows;
use crate::exit::{Exit, Failure};
use crate::input::{Decoder, Lines, Raw, Rows};
use crate::opening::WriteArgs;
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
    /// csv, ndjson, lines or raw [default: csv with a schema, lines without]
    #[arg(long, hide_possible_values = true)]
    format: Option<InputFormat>,
    /// Pass over rows that are wrong, count them, and exit with 1
    #[arg(long)]
    skip_bad: bool,
    /// When to sync: never, always, every N records, every 500ms
    #[arg(long, value_name = "WHEN", default_value = "never", value_parser = units::sync)]
    sync: SyncPolicy,
    #[command(flatten)]
    write: WriteArgs,
}

/// What the bytes of the input are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    Raw,
    Lines,
    Csv,
    Ndjson,
}

impl InputFormat {
    fn decoder(
        self,
        record_size: usize,
        schema: Option<&Schema>,
    ) -> Result<Box<dyn Decoder>, Failure> {
        // Hexadecimal takes two characters for a byte, a list of small numbers more.
        let row_bytes_max = (1 << 20) + 32 * record_size;
        let schema = || {
            schema.cloned().ok_or_else(|| {
                Failure::wrong_use(
                    "the archive has no schema, so there are no columns: use --format lines or raw",
                )
            })
        };
        Ok(match self {
            Self::Raw => Box::new(Raw::new(record_size)),
            Self::Lines => Box::new(Lines::new(row_bytes_max, Rows::Text { record_size })),
            Self::Csv => Box::new(CsvDecoder::new(schema()?, row_bytes_max)),
            Self::Ndjson => {
                Box::new(Lines::new(row_bytes_max, Rows::Json(JsonRows::new(&schema()?)?)))
            }
        })
    }
}

const EXAMPLES: &str = "\
CSV begins with a line that names all columns, in any order. Times are RFC 3339
or whole numbers in the field's unit; an empty float is NaN; a column or key
'id' is passed over. Lines are filled up with zeros. Rows are appended as they
arrive. The first wrong row ends the command with exit code 2, and what came
before it stays. The end of the command syncs, whatever --sync says.

Examples:
  ringkeep append log.dat readings.csv --sync 1s
  printf 't,temp\\n2026-01-01T00:00:00Z,21.5\\n' | ringkeep append log.dat
  printf 'one\\ntwo\\n' | ringkeep append cache.dat";

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let mut input = open(&args.input)?;
    let producer = args.write.options().sync(args.sync).open(&args.file)?;
    let mut feed = Feed::new(producer, args.skip_bad)?;
    let outcome = args
        .decoder(&feed)
        .and_then(|mut decoder| feed.read(&mut *input, &args.input, &mut *decoder));
    let skipped = feed.skipped.clone();
    // What was appended is told, whatever ended it.
    match (outcome, feed.close()) {
        (outcome, Ok(ids)) => {
            tell(&ids, &skipped, json).and(outcome)?;
            Ok(if skipped.count > 0 { Exit::Data } else { Exit::Fine })
        }
        (Ok(()), Err(unclosed)) => Err(unclosed),
        (Err(failure), Err(unclosed)) => {
            unclosed.tell();
            Err(failure)
        }
    }
}

impl Args {
    fn decoder(&self, feed: &Feed) -> Result<Box<dyn Decoder>, Failure> {
        let ring = feed.producer.ring();
        let schema = ring.schema();
        let format = match (self.format, &schema) {
            (Some(format), _) => format,
            (None, Ok(Some(_))) => InputFormat::Csv,
            (None, _) => InputFormat::Lines,
        };
        let schema = match format {
            InputFormat::Csv | InputFormat::Ndjson => schema?,
            InputFormat::Raw | InputFormat::Lines => None,
        };
        format.decoder(ring.geometry().record_size, schema)
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
    skipped: u64,
}

fn tell(ids: &Range<u64>, skipped: &Skipped, json: bool) -> Result<(), Failure> {
    let count = ids.end - ids.start;
    match count {
        0 => output::note("appended no records"),
        1 => output::note(&format!("appended 1 record, id {}", ids.start)),
        _ => output::note(&format!("appended {count} records, ids {}..{}", ids.start, ids.end)),
    }
    if let Some(first) = &skipped.first {
        output::note(&format!("passed over {} wrong rows, the first: {first}", skipped.count));
    }
    if json {
        let mut out = output::stdout();
        let (from, to) = (ids.start.to_string(), ids.end.to_string());
        output::json(&mut out, &Appended { count, from, to, skipped: skipped.count })?;
        out.flush()?;
    }
    Ok(())
}

/// Rows that were passed over, and what was wrong with the first one.
#[derive(Debug, Clone, Default)]
struct Skipped {
    count: u64,
    first: Option<String>,
}

/// Appends what it is fed, in bounded memory, as soon as it has arrived.
#[derive(Debug)]
struct Feed {
    producer: Producer,
    /// Records that are not appended yet.
    batch: Vec<u8>,
    ids: Range<u64>,
    skip_bad: bool,
    skipped: Skipped,
    progress: Progress,
}

/// As many bytes as are read at once.
const CHUNK_BYTES: usize = 1 << 18;

impl Feed {
    fn new(producer: Producer, skip_bad: bool) -> Result<Self, Failure> {
        let next = producer.ring().next_id()?;
        let progress = Progress::new();
        let (batch, skipped) = (Vec::new(), Skipped::default());
        Ok(Self { producer, batch, ids: next..next, skip_bad, skipped, progress })
    }

    fn read(
        &mut self,
        input: &mut dyn Read,
        name: &Path,
        decoder: &mut dyn Decoder,
    ) -> Result<(), Failure> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = match input.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(name, &error)),
                Ok(count) => count,
            };
            let mut sink = |row: Result<&[u8], String>| self.take(row);
            let taken = match count {
                0 => decoder.end(&mut sink),
                _ => decoder.push(&chunk[..count], &mut sink),
            };
            // What came before a wrong row is appended, and what has arrived waits for nothing.
            let appended = self.flush();
            taken.and(appended)?;
            if count == 0 {
                return Ok(());
            }
        }
    }

    fn take(&mut self, row: Result<&[u8], String>) -> Result<(), Failure> {
        match row {
            Ok(record) => {
                self.batch.extend_from_slice(record);
                if self.batch.len() >= CHUNK_BYTES { self.flush() } else { Ok(()) }
            }
            Err(wrong) if self.skip_bad => {
                self.skipped.count += 1;
                self.skipped.first.get_or_insert(wrong);
                Ok(())
            }
            Err(wrong) => Err(Failure::wrong_use(format!(
                "{wrong}: it and what follows were not appended (--skip-bad passes over such rows)"
            ))),
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.ids.end = self.producer.append_batch(&self.batch)?.end;
        self.batch.clear();
        self.progress.show(|| format!("{} records", self.ids.end - self.ids.start));
        Ok(())
    }

    fn close(self) -> Result<Range<u64>, Failure> {
        self.producer.close().map_err(|error| error.source)?;
        Ok(self.ids)
    }
}
