//! The redo slot: the new content of a rewrite, complete before the rewrite touches its slot.
//!
//! Its first word names the id and is stored last; 0 means empty. The checksum ties the rest to
//! that id. A flag in the word says that the redo slot was flushed before its slot was touched:
//! only then does it count after a power cut.

use std::sync::atomic::Ordering::{Relaxed, Release};

use super::{
    archive::Archive,
    layout::{REDO, REDO_PAYLOAD, decode_redo, encode_redo},
    lookup::Id,
    pages,
    slot::{self, Content},
};
use crate::{disk::raw::fence, error::Result, planted::planted};

/// What a complete redo slot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redo {
    pub(crate) id: Id,
    /// It was flushed before its slot was touched.
    pub(crate) through: bool,
    pub(crate) content: Content,
    pub(crate) payload: Vec<u8>,
}

/// The redo slot, if it is complete and holds `id`.
pub(crate) fn load(archive: &Archive, id: Id) -> Result<Option<Redo>> {
    archive.pages.refresh(pages::redo(archive.geometry().record_size))?;
    Ok(load_any(archive).filter(|redo| redo.id == id))
}

/// The redo slot, if it is complete.
pub(crate) fn load_any(archive: &Archive) -> Option<Redo> {
    let pages = &archive.pages;
    // Acquire: pairs with the Release store of the word in `store`.
    let (id, through) = decode_redo(pages.load_acquire(REDO))?;
    let mut payload = vec![0; archive.geometry().record_size];
    let mut crc = [0; 4];
    pages.read(REDO_PAYLOAD, &mut payload);
    pages.read(REDO_PAYLOAD + payload.len(), &mut crc);
    let content = slot::decode(archive.identity.salt, id, &payload, u32::from_le_bytes(crc))?;
    Some(Redo { id, through, content, payload })
}

/// Stores a redo slot, and flushes it if it is to be written through.
pub(crate) fn store(
    archive: &Archive,
    id: Id,
    payload: &[u8],
    crc: u32,
    through: bool,
) -> Result<()> {
    let pages = &archive.pages;
    pages.store(REDO, 0, Relaxed);
    // Whoever sees a word of the new payload sees that the slot was emptied.
    fence(Release);
    pages.write(REDO_PAYLOAD, payload);
    pages.write(REDO_PAYLOAD + payload.len(), &crc.to_le_bytes());
    pages.store(REDO, encode_redo(id, through), Release);
    if !through || planted("redo_slot_not_synced") {
        return Ok(());
    }
    pages.sync(REDO, 8 + payload.len() + 4)
}

/// Empties the redo slot; nothing is written when it is empty already.
pub(crate) fn clear(archive: &Archive) -> Result<()> {
    let pages = &archive.pages;
    if pages.load(REDO) == 0 {
        return Ok(());
    }
    pages.store(REDO, 0, Release);
    pages.sync(REDO, 8)
}
