//! The use of a token on a day.

use keyswap_core::base::Digest;

use super::day::Day;

/// The use of a token on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The SHA-256 of the token.
    pub digest: Digest,
    /// The day.
    pub day: Day,
}
