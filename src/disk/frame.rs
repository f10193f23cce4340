//! Frames: runs of items of any size as a log stores them.
//!
//! | offset | bytes | field | meaning |
//! |---|---|---|---|
//! | 0 | 4 | magic | `RKfr`: a frame of zeros is none |
//! | 4 | 4 | checksum | CRC32 of bytes 8 to 48, which hold the body's; its seed is the salt |
//! | 8 | 8 | first | sequence number of the first item |
//! | 16 | 8 | durable | one past the last item that was durable when this was written |
//! | 24 | 8 | time | when this was written, in nanoseconds since 1970 |
//! | 32 | 4 | count | items, at least 1 |
//! | 36 | 4 | body bytes | stored behind this header |
//! | 40 | 4 | body checksum | CRC32 of the body as it is stored |
//! | 44 | 4 | raw bytes | of the body before it was compressed; the body bytes: it was not |
//! | 48 | 4 each | lengths | of the items, in bytes |
//! | .. | | items | back to back |
//! | .. | to 8 | - | zeros up to a multiple of 8 |
//!
//! The body is the lengths and the items, compressed as the segment's header says.
//!
//! The salt is the segment's: a frame of another file, stored as somebody's item, is none here.

use super::compression::Compression;
use crate::error::Corruption;

/// No item ever has this number, or a larger one.
pub(crate) const NUMBER_END: u64 = 1 << 62;
/// Bytes of a frame's header.
pub(crate) const HEADER_BYTES: usize = 48;
/// Frames begin at multiples of it.
pub(crate) const ALIGN: usize = 8;
/// A body is at most so long: its length is stored in 32 bits, and what reads it allocates that.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 30;

const MAGIC: [u8; 4] = *b"RKfr";
/// Bytes of the length of an item.
const LENGTH_BYTES: usize = 4;

/// Whether a frame may begin with these bytes.
pub(crate) fn is_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Bytes of the body, as a header says that nobody has checked.
pub(crate) fn body_bytes_claimed(header: &[u8]) -> u64 {
    u32::from_le_bytes(std::array::from_fn(|i| header[36 + i])).into()
}

/// Bytes of a body that holds `count` items of so many bytes in all.
pub(crate) fn body_bytes(count: usize, items_bytes: usize) -> usize {
    count * LENGTH_BYTES + items_bytes
}

/// Bytes of disk that a frame with such a body takes.
pub(crate) fn frame_bytes(body_bytes: usize) -> usize {
    (HEADER_BYTES + body_bytes).next_multiple_of(ALIGN)
}

/// What a frame says about its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) first: u64,
    pub(crate) durable: u64,
    pub(crate) time_ns: u64,
    pub(crate) count: u32,
    pub(crate) body_bytes: u32,
    pub(crate) body_checksum: u32,
    pub(crate) raw_bytes: u32,
}

impl FrameHeader {
    /// One past the last item.
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// Bytes of disk that the frame takes.
    pub(crate) fn frame_bytes(&self) -> u64 {
        frame_bytes(self.body_bytes as usize) as u64
    }

