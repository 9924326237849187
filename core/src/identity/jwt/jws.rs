//! JSON Web Signatures in the compact form (RFC 7515 section 7.1), split and read, not yet verified.
//!
//! Only one form is read: three non-empty parts of canonical base64url, and a header of strict JSON. Encryption (five
//! parts), JSON serialization, `crit`, `b64` and `zip` are refused.
//!
//! Keys that the token itself brings (`jwk`, `jku`, `x5u`, `x5c`) are never looked at. The payload of a token is handed
//! out by [`super::UnverifiedJwt::verify`] only, for a signature that holds.

use std::fmt;

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::jwk::Jwk;
use super::kid::{InvalidKid, read_kid};
use super::signature::{SignatureCheck, SignatureVerifier, VerifierUnavailable};
use crate::syntax::{base64url, json};

/// The longest token that is read unless a policy says otherwise, in bytes. A longer one is refused unread.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// The longest token that a policy may accept, in bytes.
pub(crate) const LONGEST_TOKEN_BYTES: usize = 16 * 1024;

/// The deepest nesting of a token's JSON, in levels.
pub(super) const MAX_DEPTH: u8 = 16;

/// An error of bytes that are not a JWS that could be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwsError {
    /// More bytes than a token may have.
    TooLong,
    /// Not three non-empty parts between two dots.
    Form,
    /// A part is not canonical base64url.
    Encoding,
    /// The header is not one strict JSON object.
    Header,
    /// `alg` is missing, or not an accepted algorithm.
    Algorithm,
    /// `kid` is not a string of a sane length on one line.
    KeyId,
    /// `typ` says that this is no JWT.
    Type,
    /// `crit`, `b64` or `zip`: the token asks to be read in another way.
    Extension,
}

impl std::error::Error for JwsError {}

impl fmt::Display for JwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the token is longer than the policy allows",
            Self::Form => "the token is not three non-empty parts",
            Self::Encoding => "a part of the token is not canonical base64url",
            Self::Header => "the token's header is not one strict JSON object",
            Self::Algorithm => "the token's `alg` is not an accepted algorithm",
            Self::KeyId => "the token's `kid` is not a string of 1 to 256 bytes on one line",
            Self::Type => "the token's `typ` is not that of a JWT",
            Self::Extension => "the token's header has `crit`, `b64` or `zip`",
        })
    }
}

/// A well-formed JWS whose signature is not verified. The type has no `Debug`, because a JWS is the caller's secret.
pub struct UnverifiedJws<'a> {
    header: Header,
    length: usize,
    signing_input: &'a [u8],
    payload: Vec<u8>,
    signature: Vec<u8>,
}

struct Header {
    algorithm: Algorithm,
    kid: Option<String>,
}

impl<'a> UnverifiedJws<'a> {
    /// Splits and reads a token.
    ///
    /// # Errors
    /// [`JwsError`] for the first fault of its form or header.
    pub fn parse(token: &'a [u8]) -> Result<Self, JwsError> {
        Self::parse_within(token, MAX_TOKEN_BYTES)
    }

    /// Splits and reads a token of at most `longest` bytes.
    pub(super) fn parse_within(token: &'a [u8], longest: usize) -> Result<Self, JwsError> {
        Self::parse_if(token, longest, is_type_of_a_jwt)
    }

    /// Splits and reads a JWS of exactly this type that is no token, of at most `longest` bytes.
    pub(crate) fn parse_of_type(text: &'a [u8], typ: &str, longest: usize) -> Result<Self, JwsError> {
        Self::parse_if(text, longest, |header| header.get("typ").and_then(Value::as_str) == Some(typ))
    }

    fn parse_if(
        token: &'a [u8],
        longest: usize,
        is_type: impl Fn(&Map<String, Value>) -> bool,
    ) -> Result<Self, JwsError> {
        if token.len() > longest {
            return Err(JwsError::TooLong);
        }
        let (signing_input, signature) = split_last(token).ok_or(JwsError::Form)?;
        let (header, payload) = split_last(signing_input).ok_or(JwsError::Form)?;
        if header.contains(&b'.') || [header, payload, signature].iter().any(|part| part.is_empty()) {
            return Err(JwsError::Form);
        }
        let decode = |part| base64url::decode(part).ok_or(JwsError::Encoding);
        let header = Header::parse(&decode(header)?, is_type)?;
        let (payload, signature) = (decode(payload)?, decode(signature)?);
        Ok(Self { header, length: token.len(), signing_input, payload, signature })
    }

    /// Returns the algorithm that the token claims.
    pub fn algorithm(&self) -> Algorithm {
        self.header.algorithm
    }

    /// Returns the `kid` of the key that the token claims to be signed with.
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Returns whether the signature holds under a key of the issuer.
    ///
    /// # Errors
    /// [`VerifierUnavailable`] where the verifier cannot check it.
    pub fn signature_holds(
        &self,
        key: &Jwk,
        verifier: &dyn SignatureVerifier,
    ) -> Result<bool, VerifierUnavailable> {
        SignatureCheck::new(self.header.algorithm, key, self.signing_input, &self.signature)
            .map_or(Ok(false), |check| verifier.verify(&check))
    }

    /// Returns the length of the token, in bytes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Returns the payload, whether or not its signature holds.
    pub(crate) fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// Returns the payload as bytes of its own, whether or not its signature holds.
    pub(crate) fn into_unverified_payload(self) -> Vec<u8> {
        self.payload
    }
}

impl Header {
    fn parse(text: &[u8], is_type: impl Fn(&Map<String, Value>) -> bool) -> Result<Self, JwsError> {
        let Ok(Value::Object(members)) = json::parse_within(MAX_DEPTH, text) else {
            return Err(JwsError::Header);
        };
        if ["crit", "b64", "zip"].iter().any(|name| members.contains_key(*name)) {
            return Err(JwsError::Extension);
        }
        if !is_type(&members) {
            return Err(JwsError::Type);
        }
        let algorithm = members.get("alg").and_then(Value::as_str).and_then(Algorithm::from_name);
        Ok(Self {
            algorithm: algorithm.ok_or(JwsError::Algorithm)?,
            kid: read_kid(&members).map_err(|InvalidKid| JwsError::KeyId)?,
        })
    }
}

/// Returns whether `typ` is absent, a JWT's (RFC 7519 section 5.1, RFC 9068 section 2.1), or that of any JWS in this form (RFC 7515
/// section 4.1.9), as in JWT-SVIDs. Other types are tokens for another purpose (RFC 8725 section 3.11).
fn is_type_of_a_jwt(header: &Map<String, Value>) -> bool {
    match header.get("typ") {
        None => true,
        Some(Value::String(text)) => {
            let text = text.to_ascii_lowercase();
            matches!(text.strip_prefix("application/").unwrap_or(&text), "jwt" | "at+jwt" | "jose")
        }
        Some(_) => false,
    }
}

/// Splits a text into the parts before and after its last dot.
fn split_last(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().rposition(|byte| *byte == b'.')?;
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, rest.split_first()?.1))
}
