//! Single values, between the bytes of a record and the programs that show or make them.

use super::{Field, Kind};

/// One value of a field.
///
/// # Examples
///
/// ```
/// use ringkeep::{Schema, Value};
///
/// let schema: Schema = "t:time_s, load:f32*2, tag:str4".parse()?;
/// let record = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 64, b'h', b'i', 0, 0];
/// let [t, load, tag] = schema.fields() else { unreachable!("three fields") };
/// assert_eq!(t.value(&record, 0), Some(Value::Signed(0)));
/// assert_eq!(load.value(&record, 1), Some(Value::Single(2.0)));
/// assert_eq!(tag.value(&record, 0), Some(Value::Bytes(b"hi")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Of `i8` to `i64`; and a time, in its unit since 1970.
    Signed(i64),
    /// Of `u8` to `u64`, an enum, or bits.
    Unsigned(u64),
    /// Of `f32`.
    Single(f32),
    /// Of `f64`.
    Double(f64),
    /// Of `bool`.
    Bool(bool),
    /// Of `bytesN`, all of them; of `strN`, without the zeros at the end.
    Bytes(&'a [u8]),
}

/// Why a value does not go into a field.
///
/// # Examples
///
/// ```
/// use ringkeep::{Schema, Value, ValueError};
///
/// let schema: Schema = "rpm:u16".parse()?;
/// let refused = schema.fields()[0].put(&mut [0; 2], 0, Value::Unsigned(70_000));
/// assert!(matches!(refused, Err(ValueError::OutOfRange { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The field has room for other numbers.
    #[error("{found} is out of range: {kind} goes from {min} to {max}")]
    OutOfRange {
        /// The number.
        found: i128,
        /// Of the field.
        kind: Kind,
        /// Its smallest number.
        min: i128,
        /// Its largest number.
        max: i128,
    },
    /// A text that is too long, or not as many bytes as the field has.
    #[error("{found} bytes do not fit into {kind}")]
    Length {
        /// Bytes given.
        found: usize,
        /// Of the field.
        kind: Kind,
    },
    /// A text where a number belongs, for instance.
    #[error("{kind} takes another kind of value")]
    Mismatch {
        /// Of the field.
        kind: Kind,
    },
    /// The field has fewer values, or the record is another one.
    #[error("the record has no such value")]
    OutOfBounds,
}

impl Field {
    /// Its value in `record`, or that of an array at `index`; `None` where there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Schema, Value};
    ///
    /// let schema: Schema = "state:enum8{idle,run}, _:pad1".parse()?;
    /// assert_eq!(schema.fields()[0].value(&[1, 0], 0), Some(Value::Unsigned(1)));
    /// assert_eq!(schema.fields()[0].value(&[1, 0], 1), None);
    /// assert_eq!(schema.fields()[1].value(&[1, 0], 0), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn value<'a>(&self, record: &'a [u8], index: usize) -> Option<Value<'a>> {
        let size = self.kind.size();
        if index >= self.values() {
            return None;
        }
        let at = self.offset + index * size;
        let bytes = record.get(at..at + size)?;
        Some(match self.kind {
            Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64 | Kind::Time(_) => {
                Value::Signed(signed(bytes))
            }
            Kind::F32 => Value::Single(f32::from_bits(u32::from_le_bytes(widened(bytes)))),
            Kind::F64 => Value::Double(f64::from_bits(u64::from_le_bytes(widened(bytes)))),
            Kind::Bool => Value::Bool(bytes != [0]),
            Kind::Str { .. } => {
                let zeros = bytes.iter().rev().take_while(|&&byte| byte == 0).count();
                Value::Bytes(&bytes[..size - zeros])
            }
            Kind::Bytes { .. } => Value::Bytes(bytes),
            _ => Value::Unsigned(u64::from_le_bytes(widened(bytes))),
        })
    }

    /// Stores a value into `record`, or into an array at `index`.
    ///
    /// Any number that is in range goes into a whole-number field; any number goes into a float
    /// field, rounded. A text shorter than its field is filled up with zeros.
    ///
    /// # Errors
    ///
    /// A [`ValueError`]; the record is as it was then.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringkeep::{Schema, Value};
    ///
    /// let schema: Schema = "tag:str4, rpm:u16".parse()?;
    /// let mut record = [0xFF; 6];
    /// schema.fields()[0].put(&mut record, 0, Value::Bytes(b"hi"))?;
    /// schema.fields()[1].put(&mut record, 0, Value::Signed(3))?;
    /// assert_eq!(record, *b"hi\0\0\x03\0");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn put(&self, record: &mut [u8], index: usize, value: Value<'_>) -> Result<(), ValueError> {
        let (kind, size) = (self.kind, self.kind.size());
        if index >= self.values() {
            return Err(ValueError::OutOfBounds);
        }
        let at = self.offset + index * size;
        let place = record.get_mut(at..at + size).ok_or(ValueError::OutOfBounds)?;
        match (kind, value) {
            (Kind::Bool, Value::Bool(value)) => place[0] = value.into(),
            (Kind::F32, value) => {
                let single = single(value).ok_or(ValueError::Mismatch { kind })?;
                place.copy_from_slice(&single.to_le_bytes());
            }
            (Kind::F64, value) => {
                let double = double(value).ok_or(ValueError::Mismatch { kind })?;
                place.copy_from_slice(&double.to_le_bytes());
            }
            (Kind::Str { .. } | Kind::Bytes { .. }, Value::Bytes(bytes)) => {
                let fits = match kind {
                    Kind::Str { .. } => bytes.len() <= size,
                    _ => bytes.len() == size,
                };
                if !fits {
                    return Err(ValueError::Length { found: bytes.len(), kind });
                }
                let (text, rest) = place.split_at_mut(bytes.len());
                text.copy_from_slice(bytes);
                rest.fill(0);
            }
            (_, Value::Signed(number)) => whole(kind, place, number.into())?,
            (_, Value::Unsigned(number)) => whole(kind, place, number.into())?,
            _ => return Err(ValueError::Mismatch { kind }),
        }
        Ok(())
    }
}

