//! `ringkeep completions`: prints what a shell needs to complete this command.

use std::io::Write;

use clap::Command;
use clap_complete::Shell;

use crate::exit::{Exit, Failure};
use crate::output;

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// bash, zsh, fish, elvish or powershell
    #[arg(hide_possible_values = true)]
    shell: Shell,
}

const EXAMPLES: &str = "\
Load what it prints from the shell's start-up file, or put it where the shell
looks for completions.

Examples:
  ringkeep completions bash > ringkeep.bash
  ringkeep completions fish > ringkeep.fish";

/// `command` is without verbs that are nobody's business.
pub(crate) fn run(args: &Args, mut command: Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "ringkeep", &mut script);
    let mut out = output::stdout();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Exit::Fine)
}
