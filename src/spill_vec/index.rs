//! The sparse index: where each frame begins, in 9 bytes of memory a frame.
//!
//! Frames lie back to back and their items are numbered on, so a frame is told by where it begins;
//! it ends where the next one does. Every 16th has its numbers in full, the others what they are
//! beyond that one: frames are bounded, so 32 bits are enough.

use std::ops::Range;

use crate::disk::frame::ALIGN;

/// Frames that share an anchor.
const SPAN: usize = 16;

/// Where a frame begins.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    item: u64,
    offset: u64,
}

/// How far behind its anchor a frame begins.
#[derive(Debug, Clone, Copy)]
struct Step {
    items: u32,
    /// Offsets are multiples of [`ALIGN`].
    units: u32,
}

/// Frames that lie back to back.
#[derive(Debug)]
pub(super) struct Index {
    anchors: Vec<Anchor>,
    steps: Vec<Step>,
    end: Anchor,
}

/// What a frame holds, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) items: Range<u64>,
    pub(super) bytes: Range<u64>,
}

impl Index {
    /// No frames; the first one will begin there.
    pub(super) fn new(offset: u64) -> Self {
        Self { anchors: Vec::new(), steps: Vec::new(), end: Anchor { item: 0, offset } }
    }

    /// Items of all frames.
    pub(super) fn items(&self) -> u64 {
        self.end.item
    }

    /// One past the last byte of the last frame.
    pub(super) fn end_offset(&self) -> u64 {
        self.end.offset
    }

    /// How many frames there are.
    pub(super) fn frames(&self) -> usize {
        self.steps.len()
    }

    /// Memory that it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.anchors.capacity() * size_of::<Anchor>() + self.steps.capacity() * size_of::<Step>()
    }

    /// Adds a frame behind the others.
    ///
    /// # Panics
    ///
    /// If it has more bytes or items than a frame can have.
    pub(super) fn push(&mut self, items: u64, bytes: u64) {
        if self.steps.len().is_multiple_of(SPAN) {
            make_room(&mut self.anchors);
            self.anchors.push(self.end);
        }
        let anchor = self.anchors[self.steps.len() / SPAN];
        let narrow = |wide: u64| u32::try_from(wide).expect("frames are bounded");
        let items_before = narrow(self.end.item - anchor.item);
        let units = narrow((self.end.offset - anchor.offset) / ALIGN as u64);
        make_room(&mut self.steps);
        self.steps.push(Step { items: items_before, units });
        self.end = Anchor { item: self.end.item + items, offset: self.end.offset + bytes };
    }

    /// The frame at this place in the row.
    pub(super) fn place(&self, frame: usize) -> Place {
        let (begin, end) = (self.begin(frame), self.begin(frame + 1));
        Place { items: begin.item..end.item, bytes: begin.offset..end.offset }
    }

    /// Which frame has an item that is in one.
    pub(super) fn frame_of(&self, item: u64) -> usize {
        let span = self.anchors.partition_point(|anchor| anchor.item <= item).saturating_sub(1);
        let behind = self.anchors.get(span).map_or(0, |anchor| item - anchor.item);
        let steps = &self.steps[(span * SPAN).min(self.steps.len())..];
        let steps = &steps[..steps.len().min(SPAN)];
        let before = steps.partition_point(|step| u64::from(step.items) <= behind);
        span * SPAN + before.saturating_sub(1)
    }

    /// Drops the frames from this one on.
    pub(super) fn truncate(&mut self, frames: usize) {
        self.end = self.begin(frames);
        self.steps.truncate(frames);
        self.anchors.truncate(frames.div_ceil(SPAN));
    }

    fn begin(&self, frame: usize) -> Anchor {
        let Some(step) = self.steps.get(frame) else { return self.end };
        let anchor = self.anchors[frame / SPAN];
        Anchor {
            item: anchor.item + u64::from(step.items),
            offset: anchor.offset + u64::from(step.units) * ALIGN as u64,
        }
    }
}

/// Grows by an eighth, not by half of itself: the index is all that memory holds of most items.
fn make_room<T>(row: &mut Vec<T>) {
    if row.len() == row.capacity() {
        row.reserve_exact((row.len() / 8).max(SPAN));
    }
}

#[cfg(test)]
mod tests {
    use super::{Index, Place};

    #[test]
    fn every_item_is_found_in_its_frame_and_a_shorter_index_goes_on() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut index = Index::new(512);
        let mut places: Vec<Place> = Vec::new();
        for round in 0..500 {
            if round % 100 == 99 {
                let kept = random.usize(..=places.len());
                places.truncate(kept);
                index.truncate(kept);
            }
            let (items, bytes) = (random.u64(1..50), random.u64(1..1000) * 8);
            let (item, offset) = (index.items(), index.end_offset());
            assert_eq!(offset, places.last().map_or(512, |place| place.bytes.end));
            places.push(Place { items: item..item + items, bytes: offset..offset + bytes });
            index.push(items, bytes);
        }
        assert_eq!(index.frames(), places.len());
        for (frame, place) in places.iter().enumerate() {
            assert_eq!(index.place(frame), *place);
            for item in place.items.clone() {
                assert_eq!(index.frame_of(item), frame, "{item}");
            }
        }
    }

    #[test]
    fn it_takes_about_nine_bytes_a_frame_and_holds_the_largest_frames() {
        let mut index = Index::new(0);
        for _ in 0..1_000_000 {
            index.push(20, 4096);
        }
        assert!(index.memory_bytes() < 10_500_000, "{}", index.memory_bytes());
        let mut index = Index::new(0);
        for _ in 0..100 {
            index.push(1 << 28, (1 << 30) + 48);
        }
        assert_eq!(index.frame_of(99 << 28), 99);
        assert_eq!(index.place(99).bytes.end, 100 * ((1 << 30) + 48));
    }

    #[test]
    fn no_frames_have_no_items() {
        let index = Index::new(8);
        assert_eq!((index.items(), index.frames(), index.frame_of(0)), (0, 0, 0));
        assert_eq!(index.place(0), Place { items: 0..0, bytes: 8..8 });
    }
}
