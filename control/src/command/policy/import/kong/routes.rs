//! The routes of Kong's configuration that lead to a provider, with what they permit and to which consumers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::plugins::{Entity, Plugin, Plugins, entities, reference};
use super::targets;
use crate::command::policy::import::api_key::note_source;
use crate::command::policy::import::draft::{Draft, is_empty};
use crate::command::policy::import::hosts::Hosts;
use crate::command::policy::import::list::{list, place};
use crate::command::policy::import::rights::{ALL, Rights};

/// The members of a route that restrict its requests by more than their path.
const RESTRICTING: [&str; 5] = ["headers", "snis", "sources", "destinations", "expression"];

/// The members of a route and of a service that are read, that describe it, or that an AI plugin takes no notice of.
const ROUTE: [&str; 8] = ["name", "id", "created_at", "updated_at", "tags", "plugins", "service", "enabled"];
const SERVICE: [&str; 13] = [
    "name",
    "id",
    "created_at",
    "updated_at",
    "tags",
    "plugins",
    "routes",
    "enabled",
    "url",
    "protocol",
    "host",
    "port",
    "path",
];

/// The members of `key-auth` that are read, and those that Keyswap has no need of.
const KEY_AUTH: [&str; 9] = [
    "key_names",
    "key_in_header",
    "key_in_query",
    "key_in_body",
    "anonymous",
    "hide_credentials",
    "run_on_preflight",
    "realm",
    "identity_realms",
];

/// A route to providers.
pub(super) struct AiRoute<'v> {
    /// The models of each provider.
    pub(super) rights: Rights,
    acl: Vec<Acl>,
    /// The plugins that limit rates for each consumer.
    pub(super) limits: Vec<&'v Value>,
    /// The reasons for which a key of the route must not be used unseen.
    pub(super) faults: Vec<String>,
}

/// The groups of an `acl`.
struct Acl {
    allow: BTreeSet<String>,
    deny: BTreeSet<String>,
    has_consumer_groups: bool,
}

/// The groups that a consumer is in: by its own `acls`, and those of consumers.
#[derive(Default)]
pub(super) struct Groups {
    pub(super) acl: BTreeSet<String>,
    pub(super) consumer: BTreeSet<String>,
}

