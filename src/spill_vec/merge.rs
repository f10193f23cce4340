//! Merging sorted runs: a heap of the first item of each.

use std::{cmp::Ordering, ops::Range};

use super::{
    frames::{Ahead, FrameReader},
    store::Store,
    walk::decode,
};
use crate::{disk::codec::Codec, error::Result};

/// Of the disk of a run an eighth is given back at once, but no less and no more than these.
const HOLE_BYTES_MIN: u64 = 64 << 10;
const HOLE_BYTES_MAX: u64 = 1 << 20;

/// A run, and its first item that is not merged.
struct Head<T> {
    /// Its place among the runs: of equal items that of the first run goes first.
    run: usize,
    items: Range<u64>,
    reader: FrameReader,
    item: T,
    /// Disk of the run that was not given back, and how much of it is at once.
    disk: Range<u64>,
    hole_bytes: u64,
}

/// Appends the items of these runs to `into`, in order. The disk behind them is given back.
pub(super) fn merge<T>(
    codec: &impl Codec<T>,
    from: &mut Store,
    runs: &[Range<u64>],
    compare: &mut impl FnMut(&T, &T) -> Ordering,
    into: &mut Store,
) -> Result<()> {
    let mut before = |one: &Head<T>, other: &Head<T>| {
        compare(&one.item, &other.item).then(one.run.cmp(&other.run)).is_lt()
    };
    let mut heads = Vec::with_capacity(runs.len());
    for (run, items) in runs.iter().enumerate() {
        heads.push(Head::new(codec, from, run, items.clone())?);
    }
    for at in (0..heads.len() / 2).rev() {
        sift_down(&mut heads, at, &mut before);
    }
    while let Some(first) = heads.first_mut() {
        into.push_encoded(first.reader.bytes(first.items.start))?;
        if !first.advance(codec, from)? {
            heads.swap_remove(0);
        }
        sift_down(&mut heads, 0, &mut before);
    }
    Ok(())
}

/// Restores the heap where the one at this place may be behind those below it.
fn sift_down<T>(
    heads: &mut [Head<T>],
    mut at: usize,
    before: &mut impl FnMut(&Head<T>, &Head<T>) -> bool,
) {
    loop {
        let mut first = at;
        for child in [2 * at + 1, 2 * at + 2] {
            if child < heads.len() && before(&heads[child], &heads[first]) {
                first = child;
            }
        }
        if first == at {
            return;
        }
        heads.swap(at, first);
        at = first;
    }
}

impl<T> Head<T> {
    fn new(codec: &impl Codec<T>, store: &Store, run: usize, items: Range<u64>) -> Result<Self> {
        let mut reader = FrameReader::default();
        reader.seek(&store.frames, items.start, Ahead::Forward)?;
        let item = decode(codec, items.start, reader.bytes(items.start))?;
        let index = &store.frames.index;
        let bytes = |item: u64| index.place(index.frame_of(item)).bytes;
        let disk = bytes(items.start).start..bytes(items.end - 1).end;
        let hole_bytes = ((disk.end - disk.start) / 8).clamp(HOLE_BYTES_MIN, HOLE_BYTES_MAX);
        Ok(Self { run, items, reader, item, disk, hole_bytes })
    }

    /// Goes on to the next item; whether there is one.
    fn advance(&mut self, codec: &impl Codec<T>, store: &mut Store) -> Result<bool> {
        self.items.start += 1;
        let next = self.items.start;
        if self.items.is_empty() {
            self.give_back(store, self.disk.end);
            return Ok(false);
        }
        if self.reader.is_at_end(next) {
            self.reader.seek(&store.frames, next, Ahead::Forward)?;
            let begin = self.reader.offset(&store.frames);
            if begin >= self.disk.start + self.hole_bytes {
                self.give_back(store, begin);
            }
        }
        self.item = decode(codec, next, self.reader.bytes(next))?;
        Ok(true)
    }

    /// Gives back the disk before this place.
    fn give_back(&mut self, store: &mut Store, end: u64) {
        // Where it fails the space comes back with the end of the file.
        let _ = store.scratch.punch(self.disk.start..end);
        self.disk.start = end;
    }
}
