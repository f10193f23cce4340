//! `ringkeep queue drain`: takes the items out, and writes them.
//!
//! An item is acknowledged when it was written and nothing of it waits in a buffer here; what a
//! closed pipe, a full disk or a signal comes before stays in the queue.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use ringkeep::{
    Codec, CodecError, Delivery, Error, Mode, Queue, QueueFiles, QueueItems, QueueKind,
    QueueOptions, QueuedItem, Recovery, SyncPolicy,
};

use super::items::{FormArgs, ItemWriter};
use crate::exit::{Exit, Failure};
use crate::output::{self, Progress};
use crate::stop::{Again, Stop};

/// Take items out of a queue that no process has open
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The queue's directory
    directory: PathBuf,
    /// Take at most this many items [default: all]
    #[arg(short = 'n', long = "count", value_name = "N")]
    count: Option<u64>,
    /// Pass over items that cannot be read, count them, and exit with 1
    #[arg(long)]
    skip_bad: bool,
    #[command(flatten)]
    form: FormArgs,
}

const EXAMPLES: &str = "\
It writes items as export does, and takes them out of the queue once they are
written; a file is synced first. A closed pipe or Ctrl-C ends it, and leaves
what was not written in the queue; an item may be written twice then, never not
at all. It is refused while a process has the queue open.

Examples:
  ringkeep queue drain jobs > jobs.ndjson
  ringkeep queue drain jobs -n 100 --lines";

/// Items that are written before they are acknowledged together.
const BATCH_ITEMS: usize = 256;
const BATCH_BYTES: usize = 1 << 20;

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let files = QueueFiles::open(&args.directory)?;
    let writer = args.form.writer(json)?;
    if files.kind() == QueueKind::Spill {
        return Err(Failure::wrong_use(format!(
            "{} has nothing to drain: it only spills, and its items end with its process; \
             'ringkeep queue export' shows what is in files",
            args.directory.display()
        )));
    }
    let Some(codec) = Stored::of(&files) else {
        return nothing(args, &files);
    };
    let queue = open(args, codec, files.tag().unwrap_or_default())?;
    let stop = Stop::listen(Again::Kills)?;
    // Somebody else may have taken items out before.
    let now = QueueFiles::open(&args.directory)?;
    let numbers = numbers(&queue, &files, &now);
    let times = Times { items: now.items(), ahead: None };
    let (next, written, lost) = (numbers.start, 0, 0);
    let mut drain = Drain { args, queue, writer, times, next, written, lost };
    let outcome = drain.run(&stop, numbers.end);
    drain.end(outcome)
}

/// The numbers of all items, those included that opening could not find.
fn numbers(queue: &Queue<Vec<u8>, Stored>, before: &QueueFiles, now: &QueueFiles) -> Range<u64> {
    let (missing, Range { start, end }) = (&queue.recovery().lost, now.numbers());
    let first = missing.first().map_or(start, |items| items.start.max(before.numbers().start));
    let last = missing.last().map_or(end, |items| items.end);
    first.min(start)..last.max(end)
}

/// No segment says what its items are: there are none, or they are gone.
fn nothing(args: &Args, files: &QueueFiles) -> Result<Exit, Failure> {
    if files.is_open()? {
        return Err(locked(&args.directory));
    }
    if !files.numbers().is_empty() {
        return Err(Failure::data(format!(
            "{} has lost all its segments: 'ringkeep queue verify' shows what is missing",
            args.directory.display()
        )));
    }
    output::note("drained no items");
    Ok(Exit::Fine)
}

fn locked(directory: &Path) -> Failure {
    Failure::system(format!(
        "{} is locked by a process that has it open: end that first, or read beside it with \
         'ringkeep queue export'",
        directory.display()
    ))
}

/// The codec that the items are stored with, as far as its name goes: they stay bytes.
#[derive(Debug, Clone, Copy)]
struct Stored {
    name: &'static str,
}

impl Stored {
    /// The name lives as long as the process, which opens one queue.
    fn of(files: &QueueFiles) -> Option<Self> {
        let name = files.codec()?;
        Some(Self { name: Box::leak(Box::from(name)) })
    }
}

impl Codec<Vec<u8>> for Stored {
    fn name(&self) -> &'static str {
        self.name
    }

    fn encode(&self, item: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(item);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        Ok(bytes.to_vec())
    }
}

