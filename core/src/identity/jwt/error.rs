//! Errors of JWTs. An error holds nothing of the token, so that it can stand in a log as it is.

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
    /// The token is not a JWS that could be verified.
    Jws(JwsError),
    /// No issuer of the policy has the token's `iss` and takes tokens from this slot.
    Issuer,
    /// The policy does not allow the token's `alg` for this issuer.
    Algorithm,
    /// The token has no `kid`, and this issuer's tokens always have one.
    KeyUnnamed,
    /// No key of the issuer fits the token.
    Key(NoKey),
    /// The signature does not hold.
    Signature,
    /// The verifier could not check the signature.
    Unavailable,
    /// A claim does not hold.
    Claims(ClaimsError<'p>),
    /// The token is valid, but names no subject that the policy accepts.
    Identity(IdentityError),
}

impl JwtError<'_> {
    /// Returns whether the issuer may have rotated its keys since the set was fetched.
    pub const fn may_pass_with_newer_keys(&self) -> bool {
        matches!(self, Self::Key(NoKey::Unknown | NoKey::Unproven))
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
