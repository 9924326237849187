//! Decisions, and the checks that led to them: the explanation is data.

use std::fmt;

use serde_json::Value;

use crate::fault::Fault;
use crate::fetch::Fetch;
use crate::identity_slot::IdentitySlot;
use crate::reason::Reason;
use crate::registry::Origin;
use crate::reply::{LocalReply, ResponseHeaders};
use crate::rewrite::Rewrite;
use crate::route::RoutedBy;
use crate::sent::Sent;
use crate::slot::Slot;
use crate::time::UnixTime;
use crate::token::Principal;

/// What stands in the place of a reason's code where a request is forwarded.
pub(crate) const ALLOWED: &str = "allowed";
/// The same where it is answered without an upstream.
pub(crate) const ANSWERED: &str = "answered";

/// What to do with a request, and why.
#[derive(Debug)]
pub struct Decision<'a> {
    /// What to do.
    pub verdict: Verdict<'a>,
    /// Every check that was made, in order. The last one of a refusal is the one that failed.
    pub checks: Vec<Check<'a>>,
    /// The provider that the request is for, as far as its head tells.
    pub provider: &'a str,
    /// Who the request is from, once that is known; also where it is refused afterwards.
    pub principal: Option<Principal>,
    /// Where the record of the token or person was found; `None` where the policy itself has it, or nothing has.
    pub origin: Option<Origin>,
    /// What to do to the answer of an upstream, and to that of the host where it has none. A reply has it already.
    pub response: ResponseHeaders,
    /// Fetches that are due, and that this request does not wait for.
    pub refresh: Vec<Fetch>,
    /// What is to be learnt from the answer: for [`crate::Engine::answered`].
    pub sent: Sent,
    /// What was asked for, where that was the status; the verdict is it in words.
    pub(crate) status: Option<Value>,
}

/// What to do with a request.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// Forward it, rewritten.
    Forward(Rewrite<'a>),
    /// Refuse it, for this reason.
    Reply(Reason, LocalReply),
    /// Answer it: it asks for nothing of an upstream's.
    Answer(LocalReply),
    /// Let it go on as if nothing were here: the policy is in shadow mode.
    Pass(Passed),
}

/// A request that a policy in shadow mode lets go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The code of what would have become of it; `undecided` where that was not known in time.
    pub reason: &'static str,
    pub(crate) tell: bool,
}

impl Passed {
    /// The header in which an upstream is told, if it is.
    pub fn header(&self) -> Option<(&'static str, &'static str)> {
        self.tell.then_some(("x-keyswap-shadow", self.reason))
    }
}

impl Decision<'_> {
    /// A request that goes on before it is known what would become of it.
    pub(crate) fn undecided(tell: bool) -> Self {
        Self {
            verdict: Verdict::Pass(Passed { reason: "undecided", tell }),
            checks: Vec::new(),
            provider: "undecided",
            principal: None,
            origin: None,
            response: ResponseHeaders::default(),
            refresh: Vec::new(),
            sent: Sent::default(),
            status: None,
        }
    }

    /// The decision of a policy in shadow mode: the request goes on, and nothing is done to its answer.
    #[must_use]
    pub(crate) fn pass(self, tell: bool) -> Self {
        let passed = Passed { reason: self.reason_code(), tell };
        let (response, sent) = (ResponseHeaders::default(), Sent::default());
        Self { verdict: Verdict::Pass(passed), response, sent, ..self }
    }

    /// The decision, where its rewrite could not be carried out in full: nothing is forwarded.
    #[must_use]
    pub fn failed(mut self) -> Self {
        self.checks.push(Check::Refused(Fault::Host));
        self.verdict = Verdict::Reply(Reason::HostFailure, LocalReply::host_failure());
        self
    }

    /// `forward`, `reply` or `answer`, as metrics and logs have it.
    pub fn verdict_name(&self) -> &'static str {
        match self.verdict {
            Verdict::Forward(_) => "forward",
            Verdict::Reply(..) => "reply",
            Verdict::Answer(_) => "answer",
            Verdict::Pass(_) => "pass",
        }
    }

    /// The code of the reason: [`Reason::code`], or `allowed`, or `answered`.
    pub fn reason_code(&self) -> &'static str {
        match self.verdict {
            Verdict::Forward(_) => ALLOWED,
            Verdict::Reply(reason, _) => reason.code(),
            Verdict::Answer(_) => ANSWERED,
            Verdict::Pass(passed) => passed.reason,
        }
    }
}

