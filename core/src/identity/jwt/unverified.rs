//! A JWT that is not verified yet: as much as the choice of its issuer needs.

use super::claims::{Claims, ClaimsError, VerifiedClaims};
use super::error::JwtError;
use super::jwk::Jwk;
use super::jws::{LONGEST_TOKEN_BYTES, MAX_TOKEN_BYTES, UnverifiedJws};
use super::signature::SignatureVerifier;
use crate::base::UnixTime;
use crate::syntax::base64url;

/// Returns whether a credential is a JWT by its shape: two dots or more, and the base64url form of `{"` at the start.
///
/// Such a credential is judged as a JWT and as nothing else. A proxy token has no dots.
pub fn is_jwt_shaped(credential: &[u8]) -> bool {
    begins_as_jwt(credential) && credential.iter().filter(|byte| **byte == b'.').nth(1).is_some()
}

/// Returns whether a credential begins as a JWT does. One that was verified has the rest of the shape, too.
pub(crate) fn begins_as_jwt(credential: &[u8]) -> bool {
    credential.starts_with(b"eyJ")
}

/// Returns the `exp` of a token that goes upstream; `None` where the token is no JWT.
///
/// Neither signature nor algorithm matters here, because the upstream judges the token.
pub(crate) fn expiry_of(token: &[u8]) -> Option<UnixTime> {
    let claims = claims_of(token)?;
    let seconds = claims.get("exp")?.as_f64().filter(|seconds| *seconds >= 0.0)?;
    #[expect(clippy::cast_possible_truncation, reason = "what is too large becomes the latest time there is")]
    Some(UnixTime(seconds as i64))
}

/// Returns a claim that is a text, by its name or its JSON pointer, of a token that was verified.
pub(crate) fn text_of(verified: &[u8], name: &str) -> Option<String> {
    claims_of(verified)?.get(name)?.as_str().map(str::to_owned)
}

fn claims_of(token: &[u8]) -> Option<Claims> {
    let mut parts = token.split(|byte| *byte == b'.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if token.len() > LONGEST_TOKEN_BYTES || parts.next().is_some() {
        return None;
    }
    Claims::parse(&base64url::decode(payload)?)
}

/// A well-formed JWT. Its claims are reachable through [`UnverifiedJwt::verify`] only.
pub struct UnverifiedJwt<'a> {
    jws: UnverifiedJws<'a>,
    claims: Claims,
}

impl<'a> UnverifiedJwt<'a> {
    /// Reads a token.
    ///
    /// # Errors
    /// [`JwtError`] for the first fault of its form, header or payload.
    pub fn parse(token: &'a [u8]) -> Result<Self, JwtError<'static>> {
        Self::parse_within(token, MAX_TOKEN_BYTES)
    }

    /// Reads a token of at most `longest` bytes.
    ///
    /// # Errors
    /// As those of [`UnverifiedJwt::parse`].
    pub fn parse_within(token: &'a [u8], longest: usize) -> Result<Self, JwtError<'static>> {
        let jws = UnverifiedJws::parse_within(token, longest).map_err(JwtError::Jws)?;
        let claims = Claims::parse(jws.unverified_payload()).ok_or(JwtError::Claims(ClaimsError::Form))?;
        Ok(Self { jws, claims })
    }

    /// Returns the JWS that carries the claims.
    pub fn jws(&self) -> &UnverifiedJws<'a> {
        &self.jws
    }

    /// Returns the claims that the token makes, for choosing the issuer that judges it.
    pub(super) fn unverified_claims(&self) -> &Claims {
        &self.claims
    }

    /// Verifies the signature, and hands out the claims.
    ///
    /// # Errors
    /// [`JwtError::Signature`] where the signature does not hold, [`JwtError::Unavailable`] where it could not be
    /// checked.
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