/// Stores a number into a whole-number field, if it is in range.
#[inline]
fn whole(kind: Kind, place: &mut [u8], number: i128) -> Result<(), ValueError> {
    let bits = 8 * place.len();
    let (min, max) = match kind {
        Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64 | Kind::Time(_) => {
            (-1_i128 << (bits - 1), (1_i128 << (bits - 1)) - 1)
        }
        Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 => (0, (1_i128 << bits) - 1),
        Kind::Enum8 | Kind::Enum16 | Kind::Bits8 | Kind::Bits16 | Kind::Bits32 => {
            (0, (1_i128 << bits) - 1)
        }
        _ => return Err(ValueError::Mismatch { kind }),
    };
    if !(min..=max).contains(&number) {
        return Err(ValueError::OutOfRange { found: number, kind, min, max });
    }
    place.copy_from_slice(&number.to_le_bytes()[..place.len()]);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a float field takes the nearest number")]
#[expect(clippy::cast_possible_truncation, reason = "a float field takes the nearest number")]
fn single(value: Value<'_>) -> Option<f32> {
    match value {
        Value::Signed(number) => Some(number as f32),
        Value::Unsigned(number) => Some(number as f32),
        Value::Single(number) => Some(number),
        Value::Double(number) => Some(number as f32),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a float field takes the nearest number")]
fn double(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Signed(number) => Some(number as f64),
        Value::Unsigned(number) => Some(number as f64),
        Value::Single(number) => Some(number.into()),
        Value::Double(number) => Some(number),
        _ => None,
    }
}

/// A little-endian number, with zeros on top.
fn widened<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut wide = [0; N];
    wide[..bytes.len()].copy_from_slice(bytes);
    wide
}

/// A little-endian number of up to 8 bytes, with its sign.
fn signed(bytes: &[u8]) -> i64 {
    let unused = 64 - 8 * bytes.len();
    (i64::from_le_bytes(widened(bytes)) << unused) >> unused
}

#[cfg(test)]
mod tests {
    use super::{super::Schema, *};

    fn field(text: &str) -> Field {
        let schema: Schema = format!("before:u8, x:{text}, after:u8").parse().expect("a schema");
        schema.fields()[1].clone()
    }

    /// Puts a value between two other bytes, and reads it again.
    fn through(text: &str, value: Value<'_>) -> Result<Vec<u8>, ValueError> {
        let field = field(text);
        let mut record = vec![0xEE; field.size() + 2];
        let before = record.clone();
        let put = field.put(&mut record, 0, value);
        if put.is_err() {
            assert_eq!(record, before, "{text} {value:?}");
        }
        assert_eq!((record[0], record[field.size() + 1]), (0xEE, 0xEE), "{text} {value:?}");
        put.map(|()| record[1..=field.size()].to_vec())
    }

    #[test]
    fn whole_numbers_go_to_their_ends_and_no_further() {
        for (text, min, max) in [
            ("i8", i64::from(i8::MIN), i8::MAX.unsigned_abs().into()),
            ("i16", i16::MIN.into(), i16::MAX.unsigned_abs().into()),
            ("i32", i32::MIN.into(), i32::MAX.unsigned_abs().into()),
            ("i64", i64::MIN, i64::MAX.unsigned_abs()),
            ("time_ms", i64::MIN, i64::MAX.unsigned_abs()),
            ("u8", 0, u8::MAX.into()),
            ("u16", 0, u16::MAX.into()),
            ("u32", 0, u32::MAX.into()),
            ("u64", 0, u64::MAX),
            ("enum8", 0, u8::MAX.into()),
            ("enum16", 0, u16::MAX.into()),
            ("bits8", 0, u8::MAX.into()),
            ("bits16", 0, u16::MAX.into()),
            ("bits32", 0, u32::MAX.into()),
        ] {
            let field = field(text);
            let mut record = vec![0; field.size() + 2];
            for value in [Value::Signed(min), Value::Unsigned(max)] {
                field.put(&mut record, 0, value).expect("in range");
                let read = match field.value(&record, 0) {
                    Some(Value::Signed(number)) => i128::from(number),
                    Some(Value::Unsigned(number)) => i128::from(number),
                    other => panic!("{other:?}"),
                };
                let put = if value == Value::Signed(min) { min.into() } else { max.into() };
                assert_eq!(read, put, "{text}");
            }
            let beyond =
                [min.checked_sub(1).map(Value::Signed), max.checked_add(1).map(Value::Unsigned)];
            for value in beyond.into_iter().flatten() {
                let refused = through(text, value);
                assert!(matches!(refused, Err(ValueError::OutOfRange { .. })), "{text} {value:?}");
            }
        }
    }

    #[test]
    fn texts_are_filled_up_and_bytes_must_be_exact() {
        assert_eq!(through("str4", Value::Bytes(b"hi")), Ok(b"hi\0\0".to_vec()));
        assert_eq!(through("str2", Value::Bytes(b"hi")), Ok(b"hi".to_vec()));
        assert_eq!(through("bytes2", Value::Bytes(b"hi")), Ok(b"hi".to_vec()));
        for (text, value) in [("str2", &b"high"[..]), ("bytes2", b"h"), ("bytes2", b"high")] {
            let refused = through(text, Value::Bytes(value));
            assert!(matches!(refused, Err(ValueError::Length { .. })), "{text}");
        }
    }

    #[test]
    fn floats_take_any_number_and_keep_their_bits() {
        assert_eq!(through("f32", Value::Single(0.1)), Ok(0.1_f32.to_le_bytes().to_vec()));
        assert_eq!(through("f32", Value::Signed(-3)), Ok((-3_f32).to_le_bytes().to_vec()));
        assert_eq!(through("f64", Value::Double(0.1)), Ok(0.1_f64.to_le_bytes().to_vec()));
        assert_eq!(through("f64", Value::Unsigned(3)), Ok(3_f64.to_le_bytes().to_vec()));
        let field = field("f32");
        let read = field.value(&[0, 0, 0, 0xC0, 0x7F, 0], 0);
        assert!(matches!(read, Some(Value::Single(number)) if number.is_nan()));
    }

    #[test]
    fn a_value_of_another_kind_is_refused() {
        for (text, value) in [
            ("u8", Value::Single(1.0)),
            ("u8", Value::Bool(true)),
            ("bool", Value::Bytes(b"true")),
            ("bool", Value::Unsigned(1)),
            ("f32", Value::Bytes(b"1")),
            ("str4", Value::Signed(1)),
        ] {
            let refused = through(text, value);
            assert!(matches!(refused, Err(ValueError::Mismatch { .. })), "{text} {value:?}");
        }
    }

    #[test]
    fn arrays_end_where_they_end() {
        let field = field("u16*3");
        let mut record = [0; 8];
        for index in 0..3 {
            field.put(&mut record, index, Value::Unsigned(index as u64 + 1)).expect("inside");
        }
        assert_eq!(record, [0, 1, 0, 2, 0, 3, 0, 0]);
        assert_eq!(field.value(&record, 2), Some(Value::Unsigned(3)));
        assert_eq!(field.value(&record, 3), None);
        assert_eq!(field.put(&mut record, 3, Value::Unsigned(1)), Err(ValueError::OutOfBounds));
        assert_eq!(field.value(&record[..6], 2), None);
    }
}
