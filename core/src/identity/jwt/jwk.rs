//! One JSON Web Key: a public key for signatures, checked when it is loaded (RFC 7517, RFC 7518 section 6, RFC 8037).
//!
//! A key is used only as its `use`, `key_ops` and `alg` allow. Without `alg` the type of the key decides. A key with the use
//! `jwt-svid` is for the tokens of a SPIFFE trust domain and for no others (SPIFFE Trust Domain and Bundle section 4.2). Refused are:
//! - symmetric keys, and keys published with their private part,
//! - RSA moduli under 2048 or over 4096 bits (no verifier here goes further), and public exponents other than 65537,
//! - points that are not on their curve.

use std::fmt;

use jwt_simple::algorithms::{Edwards25519PublicKey, P256PublicKey, P384PublicKey, RSAPublicKey};
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::kid::{InvalidKid, read_kid};
use crate::syntax::base64url;

/// A public key with its `kid` and the algorithms it is for.
#[derive(Clone, Debug)]
pub struct Jwk {
    kid: Option<String>,
    algorithm: Option<Algorithm>,
    /// Set for a key of a SPIFFE trust domain.
    is_of_domain: bool,
    /// The one issuer that signs with the key, where its set is of several and the key says so.
    issuer: Option<String>,
    key: PublicKey,
    spki: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(super) enum PublicKey {
    /// An RSA key, with the length of its modulus in bytes.
    Rsa {
        key: Box<RSAPublicKey>,
        bytes: usize,
    },
    P256(P256PublicKey),
    P384(P384PublicKey),
    Ed25519(Edwards25519PublicKey),
}

/// An error of a key, for which its set drops it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwkError {
    /// The key is not an object with a known `kty` and `crv`, or it is symmetric.
    Type,
    /// `kid` is not a string of a sane length on one line.
    KeyId,
    /// `use` or `key_ops` says that the key is not for verifying signatures.
    Use,
    /// `alg` is not accepted for this type of key.
    Algorithm,
    /// The private part is published with the key, so any caller could sign.
    Private,
    /// A member of the key is missing, or not canonical base64url.
    Encoding,
    /// The size or exponent of an RSA key is not accepted, or a point is not on its curve.
    Unsafe,
}

impl std::error::Error for JwkError {}

impl fmt::Display for JwkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Type => "not a public key of a type that is accepted: RSA, P-256, P-384 or Ed25519",
            Self::KeyId => "`kid` is not a string of 1 to 256 bytes on one line",
            Self::Use => "`use` or `key_ops` says that the key is not for verifying signatures",
            Self::Algorithm => "`alg` is not accepted for this type of key",
            Self::Private => "the private part of the key is published with it",
            Self::Encoding => "a member of the key is missing or not canonical base64url",
            Self::Unsafe => {
                "an RSA key must have 2048 to 4096 bits and the exponent 65537, another key must be a point on its curve"
            }
        })
    }
}

/// Equal keys are the same key for the same `kid` and algorithm.
impl PartialEq for Jwk {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
            && self.kid == other.kid
            && self.algorithm == other.algorithm
            && self.is_of_domain == other.is_of_domain
            && self.issuer == other.issuer
    }
}

impl Eq for Jwk {}

impl Jwk {
    /// Reads one member of `keys`.
    pub(super) fn from_value(value: &Value) -> Result<Self, JwkError> {
        let members = value.as_object().ok_or(JwkError::Type)?;
        let is_of_domain = read_use(members)?;
        if ["d", "p", "q", "k"].iter().any(|name| members.contains_key(*name)) {
            return Err(if text(members, "kty") == Some("oct") { JwkError::Type } else { JwkError::Private });
        }
        let (key, spki) = read_key(members)?;
        let algorithm = match members.get("alg") {
            None => None,
            Some(name) => Some(name.as_str().and_then(Algorithm::from_name).ok_or(JwkError::Algorithm)?),
        };
        let kid = read_kid(members).map_err(|InvalidKid| JwkError::KeyId)?;
        match algorithm {
            Some(algorithm) if !key.can(algorithm) => Err(JwkError::Algorithm),
            _ => Ok(Self { kid, algorithm, is_of_domain, issuer: only_issuer(members), key, spki }),
        }
    }

    /// Returns the key's name within its set.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Returns whether the key is of a SPIFFE trust domain.
    pub(crate) fn is_of_domain(&self) -> bool {
        self.is_of_domain
    }

