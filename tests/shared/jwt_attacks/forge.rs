//! An attacker's means: all that an honest issuer would sign, and much that it would not.

use keyswap_core::identity::jwt::{ClaimsError, JwsError, JwtError, NoKey};
use serde_json::{Value, json};

use crate::{base64url, with};

pub(crate) const ALGORITHM: JwtError<'static> = JwtError::Jws(JwsError::Algorithm);
pub(crate) const ENCODING: JwtError<'static> = JwtError::Jws(JwsError::Encoding);
pub(crate) const FORM: JwtError<'static> = JwtError::Jws(JwsError::Form);
pub(crate) const HEADER: JwtError<'static> = JwtError::Jws(JwsError::Header);
pub(crate) const TOO_LONG: JwtError<'static> = JwtError::Jws(JwsError::TooLong);
pub(crate) const KEY_ALGORITHM: JwtError<'static> = JwtError::Key(NoKey::Algorithm);
pub(crate) const UNKNOWN_KEY: JwtError<'static> = JwtError::Key(NoKey::Unknown);

/// More than one credential, by the characters in it.
pub(crate) const AMBIGUOUS: &str = "400 credential_ambiguous";
/// More than Envoy takes in a header.
pub(crate) const TOO_LARGE: &str = "431";

/// A key pair of an issuer.
pub(crate) trait KeyPair {
    /// The header of its tokens, with `alg` and `kid`.
    fn header(&self) -> Value;
    /// Its public half.
    fn jwk(&self) -> Value;
    /// The signature over any text; of P-256 `r || s`.
    fn signature(&self, text: &str) -> Vec<u8>;
}

/// A token that must be refused.
pub(crate) struct Attack {
    pub(crate) token: String,
    /// The fault that the engine's verifier finds.
    pub(crate) fault: JwtError<'static>,
    /// The answer of Envoy where it is not the reason of `fault`.
    pub(crate) answer: Option<&'static str>,
}

impl Attack {
    pub(crate) fn new(token: impl Into<String>, fault: JwtError<'static>) -> Self {
        Self { token: token.into(), fault, answer: None }
    }

    /// One that Envoy answers before it comes to be a JWT.
    pub(crate) fn answered(self, answer: &'static str) -> Self {
        Self { answer: Some(answer), ..self }
    }
}

/// Makes attacks on an issuer that trusts a key, and allows every algorithm.
pub(crate) struct Forge<'k> {
    pub(crate) key: &'k dyn KeyPair,
    /// A P-256 pair of the attacker's own.
    pub(crate) stranger: &'k dyn KeyPair,
    /// Claims that are good for five minutes from `now`, with `iss`, `aud` and `sub`.
    pub(crate) claims: Value,
    pub(crate) now: i64,
    /// An address of the attacker's.
    pub(crate) lure: String,
}

impl Forge<'_> {
    /// The algorithm of the key.
    pub(crate) fn algorithm(&self) -> String {
        self.key.header()["alg"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn kid(&self) -> String {
        self.key.header()["kid"].as_str().unwrap_or_default().to_owned()
    }

    /// Header and payload of a good token, and its signature.
    pub(crate) fn signed(&self) -> (String, Vec<u8>) {
        let text = joined(&self.key.header().to_string(), self.claims.to_string());
        let signature = self.key.signature(&text);
        (text, signature)
    }

    /// A token that is good.
    pub(crate) fn good(&self) -> String {
        let (text, signature) = self.signed();
        ended(&text, signature)
    }

    /// A token of this very header and payload, signed.
    pub(crate) fn raw(&self, header: &str, payload: impl AsRef<[u8]>) -> String {
        let text = joined(header, payload);
        ended(&text, self.key.signature(&text))
    }

    /// A token whose header is changed so.
    pub(crate) fn header(&self, changes: &Value, fault: JwtError<'static>) -> Attack {
        let header = with(&self.key.header(), changes).to_string();
        Attack::new(self.raw(&header, self.claims.to_string()), fault)
    }

    /// A token whose payload is this.
    pub(crate) fn payload(&self, payload: impl AsRef<[u8]>, fault: ClaimsError<'static>) -> Attack {
        Attack::new(self.raw(&self.key.header().to_string(), payload), JwtError::Claims(fault))
    }

    /// A token whose claims are changed so.
    pub(crate) fn changed(&self, changes: &Value, fault: ClaimsError<'static>) -> Attack {
        self.payload(with(&self.claims, changes).to_string(), fault)
    }

    /// A token of the attacker's own key with this header.
    pub(crate) fn strange(&self, header: &Value, fault: JwtError<'static>) -> Attack {
        let text = joined(&header.to_string(), self.claims.to_string());
        Attack::new(ended(&text, self.stranger.signature(&text)), fault)
    }

    /// The claims without one, up to the brace that closes them.
    pub(crate) fn open_claims(&self, without: &str) -> String {
        let mut payload = with(&self.claims, &json!({without: null})).to_string();
        payload.truncate(payload.len() - 1);
        payload
    }
}

/// Joins a header and a payload to the text that is signed.
pub(crate) fn joined(header: &str, payload: impl AsRef<[u8]>) -> String {
    format!("{}.{}", base64url(header), base64url(payload))
}

pub(crate) fn ended(text: &str, signature: impl AsRef<[u8]>) -> String {
    format!("{text}.{}", base64url(signature))
}
