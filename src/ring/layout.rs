//! The bytes of an archive's pages: values to bytes and back. docs/FORMAT.md has the same tables.
//!
//! | offset in `cache.dat` | block | in `cache.dat.N` |
//! |---|---|---|
//! | 0 | identity page | 0 |
//! | 4096 | hot page | - |
//! | 8192, 12288 | checkpoint pages A and B | - |
//! | 16384 | redo slot, rounded up to a page | - |
//! | `slots_offset` | slots, back to back | 4096 |

use super::{
    lookup::{Geometry, ID_END, Id, RECORD_BYTES_MAX, SHARDS_MAX, Sharding},
    schema::SCHEMA_BYTES_MAX,
};
use crate::{
    error::{ARCHIVE_MAGIC, ArchiveId, Corruption},
    planted::planted,
};

pub(crate) const PAGE: usize = 4096;
const PAGE_BYTES: u64 = PAGE as u64;

pub(crate) const FORMAT_VERSION: u32 = 1;
/// Features that a reader must know; none yet.
const INCOMPATIBLE_KNOWN: u32 = 0;

/// Offsets in the identity page.
pub(crate) mod identity {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = 8;
    pub(crate) const COMPATIBLE: usize = 12;
    pub(crate) const INCOMPATIBLE: usize = 16;
    pub(crate) const SHARD_INDEX: usize = 20;
    pub(crate) const SHARDS: usize = 24;
    pub(crate) const SALT: usize = 28;
    pub(crate) const ARCHIVE_ID: usize = 32;
    pub(crate) const RECORD_SIZE: usize = 48;
    pub(crate) const CAPACITY: usize = 56;
    pub(crate) const SLOTS: usize = 64;
    pub(crate) const SLOTS_PER_SHARD: usize = 72;
    pub(crate) const SLOTS_OFFSET: usize = 80;
    pub(crate) const SCHEMA_BYTES: usize = 88;
    pub(crate) const SCHEMA: usize = 96;
    pub(crate) const CRC: usize = 4092;
    const _: () = assert!(SCHEMA + super::SCHEMA_BYTES_MAX <= CRC && CRC + 4 == super::PAGE);
}

/// Offsets of the hot page's words in `cache.dat`. What the producer stores together lies on a
/// cache line of its own, so that readers' copies of the other lines stay valid.
pub(crate) mod hot {
    const PAGE: usize = 4096;
    pub(crate) const CLAIM: usize = PAGE;
    pub(crate) const COUNTER: usize = PAGE + 8;
    pub(crate) const TOUCHED: usize = PAGE + 64;
    pub(crate) const NEXT: usize = PAGE + 72;
    pub(crate) const DURABLE: usize = PAGE + 128;
    pub(crate) const KEPT: usize = PAGE + 136;
    pub(crate) const CLOCK_STEP: usize = PAGE + 144;
    pub(crate) const EPOCH: usize = PAGE + 192;
    pub(crate) const BOOT: usize = PAGE + 200;
    pub(crate) const DEVICE: usize = PAGE + 216;
    pub(crate) const INODE: usize = PAGE + 224;
    pub(crate) const PROVEN: usize = PAGE + 232;
    pub(crate) const PROVEN_BOOT: usize = PAGE + 240;
    pub(crate) const FUTEX: usize = PAGE + 256;
    /// Words from `CLAIM` on, up to the last one of 8 bytes.
    pub(crate) const WORDS: usize = (PROVEN_BOOT + 16 - CLAIM) / 8;
}

/// Offsets of the two checkpoint pages.
pub(crate) const CHECKPOINTS: [usize; 2] = [2 * PAGE, 3 * PAGE];
/// Used bytes of a checkpoint page: one sector.
pub(crate) const CHECKPOINT_BYTES: usize = 512;
/// Crash ranges that a checkpoint page holds.
pub(crate) const RANGES_MAX: usize = 24;

