//! The slots of an archive, file by file, in one of three forms.
//!
//! * **Mapped**: every file as a whole. What was touched stays resident; in the producer's process
//!   stripes of locks guard slots, so that views can show them in place.
//! * **By position**: readers and the writer go through system calls, and nothing is resident.
//! * **Windowed**, a producer with a budget: it stores into a mapping of a few neighbouring slots,
//!   which moves on with it. What is not mapped cannot be resident: that is the whole proof. Its
//!   readers read by position.

use std::{
    ffi::OsString,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};

use parking_lot::Mutex;

use super::{
    budget::FOLIO_BYTES,
    layout,
    lookup::{Geometry, Id, Lookup, Place, SlotIndex},
    pages::unreadable,
};
use crate::{
    disk::{
        raw::{SlotRegion, Stripes, fence},
        seam::{Access, File},
    },
    error::{Error, Result},
    planted::planted,
};

/// All slots.
#[derive(Debug)]
pub(crate) struct Shards {
    path: PathBuf,
    geometry: Geometry,
    lookup: Lookup,
    files: Vec<Arc<File>>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Mapped(Vec<SlotRegion>),
    ByPosition {
        /// Bytes of a producer's window; 0 for stores by position.
        window_bytes: u64,
        /// Held while a slot is stored.
        window: Mutex<Option<Window>>,
    },
}

/// A mapping of neighbouring slots: those that begin in one block of a file.
#[derive(Debug)]
struct Window {
    shard: usize,
    slots: Range<usize>,
    region: SlotRegion,
}

impl Shards {
    /// Maps every file.
    pub(crate) fn map(
        path: &Path,
        geometry: &Geometry,
        files: Vec<Arc<File>>,
        access: Access,
    ) -> io::Result<Self> {
        let map = |(index, file): (u32, &Arc<File>)| {
            let first = layout::slots_offset(index, geometry.record_size);
            let bytes = first..layout::file_bytes(geometry, index);
            Ok(SlotRegion::new(file.map(bytes, access)?, 0, geometry.slot_size()))
        };
        let regions = (0..).zip(&files).map(map).collect::<io::Result<_>>()?;
        Ok(Self::new(path, geometry, files, Form::Mapped(regions)))
    }

    /// Maps no file. A producer stores through windows of so many bytes, or by position if that
    /// is 0.
    pub(crate) fn by_position(
        path: &Path,
        geometry: &Geometry,
        files: Vec<Arc<File>>,
        window_bytes: u64,
    ) -> Self {
        let form = Form::ByPosition { window_bytes, window: Mutex::new(None) };
        Self::new(path, geometry, files, form)
    }

    fn new(path: &Path, geometry: &Geometry, files: Vec<Arc<File>>, form: Form) -> Self {
        let (geometry, lookup) = (*geometry, Lookup::new(geometry));
        Self { path: path.into(), geometry, lookup, files, form }
    }

    /// Puts every slot under a stripe's lock, for the producer's process.
    pub(crate) fn guard(&mut self, stripes: &Stripes) {
        let slots = usize::try_from(self.geometry.slots_per_shard).unwrap_or(usize::MAX);
        if let Form::Mapped(regions) = &mut self.form {
            for (index, region) in regions.iter_mut().enumerate() {
                region.guard(stripes.clone(), index.wrapping_mul(slots));
            }
        }
    }

    pub(crate) fn end_views(&self) {
        if let Form::Mapped(regions) = &self.form {
            regions.iter().for_each(SlotRegion::end_views);
        }
    }

    /// Where the mappings of slots lie.
    pub(crate) fn mappings(&self) -> Vec<Range<usize>> {
        match &self.form {
            Form::Mapped(regions) => regions.iter().map(SlotRegion::addresses).collect(),
            Form::ByPosition { window, .. } => {
                window.lock().iter().map(|window| window.region.addresses()).collect()
            }
        }
    }

    pub(crate) fn are_mapped(&self) -> bool {
        matches!(self.form, Form::Mapped(_))
    }

    pub(crate) fn files(&self) -> &[Arc<File>] {
        &self.files
    }

    /// Path of a shard's file.
    pub(crate) fn file_path(&self, shard: usize) -> PathBuf {
        shard_path(&self.path, u32::try_from(shard).unwrap_or(u32::MAX))
    }

    #[inline]
    pub(crate) fn place(&self, id: Id) -> Place {
        self.lookup.place_of(self.lookup.slot_of(id))
    }

