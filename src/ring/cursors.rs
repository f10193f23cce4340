//! The hot page: where the producer is, for readers in any process.
//!
//! * **claim, touched**: the producer stores them, Relaxed, then `fence(Release)`, before it stores
//!   slots. Readers load them, Relaxed, behind `fence(Acquire)` after they copied a slot: whoever
//!   saw a word of a slot sees the claim that covers it.
//! * **next**: the producer stores it, Release, after the slots; readers load it, Acquire: whoever
//!   sees it sees every record below it.
//! * **counter**: the producer makes it odd before a rewrite (Release, then `fence(Release)`) and
//!   even after it (Release). Readers load it, Acquire, before their copy, and again behind the
//!   fence: odd or moved means that the copy may mix two versions.
//! * **durable, kept, clock step**: stored by the producer and its flusher, Release; loaded by
//!   anyone, Acquire.
//! * **epoch, boot, device, inode**: stored by a producer that opens; readers look at epoch and
//!   boot before and after each copy, and start over when they changed.
//! * **futex**: changes before every wake; readers sleep on it.
//!
//! The page is never synced on purpose, and counts only in the boot that wrote it.

use std::sync::atomic::Ordering::{Relaxed, Release};

use super::{layout::hot, pages::Pages};
use crate::{
    disk::{
        raw::{Words, fence},
        seam::{BootId, FileId},
    },
    planted::planted,
};

/// The words of the hot page.
#[derive(Clone, Copy)]
pub(crate) struct Cursors<'a> {
    pages: &'a Pages,
    words: Words<'a, { hot::WORDS }>,
}

/// One consistent look at the hot page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HotPage {
    pub(crate) claim: u64,
    pub(crate) counter: u64,
    pub(crate) touched: u64,
    pub(crate) next: u64,
    pub(crate) durable: u64,
    pub(crate) kept: u64,
    pub(crate) clock_step: u64,
    pub(crate) epoch: u64,
    pub(crate) boot: BootId,
    pub(crate) file: FileId,
}

impl<'a> Cursors<'a> {
    #[inline]
    pub(crate) fn of(pages: &'a Pages) -> Self {
        Self { pages, words: pages.hot_words() }
    }

    #[inline]
    fn load(self, offset: usize) -> u64 {
        self.words.load((offset - hot::CLAIM) / 8)
    }

    #[inline]
    fn load_acquire(self, offset: usize) -> u64 {
        self.words.load_acquire((offset - hot::CLAIM) / 8)
    }

    // Readers.

    #[inline]
    pub(crate) fn next(self) -> u64 {
        // Acquire: pairs with `publish`; every record below it is visible.
        self.load_acquire(hot::NEXT)
    }

    #[inline]
    pub(crate) fn claim(self) -> u64 {
        self.load(hot::CLAIM)
    }

    #[inline]
    pub(crate) fn counter(self) -> u64 {
        // Acquire: pairs with `begin_rewrite`; the redo slot was complete before the counter moved.
        self.load_acquire(hot::COUNTER)
    }

    #[inline]
    pub(crate) fn durable(self) -> u64 {
        self.load_acquire(hot::DURABLE)
    }

    #[inline]
    pub(crate) fn kept(self) -> u64 {
        self.load_acquire(hot::KEPT)
    }

    pub(crate) fn clock_step(self) -> u64 {
        self.load_acquire(hot::CLOCK_STEP)
    }

    #[inline]
    pub(crate) fn epoch(self) -> u64 {
        self.load_acquire(hot::EPOCH)
    }

    #[inline]
    pub(crate) fn boot(self) -> BootId {
        [self.load_acquire(hot::BOOT), self.load(hot::BOOT + 8)]
    }

    /// The file that the hot page is of.
    fn file(self) -> FileId {
        FileId { device: self.load_acquire(hot::DEVICE), inode: self.load_acquire(hot::INODE) }
    }

    /// All words, one after the other; whoever needs them to agree looks twice.
    pub(crate) fn load_all(self) -> HotPage {
        // In this order, each word is loaded before those that it never exceeds.
        HotPage {
            epoch: self.epoch(),
            boot: self.boot(),
            durable: self.durable(),
            next: self.next(),
            touched: self.load_acquire(hot::TOUCHED),
            claim: self.load_acquire(hot::CLAIM),
            kept: self.kept(),
            counter: self.counter(),
            clock_step: self.clock_step(),
            file: self.file(),
        }
    }

    // The producer.

    /// Announces that slots below `touched` (and below `claim`, when it moves) will be overwritten.
    #[inline]
    pub(crate) fn announce(self, claim: Option<u64>, touched: u64) {
        if let (Some(claim), false) = (claim, planted("claim_not_raised")) {
            self.pages.store(hot::CLAIM, claim, Relaxed);
        }
        if !planted("touched_not_kept") {
            self.pages.store(hot::TOUCHED, touched, Relaxed);
        }
        // Release: pairs with the readers' fence after a copy. A release store of claim would not
        // do: it orders what is before it, and the slots come after.
        if !planted("fence_of_the_writer_missing") {
            fence(Release);
        }
    }

