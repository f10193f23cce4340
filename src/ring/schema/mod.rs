//! The schema: one line of text that names the columns of a record.
//!
//! ```text
//! schema := field ("," field)*
//! field  := name ":" kind labels? unit? array?
//! kind   := i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 bool      scalars, as NumPy names them
//!         | str N | bytes N | pad N                          N bytes; pad has no value
//!         | enum8 enum16 | bits8 bits16 bits32               unsigned, with names for values, bits
//!         | time_s time_ms time_us time_ns                   i64, since 1970 in UTC
//! labels := "{" name ("," name)* "}"                         of an enum from 0, of bits from bit 0
//! unit   := "[" any text without "[" and "]" "]"
//! array  := "*" N                                            N values back to back
//! name   := letters, digits and "_", not beginning with a digit
//! ```
//!
//! Fields lie back to back in the order of the text, little-endian, without gaps. Spaces may stand
//! between any two parts. The first field of a time kind that is no array is the record's time.

mod difference;
mod parse;
mod time;
mod value;

use std::{fmt, str::FromStr, time::SystemTime};

pub(crate) use difference::Difference;
pub(crate) use parse::SCHEMA_BYTES_MAX;
pub use parse::{SchemaError, SchemaProblem};
pub(crate) use time::{TimeField, nanos_of};
pub use value::{Value, ValueError};

use crate::error::{Error, Result};

/// The columns of a record, parsed from one line of text.
///
/// A ring keeps it in its first page and never needs it: it is for people and tools. The text is a
/// list such as `t:time_ns, temp:f32[C], state:enum8{idle,run}, pos:f32[m]*3, tag:str8, _:pad2`.
/// Fields lie back to back in that order, little-endian. Kinds are `i8` to `i64`, `u8` to `u64`,
/// `f32`, `f64`, `bool`, `strN` and `bytesN` of N bytes, `enum8` and `enum16` with labels from 0,
/// `bits8` to `bits32` with labels from bit 0, `time_s`, `time_ms`, `time_us` and `time_ns` since
/// 1970 as an `i64`, and `padN` for N bytes without a value. A unit stands in brackets, `*N` makes
/// an array.
///
/// # Examples
///
/// ```
/// use ringkeep::{Schema, Value};
///
/// let schema: Schema = "t:time_s, temp:f32[C]".parse()?;
/// assert_eq!(schema.record_size(), 12);
/// let mut record = [0; 12];
/// let temp = schema.field("temp").ok_or("no such field")?;
/// temp.put(&mut record, 0, Value::Single(21.5))?;
/// assert_eq!(temp.value(&record, 0), Some(Value::Single(21.5)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    fields: Box<[Field]>,
    record_size: usize,
    time: Option<usize>,
}

/// One column of a record, or one array of columns.
///
/// # Examples
///
/// ```
/// let schema: ringkeep::Schema = "t:time_s, pos:f32[m]*3".parse()?;
/// let pos = &schema.fields()[1];
/// assert_eq!((&*pos.name, pos.unit.as_deref(), pos.array), ("pos", Some("m"), Some(3)));
/// assert_eq!((pos.offset, pos.size()), (8, 12));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Unique in its schema; `_` for padding.
    pub name: Box<str>,
    /// Type of one value.
    pub kind: Kind,
    /// Names of an enum's values from 0, or of bits from the lowest; may be fewer than possible.
    pub labels: Box<[Box<str>]>,
    /// What the values are measured in.
    pub unit: Option<Box<str>>,
    /// Values of an array; `None` for a single one.
    pub array: Option<usize>,
    /// Where it begins in a record, in bytes.
    pub offset: usize,
}

