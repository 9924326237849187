//! Rate limits in text and JSON. The engine defines the bounds and counts the requests.

use std::fmt;

use keyswap_core::limit::{CallerLimit, TokenLimit};
use serde::{Deserialize, Serialize};

use super::error::RegistryError;
use crate::text::object::Object;

/// A rate limit: a number of requests, of tokens or of both in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Object<Text>", into = "Text")]
pub struct RateLimit(CallerLimit);

impl RateLimit {
    /// Returns a limit of 1 to 1,000,000 requests in 1 second to 1 day; values out of these bounds are an error.
    pub fn new(requests: u32, seconds: u32) -> Result<Self, RegistryError> {
        Self::of(Some(requests), None, seconds)
    }

    /// Returns a limit of 1 to 1,000,000 requests, of 1 to 1,000,000,000 tokens or of both in 1 second to 1 day; anything
    /// else is an error.
    pub fn of(requests: Option<u32>, tokens: Option<u32>, seconds: u32) -> Result<Self, RegistryError> {
        CallerLimit::new(requests, tokens, seconds).map(Self).ok_or_else(|| RegistryError::Invalid {
            field: "rate limit",
            expected: match tokens {
                None => "expected 1 to 1000000 requests in `1s` to `1d`".to_owned(),
                Some(_) => "expected 1 to 1000000 requests, 1 to 1000000000 tokens or both in `1s` to `1d`"
                    .to_owned(),
            },
        })
    }

    /// Returns true if the limit lets no more pass, for long, than another does.
    pub(in crate::registry) fn is_within(self, other: Self) -> bool {
        let slower = |one: Option<u32>, of_other: Option<u32>| match (one, of_other) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(one), Some(of_other)) => {
                u64::from(one) * u64::from(other.seconds()) <= u64::from(of_other) * u64::from(self.seconds())
            }
        };
        slower(self.requests(), other.requests()) && slower(self.tokens(), other.tokens())
    }

    /// Parses the period as in a policy: `60s`, `10m`, `1h`, `1d`.
    pub fn parse(requests: Option<u32>, tokens: Option<u32>, per: &str) -> Result<Self, RegistryError> {
        Self::of(requests, tokens, seconds(per).unwrap_or(0))
    }

    /// Parses requests, tokens (`t`) or both, and a period: `60/1m`, `100000t/1m`, `60,100000t/1m`. Returns `None` for a text of
    /// another form.
    pub(crate) fn of_text(text: &str) -> Option<Result<Self, RegistryError>> {
        let (numbers, per) = text.split_once('/')?;
        let (requests, tokens) = match (numbers.split_once(','), numbers.strip_suffix('t')) {
            (Some((requests, tokens)), _) => (Some(requests), Some(tokens.strip_suffix('t')?)),
            (None, Some(tokens)) => (None, Some(tokens)),
            (None, None) => (Some(numbers), None),
        };
        let number = |text: Option<&str>| text.map(str::parse::<u32>).transpose().ok();
        Some(Self::parse(number(requests)?, number(tokens)?, per))
    }

    /// Returns the number of requests, if it is limited.
    pub fn requests(self) -> Option<u32> {
        self.0.requests.map(keyswap_core::limit::RateLimit::requests)
    }

    /// Returns the number of tokens, if it is limited.
    pub fn tokens(self) -> Option<u32> {
        self.0.tokens.map(TokenLimit::tokens)
    }

    /// Returns the period in seconds.
    pub fn seconds(self) -> u32 {
        self.0.seconds()
    }

    /// Returns the limit in requests, for the engine's algorithm.
    pub(in crate::registry) fn of_requests(self) -> Option<keyswap_core::limit::RateLimit> {
        self.0.requests
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.requests(), self.tokens()) {
            (Some(requests), None) => write!(f, "{requests}")?,
            (Some(requests), Some(tokens)) => write!(f, "{requests} and {tokens} tokens")?,
            (None, tokens) => write!(f, "{} tokens", tokens.unwrap_or_default())?,
        }
        write!(f, " per {}s", self.seconds())
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

/// A rate limit: a number of requests, of tokens or of both in a period.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RateLimit)]
pub(crate) struct Text {
    /// The number of requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    requests: Option<u32>,
    /// The number of input and output tokens of models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    tokens: Option<u32>,
    /// The period, such as `60s`, `10m` or `1h`.
    per: String,
}

impl TryFrom<Object<Text>> for RateLimit {
    type Error = RegistryError;

    fn try_from(Object(text): Object<Text>) -> Result<Self, RegistryError> {
        Self::parse(text.requests, text.tokens, &text.per)
    }
}

impl From<RateLimit> for Text {
    fn from(limit: RateLimit) -> Self {
        Self { requests: limit.requests(), tokens: limit.tokens(), per: format!("{}s", limit.seconds()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_shown_and_written_as_it_was_read() {
        for (text, shown) in [
            (r#"{"requests":60,"per":"60s"}"#, "60 per 60s"),
            (r#"{"tokens":100000,"per":"60s"}"#, "100000 tokens per 60s"),
            (r#"{"requests":60,"tokens":100000,"per":"60s"}"#, "60 and 100000 tokens per 60s"),
        ] {
            let limit: RateLimit = serde_json::from_str(text).unwrap();
            assert_eq!(
                (serde_json::to_string(&limit).unwrap().as_str(), limit.to_string().as_str()),
                (text, shown)
            );
        }
        for text in [
            r#"{"per":"60s"}"#,
            r#"{"tokens":0,"per":"60s"}"#,
            r#"{"tokens":1.5,"per":"60s"}"#,
            r#"{"tokens":5}"#,
        ] {
            assert!(serde_json::from_str::<RateLimit>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_durations_as_policies_have_them() {
        for (text, expect) in
            [("60s", Some(60)), ("10m", Some(600)), ("1h", Some(3600)), ("1d", Some(86_400))]
        {
            assert_eq!(RateLimit::parse(Some(1), None, text).ok().map(RateLimit::seconds), expect, "{text}");
        }
        for text in ["", "s", "60", "500ms", "-1s", "+1s", "2d", "0s", "99999999999s", "1µ", "é"] {
            assert!(RateLimit::parse(Some(1), None, text).is_err(), "{text}");
        }
        assert!(RateLimit::new(0, 1).is_err());
        assert!(RateLimit::new(1_000_001, 1).is_err());
        for (requests, tokens) in
            [(None, None), (Some(1), Some(0)), (Some(0), Some(1)), (None, Some(1_000_000_001))]
        {
            assert!(RateLimit::of(requests, tokens, 1).is_err(), "{requests:?} {tokens:?}");
        }
    }
}
