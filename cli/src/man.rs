//! `ringkeep man`: writes the manual, a page for the command and one for each verb.

use std::io::Write;
use std::path::PathBuf;

use clap::Command;

use crate::exit::{Exit, Failure};
use crate::output;

/// Write the manual pages into a directory
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// An existing directory; older pages in it are replaced
    directory: PathBuf,
}

const EXAMPLES: &str = "\
It prints the names of the pages. A directory called man1 in one of MANPATH
shows them to man.

Examples:
  ringkeep man .
  mkdir -p man/man1 && ringkeep man man/man1";

/// `command` is without verbs that are nobody's business.
pub(crate) fn run(args: &Args, command: Command) -> Result<Exit, Failure> {
    let verbs = command.get_subcommands().map(|verb| format!("ringkeep-{}.1", verb.get_name()));
    let names: Vec<String> = ["ringkeep.1".to_owned()].into_iter().chain(verbs).collect();
    clap_mangen::generate_to(command.disable_help_subcommand(true), &args.directory).map_err(
        |error| {
            let directory = args.directory.display();
            Failure::system(format!("cannot write pages into {directory}: {error}"))
        },
    )?;
    let mut out = output::stdout();
    for name in names {
        writeln!(out, "{}", args.directory.join(name).display())?;
    }
    out.flush()?;
    Ok(Exit::Fine)
}
