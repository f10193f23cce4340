//! What of a spool outlives its process: which parts are complete, and where their bytes are.
//!
//! The file of the parts and the manifest begin with the same header. Numbers are little-endian.
//!
//! | offset | bytes | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | magic | `ringkpsp`; of the manifest `ringkpmf` |
//! | 8 | 4 | version | 1 |
//! | 12 | 4 | salt | random: files and records of another spool have another one |
//! | 16 | 4 | piece bytes | 65536 |
//! | 20 | 12 | - | zero |
//! | 32 | 64 | tag | what the user calls the parts, padded with zeros |
//! | 96 | 28 | - | zero |
//! | 124 | 4 | checksum | CRC32 of bytes 0 to 124 |
//!
//! In the manifest records follow:
//!
//! | offset | bytes | field | meaning |
//! |---|---|---|---|
//! | 0 | 4 | magic | `RKpt` |
//! | 4 | 4 | checksum | CRC32 of the rest of the record; its seed is the salt |
//! | 8 | 4 | kind | 1: a part is complete; 2: parts are gone |
//! | 12 | 4 | count | pieces of the part; kind 2: 0 |
//! | 16 | 8 | number | of the part; kind 2: of the first one that is not gone |
//! | 24 | 8 | bytes | of the part; kind 2: 0 |
//! | 32 | 12 each | pieces | offset in the file of the parts (8), CRC32 of the bytes there (4) |
//!
//! Of two records of a part the later one counts. The first record that is none ends the list: it
//! was being written when the process died.

use std::{path::PathBuf, sync::Arc};

use super::content::{Content, PIECE, Piece, Source};
use crate::{
    disk::{
        frame::checksum,
        seam::File,
        segment::{NAME_BYTES, name_of},
    },
    error::{Corruption, Error, Result},
};

pub(super) const HEADER_BYTES: usize = 128;
const TAG_AT: usize = 32;
const RECORD_BYTES: usize = 32;
/// No record is longer: a part of 340 GiB has one of 64 MiB.
const RECORD_BYTES_MAX: u64 = 64 << 20;
const ENTRY_BYTES: usize = 12;

/// What the file of the parts begins with.
pub(super) const PARTS_MAGIC: [u8; 8] = *b"ringkpsp";
/// What the manifest begins with.
pub(super) const MAGIC: [u8; 8] = *b"ringkpmf";
pub(super) const VERSION: u32 = 1;
const RECORD_MAGIC: [u8; 4] = *b"RKpt";
const CHECKSUM_AT: usize = HEADER_BYTES - 4;
const PART: u32 = 1;
const NEXT: u32 = 2;

/// Why the beginning of a file is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAHeader {
    Foreign,
    Newer(u32),
    Damaged(Corruption),
}

/// What both files begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) salt: u32,
    pub(super) tag: Box<str>,
}

impl Header {
    /// The tag is one that [`check_name`](crate::disk::segment::check_name) lets pass.
    pub(super) fn encode(&self, magic: [u8; 8]) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&magic);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.salt.to_le_bytes());
        bytes[16..20].copy_from_slice(&PIECE.to_le_bytes());
        bytes[TAG_AT..TAG_AT + self.tag.len()].copy_from_slice(self.tag.as_bytes());
        let checksum = crc32fast::hash(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(magic: [u8; 8], bytes: &[u8; HEADER_BYTES]) -> Result<Self, NotAHeader> {
        if bytes[..8] != magic {
            return Err(NotAHeader::Foreign);
        }
        let wrong = |field, value| NotAHeader::Damaged(Corruption::Field { field, value });
        // Before the checksum, which may cover something else in a later version.
        match word(bytes, 8) {
            VERSION => {}
            0 => return Err(wrong("version", 0)),
            newer => return Err(NotAHeader::Newer(newer)),
        }
        let (found, expected) = (word(bytes, CHECKSUM_AT), crc32fast::hash(&bytes[..CHECKSUM_AT]));
        if found != expected {
            return Err(NotAHeader::Damaged(Corruption::Checksum { found, expected }));
        }
        if word(bytes, 16) != PIECE {
            return Err(wrong("piece bytes", word(bytes, 16).into()));
        }
        let tag = name_of(&bytes[TAG_AT..TAG_AT + NAME_BYTES]);
        let tag = tag.ok_or(wrong("tag", bytes[TAG_AT].into()))?;
        Ok(Self { salt: word(bytes, 12), tag })
    }
}

