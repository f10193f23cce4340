//! The two ways out: results on standard output, everything else on standard error.
//!
//! Nothing here can panic on a closed pipe: a failed write to standard output is an error that
//! the caller passes up, a failed write to standard error has nobody left to tell.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::tcgetwinsize;
use serde::Serialize;

/// Standard output, locked and buffered; whoever writes to it flushes it at the end.
pub(crate) type Out = BufWriter<StdoutLock<'static>>;

pub(crate) fn stdout() -> Out {
    BufWriter::with_capacity(1 << 16, io::stdout().lock())
}

/// Writes one value as one line of JSON.
pub(crate) fn json(out: &mut Out, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Whether whoever read standard output is gone.
pub(crate) fn is_closed() -> bool {
    let stdout = io::stdout();
    let mut asked = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let told = poll(&mut asked, Some(&at_once));
    told.is_ok() && asked[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// Waits until what was put out is on the disk, where standard output is a file.
pub(crate) fn sync_stdout() -> io::Result<()> {
    let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    if file.metadata()?.is_file() { file.sync_data() } else { Ok(()) }
}

/// Says one sentence on standard error.
pub(crate) fn note(sentence: &str) {
    // What came from a file may be made to move the cursor or to change colours.
    let safe = sentence.replace(|c: char| c.is_control() && c != '\n', "?");
    let _ = writeln!(io::stderr().lock(), "ringkeep: {safe}");
}

/// A line on standard error that is written over and over, and gone at the end. It shows itself
/// on a terminal only, and not before half a second has passed.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    next: Instant,
    shown: bool,
}

const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(200);
/// Of a terminal that does not tell its width.
const COLUMNS: u16 = 80;

impl Progress {
    pub(crate) fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), next: Instant::now() + PATIENCE, shown: false }
    }

    /// Shows the line if it is time for it.
    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        if !self.terminal {
            return;
        }
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + PAUSE;
        self.shown = true;
        // A column stays free for the cursor, or the line would wrap.
        let line: String = line().chars().take(columns(io::stderr()) - 1).collect();
        Self::overwrite(&line);
    }

    fn overwrite(line: &str) {
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "\r{line}\x1b[K").and_then(|()| stderr.flush());
    }
}

/// Width of the terminal that results go to.
pub(crate) fn columns_of_stdout() -> usize {
    columns(io::stdout())
}

fn columns(terminal: impl AsFd) -> usize {
    let told = tcgetwinsize(terminal).map_or(0, |size| size.ws_col);
    usize::from(if told == 0 { COLUMNS } else { told })
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            Self::overwrite("");
        }
    }
}
