//! One value of a record as text, both ways.
//!
//! | kind | text | in JSON |
//! |---|---|---|
//! | whole numbers | decimal | a number |
//! | floats | the shortest that reads back the same; NaN is empty | a number, or null |
//! | infinite floats | `inf`, `-inf` | a string |
//! | `bool` | `true`, `false` (`1`, `0` are read too) | true, false |
//! | `strN` | as it is, without the zeros at its end | a string |
//! | `bytesN` | hexadecimal | a string |
//! | enums | the label, or the number where there is none | a string, or a number |
//! | bits | labels and the rest as a number, joined by bars; `0` | a list of both |
//! | bits without labels | decimal | a number |
//! | times | RFC 3339 in UTC | a string |

use std::borrow::Cow;

use ringkeep::{Field, Kind, Value};

use crate::times::TimeText;

/// Writes values, and reads them into records.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    times: TimeText,
}

impl Cells {
    /// Writes a value as text, without quotes.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, field: &Field, value: Value<'_>) {
        match (field.kind, value) {
            (Kind::Time(unit), Value::Signed(count)) => self.times.write(out, count, unit),
            (Kind::Enum8 | Kind::Enum16, Value::Unsigned(number)) => match label(field, number) {
                Some(label) => out.extend_from_slice(label.as_bytes()),
                None => unsigned(out, number),
            },
            (Kind::Bits8 | Kind::Bits16 | Kind::Bits32, Value::Unsigned(bits)) => {
                let (names, rest) = split_bits(field, bits);
                out.extend_from_slice(names.join("|").as_bytes());
                if rest != 0 || names.is_empty() {
                    out.extend_from_slice(if names.is_empty() { b"" } else { b"|" });
                    unsigned(out, rest);
                }
            }
            (Kind::Bytes { .. }, Value::Bytes(bytes)) => push_hex(out, bytes),
            (_, Value::Bytes(text)) => {
                out.extend_from_slice(String::from_utf8_lossy(text).as_bytes());
            }
            (_, Value::Signed(number)) => {
                out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            }
            (_, Value::Unsigned(number)) => unsigned(out, number),
            (_, Value::Single(number)) if number.is_finite() => {
                out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
            }
            (_, Value::Single(number)) => odd_float(out, number.into()),
            (_, Value::Double(number)) if number.is_finite() => {
                out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
            }
            (_, Value::Double(number)) => odd_float(out, number),
            (_, Value::Bool(value)) => {
                out.extend_from_slice(if value { b"true" } else { b"false" });
            }
            _ => {}
        }
    }

    /// Writes a value as JSON.
    pub(crate) fn write_json(&mut self, out: &mut Vec<u8>, field: &Field, value: Value<'_>) {
        match (field.kind, value) {
            (_, Value::Single(number)) if number.is_nan() => out.extend_from_slice(b"null"),
            (_, Value::Double(number)) if number.is_nan() => out.extend_from_slice(b"null"),
            (Kind::Bits8 | Kind::Bits16 | Kind::Bits32, Value::Unsigned(bits))
                if !field.labels.is_empty() =>
            {
                let (names, rest) = split_bits(field, bits);
                let names = names.iter().map(|name| format!("\"{name}\""));
                let rest = (rest != 0).then(|| rest.to_string());
                let list: Vec<String> = names.chain(rest).collect();
                out.extend_from_slice(format!("[{}]", list.join(",")).as_bytes());
            }
            (Kind::Str { .. }, Value::Bytes(text)) => {
                // Writing a string into memory cannot fail.
                let _ = serde_json::to_writer(&mut *out, &String::from_utf8_lossy(text));
            }
            _ => {
                let start = out.len();
                self.write(out, field, value);
                // What is no number and no truth value is made of harmless letters here.
                let is_bare = match value {
                    Value::Single(number) => number.is_finite(),
                    Value::Double(number) => number.is_finite(),
                    Value::Bytes(_) => false,
                    Value::Unsigned(number) => label(field, number).is_none(),
                    _ => !matches!(field.kind, Kind::Time(_)) || !out[start..].ends_with(b"Z"),
                };
                if !is_bare {
                    out.insert(start, b'"');
                    out.push(b'"');
                }
            }
        }
    }

    /// Reads a text into a record. The error says what is wrong with it, and where it stood is the
    /// caller's to say.
    pub(crate) fn read(
        &mut self,
        record: &mut [u8],
        field: &Field,
        index: usize,
        text: &[u8],
    ) -> Result<(), String> {
        let text = std::str::from_utf8(text).map_err(|_| "is not UTF-8".to_owned())?;
        let mut bytes = Vec::new();
        let value = match field.kind {
            Kind::Str { .. } => Value::Bytes(text.as_bytes()),
            Kind::Bytes { .. } => {
                bytes = hex(text).ok_or_else(|| no(text, field))?;
                Value::Bytes(&bytes)
            }
            _ => self.scalar(field, text.trim_ascii())?,
        };
        let put = field.put(record, index, value);
        drop(bytes);
        put.map_err(|error| error.to_string())
    }

    /// A value that is no text.
    fn scalar(&mut self, field: &Field, text: &str) -> Result<Value<'static>, String> {
        let kind = field.kind;
        if text.is_empty() && !matches!(kind, Kind::F32 | Kind::F64) {
            return Err(format!("is empty, and {kind} is not"));
        }
        let parsed = match kind {
            Kind::F32 if text.is_empty() => Some(Value::Single(f32::NAN)),
            Kind::F64 if text.is_empty() => Some(Value::Double(f64::NAN)),
            Kind::F32 => text.parse().ok().map(Value::Single),
            Kind::F64 => text.parse().ok().map(Value::Double),
            Kind::Bool => match text {
                "true" | "1" => Some(Value::Bool(true)),
                "false" | "0" => Some(Value::Bool(false)),
                _ => None,
            },
            Kind::Time(unit) => return self.times.read(text, unit).map(Value::Signed),
            Kind::Enum8 | Kind::Enum16 => {
                let label = field.labels.iter().position(|label| **label == *text);
                label.map(|index| Value::Unsigned(index as u64)).or_else(|| number(text))
            }
            Kind::Bits8 | Kind::Bits16 | Kind::Bits32 => bits(field, text),
            _ => number(text),
        };
        let is_infinite = match parsed {
            Some(Value::Single(number)) => number.is_infinite(),
            Some(Value::Double(number)) => number.is_infinite(),
            _ => false,
        };
        if is_infinite && text.contains(|c: char| c.is_ascii_digit()) {
            return Err(format!("'{text}' is out of range of {kind}"));
        }
        parsed.ok_or_else(|| no(text, field))
    }
}

