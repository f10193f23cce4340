//! Records on standard output: one line of hex each, raw bytes, or NDJSON.

use std::io::{self, Write};

use clap::ValueEnum;

use crate::exit::Failure;
use crate::output::{self, Out};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Hex,
    Raw,
}

/// How records are printed.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct FormatArgs {
    /// hex: a line each, id and payload; raw: payloads back to back [default: hex]
    #[arg(long, hide_possible_values = true)]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Hex,
    Raw,
    Json,
}

impl FormatArgs {
    fn form(&self, json: bool) -> Result<Form, Failure> {
        match (self.format, json) {
            (Some(Format::Raw), true) => Err(Failure::wrong_use(
                "--json prints payloads in hex: leave out either --json or --format raw",
            )),
            (Some(Format::Raw), false) => Ok(Form::Raw),
            (_, true) => Ok(Form::Json),
            (_, false) => Ok(Form::Hex),
        }
    }
}

/// Prints records in one form.
#[derive(Debug)]
pub(crate) struct RecordWriter {
    out: Out,
    form: Form,
    line: Vec<u8>,
}

impl RecordWriter {
    pub(crate) fn new(args: &FormatArgs, json: bool) -> Result<Self, Failure> {
        Ok(Self { form: args.form(json)?, out: output::stdout(), line: Vec::new() })
    }

    pub(crate) fn write(&mut self, id: u64, payload: &[u8]) -> io::Result<()> {
        let line = &mut self.line;
        line.clear();
        match self.form {
            Form::Raw => return self.out.write_all(payload),
            Form::Hex => {
                write!(line, "{id} ")?;
                push_hex(line, payload);
            }
            Form::Json => {
                write!(line, r#"{{"id":"{id}","payload":""#)?;
                push_hex(line, payload);
                line.extend_from_slice(br#""}"#);
            }
        }
        line.push(b'\n');
        self.out.write_all(line)
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn push_hex(line: &mut Vec<u8>, payload: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in payload {
        line.push(DIGITS[usize::from(byte >> 4)]);
        line.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_two_digits_a_byte() {
        let mut line = Vec::new();
        push_hex(&mut line, &[0x00, 0x0f, 0xa0, 0xff]);
        assert_eq!(line, b"000fa0ff");
    }

    #[test]
    fn raw_and_json_exclude_each_other() {
        let args = FormatArgs { format: Some(Format::Raw) };
        assert!(args.form(true).is_err());
        assert!(matches!(args.form(false), Ok(Form::Raw)));
    }
}
