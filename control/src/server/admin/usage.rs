//! Questions about usage, as query parameters.

use keyswap_core::base::{Digest, UnixTime};
use serde::Deserialize;

use crate::registry::{Reach, RegistryError, UsageBy, UsageQuery, now};

/// The days of an answer without `since`.
const DEFAULT_DAYS: i64 = 30;

const DEFAULT_LIMIT: u32 = 1000;

/// The query parameters of a question.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[param(inline)]
    by: Option<UsageBy>,
    since: Option<String>,
    until: Option<String>,
    token: Option<String>,
    owner: Option<String>,
    team: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    limit: Option<u32>,
}

impl Asked {
    /// The most lines of an answer.
    pub(super) const MAX_LIMIT: u32 = 50_000;

    pub(super) fn by(&self) -> UsageBy {
        self.by.unwrap_or(UsageBy::Model)
    }

    /// Returns the largest number of lines.
    pub(super) fn limit(&self) -> u32 {
        self.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, Self::MAX_LIMIT)
    }

    /// Returns the question. Without `since` it is about the last 30 days.
    pub(super) fn query(&self) -> Result<UsageQuery, RegistryError> {
        let now = now();
        let invalid = |field, expected: &str| RegistryError::Invalid { field, expected: expected.to_owned() };
        let moment = |field, text: &Option<String>| {
            let read = |text: &String| {
                let expected =
                    "expected a day such as `2026-11-01`, a time with an offset, or a time ago such as `7d`";
                UsageQuery::moment(text, now).ok_or_else(|| invalid(field, expected))
            };
            some(text.as_ref()).as_ref().map(read).transpose()
        };
        let digest =
            |text: String| Digest::from_hex(&text).ok_or_else(|| invalid("token", "expected a SHA-256"));
        let default = UnixTime(now.0.saturating_sub(DEFAULT_DAYS * 86_400));
        Ok(UsageQuery {
            since: moment("since", &self.since)?.unwrap_or(default),
            // Clocks of data planes may be ahead.
            until: moment("until", &self.until)?.unwrap_or(UnixTime(now.0.saturating_add(86_400))),
            token: some(self.token.as_ref()).map(digest).transpose()?,
            owner: some(self.owner.as_ref()).map(|owner| owner.to_lowercase()),
            team: some(self.team.as_ref()),
            provider: some(self.provider.as_ref()),
            model: some(self.model.as_ref()),
            reach: Reach::All,
        })
    }
}

fn some(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}
