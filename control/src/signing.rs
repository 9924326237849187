//! Keys that sign: Ed25519, or ECDSA with P-256 (RFC 7518, RFC 8037). The key of policies is a file of the operator that
//! publishes, and no server has it. The key of records is the registry's own.

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// The largest file of a key. A key in PEM has a few hundred bytes.
pub const MAX_KEY_BYTES: usize = 16 * 1024;

/// A private key.
pub enum SigningKey {
    /// A key for Ed25519.
    Ed25519(Ed25519KeyPair),
    /// A key for ECDSA with P-256.
    Es256(EcdsaKeyPair),
}

/// A public key in the form that data planes read (RFC 7517).
#[derive(Serialize)]
pub struct Jwk {
    #[serde(flatten)]
    point: Point,
    kid: String,
    alg: &'static str,
    r#use: &'static str,
}

/// The required members of a JWK, from which the thumbprint is computed (RFC 7638).
#[derive(Serialize)]
struct Point {
    crv: &'static str,
    kty: &'static str,
    x: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

/// The algorithm of a new key.
#[derive(Clone, Copy, Default, clap::ValueEnum)]
pub enum Algorithm {
    /// Ed25519
    #[default]
    Ed25519,
    /// ECDSA with P-256 and SHA-256
    Es256,
}

impl Algorithm {
    /// Generates a private key in PKCS#8, in PEM.
    pub fn generate(self) -> anyhow::Result<Zeroizing<String>> {
        let random = SystemRandom::new();
        let document = match self {
            Self::Ed25519 => Ed25519KeyPair::generate_pkcs8(&random),
            Self::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random),
        };
        let document = document.map_err(|_| anyhow!("the system's random number generator failed"))?;
        Ok(to_pem(document.as_ref()))
    }
}

impl SigningKey {
    /// Reads a private key in PKCS#8, in PEM.
    pub fn read(pem: &[u8]) -> anyhow::Result<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| {
            anyhow!("expected a private key in PKCS#8, in PEM: `-----BEGIN PRIVATE KEY-----`")
        })?;
        let der = der.secret_pkcs8_der();
        // A key from OpenSSL lacks the public key, which the checked variant requires.
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self::Ed25519(pair));
        }
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new())
            .map(Self::Es256)
            .map_err(|_| anyhow!("expected a key for Ed25519 or for ECDSA with P-256"))
    }

    /// Returns the public key. Its `kid` is the thumbprint (RFC 7638).
    pub fn public(&self) -> Jwk {
        let (point, alg) = match self {
            Self::Ed25519(pair) => {
                let x = BASE64URL.encode(pair.public_key().as_ref());
                (Point { crv: "Ed25519", kty: "OKP", x, y: None }, "EdDSA")
            }
            Self::Es256(pair) => {
                // An uncompressed point (SEC 1, 2.3.3): 4, then both coordinates.
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                let [x, y] = [x, y].map(|part| BASE64URL.encode(part));
                (Point { crv: "P-256", kty: "EC", x, y: Some(y) }, "ES256")
            }
        };
        let kid = point.thumbprint();
        Jwk { point, kid, alg, r#use: "sig" }
    }

    /// Returns a payload as a compact JWS of this type (RFC 7515).
    pub fn sign(&self, typ: &str, payload: &Value) -> anyhow::Result<String> {
        let Jwk { alg, kid, .. } = self.public();
        let header = json!({"alg": alg, "kid": kid, "typ": typ});
        let [header, payload] = [&header, payload].map(|part| BASE64URL.encode(part.to_string()));
        let text = format!("{header}.{payload}");
        let signature = match self {
            Self::Ed25519(pair) => pair.sign(text.as_bytes()).as_ref().to_vec(),
            Self::Es256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), text.as_bytes());
                signature.ok().context("the system's random number generator failed")?.as_ref().to_vec()
            }
        };
        Ok(format!("{text}.{}", BASE64URL.encode(signature)))
    }
}

impl Point {
    /// Returns the thumbprint of RFC 7638. It hashes the members in alphabetical order, which is their order of
    /// declaration.
    fn thumbprint(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        BASE64URL.encode(digest(&SHA256, text.as_bytes()))
    }
}

/// Encodes a private key as PEM (RFC 7468).
fn to_pem(der: &[u8]) -> Zeroizing<String> {
    let text = Zeroizing::new(base64::prelude::BASE64_STANDARD.encode(der));
    let mut pem = Zeroizing::new("-----BEGIN PRIVATE KEY-----\n".to_owned());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}