/// Type of one value.
///
/// # Examples
///
/// ```
/// use ringkeep::Kind;
///
/// assert_eq!(Kind::Str { bytes: 8 }.to_string(), "str8");
/// assert_eq!(Kind::U16.size(), 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Signed, 1 byte.
    I8,
    /// Signed, 2 bytes.
    I16,
    /// Signed, 4 bytes.
    I32,
    /// Signed, 8 bytes.
    I64,
    /// Unsigned, 1 byte.
    U8,
    /// Unsigned, 2 bytes.
    U16,
    /// Unsigned, 4 bytes.
    U32,
    /// Unsigned, 8 bytes.
    U64,
    /// IEEE 754, 4 bytes.
    F32,
    /// IEEE 754, 8 bytes.
    F64,
    /// One byte; 0 is false.
    Bool,
    /// UTF-8, filled up with zeros.
    Str {
        /// Bytes of the longest text.
        bytes: usize,
    },
    /// Any bytes.
    Bytes {
        /// How many.
        bytes: usize,
    },
    /// One of up to 256 named values, 1 byte.
    Enum8,
    /// One of up to 65536 named values, 2 bytes.
    Enum16,
    /// 8 named bits.
    Bits8,
    /// 16 named bits.
    Bits16,
    /// 32 named bits.
    Bits32,
    /// A time since 1970, in UTC without leap seconds; signed, 8 bytes.
    Time(TimeUnit),
    /// Bytes without a value.
    Pad {
        /// How many.
        bytes: usize,
    },
}

/// What a time is counted in.
///
/// # Examples
///
/// ```
/// assert_eq!(ringkeep::TimeUnit::Millis.nanos(), 1_000_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// `time_s`
    Seconds,
    /// `time_ms`
    Millis,
    /// `time_us`
    Micros,
    /// `time_ns`
    Nanos,
}

impl Schema {
    /// All fields in the order of their bytes, padding included.
    ///
    /// # Examples
    ///
    /// ```
    /// let schema: ringkeep::Schema = "a:u8, _:pad3, b:u32".parse()?;
    /// let names: Vec<_> = schema.fields().iter().map(|field| &*field.name).collect();
    /// assert_eq!(names, ["a", "_", "b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of this name; padding has none.
    ///
    /// # Examples
    ///
    /// ```
    /// let schema: ringkeep::Schema = "a:u8, _:pad3, b:u32".parse()?;
    /// assert_eq!(schema.field("b").map(|field| field.offset), Some(4));
    /// assert!(schema.field("_").is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| !field.is_padding() && &*field.name == name)
    }

    /// Bytes of all fields together.
    ///
    /// # Examples
    ///
    /// ```
    /// let schema: ringkeep::Schema = "t:time_ns, tag:str8".parse()?;
    /// assert_eq!(schema.record_size(), 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn record_size(&self) -> usize {
        self.record_size
    }

    /// The record's time: the first field of a time kind that is no array.
    ///
    /// # Examples
    ///
    /// ```
    /// let schema: ringkeep::Schema = "load:f32, t:time_ns".parse()?;
    /// assert_eq!(schema.time().map(|field| &*field.name), Some("t"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn time(&self) -> Option<&Field> {
        self.time.map(|index| &self.fields[index])
    }

    /// The time of a record; `None` without a time field, or for a record of another size.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    ///
    /// let schema: ringkeep::Schema = "t:time_ms".parse()?;
    /// let time = schema.time_of(&1_500_i64.to_le_bytes());
    /// assert_eq!(time, Some(UNIX_EPOCH + Duration::from_millis(1_500)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn time_of(&self, record: &[u8]) -> Option<SystemTime> {
        let time = self.time_field().filter(|_| record.len() == self.record_size)?;
        time.of(record)
    }

    /// The schema of records of this size.
    pub(crate) fn of_records(text: &str, record_size: usize) -> Result<Self> {
        let schema: Self = text.parse()?;
        let schema_bytes = schema.record_size();
        if schema_bytes == record_size {
            return Ok(schema);
        }
        Err(Error::SchemaSize { schema_bytes, record_size })
    }

    pub(crate) fn time_field(&self) -> Option<TimeField> {
        self.time().and_then(|field| match field.kind {
            Kind::Time(unit) => Some(TimeField { offset: field.offset, unit }),
            _ => None,
        })
    }
}

