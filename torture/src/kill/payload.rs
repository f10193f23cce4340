//! Payloads that prove themselves: every byte follows from the id, a version and the style.

const ODD: u64 = 0xD6E8_FEB8_6659_FD93;

/// What a payload begins with; the rest is a hash of id and version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Nothing else; the version is always 0.
    Hash,
    /// The id; the version is always 0. A checksum seeded by a plain XOR of the id would cancel.
    IdFirst,
    /// The version.
    VersionFirst,
}

impl Style {
    /// By which a child is told.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::IdFirst => "id",
            Self::VersionFirst => "version",
        }
    }

    /// That of a name.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let all = [Self::Hash, Self::IdFirst, Self::VersionFirst];
        all.into_iter().find(|style| style.name() == name).expect("a style")
    }
}

/// Fills a payload.
pub fn fill(style: Style, id: u64, version: u64, payload: &mut [u8]) {
    let mut word = mix(mix(id) ^ version);
    for piece in payload.chunks_mut(8) {
        word = word.wrapping_add(ODD);
        piece.copy_from_slice(&word.to_le_bytes()[..piece.len()]);
    }
    let first = match style {
        Style::Hash => return,
        Style::IdFirst => id,
        Style::VersionFirst => version,
    };
    payload[..8].copy_from_slice(&first.to_le_bytes());
}

/// A payload.
#[must_use]
pub fn payload_of(style: Style, id: u64, version: u64, size: usize) -> Vec<u8> {
    let mut payload = vec![0; size];
    fill(style, id, version, &mut payload);
    payload
}

/// The version of a payload, if it is one of this id, whole and unmixed.
///
/// # Panics
///
/// If the payload is shorter than its first word.
#[must_use]
pub fn version_of(style: Style, id: u64, payload: &[u8], room: &mut [u8]) -> Option<u64> {
    let version = match style {
        Style::VersionFirst => u64::from_le_bytes(payload[..8].try_into().ok()?),
        _ => 0,
    };
    fill(style, id, version, room);
    (room == payload).then_some(version)
}

fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 32).wrapping_mul(ODD);
    let value = (value ^ value >> 32).wrapping_mul(ODD);
    value ^ value >> 32
}

/// Where files are fastest: a sync must not be what a test waits for.
///
/// # Panics
///
/// Without any directory for temporary files.
#[must_use]
pub fn fast_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}