    fn encode(&self, salt: u32) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&MAGIC);
        header[8..16].copy_from_slice(&self.first.to_le_bytes());
        header[16..24].copy_from_slice(&self.durable.to_le_bytes());
        header[24..32].copy_from_slice(&self.time_ns.to_le_bytes());
        header[32..36].copy_from_slice(&self.count.to_le_bytes());
        header[36..40].copy_from_slice(&self.body_bytes.to_le_bytes());
        header[40..44].copy_from_slice(&self.body_checksum.to_le_bytes());
        header[44..].copy_from_slice(&self.raw_bytes.to_le_bytes());
        let checksum = checksum(salt, &header[8..]);
        header[4..8].copy_from_slice(&checksum.to_le_bytes());
        header
    }

    /// Of the frame that begins here; `room` bytes are left in its segment.
    pub(crate) fn decode(
        salt: u32,
        bytes: &[u8; HEADER_BYTES],
        room: u64,
    ) -> Result<Self, Corruption> {
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        if bytes[..4] != MAGIC {
            return Err(Corruption::Field { field: "magic", value: word(0).into() });
        }
        let (found, expected) = (word(4), checksum(salt, &bytes[8..]));
        if found != expected {
            return Err(Corruption::Checksum { found, expected });
        }
        let header = Self {
            first: long(8),
            durable: long(16),
            time_ns: long(24),
            count: word(32),
            body_bytes: word(36),
            body_checksum: word(40),
            raw_bytes: word(44),
        };
        let field = |field, value| Err(Corruption::Field { field, value });
        let lengths = u64::from(header.count) * LENGTH_BYTES as u64;
        if header.count == 0 {
            return field("count", 0);
        }
        if header.first.max(header.durable) >= NUMBER_END {
            return field("first", header.first);
        }
        let (body, raw) = (u64::from(header.body_bytes), u64::from(header.raw_bytes));
        if raw < lengths || raw > BODY_BYTES_MAX as u64 {
            return field("raw bytes", raw);
        }
        if body > raw || header.frame_bytes() > room {
            return field("body bytes", body);
        }
        Ok(header)
    }

    /// Whether the body is stored otherwise than it was.
    pub(crate) fn is_packed(&self) -> bool {
        self.raw_bytes != self.body_bytes
    }

    /// Checks the body as it is stored: it is the one that was written.
    pub(crate) fn check_stored(&self, stored: &[u8]) -> Result<(), Corruption> {
        let (found, expected) = (self.body_checksum, crc32fast::hash(stored));
        if found == expected { Ok(()) } else { Err(Corruption::Checksum { found, expected }) }
    }

    /// Checks the body as it was: its lengths are those of its items.
    pub(crate) fn check_body(&self, body: &[u8]) -> Result<(), Corruption> {
        let mut left = (body.len() - self.count as usize * LENGTH_BYTES) as u64;
        for length in lengths(body, self.count as usize) {
            let field = Corruption::Field { field: "length", value: length as u64 };
            left = left.checked_sub(length as u64).ok_or(field)?;
        }
        if left == 0 { Ok(()) } else { Err(Corruption::Field { field: "lengths", value: left }) }
    }

    /// Bytes of each item of a body that was checked.
    pub(crate) fn lengths<'a>(&self, body: &'a [u8]) -> impl Iterator<Item = u32> + use<'a> {
        let lengths = body[..self.count as usize * LENGTH_BYTES].chunks_exact(LENGTH_BYTES);
        lengths.map(|length| u32::from_le_bytes(std::array::from_fn(|i| length[i])))
    }

    /// Where in a body that was checked an item begins, by its place in the frame.
    pub(crate) fn offset_of(&self, body: &[u8], place: u64) -> usize {
        let count = self.count as usize;
        let before = usize::try_from(place).unwrap_or(usize::MAX);
        count * LENGTH_BYTES + lengths(body, count).take(before).sum::<usize>()
    }

    /// The item at this place, which begins there.
    pub(crate) fn item(body: &[u8], place: u64, offset: usize) -> &[u8] {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        // Not by going through those before it.
        let length = lengths(&body[place * LENGTH_BYTES..], 1).next().unwrap_or(0);
        &body[offset..offset + length]
    }

    /// The items of a body that was checked.
    pub(crate) fn items<'a>(&self, body: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let count = self.count as usize;
        let mut rest = &body[count * LENGTH_BYTES..];
        lengths(body, count).map(move |length| {
            let (item, later) = rest.split_at(length);
            rest = later;
            item
        })
    }
}

fn lengths(body: &[u8], count: usize) -> impl Iterator<Item = usize> + use<'_> {
    let lengths = body[..count * LENGTH_BYTES].chunks_exact(LENGTH_BYTES);
    lengths.map(|length| u32::from_le_bytes(std::array::from_fn(|i| length[i])) as usize)
}

/// CRC32 of these bytes that only somebody who knows the salt comes to.
pub(crate) fn checksum(salt: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(bytes);
    hasher.finalize()
}

/// A frame under construction: the items first, and what only its writer knows last.
#[derive(Debug, Default)]
pub(crate) struct FrameBuilder {
    bytes: Vec<u8>,
    /// The same, with a compressed body.
    packed: Vec<u8>,
    count: usize,
    added: usize,
}

impl FrameBuilder {
    /// Begins a frame of so many items, in the memory of the last one.
    pub(crate) fn begin(&mut self, count: usize) {
        self.bytes.clear();
        self.bytes.resize(HEADER_BYTES + count * LENGTH_BYTES, 0);
        (self.count, self.added) = (count, 0);
    }

    /// Adds an item by appending its bytes.
    ///
    /// # Errors
    ///
    /// Those of `encode`, after which the frame has to be begun anew.
    ///
    /// # Panics
    ///
    /// If `encode` takes bytes away that were there before.
    pub(crate) fn add<E>(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let before = self.bytes.len();
        encode(&mut self.bytes)?;
        let length = self.bytes.len().checked_sub(before).expect("a codec appends");
        // What is longer than a body may be is refused before it is finished.
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let at = HEADER_BYTES + self.added * LENGTH_BYTES;
        self.bytes[at..at + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        self.added += 1;
        Ok(())
    }

    /// Memory that it takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.packed.capacity()
    }

    /// Bytes of the body so far.
    pub(crate) fn body_bytes(&self) -> usize {
        self.bytes.len() - HEADER_BYTES
    }

    /// Compresses the body and sums it: all that takes time, so that no lock is held for it.
    pub(crate) fn seal(&mut self, compression: Compression) -> SealedFrame<'_> {
        debug_assert_eq!(self.added, self.count, "a frame has as many items as it began with");
        let is_packed = compression != Compression::None && {
            self.packed.clear();
            self.packed.resize(HEADER_BYTES, 0);
            compression.pack(&self.bytes[HEADER_BYTES..], &mut self.packed)
        };
        let stored = if is_packed { &self.packed } else { &self.bytes };
        let body_bytes = stored.len() - HEADER_BYTES;
        let body_checksum = crc32fast::hash(&stored[HEADER_BYTES..]);
        SealedFrame { raw_bytes: self.body_bytes(), body_bytes, body_checksum, builder: self }
    }

    /// Gives memory back that an unusually large frame took.
    pub(crate) fn shrink(&mut self, bytes_max: usize) {
        if self.bytes.capacity().max(self.packed.capacity()) > bytes_max {
            *self = Self::default();
        }
    }
}

