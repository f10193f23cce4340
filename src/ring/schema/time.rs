//! The time of a record.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::TimeUnit;

/// Where a record has its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeField {
    pub(crate) offset: usize,
    pub(crate) unit: TimeUnit,
}

impl TimeField {
    /// In the field's unit.
    #[inline]
    pub(crate) fn raw(self, record: &[u8]) -> i64 {
        i64::from_le_bytes(std::array::from_fn(|index| record[self.offset + index]))
    }

    /// Since 1970; fits whatever the unit.
    #[inline]
    pub(crate) fn nanos(self, record: &[u8]) -> i128 {
        i128::from(self.raw(record)) * i128::from(self.unit.nanos())
    }

    /// `None` for a time that the operating system cannot express.
    pub(crate) fn of(self, record: &[u8]) -> Option<SystemTime> {
        let (count, unit) = (self.raw(record), u128::from(self.unit.nanos()));
        let nanos = u128::from(count.unsigned_abs()) * unit;
        let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
        let rest = u32::try_from(nanos % 1_000_000_000).ok()?;
        let length = Duration::new(seconds, rest);
        if count < 0 { UNIX_EPOCH.checked_sub(length) } else { UNIX_EPOCH.checked_add(length) }
    }
}

/// Nanoseconds since 1970.
pub(crate) fn nanos_of(time: SystemTime) -> i128 {
    let nanos = |length: Duration| i128::try_from(length.as_nanos()).unwrap_or(i128::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => nanos(after),
        Err(before) => -nanos(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_any_size_are_system_times() {
        for unit in [TimeUnit::Seconds, TimeUnit::Millis, TimeUnit::Micros, TimeUnit::Nanos] {
            let field = TimeField { offset: 0, unit };
            for count in [i64::MIN, -1, 0, 1, 1_700_000_000_123, i64::MAX] {
                let record = count.to_le_bytes();
                let time = field.of(&record).expect("a time of this machine");
                assert_eq!(nanos_of(time), field.nanos(&record), "{count} {unit:?}");
            }
        }
    }
}
