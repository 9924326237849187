//! A forge of tokens: tokens that an honest issuer would sign, and attacks.

use keyswap_core::identity::jwt::{ClaimsError, JwsError, JwtError, NoKey};
use serde_json::{Value, json};

use super::super::{base64url, with};

pub(crate) const ALGORITHM: JwtError<'static> = JwtError::Jws(JwsError::Algorithm);
pub(crate) const ENCODING: JwtError<'static> = JwtError::Jws(JwsError::Encoding);
pub(crate) const FORM: JwtError<'static> = JwtError::Jws(JwsError::Form);
pub(crate) const HEADER: JwtError<'static> = JwtError::Jws(JwsError::Header);
pub(crate) const TOO_LONG: JwtError<'static> = JwtError::Jws(JwsError::TooLong);
pub(crate) const KEY_ALGORITHM: JwtError<'static> = JwtError::Key(NoKey::Algorithm);
pub(crate) const UNKNOWN_KEY: JwtError<'static> = JwtError::Key(NoKey::Unknown);

/// The answer for a text that reads as several credentials.
pub(crate) const AMBIGUOUS: &str = "400 credential_ambiguous";
/// The answer for a header that exceeds Envoy's limit.
pub(crate) const TOO_LARGE: &str = "431";

/// A key pair of an issuer.
pub(crate) trait KeyPair {
    /// Returns the header of the key's tokens, with `alg` and `kid`.
    fn header(&self) -> Value;
    /// Returns the public key.
    fn jwk(&self) -> Value;
    /// Returns the signature over a text, for P-256 as `r || s`.
    fn signature(&self, text: &str) -> Vec<u8>;
}

/// A token that must be refused.
pub(crate) struct Attack {
    pub(crate) token: String,
    /// The expected error of the engine's verifier.
    pub(crate) fault: JwtError<'static>,
    /// The expected answer of Envoy. `None` for the reason of `fault`.
    pub(crate) answer: Option<&'static str>,
}

impl Attack {
    pub(crate) fn new(token: impl Into<String>, fault: JwtError<'static>) -> Self {
        Self { token: token.into(), fault, answer: None }
    }

    /// Sets the answer of Envoy, for a token that is refused before it is read as a JWT.
    pub(crate) fn answered(self, answer: &'static str) -> Self {
        Self { answer: Some(answer), ..self }
    }
}

/// A forge of attacks on an issuer that trusts one key and allows every algorithm.
pub(crate) struct Forge<'k> {
    pub(crate) key: &'k dyn KeyPair,
    /// The attacker's own P-256 key.
    pub(crate) stranger: &'k dyn KeyPair,
    /// Valid claims for five minutes from `now`, with `iss`, `aud` and `sub`.
    pub(crate) claims: Value,
    pub(crate) now: i64,
    /// A URL of the attacker.
    pub(crate) lure: String,
}

impl Forge<'_> {
    /// Returns the algorithm of the key.
    pub(crate) fn algorithm(&self) -> String {
        self.key.header()["alg"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn kid(&self) -> String {
        self.key.header()["kid"].as_str().unwrap_or_default().to_owned()
    }

    /// Returns the header and payload of a valid token, and its signature.
    pub(crate) fn signed(&self) -> (String, Vec<u8>) {
        let text = joined(&self.key.header().to_string(), self.claims.to_string());
        let signature = self.key.signature(&text);
        (text, signature)
    }

    /// Returns a valid token.
    pub(crate) fn good(&self) -> String {
        let (text, signature) = self.signed();
        ended(&text, signature)
    }

    /// Returns a signed token with exactly this header and payload.
    pub(crate) fn raw(&self, header: &str, payload: impl AsRef<[u8]>) -> String {
        let text = joined(header, payload);
        ended(&text, self.key.signature(&text))
    }

    /// Returns an attack with a changed header.
    pub(crate) fn header(&self, changes: &Value, fault: JwtError<'static>) -> Attack {
        let header = with(&self.key.header(), changes).to_string();
        Attack::new(self.raw(&header, self.claims.to_string()), fault)
    }

    /// Returns an attack with this payload.
    pub(crate) fn payload(&self, payload: impl AsRef<[u8]>, fault: ClaimsError<'static>) -> Attack {
        Attack::new(self.raw(&self.key.header().to_string(), payload), JwtError::Claims(fault))
    }

    /// Returns an attack with changed claims.
    pub(crate) fn changed(&self, changes: &Value, fault: ClaimsError<'static>) -> Attack {
        self.payload(with(&self.claims, changes).to_string(), fault)
    }

    /// Returns an attack with this header, signed with the attacker's key.
    pub(crate) fn strange(&self, header: &Value, fault: JwtError<'static>) -> Attack {
        let text = joined(&header.to_string(), self.claims.to_string());
        Attack::new(ended(&text, self.stranger.signature(&text)), fault)
    }

    /// Returns the JSON of the claims without one of them and without the closing brace.
    pub(crate) fn open_claims(&self, without: &str) -> String {
        let mut payload = with(&self.claims, &json!({without: null})).to_string();
        payload.truncate(payload.len() - 1);
        payload
    }
}

/// Joins a header and a payload to the signed text.
pub(crate) fn joined(header: &str, payload: impl AsRef<[u8]>) -> String {
    format!("{}.{}", base64url(header), base64url(payload))
}

pub(crate) fn ended(text: &str, signature: impl AsRef<[u8]>) -> String {
    format!("{text}.{}", base64url(signature))
}
