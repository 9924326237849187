//! The errors of an issuer in words of the command's options.

use anyhow::anyhow;
use keyswap_core::policy::PolicyErrors;

/// The options that an administrator sets of an issuer.
pub(in crate::server) struct IssuerOptions {
    pub(in crate::server) issuer: &'static str,
    pub(in crate::server) audience: &'static str,
    pub(in crate::server) keys_url: &'static str,
}

impl IssuerOptions {
    /// Returns the errors of a policy with this issuer alone, each with its option.
    pub(in crate::server) fn in_words(&self, errors: &PolicyErrors) -> anyhow::Error {
        let words = errors.0.iter().map(|error| {
            let message = &error.message;
            match error.path.strip_prefix("issuers[0].") {
                Some("issuer") => format!("invalid `{}`: {message}", self.issuer),
                Some(path) if path.starts_with("audiences") => {
                    format!("invalid `{}`: {message}", self.audience)
                }
                Some(path) if path.starts_with("jwks") => format!("invalid `{}`: {message}", self.keys_url),
                _ => error.to_string(),
            }
        });
        anyhow!(words.collect::<Vec<_>>().join("\n"))
    }
}
