//! Items on their way from memory to the disk, and back to whoever reads them.

use parking_lot::Mutex;

use super::{
    SpillVec,
    frames::{Ahead, FrameReader},
    memory::Memory,
    options::Settings,
    store::Store,
    walk::{Walk, decode},
};
use crate::{
    disk::{codec::Codec, scratch::SpillWarning},
    error::{Error, PushError, Result},
};

/// What is on the disk, or about to be.
#[derive(Debug)]
pub(super) struct OnDisk {
    pub(super) store: Store,
    /// The frame that was read last.
    pub(super) last: Mutex<FrameReader>,
    pub(super) warning: Option<SpillWarning>,
}

impl<T, C: Codec<T>> SpillVec<T, C> {
    /// Items that are not in memory as they are.
    #[inline]
    pub(super) fn stored_count(&self) -> usize {
        match &self.disk {
            Some(disk) => usize::try_from(disk.store.items()).unwrap_or(usize::MAX),
            None => 0,
        }
    }

    #[cold]
    pub(super) fn push_to_disk(&mut self, item: T) -> Result<(), PushError<T>> {
        match self.encode_behind(&item) {
            Ok(()) => Ok(()),
            Err(source) => Err(PushError { item: Some(item), source: source.into() }),
        }
    }

    fn encode_behind(&mut self, item: &T) -> Result<()> {
        if self.disk.is_none() || !self.memory.items().is_empty() {
            self.leave_memory()?;
        }
        let Some(disk) = &mut self.disk else { return Ok(()) };
        if disk.store.push(&self.codec, item)? {
            self.count_memory();
        }
        Ok(())
    }

    /// Moves what is in memory behind what is stored. After an error each item is where it was, or
    /// where it should be.
    pub(super) fn leave_memory(&mut self) -> Result<()> {
        let disk = match &mut self.disk {
            Some(disk) => disk,
            None => self.disk.insert(OnDisk::new(&self.settings)?),
        };
        let moved = move_items(&self.codec, &mut self.memory, &mut disk.store);
        if moved.is_err() && disk.store.items() == 0 {
            self.disk = None;
        }
        if moved.is_ok() {
            self.memory.clear();
        }
        self.count_memory();
        moved
    }

    /// Tells whom memory is shared with how much of it this vector has.
    pub(super) fn count_memory(&mut self) {
        let store = self.disk.as_ref().map_or(0, |disk| disk.store.memory_bytes());
        self.memory.hold(store);
    }

    /// The item with this number, which is stored.
    pub(super) fn read(&self, item: u64) -> Result<Option<T>> {
        let Some(OnDisk { store, last, .. }) = &self.disk else { return Ok(None) };
        let read = |reader: &mut FrameReader| {
            let pending = Some(&store.pending);
            let bytes = reader.bytes_of(&store.frames, pending, item, Ahead::Nothing)?;
            decode(&self.codec, item, bytes).map(Some)
        };
        // A codec may read the vector that it decodes for; so may other threads.
        match last.try_lock() {
            Some(mut reader) => read(&mut reader),
            None => read(&mut FrameReader::default()),
        }
    }

    /// What is stored, if that and what is in memory take no more than so many bytes.
    pub(super) fn read_all(&self, bytes_max: u64) -> Result<Vec<T>> {
        let in_memory = self.memory.bytes();
        let mut bytes = in_memory + (self.stored_count() * size_of::<T>()) as u64;
        let within = |found_bytes: u64| {
            let over = Error::OverLimit { found_bytes, max_bytes: bytes_max };
            if found_bytes > bytes_max { Err(over) } else { Ok(()) }
        };
        within(bytes)?;
        let mut items = Vec::new();
        if let Some(OnDisk { store, .. }) = &self.disk {
            items.reserve_exact(self.len());
            let mut walk = Walk::of_store(store, 0..store.items());
            while let Some(found) = walk.next_measured(&self.codec, &self.memory.measure) {
                let (item, heap_bytes) = found?;
                bytes += heap_bytes;
                within(bytes)?;
                items.push(item);
            }
        }
        Ok(items)
    }
}

impl OnDisk {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        Self::of(settings.store()?, settings)
    }

    pub(super) fn of(store: Store, settings: &Settings) -> Result<Self> {
        let directory = settings.directory();
        let warning = SpillWarning::MemoryFileSystem { directory: directory.into() };
        let warning = store.scratch.is_memory()?.then_some(warning);
        Ok(Self { store, last: Mutex::default(), warning })
    }
}

fn move_items<T>(codec: &impl Codec<T>, memory: &mut Memory<T>, store: &mut Store) -> Result<()> {
    let mut moving = memory.moving();
    while let Some(item) = moving.first() {
        store.push(codec, item).map_err(|error| encode_at(store.items(), error))?;
        moving.drop_first();
    }
    Ok(())
}

/// An error of encoding, with the item that it was about.
pub(super) fn encode_at(index: u64, error: Error) -> Error {
    match error {
        Error::Encode { source } => Error::EncodeAt { index, source },
        other => other,
    }
}
