//! The checks that lead to a decision, as data.

use std::fmt;

use crate::answer::{CheckError, Stage};
use crate::base::UnixTime;
use crate::identity::Class;
use crate::provider::{BindingKind, RoutedBy};
use crate::request::{IdentitySlot, Slot};
use crate::services::RecordSource;

/// A check and its finding. `Display` writes it in words that hold no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check<'a> {
    /// The request target can be read in one way only.
    PathAccepted,
    /// The provider was found.
    Routed {
        /// The provider's name.
        provider: &'a str,
        /// The part of the request that told it.
        by: RoutedBy,
    },
    /// A credential was found.
    CredentialFound(Slot),
    /// The connection has a client certificate of an authority that the policy names.
    CertificateFound,
    /// An identity JWT was found in a place of its own.
    IdentityFound(&'a IdentitySlot),
    /// The identity JWT of this issuer holds.
    IdentityVerified(&'a str),
    /// A rule of the issuer does not fit the JWT.
    RuleMissed {
        /// The place of the rule, from 0.
        rule: usize,
        /// The first claim that has none of the values.
        claim: &'a str,
    },
    /// This rule of the issuer, from 0, gives the caller its rights.
    RuleFits(usize),
    /// The record of the token or the person was found.
    LookedUp(RecordSource),
    /// The token is valid, up to this time where it expires.
    TokenValid(Option<UnixTime>),
    /// The token is a brokered one, valid up to this time.
    SealOpened(UnixTime),
    /// The endpoint mints, and its answer is brokered.
    Brokered,
    /// The endpoint is in the token's scope.
    InScope {
        /// The provider's name.
        provider: &'a str,
        /// The class of the endpoint.
        class: Class,
    },
    /// The caller is bound: the credential that follows is its own.
    Bound {
        /// The part of the caller's record that the binding is by.
        kind: BindingKind,
        /// The name there: a team, an address, the id or the SHA-256 of a token.
        name: &'a str,
    },
    /// The upstream credential of this name is there.
    HasCredential(&'a str),
    /// The host writes the upstream credential.
    HostHasCredential,
    /// The token had a request left.
    WithinLimit {
        /// The number of requests that are left now.
        remaining: u32,
    },
    /// The request could not be counted, which the policy allows.
    Uncounted,
    /// The request is forwarded to this authority.
    Rewritten(&'a str),
    /// The check failed: the last one of a refusal.
    Refused(CheckError<'a>),
}

impl Check<'_> {
    /// Returns the stage of the check.
    pub const fn stage(&self) -> Stage {
        match self {
            Self::PathAccepted | Self::Routed { .. } => Stage::Route,
            Self::CredentialFound(_) | Self::IdentityFound(_) | Self::CertificateFound => Stage::Extract,
            Self::IdentityVerified(_)
            | Self::RuleMissed { .. }
            | Self::RuleFits(_)
            | Self::SealOpened(_)
            | Self::LookedUp(_)
            | Self::TokenValid(_) => Stage::Verify,
            Self::InScope { .. } | Self::Brokered => Stage::Scope,
            Self::Bound { .. } | Self::HasCredential(_) | Self::HostHasCredential => Stage::Credential,
            Self::WithinLimit { .. } | Self::Uncounted => Stage::RateLimit,
            Self::Rewritten(_) => Stage::Rewrite,
            Self::Refused(fault) => fault.stage(),
        }
    }

    /// Returns the class of the endpoint, where the check tells it.
    pub const fn class(&self) -> Option<Class> {
        match self {
            Self::InScope { class, .. }
            | Self::Refused(CheckError::ClassClosed(class) | CheckError::ClassOutOfScope(class)) => {
                Some(*class)
            }
            _ => None,
        }
    }

    /// Returns whether the check let the request go on.
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
            Self::CertificateFound => f.write_str("the connection has a client certificate"),
            Self::IdentityFound(slot) => write!(f, "`{slot}` holds a credential"),
            Self::IdentityVerified(issuer) => write!(f, "the issuer `{issuer}` vouches for the caller"),
            Self::RuleMissed { rule, claim } => {
                write!(f, "`rules[{rule}]` does not fit: the claim `{claim}` has none of its values")
            }
            Self::RuleFits(rule) => write!(f, "`rules[{rule}]` fits"),
            Self::SealOpened(at) => {
                write!(f, "the brokered token is valid until {at}, and no longer than its parent")
            }
            Self::Brokered => f.write_str(
                "the answer is brokered: the caller gets a token of Keyswap's in place of the credential",
            ),
            Self::LookedUp(from) => write!(f, "the record is from the {}", from.name()),
            Self::TokenValid(Some(at)) => write!(f, "the token is valid until {at}"),
            Self::TokenValid(None) => f.write_str("the token is valid and does not expire"),
            Self::InScope { provider, class } => {
                write!(f, "the token is for `{provider}`, and for endpoints of the class `{class}`")
            }
            Self::Bound { kind, name } => write!(f, "the {kind} `{name}` has a credential of its own"),
            Self::HasCredential(name) => write!(f, "the credential `{name}` is there"),
            Self::HostHasCredential => f.write_str("the host writes the credential"),
            Self::WithinLimit { remaining } => write!(f, "the token has {remaining} more requests for now"),
            Self::Uncounted => f.write_str("the request could not be counted, which the policy allows"),
            Self::Rewritten(authority) => write!(f, "forwarded to `{authority}` with its own credential"),
            Self::Refused(fault) => fault.fmt(f),
        }
    }
}
