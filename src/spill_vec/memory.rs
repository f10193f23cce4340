//! Items in memory: a plain vector that grows within its budget.

use std::{cmp::Ordering, mem, vec};

use super::measure::Measure;
use crate::disk::{
    budget::{MemoryBudget, Share},
    codec::Codec,
};

/// What is shared is taken in steps of so many bytes.
const STEP_BYTES: u64 = 64 << 10;
/// Room for the first items.
const ITEMS_MIN: usize = 4;

/// Items in memory, and what they may take of it.
#[derive(Debug)]
pub(super) struct Memory<T> {
    items: Vec<T>,
    pub(super) measure: Measure<T>,
    /// What items have on the heap.
    heap_bytes: u64,
    /// What they may have there before somebody is asked.
    heap_room: u64,
    /// Of items, their places in the row included.
    bytes_max: u64,
    shared: Option<Shared>,
}

/// What this vector has of memory that others use too.
struct Shared {
    budget: MemoryBudget,
    share: Share,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("share", &self.share).finish_non_exhaustive()
    }
}

impl<T> Memory<T> {
    pub(super) fn new(measure: Measure<T>, bytes_max: u64, budget: Option<&MemoryBudget>) -> Self {
        let shared =
            |budget: &MemoryBudget| Shared { budget: budget.clone(), share: budget.share() };
        let (shared, items) = (budget.map(shared), Vec::new());
        Self { items, measure, heap_bytes: 0, heap_room: 0, bytes_max, shared }
    }

    pub(super) fn items(&self) -> &[T] {
        &self.items
    }

    /// Bytes of items and their places.
    pub(super) fn bytes(&self) -> u64 {
        (self.items.capacity() * size_of::<T>()) as u64 + self.heap_bytes
    }

    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Whether there is room for this item; what it has on the heap counts from now on.
    #[inline]
    pub(super) fn admit(&mut self, codec: &impl Codec<T>, item: &T) -> bool {
        let heap_bytes = self.heap_bytes + self.measure.heap_bytes(codec, item);
        let has_room = self.items.len() < self.items.capacity() && heap_bytes <= self.heap_room;
        let is_admitted = has_room || self.grow(heap_bytes);
        if is_admitted {
            self.heap_bytes = heap_bytes;
        }
        is_admitted
    }

    /// Takes in the item that was admitted.
    #[inline]
    pub(super) fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// Makes room for one more item at least, with so many bytes on the heap in all.
    #[cold]
    fn grow(&mut self, heap_bytes: u64) -> bool {
        let (count, capacity) = (self.items.len(), self.items.capacity());
        let most = self.items_max(heap_bytes);
        let doubled = if count < capacity { capacity } else { (capacity * 2).max(ITEMS_MIN) };
        let by_an_eighth = capacity.max(count + 1 + count / 8);
        for wanted in [doubled, by_an_eighth, capacity.max(count + 1)] {
            let wanted = if wanted > capacity { wanted.min(most) } else { wanted };
            if wanted > count && self.try_hold(wanted, heap_bytes) {
                self.items.reserve_exact(wanted - count);
                return true;
            }
        }
        false
    }

    /// How many items like these fit, if these have so many bytes on the heap.
    fn items_max(&self, heap_bytes: u64) -> usize {
        let count = self.items.len() as u64 + 1;
        let each = (size_of::<T>() as u64).max(1) + heap_bytes / count;
        usize::try_from(self.bytes_max / each).unwrap_or(usize::MAX)
    }

    /// Whether there is room for so many places and bytes on the heap; it is taken then.
    fn try_hold(&mut self, places: usize, heap_bytes: u64) -> bool {
        let places_bytes = (places as u64).saturating_mul(size_of::<T>() as u64);
        let bytes = places_bytes.saturating_add(heap_bytes);
        if bytes > self.bytes_max {
            return false;
        }
        let mut room = self.bytes_max;
        if let Some(Shared { budget, share }) = &mut self.shared {
            if !share.try_hold(bytes, STEP_BYTES) {
                // Others may have what they can do without.
                budget.relieve(bytes - share.held().min(bytes));
                if !share.try_hold(bytes, STEP_BYTES) {
                    return false;
                }
            }
            room = room.min(share.held());
        }
        self.heap_room = room - places_bytes;
        true
    }

