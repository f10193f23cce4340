//! `ringkeep queue export`: writes the items out, and leaves them where they are.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use ringkeep::{QueueFiles, QueueKind};

use super::items::{FormArgs, ItemWriter, tell};
use crate::exit::{Exit, Failure};
use crate::output::{self, Progress};

/// Write all items out, and leave them in the queue
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The queue's directory; a process may be at work on it
    directory: PathBuf,
    /// Begin with this number [default: the first that is not acknowledged]
    #[arg(long, value_name = "N", default_value = "0", hide_default_value = true)]
    from: u64,
    #[command(flatten)]
    form: FormArgs,
}

const EXAMPLES: &str = "\
It writes a line of JSON for each item: its number, when it was pushed, and its
bytes in hex. What is pushed after it has begun is not written. Items that
cannot be read are told on stderr and passed over; the exit code is 1 then.

Examples:
  ringkeep queue export jobs > jobs.ndjson
  ringkeep queue export jobs --lines
  ringkeep queue export jobs --from 1000 --raw > jobs.bin";

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let files = QueueFiles::open(&args.directory)?;
    let mut writer = args.form.writer(json)?;
    if files.kind() == QueueKind::Spill {
        output::note("this queue only spills: what its process has in memory is not written");
    }
    let exit = print(&files, args.from, &mut writer);
    // What was read before an error is still put out.
    let flushed = writer.flush();
    let exit = exit?;
    flushed?;
    Ok(exit)
}

fn print(files: &QueueFiles, from: u64, writer: &mut ItemWriter) -> io::Result<Exit> {
    let mut progress = Progress::new();
    let beside = !io::stdout().is_terminal();
    let mut exit = Exit::Fine;
    for (written, item) in files.items_from(from).enumerate() {
        match item {
            Ok(item) => writer.write(item.number, Some(item.time), &item.bytes)?,
            Err(damage) => exit = exit.max(tell(&damage)),
        }
        if beside {
            progress.show(|| format!("{written} items"));
        }
    }
    Ok(exit)
}
