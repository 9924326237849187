//! The policy document: read once, checked whole, and from then on only meaning, no syntax.
//!
//! Everything that can be wrong with a document is reported at once ([`PolicyErrors`]). What is not said is strict.

mod bundle;
mod cors;
mod credentials;
mod duration;
mod error;
mod fits;
mod gateway;
mod host_keys;
mod issuers;
mod keys;
mod lint;
mod literal;
mod outline;
mod places;
mod providers;
mod rate_limit;
mod reader;
mod registry;
mod resource;
mod rollout;
mod shadow;
mod status;
mod tokens;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;

pub use self::bundle::{BundleSource, Configuration};
pub(crate) use self::credentials::{CredentialPolicy, Expiry, HttpSource, Source};
pub(crate) use self::duration::parse as duration;
pub use self::error::{PolicyError, PolicyErrors};
use self::gateway::Gateways;
pub(crate) use self::gateway::{Gateway, GatewayMode};
pub use self::lint::{Finding, Lint};
pub use self::places::Callout;
use self::providers::Offer;
use self::reader::{Errors, Node};
pub(crate) use self::registry::{Protocol, RegistryPolicy};
pub(crate) use self::rollout::Fallback;
pub use self::rollout::{CandidatePolicy, RolloutPolicy};
pub(crate) use self::shadow::ShadowPolicy;
pub(crate) use self::status::StatusPolicy;
use crate::cors::Origins;
use crate::identity_slot::IdentitySlot;
use crate::json;
use crate::jwt::{Issuer, Principals};
use crate::limit::{Keeper, Rule};
use crate::metadata::Claim;
use crate::provider::{KeyUse, Place, Provider};
use crate::registry::Registry;
use crate::resource::Resource;
use crate::secret::Environment;
use crate::services::Services;
use crate::slot::Slot;
use crate::token::{TokenDigest, TokenRecord};

/// The version of the document that this engine reads.
const VERSION: &str = "keyswap/v1";

