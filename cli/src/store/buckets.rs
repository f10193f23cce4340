//! `ringkeep store buckets`: the names of all buckets.

use std::io::Write;
use std::path::PathBuf;

use ringkeep::BucketRead as _;
use serde::Serialize;

use super::bytes::shown_name;
use super::opening;
use crate::exit::{Exit, Failure};
use crate::output;

/// Show the names of all buckets
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store's file
    file: PathBuf,
}

const EXAMPLES: &str = "\
It prints a name a line; control characters and backslashes in it are escaped.
With --json a line is an object with the exact name and the number of keys.

Examples:
  ringkeep store buckets state.redb
  ringkeep store buckets state.redb --json";

/// What `--json` prints of a bucket.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    bucket: &'a str,
    /// None of a table of another program.
    keys: Option<u64>,
}

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let tx = opening::look(&args.file)?.begin_read()?;
    let mut out = output::stdout();
    let mut exit = Exit::Fine;
    for bucket in &tx.buckets()? {
        if json {
            let keys = match tx.bucket(bucket).and_then(|bucket| bucket.len()) {
                Ok(keys) => Some(keys),
                Err(error) => {
                    exit = exit.max(opening::pass_over(error)?);
                    None
                }
            };
            output::json(&mut out, &Shown { bucket, keys })?;
        } else {
            writeln!(out, "{}", shown_name(bucket))?;
        }
    }
    out.flush()?;
    Ok(exit)
}
