//! Slots of one size back to back in a region: payload, then CRC.
//!
//! They are written by the producer's process only, as relaxed atomic words under the stripe's
//! write lock; read by anyone as relaxed atomic words, and plainly under the stripe's read lock.
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

use super::{Region, fence};

/// Locks that guard slots inside the producer's process, a power of two of them; slot `i` belongs
/// to lock `i % count`.
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

    /// From now on slots are written under locks, and can be viewed in place. `before` slots lie in
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

    /// Copies a slot out, word by word; the copy may be torn.
    #[inline]
    pub(crate) fn read(&self, index: usize, payload: &mut [u8], crc: &mut [u8; CRC_BYTES]) {
        let offset = self.offset(index);
        let (payload, rest) = payload.split_at_mut(bytes_before_crc_word(offset, payload.len()));
        self.region.read(offset, payload);
        let mut end = [0; END_MAX];
        self.region.read(offset + payload.len(), &mut end[..rest.len() + CRC_BYTES]);
        for (to, byte) in rest.iter_mut().chain(crc).zip(end) {
            *to = byte;
        }
    }

    #[inline]
    pub(crate) fn load_early(&self, index: usize) {
        self.region.load_early(self.offset(index), self.size);
    }

    /// Copies neighbouring slots out, payloads and CRCs, each as `read` does.
    pub(crate) fn read_many(&self, index: usize, slots: &mut [u8]) {
        let offset = self.offset(index);
        if offset.is_multiple_of(8) && self.size.is_multiple_of(8) {
            // Each of them is cut into the same words by itself.
            return self.region.read(offset, slots);
        }
        for (at, slot) in (offset..).step_by(self.size).zip(slots.chunks_exact_mut(self.size)) {
            self.region.read(at, slot);
        }
    }

    /// Stores a slot.
    #[inline]
    pub(crate) fn write(&self, index: usize, payload: &[u8], crc: u32) {
        assert!(payload.len() + CRC_BYTES == self.size, "a slot is its payload and a CRC");
        let _guard = self.stripe(index).map(RwLock::write);
        self.write_words(index, payload, crc.to_le_bytes());
    }

    /// Stores the slot's own bytes once more, so that the next sync writes them.
    pub(crate) fn write_again(&self, index: usize) {
        let (mut payload, mut crc) = (vec![0; self.size - CRC_BYTES], [0; CRC_BYTES]);
        let _guard = self.stripe(index).map(RwLock::write);
        // The claim that covers these bytes was stored by another thread: whoever sees a word that
        // is stored here has to see that claim too.
        fence(Ordering::Release);
        self.read(index, &mut payload, &mut crc);
        self.write_words(index, &payload, crc);
    }

    #[inline]
    fn write_words(&self, index: usize, payload: &[u8], crc: [u8; CRC_BYTES]) {
        let offset = self.offset(index);
        let (payload, rest) = payload.split_at(bytes_before_crc_word(offset, payload.len()));
        self.region.write(offset, payload);
        let mut end = [0; END_MAX];
        for (to, byte) in end.iter_mut().zip(rest.iter().chain(&crc)) {
            *to = *byte;
        }
        self.region.write(offset + payload.len(), &end[..rest.len() + CRC_BYTES]);
    }

    /// Shows a slot in place, payload and CRC, under its stripe's read lock; `None` where there are
    /// no locks: in other processes, and after `end_views`.
    ///
    /// The lock is taken recursively: a thread may look at several slots at once. The producer
    /// cannot write this stripe's slots meanwhile.
    #[inline]
    pub(crate) fn view<R>(&self, index: usize, look: impl FnOnce(&[u8], u32) -> R) -> Option<R> {
        let guard = self.guard.as_ref()?;
        let _guard = guard.stripe(index).read_recursive();
        if guard.ended.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: this process writes slots only in `write` and `write_again`, under the write lock
        // that the guard excludes; other processes map the file read-only while the archive's lock
        // is held, which is not given up before `end_views`. The file is never shrunk while mapped.
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
        &self.stripes[(self.before + index) & (self.stripes.len() - 1)]
    }
}
