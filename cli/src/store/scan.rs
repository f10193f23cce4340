//! `ringkeep store scan`: the entries of a bucket, in the order of their keys.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::ops::Bound;
use std::path::PathBuf;

use ringkeep::{BucketRead as _, Error, StoredBytes};

use super::bytes::Form;
use super::opening;
use crate::exit::{Exit, Failure};
use crate::output::{self, Out, Progress};

/// Print the entries of a bucket, in the order of their keys
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store's file
    file: PathBuf,
    /// The bucket's name
    bucket: String,
    /// Only keys that begin with these bytes
    #[arg(long, value_name = "PREFIX", conflicts_with_all = ["from", "to"])]
    prefix: Option<OsString>,
    /// Begin with this key
    #[arg(long, value_name = "KEY")]
    from: Option<OsString>,
    /// End before this key
    #[arg(long, value_name = "KEY")]
    to: Option<OsString>,
    /// From the last key to the first
    #[arg(long)]
    reverse: bool,
    /// Print at most this many entries [default: all]
    #[arg(short = 'n', long = "count", value_name = "N")]
    count: Option<usize>,
    /// Keys are given and shown in hex
    #[arg(long)]
    hex_keys: bool,
}

const EXAMPLES: &str = "\
It prints a line for each entry: key, tab, value. Bytes that are not printable
ASCII are \\xNN; \\\\, \\t and \\n are a backslash, a tab and an end of line. With
--json a line is an object with key and value as text; what is not UTF-8 is in
key_hex or value_hex instead.

Examples:
  ringkeep store scan state.redb sensors --prefix roof/
  ringkeep store scan state.redb sensors --from roof/2 --to yard --json
  ringkeep store scan state.redb sensors --reverse -n 1 --hex-keys";

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let form = Form::of_keys(args.hex_keys);
    let given = |key: &Option<OsString>| key.as_deref().map(|key| form.parse(key)).transpose();
    let (prefix, from, to) = (given(&args.prefix)?, given(&args.from)?, given(&args.to)?);
    if let (Some(from), Some(to)) = (&from, &to)
        && from > to
    {
        return Err(Failure::wrong_use("--from is a later key than --to: swap them"));
    }
    let tx = opening::look(&args.file)?.begin_read()?;
    let bucket = opening::bucket(&tx, &args.bucket, &args.file)?;
    let entries = if let Some(prefix) = prefix {
        bucket.prefix(prefix)?
    } else {
        let start = from.map_or(Bound::Unbounded, Bound::Included);
        bucket.range::<Vec<u8>>((start, to.map_or(Bound::Unbounded, Bound::Excluded)))?
    };
    let count = args.count.unwrap_or(usize::MAX);
    let mut printer = Printer { out: output::stdout(), json, form, line: Vec::new() };
    let outcome = if args.reverse {
        printer.print(entries.rev().take(count))
    } else {
        printer.print(entries.take(count))
    };
    // What was read before an error is still put out.
    printer.out.flush()?;
    outcome.map(|()| Exit::Fine)
}

type Entry<'a> = Result<(StoredBytes<'a>, StoredBytes<'a>), Error>;

#[derive(Debug)]
struct Printer {
    out: Out,
    json: bool,
    form: Form,
    line: Vec<u8>,
}

impl Printer {
    fn print<'a>(&mut self, entries: impl Iterator<Item = Entry<'a>>) -> Result<(), Failure> {
        let mut progress = Progress::new();
        let beside = !io::stdout().is_terminal();
        for (printed, entry) in entries.enumerate() {
            let (key, value) = entry?;
            self.entry(&key, &value)?;
            if beside {
                progress.show(|| format!("{printed} keys"));
            }
        }
        Ok(())
    }

    fn entry(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let line = &mut self.line;
        line.clear();
        if self.json {
            line.push(b'{');
            self.form.push_field(line, "key", key)?;
            line.push(b',');
            Form::Text.push_field(line, "value", value)?;
            line.push(b'}');
        } else {
            self.form.push(line, key);
            line.push(b'\t');
            Form::Text.push(line, value);
        }
        line.push(b'\n');
        self.out.write_all(line)
    }
}
