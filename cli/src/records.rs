//! Records on standard output: as columns, in hex, or as they are.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use ringkeep::{Ring, Schema};

use crate::columns::cell::push_hex;
use crate::columns::csv::CsvWriter;
use crate::columns::items;
use crate::columns::ndjson::JsonWriter;
use crate::columns::table::Table;
use crate::exit::Failure;
use crate::output::{self, Out};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Csv,
    Ndjson,
    Hex,
    Raw,
}

/// How records are printed.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct FormatArgs {
    /// table, csv, ndjson, hex or raw [default: by schema and terminal]
    #[arg(long, hide_possible_values = true)]
    format: Option<Format>,
    /// Show these columns only, in this order: id,t,pos.0
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    fields: Vec<String>,
}

#[derive(Debug)]
enum Form {
    Hex,
    Raw,
    HexJson,
    Csv(CsvWriter),
    Json(JsonWriter),
    Table(Table),
}

impl FormatArgs {
    fn form(&self, ring: &Ring, json: bool) -> Result<Form, Failure> {
        let format = self.chosen(json)?;
        let by_bytes = match format {
            Some(Format::Raw) => Some(Form::Raw),
            Some(Format::Hex) => Some(Form::Hex),
            _ => None,
        };
        if let Some(form) = by_bytes {
            return self.without_columns(form);
        }
        let needed = matches!(format, Some(Format::Table | Format::Csv)) || !self.fields.is_empty();
        match ring.schema() {
            Ok(Some(schema)) => self.by_schema(schema, format),
            Ok(None) if needed => Err(Failure::wrong_use(
                "the archive has no schema, so there are no columns: use --format hex or raw",
            )),
            Err(error) if needed => Err(error.into()),
            unknown => {
                if let Err(error) = unknown {
                    output::note(&format!("no columns are shown, for {error}"));
                }
                let json = format == Some(Format::Ndjson);
                Ok(if json { Form::HexJson } else { Form::Hex })
            }
        }
    }

    /// `--json` is NDJSON, and goes with nothing else.
    fn chosen(&self, json: bool) -> Result<Option<Format>, Failure> {
        match (self.format, json) {
            (format, false) => Ok(format),
            (None | Some(Format::Ndjson), true) => Ok(Some(Format::Ndjson)),
            (Some(format), true) => {
                let name = format!("{format:?}").to_lowercase();
                Err(Failure::wrong_use(format!(
                    "--json prints a line of JSON each: leave out either --json or --format {name}"
                )))
            }
        }
    }

    fn without_columns(&self, form: Form) -> Result<Form, Failure> {
        if self.fields.is_empty() {
            return Ok(form);
        }
        Err(Failure::wrong_use(
            "--fields chooses columns: leave it out, or choose another --format",
        ))
    }

    fn by_schema(&self, schema: &Schema, format: Option<Format>) -> Result<Form, Failure> {
        let items = items(schema, &self.fields)?;
        let table = match format {
            Some(Format::Ndjson) => return Ok(Form::Json(JsonWriter::new(items))),
            Some(format) => format == Format::Table,
            None => io::stdout().is_terminal(),
        };
        if table {
            Table::new(&items).map(Form::Table)
        } else {
            CsvWriter::new(&items).map(Form::Csv)
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
    pub(crate) fn new(args: &FormatArgs, ring: &Ring, json: bool) -> Result<Self, Failure> {
        let (form, mut out) = (args.form(ring, json)?, output::stdout());
        let mut line = Vec::new();
        if let Form::Csv(csv) = &form {
            csv.header(&mut line);
            out.write_all(&line)?;
        }
        Ok(Self { out, form, line })
    }

    pub(crate) fn write(&mut self, id: u64, payload: &[u8]) -> io::Result<()> {
        let line = &mut self.line;
        line.clear();
        match &mut self.form {
            Form::Raw => return self.out.write_all(payload),
            Form::Hex => {
                write!(line, "{id} ")?;
                push_hex(line, payload);
                line.push(b'\n');
            }
            Form::HexJson => {
                write!(line, r#"{{"id":"{id}","payload":""#)?;
                push_hex(line, payload);
                line.extend_from_slice(b"\"}\n");
            }
            Form::Csv(csv) => csv.row(line, id, payload),
            Form::Json(json) => json.row(line, id, payload),
            Form::Table(table) => table.row(line, id, payload),
        }
        self.out.write_all(line)
    }

    /// Puts out everything that was written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Form::Table(table) = &mut self.form {
            self.line.clear();
            table.flush(&mut self.line);
            self.out.write_all(&self.line)?;
        }
        self.out.flush()
    }
}
