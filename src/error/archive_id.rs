//! Which archive a file belongs to.

use std::fmt;

/// What every file of an archive begins with.
pub(crate) const ARCHIVE_MAGIC: [u8; 8] = *b"RINGKEEP";

/// The random number that all files of one archive share.
///
/// # Examples
///
/// ```
/// let id = ringkeep::ArchiveId([0xA5; 16]);
/// assert_eq!(id.to_string(), "a5".repeat(16));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveId(pub [u8; 16]);

impl fmt::Display for ArchiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
