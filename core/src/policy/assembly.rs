//! The reading of a document in three phases: its members, the names that they have for each other, and their
//! agreement.
//!
//! Every error is noted where it is found, and reading goes on. A document with errors is refused whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::answers::AnswersPolicy;
use super::broker::BrokerPolicy;
use super::budgets::MeteringPolicy;
use super::credentials::CredentialPolicy;
use super::document::{Policy, why_unknown};
use super::error::PolicyErrors;
use super::gateway::{Gateway, Gateways};
use super::hosts::Hosts;
use super::providers::{self, Offer};
use super::reader::{Errors, Fields, Node};
use super::registry::{Protocol, RegistryPolicy};
use super::shadow::ShadowPolicy;
use super::status::StatusPolicy;
use super::tokens::WhyNot;
use super::{budgets, client_certificates, cors, issuers, prices, rate_limit, resource, tokens};
use crate::answer::{Origins, Resource};
use crate::base::Digest;
use crate::identity::jwt::{Issuer, IssuerRule, Principals};
use crate::identity::{CallerRecord, CertificateAuthority, Class, Classes, ModelGroups, TokenTable};
use crate::limit::{Budget, BudgetRules, Rule};
use crate::price::Prices;
use crate::provider::Provider;
use crate::provider::objects::ObjectsMode;
use crate::request::{Slot, Slots};
use crate::syntax::json;

/// The version of the document that this engine reads.
const VERSION: &str = "keyswap/v1";
/// Extents of a revocation: new requests, or those that are under way as well.
const REVOKED: [(&str, bool); 2] = [("requests", false), ("streams", true)];
/// The values of requests that access logs get.
const LOGGED: [(&str, bool); 2] = [("values", true), ("none", false)];

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
        let digest = Digest::of(document.to_string().as_bytes());
        match (policy, errors.into_inner()) {
            (Some(policy), errors) if errors.is_empty() => Ok(Self { digest, ..policy }),
            (_, errors) => Err(PolicyErrors(errors)),
        }
    }
}

/// An error that was noted. A member that cannot be read is never taken for one that is left out.
struct Noted;

/// The members of a document, as far as each can be read by itself.
struct Members<'d> {
    version: Option<()>,
    credentials: Option<CredentialPolicy>,
    gateway: Result<Option<Gateway>, Noted>,
    providers: Vec<Provider>,
    slots: Slots,
    rate_limit: Option<Rule>,
    metering: Option<MeteringPolicy>,
    prices: Prices,
    budgets: Option<BudgetRules>,
    origins: Origins,
    model_groups: Arc<ModelGroups>,
    resource: Option<Resource>,
    status: Option<StatusPolicy>,
    answers: AnswersPolicy,
    ends_exchanges: bool,
    tells_access_log: bool,
    broker: Option<BrokerPolicy>,
    shadow: Option<ShadowPolicy>,
    hosts: Option<Hosts>,
    unresolved: Unresolved<'d>,
}

/// The members that name providers, or are named by others: their meaning depends on the rest.
struct Unresolved<'d> {
    tokens: Option<Node<'d>>,
    registry: Option<Node<'d>>,
    issuers: Option<Node<'d>>,
    client_certificates: Option<Node<'d>>,
    people: Option<Node<'d>>,
}

/// The parts of the policy that [`Unresolved`] states, resolved.
struct Resolved {
    tokens: Vec<Arc<CallerRecord>>,
    /// The budgets of tokens and people with one of their own.
    own_budgets: BTreeMap<Digest, Budget>,
    registry: Option<RegistryPolicy>,
    issuers: Vec<Issuer>,
    client_certificates: Vec<CertificateAuthority>,
    /// `None` where the document has no list of people.
    people: Option<BTreeMap<String, Arc<CallerRecord>>>,
}

