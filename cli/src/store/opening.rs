//! How verbs open a store, and find its buckets.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ringkeep::{Error, ReadBucket, ReadTx, Store, StoreError, StoreFile, StoreOptions};

use crate::exit::{Exit, Failure};
use crate::output::{self, Progress};

/// For verbs that only read.
pub(super) fn look(path: &Path) -> Result<StoreFile, Failure> {
    opened(|options| StoreFile::open_with(options, path))
}

/// For the verb that writes: checked first, so that a damaged file stays as it is.
pub(super) fn open(path: &Path) -> Result<Store, Failure> {
    opened(|options| options.clone().check_always().open_existing(path))
}

/// Whoever has the store open may have it for days: a lock is not waited for.
fn opened<T>(open: impl FnOnce(&StoreOptions) -> Result<T, Error>) -> Result<T, Failure> {
    let progress = Arc::new(Mutex::new(Some(Progress::new())));
    let shown = Arc::clone(&progress);
    let options = StoreOptions::new().lock_wait(Duration::ZERO).on_repair(move |done| {
        if let Some(progress) = &mut *shown.lock() {
            progress.show(|| format!("it was not closed: {:.0} % are checked", done * 100.0));
        }
    });
    let opened = open(&options);
    // The options live as long as the store, and the line must not.
    drop(progress.lock().take());
    Ok(opened?)
}

/// A bucket that is there.
pub(super) fn bucket<'tx>(
    tx: &'tx ReadTx,
    name: &str,
    path: &Path,
) -> Result<ReadBucket<'tx>, Failure> {
    let bucket = tx.bucket(name)?;
    if tx.buckets()?.iter().any(|there| there == name) {
        return Ok(bucket);
    }
    let path = path.display();
    Err(Failure::data(format!(
        "there is no bucket {name:?} in {path}: 'ringkeep store buckets' shows those that are"
    )))
}

/// Tells of a table of another program in the same file, which the others need not suffer for.
pub(super) fn pass_over(error: Error) -> Result<Exit, Failure> {
    match error {
        Error::Store(StoreError::ForeignBucket { .. } | StoreError::BucketName { .. }) => {
            output::note(&error.to_string());
            Ok(Exit::Data)
        }
        error => Err(error.into()),
    }
}
