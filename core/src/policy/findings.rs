//! The search for findings in a policy.

use std::collections::BTreeSet;

use super::bundle::Configuration;
use super::credentials::Source;
use super::customers;
use super::document::Policy;
use super::gateway::GatewayMode;
use super::lint::{Finding, Lint};
use super::preset::vouches;
use super::registry::Protocol;
use super::status::StatusPolicy;
use crate::base::UnixTime;
use crate::identity::jwt::{Issuer, IssuerRule, Principals, has_rules};
use crate::identity::{CallerRecord, Class, Scope, TokenStatus};
use crate::provider::facts::of_slot;
use crate::provider::{EndpointKind, Endpoints, Provider, table};
use crate::request::Slot;

/// The findings so far.
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, lint: Lint, path: impl Into<String>) {
        self.0.push(Finding { lint, path: path.into(), message: lint.about().to_owned() });
    }

    pub(super) fn add_with(&mut self, lint: Lint, path: impl Into<String>, detail: &str) {
        self.0.push(Finding { lint, path: path.into(), message: format!("{}: {detail}", lint.about()) });
    }
}

impl Configuration {
    /// Returns the findings of the document and of the policies in it. `now` decides which tokens have expired.
    pub fn lint(&self, now: UnixTime) -> Vec<Finding> {
        let mut findings = Findings(Vec::new());
        if let Self::Bundle(source) = self
            && source.url.is_exposed()
        {
            findings.add(Lint::PlaintextChannel, "plaintext");
        }
        let of_policy = |(place, policy): (&'static str, &Policy)| {
            policy.lint(now).into_iter().map(move |finding| finding.within(place))
        };
        findings.0.extend(self.policies().into_iter().flat_map(of_policy));
        findings.0
    }
}

/// The classes of endpoints that compute, and whose usage is not metered.
const UNMETERED: [Class; 4] = [Class::Batches, Class::FineTuning, Class::Stateful, Class::Mint];

impl Policy {
    /// Returns the findings. `now` decides which tokens have expired.
    pub fn lint(&self, now: UnixTime) -> Vec<Finding> {
        let mut findings = Findings(Vec::new());
        self.lint_tokens(now, &mut findings);
        self.lint_people(&mut findings);
        self.lint_issuers(&mut findings);
        self.lint_client_certificates(&mut findings);
        self.lint_registry(&mut findings);
        self.lint_channels(&mut findings);
        self.lint_credentials(&mut findings);
        self.lint_slots(&mut findings);
        self.lint_providers(&mut findings);
        self.lint_status(&mut findings);
        self.lint_sharing(&mut findings);
        self.lint_objects(&mut findings);
        self.lint_bindings(&mut findings);
        self.lint_budgets(&mut findings);
        findings.0
    }

    fn lint_budgets(&self, findings: &mut Findings) {
        let Some(rules) = &self.budgets else { return };
        if rules.allows_unpriced {
            findings.add(Lint::UnpricedAllowed, "budgets.unpriced");
        }
        if rules.failure_mode_allow {
            findings.add(Lint::BudgetFailsOpen, "budgets.failure_mode_allow");
        }
    }

    fn lint_tokens(&self, now: UnixTime, findings: &mut Findings) {
        for (index, token) in self.tokens.iter().enumerate() {
            let path = format!("tokens[{index}]");
            match token.expires_at {
                None if token.status == TokenStatus::Active => findings.add(Lint::TokenWithoutExpiry, &path),
                Some(at) if at <= now => findings.add(Lint::TokenExpired, format!("{path}.expires_at")),
                _ => {}
            }
            if token.owner.is_none() {
                findings.add(Lint::TokenWithoutOwner, &path);
            }
            self.lint_scope(&token.scope, &format!("{path}.providers"), findings);
        }
    }