fn no(text: &str, field: &Field) -> String {
    const SHOWN: usize = 40;
    let kind = field.kind;
    match text.char_indices().nth(SHOWN) {
        None => format!("'{text}' is no {kind}"),
        Some((end, _)) => format!("'{}..' is no {kind}", &text[..end]),
    }
}

fn label(field: &Field, number: u64) -> Option<&str> {
    let index = usize::try_from(number).ok()?;
    field.labels.get(index).map(|label| &**label).filter(|_| is_enum(field))
}

fn is_enum(field: &Field) -> bool {
    matches!(field.kind, Kind::Enum8 | Kind::Enum16)
}

/// The labels of the bits that have one, and the bits that have none.
fn split_bits(field: &Field, bits: u64) -> (Vec<&str>, u64) {
    let set = field.labels.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
    let names = set.map(|(_, label)| &**label).collect();
    let labelled = (1_u64 << field.labels.len()) - 1;
    (names, bits & !labelled)
}

/// Labels and a number, joined by bars.
fn bits(field: &Field, text: &str) -> Option<Value<'static>> {
    let bit = |part: &str| match field.labels.iter().position(|label| **label == *part) {
        Some(bit) => Some(1 << bit),
        None => part.parse().ok(),
    };
    let all = text.split('|').try_fold(0_u64, |bits, part| Some(bits | bit(part.trim())?));
    all.map(Value::Unsigned)
}

fn number(text: &str) -> Option<Value<'static>> {
    match text.parse() {
        Ok(number) => Some(Value::Signed(number)),
        Err(_) => text.parse().ok().map(Value::Unsigned),
    }
}

