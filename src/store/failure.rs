//! What redb says, as errors of this crate; and its panics too.

use std::{
    any::Any,
    cell::Cell,
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
};

use crate::error::{Error, Result, StoreError};

/// Calls redb. It panics where the bytes of a file contradict each other in a way that it rules
/// out: that is damage, not the end of the program.
#[inline]
pub(super) fn attempt<T, E: Into<redb::Error>>(
    path: &Path,
    call: impl FnOnce() -> Result<T, E>,
) -> Result<T> {
    match caught(path, call) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failure(path, error.into())),
        Err(error) => Err(error),
    }
}

/// As `attempt`, for calls in which the user's code runs: as long as it says so, a panic is the
/// user's.
pub(super) fn attempt_for_user<T, E: Into<redb::Error>>(
    path: &Path,
    call: impl FnOnce(&Cell<bool>) -> Result<T, E>,
) -> Result<T> {
    let is_users = Cell::new(false);
    match catch_unwind(AssertUnwindSafe(|| call(&is_users))) {
        Ok(outcome) => outcome.map_err(|error| failure(path, error.into())),
        Err(panic) if is_users.get() => resume_unwind(panic),
        Err(panic) => Err(damaged(path, &*panic)),
    }
}

/// As `attempt`, for results that are large enough for each copy of them to cost something.
#[inline]
pub(super) fn caught<T>(path: &Path, call: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| damaged(path, &*panic))
}

#[cold]
fn damaged(path: &Path, panic: &(dyn Any + Send)) -> Error {
    StoreError::Damaged { path: path.into(), what: message(panic) }.into()
}

#[cold]
pub(super) fn failure(path: &Path, error: redb::Error) -> Error {
    let path = path.to_path_buf();
    let bucket = |found: String, bucket: String| StoreError::ForeignBucket {
        bucket: bucket.into(),
        found: found.into(),
    };
    let failure = match error {
        redb::Error::Io(source) => match source.downcast::<Error>() {
            Ok(error) => return error,
            // Of a page number that is none.
            Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                StoreError::Damaged { path, what: "a page lies behind its end".into() }
            }
            Err(source) => return Error::io("use", &path)(source),
        },
        redb::Error::PreviousIo => StoreError::Poisoned { path },
        redb::Error::TransactionPoisoned => StoreError::HalfDone,
        redb::Error::ValueTooLarge(found) => StoreError::TooLarge { found },
        redb::Error::TableAlreadyOpen(name, _) => StoreError::BucketInUse { bucket: name.into() },
        redb::Error::TableTypeMismatch { ref table, .. } => {
            bucket(error.to_string(), table.clone())
        }
        redb::Error::TableIsMultimap(ref table) => bucket(error.to_string(), table.clone()),
        redb::Error::Corrupted(what) => StoreError::Damaged { path, what: what.into() },
        // What the callers of `attempt` rule out, and what a later redb adds.
        other => StoreError::Damaged { path, what: other.to_string().into() },
    };
    failure.into()
}

fn message(panic: &(dyn Any + Send)) -> Box<str> {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.and_then(|text| text.lines().next()).unwrap_or("its structure contradicts itself").into()
}
