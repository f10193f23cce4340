//! Slots of one size back to back in a region: payload, then CRC.
//!
//! They are written by the producer's process only, as relaxed atomic words under the stripe's
//! write lock; read by anyone as relaxed atomic words, and plainly under the stripe's read lock.

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

/// Locks that guard slots inside the producer's process; slot `i` belongs to lock `i % count`.
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
    pub(crate) fn read(&self, index: usize, payload: &mut [u8], crc: &mut [u8; 4]) {
        let offset = self.offset(index);
        self.region.read(offset, payload);
        self.region.read(offset + payload.len(), crc);
    }

    /// Stores a slot.
    #[inline]
    pub(crate) fn write(&self, index: usize, payload: &[u8], crc: u32) {
        assert!(payload.len() + 4 == self.size, "a slot is its payload and a CRC");
        let _guard = self.stripe(index).map(RwLock::write);
        self.write_words(index, payload, crc.to_le_bytes());
    }

    /// Stores the slot's own bytes once more, so that the next sync writes them.
    pub(crate) fn write_again(&self, index: usize) {
        let (mut payload, mut crc) = (vec![0; self.size - 4], [0; 4]);
        let _guard = self.stripe(index).map(RwLock::write);
        // The claim that covers these bytes was stored by another thread: whoever sees a word that
        // is stored here has to see that claim too.
        fence(Ordering::Release);
        self.read(index, &mut payload, &mut crc);
        self.write_words(index, &payload, crc);
    }

    #[inline]
    fn write_words(&self, index: usize, payload: &[u8], crc: [u8; 4]) {
        let offset = self.offset(index);
        self.region.write(offset, payload);
        self.region.write(offset + payload.len(), &crc);
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
        let (payload, crc) = bytes.split_at(self.size - 4);
        Some(look(payload, u32::from_le_bytes(crc.try_into().unwrap_or_default())))
    }

    /// Makes neighbouring slots durable.
    pub(crate) fn sync(&self, index: usize, count: usize) -> io::Result<()> {
        self.region.sync(self.offset(index), count * self.size)
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

impl Guard {
    #[inline]
    fn stripe(&self, index: usize) -> &RwLock<()> {
        &self.stripes[(self.before + index) % self.stripes.len()]
    }
}
