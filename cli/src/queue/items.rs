//! Items of a queue on standard output, and those that cannot be read on standard error.

use std::io::{self, Write};
use std::time::SystemTime;

use ringkeep::{Error, QueueDamage};

use crate::columns::cell::push_hex;
use crate::exit::{Exit, Failure};
use crate::output::{self, Out};
use crate::times::UnixNanos;

/// How items are written.
#[derive(Debug, clap::Args)]
pub(crate) struct FormArgs {
    /// Write items back to back, as they are
    #[arg(long, conflicts_with = "lines")]
    raw: bool,
    /// Write each item as it is, and an end of line
    #[arg(long)]
    lines: bool,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Ndjson,
    Raw,
    Lines,
}

impl FormArgs {
    pub(crate) fn writer(&self, json: bool) -> Result<ItemWriter, Failure> {
        let form = match (self.raw, self.lines) {
            (false, false) => Form::Ndjson,
            _ if json => {
                return Err(Failure::wrong_use(
                    "--json is one form, --raw and --lines are others: leave one out",
                ));
            }
            (true, _) => Form::Raw,
            (false, true) => Form::Lines,
        };
        Ok(ItemWriter { out: output::stdout(), form, line: Vec::new() })
    }
}

/// Writes items in one form.
#[derive(Debug)]
pub(crate) struct ItemWriter {
    out: Out,
    form: Form,
    line: Vec<u8>,
}

impl ItemWriter {
    /// Whether it writes when an item was pushed.
    pub(crate) fn has_times(&self) -> bool {
        matches!(self.form, Form::Ndjson)
    }

    /// An item whose time is not known has none.
    pub(crate) fn write(
        &mut self,
        number: u64,
        time: Option<SystemTime>,
        bytes: &[u8],
    ) -> io::Result<()> {
        match self.form {
            Form::Raw => self.out.write_all(bytes),
            Form::Lines => self.out.write_all(bytes).and_then(|()| self.out.write_all(b"\n")),
            Form::Ndjson => {
                let line = &mut self.line;
                line.clear();
                write!(line, r#"{{"number":"{number}","#)?;
                if let Some(time) = time {
                    write!(line, r#""time":"{}","#, UnixNanos::from(time))?;
                }
                line.extend_from_slice(br#""bytes":""#);
                push_hex(line, bytes);
                line.extend_from_slice(b"\"}\n");
                self.out.write_all(line)
            }
        }
    }

    /// Puts out everything that was written, and waits until it is on the disk where it goes to a
    /// file.
    pub(crate) fn store(&mut self) -> io::Result<()> {
        self.flush()?;
        output::sync_stdout()
    }

    /// Puts out everything that was written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What is wrong where items cannot be read, without their numbers and their place.
pub(crate) fn reason(damage: &QueueDamage) -> String {
    match &*damage.source {
        Error::Damaged { source, .. } => source.to_string(),
        Error::MissingItems { .. } => "they are in no file".to_owned(),
        Error::MissingSegment { .. } => "the file is gone".to_owned(),
        Error::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

/// Tells of items that cannot be read.
pub(crate) fn tell(damage: &QueueDamage) -> Exit {
    output::note(&format!("{damage}: {}", reason(damage)));
    Exit::of(&damage.source)
}