    /// As `announce` for a jump, where touched comes first: a claim far ahead without it would lap
    /// records that nothing replaces.
    pub(crate) fn announce_jump(self, claim: u64, touched: u64) {
        self.pages.store(hot::TOUCHED, touched, Relaxed);
        fence(Release);
        self.pages.store(hot::CLAIM, claim, Relaxed);
        fence(Release);
    }

    /// Makes every record below `next` visible.
    #[inline]
    pub(crate) fn publish(self, next: u64) {
        let order = if planted("next_published_relaxed") { Relaxed } else { Release };
        self.pages.store(hot::NEXT, next, order);
    }

    pub(crate) fn begin_rewrite(self) {
        if planted("counter_not_moved") {
            return;
        }
        let counter = self.load(hot::COUNTER);
        // Release: whoever sees the counter odd sees the whole redo slot.
        self.pages.store(hot::COUNTER, counter.wrapping_add(1), Release);
        // Whoever sees a word of the new slot sees the counter moved.
        fence(Release);
    }

    /// Release: whoever sees the counter even sees the whole slot.
    pub(crate) fn end_rewrite(self) {
        if planted("counter_not_moved") {
            return;
        }
        let counter = self.load(hot::COUNTER);
        self.pages.store(hot::COUNTER, counter.wrapping_add(1), Release);
    }

    pub(crate) fn set_claim(self, claim: u64) {
        self.pages.store(hot::CLAIM, claim, Release);
    }

    pub(crate) fn set_touched(self, touched: u64) {
        self.pages.store(hot::TOUCHED, touched, Release);
    }

    pub(crate) fn set_durable(self, durable: u64) {
        self.pages.store(hot::DURABLE, durable, Release);
    }

    pub(crate) fn set_kept(self, kept: u64) {
        self.pages.store(hot::KEPT, kept, Release);
    }

    pub(crate) fn set_clock_step(self, step: u64) {
        self.pages.store(hot::CLOCK_STEP, step, Release);
    }

    pub(crate) fn set_epoch(self, epoch: u64) {
        self.pages.store(hot::EPOCH, epoch, Release);
    }

    /// The sequence number of the checkpoint page that is on the disk, as far as producers of this
    /// boot know; `None` if none of them has written one.
    pub(crate) fn proven(self, boot: BootId, file: FileId) -> Option<u64> {
        let found = [self.load(hot::PROVEN_BOOT), self.load(hot::PROVEN_BOOT + 8)];
        (found == boot && self.file() == file).then(|| self.load(hot::PROVEN))
    }

    pub(crate) fn set_proven(self, sequence: u64) {
        self.pages.store(hot::PROVEN, sequence, Release);
    }

    /// Before the first checkpoint page is written in a boot.
    pub(crate) fn begin_proofs(self, boot: BootId, file: FileId, sequence: u64) {
        // It is not believed, and must not be because of what is stored here.
        self.pages.store(hot::BOOT, 0, Release);
        self.pages.store(hot::BOOT + 8, 0, Release);
        self.pages.store(hot::DEVICE, file.device, Release);
        self.pages.store(hot::INODE, file.inode, Release);
        self.set_proven(sequence);
        self.pages.store(hot::PROVEN_BOOT + 8, boot[1], Release);
        self.pages.store(hot::PROVEN_BOOT, boot[0], Release);
    }

    /// Fills a page that is not believed: the boot id is cleared first and stored last, each half
    /// for itself, so that no moment shows a page that looks believed and is not complete.
    pub(crate) fn refill(self, page: &HotPage) {
        self.pages.store(hot::BOOT, 0, Release);
        self.pages.store(hot::BOOT + 8, 0, Release);
        fence(Release);
        self.set_claim(page.claim);
        self.pages.store(hot::COUNTER, page.counter, Release);
        self.set_touched(page.touched);
        self.publish(page.next);
        self.set_durable(page.durable);
        self.set_kept(page.kept);
        self.set_clock_step(page.clock_step);
        self.set_epoch(page.epoch);
        self.pages.store(hot::BOOT + 8, page.boot[1], Release);
        self.pages.store(hot::BOOT, page.boot[0], Release);
    }

    // Waiting, in any process.

    pub(crate) fn wait_word(self) -> u32 {
        self.pages.wait_word()
    }

    pub(crate) fn wait(self, seen: u32, timeout: std::time::Duration) {
        self.pages.wait(seen, timeout);
    }

    pub(crate) fn wake(self) {
        self.pages.wake();
    }
}
