//! `ringkeep queue`: queues that lie in a directory, whatever their items are.

mod drain;
mod export;
mod items;
mod peek;
mod stat;
mod verify;

use clap::Subcommand;

use crate::exit::{Exit, Failure};

/// Look into a queue, check it, and take its items out
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = false, disable_help_subcommand = true, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Stat(stat::Args),
    Verify(verify::Args),
    Peek(peek::Args),
    Export(export::Args),
    Drain(drain::Args),
}

const EXAMPLES: &str = "\
A queue is the directory that a program opened it in. All but drain only read,
without its lock, so the program may be at work on it.

Examples:
  ringkeep queue stat jobs
  ringkeep queue peek jobs -n 3";

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Stat(args) => stat::run(args, json),
        Verb::Verify(args) => verify::run(args, json),
        Verb::Peek(args) => peek::run(args, json),
        Verb::Export(args) => export::run(args, json),
        Verb::Drain(args) => drain::run(args, json),
    }
}
