//! NDJSON: an object a line, with the id as a string.

use std::borrow::Cow;
use std::fmt;

use ringkeep::{Field, Kind, Schema};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::cell::Cells;
use super::{ID, Item, items};
use crate::exit::Failure;

/// Writes records as objects.
#[derive(Debug)]
pub(crate) struct JsonWriter {
    items: Vec<Item>,
    cells: Cells,
}

impl JsonWriter {
    pub(crate) fn new(items: Vec<Item>) -> Self {
        Self { items, cells: Cells::default() }
    }

    pub(crate) fn row(&mut self, line: &mut Vec<u8>, id: u64, payload: &[u8]) {
        for (at, item) in self.items.iter().enumerate() {
            line.extend_from_slice(if at == 0 { b"{\"" } else { b",\"" });
            line.extend_from_slice(item.name().as_bytes());
            line.extend_from_slice(b"\":");
            let Some((field, index)) = item.field() else {
                line.push(b'"');
                line.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
                line.push(b'"');
                continue;
            };
            let whole = matches!(item, Item::Field(_)) && field.array.is_some();
            let indexes = if whole { 0..field.values() } else { index..index + 1 };
            line.extend_from_slice(if whole { b"[" } else { b"" });
            for index in indexes.clone() {
                line.extend_from_slice(if index > indexes.start { b"," } else { b"" });
                if let Some(value) = field.value(payload, index) {
                    self.cells.write_json(line, field, value);
                }
            }
            line.extend_from_slice(if whole { b"]" } else { b"" });
        }
        line.extend_from_slice(b"}\n");
    }
}

/// Turns a line of NDJSON into a record.
#[derive(Debug)]
pub(crate) struct JsonRows {
    fields: Vec<Field>,
    cells: Cells,
    record: Vec<u8>,
}

impl JsonRows {
    pub(crate) fn new(schema: &Schema) -> Result<Self, Failure> {
        let items = items(schema, &[])?;
        let fields = items.iter().filter_map(Item::field).map(|(field, _)| field.clone());
        let record = vec![0; schema.record_size()];
        Ok(Self { fields: fields.collect(), cells: Cells::default(), record })
    }

    /// The record of a line, or what is wrong with it.
    pub(crate) fn record(&mut self, line: &[u8]) -> Result<&[u8], String> {
        let Pairs(pairs) = serde_json::from_slice(line).map_err(|error| {
            let text = error.to_string();
            let what = text.split(" at line ").next().unwrap_or_default();
            format!("column {}: {what}", error.column())
        })?;
        let mut found = vec![false; self.fields.len()];
        for (key, value) in pairs {
            if key == ID {
                continue;
            }
            let Some(at) = self.fields.iter().position(|field| *field.name == *key) else {
                let known: Vec<&str> = self.fields.iter().map(|field| &*field.name).collect();
                return Err(format!("there is no field '{key}'; there are {}", known.join(", ")));
            };
            if std::mem::replace(&mut found[at], true) {
                return Err(format!("'{key}' is there twice"));
            }
            let field = &self.fields[at];
            read_field(&mut self.cells, &mut self.record, field, value)
                .map_err(|wrong| format!("key {key}: {wrong}"))?;
        }
        match found.iter().position(|found| !found) {
            None => Ok(&self.record),
            Some(at) => Err(format!("there is no '{}'", self.fields[at].name)),
        }
    }
}

fn read_field(
    cells: &mut Cells,
    record: &mut [u8],
    field: &Field,
    value: &RawValue,
) -> Result<(), String> {
    if field.array.is_none() {
        return read_value(cells, record, field, 0, value);
    }
    let count = field.values();
    let wrong = |_| format!("a list of {count} values is needed");
    let values: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(wrong)?;
    if values.len() != count {
        return Err(format!("{} values, {count} are needed", values.len()));
    }
    let mut indexed = values.iter().enumerate();
    indexed.try_for_each(|(index, value)| read_value(cells, record, field, index, value))
}

fn read_value(
    cells: &mut Cells,
    record: &mut [u8],
    field: &Field,
    index: usize,
    value: &RawValue,
) -> Result<(), String> {
    let kind = field.kind;
    let text: Cow<'_, str> = match value.get().as_bytes() {
        [b'"', ..] => serde_json::from_str(value.get()).map_err(|error| error.to_string())?,
        [b'[', ..] if matches!(kind, Kind::Bits8 | Kind::Bits16 | Kind::Bits32) => bits(value)?,
        [b'[' | b'{', ..] => return Err(format!("{kind} takes a single value")),
        b"null" if matches!(kind, Kind::F32 | Kind::F64) => "".into(),
        b"null" => return Err(format!("is null, and {kind} is not")),
        _ if matches!(kind, Kind::Str { .. } | Kind::Bytes { .. }) => {
            return Err(format!("{kind} takes a string"));
        }
        _ => value.get().into(),
    };
    cells.read(record, field, index, text.as_bytes())
}

/// A list of labels and numbers, joined as in CSV.
fn bits(value: &RawValue) -> Result<Cow<'static, str>, String> {
    let parts: Vec<serde_json::Value> =
        serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
    let part = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let joined = parts.iter().map(part).collect::<Vec<_>>().join("|");
    Ok(if joined.is_empty() { "0".into() } else { joined.into() })
}

/// The keys and values of an object as they stand there, double ones too.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}
