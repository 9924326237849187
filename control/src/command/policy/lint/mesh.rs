//! Findings in the objects of a mesh beside the filter: routes that others may add, logs that hold what the filter hides, and
//! proxies that do not go where the filter leads.

use serde_json::Value;

use super::kinds::EnvoyLint;
use super::plugin::{self, join};

/// The variable of istiod that holds the Gateways of other namespaces off a gateway's pods.
const SCOPE: &str = "PILOT_SCOPE_GATEWAY_TO_NAMESPACE";

/// The class of Istio's waypoints.
const WAYPOINT: &str = "istio-waypoint";

/// A document with the name of its file.
pub(super) type Named<'d> = (&'d str, &'d Value);

/// A finding: its kind, its file and its place.
pub(super) type Found<'d> = (EnvoyLint, &'d str, String);

/// Looks at all documents together: what one lacks another may have.
pub(super) fn lint<'d>(documents: &[Named<'d>]) -> Vec<Found<'d>> {
    let mut found = Vec::new();
    for (file, document) in documents {
        let mut add = |lint, path| found.push((lint, *file, path));
        for path in open_routes(document) {
            add(EnvoyLint::RoutesOpen, path);
        }
        if at_waypoint(document, documents) {
            add(EnvoyLint::Waypoint, "spec.targetRefs".to_owned());
        }
        let logged = whole_path(document, "").or_else(|| default_log(document));
        if let Some(path) = logged {
            add(EnvoyLint::QueryLogged, path);
        }
        if let Some(place) = gateway_of_istio(document) {
            if !documents.iter().any(|(_, other)| silences(other, document)) {
                add(EnvoyLint::QueryLogged, place.to_owned());
            }
            if !documents.iter().any(|(_, other)| is_scoped(other)) {
                add(EnvoyLint::GatewayUnscoped, place.to_owned());
            }
        }
    }
    found
}

fn is_of(document: &Value, group: &str, kind: &str) -> bool {
    let version = document.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    version.starts_with(group) && document.get("kind").is_some_and(|it| it == kind)
}

/// Returns the place at which a gateway says that it is Istio's.
fn gateway_of_istio(document: &Value) -> Option<&'static str> {
    let class = document.pointer("/spec/gatewayClassName").and_then(Value::as_str);
    if is_of(document, "networking.istio.io/", "Gateway") {
        Some("spec.selector")
    } else if is_of(document, "gateway.networking.k8s.io/", "Gateway") {
        class.filter(|class| class.starts_with("istio")).map(|_| "spec.gatewayClassName")
    } else {
        None
    }
}

fn namespace(document: &Value) -> &str {
    document.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default()
}

fn list<'d>(value: &'d Value, pointer: &str) -> impl Iterator<Item = (usize, &'d Value)> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten().enumerate()
}

/// Returns true if a document attaches the filter to a waypoint. Services are targets there alone.
fn at_waypoint(document: &Value, documents: &[Named<'_>]) -> bool {
    let mut plugins = Vec::new();
    plugin::find(document, "", &mut plugins);
    let is_waypoint = |(_, target): (usize, &Value)| {
        let is = |field: &str, value: &str| target.get(field).is_some_and(|it| it == value);
        is("kind", "Service")
            || is("kind", "ServiceEntry")
            || (is("kind", "GatewayClass") && is("name", WAYPOINT))
            || (is("kind", "Gateway")
                && documents.iter().any(|(_, other)| is_waypoint_of(other, document, target)))
    };
    plugins.iter().any(plugin::Plugin::is_ours) && list(document, "/spec/targetRefs").any(is_waypoint)
}

/// Returns true if a document is the waypoint that another one targets.
fn is_waypoint_of(gateway: &Value, document: &Value, target: &Value) -> bool {
    is_of(gateway, "gateway.networking.k8s.io/", "Gateway")
        && gateway.pointer("/spec/gatewayClassName").is_some_and(|class| class == WAYPOINT)
        && namespace(gateway) == namespace(document)
        && gateway.pointer("/metadata/name") == target.get("name")
}

/// Returns the places at which a gateway admits routes of other namespaces.
fn open_routes(document: &Value) -> Vec<String> {
    if is_of(document, "networking.istio.io/", "Gateway") {
        let own = namespace(document);
        let is_own = |host: &Value| {
            let of = host.as_str().and_then(|host| host.split_once('/')).map(|(of, _)| of);
            of.is_some_and(|of| of == "." || (of == own && !own.is_empty()))
        };
        let servers = list(document, "/spec/servers");
        let is_open = |server: &Value| list(server, "/hosts").any(|(_, host)| !is_own(host));
        let open = servers.filter(|(_, server)| is_open(server));
        return open.map(|(index, _)| format!("spec.servers[{index}].hosts")).collect();
    }
    if is_of(document, "gateway.networking.k8s.io/", "Gateway") {
        let from = |listener: &Value| listener.pointer("/allowedRoutes/namespaces/from").cloned();
        let open =
            list(document, "/spec/listeners").filter(|(_, it)| from(it).is_some_and(|from| from != "Same"));
        return open.map(|(index, _)| format!("spec.listeners[{index}].allowedRoutes")).collect();
    }
    Vec::new()
}

/// Returns the first place of a format that writes the path with the query.
fn whole_path(document: &Value, path: &str) -> Option<String> {
    match document {
        Value::String(text) => {
            let text = text.to_ascii_lowercase();
            let has_query = |part: &str| match part.strip_prefix("path(") {
                Some(rest) => !rest.starts_with("nq"),
                None => part.contains(":path)") && !part.starts_with("req_without_query("),
            };
            text.split('%').any(has_query).then(|| path.to_owned())
        }
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| whole_path(item, &format!("{path}[{index}]")))
        }
        Value::Object(members) => {
            // The whole URL is a tag of each span.
            let is_manager = members.contains_key("http_filters") && members.contains_key("tracing");
            let traced = is_manager.then(|| join(path, "tracing"));
            traced.or_else(|| members.iter().find_map(|(name, value)| whole_path(value, &join(path, name))))
        }
        _ => None,
    }
}