impl Field {
    /// Bytes of all its values.
    ///
    /// # Examples
    ///
    /// ```
    /// let schema: ringkeep::Schema = "tag:str8*4".parse()?;
    /// assert_eq!(schema.fields()[0].size(), 32);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn size(&self) -> usize {
        self.kind.size() * self.count()
    }

    /// How many values it has: 1, or as many as its array; padding has none.
    ///
    /// # Examples
    ///
    /// ```
    /// let schema: ringkeep::Schema = "a:u8, b:u8*5, _:pad2".parse()?;
    /// let counts: Vec<_> = schema.fields().iter().map(|field| field.values()).collect();
    /// assert_eq!(counts, [1, 5, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn values(&self) -> usize {
        if self.is_padding() { 0 } else { self.count() }
    }

    /// Whether it has no value.
    ///
    /// # Examples
    ///
    /// ```
    /// let schema: ringkeep::Schema = "a:u8, _:pad2".parse()?;
    /// assert!(schema.fields()[1].is_padding());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_padding(&self) -> bool {
        matches!(self.kind, Kind::Pad { .. })
    }

    fn count(&self) -> usize {
        self.array.unwrap_or(1)
    }
}

impl Kind {
    /// Bytes of one value.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ringkeep::Kind::Time(ringkeep::TimeUnit::Nanos).size(), 8);
    /// ```
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool | Self::Enum8 | Self::Bits8 => 1,
            Self::I16 | Self::U16 | Self::Enum16 | Self::Bits16 => 2,
            Self::I32 | Self::U32 | Self::F32 | Self::Bits32 => 4,
            Self::I64 | Self::U64 | Self::F64 | Self::Time(_) => 8,
            Self::Str { bytes } | Self::Bytes { bytes } | Self::Pad { bytes } => bytes,
        }
    }

    /// Labels that its values can have: those of an enum, or bits.
    pub(crate) fn labels_max(self) -> usize {
        match self {
            Self::Enum8 => 1 << 8,
            Self::Enum16 => 1 << 16,
            Self::Bits8 => 8,
            Self::Bits16 => 16,
            Self::Bits32 => 32,
            _ => 0,
        }
    }
}

impl TimeUnit {
    /// Nanoseconds in one of it.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(ringkeep::TimeUnit::Seconds.nanos(), 1_000_000_000);
    /// ```
    #[must_use]
    pub fn nanos(self) -> u32 {
        match self {
            Self::Seconds => 1_000_000_000,
            Self::Millis => 1_000_000,
            Self::Micros => 1_000,
            Self::Nanos => 1,
        }
    }
}

impl FromStr for Schema {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        let fields = parse::fields(text)?;
        let record_size = fields.last().map_or(0, |field| field.offset + field.size());
        let is_time = |field: &Field| matches!(field.kind, Kind::Time(_)) && field.array.is_none();
        let time = fields.iter().position(is_time);
        Ok(Self { fields: fields.into(), record_size, time })
    }
}

/// The text that parses to the same schema, with one space after each comma between fields.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, field) in self.fields.iter().enumerate() {
            write!(f, "{}{field}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.kind)?;
        if !self.labels.is_empty() {
            write!(f, "{{{}}}", self.labels.join(","))?;
        }
        if let Some(unit) = &self.unit {
            write!(f, "[{unit}]")?;
        }
        match self.array {
            Some(count) => write!(f, "*{count}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = parse::FIXED.iter().find(|(_, kind)| kind == self) {
            return f.write_str(name);
        }
        match self {
            Self::Str { bytes } => write!(f, "str{bytes}"),
            Self::Bytes { bytes } => write!(f, "bytes{bytes}"),
            Self::Pad { bytes } => write!(f, "pad{bytes}"),
            _ => unreachable!("all other kinds are in the table of fixed names"),
        }
    }
}
