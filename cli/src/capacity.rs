//! How many records an archive keeps, from what people ask for: a length of time, or a size.

use std::time::Duration;

use ringkeep::Geometry;

use crate::exit::Failure;
use crate::units;

/// As many records as `keep` takes at one record `every` so long.
pub(crate) fn within_time(keep: Duration, every: Duration) -> u64 {
    u64::try_from(keep.as_nanos().div_ceil(every.as_nanos().max(1))).unwrap_or(u64::MAX)
}

/// The largest capacity whose files take at most `disk_bytes`; `geometry` is that of a capacity.
pub(crate) fn within_disk(
    disk_bytes: u64,
    geometry: impl Fn(u64) -> Result<Geometry, ringkeep::Error>,
) -> Result<u64, Failure> {
    // Options that no capacity makes good have a reason of their own.
    let one = geometry(1)?;
    let fits = |capacity| geometry(capacity).is_ok_and(|made| made.bytes_on_disk() <= disk_bytes);
    match last_that(fits, disk_bytes / (one.record_size as u64 + 4)) {
        0 => {
            let (disk, one) = (units::bytes(disk_bytes), units::bytes(one.bytes_on_disk()));
            Err(Failure::wrong_use(format!("--disk {disk} holds no record: give at least {one}")))
        }
        capacity => Ok(capacity),
    }
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
    use ringkeep::RingOptions;

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
        for record_size in [1, 124, 5000] {
            let geometry = |capacity| RingOptions::new(record_size, capacity).geometry();
            for disk_bytes in [64 << 10, 1 << 20, 128 << 20, 1 << 30] {
                let capacity = within_disk(disk_bytes, geometry).expect("room for a record");
                let taken = |capacity| geometry(capacity).expect("a geometry").bytes_on_disk();
                assert!(taken(capacity) <= disk_bytes);
                assert!(taken(capacity + 1) > disk_bytes);
            }
            assert!(within_disk(100, geometry).is_err());
        }
    }

    #[test]
    fn a_time_to_keep_gives_enough_records() {
        let (week, second) = (Duration::from_secs(604_800), Duration::from_secs(1));
        assert_eq!(within_time(week, second), 604_800);
        assert_eq!(within_time(second, Duration::from_millis(300)), 4);
        assert_eq!(within_time(Duration::MAX, Duration::from_nanos(1)), u64::MAX);
    }
}
