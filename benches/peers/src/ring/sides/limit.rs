//! The limit loop: copy the record and compute its checksum, over slots laid out as ringkeep's, in
//! a mapped file. No protocol but the id of the next record in the first page, stored after each 16
//! records: nothing could tell an overwritten slot, and the harness lets no producer lap readers.

use std::{
    fs::{File, OpenOptions},
    ops::Range,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use crc32fast::Hasher;
use memmap2::{Advice, MmapRaw};
use rustix::fs::{FallocateFlags, fallocate};

use super::{
    Act, BoxedReader, Reader, Readers, Records, Result, Setup, Syncs, Wait, Watch, Writer, follow,
};

/// Before the slots: `next`, and nothing else.
const HEADER_BYTES: usize = 4096;
const SUM_BYTES: usize = 4;
/// Records between two stores of `next`: twice as fast beside readers as a store for each.
const PUBLISHED_AT_ONCE: u64 = 16;

pub(super) fn open(directory: &Path, setup: &Setup, act: &mut Act<'_>) -> Result<()> {
    let path = directory.join("limit.dat");
    let slots = Slots::open(&path, setup)?;
    act(&mut Appender { slots: &slots, syncs: setup.syncs }, &slots)
}

pub(super) fn watch(directory: &Path, setup: &Setup, act: &mut Watch<'_>) -> Result<()> {
    let slots = Slots::open(&directory.join("limit.dat"), setup)?;
    act(&mut Walker::new(&slots))
}

/// From the disk: the kernel is told that all of it is read in order.
pub(super) fn watch_cold(directory: &Path, setup: &Setup, act: &mut Watch<'_>) -> Result<()> {
    let slots = Slots::open(&directory.join("limit.dat"), setup)?;
    slots.map.advise(Advice::Sequential)?;
    act(&mut Walker::new(&slots))
}

/// The mapped file. A slot is written by the one `Appender`, and read when `next` is past its id or
/// its append has returned, until `Pace` lets the producer use it again: never both at once. Beside
/// that, `striped` takes the lock of a slot for either.
pub(super) struct Slots {
    map: MmapRaw,
    count: u64,
    record_bytes: usize,
}

impl Slots {
    pub(super) fn open(path: &Path, setup: &Setup) -> Result<Self> {
        let (count, record_bytes) = (setup.capacity, setup.record_bytes);
        let slots_bytes = usize::try_from(count)? * (record_bytes + SUM_BYTES);
        let file: File =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        fallocate(&file, FallocateFlags::empty(), 0, (HEADER_BYTES + slots_bytes) as u64)?;
        Ok(Self { map: MmapRaw::map_raw(&file)?, count, record_bytes })
    }

    #[expect(clippy::cast_possible_truncation, reason = "an offset in a mapping fits")]
    pub(super) fn offset_of(&self, id: u64) -> usize {
        HEADER_BYTES + (id % self.count) as usize * self.slot_bytes()
    }

    fn slot_bytes(&self) -> usize {
        self.record_bytes + SUM_BYTES
    }

    fn end(&self) -> usize {
        self.map.len()
    }

    /// The offset of the slot after this one.
    pub(super) fn after(&self, offset: usize) -> usize {
        let after = offset + self.slot_bytes();
        if after == self.end() { HEADER_BYTES } else { after }
    }

    /// The slots of these ids are on stable storage when this returns.
    pub(super) fn sync(&self, ids: &Range<u64>) -> Result<()> {
        let (first, end) = (self.offset_of(ids.start), self.offset_of(ids.end));
        if end > first {
            self.map.flush_range(first, end - first)?;
        } else {
            self.map.flush()?;
        }
        Ok(())
    }

    pub(super) fn sync_all(&self) -> Result<()> {
        Ok(self.map.flush()?)
    }

    #[expect(unsafe_code, reason = "`next` is shared with readers of other processes")]
    pub(super) fn next(&self) -> &AtomicU64 {
        // SAFETY: the map begins on a page, so that the pointer is aligned; it is as long as
        // `HEADER_BYTES` at least, lives as long as `self`, and its first word is used as an atomic
        // by everyone.
        unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().cast()) }
    }

    /// Copies a record and its checksum to this offset.
    #[expect(unsafe_code, reason = "the limit is a copy into mapped memory")]
    pub(super) fn store(&self, offset: usize, payload: &[u8], sum: u32) {
        assert!(payload.len() == self.record_bytes && offset + self.slot_bytes() <= self.end());
        // SAFETY: the slot lies within the map, as just checked; nobody reads it while it is
        // written, as `Slots` says.
        unsafe {
            let slot = self.map.as_mut_ptr().add(offset);
            slot.copy_from_nonoverlapping(payload.as_ptr(), payload.len());
            slot.add(payload.len()).cast::<[u8; SUM_BYTES]>().write(sum.to_le_bytes());
        }
    }

    /// Copies a record from this offset; its checksum comes back.
    #[expect(unsafe_code, reason = "the limit is a copy from mapped memory")]
    pub(super) fn load(&self, offset: usize, payload: &mut [u8]) -> u32 {
        assert!(payload.len() == self.record_bytes && offset + self.slot_bytes() <= self.end());
        // SAFETY: the slot lies within the map, as just checked; nobody writes it while it is read,
        // as `Slots` says.
        unsafe {
            let slot = self.map.as_ptr().add(offset);
            slot.copy_to_nonoverlapping(payload.as_mut_ptr(), payload.len());
            u32::from_le_bytes(slot.add(payload.len()).cast::<[u8; SUM_BYTES]>().read())
        }
    }
}

