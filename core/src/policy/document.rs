//! A checked policy: only meaning, no syntax.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answers::AnswersPolicy;
use super::broker::BrokerPolicy;
use super::budgets::MeteringPolicy;
use super::credentials::CredentialPolicy;
use super::error::listed;
use super::gateway::{Gateway, GatewayMode};
use super::hosts::Hosts;
use super::issuers;
use super::providers::is_id;
use super::registry::RegistryPolicy;
use super::shadow::ShadowPolicy;
use super::status::StatusPolicy;
use crate::answer::{Origins, Resource};
use crate::base::Digest;
use crate::identity::jwt::{Issuer, IssuerRule};
use crate::identity::{CallerRecord, CertificateAuthority, ModelGroups, TokenTable};
use crate::limit::{BudgetRules, Rule};
use crate::price::Prices;
use crate::provider::model::is_named_by_models;
use crate::provider::{Claim, EndpointKind, KeyPolicy, Provider};
use crate::request::{RequestHead, Slots};

/// A checked policy. The secrets it names are not in it.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The SHA-256 of the document, whatever its white space and the order of its members.
    pub(crate) digest: Digest,
    /// The hosts that the policy is for; `None` where it is for all.
    pub(crate) hosts: Option<Hosts>,
    /// The tokens in the order of the document.
    pub(crate) tokens: Vec<Arc<CallerRecord>>,
    /// The same by digest. It is made with the policy, so that an instance with a prepared one need not.
    pub(crate) table: TokenTable,
    pub(crate) model_groups: Arc<ModelGroups>,
    pub(crate) registry: Option<RegistryPolicy>,
    pub(crate) rate_limit: Option<Rule>,
    /// The metering that the document asks for; see [`Policy::metering`].
    pub(crate) metering: Option<MeteringPolicy>,
    pub(crate) prices: Arc<Prices>,
    /// The budgets; `None` where none is enforced.
    pub(crate) budgets: Option<BudgetRules>,
    pub(crate) origins: Origins,
    pub(crate) resource: Option<Resource>,
    pub(crate) status: Option<StatusPolicy>,
    pub(crate) answers: AnswersPolicy,
    /// Set where the exchange of a caller ends when the caller loses the right to it (`revoke: streams`).
    pub(crate) ends_exchanges: bool,
    /// Set where access logs get the values of a request: its caller, the provider, the reason and what it took.
    pub(crate) tells_access_log: bool,
    /// The broker of minted credentials; `None` where no answer is brokered.
    pub(crate) broker: Option<BrokerPolicy>,
    /// The shadow mode, with its reports; `None` where the policy decides.
    pub(crate) shadow: Option<ShadowPolicy>,
    pub(crate) issuers: Vec<Issuer>,
    /// The authorities whose client certificates are accepted as identities.
    pub(crate) client_certificates: Vec<CertificateAuthority>,
    /// The people that the policy knows, by their address in lower case.
    pub(crate) people: BTreeMap<String, Arc<CallerRecord>>,
    pub(crate) credentials: CredentialPolicy,
    pub(crate) providers: Vec<Provider>,
    pub(crate) gateway: Option<Gateway>,
    pub(crate) slots: Slots,
}

