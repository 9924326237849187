//! One sign-in, from the browser's way to the provider until it comes back.
//!
//! The browser keeps one secret in a cookie. State, nonce and verifier are digests of the secret: so what comes back is of the
//! browser that began, and the server keeps nothing of those that never come back.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keyswap_core::base::{Digest, UnixTime};
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

use crate::registry::{RegistryError, SecretText};

/// The time for signing in at the provider.
const LIFETIME_SECONDS: u32 = 600;

/// A sign-in that has begun.
pub(in crate::server) struct Flow {
    /// The time of the beginning and the secret, as the cookie has them.
    text: SecretText,
}

impl Flow {
    /// The time in seconds after which a sign-in is refused.
    pub(in crate::server) const LIFETIME_SECONDS: u32 = LIFETIME_SECONDS;

    pub(in crate::server) fn begin(now: UnixTime) -> Result<Self, RegistryError> {
        let secret = SecretText::random()?;
        Ok(Self { text: SecretText::new(format!("{}.{}", now.0, secret.expose())) })
    }

    /// Reads the value of the cookie. Returns `None` for another text, and for a sign-in that began too long ago. A time that a
    /// browser changes makes another sign-in, to which no state belongs.
    pub(in crate::server) fn read(cookie: &str, now: UnixTime) -> Option<Self> {
        let (begun, secret) = cookie.split_once('.')?;
        let age = now.0.checked_sub(begun.parse().ok()?)?;
        let is_open = (0..=i64::from(LIFETIME_SECONDS)).contains(&age) && secret.len() >= 43;
        is_open.then(|| Self { text: SecretText::new(cookie.to_owned()) })
    }

    /// Returns the value of the cookie.
    pub(in crate::server) fn cookie(&self) -> &str {
        self.text.expose()
    }

    pub(super) fn state(&self) -> String {
        self.derived("state")
    }

    pub(super) fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// Returns the code verifier (RFC 7636 section 4.1).
    pub(super) fn verifier(&self) -> SecretText {
        SecretText::new(self.derived("verifier"))
    }

    /// Returns the code challenge of the method `S256`.
    pub(super) fn challenge(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier().expose().as_bytes()))
    }

    /// Returns true if a state is that of this sign-in.
    pub(super) fn has_state(&self, state: &str) -> bool {
        self.state().as_bytes().ct_eq(state.as_bytes()).into()
    }

    /// Returns the id by which a sign-in is known to have come back.
    pub(in crate::server) fn id(&self) -> Digest {
        Digest::of(self.state().as_bytes())
    }

    fn derived(&self, purpose: &str) -> String {
        let text = SecretText::new(format!("keyswap sign-in\0{purpose}\0{}", self.text.expose()));
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, text.expose().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    #[test]
    fn a_sign_in_is_its_browsers_own_and_ends_in_time() {
        let flow = Flow::begin(NOW).unwrap();
        let at = |seconds| Flow::read(flow.cookie(), UnixTime(NOW.0 + seconds));
        assert!(at(0).unwrap().has_state(&flow.state()) && at(600).unwrap().has_state(&flow.state()));
        assert!(at(601).is_none() && at(-1).is_none());
        let other = Flow::begin(NOW).unwrap();
        assert!(!other.has_state(&flow.state()));
        // A later time in the cookie makes another sign-in.
        let secret = flow.cookie().split_once('.').unwrap().1;
        let later = Flow::read(&format!("{}.{secret}", NOW.0 + 60), UnixTime(NOW.0 + 60)).unwrap();
        assert!(!later.has_state(&flow.state()));
        let (state, nonce, verifier) = (flow.state(), flow.nonce(), flow.verifier());
        assert!(state != nonce && nonce != verifier.expose() && verifier.expose().len() == 43);
        assert!(flow.challenge() != verifier.expose());
        for text in [
            "",
            ".",
            "1800000000",
            "1800000000.",
            "1800000000.short",
            "x.0123456789012345678901234567890123456789012",
        ] {
            assert!(Flow::read(text, NOW).is_none(), "{text}");
        }
    }
}
