//! The meaning of a policy, as data: defaults filled in, order where it matters, and nothing of how it was written.
//!
//! Two policies with the same outline decide alike. An outline is for people and for tools that compare policies; it
//! names secrets and holds none.

use serde_json::{Map, Value, json};

use super::answers::AnswersPolicy;
use super::broker::BrokerPolicy;
use super::credentials_outline::credentials;
use super::document::Policy;
use super::gateway::{Gateway, GatewayMode};
use super::hosts::Hosts;
use super::issuers_outline::{authority, issuer};
use super::limits_outline::{budget, budgets, limit, metering, price, rule};
use super::outline_words::{auth, duration, key_set, lists, plaintext};
use super::registry::{Protocol, RegistryPolicy};
use super::shadow::ShadowPolicy;
use super::status::StatusPolicy;
use crate::answer::{Origins, Resource};
use crate::identity::{CallerRecord, TokenStatus};
use crate::limit::Budget;
use crate::provider::{
    BindingKind, Bindings, CLAIMS, Dialect, Endpoints, KeyPool, METHOD_NAMES, OwnRow, Provider,
};
use crate::syntax::BaseUrl;

impl Policy {
    /// Returns the outline: a section for each part of the document. `tokens` are by [`CallerRecord::id`], `providers`
    /// are those that are enabled.
    pub fn outline(&self) -> Value {
        let own = |record: &CallerRecord| self.budgets.as_ref()?.own.get(&record.digest);
        let tokens = self.tokens.iter().map(|token| (token.id(), record(token, own(token))));
        let people = self.people.iter().map(|(email, person)| (email.clone(), record(person, own(person))));
        let issuers = self.issuers.iter().map(|it| (it.name().to_owned(), issuer(it)));
        let authorities = self.client_certificates.iter().map(|it| (it.name().to_owned(), authority(it)));
        let providers = self.enabled_providers().map(|it| (it.id.clone(), self.provider(it)));
        json!({
            "mode": match self.shadow {
                None => "enforce",
                Some(ShadowPolicy { header: false }) => "shadow",
                Some(ShadowPolicy { header: true }) => "shadow, with its header",
            },
            "hosts": self.hosts.as_ref().map(Hosts::names),
            "model_groups": self.model_groups.0,
            "tokens": tokens.collect::<Map<_, _>>(),
            "principals": people.collect::<Map<_, _>>(),
            "issuers": issuers.collect::<Map<_, _>>(),
            "client_certificates": authorities.collect::<Map<_, _>>(),
            "credentials": credentials(&self.credentials),
            "providers": providers.collect::<Map<_, _>>(),
            "gateway": self.gateway.as_ref().map(gateway),
            "registry": self.registry.as_ref().map(registry),
            "rate_limit": self.rate_limit.map(rule),
            "metering": self.metering().map(metering),
            "prices": self.prices.overrides().map(|(name, it)| (name.to_owned(), price(it))).collect::<Map<_, _>>(),
            "budgets": self.budgets.as_ref().map(budgets),
            "cors": {"allow_origins": match &self.origins {
                Origins::Any => json!(["*"]),
                Origins::These(origins) => json!(origins),
            }},
            "resource": self.resource.as_ref().map(Resource::outline),
            "status": {"allow": self.status.map(status)},
            "answers": {"pass": answers(self.answers)},
            "revoke": if self.ends_exchanges { "streams" } else { "requests" },
            "access_log": if self.tells_access_log { "values" } else { "none" },
            "broker": self.broker.as_ref().map(broker),
            "slots": self.slots.order.iter().map(|slot| slot.name()).collect::<Vec<_>>(),
            "second_credential": if self.slots.refuses_second { "refuse" } else { "remove" },
        })
    }

    fn provider(&self, provider: &Provider) -> Value {
        let Provider {
            id: _,
            slug,
            dialect,
            auth: style,
            url: _,
            native_prefix,
            path,
            keys,
            via_gateway,
            stands_for,
            endpoints,
            objects,
            builtin: _,
        } = provider;
        json!({
            "via": if *via_gateway { "gateway" } else { "direct" },
            "url": self.base_url(provider).filter(|_| !via_gateway).map(show),
            "slug": slug,
            "dialect": match dialect {
                Dialect::OpenAi => "openai",
                Dialect::Anthropic => "anthropic",
                Dialect::Google => "google",
            },
            "auth": auth(style),
            "native_prefix": native_prefix,
            "path": path,
            "credentials": self.needs_key(provider).then(|| weights(keys)),
            "bindings": self.needs_key(provider).then(|| bindings(&keys.bindings)),
            "cooldown": (keys.members.len() > 1).then(|| duration(keys.cooldown)),
            "takes_requests_for": stands_for,
            "endpoints": own_endpoints(endpoints),
            "objects": objects.name(),
        })
    }
}