    /// Finds endpoints of the gateway whose requests choose the provider in the body, and classes that no budget counts.
    fn lint_scope(&self, scope: &Scope, path: &str, findings: &mut Findings) {
        let sends_keys =
            self.gateway.as_ref().is_some_and(|gateway| gateway.mode == GatewayMode::ProviderKey);
        let is_wide = |provider: &&Provider| {
            matches!(provider.builtin.endpoint, EndpointKind::Compat | EndpointKind::Root)
        };
        let wide: BTreeSet<&str> = self.providers.iter().filter(is_wide).map(|it| it.id.as_str()).collect();
        for name in scope.providers().filter(|name| sends_keys && wide.contains(name)) {
            findings.add_with(Lint::ScopeWide, path, &format!("`{name}`"));
        }
        for name in scope.providers().filter(|_| self.budgets.is_some()) {
            let open = scope.classes(name);
            for class in UNMETERED.into_iter().filter(|class| open.has(*class)) {
                findings.add_with(Lint::ClassUnmetered, path, &format!("`{name}:{}`", class.name()));
            }
        }
    }

    fn lint_people(&self, findings: &mut Findings) {
        for (email, person) in &self.people {
            self.lint_scope(&person.scope, "principals", findings);
            let shares = |scope: &Scope| scope.and(&person.scope) != Scope::default();
            let mut rights = self.issuers.iter().flat_map(Issuer::rights);
            if !rights.any(|rule| rule.scope().is_none_or(shares)) {
                findings.add_with(Lint::PersonWithoutScope, "principals", &format!("`{email}`"));
            }
        }
    }

    fn lint_issuers(&self, findings: &mut Findings) {
        let has_registry = self.registry.as_ref().is_some_and(|it| it.protocol == Protocol::Keyswap);
        for (index, issuer) in self.issuers.iter().enumerate() {
            let path = format!("issuers[{index}]");
            self.lint_rights(&path, issuer.rights(), issuer.principals(), findings);
            match issuer.principals() {
                Principals::Known if !has_registry && self.people.is_empty() && !issuer.names_services() => {
                    findings.add(Lint::IssuerWithoutPeople, &path);
                }
                _ => {}
            }
            // An address also names the person that has a credential of its own.
            let names_people = issuer.principals() == Principals::Known || self.binds_addresses();
            if issuer.takes_unmarked_email() && names_people && !vouches(&issuer.rules.origin) {
                findings.add(Lint::EmailUnverified, format!("{path}.unverified_email"));
            }
            if let Some(claims) = customers::unnamed(issuer) {
                findings.add_with(Lint::CustomersUnnamed, format!("{path}.claims"), &claims);
            }
            if let Some(audience) = customers::audience_of_others(issuer) {
                findings.add_with(Lint::AudienceOpen, format!("{path}.audiences"), &format!("`{audience}`"));
            }
            // Auth slots carry the tokens of every issuer, so that there the first entry always comes first.
            let earlier = self.issuers.iter().take(index).enumerate();
            let is_same = |other: &Issuer| {
                other.url() == issuer.url() || other.names().iter().any(|name| issuer.names().contains(name))
            };
            let mut same = earlier.filter(|(_, other)| is_same(other));
            // The entry whose claims a token has judges it.
            let shares = |other: &Issuer| {
                other.audiences().iter().any(|it| issuer.audiences().contains(it))
                    && other.required_claims().iter().all(|it| issuer.required_claims().contains(it))
            };
            if let Some((first, _)) = same.find(|(_, other)| shares(other)) {
                let detail = format!("`issuers[{first}]`");
                findings.add_with(Lint::IssuerShadowed, format!("{path}.audiences"), &detail);
            }
        }
    }

    fn lint_client_certificates(&self, findings: &mut Findings) {
        for (index, authority) in self.client_certificates.iter().enumerate() {
            let path = format!("client_certificates[{index}]");
            self.lint_rights(&path, authority.rights(), Principals::Any, findings);
        }
    }

    fn lint_rights(
        &self,
        path: &str,
        rights: &[IssuerRule],
        principals: Principals,
        findings: &mut Findings,
    ) {
        for (place, rule) in rights.iter().enumerate() {
            let path = if has_rules(rights) { format!("{path}.rules[{place}]") } else { path.to_owned() };
            match rule.scope() {
                Some(scope) => self.lint_scope(scope, &format!("{path}.providers"), findings),
                None if principals == Principals::Any => findings.add(Lint::IssuerOpen, &path),
                None => {}
            }
        }
    }