    /// The place of the next id.
    #[inline]
    pub(crate) fn after(&self, place: Place) -> Place {
        self.lookup.after(place)
    }

    /// Where a slot begins in its file, in bytes.
    pub(crate) fn offset_of(&self, place: Place) -> u64 {
        let index = u32::try_from(place.shard).unwrap_or(u32::MAX);
        let first = layout::slots_offset(index, self.geometry.record_size);
        first + (place.slot * self.geometry.slot_size()) as u64
    }

    /// Copies payload and CRC out of a slot; the copy may be torn.
    #[inline]
    pub(crate) fn read(&self, place: Place, payload: &mut [u8]) -> Result<u32> {
        match self.read_mapped(place, payload) {
            Some(crc) => Ok(crc),
            None => self.read_at(place, payload),
        }
    }

    /// The same where slots are mapped.
    #[inline]
    pub(crate) fn read_mapped(&self, place: Place, payload: &mut [u8]) -> Option<u32> {
        match &self.form {
            Form::Mapped(regions) => Some(regions[place.shard].read(place.slot, payload)),
            Form::ByPosition { .. } => None,
        }
    }

    #[cold]
    fn read_at(&self, place: Place, payload: &mut [u8]) -> Result<u32> {
        let mut crc = [0; 4];
        let file = &self.files[place.shard];
        let read = file.read_both_at(payload, &mut crc, self.offset_of(place));
        read.map_err(|error| self.unreadable(place.shard, error))?;
        Ok(u32::from_le_bytes(crc))
    }

    /// Has a slot that is mapped on its way from memory while something else is done.
    #[inline]
    pub(crate) fn load_early(&self, place: Place) {
        if let Form::Mapped(regions) = &self.form {
            regions[place.shard].load_early(place.slot);
        }
    }

    /// Copies neighbouring slots of one file out, payloads and CRCs; the copies may be torn.
    pub(crate) fn read_many(&self, first: Place, slots: &mut [u8]) -> Result<()> {
        match &self.form {
            Form::Mapped(regions) => {
                regions[first.shard].read_many(first.slot, slots);
                Ok(())
            }
            Form::ByPosition { .. } => {
                let read = self.files[first.shard].read_at(slots, self.offset_of(first));
                read.map_err(|error| self.unreadable(first.shard, error))
            }
        }
    }

    /// Why a file that was whole when it was opened cannot be read now.
    fn unreadable(&self, shard: usize, error: io::Error) -> Error {
        let file_bytes = layout::file_bytes(&self.geometry, u32::try_from(shard).unwrap_or(0));
        unreadable(&self.files[shard], &self.file_path(shard), file_bytes, error)
    }

    /// Shows a slot in place under its stripe's lock, where there is one and `is_kept` agrees.
    #[inline]
    pub(crate) fn view<R>(
        &self,
        place: Place,
        is_kept: impl FnOnce() -> bool,
        look: impl FnOnce(&[u8], u32) -> R,
    ) -> Option<R> {
        match &self.form {
            Form::Mapped(regions) => regions[place.shard].view(place.slot, is_kept, look),
            Form::ByPosition { .. } => None,
        }
    }

    /// Waits for the views of slots that the caller has claimed, before it writes them.
    pub(crate) fn wait_for_views(&self, ids: Range<u64>) {
        let Form::Mapped(regions) = &self.form else { return };
        for slots in self.runs_of(ids) {
            let wait = |first: Place, count| {
                regions[first.shard].wait_for_views(first.slot, count);
                Ok(())
            };
            // Nothing in it fails.
            let _ = self.run(slots, wait);
        }
    }

    /// Stores a slot that is claimed.
    #[inline]
    pub(crate) fn write(&self, place: Place, payload: &[u8], crc: u32) -> Result<()> {
        match &self.form {
            Form::Mapped(regions) => {
                regions[place.shard].write(place.slot, payload, crc);
                Ok(())
            }
            Form::ByPosition { window_bytes, window } => {
                self.write_unmapped(*window_bytes, window, place, payload, crc)
            }
        }
    }

    /// Stores a slot that is kept.
    pub(crate) fn write_alone(&self, place: Place, payload: &[u8], crc: u32) -> Result<()> {
        match &self.form {
            Form::Mapped(regions) => {
                regions[place.shard].write_alone(place.slot, payload, crc);
                Ok(())
            }
            Form::ByPosition { .. } => self.write(place, payload, crc),
        }
    }

