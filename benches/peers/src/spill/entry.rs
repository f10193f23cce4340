//! What the vectors hold: a programme of a guide, about 300 bytes.

use serde::{Deserialize, Serialize};

use super::Result;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) start: u64,
    number: u32,
    channel: String,
    title: String,
    text: String,
}

impl Entry {
    pub(super) fn new(number: u32) -> Self {
        let scattered = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self {
            start: scattered >> 20,
            number,
            channel: format!("channel-{:05}", scattered % 50_000),
            title: format!("Programme {number} of a long evening"),
            text: format!("What happens in part {scattered} is told here. ").repeat(4),
        }
    }

    /// Something that needs all of it.
    pub(super) fn weight(&self) -> u64 {
        self.start ^ (self.channel.len() + self.title.len() + self.text.len()) as u64
    }

    /// Whether it is the one of this number.
    pub(super) fn check(&self, number: u32) -> Result<()> {
        let found = self.number;
        if found == number { Ok(()) } else { Err(format!("{found} instead of {number}").into()) }
    }
}
