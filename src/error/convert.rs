//! Errors as other errors, and parts of their messages.

use std::io;

use super::Error;

/// Who holds a lock, for a sentence.
pub(super) fn who(holder: Option<u32>) -> String {
    match holder {
        Some(id) if id == std::process::id() => "this process".into(),
        Some(id) => format!("process {id}"),
        None => "somebody else".into(),
    }
}

/// For readers and writers: the error is the source, and its kind is the nearest one.
///
/// # Examples
///
/// ```
/// use std::io;
///
/// let error = io::Error::from(ringkeep::Error::DiskFull { needed_bytes: 2, max_bytes: 1 });
/// assert_eq!(error.kind(), io::ErrorKind::StorageFull);
/// assert!(error.downcast::<ringkeep::Error>().is_ok());
/// ```
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Io { source, .. } | Error::Output { source } => source.kind(),
            Error::NoSpace { .. } | Error::DiskFull { .. } => io::ErrorKind::StorageFull,
            Error::ReadOnlyFileSystem { .. } => io::ErrorKind::ReadOnlyFilesystem,
            Error::NotFound { .. } => io::ErrorKind::NotFound,
            Error::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
            Error::Damaged { .. } => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
