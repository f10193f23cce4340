//! The recorder's archive: made on the first start, gone on with on every later one.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringkeep::{Io, Producer, ReadOptions, Ring, RingOptions, SyncPolicy};

use super::sample::{RECORD_BYTES, SCHEMA};
use crate::exit::{Exit, Failure};
use crate::opening::WriteArgs;
use crate::{capacity, units};

/// Twelve days at one sample a second.
const DEFAULT_DISK_BYTES: u64 = 128 << 20;
const DEFAULT_DIRECTORY: &str = "telemetry";

/// How much is to be kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keep {
    /// So many records.
    Records(u64),
    /// What fits into so many bytes of disk.
    Disk(u64),
    /// Nothing was said: what is there, whatever it keeps, else the default.
    Default,
}

impl Keep {
    pub(super) fn of(keep: Option<Duration>, disk: Option<u64>, every: Duration) -> Self {
        match (keep, disk) {
            (Some(keep), _) => Self::Records(capacity::within_time(keep, every)),
            (None, Some(bytes)) => Self::Disk(bytes),
            (None, None) => Self::Default,
        }
    }

    fn capacity(self) -> Result<u64, Failure> {
        let geometry = |capacity| RingOptions::new(RECORD_BYTES, capacity).geometry();
        match self {
            Self::Records(count) => Ok(count),
            Self::Disk(bytes) => capacity::within_disk(bytes, geometry),
            Self::Default => capacity::within_disk(DEFAULT_DISK_BYTES, geometry),
        }
    }
}

/// Makes the default directory and gives the default file in it.
pub(super) fn default_file() -> Result<PathBuf, Failure> {
    match fs::create_dir(DEFAULT_DIRECTORY) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(Failure::system(format!(
            "cannot make the directory ./{DEFAULT_DIRECTORY}: {error}; name a FILE elsewhere"
        ))),
        _ => Ok(Path::new(".").join(DEFAULT_DIRECTORY).join("cache.dat")),
    }
}

/// Opens the archive for writing, or makes it. A refusal changes nothing on disk: what is there
/// is looked at as a reader first.
pub(super) fn open(
    path: &Path,
    keep: Keep,
    sync: SyncPolicy,
    write: WriteArgs,
) -> Result<Producer, Failure> {
    match ReadOptions::new().io(Io::File).open(path) {
        Ok(ring) => {
            check(&ring, keep)?;
            Ok(write.options().sync(sync).open(path)?)
        }
        Err(ringkeep::Error::NotFound { .. }) => {
            let options = write.apply_to(RingOptions::new(RECORD_BYTES, keep.capacity()?));
            Ok(options.schema(SCHEMA).sync(sync).create(path)?)
        }
        Err(error) => Err(error.into()),
    }
}

fn check(ring: &Ring, keep: Keep) -> Result<(), Failure> {
    let path = ring.path().display();
    let found = ring.geometry();
    if ring.schema().ok().flatten() != SCHEMA.parse().ok().as_ref() {
        return Err(Failure::Told(
            Exit::Use,
            format!("{path} is an archive, but no recorder made it: name another FILE"),
        ));
    }
    let asked = if matches!(keep, Keep::Default) { found.capacity } else { keep.capacity()? };
    if asked != found.capacity {
        return Err(Failure::Told(
            Exit::Use,
            format!(
                "{path} keeps {} records ({}), --keep or --disk asks for {asked}: leave that \
                 out to go on with it, or name another FILE",
                found.capacity,
                units::bytes(found.bytes_on_disk()),
            ),
        ));
    }
    Ok(())
}
