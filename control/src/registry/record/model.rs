//! Tokens, users, entries of the audit log, and pages of lists.

use keyswap_core::base::{Digest, UnixTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::day::Day;
use super::rate_limit::RateLimit;
use super::reach::Reach;
use super::selection::{Attention, Order};

/// The status of a token or a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Requests are accepted.
    Active,
    /// Requests are refused.
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

/// The record of a proxy token. It does not contain the token.
///
/// The JSON form is the [`TokenRecord`] with `last4` and `last_used`, and with `source` where the token has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The SHA-256 of the token.
    pub digest: Digest,
    /// The label.
    pub label: String,
    /// The email address of the owner.
    pub owner: Option<String>,
    /// The team, to which a policy may bind a credential.
    pub team: Option<String>,
    /// The last four characters of the token, to recognise it by. Empty for a token that was imported by its digest.
    pub last4: String,
    /// The scope: names of providers, and classes of their endpoints such as `openai:files`.
    pub providers: Vec<String>,
    /// The models that the token may use. `*` permits all.
    pub models: Vec<String>,
    /// The status.
    pub status: Status,
    /// The time at which the token was added to the registry.
    pub created_at: UnixTime,
    /// The expiry that was set. [`Token::expires_at`] returns the effective one.
    pub own_expiry: Option<UnixTime>,
    /// The rate limit, if it differs from the policy's.
    pub rate_limit: Option<RateLimit>,
    /// The SHA-256 of the client certificate that the token is bound to. It never changes.
    pub certificate: Option<Digest>,
    /// The SHA-256 of the token's successor, after a rotation.
    pub successor: Option<Digest>,
    /// The end of the grace period of a rotation.
    pub retires_at: Option<UnixTime>,
    /// The digest under which the token's objects are kept: that of the first token of its line of rotations.
    pub holder: Digest,
    /// The day of the last use.
    pub last_used: Option<Day>,
    /// The sequence number of the last change.
    pub version: i64,
    /// The source outside that declares the token, such as `kubernetes:NAMESPACE`. Its rights are changed there.
    pub source: Option<String>,
    /// The time since which the source does not declare the token any more, which is disabled for that reason.
    pub withdrawn_at: Option<UnixTime>,
}

impl Token {
    /// Returns the time from which the token is refused: the earlier of its expiry and the end of its rotation's grace
    /// period.
    pub fn expires_at(&self) -> Option<UnixTime> {
        [self.own_expiry, self.retires_at].into_iter().flatten().min()
    }

    /// Returns true if the token is accepted at `now`.
    pub fn is_active(&self, now: UnixTime) -> bool {
        self.status == Status::Active && self.expires_at().is_none_or(|at| at > now)
    }

    /// Returns true if the token is accepted now, by this machine's clock.
    pub fn is_active_now(&self) -> bool {
        self.is_active(super::clock::now())
    }

    /// Returns the token's id for logs and metrics: the first 16 digits of its SHA-256.
    pub fn id(&self) -> String {
        let mut id = self.digest.to_hex();
        id.truncate(16);
        id
    }

    /// Returns the record that data planes receive.
    pub fn record(&self) -> TokenRecord<'_> {
        TokenRecord {
            sha256: self.digest.to_hex(),
            label: &self.label,
            owner: self.owner.as_deref(),
            team: self.team.as_deref(),
            status: self.status,
            providers: &self.providers,
            models: &self.models,
            created_at: self.created_at.to_string(),
            expires_at: self.expires_at().map(|at| at.to_string()),
            rate_limit: self.rate_limit,
            certificate_sha256: self.certificate.map(|digest| digest.to_hex()),
            successor: self.successor.map(|digest| digest.to_hex()),
            retires_at: self.retires_at.map(|at| at.to_string()),
            holder: self.holder.to_hex(),
            version: self.version,
        }
    }
}

/// The record of a token that data planes receive. It changes only together with [`Token::version`].
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct TokenRecord<'a> {
    /// The SHA-256 of the token, in hexadecimal digits.
    sha256: String,
    /// The label.
    label: &'a str,
    /// The email address of the owner.
    owner: Option<&'a str>,
    /// The team, to which a policy may bind a credential.
    team: Option<&'a str>,
    /// The status.
    status: Status,
    /// The names of the providers that the token may call.
    providers: &'a [String],
    /// The models that the token may use. `*` permits all.
    models: &'a [String],
    /// The time at which the token was added to the registry, in UTC (RFC 3339).
    created_at: String,
    /// The effective expiry, in UTC (RFC 3339).
    expires_at: Option<String>,
    /// The rate limit, if it differs from the policy's.
    #[schema(value_type = Option<super::rate_limit::Text>)]
    rate_limit: Option<RateLimit>,
    /// The SHA-256 of the client certificate that the token is bound to (RFC 8705), in hexadecimal digits. Absent for a token that
    /// any connection may bring.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_sha256: Option<String>,
    /// The SHA-256 of the token's successor, after a rotation.
    successor: Option<String>,
    /// The end of the grace period of a rotation, in UTC (RFC 3339).
    retires_at: Option<String>,
    /// The principal that holds the token's objects: the SHA-256 of the first token of its line of rotations.
    holder: String,
    /// The sequence number of the last change.
    version: i64,
}

