//! The closed list of signature algorithms that a policy can accept (RFC 7518 section 3.1, RFC 8037, RFC 9864).
//!
//! The list has neither `none` nor the symmetric algorithms. So no policy can allow them, and no public key can be
//! taken for the secret of an HMAC.

/// An algorithm as `alg` names it (RFC 7515 section 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 7] =
        [Self::Rs256, Self::Rs384, Self::Rs512, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];

    /// Returns the value of `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Every name with its algorithm. `Ed25519` takes the place of `EdDSA` (RFC 9864 section 2.2); both mean the same here.
    pub(crate) fn names() -> impl Iterator<Item = (&'static str, Self)> {
        Self::ALL.into_iter().map(|algorithm| (algorithm.name(), algorithm)).chain([("Ed25519", Self::EdDsa)])
    }

    /// Finds the algorithm of a name. Names are compared byte by byte: `rs256` is no algorithm.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::names().find(|(other, _)| *other == name).map(|(_, algorithm)| algorithm)
    }
}
