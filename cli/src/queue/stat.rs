//! `ringkeep queue stat`: where a queue stands, now.

use std::io::{self, Write};
use std::path::PathBuf;

use ringkeep::{Compression, QueueFiles, QueueKind};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::output::{self, Out};
use crate::times::UnixNanos;
use crate::units;

/// Show where a queue stands now
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The queue's directory
    directory: PathBuf,
}

const EXAMPLES: &str = "\
Of a queue that only spills it shows what is in files: the rest is in the memory
of its process. Items behind the first one may be acknowledged already.

Examples:
  ringkeep queue stat jobs
  ringkeep queue stat jobs --json";

/// What `--json` prints. Numbers of items are strings, because they may exceed 2^53.
#[derive(Debug, Serialize)]
struct Report {
    path: String,
    kind: &'static str,
    /// Whether a process has it open.
    open: bool,
    codec: Option<String>,
    tag: Option<String>,
    compression: Vec<&'static str>,
    segments: u64,
    bytes_on_disk: u64,
    first: String,
    next: String,
    items: u64,
    durable: Option<String>,
    /// Items that a power cut would take now.
    at_risk: Option<u64>,
    oldest_time: Option<String>,
    newest_time: Option<String>,
    /// Files that an opening could not read, and has renamed.
    set_aside: Vec<String>,
}

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let report = report(&QueueFiles::open(&args.directory)?)?;
    let mut out = output::stdout();
    if json {
        output::json(&mut out, &report)?;
    } else {
        report.print(&mut out)?;
    }
    out.flush()?;
    Ok(Exit::Fine)
}

fn report(files: &QueueFiles) -> Result<Report, Failure> {
    let (stats, numbers) = (files.stats()?, files.numbers());
    let survives = files.kind() == QueueKind::Durable;
    let risk = numbers.end.saturating_sub(files.durable().max(numbers.start));
    let time = |time| UnixNanos::from(time).to_string();
    let path = |path: PathBuf| path.to_string_lossy().into_owned();
    Ok(Report {
        path: path(files.directory().to_owned()),
        kind: if survives { "durable" } else { "spill" },
        open: files.is_open()?,
        codec: files.codec().map(str::to_owned),
        tag: files.tag().filter(|tag| !tag.is_empty()).map(str::to_owned),
        compression: stats.compressions.iter().copied().map(name).collect(),
        segments: stats.segments,
        bytes_on_disk: stats.disk_bytes,
        first: numbers.start.to_string(),
        next: numbers.end.to_string(),
        items: numbers.end - numbers.start,
        durable: survives.then(|| files.durable().to_string()),
        at_risk: survives.then_some(risk),
        oldest_time: stats.oldest.map(time),
        newest_time: stats.newest.map(time),
        set_aside: stats.set_aside.into_iter().map(path).collect(),
    })
}

fn name(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::Lz4 => "lz4",
        // The only other one there is, in builds that know it.
        _ => "zstd",
    }
}

impl Report {
    fn print(&self, out: &mut Out) -> io::Result<()> {
        let unknown = || "unknown".to_owned();
        let none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
        let kind = match self.kind {
            "durable" => "durable: items survive their process",
            _ => "spill: items end with their process; these are the ones in files",
        };
        let at_risk = match self.at_risk {
            Some(items) => format!("{items} items would be gone after a power cut"),
            None => "all items would be gone after a power cut".to_owned(),
        };
        for (name, value) in [
            ("path", self.path.clone()),
            ("kind", kind.to_owned()),
            ("open", if self.open { "by a process" } else { "no" }.to_owned()),
            ("codec", self.codec.clone().unwrap_or_else(unknown)),
            ("tag", self.tag.clone().unwrap_or_else(|| "none".to_owned())),
            ("compression", none(&self.compression.join(", "))),
            ("segments", self.segments.to_string()),
            ("bytes_on_disk", units::bytes(self.bytes_on_disk)),
            ("first", self.first.clone()),
            ("next", self.next.clone()),
            ("items", self.items.to_string()),
            ("durable", self.durable.clone().unwrap_or_else(|| "none".to_owned())),
            ("at_risk", at_risk),
            ("oldest_time", self.oldest_time.clone().unwrap_or_else(unknown)),
            ("newest_time", self.newest_time.clone().unwrap_or_else(unknown)),
            ("set_aside", none(&self.set_aside.join(", "))),
        ] {
            // Names come from files, and may be made to move the cursor.
            let safe = value.replace(char::is_control, "?");
            writeln!(out, "{name:<14}{safe}")?;
        }
        Ok(())
    }
}
