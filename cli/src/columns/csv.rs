//! CSV after RFC 4180, with the names of the columns in the first line. Lines end with a line feed;
//! CRLF is read too.

use std::collections::BTreeMap;

use csv_core::{ReadRecordResult, Reader};
use ringkeep::Schema;

use super::cell::Cells;
use super::{ID, Item, flat};
use crate::exit::Failure;
use crate::input::{Decoder, Sink, too_long};

/// Writes records as lines.
#[derive(Debug)]
pub(crate) struct CsvWriter {
    columns: Vec<Item>,
    cells: Cells,
    cell: Vec<u8>,
}

impl CsvWriter {
    pub(crate) fn new(items: &[Item]) -> Result<Self, Failure> {
        Ok(Self { columns: flat(items)?, cells: Cells::default(), cell: Vec::new() })
    }

    pub(crate) fn header(&self, line: &mut Vec<u8>) {
        let names: Vec<String> = self.columns.iter().map(Item::name).collect();
        line.extend_from_slice(names.join(",").as_bytes());
        line.push(b'\n');
    }

    pub(crate) fn row(&mut self, line: &mut Vec<u8>, id: u64, payload: &[u8]) {
        for (at, item) in self.columns.iter().enumerate() {
            if at > 0 {
                line.push(b',');
            }
            let Some((field, index)) = item.field() else {
                line.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
                continue;
            };
            let Some(value) = field.value(payload, index) else { continue };
            if matches!(field.kind, ringkeep::Kind::Str { .. }) {
                self.cell.clear();
                self.cells.write(&mut self.cell, field, value);
                quoted(line, &self.cell);
            } else {
                self.cells.write(line, field, value);
            }
        }
        // A line without anything would be no row.
        if line.is_empty() {
            line.extend_from_slice(b"\"\"");
        }
        line.push(b'\n');
    }
}

/// In quotes where RFC 4180 wants them.
fn quoted(line: &mut Vec<u8>, cell: &[u8]) {
    if !cell.iter().any(|byte| matches!(byte, b'"' | b',' | b'\n' | b'\r')) {
        line.extend_from_slice(cell);
        return;
    }
    line.push(b'"');
    for &byte in cell {
        if byte == b'"' {
            line.push(b'"');
        }
        line.push(byte);
    }
    line.push(b'"');
}

/// Bytes of a byte order mark, with which some programs begin a file.
const MARK_BYTES: usize = 3;
/// More cells than any header has columns.
const ENDS_MAX: usize = 1 << 17;

/// Turns CSV into records, as its bytes arrive. (A clone of the reader in it would read nothing.)
#[derive(Debug)]
pub(crate) struct CsvDecoder {
    schema: Schema,
    reader: Reader,
    /// The first bytes, until there are as many as a byte order mark has: the reader passes over
    /// one only if it sees it whole. None from then on.
    first: Option<Vec<u8>>,
    /// The cells of the row so far, and where each of them ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    text_length: usize,
    cells_found: usize,
    row_bytes_max: usize,
    /// Lines that were read, and the line in which the row began; 0 between rows.
    lines: u64,
    row_line: u64,
    /// For each column, from the header on.
    columns: Option<Vec<Item>>,
    cells: Cells,
    record: Vec<u8>,
}

impl CsvDecoder {
    pub(crate) fn new(schema: Schema, row_bytes_max: usize) -> Self {
        let record = vec![0; schema.record_size()];
        Self {
            schema,
            reader: Reader::new(),
            first: Some(Vec::new()),
            text: vec![0; row_bytes_max.min(1024)],
            ends: vec![0; 64],
            text_length: 0,
            cells_found: 0,
            row_bytes_max,
            lines: 0,
            row_line: 0,
            columns: None,
            cells: Cells::default(),
            record,
        }
    }

    fn row(&mut self, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let Some(columns) = &self.columns else {
            let names = self.header()?;
            self.columns = Some(self.columns_of(&names)?);
            return Ok(());
        };
        if self.cells_found != columns.len() {
            let told = format!(
                "line {} has {} columns, the header has {}",
                self.row_line,
                self.cells_found,
                columns.len()
            );
            return sink(Err(told));
        }
        let mut start = 0;
        for (at, column) in columns.iter().enumerate() {
            let text = &self.text[start..self.ends[at]];
            start = self.ends[at];
            let Some((field, index)) = column.field() else { continue };
            if let Err(wrong) = self.cells.read(&mut self.record, field, index, text) {
                let (line, name) = (self.row_line, column.name());
                return sink(Err(format!("line {line}, column {} ({name}): {wrong}", at + 1)));
            }
        }
        sink(Ok(&self.record))
    }

    fn header(&self) -> Result<Vec<String>, Failure> {
        let mut start = 0;
        let mut names = Vec::new();
        for &end in &self.ends[..self.cells_found] {
            let name = std::str::from_utf8(&self.text[start..end]).map_err(|_| {
                Failure::wrong_use("the header is not UTF-8: write the names of the columns")
            })?;
            names.push(name.trim().to_owned());
            start = end;
        }
        Ok(names)
    }

