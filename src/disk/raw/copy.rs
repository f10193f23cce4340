//! Copies between shared words and bytes of this process.
//!
//! No compiler makes a loop over relaxed atomic words wider than one word, so that it takes twice
//! the time of `memcpy` (docs/BENCHMARKS.md). On x86-64 the loop is written in assembly, which
//! loads and stores two words at once: in either order, and each of them whole, since they are
//! aligned. So is every half of a word, and every smaller piece. To the compiler it is a relaxed
//! load or store of each piece that the other side stores or loads.

#[cfg(not(all(target_arch = "x86_64", not(loom), not(tsan))))]
pub(super) use by_word::{ANY_PIECES, copy_in, copy_out};
#[cfg(all(target_arch = "x86_64", not(loom), not(tsan)))]
pub(super) use wide::{ANY_PIECES, copy_in, copy_out};

#[cfg(all(target_arch = "x86_64", not(loom), not(tsan)))]
mod wide {
    use std::arch::asm;

    use crate::disk::raw::atomic::AtomicU64;

    /// Whether copies may meet words that the other side stores in pieces.
    pub(in crate::disk::raw) const ANY_PIECES: bool = true;

    /// Bytes of one turn of the loop.
    const TURN: usize = 32;

    /// Copies words out, Relaxed.
    #[inline]
    pub(in crate::disk::raw) fn copy_out(words: &[AtomicU64], out: &mut [u8]) {
        assert!(out.len() == 8 * words.len(), "each word has its 8 bytes");
        // SAFETY: both sides have that many bytes; the words are atomics, and `out` is the caller's
        // alone, so that they do not overlap.
        unsafe { copy(words.as_ptr().cast(), out.as_mut_ptr(), out.len()) }
    }

    /// Copies words in, Relaxed.
    #[inline]
    pub(in crate::disk::raw) fn copy_in(bytes: &[u8], words: &[AtomicU64]) {
        assert!(bytes.len() == 8 * words.len(), "each word has its 8 bytes");
        // SAFETY: as above; atomics may be stored through a shared reference.
        unsafe { copy(bytes.as_ptr(), words.as_ptr().cast_mut().cast(), bytes.len()) }
    }

    /// # Safety
    ///
    /// `from` can be read for so many bytes, a multiple of 8, and `to` written; one of them belongs
    /// to the caller alone, the other one is atomic words. They do not overlap.
    #[inline]
    unsafe fn copy(from: *const u8, to: *mut u8, bytes: usize) {
        let whole = bytes / TURN * TURN;
        if whole > 0 {
            // SAFETY: the loop runs from `-whole` to 0 before the ends of what is copied, in bounds
            // on both sides; it changes no other memory, and no stack.
            unsafe {
                asm!(
                    "2:",
                    "movups {low}, [{from} + {at}]",
                    "movups {high}, [{from} + {at} + 16]",
                    "movups [{to} + {at}], {low}",
                    "movups [{to} + {at} + 16], {high}",
                    "add {at}, 32",
                    "jnz 2b",
                    low = out(xmm_reg) _,
                    high = out(xmm_reg) _,
                    from = in(reg) from.add(whole),
                    to = in(reg) to.add(whole),
                    at = inout(reg) whole.wrapping_neg() => _,
                    options(nostack),
                );
            }
        }
        if whole < bytes {
            // SAFETY: the same with what is left, word by word.
            unsafe {
                asm!(
                    "2:",
                    "mov {word}, [{from} + {at}]",
                    "mov [{to} + {at}], {word}",
                    "add {at}, 8",
                    "jnz 2b",
                    word = out(reg) _,
                    from = in(reg) from.add(bytes),
                    to = in(reg) to.add(bytes),
                    at = inout(reg) (bytes - whole).wrapping_neg() => _,
                    options(nostack),
                );
            }
        }
    }
}

/// For other processors, and for whoever watches every access.
#[cfg(not(all(target_arch = "x86_64", not(loom), not(tsan))))]
mod by_word {
    use std::sync::atomic::Ordering::Relaxed;

    use crate::disk::raw::atomic::AtomicU64;

    /// Whether copies may meet words that the other side stores in pieces.
    pub(in crate::disk::raw) const ANY_PIECES: bool = false;

    /// Copies words out, Relaxed.
    pub(in crate::disk::raw) fn copy_out(words: &[AtomicU64], out: &mut [u8]) {
        assert!(out.len() == 8 * words.len(), "each word has its 8 bytes");
        for (word, out) in words.iter().zip(out.as_chunks_mut().0) {
            *out = u64::from_le(word.load(Relaxed)).to_le_bytes();
        }
    }

    /// Copies words in, Relaxed.
    pub(in crate::disk::raw) fn copy_in(bytes: &[u8], words: &[AtomicU64]) {
        assert!(bytes.len() == 8 * words.len(), "each word has its 8 bytes");
        for (word, bytes) in words.iter().zip(bytes.as_chunks().0) {
            word.store(u64::from_le_bytes(*bytes).to_le(), Relaxed);
        }
    }
}
