//! A consumer in a process of its own: it checks every record that the recorder writes.
//!
//! The recorder starts this same program with a hidden verb. The follower reads until its
//! standard input ends, which the recorder's death brings about as well, then prints what it
//! found. Signals for the recorder's process group do not end it: it has to read to the end first.

use std::env;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::checker::{Checked, Checker};
use super::consume::consume;
use super::host::unix_nanos;
use crate::exit::{Exit, Failure};
use crate::opening::WriteArgs;
use crate::output;

/// The verb that makes this program a follower.
pub(crate) const FOLLOW: &str = "follow-recorder";

/// Check every record of a recorder at work, until standard input ends
#[derive(Debug, clap::Args)]
pub(crate) struct FollowArgs {
    file: PathBuf,
    /// The first id to read
    #[arg(long)]
    from: u64,
    #[command(flatten)]
    open: WriteArgs,
}

/// How long a recorder waits for its follower at the end.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The recorder's end of it.
#[derive(Debug)]
pub(super) struct Follower {
    child: Child,
}

impl Follower {
    pub(super) fn start(path: &Path, from: u64, open: WriteArgs) -> Result<Self, Failure> {
        let refused = |error| Failure::system(format!("cannot start a follower process: {error}"));
        let child = Command::new(env::current_exe().map_err(refused)?)
            .arg(FOLLOW)
            .arg(format!("--from={from}"))
            .args(open.to_arguments())
            .arg("--")
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Its own group: Ctrl-C at the terminal is for the recorder.
            .process_group(0)
            .spawn()
            .map_err(refused)?;
        Ok(Self { child })
    }

    /// Lets it read to the end; what it found, or none if it died or does not end.
    pub(super) fn finish(mut self) -> Option<Checked> {
        drop(self.child.stdin.take());
        let report = self.child.stdout.take().and_then(read_bounded);
        if report.is_none() {
            // It may hang for good, and then nobody else would end it.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        serde_json::from_str(&report?).ok()
    }
}

fn read_bounded(mut stdout: ChildStdout) -> Option<String> {
    let (sender, receiver) = channel();
    let read = move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text);
        // Nobody receives after the timeout, and then nobody needs it.
        let _ = sender.send(read.map(|_| text));
    };
    thread::Builder::new().name("report".to_owned()).spawn(read).ok()?;
    receiver.recv_timeout(TIMEOUT).ok()?.ok()
}

/// The follower's own process.
pub(crate) fn follow(args: &FollowArgs) -> Result<Exit, Failure> {
    let refused = |error| Failure::system(format!("cannot start a follower: {error}"));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::default()).map_err(refused)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let watch = move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        // Release: pairs with the Acquire load in `consume`.
        told.store(true, Ordering::Release);
    };
    thread::Builder::new().name("stdin".to_owned()).spawn(watch).map_err(refused)?;
    let ring = args.open.open_reader(&args.file)?;
    let mut checker = Checker::new(args.from);
    consume(&ring, args.from, &stop, |item| {
        checker.take(item, unix_nanos());
    })?;
    let mut out = output::stdout();
    output::json(&mut out, &checker.checked())?;
    out.flush()?;
    Ok(Exit::Fine)
}
