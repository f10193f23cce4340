//! A simulated disk: the same stores as on a real one, and power cuts at any of them.
//!
//! A file is a row of sectors. A store goes to the page cache, word by word, through the very
//! [`Region`] code that release builds run; each sector remembers every version it had since its
//! last completed sync.
//!
//! * **A process dies** at any step: its later stores are dropped and its syncs fail. The cache
//!   stays.
//! * **A power cut** leaves each sector at any of its versions, each on its own: that is any subset
//!   of what was not synced, in any order, torn. Lengths and names that were not synced persist or
//!   not, each on its own too; a rename is one step. The boot id changes.
//! * **A power cut that tears** leaves garbage in some of the pages that were on their way, sectors
//!   that nobody stored to included.
//! * **A sync that fails** leaves its sectors at any version and calls them clean, so that the next
//!   sync of them reports success: that is what Linux does.
//!
//! Nothing here runs by itself: background work is stepped by the driver, so a seed repeats a run.

mod file;
mod state;

use std::{
    ffi::OsString,
    fmt, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use parking_lot::Mutex;

pub(crate) use file::SimFile;
use state::{Fault, Inode, Rename, State};

use super::{
    raw::Watch,
    seam::{Access, BootId, FileId},
};

/// How a simulated process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// The process dies; the page cache does not.
    Kill,
    /// The power fails.
    Cut,
}

/// One process's way to a simulated disk. Clones belong to the same process.
#[derive(Clone)]
pub struct SimDisk {
    shared: Arc<Shared>,
    process: Arc<Process>,
}

#[derive(Debug, Default)]
struct Process {
    dead: AtomicBool,
}

struct Shared {
    state: Mutex<State>,
    observer: Mutex<Option<Observer>>,
    handles: AtomicU64,
}

type Observer = Box<dyn FnMut(&SimDisk) + Send>;

impl SimDisk {
    /// How large it is.
    pub const BYTES: u64 = 1 << 40;

