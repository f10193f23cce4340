//! Which slots a sync flushes, and which ones leave the page cache's dirty bytes.

use std::ops::Range;

use super::{
    archive::Archive,
    lookup::{Id, Lookup},
};
use crate::error::Result;

/// Flushes the slots of `ids`, file by file.
pub(crate) fn sync_slots(archive: &Archive, ids: Range<u64>) -> Result<()> {
    runs(archive, ids).into_iter().try_for_each(|slots| archive.shards.sync(slots))
}

/// Waits until the kernel holds none of `ids` as dirty. That makes nothing durable.
pub(crate) fn write_back(archive: &Archive, ids: Range<u64>) -> Result<()> {
    runs(archive, ids).into_iter().try_for_each(|slots| archive.shards.write_back(slots))
}

/// Has the pages of `ids` ready for stores.
pub(crate) fn make_ready(archive: &Archive, ids: Range<u64>) -> Result<()> {
    runs(archive, ids).into_iter().try_for_each(|slots| archive.shards.make_ready(slots))
}

/// The slots of `ids`: up to the last one, and from the first one on.
fn runs(archive: &Archive, ids: Range<u64>) -> [Range<u64>; 2] {
    let geometry = archive.geometry();
    let count = (ids.end - ids.start).min(geometry.slots);
    let first = Lookup::new(geometry).slot_of(Id(ids.end - count)).0;
    let straight = count.min(geometry.slots - first);
    [first..first + straight, 0..count - straight]
}
