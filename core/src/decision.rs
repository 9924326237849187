//! Decisions, and the checks that led to them: the explanation is data.

use std::fmt;

use crate::fault::Fault;
use crate::reason::Reason;
use crate::reply::LocalReply;
use crate::rewrite::Rewrite;
use crate::route::RoutedBy;
use crate::slot::Slot;
use crate::time::UnixTime;
use crate::token::Principal;

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
}

/// What to do with a request.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// Forward it, rewritten.
    Forward(Rewrite<'a>),
    /// Answer it, for this reason.
    Reply(Reason, LocalReply),
}

impl Decision<'_> {
    /// The decision, where its rewrite could not be carried out in full: nothing is forwarded.
    #[must_use]
    pub fn failed(mut self) -> Self {
        self.checks.push(Check::Refused(Fault::Host));
        self.verdict = Verdict::Reply(Reason::HostFailure, LocalReply::host_failure());
        self
    }

    /// `forward` or `reply`, as metrics and logs have it.
    pub fn verdict_name(&self) -> &'static str {
        match self.verdict {
            Verdict::Forward(_) => "forward",
            Verdict::Reply(..) => "reply",
        }
    }

    /// The code of the reason: [`Reason::code`], or `allowed`.
    pub fn reason_code(&self) -> &'static str {
        match self.verdict {
            Verdict::Forward(_) => "allowed",
            Verdict::Reply(reason, _) => reason.code(),
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
    /// The token is valid, until then if it ends.
    TokenValid(Option<UnixTime>),
    /// The provider is in the token's scope.
    InScope(&'a str),
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
            Self::CredentialFound(_) => Stage::Extract,
            Self::TokenValid(_) => Stage::Verify,
            Self::InScope(_) => Stage::Scope,
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
            Self::TokenValid(Some(at)) => write!(f, "the token is valid until {at}"),
            Self::TokenValid(None) => f.write_str("the token is valid and does not expire"),
            Self::InScope(provider) => write!(f, "the token is for `{provider}`"),
            Self::Rewritten(authority) => write!(f, "forwarded to `{authority}` with its own credential"),
            Self::Refused(fault) => fault.fmt(f),
        }
    }
}
