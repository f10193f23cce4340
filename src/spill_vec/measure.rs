//! How much memory items take beside their place in the row.

use std::mem::needs_drop;

use crate::disk::codec::Codec;

/// What an allocator adds to a piece of memory, about.
const ALLOCATION_BYTES: u64 = 16;
/// So many items are measured before others are taken to be like them.
const FIRST_SAMPLES: u32 = 32;
/// Of later ones, one of so many is measured at least; half as many on average.
const GAP_MAX: u32 = 256;

/// How the heap bytes of items are found.
#[derive(Debug, Clone)]
pub(super) enum Measure<T> {
    /// They say it.
    Exact(fn(&T) -> usize),
    /// About what they are encoded in, of some of them.
    Sampled(Sampler),
}

/// What items are like, by samples at random distances.
#[derive(Debug, Clone, Default)]
pub(super) struct Sampler {
    mean: u64,
    samples: u32,
    /// Items until the next sample.
    gap: u32,
    random: u32,
    encoded: Vec<u8>,
}

impl<T> Measure<T> {
    /// Whether what it says is so.
    pub(super) fn is_exact(&self) -> bool {
        // What owns memory has to give it back.
        matches!(self, Self::Exact(_)) || !needs_drop::<T>()
    }

    /// Bytes on the heap of an item, or what one has on average.
    #[inline]
    pub(super) fn heap_bytes(&mut self, codec: &impl Codec<T>, item: &T) -> u64 {
        if !needs_drop::<T>() {
            return 0;
        }
        match self {
            Self::Exact(heap_bytes) => heap_bytes(item) as u64,
            Self::Sampled(sampler) => {
                if let Some(bytes) = codec.encoded_bytes(item) {
                    return bytes as u64 + ALLOCATION_BYTES;
                }
                if sampler.gap == 0 {
                    sampler.sample(codec, item);
                }
                sampler.gap -= 1;
                sampler.mean
            }
        }
    }

    /// Bytes on the heap of an item that came from so many encoded bytes.
    pub(super) fn heap_bytes_of_decoded(&self, item: &T, encoded_bytes: usize) -> u64 {
        match self {
            _ if !needs_drop::<T>() => 0,
            Self::Exact(heap_bytes) => heap_bytes(item) as u64,
            Self::Sampled(_) => encoded_bytes as u64 + ALLOCATION_BYTES,
        }
    }

    /// Bytes on the heap of these items, of which there were `before` ones with so many.
    pub(super) fn heap_bytes_left(&self, items: &[T], before: usize, heap_bytes: u64) -> u64 {
        match self {
            _ if items.is_empty() => 0,
            Self::Exact(heap_bytes) => items.iter().map(|item| heap_bytes(item) as u64).sum(),
            Self::Sampled(_) => heap_bytes / before.max(1) as u64 * items.len() as u64,
        }
    }
}

impl Sampler {
    #[cold]
    fn sample<T>(&mut self, codec: &impl Codec<T>, item: &T) {
        self.encoded.clear();
        self.encoded.shrink_to(4096);
        // What cannot be encoded is told when it is to be stored.
        if codec.encode(item, &mut self.encoded).is_ok() {
            let found = self.encoded.len() as u64 + ALLOCATION_BYTES;
            // The newest eight count about as much as all before.
            let weight = u64::from(self.samples.min(7));
            self.mean = (self.mean * weight + found).div_ceil(weight + 1);
        }
        self.samples = self.samples.saturating_add(1);
        self.gap = if self.samples < FIRST_SAMPLES { 1 } else { 1 + self.next_random() % GAP_MAX };
    }

    /// So that a pattern in the items does not meet the samples.
    fn next_random(&mut self) -> u32 {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.random >> 16
    }
}

#[cfg(test)]
mod tests {
    use super::{Measure, Sampler};
    use crate::disk::{
        codec::{Bytes, Codec},
        mem_size::MemSize as _,
    };
    use crate::error::CodecError;

    /// Does not say how long an item becomes.
    struct Silent;

    impl Codec<Vec<u8>> for Silent {
        fn name(&self) -> &'static str {
            "silent"
        }
        fn encode(&self, item: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), CodecError> {
            Bytes.encode(item, out)
        }
        fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
            Bytes.decode(bytes)
        }
    }

    #[test]
    fn samples_come_near_the_sum_even_where_items_follow_a_pattern() {
        for period in [2, 7, 32, 64] {
            let mut measure = Measure::Sampled(Sampler::default());
            let (mut told, mut real) = (0, 0);
            for number in 0..100_000_usize {
                let item = vec![0; if number % period == 0 { 500 } else { 100 }];
                told += measure.heap_bytes(&Silent, &item);
                real += item.len() as u64 + 16;
            }
            assert!(told.abs_diff(real) < real / 10, "{period}: {told} of {real}");
        }
    }

    #[test]
    fn what_owns_nothing_and_what_says_it_are_exact() {
        let sampled = || Measure::<u64>::Sampled(Sampler::default());
        assert!(sampled().is_exact() && Measure::Exact(String::heap_bytes).is_exact());
        assert!(!Measure::<String>::Sampled(Sampler::default()).is_exact());
    }
}
