//! Usage: what a caller used of a provider's model in an hour, and questions about it.

use keyswap_core::base::{Digest, UnixTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::amount::{self, add};
use super::day::Day;
use super::rate_limit::seconds;
use super::reach::Reach;

/// The kind of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CallerKind {
    /// A proxy token.
    Token,
    /// A person with an identity JWT.
    Person,
    /// A token that another server introspects.
    Introspected,
}

impl CallerKind {
    /// Returns `token`, `person` or `introspected`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Person => "person",
            Self::Introspected => "introspected",
        }
    }
}

/// Sums of usage. `cached` and `cache_write` are parts of `input`, `reasoning` and parts of `audio` are parts of `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Counts {
    /// The requests.
    pub requests: i64,
    /// The requests whose usage is not known.
    pub unmetered: i64,
    /// The requests whose model has no price.
    pub unpriced: i64,
    /// All input tokens.
    pub input: i64,
    /// The input tokens that were read from a cache.
    pub cached: i64,
    /// The input tokens that were written to a cache.
    pub cache_write: i64,
    /// All output tokens.
    pub output: i64,
    /// The output tokens of reasoning.
    pub reasoning: i64,
    /// The tokens of audio, in and out.
    pub audio: i64,
    /// The cost in nano-dollars. In JSON it is a text: exact dollars.
    #[serde(rename = "usd", serialize_with = "as_dollars", deserialize_with = "of_dollars")]
    #[schema(value_type = String)]
    pub cost: i64,
}

impl Counts {
    /// The names of the numbers, in the order of [`Counts::numbers`].
    pub const NAMES: [&'static str; 10] = [
        "requests",
        "unmetered",
        "unpriced",
        "input",
        "cached",
        "cache_write",
        "output",
        "reasoning",
        "audio",
        "cost",
    ];

    /// Returns the numbers.
    pub fn numbers(&self) -> [i64; 10] {
        [
            self.requests,
            self.unmetered,
            self.unpriced,
            self.input,
            self.cached,
            self.cache_write,
            self.output,
            self.reasoning,
            self.audio,
            self.cost,
        ]
    }

    /// Returns the counts of these numbers.
    pub fn of(numbers: [i64; 10]) -> Self {
        let [requests, unmetered, unpriced, input, cached, cache_write, output, reasoning, audio, cost] =
            numbers;
        Self { requests, unmetered, unpriced, input, cached, cache_write, output, reasoning, audio, cost }
    }

    /// Returns input and output tokens together.
    pub fn tokens(&self) -> i64 {
        self.input.saturating_add(self.output)
    }

    /// Adds other counts.
    pub(in crate::registry) fn add(&mut self, other: &Self) {
        let (mine, theirs) = (self.numbers(), other.numbers());
        let mut sums = [0; 10];
        for ((sum, one), other) in sums.iter_mut().zip(mine).zip(theirs) {
            *sum = add(one, other);
        }
        *self = Self::of(sums);
    }
}

/// A report of a data plane.
#[derive(Clone, Debug)]
pub struct UsageReport {
    /// The id, by which a report that is sent again is recognised.
    pub id: String,
    /// The rows.
    pub rows: Vec<UsageRow>,
}

/// The usage of a caller at a provider's model in an hour.
#[derive(Clone, Debug)]
pub struct UsageRow {
    /// The hour: any moment in it.
    pub hour: UnixTime,
    /// The digest of the principal.
    pub principal: Digest,
    /// The kind of the caller.
    pub kind: CallerKind,
    /// The label of the caller.
    pub label: String,
    /// The email address of the owner.
    pub owner: Option<String>,
    /// The team.
    pub team: Option<String>,
    /// The provider.
    pub provider: String,
    /// The model, or `other`.
    pub model: String,
    /// The sums.
    pub counts: Counts,
}

/// The dimension that usage is summed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UsageBy {
    /// By caller: a token or a person.
    Token,
    /// By owner.
    Owner,
    /// By team.
    Team,
    /// By provider.
    Provider,
    /// By model.
    Model,
    /// By day in UTC.
    Day,
}

impl UsageBy {
    /// Returns the name of the dimension.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Owner => "owner",
            Self::Team => "team",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Day => "day",
        }
    }
}

/// A question about usage.
#[derive(Clone, Debug)]
pub struct UsageQuery {
    /// The first moment. Whole hours count.
    pub since: UnixTime,
    /// The first moment after the span.
    pub until: UnixTime,
    /// The caller, by the digest of its principal.
    pub token: Option<Digest>,
    /// The owner's email address.
    pub owner: Option<String>,
    /// The team.
    pub team: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The part of the registry that usage must be of.
    pub reach: Reach,
}

impl UsageQuery {
    /// Parses a moment: a day in UTC such as `2026-11-01`, a time with an offset, or a time before `now` such as `7d`.
    pub fn moment(text: &str, now: UnixTime) -> Option<UnixTime> {
        let ago = || Some(UnixTime(now.0.saturating_sub(i64::from(seconds(text)?))));
        let day = || Day::parse(text).map(|day| UnixTime(day.0.saturating_mul(86_400)));
        day().or_else(ago).or_else(|| UnixTime::from_rfc3339(text))
    }

    /// Returns the question about all usage in a span.
    pub fn between(since: UnixTime, until: UnixTime) -> Self {
        Self {
            since,
            until,
            token: None,
            owner: None,
            team: None,
            provider: None,
            model: None,
            reach: Reach::All,
        }
    }
}

/// Sums for one value of a dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageLine {
    /// The value of the dimension: a digest, an address, a name or a day. Empty for callers without an owner or team.
    pub key: String,
    /// The label of a caller, empty for other dimensions.
    pub label: String,
    /// The sums.
    #[serde(flatten)]
    pub counts: Counts,
}

/// The answer to a question about usage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageSummary {
    /// The lines, of the greatest cost first; days in their order.
    pub items: Vec<UsageLine>,
    /// The sums over all lines, also over those that are left out.
    pub total: Counts,
}

/// The sums of all time of a team at a provider's model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageTotal {
    /// The team, empty for none.
    pub team: String,
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// The sums.
    pub counts: Counts,
}

/// The usage of a caller at a provider's model on a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageDetail {
    /// The day in UTC.
    #[schema(value_type = String, format = Date)]
    pub day: Day,
    /// The digest of the principal, in hexadecimal digits.
    pub principal: String,
    /// The kind of the caller: `token`, `person`, `introspected` or `other`.
    pub kind: String,
    /// The label of the caller.
    pub label: String,
    /// The owner, empty for none.
    pub owner: String,
    /// The team, empty for none.
    pub team: String,
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// The sums.
    #[serde(flatten)]
    pub counts: Counts,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in references")]
fn as_dollars<S: Serializer>(nano: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&amount::dollars(*nano))
}

fn of_dollars<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = String::deserialize(deserializer)?;
    amount::read_dollars(&text).ok_or_else(|| serde::de::Error::custom("expected dollars"))
}