/// A checked policy. The secrets it names are not in it.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The SHA-256 of the document, whatever its white space and the order of its members.
    pub(crate) digest: TokenDigest,
    pub(crate) tokens: Vec<TokenRecord>,
    registry: Option<RegistryPolicy>,
    pub(crate) rate_limit: Option<Rule>,
    pub(crate) origins: Origins,
    pub(crate) resource: Option<Resource>,
    pub(crate) status: Option<StatusPolicy>,
    /// Whether it decides nothing, and what it tells of that.
    pub(crate) shadow: Option<ShadowPolicy>,
    pub(crate) issuers: Vec<Issuer>,
    /// The people that the policy knows, by their address in lower case.
    pub(crate) people: BTreeMap<String, Arc<TokenRecord>>,
    pub(crate) credentials: CredentialPolicy,
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
        Self::from_value(&json::parse(document).map_err(|error| PolicyErrors::not_json(&error))?)
    }

    pub(crate) fn from_value(document: &Value) -> Result<Self, PolicyErrors> {
        let errors = Errors::default();
        let root = Node::root(document, &errors);
        root.refuse_literal_secrets();
        let policy = read(&root, &errors);
        let digest = TokenDigest::of(document.to_string().as_bytes());
        match (policy, errors.into_inner()) {
            (Some(policy), errors) if errors.is_empty() => Ok(Self { digest, ..policy }),
            (_, errors) => Err(PolicyErrors(errors)),
        }
    }

    /// The SHA-256 of the document in hexadecimal digits, whatever its white space and the order of its members.
    pub fn sha256(&self) -> String {
        self.digest.to_hex()
    }

    /// How many tokens stand in the policy itself.
    pub fn token_count(&self) -> usize {
        self.tokens.len()
    }

    /// The authority of the registry, where the policy has one.
    pub fn registry_authority(&self) -> Option<&str> {
        self.registry.as_ref().map(|registry| registry.url.authority.as_str())
    }

    /// The registry, with what is remembered of it.
    pub(crate) fn open_registry(
        &self,
        environment: &dyn Environment,
        services: &Services,
    ) -> Result<Option<Rc<Registry>>, PolicyErrors> {
        let registry = self.registry.as_ref().map(|policy| services.registry(policy, environment));
        registry.transpose().map_err(|error| PolicyErrors(vec![error]))
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

    /// Whether it decides nothing, and only tells what it would decide.
    pub fn is_shadow(&self) -> bool {
        self.shadow.is_some()
    }

    /// The authority of the gateway, where the policy has one.
    pub fn gateway_authority(&self) -> Option<&str> {
        let vercel = || self.providers.iter().find(|provider| provider.row.place == Place::Vercel);
        let url = self.gateway.as_ref().map(|gateway| &gateway.url);
        url.or_else(|| vercel()?.url.as_ref()).map(|url| url.authority.as_str())
    }

    /// The providers that a request can be forwarded to: those whose key we have, or the gateway.
    pub(crate) fn enabled_providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.iter().filter(|provider| self.why_disabled(provider).is_none())
    }

    /// The members of `cf-aig-metadata`.
    pub(crate) fn metadata(&self) -> &[(String, Claim)] {
        self.gateway.as_ref().map_or(&[], |gateway| &gateway.metadata)
    }

    /// Whether requests carry the provider's key.
    pub(crate) fn needs_key(&self, provider: &Provider) -> bool {
        match (provider.row.key, &self.gateway) {
            (KeyUse::OfMode, Some(gateway)) if provider.via_gateway => {
                gateway.mode == GatewayMode::ProviderKey
            }
            (KeyUse::OfMode | KeyUse::Always, _) => true,
            (KeyUse::Never, _) => false,
        }
    }

    /// What keeps requests from being forwarded to this provider, if anything does.
    fn why_disabled(&self, provider: &Provider) -> Option<String> {
        let gateway = self.gateway.as_ref().filter(|_| provider.via_gateway);
        let billed = gateway.is_some_and(|gateway| gateway.mode == GatewayMode::UnifiedBilling);
        if gateway.is_some() && provider.row.host_in_path && provider.path.is_none() {
            return Some(
                "the path chooses the host that gets the key: pin it by a `path` in `providers`".to_owned(),
            );
        }
        if gateway.is_none() && provider.url.is_none() {
            return Some("where its API lives is not known: add a `url` in `providers`".to_owned());
        }
        if billed && !provider.row.unified_billing {
            return Some(
                "Cloudflare does not bill for this provider: set `via: direct` in `providers`".to_owned(),
            );
        }
        let missing = provider.keys.names().find(|name| !self.credentials.contains(name));
        missing
            .filter(|_| self.needs_key(provider))
            .map(|name| format!("the provider has no key: add `{name}` to `credentials`"))
    }

    /// What is wrong with naming this provider in a scope, if anything is.
    fn why_not_enabled(&self, name: &str) -> Option<String> {
        match self.providers.iter().find(|provider| provider.id == name) {
            Some(provider) => self.why_disabled(provider),
            None => Some(why_unknown(self.provider_names())),
        }
    }

    /// Why no provider uses this credential, if none does.
    fn why_unused(&self, name: &str) -> Option<String> {
        let mut why = "nothing uses this credential: remove it, or name it in a provider".to_owned();
        let uses = |it: &&Provider| it.keys.names().any(|key| key == name) && self.needs_key(it);
        for provider in self.providers.iter().filter(uses) {
            why = self.why_disabled(provider)?;
        }
        Some(why)
    }

    fn check_credentials(&self, errors: &Errors) {
        if let Some(gateway) = &self.gateway
            && !self.credentials.contains(&gateway.credential)
        {
            errors.add("gateway.cloudflare.credential", "no such credential in `credentials`");
        }
        let mut vercel = self.providers.iter().filter(|provider| provider.row.place == Place::Vercel);
        if vercel.any(|provider| !provider.keys.names().all(|name| self.credentials.contains(name))) {
            errors.add("gateway.vercel.credential", "no such credential in `credentials`");
        }
        for name in self.credentials.names() {
            let of_gateway = self.gateway.as_ref().is_some_and(|gateway| gateway.credential == name);
            if let Some(message) = self.why_unused(name).filter(|_| !of_gateway) {
                errors.add(format!("credentials.{name}"), message);
            }
        }
    }
}

