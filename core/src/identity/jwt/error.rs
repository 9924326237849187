//! The check that refused a JWT. An error holds nothing of the token's, so it can stand in a log as it is.

use std::fmt;

use super::claims::ClaimsError;
use super::identity::IdentityError;
use super::jwk_set::NoKey;
use super::jws::JwsError;
use super::signature::VerifierUnavailable;

/// A check that a JWT did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwtError<'p> {
    /// It is no JWS that could be verified.
    Jws(JwsError),
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
    Claims(ClaimsError<'p>),
    /// It is valid, but names nobody.
    Identity(IdentityError),
}

impl JwtError<'_> {
    /// Returns whether the issuer may have rotated its keys since the set was fetched.
    pub const fn may_pass_with_newer_keys(&self) -> bool {
        matches!(self, Self::Key(NoKey::Unknown))
    }
}

impl From<VerifierUnavailable> for JwtError<'_> {
    fn from(VerifierUnavailable: VerifierUnavailable) -> Self {
        Self::Unavailable
    }
}

impl std::error::Error for JwtError<'_> {}

impl fmt::Display for JwtError<'_> {
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
