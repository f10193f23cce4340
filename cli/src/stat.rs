//! `ringkeep stat`: where an archive stands, now.

use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use ringkeep::{Read, Ring, Schema};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::opening::IoArgs;
use crate::output::{self, Out};
use crate::times::UnixNanos;
use crate::units;

/// Show where an archive stands now
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The archive
    file: PathBuf,
    #[command(flatten)]
    io: IoArgs,
}

const EXAMPLES: &str = "\
It reads, and never writes; a recorder at work does not notice it.

Examples:
  ringkeep stat cache.dat
  ringkeep stat cache.dat --json";

/// What `--json` prints. Ids are strings, because they may exceed 2^53.
#[derive(Debug, Serialize)]
struct Report {
    path: String,
    record_size: usize,
    capacity: u64,
    slots: u64,
    shards: u32,
    oldest: String,
    next: String,
    durable: String,
    /// Records that a power cut would take now.
    at_risk: u64,
    epoch: u64,
    bytes_on_disk: u64,
    writer: &'static str,
    schema: Option<String>,
    /// Why the schema names no columns, if it does not.
    schema_error: Option<String>,
    oldest_time: Option<String>,
    newest_time: Option<String>,
    /// From the oldest record to the newest, where the schema has a time.
    kept_seconds: Option<f64>,
    /// The most by which a record's time was behind an earlier one, or somewhat more.
    clock_step_seconds: Option<f64>,
    /// Of this command; a producer's own is not known here.
    resident_budget: Option<u64>,
    /// In the memory of this command.
    resident_bytes: Option<u64>,
    /// In the page cache, for all processes.
    cached_bytes: Option<u64>,
    dirty_bytes: Option<u64>,
}

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let ring = args.io.open(&args.file)?;
    let report = report(&ring)?;
    let mut out = output::stdout();
    if json {
        output::json(&mut out, &report)?;
    } else {
        report.print(&mut out)?;
    }
    out.flush()?;
    Ok(Exit::Fine)
}

fn report(ring: &Ring) -> Result<Report, Failure> {
    let (geometry, stats) = (ring.geometry(), ring.stats()?);
    let kept = kept(ring, stats.oldest..stats.next)?;
    let time = ring.schema().ok().flatten().and_then(Schema::time);
    Ok(Report {
        path: ring.path().to_string_lossy().into_owned(),
        record_size: geometry.record_size,
        capacity: geometry.capacity,
        slots: geometry.slots,
        shards: geometry.shards,
        oldest: stats.oldest.to_string(),
        next: stats.next.to_string(),
        durable: stats.durable.to_string(),
        at_risk: stats.next.saturating_sub(stats.durable),
        epoch: stats.epoch,
        bytes_on_disk: stats.bytes_on_disk,
        writer: if stats.writer_live { "live" } else { "none" },
        schema: ring.schema_text().map(str::to_owned),
        schema_error: ring.schema().err().map(|error| error.to_string()),
        oldest_time: kept.as_ref().map(|kept| kept.start.to_string()),
        newest_time: kept.as_ref().map(|kept| kept.end.to_string()),
        clock_step_seconds: time.map(|_| stats.clock_step.as_secs_f64()),
        kept_seconds: kept.as_ref().and_then(length).map(|length| length.as_secs_f64()),
        resident_budget: stats.resident_budget,
        resident_bytes: stats.resident_bytes,
        cached_bytes: stats.cached_bytes,
        dirty_bytes: stats.dirty_bytes,
    })
}

