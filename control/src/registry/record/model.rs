//! Tokens, users, entries of the audit log; and pages of them.

use keyswap_core::base::{Digest, UnixTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::day::Day;
use super::rate_limit::RateLimit;

/// The status of a token or a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It may.
    Active,
    /// It was taken back, for now or for good.
    Disabled,
}

impl Status {
    /// Returns `active` or `disabled`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    pub(in crate::registry) fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Disabled].into_iter().find(|status| status.name() == name)
    }
}

/// The record of a proxy token. The token itself is not in it.
///
/// As JSON it is its [`TokenRecord`] with `last4` and `last_used`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its SHA-256.
    pub digest: Digest,
    /// Its label.
    pub label: String,
    /// The email address of its owner.
    pub owner: Option<String>,
    /// Its last four characters, to tell it from others; empty if it came as a digest.
    pub last4: String,
    /// The names of the providers it is for.
    pub providers: Vec<String>,
    /// The models it is for; `*` is all.
    pub models: Vec<String>,
    /// Its status.
    pub status: Status,
    /// The time at which it came into the registry.
    pub created_at: UnixTime,
    /// The expiry it was given; see [`Token::expires_at`] for the one that counts.
    pub own_expiry: Option<UnixTime>,
    /// The rate limit, where that differs from the policy.
    pub rate_limit: Option<RateLimit>,
    /// The token that takes its place.
    pub successor: Option<Digest>,
    /// The time at which it makes place for its successor.
    pub retires_at: Option<UnixTime>,
    /// The day of its last use.
    pub last_used: Option<Day>,
    /// The number of its last change.
    pub version: i64,
}

impl Token {
    /// Returns the time from which it is refused: its expiry or the end of its rotation, whichever comes first.
    pub fn expires_at(&self) -> Option<UnixTime> {
        [self.own_expiry, self.retires_at].into_iter().flatten().min()
    }

    /// Returns true if it may be used at `now`.
    pub fn is_active(&self, now: UnixTime) -> bool {
        self.status == Status::Active && self.expires_at().is_none_or(|at| at > now)
    }

    /// Returns true if it may be used now, by this machine's clock.
    pub fn is_active_now(&self) -> bool {
        self.is_active(super::clock::now())
    }

    /// Returns a stable name that cannot be used as a token: the first 16 digits of its digest, as in logs and metrics.
    pub fn id(&self) -> String {
        let mut id = self.digest.to_hex();
        id.truncate(16);
        id
    }

    /// Returns the token as data planes get it.
    pub fn record(&self) -> TokenRecord<'_> {
        TokenRecord {
            sha256: self.digest.to_hex(),
            label: &self.label,
            owner: self.owner.as_deref(),
            status: self.status,
            providers: &self.providers,
            models: &self.models,
            created_at: self.created_at.to_string(),
            expires_at: self.expires_at().map(|at| at.to_string()),
            rate_limit: self.rate_limit,
            successor: self.successor.map(|digest| digest.to_hex()),
            retires_at: self.retires_at.map(|at| at.to_string()),
            version: self.version,
        }
    }
}

/// A token as data planes get it. It changes only when [`Token::version`] does.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct TokenRecord<'a> {
    sha256: String,
    label: &'a str,
    owner: Option<&'a str>,
    status: Status,
    providers: &'a [String],
    models: &'a [String],
    created_at: String,
    expires_at: Option<String>,
    #[schema(value_type = Option<super::rate_limit::Text>)]
    rate_limit: Option<RateLimit>,
    successor: Option<String>,
    retires_at: Option<String>,
    version: i64,
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Full<'a> {
            #[serde(flatten)]
            record: TokenRecord<'a>,
            last4: &'a str,
            last_used: Option<Day>,
        }
        Full { record: self.record(), last4: &self.last4, last_used: self.last_used }.serialize(serializer)
    }
}

