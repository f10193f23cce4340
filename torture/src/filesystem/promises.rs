//! What the notes of a worker promise, whatever it uses: a ring ([`Story`](super::story::Story)), a
//! store ([`super::stores`]) or a queue ([`super::queues`]).

use std::{fmt::Debug, path::Path};

use super::{
    note::Note,
    plan::{Plan, Purpose},
};
use crate::{form::Form, report::Report};

/// What had been promised at a moment, and whether what a power cut left keeps it.
pub(super) trait Promises: Clone + Debug + Default {
    /// What its first worker is there for, and the one that goes on after a power cut.
    const WORKERS: [Purpose; 2];
    /// How its seeds are told apart from those of others.
    const NAME: &str;
    /// What many trials have to have, beside what all of them have.
    const CLASSES: &[&[&str]];
    /// What the judge has found there.
    type Seen;

    /// Takes in one more note.
    fn tell(&mut self, note: Note, plan: &Plan);

    /// What is promised when a power cut has left this, and nobody has done anything since.
    fn survived(&self, seen: &Self::Seen, plan: &Plan) -> Self;

    /// How far the worker had come.
    fn stage(&self) -> Stage;

    /// Looks below a mount, opens what is there, and goes on with it; `None` if there is nothing.
    fn judge(&self, after: &After<'_>, mount: &Path, report: &mut Report) -> Option<Self::Seen>;

    /// What the worker itself did wrong.
    fn violations(&self) -> &[String] {
        &[]
    }

    /// Goes on with these notes.
    fn then(mut self, notes: impl Iterator<Item = Note>, plan: &Plan) -> Self {
        for note in notes {
            self.tell(note, plan);
        }
        self
    }

    fn of(notes: impl Iterator<Item = Note>, plan: &Plan) -> Self {
        Self::default().then(notes, plan)
    }
}

/// A class: the power failed before the worker had made anything.
pub(super) const NOTHING_YET: &str = "nothing there yet";

/// How far a worker has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Nothing,
    Creating,
    Running,
    Closing,
    Closed,
    Opening,
}

impl Stage {
    /// After one more note.
    pub(super) fn then(self, note: Note) -> Self {
        match note {
            Note::Creating => Self::Creating,
            Note::Created | Note::Done { .. } => Self::Running,
            Note::Closing => Self::Closing,
            Note::Closed => Self::Closed,
            Note::Opening => Self::Opening,
            _ => self,
        }
    }

    /// Whether there may be nothing yet.
    pub(super) fn is_before_creation(self) -> bool {
        matches!(self, Self::Nothing | Self::Creating)
    }
}

/// A moment after a failure, and how what is left is looked at.
#[derive(Debug)]
pub(super) struct After<'a> {
    pub(super) plan: &'a Plan,
    /// Of the mount.
    pub(super) options: &'static str,
    pub(super) boot: [u64; 2],
    /// Of a ring.
    pub(super) reader: Form,
    pub(super) writer: Form,
}

impl<'a> After<'a> {
    /// In that boot, by any form.
    pub(super) fn new(
        plan: &'a Plan,
        options: &'static str,
        boot: [u64; 2],
        random: &mut fastrand::Rng,
    ) -> Self {
        let (reader, writer) = (Form::draw(random), Form::draw(random));
        Self { plan, options, boot, reader, writer }
    }
}