/// The record of a token, for people and programs that administer it.
#[derive(Serialize, utoipa::ToSchema)]
struct Full<'a> {
    #[serde(flatten)]
    record: TokenRecord<'a>,
    /// The last four characters of the token. Empty for a token that was imported by its digest
    last4: &'a str,
    /// The day of the last use, in UTC
    #[schema(value_type = Option<String>, format = Date)]
    last_used: Option<Day>,
    /// The source that declares the token
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
}

impl utoipa::PartialSchema for Token {
    fn schema() -> RefOr<Schema> {
        Full::schema()
    }
}

impl utoipa::ToSchema for Token {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Full::schemas(schemas);
    }
}

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (last4, last_used, source) = (self.last4.as_str(), self.last_used, self.source.as_deref());
        Full { record: self.record(), last4, last_used, source }.serialize(serializer)
    }
}

/// Reads a token in the JSON form. That form has only the effective expiry, which becomes `own_expiry`.
impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Full {
            sha256: String,
            label: String,
            owner: Option<String>,
            #[serde(default)]
            team: Option<String>,
            last4: String,
            providers: Vec<String>,
            models: Vec<String>,
            status: Status,
            #[serde(deserialize_with = "time")]
            created_at: UnixTime,
            expires_at: Option<String>,
            rate_limit: Option<RateLimit>,
            certificate_sha256: Option<String>,
            successor: Option<String>,
            retires_at: Option<String>,
            /// Absent in the answers of older servers.
            holder: Option<String>,
            last_used: Option<Day>,
            version: i64,
            source: Option<String>,
        }
        let full = Full::deserialize(deserializer)?;
        let digest = read_digest(&full.sha256)?;
        Ok(Self {
            digest,
            label: full.label,
            owner: full.owner,
            team: full.team,
            last4: full.last4,
            providers: full.providers,
            models: full.models,
            status: full.status,
            created_at: full.created_at,
            own_expiry: full.expires_at.as_deref().map(read_time).transpose()?,
            rate_limit: full.rate_limit,
            certificate: full.certificate_sha256.as_deref().map(read_digest).transpose()?,
            successor: full.successor.as_deref().map(read_digest).transpose()?,
            retires_at: full.retires_at.as_deref().map(read_time).transpose()?,
            holder: full.holder.as_deref().map(read_digest).transpose()?.unwrap_or(digest),
            last_used: full.last_used,
            version: full.version,
            source: full.source,
            withdrawn_at: None,
        })
    }
}

/// A user that signs in at an identity provider and is identified by an email address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct User {
    /// The email address, in lower case.
    pub email: String,
    /// The user's label.
    pub label: Option<String>,
    /// The user's team, to which a policy may bind a credential.
    #[serde(default)]
    pub team: Option<String>,
    /// The user's status.
    pub status: Status,
    /// The user's scope: names of providers, and classes of their endpoints, such as `openai:files`.
    pub providers: Vec<String>,
    /// The models that the user may use. `*` permits all.
    pub models: Vec<String>,
    /// The time at which the user was added to the registry.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixTime,
    /// The rate limit, if it differs from the policy's.
    #[schema(value_type = Option<super::rate_limit::Text>)]
    pub rate_limit: Option<RateLimit>,
    /// The sequence number of the user's last change.
    pub version: i64,
}

/// An entry of the audit log: actor, action and subject. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// The number of the entry. Greater numbers are newer.
    pub id: i64,
    /// The time.
    #[serde(serialize_with = "rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: UnixTime,
    /// The actor, `None` for an attempt whose author is not known.
    pub actor: Option<String>,
    /// The action, such as `token.create`.
    pub action: String,
    /// The subject: a token's SHA-256, a user's email address, a policy's name or a client's address.
    pub subject: String,
    /// The details of the action, as a JSON object.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
}

/// The requested part of a list of tokens or users.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// A text that the label, owner, address, digest or last four characters must contain, ignoring case.
    pub search: Option<String>,
    /// The status of the entries.
    pub status: Option<Status>,
    /// The attention that tokens need. Lists of users ignore it.
    pub attention: Option<Attention>,
    /// The order of tokens. Users are sorted newest first.
    pub order: Order,
    /// The [`Page::next`] of the previous page. It fits the order [`Order::Newest`] only.
    pub after: Option<i64>,
    /// The number of entries to leave out before the page, in any order.
    pub skip: u32,
    /// The largest number of entries, from 1 to 200; 50 by default.
    pub limit: Option<u32>,
    /// The part of the registry that entries must be in. The audit log is for all of it.
    pub reach: Reach,
}

impl Listing {
    fn size(&self) -> u32 {
        self.limit.unwrap_or(50).clamp(1, 200)
    }

    /// Returns the number of rows to read: one more than the page, to detect a next page.
    pub(in crate::registry) fn size_and_one(&self) -> i64 {
        i64::from(self.size()) + 1
    }
}

/// A part of a list.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The entries of this page.
    pub items: Vec<T>,
    /// The position to continue from. `None` on the last page.
    pub next: Option<i64>,
    /// The number of entries on all pages.
    pub total: i64,
}

impl<T> Page<T> {
    /// Returns a page from as many rows as [`Listing::size_and_one`] requests. `place` returns a row's position, as in
    /// [`Listing::after`].
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

pub(super) fn read_time<E: serde::de::Error>(text: &str) -> Result<UnixTime, E> {
    UnixTime::from_rfc3339(text).ok_or_else(|| E::custom("expected a time with an offset"))
}

pub(super) fn read_digest<E: serde::de::Error>(text: &str) -> Result<Digest, E> {
    Digest::from_hex(text).ok_or_else(|| E::custom("expected a SHA-256"))
}
