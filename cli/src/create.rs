//! `ringkeep create`: makes an empty archive.

use std::io::Write;
use std::path::PathBuf;

use ringkeep::{Geometry, RingOptions};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::{output, units};

/// Make an empty archive and take all its disk space at once
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where to make it; further shards go beside it as FILE.1, FILE.2, ..
    file: PathBuf,
    /// Bytes of one record; 124 gives slots of 128 bytes, 4092 whole pages
    #[arg(long, value_name = "BYTES", value_parser = units::size)]
    record_size: u64,
    /// How many of the newest records are kept
    #[arg(long, value_name = "N")]
    capacity: u64,
    /// Split it into at most this many files of equal size
    #[arg(long, value_name = "N", conflicts_with = "shard_bytes")]
    shards: Option<u32>,
    /// Split it into files of about this size [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    shard_bytes: Option<u64>,
}

const EXAMPLES: &str = "\
Examples:
  ringkeep create cache.dat --record-size 124 --capacity 1000000
  ringkeep create big.dat --record-size 4092 --capacity 1000000 --shard-bytes 1G";

#[derive(Debug, Serialize)]
struct Created<'a> {
    path: &'a str,
    record_size: usize,
    capacity: u64,
    slots: u64,
    slots_per_shard: u64,
    shards: u32,
    bytes_on_disk: u64,
}

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let record_size = usize::try_from(args.record_size)
        .map_err(|_| Failure::wrong_use("--record-size is too large for this machine"))?;
    let mut options = RingOptions::new(record_size, args.capacity);
    if let Some(count) = args.shards {
        options = options.shards(count);
    }
    if let Some(bytes) = args.shard_bytes {
        options = options.shard_bytes(bytes);
    }
    let producer = options.create(&args.file)?;
    let geometry = producer.ring().geometry();
    producer.close().map_err(|error| error.source)?;
    print(&args.file.to_string_lossy(), geometry, json)
}

fn print(path: &str, geometry: Geometry, json: bool) -> Result<Exit, Failure> {
    let Geometry { record_size, capacity, slots, slots_per_shard, shards, .. } = geometry;
    let bytes_on_disk = geometry.bytes_on_disk();
    let mut out = output::stdout();
    if json {
        let created =
            Created { path, record_size, capacity, slots, slots_per_shard, shards, bytes_on_disk };
        output::json(&mut out, &created)?;
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
