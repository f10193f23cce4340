//! How far a store or a queue has come, whose commits or items have numbers in order.

use super::{
    note::Note,
    plan::Plan,
    promises::{NOTHING_YET, Stage},
    worker::syncs_each,
};
use crate::report::Report;

/// Numbers of commits or items, from 0 on; each is one past the last one.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    pub(super) stage: Stage,
    pub(super) begun: u64,
    pub(super) returned: u64,
    pub(super) durable: u64,
    pub(super) life: Life,
    /// What the worker itself did wrong.
    pub(super) violations: Vec<String>,
}

impl Progress {
    /// What a power cut has left is durable.
    pub(super) fn survived(next: u64) -> Self {
        let (stage, life) = (Stage::Closed, Life { second_from: next });
        let violations = Vec::new();
        Self { stage, begun: next, returned: next, durable: next, life, violations }
    }

    pub(super) fn tell(&mut self, note: Note, plan: &Plan) {
        self.stage = self.stage.then(note);
        match note {
            Note::Append { first, count } => self.begun = first + count,
            Note::Done { next, durable } => self.done(next, durable, plan),
            Note::Closed => self.durable = self.returned,
            _ => {}
        }
    }

    /// A step has returned.
    fn done(&mut self, next: u64, durable: u64, plan: &Plan) {
        let is_synced = durable == next || !syncs_each(plan.policy);
        if next != self.begun || durable < self.durable || durable > next || !is_synced {
            let what = format!("next is {next}, durable {durable} after {self:?}");
            self.violations.push(what);
        }
        (self.returned, self.durable) = (next, durable);
    }

    /// There is nothing: it was not made yet.
    pub(super) fn judge_absence(&self, report: &mut Report) {
        if self.stage.is_before_creation() {
            report.count(NOTHING_YET);
        } else {
            report.fail(format!("it is gone: {self:?}"));
        }
    }

    /// What is there ends before `next`.
    pub(super) fn judge(&self, next: u64, report: &mut Report) {
        if !(self.durable..=self.begun).contains(&next) {
            report.fail(format!("{next} is the end: {self:?}"));
        }
        report.count(if next == self.durable {
            "what was durable is left"
        } else {
            "more than what was durable is left"
        });
        if next < self.returned {
            report.count("something above durable is lost");
        }
        if self.begun > self.returned {
            report.count("cut in a commit or push");
        }
    }
}

/// What [`Progress::judge`] counts.
pub(super) const CLASSES: [&str; 4] = [
    "what was durable is left",
    "more than what was durable is left",
    "something above durable is lost",
    "cut in a commit or push",
];

/// From which number on commits or items were made after the first power cut: those are others,
/// under numbers that were given before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    second_from: u64,
}

impl Default for Life {
    /// Before it.
    fn default() -> Self {
        Self { second_from: u64::MAX }
    }
}

impl Life {
    /// The one of a worker that finds so many.
    pub(super) fn of(plan: &Plan, next: u64) -> Self {
        if plan.goes_on() { Self { second_from: next } } else { Self::default() }
    }

    /// What the commit or item of a number is drawn from.
    pub(super) fn random(self, plan: &Plan, number: u64) -> fastrand::Rng {
        let life = u64::from(number >= self.second_from);
        fastrand::Rng::with_seed(plan.seed ^ number.rotate_left(32) ^ life.rotate_left(60))
    }
}
