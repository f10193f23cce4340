//! Fetches an HTTP live stream: segments in parallel, each tried several times, AES-128 taken off,
//! and one file of all of them. `cargo run --release -p hls_fetch -- URL OUTPUT`
//!
//! It shows what a [`Spool`] is for. Segments come in any order, from several threads, and are
//! streamed into numbered parts: what does not come whole leaves nothing, and is fetched again.
//! They take a fixed amount of memory, and wait on the disk beyond it, in a file without a name:
//! however the download ends, nothing has to be removed. The output is made of them in order, and
//! appears when it is complete. With `--resume` the spool outlives its process instead.

mod decrypt;
mod download;
mod http;
mod options;
mod output;
mod parts;
mod playlist;
mod progress;

use std::{
    env,
    error::Error,
    ffi::c_int,
    io::{self, Write as _},
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
};

use ringkeep::Spool;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use options::Options;
use progress::Progress;

/// What ends the program: a sentence to be told.
type Failure = Box<dyn Error + Send + Sync>;

/// What the main thread waits for.
enum Event {
    /// All segments, or why not.
    Downloaded(Result<Spool, Failure>),
    /// Ctrl-C, or somebody else's wish that this ends.
    Signal(c_int),
}

fn main() -> ExitCode {
    let options = match Options::parse(env::args_os().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            let _ = write!(io::stdout(), "{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(failure) => {
            let _ = writeln!(io::stderr(), "hls_fetch: {failure}\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(None) => ExitCode::SUCCESS,
        // As a shell calls it.
        Ok(Some(signal)) => ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX)),
        Err(failure) => {
            let _ = writeln!(io::stderr(), "hls_fetch: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Downloads and makes the output; the signal that came before, if one did.
///
/// The threads of the download are never waited for: those that are still at work when this returns
/// end with the process, and what they have written has no name, or is for the next run.
fn run(options: &Options) -> Result<Option<c_int>, Failure> {
    output::check(options)?;
    let (sender, events) = mpsc::channel();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let signalled = sender.clone();
    thread::spawn(move || signals.forever().try_for_each(|it| signalled.send(Event::Signal(it))));

    let progress = Arc::new(Progress::new());
    let (own, shown) = (options.clone(), Arc::clone(&progress));
    thread::spawn(move || {
        let download = AssertUnwindSafe(|| download::download(&own, &shown, &sender));
        // Else the main thread would wait for ever.
        let downloaded = panic::catch_unwind(download);
        let downloaded = downloaded.unwrap_or_else(|_| Err("the download broke down".into()));
        let _ = sender.send(Event::Downloaded(downloaded));
    });
    let event = events.recv();
    progress.end();
    let spool = match event? {
        Event::Signal(signal) => return Ok(Some(signal)),
        Event::Downloaded(downloaded) => downloaded?,
    };
    // From here on a signal comes too late, but for ffmpeg: Ctrl-C at a terminal ends that too.
    match (output::make(&spool, options), events.try_recv()) {
        (Err(_), Ok(Event::Signal(signal))) => Ok(Some(signal)),
        (made, _) => made.map(|()| None),
    }
}
