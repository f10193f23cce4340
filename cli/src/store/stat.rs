//! `ringkeep store stat`: what a store takes.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ringkeep::StoreStats;
use serde::Serialize;

use super::bytes::shown_name;
use super::opening;
use crate::exit::{Exit, Failure};
use crate::output::{self, Out};
use crate::units;

/// Show what a store and each of its buckets take
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store's file
    file: PathBuf,
}

const EXAMPLES: &str = "\
stored_bytes: keys and values. page_bytes: the pages that they are in.
fragmentation: the part of the file that no key and no value takes; compact
makes less of it.

Examples:
  ringkeep store stat state.redb
  ringkeep store stat state.redb --json";

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    path: String,
    file_bytes: u64,
    stored_bytes: u64,
    /// Of the file, in tenths.
    fragmentation_percent: f64,
    buckets: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    bucket: String,
    keys: u64,
    stored_bytes: u64,
    page_bytes: u64,
    /// Levels of its tree.
    height: u32,
}

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let report = Report::of(&args.file, opening::look(&args.file)?.stats()?);
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
    fn of(path: &Path, stats: StoreStats) -> Self {
        let fragmentation = stats.fragmentation();
        let buckets = stats.buckets.into_iter().map(|stats| Row {
            bucket: stats.name,
            keys: stats.keys,
            stored_bytes: stats.stored_bytes,
            page_bytes: stats.page_bytes,
            height: stats.height,
        });
        Self {
            path: path.to_string_lossy().into_owned(),
            file_bytes: stats.file_bytes,
            stored_bytes: stats.stored_bytes,
            fragmentation_percent: (fragmentation * 1000.0).round() / 10.0,
            buckets: buckets.collect(),
        }
    }

    fn print(&self, out: &mut Out) -> io::Result<()> {
        for (name, value) in [
            ("path", self.path.replace(char::is_control, "?")),
            ("file_bytes", units::bytes(self.file_bytes)),
            ("stored_bytes", units::bytes(self.stored_bytes)),
            ("fragmentation", format!("{:.1} %", self.fragmentation_percent)),
            ("buckets", self.buckets.len().to_string()),
        ] {
            writeln!(out, "{name:<15}{value}")?;
        }
        if self.buckets.is_empty() {
            return Ok(());
        }
        let heading = ["bucket", "keys", "stored_bytes", "page_bytes", "height"].map(str::to_owned);
        let rows: Vec<_> =
            [heading].into_iter().chain(self.buckets.iter().map(Row::cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths: [usize; 5] = std::array::from_fn(|column| width(column).unwrap_or(0));
        writeln!(out)?;
        for [name, numbers @ ..] in &rows {
            write!(out, "{name:<0$}", widths[0])?;
            for (number, width) in numbers.iter().zip(&widths[1..]) {
                write!(out, "  {number:>width$}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

impl Row {
    fn cells(&self) -> [String; 5] {
        [
            shown_name(&self.bucket),
            self.keys.to_string(),
            units::bytes(self.stored_bytes),
            units::bytes(self.page_bytes),
            self.height.to_string(),
        ]
    }
}
