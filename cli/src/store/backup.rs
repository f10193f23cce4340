//! `ringkeep store backup`: writes a store into a new file.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;

use super::opening;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::units;

/// Write all of a store into a new file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store's file
    file: PathBuf,
    /// The file to be made; one that is there is refused
    to: PathBuf,
}

const EXAMPLES: &str = "\
The new file appears when it is complete and on the disk; it has no room left
over. What ends the backup early may leave a file that ends in .ringkeep-new,
which the next backup to the same file takes over.

Examples:
  ringkeep store backup state.redb backup.redb
  ringkeep store verify backup.redb";

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    path: String,
    file_bytes: u64,
}

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    opening::look(&args.file)?.backup_to(&args.to)?;
    let path = args.to.to_string_lossy().into_owned();
    let file_bytes = match fs::metadata(&args.to) {
        Ok(made) => made.len(),
        Err(error) => return Err(Failure::system(format!("cannot look at {path}: {error}"))),
    };
    let mut out = output::stdout();
    if json {
        output::json(&mut out, &Report { path, file_bytes })?;
    } else {
        let safe = path.replace(char::is_control, "?");
        writeln!(out, "{safe} is a store of {}", units::bytes(file_bytes))?;
    }
    out.flush()?;
    Ok(Exit::Fine)
}
