//! The first sync or store that failed. A sync is never tried again: on Linux a second one can
//! report success while the data is gone.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::error::Error;

/// What every later call is told.
#[derive(Debug, Clone)]
pub(crate) struct Poison {
    path: PathBuf,
    kind: io::ErrorKind,
    code: Option<i32>,
}

impl Poison {
    pub(crate) fn new(path: &Path, kind: io::ErrorKind) -> Self {
        Self { path: path.into(), kind, code: None }
    }

    /// By this error; `place` is named where the error names none.
    pub(crate) fn of(error: &Error, place: &Path) -> Self {
        match error {
            Error::Io { path, source, .. }
            | Error::NoSpace { path, source, .. }
            | Error::Poisoned { path, source } => {
                Self { path: path.clone(), kind: source.kind(), code: source.raw_os_error() }
            }
            Error::ReadOnlyFileSystem { path } => {
                Self::new(path, io::ErrorKind::ReadOnlyFilesystem)
            }
            Error::CutShort { path, .. } => Self::new(path, io::ErrorKind::UnexpectedEof),
            _ => Self::new(place, io::ErrorKind::Other),
        }
    }

    pub(crate) fn error(&self) -> Error {
        let source = self.code.map_or_else(|| self.kind.into(), io::Error::from_raw_os_error);
        Error::Poisoned { path: self.path.clone(), source }
    }
}
