//! What is read: a file, or standard input.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufRead, BufReader, Read},
};

use crate::Result;

pub(crate) struct Input {
    /// For messages.
    pub(crate) name: String,
    pub(crate) bytes: Rationed,
}

impl Input {
    /// Opens this file, or standard input for `-`.
    pub(crate) fn open(path: &OsStr) -> Result<Self> {
        let (name, bytes): (_, Box<dyn Read>) = if path == "-" {
            ("standard input".to_owned(), Box::new(io::stdin()))
        } else {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| format!("cannot read {name}: {error}"));
            (name, Box::new(file?))
        };
        let bytes = BufReader::with_capacity(64 << 10, bytes);
        Ok(Self { name, bytes: Rationed { bytes, left: 0 } })
    }
}

/// Bytes that are given out in rations, so that no line and no element of a damaged file fills the
/// memory.
pub(crate) struct Rationed {
    bytes: BufReader<Box<dyn Read>>,
    /// Of the ration.
    left: usize,
}

impl Rationed {
    /// What one line or element may have.
    pub(crate) const BYTES: usize = 256 << 10;

    /// The next ration: a new line or element begins.
    pub(crate) fn renew(&mut self) {
        self.left = Self::BYTES;
    }
}

impl BufRead for Rationed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let found = self.bytes.fill_buf()?;
        if self.left == 0 && !found.is_empty() {
            return Err(io::Error::other(format!("more than {} bytes in one piece", Self::BYTES)));
        }
        Ok(&found[..found.len().min(self.left)])
    }

    fn consume(&mut self, count: usize) {
        self.left -= count;
        self.bytes.consume(count);
    }
}

impl Read for Rationed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}