impl Report {
    fn print(&self, out: &mut Out) -> io::Result<()> {
        let kept = match (self.kept_seconds, &self.oldest_time, self.clock_step_seconds) {
            (Some(seconds), ..) => units::span(Duration::from_secs_f64(seconds)),
            (None, Some(_), _) => "unknown: the clock was set back by more than that".to_owned(),
            (None, None, Some(_)) => "nothing yet".to_owned(),
            (None, None, None) => "unknown: there is no time in the schema".to_owned(),
        };
        let step = match self.clock_step_seconds {
            Some(0.0) => "never went back".to_owned(),
            Some(seconds) => {
                let step =
                    units::span(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
                format!("went back by {step}, or less")
            }
            None => "unknown: there is no time in the schema".to_owned(),
        };
        let unknown = || "unknown".to_owned();
        let known = |count: Option<u64>| count.map_or_else(unknown, units::bytes);
        for (name, value) in [
            ("path", self.path.clone()),
            ("record_size", format!("{} bytes", self.record_size)),
            ("capacity", format!("{} records", self.capacity)),
            ("slots", self.slots.to_string()),
            ("shards", self.shards.to_string()),
            ("oldest", self.oldest.clone()),
            ("next", self.next.clone()),
            ("durable", self.durable.clone()),
            ("at_risk", format!("{} records would be gone after a power cut", self.at_risk)),
            ("epoch", self.epoch.to_string()),
            ("bytes_on_disk", units::bytes(self.bytes_on_disk)),
            ("writer", self.writer.to_owned()),
            ("schema", self.schema()),
            ("oldest_time", self.oldest_time.clone().unwrap_or_else(unknown)),
            ("newest_time", self.newest_time.clone().unwrap_or_else(unknown)),
            ("kept", kept),
            ("clock", step),
            ("budget", self.resident_budget.map_or_else(|| "none".to_owned(), units::bytes)),
            ("resident", format!("{} in this command", known(self.resident_bytes))),
            ("page_cache", known(self.cached_bytes)),
            ("dirty", known(self.dirty_bytes)),
        ] {
            writeln!(out, "{name:<14}{value}")?;
        }
        Ok(())
    }

    fn schema(&self) -> String {
        match (&self.schema, &self.schema_error) {
            (Some(text), Some(error)) => format!("{text} ({error})"),
            (Some(text), None) => text.clone(),
            (None, _) => "none".to_owned(),
        }
    }
}

/// From the oldest kept time to the newest; `None` if a clock that was set back makes that less
/// than nothing.
pub(crate) fn length(kept: &Range<UnixNanos>) -> Option<Duration> {
    let nanos = kept.end.0.saturating_sub(kept.start.0);
    // More than 584 years are told as that.
    (nanos >= 0).then(|| Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
}

/// Ids at either end may be absent, lost, or lapped by now: no more than this many are looked at.
const LOOKED_AT: u64 = 1024;

/// The times of the oldest and of the newest record among `ids`.
pub(crate) fn kept(ring: &Ring, ids: Range<u64>) -> Result<Option<Range<UnixNanos>>, Failure> {
    let Ok(Some(schema)) = ring.schema() else {
        return Ok(None);
    };
    let first = ids.start..ids.end.min(ids.start.saturating_add(LOOKED_AT));
    let last = ids.start.max(ids.end.saturating_sub(LOOKED_AT))..ids.end;
    let mut payload = vec![0; ring.geometry().record_size];
    let mut time_of = |id| -> Result<Option<UnixNanos>, Failure> {
        let is_record = ring.read_into(id, &mut payload)? == Read::Record(());
        let time = schema.time_of(&payload).filter(|_| is_record);
        Ok(time.map(UnixNanos::from))
    };
    let oldest = first.map(&mut time_of).find_map(Result::transpose).transpose()?;
    let newest = last.rev().map(&mut time_of).find_map(Result::transpose).transpose()?;
    Ok(oldest.zip(newest).map(|(oldest, newest)| oldest..newest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_keeps_an_unknown_time() {
        assert_eq!(length(&(UnixNanos(5)..UnixNanos(3))), None);
        let kept = length(&(UnixNanos(3)..UnixNanos(5)));
        assert_eq!(kept, Some(Duration::from_nanos(2)));
    }
}
