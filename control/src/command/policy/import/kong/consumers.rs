//! The consumers of Kong's configuration: a token for each key of `key-auth`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::plugins::{Entity, Plugin, Plugins, entities, reference};
use super::routes::{AiRoute, Groups};
use crate::command::policy::import::api_key;
use crate::command::policy::import::draft::{Draft, is_empty};
use crate::command::policy::import::list::list;
use crate::command::policy::import::rights::Rights;

/// The lists with keys.
const KEYS: [&str; 2] = ["keyauth_credentials", "keyauth_enc_credentials"];
/// The members of a consumer that are read, and those that describe it.
const CONSUMER: [&str; 10] = [
    "username",
    "custom_id",
    "id",
    "created_at",
    "tags",
    "acls",
    "groups",
    "plugins",
    "keyauth_credentials",
    "keyauth_enc_credentials",
];
/// Those of a group of consumers.
const GROUP: [&str; 6] = ["name", "id", "created_at", "tags", "plugins", "consumers"];
/// The windows of `rate-limiting` that a policy has, in seconds.
const WINDOWS: [(&str, u32); 4] = [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400)];
/// Those that it does not have.
const LONG_WINDOWS: [&str; 2] = ["month", "year"];

/// Credentials and groups that stand outside of their consumers.
pub(super) struct Credentials<'v> {
    keys: Vec<Entity<'v>>,
    acls: Vec<Entity<'v>>,
}

/// A limit of requests, or the reason for which a policy has no such limit.
type Limit = Result<(u64, u32), String>;

impl<'v> Credentials<'v> {
    pub(super) fn of(config: &'v Value) -> Self {
        let keys = KEYS.iter().flat_map(|name| entities(config, "", name)).collect();
        Self { keys, acls: entities(config, "", "acls") }
    }
}

/// Adds a token for each key of each consumer.
pub(super) fn read(
    config: &Value,
    credentials: &Credentials<'_>,
    plugins: &Plugins<'_>,
    routes: &[AiRoute<'_>],
    draft: &mut Draft,
) {
    let consumers = entities(config, "", "consumers");
    let groups = entities(config, "", "consumer_groups");
    for group in &groups {
        draft.note_rest(&group.place, group.value, &GROUP);
    }
    for consumer in &consumers {
        draft.note_rest(&consumer.place, consumer.value, &CONSUMER);
        let nested = KEYS.iter().flat_map(|name| entities(consumer.value, &consumer.place, name));
        let outside = credentials.keys.iter().filter(|key| is_of(key, consumer));
        let keys: Vec<Entity<'_>> =
            nested.chain(outside.map(|key| Entity::new(key.place.clone(), key.value))).collect();
        let reader = Reader { consumer, credentials, groups: &groups, routes };
        reader.read(&keys, plugins, draft);
    }
    for key in credentials.keys.iter().filter(|key| !consumers.iter().any(|consumer| is_of(key, consumer))) {
        draft.leave_out(&key.place, "its consumer is not here");
    }
}

/// Returns whether an entry names this consumer.
fn is_of(entry: &Entity<'_>, consumer: &Entity<'_>) -> bool {
    entry.value.get("consumer").and_then(reference).is_some_and(|name| consumer.has_name(name))
}

/// A consumer, with what its keys may depend on.
struct Reader<'r, 'v> {
    consumer: &'r Entity<'v>,
    credentials: &'r Credentials<'v>,
    groups: &'r [Entity<'v>],
    routes: &'r [AiRoute<'v>],
}

