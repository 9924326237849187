//! What refused a JWT. It holds nothing of the token's, so it can stand in a log as it is.

use std::fmt;

use super::claims::ClaimsFault;
use super::identity::IdentityFault;
use super::jwk_set::NoKey;
use super::jws::JwsFault;
use super::signature::VerifierUnavailable;
use crate::reason::Reason;

/// A check that a JWT did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwtFault<'p> {
    /// It is no JWS that could be verified.
    Jws(JwsFault),
    /// No issuer of the policy is its `iss`, or none that takes tokens from this slot.
    Issuer,
    /// The policy does not allow its `alg` for this issuer.
    Algorithm,
    /// It names no key, where this issuer always does.
    KeyUnnamed,
    /// No key of the issuer's is the one for it.
    Key(NoKey),
    /// The signature does not hold.
    Signature,
    /// Nobody could check the signature.
    Unavailable,
    /// A claim refuses it.
    Claims(ClaimsFault<'p>),
    /// It is valid, but names nobody.
    Identity(IdentityFault),
}

impl JwtFault<'_> {
    /// What the caller is told. Only a token that is right in everything else learns that it is expired.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Unavailable => Reason::HostFailure,
            Self::Claims(ClaimsFault::Expired) => Reason::TokenExpired,
            _ => Reason::TokenInvalid,
        }
    }

    /// Whether the issuer may have rotated its keys since the set was fetched.
    pub const fn may_pass_with_newer_keys(&self) -> bool {
        matches!(self, Self::Key(NoKey::Unknown))
    }
}

impl From<VerifierUnavailable> for JwtFault<'_> {
    fn from(VerifierUnavailable: VerifierUnavailable) -> Self {
        Self::Unavailable
    }
}

impl fmt::Display for JwtFault<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jws(fault) => fault.fmt(f),
            Self::Issuer => f.write_str("no issuer of the policy takes this token from this slot"),
            Self::Algorithm => f.write_str("the token's `alg` is not allowed for its issuer"),
            Self::KeyUnnamed => f.write_str("the token has no `kid`"),
            Self::Key(fault) => fault.fmt(f),
            Self::Signature => f.write_str("the token's signature does not hold"),
            Self::Unavailable => f.write_str("the token's signature could not be checked"),
            Self::Claims(fault) => fault.fmt(f),
            Self::Identity(fault) => fault.fmt(f),
        }
    }
}
