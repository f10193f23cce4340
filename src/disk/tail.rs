//! Copies of the page in which a segment ends, against power cuts that tear pages.
//!
//! A segment is appended to in the middle of a page, so that what is durable in it is on its way
//! to the disk once more. Therefore each sync first stores a copy of that page elsewhere, in one of
//! two places in turn: the copy of the last sync is never on its way together with its page. What
//! reads a segment takes the copied bytes from the copies.
//!
//! | offset | bytes | field | meaning |
//! |---|---|---|---|
//! | 0 | 4 | magic | `RKtc` |
//! | 4 | 4 | checksum | CRC32 of what follows; its seed is the segment's salt |
//! | 8 | 8 | end | where in the segment the copied bytes end; they begin with its page |
//! | 16 | end mod 4096 | | the bytes |

use std::{io, ops::Range};

use super::{frame::checksum, seam::File};
use crate::planted::planted;

/// A kernel writes whole pages.
const PAGE_BYTES: usize = 4096;
/// Where the copies lie in a segment, each on pages of its own.
const PLACES: [u64; 2] = [4096, 12288];
/// Where they end.
pub(crate) const COPIES_END: u64 = 20480;

const MAGIC: [u8; 4] = *b"RKtc";
const HEADER_BYTES: usize = 16;
const COPY_BYTES: usize = HEADER_BYTES + PAGE_BYTES;

/// Bytes of a segment, and where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TailCopy {
    pub(crate) at: u64,
    pub(crate) bytes: Vec<u8>,
}

impl TailCopy {
    /// Those of a segment that are whole.
    pub(crate) fn read_all(file: &File, salt: u32) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for place in PLACES {
            let mut copy = [0; COPY_BYTES];
            file.read_at(&mut copy, place)?;
            found.extend(decode(&copy, salt));
        }
        Ok(found)
    }

    /// Writes them over what was read of the segment from `at` on.
    pub(crate) fn lay_over(&self, out: &mut [u8], at: u64) {
        let end = |start: u64, bytes: &[u8]| start + bytes.len() as u64;
        let shared = self.at.max(at)..end(self.at, &self.bytes).min(end(at, out));
        if shared.is_empty() {
            return;
        }
        let within = |start: u64| {
            let place = |place: u64| usize::try_from(place - start).unwrap_or(usize::MAX);
            Range { start: place(shared.start), end: place(shared.end) }
        };
        out[within(at)].copy_from_slice(&self.bytes[within(self.at)]);
    }
}

/// Stores them in turn.
#[derive(Debug, Default)]
pub(crate) struct TailCopies {
    next: usize,
}

impl TailCopies {
    /// Stores a copy of the page in which the segment ends now; the segment's sync makes it
    /// durable.
    pub(crate) fn store(&mut self, file: &File, salt: u32, end: u64) -> io::Result<()> {
        let length = bytes_of_page(end);
        // What is appended goes to another page.
        if length == 0 || planted("queue_tails_not_copied") {
            return Ok(());
        }
        let mut copy = [0; COPY_BYTES];
        let copy = &mut copy[..HEADER_BYTES + length];
        copy[..4].copy_from_slice(&MAGIC);
        copy[8..16].copy_from_slice(&end.to_le_bytes());
        file.read_at(&mut copy[HEADER_BYTES..], end - length as u64)?;
        let checksum = checksum(salt, &copy[8..]);
        copy[4..8].copy_from_slice(&checksum.to_le_bytes());
        file.write_at(copy, PLACES[self.next])?;
        if !planted("queue_tails_copied_to_one_place") {
            self.next = 1 - self.next;
        }
        Ok(())
    }
}

/// Bytes of the page before this place in it.
fn bytes_of_page(end: u64) -> usize {
    usize::try_from(end).unwrap_or(0) % PAGE_BYTES
}

fn decode(copy: &[u8; COPY_BYTES], salt: u32) -> Option<TailCopy> {
    let end = u64::from_le_bytes(std::array::from_fn(|i| copy[8 + i]));
    let length = bytes_of_page(end);
    let copy = &copy[..HEADER_BYTES + length];
    let at = end - length as u64;
    let is_whole = copy[..4] == MAGIC && copy[4..8] == checksum(salt, &copy[8..]).to_le_bytes();
    (is_whole && at >= COPIES_END).then(|| TailCopy { at, bytes: copy[HEADER_BYTES..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::TailCopy;

    #[test]
    fn a_copy_is_laid_over_what_it_shares_with_what_was_read() {
        let copy = TailCopy { at: 10, bytes: vec![1, 2, 3, 4] };
        let read = |at, length| {
            let mut out = vec![0; length];
            copy.lay_over(&mut out, at);
            out
        };
        assert_eq!(read(0, 10), [0; 10]);
        assert_eq!(read(14, 3), [0; 3]);
        assert_eq!(read(8, 4), [0, 0, 1, 2]);
        assert_eq!(read(12, 4), [3, 4, 0, 0]);
        assert_eq!(read(11, 2), [2, 3]);
        assert_eq!(read(9, 6), [0, 1, 2, 3, 4, 0]);
    }
}
