//! Where a record lives: the arithmetic from id to slot to shard, and its limits.

use std::fmt;

/// Ids are below this, so that sums of ids and sizes never overflow.
pub(crate) const ID_END: u64 = 1 << 62;
/// Largest record: 16 MiB.
pub(crate) const RECORD_BYTES_MAX: u64 = 16 << 20;
/// Most files of an archive.
pub(crate) const SHARDS_MAX: u64 = 1 << 14;
/// Most slots, and most bytes of all slots: every file offset fits into a signed 64-bit number.
pub(crate) const SLOTS_MAX: u64 = 1 << 40;
const BYTES_MAX: u64 = 1 << 56;
/// Bytes of the CRC behind each payload.
pub(crate) const CRC_BYTES: u64 = 4;

/// A record's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id(pub(crate) u64);

/// A record's fixed place in the ring, counted over all shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotIndex(pub(crate) u64);

/// A slot's file, and its place among the slots of that file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) shard: usize,
    pub(crate) slot: usize,
}

/// Shape of a ring: fixed when it is created.
///
/// # Examples
///
/// ```
/// use ringkeep::RingOptions;
///
/// let geometry = RingOptions::new(124, 1000).geometry()?;
/// assert_eq!((geometry.capacity, geometry.slots, geometry.shards), (1000, 1125, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Geometry {
    /// Bytes of a payload, 1 to 16 MiB.
    pub record_size: usize,
    /// Records kept.
    pub capacity: u64,
    /// Places for records: the capacity and one block that the producer may be writing.
    pub slots: u64,
    /// Slots of each file but the last, which has the rest.
    pub slots_per_shard: u64,
    /// Files.
    pub shards: u32,
}

/// How the slots are spread over files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharding {
    /// Slots of at most so many bytes a file (but at least one slot).
    Bytes(u64),
    /// At most so many files of equal size.
    Count(u32),
}

/// Why options make no ring.
///
/// # Examples
///
/// ```
/// use ringkeep::{Error, GeometryError, RingOptions};
///
/// let refused = RingOptions::new(0, 100).geometry();
/// assert!(matches!(
///     refused,
///     Err(Error::InvalidOptions(GeometryError::RecordSize { found: 0 }))
/// ));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// A record has 1 byte to 16 MiB.
    #[error("a record of {found} bytes is not possible: choose 1 to {RECORD_BYTES_MAX}")]
    RecordSize {
        /// Bytes asked for.
        found: u64,
    },
    /// A ring keeps at least one record, and has at most 2^40 slots and 2^56 bytes.
    #[error("a capacity of {found} records is not possible: choose 1 to {}, and at most 2^56 bytes \
             in all", SLOTS_MAX - 256)]
    Capacity {
        /// Records asked for.
        found: u64,
    },
    /// An archive has at least one file and at most 16384.
    #[error(
        "{found} files for an archive are not possible: choose 1 to {SHARDS_MAX}, or larger files"
    )]
    Shards {
        /// Files asked for, or that the size asked for gives.
        found: u64,
    },
    /// A file without bytes for slots.
    #[error("files of 0 bytes hold no records: choose a size for the files")]
    ShardBytes,
}

impl Geometry {
    /// Works out the shape, or why there is none.
    pub(crate) fn new(
        record_size: u64,
        capacity: u64,
        sharding: Sharding,
    ) -> Result<Self, GeometryError> {
        if !(1..=RECORD_BYTES_MAX).contains(&record_size) {
            return Err(GeometryError::RecordSize { found: record_size });
        }
        if !(1..=SLOTS_MAX - 256).contains(&capacity) {
            return Err(GeometryError::Capacity { found: capacity });
        }
        let slots = capacity + block_of(capacity);
        if slots.checked_mul(record_size + CRC_BYTES).is_none_or(|bytes| bytes > BYTES_MAX) {
            return Err(GeometryError::Capacity { found: capacity });
        }
        let slots_per_shard = match sharding {
            Sharding::Bytes(0) => return Err(GeometryError::ShardBytes),
            Sharding::Bytes(bytes) => (bytes / (record_size + CRC_BYTES)).clamp(1, slots),
            Sharding::Count(0) => return Err(GeometryError::Shards { found: 0 }),
            Sharding::Count(count) => slots.div_ceil(count.into()),
        };
        let shards = slots.div_ceil(slots_per_shard);
        let asked = match sharding {
            Sharding::Bytes(_) => shards,
            Sharding::Count(count) => count.into(),
        };
        match u32::try_from(shards) {
            Ok(count) if asked <= SHARDS_MAX => Ok(Self {
                record_size: usize::try_from(record_size).unwrap_or(usize::MAX),
                capacity,
                slots,
                slots_per_shard,
                shards: count,
            }),
            _ => Err(GeometryError::Shards { found: asked }),
        }
    }

    /// Ids that a producer claims at once.
    pub(crate) fn block(&self) -> u64 {
        block_of(self.capacity)
    }

    /// Bytes of a slot: payload and CRC.
    pub(crate) fn slot_size(&self) -> usize {
        self.record_size + 4
    }

    /// Slots of one file.
    pub(crate) fn slots_in(&self, shard: u32) -> u64 {
        let before = u64::from(shard) * self.slots_per_shard;
        self.slots_per_shard.min(self.slots - before)
    }
}

/// The way from an id to its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lookup {
    slots: Divisor,
    slots_per_shard: Divisor,
    last: Place,
}

