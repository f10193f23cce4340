//! What is stored, and whether it comes out again: keys of 13 bytes, values of 128.

use super::{Result, sides::Peer};

const KEY_BYTES: usize = 13;
const VALUE_BYTES: usize = 128;
pub(super) const ENTRY_BYTES: usize = KEY_BYTES + VALUE_BYTES;

/// Of a key as `key-000012345`: all but the last two digits.
const PREFIX_BYTES: usize = 11;
const KEYS_OF_A_PREFIX: u32 = 100;

/// What a value is made of besides the number of its key, before and after it is written again.
const FIRST: u32 = 1;
const NEXT: u32 = 2;

pub(super) struct Entry {
    number: u32,
    pub(super) key: [u8; KEY_BYTES],
    pub(super) value: [u8; VALUE_BYTES],
}

impl Entry {
    fn new(number: u32) -> Self {
        Self { number, key: key_of(number), value: value_of(number, FIRST) }
    }

    pub(super) fn next_value(&self) -> [u8; VALUE_BYTES] {
        value_of(self.number, NEXT)
    }
}

pub(super) struct Entries {
    shuffled: Vec<Entry>,
    /// In an order that has nothing to do with the one that they are written in.
    asked: Vec<(u32, [u8; KEY_BYTES])>,
    prefixes: Vec<(u32, [u8; PREFIX_BYTES])>,
}

impl Entries {
    pub(super) fn new(count: u32) -> Self {
        let prefixes = shuffled(count / KEYS_OF_A_PREFIX, 3).into_iter().map(|number| {
            let first = number * KEYS_OF_A_PREFIX;
            let mut prefix = [0; PREFIX_BYTES];
            prefix.copy_from_slice(&key_of(first)[..PREFIX_BYTES]);
            (first, prefix)
        });
        Self {
            shuffled: shuffled(count, 1).into_iter().map(Entry::new).collect(),
            asked: shuffled(count, 2).into_iter().map(|number| (number, key_of(number))).collect(),
            prefixes: prefixes.collect(),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "it was made of a u32")]
    pub(super) fn count(&self) -> u32 {
        self.shuffled.len() as u32
    }

    pub(super) fn shuffled(&self) -> &[Entry] {
        &self.shuffled
    }

    /// Every key once, in one transaction.
    pub(super) fn get_all(&self, peer: &dyn Peer) -> Result<()> {
        peer.read(&mut |reader| {
            for (number, key) in &self.asked {
                reader.get(key, &mut |value| check(value, *number, FIRST))?;
            }
            Ok(())
        })
    }

    /// Every key once, by prefix, in one transaction.
    pub(super) fn scan_all(&self, peer: &dyn Peer) -> Result<()> {
        peer.read(&mut |reader| {
            for (first, prefix) in &self.prefixes {
                let mut number = *first;
                reader.scan(prefix, &mut |key, value| {
                    check(value, number, FIRST)?;
                    number += 1;
                    if key.starts_with(prefix) { Ok(()) } else { Err("a foreign key".into()) }
                })?;
                let found = number - first;
                if found != KEYS_OF_A_PREFIX {
                    return Err(format!("{found} keys instead of {KEYS_OF_A_PREFIX}").into());
                }
            }
            Ok(())
        })
    }

    /// The first ones were written again, the others not.
    pub(super) fn check_written(&self, peer: &dyn Peer, written: usize) -> Result<()> {
        peer.read(&mut |reader| {
            for (at, entry) in self.shuffled.iter().enumerate() {
                let generation = if at < written { NEXT } else { FIRST };
                reader.get(&entry.key, &mut |value| check(value, entry.number, generation))?;
            }
            Ok(())
        })
    }
}

fn key_of(number: u32) -> [u8; KEY_BYTES] {
    let mut key = *b"key-000000000";
    let (mut rest, mut at) = (number, KEY_BYTES);
    while rest > 0 {
        at -= 1;
        key[at] += (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// Bytes that no compression makes less of, between two words to check them by.
fn value_of(number: u32, generation: u32) -> [u8; VALUE_BYTES] {
    let mut random = u64::from(number) << 2 | u64::from(generation);
    let mut value = [0; VALUE_BYTES];
    for word in value.chunks_exact_mut(8) {
        random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        word.copy_from_slice(&(random ^ random >> 33).to_le_bytes());
    }
    let (begin, end) = marks(number, generation);
    value[..8].copy_from_slice(&begin);
    value[VALUE_BYTES - 8..].copy_from_slice(&end);
    value
}

fn marks(number: u32, generation: u32) -> ([u8; 8], [u8; 8]) {
    let word = u64::from(generation) << 32 | u64::from(number);
    (word.to_le_bytes(), (!word).to_le_bytes())
}

/// Cheap, so that what is timed is the side and not the check.
fn check(value: &[u8], number: u32, generation: u32) -> Result<()> {
    let (begin, end) = marks(number, generation);
    if value.len() == VALUE_BYTES && value.starts_with(&begin) && value.ends_with(&end) {
        Ok(())
    } else {
        Err(format!("the value of key {number} is not the one that was written").into())
    }
}

/// The numbers below `count`, in an order that depends on `seed` alone.
fn shuffled(count: u32, seed: u64) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..count).collect();
    let mut random = seed;
    for at in (1..count).rev() {
        random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        let other = (random >> 33) % (u64::from(at) + 1);
        numbers.swap(at as usize, usize::try_from(other).unwrap_or_default());
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_order_of_their_numbers_and_each_comes_once() {
        let mut numbers = shuffled(1000, 7);
        assert!(!numbers.is_sorted());
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..1000));
        assert!(numbers.iter().map(|&number| key_of(number)).is_sorted());
        assert_eq!(&key_of(1_234), b"key-000001234");
    }

    #[test]
    fn a_value_is_told_from_that_of_another_key_and_from_an_older_one() {
        let value = value_of(7, NEXT);
        assert!(check(&value, 7, NEXT).is_ok());
        assert!(check(&value, 8, NEXT).is_err() && check(&value, 7, FIRST).is_err());
        assert!(check(&value[..127], 7, NEXT).is_err());
    }
}
