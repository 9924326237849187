//! A key that stands for the keys of issuers: made anew in each run, known to nobody else.

use anyhow::anyhow;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keyswap_core::base::UnixTime;
use keyswap_core::identity::jwt::{ClaimValue, Issuer};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Map, Value, json};

const KEY_ID: &str = "stand-in";
/// How it signs: issuers that it stands for are taken to do so, too.
pub(super) const ALGORITHM: &str = "ES256";
/// Long enough for a case, short enough for every rule.
const LIFETIME: i64 = 300;

/// The key.
pub(super) struct StandInKey(EcdsaKeyPair);

impl StandInKey {
    pub(super) fn new() -> anyhow::Result<Self> {
        let failed = |_| anyhow!("the system has no randomness for a key");
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(failed)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random);
        pair.map(Self).map_err(|error| anyhow!("an odd key was made: {error}"))
    }

    /// Its public half, as a key set.
    pub(super) fn key_set(&self) -> Value {
        // An uncompressed point: 4, x, y.
        let point = self.0.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = point.split_at_checked(32).unwrap_or_default();
        let coordinates = [x, y].map(|it| BASE64_URL_SAFE_NO_PAD.encode(it));
        let [x, y] = coordinates;
        json!({"keys": [
            {"kty": "EC", "crv": "P-256", "use": "sig", "alg": ALGORITHM, "kid": KEY_ID, "x": x, "y": y},
        ]})
    }

    /// A JWT of an issuer: with claims that hold, and the case's own in their place.
    pub(super) fn sign(
        &self,
        issuer: &Issuer,
        own: &Map<String, Value>,
        now: UnixTime,
    ) -> anyhow::Result<String> {
        let mut claims = holding(issuer, now);
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
        let signature = signature.map_err(|_| anyhow!("the system has no randomness for a signature"))?;
        Ok(format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Claims of the issuer's tokens that the policy accepts, as far as it says so itself.
fn holding(issuer: &Issuer, now: UnixTime) -> Map<String, Value> {
    let required = issuer.required_claims().iter().filter_map(|(name, values)| {
        let value = match values.first()? {
            ClaimValue::Text(text) => json!(text),
            ClaimValue::Flag(flag) => json!(flag),
        };
        Some((name.clone(), value))
    });
    let mut claims: Map<String, Value> = required.collect();
    let standard = [
        ("iss", json!(issuer.url())),
        ("aud", json!(issuer.audiences().first())),
        ("sub", json!("stand-in")),
        ("iat", json!(now.0)),
        ("nbf", json!(now.0)),
        ("exp", json!(now.0.saturating_add(LIFETIME))),
    ];
    claims.extend(standard.map(|(name, value)| (name.to_owned(), value)));
    claims
}
