//! Rate limits in text and JSON. The engine defines the bounds and counts the requests.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::RegistryError;
use crate::text::object::Object;

/// A rate limit: a number of requests in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Object<Text>", into = "Text")]
pub struct RateLimit(keyswap_core::limit::RateLimit);

impl RateLimit {
    /// Returns a limit of 1 to 1,000,000 requests in 1 second to 1 day; values out of these bounds are an error.
    pub fn new(requests: u32, seconds: u32) -> Result<Self, RegistryError> {
        keyswap_core::limit::RateLimit::new(requests, seconds).map(Self).ok_or_else(|| {
            RegistryError::Invalid {
                field: "rate limit",
                expected: "expected 1 to 1000000 requests in `1s` to `1d`".to_owned(),
            }
        })
    }

    /// Parses the period as in a policy: `60s`, `10m`, `1h`, `1d`.
    pub fn parse(requests: u32, per: &str) -> Result<Self, RegistryError> {
        Self::new(requests, seconds(per).unwrap_or(0))
    }

    /// Returns the number of requests.
    pub fn requests(self) -> u32 {
        self.0.requests()
    }

    /// Returns the period in seconds.
    pub fn seconds(self) -> u32 {
        self.0.seconds()
    }
}

impl From<RateLimit> for keyswap_core::limit::RateLimit {
    fn from(RateLimit(limit): RateLimit) -> Self {
        limit
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {}s", self.requests(), self.seconds())
    }
}

/// Parses a duration as in a policy, `60s`, `10m`, `1h` or `1d`, to seconds. Returns `None` for other texts.
pub(crate) fn seconds(text: &str) -> Option<u32> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| number.parse::<u32>().ok()?.checked_mul(unit))?
}

/// A rate limit: a number of requests in a period.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RateLimit)]
pub(in crate::registry) struct Text {
    /// The number of requests.
    requests: u32,
    /// The period, such as `60s`, `10m` or `1h`.
    per: String,
}

impl TryFrom<Object<Text>> for RateLimit {
    type Error = RegistryError;

    fn try_from(Object(text): Object<Text>) -> Result<Self, RegistryError> {
        Self::parse(text.requests, &text.per)
    }
}

impl From<RateLimit> for Text {
    fn from(limit: RateLimit) -> Self {
        Self { requests: limit.requests(), per: format!("{}s", limit.seconds()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations_as_policies_have_them() {
        for (text, expect) in
            [("60s", Some(60)), ("10m", Some(600)), ("1h", Some(3600)), ("1d", Some(86_400))]
        {
            assert_eq!(RateLimit::parse(1, text).ok().map(RateLimit::seconds), expect, "{text}");
        }
        for text in ["", "s", "60", "500ms", "-1s", "+1s", "2d", "0s", "99999999999s", "1µ", "é"] {
            assert!(RateLimit::parse(1, text).is_err(), "{text}");
        }
        assert!(RateLimit::new(0, 1).is_err());
        assert!(RateLimit::new(1_000_001, 1).is_err());
    }
}
