//! Names of buckets.

use crate::error::{Result, StoreError};

const NAME_BYTES_MAX: usize = 255;
/// The table that says which codec a typed bucket was written with. No bucket has such a name.
pub(super) const SCHEMAS: &str = "\0schemas";

pub(super) fn check_bucket_name(name: &str) -> Result<()> {
    if name.is_empty() || name.starts_with('\0') || name.len() > NAME_BYTES_MAX {
        let error = StoreError::BucketName { name: name.into(), max_bytes: NAME_BYTES_MAX };
        return Err(error.into());
    }
    Ok(())
}
