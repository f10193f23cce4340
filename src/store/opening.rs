//! Opening a store: which file, whose lock, which format, and what redb makes of it.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    thread,
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use redb::{Builder, Database, StorageBackend};

use super::{
    Shared, Store,
    backend::{FileBackend, Overlay, Spilling, SpillingBackend, Watched},
    failure::attempt,
    options::StoreOptions,
    readers::Readers,
    turn::Turn,
};
use crate::{
    disk::{
        budget::{DiskBudget, Member, Membership, MemoryBudget, Share},
        naming::{self, Lock},
        seam::{Access, File, FileKind, refuse_network_file_system},
        ticker::Ticker,
    },
    error::{Error, Foreign, Result, StoreError},
};

/// Of a new file, less the umask.
pub(super) const MODE: u32 = 0o640;
/// How often a lock is tried while somebody waits for it: the kernel tells nobody when it is free.
const LOCK_POLL: Duration = Duration::from_millis(10);

/// What a file of redb begins with, and where its design document puts the rest.
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";
const GOD_BYTE: usize = 9;
const RECOVERY_REQUIRED: u8 = 2;
const SLOTS: [usize; 2] = [64, 192];
const HEADER_BYTES: usize = 320;
const VERSION: u8 = 3;

pub(super) fn open_or_make(options: &StoreOptions, path: &Path) -> Result<Store> {
    let deadline = options.disk.now() + options.lock_wait;
    let mut tries = naming::TRIES_MAX;
    loop {
        match open_existing(options, path) {
            Err(Error::Store(StoreError::NotFound { .. })) => {}
            opened => return opened,
        }
        match make(options, path) {
            Ok(()) => {}
            // Somebody else was faster, or the name leads nowhere.
            Err(Error::AlreadyExists { .. }) if tries > 0 => tries -= 1,
            // Somebody else is at it.
            Err(Error::Locked { .. }) if options.disk.now() < deadline => {
                thread::park_timeout(LOCK_POLL);
            }
            Err(error) => return Err(error),
        }
    }
}

/// An empty store, which appears whole or not at all.
fn make(options: &StoreOptions, path: &Path) -> Result<()> {
    naming::make(&options.disk, path, MODE, |file, temporary| {
        let backend = FileBackend { file: Arc::clone(file), path: temporary.into() };
        let database = attempt(path, || builder(options).create_with_backend(backend))?;
        attempt(path, || database.close())
    })
}

pub(super) fn open_existing(options: &StoreOptions, path: &Path) -> Result<Store> {
    store(options, path, Place::File(find(options, path, Access::Write)?))
}

/// A store whose file stays as it is: what a repair would store is kept in memory.
pub(super) fn look(options: &StoreOptions, path: &Path) -> Result<Store> {
    store(options, path, Place::Looked(find(options, path, Access::Read)?))
}

pub(super) fn in_memory(options: &StoreOptions) -> Result<Store> {
    let (memory, disk) = (MemoryBudget::new(u64::MAX), DiskBudget::new(0));
    let pages = Spilling::new(&options.disk, Path::new(""), memory.share(), &disk);
    let place = Place::Memory { pages: Arc::new(pages), _shares: None };
    store(options, Path::new("memory"), place)
}

pub(super) fn spilling(
    options: &StoreOptions,
    memory: &MemoryBudget,
    disk: &DiskBudget,
) -> Result<Store> {
    let cache_bytes = options.cache_bytes.min(memory.bytes() / 4);
    let mut cache = memory.share();
    cache.hold(cache_bytes);
    let directory = options.directory.clone().unwrap_or_else(std::env::temp_dir);
    let pages = Arc::new(Spilling::new(&options.disk, &directory, memory.share(), disk));
    let member: Arc<dyn Member> = Arc::clone(&pages) as _;
    let membership = memory.join(Arc::downgrade(&member));
    let place = Place::Memory { pages, _shares: Some((cache, membership)) };
    store(&options.clone().cache_bytes(cache_bytes), &directory, place)
}

/// The file of this name, locked, if its first bytes are a store's.
fn find(options: &StoreOptions, path: &Path, access: Access) -> Result<Arc<File>> {
    let disk = &options.disk;
    let deadline = disk.now() + options.lock_wait;
    loop {
        let file = disk.open(path, access).map_err(cannot_open(path))?;
        check_kind(&file, path)?;
        let lock = match access {
            Access::Write => naming::lock(disk, &file, path)?,
            Access::Read if file.try_lock_shared().map_err(Error::io("lock", path))? => Lock::Ours,
            Access::Read => Lock::Held,
        };
        match lock {
            Lock::Ours => {
                check_header(&file, path)?;
                return Ok(Arc::new(file));
            }
            Lock::Held if disk.now() >= deadline => return Err(file.locked(path)),
            Lock::Held => thread::park_timeout(LOCK_POLL),
            Lock::Stale => {}
        }
    }
}

