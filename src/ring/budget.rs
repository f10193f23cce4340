//! What a budget on memory is spent on.
//!
//! Readers map no slots then, so that only the pages of `cache.dat` can be resident. A producer
//! maps a window at the place where it writes; and of what it wrote it lets the kernel hold no more
//! than half of the budget as dirty. The kernel counts dirty folios whole, so that one changed byte
//! may count as 2 MiB: as many are set aside as can be touched in part.

use std::path::Path;

use super::{choices::Opening, layout, lookup::Geometry};
use crate::{
    disk::seam::Access,
    error::{Error, Result},
};

/// Bytes of a producer's window, if the budget allows; more is no faster.
pub(crate) const WINDOW_BYTES: u64 = FOLIO_BYTES;
/// Stands for the smallest budget that makes a difference to an archive of any size.
#[cfg(feature = "test-util")]
pub(crate) const SMALLEST: u64 = 0;
const PAGE_BYTES: u64 = layout::PAGE as u64;
/// The largest unit of Linux's page cache, where pages have 4 KiB: a file that is read ahead gets
/// such.
pub(crate) const FOLIO_BYTES: u64 = 2 << 20;
/// Folios that are dirty in part: that of the pages, those where the dirty slots begin and end, and
/// two where slots are stored again.
const FOLIOS_IN_PART: u64 = 5;

/// The shares of a budget that is smaller than the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Bytes of a producer's window.
    pub(crate) window_bytes: u64,
    /// Appended slots that may be dirty.
    pub(crate) dirty_slots: u64,
    /// Folios that may be dirty for rewritten slots, which lie anywhere.
    pub(crate) dirty_rewrites: usize,
    slots_of_a_folio: u64,
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
            return Ok(Some(Self {
                window_bytes,
                dirty_slots: 8,
                dirty_rewrites: 2,
                slots_of_a_folio: 1,
            }));
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
        // One slot may lie in all of these.
        let rewrites = (for_slots / 8 / FOLIO_BYTES).max(slot_size.div_ceil(FOLIO_BYTES) + 1);
        let in_part = (FOLIOS_IN_PART + rewrites) * FOLIO_BYTES;
        // A budget below 16 MiB cannot hold what is dirty in part: it bounds what was changed.
        let dirty = for_slots.saturating_sub(in_part).clamp(for_slots / 16, for_slots / 2);
        Ok(Some(Self {
            window_bytes: (for_slots / 4).clamp(slot_size, WINDOW_BYTES.max(slot_size)),
            dirty_slots: (dirty / slot_size).max(2),
            dirty_rewrites: usize::try_from(rewrites).unwrap_or(usize::MAX),
            slots_of_a_folio: (FOLIO_BYTES / slot_size).max(1),
        }))
    }

    /// Slots that are stored again at once, beside those that are appended.
    pub(crate) fn step_beside(&self) -> u64 {
        self.step().min(self.slots_of_a_folio)
    }

    /// Slots that are appended, and written back, at once.
    pub(crate) fn step(&self) -> u64 {
        // A folio is written whole, however little of it was changed.
        (self.dirty_slots / 4).max(self.slots_of_a_folio).min(self.dirty_slots / 2).max(1)
    }
}
