//! From the text of a schema to its fields, or to the place where it is wrong.

use super::{Field, Kind, TimeUnit};
use crate::ring::lookup::RECORD_BYTES_MAX;

/// Bytes that the identity page has for it.
pub(crate) const SCHEMA_BYTES_MAX: usize = 2048;

/// Kinds whose name has no number of bytes in it.
pub(super) const FIXED: &[(&str, Kind)] = &[
    ("i8", Kind::I8),
    ("i16", Kind::I16),
    ("i32", Kind::I32),
    ("i64", Kind::I64),
    ("u8", Kind::U8),
    ("u16", Kind::U16),
    ("u32", Kind::U32),
    ("u64", Kind::U64),
    ("f32", Kind::F32),
    ("f64", Kind::F64),
    ("bool", Kind::Bool),
    ("enum8", Kind::Enum8),
    ("enum16", Kind::Enum16),
    ("bits8", Kind::Bits8),
    ("bits16", Kind::Bits16),
    ("bits32", Kind::Bits32),
    ("time_s", Kind::Time(TimeUnit::Seconds)),
    ("time_ms", Kind::Time(TimeUnit::Millis)),
    ("time_us", Kind::Time(TimeUnit::Micros)),
    ("time_ns", Kind::Time(TimeUnit::Nanos)),
];

/// Why a text is no schema, and where.
///
/// # Examples
///
/// ```
/// use ringkeep::{Schema, SchemaProblem};
///
/// let error = "t:time_ns, temp:f31".parse::<Schema>().unwrap_err();
/// assert_eq!(error.column, 17);
/// assert_eq!(error.problem, SchemaProblem::UnknownKind { found: "f31".into() });
/// assert!(error.to_string().starts_with("the schema is wrong at column 17: 'f31' is no type"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema is wrong at column {column}: {problem}")]
#[non_exhaustive]
pub struct SchemaError {
    /// Where, in characters, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: SchemaProblem,
}

/// What is wrong with the text of a schema.
///
/// # Examples
///
/// ```
/// use ringkeep::{Schema, SchemaProblem};
///
/// let error = "a:u8, a:u16".parse::<Schema>().unwrap_err();
/// assert_eq!(error.problem, SchemaProblem::DuplicateName { name: "a".into() });
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaProblem {
    /// More bytes than the identity page has for it.
    #[error("it has {found} bytes, at most {SCHEMA_BYTES_MAX} fit: shorten names and labels")]
    TooLong {
        /// Bytes of the text.
        found: usize,
    },
    /// A line break, a tab or another control character.
    #[error("a control character: a schema is one printable line")]
    ControlCharacter,
    /// A name was expected.
    #[error("a name is missing: letters, digits and '_', not beginning with a digit")]
    NoName,
    /// `id` is what every record has, and `_` has no value.
    #[error("'{name}' cannot name a field: {}", match &**name {
        "_" => "it stands for padding, as in _:pad2",
        _ => "every record has its id already",
    })]
    ReservedName {
        /// The name.
        name: Box<str>,
    },
    /// Two fields, or two labels of a field, with one name.
    #[error("there is a '{name}' already")]
    DuplicateName {
        /// The name.
        name: Box<str>,
    },
    /// A mark that must come here.
    #[error("'{mark}' is missing here")]
    Missing {
        /// The mark.
        mark: char,
    },
    /// A type that does not exist.
    #[error(
        "'{found}' is no type: use i8 to i64, u8 to u64, f32, f64, bool, strN, bytesN, padN, \
             enum8, enum16, bits8, bits16, bits32, time_s, time_ms, time_us or time_ns"
    )]
    UnknownKind {
        /// What stands there.
        found: Box<str>,
    },
    /// A number of bytes or values that no record can have.
    #[error("this must be a number from 1 to {RECORD_BYTES_MAX}")]
    Count,
    /// Labels of a kind that has none, or too many of them.
    #[error("{kind} can have {max} labels, not {found}")]
    Labels {
        /// The kind.
        kind: Kind,
        /// As many as it can have.
        max: usize,
        /// As many as there are.
        found: usize,
    },
    /// Nothing between the brackets.
    #[error("the unit is empty: leave the brackets out")]
    EmptyUnit,
    /// All fields together are too large.
    #[error("a record ends before this: it can have {RECORD_BYTES_MAX} bytes")]
    RecordTooLarge,
    /// Nothing but padding.
    #[error("there is no field with a value")]
    NoField,
}