fn cannot_open(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| match source.kind() {
        io::ErrorKind::NotFound => StoreError::NotFound { path: path.into() }.into(),
        io::ErrorKind::IsADirectory => not_a_store(path, Foreign::Directory),
        _ => Error::io("open", path)(source),
    }
}

fn not_a_store(path: &Path, found: Foreign) -> Error {
    StoreError::NotAStore { path: path.into(), found }.into()
}

fn check_kind(file: &File, path: &Path) -> Result<()> {
    match file.kind().map_err(Error::io("look at", path))? {
        FileKind::Regular => {}
        FileKind::Directory => return Err(not_a_store(path, Foreign::Directory)),
        FileKind::Special => return Err(not_a_store(path, Foreign::Special)),
    }
    let kind = file.file_system_type().map_err(Error::io("look at", path))?;
    refuse_network_file_system(kind, path)
}

/// Whether its last owner has ended without closing it, or after a call that failed. Sets things
/// straight then: what such a call has left unwritten in memory looks as if it were on the disk.
fn settle(file: &File, path: &Path) -> Result<()> {
    let mut god_byte = [0];
    file.read_at(&mut god_byte, GOD_BYTE as u64).map_err(Error::io("read", path))?;
    if god_byte[0] & RECOVERY_REQUIRED != 0 {
        file.sync().map_err(Error::io("sync", path))?;
        file.forget().map_err(Error::io("read again", path))?;
    }
    Ok(())
}

/// redb tells neither other files nor newer versions from damage.
fn check_header(file: &File, path: &Path) -> Result<()> {
    let mut header = [0; HEADER_BYTES];
    let length = file.length().map_err(Error::io("look at", path))?;
    if length < HEADER_BYTES as u64 {
        let found = if length == 0 { Foreign::Empty } else { Foreign::File };
        return Err(not_a_store(path, found));
    }
    file.read_at(&mut header, 0).map_err(Error::io("read", path))?;
    if !header.starts_with(&MAGIC) {
        return Err(not_a_store(path, Foreign::File));
    }
    let primary = header[SLOTS[usize::from(header[GOD_BYTE] & 1)]];
    if primary != VERSION {
        let (found, supported) = (primary, VERSION);
        return Err(StoreError::OtherVersion { path: path.into(), found, supported }.into());
    }
    Ok(())
}

fn builder(options: &StoreOptions) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(usize::try_from(options.cache_bytes).unwrap_or(usize::MAX));
    builder.set_check_integrity_on_open(options.checks_always);
    if let Some(watcher) = options.repair_watcher.clone() {
        builder.set_repair_callback(move |repair| watcher.tell(&repair.progress()));
    }
    builder
}

/// Where the bytes of a store are.
pub(super) enum Place {
    /// Locked, as long as it is there.
    File(Arc<File>),
    Looked(Arc<File>),
    /// With what it has of a budget for its cache, and its part in that.
    Memory {
        pages: Arc<Spilling>,
        _shares: Option<(Share, Membership)>,
    },
}

impl Place {
    /// The database in it: as its last commit has left it.
    pub(super) fn open(
        &self,
        options: &StoreOptions,
        path: &Path,
        has_failed: &Arc<AtomicBool>,
    ) -> Result<Database> {
        let open = |backend: Box<dyn StorageBackend>| {
            let backend = Watched { backend, has_failed: Arc::clone(has_failed) };
            attempt(path, || builder(options).create_with_backend(backend))
        };
        match self {
            Self::File(file) => {
                settle(file, path)?;
                open(Box::new(FileBackend { file: Arc::clone(file), path: path.into() }))
            }
            Self::Looked(file) => {
                let overlay = Overlay::over(Arc::clone(file));
                open(Box::new(overlay.map_err(Error::io("look at", path))?))
            }
            Self::Memory { pages, .. } => open(Box::new(SpillingBackend(Arc::clone(pages)))),
        }
    }

    /// Bytes of the file, or of what is like one.
    pub(super) fn bytes(&self, path: &Path) -> Result<u64> {
        match self {
            Self::File(file) | Self::Looked(file) => {
                file.length().map_err(Error::io("look at", path))
            }
            Self::Memory { pages, .. } => Ok(pages.length()),
        }
    }
}

fn store(options: &StoreOptions, path: &Path, place: Place) -> Result<Store> {
    let has_failed = Arc::default();
    let database = place.open(options, path, &has_failed)?;
    let shared = Arc::new(Shared {
        database: RwLock::new(Some(database)),
        has_failed,
        place,
        path: path.into(),
        options: options.clone(),
        readers: Readers::default(),
        turn: Turn::default(),
        unsynced: AtomicU64::new(0),
        schemas: Mutex::new(()),
    });
    let interval = options.sync.interval().filter(|_| options.disk.has_threads());
    // A sync that fails is told by the next one, and by the next transaction.
    let sync = |shared: &Arc<Shared>| drop(shared.sync());
    let ticker = interval.map(|interval| Ticker::start(&shared, path, interval, sync));
    Ok(Store { _ticker: ticker.transpose()?.map(Arc::new), shared })
}
