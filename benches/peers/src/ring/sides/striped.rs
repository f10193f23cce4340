//! What a plain ring would be: the slots and checksums of `limit`, `next` stored after each record,
//! and one of 64 locks taken for each append and for each read. Neighbours are under different
//! locks, each on a line of the cache of its own, and no checksum is computed under one.

use std::{array, ops::Range, path::Path, sync::atomic::Ordering};

use parking_lot::RwLock;

use super::{
    Act, BoxedReader, Reader, Readers, Records, Result, Setup, Syncs, Wait, Writer, follow,
    limit::{Slots, checksum},
};

const STRIPES: usize = 64;

pub(super) fn open(directory: &Path, setup: &Setup, act: &mut Act<'_>) -> Result<()> {
    let slots = Slots::open(&directory.join("striped.dat"), setup)?;
    let striped = Striped { slots, setup: *setup, stripes: array::from_fn(|_| Stripe::default()) };
    act(&mut Appender { striped: &striped }, &striped)
}

struct Striped {
    slots: Slots,
    setup: Setup,
    stripes: [Stripe; STRIPES],
}

/// A line of the cache of its own: neighbours are locked by others at the same time.
#[derive(Default)]
#[repr(align(128))]
struct Stripe(RwLock<()>);

impl Striped {
    #[expect(clippy::cast_possible_truncation, reason = "an index of 64 fits")]
    fn stripe_of(&self, id: u64) -> &RwLock<()> {
        let slot = id % self.setup.capacity;
        &self.stripes[(slot % STRIPES as u64) as usize].0
    }
}

struct Appender<'a> {
    striped: &'a Striped,
}

impl Writer for Appender<'_> {
    fn append(&mut self, ids: Range<u64>, records: &mut Records) -> Result<()> {
        let Striped { slots, setup, .. } = self.striped;
        let mut offset = slots.offset_of(ids.start);
        for id in ids.clone() {
            let payload = records.make(id);
            let sum = checksum(id, payload);
            {
                let _alone = self.striped.stripe_of(id).write();
                slots.store(offset, payload, sum);
            }
            offset = slots.after(offset);
            // Release: pairs with a reader's Acquire load; the record below is in place.
            slots.next().store(id + 1, Ordering::Release);
        }
        if setup.syncs == Syncs::EachAppend { slots.sync(&ids) } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<()> {
        self.striped.slots.sync_all()
    }
}

impl Readers for Striped {
    fn reader(&self) -> Result<BoxedReader<'_>> {
        Ok(Box::new(Walker { striped: self, payload: vec![0; self.setup.record_bytes] }))
    }
}

struct Walker<'a> {
    striped: &'a Striped,
    payload: Vec<u8>,
}

impl Walker<'_> {
    #[inline]
    fn look(&mut self, id: u64, offset: usize, records: &Records) -> Result<()> {
        let sum = {
            let _shared = self.striped.stripe_of(id).read();
            self.striped.slots.load(offset, &mut self.payload)
        };
        // It begins with the id: that of an overwritten slot is wrong.
        if sum != checksum(id, &self.payload) {
            return Err("a checksum is wrong".into());
        }
        records.check(id, &self.payload)
    }
}

impl Reader for Walker<'_> {
    fn read(&mut self, ids: &[u64], records: &Records) -> Result<()> {
        let slots = &self.striped.slots;
        ids.iter().try_for_each(|&id| self.look(id, slots.offset_of(id), records))
    }

    fn scan(&mut self, ids: Range<u64>, records: &Records) -> Result<()> {
        let slots = &self.striped.slots;
        let mut offset = slots.offset_of(ids.start);
        for id in ids {
            self.look(id, offset, records)?;
            offset = slots.after(offset);
        }
        Ok(())
    }

    fn follow(&mut self, ids: Range<u64>, records: &Records, wait: &Wait) -> Result<()> {
        follow(self.striped.slots.next(), ids, wait, |ids| self.scan(ids, records))
    }
}
