//! The policy document: read once, checked whole, and from then on only meaning, no syntax.
//!
//! Everything that can be wrong with a document is reported at once ([`PolicyErrors`]). What is not said is strict.

mod cors;
mod credentials;
mod duration;
mod error;
mod gateway;
mod issuers;
mod keys;
mod literal;
mod providers;
mod rate_limit;
mod reader;
mod registry;
mod resource;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use self::credentials::Credentials;
pub(crate) use self::duration::parse as duration;
pub use self::error::{PolicyError, PolicyErrors};
pub(crate) use self::gateway::{Gateway, GatewayMode};
use self::reader::{Errors, Node};
pub(crate) use self::registry::{Protocol, RegistryPolicy};
use crate::cors::Origins;
use crate::json;
use crate::jwt::{Issuer, Principals};
use crate::limit::Rule;
use crate::metadata::Claim;
use crate::provider::Provider;
use crate::registry::Registry;
use crate::resource::Resource;
use crate::secret::Environment;
use crate::slot::Slot;
use crate::token::TokenRecord;

/// The version of the document that this engine reads.
const VERSION: &str = "keyswap/v1";

/// A checked policy. The secrets it names are not in it.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) tokens: Vec<TokenRecord>,
    registry: Option<RegistryPolicy>,
    pub(crate) rate_limit: Option<Rule>,
    pub(crate) origins: Origins,
    pub(crate) resource: Option<Resource>,
    pub(crate) issuers: Vec<Issuer>,
    /// The people that the policy knows, by their address in lower case.
    pub(crate) people: BTreeMap<String, Arc<TokenRecord>>,
    pub(crate) credentials: Credentials,
    pub(crate) providers: Vec<Provider>,
    pub(crate) gateway: Option<Gateway>,
    pub(crate) slots: Vec<Slot>,
}

impl Policy {
    /// Reads a policy from JSON.
    ///
    /// # Errors
    /// Every error of the document, each with its path; for JSON that does not parse, the line and column.
    pub fn from_json(document: &[u8]) -> Result<Self, PolicyErrors> {
        let value = json::parse(document)
            .map_err(|error| PolicyErrors::one("", format!("not valid JSON: {error}")))?;
        Self::from_value(&value)
    }

    fn from_value(document: &Value) -> Result<Self, PolicyErrors> {
        let errors = Errors::default();
        let root = Node::root(document, &errors);
        root.refuse_literal_secrets();
        let policy = read(&root, &errors);
        match (policy, errors.into_inner()) {
            (Some(policy), errors) if errors.is_empty() => Ok(policy),
            (_, errors) => Err(PolicyErrors(errors)),
        }
    }

    /// How many tokens stand in the policy itself.
    pub fn token_count(&self) -> usize {
        self.tokens.len()
    }

    /// The authority of the registry, where the policy has one.
    pub fn registry_authority(&self) -> Option<&str> {
        self.registry.as_ref().map(|registry| registry.url.authority.as_str())
    }

    /// The registry with its credential.
    pub(crate) fn open_registry(
        &self,
        environment: &dyn Environment,
    ) -> Result<Option<Registry>, PolicyErrors> {
        let Some(policy) = &self.registry else { return Ok(None) };
        let credential = policy.credential.require("registry.credential", environment);
        let credential = credential.map_err(|error| PolicyErrors(vec![error]))?;
        Ok(Some(Registry::new(policy.clone(), &credential)))
    }

    /// Whose JWTs are accepted as identities.
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// The headers that carry identity JWTs, each once. None of them is forwarded.
    pub fn identity_headers(&self) -> impl Iterator<Item = &str> {
        issuers::identity_headers(&self.issuers)
    }

    /// The names of the providers that a request can be forwarded to.
    pub fn provider_names(&self) -> impl Iterator<Item = &str> {
        self.enabled_providers().map(|provider| provider.id.as_str())
    }

    /// The authority of the gateway, where the policy has one.
    pub fn gateway_authority(&self) -> Option<&str> {
        self.gateway.as_ref().map(|gateway| gateway.url.authority.as_str())
    }