/// Reads what a registry said of a token. Its own expiry is not told apart from the one that counts.
impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Full {
            sha256: String,
            label: String,
            owner: Option<String>,
            last4: String,
            providers: Vec<String>,
            models: Vec<String>,
            status: Status,
            #[serde(deserialize_with = "time")]
            created_at: UnixTime,
            expires_at: Option<String>,
            rate_limit: Option<RateLimit>,
            successor: Option<String>,
            retires_at: Option<String>,
            last_used: Option<Day>,
            version: i64,
        }
        let full = Full::deserialize(deserializer)?;
        Ok(Self {
            digest: read_digest(&full.sha256)?,
            label: full.label,
            owner: full.owner,
            last4: full.last4,
            providers: full.providers,
            models: full.models,
            status: full.status,
            created_at: full.created_at,
            own_expiry: full.expires_at.as_deref().map(read_time).transpose()?,
            rate_limit: full.rate_limit,
            successor: full.successor.as_deref().map(read_digest).transpose()?,
            retires_at: full.retires_at.as_deref().map(read_time).transpose()?,
            last_used: full.last_used,
            version: full.version,
        })
    }
}

/// A person who signs in elsewhere and is known here by an email address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct User {
    /// The address, in lower case.
    pub email: String,
    /// The user's label.
    pub label: Option<String>,
    /// The user's status.
    pub status: Status,
    /// The names of the providers that the user may call.
    pub providers: Vec<String>,
    /// The models that the user may call; `*` is all.
    pub models: Vec<String>,
    /// The time at which the user came into the registry.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixTime,
    /// The rate limit, where that differs from the policy.
    #[schema(value_type = Option<super::rate_limit::Text>)]
    pub rate_limit: Option<RateLimit>,
    /// The number of the user's last change.
    pub version: i64,
}

/// A line of the audit log: who did what. There is no secret in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// Larger ones are newer.
    pub id: i64,
    /// The time.
    #[serde(serialize_with = "rfc3339")]
    pub at: UnixTime,
    /// The actor.
    pub actor: String,
    /// The action, such as `token.create`.
    pub action: String,
    /// The subject: a digest, an email address.
    pub subject: String,
    /// Details.
    pub detail: serde_json::Value,
}

/// The part of a list that is asked for. The newest come first.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Only what has this text in its label, owner, address, digest or last four characters, in any case.
    /// The audit log is searched by subject, exactly.
    pub search: Option<String>,
    /// Only what has this status; the audit log has none.
    pub status: Option<Status>,
    /// Go on after the page whose [`Page::next`] this is.
    pub after: Option<i64>,
    /// At most so many, at most 200; 50 by default.
    pub limit: Option<u32>,
}

impl Listing {
    fn size(&self) -> u32 {
        self.limit.unwrap_or(50).clamp(1, 200)
    }

    /// Returns the number of rows to read: the row after the page tells whether there is more.
    pub(in crate::registry) fn size_and_one(&self) -> i64 {
        i64::from(self.size()) + 1
    }
}

/// A part of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page<T> {
    /// The part.
    pub items: Vec<T>,
    /// The place to go on from, if there is more.
    pub next: Option<i64>,
    /// The number of entries on all pages.
    pub total: i64,
}

impl<T> Page<T> {
    /// Returns the page of the rows that were asked for by [`Listing::size_and_one`]; `place` is what [`Listing::after`] means.
    pub(in crate::registry) fn of<Row, E>(
        mut rows: Vec<Row>,
        listing: &Listing,
        total: i64,
        place: impl Fn(&Row) -> i64,
        read: impl Fn(Row) -> Result<T, E>,
    ) -> Result<Self, E> {
        let size = listing.size() as usize;
        let more = rows.len() > size;
        rows.truncate(size);
        let next = rows.last().filter(|_| more).map(place);
        Ok(Self { items: rows.into_iter().map(read).collect::<Result<_, E>>()?, next, total })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in references")]
pub(in crate::registry) fn rfc3339<S: Serializer>(at: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

pub(in crate::registry) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixTime, D::Error> {
    read_time(&String::deserialize(deserializer)?)
}

fn read_time<E: serde::de::Error>(text: &str) -> Result<UnixTime, E> {
    UnixTime::from_rfc3339(text).ok_or_else(|| E::custom("expected a time with an offset"))
}

fn read_digest<E: serde::de::Error>(text: &str) -> Result<Digest, E> {
    Digest::from_hex(text).ok_or_else(|| E::custom("expected a SHA-256"))
}