fn open(args: &Args, codec: Stored, tag: &str) -> Result<Queue<Vec<u8>, Stored>, Failure> {
    let recovery = if args.skip_bad { Recovery::SkipCorrupt } else { Recovery::Fail };
    let options =
        QueueOptions::new(codec).tag(tag).mode(Mode::Durable(SyncPolicy::Never)).recovery(recovery);
    options.open(&args.directory).map_err(|error| match error {
        Error::Locked { .. } => locked(&args.directory),
        error => damaged(error),
    })
}

/// Damage has a way around it.
fn damaged(error: Error) -> Failure {
    let behind = "restore its files, or go on behind it with --skip-bad";
    match error {
        Error::Damaged { path, offset, source } => Failure::data(format!(
            "{} is damaged at byte {offset} ({source}): {behind}",
            path.display()
        )),
        Error::MissingItems { path, first, end } => Failure::data(format!(
            "items {first}..{end} before {} are missing: {behind}",
            path.display()
        )),
        Error::MissingSegment { path } => {
            Failure::data(format!("{} is missing: {behind}", path.display()))
        }
        error => error.into(),
    }
}

/// When items were pushed: the files say it.
#[derive(Debug)]
struct Times<'a> {
    items: QueueItems<'a>,
    ahead: Option<QueuedItem>,
}

impl Times<'_> {
    /// Numbers grow from call to call.
    fn of(&mut self, number: u64) -> Option<SystemTime> {
        while self.ahead.as_ref().is_none_or(|ahead| ahead.number < number) {
            self.ahead = Some(self.items.find_map(Result::ok)?);
        }
        self.ahead.as_ref().filter(|ahead| ahead.number == number).map(|ahead| ahead.time)
    }
}

#[derive(Debug)]
struct Drain<'a> {
    args: &'a Args,
    queue: Queue<Vec<u8>, Stored>,
    writer: ItemWriter,
    times: Times<'a>,
    /// The item that comes next, if none is missing.
    next: u64,
    /// Items that were written and acknowledged.
    written: u64,
    /// Items that were passed over.
    lost: u64,
}

impl Drain<'_> {
    /// Takes out what there is; `end` is one past the last item.
    fn run(&mut self, stop: &Stop, end: u64) -> Result<(), Failure> {
        let mut progress = Progress::new();
        loop {
            let (batch, ended) = self.receive();
            let is_last = batch.is_empty();
            self.write(batch)?;
            match ended {
                Some(Error::Empty) => {
                    self.lost += end.saturating_sub(self.next);
                    return Ok(());
                }
                Some(error) => return Err(damaged(error)),
                None if is_last || stop.wait_until(Instant::now()).is_some() => return Ok(()),
                None => progress.show(|| format!("{} items", self.written)),
            }
        }
    }

    /// The next items, and why there are no more.
    fn receive(&self) -> (Vec<Delivery<Vec<u8>, Stored>>, Option<Error>) {
        let left = self.args.count.map_or(u64::MAX, |count| count.saturating_sub(self.written));
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(BATCH_ITEMS);
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < count && bytes < BATCH_BYTES {
            match self.queue.try_recv() {
                Ok(delivery) => {
                    bytes += delivery.len();
                    batch.push(delivery);
                }
                Err(error) => return (batch, Some(error)),
            }
        }
        (batch, None)
    }

    /// Writes items, and then acknowledges them; where that fails, they go back.
    fn write(&mut self, batch: Vec<Delivery<Vec<u8>, Stored>>) -> Result<(), Failure> {
        for delivery in &batch {
            let number = delivery.number();
            let time = if self.writer.has_times() { self.times.of(number) } else { None };
            self.writer.write(number, time, delivery)?;
        }
        self.writer.store()?;
        for delivery in batch {
            let number = delivery.number();
            self.lost += number - self.next;
            self.next = number + 1;
            self.written += 1;
            delivery.ack();
        }
        Ok(())
    }

    /// What was taken out is told, whatever ended it.
    fn end(self, outcome: Result<(), Failure>) -> Result<Exit, Failure> {
        let closed = self.queue.close();
        if !matches!(outcome, Err(Failure::Stdout(_))) {
            let items = match self.written {
                0 => "no items".to_owned(),
                1 => "1 item".to_owned(),
                count => format!("{count} items"),
            };
            output::note(&format!("drained {items}"));
        }
        if self.lost > 0 {
            output::note(&format!("{} items could not be read, and are given up", self.lost));
        }
        outcome?;
        closed?;
        Ok(if self.lost > 0 { Exit::Data } else { Exit::Fine })
    }
}
