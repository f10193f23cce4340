//! `ringkeep get`: prints the records of some ids.

use std::path::PathBuf;

use ringkeep::Read;

use crate::exit::{Exit, Failure};
use crate::opening::IoArgs;
use crate::output;
use crate::records::{FormatArgs, RecordWriter};

/// Print the records of some ids
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The archive
    file: PathBuf,
    /// The ids, in any order; each is tried
    #[arg(required = true, value_name = "ID")]
    ids: Vec<u64>,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    io: IoArgs,
}

const EXAMPLES: &str = "\
An id that is no record is told on stderr with the reason; the exit code is 1
then.

Examples:
  ringkeep get cache.dat 7 8
  ringkeep get cache.dat 7 --format raw | od -c";

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let ring = args.io.open(&args.file)?;
    let mut writer = RecordWriter::new(&args.format, &ring, json)?;
    let mut payload = vec![0; ring.geometry().record_size];
    let mut exit = Exit::Fine;
    for &id in &args.ids {
        let ended = match ring.read_into(id, &mut payload) {
            Ok(Read::Record(())) => {
                writer.write(id, &payload)?;
                Exit::Fine
            }
            Ok(miss) => {
                output::note(&format!("id {id}: {miss}"));
                Exit::Data
            }
            Err(error) => Failure::from(error).tell(),
        };
        exit = exit.max(ended);
    }
    writer.flush()?;
    Ok(exit)
}
