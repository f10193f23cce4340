//! What the follower checks of every record, and the report it gives.

use ringkeep::Tailed;
use serde::{Deserialize, Serialize};

use super::sample::Sample;

/// The follower's findings; its process prints them as one line of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Checked {
    /// Records read and found good.
    pub(super) read: u64,
    /// Records overwritten before they were read.
    pub(super) missed: u64,
    /// Ids without a record, out of order, or with what no recorder wrote.
    pub(super) wrong: u64,
    /// Times the clock went backwards; that is the host's doing, and no fault of the archive.
    pub(super) clock_steps_back: u64,
}

#[derive(Debug)]
pub(super) struct Checker {
    expected: u64,
    newest: u64,
    checked: Checked,
}

impl Checker {
    pub(super) fn new(from: u64) -> Self {
        Self { expected: from, newest: 0, checked: Checked::default() }
    }

    pub(super) fn take(&mut self, item: &Tailed<'_>, now_nanos: u64) {
        match item {
            Tailed::Record { id, payload } => self.record(*id, payload, now_nanos),
            Tailed::Missed { ids } => {
                self.checked.missed += ids.end - ids.start;
                self.checked.wrong += u64::from(ids.start != self.expected);
                self.expected = ids.end;
            }
            Tailed::Hole { id, .. } => {
                self.checked.wrong += 1;
                self.expected = id + 1;
            }
            // Replaced, or what a later library adds: no recorder writes on here.
            _ => self.checked.wrong += 1,
        }
    }

    fn record(&mut self, id: u64, payload: &[u8], now_nanos: u64) {
        let in_order = id == self.expected;
        self.expected = id + 1;
        match Sample::decode(payload).filter(|sample| sample.is_plausible(now_nanos)) {
            Some(sample) if in_order => {
                self.checked.read += 1;
                self.checked.clock_steps_back += u64::from(sample.t < self.newest);
                self.newest = sample.t;
            }
            _ => self.checked.wrong += 1,
        }
    }

    pub(super) fn checked(&self) -> Checked {
        self.checked
    }
}

#[cfg(test)]
mod tests {
    use ringkeep::Read;

    use super::*;

    const NOW: u64 = 1_800_000_000_000_000_000;

    fn record(t: u64) -> [u8; 124] {
        let mut sample = Sample::decode(&[0; 124]).expect("the right length");
        sample.t = t;
        sample.encode()
    }

    #[test]
    fn contiguous_good_records_are_read_and_nothing_else() {
        let mut checker = Checker::new(7);
        for id in 7..17 {
            checker.take(&Tailed::Record { id, payload: &record(NOW - 100 + id) }, NOW);
        }
        assert_eq!(checker.checked(), Checked { read: 10, ..Checked::default() });
    }

    #[test]
    fn each_fault_is_counted_once_and_the_next_record_is_good_again() {
        let good = record(NOW - 1);
        let faults: [(Tailed<'_>, Checked); 5] = [
            (Tailed::Record { id: 1, payload: &good }, Checked { wrong: 1, ..Checked::default() }),
            (
                Tailed::Record { id: 0, payload: &[0; 124] },
                Checked { wrong: 1, ..Checked::default() },
            ),
            (
                Tailed::Record { id: 0, payload: &good[1..] },
                Checked { wrong: 1, ..Checked::default() },
            ),
            (Tailed::Missed { ids: 0..4 }, Checked { missed: 4, ..Checked::default() }),
            (Tailed::Hole { id: 0, read: Read::Lost }, Checked { wrong: 1, ..Checked::default() }),
        ];
        for (fault, found) in faults {
            let mut checker = Checker::new(0);
            checker.take(&fault, NOW);
            assert_eq!(checker.checked(), found, "{fault:?}");
            checker.take(&Tailed::Record { id: checker.expected, payload: &good }, NOW);
            assert_eq!(checker.checked(), Checked { read: 1, ..found }, "{fault:?}");
        }
    }

    #[test]
    fn a_clock_that_steps_back_is_told_and_no_fault() {
        let mut checker = Checker::new(0);
        for (id, t) in [(0, NOW - 1), (1, NOW - 5), (2, NOW - 4)] {
            checker.take(&Tailed::Record { id, payload: &record(t) }, NOW);
        }
        assert_eq!(
            checker.checked(),
            Checked { read: 3, clock_steps_back: 1, ..Checked::default() }
        );
    }
}
