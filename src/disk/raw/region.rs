//! Bytes that another thread or process may write at any moment, read and written as atomic words.
//!
//! A range is always cut into the same words: the cut depends on its offset and length alone. Two
//! sides that use the same ranges therefore never race with accesses of different sizes. What a
//! racing copy returns may be torn; the ring's protocol and the record's CRC decide what it is
//! worth.

use std::{fmt, io, sync::atomic::Ordering, time::Duration};

#[cfg(feature = "test-util")]
use std::sync::Arc;

use memmap2::{Advice, MmapRaw, UncheckedAdvice};

use super::{
    atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, fence, futex_wait, futex_wake},
    copy::{copy_in, copy_out},
};
use crate::planted::planted;

#[cfg(target_arch = "x86_64")]
const CACHE_LINE: usize = 64;
/// The processor itself sees where a longer copy goes on.
#[cfg(target_arch = "x86_64")]
const EARLY_BYTES: usize = 256;

/// A window of a file, or of the simulated disk.
pub(crate) struct Region {
    base: *mut u8,
    length: usize,
    writable: bool,
    memory: Memory,
    #[cfg(feature = "test-util")]
    watch: Option<Arc<dyn Watch>>,
}

enum Memory {
    Mapped(MmapRaw),
    Anonymous(#[expect(dead_code, reason = "keeps the bytes behind `base` alive")] MmapRaw),
    #[cfg(feature = "test-util")]
    Heap(#[expect(dead_code, reason = "keeps the bytes behind `base` alive")] Arc<Heap>),
}

// SAFETY: `base` points into `memory`, which lives as long as the region and may be shared between
// threads; every access through `base` is atomic, but for `plain`, which says what it needs.
unsafe impl Send for Region {}
// SAFETY: as for `Send`.
unsafe impl Sync for Region {}

impl Region {
    /// Takes over a mapping of a file.
    pub(crate) fn mapped(map: MmapRaw, writable: bool) -> Self {
        Self {
            base: map.as_mut_ptr(),
            length: map.len(),
            writable,
            memory: Memory::Mapped(map),
            #[cfg(feature = "test-util")]
            watch: None,
        }
    }

    /// Zeros of this process alone, where copies of a file's pages are kept.
    pub(crate) fn of_memory(length: usize) -> io::Result<Self> {
        let map = MmapRaw::from(memmap2::MmapOptions::new().len(length).map_anon()?);
        let (base, memory) = (map.as_mut_ptr(), Memory::Anonymous(map));
        Ok(Self {
            base,
            length,
            writable: true,
            memory,
            #[cfg(feature = "test-util")]
            watch: None,
        })
    }

    pub(crate) fn addresses(&self) -> std::ops::Range<usize> {
        self.base.addr()..self.base.addr() + self.length
    }

    /// The aligned 8-byte word at `offset`, Relaxed.
    #[inline]
    pub(crate) fn load(&self, offset: usize) -> u64 {
        u64::from_le(self.word(offset).load(Ordering::Relaxed))
    }

    /// The aligned 8-byte words from `offset` on, for whoever loads many of them.
    #[inline]
    pub(crate) fn words_at<const COUNT: usize>(&self, offset: usize) -> Words<'_, COUNT> {
        assert!(offset.is_multiple_of(8), "a word is aligned");
        self.check(offset, 8 * COUNT);
        // SAFETY: as in `word`, for each of them.
        Words(unsafe { &*self.base.add(offset).cast() })
    }

    /// The aligned 4-byte word at `offset`, Relaxed.
    #[inline]
    pub(crate) fn load_half(&self, offset: usize) -> u32 {
        u32::from_le(self.half_word(offset).load(Ordering::Relaxed))
    }

    /// Stores the aligned 8-byte word at `offset`.
    #[inline]
    pub(crate) fn store(&self, offset: usize, value: u64, order: Ordering) {
        self.check_writable(offset, 8);
        self.watched::<true>(offset, 8, || self.word(offset).store(value.to_le(), order));
    }

    /// Stores the aligned 4-byte word at `offset`, Relaxed.
    #[inline]
    pub(crate) fn store_half(&self, offset: usize, value: u32) {
        self.check_writable(offset, 4);
        let store = || self.half_word(offset).store(value.to_le(), Ordering::Relaxed);
        self.watched::<true>(offset, 4, store);
    }

    /// Copies bytes out, word by word.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a read takes 488 instructions with it, and 515 without"
    )]
    pub(crate) fn read(&self, offset: usize, out: &mut [u8]) {
        self.check(offset, out.len());
        self.loaded(out.len());
        let (head, body) = cut(offset, out.len());
        let (head, rest) = out.split_at_mut(head);
        let (body, tail) = rest.split_at_mut(body);
        let at = offset + head.len();
        if !head.is_empty() {
            self.read_edge(offset, head);
        }
        copy_out(self.words(at, body.len()), body);
        if !tail.is_empty() {
            self.read_edge(at + body.len(), tail);
        }
    }

    /// Copies bytes in, word by word.
    #[inline]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        self.check_writable(offset, bytes.len());
        #[cfg(feature = "test-util")]
        if self.watch.is_some() {
            return self.write_cut::<true>(offset, bytes);
        }
        self.write_cut::<false>(offset, bytes);
    }

    /// Has the first bytes of a range on their way from memory while something else is done.
    #[inline]
    pub(crate) fn load_early(&self, offset: usize, length: usize) {
        self.check(offset, length);
        #[cfg(target_arch = "x86_64")]
        for at in (offset..offset + length.min(EARLY_BYTES)).step_by(CACHE_LINE) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: in bounds by the check; and it is a hint, which faults nowhere.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.base.add(at).cast()) };
        }
    }

    /// Bytes as they are, without a copy.
    ///
    /// # Safety
    ///
    /// Nobody, in any process, writes them while the slice lives, and the file is not shrunk.
    #[inline]
    pub(super) unsafe fn plain(&self, offset: usize, length: usize) -> &[u8] {
        self.check(offset, length);
        self.loaded(length);
        // SAFETY: in bounds by the check; that nobody writes is the caller's promise. Concurrent
        // reads are no race.
        unsafe { std::slice::from_raw_parts(self.base.add(offset), length) }
    }

    /// Makes the bytes of a range durable. Other bytes may be written too.
    pub(crate) fn sync(&self, offset: usize, length: usize) -> io::Result<()> {
        self.check(offset, length);
        match &self.memory {
            // Another thread may hold a view, which does not matter: the kernel only reads.
            Memory::Mapped(map) => map.flush_range(offset, length),
            Memory::Anonymous(_) => Ok(()),
            #[cfg(feature = "test-util")]
            Memory::Heap(_) => match &self.watch {
                Some(watch) => watch.sync(offset, length),
                None => Ok(()),
            },
        }
    }

    /// Has the pages of a range mapped and writable, so that stores meet no fault; no byte changes.
    /// `remap` maps them anew: of a large folio all at once then, and not page by page.
    pub(crate) fn make_ready(&self, offset: usize, length: usize, remap: bool) -> io::Result<()> {
        self.check_writable(offset, length);
        let Memory::Mapped(map) = &self.memory else { return Ok(()) };
        if remap {
            // SAFETY: `map` shares a file. What was stored is in its page cache and stays there,
            // the marks of what is dirty go there too, and whoever comes next, also in the middle
            // of this, gets the same page mapped again: it finds the bytes that it would have
            // found. A file that was cut short has lost these pages from every mapping before.
            unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, offset, length)? };
        }
        map.advise_range(Advice::PopulateWrite, offset, length)
    }

    /// Sleeps until the 4-byte word at `offset` is woken or differs from `seen`, or time is over.
    pub(crate) fn wait(&self, offset: usize, seen: u32, timeout: Duration) {
        match &self.memory {
            #[cfg(feature = "test-util")]
            Memory::Heap(_) if !cfg!(all(test, loom)) => std::thread::yield_now(),
            _ => futex_wait(self.half_word(offset), seen, timeout),
        }
    }

    /// The 4-byte word that [`Region::wait`] compares.
    pub(crate) fn wait_word(&self, offset: usize) -> u32 {
        let word = self.half_word(offset).load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        word
    }

    /// Changes the word at `offset` and wakes everybody who waits on it, in any process.
    pub(crate) fn wake(&self, offset: usize) {
        self.check_writable(offset, 4);
        self.watched::<true>(offset, 4, || {
            self.half_word(offset).fetch_add(1, Ordering::Release);
        });
        self.ring(offset);
    }

    /// Wakes everybody who waits on the word at `offset`, and does not touch it: a page that cannot
    /// be had (its file was cut short) is no fault here, the kernel says that it is not there.
    pub(crate) fn ring(&self, offset: usize) {
        futex_wake(self.half_word(offset));
    }

    #[inline]
    fn write_cut<const WATCHED: bool>(&self, offset: usize, bytes: &[u8]) {
        let (head, body) = cut(offset, bytes.len());
        let (head, rest) = bytes.split_at(head);
        let (body, tail) = rest.split_at(body);
        let at = offset + head.len();
        if !head.is_empty() {
            self.write_edge::<WATCHED>(offset, head);
        }
        let words = self.words(at, body.len());
        if WATCHED {
            for (index, (word, bytes)) in words.chunks(1).zip(body.chunks(8)).enumerate() {
                self.watched::<WATCHED>(at + 8 * index, 8, || copy_in(bytes, word));
            }
        } else {
            copy_in(body, words);
        }
        if !tail.is_empty() {
            self.write_edge::<WATCHED>(at + body.len(), tail);
        }
    }

    /// Reads the bytes beside the aligned words, in pieces of 4, 2 and 1.
    fn read_edge(&self, mut at: usize, mut out: &mut [u8]) {
        while let Some(width) = piece_width(at, out.len()) {
            let (piece, rest) = out.split_at_mut(width);
            match width {
                4 => piece.copy_from_slice(&self.load_half(at).to_le_bytes()),
                2 => piece.copy_from_slice(
                    &u16::from_le(self.quarter_word(at).load(Ordering::Relaxed)).to_le_bytes(),
                ),
                _ => piece[0] = self.byte(at).load(Ordering::Relaxed),
            }
            at += width;
            out = rest;
        }
    }

    fn write_edge<const WATCHED: bool>(&self, mut at: usize, mut bytes: &[u8]) {
        while let Some(width) = piece_width(at, bytes.len()) {
            let (piece, rest) = bytes.split_at(width);
            self.watched::<WATCHED>(at, width, || match *piece {
                [a, b, c, d] => self
                    .half_word(at)
                    .store(u32::from_le_bytes([a, b, c, d]).to_le(), Ordering::Relaxed),
                [a, b] => self
                    .quarter_word(at)
                    .store(u16::from_le_bytes([a, b]).to_le(), Ordering::Relaxed),
                _ => self.byte(at).store(piece[0], Ordering::Relaxed),
            });
            at += width;
            bytes = rest;
        }
    }

    #[inline]
    fn word(&self, offset: usize) -> &AtomicU64 {
        self.check_aligned(offset, 8);
        // SAFETY: in bounds and aligned by the check (`base` is aligned to a page or a word); all
        // accesses of this process to these bytes are atomic, or excluded as `plain` demands.
        unsafe { AtomicU64::from_ptr(self.base.add(offset).cast()) }
    }

    /// The aligned 8-byte words of a range.
    #[inline]
    fn words(&self, offset: usize, bytes: usize) -> &[AtomicU64] {
        if bytes == 0 {
            return &[];
        }
        self.check(offset, bytes);
        assert!(offset.is_multiple_of(8), "a word is aligned");
        // SAFETY: as in `word`, for each of them; a slice of atomics may change while it is shared.
        unsafe { std::slice::from_raw_parts(self.base.add(offset).cast(), bytes / 8) }
    }

    #[inline]
    fn half_word(&self, offset: usize) -> &AtomicU32 {
        self.check_aligned(offset, 4);
        // SAFETY: as in `word`.
        unsafe { AtomicU32::from_ptr(self.base.add(offset).cast()) }
    }

    #[inline]
    fn quarter_word(&self, offset: usize) -> &AtomicU16 {
        self.check_aligned(offset, 2);
        // SAFETY: as in `word`.
        unsafe { AtomicU16::from_ptr(self.base.add(offset).cast()) }
    }

    #[inline]
    fn byte(&self, offset: usize) -> &AtomicU8 {
        self.check_aligned(offset, 1);
        // SAFETY: as in `word`.
        unsafe { AtomicU8::from_ptr(self.base.add(offset)) }
    }

    /// Runs a store; the simulated disk may drop it (the process is dead) and counts it.
    #[cfg_attr(not(feature = "test-util"), expect(clippy::unused_self, reason = "tests watch"))]
    #[inline]
    fn watched<const WATCHED: bool>(&self, offset: usize, width: usize, store: impl FnOnce()) {
        #[cfg(feature = "test-util")]
        if WATCHED && let Some(watch) = &self.watch {
            if watch.may_store() {
                store();
                watch.stored(offset, width);
            }
            return;
        }
        let _ = (offset, width);
        store();
    }

    #[inline]
    fn check(&self, offset: usize, length: usize) {
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            refuse(offset, length, self.length);
        }
    }

    #[inline]
    fn check_aligned(&self, offset: usize, width: usize) {
        self.check(offset, width);
        assert!(offset.is_multiple_of(width), "a word is aligned");
    }

    /// A read-only mapping would answer a store with a signal.
    #[inline]
    fn check_writable(&self, offset: usize, length: usize) {
        self.check(offset, length);
        assert!(self.writable, "this region was mapped for reading");
    }

    /// Tells a meter what is read.
    #[cfg_attr(not(feature = "test-util"), expect(clippy::unused_self, reason = "tests watch"))]
    #[inline]
    fn loaded(&self, length: usize) {
        #[cfg(feature = "test-util")]
        if let Some(watch) = &self.watch {
            watch.loaded(length);
        }
        let _ = length;
    }
}

