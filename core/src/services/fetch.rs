//! Fetches: the engine says what to call, the host makes the call, and the engine judges the answer.
//!
//! A host makes one call per key at a time, follows no redirects, and hands over every answer. A malformed answer never
//! lets a request pass.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::base::{Digest, Moment};
use crate::limit::{Gcra, RateLimit, Taken};
use crate::secret::ServiceSecret;

/// A service that fetches are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServiceId(pub(super) u32);

/// The subject of a fetch. Equal keys are one fetch, however many requests wait for it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FetchKey {
    pub(crate) service: ServiceId,
    pub(crate) subject: Subject,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// The record of a token.
    Token(Digest),
    /// The record of a person, by their address.
    Person(String),
    /// The address of an issuer's keys.
    Discovery,
    /// An issuer's keys.
    Keys,
    /// The changes in the registry.
    Changes,
    /// The report of used tokens.
    Usage,
    /// The report of what was spent.
    Spend,
    /// One request from a budget.
    Limit(LimitCharge),
    /// Slices of budgets, by the number of the call among those of the worker.
    Lease(u64),
    /// The holders of objects, by the number of the call among those of the worker, and the digests.
    Objects(u64, Vec<Digest>),
    /// Objects that were made, by the number of the claim among those of the worker.
    Claim(u64),
    /// Objects that were deleted.
    Removal,
    /// An upstream credential for every caller.
    Credential,
    /// A credential for one caller, and the texts that its answer must have.
    CallerCredential(Box<CallerId>, Vec<(String, String)>),
    /// A policy.
    Bundle,
}

/// A caller with a JWT.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallerId {
    /// The digest of the JWT.
    pub(crate) jwt: Digest,
    /// The digest of the caller's record: one for all JWTs of a person or a workload.
    pub(crate) principal: Digest,
}

/// One request of a token, to be counted at a registry.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LimitCharge {
    pub(super) token: Digest,
    pub(super) limit: RateLimit,
    /// The number of this request among those of the worker: no two requests share a call.
    pub(super) number: u64,
}

impl LimitCharge {
    /// Returns the outcome for a budget that nothing was taken from yet.
    pub(super) fn of_full_budget(&self, now: Moment) -> Taken {
        let (_, taken) = Gcra::new(self.limit).take(None, now.nanoseconds());
        taken
    }
}

impl FetchKey {
    pub(crate) fn new(service: ServiceId, subject: Subject) -> Self {
        Self { service, subject }
    }

    /// Returns the kind of fetch, for metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self.subject {
            Subject::Token(_) => "token",
            Subject::Person(_) => "person",
            Subject::Discovery => "discovery",
            Subject::Keys => "keys",
            Subject::Changes => "changes",
            Subject::Usage => "usage",
            Subject::Spend => "spend",
            Subject::Limit(_) => "limit",
            Subject::Lease(_) => "lease",
            Subject::Objects(..) => "objects",
            Subject::Claim(_) => "claim",
            Subject::Removal => "removal",
            Subject::Credential | Subject::CallerCredential(..) => "credential",
            Subject::Bundle => "bundle",
        }
    }
}

impl fmt::Debug for FetchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// A call to make, its subject, and the state to hand back with its answer.
pub struct Fetch {
    /// The subject.
    pub key: FetchKey,
    /// The call.
    pub request: FetchRequest,
    /// The state at the time of the request.
    pub as_of: AsOf,
}

impl Fetch {
    pub(crate) fn new(key: FetchKey, request: FetchRequest, as_of: AsOf) -> Self {
        Self { key, request, as_of }
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fetch({})", self.key.kind())
    }
}

/// The state when a fetch was requested: an answer is no newer than that.
#[derive(Clone, Copy, Debug)]
pub struct AsOf {
    pub(crate) at: Moment,
    /// The newest state of the registry that was known.
    pub(crate) position: Position,
}

/// A state of a registry: the number of its newest change, and the history that led there. Two databases, or two lives of
/// one, can have the number in common, but not the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) change: u64,
    /// The random value of the change; 0 where the registry told none.
    pub(crate) history: u64,
}

impl AsOf {
    /// Returns the state of a service that has no feed of changes.
    pub(crate) const fn moment(at: Moment) -> Self {
        Self { at, position: Position { change: 0, history: 0 } }
    }
}

