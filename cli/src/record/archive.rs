//! The recorder's archive: made on the first start, gone on with on every later one.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringkeep::{Producer, Ring, RingOptions, SyncPolicy};

use super::sample::{RECORD_BYTES, SCHEMA};
use crate::exit::{Exit, Failure};
use crate::units;

/// Twelve days at one sample a second.
pub(super) const DEFAULT_DISK_BYTES: u64 = 128 << 20;
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
            (Some(keep), _) => {
                let records = keep.as_nanos().div_ceil(every.as_nanos());
                Self::Records(u64::try_from(records).unwrap_or(u64::MAX))
            }
            (None, Some(bytes)) => Self::Disk(bytes),
            (None, None) => Self::Default,
        }
    }

    fn capacity(self) -> Result<u64, Failure> {
        match self {
            Self::Records(count) => Ok(count),
            Self::Disk(bytes) => capacity_within(bytes),
            Self::Default => capacity_within(DEFAULT_DISK_BYTES),
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
pub(super) fn open(path: &Path, keep: Keep, sync: SyncPolicy) -> Result<Producer, Failure> {
    match Ring::open(path) {
        Ok(ring) => {
            check(&ring, keep)?;
            let mut producer = Producer::open(path)?;
            producer.set_sync(sync);
            Ok(producer)
        }
        Err(ringkeep::Error::NotFound { .. }) => {
            let options = RingOptions::new(RECORD_BYTES, keep.capacity()?);
            Ok(options.schema(SCHEMA).sync(sync).create(path)?)
        }
        Err(error) => Err(error.into()),
    }
}

fn check(ring: &Ring, keep: Keep) -> Result<(), Failure> {
    let path = ring.path().display();
    let found = ring.geometry();
    if ring.schema_text() != Some(SCHEMA) || found.record_size != RECORD_BYTES {
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

/// The largest capacity whose files take at most `disk_bytes`.
fn capacity_within(disk_bytes: u64) -> Result<u64, Failure> {
    let fits = |capacity| {
        let geometry = RingOptions::new(RECORD_BYTES, capacity).schema(SCHEMA).geometry();
        geometry.is_ok_and(|geometry| geometry.bytes_on_disk() <= disk_bytes)
    };
    let slot_bytes = RECORD_BYTES as u64 + 4;
    let capacity = last_that(fits, disk_bytes / slot_bytes);
    if capacity == 0 {
        let disk = units::bytes(disk_bytes);
        return Err(Failure::wrong_use(format!("--disk {disk} holds no record: give more")));
    }
    Ok(capacity)
}

/// The largest number of `1..=most` that `fits`, if all below it do too; 0 if none does.
fn last_that(fits: impl Fn(u64) -> bool, most: u64) -> u64 {
    let (mut good, mut bad) = (0, most.saturating_add(1));
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_that_fits_is_found_at_both_ends() {
        for limit in [0, 1, 2, 57, 99, 100] {
            assert_eq!(last_that(|number| number <= limit, 100), limit);
        }
        assert_eq!(last_that(|_| true, 0), 0);
    }

    #[test]
    fn a_disk_size_is_never_exceeded_and_well_used() {
        for disk_bytes in [64 << 10, 1 << 20, DEFAULT_DISK_BYTES, 1 << 30] {
            let capacity = capacity_within(disk_bytes).expect("room for a record");
            let taken = |capacity| {
                let geometry = RingOptions::new(RECORD_BYTES, capacity).schema(SCHEMA).geometry();
                geometry.expect("a good geometry").bytes_on_disk()
            };
            assert!(taken(capacity) <= disk_bytes);
            assert!(taken(capacity + 1) > disk_bytes);
        }
        assert!(capacity_within(100).is_err());
    }

    #[test]
    fn a_time_to_keep_gives_enough_records() {
        let (week, second) = (Duration::from_secs(604_800), Duration::from_secs(1));
        let keep = Keep::of(Some(week), None, second);
        assert!(matches!(keep, Keep::Records(604_800)), "{keep:?}");
        let keep = Keep::of(Some(second), None, Duration::from_millis(300));
        assert!(matches!(keep, Keep::Records(4)), "{keep:?}");
    }
}
