//! Where the items of a queue are: three ranges of numbers that follow each other, so that the
//! order holds by construction.
//!
//! ```text
//!    taken     | front (memory) |     on disk     |  back (memory)  |
//!              ^ front_first    ^ disk.start      ^ disk.end        ^ next
//! ```
//!
//! Items are pushed at the back only and taken from the front only. While nothing is on the disk
//! there is no back: what is pushed goes to the front. A run that leaves the back's beginning makes
//! the disk's end; what is read from the disk's beginning makes the front's end. An item that comes
//! back goes to `returned`, which is before the front, by its number.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
};

use super::done::Done;
use crate::disk::log::Position;

/// An item in memory.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) item: T,
    /// What it counts for.
    pub(super) bytes: usize,
    /// How often it was handed out before.
    pub(super) attempts: u32,
}

/// Items by number, and how much memory they take.
#[derive(Debug)]
pub(super) struct Ranges<T> {
    /// Were taken and came back.
    returned: BTreeMap<u64, Entry<T>>,
    front: VecDeque<Entry<T>>,
    disk: Range<u64>,
    /// The last ones on the disk that nobody can read yet: they are being written.
    unwritten: u64,
    /// Where the first item on the disk is, or a frame before it.
    position: Position,
    back: VecDeque<Entry<T>>,
    done: Done,
    /// Items that are handed out.
    leased: u64,
    /// Of all items in memory, those that are handed out included.
    bytes: usize,
    front_bytes: usize,
    /// Of items before the front: handed out, or come back.
    taken_bytes: usize,
}

impl<T> Ranges<T> {
    /// All that is there is on the disk.
    pub(super) fn new(disk: Range<u64>) -> Self {
        Self {
            returned: BTreeMap::new(),
            front: VecDeque::new(),
            unwritten: 0,
            position: Position::first_of(disk.start),
            back: VecDeque::new(),
            done: Done::new(disk.start),
            leased: 0,
            bytes: 0,
            front_bytes: 0,
            taken_bytes: 0,
            disk,
        }
    }

    /// One past the last item.
    pub(super) fn next(&self) -> u64 {
        self.disk.end + self.back.len() as u64
    }

    /// Items that are not acknowledged.
    pub(super) fn len(&self) -> u64 {
        self.next() - self.done.mark() - self.done.behind_count()
    }

    pub(super) fn leased(&self) -> u64 {
        self.leased
    }