    #[inline(never)]
    fn write_unmapped(
        &self,
        window_bytes: u64,
        window: &Mutex<Option<Window>>,
        place: Place,
        payload: &[u8],
        crc: u32,
    ) -> Result<()> {
        self.write_into(window_bytes, &mut window.lock(), place, payload, crc)
    }

    fn write_into(
        &self,
        window_bytes: u64,
        window: &mut Option<Window>,
        place: Place,
        payload: &[u8],
        crc: u32,
    ) -> Result<()> {
        if window_bytes == 0 {
            return self.write_at(place, &[payload, &crc.to_le_bytes()].concat());
        }
        let window = self.window_for(window_bytes, window, place)?;
        window.region.write(place.slot - window.slots.start, payload, crc);
        Ok(())
    }

    /// Whether neighbouring slots are best stored together, with `write_run`.
    pub(crate) fn take_runs(&self) -> bool {
        match &self.form {
            Form::Mapped(_) => false,
            Form::ByPosition { window_bytes, .. } => *window_bytes == 0,
        }
    }

    /// Stores neighbouring slots of one file, payloads and CRCs, by position.
    pub(crate) fn write_run(&self, first: Place, slots: &[u8]) -> Result<()> {
        let _alone = match &self.form {
            Form::Mapped(_) => None,
            Form::ByPosition { window, .. } => Some(window.lock()),
        };
        self.write_at(first, slots)
    }

    fn write_at(&self, first: Place, slots: &[u8]) -> Result<()> {
        let written = self.files[first.shard].write_at(slots, self.offset_of(first));
        written.map_err(self.failed("write", first.shard))
    }

    /// Stores a slot's own bytes once more, so that the next sync writes them, if `is_kept` agrees.
    pub(crate) fn write_again(&self, place: Place, is_kept: impl FnOnce() -> bool) -> Result<()> {
        match &self.form {
            Form::Mapped(regions) => {
                regions[place.shard].write_again(place.slot, is_kept);
                Ok(())
            }
            Form::ByPosition { window_bytes, window } => {
                let mut window = window.lock();
                if !is_kept() {
                    return Ok(());
                }
                let mut payload = vec![0; self.geometry.record_size];
                // The claim that covers these bytes was stored by another thread: whoever sees a
                // word that is stored here has to see that claim too.
                fence(Ordering::Release);
                let crc = self.read(place, &mut payload)?;
                self.write_into(*window_bytes, &mut window, place, &payload, crc)
            }
        }
    }

