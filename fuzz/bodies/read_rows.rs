//! What the fuzz targets of CSV and NDJSON do with their bytes; `cli/src/fuzzed.rs` replays the
//! corpora.
//!
//! The first byte says how the rest is read: bits 0 to 2 choose the schema, bits 3 to 6 the bytes
//! of each piece in which it arrives (0: whole), and bit 7 makes long rows too long.

use std::sync::LazyLock;

use ringkeep::{Field, Kind, Schema, Value};

use crate::columns::csv::{CsvDecoder, CsvWriter};
use crate::columns::items;
use crate::columns::ndjson::{JsonRows, JsonWriter};
use crate::columns::table::Table;
use crate::exit::{Exit, Failure};
use crate::input::{Decoder, Lines, Rows};

/// Every kind of field, alone and beside others.
const SCHEMAS: [&str; 8] = [
    "a:i8, b:u8, c:i16, d:u16, e:i32, f:u32, g:i64, h:u64",
    "x:f32, y:f64, z:f32[C]*2",
    "on:bool, tag:str4, _:pad3, raw:bytes2, more:bool*2",
    "s:enum8{idle,run,fault}, m:enum16, b:bits8{a,b,c}, c:bits16, d:bits32{lo,hi}*2",
    "t:time_s",
    "t:time_ns, u:time_ms, v:time_us*2",
    "t:time_ns, temp:f32[C], rpm:u16, state:enum8{idle,run}, pos:f32[m]*3, tag:str8, \
     flags:bits16{a,b}, raw:bytes3*2, _:pad2",
    "tag:str16",
];
/// As `append` has it.
const ROW_BYTES_MAX: usize = 1 << 20;
/// Short enough to be reached.
const SHORT_ROW_BYTES_MAX: usize = 64;

static COLUMNS: LazyLock<Vec<Columns>> =
    LazyLock::new(|| SCHEMAS.iter().map(|text| Columns(text.parse().expect("a schema"))).collect());

struct Columns(Schema);

/// Of the first record that is written out.
const FIRST_ID: u64 = u64::MAX - 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Ndjson,
}

/// What came of an input.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Back to back.
    records: Vec<u8>,
    /// What is wrong with other rows, and the bytes of records before each of them.
    wrong: Vec<(usize, String)>,
    /// What ended it before its end.
    failure: Option<String>,
}

/// Reads any bytes as CSV; see `read_rows`.
pub(crate) fn read_csv(data: &[u8]) -> usize {
    read_rows(Form::Csv, data)
}

/// Reads any bytes as NDJSON; see `read_rows`.
pub(crate) fn read_ndjson(data: &[u8]) -> usize {
    read_rows(Form::Ndjson, data)
}

/// Each row becomes a record of the right size or a sentence, in whatever pieces it arrives; and
/// what became a record is the same after it was written and read again. Returns how many did.
fn read_rows(form: Form, data: &[u8]) -> usize {
    let Some((&how, input)) = data.split_first() else { return 0 };
    let columns = &COLUMNS[usize::from(how & 7)];
    let whole = columns.read(form, input);
    match usize::from(how >> 3 & 15) {
        // As `append` does it without `--skip-bad`.
        0 => columns.stops_at_the_first_wrong_row(form, input, &whole),
        // A row is too long for the command only while its end is not there.
        piece if how >> 7 == 1 => {
            let decoder = columns.decoder(form, SHORT_ROW_BYTES_MAX);
            drop(read_until(decoder, &columns.0, input.chunks(piece), |_| Ok(())));
        }
        piece => {
            let (decoder, pieces) = (columns.decoder(form, ROW_BYTES_MAX), input.chunks(piece));
            assert_eq!(read_until(decoder, &columns.0, pieces, |_| Ok(())), whole);
        }
    }
    if !whole.records.is_empty() {
        columns.reads_back(Form::Csv, &whole.records);
        columns.reads_back(Form::Ndjson, &whole.records);
        show(&columns.0, &whole.records);
    }
    whole.records.len() / columns.0.record_size()
}

impl Columns {
    fn decoder(&self, form: Form, row_bytes_max: usize) -> Box<dyn Decoder> {
        match form {
            Form::Csv => Box::new(CsvDecoder::new(self.0.clone(), row_bytes_max)),
            Form::Ndjson => {
                let rows = JsonRows::new(&self.0).expect("few columns");
                Box::new(Lines::new(row_bytes_max, Rows::Json(rows)))
            }
        }
    }

    /// All at once, passing over wrong rows.
    fn read(&self, form: Form, input: &[u8]) -> Outcome {
        let whole = std::iter::once(input).filter(|input| !input.is_empty());
        read_until(self.decoder(form, ROW_BYTES_MAX), &self.0, whole, |_| Ok(()))
    }

