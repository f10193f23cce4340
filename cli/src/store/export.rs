//! `ringkeep store export`: everything that a store holds.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use ringkeep::{BucketRead as _, ReadBucket, ReadTx};

use super::opening;
use crate::columns::cell::push_hex;
use crate::exit::{Exit, Failure};
use crate::output::{self, Out, Progress};

/// Write all keys and values out
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store's file
    file: PathBuf,
    /// These buckets only, in this order [default: all, by name]
    #[arg(value_name = "BUCKET")]
    buckets: Vec<String>,
}

const EXAMPLES: &str = "\
It writes a line of JSON for each key: its bucket, and key and value in hex.
A table of another program in the same file is told on stderr and passed over;
the exit code is 1 then.

Examples:
  ringkeep store export state.redb > state.ndjson
  ringkeep store export state.redb sensors | wc -l";

pub(crate) fn run(args: &Args, _json: bool) -> Result<Exit, Failure> {
    let tx = opening::look(&args.file)?.begin_read()?;
    for name in &args.buckets {
        opening::bucket(&tx, name, &args.file)?;
    }
    let names = if args.buckets.is_empty() { tx.buckets()? } else { args.buckets.clone() };
    let mut out = output::stdout();
    let exit = print(&tx, &names, &mut out);
    // What was read before an error is still put out.
    out.flush()?;
    exit
}

fn print(tx: &ReadTx, names: &[String], out: &mut Out) -> Result<Exit, Failure> {
    let mut progress = Progress::new();
    let beside = !io::stdout().is_terminal();
    let (mut exit, mut written) = (Exit::Fine, 0_u64);
    for name in names {
        match tx.bucket(name) {
            Ok(bucket) => print_bucket(&bucket, name, out, || {
                written += 1;
                if beside {
                    progress.show(|| format!("{written} keys"));
                }
            })?,
            Err(error) => exit = exit.max(opening::pass_over(error)?),
        }
    }
    Ok(exit)
}

fn print_bucket(
    bucket: &ReadBucket<'_>,
    name: &str,
    out: &mut Out,
    mut each: impl FnMut(),
) -> Result<(), Failure> {
    let mut line = format!(r#"{{"bucket":{},"key":""#, serde_json::Value::from(name)).into_bytes();
    let begin = line.len();
    for entry in bucket.iter()? {
        let (key, value) = entry?;
        line.truncate(begin);
        push_hex(&mut line, &key);
        line.extend_from_slice(br#"","value":""#);
        push_hex(&mut line, &value);
        line.extend_from_slice(b"\"}\n");
        out.write_all(&line)?;
        each();
    }
    Ok(())
}