/// The reason why requests are not forwarded to a provider.
enum ProviderFault<'p> {
    Of(&'static str),
    /// The credential of this name is not there.
    NoKey(&'p str),
}

impl Policy {
    /// Returns the SHA-256 of the document in hexadecimal digits, whatever its white space and the order of its
    /// members.
    pub fn sha256(&self) -> String {
        self.digest.to_hex()
    }

    /// Returns the number of tokens in the policy itself.
    pub fn token_count(&self) -> usize {
        self.tokens.len()
    }

    /// Returns the authority of the registry; `None` where the policy has none.
    pub fn registry_authority(&self) -> Option<&str> {
        self.registry.as_ref().map(|registry| registry.url.authority.as_str())
    }

    /// Returns the issuers whose JWTs are accepted as identities.
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// Returns the authorities whose client certificates are accepted as identities.
    pub fn client_certificates(&self) -> &[CertificateAuthority] {
        &self.client_certificates
    }

    /// Returns the rights that each issuer of JWTs and each authority of certificates gives, with its place in the document.
    pub(crate) fn rights(&self) -> impl Iterator<Item = (String, &[IssuerRule])> {
        let issuers = self.issuers.iter().map(Issuer::rights).enumerate();
        let issuers = issuers.map(|(index, rights)| (format!("issuers[{index}]"), rights));
        let authorities = self.client_certificates.iter().map(CertificateAuthority::rights).enumerate();
        issuers.chain(authorities.map(|(index, rights)| (format!("client_certificates[{index}]"), rights)))
    }

    /// Returns the headers that carry identity JWTs, each once. None of them is forwarded.
    pub fn identity_headers(&self) -> impl Iterator<Item = &str> {
        issuers::identity_headers(&self.issuers)
    }

    /// Returns the names of the providers that a request can be forwarded to.
    pub fn provider_names(&self) -> impl Iterator<Item = &str> {
        self.enabled_providers().map(|provider| provider.id.as_str())
    }

    /// Returns the prices of models.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// Tells whether the policy is for the host that a request names.
    #[inline]
    pub(crate) fn serves(&self, head: &RequestHead<'_>) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.has(head.named_host()))
    }

    /// Returns whether the policy is in shadow mode: it decides nothing, and only reports.
    pub fn is_shadow(&self) -> bool {
        self.shadow.is_some()
    }

    /// Returns the policy as it is once it decides: without shadow mode.
    #[must_use]
    pub fn enforced(self) -> Self {
        Self { shadow: None, ..self }
    }

    /// Returns the authority of the gateway; `None` where the policy has none.
    pub fn gateway_authority(&self) -> Option<&str> {
        let vercel =
            || self.providers.iter().find(|provider| provider.builtin.endpoint == EndpointKind::Vercel);
        let url = self.gateway.as_ref().map(|gateway| &gateway.url);
        url.or_else(|| vercel()?.url.as_ref()).map(|url| url.authority.as_str())
    }

    /// Returns the providers that a request can be forwarded to: those with a key in the policy or at the gateway.
    pub(crate) fn enabled_providers(&self) -> impl Iterator<Item = &Provider> {
        self.providers.iter().filter(|provider| self.fault_of(provider).is_none())
    }

    /// Returns the members of `cf-aig-metadata`.
    pub(crate) fn metadata(&self) -> &[(String, Claim)] {
        self.gateway.as_ref().map_or(&[], |gateway| &gateway.metadata)
    }

    /// Returns whether requests carry the provider's key.
    pub(crate) fn needs_key(&self, provider: &Provider) -> bool {
        match (provider.builtin.key, &self.gateway) {
            (KeyPolicy::OfMode, Some(gateway)) if provider.via_gateway => {
                gateway.mode == GatewayMode::ProviderKey
            }
            (KeyPolicy::OfMode | KeyPolicy::Always, _) => true,
            (KeyPolicy::Never, _) => false,
        }
    }

    /// Returns the reason why requests are not forwarded to this provider, if there is one.
    fn why_disabled(&self, provider: &Provider) -> Option<String> {
        self.fault_of(provider).map(|fault| match fault {
            ProviderFault::Of(words) => words.to_owned(),
            ProviderFault::NoKey(name) => format!("the provider has no key: add `{name}` to `credentials`"),
        })
    }

    fn fault_of<'p>(&self, provider: &'p Provider) -> Option<ProviderFault<'p>> {
        let gateway = self.gateway.as_ref().filter(|_| provider.via_gateway);
        let billed = gateway.is_some_and(|gateway| gateway.mode == GatewayMode::UnifiedBilling);
        if gateway.is_some() && provider.builtin.host_in_path && provider.path.is_none() {
            return Some(ProviderFault::Of(
                "the path chooses the host that gets the key: pin it by a `path` in `providers`",
            ));
        }
        if gateway.is_none() && provider.url.is_none() {
            return Some(ProviderFault::Of(
                "the address of its API is not known: add a `url` in `providers`",
            ));
        }
        if billed && !provider.builtin.unified_billing {
            return Some(ProviderFault::Of(
                "Cloudflare does not bill for this provider: set `via: direct` in `providers`",
            ));
        }
        let missing = provider.keys.names().find(|name| !self.credentials.contains(name));
        missing.filter(|_| self.needs_key(provider)).map(ProviderFault::NoKey)
    }

    /// Returns the reason why a scope may not name this provider, if there is one.
    ///
    /// Vercel's gateway has the keys of the providers that its models name, so a scope may name one without a key here.
    pub(super) fn why_not_enabled(&self, name: &str) -> Option<String> {
        let mut enabled = self.enabled_providers();
        if is_named_by_models(name) && enabled.any(|it| it.builtin.endpoint == EndpointKind::Vercel) {
            return None;
        }
        match self.providers.iter().find(|provider| provider.id == name) {
            Some(provider) => self.why_disabled(provider),
            None => Some(why_unknown(self.provider_names())),
        }
    }

    /// Returns the reason why no scope may open the class `mint` of this provider, if there is one.
    pub(super) fn why_not_minted(&self, name: &str) -> Option<String> {
        let provider = self.providers.iter().find(|provider| provider.id == name);
        match provider.and_then(|provider| provider.endpoints.brokered()) {
            None => Some(format!("`{name}` has no endpoint that mints and whose answer can be brokered")),
            Some(_) if self.broker.is_none() => Some(
                "`mint` opens endpoints whose answer is brokered, for which the policy needs a `broker` with a key"
                    .to_owned(),
            ),
            Some(_) => None,
        }
    }

    /// Returns the reason why no provider uses this credential; `None` where one does.
    pub(super) fn why_unused(&self, name: &str) -> Option<String> {
        let mut why = "nothing uses this credential: remove it, or name it in a provider".to_owned();
        let uses = |it: &&Provider| it.keys.names().any(|key| key == name) && self.needs_key(it);
        for provider in self.providers.iter().filter(uses) {
            why = self.why_disabled(provider)?;
        }
        Some(why)
    }
}

/// Returns the message for a provider that is not known. `names` are those that would do.
pub(super) fn why_unknown<'p>(names: impl Iterator<Item = &'p str>) -> String {
    let names = listed(names.filter(|id| is_id(id)), |id| format!("`{id}`"));
    match names.as_str() {
        "" => "no such provider, and none has a key in `credentials`".to_owned(),
        names => format!("no such provider; expected one of {names}"),
    }
}