impl Lookup {
    pub(crate) fn new(geometry: &Geometry) -> Self {
        let slots_per_shard = Divisor::new(geometry.slots_per_shard);
        let last = slots_per_shard.place_of(geometry.slots - 1);
        Self { slots: Divisor::new(geometry.slots), slots_per_shard, last }
    }

    /// Slot that holds `id`.
    #[inline]
    pub(crate) fn slot_of(&self, id: Id) -> SlotIndex {
        SlotIndex(self.slots.divide(id.0).1)
    }

    /// File and place of a slot.
    #[inline]
    pub(crate) fn place_of(&self, slot: SlotIndex) -> Place {
        self.slots_per_shard.place_of(slot.0)
    }

    /// The place of the next id.
    #[inline]
    pub(crate) fn after(&self, place: Place) -> Place {
        let slot = place.slot + 1;
        if place == self.last {
            Place { shard: 0, slot: 0 }
        } else if slot as u64 == self.slots_per_shard.value {
            Place { shard: place.shard + 1, slot: 0 }
        } else {
            Place { slot, ..place }
        }
    }
}

/// A number to divide by, again and again: a multiplication by its reciprocal takes a fraction of
/// the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Divisor {
    value: u64,
    /// Of 2^64, rounded down.
    reciprocal: u64,
}

impl Divisor {
    fn new(value: u64) -> Self {
        Self { value, reciprocal: u64::MAX / value }
    }

    /// File and place, where this is the number of slots in a file.
    #[inline]
    fn place_of(self, slot: u64) -> Place {
        let (shard, slot) = self.divide(slot);
        // Both fit: a file's slots are mapped as one region, and there are at most 2^14 files.
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the mapped length")]
        Place { shard: shard as usize, slot: slot as usize }
    }

    /// Quotient and remainder.
    #[inline]
    fn divide(self, number: u64) -> (u64, u64) {
        // The reciprocal is too small by less than 1 in 2^64, so the quotient by at most 1.
        let quotient = ((u128::from(number) * u128::from(self.reciprocal)) >> 64) as u64;
        let remainder = number - quotient * self.value;
        if remainder < self.value {
            (quotient, remainder)
        } else {
            (quotient + 1, remainder - self.value)
        }
    }
}

/// `clamp(capacity / 8, 1, 256)`: claims are rare, and the slots beyond the capacity few.
fn block_of(capacity: u64) -> u64 {
    (capacity / 8).clamp(1, 256)
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { record_size, capacity, slots_per_shard, shards, .. } = self;
        write!(f, "{capacity} records of {record_size} bytes in {shards} file")?;
        if *shards > 1 {
            write!(f, "s of {slots_per_shard} slots")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_one_place_and_every_file_its_share() {
        for capacity in 1..=70 {
            for sharding in [Sharding::Count(1), Sharding::Count(4), Sharding::Bytes(50)] {
                let geometry = Geometry::new(6, capacity, sharding).expect("a small ring");
                let (mut seen, lookup) = (Vec::new(), Lookup::new(&geometry));
                for id in 0..geometry.slots {
                    let place = lookup.place_of(lookup.slot_of(Id(id)));
                    assert_eq!(lookup.after(place), lookup.place_of(lookup.slot_of(Id(id + 1))));
                    seen.push(place);
                }
                let all = (0..geometry.shards).flat_map(|shard| {
                    let slots = usize::try_from(geometry.slots_in(shard)).expect("few");
                    (0..slots).map(move |slot| Place { shard: shard as usize, slot })
                });
                assert_eq!(seen, all.collect::<Vec<_>>(), "{geometry}");
                assert_eq!(lookup.slot_of(Id(geometry.slots)), SlotIndex(0));
            }
        }
    }

    #[test]
    fn a_divisor_divides() {
        let values = (0..64).flat_map(|bit| [1 << bit, (1 << bit) + 1, (3 << bit) - 1]);
        let values: Vec<u64> = values.chain([7, 1125, u64::MAX - 1, u64::MAX]).collect();
        for &value in &values {
            let divisor = Divisor::new(value);
            let multiples = values.iter().map(|&number| number / value * value);
            for number in multiples.flat_map(|number| [number, number.wrapping_sub(1)]) {
                assert_eq!(divisor.divide(number), (number / value, number % value));
            }
            for &number in &values {
                assert_eq!(divisor.divide(number), (number / value, number % value));
            }
        }
    }

    #[test]
    fn shapes_that_overflow_are_refused() {
        let bytes = Sharding::Bytes(1 << 28);
        assert!(Geometry::new(0, 1, bytes).is_err());
        assert!(Geometry::new(RECORD_BYTES_MAX + 1, 1, bytes).is_err());
        assert!(Geometry::new(1, 0, bytes).is_err());
        assert!(Geometry::new(1, u64::MAX, bytes).is_err());
        assert!(Geometry::new(RECORD_BYTES_MAX, SLOTS_MAX - 256, bytes).is_err());
        assert!(Geometry::new(1, 1, Sharding::Count(0)).is_err());
        assert!(Geometry::new(1, 1, Sharding::Bytes(0)).is_err());
        assert!(Geometry::new(1, 1 << 30, Sharding::Count(u32::MAX)).is_err());
        assert!(Geometry::new(RECORD_BYTES_MAX, 100, bytes).is_ok());
    }
}
