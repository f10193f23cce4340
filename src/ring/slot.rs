//! A slot's checksum, which ties a payload to its archive and its id.
//!
//! In zlib's terms it is `crc32(payload, salt ^ high32(id * 0x9E3779B97F4A7C15 mod 2^64))`, clamped
//! to 1..=0xFFFFFFFE. The multiplier is 2^64 divided by the golden ratio (Fibonacci hashing): a
//! plain XOR of the id would cancel against a payload that begins with it. A slot of zeros never
//! passes, because no checksum is 0. Skipped and deleted ids hold zeros and the complement of the
//! checksum of those zeros, which no record can carry.

use crc32fast::Hasher;

use super::lookup::Id;
use crate::planted::planted;

const FIBONACCI: u64 = 0x9E37_79B9_7F4A_7C15;

/// What a slot's bytes prove to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Record,
    Absent,
}

/// Checksum of a payload under an id.
#[inline]
pub(crate) fn checksum(salt: u32, id: Id, payload: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(seed(salt, id));
    hasher.update(payload);
    hasher.finalize().clamp(1, 0xFFFF_FFFE)
}

#[inline]
fn seed(salt: u32, id: Id) -> u32 {
    let hash = (id.0.wrapping_mul(FIBONACCI) >> 32) as u32;
    match () {
        () if planted("crc_seeded_by_a_plain_xor") => salt ^ ((id.0 << 32) >> 32) as u32,
        () if planted("crc_without_id") => salt,
        () if planted("crc_without_salt") => hash,
        () => salt ^ hash,
    }
}

/// Checksum of a skipped or deleted id, whose payload is `zeros`.
pub(crate) fn marker_checksum(salt: u32, id: Id, zeros: &[u8]) -> u32 {
    !checksum(salt, id, zeros)
}

/// What payload and checksum prove to be under this id; `None` when they belong to another id, are
/// torn, or damaged.
#[inline]
pub(crate) fn decode(salt: u32, id: Id, payload: &[u8], stored: u32) -> Option<Content> {
    let computed = checksum(salt, id, payload);
    if stored == computed || planted("crc_not_compared") {
        return Some(Content::Record);
    }
    let is_marker = stored == !computed && payload.iter().all(|&byte| byte == 0);
    let marker =
        if planted("marker_accepted_as_record") { Content::Record } else { Content::Absent };
    is_marker.then_some(marker)
}

/// Whether a whole slot, payload and CRC, proves a record under this id.
#[inline]
pub(crate) fn is_record(salt: u32, id: Id, slot: &[u8]) -> bool {
    slot.split_last_chunk().is_some_and(|(payload, &crc)| {
        decode(salt, id, payload, u32::from_le_bytes(crc)) == Some(Content::Record)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_zlibs_crc32_with_a_seed() {
        // python3: zlib.crc32(b"123456789", 0) and zlib.crc32(b"123456789", 0x9e3779b9).
        assert_eq!(checksum(0, Id(0), b"123456789"), 0xCBF4_3926);
        let mut hasher = Hasher::new_with_initial(0x9E37_79B9);
        hasher.update(b"123456789");
        assert_eq!(checksum(0, Id(1), b"123456789"), hasher.finalize());
    }

    #[test]
    fn a_marker_and_a_record_of_zeros_are_told_apart() {
        for id in (0..1000).map(Id) {
            let zeros = [0; 12];
            let record = checksum(7, id, &zeros);
            let marker = marker_checksum(7, id, &zeros);
            assert_eq!(decode(7, id, &zeros, record), Some(Content::Record));
            assert_eq!(decode(7, id, &zeros, marker), Some(Content::Absent));
            assert_eq!(decode(7, id, &zeros, 0), None);
            assert_eq!(decode(7, id, &[1; 12], !checksum(7, id, &[1; 12])), None);
        }
    }

    #[test]
    fn a_payload_that_begins_with_its_id_never_passes_under_another_one() {
        // A seed of `salt ^ id` cancels against such payloads; the product with an odd constant
        // does not.
        let payload = |id: u64| [id.to_le_bytes(), [0x55; 8]].concat();
        for id in 0..20_000 {
            let stored = checksum(99, Id(id), &payload(id));
            for other in [id + 1, id + 17, id ^ 0xFFFF] {
                let mut torn = payload(id);
                torn[..8].copy_from_slice(&other.to_le_bytes());
                assert_eq!(decode(99, Id(other), &torn, stored), None, "{id} {other}");
            }
        }
    }
}
