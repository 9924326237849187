//! A JWT that nobody has verified yet: what it takes to choose who will.

use super::base64url;
use super::claims::{Claims, ClaimsError, VerifiedClaims};
use super::error::JwtError;
use super::jwk::Jwk;
use super::jws::{MAX_TOKEN_BYTES, UnverifiedJws};
use super::signature::SignatureVerifier;
use crate::base::UnixTime;

/// Returns whether a credential is a JWT by its shape: two dots or more, and at the start the base64url form of a JSON
/// object's beginning. It is then judged as a JWT and as nothing else. A proxy token has no dots.
pub fn is_jwt_shaped(credential: &[u8]) -> bool {
    credential.starts_with(b"eyJ") && credential.iter().filter(|byte| **byte == b'.').nth(1).is_some()
}

/// When a token says that it expires, where it is a JWT. It is ours to send, not to believe: whoever gets it judges it, so
/// neither its signature nor its algorithm matters here.
pub(crate) fn expiry_of(token: &[u8]) -> Option<UnixTime> {
    let mut parts = token.split(|byte| *byte == b'.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if token.len() > MAX_TOKEN_BYTES || parts.next().is_some() {
        return None;
    }
    let claims = Claims::parse(&base64url::decode(payload)?)?;
    let seconds = claims.get("exp")?.as_f64().filter(|seconds| *seconds >= 0.0)?;
    #[expect(clippy::cast_possible_truncation, reason = "what is too large becomes the latest time there is")]
    Some(UnixTime(seconds as i64))
}

/// A well-formed JWT. Its claims are reachable through [`UnverifiedJwt::verify`] only.
pub struct UnverifiedJwt<'a> {
    jws: UnverifiedJws<'a>,
    claims: Claims,
}

impl<'a> UnverifiedJwt<'a> {
    /// Reads a token.
    pub fn parse(token: &'a [u8]) -> Result<Self, JwtError<'static>> {
        let jws = UnverifiedJws::parse(token).map_err(JwtError::Jws)?;
        let claims = Claims::parse(jws.unverified_payload()).ok_or(JwtError::Claims(ClaimsError::Form))?;
        Ok(Self { jws, claims })
    }

    /// The signature's side of it.
    pub fn jws(&self) -> &UnverifiedJws<'a> {
        &self.jws
    }

    /// Returns the claims that the token makes, for choosing the issuer that judges it.
    pub(super) fn unverified_claims(&self) -> &Claims {
        &self.claims
    }

    /// Checks the signature.
    pub fn verify(
        self,
        key: &Jwk,
        verifier: &dyn SignatureVerifier,
    ) -> Result<VerifiedClaims, JwtError<'static>> {
        match self.jws.signature_holds(key, verifier) {
            Ok(true) => Ok(VerifiedClaims(self.claims)),
            Ok(false) => Err(JwtError::Signature),
            Err(unavailable) => Err(unavailable.into()),
        }
    }
}