    fn stops_at_the_first_wrong_row(&self, form: Form, input: &[u8], whole: &Outcome) {
        let Some((end, first)) = whole.wrong.first() else { return };
        let refuse = |wrong: &str| Err(Failure::wrong_use(wrong));
        let input = std::iter::once(input);
        let stopped = read_until(self.decoder(form, ROW_BYTES_MAX), &self.0, input, refuse);
        assert_eq!(stopped.records, whole.records[..*end]);
        assert_eq!(stopped.wrong, whole.wrong[..1]);
        assert_eq!(stopped.failure.as_ref(), Some(first));
    }

    /// What `cat` writes, `append` reads: the same records, but for the bits of what is no number.
    fn reads_back(&self, form: Form, records: &[u8]) {
        let schema = &self.0;
        let text = written(form, schema, records);
        let again = self.read(form, &text);
        let shown = || String::from_utf8_lossy(&text);
        assert_eq!((&again.failure, &*again.wrong), (&None, &[][..]), "{}", shown());
        let (before, after) = (with_one_nan(schema, records), with_one_nan(schema, &again.records));
        assert_eq!(after, before, "{}", shown());
        assert!(written(form, schema, &again.records) == text, "{}", shown());
    }
}

/// The sizes of the records are checked on the way.
fn read_until<'a>(
    mut decoder: Box<dyn Decoder>,
    schema: &Schema,
    mut pieces: impl Iterator<Item = &'a [u8]>,
    judge: impl Fn(&str) -> Result<(), Failure>,
) -> Outcome {
    let (size, mut outcome) = (schema.record_size(), Outcome::default());
    let mut sink = |row: Result<&[u8], String>| match row {
        Ok(record) => {
            assert_eq!(record.len(), size);
            outcome.records.extend_from_slice(record);
            Ok(())
        }
        Err(wrong) => {
            let judged = judge(&wrong);
            outcome.wrong.push((outcome.records.len(), wrong));
            judged
        }
    };
    let read = pieces.try_for_each(|piece| decoder.push(piece, &mut sink));
    let read = read.and_then(|()| decoder.end(&mut sink));
    outcome.failure = read.err().map(|failure| match failure {
        Failure::Told(Exit::Use, sentence) => sentence,
        other => panic!("{other:?} for a wrong input"),
    });
    outcome
}

fn written(form: Form, schema: &Schema, records: &[u8]) -> Vec<u8> {
    let items = items(schema, &[]).expect("all of them");
    let (mut text, mut line) = (Vec::new(), Vec::new());
    let records = records.chunks_exact(schema.record_size());
    let records = (0..).map(|count| FIRST_ID.wrapping_add(count)).zip(records);
    match form {
        Form::Csv => {
            let mut csv = CsvWriter::new(&items).expect("few columns");
            csv.header(&mut text);
            for (id, record) in records {
                csv.row(&mut line, id, record);
                text.append(&mut line);
            }
        }
        Form::Ndjson => {
            let mut json = JsonWriter::new(items);
            for (id, record) in records {
                json.row(&mut line, id, record);
                assert_eq!(line.iter().position(|&byte| byte == b'\n'), Some(line.len() - 1));
                text.append(&mut line);
            }
        }
    }
    text
}

/// A text tells that a float is no number, and not with which bits.
fn with_one_nan(schema: &Schema, records: &[u8]) -> Vec<u8> {
    let mut records = records.to_vec();
    let is_float = |field: &&Field| matches!(field.kind, Kind::F32 | Kind::F64);
    for field in schema.fields().iter().filter(is_float) {
        for record in records.chunks_exact_mut(schema.record_size()) {
            for index in 0..field.values() {
                let is_nan = match field.value(record, index) {
                    Some(Value::Single(number)) => number.is_nan(),
                    Some(Value::Double(number)) => number.is_nan(),
                    other => panic!("{other:?} is no float"),
                };
                if is_nan {
                    field.put(record, index, Value::Double(f64::NAN)).expect("it is a float");
                }
            }
        }
    }
    records
}

/// A table has a line for its header and one for each record, whatever stands in it.
fn show(schema: &Schema, records: &[u8]) {
    let items = items(schema, &[]).expect("all of them");
    let mut table = Table::new(&items).expect("few columns");
    let mut text = Vec::new();
    let records = records.chunks_exact(schema.record_size());
    let lines = records.len() + 1;
    for record in records {
        table.row(&mut text, 0, record);
    }
    table.flush(&mut text);
    let text = String::from_utf8(text).expect("a table is text");
    assert_eq!(text.matches('\n').count(), lines, "{text}");
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
}
