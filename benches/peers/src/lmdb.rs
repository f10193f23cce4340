//! Opens LMDB, which maps its file: the one call that heed leaves to its users to guard.

use std::path::Path;

use heed::{Env, EnvFlags, EnvOpenOptions, Result};

/// What the file may grow to; it is mapped at once, and takes no disk for it.
const MAP_BYTES: usize = 1 << 33;

/// Opens the files in this directory, which are made where there are none. The directory is one
/// that this benchmark has made for itself.
#[expect(unsafe_code, reason = "LMDB maps its file, and heed leaves it to callers to guard that")]
pub(crate) fn open(directory: &Path, flags: EnvFlags) -> Result<Env> {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES);
    // SAFETY: `flags` are `NO_SYNC` or none, which give up durability and not memory safety; the
    // file lies in a directory that this benchmark made for itself and removes afterwards, so that
    // nobody but LMDB changes or truncates it while it is mapped.
    unsafe { options.flags(flags).open(directory) }
}