    fn lint_registry(&self, findings: &mut Findings) {
        let Some(registry) = &self.registry else { return };
        if let Protocol::Introspection { scope, audiences } = &registry.protocol {
            if audiences.is_empty() {
                findings.add(Lint::AudienceOpen, "registry.introspection");
            }
            self.lint_scope(scope, "registry.introspection.providers", findings);
        }
    }

    fn lint_channels(&self, findings: &mut Findings) {
        if let Some(registry) = self.registry.as_ref().filter(|registry| registry.url.is_exposed()) {
            let place = "registry.plaintext";
            match registry.keys {
                Some(_) => findings.add(Lint::PlaintextChannel, place),
                None => {
                    findings.add_with(Lint::PlaintextChannel, place, "no `registry.keys` sign the records");
                }
            }
        }
        let mut add = |place: String| findings.add(Lint::PlaintextChannel, format!("{place}.plaintext"));
        for (index, issuer) in self.issuers.iter().enumerate() {
            if issuer.keys().is_exposed() {
                add(format!("issuers[{index}].jwks"));
            }
        }
        for (name, chain) in self.credentials.chains() {
            for (index, source) in chain.iter().enumerate() {
                if matches!(source, Source::Http(source) if source.endpoint.is_exposed()) {
                    add(format!("credentials.{name}[{index}].http"));
                }
            }
        }
    }

    fn lint_credentials(&self, findings: &mut Findings) {
        for (name, chain) in self.credentials.chains() {
            for (index, source) in chain.iter().enumerate() {
                let is_asked_before = |other: &Source| match (other, source) {
                    (Source::Env(other), Source::Env(own)) => other == own,
                    (Source::RequestHeader(other), Source::RequestHeader(own))
                    | (Source::SignIn(other), Source::SignIn(own))
                    | (Source::File(other), Source::File(own)) => other == own,
                    (Source::Http(other), Source::Http(own)) => {
                        other.endpoint == own.endpoint
                            && other.cluster == own.cluster
                            && other.value == own.value
                    }
                    _ => false,
                };
                if chain.iter().take(index).any(is_asked_before) {
                    findings.add(Lint::SourceRepeated, format!("credentials.{name}[{index}]"));
                }
            }
        }
    }

    /// Finds providers whose SDKs have slots of their own, of which none is judged.
    fn lint_slots(&self, findings: &mut Findings) {
        for name in [table::ANTHROPIC, table::GEMINI, table::OPENAI] {
            let is_enabled = self.provider_names().any(|enabled| enabled == name);
            let mut of_provider = Slot::ALL.into_iter().filter(|slot| of_slot(*slot) == name);
            if is_enabled && !of_provider.any(|slot| self.slots.has(slot)) {
                findings.add_with(Lint::SlotLeftOut, "slots", &format!("`{name}`"));
            }
        }
    }

    fn lint_providers(&self, findings: &mut Findings) {
        for provider in self.enabled_providers().filter(|it| matches!(it.endpoints, Endpoints::Any)) {
            findings.add(Lint::EndpointsAny, format!("providers.{}.endpoints", provider.id));
        }
        for shadowed in self.enabled_providers() {
            let takes = |other: &&Provider| other.id != shadowed.id && other.slug == shadowed.id;
            if let Some(other) = self.providers.iter().find(takes) {
                let path = format!("providers.{}", other.id);
                findings.add_with(Lint::ProviderShadowed, path, &format!("`{}`", shadowed.id));
            }
        }
    }

    /// Finds a status that no token may ask for. A registry may have tokens for it.
    fn lint_status(&self, findings: &mut Findings) {
        let may_ask = |record: &CallerRecord| record.scope.has(StatusPolicy::SCOPE);
        let is_in = |rule: &IssuerRule| rule.scope().is_some_and(|scope| scope.has(StatusPolicy::SCOPE));
        let mut rights = self.rights().flat_map(|(_, rights)| rights);
        let has_asker = self.tokens.iter().any(|token| may_ask(token)) || rights.any(is_in);
        if self.status.is_some_and(|status| status.tokens) && !has_asker && self.registry.is_none() {
            findings.add(Lint::StatusForNobody, "status.allow");
        }
    }
}
