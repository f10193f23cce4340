//! What a disk was told, in order, and what it may hold when the power fails at any moment.

use super::{
    image::{Image, SECTOR},
    note::Note,
};

/// Where ext4 has its superblock.
const SUPERBLOCK: u64 = 1024;
const SUPERBLOCK_BYTES: usize = 1024;

/// One request, or a note of the worker between them.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Write {
        offset: u64,
        bytes: Vec<u8>,
    },
    /// Everything that was written before is on the disk.
    Flush,
    Note(Note),
}

/// A run of the workload as its disk saw it.
#[derive(Debug, Clone, Default)]
pub(super) struct Recording {
    /// The disk before the first entry.
    pub(super) base: Image,
    pub(super) entries: Vec<Entry>,
}

/// What a power cut left of the writes after the last flush.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) image: Image,
    pub(super) sectors_kept: u64,
    pub(super) sectors_gone: u64,
    /// Flushes before the cut.
    pub(super) flushes: u64,
}

impl Recording {
    /// The notes before a moment.
    pub(super) fn notes(&self, moment: usize) -> impl Iterator<Item = Note> {
        self.entries[..moment].iter().filter_map(|entry| match entry {
            Entry::Note(note) => Some(*note),
            _ => None,
        })
    }

    /// Where the notes are that a test picks.
    pub(super) fn moments_of(&self, is_wanted: impl Fn(Note) -> bool) -> Vec<usize> {
        let entries = self.entries.iter().enumerate();
        let wanted = entries.filter(|(_, entry)| match entry {
            Entry::Note(note) => is_wanted(*note),
            _ => false,
        });
        wanted.map(|(moment, _)| moment).collect()
    }

    /// Where flushes are that follow at least two writes.
    pub(super) fn flushes(&self) -> Vec<usize> {
        let (mut writes, mut flushes) = (0, Vec::new());
        for (place, entry) in self.entries.iter().enumerate() {
            match entry {
                Entry::Write { .. } => writes += 1,
                Entry::Flush => {
                    if writes > 1 {
                        flushes.push(place);
                    }
                    writes = 0;
                }
                Entry::Note(_) => {}
            }
        }
        flushes
    }

    /// Where the last flush before a moment lies, just behind it.
    pub(super) fn flushed_before(&self, moment: usize) -> usize {
        let is_flush = |entry: &Entry| matches!(entry, Entry::Flush);
        self.entries[..moment].iter().rposition(is_flush).map_or(0, |flush| flush + 1)
    }

    /// The power fails at a moment: the disk has what was flushed, and of each later write all,
    /// nothing, or any of its sectors.
    pub(super) fn cut(&self, moment: usize, random: &mut fastrand::Rng) -> Left {
        self.cut_with_flush(moment, self.flushed_before(moment), random)
    }

    /// The same, with everything before `flushed` on the disk, whatever flushes came later.
    pub(super) fn cut_with_flush(
        &self,
        moment: usize,
        flushed: usize,
        random: &mut fastrand::Rng,
    ) -> Left {
        let mut left = Left { image: self.base.clone(), ..Left::default() };
        // Some cuts take nearly nothing, some nearly everything.
        let keep = [0, 10, 50, 50, 90, 100][random.usize(..6)];
        let tears = random.bool();
        for (place, entry) in self.entries[..moment].iter().enumerate() {
            match entry {
                Entry::Flush => left.flushes += 1,
                Entry::Write { offset, bytes } if place < flushed => {
                    left.image.write(*offset, bytes);
                }
                Entry::Write { offset, bytes } => {
                    let unit = if tears { SECTOR } else { bytes.len() };
                    for (at, piece) in pieces(*offset, bytes, unit) {
                        let sectors = piece.len().div_ceil(SECTOR) as u64;
                        if random.u8(..100) < keep {
                            left.image.write(at, piece);
                            left.sectors_kept += sectors;
                        } else {
                            left.sectors_gone += sectors;
                        }
                    }
                }
                Entry::Note(_) => {}
            }
        }
        left
    }
}

/// Cuts a write into what reaches the disk or not, with the offsets.
///
/// The superblock of ext4 is never torn: its checksum covers two sectors, and there is no other
/// copy that a mount would use, so that ext4 itself needs it to be written whole.
fn pieces(offset: u64, bytes: &[u8], unit: usize) -> impl Iterator<Item = (u64, &[u8])> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let rest = &bytes[done..];
        let at = offset + done as u64;
        let length = if at == SUPERBLOCK { unit.max(SUPERBLOCK_BYTES) } else { unit };
        let piece = &rest[..length.min(rest.len())];
        done += piece.len();
        (!piece.is_empty()).then_some((at, piece))
    })
}

#[cfg(test)]
mod tests {
    use super::{Entry, Recording};

    #[test]
    fn a_cut_keeps_what_was_flushed_and_some_of_the_rest() {
        let write = |value| Entry::Write { offset: 0, bytes: vec![value; 1024] };
        let entries = vec![write(1), Entry::Flush, write(2), write(3)];
        let recording = Recording { entries, ..Recording::default() };
        let (mut seen, mut torn) = ([false; 4], false);
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let left = recording.cut(4, &mut random);
            let mut bytes = [0; 1024];
            left.image.read(0, &mut bytes);
            seen[usize::from(bytes[0])] = true;
            torn |= bytes[0] != bytes[512];
            assert_eq!(left.sectors_kept + left.sectors_gone, 4);
        }
        assert_eq!((seen, torn), ([false, true, true, true], true));
    }
}