    /// An empty disk. Sectors of `sector_bytes` are written whole or not at all.
    #[must_use]
    pub fn new(seed: u64, sector_bytes: usize) -> Self {
        let shared = Shared {
            state: Mutex::new(State::new(seed, sector_bytes)),
            observer: Mutex::new(None),
            handles: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared), process: Arc::default() }
    }

    /// A disk whose power must not fail: it remembers no versions, and is faster for it.
    #[must_use]
    pub fn reliable(seed: u64) -> Self {
        let disk = Self::new(seed, 512);
        disk.shared.state.lock().is_reliable = true;
        disk
    }

    /// Another process on the same disk.
    #[must_use]
    pub fn other_process(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), process: Arc::default() }
    }

    /// Lets `crash` happen at the given step from now on: each store of a word, and the beginning
    /// and the end of each sync, is a step.
    pub fn arm(&self, crash: Crash, steps: u64) {
        let mut state = self.shared.state.lock();
        (state.fuse, state.fired) = (Some((crash, steps.max(1))), None);
    }

    /// Takes the fuse out; the crash that it brought about, if it did.
    #[must_use]
    pub fn disarm(&self) -> Option<Crash> {
        let mut state = self.shared.state.lock();
        state.fuse = None;
        state.fired.take()
    }

    /// Lets the next sync fail: it leaves its sectors at any version and calls them clean.
    pub fn fail_next_sync(&self, fail: bool) {
        self.shared.state.lock().fail_next_sync = fail;
    }

    /// Lets every allocation fail for want of space.
    pub fn fill_up(&self) {
        self.shared.state.lock().no_space = true;
    }

    /// Lets every mapping from now on fail with an error of the operating system.
    pub fn refuse_mappings(&self, code: Option<i32>) {
        self.shared.state.lock().no_mapping = code;
    }

    /// Lets a call of this disk fail with an error of the operating system, after so many that do
    /// not; and all later ones, if it is `for_good`. Stores through mappings are no calls.
    pub fn fail_a_call(&self, after: u64, for_good: bool, code: i32) {
        self.shared.state.lock().fault = Some(Fault { left: after, for_good, code, hits: 0 });
    }

    /// How many calls have failed for that; from now on all succeed.
    #[must_use]
    pub fn mend_calls(&self) -> u64 {
        self.shared.state.lock().fault.take().map_or(0, |fault| fault.hits)
    }

    /// Overwrites bytes of a file, in the cache and on the disk, as a bad medium or another program
    /// would. Bytes past its end are not stored.
    ///
    /// # Panics
    ///
    /// If there is no such file.
    pub fn poke(&self, path: &Path, offset: usize, bytes: &[u8]) {
        let mut state = self.shared.state.lock();
        let inode = state.find(path).expect("a file to damage");
        state.inodes[inode].overwrite(offset, bytes);
    }

    /// How many bytes each file without a name has that somebody has open.
    #[must_use]
    pub fn unnamed_files(&self) -> Vec<usize> {
        let state = self.shared.state.lock();
        let unnamed = state.inodes.iter().filter(|inode| inode.is_unnamed);
        unnamed.map(|inode| inode.length).collect()
    }

    /// Flips a bit of the byte at `offset` of every file without a name that is so long.
    pub fn flip_unnamed(&self, offset: usize, bit: u32) {
        let mut byte = [0];
        let state = self.shared.state.lock();
        let longer = |inode: &&Inode| inode.is_unnamed && inode.length > offset;
        for inode in state.inodes.iter().filter(longer) {
            inode.cache.load(offset, &mut byte);
            inode.cache.put(offset, &[byte[0] ^ (1 << bit)]);
        }
    }

    /// Cuts every file without a name short.
    pub fn cut_unnamed(&self, length: usize) {
        let mut state = self.shared.state.lock();
        for inode in state.inodes.iter_mut().filter(|inode| inode.is_unnamed) {
            inode.length = inode.length.min(length);
        }
    }

    /// Cuts a file short, or gives it back the length it had.
    ///
    /// # Panics
    ///
    /// If there is no such file.
    pub fn set_length(&self, path: &Path, length: usize) {
        let mut state = self.shared.state.lock();
        let inode = state.find(path).expect("a file to cut short");
        (state.inodes[inode].length, state.inodes[inode].durable_length) = (length, length);
    }

    /// What `statfs` tells of the file system.
    pub fn set_file_system_type(&self, kind: u64) {
        self.shared.state.lock().file_system_type = kind;
    }

    /// Moves the clock on.
    pub fn advance(&self, time: Duration) {
        self.shared.state.lock().now += time;
    }

    /// Ends this process; its later stores are dropped.
    pub fn kill(&self) {
        self.process.dead.store(true, SeqCst);
    }

    /// Whether this process came to its end.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.process.dead.load(SeqCst)
    }

    /// The power fails: what was not synced persists in part. This process is dead.
    ///
    /// # Panics
    ///
    /// On a disk that was made reliable.
    pub fn cut_power(&self) {
        self.end_boot(false);
    }

    /// As `cut_power`; and some of the pages that were on their way to the disk end as garbage:
    /// where, in files that have a name.
    ///
    /// # Panics
    ///
    /// On a disk that was made reliable.
    #[must_use]
    pub fn tear_power(&self) -> Vec<(PathBuf, Range<usize>)> {
        self.end_boot(true)
    }

    fn end_boot(&self, tears: bool) -> Vec<(PathBuf, Range<usize>)> {
        self.kill();
        let mut state = self.shared.state.lock();
        // Often the oldest or the newest version.
        let mut random = state.random.fork();
        let mut choose = |versions| match random.u8(0..10) {
            0..6 => random.usize(0..=versions),
            6..8 => 0,
            _ => versions,
        };
        state.end_boot(&mut choose, tears)
    }

    /// What a power cut now would choose between: of each length, sector and name that was not
    /// synced, the number of versions besides the synced one.
    ///
    /// # Panics
    ///
    /// On a disk that was made reliable.
    #[must_use]
    pub fn versions_in_flight(&self) -> Vec<usize> {
        let mut counts = Vec::new();
        let mut count = |versions| {
            counts.push(versions);
            0
        };
        self.shared.state.lock().copy().end_boot(&mut count, false);
        counts
    }

    /// The power fails, and of each of these this version stays; 0 is the synced one.
    ///
    /// # Panics
    ///
    /// If there are more things in flight.
    pub fn cut_power_to(&self, kept: &[usize]) {
        self.kill();
        let mut kept = kept.iter();
        let mut choose = |_| *kept.next().expect("a version for each thing in flight");
        self.shared.state.lock().end_boot(&mut choose, false);
    }

    /// A disk of its own in the same state, with nobody on it.
    #[must_use]
    pub fn copy(&self) -> Self {
        let shared = Shared {
            state: Mutex::new(self.shared.state.lock().copy()),
            observer: Mutex::new(None),
            handles: AtomicU64::new(self.shared.handles.load(SeqCst)),
        };
        Self { shared: Arc::new(shared), process: Arc::default() }
    }

    /// Calls `observer` after every step, from inside it, with the process that took the step,
    /// until another one is set. It must not keep the disk, which keeps it.
    pub fn observe(&self, observer: impl FnMut(&Self) + Send + 'static) {
        *self.shared.observer.lock() = Some(Box::new(observer));
    }

    /// Every file as the cache has it.
    #[must_use]
    pub fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.shared.state.lock();
        let bytes = |inode: &Inode| {
            let mut bytes = vec![0; inode.length];
            inode.cache.load(0, &mut bytes);
            bytes
        };
        state.names.iter().map(|(path, &at)| (path.clone(), bytes(&state.inodes[at]))).collect()
    }

    /// Puts a file in place, whole and durable.
    pub fn put_file(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.shared.state.lock();
        state.put_file(path, bytes);
    }

    /// Bytes of a file as the cache has them; zeros where there is none.
    pub fn peek(&self, path: &Path, offset: usize, out: &mut [u8]) {
        let state = self.shared.state.lock();
        out.fill(0);
        if let Ok(inode) = state.find(path) {
            let inode = &state.inodes[inode];
            let there = out.len().min(inode.length.saturating_sub(offset));
            inode.cache.load(offset, &mut out[..there]);
        }
    }

    /// One step in which a process can die, the power fail, or a reader look.
    fn step(&self) {
        let mut state = self.shared.state.lock();
        if let Some((crash, left)) = &mut state.fuse {
            *left -= 1;
            if *left == 0 {
                state.fired = Some(*crash);
                state.fuse = None;
                self.kill();
            }
        }
        drop(state);
        // Taken out meanwhile: the observer reads the disk, which takes no steps.
        let observer = self.shared.observer.lock().take();
        if let Some(mut observer) = observer {
            observer(self);
            self.shared.observer.lock().get_or_insert(observer);
        }
    }

    /// Runs a change of names or files, unless the process is dead; then a step.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.call()?;
        let result = change(&mut self.shared.state.lock());
        self.step();
        result
    }

    fn alive(&self) -> io::Result<()> {
        if self.is_dead() { Err(io::Error::other("the process is dead")) } else { Ok(()) }
    }

    /// A call of this disk, which may be the one that is to fail.
    fn call(&self) -> io::Result<()> {
        #[cfg(all(test, shuttle))]
        super::locks::step();
        self.alive()?;
        let fault = self.shared.state.lock().next_fault();
        fault.map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code)))
    }

    fn file(&self, inode: usize) -> SimFile {
        SimFile { disk: self.clone(), inode, handle: self.shared.handles.fetch_add(1, SeqCst) }
    }

    pub(crate) fn open(&self, path: &Path, _access: Access) -> io::Result<SimFile> {
        self.call()?;
        let inode = self.shared.state.lock().find(path)?;
        Ok(self.file(inode))
    }

    pub(crate) fn create(&self, path: &Path) -> io::Result<SimFile> {
        let inode = self.change(|state| {
            state.find(path).or_else(|_| {
                state.inodes.push(Inode::new());
                let inode = state.inodes.len() - 1;
                state.rename(Rename { from: None, to: Some((path.into(), inode)) });
                Ok(inode)
            })
        })?;
        Ok(self.file(inode))
    }

    pub(crate) fn open_unnamed(&self, _directory: &Path) -> io::Result<SimFile> {
        let inode = self.change(|state| {
            state.inodes.push(Inode { is_unnamed: true, ..Inode::new() });
            Ok(state.inodes.len() - 1)
        })?;
        Ok(self.file(inode))
    }

    pub(crate) fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            let inode = state.find(from)?;
            if state.names.contains_key(to) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.rename(Rename { from: Some(from.into()), to: Some((to.into(), inode)) });
            Ok(())
        })
    }

    pub(crate) fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            let inode = state.find(from)?;
            state.rename(Rename { from: Some(from.into()), to: Some((to.into(), inode)) });
            Ok(())
        })
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(|state| {
            state.find(path)?;
            state.rename(Rename { from: Some(path.into()), to: None });
            Ok(())
        })
    }

    /// Directories need no names here.
    pub(crate) fn create_directory(&self, _path: &Path) -> io::Result<()> {
        self.call()
    }

    pub(crate) fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.call()?;
        let state = self.shared.state.lock();
        let inside = state.names.keys().filter(|path| path.parent() == Some(directory));
        Ok(inside.filter_map(|path| path.file_name().map(Into::into)).collect())
    }

    pub(crate) fn sync_directory(&self, _directory: &Path) -> io::Result<()> {
        self.step();
        self.change(|state| {
            state.renames.clear();
            state.durable_names.clone_from(&state.names);
            Ok(())
        })
    }

    pub(crate) fn identify(&self, path: &Path) -> io::Result<FileId> {
        self.call()?;
        Ok(file_id(self.shared.state.lock().find(path)?))
    }

    pub(crate) fn file_system_type(&self, _directory: &Path) -> io::Result<u64> {
        self.call()?;
        Ok(self.shared.state.lock().file_system_type)
    }

    pub(crate) fn free_bytes(&self, _directory: &Path) -> io::Result<u64> {
        self.call()?;
        let files = self.contents();
        let taken: u64 = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        Ok(if self.shared.state.lock().no_space { 0 } else { Self::BYTES - taken })
    }

    pub(crate) fn boot_id(&self) -> io::Result<BootId> {
        self.call()?;
        let boot = self.shared.state.lock().boot;
        Ok([boot, !boot])
    }

    pub(crate) fn random_bytes(&self, out: &mut [u8]) -> io::Result<()> {
        self.call()?;
        self.shared.state.lock().random.fill(out);
        Ok(())
    }

    pub(crate) fn resident_bytes(&self, _mappings: &[Range<usize>]) -> io::Result<u64> {
        self.alive()?;
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn unix_ns(&self) -> u64 {
        u64::try_from(self.now().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(crate) fn now(&self) -> Duration {
        self.shared.state.lock().now
    }
}

impl SimDisk {
    fn sync_range(&self, inode: usize, offset: usize, length: usize) -> io::Result<()> {
        self.step();
        #[cfg(all(test, shuttle))]
        super::locks::step();
        self.alive()?;
        let synced = {
            let mut state = self.shared.state.lock();
            let fault = state.next_fault();
            state.fail_next_sync |= fault.is_some();
            state.sync(inode, offset, length)
        };
        self.step();
        synced
    }
}

/// A region's way back to its disk.
#[derive(Debug)]
struct Mapping {
    disk: SimDisk,
    inode: usize,
    /// Where it begins in the file.
    first: usize,
}

impl Watch for Mapping {
    fn may_store(&self) -> bool {
        !self.disk.is_dead()
    }

    fn stored(&self, offset: usize, length: usize) {
        self.disk.shared.state.lock().remember(self.inode, self.first + offset, length);
        self.disk.step();
    }

    fn loaded(&self, _length: usize) {}

    fn sync(&self, offset: usize, length: usize) -> io::Result<()> {
        self.disk.sync_range(self.inode, self.first + offset, length)
    }
}

fn file_id(inode: usize) -> FileId {
    FileId { device: 1, inode: inode as u64 + 1 }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").field("dead", &self.is_dead()).finish_non_exhaustive()
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile").field("inode", &self.inode).finish_non_exhaustive()
    }
}