/// Its parts are read by functions that stay functions (`inline(never)`): a host compiles a function as a whole, and takes
/// the more memory for that, the longer it is.
fn read(root: &Node<'_>, errors: &Errors) -> Option<Policy> {
    let mut fields = root.fields()?;
    let version = fields.required("version").and_then(|node| node.choice(&[(VERSION, ())]));
    let credentials = fields.required("credentials").map(|node| CredentialPolicy::read(&node));
    let gateways = fields.optional("gateway").map(|node| Gateways::read(&node));
    let offer = Offer::of(gateways.as_ref().and_then(Option::as_ref), gateways.is_some());
    // A gateway that was written but could not be read is an error, never "no gateway".
    let gateway = gateways.map_or(Some(None), |gateways| gateways.map(|gateways| gateways.cloudflare));
    let gateway_credential =
        gateway.as_ref().and_then(Option::as_ref).map(|gateway| gateway.credential.as_str());
    let providers = providers::read(fields.optional("providers").as_ref(), &offer, gateway_credential);
    let slots = fields.optional("slots").map_or_else(|| Slot::ALL.to_vec(), |node| read_slots(&node));
    let tokens = fields.optional("tokens");
    let registry = fields.optional("registry");
    let rate_limit = fields.optional("rate_limit").map(|node| rate_limit::read_rule(&node));
    let origins = fields.optional("cors").map_or(Some(Origins::Any), |node| cors::read(&node));
    let resource = fields.optional("resource").map(|node| resource::read(&node));
    let status = fields.optional("status").map(|node| StatusPolicy::read(&node));
    let shadow = ShadowPolicy::read(&mut fields);
    let issuers = fields.optional("issuers");
    let people = fields.optional("principals");
    fields.finish();

    let mut policy = version.and(credentials).zip(gateway).map(|(credentials, gateway)| Policy {
        digest: TokenDigest::of(&[]),
        tokens: Vec::new(),
        registry: None,
        rate_limit: rate_limit.flatten(),
        // Unreadable: an error was reported, and nobody uses this policy.
        origins: origins.unwrap_or(Origins::Any),
        resource: resource.flatten(),
        status,
        shadow,
        issuers: Vec::new(),
        people: BTreeMap::new(),
        credentials,
        providers: providers.clone(),
        gateway,
        slots,
    });
    if let Some(policy) = &policy {
        policy.check_credentials(errors);
        policy.check_host_keys(errors);
    }
    // Without the rest nobody can say which providers have a key; what names providers is read all the same, for its
    // errors.
    let why_not = |name: &str| match &policy {
        _ if name == StatusPolicy::SCOPE && status.is_some_and(|status| status.tokens) => None,
        Some(policy) => policy.why_not_enabled(name),
        None if providers.iter().any(|provider| provider.id == name) => None,
        None => Some(why_unknown(providers.iter().map(|provider| provider.id.as_str()))),
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
    if let Some(policy) = &policy {
        for (path, header) in policy.credentials.request_headers() {
            let is_slot = |slot: &IdentitySlot| *slot == IdentitySlot::Header(header.to_owned());
            if !issuers.iter().flat_map(Issuer::slots).any(is_slot) {
                errors.add(path, "no issuer verifies what this header holds: only then may it go upstream");
            }
        }
    }
    if let Some(policy) = &mut policy {
        policy.tokens = tokens;
        policy.registry = registry;
        policy.issuers = issuers;
        policy.people = people;
        let asks_registry = policy.rate_limit.is_some_and(|rule| rule.keeper == Keeper::Registry);
        if asks_registry && !policy.has_keeper() {
            errors.add("rate_limit.store", "there is no `registry` that keeps limits: `keyswap serve` does");
        }
    }
    policy
}

/// `names` are those that would do.
fn why_unknown<'p>(names: impl Iterator<Item = &'p str>) -> String {
    let names: Vec<String> = names.filter(|id| providers::is_id(id)).map(|id| format!("`{id}`")).collect();
    match names.as_slice() {
        [] => "no such provider, and none has a key in `credentials`".to_owned(),
        names => format!("no such provider; expected one of {}", names.join(", ")),
    }
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
