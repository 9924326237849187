//! A JWS in the form in which it is stored: one signature in the compact form, several in the general JSON form
//! (RFC 7515 sections 7.1 and 7.2.1).
//!
//! Each number of signatures has one form. The JSON has the members `payload` and `signatures`, each signature has
//! `protected` and `signature`. Other members, such as an unprotected `header`, and repeated ones are refused. Since the
//! payload stands there once, all signatures are for the same payload. Nothing is verified here.

use serde_json::{Map, Value, json};

use crate::syntax::json;

/// The most signatures of a JWS. Each costs a data plane one verification.
pub const MAX_SIGNATURES: usize = 8;

/// The nesting of the JSON form, in levels.
const LEVELS: u8 = 3;

/// A payload and its signatures, in base64url, not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwsSignatures {
    payload: String,
    signatures: Vec<Part>,
}

/// A protected header and the signature over that header and the payload, in base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    protected: String,
    signature: String,
}

impl JwsSignatures {
    /// Splits a text of at most `longest` bytes. Returns `None` for another form.
    pub fn parse(text: &[u8], longest: usize) -> Option<Self> {
        if text.len() > longest {
            return None;
        }
        if text.starts_with(b"{") {
            return Self::from_json(&json::parse_within(LEVELS, text).ok()?);
        }
        let mut parts = std::str::from_utf8(text).ok()?.split('.').map(str::to_owned);
        let (protected, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let signatures = vec![Part { protected, signature }];
        parts.next().is_none().then_some(Self { payload, signatures })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let [payload, signatures] = members(value, ["payload", "signatures"])?;
        let signatures = signatures.as_array()?;
        if !(2..=MAX_SIGNATURES).contains(&signatures.len()) {
            return None;
        }
        let part = |value| {
            let [protected, signature] = members(value, ["protected", "signature"])?;
            Some(Part { protected: text(protected)?, signature: text(signature)? })
        };
        Some(Self {
            payload: text(payload)?,
            signatures: signatures.iter().map(part).collect::<Option<_>>()?,
        })
    }

    /// Returns the payload, in base64url.
    pub fn payload(&self) -> &str {
        &self.payload
    }

    /// Returns one compact JWS for each signature.
    pub fn compact(&self) -> impl Iterator<Item = String> {
        self.signatures
            .iter()
            .map(|Part { protected, signature }| format!("{protected}.{}.{signature}", self.payload))
    }

    /// Adds the signatures of another JWS with the same payload. Returns `None` for another payload.
    #[must_use]
    pub(crate) fn with(mut self, other: &Self) -> Option<Self> {
        if self.payload != other.payload {
            return None;
        }
        self.signatures.extend_from_slice(&other.signatures);
        Some(self)
    }

    /// Keeps the signatures at these places.
    #[must_use]
    pub(super) fn only(mut self, places: &[usize]) -> Self {
        let mut place = 0;
        self.signatures.retain(|_| {
            let is_kept = places.contains(&place);
            place += 1;
            is_kept
        });
        self
    }

    /// Returns the text that [`Self::parse`] reads.
    pub fn to_text(&self) -> String {
        if let [Part { protected, signature }] = self.signatures.as_slice() {
            return format!("{protected}.{}.{signature}", self.payload);
        }
        let part =
            |Part { protected, signature }: &Part| json!({"protected": protected, "signature": signature});
        let signatures: Vec<Value> = self.signatures.iter().map(part).collect();
        json!({"payload": self.payload, "signatures": signatures}).to_string()
    }
}

/// Returns the members of an object that has exactly these.
fn members<'v>(value: &'v Value, names: [&str; 2]) -> Option<[&'v Value; 2]> {
    let object: &Map<String, Value> = value.as_object().filter(|object| object.len() == names.len())?;
    let [first, second] = names.map(|name| object.get(name));
    Some([first?, second?])
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
