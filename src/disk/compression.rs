//! What is done to the bodies of frames on their way to the disk and back.
//!
//! Which one is in the segment's header, so that each segment reads whatever its queue is opened
//! with. A body that would not become smaller is stored as it is.

use crate::error::Corruption;

/// How what lies on the disk is made smaller.
///
/// Limits on the disk count what is stored. In a queue that spills, items become smaller together,
/// a run of up to 256 KiB at once; in a durable one each push alone.
///
/// # Examples
///
/// ```
/// use ringkeep::{Bytes, Compression, QueueOptions};
///
/// let options = QueueOptions::new(Bytes).compression(Compression::Lz4);
/// # let _ = options;
/// assert_eq!(Compression::default(), Compression::None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all. The default.
    #[default]
    None,
    /// LZ4, in its block format: a little smaller, hardly slower.
    Lz4,
    /// Zstandard, level 3: smaller, slower.
    #[cfg(feature = "zstd")]
    Zstd,
}

/// What a segment's header calls it.
const NONE: u32 = 0;
const LZ4: u32 = 1;
#[cfg(feature = "zstd")]
const ZSTD: u32 = 2;
#[cfg(feature = "zstd")]
const ZSTD_LEVEL: i32 = 3;
/// LZ4 makes no more of a byte.
const LZ4_RATIO_MAX: usize = 256;

impl Compression {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::None => NONE,
            Self::Lz4 => LZ4,
            #[cfg(feature = "zstd")]
            Self::Zstd => ZSTD,
        }
    }

    /// The one with this number, if this build knows it.
    pub(crate) fn numbered(number: u32) -> Option<Self> {
        match number {
            NONE => Some(Self::None),
            LZ4 => Some(Self::Lz4),
            #[cfg(feature = "zstd")]
            ZSTD => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Appends what is stored in place of these bytes. Whether that is smaller.
    pub(crate) fn pack(self, raw: &[u8], out: &mut Vec<u8>) -> bool {
        let before = out.len();
        // What is no smaller is not kept.
        let room = raw.len().saturating_sub(1);
        match self {
            Self::None => return false,
            Self::Lz4 => {
                out.resize(before + lz4_flex::block::get_maximum_output_size(raw.len()), 0);
                let packed = lz4_flex::block::compress_into(raw, &mut out[before..]);
                out.truncate(before + packed.unwrap_or(usize::MAX - before));
            }
            #[cfg(feature = "zstd")]
            Self::Zstd => {
                out.resize(before + room, 0);
                let packed = zstd::bulk::compress_to_buffer(raw, &mut out[before..], ZSTD_LEVEL);
                let Ok(packed) = packed else { return false };
                out.truncate(before + packed);
            }
        }
        out.len() - before <= room
    }

    /// The bytes that these were made of, in `out`.
    pub(crate) fn unpack(
        self,
        stored: &[u8],
        raw_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Corruption> {
        let refused = Corruption::Field { field: "raw bytes", value: raw_bytes as u64 };
        out.clear();
        let found = match self {
            Self::None => None,
            Self::Lz4 if raw_bytes / LZ4_RATIO_MAX > stored.len() => None,
            Self::Lz4 => {
                out.resize(raw_bytes, 0);
                lz4_flex::block::decompress_into(stored, out).ok()
            }
            #[cfg(feature = "zstd")]
            Self::Zstd => {
                out.resize(raw_bytes, 0);
                zstd::bulk::decompress_to_buffer(stored, &mut out[..]).ok()
            }
        };
        if found == Some(raw_bytes) { Ok(()) } else { Err(refused) }
    }
}

#[cfg(test)]
mod tests {
    use super::Compression;

    fn all() -> Vec<Compression> {
        (1..10).filter_map(Compression::numbered).collect()
    }

    #[test]
    fn what_was_packed_comes_back_and_what_would_grow_is_not_packed() {
        let mut random = fastrand::Rng::with_seed(1);
        for compression in all() {
            for length in [1, 2, 100, 5_000, 300_000] {
                let text: Vec<u8> = (0..length).map(|at| b"ringkeep "[at % 9]).collect();
                let noise: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
                let mut out = b"before".to_vec();
                let is_smaller = compression.pack(&text, &mut out);
                assert_eq!(is_smaller, length >= 100, "{compression:?}, {length}");
                if is_smaller {
                    assert!(out.starts_with(b"before") && out.len() < 6 + length);
                    let mut raw = vec![7];
                    compression.unpack(&out[6..], length, &mut raw).expect("it was packed");
                    assert_eq!(raw, text);
                }
                assert!(!compression.pack(&noise, &mut Vec::new()), "{compression:?}, {length}");
            }
        }
    }

    #[test]
    fn what_is_damaged_is_refused_or_has_the_right_length() {
        for compression in all() {
            let text: Vec<u8> = (0..1000).map(|at| b"ringkeep "[at % 9]).collect();
            let (mut packed, mut raw) = (Vec::new(), Vec::new());
            assert!(compression.pack(&text, &mut packed));
            for at in 0..packed.len() * 8 {
                let mut flipped = packed.clone();
                flipped[at / 8] ^= 1 << (at % 8);
                let unpacked = compression.unpack(&flipped, text.len(), &mut raw);
                assert!(unpacked.is_err() || raw.len() == text.len());
            }
            for length in 0..packed.len() {
                assert!(compression.unpack(&packed[..length], text.len(), &mut raw).is_err());
            }
            assert!(compression.unpack(&packed, text.len() - 1, &mut raw).is_err());
            assert!(compression.unpack(&packed, 1 << 30, &mut raw).is_err());
        }
    }
}
