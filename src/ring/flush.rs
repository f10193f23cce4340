//! Which slots a sync flushes, and which ones leave the page cache's dirty bytes.

use std::ops::Range;

use super::archive::Archive;
use crate::error::Result;

/// Flushes the slots of `ids`, file by file.
pub(crate) fn sync_slots(archive: &Archive, ids: Range<u64>) -> Result<()> {
    archive.shards.runs_of(ids).into_iter().try_for_each(|slots| archive.shards.sync(slots))
}

/// Waits until the kernel holds none of `ids` as dirty. That makes nothing durable.
pub(crate) fn write_back(archive: &Archive, ids: Range<u64>) -> Result<()> {
    archive.shards.runs_of(ids).into_iter().try_for_each(|slots| archive.shards.write_back(slots))
}

/// Has the pages of `ids` ready for stores.
pub(crate) fn make_ready(archive: &Archive, ids: Range<u64>) -> Result<()> {
    archive.shards.runs_of(ids).into_iter().try_for_each(|slots| archive.shards.make_ready(slots))
}
