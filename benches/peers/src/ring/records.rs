//! Records that tell their id, and the check of what is read.

use super::Result;

/// Marks at both ends of a payload, of 8 bytes each.
const MARK_BYTES: usize = 8;

/// Makes and checks payloads of one size. A payload is a function of its id: the id, bytes that no
/// system could compress, and the complement of the id.
#[derive(Debug, Clone)]
pub(super) struct Records {
    payload: Vec<u8>,
}

impl Records {
    /// Of at least 16 bytes.
    pub(super) fn new(record_bytes: usize) -> Self {
        let mut state = 1_u64;
        let bytes = std::iter::repeat_with(|| {
            // Knuth's constants for a generator modulo 2^64.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        });
        Self { payload: bytes.take(record_bytes.max(2 * MARK_BYTES)).collect() }
    }

    /// The payload of this id.
    pub(super) fn make(&mut self, id: u64) -> &[u8] {
        let end = self.payload.len() - MARK_BYTES;
        self.payload[..MARK_BYTES].copy_from_slice(&id.to_le_bytes());
        self.payload[end..].copy_from_slice(&(!id).to_le_bytes());
        &self.payload
    }

    /// Whether this is the payload of that id, by its length and both of its ends: cheap, so that
    /// what is timed is the side and not the check.
    pub(super) fn check(&self, id: u64, payload: &[u8]) -> Result<()> {
        let begins = payload.first_chunk() == Some(&id.to_le_bytes());
        let ends = payload.last_chunk() == Some(&(!id).to_le_bytes());
        if payload.len() == self.payload.len() && begins && ends { Ok(()) } else { wrong(id) }
    }
}

#[cold]
fn wrong(id: u64) -> Result<()> {
    Err(format!("the payload of id {id} is not the one that was appended").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_told_from_that_of_another_id_and_from_a_torn_one() {
        let mut records = Records::new(32);
        let payload = records.make(7).to_vec();
        assert!(records.check(7, &payload).is_ok() && records.check(8, &payload).is_err());
        assert!(records.check(7, &payload[..31]).is_err());
        let torn = [&records.make(8)[..16], &payload[16..]].concat();
        assert!(records.check(8, &torn).is_err() && records.check(7, &torn).is_err());
    }
}