/// All fields of a text, with their offsets.
pub(super) fn fields(text: &str) -> Result<Vec<Field>, SchemaError> {
    let mut parser = Parser { text, at: 0 };
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(parser.wrong(0, SchemaProblem::TooLong { found: text.len() }));
    }
    if let Some(at) = text.find(char::is_control) {
        return Err(parser.wrong(at, SchemaProblem::ControlCharacter));
    }
    let mut fields: Vec<Field> = Vec::new();
    let mut offset = 0;
    loop {
        parser.skip_spaces();
        let at = parser.at;
        let field = parser.field(offset)?;
        if !field.is_padding() && fields.iter().any(|other| other.name == field.name) {
            return Err(parser.wrong(at, SchemaProblem::DuplicateName { name: field.name }));
        }
        // Cannot overflow: each of the three factors was bounded.
        offset += field.size();
        if offset as u64 > RECORD_BYTES_MAX {
            return Err(parser.wrong(at, SchemaProblem::RecordTooLarge));
        }
        fields.push(field);
        parser.skip_spaces();
        if parser.rest().is_empty() {
            break;
        }
        parser.expect(',')?;
    }
    if fields.iter().all(Field::is_padding) {
        return Err(parser.wrong(0, SchemaProblem::NoField));
    }
    Ok(fields)
}

#[derive(Debug)]
struct Parser<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
}

impl<'a> Parser<'a> {
    fn field(&mut self, offset: usize) -> Result<Field, SchemaError> {
        let at = self.at;
        let name = self.name()?;
        self.expect(':')?;
        let kind = self.kind()?;
        let reserved = name == "id" || (name == "_" && !matches!(kind, Kind::Pad { .. }));
        if reserved {
            return Err(self.wrong(at, SchemaProblem::ReservedName { name: name.into() }));
        }
        Ok(Field {
            name: name.into(),
            kind,
            labels: self.labels(kind)?,
            unit: self.unit()?,
            array: self.array()?,
            offset,
        })
    }

    fn kind(&mut self) -> Result<Kind, SchemaError> {
        self.skip_spaces();
        let at = self.at;
        let word = self.word();
        if let Some((_, kind)) = FIXED.iter().find(|(name, _)| *name == word) {
            return Ok(*kind);
        }
        let digits = word.trim_start_matches(|c: char| !c.is_ascii_digit());
        let (name, digits) = word.split_at(word.len() - digits.len());
        let sized: fn(usize) -> Kind = match name {
            "str" => |bytes| Kind::Str { bytes },
            "bytes" => |bytes| Kind::Bytes { bytes },
            "pad" => |bytes| Kind::Pad { bytes },
            _ => {
                let found = if word.is_empty() { self.rest() } else { word };
                let found = found.split([',', ' ']).next().unwrap_or_default().into();
                return Err(self.wrong(at, SchemaProblem::UnknownKind { found }));
            }
        };
        let bytes = count(digits).ok_or_else(|| self.wrong(at, SchemaProblem::Count))?;
        Ok(sized(bytes))
    }

