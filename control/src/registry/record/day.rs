//! Days in UTC, the precision of a token's last use.

use std::fmt;

use keyswap_core::base::UnixTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const SECONDS: i64 = 86_400;

/// A day in UTC, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i64);

impl Day {
    /// Returns the day of a moment.
    pub fn of(at: UnixTime) -> Self {
        Self(at.0.div_euclid(SECONDS))
    }

    /// Parses a day such as `2026-11-01`.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 10).then(|| UnixTime::from_rfc3339(&format!("{text}T00:00:00Z")).map(Self::of))?
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = UnixTime(self.0.saturating_mul(SECONDS)).to_string();
        f.write_str(start.split('T').next().unwrap_or(&start))
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("expected a day such as `2026-11-01`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows_days() {
        assert_eq!(Day::parse("1970-01-02"), Some(Day(1)));
        assert_eq!(Day::of(UnixTime(-1)).to_string(), "1969-12-31");
        assert_eq!(Day::parse("2026-11-22").map(|day| day.to_string()).as_deref(), Some("2026-11-22"));
        for text in ["", "2026-11-2", "2026-02-30", "2026-11-22T", "22.11.2026"] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }
}
