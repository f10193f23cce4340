//! `ringkeep store`: the file of a store, whatever its keys and values are.

mod backup;
mod buckets;
mod bytes;
mod compact;
mod export;
mod get;
mod opening;
mod scan;
mod stat;
mod verify;

use std::panic::{self, AssertUnwindSafe, catch_unwind, resume_unwind};

use clap::Subcommand;
use parking_lot::Mutex;

use crate::exit::{Exit, Failure};
use crate::output;

/// Look into a store, check it, copy it, and make its file smaller
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = false, disable_help_subcommand = true, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Stat(stat::Args),
    Buckets(buckets::Args),
    Get(get::Args),
    Scan(scan::Args),
    Export(export::Args),
    Verify(verify::Args),
    Compact(compact::Args),
    Backup(backup::Args),
}

const EXAMPLES: &str = "\
A store is one file of buckets, in which keys have values. All but compact only
read: they change no byte of the file, and repair it in memory after a crash.
They are refused while a process has the store open.

Examples:
  ringkeep store stat state.redb
  ringkeep store scan state.redb sensors --prefix roof/";

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    quietly(|| match &args.verb {
        Verb::Stat(args) => stat::run(args, json),
        Verb::Buckets(args) => buckets::run(args, json),
        Verb::Get(args) => get::run(args, json),
        Verb::Scan(args) => scan::run(args, json),
        Verb::Export(args) => export::run(args, json),
        Verb::Verify(args) => verify::run(args, json),
        Verb::Compact(args) => compact::run(args, json),
        Verb::Backup(args) => backup::run(args, json),
    })
}

static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Damaged files make redb panic, and the library makes errors of that: nothing of it is news to
/// the user. A panic that nobody makes an error of is told all the same.
fn quietly(f: impl FnOnce() -> Result<Exit, Failure>) -> Result<Exit, Failure> {
    let before = panic::take_hook();
    panic::set_hook(Box::new(|told| *LAST_PANIC.lock() = Some(told.to_string())));
    let ended = catch_unwind(AssertUnwindSafe(f));
    panic::set_hook(before);
    ended.unwrap_or_else(|panic| {
        let told = LAST_PANIC.lock().take();
        output::note(told.as_deref().unwrap_or("panicked"));
        resume_unwind(panic)
    })
}