    fn labels(&mut self, kind: Kind) -> Result<Box<[Box<str>]>, SchemaError> {
        let mut labels: Vec<Box<str>> = Vec::new();
        self.skip_spaces();
        let at = self.at;
        if !self.eat('{') {
            return Ok(labels.into());
        }
        loop {
            self.skip_spaces();
            let at = self.at;
            let name: Box<str> = self.name()?.into();
            if labels.contains(&name) {
                return Err(self.wrong(at, SchemaProblem::DuplicateName { name }));
            }
            labels.push(name);
            self.skip_spaces();
            if self.eat('}') {
                break;
            }
            if !self.eat(',') {
                return Err(self.wrong(self.at, SchemaProblem::Missing { mark: '}' }));
            }
        }
        let (max, found) = (kind.labels_max(), labels.len());
        if found > max {
            return Err(self.wrong(at, SchemaProblem::Labels { kind, max, found }));
        }
        Ok(labels.into())
    }

    fn unit(&mut self) -> Result<Option<Box<str>>, SchemaError> {
        self.skip_spaces();
        let at = self.at;
        if !self.eat('[') {
            return Ok(None);
        }
        let length = self.rest().find(['[', ']']).unwrap_or(self.rest().len());
        let unit = self.rest()[..length].trim();
        self.at += length;
        self.expect(']')?;
        if unit.is_empty() {
            return Err(self.wrong(at, SchemaProblem::EmptyUnit));
        }
        Ok(Some(unit.into()))
    }

    fn array(&mut self) -> Result<Option<usize>, SchemaError> {
        self.skip_spaces();
        if !self.eat('*') {
            return Ok(None);
        }
        self.skip_spaces();
        let at = self.at;
        let count = count(self.word()).ok_or_else(|| self.wrong(at, SchemaProblem::Count))?;
        Ok(Some(count))
    }

