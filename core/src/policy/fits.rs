//! The fit between a policy and a host: a policy is refused unless the host has every ability that it needs.

use super::credentials::Source;
use super::document::Policy;
use super::error::{PolicyError, PolicyErrors};
use super::registry::Protocol;
use crate::host::Capabilities;
use crate::identity::CallerRecord;
use crate::identity::jwt::{IssuerRule, has_rules};
use crate::limit::{CallerLimit, LimitStore};

impl Policy {
    /// Checks that a host has the abilities that the policy needs.
    ///
    /// # Errors
    /// Every ability that the host lacks, with its place in the policy.
    pub fn fits(&self, host: Capabilities) -> Result<(), PolicyErrors> {
        let mut errors = self.unfit_sources(host);
        if !host.shared_memory && self.rate_limit.is_none_or(|rule| rule.store != LimitStore::Registry) {
            let requests = self.limited(|limit| limit.requests.is_some());
            errors.extend(requests.map(|path| PolicyError {
                path,
                message: "this host has no shared memory: use `rate_limit: {store: registry}`".to_owned(),
            }));
        }
        if !host.shared_memory {
            let tokens = self.limited(|limit| limit.tokens.is_some());
            errors.extend(tokens.map(|path| PolicyError {
                path: format!("{path}.tokens"),
                message:
                    "this host has no shared memory to count tokens in: use a budget in tokens".to_owned(),
            }));
        }
        if !host.replaces_answers && self.broker.is_some() {
            errors.push(PolicyError {
                path: "broker".to_owned(),
                message:
                    "this host passes answers on as they are, so that none can be brokered: leave it out"
                        .to_owned(),
            });
        }
        if !(host.reads_requests && host.edits_answers) && self.budgets.is_some() {
            errors.push(PolicyError {
                path: "budgets".to_owned(),
                message: "this host hands over no bodies, so that no cost is known: leave budgets out"
                    .to_owned(),
            });
        }
        if !host.passes && self.shadow.is_some() {
            errors.push(PolicyError {
                path: "mode".to_owned(),
                message: "this host cannot let a request pass untouched: enforce the policy, or \
                          try it as the `candidate` of a rollout with `percent: 0`"
                    .to_owned(),
            });
        }
        if !host.ends_exchanges && self.ends_exchanges {
            errors.push(PolicyError {
                path: "revoke".to_owned(),
                message: "this host cannot end a stream that has begun: remove it".to_owned(),
            });
        }
        if errors.is_empty() { Ok(()) } else { Err(PolicyErrors(errors)) }
    }

    /// Returns the errors of the sources that the host lacks, and of what depends on certificates that it does not show.
    fn unfit_sources(&self, host: Capabilities) -> Vec<PolicyError> {
        let mut errors = Vec::new();
        if !host.injects_credentials {
            let is_of_host = |source: &Source| matches!(source, Source::Host);
            errors.extend(self.sources(is_of_host, "inject_by").map(|path| PolicyError {
                path,
                message: "this host writes no credentials: name another source".to_owned(),
            }));
        }
        if !host.reads_files {
            let is_file = |source: &Source| matches!(source, Source::File(_));
            errors.extend(self.sources(is_file, "file").map(|path| PolicyError {
                path,
                message: "this host reads no files, which only the dynamic module does: use `env`, or `inject_by: host` \
                          in Envoy"
                    .to_owned(),
            }));
        }
        if !host.shows_certificates {
            errors.extend(self.certificates().map(|path| PolicyError {
                path,
                message: "this host does not show the client certificates of connections, which only Envoy does: leave \
                          it out"
                    .to_owned(),
            }));
        }
        errors
    }

    /// Returns the store that keeps budgets: the policy's choice, else shared memory.
    ///
    /// A host without shared memory uses the registry, whose records may have limits.
    pub(crate) fn limit_store(&self, host: Capabilities) -> LimitStore {
        match self.rate_limit {
            Some(rule) => rule.store,
            None if host.shared_memory => LimitStore::Memory,
            None => LimitStore::Registry,
        }
    }

    /// Returns whether the policy has a registry that keeps budgets. An introspection endpoint keeps none.
    pub(super) fn has_limit_store(&self) -> bool {
        self.registry.as_ref().is_some_and(|registry| registry.protocol == Protocol::Keyswap)
    }

    /// Returns the places of limits that limit something.
    fn limited(&self, something: fn(&CallerLimit) -> bool) -> impl Iterator<Item = String> {
        let own = self.rate_limit.iter().filter(move |rule| something(&rule.limit));
        let own = own.map(|_| "rate_limit".to_owned());
        let limits = move |record: &CallerRecord| record.rate_limit.as_ref().is_some_and(something);
        let tokens = self.tokens.iter().enumerate().filter(move |(_, token)| limits(token));
        let is_limited = move |rule: &IssuerRule| rule.rate_limit().as_ref().is_some_and(something);
        let issuers = self.rights().filter(move |(_, rights)| rights.iter().any(is_limited));
        let issuers = issuers.map(|(place, rights)| {
            format!("{place}.{}", if has_rules(rights) { "rules" } else { "rate_limit" })
        });
        let people = self.people.values().any(|person| limits(person));
        let people = people.then(|| "principals".to_owned());
        own.chain(tokens.map(|(index, _)| format!("tokens[{index}].rate_limit"))).chain(issuers).chain(people)
    }

    /// Returns the places of what depends on the certificates of connections.
    fn certificates(&self) -> impl Iterator<Item = String> {
        let tokens = self.tokens.iter().enumerate().filter(|(_, token)| token.certificate.is_some());
        let tokens = tokens.map(|(index, _)| format!("tokens[{index}].certificate_sha256"));
        let list = Some("client_certificates".to_owned()).filter(|_| !self.client_certificates.is_empty());
        tokens.chain(list)
    }

    /// Returns the places of the sources of a kind, whose member is `name`.
    fn sources(&self, is_of_kind: fn(&Source) -> bool, name: &str) -> impl Iterator<Item = String> {
        self.credentials.chains().flat_map(move |(credential, chain)| {
            let places = chain.iter().enumerate().filter(move |(_, source)| is_of_kind(source));
            places.map(move |(index, _)| format!("credentials.{credential}[{index}].{name}"))
        })
    }
}
