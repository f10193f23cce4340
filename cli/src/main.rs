//! The `ringkeep` command: record this host, create, fill, read and check ring archives, and
//! look into queues and stores.

mod append;
mod capacity;
mod cat;
mod columns;
mod completions;
mod create;
mod exit;
#[cfg(test)]
mod fuzzed;
mod get;
mod input;
mod man;
mod numbers;
mod opening;
mod output;
mod queue;
mod record;
mod records;
mod seen;
mod stat;
mod stop;
mod store;
mod tail;
mod times;
mod units;
mod usage;
mod verify;

use std::process::ExitCode;

use clap::{Command, CommandFactory, Parser, Subcommand};

use exit::{Exit, Failure};

/// Keeps the last N records of a stream on a fixed piece of disk, forever.
#[derive(Debug, Parser)]
#[command(
    name = "ringkeep",
    version,
    arg_required_else_help = false,
    term_width = 80,
    after_help = EXAMPLES
)]
struct Cli {
    /// Print JSON: ids as strings, times in RFC 3339, a record a line
    #[arg(long, global = true, display_order = 900)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Record(record::Args),
    Create(create::Args),
    Append(append::Args),
    Get(get::Args),
    Cat(cat::Args),
    Tail(tail::Args),
    Stat(stat::Args),
    Verify(verify::Args),
    Queue(queue::Args),
    Store(store::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[command(name = record::FOLLOW, hide = true)]
    Follow(record::FollowArgs),
}

const EXAMPLES: &str = "\
Exit codes: 0 fine; 1 the data is not, or a job lost some; 2 wrong use, or
            another geometry; 3 the operating system's errors, or locked

Examples:
  ringkeep record                      # this host, to ./telemetry/cache.dat
  ringkeep stat telemetry/cache.dat    # what it keeps, beside the recorder
  ringkeep cat telemetry/cache.dat --last 5";

fn main() -> ExitCode {
    let ended = match Cli::try_parse() {
        Ok(cli) => run(&cli),
        Err(error) => return ExitCode::from(usage::tell(&error)),
    };
    ExitCode::from(ended.unwrap_or_else(|failure| failure.tell()))
}

fn run(cli: &Cli) -> Result<Exit, Failure> {
    match &cli.verb {
        Verb::Record(args) => record::run(args, cli.json),
        Verb::Create(args) => create::run(args, cli.json),
        Verb::Append(args) => append::run(args, cli.json),
        Verb::Get(args) => get::run(args, cli.json),
        Verb::Cat(args) => cat::run(args, cli.json),
        Verb::Tail(args) => tail::run(args, cli.json),
        Verb::Stat(args) => stat::run(args, cli.json),
        Verb::Verify(args) => verify::run(args, cli.json),
        Verb::Queue(args) => queue::run(args, cli.json),
        Verb::Store(args) => store::run(args, cli.json),
        Verb::Completions(args) => completions::run(args, visible()),
        Verb::Man(args) => man::run(args, visible()),
        Verb::Follow(args) => record::follow(args),
    }
}

/// The command without its hidden verbs, for those who list all of it.
fn visible() -> Command {
    let all = Cli::command();
    let verbs = all.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned();
    let mut command = Command::new("ringkeep")
        .version(env!("CARGO_PKG_VERSION"))
        .args(all.get_arguments().cloned())
        .subcommands(verbs)
        .after_help(EXAMPLES);
    if let Some(about) = all.get_about() {
        command = command.about(about.clone());
    }
    command
}