    fn name(&mut self) -> Result<&'a str, SchemaError> {
        let at = self.at;
        let name = self.word();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.wrong(at, SchemaProblem::NoName));
        }
        Ok(name)
    }

    fn word(&mut self) -> &'a str {
        let ends = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let rest = self.rest();
        let word = &rest[..rest.find(ends).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn expect(&mut self, mark: char) -> Result<(), SchemaError> {
        self.skip_spaces();
        let missing = self.wrong(self.at, SchemaProblem::Missing { mark });
        if self.eat(mark) { Ok(()) } else { Err(missing) }
    }

    fn eat(&mut self, mark: char) -> bool {
        let found = self.rest().starts_with(mark);
        if found {
            self.at += mark.len_utf8();
        }
        found
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(' ').len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn wrong(&self, at: usize, problem: SchemaProblem) -> SchemaError {
        SchemaError { column: self.text[..at].chars().count() + 1, problem }
    }
}

/// A number of bytes or values.
fn count(digits: &str) -> Option<usize> {
    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
    let count = digits.parse().ok().filter(|_| is_number)?;
    (1..=RECORD_BYTES_MAX).contains(&(count as u64)).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::{super::Schema, *};

    const EVERYTHING: &str = "t:time_ns, temp:f32[C], rpm:u16, state:enum8{idle,run,fault}, \
                              pos:f32[m]*3, tag:str8, flags:bits16{a,b}, raw:bytes3*2, _:pad2";

    fn parse(text: &str) -> Result<Schema, SchemaError> {
        text.parse()
    }

    #[test]
    fn fields_lie_back_to_back_and_read_as_they_were_written() {
        let schema = parse(EVERYTHING).expect("a schema");
        assert_eq!(schema.to_string(), EVERYTHING);
        let offsets: Vec<_> = schema.fields().iter().map(|field| field.offset).collect();
        assert_eq!(offsets, [0, 8, 12, 14, 15, 27, 35, 37, 43]);
        assert_eq!(schema.record_size(), 45);
        assert_eq!(schema.time().map(|time| &*time.name), Some("t"));
        assert_eq!(*schema.fields()[3].labels, ["idle".into(), "run".into(), "fault".into()]);
    }

    #[test]
    fn spaces_may_stand_between_all_parts() {
        let spread = " t : time_ns ,temp:f32 [ C ],state : enum8 { idle , run } * 2 ";
        let schema = parse(spread).expect("a schema");
        assert_eq!(schema.to_string(), "t:time_ns, temp:f32[C], state:enum8{idle,run}*2");
        assert_eq!(parse(&schema.to_string()), Ok(schema));
    }

    #[test]
    fn every_kind_has_the_name_it_is_parsed_from() {
        let sized = ["str1", "bytes16777216", "pad7"];
        for name in FIXED.iter().map(|(name, _)| *name).chain(sized) {
            let text = format!("{}:{name}", if name == "pad7" { "x:u8, _" } else { "x" });
            assert_eq!(parse(&text).expect(name).to_string(), text);
        }
    }

    #[test]
    fn the_time_is_the_first_single_one() {
        for (text, time) in
            [("a:time_s*2, b:time_ms, c:time_ns", Some("b")), ("a:time_s*1", None), ("a:u64", None)]
        {
            let schema = parse(text).expect("a schema");
            assert_eq!(schema.time().map(|field| &*field.name), time, "{text}");
        }
    }

    #[test]
    fn each_mistake_is_told_with_its_column() {
        use SchemaProblem as P;
        let name = || "a".into();
        let unknown = |found: &str| P::UnknownKind { found: found.into() };
        let labels = |kind, max, found| P::Labels { kind, max, found };
        for (text, column, problem) in [
            ("", 1, P::NoName),
            ("a:u8,", 6, P::NoName),
            ("a:u8, 9b:u8", 7, P::NoName),
            ("a-b:u8", 2, P::Missing { mark: ':' }),
            ("a", 2, P::Missing { mark: ':' }),
            ("a:", 3, unknown("")),
            ("a:u9", 3, unknown("u9")),
            ("a:u8, b: float, c:u8", 10, unknown("float")),
            ("a:str", 3, P::Count),
            ("a:str0", 3, P::Count),
            ("a:bytes16777217", 3, P::Count),
            ("a:str99999999999999999999", 3, P::Count),
            ("a:u8 u8", 6, P::Missing { mark: ',' }),
            ("a:u8, a:u8", 7, P::DuplicateName { name: name() }),
            ("id:u8", 1, P::ReservedName { name: "id".into() }),
            ("_:u8", 1, P::ReservedName { name: "_".into() }),
            ("_:pad8", 1, P::NoField),
            ("a:u8{x}", 5, labels(Kind::U8, 0, 1)),
            ("a:bits8{a,b,c,d,e,f,g,h,i}", 8, labels(Kind::Bits8, 8, 9)),
            ("a:enum8{a,a}", 11, P::DuplicateName { name: name() }),
            ("a:enum8{}", 9, P::NoName),
            ("a:enum8{a", 10, P::Missing { mark: '}' }),
            ("a:f32[C", 8, P::Missing { mark: ']' }),
            ("a:f32[ ]", 6, P::EmptyUnit),
            ("a:f32[a[b]", 8, P::Missing { mark: ']' }),
            ("a:u8*0", 6, P::Count),
            ("a:u8*x", 6, P::Count),
            ("a:u8*", 6, P::Count),
            ("a:u8*-1", 6, P::Count),
            ("a:f32[\u{b0}C], b:u7", 14, unknown("u7")),
            ("a:u8\n", 5, P::ControlCharacter),
            ("a:u64*16777216", 1, P::RecordTooLarge),
            ("a:bytes16777216, b:u8", 18, P::RecordTooLarge),
        ] {
            assert_eq!(parse(text), Err(SchemaError { column, problem }), "{text}");
        }
    }

    #[test]
    fn a_schema_fills_its_place_and_no_more() {
        let longest = format!("a:f32[{}]", "x".repeat(SCHEMA_BYTES_MAX - 7));
        assert!(parse(&longest).is_ok());
        let longer = format!("a:f32[{}]", "x".repeat(SCHEMA_BYTES_MAX - 6));
        let problem = SchemaProblem::TooLong { found: SCHEMA_BYTES_MAX + 1 };
        assert_eq!(parse(&longer), Err(SchemaError { column: 1, problem }));
    }
}