/// What happened to parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// A part is complete: its bytes, and for each piece its offset and its checksum.
    Part { part: u64, bytes: u64, pieces: Vec<(u64, u32)> },
    /// The parts before this one are gone.
    Next(u64),
}

impl Record {
    pub(super) fn encode(&self, salt: u32) -> Vec<u8> {
        let none = Vec::new();
        let (kind, number, bytes, pieces) = match self {
            Self::Part { part, bytes, pieces } => (PART, *part, *bytes, pieces),
            Self::Next(next) => (NEXT, *next, 0, &none),
        };
        let mut record = Vec::with_capacity(RECORD_BYTES + pieces.len() * ENTRY_BYTES);
        record.extend_from_slice(&RECORD_MAGIC);
        record.extend_from_slice(&[0; 4]);
        record.extend_from_slice(&kind.to_le_bytes());
        let count = u32::try_from(pieces.len()).expect("a part has less than 256 TiB");
        record.extend_from_slice(&count.to_le_bytes());
        record.extend_from_slice(&number.to_le_bytes());
        record.extend_from_slice(&bytes.to_le_bytes());
        for (offset, checksum) in pieces {
            record.extend_from_slice(&offset.to_le_bytes());
            record.extend_from_slice(&checksum.to_le_bytes());
        }
        let checksum = checksum(salt, &record[8..]);
        record[4..8].copy_from_slice(&checksum.to_le_bytes());
        record
    }

    /// Bytes of the record that begins so, as its header says, if it is one.
    pub(super) fn bytes_claimed(header: &[u8; RECORD_BYTES]) -> Option<u64> {
        let count = u64::from(word(header, 12));
        let is_right = match word(header, 8) {
            PART => long(header, 24).div_ceil(PIECE.into()) == count,
            NEXT => count == 0,
            _ => false,
        };
        let bytes = RECORD_BYTES as u64 + count * ENTRY_BYTES as u64;
        let is_record = header[..4] == RECORD_MAGIC && is_right && bytes <= RECORD_BYTES_MAX;
        is_record.then_some(bytes)
    }

