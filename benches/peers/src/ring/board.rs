//! What was measured so far, by work.

use super::sides::Side;
use crate::table::{Report, Work};

/// Which work a figure is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) work: &'static str,
    pub(super) what: &'static str,
    pub(super) record_bytes: usize,
}

/// The works, in the order in which they were first done.
#[derive(Debug, Default)]
pub(super) struct Board {
    works: Vec<Work>,
}

impl Board {
    pub(super) fn add(&mut self, row: Row, side: &Side, ns: f64) {
        let at = self.works.iter().position(|work| is_of(work, row)).unwrap_or_else(|| {
            self.works.push(Work::new(row.work, row.what, row.record_bytes));
            self.works.len() - 1
        });
        self.works[at].add(side.name, side.role, ns);
    }

    pub(super) fn find(&self, row: Row) -> Option<&Work> {
        self.works.iter().find(|work| is_of(work, row))
    }

    /// Tells of what kind of ring these works are, too.
    pub(super) fn report_of(mut self, ring: &str, report: &mut Report) {
        for work in &mut self.works {
            work.what = format!("{}, {ring}", work.what);
        }
        self.report(report);
    }

    pub(super) fn report(self, report: &mut Report) {
        self.works.into_iter().for_each(|work| report.add(work));
    }
}

fn is_of(work: &Work, row: Row) -> bool {
    (work.scenario, &*work.what, work.item_bytes) == (row.work, row.what, row.record_bytes)
}
