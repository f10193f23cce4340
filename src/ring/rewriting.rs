//! Writing another content under an id that is kept.

use super::{
    budget::FOLIO_BYTES, flush::sync_slots, lookup::Id, read::Read, redo, slot, writer::Writer,
};
use crate::{
    error::{Error, Result},
    planted::planted,
};

impl Writer {
    /// The redo slot holds the new content before the slot is touched, so that a crash, or a reader
    /// in between, finds one whole version. Below what is durable, or soon will be, both are
    /// flushed.
    pub(crate) fn rewrite(&mut self, id: u64, payload: Option<&[u8]>) -> Result<()> {
        self.ready_for(0)?;
        let mut present = vec![0; self.zeros.len()];
        match self.archive.read_slot(id, &mut present)? {
            Read::Record(()) => {}
            other => return Err(Error::NotARecord(other)),
        }
        if let (Some(clock), Some(new)) = (&mut self.clock, payload)
            && let Some(step) = clock.observe_change(&present, new)
        {
            self.durability.raise_clock_step(step)?;
        }
        self.make_room_for_rewrite(Id(id))?;
        let no_new_sync = self.durability.hold_syncs();
        let through = id < no_new_sync.floor && !planted("rewrite_not_written_through");
        let rewrite = || self.rewrite_slot(Id(id), payload, through);
        let result = if through { self.durability.syncing(rewrite) } else { rewrite() };
        drop(no_new_sync);
        self.durability.storing(result)?;
        self.durability.check_pages()
    }

    /// Under a budget: rewrites leave memory before they make more folios dirty than they may.
    fn make_room_for_rewrite(&mut self, id: Id) -> Result<()> {
        let Some(budget) = self.archive.budget else {
            return Ok(());
        };
        let place = self.archive.place(id);
        let begin = self.archive.shards.offset_of(place);
        let last = begin + self.archive.geometry().slot_size() as u64 - 1;
        let folios = (begin / FOLIO_BYTES..=last / FOLIO_BYTES).map(|folio| (place.shard, folio));
        self.rewritten.extend(folios.clone());
        if self.rewritten.len() > budget.dirty_rewrites {
            self.rewritten = folios.collect();
            self.durability.write_back_all()?;
        }
        Ok(())
    }

    fn rewrite_slot(&self, id: Id, payload: Option<&[u8]>, through: bool) -> Result<()> {
        let archive = &self.archive;
        let (salt, zeros) = (archive.identity.salt, &self.zeros[..]);
        let (payload, crc) = match payload {
            Some(payload) => (payload, slot::checksum(salt, id, payload)),
            None => (zeros, slot::marker_checksum(salt, id, zeros)),
        };
        if !planted("rewrite_without_redo_slot") {
            redo::store(archive, id, payload, crc, through)?;
        }
        archive.cursors().begin_rewrite();
        // Nothing is stored that the redo slot and the counter do not cover.
        archive.pages.check()?;
        archive.shards.write_alone(archive.place(id), payload, crc)?;
        archive.cursors().end_rewrite();
        if through {
            sync_slots(archive, id.0..id.0 + 1)?;
        }
        Ok(())
    }
}
