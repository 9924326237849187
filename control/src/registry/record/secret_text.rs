//! Text that is never shown by accident: raw tokens, passwords, the data planes' credential.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// A secret. It has no `Display` and no `Serialize`, its `Debug` hides it, and it is wiped when dropped.
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes the text in.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Mints a proxy token: 192 random bits behind a prefix that people and secret scanners recognise.
    pub(crate) fn mint() -> Result<Self, getrandom::Error> {
        let mut random = Zeroizing::new([0; 24]);
        getrandom::fill(&mut *random)?;
        Ok(Self::new(format!("ptk_{}", BASE64_URL_SAFE_NO_PAD.encode(*random))))
    }

    /// Makes 256 random bits as text: a password, the secret of a session.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut random = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *random)?;
        Ok(Self::new(BASE64_URL_SAFE_NO_PAD.encode(*random)))
    }

    /// Returns the text itself. The caller sees to it that it goes nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(hidden)")
    }
}