/// A call for the host to make. The type has no `Debug`, because a call holds a credential.
pub struct FetchRequest {
    /// The Envoy cluster to connect to; other hosts connect to the authority.
    pub cluster: String,
    /// Set where the connection is by TLS.
    pub https: bool,
    /// Header fields, pseudo-headers first.
    pub headers: Vec<(Cow<'static, str>, Zeroizing<String>)>,
    /// The body, where there is one.
    pub body: Option<Zeroizing<Vec<u8>>>,
    /// The time after which to give up.
    pub timeout: Duration,
}

impl FetchRequest {
    /// Returns a GET of `path` at an authority that is reached through `cluster`.
    pub(crate) fn get(cluster: &str, https: bool, authority: &str, path: String, timeout: Duration) -> Self {
        let headers = vec![
            (":method".into(), "GET".to_owned().into()),
            (":path".into(), path.into()),
            (":authority".into(), authority.to_owned().into()),
        ];
        Self { cluster: cluster.to_owned(), https, headers, body: None, timeout }
    }

    /// Adds a header field.
    #[must_use]
    pub(crate) fn header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), Zeroizing::new(value.into())));
        self
    }

    /// Adds the header field in which the service takes its credential.
    #[must_use]
    pub(crate) fn credential(mut self, name: impl Into<Cow<'static, str>>, secret: &ServiceSecret) -> Self {
        self.headers.push((name.into(), secret.reveal()));
        self
    }

    /// Sets the method.
    #[must_use]
    pub(crate) fn with_method(mut self, name: &str) -> Self {
        if let Some((_, method)) = self.headers.first_mut() {
            name.clone_into(method);
        }
        self
    }

    /// Adds a body.
    #[must_use]
    pub(crate) fn with_body(mut self, content_type: &str, body: Zeroizing<Vec<u8>>) -> Self {
        self.body = Some(body);
        self.header("content-type", content_type)
    }

    /// Makes it a POST of `body`.
    #[must_use]
    pub(crate) fn post(self, content_type: &str, body: Zeroizing<Vec<u8>>) -> Self {
        self.with_method("POST").with_body(content_type, body)
    }

    /// Returns the method.
    pub fn method(&self) -> &str {
        self.value(":method")
    }

    /// Returns host and port.
    pub fn authority(&self) -> &str {
        self.value(":authority")
    }

    /// Returns path and query.
    pub fn target(&self) -> &str {
        self.value(":path")
    }

    /// Returns the header fields that are no pseudo-headers.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let fields = self.headers.iter().filter(|(name, _)| !name.starts_with(':'));
        fields.map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    fn value(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

/// The longest answer that a reader takes, in bytes. A host need not keep more.
pub const MAX_FETCHED_BYTES: usize = 1024 * 1024;

/// The answer to a call.
pub enum FetchAnswer<'a> {
    /// A response.
    Response {
        /// The status.
        status: u16,
        /// The body, whole.
        body: &'a [u8],
    },
    /// No response: no connection, a reset, a timeout, or a call that the host could not start.
    Failed,
}

impl<'a> From<Option<(u16, &'a [u8])>> for FetchAnswer<'a> {
    fn from(response: Option<(u16, &'a [u8])>) -> Self {
        response.map_or(Self::Failed, |(status, body)| Self::Response { status, body })
    }
}

/// The outcome of a call, for metrics: one of a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchOutcome {
    /// The subject was found.
    Found,
    /// The subject does not exist.
    NotFound,
    /// The answer was out of date when it came.
    Stale,
    /// The answer is malformed.
    Malformed,
    /// The service answered that it cannot serve the call.
    Unavailable,
    /// No answer came.
    Failed,
}

impl FetchOutcome {
    /// Returns the outcome's name in metrics.
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

    /// Tells whether the service works as it should.
    pub const fn is_healthy(self) -> bool {
        matches!(self, Self::Found | Self::NotFound | Self::Stale)
    }

    /// Tells whether the service seems to be down. A malformed answer is about one key only.
    pub(crate) const fn is_outage(self) -> bool {
        matches!(self, Self::Unavailable | Self::Failed)
    }
}
