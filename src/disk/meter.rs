//! Counts what a structure copies out of its files on a real disk (feature `test-util`), so that a
//! test can say how much opening an archive reads, whatever the machine's clock says.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::raw::Watch;

/// Bytes read so far by everything that was opened with this meter. Clones share the count.
///
/// Counted are positional reads, copies out of mappings and slots that are shown in place; not the
/// single words of the hot page.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    read_bytes: AtomicU64,
}

impl Meter {
    /// A meter that stands at 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes read so far.
    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        self.0.read_bytes.load(Relaxed)
    }

    pub(super) fn watch(&self) -> Arc<dyn Watch> {
        Arc::clone(&self.0) as Arc<dyn Watch>
    }
}

impl Watch for Count {
    fn may_store(&self) -> bool {
        true
    }

    fn stored(&self, _offset: usize, _length: usize) {}

    fn loaded(&self, length: usize) {
        self.read_bytes.fetch_add(length as u64, Relaxed);
    }

    /// Never called: a mapping of a real file is synced by the kernel.
    fn sync(&self, _offset: usize, _length: usize) -> io::Result<()> {
        Ok(())
    }
}
