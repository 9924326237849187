//! Findings: valid but risky settings. Each kind has a stable code, its place, and a remedy.
//!
//! A policy with findings decides as it says. A setting that is wrong whatever was meant is an error instead, for which
//! the policy is refused. Examples are a literal secret, a credential that is never used, and a scope with a provider
//! that has no key.

use std::collections::BTreeSet;

use super::bundle::Configuration;
use super::credentials::Source;
use super::document::Policy;
use super::gateway::GatewayMode;
use super::registry::Protocol;
use super::status::StatusPolicy;
use crate::base::UnixTime;
use crate::identity::jwt::{Issuer, Principals};
use crate::identity::{CallerRecord, Scope, TokenStatus};
use crate::provider::{EndpointKind, Endpoints, Provider, table};
use crate::request::Slot;

/// A kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Lint {
    /// A token never expires.
    TokenWithoutExpiry,
    /// A token has expired.
    TokenExpired,
    /// A token has no owner.
    TokenWithoutOwner,
    /// A scope has an endpoint where the body chooses the provider that gets the key.
    ScopeWide,
    /// A person is in the policy, and no issuer lets that person call any provider.
    PersonWithoutScope,
    /// An issuer admits known people, and no person is known.
    IssuerWithoutPeople,
    /// An issuer admits all its subjects, to every provider.
    IssuerOpen,
    /// An issuer names known people by addresses that are not marked as verified.
    EmailUnverified,
    /// An issuer's tokens are judged by another entry.
    IssuerShadowed,
    /// Tokens count that were issued for another service.
    AudienceOpen,
    /// A registry, an agent or a key set is asked without TLS.
    PlaintextChannel,
    /// A source repeats one before it, so that it is never asked.
    SourceRepeated,
    /// No slot in which a provider's SDKs send their key is judged.
    SlotLeftOut,
    /// A provider's name leads to another.
    ProviderShadowed,
    /// The status is for tokens, and no token may ask.
    StatusForNobody,
    /// Every path of a provider is forwarded, whatever it does there.
    EndpointsAny,
}

/// A valid but risky setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind of the finding.
    pub lint: Lint,
    /// The place in the document: `tokens[1].expires_at`.
    pub path: String,
    /// The finding, in a sentence.
    pub message: String,
}

impl Finding {
    /// Returns the finding of a policy that stands in another document at `place`.
    #[must_use]
    pub fn within(mut self, place: &str) -> Self {
        if !place.is_empty() {
            self.path = format!("{place}.{}", self.path);
        }
        self
    }
}

impl Lint {
    /// Every kind.
    pub const ALL: [Self; 16] = [
        Self::TokenWithoutExpiry,
        Self::TokenExpired,
        Self::TokenWithoutOwner,
        Self::ScopeWide,
        Self::PersonWithoutScope,
        Self::IssuerWithoutPeople,
        Self::IssuerOpen,
        Self::EmailUnverified,
        Self::IssuerShadowed,
        Self::AudienceOpen,
        Self::PlaintextChannel,
        Self::SourceRepeated,
        Self::SlotLeftOut,
        Self::ProviderShadowed,
        Self::StatusForNobody,
        Self::EndpointsAny,
    ];

    /// Returns the stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TokenWithoutExpiry => "token-without-expiry",
            Self::TokenExpired => "token-expired",
            Self::TokenWithoutOwner => "token-without-owner",
            Self::ScopeWide => "scope-wide",
            Self::PersonWithoutScope => "person-without-scope",
            Self::IssuerWithoutPeople => "issuer-without-people",
            Self::IssuerOpen => "issuer-open",
            Self::EmailUnverified => "email-unverified",
            Self::IssuerShadowed => "issuer-shadowed",
            Self::AudienceOpen => "audience-open",
            Self::PlaintextChannel => "plaintext-channel",
            Self::SourceRepeated => "source-repeated",
            Self::SlotLeftOut => "slot-left-out",
            Self::ProviderShadowed => "provider-shadowed",
            Self::StatusForNobody => "status-for-nobody",
            Self::EndpointsAny => "endpoints-any",
        }
    }

    /// Describes the problem.
    pub const fn about(self) -> &'static str {
        match self {
            Self::TokenWithoutExpiry => "a token never expires: one that leaks works until it is revoked",
            Self::TokenExpired => "a token has expired: it is refused, and only takes room",
            Self::TokenWithoutOwner => "a token has no owner to ask about it",
            Self::ScopeWide => {
                "a scope has an endpoint whose requests name the provider in the body, and our keys go there with them"
            }
            Self::PersonWithoutScope => "no issuer lets this person call any of their providers",
            Self::IssuerWithoutPeople => "an issuer admits known people, and no person is known",
            Self::IssuerOpen => "every subject of the issuer may call every provider",
            Self::EmailUnverified => {
                "an address names a person without the issuer's word that it is theirs: a guest may have chosen it"
            }
            Self::IssuerShadowed => "another entry for the same issuer and audience is judged first",
            Self::AudienceOpen => "tokens count that were issued for another service",
            Self::PlaintextChannel => {
                "a server is asked without TLS: whoever is on its network can read and replace what is sent"
            }
            Self::SourceRepeated => "a source stands twice in a chain: the second is never asked",
            Self::SlotLeftOut => "no slot in which a provider's SDKs send their key is judged",
            Self::ProviderShadowed => "the segment that is a provider's name leads to another provider",
            Self::StatusForNobody => {
                "the status is for tokens, and none has `keyswap-status` among its providers"
            }
            Self::EndpointsAny => {
                "every path of the provider is forwarded with its key, be it one that administers the account"
            }
        }
    }

    /// Returns the remedy.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::TokenWithoutExpiry => "set `expires_at`",
            Self::TokenExpired => "remove it, or mint a new one",
            Self::TokenWithoutOwner => "set `owner`",
            Self::ScopeWide => "name providers in the scope, or use `mode: byok` or `unified_billing`",
            Self::PersonWithoutScope => {
                "widen `providers` of the person or of the issuer, or remove the person"
            }
            Self::IssuerWithoutPeople => "add people to `principals`, add a `registry`, or remove the issuer",
            Self::IssuerOpen => "list `providers` at the issuer, or admit `known` people only",
            Self::EmailUnverified => {
                "have the issuer send `email_verified`, and remove `unverified_email`; or let no guests into the tenant"
            }
            Self::IssuerShadowed => "give each entry its own audiences, or put the narrower one first",
            Self::AudienceOpen => "list `audiences`",
            Self::PlaintextChannel => {
                "use `https://`, and remove `plaintext`; where a mesh encrypts the network, allow it"
            }
            Self::SourceRepeated => "remove the second",
            Self::SlotLeftOut => "add one of its slots to `slots`",
            Self::ProviderShadowed => "give one of them another name or `slug`",
            Self::StatusForNobody => {
                "add `keyswap-status` to the `providers` of a token, or allow `loopback` only"
            }
            Self::EndpointsAny => "list its `endpoints` with their classes, or leave the field out",
        }
    }
}

