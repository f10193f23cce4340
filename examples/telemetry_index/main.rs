//! Indexes over an archive of telemetry, in a store beside it: records by sensor and time, records
//! by status, what each hour was like, and the sensors. With an archive and the file of its index:
//! `cargo run --release --example telemetry_index [-- ARCHIVE INDEX]`; without, it makes both, the
//! archive in two halves.
//!
//! A run indexes what was appended since the one before, in one transaction: an index has all four
//! buckets up to one record, or is as it was. Each bucket is filled by a thread of its own, which
//! walks through the new records by itself. What an archive has overwritten meanwhile stays in the
//! index; an answer says that such a record is gone.

mod answers;
mod archive;
mod index;
mod sample;

use std::{
    env,
    error::Error,
    ffi::{OsStr, OsString},
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use archive::Archive;
use index::Index;
use ringkeep::{RingOptions, Schema};
use sample::{RECORDS, SAMPLE};
use tempfile::TempDir;

const USAGE: &str = "usage: telemetry_index [ARCHIVE INDEX]   (INDEX is made if it is not there)";

/// What ends the program: a sentence to be told.
type Failure = Box<dyn Error + Send + Sync>;
type Result<T, E = Failure> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let mut out = io::stdout().lock();
    let done = match &arguments[..] {
        [] => show_in_temporary(&mut out),
        [archive, index] if is_name(archive) && is_name(index) => {
            index_one(Path::new(archive), Path::new(index), &mut out)
        }
        _ => {
            // Where nobody reads it, nobody needs it.
            let _ = writeln!(io::stderr(), "{USAGE}");
            return ExitCode::from(2);
        }
    };
    let Err(failure) = done else { return ExitCode::SUCCESS };
    let _ = writeln!(io::stderr(), "telemetry_index: {failure}");
    ExitCode::FAILURE
}

fn is_name(argument: &OsStr) -> bool {
    !argument.is_empty() && !argument.as_encoded_bytes().starts_with(b"-")
}

fn index_one(archive: &Path, index: &Path, out: &mut impl Write) -> Result<()> {
    // First, so that no index is made of what is no archive.
    let archive = Archive::open(archive)?;
    let index = Index::open(index)?;
    index.update(&archive, out)?;
    answers::answer(&archive, &index, out)
}

/// In `target/tmp`, on the disk of the build, and not in memory as `/tmp` may be.
fn show_in_temporary(out: &mut impl Write) -> Result<()> {
    let program = env::current_exe()?; // target/release/examples/telemetry_index
    let parent = program.ancestors().nth(3).map_or_else(env::temp_dir, |target| target.join("tmp"));
    fs::create_dir_all(&parent)?;
    let directory = TempDir::with_prefix_in("telemetry-", parent)?;
    show(directory.path(), out)?;
    Ok(directory.close()?)
}

/// Indexes most of a new archive, then the rest of it, and asks.
fn show(directory: &Path, out: &mut impl Write) -> Result<()> {
    let path = directory.join("telemetry.dat");
    let record_size = SAMPLE.parse::<Schema>()?.record_size();
    let mut producer = RingOptions::new(record_size, RECORDS).schema(SAMPLE).create(&path)?;
    let (archive, index) = (Archive::open(&path)?, Index::open(&directory.join("index.redb"))?);
    writeln!(out, "in {}", directory.display())?;
    for ids in [0..RECORDS / 4 * 3, RECORDS / 4 * 3..RECORDS] {
        sample::record(&mut producer, ids)?;
        index.update(&archive, out)?;
    }
    answers::answer(&archive, &index, out)?;
    Ok(producer.close()?)
}
