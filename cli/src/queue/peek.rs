//! `ringkeep queue peek`: shows the next items and leaves them where they are.

use std::io::{self, Write};
use std::path::PathBuf;

use ringkeep::{QueueFiles, QueueKind, QueuedItem};
use serde::Serialize;

use super::items::tell;
use crate::columns::cell::push_hex;
use crate::exit::{Exit, Failure};
use crate::output::{self, Out};
use crate::times::UnixNanos;

/// Show the next items, and leave them in the queue
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The queue's directory; a process may be at work on it
    directory: PathBuf,
    /// Show this many items
    #[arg(short = 'n', long = "count", value_name = "N", default_value = "1")]
    count: usize,
    /// Show bytes in hex, not as text with escapes
    #[arg(long)]
    hex: bool,
}

const EXAMPLES: &str = "\
A line has the item's number, when it was pushed, its size, and its bytes as its
codec made them. With --json they are hex. Items that cannot be read are told on
stderr and passed over; the exit code is 1 then.

Examples:
  ringkeep queue peek jobs
  ringkeep queue peek jobs -n 10 --hex";

/// What `--json` prints of an item.
#[derive(Debug, Serialize)]
struct Shown {
    number: String,
    time: String,
    size: usize,
    bytes: String,
}

impl Shown {
    fn of(item: &QueuedItem) -> Self {
        Self {
            number: item.number.to_string(),
            time: UnixNanos::from(item.time).to_string(),
            size: item.bytes.len(),
            bytes: hex(&item.bytes),
        }
    }
}

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let files = QueueFiles::open(&args.directory)?;
    let mut out = output::stdout();
    let (mut exit, mut shown) = (Exit::Fine, 0);
    let mut items = files.items();
    while shown < args.count
        && let Some(item) = items.next()
    {
        match item {
            Ok(item) => {
                shown += 1;
                if json {
                    output::json(&mut out, &Shown::of(&item))?;
                } else {
                    let bytes = if args.hex { hex(&item.bytes) } else { escaped(&item.bytes) };
                    show(&mut out, &item, &bytes)?;
                }
            }
            Err(damage) => exit = exit.max(tell(&damage)),
        }
    }
    out.flush()?;
    if shown == 0 && exit == Exit::Fine && args.count > 0 {
        output::note(match files.kind() {
            QueueKind::Spill => "no item of this queue is in a file; it only spills",
            _ => "the queue is empty",
        });
    }
    Ok(exit)
}

fn show(out: &mut Out, item: &QueuedItem, bytes: &str) -> io::Result<()> {
    let (number, time) = (item.number, UnixNanos::from(item.time));
    writeln!(out, "{number}  {time}  {} bytes  {bytes}", item.bytes.len())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    push_hex(&mut text, bytes);
    String::from_utf8_lossy(&text).into_owned()
}

/// Text stays readable; whatever could move the cursor does not.
fn escaped(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("\"{}\"", bytes.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn bytes_are_shown_so_that_no_terminal_obeys_them() {
        for (bytes, shown) in [
            (&b"plain"[..], r#""plain""#),
            (b"a\n\x1b[2J\"", r#""a\n\u{1b}[2J\"""#),
            (b"\xff\0a", r#""\xff\x00a""#),
            (b"", r#""""#),
        ] {
            assert_eq!(escaped(bytes), shown);
        }
    }
}