/// The findings so far.
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, lint: Lint, path: impl Into<String>) {
        self.0.push(Finding { lint, path: path.into(), message: lint.about().to_owned() });
    }

    fn add_with(&mut self, lint: Lint, path: impl Into<String>, detail: &str) {
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

impl Policy {
    /// Returns the findings. `now` decides which tokens have expired.
    pub fn lint(&self, now: UnixTime) -> Vec<Finding> {
        let mut findings = Findings(Vec::new());
        self.lint_tokens(now, &mut findings);
        self.lint_people(&mut findings);
        self.lint_issuers(&mut findings);
        self.lint_registry(&mut findings);
        self.lint_channels(&mut findings);
        self.lint_credentials(&mut findings);
        self.lint_slots(&mut findings);
        self.lint_providers(&mut findings);
        self.lint_status(&mut findings);
        findings.0
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

    /// Finds endpoints of the gateway whose requests choose the provider in the body.
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
    }

    fn lint_people(&self, findings: &mut Findings) {
        for (email, person) in &self.people {
            self.lint_scope(&person.scope, "principals", findings);
            let lets_in = |issuer: &Issuer| {
                let shares = |scope: &Scope| scope.and(&person.scope) != Scope::default();
                issuer.scope().is_none_or(shares)
            };
            if !self.issuers.iter().any(lets_in) {
                findings.add_with(Lint::PersonWithoutScope, "principals", &format!("`{email}`"));
            }
        }
    }

    fn lint_issuers(&self, findings: &mut Findings) {
        let has_registry = self.registry.as_ref().is_some_and(|it| it.protocol == Protocol::Keyswap);
        for (index, issuer) in self.issuers.iter().enumerate() {
            let path = format!("issuers[{index}]");
            if let Some(scope) = issuer.scope() {
                self.lint_scope(scope, &format!("{path}.providers"), findings);
            }
            match issuer.principals() {
                Principals::Any if issuer.scope().is_none() => findings.add(Lint::IssuerOpen, &path),
                Principals::Known if !has_registry && self.people.is_empty() && !issuer.names_services() => {
                    findings.add(Lint::IssuerWithoutPeople, &path);
                }
                _ => {}
            }
            if issuer.takes_unmarked_email() && issuer.principals() == Principals::Known {
                findings.add(Lint::EmailUnverified, format!("{path}.unverified_email"));
            }
            // Auth slots carry the tokens of every issuer, so that there the first entry always comes first.
            let earlier = self.issuers.iter().take(index).enumerate();
            let mut same = earlier.filter(|(_, other)| other.url() == issuer.url());
            let shares = |other: &Issuer| other.audiences().iter().any(|it| issuer.audiences().contains(it));
            if let Some((first, _)) = same.find(|(_, other)| shares(other)) {
                let detail = format!("`issuers[{first}]`");
                findings.add_with(Lint::IssuerShadowed, format!("{path}.audiences"), &detail);
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
                    (Source::RequestHeader(other), Source::RequestHeader(own)) => other == own,
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
            let mut of_provider = Slot::ALL.into_iter().filter(|slot| table::of_slot(*slot) == name);
            if is_enabled && !of_provider.any(|slot| self.slots.contains(&slot)) {
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
        let of_issuer = |issuer: &Issuer| issuer.scope().is_some_and(|scope| scope.has(StatusPolicy::SCOPE));
        let has_asker = self.tokens.iter().any(may_ask) || self.issuers.iter().any(of_issuer);
        if self.status.is_some_and(|status| status.tokens) && !has_asker && self.registry.is_none() {
            findings.add(Lint::StatusForNobody, "status.allow");
        }
    }
}
