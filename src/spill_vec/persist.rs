//! Writing a vector to a file that stays: frames are copied as they are, each checked; what is in
//! memory follows in frames of its own; then the index, and the header last.

use std::{path::Path, sync::Arc};

use super::{
    SpillVec,
    frames::{Ahead, FrameReader},
    frozen_header::{ENTRY_BYTES, FrozenHeader, HEADER_BYTES, encode_entry},
    moving::encode_at,
    store::Store,
};
use crate::{
    disk::{
        codec::Codec,
        naming,
        scratch::{MODE, Scratch},
    },
    error::Result,
};

/// Entries of the index that are written at once.
const ENTRIES: usize = 8192;

pub(super) fn persist<T, C: Codec<T>>(vec: &SpillVec<T, C>, path: &Path) -> Result<()> {
    let disk = &vec.settings.disk;
    naming::make(disk, path, MODE, |file, temporary| {
        let scratch = Scratch::over(Arc::clone(file), temporary);
        let mut store = Store::new(disk, scratch, HEADER_BYTES as u64, vec.settings.shape)?;
        copy(vec, &mut store)?;
        finish(vec, &mut store)
    })
}

/// Puts all items of the vector into the store.
fn copy<T, C: Codec<T>>(vec: &SpillVec<T, C>, into: &mut Store) -> Result<()> {
    if let Some(disk) = &vec.disk {
        let frames = &disk.store.frames;
        into.frames.salt = frames.salt;
        let mut reader = FrameReader::default();
        for frame in 0..frames.index.frames() {
            let items = frames.index.place(frame).items;
            reader.seek(frames, items.start, Ahead::Forward)?;
            into.append_frame(items.end - items.start, reader.frame_bytes(frames))?;
        }
        let pending = &disk.store.pending;
        (0..pending.len()).try_for_each(|at| into.push_encoded(pending.item(at)))?;
    }
    for item in vec.memory.items() {
        into.push(&vec.codec, item).map_err(|error| encode_at(into.items(), error))?;
    }
    into.flush()
}

/// Writes the index and the header.
fn finish<T, C: Codec<T>>(vec: &SpillVec<T, C>, store: &mut Store) -> Result<()> {
    let index = &store.frames.index;
    let (frames, index_offset) = (index.frames(), index.end_offset());
    let mut checksum = crc32fast::Hasher::new();
    let mut offset = index_offset;
    let mut entries = Vec::with_capacity(frames.min(ENTRIES) * ENTRY_BYTES);
    for begin in (0..frames).step_by(ENTRIES) {
        entries.clear();
        for place in (begin..frames.min(begin + ENTRIES)).map(|frame| index.place(frame)) {
            let (items, bytes) = (place.items, place.bytes);
            entries
                .extend_from_slice(&encode_entry(items.end - items.start, bytes.end - bytes.start));
        }
        checksum.update(&entries);
        store.scratch.write_at(&entries, offset)?;
        offset += entries.len() as u64;
    }
    let header = FrozenHeader {
        salt: store.frames.salt,
        items: index.items(),
        index_offset,
        frames: frames as u64,
        index_checksum: checksum.finalize(),
        compression: vec.settings.shape.compression,
        codec: vec.codec.name().into(),
        tag: vec.settings.tag.clone(),
    };
    store.scratch.write_at(&header.encode(), 0)?;
    store.scratch.truncate(offset)
}
