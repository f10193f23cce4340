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
    let mut names = Vec::new();
    push_names(&mut names, &command, "ringkeep");
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

/// The pages of a command and of its verbs, and theirs.
fn push_names(names: &mut Vec<String>, command: &Command, name: &str) {
    names.push(format!("{name}.1"));
    for verb in command.get_subcommands() {
        push_names(names, verb, &format!("{name}-{}", verb.get_name()));
    }
}
