//! What a spool has in memory, counted as long as it is there.

use std::sync::Arc;

use super::content::PIECE_BYTES;
use crate::disk::{
    budget::{MemoryBudget, Share},
    locks::Mutex,
};

/// Memory that the first bytes of a part are given.
const FIRST_BYTES: usize = 4096;

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
}

impl Memory {
    pub(super) fn new(bytes_max: u64, budget: Option<&MemoryBudget>) -> Self {
        let shared = budget.map(MemoryBudget::share);
        Self { used: Mutex::new(Used { bytes: 0, peak: 0, bytes_max, shared }) }
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

    /// An empty one whose memory is counted already.
    pub(super) fn counted(memory: &Arc<Memory>, bytes: usize) -> Self {
        let (memory, buffer) = (Arc::clone(memory), Vec::with_capacity(bytes));
        Self { memory, counted: bytes, bytes: buffer }
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
        self.bytes.reserve_exact(self.counted - self.bytes.len());
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
        self.bytes = Vec::new();
        self.memory.give_back(self.counted);
    }
}
