//! A store on each of its backends, so that one test body tries all.

use std::path::PathBuf;

use ringkeep::{BucketRead, DiskBudget, MemoryBudget, Result, Store, StoreOptions};
use tempfile::TempDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    File,
    Memory,
    /// With too little memory for anything.
    Spilled,
}

pub(crate) struct Home {
    pub(crate) backend: Backend,
    pub(crate) options: StoreOptions,
    pub(crate) directory: TempDir,
    store: Option<Store>,
}

impl Home {
    pub(crate) fn new(backend: Backend, options: StoreOptions) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut home = Self { backend, options, directory, store: None };
        home.store = Some(home.open());
        home
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("state.redb")
    }

    fn open(&self) -> Store {
        let (memory, disk) = (MemoryBudget::new(0), DiskBudget::new(1 << 30));
        let opened = match self.backend {
            Backend::File => self.options.open(self.path()),
            Backend::Memory => self.options.in_memory(),
            Backend::Spilled => self.options.spilling(&memory, &disk),
        };
        opened.expect("a store")
    }

    /// Closes the store; its file stays as long as the directory does.
    pub(crate) fn close(&mut self) {
        self.store = None;
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().expect("it is open")
    }

    /// Closes a file and opens it again; what else there is goes on.
    pub(crate) fn reopen(&mut self) {
        if self.backend == Backend::File {
            self.store = None;
            self.store = Some(self.open());
        }
    }
}

pub(crate) fn on_each(mut test: impl FnMut(&mut Home)) {
    for backend in [Backend::File, Backend::Memory, Backend::Spilled] {
        test(&mut Home::new(backend, StoreOptions::new()));
    }
}

pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

pub(crate) fn pairs(bucket: &impl BucketRead) -> Result<Pairs> {
    bucket.iter()?.map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect()
}
