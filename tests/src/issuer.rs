//! An identity provider for tests, which publishes keys and signs any token.
//!
//! Each test process generates its keys, so the repository contains no private key.

use std::{
    sync::{Arc, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, anyhow};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jwt_simple::algorithms::RSAKeyPair;
use ring::{
    error::Unspecified,
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaEncoding,
        RsaKeyPair,
    },
};
use serde_json::{Value, json};

use crate::scripted::{Call, Script, Scripted};

/// The largest number of RSA keys of a process. Generating one takes long.
const RSA_KEYS: usize = 3;
const RSA_BITS: usize = 2048;

/// A key pair with a `kid`.
#[derive(Clone, Debug)]
pub struct SigningKey {
    kid: String,
    pair: Pair,
}

#[derive(Clone, Debug)]
enum Pair {
    Rsa(&'static RsaKeyPair),
    P256(Arc<EcdsaKeyPair>),
}

impl SigningKey {
    /// Returns an RSA key with 2048 bits, for RS256. In a process the same number, from 0 to 2, is the same key.
    pub fn rsa(number: usize, kid: &str) -> Result<Self> {
        static PAIRS: [OnceLock<RsaKeyPair>; RSA_KEYS] = [const { OnceLock::new() }; RSA_KEYS];
        let slot = PAIRS.get(number).context("there are three RSA keys")?;
        let pair = if let Some(pair) = slot.get() {
            pair
        } else {
            let der = RSAKeyPair::generate(RSA_BITS).and_then(|pair| pair.to_der());
            let der = der.map_err(|error| anyhow!("no RSA key: {error}"))?;
            let pair = RsaKeyPair::from_pkcs8(&der).map_err(|error| anyhow!("an odd RSA key: {error}"))?;
            slot.get_or_init(|| pair)
        };
        Ok(Self { kid: kid.to_owned(), pair: Pair::Rsa(pair) })
    }

    /// Generates a P-256 key, for ES256.
    pub fn p256(kid: &str) -> Result<Self> {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(ring_failed)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random);
        let pair = pair.map_err(|error| anyhow!("an odd P-256 key: {error}"))?;
        Ok(Self { kid: kid.to_owned(), pair: Pair::P256(Arc::new(pair)) })
    }

    /// Returns the same key under another name.
    #[must_use]
    pub fn renamed(&self, kid: &str) -> Self {
        Self { kid: kid.to_owned(), pair: self.pair.clone() }
    }

    /// Returns the public key as a JWK.
    pub fn jwk(&self) -> Value {
        let kid = &self.kid;
        match &self.pair {
            Pair::Rsa(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": base64url(n), "e": base64url(e)})
            }
            Pair::P256(pair) => {
                // An uncompressed point: 4, x, y.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({
                    "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
                    "x": base64url(x), "y": base64url(y),
                })
            }
        }
    }

    /// Returns the header of the key's tokens.
    pub fn header(&self) -> Value {
        let algorithm = if matches!(self.pair, Pair::Rsa(_)) { "RS256" } else { "ES256" };
        json!({"alg": algorithm, "kid": self.kid, "typ": "JWT"})
    }

    /// Returns a token with these claims.
    pub fn sign(&self, claims: &Value) -> Result<String> {
        self.sign_raw(&self.header().to_string(), claims.to_string())
    }

    /// Returns a token with exactly this header and payload.
    pub fn sign_raw(&self, header: &str, payload: impl AsRef<[u8]>) -> Result<String> {
        let text = format!("{}.{}", base64url(header), base64url(payload));
        Ok(format!("{text}.{}", base64url(self.signature(&text)?)))
    }

    /// Returns the signature over a text, for P-256 as `r || s`.
    pub fn signature(&self, text: &str) -> Result<Vec<u8>> {
        self.signature_in(&RSA_PKCS1_SHA256, text)
    }

    /// Returns the signature over a text. An RSA key uses this encoding.
    pub fn signature_in(&self, encoding: &'static dyn RsaEncoding, text: &str) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &random, text.as_bytes(), &mut signature).map_err(ring_failed)?;
                Ok(signature)
            }
            Pair::P256(pair) => {
                Ok(pair.sign(&random, text.as_bytes()).map_err(ring_failed)?.as_ref().to_vec())
            }
        }
    }
}