/// The stages of judgement, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// Which provider it is for.
    Route,
    /// Where the credential is.
    Extract,
    /// Whether the credential is good.
    Verify,
    /// Whether it is good for this provider.
    Scope,
    /// Whether the real credential is there.
    Credential,
    /// Whether it has a request left.
    RateLimit,
    /// What is forwarded.
    Rewrite,
}

impl Stage {
    /// The stage's name in explanations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Extract => "extract",
            Self::Verify => "verify",
            Self::Scope => "scope",
            Self::Credential => "credential",
            Self::RateLimit => "rate_limit",
            Self::Rewrite => "rewrite",
        }
    }
}

/// One check and what it found. `Display` says it in words that hold no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check<'a> {
    /// The request target can be read in one way only.
    PathAccepted,
    /// The provider was found.
    Routed {
        /// Its name.
        provider: &'a str,
        /// What told it.
        by: RoutedBy,
    },
    /// A credential was found.
    CredentialFound(Slot),
    /// An identity JWT was found in a place of its own.
    IdentityFound(&'a IdentitySlot),
    /// The identity JWT of this issuer holds.
    IdentityVerified(&'a str),
    /// The record of the token or the person was found.
    LookedUp(Origin),
    /// The token is valid, until then if it ends.
    TokenValid(Option<UnixTime>),
    /// The provider is in the token's scope.
    InScope(&'a str),
    /// The upstream credential of this name is there.
    HasCredential(&'a str),
    /// The host writes the upstream credential.
    HostHasCredential,
    /// The token had a request left.
    WithinLimit {
        /// How many are left now.
        remaining: u32,
    },
    /// The request could not be counted, which the policy allows.
    Uncounted,
    /// The request is forwarded to this authority.
    Rewritten(&'a str),
    /// The check failed: the last one of a refusal.
    Refused(Fault<'a>),
}

impl Check<'_> {
    /// The stage it belongs to.
    pub const fn stage(&self) -> Stage {
        match self {
            Self::PathAccepted | Self::Routed { .. } => Stage::Route,
            Self::CredentialFound(_) | Self::IdentityFound(_) => Stage::Extract,
            Self::IdentityVerified(_) | Self::LookedUp(_) | Self::TokenValid(_) => Stage::Verify,
            Self::InScope(_) => Stage::Scope,
            Self::HasCredential(_) | Self::HostHasCredential => Stage::Credential,
            Self::WithinLimit { .. } | Self::Uncounted => Stage::RateLimit,
            Self::Rewritten(_) => Stage::Rewrite,
            Self::Refused(fault) => fault.stage(),
        }
    }

    /// Whether it let the request go on.
    pub const fn passed(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

impl fmt::Display for Check<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PathAccepted => f.write_str("the path can be read in one way only"),
            Self::Routed { provider, by } => write!(f, "the provider is `{provider}`: {by}"),
            Self::CredentialFound(slot) => write!(f, "the slot `{slot}` holds a credential"),
            Self::IdentityFound(slot) => write!(f, "`{slot}` holds a credential"),
            Self::IdentityVerified(issuer) => write!(f, "the issuer `{issuer}` vouches for the caller"),
            Self::LookedUp(from) => write!(f, "the record is from the {}", from.name()),
            Self::TokenValid(Some(at)) => write!(f, "the token is valid until {at}"),
            Self::TokenValid(None) => f.write_str("the token is valid and does not expire"),
            Self::InScope(provider) => write!(f, "the token is for `{provider}`"),
            Self::HasCredential(name) => write!(f, "the credential `{name}` is there"),
            Self::HostHasCredential => f.write_str("the host writes the credential"),
            Self::WithinLimit { remaining } => write!(f, "the token has {remaining} more requests for now"),
            Self::Uncounted => f.write_str("the request could not be counted, which the policy allows"),
            Self::Rewritten(authority) => write!(f, "forwarded to `{authority}` with its own credential"),
            Self::Refused(fault) => fault.fmt(f),
        }
    }
}