/// Neighbouring words of a region.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a, const COUNT: usize>(&'a [AtomicU64; COUNT]);

impl<const COUNT: usize> Words<'_, COUNT> {
    /// As [`Region::load`].
    #[inline]
    pub(crate) fn load(self, index: usize) -> u64 {
        u64::from_le(self.0[index].load(Ordering::Relaxed))
    }

    /// The same with Acquire, as a relaxed load and a fence: on read-only memory, which is what
    /// readers map, std promises relaxed loads only.
    #[inline]
    pub(crate) fn load_acquire(self, index: usize) -> u64 {
        let value = self.load(index);
        if !planted("fences_of_the_reader_missing") {
            fence(Ordering::Acquire);
        }
        value
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("length", &self.length).finish_non_exhaustive()
    }
}

#[cold]
#[inline(never)]
fn refuse(offset: usize, length: usize, region: usize) -> ! {
    panic!("{length} bytes at {offset} are not inside a region of {region}")
}

/// Bytes before the first aligned word of a range, and the bytes of the whole words after them.
#[inline]
fn cut(offset: usize, length: usize) -> (usize, usize) {
    let head = (offset.wrapping_neg() % 8).min(length);
    (head, (length - head) / 8 * 8)
}

/// Width of the next piece of an edge: as wide as its alignment and what is left allow.
#[inline]
fn piece_width(offset: usize, left: usize) -> Option<usize> {
    let widest = left.checked_ilog2()?.min(offset.trailing_zeros()).min(2);
    Some(1 << widest)
}

