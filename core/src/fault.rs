//! What exactly was wrong with a request: finer than a [`Reason`], for the log and `policy explain`.
//!
//! A caller is told the reason only, so that it cannot learn whether a token exists; operators see the fault.

use std::fmt;

use crate::decision::Stage;
use crate::path::PathFault;
use crate::reason::Reason;
use crate::slot::Slot;
use crate::time::UnixTime;

/// A check that failed. `Display` says it in words that hold no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault<'a> {
    /// The host had no request head to show: Envoy hands over none of more than 1024 headers or 1 MiB.
    HeadUnreadable,
    /// CONNECT would open a tunnel, TRACE would echo the upstream credential.
    Method,
    /// The request target can be read in more than one way.
    Path(PathFault),
    /// A slot holds several credentials.
    CredentialAmbiguous(Slot),
    /// No slot holds one.
    CredentialMissing,
    /// No token has this digest.
    TokenUnknown,
    /// The token was taken back.
    TokenDisabled,
    /// The token was valid until this time.
    TokenExpired(UnixTime),
    /// The provider is not in the token's scope, or the policy does not enable it.
    OutOfScope(&'a str),
}

impl Fault<'_> {
    /// What the caller is told.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::HeadUnreadable => Reason::HeadUnreadable,
            Self::Method => Reason::MethodNotAllowed,
            Self::Path(_) => Reason::PathInvalid,
            Self::CredentialAmbiguous(_) => Reason::CredentialAmbiguous,
            Self::CredentialMissing => Reason::CredentialMissing,
            Self::TokenUnknown | Self::TokenDisabled => Reason::TokenInvalid,
            Self::TokenExpired(_) => Reason::TokenExpired,
            Self::OutOfScope(_) => Reason::ProviderNotAllowed,
        }
    }

    pub(crate) const fn stage(&self) -> Stage {
        match self {
            Self::HeadUnreadable | Self::Method | Self::Path(_) => Stage::Route,
            Self::CredentialAmbiguous(_) | Self::CredentialMissing => Stage::Extract,
            Self::TokenUnknown | Self::TokenDisabled | Self::TokenExpired(_) => Stage::Verify,
            Self::OutOfScope(_) => Stage::Scope,
        }
    }
}

impl fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeadUnreadable => {
                f.write_str("the request has too many headers, or too large ones, to be judged")
            }
            Self::Method => f.write_str("the method is CONNECT or TRACE"),
            Self::Path(fault) => fault.fmt(f),
            Self::CredentialAmbiguous(slot) => write!(f, "the slot `{slot}` holds more than one credential"),
            Self::CredentialMissing => f.write_str("no auth slot holds a credential"),
            Self::TokenUnknown => f.write_str("no token has this digest"),
            Self::TokenDisabled => f.write_str("the token is disabled"),
            Self::TokenExpired(at) => write!(f, "the token expired at {at}"),
            Self::OutOfScope(provider) => write!(f, "the token is not for `{provider}`"),
        }
    }
}