/// Offsets in a checkpoint page.
pub(crate) mod checkpoint {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const SEQUENCE: usize = 8;
    pub(crate) const DURABLE: usize = 16;
    pub(crate) const LIMIT: usize = 24;
    pub(crate) const KEPT: usize = 32;
    pub(crate) const CLOCK_STEP: usize = 40;
    pub(crate) const RANGE_COUNT: usize = 48;
    pub(crate) const RANGES: usize = 56;
    pub(crate) const CRC: usize = 508;
    const _: () = assert!(RANGES + 16 * super::RANGES_MAX <= CRC);
    const _: () = assert!(CRC + 4 == super::CHECKPOINT_BYTES);
}

/// The redo slot's first word: 0, or id + 1 with `REDO_THROUGH` when it was flushed first.
pub(crate) const REDO: usize = 4 * PAGE;
/// Its payload, then its CRC.
pub(crate) const REDO_PAYLOAD: usize = REDO + 8;
pub(crate) const REDO_THROUGH: u64 = 1 << 63;

const CHECKPOINT_MAGIC: [u8; 8] = *b"RKCHECK1";

/// What an identity page says. It never changes after creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) archive: ArchiveId,
    pub(crate) salt: u32,
    pub(crate) shard: u32,
    pub(crate) geometry: Geometry,
    pub(crate) schema: Box<str>,
}

/// Why a page is no identity page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoIdentity {
    Foreign,
    Newer { found: u32 },
    Damaged(Corruption),
}

/// Where the slots begin in a file.
pub(crate) fn slots_offset(shard: u32, record_size: usize) -> u64 {
    match shard {
        0 => ((REDO_PAYLOAD + record_size + 4) as u64).next_multiple_of(PAGE_BYTES),
        _ => PAGE_BYTES,
    }
}

impl Identity {
    /// Length of this shard's file.
    pub(crate) fn file_bytes(&self) -> u64 {
        file_bytes(&self.geometry, self.shard)
    }

    pub(crate) fn encode(&self) -> [u8; PAGE] {
        use identity as at;
        let mut page = [0; PAGE];
        let mut put = |offset: usize, bytes: &[u8]| {
            page[offset..offset + bytes.len()].copy_from_slice(bytes);
        };
        put(at::MAGIC, &ARCHIVE_MAGIC);
        put(at::VERSION, &FORMAT_VERSION.to_le_bytes());
        put(at::COMPATIBLE, &0_u32.to_le_bytes());
        put(at::INCOMPATIBLE, &0_u32.to_le_bytes());
        put(at::SHARD_INDEX, &self.shard.to_le_bytes());
        put(at::SHARDS, &self.geometry.shards.to_le_bytes());
        put(at::SALT, &self.salt.to_le_bytes());
        put(at::ARCHIVE_ID, &self.archive.0);
        put(at::RECORD_SIZE, &(self.geometry.record_size as u64).to_le_bytes());
        put(at::CAPACITY, &self.geometry.capacity.to_le_bytes());
        put(at::SLOTS, &self.geometry.slots.to_le_bytes());
        put(at::SLOTS_PER_SHARD, &self.geometry.slots_per_shard.to_le_bytes());
        let slots_offset = slots_offset(self.shard, self.geometry.record_size);
        put(at::SLOTS_OFFSET, &slots_offset.to_le_bytes());
        put(at::SCHEMA_BYTES, &(self.schema.len() as u64).to_le_bytes());
        put(at::SCHEMA, self.schema.as_bytes());
        let crc = crc32fast::hash(&page[..at::CRC]);
        page[at::CRC..].copy_from_slice(&crc.to_le_bytes());
        page
    }

