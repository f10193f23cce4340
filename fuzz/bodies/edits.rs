//! Edits of valid files, as the bytes of a fuzzer describe them.

use std::path::PathBuf;

/// Files, and what is in them.
pub(crate) type Files = Vec<(PathBuf, Vec<u8>)>;

/// Makes edits: `file, offset (2), count, bytes`, as often as there is room for.
pub(crate) fn apply(files: &mut Files, edits: &[u8]) {
    let mut rest = edits;
    while let [file, low, high, count, bytes @ ..] = rest {
        let offset = usize::from(u16::from_le_bytes([*low, *high]));
        let (bytes, later) = bytes.split_at(bytes.len().min(usize::from(*count)));
        let index = usize::from(*file) % files.len();
        let content = &mut files[index].1;
        for (at, byte) in (offset..).zip(bytes) {
            if let Some(place) = content.get_mut(at) {
                *place = *byte;
            }
        }
        rest = later;
    }
}