/// A running identity provider in plain HTTP. It ends on drop.
///
/// `/.well-known/openid-configuration` answers the discovery document of its issuer, any other path its key set.
pub struct Issuer {
    url: String,
    server: Scripted,
}

impl Issuer {
    /// Starts the issuer `url` with these keys.
    pub fn start(url: &str, keys: &[&SigningKey]) -> Result<Self> {
        let server = Scripted::start(Self::honest(url, Self::key_set(keys)))?;
        Ok(Self { url: url.to_owned(), server })
    }

    /// Publishes these keys from now on, and ends other scripted answers.
    pub fn publish(&self, keys: &[&SigningKey]) {
        self.publish_raw(Self::key_set(keys));
    }

    /// Publishes a document that need not be a key set.
    pub fn publish_raw(&self, document: impl Into<Vec<u8>>) {
        self.server.now(Self::honest(&self.url, document.into()));
    }

    /// Returns the host of the issuer's URL.
    pub fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }

    /// Returns the server, for scripted answers and counts.
    pub fn server(&self) -> &Scripted {
        &self.server
    }

    /// Returns the number of requests for the key set.
    pub fn fetches(&self) -> usize {
        self.server.calls().iter().filter(|call| !is_discovery(call)).count()
    }

    /// Returns a JWK Set with these keys.
    pub fn key_set(keys: &[&SigningKey]) -> Vec<u8> {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        json!({"keys": keys}).to_string().into_bytes()
    }

    fn honest(url: &str, key_set: Vec<u8>) -> impl Fn(&Call) -> Script + Send + Sync + 'static {
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/jwks")}).to_string();
        move |call| {
            Script::answer(200, if is_discovery(call) { discovery.clone().into() } else { key_set.clone() })
        }
    }
}

fn is_discovery(call: &Call) -> bool {
    call.target.ends_with("/.well-known/openid-configuration")
}

/// Returns the claims of `base` with changes. Null removes a claim.
pub fn with(base: &Value, changes: &Value) -> Value {
    let mut claims = base.clone();
    for (name, value) in changes.as_object().into_iter().flatten() {
        match (value, claims.as_object_mut()) {
            (Value::Null, Some(members)) => _ = members.remove(name),
            _ => claims[name] = value.clone(),
        }
    }
    claims
}

/// Returns the seconds since 1970.
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

/// Converts an error of ring, which has no details and does not implement `Error`.
fn ring_failed(_: Unspecified) -> anyhow::Error {
    anyhow!("ring failed")
}

/// Encodes bytes as base64url without padding.
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_hold_under_their_published_keys_by_another_library() -> Result<()> {
        use jwt_simple::algorithms::{
            ECDSAP256PublicKeyLike as _, ES256PublicKey, RS256PublicKey, RSAPublicKeyLike as _,
        };
        use jwt_simple::prelude::NoCustomClaims;
        let claims = json!({"sub": "u1", "exp": unix_now() + 60});
        let rsa = SigningKey::rsa(0, "r")?;
        let key = RS256PublicKey::from_jwk(&rsa.jwk().to_string()).map_err(|error| anyhow!("{error}"))?;
        let verified = key.verify_token::<NoCustomClaims>(&rsa.sign(&claims)?, None);
        assert_eq!(verified.map_err(|error| anyhow!("{error}"))?.subject.as_deref(), Some("u1"));
        let p256 = SigningKey::p256("p")?;
        let key = ES256PublicKey::from_jwk(&p256.jwk().to_string()).map_err(|error| anyhow!("{error}"))?;
        let verified = key.verify_token::<NoCustomClaims>(&p256.sign(&claims)?, None);
        assert_eq!(verified.map_err(|error| anyhow!("{error}"))?.subject.as_deref(), Some("u1"));
        Ok(())
    }
}
