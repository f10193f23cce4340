//! What a simulated disk holds: sectors with their versions, names with their changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{Crash, Process};
use crate::disk::raw::Heap;

/// What `statfs` tells of ext4.
const EXT4: u64 = 0xEF53;
/// What a kernel writes at once, at least.
const PAGE: usize = 4096;

pub(super) struct State {
    pub(super) random: fastrand::Rng,
    pub(super) sector_bytes: usize,
    pub(super) inodes: Vec<Inode>,
    pub(super) names: BTreeMap<PathBuf, usize>,
    pub(super) durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names since the last sync of the directory.
    pub(super) renames: Vec<Rename>,
    pub(super) boot: u64,
    pub(super) fuse: Option<(Crash, u64)>,
    /// The crash that the fuse brought about.
    pub(super) fired: Option<Crash>,
    pub(super) fail_next_sync: bool,
    pub(super) no_space: bool,
    /// The call that is to fail.
    pub(super) fault: Option<Fault>,
    /// The error of every mapping.
    pub(super) no_mapping: Option<i32>,
    pub(super) is_reliable: bool,
    pub(super) file_system_type: u64,
    pub(super) now: Duration,
}

/// A call that is to fail, and perhaps all after it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) left: u64,
    pub(super) for_good: bool,
    pub(super) code: i32,
    pub(super) hits: u64,
}

/// A name that appears (`to`), goes (`from`), or both in one step.
#[derive(Debug, Clone)]
pub(super) struct Rename {
    pub(super) from: Option<PathBuf>,
    pub(super) to: Option<(PathBuf, usize)>,
}

pub(super) struct Inode {
    pub(super) cache: Arc<Heap>,
    pub(super) length: usize,
    pub(super) durable_length: usize,
    pub(super) durable: Vec<u8>,
    /// What each sector was since the last sync; the last one is in the cache.
    pub(super) versions: BTreeMap<usize, Vec<Vec<u8>>>,
    pub(super) lock: Option<(u64, Arc<Process>)>,
    /// It goes when it is closed.
    pub(super) is_unnamed: bool,
}