/// Reads the routes with an AI plugin, and adds their providers and credentials to the draft. Routes without a key are read
/// for these only.
pub(super) fn read<'v>(config: &'v Value, plugins: &Plugins<'v>, draft: &mut Draft) -> Vec<AiRoute<'v>> {
    let services = entities(config, "", "services");
    let mut all: Vec<(Entity<'v>, Option<usize>)> = Vec::new();
    for (index, service) in services.iter().enumerate() {
        all.extend(entities(service.value, &service.place, "routes").into_iter().map(|it| (it, Some(index))));
    }
    for route in entities(config, "", "routes") {
        let name = route.value.get("service").and_then(reference);
        let service = services.iter().position(|service| name.is_some_and(|name| service.has_name(name)));
        all.push((route, service));
    }
    let mut destinations = Vec::new();
    let mut read = Vec::new();
    for (route, service) in &all {
        let service = service.and_then(|index| services.get(index));
        let effective = plugins.on(route, service);
        let first = destinations.len();
        for plugin in effective.iter().filter(|plugin| plugin.is_ai_proxy()) {
            targets::read(plugin, &mut destinations, draft);
        }
        if destinations.len() > first {
            read.push((route, service, effective, first..destinations.len()));
        } else {
            draft.note(&route.place, "not imported: it leads to no provider that is imported");
        }
    }
    let mut hosts = Hosts::name(destinations.iter().map(|it| it.host.clone()));
    let named: Vec<(Option<String>, Option<String>)> = destinations
        .into_iter()
        .map(|it| (hosts.add(&it.host, it.key, &it.place, draft), it.model))
        .collect();
    hosts.write(draft);
    let mut routes = Vec::new();
    for (route, service, effective, range) in read {
        let mut rights = Rights::default();
        for (provider, model) in named.get(range).unwrap_or_default() {
            if let Some(provider) = provider {
                rights.add(provider, model.as_deref().unwrap_or(ALL));
            }
        }
        routes.extend(AiRoute::of(route, service, &effective, rights, draft));
    }
    routes
}

impl<'v> AiRoute<'v> {
    /// Returns a route; `rights` is what its AI plugins permit.
    fn of(
        route: &Entity<'v>,
        service: Option<&Entity<'v>>,
        plugins: &[&Plugin<'v>],
        rights: Rights,
        draft: &mut Draft,
    ) -> Option<Self> {
        let name = if route.name().is_empty() { route.place.clone() } else { route.name().to_owned() };
        let off = |entity: &Entity<'_>| entity.value.get("enabled") == Some(&Value::Bool(false));
        if service.is_some_and(off) || off(route) {
            draft.note(&route.place, "switched off: none of its keys reaches it");
            return None;
        }
        let keys: Vec<&&Plugin<'v>> =
            plugins.iter().filter(|it| matches!(it.name, "key-auth" | "key-auth-enc")).collect();
        if keys.is_empty() {
            draft.note(&route.place, "no `key-auth`: its callers have no keys, so mint tokens for them");
            return None;
        }
        for plugin in &keys {
            note_key_auth(plugin, draft);
        }
        let read: Vec<&str> = ROUTE.into_iter().chain(RESTRICTING).collect();
        draft.note_rest(&route.place, route.value, &read);
        if let Some(service) = service {
            draft.note_rest_once(&service.place, service.value, &SERVICE);
        }
        let mut faults: Vec<String> = plugins
            .iter()
            .filter(|plugin| plugin.may_restrict())
            .map(|plugin| format!("`{}` on the route `{name}` may restrict it as well", plugin.name))
            .collect();
        for member in RESTRICTING.iter().filter(|it| route.value.get(**it).is_some_and(|it| !is_empty(it))) {
            draft.note(&place(&route.place, member), "not imported: keys that it may restrict are disabled");
            faults.push(format!("`{member}` of the route `{name}` may restrict it as well"));
        }
        Some(Self {
            rights,
            acl: plugins.iter().filter(|it| it.name == "acl").map(|it| Acl::of(it, draft)).collect(),
            limits: plugins.iter().filter(|it| it.name == "rate-limiting").map(|it| it.config).collect(),
            faults,
        })
    }

    /// Returns whether every `acl` of the route lets a consumer of these groups pass.
    pub(super) fn permits(&self, groups: &Groups) -> bool {
        self.acl.iter().all(|acl| acl.permits(groups))
    }
}

impl Acl {
    fn of(plugin: &Plugin<'_>, draft: &mut Draft) -> Self {
        let names =
            |member: &str| list(plugin.config, member).filter_map(Value::as_str).map(str::to_owned).collect();
        let read = [
            "allow",
            "deny",
            "include_consumer_groups",
            "hide_groups_header",
            "always_use_authenticated_groups",
        ];
        draft.note_rest(&place(&plugin.place, "config"), plugin.config, &read);
        Self {
            allow: names("allow"),
            deny: names("deny"),
            has_consumer_groups: plugin.config.get("include_consumer_groups") == Some(&Value::Bool(true)),
        }
    }

    /// Returns whether a consumer may pass. What denies counts every group, what allows only those that the plugin reads.
    fn permits(&self, groups: &Groups) -> bool {
        let of_consumer = |names: &BTreeSet<String>| !names.is_disjoint(&groups.consumer);
        if !self.deny.is_empty() {
            return self.deny.is_disjoint(&groups.acl) && !of_consumer(&self.deny);
        }
        !self.allow.is_disjoint(&groups.acl) || (self.has_consumer_groups && of_consumer(&self.allow))
    }
}

/// Notes the fields in which callers send their keys, and what else `key-auth` does.
fn note_key_auth(plugin: &Plugin<'_>, draft: &mut Draft) {
    let path = place(&plugin.place, "config");
    let config = plugin.config;
    let names: Vec<&str> = match config.get("key_names") {
        Some(names) => names.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
        None => vec!["apikey"],
    };
    for (flag, kind) in [("key_in_header", "header"), ("key_in_query", "query")] {
        if config.get(flag) != Some(&Value::Bool(false)) {
            for name in &names {
                note_source(&place(&path, "key_names"), kind, name, draft);
            }
        }
    }
    if config.get("key_in_body") == Some(&Value::Bool(true)) {
        draft.note_once(&place(&path, "key_in_body"), "Keyswap reads no key in a body: callers must move it");
    }
    if config.get("anonymous").is_some_and(|it| !is_empty(it)) {
        draft.note_once(&place(&path, "anonymous"), "not imported: callers without a key are refused");
    }
    let unread = config.as_object().into_iter().flatten();
    let unread = unread.filter(|(name, value)| !KEY_AUTH.contains(&name.as_str()) && !is_empty(value));
    unread.for_each(|(name, _)| draft.note_once(&place(&path, name), "not imported"));
}
