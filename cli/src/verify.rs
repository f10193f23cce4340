//! `ringkeep verify`: reads every record and gives a verdict.

use std::io::{self, Write};
use std::path::PathBuf;

use ringkeep::{Damage, VerifyEvent, VerifyReport};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::opening::IoArgs;
use crate::output::{self, Out, Progress};

/// Read every record and tell which are damaged
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The archive; a recorder may be at work on it
    file: PathBuf,
    #[command(flatten)]
    io: IoArgs,
}

const EXAMPLES: &str = "\
good: records that pass their checksum. absent: ids that were skipped or
deleted. lost: ids that a crash took. corrupt: damaged on disk; each is told
with its id, file and byte offset, and the exit code is 1. lapped: overwritten
by the producer before they were checked.

Examples:
  ringkeep verify cache.dat
  ringkeep verify cache.dat --json";

/// Counts of a `--json` report, after its list of damaged records.
#[derive(Debug, Serialize)]
struct Counts {
    good: u64,
    absent: u64,
    lost: u64,
    corrupt: u64,
    lapped: u64,
}

#[derive(Debug, Serialize)]
struct Damaged {
    id: String,
    file: String,
    offset: u64,
}

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let ring = args.io.open(&args.file)?;
    let mut printer = Printer { out: output::stdout(), json, damaged: 0 };
    let mut progress = Progress::new();
    // The walk cannot be stopped from inside; an error of ours waits for its end.
    let mut outcome = printer.begin();
    let report = ring.verify(|event| match event {
        VerifyEvent::Progress { checked, total } => {
            progress.show(|| format!("verified {checked} of {total} records"));
        }
        VerifyEvent::Damaged(damage) if outcome.is_ok() => outcome = printer.damaged(&damage),
        _ => {}
    })?;
    drop(progress);
    outcome?;
    printer.end(&report)?;
    Ok(if report.corrupt > 0 { Exit::Data } else { Exit::Fine })
}

/// Prints damaged records as they come, so that a ruined archive needs no memory.
#[derive(Debug)]
struct Printer {
    out: Out,
    json: bool,
    damaged: u64,
}

impl Printer {
    fn begin(&mut self) -> io::Result<()> {
        if self.json { self.out.write_all(br#"{"damaged":["#) } else { Ok(()) }
    }

    fn damaged(&mut self, damage: &Damage) -> io::Result<()> {
        let Damage { id, path, offset } = damage;
        self.damaged += 1;
        if !self.json {
            return writeln!(self.out, "record {id} is damaged: {} byte {offset}", path.display());
        }
        if self.damaged > 1 {
            self.out.write_all(b",")?;
        }
        let file = path.to_string_lossy().into_owned();
        let damaged = Damaged { id: id.to_string(), file, offset: *offset };
        Ok(serde_json::to_writer(&mut self.out, &damaged)?)
    }

    fn end(&mut self, report: &VerifyReport) -> io::Result<()> {
        let VerifyReport { good, absent, lost, corrupt, lapped, .. } = *report;
        if self.json {
            let counts = serde_json::to_string(&Counts { good, absent, lost, corrupt, lapped })?;
            // The counts follow in the same object: their opening brace becomes a comma.
            writeln!(self.out, "],{}", &counts[1..])?;
        } else {
            for (name, count) in [
                ("good", good),
                ("absent", absent),
                ("lost", lost),
                ("corrupt", corrupt),
                ("lapped", lapped),
            ] {
                writeln!(self.out, "{name:<8} {count}")?;
            }
        }
        self.out.flush()
    }
}
