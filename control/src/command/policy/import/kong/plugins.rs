//! The plugins of Kong's configuration: where each stands, and which of them are in effect on a route or for a consumer.

use serde_json::Value;

use crate::command::policy::import::draft::Draft;
use crate::command::policy::import::list::{list, place};

/// Plugins that the import reads.
const READ: [&str; 6] = ["ai-proxy", "ai-proxy-advanced", "key-auth", "key-auth-enc", "acl", "rate-limiting"];
/// Plugins that observe requests or keep answers, and restrict no caller.
const OBSERVING: [&str; 18] = [
    "cors",
    "prometheus",
    "opentelemetry",
    "zipkin",
    "datadog",
    "statsd",
    "file-log",
    "http-log",
    "tcp-log",
    "udp-log",
    "syslog",
    "loggly",
    "kafka-log",
    "solace-log",
    "correlation-id",
    "ai-semantic-cache",
    "proxy-cache",
    "proxy-cache-advanced",
];

/// A service, route, consumer or group of consumers: its place in the file, and the names by which others refer to it.
pub(super) struct Entity<'v> {
    pub(super) place: String,
    pub(super) value: &'v Value,
}

/// A reference to an entity: by a name, or by the place where the plugin stands.
enum Owner<'v> {
    Named(&'v str),
    At(String),
    /// A reference that cannot be read. It is to every entity.
    Any,
}

/// A plugin that is switched on.
pub(super) struct Plugin<'v> {
    pub(super) name: &'v str,
    pub(super) place: String,
    pub(super) config: &'v Value,
    service: Option<Owner<'v>>,
    route: Option<Owner<'v>>,
    consumer: Option<Owner<'v>>,
    group: Option<Owner<'v>>,
}

/// All plugins that are switched on.
pub(super) struct Plugins<'v>(Vec<Plugin<'v>>);

impl<'v> Entity<'v> {
    pub(super) fn new(place: String, value: &'v Value) -> Self {
        Self { place, value }
    }

    /// Returns whether a text is the name or the id of the entity.
    pub(super) fn has_name(&self, name: &str) -> bool {
        ["name", "id", "username", "custom_id"].iter().any(|member| self.text(member) == Some(name))
    }

    pub(super) fn text(&self, member: &str) -> Option<&'v str> {
        self.value.get(member).and_then(Value::as_str)
    }

    /// Returns the name for lines and labels.
    pub(super) fn name(&self) -> &'v str {
        ["username", "name", "custom_id", "id"]
            .iter()
            .find_map(|member| self.text(member))
            .unwrap_or_default()
    }
}

/// Returns the entities of a list.
pub(super) fn entities<'v>(holder: &'v Value, path: &str, name: &str) -> Vec<Entity<'v>> {
    let at = |index: usize| place(path, &format!("{name}[{index}]"));
    list(holder, name).enumerate().map(|(index, value)| Entity::new(at(index), value)).collect()
}

/// Returns the name that a reference has: as text, or as a member of an object.
pub(super) fn reference(value: &Value) -> Option<&str> {
    value
        .as_str()
        .or_else(|| ["name", "username", "id"].iter().find_map(|member| value.get(member)?.as_str()))
}

impl<'v> Owner<'v> {
    fn of(value: &'v Value) -> Self {
        reference(value).map_or(Self::Any, Self::Named)
    }

    fn is(&self, entity: &Entity<'_>) -> bool {
        match self {
            Self::Named(name) => entity.has_name(name),
            Self::At(place) => *place == entity.place,
            Self::Any => true,
        }
    }
}

impl Plugin<'_> {
    /// Returns whether the plugin is neither read nor known to restrict no caller.
    pub(super) fn may_restrict(&self) -> bool {
        !READ.contains(&self.name) && !OBSERVING.contains(&self.name)
    }

    pub(super) fn is_ai_proxy(&self) -> bool {
        matches!(self.name, "ai-proxy" | "ai-proxy-advanced")
    }

    fn is_of_callers(&self) -> bool {
        self.consumer.is_some() || self.group.is_some()
    }

    /// Returns whether the plugin is for a route and its service, and how closely: the closest is in effect.
    fn closeness(&self, route: &Entity<'_>, service: Option<&Entity<'_>>) -> Option<u8> {
        let of_route = self.route.as_ref().map(|owner| owner.is(route));
        let of_service = self.service.as_ref().map(|owner| service.is_some_and(|service| owner.is(service)));
        match (of_route, of_service) {
            (Some(false), _) | (_, Some(false)) => None,
            (Some(true), Some(true)) => Some(3),
            (Some(true), None) => Some(2),
            (None, Some(true)) => Some(1),
            (None, None) => Some(0),
        }
    }
}