    /// Returns the one issuer that signs with the key; `None` where the key does not say so.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Returns whether the key may sign for a tenant. One that names another issuer signs for that issuer only, so that the key for
    /// personal accounts at Microsoft makes no token of a company's directory.
    pub(super) fn may_sign_for(&self, tenant: &str) -> bool {
        self.issuer.as_ref().is_none_or(|issuer| issuer.split('/').any(|part| part == tenant))
    }

    /// Returns whether signatures of this algorithm may be checked with the key.
    pub fn is_for(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|own| own == algorithm) && self.key.can(algorithm)
    }

    pub(super) fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Returns the key as a DER `SubjectPublicKeyInfo` (RFC 5280 section 4.1).
    pub(crate) fn spki(&self) -> &[u8] {
        &self.spki
    }
}

impl PublicKey {
    fn can(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{EdDsa, Es256, Es384, Ps256, Rs256, Rs384, Rs512};
        match self {
            Self::Rsa { .. } => matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256),
            Self::P256(_) => algorithm == Es256,
            Self::P384(_) => algorithm == Es384,
            Self::Ed25519(_) => algorithm == EdDsa,
        }
    }
}

/// Reads the purpose of the key, and returns whether it is that of a SPIFFE trust domain.
fn read_use(members: &Map<String, Value>) -> Result<bool, JwkError> {
    let of_domain = members.get("use").is_some_and(|value| value == "jwt-svid");
    let signs = of_domain || members.get("use").is_none_or(|value| value == "sig");
    let verifies = members.get("key_ops").is_none_or(|value| {
        value.as_array().is_some_and(|operations| operations.iter().any(|operation| operation == "verify"))
    });
    if signs && verifies { Ok(of_domain) } else { Err(JwkError::Use) }
}

/// Reads the member `issuer` of Microsoft's keys. A template there stands for every tenant.
fn only_issuer(members: &Map<String, Value>) -> Option<String> {
    text(members, "issuer").filter(|issuer| !issuer.contains('{')).map(str::to_owned)
}

fn read_key(members: &Map<String, Value>) -> Result<(PublicKey, Vec<u8>), JwkError> {
    let member = |name| text(members, name).and_then(base64url::decode).ok_or(JwkError::Encoding);
    match (text(members, "kty"), text(members, "crv")) {
        (Some("RSA"), _) => read_rsa(&member("n")?, &member("e")?),
        (Some("EC"), Some("P-256")) => {
            let key = P256PublicKey::from_bytes(&point::<32>(&member("x")?, &member("y")?)?);
            with_spki(key, P256PublicKey::to_der, PublicKey::P256)
        }
        (Some("EC"), Some("P-384")) => {
            let key = P384PublicKey::from_bytes(&point::<48>(&member("x")?, &member("y")?)?);
            with_spki(key, P384PublicKey::to_der, PublicKey::P384)
        }
        (Some("OKP"), Some("Ed25519")) => {
            let key = Edwards25519PublicKey::from_bytes(&member("x")?);
            with_spki(key, |key| Ok(key.to_der()), PublicKey::Ed25519)
        }
        _ => Err(JwkError::Type),
    }
}

fn read_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(PublicKey, Vec<u8>), JwkError> {
    let key = RSAPublicKey::from_components(modulus, exponent);
    let bytes = modulus.iter().skip_while(|byte| **byte == 0).count();
    with_spki(key, RSAPublicKey::to_der, |key| PublicKey::Rsa { key: Box::new(key), bytes })
}

/// Returns a point in the uncompressed form (SEC 1 section 2.3.3). Coordinates have their full length (RFC 7518 section
/// 6.2.1.2).
fn point<const LENGTH: usize>(x: &[u8], y: &[u8]) -> Result<Vec<u8>, JwkError> {
    let fits = x.len() == LENGTH && y.len() == LENGTH;
    fits.then(|| [&[4], x, y].concat()).ok_or(JwkError::Unsafe)
}

type Checked<T> = Result<T, jwt_simple::Error>;

fn with_spki<K>(
    key: Checked<K>,
    to_der: impl FnOnce(&K) -> Checked<Vec<u8>>,
    wrap: impl FnOnce(K) -> PublicKey,
) -> Result<(PublicKey, Vec<u8>), JwkError> {
    let key = key.map_err(|_| JwkError::Unsafe)?;
    let spki = to_der(&key).map_err(|_| JwkError::Unsafe)?;
    Ok((wrap(key), spki))
}

fn text<'v>(members: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
    members.get(name).and_then(Value::as_str)
}