    /// Holds so many bytes that are not items of its own, whether there are as many or not.
    pub(super) fn hold(&mut self, others: usize) {
        let bytes = self.bytes() + others as u64;
        if let Some(shared) = &mut self.shared {
            shared.share.hold(bytes);
        }
    }

    pub(super) fn truncate(&mut self, count: usize) {
        let before = self.items.len();
        self.items.truncate(count);
        self.heap_bytes = self.measure.heap_bytes_left(&self.items, before, self.heap_bytes);
    }

    /// Gives all of its memory back.
    pub(super) fn clear(&mut self) {
        self.items = Vec::new();
        (self.heap_bytes, self.heap_room) = (0, 0);
        self.hold(0);
    }

    /// Whether there is memory to sort all items in.
    pub(super) fn can_sort(&self) -> bool {
        self.bytes() <= self.bytes_max / 2
    }

    pub(super) fn sort_by(&mut self, compare: impl FnMut(&T, &T) -> Ordering) {
        self.items.sort_by(compare);
    }

    /// All items, which count as held until this ends.
    pub(super) fn take(&mut self) -> Vec<T> {
        mem::take(&mut self.items)
    }

    /// Moves items out from the front. What is not moved is back when this is dropped.
    pub(super) fn moving(&mut self) -> Moving<'_, T> {
        let items = mem::take(&mut self.items);
        Moving { count: items.len(), items: items.into_iter(), memory: self }
    }
}

/// Items on their way out, first ones first.
#[derive(Debug)]
pub(super) struct Moving<'a, T> {
    memory: &'a mut Memory<T>,
    items: vec::IntoIter<T>,
    /// How many there were.
    count: usize,
}

impl<T> Moving<'_, T> {
    pub(super) fn first(&self) -> Option<&T> {
        self.items.as_slice().first()
    }

    /// The first one is elsewhere now: what it has on the heap is given back.
    pub(super) fn drop_first(&mut self) {
        drop(self.items.next());
    }
}

impl<T> Drop for Moving<'_, T> {
    fn drop(&mut self) {
        let memory = &mut *self.memory;
        // In the same memory; if there are none, that is given back.
        let left = mem::take(&mut self.items);
        memory.items = if left.len() == 0 { Vec::new() } else { left.collect() };
        memory.heap_bytes =
            memory.measure.heap_bytes_left(&memory.items, self.count, memory.heap_bytes);
        memory.heap_room = memory.heap_bytes;
        memory.hold(0);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::measure::Measure, Memory, MemoryBudget};
    use crate::disk::codec::Bytes;

    fn filled(memory: &mut Memory<Vec<u8>>) -> usize {
        let mut count = 0;
        while memory.admit(&Bytes, &vec![0; 100]) {
            memory.push(vec![0; 100]);
            assert!(memory.bytes() <= memory.bytes_max(), "{count}");
            count += 1;
        }
        count
    }

    fn memory(budget: Option<&MemoryBudget>) -> Memory<Vec<u8>> {
        Memory::new(Measure::Exact(Vec::len), 1_000_000, budget)
    }

    #[test]
    fn items_fill_the_budget_and_do_not_overflow_it() {
        let mut alone = memory(None);
        // 24 bytes of its own, and 100 on the heap.
        let count = filled(&mut alone);
        assert!((7_900..=8_064).contains(&count), "{count}");
        assert!(!alone.admit(&Bytes, &vec![0; 1000]));
    }

    #[test]
    fn what_is_shared_is_given_back() {
        let budget = MemoryBudget::new(1_000_000);
        let (mut one, mut other) = (memory(Some(&budget)), memory(Some(&budget)));
        let first = filled(&mut one);
        let second = filled(&mut other);
        assert!(first > 7_000 && second < 1_000, "{first}, {second}");
        assert!(budget.used() <= budget.bytes());
        one.truncate(10);
        one.clear();
        assert!(filled(&mut other) > 6_000);
        drop(other);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_not_moved_stays_and_counts() {
        let mut memory = memory(None);
        let count = filled(&mut memory);
        let mut moving = memory.moving();
        (0..100).for_each(|_| moving.drop_first());
        assert!(moving.first().is_some());
        drop(moving);
        assert_eq!(memory.items().len(), count - 100);
        assert!(memory.bytes() <= 1_000_000);
        let mut moving = memory.moving();
        while moving.first().is_some() {
            moving.drop_first();
        }
        drop(moving);
        assert_eq!((memory.items().len(), memory.bytes()), (0, 0));
    }
}
