//! The directory of a run, removed at its end, and where a signal ends the run.

use std::{fs, io, path::Path, thread};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};
use tempfile::TempDir;

/// How often files are removed that were made meanwhile.
const ATTEMPTS: u32 = 10;

pub(crate) fn make(parent: &Path) -> io::Result<TempDir> {
    let directory = tempfile::Builder::new().prefix("ringkeep-peers-").tempdir_in(parent)?;
    let path = directory.path().to_owned();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let end = move || {
        if let Some(signal) = signals.forever().next() {
            remove(&path);
            // If it cannot kill, the run fails by itself: its files are gone.
            let _ = emulate_default_handler(signal);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(end)?;
    Ok(directory)
}

fn remove(path: &Path) {
    for _ in 0..ATTEMPTS {
        if fs::remove_dir_all(path).is_ok() || !path.exists() {
            return;
        }
    }
    eprintln!("files were left in {}", path.display());
}
