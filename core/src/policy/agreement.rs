//! The agreement of a document's members: what one names, another has.

use super::document::Policy;
use super::reader::{Errors, printable};
use super::registry::Protocol;
use crate::identity::jwt::Issuer;
use crate::limit::LimitStore;
use crate::provider::{AuthStyle, EndpointKind};
use crate::request::IdentitySlot;
use crate::secret::BEARER;

impl Policy {
    /// Checks that each credential that is named is there, and that each is used.
    pub(super) fn check_credentials(&self, errors: &Errors) {
        if let Some(gateway) = &self.gateway
            && !self.credentials.contains(&gateway.credential)
        {
            errors.add("gateway.cloudflare.credential", "no such credential in `credentials`");
        }
        let mut vercel =
            self.providers.iter().filter(|provider| provider.builtin.endpoint == EndpointKind::Vercel);
        if vercel.any(|it| !it.keys.members.iter().all(|(name, _)| self.credentials.contains(name))) {
            errors.add("gateway.vercel.credential", "no such credential in `credentials`");
        }
        self.check_bindings(errors);
        self.check_calls(errors);
        for name in self.credentials.names() {
            let of_gateway = self.gateway.as_ref().is_some_and(|gateway| gateway.credential == name);
            let is_used = of_gateway || self.credentials.is_in_calls(name);
            if let Some(message) = self.why_unused(name).filter(|_| !is_used) {
                errors.add(format!("credentials.{name}"), message);
            }
        }
    }

    /// Checks that requests carry the provider's key where callers are bound, and that each credential is there.
    fn check_bindings(&self, errors: &Errors) {
        for provider in self.providers.iter().filter(|provider| !provider.keys.bindings.is_empty()) {
            let place = format!("providers.{}.bindings", provider.id);
            if !self.needs_key(provider) {
                errors.add(place, "the gateway has the key of this provider, so nothing can be bound here");
                continue;
            }
            for (kind, name, credential) in provider.keys.bindings.iter() {
                if !self.credentials.contains(credential) {
                    errors.add(
                        format!("{place}.{}.{}", kind.member(), printable(name)),
                        "no such credential in `credentials`",
                    );
                }
            }
        }
    }

    /// Checks that a header that may go upstream as a credential is one that an issuer verifies.
    pub(super) fn check_request_headers(&self, errors: &Errors) {
        for (path, header) in self.credentials.request_headers() {
            let is_slot = |slot: &IdentitySlot| *slot == IdentitySlot::Header(header.to_owned());
            if !self.issuers.iter().flat_map(Issuer::slots).any(is_slot) {
                errors.add(path, "no issuer verifies what this header holds: only then may it go upstream");
            }
        }
    }

    /// Checks that a caller's own sign-in goes where the provider takes it: in `Authorization`, and to no gateway.
    pub(super) fn check_sign_ins(&self, errors: &Errors) {
        if self.gateway.as_ref().is_some_and(|gateway| self.credentials.has_sign_in(&gateway.credential)) {
            errors.add(
                "gateway.cloudflare.credential",
                "a caller's sign-in at a provider is none at the gateway",
            );
        }
        for provider in
            self.providers.iter().filter(|provider| provider.auth != AuthStyle::Authorization(BEARER))
        {
            let mut names = provider.keys.names();
            if names.any(|name| self.credentials.has_sign_in(name)) {
                errors.add(
                    format!("providers.{}", provider.id),
                    "a sign-in goes in `authorization`: add `auth: bearer`",
                );
            }
        }
    }

    /// Checks that there is a registry to keep the limits that are for one.
    pub(super) fn check_limits(&self, errors: &Errors) {
        let asks_registry = self.rate_limit.is_some_and(|rule| rule.store == LimitStore::Registry);
        if asks_registry && !self.has_limit_store() {
            errors.add("rate_limit.store", "there is no `registry` that keeps limits: `keyswap serve` does");
        }
    }

    /// Checks that the registry tells which tokens have changed, where that ends exchanges.
    pub(super) fn check_revocation(&self, errors: &Errors) {
        let is_told = self.registry.as_ref().is_none_or(|registry| registry.protocol == Protocol::Keyswap);
        if self.ends_exchanges && !is_told {
            errors
                .add("revoke", "an introspection server does not tell which tokens were revoked: remove it");
        }
    }
}
