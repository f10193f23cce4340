//! The line that tells how far it is.

use std::io::{self, IsTerminal as _, Write as _};

use parking_lot::Mutex;
use ringkeep::Storage;

/// A line on stderr: one that is written over on a terminal, one after the other elsewhere.
pub(crate) struct Progress {
    is_terminal: bool,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    count: u64,
    line: String,
    has_ended: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), shown: Mutex::default() }
    }

    /// So many of all segments are there. Threads that tell it at the same time may come in any
    /// order.
    pub(crate) fn show(&self, count: u64, total: u64, bytes: u64, storage: Storage) {
        let line = line(count, total, bytes, storage);
        let mut shown = self.shown.lock();
        if shown.has_ended || count < shown.count || line == shown.line {
            return;
        }
        // Where nobody reads it, nobody needs it.
        let _ = if self.is_terminal {
            write!(io::stderr(), "\r{line}\x1b[K")
        } else {
            writeln!(io::stderr(), "{line}")
        };
        (shown.count, shown.line) = (count, line);
    }

    /// Something else worth knowing, before the first line.
    pub(crate) fn note(&self, text: &str) {
        let _alone = self.shown.lock();
        let _ = writeln!(io::stderr(), "hls_fetch: {text}");
    }

    /// Nothing is shown from now on, and what is written next begins a line.
    pub(crate) fn end(&self) {
        let mut shown = self.shown.lock();
        if self.is_terminal && !shown.line.is_empty() {
            let _ = writeln!(io::stderr());
        }
        shown.has_ended = true;
    }
}

#[expect(clippy::cast_precision_loss, reason = "one digit behind the point")]
fn line(count: u64, total: u64, bytes: u64, storage: Storage) -> String {
    let percent = 100.0 * count as f64 / total as f64;
    let megabytes = bytes as f64 / 1e6;
    let place = match storage {
        Storage::Memory => "",
        Storage::Disk => ", on disk",
    };
    format!("Downloading segments: {count}/{total} ({percent:.1}%) [{megabytes:.1} MB{place}]")
}
