//! What the themes share: a place for an archive, payloads that tell their id, looks at a whole
//! ring, and bounded waits.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use ringkeep::{Producer, Read, ReadOptions, Result, Ring, RingOptions, WriteOptions};
use ringkeep_torture::form::{Form, InForm as _};
use tempfile::TempDir;

/// Longer than anything a test waits for takes, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a page of the format.
pub(crate) const PAGE: u64 = 4096;

/// Names the form in which every archive of this run is opened, unless a test says otherwise.
pub(crate) const FORM: &str = "RINGKEEP_FORM";

/// The form of this run.
pub(crate) fn form() -> Form {
    let Ok(name) = std::env::var(FORM) else {
        return Form::Mapped;
    };
    Form::of_name(&name).expect("the name of a form")
}

/// Whether views show records in place, under a lock.
pub(crate) fn shows_in_place() -> bool {
    form() == Form::Mapped
}

/// A ring to be, in the form of this run.
pub(crate) fn ring_options(record_size: usize, capacity: u64) -> RingOptions {
    RingOptions::new(record_size, capacity).in_form(form())
}

pub(crate) fn open_producer(path: impl AsRef<Path>) -> Result<Producer> {
    WriteOptions::new().in_form(form()).open(path)
}

pub(crate) fn read_options() -> ReadOptions {
    ReadOptions::new().in_form(form())
}

pub(crate) fn open_ring(path: impl AsRef<Path>) -> Result<Ring> {
    read_options().open(path)
}

/// A directory of its own for one archive; gone with the value.
#[derive(Debug)]
pub(crate) struct Home(TempDir);

impl Home {
    /// In memory where the machine has such a place: most tests do not care.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self(directory.expect("a temporary directory"))
    }

    /// On the disk: with a real page cache, and times that change with every store.
    pub(crate) fn on_disk() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn directory(&self) -> &Path {
        self.0.path()
    }

    /// The archive's path.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("cache.dat")
    }

    /// Path of one of its files.
    pub(crate) fn shard(&self, index: u32) -> PathBuf {
        shard_of(&self.path(), index)
    }

    /// Everything about every file of the directory that a careless opening could change.
    pub(crate) fn state(&self) -> BTreeMap<PathBuf, FileState> {
        state_of(self.directory())
    }

    /// The same beside a producer that does nothing more, once its threads have nothing left to do.
    pub(crate) fn settled_state(&self) -> BTreeMap<PathBuf, FileState> {
        loop {
            let before = self.state();
            thread::park_timeout(Duration::from_millis(100));
            if self.state() == before {
                return before;
            }
        }
    }

    /// Names of all files.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into();
        self.state().keys().map(name).collect()
    }
}

pub(crate) fn shard_of(path: &Path, index: u32) -> PathBuf {
    match index {
        0 => path.into(),
        _ => PathBuf::from(format!("{}.{index}", path.display())),
    }
}

/// A file as it is on the disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileState {
    inode: u64,
    mode: u32,
    modified: (i64, i64),
    changed: (i64, i64),
    content: Option<Vec<u8>>,
}

/// The state of each entry of a directory. Directories have no content; fifos are not read.
pub(crate) fn state_of(directory: &Path) -> BTreeMap<PathBuf, FileState> {
    let entries = fs::read_dir(directory).expect("the directory can be listed");
    let state = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        let metadata = fs::symlink_metadata(&path).expect("an entry can be looked at");
        let content = metadata.is_file().then(|| fs::read(&path));
        let state = FileState {
            inode: metadata.ino(),
            mode: metadata.mode(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            content: content.map(|bytes| bytes.expect("a file can be read")),
        };
        (path, state)
    };
    entries.map(state).collect()
}

/// A payload that no other id has, as far as `size` bytes can tell ids apart.
pub(crate) fn payload(id: u64, size: usize) -> Vec<u8> {
    payload_of_version(id, 0, size)
}

