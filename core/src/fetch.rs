//! What the engine needs from elsewhere: it says what to fetch, the host fetches it, and the engine judges the answer.
//!
//! A host makes one call per key at a time, follows no redirects, and hands over whatever came: an answer that is no
//! answer never lets a request pass.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::limit::Taken;
use crate::registry::Count;
use crate::services::ServiceId;
use crate::time::Moment;
use crate::token::{TokenDigest, TokenRecord};

/// What is fetched. Equal keys are one fetch, however many requests wait for it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FetchKey {
    pub(crate) service: ServiceId,
    pub(crate) subject: Subject,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// The record of a token.
    Token(TokenDigest),
    /// The record of a person, by their address.
    Person(String),
    /// The address of an issuer's keys.
    Discovery,
    /// An issuer's keys.
    Keys,
    /// What changed in the registry.
    Changes,
    /// The report of used tokens.
    Usage,
    /// One request from a budget.
    Limit(Count),
    /// An upstream credential.
    Credential,
    /// A policy.
    Bundle,
}

impl FetchKey {
    pub(crate) fn new(service: ServiceId, subject: Subject) -> Self {
        Self { service, subject }
    }

    /// What kind of fetch it is, for metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self.subject {
            Subject::Token(_) => "token",
            Subject::Person(_) => "person",
            Subject::Discovery => "discovery",
            Subject::Keys => "keys",
            Subject::Changes => "changes",
            Subject::Usage => "usage",
            Subject::Limit(_) => "limit",
            Subject::Credential => "credential",
            Subject::Bundle => "bundle",
        }
    }
}

impl fmt::Debug for FetchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// A fetch: what it is of, the call to make, and what to hand back with the answer.
pub struct Fetch {
    /// What is fetched.
    pub key: FetchKey,
    /// The call.
    pub request: FetchRequest,
    /// The state of things when it was asked for.
    pub asked: Asked,
}

impl Fetch {
    pub(crate) fn new(key: FetchKey, request: FetchRequest, asked: Asked) -> Self {
        Self { key, request, asked }
    }

    /// What it resolves to for somebody who asks nobody, and only wants to see what would be decided: nothing was taken
    /// from any budget yet, and all else is unavailable.
    pub fn unasked(&self) -> Resolution {
        match &self.key.subject {
            Subject::Limit(count) => Resolution::Taken(count.of_full_budget(self.asked.at)),
            _ => Resolution::Unavailable,
        }
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fetch({})", self.key.kind())
    }
}

/// The state of things when a fetch was asked for: an answer is no newer than that.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub(crate) at: Moment,
    /// The newest change of the registry that was known.
    pub(crate) as_of: u64,
}

/// What a fetch resolved to, for each of the requests that wait for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Resolution {
    /// The record of a token or a person.
    #[doc(hidden)]
    Record(Arc<TokenRecord>),
    /// There is none.
    #[doc(hidden)]
    Unknown,
    /// It is there now: look again.
    #[doc(hidden)]
    Ready,
    /// What was taken from a budget.
    #[doc(hidden)]
    Taken(Taken),
    /// Nobody can say now. A host that cannot make a call at all says this, too.
    Unavailable,
    /// It was out of date: look again.
    #[doc(hidden)]
    Again,
}

/// A call for the host to make. `Debug` is left out on purpose: it holds a credential.
pub struct FetchRequest {
    /// Envoy's name for where to connect to; another host connects to the authority.
    pub cluster: String,
    /// Whether that is by TLS.
    pub https: bool,
    /// Header fields, pseudo-headers first.
    pub headers: Vec<(Cow<'static, str>, Zeroizing<String>)>,
    /// The body, where there is one.
    pub body: Option<Zeroizing<Vec<u8>>>,
    /// When to give up.
    pub timeout: Duration,
}

impl FetchRequest {
    /// The method.
    pub fn method(&self) -> &str {
        self.value(":method")
    }

    /// Host and port.
    pub fn authority(&self) -> &str {
        self.value(":authority")
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        self.value(":path")
    }

    /// The header fields that are no pseudo-headers.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.headers.iter().filter(|(name, _)| !name.starts_with(':'));
        fields.map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    fn value(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

/// So many bytes of an answer are of use: no reader takes more, and a host need not keep more.
pub const MOST_FETCHED: usize = 1024 * 1024;

/// What came of a call.
pub enum FetchAnswer<'a> {
    /// A response.
    Response {
        /// The status.
        status: u16,
        /// The body, whole.
        body: &'a [u8],
    },
    /// None: no connection, reset, too late, or the host could not even start.
    Failed,
}

/// What came of a call, for metrics: one of a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchOutcome {
    /// It was there.
    Found,
    /// It was not.
    NotFound,
    /// It was out of date when it came.
    Stale,
    /// The answer is not what it should be.
    Malformed,
    /// The service said that it cannot answer.
    Unavailable,
    /// No answer came.
    Failed,
}

impl FetchOutcome {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::NotFound => "not_found",
            Self::Stale => "stale",
            Self::Malformed => "malformed",
            Self::Unavailable => "unavailable",
            Self::Failed => "failed",
        }
    }

    /// Whether it is as it should be.
    pub const fn is_healthy(self) -> bool {
        matches!(self, Self::Found | Self::NotFound | Self::Stale)
    }

    /// Whether whoever was asked seems to be down: an answer that makes no sense is about one key only.
    pub(crate) const fn is_outage(self) -> bool {
        matches!(self, Self::Unavailable | Self::Failed)
    }
}
