//! The signals that end a recorder or a follower, and waiting for a time or for one of them.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use procfs::process::Process;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::Failure;

/// What a second signal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// It waits like the first one: what is under way has to end.
    Waits,
    /// It kills: the first one may not be heard behind a write that blocks.
    Kills,
}

#[derive(Debug)]
pub(crate) struct Stop {
    signals: Receiver<i32>,
}

impl Stop {
    /// From here on SIGINT, SIGTERM and SIGHUP are asked for instead of killing the process.
    pub(crate) fn listen(again: Again) -> Result<Self, Failure> {
        let refused = |error| Failure::system(format!("cannot listen to signals: {error}"));
        let mut signals = Signals::new(wanted()).map_err(refused)?;
        let (sender, receiver) = channel();
        let listen = move || {
            let mut asked = signals.forever();
            for signal in asked.by_ref() {
                if sender.send(signal).is_err() || again == Again::Kills {
                    break;
                }
            }
            if let Some(signal) = asked.next() {
                // If it cannot kill, it is as if the signal had been ignored.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(listen).map_err(refused)?;
        Ok(Self { signals: receiver })
    }

    /// Waits until `due`, or gives the name of the signal that came before.
    pub(crate) fn wait_until(&self, due: Instant) -> Option<&'static str> {
        let timeout = due.saturating_duration_since(Instant::now());
        self.signals.recv_timeout(timeout).ok().map(name)
    }
}

/// SIGHUP stays ignored where it was when we started: that is what nohup asks for.
fn wanted() -> Vec<i32> {
    let ignored = Process::myself().and_then(|myself| myself.status());
    let nohup = ignored.is_ok_and(|status| status.sigign & (1 << (SIGHUP - 1)) != 0);
    let mut wanted = vec![SIGINT, SIGTERM];
    if !nohup {
        wanted.push(SIGHUP);
    }
    wanted
}

fn name(signal: i32) -> &'static str {
    match signal {
        SIGINT => "SIGINT",
        SIGTERM => "SIGTERM",
        _ => "SIGHUP",
    }
}
