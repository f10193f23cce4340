//! The naive model of a ring, which random operations and fuzzed ones are compared with.

use std::collections::VecDeque;

use ringkeep::Read;

/// The ring as a list: ids `next - kept.len()..next`, `None` for those without a record.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) capacity: usize,
    pub(crate) kept: VecDeque<Option<Vec<u8>>>,
    pub(crate) next: u64,
    /// At least so much is durable; exactly so under policies that sync at known moments.
    pub(crate) durable: u64,
}

impl List {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, kept: VecDeque::new(), next: 0, durable: 0 }
    }

    pub(crate) fn oldest(&self) -> u64 {
        self.next - self.kept.len() as u64
    }

    pub(crate) fn push(&mut self, content: Option<Vec<u8>>) {
        self.kept.push_back(content);
        self.next += 1;
        if self.kept.len() > self.capacity {
            self.kept.pop_front();
        }
    }

    pub(crate) fn append_at(&mut self, id: u64, payload: Vec<u8>) {
        if self.kept.is_empty() || id - self.next >= self.capacity as u64 {
            self.kept.clear();
            self.next = id;
        }
        while self.next < id {
            self.push(None);
        }
        self.push(Some(payload));
    }

    pub(crate) fn read(&self, id: u64) -> Read<Vec<u8>> {
        let (oldest, next) = (self.oldest(), self.next);
        if id >= next {
            return Read::NotYet { next };
        }
        let Some(place) = id.checked_sub(oldest) else {
            return Read::Lapped { oldest, missed: oldest - id };
        };
        let place = usize::try_from(place).expect("a small ring");
        self.kept[place].clone().map_or(Read::Absent, Read::Record)
    }
}
