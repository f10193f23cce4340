//! Keys that are values of a type: their bytes are in the order of the values.

use crate::error::CodecError;

/// Makes a key of a value, such that keys are in the order of the values.
///
/// Unsigned numbers are stored with their largest byte first, signed ones with the sign flipped
/// too; text and bytes are themselves. A pair is its first part, of a type whose keys all have one
/// size, and its second one.
///
/// # Examples
///
/// ```
/// use ringkeep::OrderedKey;
///
/// let mut keys = [Vec::new(), Vec::new()];
/// (1_u32, -5_i64).encode_key(&mut keys[0]);
/// (1_u32, 3_i64).encode_key(&mut keys[1]);
/// assert!(keys[0] < keys[1]);
/// assert_eq!(<(u32, i64)>::decode_key(&keys[0])?, (1, -5));
/// # Ok::<(), ringkeep::CodecError>(())
/// ```
pub trait OrderedKey: Sized {
    /// Bytes of every key, if all have as many. Default: they have not.
    const KEY_BYTES: Option<usize> = None;

    /// Appends the bytes of the key to `out`.
    fn encode_key(&self, out: &mut Vec<u8>);

    /// The value that these bytes were made of.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes.
    fn decode_key(bytes: &[u8]) -> Result<Self, CodecError>;
}

macro_rules! numbers {
    ($($number:ty, $flip:expr;)*) => {
        $(impl OrderedKey for $number {
            const KEY_BYTES: Option<usize> = Some(size_of::<$number>());

            fn encode_key(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&(self ^ $flip).to_be_bytes());
            }

            fn decode_key(bytes: &[u8]) -> Result<Self, CodecError> {
                Ok(<$number>::from_be_bytes(exactly(bytes)?) ^ $flip)
            }
        })*
    };
}

numbers!(u8, 0; u16, 0; u32, 0; u64, 0; u128, 0;);
numbers!(i8, i8::MIN; i16, i16::MIN; i32, i32::MIN; i64, i64::MIN; i128, i128::MIN;);

impl<const N: usize> OrderedKey for [u8; N] {
    const KEY_BYTES: Option<usize> = Some(N);

    fn encode_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn decode_key(bytes: &[u8]) -> Result<Self, CodecError> {
        exactly(bytes)
    }
}

impl OrderedKey for Vec<u8> {
    fn encode_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn decode_key(bytes: &[u8]) -> Result<Self, CodecError> {
        Ok(bytes.to_vec())
    }
}

impl OrderedKey for String {
    fn encode_key(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }

    fn decode_key(bytes: &[u8]) -> Result<Self, CodecError> {
        Ok(str::from_utf8(bytes)?.to_owned())
    }
}

impl<A: OrderedKey, B: OrderedKey> OrderedKey for (A, B) {
    const KEY_BYTES: Option<usize> = match (A::KEY_BYTES, B::KEY_BYTES) {
        (Some(first), Some(second)) => Some(first + second),
        _ => None,
    };

    fn encode_key(&self, out: &mut Vec<u8>) {
        const { assert!(A::KEY_BYTES.is_some(), "only the last part of a key may have any size") };
        self.0.encode_key(out);
        self.1.encode_key(out);
    }

    fn decode_key(bytes: &[u8]) -> Result<Self, CodecError> {
        let split = A::KEY_BYTES.and_then(|length| bytes.split_at_checked(length));
        let (first, second) = split.ok_or("it is shorter than its first part")?;
        Ok((A::decode_key(first)?, B::decode_key(second)?))
    }
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], CodecError> {
    bytes.try_into().map_err(|_| format!("it has {} bytes, not {N}", bytes.len()).into())
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::OrderedKey;

    fn are_in_order<K: OrderedKey + PartialEq + Debug>(sorted: &[K]) {
        let keys: Vec<Vec<u8>> = sorted
            .iter()
            .map(|value| {
                let mut key = Vec::new();
                value.encode_key(&mut key);
                assert_eq!(&K::decode_key(&key).expect("it was made of one"), value);
                assert!(K::KEY_BYTES.is_none_or(|bytes| bytes == key.len()));
                key
            })
            .collect();
        assert!(keys.is_sorted(), "{sorted:?}: {keys:?}");
    }

    #[test]
    fn keys_are_in_the_order_of_their_values() {
        are_in_order(&[0, 1, 255, 256, u64::MAX]);
        are_in_order(&[i32::MIN, -256, -1, 0, 1, 255, i32::MAX]);
        are_in_order(&[i128::MIN, -1, 0, i128::MAX]);
        are_in_order(&[String::new(), "a".into(), "ab".into(), "b".into()]);
        are_in_order(&[vec![], vec![0], vec![0, 0], vec![255]]);
        are_in_order(&[(0_u8, "b".to_owned()), (1, String::new()), (1, "a".into())]);
        are_in_order(&[((1_u16, -1_i8), [7]), ((1, 0), [0]), ((2, -5), [0])]);
    }

    #[test]
    fn bytes_of_another_size_are_no_key() {
        assert!(u32::decode_key(&[1, 2, 3]).is_err());
        assert!(<(u32, String)>::decode_key(&[1, 2, 3]).is_err());
        assert!(String::decode_key(&[0xFF]).is_err());
    }
}