    /// Each column once and none too few: every value of a record comes from somewhere.
    fn columns_of(&self, names: &[String]) -> Result<Vec<Item>, Failure> {
        let wanted = flat(&super::items(&self.schema, &[])?)?;
        let listed: Vec<String> = wanted.iter().map(Item::name).filter(|name| name != ID).collect();
        let listed = listed.join(", ");
        let mut missing: BTreeMap<String, Item> =
            wanted.iter().map(|item| (item.name(), item.clone())).collect();
        let mut columns = Vec::new();
        for (at, name) in names.iter().enumerate() {
            let wrong = |what: &str| {
                let place = at + 1;
                Failure::wrong_use(format!("line 1, column {place}: {what}"))
            };
            columns.push(missing.remove(name).ok_or_else(|| {
                if names[..at].contains(name) {
                    wrong(&format!("'{name}' is there twice"))
                } else {
                    wrong(&format!("there is no field '{name}'; there are {listed}"))
                }
            })?);
        }
        // Ids are passed over, whether they are there or not.
        missing.remove(ID);
        match missing.pop_first() {
            None => Ok(columns),
            Some((name, _)) => Err(Failure::wrong_use(format!(
                "line 1: there is no column '{name}'; the first line names all of {listed}"
            ))),
        }
    }

    /// Line breaks between rows, which the reader would count to the next row.
    fn skip_breaks<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let breaks = input.iter().take_while(|&&byte| matches!(byte, b'\r' | b'\n')).count();
        self.lines += line_feeds(&input[..breaks]);
        &input[breaks..]
    }

    fn read(&mut self, mut input: &[u8], sink: &mut Sink<'_>) -> Result<(), Failure> {
        loop {
            if self.row_line == 0 {
                input = self.skip_breaks(input);
            }
            // The reader takes an empty input for the end.
            if input.is_empty() {
                return Ok(());
            }
            if self.row_line == 0 {
                self.row_line = self.lines + 1;
            }
            let (result, read, written, ended) = self.reader.read_record(
                input,
                &mut self.text[self.text_length..],
                &mut self.ends[self.cells_found..],
            );
            self.lines += line_feeds(&input[..read]);
            input = &input[read..];
            self.text_length += written;
            self.cells_found += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull
                    if self.text.len() >= self.row_bytes_max || self.ends.len() > ENDS_MAX =>
                {
                    return Err(too_long("line", self.row_line, self.row_bytes_max));
                }
                ReadRecordResult::OutputFull => self.text.resize(2 * self.text.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record => {
                    let done = self.row(sink);
                    (self.text_length, self.cells_found) = (0, 0);
                    self.row_line = 0;
                    done?;
                }
                ReadRecordResult::End => return Ok(()),
            }
        }
    }
}

impl Decoder for CsvDecoder {
    fn push(&mut self, input: &[u8], sink: &mut Sink<'_>) -> Result<(), Failure> {
        let Some(mut first) = self.first.take() else {
            return self.read(input, sink);
        };
        first.extend_from_slice(if first.is_empty() { self.skip_breaks(input) } else { input });
        if first.len() < MARK_BYTES {
            self.first = Some(first);
            return Ok(());
        }
        self.read(&first, sink)
    }

    fn end(&mut self, sink: &mut Sink<'_>) -> Result<(), Failure> {
        if let Some(first) = self.first.take() {
            self.read(&first, sink)?;
        }
        if self.row_line == 0 {
            return Ok(());
        }
        // Ends the last row, unless it goes into a cell.
        self.read(b"\n", sink)?;
        match self.row_line {
            0 => Ok(()),
            line => sink(Err(format!("line {line}: a quoted cell has no end"))),
        }
    }
}

fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, Failure> {
        let mut decoder = CsvDecoder::new("tag:str3".parse().expect("a schema"), 100);
        let mut records = Vec::new();
        let mut sink = |row: Result<&[u8], String>| {
            records.push(row.expect("a good row").to_vec());
            Ok(())
        };
        pieces.iter().try_for_each(|piece| decoder.push(piece, &mut sink))?;
        decoder.end(&mut sink)?;
        Ok(records)
    }

    fn wrong(pieces: &[&[u8]]) -> Vec<String> {
        let mut decoder = CsvDecoder::new("tag:str3".parse().expect("a schema"), 100);
        let mut told = Vec::new();
        let mut sink = |row: Result<&[u8], String>| {
            told.push(row.expect_err("a wrong row"));
            Ok(())
        };
        for piece in pieces {
            decoder.push(piece, &mut sink).expect("a piece");
        }
        decoder.end(&mut sink).expect("an end");
        told
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_in_whatever_pieces_it_arrives() {
        for text in [&b"\xEF\xBB\xBFtag\nabc\n"[..], b"\n\r\n\xEF\xBB\xBFtag\nabc", b"tag\nabc\n"] {
            for piece in 1..=text.len() {
                let pieces: Vec<&[u8]> = text.chunks(piece).collect();
                assert_eq!(records(&pieces).expect("a header"), [b"abc"], "{piece}");
            }
        }
        assert!(records(&[b"\xEF\xBB", b"x\nabc\n"]).is_err(), "it is cut");
        assert!(records(&[b"x"]).is_err() && records(&[b"\n", b""]).expect("nothing").is_empty());
    }

    #[test]
    fn the_last_row_is_whole_unless_the_input_ends_in_a_quoted_cell() {
        for (row, tag) in [("a\"b", "a\"b"), ("\"a\"", "a"), ("\"\"\"\"", "\""), ("\"\"", "\0")] {
            let found = records(&[b"tag\n", row.as_bytes()]).expect("a row");
            assert_eq!(found, [format!("{tag:\0<3}").into_bytes()], "{row}");
        }
        for open in ["\"", "\"a", "\"a\"\"", "\"a\n"] {
            assert_eq!(wrong(&[b"tag\n", open.as_bytes()]), ["line 2: a quoted cell has no end"]);
        }
        let text = b"id,tag\n1\"2,\"cut";
        assert_eq!(wrong(&[text]), ["line 2: a quoted cell has no end"], "after another quote");
    }
}
