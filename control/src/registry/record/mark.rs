//! A use of a token, to the day.

use keyswap_core::base::Digest;

use super::day::Day;

/// A token was used on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The token.
    pub digest: Digest,
    /// The day.
    pub day: Day,
}