/// A frame that lacks what its place in the log says.
#[derive(Debug)]
pub(crate) struct SealedFrame<'a> {
    builder: &'a mut FrameBuilder,
    raw_bytes: usize,
    body_bytes: usize,
    body_checksum: u32,
}

impl SealedFrame<'_> {
    /// Items of the frame.
    pub(crate) fn count(&self) -> u64 {
        self.builder.count as u64
    }

    /// Bytes of disk that it takes.
    pub(crate) fn frame_bytes(&self) -> u64 {
        frame_bytes(self.body_bytes) as u64
    }

    /// Bytes of its items and their lengths, before they were compressed.
    pub(crate) fn raw_bytes(&self) -> u64 {
        self.raw_bytes as u64
    }

    /// Bytes of each item.
    pub(crate) fn item_bytes(&self) -> impl Iterator<Item = usize> + use<'_> {
        lengths(&self.builder.bytes[HEADER_BYTES..], self.builder.count)
    }

    /// The frame as it is stored, with `first` as the number of its first item.
    pub(crate) fn finish(&mut self, salt: u32, first: u64, durable: u64, time_ns: u64) -> &[u8] {
        let header = FrameHeader {
            first,
            durable,
            time_ns,
            count: u32::try_from(self.builder.count).expect("a body has less than 2^28 items"),
            body_bytes: u32::try_from(self.body_bytes).expect("its length was checked"),
            body_checksum: self.body_checksum,
            raw_bytes: u32::try_from(self.raw_bytes).expect("its length was checked"),
        };
        let FrameBuilder { bytes, packed, .. } = &mut *self.builder;
        let bytes = if header.is_packed() { packed } else { bytes };
        bytes.resize(frame_bytes(self.body_bytes), 0);
        bytes[..HEADER_BYTES].copy_from_slice(&header.encode(salt));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{Compression, FrameBuilder, FrameHeader, HEADER_BYTES};

    const SALT: u32 = 0xA5A5;

    fn built(items: &[&[u8]]) -> Vec<u8> {
        let mut builder = FrameBuilder::default();
        builder.begin(items.len());
        for item in items {
            let added: Result<(), ()> = builder.add(|out| {
                out.extend_from_slice(item);
                Ok(())
            });
            added.expect("nothing fails");
        }
        builder.seal(Compression::None).finish(SALT, 7, 5, 9).to_vec()
    }

    fn read(bytes: &[u8]) -> Option<(FrameHeader, Vec<Vec<u8>>)> {
        let header = bytes.first_chunk::<HEADER_BYTES>()?;
        let header = FrameHeader::decode(SALT, header, bytes.len() as u64).ok()?;
        let body = &bytes[HEADER_BYTES..][..header.body_bytes as usize];
        header.check_stored(body).and_then(|()| header.check_body(body)).ok()?;
        Some((header, header.items(body).map(<[u8]>::to_vec).collect()))
    }

    #[test]
    fn items_come_back_as_they_were_written() {
        for items in [&[&b""[..]][..], &[b"one"], &[b"", b"two", b"", b"twenty-two bytes long"]] {
            let bytes = built(items);
            let (header, found) = read(&bytes).expect("a frame");
            assert_eq!(found, items);
            assert_eq!((header.first, header.durable, header.time_ns), (7, 5, 9));
            assert_eq!(header.end(), 7 + items.len() as u64);
            assert_eq!(header.frame_bytes(), bytes.len() as u64);
        }
    }

    #[test]
    fn no_flipped_bit_passes_and_no_prefix_does() {
        let bytes = built(&[b"some", b"", b"items"]);
        let padding = HEADER_BYTES + 3 * 4 + 9;
        for at in 0..padding * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(read(&flipped), None, "bit {at}");
        }
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn zeros_are_no_frame_and_neither_is_one_with_another_salt() {
        assert_eq!(read(&[0; 64]), None);
        let bytes = built(&[b"item"]);
        let header = bytes.first_chunk().expect("a header");
        assert!(FrameHeader::decode(SALT + 1, header, 1000).is_err());
    }

    #[test]
    fn lengths_that_do_not_add_up_are_refused_whatever_the_checksum_says() {
        let mut builder = FrameBuilder::default();
        for (length, fits) in [(4_u32, true), (5, false), (3, false), (u32::MAX, false)] {
            builder.begin(1);
            let added: Result<(), ()> = builder.add(|out| {
                out.extend_from_slice(b"item");
                Ok(())
            });
            added.expect("nothing fails");
            builder.bytes[HEADER_BYTES..HEADER_BYTES + 4].copy_from_slice(&length.to_le_bytes());
            let bytes = builder.seal(Compression::None).finish(SALT, 7, 5, 9).to_vec();
            assert_eq!(read(&bytes).is_some(), fits, "{length}");
        }
    }
}
