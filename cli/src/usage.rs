//! What the command says to arguments that it does not understand.

use clap::error::ErrorKind;

use crate::exit::Exit;
use crate::output;

/// Prints what clap has to say: help and version are fine, everything else is wrong use.
pub(crate) fn tell(error: &clap::Error) -> Exit {
    if !error.use_stderr() {
        // Help into a closed pipe ends as quietly as anything else.
        let _ = error.print();
        return Exit::Fine;
    }
    let sentence = match error.kind() {
        // Its own list would name the follower's verb, which is nobody's business.
        ErrorKind::MissingSubcommand => "say what to do".to_owned(),
        _ => one_sentence(&error.to_string()),
    };
    output::note(&format!("{sentence}; see 'ringkeep --help'"));
    Exit::Use
}

/// What clap says before it shows the usage: its paragraphs become parts of one sentence.
fn one_sentence(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let paragraphs = text
        .split("\n\n")
        .map(|paragraph| paragraph.lines().map(str::trim).collect::<Vec<_>>().join(" "));
    let said: Vec<String> = paragraphs
        .take_while(|part| !part.starts_with("Usage:") && !part.starts_with("For more"))
        .collect();
    said.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clap_says_becomes_one_sentence() {
        let text = "error: unrecognized subcommand 'sta'\n\n  tip: a similar one exists: 'stat'\n\n\
                    Usage: ringkeep [OPTIONS] <COMMAND>\n\nFor more information, try '--help'.\n";
        let sentence = "unrecognized subcommand 'sta'; tip: a similar one exists: 'stat'";
        assert_eq!(one_sentence(text), sentence);
    }
}
