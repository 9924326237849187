//! The answer of an endpoint that mints: the caller gets it with a token of ours in place of each secret.
//!
//! The answer is read whole, as strict JSON, and written anew, so that nothing goes out that was not read. An answer of
//! another form than the provider's API documents is withheld: it may hold a secret at a place that is not known.

use std::fmt;
use std::rc::Rc;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::bound::Upstream;
use super::broker::{Broker, audience};
use crate::answer::LocalReply;
use crate::base::{Digest, UnixTime};
use crate::provider::{Expiry, Mint, MintedSecret};
use crate::secret::Secret;
use crate::syntax::json;

/// The longest answer that is brokered, in bytes. A session with all its tools is far shorter.
pub(crate) const MAX_MINTED_BYTES: usize = 64 * 1024;
/// The deepest nesting of an answer, in levels: a session holds the JSON schemas of its tools.
const MAX_DEPTH: u8 = 64;

/// A request that mints, whose answer is still to come.
pub(crate) struct Minting {
    broker: Rc<Broker>,
    /// The form of the answer.
    mint: &'static Mint,
    /// The provider that the credential is for, and its upstream.
    audience: String,
    /// The token whose caller gets the credential.
    parent: Digest,
}

/// The reason why an answer is withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MintFault {
    /// The answer is longer than is read.
    TooLong,
    /// The answer is not one document of strict JSON. A compressed answer is none.
    NotJson,
    /// No usable secret stands where the API has it.
    NoSecret,
    /// The answer does not tell the secret's expiry, or the secret has expired.
    NoExpiry,
    /// The secret stands at another place, too.
    Elsewhere,
    /// The answer has trailers, or broke off.
    Incomplete,
}

impl fmt::Display for MintFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "it is too long",
            Self::NotJson => "it is not strict JSON",
            Self::NoSecret => "it has no usable secret at the place of the provider's API",
            Self::NoExpiry => "it does not say when the secret expires, or the secret has expired",
            Self::Elsewhere => "it has the secret at another place, too",
            Self::Incomplete => "it has trailers, or broke off",
        })
    }
}

impl Minting {
    /// Makes the request of the caller with this token, to this upstream.
    pub(crate) fn new(broker: &Rc<Broker>, mint: &'static Mint, upstream: &Upstream, parent: Digest) -> Self {
        Self { broker: Rc::clone(broker), mint, audience: audience(upstream), parent }
    }

    /// Returns the body that the caller gets in place of an answer's.
    ///
    /// # Errors
    /// The reason why nothing of the answer may go out. An answer that reports an error is no such case: of it the member
    /// `error` goes out, unless the answer has a secret.
    pub(crate) fn replace(&self, status: u16, body: &[u8], now: UnixTime) -> Result<String, MintFault> {
        let document = match body.len() {
            0..=MAX_MINTED_BYTES => json::parse_within(MAX_DEPTH, body).map_err(|_| MintFault::NotJson),
            _ => Err(MintFault::TooLong),
        };
        if matches!(status, 400..=599) {
            return Ok(self.error(document.ok()).unwrap_or_else(|| LocalReply::not_brokered(status).body));
        }
        self.brokered(document?, now)
    }

    /// Returns the error of an answer; `None` where the answer has none, or a secret.
    fn error(&self, document: Option<Value>) -> Option<String> {
        let document = document?;
        let has_secret = self.mint.secrets.iter().any(|place| document.pointer(place.value).is_some());
        let error = document.get("error").filter(|_| !has_secret)?;
        Some(json!({"error": error}).to_string())
    }

    fn brokered(&self, mut document: Value, now: UnixTime) -> Result<String, MintFault> {
        let mut secrets = Vec::new();
        for (index, place) in self.mint.secrets.iter().enumerate() {
            let secret = match document.pointer(place.value) {
                Some(Value::String(text)) => Zeroizing::new(text.clone()),
                None | Some(Value::Null) if index > 0 => continue,
                _ => return Err(MintFault::NoSecret),
            };
            if Secret::new(secret.as_bytes().to_vec()).is_err() {
                return Err(MintFault::NoSecret);
            }
            let expiry = place.expiry(&document, now)?;
            let sealed = self.broker.seal(&self.audience, self.parent, &secret, expiry, now);
            let (token, expires_at) = sealed.ok_or(MintFault::NoSecret)?;
            place.write(&mut document, token, expires_at, now);
            secrets.push(secret);
        }
        let holds_one = |text: &str| secrets.iter().any(|secret| text.contains(secret.as_str()));
        if has_text(&document, &holds_one) {
            return Err(MintFault::Elsewhere);
        }
        Ok(document.to_string())
    }
}

impl MintedSecret {
    /// Returns the expiry of the secret; `None` where the API does not tell.
    fn expiry(&self, document: &Value, now: UnixTime) -> Result<Option<UnixTime>, MintFault> {
        let at = match self.expiry {
            Expiry::At(pointer) => document.pointer(pointer).and_then(Value::as_i64),
            Expiry::In(pointer) => {
                document.pointer(pointer).and_then(seconds).map(|it| now.0.saturating_add(it))
            }
            Expiry::Untold => return Ok(None),
        };
        at.map(UnixTime).filter(|at| *at > now).map(Some).ok_or(MintFault::NoExpiry)
    }

    /// Writes a token in place of the secret, and when the token expires.
    fn write(&self, document: &mut Value, token: String, expires_at: UnixTime, now: UnixTime) {
        let mut put = |pointer, value| {
            if let Some(place) = document.pointer_mut(pointer) {
                *place = value;
            }
        };
        put(self.value, token.into());
        match self.expiry {
            Expiry::At(pointer) => put(pointer, expires_at.0.into()),
            Expiry::In(pointer) => put(pointer, expires_at.0.saturating_sub(now.0).into()),
            Expiry::Untold => {}
        }
    }
}

/// Returns a span in whole seconds; a fraction is cut off.
fn seconds(value: &Value) -> Option<i64> {
    // Far more than any secret lives, and exact as a float.
    const MAX_SECONDS: f64 = 1e9;
    #[allow(clippy::cast_possible_truncation, reason = "the range was checked")]
    value.as_f64().filter(|it| (0.0..=MAX_SECONDS).contains(it)).map(|it| it as i64)
}

/// Returns whether a text of the document, or the name of a member, has a property.
fn has_text(value: &Value, is_it: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is_it(text),
        Value::Array(items) => items.iter().any(|item| has_text(item, is_it)),
        Value::Object(members) => members.iter().any(|(name, member)| is_it(name) || has_text(member, is_it)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl fmt::Debug for Minting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minting").field("audience", &self.audience).finish_non_exhaustive()
    }
}