impl<'v> Plugins<'v> {
    /// Finds all plugins of a configuration, and notes those that are not read.
    pub(super) fn of(config: &'v Value, draft: &mut Draft) -> Self {
        let mut plugins = Self(Vec::new());
        plugins.add(config, "", &|_| {}, draft);
        for service in entities(config, "", "services") {
            let owner = service.place.clone();
            plugins.add(service.value, &owner, &|it| it.service = Some(Owner::At(owner.clone())), draft);
            for route in entities(service.value, &owner, "routes") {
                let owner = route.place.clone();
                plugins.add(route.value, &owner, &|it| it.route = Some(Owner::At(owner.clone())), draft);
            }
        }
        for route in entities(config, "", "routes") {
            let owner = route.place.clone();
            plugins.add(route.value, &owner, &|it| it.route = Some(Owner::At(owner.clone())), draft);
        }
        for consumer in entities(config, "", "consumers") {
            let owner = consumer.place.clone();
            plugins.add(consumer.value, &owner, &|it| it.consumer = Some(Owner::At(owner.clone())), draft);
        }
        for group in entities(config, "", "consumer_groups") {
            let owner = group.place.clone();
            plugins.add(group.value, &owner, &|it| it.group = Some(Owner::At(owner.clone())), draft);
        }
        plugins
    }

    fn add(&mut self, holder: &'v Value, path: &str, own: &dyn Fn(&mut Plugin<'v>), draft: &mut Draft) {
        for Entity { place, value } in entities(holder, path, "plugins") {
            let Some(name) = value.get("name").and_then(Value::as_str) else {
                draft.note(&place, "a plugin without a name: left out");
                continue;
            };
            if value.get("enabled") == Some(&Value::Bool(false)) {
                draft.note(&place, format!("not imported: `{name}` is switched off"));
                continue;
            }
            let owner = |member: &str| value.get(member).filter(|it| !it.is_null()).map(Owner::of);
            let mut plugin = Plugin {
                name,
                place,
                config: value.get("config").unwrap_or(&Value::Null),
                service: owner("service"),
                route: owner("route"),
                consumer: owner("consumer"),
                group: owner("consumer_group"),
            };
            own(&mut plugin);
            if plugin.may_restrict() {
                draft.note(
                    &plugin.place,
                    format!("not imported: `{name}`: keys that it may restrict are disabled"),
                );
            } else if OBSERVING.contains(&name) {
                draft.note(&plugin.place, format!("not imported: `{name}`"));
            }
            self.0.push(plugin);
        }
    }

    /// Returns the plugins that are in effect on a route for every caller: of those with one name, the closest.
    pub(super) fn on<'p>(&'p self, route: &Entity<'_>, service: Option<&Entity<'_>>) -> Vec<&'p Plugin<'v>> {
        let there = self.0.iter().filter(|plugin| !plugin.is_of_callers());
        let there: Vec<(&Plugin<'v>, u8)> =
            there.filter_map(|plugin| Some((plugin, plugin.closeness(route, service)?))).collect();
        let closest =
            |name: &str| there.iter().filter(|(it, _)| it.name == name).map(|(_, close)| *close).max();
        there.iter().filter(|(it, close)| closest(it.name) == Some(*close)).map(|(it, _)| *it).collect()
    }

    /// Returns the plugins of a consumer and of its groups, on whichever route.
    pub(super) fn of_consumer<'p>(
        &'p self,
        consumer: &Entity<'_>,
        groups: &[Entity<'_>],
    ) -> Vec<&'p Plugin<'v>> {
        let is_of = |plugin: &&Plugin<'v>| {
            let of_consumer = plugin.consumer.as_ref().is_none_or(|owner| owner.is(consumer));
            let of_group =
                plugin.group.as_ref().is_none_or(|owner| groups.iter().any(|group| owner.is(group)));
            plugin.is_of_callers() && of_consumer && of_group
        };
        self.0.iter().filter(is_of).collect()
    }
}