#[cfg(feature = "test-util")]
pub(crate) use simulated::{Heap, Watch};

/// What the simulated disk needs from a region.
#[cfg(feature = "test-util")]
mod simulated {
    use std::{
        io,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
    };

    use super::{Memory, Region};

    /// Told of every access, so that a test can count, drop and cut.
    pub(crate) trait Watch: std::fmt::Debug + Send + Sync {
        /// Whether the process that stores is alive.
        fn may_store(&self) -> bool;
        /// These bytes were stored just now.
        fn stored(&self, offset: usize, length: usize);
        /// That many bytes were copied out.
        fn loaded(&self, length: usize);
        /// Makes a range of a heap region durable.
        fn sync(&self, offset: usize, length: usize) -> io::Result<()>;
    }

    /// The page cache of a simulated file.
    #[derive(Debug)]
    pub(crate) struct Heap(Box<[AtomicU64]>);

    impl Heap {
        pub(crate) fn new(length: usize) -> Arc<Self> {
            let words = length.div_ceil(8);
            Arc::new(Self((0..words).map(|_| AtomicU64::new(0)).collect()))
        }

        /// `length` bytes from the aligned `offset` on as a region, watched by `watch`.
        pub(crate) fn region(
            self: &Arc<Self>,
            offset: usize,
            length: usize,
            writable: bool,
            watch: Arc<dyn Watch>,
        ) -> Region {
            assert!(offset.is_multiple_of(8), "a region begins with a whole word");
            assert!(offset + length <= self.0.len() * 8, "a region lies inside its file");
            Region {
                // Atomics may be written through a shared reference; so may their bytes.
                base: self.0[offset / 8..].as_ptr().cast_mut().cast(),
                length,
                writable,
                memory: Memory::Heap(Arc::clone(self)),
                watch: Some(watch),
            }
        }

