//! What a worker tells about its work, in order with what its disk logs.

/// Bytes of a note.
pub(super) const NOTE_BYTES: usize = 32;

/// A step that begins, or its end. A note is in the log before the call that made it returns.
///
/// Those of a ring; a store and a queue use some of them, for commits and items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Note {
    /// The archive is about to be made.
    Creating,
    /// It is there, and open.
    Created,
    /// So many records are about to be appended.
    Append { first: u64, count: u64 },
    /// Ids from `first` on are about to be skipped, up to a record at `id`.
    Gap { first: u64, id: u64 },
    /// A record is about to be appended so far ahead that all older ones are given up.
    Jump { id: u64 },
    /// A record is about to get other content.
    Update { id: u64, version: u64 },
    /// A record is about to be deleted, or an item acknowledged.
    Delete { id: u64 },
    /// A step without content of its own: a flush, a write-back, a sync.
    Other,
    /// The step has returned.
    Done { next: u64, durable: u64 },
    /// The archive is about to be closed.
    Closing,
    /// It is closed.
    Closed,
    /// The producer is gone without a close, and another one is about to open.
    Opening,
    /// The step failed, with this error.
    Failed { error: Failure },
    /// All is done.
    End,
    /// Items below this number were acknowledged before a sync that has returned.
    Settled { below: u64 },
}

/// What an operation failed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Io,
    Poisoned,
    ReadOnly,
    NoSpace,
    Other,
}

const FAILURES: [Failure; 5] =
    [Failure::Io, Failure::Poisoned, Failure::ReadOnly, Failure::NoSpace, Failure::Other];

impl Note {
    pub(super) fn encode(self) -> [u8; NOTE_BYTES] {
        let words = match self {
            Self::Creating => [0, 0, 0],
            Self::Created => [1, 0, 0],
            Self::Append { first, count } => [2, first, count],
            Self::Gap { first, id } => [3, first, id],
            Self::Jump { id } => [4, id, 0],
            Self::Update { id, version } => [5, id, version],
            Self::Delete { id } => [6, id, 0],
            Self::Other => [7, 0, 0],
            Self::Done { next, durable } => [8, next, durable],
            Self::Closing => [9, 0, 0],
            Self::Closed => [10, 0, 0],
            Self::Opening => [11, 0, 0],
            Self::Failed { error } => [12, error as u64, 0],
            Self::End => [13, 0, 0],
            Self::Settled { below } => [14, below, 0],
        };
        let mut bytes = [0; NOTE_BYTES];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes.chunks_exact(8).map(|word| {
            let word = word.try_into().expect("eight bytes");
            u64::from_le_bytes(word)
        });
        let (kind, a, b) = (words.next()?, words.next()?, words.next()?);
        Some(match kind {
            0 => Self::Creating,
            1 => Self::Created,
            2 => Self::Append { first: a, count: b },
            3 => Self::Gap { first: a, id: b },
            4 => Self::Jump { id: a },
            5 => Self::Update { id: a, version: b },
            6 => Self::Delete { id: a },
            7 => Self::Other,
            8 => Self::Done { next: a, durable: b },
            9 => Self::Closing,
            10 => Self::Closed,
            11 => Self::Opening,
            12 => Self::Failed { error: *FAILURES.get(usize::try_from(a).ok()?)? },
            13 => Self::End,
            14 => Self::Settled { below: a },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{FAILURES, Note};

    #[test]
    fn a_note_comes_back_as_it_was() {
        let mut notes = vec![
            Note::Creating,
            Note::Created,
            Note::Append { first: 7, count: 3 },
            Note::Gap { first: 7, id: 9 },
            Note::Jump { id: 1 << 40 },
            Note::Update { id: 3, version: 8 },
            Note::Delete { id: 3 },
            Note::Other,
            Note::Done { next: 9, durable: 8 },
            Note::Closing,
            Note::Closed,
            Note::Opening,
            Note::End,
            Note::Settled { below: 5 },
        ];
        notes.extend(FAILURES.map(|error| Note::Failed { error }));
        for note in notes {
            assert_eq!(Note::decode(&note.encode()), Some(note));
        }
        assert_eq!(Note::decode(&[255; 32]), None);
    }
}