    /// The window with this slot; the one before it goes first.
    #[inline]
    fn window_for<'a>(
        &self,
        window_bytes: u64,
        window: &'a mut Option<Window>,
        place: Place,
    ) -> Result<&'a Window> {
        let holds =
            |window: &Window| window.shard == place.shard && window.slots.contains(&place.slot);
        match window.take().filter(holds) {
            Some(same) => Ok(window.insert(same)),
            None => Ok(window.insert(self.map_window(window_bytes, place)?)),
        }
    }

    #[cold]
    fn map_window(&self, window_bytes: u64, place: Place) -> Result<Window> {
        let shard = place.shard;
        self.check_length(shard)?;
        let index = u32::try_from(shard).unwrap_or(u32::MAX);
        let (size, slots_offset) = (
            self.geometry.slot_size() as u64,
            layout::slots_offset(index, self.geometry.record_size),
        );
        // A folio that a mapping holds whole takes one fault and not one for each page.
        let block = self.offset_of(place) / window_bytes * window_bytes;
        let slot_from = |offset: u64| offset.saturating_sub(slots_offset).div_ceil(size);
        let slots =
            slot_from(block)..slot_from(block + window_bytes).min(self.geometry.slots_in(index));
        let begin = block / layout::PAGE as u64 * layout::PAGE as u64;
        let first = slots_offset + slots.start * size - begin;
        let end = slots_offset + slots.end * size;
        let region = self.files[shard].map(begin..end, Access::Write);
        let region = region.map_err(self.failed("map", shard))?;
        let number = |slot| usize::try_from(slot).unwrap_or(usize::MAX);
        let region = SlotRegion::new(region, number(first), self.geometry.slot_size());
        Ok(Window { shard, slots: number(slots.start)..number(slots.end), region })
    }

    /// Refuses to store into a file that somebody cut short: the store would make it longer again,
    /// or end in a signal.
    pub(crate) fn check_length(&self, shard: usize) -> Result<()> {
        let index = u32::try_from(shard).unwrap_or(u32::MAX);
        let expected_bytes = layout::file_bytes(&self.geometry, index);
        let found_bytes = self.files[shard].length().map_err(self.failed("look at", shard))?;
        if found_bytes < expected_bytes {
            let path = self.file_path(shard);
            return Err(Error::CutShort { path, found_bytes, expected_bytes });
        }
        Ok(())
    }

    /// For `map_err`: what was done to a shard's file failed. Its path is made only then.
    fn failed(&self, action: &'static str, shard: usize) -> impl FnOnce(io::Error) -> Error {
        move |error| Error::io(action, &self.file_path(shard))(error)
    }

    /// The slots of ids: up to the last one, and from the first one on.
    pub(crate) fn runs_of(&self, ids: Range<u64>) -> [Range<u64>; 2] {
        let slots = self.geometry.slots;
        let count = (ids.end - ids.start).min(slots);
        let first = self.lookup.slot_of(Id(ids.end - count)).0;
        let straight = count.min(slots - first);
        [first..first + straight, 0..count - straight]
    }

    /// Makes neighbouring slots that do not wrap durable, and maybe more.
    pub(crate) fn sync(&self, slots: Range<u64>) -> Result<()> {
        self.run(slots, |first, count| {
            let sync = || match &self.form {
                Form::Mapped(regions) => regions[first.shard].sync(first.slot, count),
                Form::ByPosition { .. } => self.files[first.shard].sync(),
            };
            let again = planted("failed_sync_tried_again");
            if again { sync().or_else(|_| sync()) } else { sync() }
        })
    }

    /// Makes everything in all files durable.
    pub(crate) fn sync_files(&self) -> Result<()> {
        let mut files = self.files.iter().enumerate();
        files.try_for_each(|(shard, file)| file.sync().map_err(self.failed("sync", shard)))
    }

    /// Waits until neighbouring slots are no longer dirty in the page cache.
    pub(crate) fn write_back(&self, slots: Range<u64>) -> Result<()> {
        self.run(slots, |first, count| {
            let begin = self.offset_of(first);
            let bytes = (count * self.geometry.slot_size()) as u64;
            self.files[first.shard].write_back(begin..begin + bytes)
        })
    }

    /// Has the folios mapped and writable in which neighbouring slots begin, each of them whole and
    /// once: up to the one where the next slots begin.
    pub(crate) fn make_ready(&self, slots: Range<u64>) -> Result<()> {
        let Form::Mapped(regions) = &self.form else { return Ok(()) };
        self.run(slots, |first, count| {
            let (index, file) = (u32::try_from(first.shard).unwrap_or(u32::MAX), first.shard);
            let begin = layout::slots_offset(index, self.geometry.record_size);
            let folio = |offset: u64| (offset / FOLIO_BYTES * FOLIO_BYTES).max(begin);
            let end = self.offset_of(first) + (count * self.geometry.slot_size()) as u64;
            let file_end = layout::file_bytes(&self.geometry, index);
            let bytes = folio(self.offset_of(first))..if end < file_end { folio(end) } else { end };
            if bytes.is_empty() {
                return Ok(());
            }
            // Pages that were written back are mapped and not writable. The kernel makes them so
            // one by one; mapped anew, a folio takes one fault. It tells since Linux 6.5, which is
            // before it maps folios whole.
            let remap = !self.files[file].is_dirty(bytes.clone()).unwrap_or(true);
            let number = |offset: u64| usize::try_from(offset - begin).unwrap_or(usize::MAX);
            regions[file].make_ready(number(bytes.start)..number(bytes.end), remap)
        })
    }

    /// Does something to neighbouring slots, file by file.
    fn run(
        &self,
        slots: Range<u64>,
        mut action: impl FnMut(Place, usize) -> io::Result<()>,
    ) -> Result<()> {
        let mut first = slots.start;
        while first < slots.end {
            let place = self.lookup.place_of(SlotIndex(first));
            let here = (slots.end - first).min(self.geometry.slots_per_shard - place.slot as u64);
            let count = usize::try_from(here).unwrap_or(usize::MAX);
            let wrong = planted("wrong_file_synced_at_a_boundary");
            let place = if wrong { self.lookup.place_of(SlotIndex(slots.start)) } else { place };
            action(place, count).map_err(self.failed("sync", place.shard))?;
            first += here;
        }
        Ok(())
    }
}

/// `cache.dat`, `cache.dat.1`, `cache.dat.2`, ..
pub(crate) fn shard_path(path: &Path, shard: u32) -> PathBuf {
    if shard == 0 {
        return path.into();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{shard}"));
    name.into()
}
