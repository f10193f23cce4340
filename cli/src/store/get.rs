//! `ringkeep store get`: the value of one key.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;
use ringkeep::BucketRead as _;

use super::bytes::Form;
use super::opening;
use crate::exit::{Exit, Failure};
use crate::output;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Raw,
    Hex,
    Text,
}

/// Print the value of a key
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The store's file
    file: PathBuf,
    /// The bucket's name
    bucket: String,
    /// The key; it may have any bytes
    key: OsString,
    /// The key is given in hex
    #[arg(long)]
    hex_key: bool,
    /// raw: the bytes alone; hex; text: escaped as scan does [default: raw]
    #[arg(long, hide_possible_values = true)]
    format: Option<Format>,
}

const EXAMPLES: &str = "\
A key or a bucket that is not there is told on stderr; the exit code is 1 then.
With --json the fields are named as those of scan.

Examples:
  ringkeep store get state.redb sensors roof/1
  ringkeep store get state.redb sensors 726f6f662f31 --hex-key --format hex";

pub(crate) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let form = Form::of_keys(args.hex_key);
    let key = form.parse(&args.key)?;
    if json && args.format.is_some() {
        return Err(Failure::wrong_use(
            "--json is one form, --format chooses another: leave one out",
        ));
    }
    let tx = opening::look(&args.file)?.begin_read()?;
    let bucket = opening::bucket(&tx, &args.bucket, &args.file)?;
    let mut line = Vec::new();
    let Some(value) = bucket.get(&key)? else {
        form.push(&mut line, &key);
        let (shown, bucket) = (String::from_utf8_lossy(&line), &args.bucket);
        let sentence = format!("there is no key {shown} in bucket {bucket:?}");
        return Err(Failure::data(sentence));
    };
    let mut out = output::stdout();
    if json {
        line.push(b'{');
        form.push_field(&mut line, "key", &key)?;
        line.push(b',');
        Form::Text.push_field(&mut line, "value", &value)?;
        line.extend_from_slice(b"}\n");
    } else {
        let format = args.format.unwrap_or(Format::Raw);
        match format {
            // There may be gigabytes of it.
            Format::Raw => out.write_all(&value)?,
            Format::Hex => Form::Hex.push(&mut line, &value),
            Format::Text => Form::Text.push(&mut line, &value),
        }
        if format != Format::Raw {
            line.push(b'\n');
        }
    }
    out.write_all(&line)?;
    out.flush()?;
    Ok(Exit::Fine)
}