    /// Any bytes in, an identity or the reason why there is none out.
    pub(crate) fn decode(page: &[u8; PAGE]) -> Result<Self, NoIdentity> {
        use identity as at;
        if page[at::MAGIC..at::MAGIC + 8] != ARCHIVE_MAGIC {
            return Err(NoIdentity::Foreign);
        }
        // Before the checksum: a later version may compute it over something else.
        let version = u32_at(page, at::VERSION);
        if version > FORMAT_VERSION {
            return Err(NoIdentity::Newer { found: version });
        }
        let (found, expected) = (u32_at(page, at::CRC), crc32fast::hash(&page[..at::CRC]));
        if found != expected {
            return Err(Corruption::Checksum { found, expected }.into());
        }
        let incompatible = u32_at(page, at::INCOMPATIBLE);
        if incompatible & !INCOMPATIBLE_KNOWN != 0 {
            return Err(NoIdentity::Newer { found: FORMAT_VERSION + 1 });
        }
        let identity = Self {
            archive: ArchiveId(bytes_at(page, at::ARCHIVE_ID)),
            salt: u32_at(page, at::SALT),
            shard: u32_at(page, at::SHARD_INDEX),
            geometry: decode_geometry(page)?,
            schema: decode_schema(page)?,
        };
        expect_field("version", version.into(), version == FORMAT_VERSION)?;
        let shard = identity.shard;
        expect_field("shard_index", shard.into(), shard < identity.geometry.shards)?;
        let offset = u64_at(page, at::SLOTS_OFFSET);
        let expected = slots_offset(shard, identity.geometry.record_size);
        expect_field("slots_offset", offset, offset == expected)?;
        Ok(identity)
    }
}

/// Length of a shard's file. Fits, because the geometry was checked.
pub(crate) fn file_bytes(geometry: &Geometry, shard: u32) -> u64 {
    let slots = geometry.slots_in(shard) * geometry.slot_size() as u64;
    slots_offset(shard, geometry.record_size) + slots
}

/// The stored numbers must be the ones that the record size, the capacity and the slots per shard
/// give; so nothing about them needs to be trusted.
fn decode_geometry(page: &[u8; PAGE]) -> Result<Geometry, Corruption> {
    use identity as at;
    let record_size = u64_at(page, at::RECORD_SIZE);
    expect_field("record_size", record_size, (1..=RECORD_BYTES_MAX).contains(&record_size))?;
    let capacity = u64_at(page, at::CAPACITY);
    let slots_per_shard = u64_at(page, at::SLOTS_PER_SHARD);
    let bytes = slots_per_shard.saturating_mul(record_size + 4);
    let geometry = Geometry::new(record_size, capacity, Sharding::Bytes(bytes))
        .map_err(|_| Corruption::Field { field: "capacity", value: capacity })?;
    let same = geometry.slots_per_shard == slots_per_shard;
    expect_field("slots_per_shard", slots_per_shard, same)?;
    let slots = u64_at(page, at::SLOTS);
    expect_field("slots", slots, slots == geometry.slots)?;
    let shards = u32_at(page, at::SHARDS);
    let fits = shards == geometry.shards && u64::from(shards) <= SHARDS_MAX;
    expect_field("shards", shards.into(), fits)?;
    Ok(geometry)
}

fn decode_schema(page: &[u8; PAGE]) -> Result<Box<str>, Corruption> {
    use identity as at;
    let bytes = u64_at(page, at::SCHEMA_BYTES);
    let length = usize::try_from(bytes).unwrap_or(usize::MAX);
    expect_field("schema_bytes", bytes, length <= SCHEMA_BYTES_MAX)?;
    let text = std::str::from_utf8(&page[at::SCHEMA..at::SCHEMA + length]).ok();
    // One printable line can be shown anywhere; whether it is a schema is not decided here, so that
    // an archive with fields of a later version opens.
    text.filter(|text| !text.chars().any(char::is_control))
        .map(Into::into)
        .ok_or(Corruption::Field { field: "schema", value: bytes })
}

/// A stretch of ids that a crash may have taken: `first..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CrashRange {
    pub(crate) first: u64,
    pub(crate) end: u64,
}