/// As ringkeep's, but for its salt: seeded from the id.
pub(super) fn checksum(id: u64, payload: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(seed(id));
    hasher.update(payload);
    hasher.finalize()
}

fn seed(id: u64) -> u32 {
    let [.., a, b, c, d] = id.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

struct Appender<'a> {
    slots: &'a Slots,
    syncs: Syncs,
}

impl Writer for Appender<'_> {
    fn append(&mut self, ids: Range<u64>, records: &mut Records) -> Result<()> {
        let slots = self.slots;
        let mut offset = slots.offset_of(ids.start);
        for id in ids.clone() {
            let payload = records.make(id);
            slots.store(offset, payload, checksum(id, payload));
            offset = slots.after(offset);
            if id % PUBLISHED_AT_ONCE == 0 {
                // Release: pairs with a reader's Acquire load; the records below are in place.
                slots.next().store(id + 1, Ordering::Release);
            }
        }
        slots.next().store(ids.end, Ordering::Release);
        if self.syncs == Syncs::EachAppend { slots.sync(&ids) } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<()> {
        self.slots.sync_all()
    }
}

impl Readers for Slots {
    fn reader(&self) -> Result<BoxedReader<'_>> {
        Ok(Box::new(Walker::new(self)))
    }
}

struct Walker<'a> {
    slots: &'a Slots,
    payload: Vec<u8>,
}

impl<'a> Walker<'a> {
    fn new(slots: &'a Slots) -> Self {
        Self { slots, payload: vec![0; slots.record_bytes] }
    }

    #[inline]
    fn look(&mut self, id: u64, offset: usize, records: &Records) -> Result<()> {
        let sum = self.slots.load(offset, &mut self.payload);
        if sum != checksum(id, &self.payload) {
            return Err("a checksum is wrong".into());
        }
        records.check(id, &self.payload)
    }
}

impl Reader for Walker<'_> {
    fn read(&mut self, ids: &[u64], records: &Records) -> Result<()> {
        ids.iter().try_for_each(|&id| self.look(id, self.slots.offset_of(id), records))
    }

    fn scan(&mut self, ids: Range<u64>, records: &Records) -> Result<()> {
        let mut offset = self.slots.offset_of(ids.start);
        for id in ids {
            self.look(id, offset, records)?;
            offset = self.slots.after(offset);
        }
        Ok(())
    }

    fn follow(&mut self, ids: Range<u64>, records: &Records, wait: &Wait) -> Result<()> {
        follow(self.slots.next(), ids, wait, |ids| self.scan(ids, records))
    }
}
