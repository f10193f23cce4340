//! Items that are encoded and wait until they are enough for frames.

use crate::{
    disk::{codec::Codec, frame::BODY_BYTES_MAX},
    error::{Error, Result},
};

/// Bytes of the length of an item, as it will be stored.
const LENGTH_BYTES: usize = 4;
/// What is longer has no frame that could hold it.
pub(super) const ITEM_BYTES_MAX: usize = BODY_BYTES_MAX - LENGTH_BYTES;
/// Memory that is kept for the next items, whatever the last ones took.
const KEPT_BYTES: usize = 256 << 10;

/// Encoded items back to back.
#[derive(Debug, Default)]
pub(super) struct Pending {
    bytes: Vec<u8>,
    /// Where each item ends.
    ends: Vec<u32>,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all items.
    fn end(&self) -> usize {
        self.begin(self.ends.len())
    }

    /// Bytes of a body of all of them.
    pub(super) fn body_bytes(&self) -> usize {
        self.end() + self.len() * LENGTH_BYTES
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<u32>()
    }

    /// The bytes of the item at this place.
    pub(super) fn item(&self, at: usize) -> &[u8] {
        &self.bytes[self.begin(at)..self.ends[at] as usize]
    }

    /// Adds an item.
    ///
    /// # Errors
    ///
    /// `Encode`, `TooLarge`; it is not added then.
    ///
    /// # Panics
    ///
    /// If the codec takes bytes away that were there before.
    pub(super) fn encode<T>(&mut self, codec: &impl Codec<T>, item: &T) -> Result<()> {
        let before = self.end();
        // What a codec that panicked may have left.
        self.bytes.truncate(before);
        let encoded = codec.encode(item, &mut self.bytes);
        let length = self.bytes.len().checked_sub(before).expect("a codec appends");
        if let Err(source) = encoded {
            self.bytes.truncate(before);
            return Err(Error::Encode { source });
        }
        if length > ITEM_BYTES_MAX {
            self.shrink(before);
            let (found, max) = (length as u64, ITEM_BYTES_MAX as u64);
            return Err(Error::TooLarge { found, max });
        }
        self.add_end();
        Ok(())
    }

    /// Adds an item that is encoded already.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.truncate(self.end());
        self.bytes.extend_from_slice(bytes);
        self.add_end();
    }

    /// Keeps so many items.
    pub(super) fn truncate(&mut self, count: usize) {
        self.ends.truncate(count);
        self.shrink(self.end());
    }

    /// Drops the first items.
    pub(super) fn drop_first(&mut self, count: usize) {
        let gone = self.begin(count);
        self.ends.drain(..count);
        for end in &mut self.ends {
            *end -= u32::try_from(gone).unwrap_or(u32::MAX);
        }
        let end = gone + self.end();
        self.bytes.copy_within(gone..end, 0);
        self.shrink(end - gone);
    }

    /// How many items from this place on fill a body of so many bytes, or all there are; and
    /// whether they do.
    pub(super) fn fill(&self, from: usize, body_bytes: usize) -> (usize, bool) {
        let begin = self.begin(from);
        let reaches =
            |count: usize| self.begin(from + count) - begin + count * LENGTH_BYTES >= body_bytes;
        let there = self.len() - from;
        let count = (1..=there).find(|&count| reaches(count));
        (count.unwrap_or(there), count.is_some())
    }

    fn begin(&self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |before| self.ends[before] as usize)
    }

    fn add_end(&mut self) {
        // Below 2^32: they are written when they are a few hundred KiB, and one item has 2^30.
        self.ends.push(u32::try_from(self.bytes.len()).expect("pending items are bounded"));
    }

    fn shrink(&mut self, bytes: usize) {
        self.bytes.truncate(bytes);
        self.bytes.shrink_to(KEPT_BYTES);
        self.ends.shrink_to(KEPT_BYTES / size_of::<u32>());
    }
}

#[cfg(test)]
mod tests {
    use super::Pending;
    use crate::{
        disk::codec::{Bytes, Codec},
        error::CodecError,
    };

    fn items(pending: &Pending) -> Vec<&[u8]> {
        (0..pending.len()).map(|at| pending.item(at)).collect()
    }

    #[test]
    fn items_go_in_behind_and_out_at_both_ends() {
        let mut pending = Pending::default();
        for item in ["one", "", "three", "four"] {
            pending.encode(&Bytes, &item.as_bytes().to_vec()).expect("they are bytes");
        }
        assert_eq!(pending.body_bytes(), 12 + 4 * 4);
        assert_eq!((pending.fill(0, 8), pending.fill(2, 8)), ((2, true), (1, true)));
        assert_eq!(pending.fill(1, 1000), (3, false));
        pending.drop_first(1);
        assert_eq!(items(&pending), [&b""[..], b"three", b"four"]);
        pending.truncate(2);
        pending.push(b"five");
        assert_eq!(items(&pending), [&b""[..], b"three", b"five"]);
        pending.drop_first(3);
        assert_eq!((pending.len(), pending.body_bytes()), (0, 0));
    }

    struct Half;

    impl Codec<u8> for Half {
        fn name(&self) -> &'static str {
            "half"
        }
        fn encode(&self, item: &u8, out: &mut Vec<u8>) -> Result<(), CodecError> {
            out.push(*item);
            assert!(*item != 7, "a codec that panics");
            if *item == 9 { Err("no nines".into()) } else { Ok(()) }
        }
        fn decode(&self, bytes: &[u8]) -> Result<u8, CodecError> {
            Ok(bytes[0])
        }
    }

    #[test]
    fn a_codec_that_fails_half_way_leaves_nothing() {
        let mut pending = Pending::default();
        pending.encode(&Half, &1).expect("a one");
        pending.encode(&Half, &9).expect_err("a nine");
        let panics = std::panic::AssertUnwindSafe(|| pending.encode(&Half, &7));
        std::panic::catch_unwind(panics).expect_err("a seven");
        pending.encode(&Half, &2).expect("a two");
        assert_eq!(items(&pending), [[1], [2]]);
    }
}
