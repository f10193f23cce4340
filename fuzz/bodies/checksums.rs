//! Checksums made right again after an edit, so that the fields themselves are tried.

use std::ops::Range;

/// A word of a file, if it is there.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Stores the checksum of these bytes at `at`, if they are there.
pub(crate) fn mend_one(bytes: &mut [u8], at: usize, seed: u32, range: Range<usize>) {
    let Some(summed) = bytes.get(range) else { return };
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(summed);
    let checksum = hasher.finalize().to_le_bytes();
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&checksum);
    }
}
