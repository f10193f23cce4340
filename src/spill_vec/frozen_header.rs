//! The first bytes of a frozen file, and the index at its end.
//!
//! | offset | bytes | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | magic | `ringkpfv` |
//! | 8 | 4 | version | 1 |
//! | 12 | 4 | salt | seed of the checksums of the frames' headers |
//! | 16 | 8 | items | how many there are |
//! | 24 | 8 | index offset | where the frames end and the index begins |
//! | 32 | 8 | frames | how many there are |
//! | 40 | 4 | index checksum | CRC32 of the index |
//! | 44 | 4 | compression | of the frames' bodies: 0 none, 1 LZ4 (blocks), 2 Zstandard |
//! | 48 | 16 | - | zero |
//! | 64 | 64 | codec | name of what makes bytes of items, padded with zeros |
//! | 128 | 64 | tag | what the user says the items are, padded with zeros |
//! | 192 | 316 | - | zero |
//! | 508 | 4 | checksum | CRC32 of bytes 0 to 508 |
//!
//! Frames lie back to back from byte 512 on. The index has 8 bytes for each: how many items it
//! has, and how many bytes.

use crate::{
    disk::{
        compression::Compression,
        frame::{BODY_BYTES_MAX, HEADER_BYTES as FRAME_HEADER_BYTES, frame_bytes},
        segment::{NAME_BYTES, name_of},
    },
    error::Corruption,
};

/// Bytes of the header: where the first frame begins.
pub(super) const HEADER_BYTES: usize = 512;
/// Bytes of a frame in the index.
pub(super) const ENTRY_BYTES: usize = 8;

const MAGIC: [u8; 8] = *b"ringkpfv";
pub(super) const VERSION: u32 = 1;
const CHECKSUM_AT: usize = HEADER_BYTES - 4;

/// What a frozen file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FrozenHeader {
    pub(super) salt: u32,
    pub(super) items: u64,
    pub(super) index_offset: u64,
    pub(super) frames: u64,
    pub(super) index_checksum: u32,
    pub(super) compression: Compression,
    pub(super) codec: Box<str>,
    pub(super) tag: Box<str>,
}

/// Why a file has no such header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotFrozen {
    Foreign,
    Newer(u32),
    UnknownCompression(u32),
    Damaged(Corruption),
}

impl FrozenHeader {
    /// Length of the file.
    pub(super) fn file_bytes(&self) -> Option<u64> {
        self.frames.checked_mul(ENTRY_BYTES as u64)?.checked_add(self.index_offset)
    }

    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &MAGIC);
        put(8, &VERSION.to_le_bytes());
        put(12, &self.salt.to_le_bytes());
        put(16, &self.items.to_le_bytes());
        put(24, &self.index_offset.to_le_bytes());
        put(32, &self.frames.to_le_bytes());
        put(40, &self.index_checksum.to_le_bytes());
        put(44, &self.compression.number().to_le_bytes());
        put(64, self.codec.as_bytes());
        put(128, self.tag.as_bytes());
        let checksum = crc32fast::hash(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, NotFrozen> {
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        if bytes[..8] != MAGIC {
            return Err(NotFrozen::Foreign);
        }
        let (found, expected) = (word(CHECKSUM_AT), crc32fast::hash(&bytes[..CHECKSUM_AT]));
        if found != expected {
            return Err(NotFrozen::Damaged(Corruption::Checksum { found, expected }));
        }
        if word(8) != VERSION {
            return Err(NotFrozen::Newer(word(8)));
        }
        let unknown = NotFrozen::UnknownCompression(word(44));
        let compression = Compression::numbered(word(44)).ok_or(unknown)?;
        let damaged = |field, value| NotFrozen::Damaged(Corruption::Field { field, value });
        let name = |field, at: usize| {
            name_of(&bytes[at..at + NAME_BYTES]).ok_or(damaged(field, bytes[at].into()))
        };
        let header = Self {
            salt: word(12),
            items: long(16),
            index_offset: long(24),
            frames: long(32),
            index_checksum: word(40),
            compression,
            codec: name("codec", 64)?,
            tag: name("tag", 128)?,
        };
        if header.index_offset < HEADER_BYTES as u64 || header.file_bytes().is_none() {
            return Err(damaged("index offset", header.index_offset));
        }
        Ok(header)
    }
}

/// A frame in the index.
pub(super) fn encode_entry(items: u64, bytes: u64) -> [u8; ENTRY_BYTES] {
    // Both are bounded by what a body can have.
    let narrow = |wide: u64| u32::try_from(wide).unwrap_or(u32::MAX).to_le_bytes();
    let mut entry = [0; ENTRY_BYTES];
    entry[..4].copy_from_slice(&narrow(items));
    entry[4..].copy_from_slice(&narrow(bytes));
    entry
}

/// Items and bytes of a frame, if there can be such a frame.
pub(super) fn decode_entry(entry: [u8; ENTRY_BYTES]) -> Result<(u64, u64), Corruption> {
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| entry[at + i]));
    let (items, bytes) = (u64::from(word(0)), u64::from(word(4)));
    let bytes_max = frame_bytes(BODY_BYTES_MAX) as u64;
    if items == 0 || items > BODY_BYTES_MAX as u64 / 4 {
        return Err(Corruption::Field { field: "items of a frame", value: items });
    }
    if bytes < FRAME_HEADER_BYTES as u64 || bytes > bytes_max || !bytes.is_multiple_of(8) {
        return Err(Corruption::Field { field: "bytes of a frame", value: bytes });
    }
    Ok((items, bytes))
}

#[cfg(test)]
mod tests {
    use super::{Compression, FrozenHeader, decode_entry, encode_entry};

    fn header() -> FrozenHeader {
        let (codec, tag) = ("postcard".into(), "programmes".into());
        let (salt, items, index_offset, frames) = (3, 100, 5120, 5);
        let compression = Compression::Lz4;
        FrozenHeader {
            salt,
            items,
            index_offset,
            frames,
            index_checksum: 9,
            compression,
            codec,
            tag,
        }
    }

    #[test]
    fn a_header_comes_back_and_no_flipped_bit_of_it_passes() {
        let bytes = header().encode();
        assert_eq!(FrozenHeader::decode(&bytes), Ok(header()));
        assert_eq!(header().file_bytes(), Some(5160));
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(FrozenHeader::decode(&flipped).is_err(), "bit {at}");
        }
    }

    #[test]
    fn entries_of_impossible_frames_are_refused() {
        assert_eq!(decode_entry(encode_entry(7, 4096)), Ok((7, 4096)));
        for (items, bytes) in [(0, 4096), (1, 40), (1, 4097), (1 << 29, 4096), (1, 1 << 31)] {
            assert!(decode_entry(encode_entry(items, bytes)).is_err(), "{items}, {bytes}");
        }
    }
}