impl State {
    pub(super) fn new(seed: u64, sector_bytes: usize) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            sector_bytes,
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            renames: Vec::new(),
            boot: 1,
            fuse: None,
            fired: None,
            fail_next_sync: false,
            no_space: false,
            fault: None,
            no_mapping: None,
            is_reliable: false,
            file_system_type: EXT4,
            now: Duration::ZERO,
        }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn rename(&mut self, rename: Rename) {
        rename.apply(&mut self.names);
        self.renames.push(rename);
    }

    /// The power fails; `choose` says which of so many versions each thing stays at. If it `tears`,
    /// some of the pages in flight end as garbage: where, in files that have a name.
    pub(super) fn end_boot(
        &mut self,
        choose: &mut impl FnMut(usize) -> usize,
        tears: bool,
    ) -> Vec<(PathBuf, Range<usize>)> {
        assert!(!self.is_reliable, "this disk remembers nothing to lose");
        self.boot += 1;
        let mut torn = Vec::new();
        for inode in &mut self.inodes {
            let in_flight = inode.pages_in_flight(self.sector_bytes);
            inode.cut(self.sector_bytes, choose);
            torn.push(if tears {
                inode.tear(&mut self.random, self.sector_bytes, &in_flight)
            } else {
                Vec::new()
            });
            inode.forget_cache();
        }
        for rename in std::mem::take(&mut self.renames) {
            if choose(1) == 1 {
                rename.apply(&mut self.durable_names);
            }
        }
        self.names.clone_from(&self.durable_names);
        let names = self.names.iter();
        let of_file = |(path, inode): (&PathBuf, &usize)| {
            let path = path.clone();
            std::mem::take(&mut torn[*inode]).into_iter().map(move |range| (path.clone(), range))
        };
        names.flat_map(of_file).collect()
    }

    /// The same state, apart from this one.
    pub(super) fn copy(&self) -> Self {
        Self {
            random: self.random.clone(),
            inodes: self.inodes.iter().map(Inode::copy).collect(),
            names: self.names.clone(),
            durable_names: self.durable_names.clone(),
            renames: self.renames.clone(),
            fuse: None,
            fault: None,
            fired: None,
            ..*self
        }
    }

    /// Counts a call; the error it fails with, if it is to.
    pub(super) fn next_fault(&mut self) -> Option<i32> {
        let fault = self.fault.as_mut()?;
        let fails = fault.left == 0 && (fault.for_good || fault.hits == 0);
        fault.left = fault.left.saturating_sub(1);
        fault.hits += u64::from(fails);
        fails.then_some(fault.code)
    }

    pub(super) fn put_file(&mut self, path: &Path, bytes: &[u8]) {
        let cache = Heap::new(bytes.len());
        cache.put(0, bytes);
        let (length, durable) = (bytes.len(), bytes.to_vec());
        self.inodes.push(Inode { cache, length, durable_length: length, durable, ..Inode::new() });
        let inode = self.inodes.len() - 1;
        self.names.insert(path.into(), inode);
        self.durable_names.insert(path.into(), inode);
    }

    /// Adds what the sectors of a range are now to their versions.
    pub(super) fn remember(&mut self, inode: usize, offset: usize, length: usize) {
        if self.is_reliable {
            return;
        }
        let bytes = self.sector_bytes;
        let inode = &mut self.inodes[inode];
        for sector in offset / bytes..=(offset + length - 1) / bytes {
            let start = sector * bytes;
            let mut version = vec![0; bytes.min(inode.length - start)];
            inode.cache.load(start, &mut version);
            let versions = inode.versions.entry(sector).or_default();
            if versions.last() != Some(&version) {
                versions.push(version);
            }
        }
    }

    /// Cuts a file short. A kernel fills the rest of its last page with zeros: that page is in
    /// flight.
    pub(super) fn truncate(&mut self, inode: usize, length: usize) {
        let sectors = length.div_ceil(self.sector_bytes);
        let file = &mut self.inodes[inode];
        file.length = file.length.min(length);
        drop(file.versions.split_off(&sectors));
        if !length.is_multiple_of(PAGE) {
            self.remember(inode, length - 1, 1);
        }
    }

    /// Makes a file longer; nobody has it mapped.
    pub(super) fn extend(&mut self, inode: usize, length: usize) {
        let inode = &mut self.inodes[inode];
        let mut bytes = vec![0; inode.length];
        inode.cache.load(0, &mut bytes);
        inode.cache = Heap::new(length);
        inode.cache.put(0, &bytes);
        inode.length = length;
    }

    /// Fills a range with zeros.
    pub(super) fn punch(&mut self, inode: usize, bytes: Range<usize>) {
        let end = bytes.end.min(self.inodes[inode].length);
        if bytes.start < end {
            self.inodes[inode].cache.put(bytes.start, &vec![0; end - bytes.start]);
            self.remember(inode, bytes.start, end - bytes.start);
        }
    }

    pub(super) fn sync(&mut self, inode: usize, offset: usize, length: usize) -> io::Result<()> {
        let bytes = self.sector_bytes;
        let failed = std::mem::take(&mut self.fail_next_sync);
        let inode = &mut self.inodes[inode];
        inode.durable_length = inode.length;
        inode.durable.resize(inode.length, 0);
        let sectors = offset / bytes..(offset + length).div_ceil(bytes);
        let dirty: Vec<usize> = inode.versions.range(sectors).map(|(&sector, _)| sector).collect();
        for sector in dirty {
            let versions = inode.versions.remove(&sector).unwrap_or_default();
            // A sync that fails leaves any of them, or what was there before.
            let last = versions.len().checked_sub(1);
            let kept =
                if failed { self.random.usize(0..=versions.len()).checked_sub(1) } else { last };
            if let Some(kept) = kept {
                inode.keep(sector * bytes, &versions[kept]);
            }
        }
        if failed {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        Ok(())
    }

    /// The cache lets go of what it takes for clean.
    #[cfg(feature = "store")]
    pub(super) fn forget(&mut self, inode: usize) {
        let bytes = self.sector_bytes;
        let inode = &self.inodes[inode];
        let there = inode.durable.len().min(inode.length);
        for (sector, durable) in inode.durable[..there].chunks(bytes).enumerate() {
            if !self.is_reliable && !inode.versions.contains_key(&sector) {
                inode.cache.put(sector * bytes, durable);
            }
        }
    }
}

impl Inode {
    pub(super) fn new() -> Self {
        Self {
            cache: Heap::new(0),
            length: 0,
            durable_length: 0,
            durable: Vec::new(),
            versions: BTreeMap::new(),
            lock: None,
            is_unnamed: false,
        }
    }

