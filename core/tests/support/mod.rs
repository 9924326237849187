//! Issuers that sign whatever a test asks for, and policies that trust them.

#![allow(dead_code, reason = "each test file takes what it needs")]

pub(crate) mod exchange;
pub(crate) mod plane;
pub(crate) mod worker;

use jwt_simple::algorithms::{ECDSAP256KeyPairLike as _, ES256KeyPair};
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Encoder as _};
use keyswap_core::base::UnixTime;
use keyswap_core::identity::jwt::{
    Issuer, JwkSet, JwtError, KeySource, PureRust, SignatureVerifier, UnverifiedJwt, VerifiedIdentity,
};
use keyswap_core::policy::Policy;
use keyswap_core::request::IdentitySlot;
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};

/// The time at which the tests take place: 2027-01-15T08:00:00Z.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn b64u(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}

/// A P-256 key pair with a `kid`.
pub(crate) struct Signer {
    key: ES256KeyPair,
    pub(crate) kid: &'static str,
}

impl Signer {
    /// Returns the same pair for the same seed.
    pub(crate) fn new(seed: u8, kid: &'static str) -> Self {
        Self { key: ES256KeyPair::from_bytes(&[seed; 32]).unwrap(), kid }
    }

    pub(crate) fn jwk(&self) -> Value {
        let point = self.key.key_pair().public_key().to_bytes_uncompressed();
        json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "x": b64u(&point[1..33]), "y": b64u(&point[33..])})
    }

    /// Returns `r || s` over any text.
    pub(crate) fn signature(&self, text: &str) -> Vec<u8> {
        let signature: p256::ecdsa::Signature = self.key.key_pair().as_ref().sign(text.as_bytes());
        signature.to_bytes().to_vec()
    }

    /// Returns a token of this very header and payload, signed.
    pub(crate) fn sign_raw(&self, header: &str, payload: impl AsRef<[u8]>) -> String {
        let text = format!("{}.{}", b64u(header), b64u(payload));
        format!("{text}.{}", b64u(self.signature(&text)))
    }

    /// Returns a token of these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_raw(&self.header().to_string(), claims.to_string())
    }

    pub(crate) fn header(&self) -> Value {
        json!({"alg": "ES256", "kid": self.kid})
    }
}

/// Returns a policy with these issuers.
pub(crate) fn policy(issuers: &Value) -> Policy {
    let document = json!({
        "version": "keyswap/v1",
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "issuers": issuers,
        "principals": [{"email": "somebody@example.com", "providers": ["openai"]}],
    });
    Policy::from_json(document.to_string().as_bytes()).unwrap()
}

/// Returns a generic issuer with these keys in the policy.
pub(crate) fn oidc(keys: &Value) -> Value {
    json!({
        "name": "id", "preset": "oidc", "issuer": "https://id.example", "audiences": ["keyswap", "other"],
        "jwks": {"inline": {"keys": keys}},
    })
}

/// Returns an issuer with this preset and this key, which lets all subjects in.
pub(crate) fn of_preset(preset: &str, signer: &Signer, more: &Value) -> Value {
    let purpose = if preset == "spiffe" { "jwt-svid" } else { "sig" };
    let key = with(&signer.jwk(), &json!({"use": purpose}));
    let entry = json!({
        "name": "it", "preset": preset, "audiences": ["keyswap"], "algorithms": ["ES256"],
        "jwks": {"inline": {"keys": [key]}}, "principals": "any", "providers": ["openai"],
    });
    with(&entry, more)
}

/// Returns an application behind Cloudflare Access.
pub(crate) fn access() -> Value {
    json!({
        "name": "access", "preset": "cloudflare_access", "issuer": "https://acme.cloudflareaccess.com",
        "audiences": ["4714c1358e65"],
    })
}

/// Returns the production deployments of a project of Vercel's, as an issuer.
pub(crate) fn vercel() -> Value {
    json!({
        "name": "vercel", "preset": "vercel_oidc", "issuer": "https://oidc.vercel.com/acme",
        "audiences": ["https://vercel.com/acme"],
        "claims": {"project_id": ["prj_123"], "environment": ["production"]},
    })
}

/// Returns claims that `oidc` accepts at `NOW`.
pub(crate) fn claims() -> Value {
    json!({
        "iss": "https://id.example", "aud": "keyswap", "sub": "u1", "email": "alice@example.com",
        "email_verified": true, "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 300,
    })
}

/// Returns the claims of `base` with some replaced; null removes one.
pub(crate) fn with(base: &Value, changes: &Value) -> Value {
    let mut claims = base.clone();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => _ = claims.as_object_mut().unwrap().remove(name),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

/// Goes through the whole chain, with the keys that stand in the policy.
pub(crate) fn verify_in<'p>(
    policy: &'p Policy,
    token: &str,
    slot: Option<&IdentitySlot>,
    verifier: &dyn SignatureVerifier,
    now: i64,
) -> Result<VerifiedIdentity, JwtError<'p>> {
    let jwt = UnverifiedJwt::parse_within(token.as_bytes(), Issuer::longest(policy.issuers()))?;
    let issuer = Issuer::find(policy.issuers(), &jwt, slot)?;
    let KeySource::Inline(keys) = issuer.keys() else { panic!("the keys are inline") };
    issuer.verify(jwt, keys, verifier, UnixTime(now))
}

pub(crate) fn verify<'p>(policy: &'p Policy, token: &str) -> Result<VerifiedIdentity, JwtError<'p>> {
    verify_in(policy, token, None, &PureRust, NOW)
}

/// Goes through the chain for one issuer whose keys were fetched.
pub(crate) fn verify_with_keys<'p>(
    policy: &'p Policy,
    token: &str,
    keys: &Value,
) -> Result<VerifiedIdentity, JwtError<'p>> {
    let jwt = UnverifiedJwt::parse(token.as_bytes())?;
    let issuer = Issuer::find(policy.issuers(), &jwt, None)?;
    let keys = JwkSet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap();
    issuer.verify(jwt, &keys, &PureRust, UnixTime(NOW))
}

/// Returns the errors of a policy with this issuer; an empty text where there is none.
pub(crate) fn errors(entry: &Value) -> String {
    let document = json!({
        "version": "keyswap/v1", "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]}, "issuers": [entry],
        "principals": [{"email": "somebody@example.com", "providers": ["openai"]}],
    });
    Policy::from_json(document.to_string().as_bytes())
        .map_or_else(|errors| errors.to_string(), |_| String::new())
}
