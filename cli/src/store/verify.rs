//! `ringkeep store verify`: reads a store as a whole and gives a verdict.

use std::io::{self, Write};
use std::path::PathBuf;

use ringkeep::StoreVerifyReport;
use serde::Serialize;

use super::opening;
use crate::exit::{Exit, Failure};
use crate::output::{self, Out};

/// Read every page of a store and tell whether it is whole
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store's file
    file: PathBuf,
}

const EXAMPLES: &str = "\
free_pages: whether the file's list of them is right. A wrong one takes no key,
and is made right in memory only; the exit code is 0. What is damaged is told on
stderr, and the exit code is 1.

Examples:
  ringkeep store verify state.redb
  ringkeep store verify state.redb --json";

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    buckets: u64,
    keys: u64,
    stored_bytes: u64,
    /// Whether the list of free pages was wrong.
    repaired: bool,
}

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let StoreVerifyReport { buckets, keys, stored_bytes, repaired, .. } =
        opening::look(&args.file)?.verify()?;
    let report = Report { buckets, keys, stored_bytes, repaired };
    let mut out = output::stdout();
    if json {
        output::json(&mut out, &report)?;
    } else {
        report.print(&mut out)?;
    }
    out.flush()?;
    Ok(Exit::Fine)
}

impl Report {
    fn print(&self, out: &mut Out) -> io::Result<()> {
        for (name, count) in
            [("buckets", self.buckets), ("keys", self.keys), ("stored_bytes", self.stored_bytes)]
        {
            writeln!(out, "{name:<14}{count}")?;
        }
        let pages = if self.repaired { "repaired in memory; no key is lost" } else { "right" };
        writeln!(out, "{:<14}{pages}", "free_pages")
    }
}
