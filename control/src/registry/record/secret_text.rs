//! Text that must not be shown: raw tokens, passwords, the data planes' credential.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// The first characters of each API key.
pub(crate) const API_KEY: &str = "kak_";

/// A secret. The type has no `Display` and no `Serialize`, its `Debug` hides the text, and the text is wiped on drop.
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Wraps a text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Generates a proxy token: 192 random bits after a prefix that secret scanners recognise.
    pub(crate) fn mint() -> Result<Self, getrandom::Error> {
        let mut random = Zeroizing::new([0; 24]);
        getrandom::fill(&mut *random)?;
        Ok(Self::new(format!("ptk_{}", BASE64_URL_SAFE_NO_PAD.encode(*random))))
    }

    /// Generates a credential of the data-plane API: 256 random bits after a prefix that secret scanners recognise.
    pub(crate) fn mint_credential() -> Result<Self, getrandom::Error> {
        Self::random().map(|random| Self::new(format!("krc_{}", random.expose())))
    }

    /// Generates an API key: 256 random bits after a prefix that secret scanners recognise.
    pub(crate) fn mint_api_key() -> Result<Self, getrandom::Error> {
        Self::random().map(|random| Self::new(format!("{API_KEY}{}", random.expose())))
    }

    /// Generates 256 random bits as text, for a password or the secret of a session.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut random = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *random)?;
        Ok(Self::new(BASE64_URL_SAFE_NO_PAD.encode(*random)))
    }

    /// Returns the text. The caller must not log or store it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(hidden)")
    }
}