    /// Items that are on the disk alone.
    pub(super) fn on_disk(&self) -> u64 {
        self.disk.end - self.disk.start
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// One past the last item before which all are acknowledged.
    pub(super) fn mark(&self) -> u64 {
        self.done.mark()
    }

    /// Takes in an item behind all others; its number.
    pub(super) fn push(&mut self, entry: Entry<T>) -> u64 {
        let number = self.next();
        self.bytes += entry.bytes;
        if self.disk.is_empty() {
            self.front_bytes += entry.bytes;
            self.front.push_back(entry);
            self.disk = number + 1..number + 1;
        } else {
            self.back.push_back(entry);
        }
        number
    }

    /// Takes in items that were written at this place, behind all others.
    pub(super) fn push_written(&mut self, count: u64, position: Position) {
        debug_assert!(self.back.is_empty(), "what is in the back comes before them");
        if self.disk.is_empty() {
            self.position = position;
        }
        self.disk.end += count;
    }

    /// The next item, if it is in memory.
    pub(super) fn peek(&self) -> Option<&T> {
        let first = self.returned.first_key_value().map(|(_, entry)| entry);
        first.or_else(|| self.front.front()).map(|entry| &entry.item)
    }

    /// Whether the first item that is not acknowledged is handed out.
    pub(super) fn is_first_leased(&self) -> bool {
        let front = self.disk.start - self.front.len() as u64;
        let first = self.returned.first_key_value().map_or(front, |(&number, _)| number);
        self.leased > 0 && first > self.done.mark()
    }

    /// Hands out the next item, if it is in memory.
    pub(super) fn take(&mut self) -> Option<(u64, Entry<T>)> {
        let taken = self.returned.pop_first().or_else(|| {
            let number = self.disk.start - self.front.len() as u64;
            let entry = self.front.pop_front()?;
            self.front_bytes -= entry.bytes;
            self.taken_bytes += entry.bytes;
            Some((number, entry))
        })?;
        self.leased += 1;
        Some(taken)
    }

    /// An item that was handed out comes back to its place.
    pub(super) fn put_back(&mut self, number: u64, entry: Entry<T>) {
        self.leased -= 1;
        self.returned.insert(number, entry);
    }

    /// An item that was handed out is acknowledged. Whether the mark has moved.
    pub(super) fn acknowledge(&mut self, number: u64, bytes: usize) -> bool {
        self.leased -= 1;
        self.taken_bytes -= bytes;
        self.bytes -= bytes;
        self.done.insert(number..number + 1)
    }

    /// Whether the next item has to be read from the disk.
    pub(super) fn is_next_on_disk(&self) -> bool {
        self.returned.is_empty() && self.front.is_empty() && !self.disk.is_empty()
    }

    /// Where the next item on the disk is; `None` while it is written.
    pub(super) fn readable(&self) -> Option<(u64, Position)> {
        let is_readable = self.disk.start < self.readable_end();
        is_readable.then_some((self.disk.start, self.position))
    }

    /// One past the last item on the disk that can be read.
    pub(super) fn readable_end(&self) -> u64 {
        self.disk.end - self.unwritten
    }

    /// Takes in the items of a frame that was read, and where the next one is.
    pub(super) fn read(&mut self, entries: impl Iterator<Item = Entry<T>>, position: Position) {
        for entry in entries {
            (self.bytes, self.front_bytes) =
                (self.bytes + entry.bytes, self.front_bytes + entry.bytes);
            self.front.push_back(entry);
            self.disk.start += 1;
        }
        self.position = position;
        self.join();
    }

    /// Gives up the items on the disk before `item`. Whether the mark has moved.
    pub(super) fn give_up(&mut self, item: u64, position: Position) -> bool {
        debug_assert!(self.front.is_empty(), "what is in the front comes before them");
        let items = self.disk.start..item.min(self.disk.end);
        (self.disk.start, self.position) = (items.end, position);
        self.join();
        self.done.insert(items)
    }

    /// Bytes that could go to the disk so as to leave half of so much memory.
    pub(super) fn spillable(&self, memory_bytes: usize) -> usize {
        let back = self.bytes - self.taken_bytes - self.front_bytes;
        if self.disk.is_empty() && self.back.is_empty() {
            self.front_bytes.saturating_sub(self.front_bytes_kept(memory_bytes))
        } else {
            back
        }
    }

    /// Bytes of the front that are not spilled.
    fn front_bytes_kept(&self, memory_bytes: usize) -> usize {
        memory_bytes.saturating_sub(self.taken_bytes) / 2
    }

    /// Takes a run of about so many bytes out of the back, to be written; the number of its first
    /// item. Where there is no back, half of the front, or what memory has no room for, becomes
    /// one; but for the items before `written`, which came from the disk.
    pub(super) fn begin_run(
        &mut self,
        run_bytes: usize,
        memory_bytes: usize,
        written: u64,
    ) -> Option<(u64, Vec<Entry<T>>)> {
        debug_assert_eq!(self.unwritten, 0, "one run is written at a time");
        let front_bytes_kept = self.front_bytes_kept(memory_bytes);
        if self.disk.is_empty() && self.back.is_empty() {
            while self.front_bytes > front_bytes_kept
                && self.disk.start - self.back.len() as u64 > written
                && let Some(entry) = self.front.pop_back()
            {
                self.front_bytes -= entry.bytes;
                self.back.push_front(entry);
            }
            let back = self.disk.start - self.back.len() as u64;
            self.disk = back..back;
        }
        let (mut run, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = self.back.front()
            && (bytes == 0 || bytes + entry.bytes <= run_bytes)
        {
            bytes += entry.bytes;
            run.extend(self.back.pop_front());
        }
        self.unwritten = run.len() as u64;
        self.disk.end += self.unwritten;
        (!run.is_empty()).then_some((self.disk.end - self.unwritten, run))
    }

    /// The run was written here.
    pub(super) fn end_run(&mut self, bytes: usize, position: Position) {
        if self.disk.end - self.disk.start == self.unwritten {
            self.position = position;
        }
        self.unwritten = 0;
        self.bytes -= bytes;
    }

    /// The run could not be written: it is where it was.
    pub(super) fn cancel_run(&mut self, run: Vec<Entry<T>>) {
        self.disk.end -= std::mem::take(&mut self.unwritten);
        for entry in run.into_iter().rev() {
            self.back.push_front(entry);
        }
        self.join();
    }

    /// With nothing on the disk between them, the back is the front's end.
    fn join(&mut self) {
        if self.disk.is_empty() {
            self.disk = self.next()..self.next();
            self.front_bytes += self.back.iter().map(|entry| entry.bytes).sum::<usize>();
            self.front.append(&mut self.back);
        }
    }
}
