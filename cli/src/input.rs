//! Bytes that arrive in pieces, turned into records as soon as one is whole.

use crate::columns::ndjson::JsonRows;
use crate::exit::Failure;

/// Takes a record, or the sentence that tells what is wrong with a row.
pub(crate) type Sink<'a> = dyn FnMut(Result<&[u8], String>) -> Result<(), Failure> + 'a;

/// Turns bytes into records. What it cannot go on from is a failure; a row that is wrong goes to
/// the sink, which decides.
pub(crate) trait Decoder {
    /// Takes the next bytes, at least one.
    fn push(&mut self, input: &[u8], sink: &mut Sink<'_>) -> Result<(), Failure>;
    /// There are no more.
    fn end(&mut self, sink: &mut Sink<'_>) -> Result<(), Failure>;
}

/// `what` is where the row began: a line.
pub(crate) fn too_long(what: &str, number: u64, bytes_max: usize) -> Failure {
    Failure::wrong_use(format!(
        "{what} {number} is longer than {bytes_max} bytes: it and what follows were not appended, \
         shorten it"
    ))
}

/// Records back to back.
#[derive(Debug)]
pub(crate) struct Raw {
    record_size: usize,
    rest: Vec<u8>,
}

impl Raw {
    pub(crate) fn new(record_size: usize) -> Self {
        Self { record_size, rest: Vec::new() }
    }
}

impl Decoder for Raw {
    fn push(&mut self, mut input: &[u8], sink: &mut Sink<'_>) -> Result<(), Failure> {
        if !self.rest.is_empty() {
            let missing = self.record_size - self.rest.len();
            let (head, tail) = input.split_at(missing.min(input.len()));
            self.rest.extend_from_slice(head);
            input = tail;
            if self.rest.len() < self.record_size {
                return Ok(());
            }
            sink(Ok(&self.rest))?;
            self.rest.clear();
        }
        let records = input.chunks_exact(self.record_size);
        self.rest.extend_from_slice(records.remainder());
        for record in records {
            sink(Ok(record))?;
        }
        Ok(())
    }

    fn end(&mut self, _: &mut Sink<'_>) -> Result<(), Failure> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Failure::wrong_use(format!(
                "the input ends with {left} bytes of a record of {}: they were not appended, \
                 complete or remove them",
                self.record_size
            ))),
        }
    }
}

/// What a line is.
#[derive(Debug)]
pub(crate) enum Rows {
    /// A record, filled up with zeros.
    Text {
        record_size: usize,
    },
    Json(JsonRows),
}

/// A row a line.
#[derive(Debug)]
pub(crate) struct Lines {
    rows: Rows,
    bytes_max: usize,
    number: u64,
    rest: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(bytes_max: usize, rows: Rows) -> Self {
        Self { rows, bytes_max, number: 0, rest: Vec::new() }
    }

    fn line(&mut self, line: &[u8], sink: &mut Sink<'_>) -> Result<(), Failure> {
        self.number += 1;
        let number = self.number;
        match &mut self.rows {
            Rows::Text { record_size } if line.len() > *record_size => {
                sink(Err(format!("line {number} is longer than a record ({record_size} bytes)")))
            }
            Rows::Text { record_size } => {
                let mut record = line.to_vec();
                record.resize(*record_size, 0);
                sink(Ok(&record))
            }
            Rows::Json(_) if line.trim_ascii().is_empty() => Ok(()),
            Rows::Json(rows) => {
                let record = rows.record(line);
                sink(record.map_err(|wrong| format!("line {number}, {wrong}")))
            }
        }
    }
}

impl Decoder for Lines {
    fn push(&mut self, mut input: &[u8], sink: &mut Sink<'_>) -> Result<(), Failure> {
        while let Some(end) = input.iter().position(|&byte| byte == b'\n') {
            let (head, tail) = (&input[..end], &input[end + 1..]);
            input = tail;
            if self.rest.is_empty() {
                self.line(head, sink)?;
                continue;
            }
            let mut line = std::mem::take(&mut self.rest);
            line.extend_from_slice(head);
            self.line(&line, sink)?;
            line.clear();
            self.rest = line;
        }
        self.rest.extend_from_slice(input);
        if self.rest.len() > self.bytes_max {
            return Err(too_long("line", self.number + 1, self.bytes_max));
        }
        Ok(())
    }

    fn end(&mut self, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let line = std::mem::take(&mut self.rest);
        if line.is_empty() { Ok(()) } else { self.line(&line, sink) }
    }
}
