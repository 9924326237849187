//! Findings about credentials that callers share, and about those that they have for themselves.
//!
//! Callers that only a registry knows are in no policy, so most of these findings say nothing of them.

use std::collections::{BTreeMap, BTreeSet};

use super::credentials::Source;
use super::document::Policy;
use super::error::listed;
use super::findings::Findings;
use super::lint::Lint;
use super::reader::printable;
use super::registry::Protocol;
use crate::identity::jwt::{Issuer, IssuerRule, Principals};
use crate::identity::{CallerRecord, CertificateAuthority, Scope, TokenStatus};
use crate::provider::objects::{KEEPING, ObjectsMode};
use crate::provider::{BindingKind, Provider, keeps_any, objects_of};

/// The callers that reach the objects of one credential, in words.
#[derive(Default)]
struct Sharers {
    named: BTreeSet<String>,
    /// Set where there are several, whom the policy does not name.
    are_several: bool,
}

impl Policy {
    /// Finds credentials by which several teams or owners reach each other's objects at a provider.
    pub(super) fn lint_sharing(&self, findings: &mut Findings) {
        let shared = self.enabled_providers().filter(|provider| provider.objects == ObjectsMode::Shared);
        for provider in shared {
            for (credential, sharers) in self.sharers(provider) {
                if sharers.are_several || sharers.named.len() > 1 {
                    let detail = format!("{credential}: {}", listed(sharers.named, |name| name));
                    findings.add_with(Lint::ObjectsShared, format!("providers.{}", provider.id), &detail);
                }
            }
        }
    }

    /// Finds scopes that open endpoints of objects whose holders are not known.
    pub(super) fn lint_objects(&self, findings: &mut Findings) {
        for provider in self.enabled_providers().filter(|it| it.objects != ObjectsMode::Shared) {
            let is_known = self.keeps_objects() && objects_of(&provider.endpoints).is_some();
            let callers: BTreeSet<String> =
                self.sharers(provider).into_values().flat_map(|sharers| sharers.named).collect();
            if !is_known && !callers.is_empty() {
                findings.add_with(
                    Lint::ObjectsUnkept,
                    format!("providers.{}", provider.id),
                    &listed(callers, |name| name),
                );
            }
        }
    }

    fn keeps_objects(&self) -> bool {
        self.registry.as_ref().is_some_and(|registry| registry.protocol == Protocol::Keyswap)
    }

    /// Returns the callers that reach objects at the provider, by credential.
    fn sharers(&self, provider: &Provider) -> BTreeMap<String, Sharers> {
        let mut by_credential: BTreeMap<String, Sharers> = BTreeMap::new();
        let mut add = |record: Option<&CallerRecord>, words: String| {
            for credential in self.credentials_of(provider, record) {
                let sharers = by_credential.entry(credential).or_default();
                sharers.named.insert(words.clone());
                sharers.are_several |= record.is_none();
            }
        };
        let tokens = self.tokens.iter().filter(|token| token.status == TokenStatus::Active);
        for token in tokens.filter(|token| opens_objects(&token.scope, provider)) {
            add(Some(token), words(token));
        }
        for person in self.people.values() {
            let opens = |rule: &IssuerRule| {
                let both = rule.scope().map(|scope| scope.and(&person.scope));
                opens_objects(both.as_ref().unwrap_or(&person.scope), provider)
            };
            if self.issuers.iter().flat_map(Issuer::rights).any(opens) {
                add(Some(person), words(person));
            }
        }
        let admits_all = |issuer: &&Issuer| issuer.principals() == Principals::Any;
        for issuer in self.issuers.iter().filter(admits_all) {
            let opens = |rule: &IssuerRule| rule.scope().is_some_and(|scope| opens_objects(scope, provider));
            if issuer.rights().iter().any(opens) {
                add(None, format!("all subjects of the issuer `{}`", issuer.name()));
            }
        }
        for authority in &self.client_certificates {
            let opens = |rule: &IssuerRule| rule.scope().is_some_and(|scope| opens_objects(scope, provider));
            if authority.rights().iter().any(opens) {
                add(None, format!("all subjects of `client_certificates` named `{}`", authority.name()));
            }
        }
        if let Some(Protocol::Introspection { scope, .. }) = self.registry.as_ref().map(|it| &it.protocol)
            && opens_objects(scope, provider)
        {
            add(None, "all tokens of `registry.introspection`".to_owned());
        }
        let is_shared = provider.objects == ObjectsMode::Shared && keeps_any(&provider.endpoints);
        if self.keeps_objects() && is_shared {
            add(None, "all callers of the `registry`".to_owned());
        }
        by_credential
    }

