//! What the fuzz target does with its text; the corpus is replayed by `tests/fuzz_corpus.rs`.

use ringkeep::{Schema, SchemaError, SchemaProblem, Value};

/// Parses any text. A schema reads back as it is shown, and its values lie within its records; an
/// error names a column that the text has.
pub(crate) fn parse_schema(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match text.parse::<Schema>() {
        Ok(schema) => {
            check_text(&schema);
            check_values(&schema);
        }
        Err(error) => {
            let columns = text.chars().count() + 1;
            assert!((1..=columns).contains(&error.column), "{error}");
        }
    }
}

/// Spaces are normalized: the text may grow past what fits, and must be right otherwise.
fn check_text(schema: &Schema) {
    match schema.to_string().parse::<Schema>() {
        Err(SchemaError { problem: SchemaProblem::TooLong { .. }, .. }) => {}
        again => assert_eq!(again.as_ref(), Ok(schema)),
    }
}

fn check_values(schema: &Schema) {
    let size = schema.record_size();
    if size > 1 << 16 {
        return;
    }
    let mut record: Vec<u8> = (0..size).map(|at| at.to_le_bytes()[0]).collect();
    let mut end = 0;
    for field in schema.fields() {
        assert_eq!(field.offset, end, "{schema}");
        end += field.size();
        for index in 0..field.values() {
            let value = field.value(&record, index).expect("it is inside");
            if !matches!(value, Value::Bool(_)) {
                let before = record.clone();
                let value = owned(value);
                field.put(&mut record, index, value.borrowed()).expect("it came from there");
                assert!(record == before, "{schema}");
            }
        }
        assert_eq!(field.value(&record, field.values()), None);
    }
    assert_eq!(end, size, "{schema}");
    assert_eq!(schema.time_of(&record).is_some(), schema.time().is_some());
}

/// A value that does not borrow the record it goes back to.
enum Owned {
    Number(Value<'static>),
    Bytes(Vec<u8>),
}

fn owned(value: Value<'_>) -> Owned {
    match value {
        Value::Bytes(bytes) => Owned::Bytes(bytes.to_vec()),
        Value::Signed(number) => Owned::Number(Value::Signed(number)),
        Value::Unsigned(number) => Owned::Number(Value::Unsigned(number)),
        Value::Single(number) => Owned::Number(Value::Single(number)),
        Value::Double(number) => Owned::Number(Value::Double(number)),
        other => unreachable!("{other:?} has no number and no bytes"),
    }
}

impl Owned {
    fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Number(value) => *value,
            Self::Bytes(bytes) => Value::Bytes(bytes),
        }
    }
}
