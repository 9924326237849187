//! A generated key that replaces the keys of issuers. The key is made anew in each run and leaves the process in no
//! form.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keyswap_core::base::UnixTime;
use keyswap_core::identity::jwt::{ClaimValue, Issuer};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Map, Value, json};

const KEY_ID: &str = "stand-in";
/// The algorithm of the key, and of the issuers whose keys it replaces.
pub(super) const ALGORITHM: &str = "ES256";
/// Long enough for a case, short enough for every rule.
const LIFETIME_SECONDS: i64 = 300;

/// The key.
pub(super) struct StandInKey(EcdsaKeyPair);

/// A key could not be made or used.
#[derive(Debug)]
pub(super) enum StandInKeyError {
    /// The system has no randomness for this.
    NoRandomness(&'static str),
    /// The key that was made cannot be read, for this reason.
    Unreadable(String),
}

impl fmt::Display for StandInKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRandomness(purpose) => write!(f, "the system has no randomness for a {purpose}"),
            Self::Unreadable(reason) => write!(f, "an odd key was made: {reason}"),
        }
    }
}

impl std::error::Error for StandInKeyError {}

impl StandInKey {
    pub(super) fn new() -> Result<Self, StandInKeyError> {
        let failed = |_| StandInKeyError::NoRandomness("key");
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(failed)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random);
        pair.map(Self).map_err(|error| StandInKeyError::Unreadable(error.to_string()))
    }

    /// Returns the public half, as a key set of the issuer.
    pub(super) fn key_set(&self, issuer: &Issuer) -> Value {
        let purpose = if issuer.is_trust_domain() { "jwt-svid" } else { "sig" };
        // An uncompressed point: 4, x, y.
        let point = self.0.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = point.split_at_checked(32).unwrap_or_default();
        let coordinates = [x, y].map(|it| BASE64_URL_SAFE_NO_PAD.encode(it));
        let [x, y] = coordinates;
        json!({"keys": [
            {"kty": "EC", "crv": "P-256", "use": purpose, "alg": ALGORITHM, "kid": KEY_ID, "x": x, "y": y},
        ]})
    }

    /// Signs a JWT of an issuer, with claims that the policy accepts but for those that the case gives itself.
    pub(super) fn sign(
        &self,
        issuer: &Issuer,
        own: &Map<String, Value>,
        now: UnixTime,
    ) -> Result<String, StandInKeyError> {
        let mut claims = accepted(issuer, now);
        for (name, value) in own {
            match value {
                Value::Null => _ = claims.remove(name),
                value => _ = claims.insert(name.clone(), value.clone()),
            }
        }
        let header = json!({"alg": ALGORITHM, "kid": KEY_ID, "typ": "JWT"});
        let [header, claims] =
            [header, Value::Object(claims)].map(|it| BASE64_URL_SAFE_NO_PAD.encode(it.to_string()));
        let text = format!("{header}.{claims}");
        let signature = self.0.sign(&SystemRandom::new(), text.as_bytes());
        let signature = signature.map_err(|_| StandInKeyError::NoRandomness("signature"))?;
        Ok(format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Adds a claim by its name; one within others by its JSON pointer.
fn insert(claims: &mut Map<String, Value>, name: &str, value: Value) {
    let Some(pointer) = name.strip_prefix('/') else {
        claims.insert(name.to_owned(), value);
        return;
    };
    let (first, rest) = pointer.split_once('/').unwrap_or((pointer, ""));
    let first = first.replace("~1", "/").replace("~0", "~");
    if rest.is_empty() {
        claims.insert(first, value);
    } else if let Value::Object(inner) = claims.entry(first).or_insert_with(|| json!({})) {
        insert(inner, &format!("/{rest}"), value);
    }
}

/// Returns claims that the policy accepts, as far as the policy itself names them.
fn accepted(issuer: &Issuer, now: UnixTime) -> Map<String, Value> {
    let mut claims = Map::new();
    for (name, values) in issuer.required_claims() {
        let value = match values.first() {
            Some(ClaimValue::Text(text) | ClaimValue::Glob(text)) => json!(text),
            Some(ClaimValue::Flag(flag)) => json!(flag),
            None => continue,
        };
        insert(&mut claims, name, value);
    }
    insert(&mut claims, issuer.audience_claim(), json!(issuer.audiences().first()));
    if let Some(name) = issuer.names().first() {
        insert(&mut claims, "iss", json!(name));
    }
    let subject =
        if issuer.is_trust_domain() { format!("{}/stand-in", issuer.url()) } else { "stand-in".to_owned() };
    let standard = [
        ("sub", json!(subject)),
        ("email_verified", json!(true)),
        ("iat", json!(now.0)),
        ("nbf", json!(now.0)),
        ("exp", json!(now.0.saturating_add(LIFETIME_SECONDS))),
    ];
    claims.extend(standard.map(|(name, value)| (name.to_owned(), value)));
    claims
}
