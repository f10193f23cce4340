//! The archive, and what is read of its records.

use std::{ops::Range, path::Path, time::UNIX_EPOCH};

use ringkeep::{Field, Kind, Read, Ring, Schema, Value};

use super::Result;

pub(crate) struct Archive {
    pub(crate) ring: Ring,
    schema: Schema,
    pub(crate) sensor: Field,
    pub(crate) status: Field,
    value: Field,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// Since 1970.
    pub(crate) time_ms: u64,
    pub(crate) sensor: u32,
    pub(crate) status: u64,
    pub(crate) value: f64,
}

impl Archive {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let ring = Ring::open(path)?;
        let told = |what: &str| format!("{} {what}", path.display());
        let schema = ring.schema()?.ok_or_else(|| told("has no schema: its columns have no names"));
        let schema = schema?.clone();
        schema.time().ok_or_else(|| told("has no column of times"))?;
        let column = |name, fits: fn(Kind) -> bool, kinds| {
            let field = schema.field(name).filter(|field| field.array.is_none());
            let field = field.filter(|field| fits(field.kind));
            field.cloned().ok_or_else(|| told(&format!("has no column {name:?} of {kinds}")))
        };
        let is_sensor =
            |kind| matches!(kind, Kind::Enum8 | Kind::Enum16 | Kind::U8 | Kind::U16 | Kind::U32);
        let is_status = |kind| matches!(kind, Kind::Enum8 | Kind::Enum16);
        let is_value = |kind| matches!(kind, Kind::F32 | Kind::F64);
        let sensor = column("sensor", is_sensor, "names or whole numbers")?;
        let status = column("status", is_status, "names")?;
        let value = column("value", is_value, "floats")?;
        Ok(Self { ring, schema, sensor, status, value })
    }

    /// What a record says; `None` if it has no time that an index could have.
    pub(crate) fn reading(&self, record: &[u8]) -> Option<Reading> {
        let unsigned = |field: &Field| match field.value(record, 0)? {
            Value::Unsigned(number) => Some(number),
            _ => None,
        };
        let time = self.schema.time_of(record)?.duration_since(UNIX_EPOCH).ok()?;
        let value = match self.value.value(record, 0)? {
            Value::Single(value) => value.into(),
            Value::Double(value) => value,
            _ => return None,
        };
        Some(Reading {
            time_ms: time.as_millis().try_into().ok()?,
            sensor: unsigned(&self.sensor)?.try_into().ok()?,
            status: unsigned(&self.status)?,
            value,
        })
    }

    /// Calls `take` with every record of these ids.
    pub(crate) fn each(
        &self,
        ids: Range<u64>,
        mut take: impl FnMut(u64, &Reading) -> ringkeep::Result<()>,
    ) -> Result<u64> {
        let (mut cursor, mut count) = (self.ring.range(ids), 0);
        while let Some((id, read)) = cursor.next()? {
            if let Read::Record(record) = read
                && let Some(reading) = self.reading(record)
            {
                take(id, &reading)?;
                count += 1;
            }
        }
        Ok(count)
    }
}

pub(crate) fn label(field: &Field, number: u64) -> String {
    let label = usize::try_from(number).ok().and_then(|number| field.labels.get(number));
    label.map_or_else(|| number.to_string(), ToString::to_string)
}
