//! Going through stored items from both ends.

use std::ops::Range;

use super::{
    frames::{Ahead, FrameReader, Frames},
    measure::Measure,
    pending::Pending,
    store::Store,
};
use crate::{
    disk::codec::Codec,
    error::{Error, Result},
};

/// Some of the items of a store, or of a file.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    frames: &'a Frames,
    pending: Option<&'a Pending>,
    pub(super) items: Range<u64>,
    front: FrameReader,
    back: FrameReader,
}

impl<'a> Walk<'a> {
    pub(super) fn of_store(store: &'a Store, items: Range<u64>) -> Self {
        Self { pending: Some(&store.pending), ..Self::of_frames(&store.frames, items) }
    }

    pub(super) fn of_frames(frames: &'a Frames, items: Range<u64>) -> Self {
        let (front, back) = (FrameReader::default(), FrameReader::default());
        Self { frames, pending: None, items, front, back }
    }

    pub(super) fn len(&self) -> usize {
        usize::try_from(self.items.end - self.items.start).unwrap_or(usize::MAX)
    }

    /// The first item that is left; after an error nothing is.
    #[inline]
    pub(super) fn next<T>(&mut self, codec: &impl Codec<T>) -> Option<Result<T>> {
        let item = self.items.next()?;
        let bytes = self.front.bytes_of(self.frames, self.pending, item, Ahead::Forward);
        let found = bytes.and_then(|bytes| decode(codec, item, bytes));
        if found.is_err() {
            self.items = 0..0;
        }
        Some(found)
    }

    /// The last item that is left; after an error nothing is.
    pub(super) fn next_back<T>(&mut self, codec: &impl Codec<T>) -> Option<Result<T>> {
        let item = self.items.next_back()?;
        let bytes = self.back.bytes_of(self.frames, self.pending, item, Ahead::Backward);
        let found = bytes.and_then(|bytes| decode(codec, item, bytes));
        if found.is_err() {
            self.items = 0..0;
        }
        Some(found)
    }

    /// As `next`, with the bytes that the item has on the heap.
    pub(super) fn next_measured<T>(
        &mut self,
        codec: &impl Codec<T>,
        measure: &Measure<T>,
    ) -> Option<Result<(T, u64)>> {
        let number = self.items.next()?;
        let bytes = self.front.bytes_of(self.frames, self.pending, number, Ahead::Forward);
        Some(bytes.and_then(|bytes| {
            let item = decode(codec, number, bytes)?;
            let heap_bytes = measure.heap_bytes_of_decoded(&item, bytes.len());
            Ok((item, heap_bytes))
        }))
    }

    /// Passes over items at the front, without reading them.
    pub(super) fn skip(&mut self, count: u64) {
        self.items.start = self.items.end.min(self.items.start.saturating_add(count));
    }
}

impl FrameReader {
    /// The bytes of an item, wherever it is.
    #[inline]
    pub(super) fn bytes_of<'b>(
        &'b mut self,
        frames: &Frames,
        pending: Option<&'b Pending>,
        item: u64,
        ahead: Ahead,
    ) -> Result<&'b [u8]> {
        let in_frames = frames.index.items();
        match pending {
            Some(pending) if item >= in_frames => {
                Ok(pending.item(usize::try_from(item - in_frames).unwrap_or(usize::MAX)))
            }
            _ => {
                self.seek(frames, item, ahead)?;
                Ok(self.bytes(item))
            }
        }
    }
}

/// The item of these bytes.
#[inline]
pub(super) fn decode<T>(codec: &impl Codec<T>, item: u64, bytes: &[u8]) -> Result<T> {
    let refused = |source| Error::Decode { item, bytes: bytes.to_vec(), source };
    codec.decode(bytes).map_err(refused)
}
