//! Credentials that the host writes. The host writes such a credential into every request for an authority, so no other
//! may be for that authority.

use super::credentials::{CredentialPolicy, Source};
use super::document::Policy;
use super::reader::Errors;
use crate::provider::Provider;

impl CredentialPolicy {
    /// Returns whether the host has the credential.
    fn is_of_host(&self, name: &str) -> bool {
        let mut chains = self.chains().filter(|(other, _)| *other == name);
        chains.any(|(_, chain)| chain.iter().any(|source| matches!(source, Source::Host)))
    }
}

impl Policy {
    /// Returns whether requests for both go to one host.
    fn are_beside(&self, one: &Provider, other: &Provider) -> bool {
        match (self.base_url(one), self.base_url(other)) {
            (Some(one_url), Some(other_url)) => {
                one.id != other.id && one_url.authority == other_url.authority
            }
            _ => false,
        }
    }

    pub(super) fn check_host_keys(&self, errors: &Errors) {
        let enabled = || self.enabled_providers().filter(|provider| self.needs_key(provider));
        for provider in enabled() {
            let of_host = |name: &&str| self.credentials.is_of_host(name);
            let Some(name) = provider.keys.names().find(of_host) else { continue };
            if provider.keys.names().nth(1).is_some() {
                errors.add(
                    format!("providers.{}.credentials", provider.id),
                    format!(
                        "the host writes `{name}` into every request, so there is nothing to choose from"
                    ),
                );
            }
            let is_beside = |other: &&Provider| {
                self.are_beside(provider, other) && !other.keys.names().eq(provider.keys.names())
            };
            if let Some(other) = enabled().find(is_beside) {
                errors.add(
                    format!("credentials.{name}"),
                    format!(
                        "requests for `{}` and `{}` go to one host, where the host would write this credential into \
                         both: name another source",
                        provider.id, other.id
                    ),
                );
            }
        }
    }
}
