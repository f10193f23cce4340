//! The forms of an archive in use: they differ in memory and calls, never in what they keep.

use ringkeep::{Io, ReadOptions, RingOptions, WriteOptions};

/// How a process gets at the slots of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// All of it mapped.
    Mapped,
    /// By reads and writes at a position.
    ByPosition,
    /// Through windows, under the smallest budget.
    Windowed,
}

impl Form {
    /// All forms.
    pub const ALL: [Self; 3] = [Self::Mapped, Self::ByPosition, Self::Windowed];

    /// One of them; every other one is mapped, as most archives are.
    pub fn draw(random: &mut fastrand::Rng) -> Self {
        [Self::Mapped, Self::Mapped, Self::ByPosition, Self::Windowed][random.usize(..4)]
    }

    /// As another process is told, and as outcomes are called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mapped => "mapped",
            Self::ByPosition => "by position",
            Self::Windowed => "windowed",
        }
    }

    /// The form of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }
}

/// Options that choose a form.
pub trait InForm {
    /// The same options, for an archive in this form.
    #[must_use]
    fn in_form(self, form: Form) -> Self;
}

macro_rules! in_form {
    ($($options:ty),*) => {$(
        impl InForm for $options {
            fn in_form(self, form: Form) -> Self {
                match form {
                    Form::Mapped => self,
                    Form::ByPosition => self.io(Io::File),
                    Form::Windowed => self.smallest_budget(),
                }
            }
        }
    )*};
}

in_form!(RingOptions, WriteOptions, ReadOptions);