fn unsigned(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn odd_float(out: &mut Vec<u8>, number: f64) {
    let text: Cow<'_, str> = match number {
        number if number.is_nan() => "".into(),
        number if number > 0.0 => "inf".into(),
        _ => "-inf".into(),
    };
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

pub(crate) fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use ringkeep::Schema;

    use super::*;

    fn field(kind: &str) -> Field {
        format!("x:{kind}").parse::<Schema>().expect("a schema").fields()[0].clone()
    }

    fn both(kind: &str, record: &[u8]) -> (String, String) {
        let field = field(kind);
        let value = field.value(record, 0).expect("a value");
        let (mut text, mut json) = (Vec::new(), Vec::new());
        Cells::default().write(&mut text, &field, value);
        Cells::default().write_json(&mut json, &field, value);
        (String::from_utf8(text).expect("text"), String::from_utf8(json).expect("text"))
    }

    fn read(kind: &str, text: &str) -> Result<Vec<u8>, String> {
        let field = field(kind);
        let mut record = vec![0xEE; field.size()];
        Cells::default().read(&mut record, &field, 0, text.as_bytes()).map(|()| record)
    }

    #[test]
    fn values_of_every_kind_are_written_and_read_back() {
        for (kind, record, text, json) in [
            ("i8", &b"\xFF"[..], "-1", "-1"),
            ("u64", &[255; 8], "18446744073709551615", "18446744073709551615"),
            ("i64", &[0, 0, 0, 0, 0, 0, 0, 128], "-9223372036854775808", "-9223372036854775808"),
            ("f32", &0.1_f32.to_le_bytes(), "0.1", "0.1"),
            ("f64", &73.967_322_07_f64.to_le_bytes(), "73.96732207", "73.96732207"),
            ("f64", &f64::INFINITY.to_le_bytes(), "inf", "\"inf\""),
            ("f32", &f32::NEG_INFINITY.to_le_bytes(), "-inf", "\"-inf\""),
            ("bool", &[1], "true", "true"),
            ("str4", b"a\"\n\0", "a\"\n", "\"a\\\"\\n\""),
            ("bytes2", &[0x0A, 0xFF], "0aff", "\"0aff\""),
            ("enum8{idle,run}", &[1], "run", "\"run\""),
            ("enum8{idle,run}", &[7], "7", "7"),
            ("enum16", &[1, 1], "257", "257"),
            ("bits8{a,b}", &[0b1011], "a|b|8", "[\"a\",\"b\",8]"),
            ("bits8{a,b}", &[0b1000], "8", "[8]"),
            ("bits8{a,b}", &[0], "0", "[]"),
            ("bits32", &[5, 0, 0, 128], "2147483653", "2147483653"),
            ("time_ms", &[1, 0, 0, 0, 0, 0, 0, 0], "1970-01-01T00:00:00.001Z", ""),
            ("time_s", &[0, 0, 0, 0, 0, 0, 0, 127], "9151314442816847872", "9151314442816847872"),
        ] {
            let written = both(kind, record);
            assert_eq!(written.0, text, "{kind}");
            let json = if json.is_empty() { format!("\"{text}\"") } else { json.to_owned() };
            assert_eq!(written.1, json, "{kind}");
            assert_eq!(read(kind, text).as_deref(), Ok(record), "{kind} {text}");
        }
        assert_eq!(both("f32", &f32::NAN.to_le_bytes()), (String::new(), "null".into()));
        let nan = read("f64", "").expect("NaN");
        assert!(f64::from_le_bytes(nan.try_into().expect("8 bytes")).is_nan());
    }

    #[test]
    fn floats_of_any_bits_read_back_as_they_were() {
        let mut bits = 1_u64;
        for _ in 0..50_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
            let (double, single) = (bits.to_le_bytes(), bits.to_be_bytes()[..4].to_vec());
            if !f64::from_bits(bits).is_nan() {
                assert_eq!(read("f64", &both("f64", &double).0).as_deref(), Ok(&double[..]));
            }
            let is_nan = f32::from_le_bytes(single[..].try_into().expect("4 bytes")).is_nan();
            if !is_nan {
                assert_eq!(read("f32", &both("f32", &single).0).as_deref(), Ok(&single[..]));
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_told_in_a_few_words() {
        for (kind, text, told) in [
            ("u8", "256", "256 is out of range: u8 goes from 0 to 255"),
            ("i8", "-129", "-129 is out of range: i8 goes from -128 to 127"),
            ("u8", "12x", "'12x' is no u8"),
            ("u8", "", "is empty, and u8 is not"),
            ("u64", "18446744073709551616", "'18446744073709551616' is no u64"),
            ("f32", "warm", "'warm' is no f32"),
            ("f32", "1e39", "'1e39' is out of range of f32"),
            ("f64", "-1e999", "'-1e999' is out of range of f64"),
            ("bool", "yes", "'yes' is no bool"),
            ("str2", "abc", "3 bytes do not fit into str2"),
            ("bytes2", "0a", "1 bytes do not fit into bytes2"),
            ("bytes2", "0g00", "'0g00' is no bytes2"),
            ("enum8{a}", "b", "'b' is no enum8"),
            ("enum8{a}", "256", "256 is out of range: enum8 goes from 0 to 255"),
            ("bits8{a}", "a|c", "'a|c' is no bits8"),
            (
                "time_s",
                "1970-01-01T00:00:00.5Z",
                "'1970-01-01T00:00:00.5Z' has more digits than its field keeps",
            ),
        ] {
            assert_eq!(read(kind, text), Err(told.to_owned()), "{kind} {text}");
        }
        assert_eq!(read("u8", " 7 "), Ok(vec![7]));
    }
}