    fn copy(&self) -> Self {
        let mut bytes = vec![0; self.length];
        self.cache.load(0, &mut bytes);
        let cache = Heap::new(self.length);
        cache.put(0, &bytes);
        Self {
            cache,
            durable: self.durable.clone(),
            versions: self.versions.clone(),
            lock: None,
            ..*self
        }
    }

    pub(super) fn overwrite(&mut self, offset: usize, bytes: &[u8]) {
        let end = (offset + bytes.len()).min(self.durable.len()).max(offset);
        let bytes = &bytes[..end - offset];
        self.cache.put(offset, bytes);
        self.durable[offset..end].copy_from_slice(bytes);
    }

    /// Bytes reach the disk, but for those behind the end of a file that was cut short meanwhile.
    fn keep(&mut self, start: usize, version: &[u8]) {
        let Some(place) = self.durable.get_mut(start..) else { return };
        let length = place.len().min(version.len());
        place[..length].copy_from_slice(&version[..length]);
    }

    /// What the disk has after a power cut: for the length and for each sector `choose` says which
    /// of so many versions stays; 0 is what was synced.
    pub(super) fn cut(&mut self, sector_bytes: usize, choose: &mut impl FnMut(usize) -> usize) {
        if self.durable_length != self.length && choose(1) == 1 {
            self.durable_length = self.length;
        }
        self.length = self.durable_length;
        self.durable.resize(self.length, 0);
        for (sector, versions) in std::mem::take(&mut self.versions) {
            let kept = choose(versions.len());
            if let Some(version) = kept.checked_sub(1).map(|kept| &versions[kept]) {
                self.keep(sector * sector_bytes, version);
            }
        }
        self.lock = None;
    }

    /// After a cut the cache is what the disk has.
    pub(super) fn forget_cache(&mut self) {
        self.cache = Heap::new(self.length);
        self.cache.put(0, &self.durable);
    }

    /// Pages with sectors that were stored to since the last sync.
    pub(super) fn pages_in_flight(&self, sector_bytes: usize) -> BTreeSet<usize> {
        self.versions.keys().map(|sector| sector * sector_bytes / PAGE).collect()
    }

    /// Some of these pages end as garbage, in part or in whole: where. A kernel writes whole pages,
    /// so sectors of them that were not stored to are in flight too.
    pub(super) fn tear(
        &mut self,
        random: &mut fastrand::Rng,
        sector_bytes: usize,
        in_flight: &BTreeSet<usize>,
    ) -> Vec<Range<usize>> {
        let mut torn = Vec::new();
        for page in in_flight.iter().map(|page| page * PAGE) {
            if random.bool() {
                continue;
            }
            let of_eight = random.u8(1..=8);
            for begin in (page..(page + PAGE).min(self.length)).step_by(sector_bytes) {
                if random.u8(0..8) < of_eight {
                    let sector = begin..(begin + sector_bytes).min(self.length);
                    random.fill(&mut self.durable[sector.clone()]);
                    torn.push(sector);
                }
            }
        }
        torn
    }
}

impl Rename {
    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        if let Some(from) = &self.from {
            names.remove(from);
        }
        if let Some((to, inode)) = &self.to {
            names.insert(to.clone(), *inode);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::{PAGE, State};

    const SECTOR: usize = 512;

    fn in_flight(state: &State) -> BTreeSet<usize> {
        state.inodes[0].pages_in_flight(SECTOR)
    }

    #[test]
    fn after_a_sync_nothing_is_in_flight_of_a_file_that_was_cut_short() {
        let mut state = State::new(1, SECTOR);
        state.put_file(Path::new("/sim/file"), &[7; 3 * PAGE]);
        state.remember(0, 0, 3 * PAGE);
        assert_eq!(in_flight(&state), BTreeSet::from([0, 1, 2]));
        state.truncate(0, PAGE + 100);
        assert_eq!(in_flight(&state), BTreeSet::from([0, 1]), "what was cut off is not");
        state.sync(0, 0, PAGE + 100).expect("a sync");
        assert_eq!(in_flight(&state), BTreeSet::new());
    }

    #[test]
    fn the_page_that_a_file_is_cut_in_is_in_flight() {
        let mut state = State::new(1, SECTOR);
        state.put_file(Path::new("/sim/file"), &[7; 2 * PAGE]);
        state.truncate(0, PAGE);
        assert_eq!(in_flight(&state), BTreeSet::new(), "cut between two pages");
        state.truncate(0, PAGE - 1);
        assert_eq!(in_flight(&state), BTreeSet::from([0]));
    }
}
