//! The credentials of the services that the engine itself asks: a registry, a policy server, a token agent.

use zeroize::Zeroizing;

use super::error::{SecretError, visible_ascii, with_scheme};

/// The credential of a service, which goes into calls to that service only, and never upstream.
///
/// The environment has it as a service's credential. No [`Secret`](super::sealed::Secret) becomes one.
pub(crate) struct ServiceSecret(Zeroizing<Vec<u8>>);

impl ServiceSecret {
    /// Takes a value as a service's credential.
    pub(crate) fn new(value: Vec<u8>) -> Result<Self, SecretError> {
        visible_ascii(value).map(Self)
    }

    /// Puts the credential behind an authentication scheme.
    #[must_use]
    pub(crate) fn with_scheme(&self, scheme: &str) -> Self {
        Self(with_scheme(scheme, &self.0))
    }

    /// Returns the text, for a call.
    pub(crate) fn reveal(&self) -> Zeroizing<String> {
        // A credential is visible ASCII, so nothing is lost.
        Zeroizing::new(String::from_utf8_lossy(&self.0).into_owned())
    }
}