/// Returns the endpoints that a policy writes; null where they are those of a built-in API.
fn own_endpoints(endpoints: &Endpoints) -> Value {
    let row = |row: &OwnRow| {
        let methods = METHOD_NAMES.iter().filter(|(_, method)| row.methods.has_any(*method));
        let methods: Vec<&str> = methods.map(|(name, _)| *name).collect();
        json!({"methods": methods, "path": row.path, "class": row.class.name()})
    };
    match endpoints {
        Endpoints::BuiltIn(..) => Value::Null,
        Endpoints::Own(rows) => rows.iter().map(row).collect(),
        Endpoints::Any => "any".into(),
    }
}

fn record(record: &CallerRecord, own: Option<&Budget>) -> Value {
    let CallerRecord {
        kind: _,
        digest: _,
        holder: _,
        label,
        owner,
        team,
        status,
        scope,
        models,
        expires_at,
        rate_limit,
        ended_sessions: _,
        certificate,
        budget: _,
    } = record;
    json!({
        "label": label,
        "owner": owner,
        "team": team,
        "status": if *status == TokenStatus::Active { "active" } else { "disabled" },
        "providers": scope.entries(),
        "models": lists(models),
        "expires_at": expires_at.map(|at| at.to_string()),
        "rate_limit": rate_limit.map(limit),
        "certificate_sha256": certificate.map(|certificate| certificate.to_hex()),
        "budget": own.map(budget),
    })
}

/// Returns the rates of a price in US dollars per million tokens.
fn status(status: StatusPolicy) -> Value {
    let StatusPolicy { loopback, tokens } = status;
    let allowed = [("loopback", loopback), ("tokens", tokens)];
    allowed.into_iter().filter(|(_, allowed)| *allowed).map(|(name, _)| name).collect()
}

fn answers(AnswersPolicy { limits, account }: AnswersPolicy) -> Value {
    let passed = [("limits", limits), ("account", account)];
    passed.into_iter().filter(|(_, passed)| *passed).map(|(name, _)| name).collect()
}

fn broker(BrokerPolicy { key, max_ttl }: &BrokerPolicy) -> Value {
    json!({"key": key.name(), "max_ttl": duration(*max_ttl)})
}

fn gateway(gateway: &Gateway) -> Value {
    let metadata = gateway.metadata.iter().map(|(name, claim)| {
        let told = CLAIMS.iter().find(|(_, other)| other == claim).map(|(told, _)| *told);
        (name.clone(), told.into())
    });
    json!({
        "url": format!("{}{}", gateway.url.site(), gateway.path_prefix("")),
        "credential": gateway.credential,
        "mode": match gateway.mode {
            GatewayMode::ProviderKey => "provider_key",
            GatewayMode::Byok => "byok",
            GatewayMode::UnifiedBilling => "unified_billing",
        },
        "metadata": metadata.collect::<Map<_, _>>(),
        "client_headers": gateway.client_headers,
        "sets": gateway.controls.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>(),
    })
}

fn registry(registry: &RegistryPolicy) -> Value {
    let RegistryPolicy { url, cluster, credential, timeout, positive, negative, protocol, keys } = registry;
    json!({
        "url": show(url),
        "plaintext": plaintext(url.is_exposed()),
        "cluster": cluster,
        "credential": credential.name(),
        "timeout": duration(*timeout),
        "cache": {"positive": duration(*positive), "negative": duration(*negative)},
        "introspection": match protocol {
            Protocol::Keyswap => Value::Null,
            Protocol::Introspection { scope, audiences } => {
                json!({"providers": scope.entries(), "audiences": audiences})
            }
        },
        "keys": keys.as_ref().map(key_set),
    })
}

fn weights(keys: &KeyPool) -> Map<String, Value> {
    keys.members.iter().map(|(name, weight)| (name.clone(), (*weight).into())).collect()
}

/// Returns each binding in words. Tokens are shown by their ids, here as elsewhere.
fn bindings(bindings: &Bindings<String>) -> Vec<String> {
    let shown = |(kind, name, credential): (BindingKind, &str, &String)| {
        let name = name.get(..16).filter(|_| kind == BindingKind::Token).unwrap_or(name);
        format!("{kind} {name}: {credential}")
    };
    bindings.iter().map(shown).collect()
}

fn show(url: &BaseUrl) -> String {
    format!("{}{}", url.site(), url.path)
}
