//! Which bytes a sync flushes, file by file.

use std::ops::Range;

use super::{
    archive::Archive,
    lookup::{Id, SlotIndex},
};
use crate::error::{Error, Result};

/// Flushes the slots of `ids`, file by file.
pub(crate) fn sync_slots(archive: &Archive, ids: Range<u64>) -> Result<()> {
    let geometry = archive.geometry();
    let count = (ids.end - ids.start).min(geometry.slots);
    let first = geometry.slot_of(Id(ids.end - count)).0;
    let straight = count.min(geometry.slots - first);
    sync_run(archive, first, straight)?;
    sync_run(archive, 0, count - straight)
}

/// Flushes neighbouring slots that do not wrap.
fn sync_run(archive: &Archive, first: u64, count: u64) -> Result<()> {
    let geometry = archive.geometry();
    let (mut first, mut left) = (first, count);
    while left > 0 {
        let place = geometry.place_of(SlotIndex(first));
        let shard = &archive.shards[place.shard];
        let here = left.min(geometry.slots_per_shard - place.slot as u64);
        let offset = shard.slots_offset + place.slot * geometry.slot_size();
        #[expect(clippy::cast_possible_truncation, reason = "slots of one mapped file")]
        let length = here as usize * geometry.slot_size();
        shard
            .region
            .sync(offset, length)
            .map_err(|source| Error::io("sync", &archive.shard_file(place.shard))(source))?;
        first += here;
        left -= here;
    }
    Ok(())
}
