//! Conversions of counts to fractional numbers.

/// Converts bytes to megabytes.
#[expect(clippy::cast_precision_loss, reason = "less than 2^52")]
pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Returns a part as a fraction of all, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "less than 2^52")]
pub(super) fn fraction(part: usize, all: usize) -> f64 {
    part as f64 / all.max(1) as f64
}