/// Reads a document in three phases.
///
/// The phases and the readers of parts stay functions (`inline(never)`). A host compiles a function as a whole, and a
/// longer one takes more memory.
fn read(root: &Node<'_>, errors: &Errors) -> Option<Policy> {
    let mut fields = root.fields()?;
    let members = Members::read(&mut fields);
    fields.finish();

    let groups = Arc::clone(&members.model_groups);
    let (status, unresolved, policy) = members.into_policy();
    if let Ok(policy) = &policy {
        policy.check_credentials(errors);
        policy.check_host_keys(errors);
    }
    // Without the rest it is not known which providers have a key. Members that name providers are read all the same,
    // for their errors.
    let why_not = |name: &str, classes: Classes| match &policy {
        _ if name == StatusPolicy::SCOPE && status.is_some_and(|status| status.tokens) => None,
        Ok(policy) => {
            let mints = classes.has(Class::Mint);
            policy.why_not_enabled(name).or_else(|| mints.then(|| policy.why_not_minted(name)).flatten())
        }
        Err(providers) if providers.iter().any(|provider| provider.id == name) => None,
        Err(providers) => Some(why_unknown(providers.iter().map(|provider| provider.id.as_str()))),
    };
    let resolved = unresolved.resolve(&why_not, &groups);
    resolved.check_people(errors);
    let policy = policy.ok()?.with(resolved);
    policy.check_request_headers(errors);
    policy.check_sign_ins(errors);
    policy.check_limits(errors);
    policy.check_budgets(errors);
    policy.check_revocation(errors);
    policy.check_authorities(errors);
    Some(policy)
}

impl<'d> Members<'d> {
    #[inline(never)]
    fn read(fields: &mut Fields<'d>) -> Self {
        let version = fields.required("version").and_then(|node| node.choice(&[(VERSION, ())]));
        let credentials = fields.required("credentials").map(|node| CredentialPolicy::read(&node));
        let gateways = fields.optional("gateway").map(|node| Gateways::read(&node));
        let offer = Offer::of(gateways.as_ref().and_then(Option::as_ref), gateways.is_some());
        let gateway =
            gateways.map_or(Ok(None), |gateways| gateways.map(|gateways| gateways.cloudflare).ok_or(Noted));
        let gateway_credential =
            gateway.as_ref().ok().and_then(Option::as_ref).map(|gateway| gateway.credential.as_str());
        let objects =
            fields.optional("objects").and_then(|node| node.choice(&ObjectsMode::NAMES)).unwrap_or_default();
        let providers =
            providers::read(fields.optional("providers").as_ref(), &offer, gateway_credential, objects);
        let slots = fields.optional("slots").map_or_else(|| Slot::ALL.to_vec(), |node| read_slots(&node));
        let second = fields.optional("second_credential").and_then(|node| node.choice(&SECOND_CREDENTIAL));
        let (tokens, registry) = (fields.optional("tokens"), fields.optional("registry"));
        let rate_limit = fields.optional("rate_limit").and_then(|node| rate_limit::read_rule(&node));
        let metering = fields.optional("metering").and_then(|node| MeteringPolicy::read(&node));
        let prices = fields.optional("prices").map(|node| prices::read(&node)).unwrap_or_default();
        let budgets = fields.optional("budgets").and_then(|node| budgets::read(&node));
        let origins = fields.optional("cors").map_or(Some(Origins::Any), |node| cors::read(&node));
        let resource = fields.optional("resource").and_then(|node| resource::read(&node));
        let status = fields.optional("status").map(|node| StatusPolicy::read(&node));
        let answers = fields.optional("answers").map(|node| AnswersPolicy::read(&node)).unwrap_or_default();
        let revoke = fields.optional("revoke").and_then(|node| node.choice(&REVOKED));
        let logged = fields.optional("access_log").and_then(|node| node.choice(&LOGGED));
        let broker = fields.optional("broker").and_then(|node| BrokerPolicy::read(&node));
        let shadow = ShadowPolicy::read(fields);
        let hosts = fields.optional("hosts").map(|node| Hosts::read(&node));
        let model_groups =
            fields.optional("model_groups").map(|node| ModelGroups::read(&node)).unwrap_or_default();
        let (issuers, people) = (fields.optional("issuers"), fields.optional("principals"));
        let client_certificates = fields.optional("client_certificates");
        Self {
            version,
            credentials,
            gateway,
            providers,
            slots: Slots::new(slots, second.unwrap_or(false)),
            rate_limit,
            metering,
            prices,
            budgets,
            // Unreadable: an error was noted, and this policy is refused.
            origins: origins.unwrap_or(Origins::Any),
            model_groups: Arc::new(model_groups),
            resource,
            status,
            answers,
            ends_exchanges: revoke.unwrap_or(false),
            tells_access_log: logged.unwrap_or(true),
            broker,
            shadow,
            hosts,
            unresolved: Unresolved { tokens, registry, issuers, client_certificates, people },
        }
    }