/// Returns the place at which a proxy of Envoy Gateway has its default log, or traces, which both hold the query.
fn default_log(document: &Value) -> Option<String> {
    if !is_of(document, "gateway.envoyproxy.io/", "EnvoyProxy") {
        return None;
    }
    if document.pointer("/spec/telemetry/tracing").is_some() {
        return Some("spec.telemetry.tracing".to_owned());
    }
    let log = document.pointer("/spec/telemetry/accessLog").unwrap_or(&Value::Null);
    let is_off = log.get("disable").is_some_and(|it| *it == true);
    let mut settings = list(log, "/settings").map(|(_, one)| one).peekable();
    let is_written = settings.peek().is_some() && settings.all(|one| one.get("format").is_some());
    (!is_off && !is_written).then(|| "spec.telemetry.accessLog".to_owned())
}

/// Tells whether a `Telemetry` turns the mesh's access log and its traces off for the pods of a gateway. Without a provider
/// Istio goes on with the log of `meshConfig`.
fn silences(document: &Value, gateway: &Value) -> bool {
    let is_off = |value: &Value, member: &str| value.get(member).is_some_and(|it| *it == true);
    let names = |log: &Value| list(log, "/providers").next().is_some();
    is_of(document, "telemetry.istio.io/", "Telemetry")
        && namespace(document) == namespace(gateway)
        && is_for(document, gateway)
        && list(document, "/spec/accessLogging").any(|(_, log)| is_off(log, "disabled") && names(log))
        && list(document, "/spec/tracing").any(|(_, trace)| is_off(trace, "disableSpanReporting"))
}

/// Tells whether an object is for the pods of a gateway: for all of the namespace, by their labels, or by the name of the gateway.
fn is_for(document: &Value, gateway: &Value) -> bool {
    let pods = document.pointer("/spec/selector/matchLabels");
    let mut targets = list(document, "/spec/targetRefs").peekable();
    if targets.peek().is_none() {
        return pods.is_none() || pods == gateway.pointer("/spec/selector");
    }
    let name = gateway.pointer("/metadata/name");
    let is_named = |target: &Value| {
        target.get("kind").is_some_and(|kind| kind == "Gateway") && target.get("name") == name
    };
    is_of(gateway, "gateway.networking.k8s.io/", "Gateway") && targets.any(|(_, target)| is_named(target))
}

/// Tells whether a document sets the variable of istiod: its Deployment, or the values that it is installed with.
fn is_scoped(document: &Value) -> bool {
    let is_true = |value: &Value| *value == true || value.as_str() == Some("true");
    match document {
        Value::Object(members) => {
            let is_variable = members.get("name").is_some_and(|name| name == SCOPE);
            members.get(SCOPE).is_some_and(is_true)
                || (is_variable && members.get("value").is_some_and(is_true))
                || members.values().any(is_scoped)
        }
        Value::Array(items) => items.iter().any(is_scoped),
        _ => false,
    }
}
