//! What a budget on memory is spent on.
//!
//! Readers map no slots then, so that only the pages of `cache.dat` can be resident. A producer
//! maps a window at the place where it writes; and of what it wrote it lets the kernel hold no more
//! than half of the budget as dirty.

use std::path::Path;

use super::{layout, lookup::Geometry, opening::Opening};
use crate::{
    disk::seam::Access,
    error::{Error, Result},
};

/// Bytes of a producer's window, if the budget allows; more is no faster.
pub(crate) const WINDOW_BYTES: u64 = 2 << 20;
/// Stands for the smallest budget that makes a difference to an archive of any size.
#[cfg(feature = "test-util")]
pub(crate) const SMALLEST: u64 = 0;
const PAGE_BYTES: u64 = layout::PAGE as u64;

/// The shares of a budget that is smaller than the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Bytes of a producer's window.
    pub(crate) window_bytes: u64,
    /// Appended slots that may be dirty.
    pub(crate) dirty_slots: u64,
    /// Rewritten slots that may be dirty: they lie anywhere, each in pages of its own.
    pub(crate) dirty_rewrites: u64,
}

impl Budget {
    /// `None` without a budget, and with one that the whole archive fits into.
    pub(crate) fn of(path: &Path, geometry: &Geometry, opening: Opening) -> Result<Option<Self>> {
        let Some(found) = opening.resident_budget else {
            return Ok(None);
        };
        #[cfg(feature = "test-util")]
        if found == SMALLEST {
            let window_bytes = 3 * geometry.slot_size() as u64;
            return Ok(Some(Self { window_bytes, dirty_slots: 8, dirty_rewrites: 2 }));
        }
        // The last page of each file may be touched in part only.
        let whole = geometry.bytes_on_disk() + u64::from(geometry.shards) * PAGE_BYTES;
        if found >= whole {
            return Ok(None);
        }
        let slot_size = geometry.slot_size() as u64;
        let pages = layout::slots_offset(0, geometry.record_size);
        // A slot may begin and end in the middle of a page.
        let one_slot = (slot_size + PAGE_BYTES).next_multiple_of(PAGE_BYTES);
        let needed = match opening.access {
            Access::Read => pages,
            Access::Write => pages + 4 * one_slot,
        };
        if found < needed {
            return Err(Error::BudgetTooSmall { path: path.into(), found, needed });
        }
        let for_slots = found - pages;
        Ok(Some(Self {
            window_bytes: (for_slots / 8).clamp(slot_size, WINDOW_BYTES.max(slot_size)),
            dirty_slots: (for_slots / 2 / slot_size).max(2),
            dirty_rewrites: (for_slots / 8 / one_slot).max(1),
        }))
    }

    /// Slots that are appended, and written back, at once.
    pub(crate) fn step(&self) -> u64 {
        (self.dirty_slots / 4).max(1)
    }
}