    /// The providers that a request can be forwarded to: those whose key we have, or the gateway.
    pub(crate) fn enabled_providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers
            .iter()
            .filter(|provider| !self.needs_key(provider) || self.credentials.contains(&provider.credential))
    }

    /// The members of `cf-aig-metadata`.
    pub(crate) fn metadata(&self) -> &[(String, Claim)] {
        self.gateway.as_ref().map_or(&[], |gateway| &gateway.metadata)
    }

    fn needs_key(&self, provider: &Provider) -> bool {
        match &self.gateway {
            Some(gateway) if provider.via_gateway => gateway.mode == GatewayMode::ProviderKey,
            _ => true,
        }
    }

    /// What is wrong with naming this provider in a scope, if anything is.
    fn why_not_enabled(&self, name: &str) -> Option<String> {
        let Some(provider) = self.providers.iter().find(|provider| provider.id == name) else {
            return why_unknown(&self.providers, name);
        };
        let enabled = self.enabled_providers().any(|enabled| enabled.id == name);
        (!enabled).then(|| format!("the provider has no key: add `{}` to `credentials`", provider.credential))
    }

    fn check_credentials(&self, errors: &Errors) {
        if let Some(gateway) = &self.gateway
            && !self.credentials.contains(&gateway.credential)
        {
            errors.add("gateway.cloudflare.credential", "no such credential in `credentials`");
        }
        for name in self.credentials.names() {
            let of_gateway = self.gateway.as_ref().is_some_and(|gateway| gateway.credential == name);
            let of_provider = self.providers.iter().any(|it| it.credential == name && self.needs_key(it));
            if !of_gateway && !of_provider {
                errors.add(
                    format!("credentials.{name}"),
                    "nothing uses this credential: remove it, or name it in a provider",
                );
            }
        }
    }
}

fn read(root: &Node<'_>, errors: &Errors) -> Option<Policy> {
    let mut fields = root.fields()?;
    let version = fields.required("version").and_then(|node| node.choice(&[(VERSION, ())]));
    let credentials = fields.required("credentials").map(|node| Credentials::read(&node));
    let gateway = fields.optional("gateway").map(|node| Gateway::read(&node));
    let providers = providers::read(fields.optional("providers").as_ref(), gateway.is_some());
    let slots = fields.optional("slots").map_or_else(|| Slot::ALL.to_vec(), |node| read_slots(&node));
    let tokens = fields.optional("tokens");
    let registry = fields.optional("registry");
    let rate_limit = fields.optional("rate_limit").map(|node| rate_limit::read_rule(&node));
    let origins = fields.optional("cors").map_or(Some(Origins::Any), |node| cors::read(&node));
    let resource = fields.optional("resource").map(|node| resource::read(&node));
    let issuers = fields.optional("issuers");
    let people = fields.optional("principals");
    fields.finish();

    // A gateway that was written but could not be read is an error, never "no gateway".
    let gateway = gateway.map_or(Some(None), |gateway| gateway.map(Some));
    let mut policy = version.and(credentials).zip(gateway).map(|(credentials, gateway)| Policy {
        tokens: Vec::new(),
        registry: None,
        rate_limit: rate_limit.flatten(),
        // Unreadable: an error was reported, and nobody uses this policy.
        origins: origins.unwrap_or(Origins::Any),
        resource: resource.flatten(),
        issuers: Vec::new(),
        people: BTreeMap::new(),
        credentials,
        providers: providers.clone(),
        gateway,
        slots,
    });
    if let Some(policy) = &policy {
        policy.check_credentials(errors);
    }
    // Without the rest nobody can say which providers have a key; what names providers is read all the same, for its
    // errors.
    let why_not = |name: &str| match &policy {
        Some(policy) => policy.why_not_enabled(name),
        None => why_unknown(&providers, name),
    };
    let tokens = tokens.map(|node| tokens::read(&node, &why_not)).unwrap_or_default();
    let issuers = issuers.map(|node| issuers::read(&node, &why_not)).unwrap_or_default();
    let has_people = people.is_some();
    let people = people.map(|node| tokens::read_people(&node, &why_not)).unwrap_or_default();
    let registry = registry.and_then(|node| RegistryPolicy::read(&node, &why_not));
    let knows_people = registry.as_ref().is_some_and(|registry| registry.protocol == Protocol::Keyswap);
    if !has_people && !knows_people {
        let asks = |(_, issuer): &(usize, &Issuer)| issuer.principals() == Principals::Known;
        for (index, _) in issuers.iter().enumerate().filter(asks) {
            errors.add(
                format!("issuers[{index}].principals"),
                "nobody can be known: add `principals` or a `registry`, or write `any`",
            );
        }
    }
    if let Some(policy) = &mut policy {
        policy.tokens = tokens;
        policy.registry = registry;
        policy.issuers = issuers;
        policy.people = people;
    }
    policy
}

fn why_unknown(providers: &[Provider], name: &str) -> Option<String> {
    let ids = providers.iter().map(|provider| provider.id.as_str()).filter(|id| providers::is_id(id));
    let ids: Vec<String> = ids.map(|id| format!("`{id}`")).collect();
    let known = providers.iter().any(|provider| provider.id == name);
    (!known).then(|| format!("no such provider; expected one of {}", ids.join(", ")))
}

fn read_slots(node: &Node<'_>) -> Vec<Slot> {
    let names = Slot::ALL.map(|slot| (slot.name(), slot));
    let mut slots = Vec::new();
    for item in node.items() {
        match item.choice(&names) {
            Some(slot) if slots.contains(&slot) => item.fail("this slot stands twice in the list"),
            Some(slot) => slots.push(slot),
            None => {}
        }
    }
    if slots.is_empty() {
        node.fail("expected at least one slot");
    }
    slots
}
