//! Which bytes of a file nobody needs any more, and which of its pages can go therefore.

use std::{collections::BTreeMap, ops::Range};

/// A file system gives space back in pages.
const PAGE: u64 = 4096;

/// Ranges that are free, none of which touches another.
#[derive(Debug, Default)]
pub(super) struct Holes {
    /// The end of each by its start.
    ranges: BTreeMap<u64, u64>,
}

impl Holes {
    /// Frees a range of which nothing was free. Returns the pages that are wholly free now and were
    /// not before.
    pub(super) fn free(&mut self, range: Range<u64>) -> Range<u64> {
        let before = self.ranges.range(..range.start).next_back();
        let before = before.map(|(&start, &end)| start..end).filter(|it| it.end == range.start);
        let after = self.ranges.remove(&range.end).map(|end| range.end..end);
        let start = before.as_ref().map_or(range.start, |it| it.start);
        let end = after.as_ref().map_or(range.end, |it| it.end);
        self.ranges.insert(start, end);
        let mut pages = pages_in(&(start..end));
        if let Some(gone) = before.map(|it| pages_in(&it)).filter(|gone| !gone.is_empty()) {
            pages.start = gone.end;
        }
        if let Some(gone) = after.map(|it| pages_in(&it)).filter(|gone| !gone.is_empty()) {
            pages.end = gone.start;
        }
        pages
    }

    /// Whether all of this range is free.
    pub(super) fn are_all(&self, range: &Range<u64>) -> bool {
        self.ranges.get(&range.start) == Some(&range.end)
    }

    /// Nothing is free any more.
    pub(super) fn clear(&mut self) {
        self.ranges.clear();
    }
}

/// The whole pages of a range; its end may lie before its start where there are none.
fn pages_in(range: &Range<u64>) -> Range<u64> {
    range.start.next_multiple_of(PAGE)..range.end / PAGE * PAGE
}

#[cfg(test)]
mod tests {
    use super::{Holes, PAGE};

    /// Goal: each page is given back once, when the last byte of it is free.
    ///
    /// Method: free the pieces of a file in random order, and hold what comes back against a count
    /// of the free bytes of each page.
    #[test]
    fn each_page_is_given_back_once_and_when_all_of_it_is_free() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let mut pieces = Vec::new();
            let mut end = 0;
            while end < 20 * PAGE {
                let length = if random.bool() { random.u64(1..300) } else { random.u64(1..20_000) };
                pieces.push(end..end + length);
                end += length;
            }
            random.shuffle(&mut pieces);
            let mut holes = Holes::default();
            let mut free = vec![0; usize::try_from(end / PAGE + 1).expect("few")];
            let mut given = vec![false; free.len()];
            for piece in pieces {
                for byte in piece.clone() {
                    free[usize::try_from(byte / PAGE).expect("few")] += 1;
                }
                let pages = holes.free(piece);
                for page in (pages.start..pages.end).step_by(4096) {
                    let page = usize::try_from(page / PAGE).expect("few");
                    assert!(!given[page], "page {page} was given back before");
                    given[page] = true;
                }
                for (page, &bytes) in free.iter().enumerate() {
                    assert_eq!(given[page], bytes == PAGE, "page {page} of {bytes} free bytes");
                }
            }
            assert!(holes.are_all(&(0..end)));
            holes.clear();
            assert!(!holes.are_all(&(0..end)));
        }
    }
}