    /// Returns the credentials, in words, with which the requests of a caller may go. `None` is a caller that is not
    /// bound.
    fn credentials_of(&self, provider: &Provider, record: Option<&CallerRecord>) -> Vec<String> {
        if !self.needs_key(provider) {
            return vec!["the key at the gateway".to_owned()];
        }
        let bound = record.and_then(|record| provider.keys.bindings.find(record));
        let names: Vec<&str> = match bound {
            Some((.., name)) => vec![name],
            None => provider.keys.members.iter().map(|(name, _)| name.as_str()).collect(),
        };
        let is_shared = |name: &&str| {
            let mut sources = self.credentials.chains().filter(|(other, _)| other == name);
            // A caller's own identity or sign-in is nobody else's credential.
            let is_own = |it: &Source| matches!(it, Source::RequestHeader(_) | Source::SignIn(_));
            sources.any(|(_, chain)| !chain.iter().all(is_own))
        };
        names.into_iter().filter(is_shared).map(|name| format!("`{name}`")).collect()
    }

    /// Finds bindings of callers that never use the provider.
    pub(super) fn lint_bindings(&self, findings: &mut Findings) {
        for provider in self.enabled_providers() {
            for (kind, name, _) in provider.keys.bindings.iter() {
                if !self.may_be_of_unknown(kind, provider) && !self.is_of_known(kind, name, provider) {
                    let place =
                        format!("providers.{}.bindings.{}.{}", provider.id, kind.member(), printable(name));
                    findings.add(Lint::BindingUnmatched, place);
                }
            }
        }
    }

    /// Returns whether callers that the policy does not name may have a binding of this kind.
    fn may_be_of_unknown(&self, kind: BindingKind, provider: &Provider) -> bool {
        let admits = |issuer: &Issuer| {
            issuer.principals() == Principals::Any
                && issuer.rights().iter().any(|rule| rule.scope().is_none_or(|scope| scope.has(&provider.id)))
        };
        let gives_team =
            |issuer: &Issuer| admits(issuer) && issuer.rights().iter().any(IssuerRule::gives_team);
        let certificates_give_team = || {
            let mut rights = self.client_certificates.iter().flat_map(CertificateAuthority::rights);
            let opens = |rule: &IssuerRule| rule.scope().is_none_or(|scope| scope.has(&provider.id));
            rights.any(|rule| rule.gives_team() && opens(rule))
        };
        let admits_all = self.issuers.iter().any(admits);
        match (kind, self.registry.as_ref().map(|registry| &registry.protocol)) {
            (BindingKind::Token, protocol) => protocol.is_some(),
            (BindingKind::Person, Some(Protocol::Keyswap)) => !self.issuers.is_empty(),
            (BindingKind::Owner | BindingKind::Team, Some(Protocol::Keyswap)) => true,
            (BindingKind::Person | BindingKind::Owner, _) => admits_all,
            (BindingKind::Team, _) => self.issuers.iter().any(gives_team) || certificates_give_team(),
        }
    }

    /// Returns whether a token or a person of the policy has this binding, and may use the provider.
    fn is_of_known(&self, kind: BindingKind, name: &str, provider: &Provider) -> bool {
        let has = |record: &CallerRecord| {
            let binding = provider.keys.bindings.find(record);
            record.scope.has(&provider.id)
                && binding.is_some_and(|(other, its_name, _)| (other, its_name) == (kind, name))
        };
        let mut people = self.people.values().filter(|_| !self.issuers.is_empty());
        self.tokens.iter().any(|token| has(token)) || people.any(|person| has(person))
    }

    /// Returns whether an address in a JWT may choose a credential.
    pub(super) fn binds_addresses(&self) -> bool {
        let bindings = self.enabled_providers().flat_map(|provider| provider.keys.bindings.iter());
        bindings.into_iter().any(|(kind, ..)| kind != BindingKind::Token)
    }
}

fn opens_objects(scope: &Scope, provider: &Provider) -> bool {
    let open = scope.classes(&provider.id);
    KEEPING.into_iter().any(|class| open.has(class))
}

/// Returns the party that a caller belongs to: its team, else its owner, else itself.
fn words(record: &CallerRecord) -> String {
    match (&record.team, &record.owner) {
        (Some(team), _) => format!("the team `{team}`"),
        (None, Some(owner)) => format!("`{}`", owner.to_ascii_lowercase()),
        (None, None) => format!("the token `{}`", record.label),
    }
}