/// As `payload`, for the rewrites of an id.
pub(crate) fn payload_of_version(id: u64, version: u64, size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(id ^ version.rotate_left(40));
    let mut bytes = vec![0; size];
    random.fill(&mut bytes);
    // Some begin with their id: a checksum that XORs it in would cancel.
    if size >= 8 && id.is_multiple_of(2) {
        bytes[..8].copy_from_slice(&id.to_le_bytes());
    }
    bytes
}

/// The payloads of neighbouring ids, back to back.
pub(crate) fn payloads(ids: std::ops::Range<u64>, size: usize) -> Vec<u8> {
    ids.flat_map(|id| payload(id, size)).collect()
}

/// Requires that the ring keeps exactly these ids, each with the payload of its id, and that what
/// lies beside them is told apart.
#[track_caller]
pub(crate) fn assert_keeps(ring: &Ring, ids: std::ops::Range<u64>) {
    let size = ring.geometry().record_size;
    assert_eq!(window(ring), ids, "the ids kept");
    for id in ids.clone() {
        let read = ring.read(id).expect("a read");
        assert_eq!(read, Read::Record(payload(id, size)), "record {id}");
    }
    assert_beside(ring, ids);
}

/// Requires the right outcome for ids below and above those that are kept.
#[track_caller]
pub(crate) fn assert_beside(ring: &Ring, ids: std::ops::Range<u64>) {
    let (oldest, next) = (ids.start, ids.end);
    for id in [next, next + 1, next + ring.geometry().slots, u64::MAX] {
        assert_eq!(ring.read(id).expect("a read"), Read::NotYet { next });
    }
    for id in [0, oldest / 2, oldest.saturating_sub(1)] {
        if id < oldest {
            let missed = oldest - id;
            let lapped = Read::Lapped { oldest, missed };
            assert_eq!(ring.read(id).expect("a read"), lapped, "id {id}");
        }
    }
}

/// The ids kept.
pub(crate) fn window(ring: &Ring) -> std::ops::Range<u64> {
    ring.oldest().expect("the oldest id")..ring.next_id().expect("the next id")
}

/// Waits until something holds; fails after much longer than it can take.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it never came: {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// Where the slots begin in a file, as docs/FORMAT.md says.
pub(crate) fn slots_offset(shard: u32, record_size: usize) -> u64 {
    match shard {
        0 => (4 * PAGE + 8 + record_size as u64 + 4).next_multiple_of(PAGE),
        _ => PAGE,
    }
}

/// Where the slot of an id lies, as docs/FORMAT.md says.
pub(crate) fn place_of(ring: &Ring, id: u64) -> (PathBuf, u64) {
    let geometry = ring.geometry();
    let slot = id % geometry.slots;
    let shard = u32::try_from(slot / geometry.slots_per_shard).expect("few shards");
    let place = slot % geometry.slots_per_shard;
    let offset =
        slots_offset(shard, geometry.record_size) + place * (geometry.record_size as u64 + 4);
    (shard_of(ring.path(), shard), offset)
}

/// Reads bytes of a file.
pub(crate) fn peek(path: &Path, offset: u64, length: usize) -> Vec<u8> {
    let file = fs::File::open(path).expect("the file can be opened");
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset).expect("the file can be read");
    bytes
}

/// Overwrites bytes of a file.
pub(crate) fn poke(path: &Path, offset: u64, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(path).expect("the file can be opened");
    file.write_all_at(bytes, offset).expect("the file can be written");
}

/// Flips bits of one byte.
pub(crate) fn flip(path: &Path, offset: u64, bits: u8) {
    poke(path, offset, &[peek(path, offset, 1)[0] ^ bits]);
}

/// Says loudly that a test could not run here, for want of a right or of the kernel's help. Past
/// the test runner, which shows what a test prints only when it fails.
pub(crate) fn skip(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}: {why}");
}
