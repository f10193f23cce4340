//! Conversions between numbers that round on purpose.

/// The nearest float: exact up to 2^53, close enough for rates and means above.
#[expect(clippy::cast_precision_loss, reason = "rates and means need no more than 53 bits")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

/// The nearest single-precision float: what a record holds.
#[expect(clippy::cast_possible_truncation, reason = "a record holds 24 bits of a rate")]
pub(crate) fn single(number: f64) -> f32 {
    number as f32
}
