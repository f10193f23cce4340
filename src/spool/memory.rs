//! What a spool has in memory, counted as long as it is there.

use std::sync::Arc;

use super::content::PIECE_BYTES;
use crate::disk::{
    budget::{MemoryBudget, Share},
    locks::Mutex,
};

/// Memory that the first bytes of a part are given.
const FIRST_BYTES: usize = 4096;
/// Pieces that moved or were drained whose memory is kept for the next ones: 4 MiB.
const SPARE_MAX: usize = 64;

/// Bytes that a spool has in memory, and what it may have there.
pub(super) struct Memory {
    used: Mutex<Used>,
}

struct Used {
    bytes: u64,
    /// The most that there were.
    peak: u64,
    bytes_max: u64,
    shared: Option<Share>,
    /// Memory for whole pieces, within the limit. An allocator that gives each thread an area of
    /// its own would keep it in that of a thread that has no need of it.
    spare: Vec<Vec<u8>>,
}

impl Memory {
    pub(super) fn new(bytes_max: u64, budget: Option<&MemoryBudget>) -> Self {
        let (shared, spare) = (budget.map(MemoryBudget::share), Vec::new());
        Self { used: Mutex::new(Used { bytes: 0, peak: 0, bytes_max, shared, spare }) }
    }

    /// Counts so many bytes more, if there is room for them.
    pub(super) fn try_take(&self, bytes: usize) -> bool {
        let mut used = self.used.lock();
        let wanted = used.bytes + bytes as u64;
        let has_room = wanted <= used.bytes_max
            && used.shared.as_mut().is_none_or(|share| share.try_hold(wanted, 0));
        if has_room {
            used.set(wanted);
        }
        if bytes < PIECE_BYTES {
            // These do not come from what is spare.
            let spare_max = used.spare_max();
            used.spare.truncate(spare_max);
        }
        has_room
    }

    /// Counts so many bytes more, whether there is room for them or not.
    pub(super) fn take(&self, bytes: usize) {
        let mut used = self.used.lock();
        let wanted = used.bytes + bytes as u64;
        used.set(wanted);
    }

    fn give_back(&self, bytes: usize) {
        let mut used = self.used.lock();
        let wanted = used.bytes - bytes as u64;
        used.set(wanted);
    }

    /// Memory for a piece that is counted already.
    fn piece(&self) -> Vec<u8> {
        let spare = self.used.lock().spare.pop();
        spare.unwrap_or_else(|| Vec::with_capacity(PIECE_BYTES))
    }

    /// What was given back is kept, if it is a piece's and there is room.
    fn keep(&self, mut memory: Vec<u8>) {
        memory.clear();
        let mut used = self.used.lock();
        if memory.capacity() == PIECE_BYTES && used.spare.len() < used.spare_max() {
            used.spare.push(memory);
        }
    }

    /// Keeps nothing.
    pub(super) fn drop_spare(&self) {
        self.used.lock().spare = Vec::new();
    }

    /// Bytes that there are now, and the most that there were.
    pub(super) fn bytes(&self) -> (u64, u64) {
        let used = self.used.lock();
        (used.bytes, used.peak)
    }
}

impl Used {
    fn set(&mut self, bytes: u64) {
        self.bytes = bytes;
        self.peak = self.peak.max(bytes);
        if let Some(share) = &mut self.shared {
            share.hold(bytes);
        }
        if bytes == 0 {
            self.spare = Vec::new();
        }
    }

    fn spare_max(&self) -> usize {
        let room = self.bytes_max.saturating_sub(self.bytes) / PIECE_BYTES as u64;
        usize::try_from(room).unwrap_or(usize::MAX).min(SPARE_MAX)
    }
}

/// Up to a piece of a part, in memory that is counted.
pub(super) struct Buffer {
    memory: Arc<Memory>,
    /// What is counted.
    counted: usize,
    bytes: Vec<u8>,
}

impl Buffer {
    /// An empty one, that takes no memory yet.
    pub(super) fn new(memory: &Arc<Memory>) -> Self {
        Self { memory: Arc::clone(memory), counted: 0, bytes: Vec::new() }
    }

    /// An empty one for a whole piece, whose memory is counted already.
    pub(super) fn counted(memory: &Arc<Memory>) -> Self {
        Self { memory: Arc::clone(memory), counted: PIECE_BYTES, bytes: memory.piece() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How much memory more it needs to take in bytes: 0 while it has room for some.
    pub(super) fn lacks(&self, bytes: usize) -> usize {
        let (length, capacity) = (self.bytes.len(), self.bytes.capacity());
        if length < capacity || length == PIECE_BYTES {
            return 0;
        }
        // Twice as much each time, so that bytes are moved rarely; a large piece comes whole.
        (length + bytes.max(length)).clamp(FIRST_BYTES, PIECE_BYTES) - capacity
    }

    /// Takes memory that was counted for it.
    pub(super) fn grow(&mut self, counted: usize) {
        self.counted += counted;
        if self.counted == PIECE_BYTES && self.bytes.is_empty() {
            self.bytes = self.memory.piece();
        } else {
            self.bytes.reserve_exact(self.counted - self.bytes.len());
        }
    }

    /// Takes in the first of these bytes, as many as it has room for.
    pub(super) fn fill(&mut self, bytes: &[u8]) -> usize {
        let room = self.bytes.capacity().min(PIECE_BYTES) - self.bytes.len();
        let taken = room.min(bytes.len());
        self.bytes.extend_from_slice(&bytes[..taken]);
        taken
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() == PIECE_BYTES
    }

    /// Takes no more memory than it has bytes.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.memory.give_back(self.counted - self.bytes.len());
        self.counted = self.bytes.len();
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.memory.give_back(self.counted);
        self.memory.keep(std::mem::take(&mut self.bytes));
    }
}
