//! `ringkeep queue verify`: reads every item and gives a verdict.

use std::io::{self, Write};
use std::path::PathBuf;

use ringkeep::{QueueDamage, QueueFiles, QueueVerifyEvent, QueueVerifyReport};
use serde::Serialize;

use super::items::reason;
use crate::exit::{Exit, Failure};
use crate::output::{self, Out, Progress};

/// Read every item that is needed and tell what is damaged
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The queue's directory; a process may be at work on it
    directory: PathBuf,
}

const EXAMPLES: &str = "\
items: those that are there and not acknowledged. torn_bytes: what a crash left
of a push that was not durable; no damage. damaged: places that cannot be read;
each is told with its file and byte, and the exit code is 1. missing: items that
were durable, and are gone with these places.

Examples:
  ringkeep queue verify jobs
  ringkeep queue verify jobs --json";

/// Counts of a `--json` report, after its list of damaged places.
#[derive(Debug, Serialize)]
struct Counts {
    segments: u64,
    frames: u64,
    items: u64,
    bytes: u64,
    torn_bytes: u64,
    damaged: u64,
    missing: u64,
}

#[derive(Debug, Serialize)]
struct Place {
    first: String,
    end: String,
    file: String,
    offset: u64,
    reason: String,
}

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let files = QueueFiles::open(&args.directory)?;
    let mut printer = Printer { out: output::stdout(), json, damaged: 0 };
    let mut progress = Progress::new();
    // The walk cannot be stopped from inside; an error of ours waits for its end.
    let mut outcome = printer.begin();
    let report = files.verify(|event| match event {
        QueueVerifyEvent::Progress { checked, total } => {
            progress.show(|| format!("verified {checked} of {total} items"));
        }
        QueueVerifyEvent::Damaged(damage) if outcome.is_ok() => outcome = printer.damaged(&damage),
        _ => {}
    })?;
    drop(progress);
    outcome?;
    printer.end(&report)?;
    Ok(if report.damaged > 0 { Exit::Data } else { Exit::Fine })
}

/// Prints damaged places as they come, so that a ruined queue needs no memory.
#[derive(Debug)]
struct Printer {
    out: Out,
    json: bool,
    damaged: u64,
}

impl Printer {
    fn begin(&mut self) -> io::Result<()> {
        if self.json { self.out.write_all(br#"{"places":["#) } else { Ok(()) }
    }

    fn damaged(&mut self, damage: &QueueDamage) -> io::Result<()> {
        let reason = reason(damage);
        self.damaged += 1;
        if !self.json {
            return writeln!(self.out, "{damage}: {reason}");
        }
        if self.damaged > 1 {
            self.out.write_all(b",")?;
        }
        let QueueDamage { items, path, offset, .. } = damage;
        let place = Place {
            first: items.start.to_string(),
            end: items.end.to_string(),
            file: path.to_string_lossy().into_owned(),
            offset: *offset,
            reason,
        };
        Ok(serde_json::to_writer(&mut self.out, &place)?)
    }

    fn end(&mut self, report: &QueueVerifyReport) -> io::Result<()> {
        let QueueVerifyReport {
            segments, frames, items, bytes, torn_bytes, damaged, missing, ..
        } = *report;
        let counts = Counts { segments, frames, items, bytes, torn_bytes, damaged, missing };
        if self.json {
            let counts = serde_json::to_string(&counts)?;
            // The counts follow in the same object: their opening brace becomes a comma.
            writeln!(self.out, "],{}", &counts[1..])?;
        } else {
            for (name, count) in [
                ("segments", segments),
                ("frames", frames),
                ("items", items),
                ("bytes", bytes),
                ("torn_bytes", torn_bytes),
                ("damaged", damaged),
                ("missing", missing),
            ] {
                writeln!(self.out, "{name:<11}{count}")?;
            }
        }
        self.out.flush()
    }
}
