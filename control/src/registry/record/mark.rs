//! A use of a token, to the day.

use keyswap_core::TokenDigest;

use super::day::Day;

/// A token was used on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The token.
    pub digest: TokenDigest,
    /// The day.
    pub day: Day,
}
