//! Which items nobody needs any more: all before a mark, and some behind it.

use std::{collections::BTreeMap, ops::Range};

/// The acknowledged items of a queue.
#[derive(Debug, Default)]
pub(super) struct Done {
    mark: u64,
    /// Ranges behind the mark, neither empty nor touching each other: first, and one past the last.
    behind: BTreeMap<u64, u64>,
    /// Items in them.
    behind_count: u64,
}

impl Done {
    pub(super) fn new(mark: u64) -> Self {
        Self { mark, ..Self::default() }
    }

    /// One past the last item before which all are done.
    pub(super) fn mark(&self) -> u64 {
        self.mark
    }

    /// Items that are done at or behind the mark.
    pub(super) fn behind_count(&self) -> u64 {
        self.behind_count
    }

    /// These are done too; none of them was before. Whether the mark has moved.
    #[inline]
    pub(super) fn insert(&mut self, items: Range<u64>) -> bool {
        if items.is_empty() {
            return false;
        }
        let Range { mut start, mut end } = items;
        if start == self.mark && self.behind.is_empty() {
            self.mark = end;
            return true;
        }
        self.behind_count += end - start;
        if let Some((&first, &last)) = self.behind.range(..start).next_back()
            && last == start
        {
            start = first;
        }
        if let Some(last) = self.behind.remove(&end) {
            end = last;
        }
        if start > self.mark {
            self.behind.insert(start, end);
            return false;
        }
        debug_assert_eq!(start, self.mark, "an item is done once");
        self.behind_count -= end - self.mark;
        self.mark = end;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Done;

    #[test]
    fn the_mark_is_where_the_first_item_is_missing_in_any_order() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut items: Vec<u64> = (5..45).collect();
            random.shuffle(&mut items);
            let (mut done, mut model) = (Done::new(5), BTreeSet::new());
            for item in items {
                let before = done.mark();
                let moved = done.insert(item..item + 1);
                model.insert(item);
                let mark = (5..46).find(|item| !model.contains(item)).expect("one is missing");
                assert_eq!((done.mark(), moved), (mark, mark > before), "seed {seed}");
                let behind = model.range(mark..).count() as u64;
                assert_eq!(done.behind_count(), behind, "seed {seed}");
            }
            assert!(done.behind.is_empty());
        }
    }
}
