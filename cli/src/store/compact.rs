//! `ringkeep store compact`: makes the file of a store smaller.

use std::io::Write;
use std::path::PathBuf;

use ringkeep::Compaction;
use serde::Serialize;

use super::opening;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::units;

/// Make the file smaller, where it has free pages
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store's file
    file: PathBuf,
}

const EXAMPLES: &str = "\
It reads all of the file, and refuses one that is damaged. Then it moves pages
from its end to where some are free, in transactions: whatever ends it, Ctrl-C
or a power cut, takes no key.

Examples:
  ringkeep store compact state.redb
  ringkeep store compact state.redb --json";

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    before_bytes: u64,
    after_bytes: u64,
}

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let Compaction { before_bytes, after_bytes, .. } = opening::open(&args.file)?.compact()?;
    let mut out = output::stdout();
    if json {
        output::json(&mut out, &Report { before_bytes, after_bytes })?;
    } else {
        writeln!(out, "before  {}", units::bytes(before_bytes))?;
        writeln!(out, "after   {}", units::bytes(after_bytes))?;
    }
    out.flush()?;
    Ok(Exit::Fine)
}