        /// Copies bytes out as the disk would see them.
        pub(crate) fn load(&self, offset: usize, mut out: &mut [u8]) {
            let mut at = offset;
            while !out.is_empty() {
                let begin = at % 8;
                let (piece, rest) = out.split_at_mut(out.len().min(8 - begin));
                let word = u64::from_le(self.0[at / 8].load(Ordering::Relaxed)).to_le_bytes();
                piece.copy_from_slice(&word[begin..begin + piece.len()]);
                at += piece.len();
                out = rest;
            }
        }

        /// Puts bytes in, for a power cut or a positional write; nobody stores meanwhile.
        pub(crate) fn put(&self, offset: usize, mut bytes: &[u8]) {
            let mut at = offset;
            while !bytes.is_empty() {
                let begin = at % 8;
                let (piece, rest) = bytes.split_at(bytes.len().min(8 - begin));
                let place = &self.0[at / 8];
                let mut word = u64::from_le(place.load(Ordering::Relaxed)).to_le_bytes();
                word[begin..begin + piece.len()].copy_from_slice(piece);
                place.store(u64::from_le_bytes(word).to_le(), Ordering::Relaxed);
                at += piece.len();
                bytes = rest;
            }
        }
    }

    impl Region {
        /// Lets a test watch a mapping of a real file.
        pub(crate) fn watched_by(mut self, watch: Arc<dyn Watch>) -> Self {
            self.watch = Some(watch);
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_of_a_range_copies_exactly_its_bytes() {
        let region = Region::of_memory(4096).expect("memory");
        for offset in 0..24 {
            for length in 0..80 {
                region.write(0, &[0xAA; 128]);
                let bytes: Vec<u8> = (1..=length).collect();
                region.write(offset, &bytes);
                let mut all = [0; 128];
                region.read(0, &mut all);
                let end = offset + usize::from(length);
                assert_eq!(all[offset..end], bytes[..]);
                assert!(all[..offset].iter().chain(&all[end..]).all(|&byte| byte == 0xAA));
                let mut back = vec![0; usize::from(length)];
                region.read(offset, &mut back);
                assert_eq!(back, bytes);
            }
        }
    }

    #[cfg(feature = "test-util")]
    #[test]
    fn every_cut_of_a_simulated_file_copies_exactly_its_bytes() {
        for offset in 0..24 {
            for length in 0..40 {
                let heap = Heap::new(64);
                heap.put(0, &[0xAA; 64]);
                let bytes: Vec<u8> = (1..=length).collect();
                heap.put(offset, &bytes);
                let mut expected = [0xAA; 64];
                expected[offset..offset + bytes.len()].copy_from_slice(&bytes);
                let mut all = [0; 64];
                heap.load(0, &mut all);
                assert_eq!(all, expected);
                let mut back = vec![0; bytes.len()];
                heap.load(offset, &mut back);
                assert_eq!(back, bytes);
            }
        }
    }

    #[test]
    #[should_panic(expected = "not inside a region")]
    fn a_range_that_overflows_is_refused() {
        Region::of_memory(4096).expect("memory").read(usize::MAX, &mut [0; 2]);
    }
}