    /// A record that is as long as it claims, if it is whole.
    pub(super) fn decode(record: &[u8], salt: u32) -> Option<Self> {
        if word(record, 4) != checksum(salt, &record[8..]) {
            return None;
        }
        let number = long(record, 16);
        if word(record, 8) == NEXT {
            return Some(Self::Next(number));
        }
        let entries = record[RECORD_BYTES..].chunks_exact(ENTRY_BYTES);
        let pieces = entries.map(|entry| (long(entry, 0), word(entry, 8))).collect();
        Some(Self::Part { part: number, bytes: long(record, 24), pieces })
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

/// The file, open. Whoever holds the lock on the file of the parts may write.
pub(super) struct Manifest {
    pub(super) file: Arc<File>,
    pub(super) path: PathBuf,
    pub(super) salt: u32,
    /// Where the next record goes.
    pub(super) end: u64,
}

impl Manifest {
    /// The record at the end of those that were read, if there is one more.
    pub(super) fn read_next(&mut self, file_bytes: u64) -> Result<Option<Record>> {
        let read = Error::io("read", &self.path);
        let left = file_bytes - self.end;
        if left < RECORD_BYTES as u64 {
            return Ok(None);
        }
        let mut header = [0; RECORD_BYTES];
        if let Err(error) = self.file.read_at(&mut header, self.end) {
            return Err(read(error));
        }
        let claimed = Record::bytes_claimed(&header).filter(|&claimed| claimed <= left);
        let Some(claimed) = claimed else { return Ok(None) };
        let mut bytes = vec![0; usize::try_from(claimed).unwrap_or(usize::MAX)];
        self.file.read_at(&mut bytes, self.end).map_err(read)?;
        let record = Record::decode(&bytes, self.salt);
        self.end += if record.is_some() { claimed } else { 0 };
        Ok(record)
    }

    /// A part is complete; all of it is on the disk.
    pub(super) fn add_part(&mut self, part: u64, content: &Content) -> Result<()> {
        let place = |piece: Piece| match piece.source {
            Source::Disk(offset) => (offset, piece.checksum),
            _ => unreachable!("it was moved to the disk"),
        };
        let pieces = (0..).map_while(|index| content.piece(index)).map(place).collect();
        self.append(&Record::Part { part, bytes: content.bytes(), pieces })
    }

    /// The parts before this one are gone.
    pub(super) fn set_next(&mut self, next: u64) -> Result<()> {
        self.append(&Record::Next(next))
    }

    fn append(&mut self, record: &Record) -> Result<()> {
        let record = record.encode(self.salt);
        let found = record.len() as u64;
        if found > RECORD_BYTES_MAX {
            return Err(Error::TooLarge { found, max: RECORD_BYTES_MAX });
        }
        let end = self.end + found;
        // What a write that fails has left is overwritten by the next record, or ends the list.
        let written = self.file.write_at(&record, self.end);
        written.map_err(Error::filling("write", &self.path, end))?;
        self.end = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADER_BYTES, Header, MAGIC, NotAHeader, RECORD_BYTES, Record};

    const SALT: u32 = 0x0403_0201;

    fn header() -> Header {
        Header { salt: SALT, tag: "a video".into() }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    fn part() -> Record {
        let pieces = vec![(4096, 0xAABB_CCDD), (1 << 40, 7)];
        Record::Part { part: 5, bytes: 65_537, pieces }
    }

    /// The bytes of version 1, as docs/FORMAT.md has them.
    #[test]
    fn a_header_and_records_are_these_bytes() {
        assert_eq!(
            hex(&header().encode(MAGIC)),
            "72696e676b706d660100000001020304000001000000000000000000000000006120766964656f00\
             00000000000000000000000000000000000000000000000000000000000000000000000000000000\
             00000000000000000000000000000000000000000000000000000000000000000000000000000000\
             00000000061e0082"
        );
        assert_eq!(
            hex(&part().encode(SALT)),
            "524b7074328da78d0100000002000000050000000000000001000100000000000010000000000000\
             ddccbbaa000000000001000007000000"
        );
        assert_eq!(
            hex(&Record::Next(9).encode(SALT)),
            "524b7074c417b3e0020000000000000009000000000000000000000000000000"
        );
    }

    #[test]
    fn what_was_encoded_is_decoded_and_no_flipped_bit_passes() {
        for record in [part(), Record::Next(9)] {
            let bytes = record.encode(SALT);
            let header = bytes.first_chunk::<RECORD_BYTES>().expect("it has one");
            assert_eq!(Record::bytes_claimed(header), Some(bytes.len() as u64));
            assert_eq!(Record::decode(&bytes, SALT), Some(record));
            assert_eq!(Record::decode(&bytes, SALT + 1), None);
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let header = flipped.first_chunk::<RECORD_BYTES>().expect("it has one");
                let is_claimed = Record::bytes_claimed(header) == Some(bytes.len() as u64);
                assert!(!is_claimed || Record::decode(&flipped, SALT).is_none(), "bit {bit}");
            }
        }
        let bytes = header().encode(MAGIC);
        assert_eq!(Header::decode(MAGIC, &bytes), Ok(header()));
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(MAGIC, &flipped).is_err(), "bit {bit}");
        }
        assert_eq!(Header::decode(MAGIC, &[0; HEADER_BYTES]), Err(NotAHeader::Foreign));
    }
}
