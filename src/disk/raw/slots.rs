//! Slots of one size back to back in a region: payload, then CRC.
//!
//! They are written by the producer's process only, as relaxed atomic words, and read by anyone as
//! such. In the producer's process they are viewed plainly too, under the read lock of their
//! stripe. Whoever writes excludes views in one of two ways:
//!
//! * [`SlotRegion::write_alone`] holds the stripe's write lock.
//! * An append takes no lock. Before, its producer has announced for a whole block of slots that it
//!   is going to write them, and [`SlotRegion::wait_for_views`] has taken and released their
//!   stripes: views that were there are over, and later ones look at the announcement, behind the
//!   lock, and keep away.
//!
//! Both sides cut a slot in the same place: before the word that has the first byte of the CRC.
//! That word is put together of the payload's last bytes and the CRC.

use std::{
    io,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crossbeam_utils::CachePadded;
use parking_lot::RwLock;

use super::{Region, copy::ANY_PIECES, fence};

/// Locks that guard slots inside the producer's process, a power of two of them: [`TOGETHER`]
/// neighbours share one.
pub(crate) type Stripes = Arc<[CachePadded<RwLock<()>>]>;

/// A region of slots.
#[derive(Debug)]
pub(crate) struct SlotRegion {
    region: Region,
    /// Bytes before the first slot.
    first: usize,
    /// Bytes of a slot.
    size: usize,
    guard: Option<Guard>,
}

/// What keeps a producer and the views of its process apart.
#[derive(Debug)]
struct Guard {
    stripes: Stripes,
    /// Slots in other regions: neighbours across a boundary have different stripes too.
    before: usize,
    ended: AtomicBool,
}

impl SlotRegion {
    pub(crate) fn new(region: Region, first: usize, size: usize) -> Self {
        Self { region, first, size, guard: None }
    }

    pub(crate) fn addresses(&self) -> Range<usize> {
        self.region.addresses()
    }

    /// From now on slots can be viewed in place. `before` slots lie in
    /// other regions with the same stripes.
    pub(crate) fn guard(&mut self, stripes: Stripes, before: usize) {
        assert!(stripes.len().is_power_of_two(), "{} locks are no power of two", stripes.len());
        self.guard = Some(Guard { stripes, before, ended: AtomicBool::new(false) });
    }

    /// Ends views for good, after the last one returned: the caller is about to let another
    /// producer in. Must not be called from inside a view.
    pub(crate) fn end_views(&self) {
        let Some(guard) = &self.guard else { return };
        guard.ended.store(true, Ordering::Release);
        for stripe in guard.stripes.iter() {
            // Whoever looks has the read lock; whoever comes later sees `ended` behind this lock.
            drop(stripe.write());
        }
    }

    /// Copies a slot out, payload and CRC; the copy may be torn.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as `Region::read`")]
    pub(crate) fn read(&self, index: usize, payload: &mut [u8]) -> u32 {
        let offset = self.offset(index);
        let (payload, rest) = payload.split_at_mut(bytes_before_crc_word(offset, payload.len()));
        self.region.read(offset, payload);
        let at = offset + payload.len();
        if rest.is_empty() {
            return self.region.load_half(at);
        }
        if let Ok(rest) = <&mut [u8; 4]>::try_from(&mut *rest)
            && at.is_multiple_of(8)
        {
            let [a, b, c, d, crc @ ..] = self.region.load(at).to_le_bytes();
            *rest = [a, b, c, d];
            return u32::from_le_bytes(crc);
        }
        let mut end = [0; END_MAX];
        let end = &mut end[..rest.len() + CRC_BYTES];
        self.region.read(at, end);
        let (before, crc) = end.split_at(rest.len());
        rest.copy_from_slice(before);
        u32::from_le_bytes(crc.try_into().unwrap_or_default())
    }

    #[inline]
    pub(crate) fn load_early(&self, index: usize) {
        self.region.load_early(self.offset(index), self.size);
    }

    /// Copies neighbouring slots out, payloads and CRCs, each as `read` does.
    pub(crate) fn read_many(&self, index: usize, slots: &mut [u8]) {
        let offset = self.offset(index);
        // Where sizes are words, each of them is cut into the same ones by itself.
        let is_cut_alike = offset.is_multiple_of(8) && self.size.is_multiple_of(8);
        if ANY_PIECES || is_cut_alike {
            return self.region.read(offset, slots);
        }
        for (at, slot) in (offset..).step_by(self.size).zip(slots.chunks_exact_mut(self.size)) {
            self.region.read(at, slot);
        }
    }

    /// Waits for the views of neighbouring slots that the caller is going to write, and has
    /// announced: see [`SlotRegion::view`].
    pub(crate) fn wait_for_views(&self, index: usize, count: usize) {
        let Some(guard) = &self.guard else { return };
        let first = guard.before + index;
        let groups = first / TOGETHER..(first + count).div_ceil(TOGETHER);
        for group in groups.take(guard.stripes.len()) {
            drop(guard.stripes[group & (guard.stripes.len() - 1)].write());
        }
    }

    /// Stores a slot that nobody views: after `wait_for_views`, or before there are any views.
    #[inline]
    pub(crate) fn write(&self, index: usize, payload: &[u8], crc: u32) {
        assert!(payload.len() + CRC_BYTES == self.size, "a slot is its payload and a CRC");
        self.write_words(index, payload, crc);
    }

    /// Stores a slot that others may want to view, and to write.
    pub(crate) fn write_alone(&self, index: usize, payload: &[u8], crc: u32) {
        let _guard = self.stripe(index).map(RwLock::write);
        self.write(index, payload, crc);
    }

    /// Stores the slot's own bytes once more, so that the next sync writes them; unless, as
    /// `is_kept` is asked under the lock, the producer is going to write something else.
    pub(crate) fn write_again(&self, index: usize, is_kept: impl FnOnce() -> bool) {
        let mut payload = vec![0; self.size - CRC_BYTES];
        let _guard = self.stripe(index).map(RwLock::write);
        if !is_kept() {
            return;
        }
        // The claim that covers these bytes was stored by another thread: whoever sees a word that
        // is stored here has to see that claim too.
        fence(Ordering::Release);
        let crc = self.read(index, &mut payload);
        self.write_words(index, &payload, crc);
    }

    #[inline]
    fn write_words(&self, index: usize, payload: &[u8], crc: u32) {
        let offset = self.offset(index);
        let (payload, rest) = payload.split_at(bytes_before_crc_word(offset, payload.len()));
        self.region.write(offset, payload);
        let at = offset + payload.len();
        match *rest {
            [] => self.region.store_half(at, crc),
            [a, b, c, d] if at.is_multiple_of(8) => {
                let rest = u32::from_le_bytes([a, b, c, d]);
                self.region.store(at, u64::from(crc) << 32 | u64::from(rest), Ordering::Relaxed);
            }
            _ => {
                let mut end = [0; END_MAX];
                let end = &mut end[..rest.len() + CRC_BYTES];
                end[..rest.len()].copy_from_slice(rest);
                end[rest.len()..].copy_from_slice(&crc.to_le_bytes());
                self.region.write(at, end);
            }
        }
    }

    /// Shows a slot in place, payload and CRC, under its stripe's read lock; `None` where there are
    /// no locks (in other processes, and after `end_views`), and where `is_kept`, asked under the
    /// lock, says that the producer announced to write it.
    ///
    /// The lock is taken recursively: a thread may look at several slots at once.
    #[inline]
    pub(crate) fn view<R>(
        &self,
        index: usize,
        is_kept: impl FnOnce() -> bool,
        look: impl FnOnce(&[u8], u32) -> R,
    ) -> Option<R> {
        let guard = self.guard.as_ref()?;
        let _guard = guard.stripe(index).read_recursive();
        if guard.ended.load(Ordering::Acquire) || !is_kept() {
            return None;
        }
        // SAFETY: this process writes slots only under the write lock, which the guard excludes, or
        // after it was announced and then waited for under that lock: the announcement would have
        // been seen just now. Other processes map the file read-only while the archive's lock is
        // held, which is not given up before `end_views`. The file is never shrunk while mapped.
        let bytes = unsafe { self.region.plain(self.offset(index), self.size) };
        let (payload, crc) = bytes.split_at(self.size - CRC_BYTES);
        Some(look(payload, u32::from_le_bytes(crc.try_into().unwrap_or_default())))
    }

    /// Makes neighbouring slots durable.
    pub(crate) fn sync(&self, index: usize, count: usize) -> io::Result<()> {
        self.region.sync(self.offset(index), count * self.size)
    }

    /// Has bytes of the region mapped and writable, as far as it goes.
    pub(crate) fn make_ready(&self, bytes: Range<usize>, remap: bool) -> io::Result<()> {
        self.region.make_ready(bytes.start, bytes.end - bytes.start, remap)
    }

    #[inline]
    fn offset(&self, index: usize) -> usize {
        self.first + index * self.size
    }

    #[inline]
    fn stripe(&self, index: usize) -> Option<&RwLock<()>> {
        self.guard.as_ref().map(|guard| guard.stripe(index))
    }
}

const CRC_BYTES: usize = 4;
/// Neighbouring slots of one stripe: a claim of 256 of them waits for 17 locks at most.
const TOGETHER: usize = 16;
/// Most bytes of a payload in the word of its CRC, and the CRC.
const END_MAX: usize = 7 + CRC_BYTES;

/// Bytes of a payload before the word that has the first byte of its CRC.
#[inline]
fn bytes_before_crc_word(offset: usize, payload_bytes: usize) -> usize {
    payload_bytes - ((offset + payload_bytes) % 8).min(payload_bytes)
}

impl Guard {
    #[inline]
    fn stripe(&self, index: usize) -> &RwLock<()> {
        &self.stripes[((self.before + index) / TOGETHER) & (self.stripes.len() - 1)]
    }
}