    /// Makes the policy without its unresolved parts. Returns only the providers where a part is missing on which the
    /// rest depends.
    fn into_policy(self) -> (Option<StatusPolicy>, Unresolved<'d>, Result<Policy, Vec<Provider>>) {
        let Self { version, credentials, gateway, providers, status, unresolved, .. } = self;
        let policy = match version.and(credentials).zip(gateway.ok()) {
            Some((credentials, gateway)) => Ok(Policy {
                digest: Digest::of(&[]),
                hosts: self.hosts,
                tokens: Vec::new(),
                table: TokenTable::default(),
                model_groups: self.model_groups,
                registry: None,
                rate_limit: self.rate_limit,
                metering: self.metering,
                prices: Arc::new(self.prices),
                budgets: self.budgets,
                origins: self.origins,
                resource: self.resource,
                status,
                answers: self.answers,
                ends_exchanges: self.ends_exchanges,
                tells_access_log: self.tells_access_log,
                broker: self.broker,
                shadow: self.shadow,
                issuers: Vec::new(),
                client_certificates: Vec::new(),
                people: BTreeMap::new(),
                credentials,
                providers,
                gateway,
                slots: self.slots,
            }),
            None => Err(providers),
        };
        (status, unresolved, policy)
    }
}

impl Unresolved<'_> {
    /// Reads the members that name providers. `why_not` returns the fault of an entry in a scope, if it has one.
    ///
    /// Only a proxy token that is found by its digest can mint: a brokered token is valid as long as its parent is.
    #[inline(never)]
    fn resolve(self, why_not: &WhyNot<'_>, groups: &ModelGroups) -> Resolved {
        let why_not_otherwise: &WhyNot<'_> = &|name, classes| {
            let message = "`mint` is for proxy tokens of the policy or of `keyswap serve` only";
            if classes.has(Class::Mint) { Some(message.to_owned()) } else { why_not(name, classes) }
        };
        let mut own_budgets = BTreeMap::new();
        Resolved {
            tokens: self
                .tokens
                .map(|node| tokens::read(&node, why_not, groups, &mut own_budgets))
                .unwrap_or_default(),
            issuers: self
                .issuers
                .map(|node| issuers::read(&node, why_not_otherwise, groups))
                .unwrap_or_default(),
            client_certificates: self
                .client_certificates
                .map(|node| client_certificates::read(&node, why_not_otherwise, groups))
                .unwrap_or_default(),
            people: self
                .people
                .map(|node| tokens::read_people(&node, why_not_otherwise, groups, &mut own_budgets)),
            own_budgets,
            registry: self.registry.and_then(|node| RegistryPolicy::read(&node, why_not_otherwise)),
        }
    }
}

impl Resolved {
    /// Checks that the people of an issuer can be known, where it admits known people only.
    fn check_people(&self, errors: &Errors) {
        let knows_people =
            self.registry.as_ref().is_some_and(|registry| registry.protocol == Protocol::Keyswap);
        if knows_people {
            return;
        }
        for (index, issuer) in self.issuers.iter().enumerate() {
            let is_known = issuer.principals() == Principals::Known;
            if issuer.has_sessions() {
                errors.add(
                    format!("issuers[{index}].preset"),
                    "its sessions are those of a `registry`: add one",
                );
            } else if is_known && self.people.is_none() {
                errors.add(
                    format!("issuers[{index}].principals"),
                    "no person can be known: add `principals` or a `registry`, or write `any`",
                );
            }
        }
    }
}

impl Policy {
    fn with(self, resolved: Resolved) -> Self {
        let Resolved { tokens, own_budgets, registry, issuers, client_certificates, people } = resolved;
        let (table, people) = (TokenTable::new(&tokens), people.unwrap_or_default());
        let mut policy = Self { tokens, table, registry, issuers, client_certificates, people, ..self };
        let has_budget = |rule: &IssuerRule| rule.budget().is_some();
        let of_rule = policy.rights().any(|(_, rights)| rights.iter().any(has_budget));
        if of_rule || !own_budgets.is_empty() {
            policy.budgets.get_or_insert_default().own = own_budgets;
        }
        policy
    }
}

/// Words for a second credential, each with whether it is refused.
const SECOND_CREDENTIAL: [(&str, bool); 2] = [("remove", false), ("refuse", true)];

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
