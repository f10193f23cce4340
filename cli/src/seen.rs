//! What came instead of records, counted and told.

use std::ops::Range;

use ringkeep::Read;

use crate::exit::Exit;
use crate::output;

/// What came instead of records.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The first id is settled: `--from` gave it, or a record was printed.
    pub(crate) begun: bool,
    absent: u64,
    /// Lapped before the first id was settled: a producer at work moved the start of the range.
    moved: u64,
    lapped: u64,
    lost: u64,
    corrupt: u64,
    others: u64,
}

impl Seen {
    pub(crate) fn of(begun: bool) -> Self {
        Self { begun, ..Self::default() }
    }

    /// Ids that a follower was too slow for, told at once.
    pub(crate) fn count_missed(&mut self, ids: &Range<u64>) {
        let count = ids.end - ids.start;
        self.lapped += count;
        output::note(&format!(
            "missed {count} records, ids {}..{}: overwritten before they were read",
            ids.start, ids.end
        ));
    }

    pub(crate) fn count(&mut self, id: u64, read: &Read<()>) {
        match read {
            Read::Absent => self.absent += 1,
            Read::Lapped { .. } => self.count_lapped(1),
            Read::Lost => self.lost += 1,
            Read::Corrupt { .. } => {
                self.corrupt += 1;
                output::note(&format!("id {id}: {read}"));
            }
            _ => {
                self.others += 1;
                output::note(&format!("id {id}: {read}"));
            }
        }
    }

    pub(crate) fn count_lapped(&mut self, count: u64) {
        if self.begun {
            self.lapped += count;
        } else {
            self.moved += count;
        }
    }

    /// Tells the counts on stderr. A start that moved is no loss: nobody asked for those ids.
    pub(crate) fn tell(&self) -> Exit {
        for (count, what) in [
            (self.absent, "ids hold no record (skipped or deleted)"),
            (self.moved, "records were overwritten before the first one was read"),
            (self.lapped, "records were overwritten before they were read"),
            (self.lost, "records were lost in a crash"),
            (self.corrupt, "records are corrupt; 'ringkeep verify' shows where"),
        ] {
            if count > 0 {
                output::note(&format!("{count} {what}"));
            }
        }
        let missing = self.lapped + self.lost + self.corrupt + self.others;
        if missing > 0 { Exit::Data } else { Exit::Fine }
    }
}
