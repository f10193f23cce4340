//! Items that tell their number, and the check of what comes out.

use super::side::Failure;

/// Makes items of one size: a number in the first 8 bytes, and then bytes that no peer could
/// compress.
#[derive(Debug)]
pub(crate) struct Items {
    template: Vec<u8>,
}

impl Items {
    pub(crate) fn new(item_bytes: usize) -> Self {
        let mut state = 1_u64;
        let bytes = std::iter::repeat_with(|| {
            // Knuth's constants for a generator modulo 2^64.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        });
        Self { template: bytes.take(item_bytes.max(8)).collect() }
    }

    /// A new one.
    pub(crate) fn make(&self, number: u64) -> Vec<u8> {
        let mut item = self.template.clone();
        stamp(&mut item, number);
        item
    }

    /// New ones with the numbers from `first` on.
    pub(crate) fn make_group(&self, first: u64, count: u32) -> Vec<Vec<u8>> {
        (first..first + u64::from(count)).map(|number| self.make(number)).collect()
    }

    /// Whether this is the item of that number, by its length and its first bytes.
    pub(crate) fn check(
        &self,
        side: &'static str,
        item: &[u8],
        number: u64,
    ) -> Result<(), Failure> {
        if item.len() == self.template.len() && number_of(item) == Some(number) {
            return Ok(());
        }
        Err(Failure::new(side, "keep the order")(match number_of(item) {
            Some(found) => format!("item {found} came out in the place of item {number}"),
            None => format!("an item of {} bytes came out in the place of {number}", item.len()),
        }))
    }
}

/// Gives an item another number.
pub(crate) fn stamp(item: &mut [u8], number: u64) {
    if let Some(start) = item.first_chunk_mut() {
        *start = number.to_le_bytes();
    }
}

pub(crate) fn number_of(item: &[u8]) -> Option<u64> {
    item.first_chunk().map(|start| u64::from_le_bytes(*start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_in_the_wrong_place_or_of_the_wrong_size_is_found() {
        let items = Items::new(16);
        let item = items.make(7);
        assert!(items.check("side", &item, 7).is_ok());
        assert!(items.check("side", &item, 8).is_err());
        assert!(items.check("side", &item[..15], 7).is_err());
        assert!(items.check("side", &[], 0).is_err());
    }
}