/// What a checkpoint page says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Checkpoint {
    /// The newer of two pages has the larger one; never 0.
    pub(crate) sequence: u64,
    /// Every id below it was durable before this page was written.
    pub(crate) durable: u64,
    /// No id at or above it was ever handed out.
    pub(crate) limit: u64,
    /// Ids below it were dropped.
    pub(crate) kept: u64,
    /// Largest backward step of the clock, in nanoseconds.
    pub(crate) clock_step: u64,
    /// Sorted, apart from each other, at most `RANGES_MAX`.
    pub(crate) ranges: Vec<CrashRange>,
}

impl Checkpoint {
    pub(crate) fn encode(&self, salt: u32) -> [u8; CHECKPOINT_BYTES] {
        use checkpoint as at;
        assert!(self.ranges.len() <= RANGES_MAX, "ranges are merged before they are stored");
        let mut page = [0; CHECKPOINT_BYTES];
        page[at::MAGIC..at::MAGIC + 8].copy_from_slice(&CHECKPOINT_MAGIC);
        let mut put = |offset: usize, value: u64| {
            page[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        };
        put(at::SEQUENCE, self.sequence);
        put(at::DURABLE, self.durable);
        put(at::LIMIT, self.limit);
        put(at::KEPT, self.kept);
        put(at::CLOCK_STEP, self.clock_step);
        put(at::RANGE_COUNT, self.ranges.len() as u64);
        for (index, range) in self.ranges.iter().enumerate() {
            put(at::RANGES + 16 * index, range.first);
            put(at::RANGES + 16 * index + 8, range.end);
        }
        let crc = seeded_crc(salt, &page[..at::CRC]);
        page[at::CRC..].copy_from_slice(&crc.to_le_bytes());
        page
    }

    /// Any bytes in, a checkpoint or the reason why there is none out.
    pub(crate) fn decode(page: &[u8; CHECKPOINT_BYTES], salt: u32) -> Result<Self, Corruption> {
        use checkpoint as at;
        let computed = seeded_crc(salt, &page[..at::CRC]);
        let stored = u32::from_le_bytes(bytes_at(page, at::CRC));
        if computed != stored {
            return Err(Corruption::Checksum { found: stored, expected: computed });
        }
        let field = |offset: usize| u64::from_le_bytes(bytes_at(page, offset));
        let magic = field(at::MAGIC);
        expect_field("magic", magic, magic == u64::from_le_bytes(CHECKPOINT_MAGIC))?;
        let count = field(at::RANGE_COUNT);
        expect_field("range_count", count, count <= RANGES_MAX as u64)?;
        let found = Self {
            sequence: field(at::SEQUENCE),
            durable: field(at::DURABLE),
            limit: field(at::LIMIT),
            kept: field(at::KEPT),
            clock_step: field(at::CLOCK_STEP),
            ranges: (0..RANGES_MAX)
                .take_while(|&index| (index as u64) < count)
                .map(|index| at::RANGES + 16 * index)
                .map(|offset| CrashRange { first: field(offset), end: field(offset + 8) })
                .collect(),
        };
        found.check()?;
        Ok(found)
    }

    /// A page with a right checksum may still come from a hostile hand.
    fn check(&self) -> Result<(), Corruption> {
        let Self { sequence, durable, limit, kept, .. } = *self;
        expect_field("sequence", sequence, (1..1 << 62).contains(&sequence))?;
        expect_field("limit", limit, limit <= ID_END)?;
        expect_field("durable", durable, durable <= limit)?;
        expect_field("kept", kept, kept <= limit)?;
        let mut end = 0;
        for range in &self.ranges {
            let apart = range.first >= end && range.first < range.end && range.end <= limit;
            expect_field("range", range.first, apart)?;
            end = range.end;
        }
        Ok(())
    }
}

/// What the redo slot's first word says.
pub(crate) fn decode_redo(word: u64) -> Option<(Id, bool)> {
    let id = (word & !REDO_THROUGH).checked_sub(1)?;
    (id < ID_END).then_some((Id(id), word & REDO_THROUGH != 0))
}

pub(crate) fn encode_redo(id: Id, through: bool) -> u64 {
    (id.0 + 1) | if through { REDO_THROUGH } else { 0 }
}

fn seeded_crc(salt: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(bytes);
    hasher.finalize()
}

fn expect_field(field: &'static str, value: u64, holds: bool) -> Result<(), Corruption> {
    let accepts = holds || planted("fields_not_checked");
    if accepts { Ok(()) } else { Err(Corruption::Field { field, value }) }
}

fn u32_at(page: &[u8; PAGE], offset: usize) -> u32 {
    u32::from_le_bytes(bytes_at(page, offset))
}

fn u64_at(page: &[u8; PAGE], offset: usize) -> u64 {
    u64::from_le_bytes(bytes_at(page, offset))
}

fn bytes_at<const N: usize>(page: &[u8], offset: usize) -> [u8; N] {
    std::array::from_fn(|index| page[offset + index])
}

impl From<Corruption> for NoIdentity {
    fn from(corruption: Corruption) -> Self {
        Self::Damaged(corruption)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_identity() -> Identity {
        Identity {
            archive: ArchiveId([7; 16]),
            salt: 0xDEAD_BEEF,
            shard: 2,
            geometry: Geometry::new(20, 100, Sharding::Count(3)).expect("a small ring"),
            schema: "t:time_ns, value:f32[C]".into(),
        }
    }

    fn some_checkpoint() -> Checkpoint {
        let range = |first| CrashRange { first, end: first + 3 };
        Checkpoint {
            sequence: 9,
            durable: 100,
            limit: 500,
            kept: 3,
            clock_step: 55,
            ranges: (0..RANGES_MAX as u64).map(|index| range(10 * index)).collect(),
        }
    }

    #[test]
    fn an_identity_page_comes_back_as_it_was() {
        let identity = some_identity();
        assert_eq!(Identity::decode(&identity.encode()), Ok(identity));
    }

    #[test]
    fn a_flipped_bit_anywhere_in_an_identity_page_is_noticed() {
        let page = some_identity().encode();
        for bit in 0..page.len() * 8 {
            let mut bent = page;
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(Identity::decode(&bent).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_checkpoint_page_comes_back_as_it_was_and_every_flipped_bit_is_noticed() {
        let page = some_checkpoint().encode(5);
        assert_eq!(Checkpoint::decode(&page, 5), Ok(some_checkpoint()));
        assert!(Checkpoint::decode(&page, 6).is_err(), "of another archive");
        for bit in 0..page.len() * 8 {
            let mut bent = page;
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(Checkpoint::decode(&bent, 5).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn fields_that_no_writer_stores_are_refused_in_spite_of_a_right_checksum() {
        let refused = [
            Checkpoint { sequence: 0, ..some_checkpoint() },
            Checkpoint { durable: 501, ..some_checkpoint() },
            Checkpoint { limit: ID_END + 1, ..some_checkpoint() },
            Checkpoint { kept: 501, ..some_checkpoint() },
            Checkpoint { ranges: vec![CrashRange { first: 5, end: 5 }], ..some_checkpoint() },
            Checkpoint { ranges: vec![CrashRange { first: 5, end: 501 }], ..some_checkpoint() },
        ];
        for checkpoint in refused {
            assert!(Checkpoint::decode(&checkpoint.encode(1), 1).is_err(), "{checkpoint:?}");
        }
    }

    #[test]
    fn the_redo_word_tells_id_and_flag() {
        assert_eq!(decode_redo(0), None);
        for (id, through) in [(Id(0), false), (Id(0), true), (Id(ID_END - 1), true)] {
            assert_eq!(decode_redo(encode_redo(id, through)), Some((id, through)));
        }
        assert_eq!(decode_redo(u64::MAX), None);
    }
}