impl Reader<'_, '_> {
    fn read(&self, keys: &[Entity<'_>], plugins: &Plugins<'_>, draft: &mut Draft) {
        if keys.is_empty() {
            let place = format!("{} ({})", self.consumer.place, self.consumer.name());
            return draft.note(&place, "not imported: it has no key of `key-auth`");
        }
        let names = self.names();
        let groups: Vec<Entity<'_>> = self
            .groups
            .iter()
            .filter(|group| names.consumer.iter().any(|name| group.has_name(name)))
            .map(|group| Entity::new(group.place.clone(), group.value))
            .collect();
        let own = plugins.of_consumer(self.consumer, &groups);
        let routes: Vec<&AiRoute<'_>> = self.routes.iter().filter(|route| route.permits(&names)).collect();
        let mut rights = Rights::default();
        for route in &routes {
            rights.extend(route.rights.clone());
        }
        let mut faults: Vec<String> = routes.iter().flat_map(|route| route.faults.clone()).collect();
        faults.extend(own.iter().filter_map(|plugin| fault(plugin)));
        let limit = limit_of(&own, &routes, keys.len());
        for key in keys {
            let place = format!("{} ({})", key.place, self.consumer.name());
            if rights.is_empty() {
                draft.leave_out(&place, "no route to a provider permits its consumer");
                continue;
            }
            let Some(text) = key.text("key") else {
                draft.leave_out(&place, "no `key`, or not text");
                continue;
            };
            let mut token = match api_key::token(text, self.consumer.name(), rights.providers()) {
                Ok(token) => token,
                Err(reason) => {
                    draft.leave_out(&place, reason);
                    continue;
                }
            };
            for fault in &faults {
                token.disable(fault);
            }
            if key.value.get("ttl").is_some_and(|ttl| !is_empty(ttl)) {
                token.disable("its `ttl` is not imported: set `expires_at`");
            }
            match &limit {
                Some(Ok((requests, seconds))) => {
                    token.rate_limit = Some(json!({"requests": requests, "per": format!("{seconds}s")}));
                }
                Some(Err(reason)) => token.disable(reason),
                None => {}
            }
            match rights.list(&draft.relayed()) {
                Ok(models) => token.models = models.map(|models| models.into_iter().collect()),
                Err(reason) => token.disable(format!("{reason}: set `providers` and `models` by hand")),
            }
            draft.add(&key.place, token);
        }
    }

    /// Returns the groups of the consumer.
    fn names(&self) -> Groups {
        let outside = self.credentials.acls.iter().filter(|entry| is_of(entry, self.consumer));
        let entries = list(self.consumer.value, "acls").chain(outside.map(|entry| entry.value));
        let group = |entry: &Value| entry.get("group").and_then(Value::as_str).map(str::to_owned);
        let named = list(self.consumer.value, "groups").filter_map(reference).map(str::to_owned);
        let mut consumer: BTreeSet<String> = named.collect();
        // A group may have its members, as Kong without a database has it.
        for group in self.groups {
            let mut members = list(group.value, "consumers").filter_map(reference);
            if members.any(|name| self.consumer.has_name(name)) {
                consumer.insert(group.name().to_owned());
            }
        }
        Groups { acl: entries.filter_map(group).collect(), consumer }
    }
}

/// Returns the limit of the keys: that of the consumer, or the lowest one of its routes. `None` without any.
fn limit_of(own: &[&Plugin<'_>], routes: &[&AiRoute<'_>], keys: usize) -> Option<Limit> {
    let own: Vec<&Value> = own.iter().filter(|it| it.name == "rate-limiting").map(|it| it.config).collect();
    let of_routes = || routes.iter().flat_map(|route| route.limits.iter().copied()).collect();
    let configs: Vec<&Value> = if own.is_empty() { of_routes() } else { own };
    let limits = configs.into_iter().map(|config| limit(config, keys));
    limits.reduce(|one, other| {
        let ((requests, seconds), (others, window)) = (one?, other?);
        if seconds == window {
            Ok((requests.min(others), seconds))
        } else {
            Err("its routes have limits with several windows".to_owned())
        }
    })
}

/// Returns the reason for which a plugin of the consumer disables its keys.
fn fault(plugin: &Plugin<'_>) -> Option<String> {
    if plugin.is_ai_proxy() {
        return Some(format!("it has an AI plugin of its own: `{}`", plugin.place));
    }
    let restricts = plugin.may_restrict() || plugin.name == "acl";
    restricts.then(|| format!("`{}` of the consumer or its group may restrict it as well", plugin.name))
}

/// Reads the limit of a `rate-limiting` plugin. `keys` is the number of keys that share it.
fn limit(config: &Value, keys: usize) -> Limit {
    let by = config.get("limit_by").and_then(Value::as_str).unwrap_or("consumer");
    if !matches!(by, "consumer" | "credential") {
        return Err(format!("its limit is by `{by}`, and not by consumer"));
    }
    if by == "consumer" && keys > 1 {
        return Err(format!("its consumer's {keys} keys share a limit"));
    }
    let is_set = |name: &str| config.get(name).is_some_and(|it| !it.is_null());
    if let Some(long) = LONG_WINDOWS.iter().find(|name| is_set(name)) {
        return Err(format!("its limit is for a {long}, and a policy's for a day at most"));
    }
    let windows: Vec<&(&str, u32)> = WINDOWS.iter().filter(|(name, _)| is_set(name)).collect();
    let [(name, seconds)] = windows.as_slice() else {
        return Err(format!("its limit has {} windows, and a policy's has one", windows.len()));
    };
    let requests = config.get(*name).and_then(Value::as_u64).filter(|it| (1..=1_000_000).contains(it));
    requests
        .map(|it| (it, *seconds))
        .ok_or_else(|| "its limit is no whole number from 1 to 1000000".to_owned())
}
