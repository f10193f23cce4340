//! `ringkeep create`: makes an empty archive.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use ringkeep::{Geometry, RingOptions, Schema};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::opening::WriteArgs;
use crate::{capacity, output, units};

/// Make an empty archive and take all its disk space at once
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(
    override_usage = USAGE
)]
#[command(group = clap::ArgGroup::new("kept").required(true).args(["capacity", "keep", "disk"]))]
#[command(group = clap::ArgGroup::new("record").required(true).multiple(true)
    .args(["schema", "record_size"]))]
pub(crate) struct Args {
    /// Where to make it; further shards go beside it as FILE.1, FILE.2, ..
    file: PathBuf,
    /// The columns of a record, which give its size
    #[arg(long, value_name = "TEXT")]
    schema: Option<String>,
    /// Bytes of one record; 124 gives slots of 128 bytes, 4092 whole pages
    #[arg(long, value_name = "BYTES", value_parser = units::size)]
    record_size: Option<u64>,
    /// How many of the newest records are kept
    #[arg(long, value_name = "N")]
    capacity: Option<u64>,
    /// Keep records this long, at one record an interval: 7d@1s
    #[arg(long, value_name = "TIME@INTERVAL", value_parser = pace)]
    keep: Option<(Duration, Duration)>,
    /// Keep what fits into this much disk
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    disk: Option<u64>,
    /// Split it into at most this many files of equal size
    #[arg(long, value_name = "N", conflicts_with = "shard_bytes")]
    shards: Option<u32>,
    /// Split it into files of about this size [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    shard_bytes: Option<u64>,
    #[command(flatten)]
    write: WriteArgs,
}

const USAGE: &str = "ringkeep create FILE (--schema|--record-size) (--capacity|--keep|--disk)";

const EXAMPLES: &str = "\
A schema is a list of NAME:TYPE, where a unit [C] and a count *3 may follow.
Types: i8 to i64, u8 to u64, f32, f64, bool, strN, bytesN, padN, enum8{a,b},
enum16, bits8{a,b} to bits32, time_s, time_ms, time_us, time_ns. The first time
is the record's, by which it is searched.

Examples:
  ringkeep create cache.dat --record-size 124 --capacity 10000
  ringkeep create log.dat --schema 't:time_ms, temp:f32[C]' --keep 7d@1s
  ringkeep create pos.dat --schema 't:time_ns, pos:f32[m]*3, ok:bool' --disk 16M";

/// Reads a length of time and an interval.
fn pace(text: &str) -> Result<(Duration, Duration), String> {
    let (keep, every) = text
        .split_once('@')
        .ok_or("write how long and how often, like 7d@1s for a week of one record a second")?;
    Ok((units::duration(keep)?, units::duration(every)?))
}

#[derive(Debug, Serialize)]
struct Created<'a> {
    path: &'a str,
    record_size: usize,
    capacity: u64,
    slots: u64,
    slots_per_shard: u64,
    shards: u32,
    bytes_on_disk: u64,
    schema: Option<&'a str>,
}

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let record_size = args.record_size()?;
    let geometry = |capacity| args.options(record_size, capacity).geometry();
    let capacity = match (args.capacity, args.keep, args.disk) {
        (Some(capacity), _, _) => capacity,
        (None, Some((keep, every)), _) => capacity::within_time(keep, every),
        (None, None, Some(disk_bytes)) => capacity::within_disk(disk_bytes, geometry)?,
        (None, None, None) => unreachable!("one of them is required"),
    };
    let producer = args.options(record_size, capacity).create(&args.file)?;
    let geometry = producer.ring().geometry();
    producer.close().map_err(|error| error.source)?;
    args.print(geometry, json)
}

impl Args {
    fn record_size(&self) -> Result<usize, Failure> {
        let given = self.record_size.map(usize::try_from).transpose();
        let given =
            given.map_err(|_| Failure::wrong_use("--record-size is too large for this machine"))?;
        match (&self.schema, given) {
            // If both are there, the library compares them.
            (_, Some(size)) => Ok(size),
            (Some(text), None) => {
                let schema: Schema = text.parse().map_err(ringkeep::Error::from)?;
                Ok(schema.record_size())
            }
            (None, None) => unreachable!("one of them is required"),
        }
    }

    fn options(&self, record_size: usize, capacity: u64) -> RingOptions {
        let mut options = self.write.apply_to(RingOptions::new(record_size, capacity));
        if let Some(text) = &self.schema {
            options = options.schema(text);
        }
        if let Some(count) = self.shards {
            options = options.shards(count);
        }
        if let Some(bytes) = self.shard_bytes {
            options = options.shard_bytes(bytes);
        }
        options
    }

    fn print(&self, geometry: Geometry, json: bool) -> Result<Exit, Failure> {
        let path = &*self.file.to_string_lossy();
        let Geometry { record_size, capacity, slots, slots_per_shard, shards, .. } = geometry;
        let bytes_on_disk = geometry.bytes_on_disk();
        let schema = self.schema.as_deref();
        let mut out = output::stdout();
        if json {
            output::json(
                &mut out,
                &Created {
                    path,
                    record_size,
                    capacity,
                    slots,
                    slots_per_shard,
                    shards,
                    bytes_on_disk,
                    schema,
                },
            )?;
        } else {
            let files = if shards == 1 { "file" } else { "files" };
            let disk = units::bytes(bytes_on_disk);
            writeln!(
                out,
                "{path} keeps the last {capacity} records of {record_size} bytes, \
                 in {shards} {files} of {disk} in all"
            )?;
        }
        out.flush()?;
        Ok(Exit::Fine)
    }
}
