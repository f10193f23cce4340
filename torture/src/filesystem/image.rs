//! A sparse disk in memory. Copies share what they have in common.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt as _, path::Path, sync::Arc};

/// Bytes that are kept together.
const BLOCK: usize = 4096;
/// Bytes of a sector: written whole or not at all.
pub(super) const SECTOR: usize = 512;

/// Bytes by offset; what was never written is zeros.
#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    length: u64,
    blocks: BTreeMap<u64, Arc<[u8; BLOCK]>>,
}

impl Image {
    /// Reads a file.
    pub(super) fn load(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut image = Self { length, blocks: BTreeMap::new() };
        let mut bytes = vec![0; 1 << 20];
        let mut at = 0;
        while at < length {
            let piece = &mut bytes[..index((length - at).min(1 << 20))];
            file.read_exact_at(piece, at)?;
            for (offset, block) in (at..).step_by(BLOCK).zip(piece.chunks(BLOCK)) {
                if block.iter().any(|&byte| byte != 0) {
                    image.write(offset, block);
                }
            }
            at += piece.len() as u64;
        }
        Ok(image)
    }

    /// Makes a sparse file of it.
    pub(super) fn save(&self, path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        file.set_len(self.length)?;
        for (number, block) in &self.blocks {
            file.write_all_at(&block[..], number * BLOCK as u64)?;
        }
        Ok(())
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The blocks that were written, with their offsets.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.blocks.iter().map(|(number, block)| (number * BLOCK as u64, &block[..]))
    }

    /// Fills `out` from `offset` on.
    pub(super) fn read(&self, offset: u64, out: &mut [u8]) {
        for (number, within, range) in pieces(offset, out.len()) {
            let piece = &mut out[range];
            match self.blocks.get(&number) {
                Some(block) => piece.copy_from_slice(&block[within..within + piece.len()]),
                None => piece.fill(0),
            }
        }
    }

    /// Stores `bytes` from `offset` on.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        for (number, within, range) in pieces(offset, bytes.len()) {
            let piece = &bytes[range];
            let block = self.blocks.entry(number).or_insert_with(|| Arc::new([0; BLOCK]));
            Arc::make_mut(block)[within..within + piece.len()].copy_from_slice(piece);
        }
    }
}

/// Number of a block, where in it, and which of `length` bytes from `offset` on go there.
fn pieces(
    offset: u64,
    length: usize,
) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = index(at % BLOCK as u64);
        let piece = (length - done).min(BLOCK - within);
        let range = done..done + piece;
        done += piece;
        (piece > 0).then_some((at / BLOCK as u64, within, range))
    })
}

/// A number of bytes in memory.
pub(super) fn index(bytes: u64) -> usize {
    usize::try_from(bytes).expect("64 bits wide")
}

#[cfg(test)]
mod tests {
    use super::Image;

    #[test]
    fn what_is_written_across_blocks_is_read_back_and_a_copy_stays() {
        let mut image = Image::default();
        image.write(4090, &[7; 5000]);
        let copy = image.clone();
        image.write(4096, &[8; 1]);
        let mut out = [1; 5002];
        copy.read(4089, &mut out);
        assert_eq!((out[0], out[5001]), (0, 0));
        assert!(out[1..5001].iter().all(|&byte| byte == 7));
        image.read(4096, &mut out[..1]);
        assert_eq!(out[0], 8);
    }
}
