//! A JWT that nobody has verified yet: what it takes to choose who will.

use super::claims::{Claims, ClaimsFault, VerifiedClaims};
use super::fault::JwtFault;
use super::jwk::Jwk;
use super::jws::UnverifiedJws;
use super::signature::SignatureVerifier;

/// Whether a credential is a JWT by its shape: two dots or more, behind what a JSON object looks like in base64url. It is
/// then judged as a JWT and as nothing else. A proxy token has no dots.
pub fn is_jwt_shaped(credential: &[u8]) -> bool {
    credential.starts_with(b"eyJ") && credential.iter().filter(|byte| **byte == b'.').nth(1).is_some()
}

/// A well-formed JWT. Its claims are reachable through [`UnverifiedJwt::verify`] only.
pub struct UnverifiedJwt<'a> {
    jws: UnverifiedJws<'a>,
    claims: Claims,
}

impl<'a> UnverifiedJwt<'a> {
    /// Reads a token.
    pub fn parse(token: &'a [u8]) -> Result<Self, JwtFault<'static>> {
        let jws = UnverifiedJws::parse(token).map_err(JwtFault::Jws)?;
        let claims = Claims::parse(jws.unverified_payload()).ok_or(JwtFault::Claims(ClaimsFault::Form))?;
        Ok(Self { jws, claims })
    }

    /// The signature's side of it.
    pub fn jws(&self) -> &UnverifiedJws<'a> {
        &self.jws
    }

    /// What the token says of itself; for choosing the issuer that judges it.
    pub(super) fn unverified_claims(&self) -> &Claims {
        &self.claims
    }

    /// Checks the signature.
    pub fn verify(
        self,
        key: &Jwk,
        verifier: &dyn SignatureVerifier,
    ) -> Result<VerifiedClaims, JwtFault<'static>> {
        match self.jws.signature_holds(key, verifier) {
            Ok(true) => Ok(VerifiedClaims(self.claims)),
            Ok(false) => Err(JwtFault::Signature),
            Err(unavailable) => Err(unavailable.into()),
        }
    }
}
