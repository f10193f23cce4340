//! Segments: the files of a log, each named after its first item.
//!
//! | offset | bytes | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | magic | `ringkpsg` |
//! | 8 | 4 | version | 1 |
//! | 12 | 4 | salt | seed of the checksums of the frames in here |
//! | 16 | 16 | log | random number that all segments of a log share |
//! | 32 | 8 | first | sequence number of the first item in here |
//! | 40 | 8 | durable | one past the last item that was durable when this was made |
//! | 48 | 8 | time | when this was made, in nanoseconds since 1970 |
//! | 56 | 4 | kind | 1: a durable queue; 2: a queue that only spills |
//! | 60 | 4 | compression | of the frames' bodies: 0 none, 1 LZ4 (blocks), 2 Zstandard |
//! | 64 | 64 | codec | name of what makes bytes of items, padded with zeros |
//! | 128 | 64 | tag | what the user says the items are, padded with zeros |
//! | 192 | 316 | - | zero |
//! | 508 | 4 | checksum | CRC32 of bytes 0 to 508 |
//!
//! Copies of the page in which it ends follow from byte 4096 on (`tail.rs`), and frames from byte
//! 20480 on: no page is written for two reasons. A segment ends where the next one begins, by
//! number: what it holds beyond that was given up.

use std::ffi::OsStr;

use super::{compression::Compression, frame::NUMBER_END, tail::COPIES_END};
use crate::error::{Corruption, Error};

/// Bytes of a segment's header.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 512;
/// Where the first frame begins.
pub(crate) const FRAMES_AT: u64 = COPIES_END;
/// Bytes of the names in a header.
pub(crate) const NAME_BYTES: usize = 64;

const MAGIC: [u8; 8] = *b"ringkpsg";
const VERSION: u32 = 1;
const CHECKSUM_AT: usize = SEGMENT_HEADER_BYTES - 4;
/// Digits of a name: enough for any number, so that names sort as numbers do.
const DIGITS: usize = 20;
const SUFFIX: &str = ".seg";

/// What a log is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogKind {
    /// Its items survive their process.
    Durable,
    /// Its files are memory on a disk.
    Spill,
}

/// What all segments of a log have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogIdentity {
    pub(crate) log: [u8; 16],
    pub(crate) kind: LogKind,
    pub(crate) codec: Box<str>,
    pub(crate) tag: Box<str>,
}

/// The first bytes of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) identity: LogIdentity,
    pub(crate) salt: u32,
    pub(crate) first: u64,
    pub(crate) durable: u64,
    pub(crate) time_ns: u64,
    pub(crate) compression: Compression,
}

/// Why the beginning of a file is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotASegment {
    /// It never was one, or was not written yet.
    Foreign,
    /// A later format.
    Newer(u32),
    /// Compressed in a way that this build does not know.
    UnknownCompression(u32),
    /// It was one.
    Damaged(Corruption),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &MAGIC);
        put(8, &VERSION.to_le_bytes());
        put(12, &self.salt.to_le_bytes());
        put(16, &self.identity.log);
        put(32, &self.first.to_le_bytes());
        put(40, &self.durable.to_le_bytes());
        put(48, &self.time_ns.to_le_bytes());
        put(56, &(self.identity.kind as u32 + 1).to_le_bytes());
        put(60, &self.compression.number().to_le_bytes());
        put(64, self.identity.codec.as_bytes());
        put(128, self.identity.tag.as_bytes());
        let checksum = crc32fast::hash(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> Result<Self, NotASegment> {
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        if bytes[..8] != MAGIC {
            return Err(NotASegment::Foreign);
        }
        let (found, expected) = (word(CHECKSUM_AT), crc32fast::hash(&bytes[..CHECKSUM_AT]));
        if found != expected {
            return Err(NotASegment::Damaged(Corruption::Checksum { found, expected }));
        }
        if word(8) != VERSION {
            return Err(NotASegment::Newer(word(8)));
        }
        let unknown = NotASegment::UnknownCompression(word(60));
        let compression = Compression::numbered(word(60)).ok_or(unknown)?;
        let damaged = |field, value| NotASegment::Damaged(Corruption::Field { field, value });
        let kind = match word(56) {
            1 => LogKind::Durable,
            2 => LogKind::Spill,
            other => return Err(damaged("kind", other.into())),
        };
        let name = |field, at: usize| {
            name_of(&bytes[at..at + NAME_BYTES]).ok_or(damaged(field, bytes[at].into()))
        };
        if long(32).max(long(40)) >= NUMBER_END {
            return Err(damaged("first", long(32)));
        }
        Ok(Self {
            identity: LogIdentity {
                log: std::array::from_fn(|i| bytes[16 + i]),
                kind,
                codec: name("codec", 64)?,
                tag: name("tag", 128)?,
            },
            salt: word(12),
            first: long(32),
            durable: long(40),
            time_ns: long(48),
            compression,
        })
    }
}

/// Refuses a name that a header cannot hold.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    if name.len() > NAME_BYTES || name.contains('\0') {
        return Err(Error::InvalidTag { tag: name.into(), max_bytes: NAME_BYTES });
    }
    Ok(())
}

/// Text up to the first zero.
pub(crate) fn name_of(bytes: &[u8]) -> Option<Box<str>> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..end]).ok().map(Into::into)
}

/// The name of the segment that begins with this item.
pub(crate) fn name_of_segment(first: u64) -> String {
    format!("{first:0DIGITS$}{SUFFIX}")
}

/// The first item of the segment with this name, if it is one.
pub(crate) fn first_of_name(name: &OsStr) -> Option<u64> {
    let digits = name.to_str()?.strip_suffix(SUFFIX)?;
    let is_number = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    let first = if is_number { digits.parse().ok()? } else { return None };
    (first < NUMBER_END).then_some(first)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::{
        Compression, LogIdentity, LogKind, NotASegment, SegmentHeader, first_of_name,
        name_of_segment,
    };

    fn header() -> SegmentHeader {
        let (codec, tag) = ("postcard".into(), "frames of channel 7".into());
        let identity = LogIdentity { log: [7; 16], kind: LogKind::Spill, codec, tag };
        let compression = Compression::Lz4;
        SegmentHeader { identity, salt: 3, first: 40, durable: 30, time_ns: 99, compression }
    }

    #[test]
    fn a_header_comes_back_as_it_was_written() {
        assert_eq!(SegmentHeader::decode(&header().encode()), Ok(header()));
    }

    #[test]
    fn no_flipped_bit_of_a_header_passes() {
        let bytes = header().encode();
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[at / 8] ^= 1 << (at % 8);
            assert!(SegmentHeader::decode(&flipped).is_err(), "bit {at}");
        }
        assert_eq!(SegmentHeader::decode(&[0; 512]), Err(NotASegment::Foreign));
    }

    #[test]
    fn names_sort_as_numbers_and_nothing_else_is_a_name() {
        for first in [0, 9_999, 10_000, (1 << 62) - 1] {
            let name = name_of_segment(first);
            assert_eq!((name.len(), first_of_name(OsStr::new(&name))), (24, Some(first)));
        }
        assert!(name_of_segment(9_999) < name_of_segment(10_000));
        let others = ["1.seg", "lock", "99999999999999999999.seg", "+0000000000000000001.seg"];
        assert_eq!(first_of_name(OsStr::new(&name_of_segment(u64::MAX))), None);
        for other in others {
            assert_eq!(first_of_name(OsStr::new(other)), None, "{other}");
        }
    }
}
