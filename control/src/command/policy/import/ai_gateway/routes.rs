//! The routes of an Envoy AI Gateway: the providers and models of each, and the policies in effect on it.

use serde_json::Value;

use super::backends::{Backends, Id};
use crate::command::policy::import::draft::{Draft, is_empty};
use crate::command::policy::import::list::list;
use crate::command::policy::import::objects::{Object, Objects};
use crate::command::policy::import::rights::{ALL, Rights};

/// The header that has the model of a request.
const MODEL: &str = "x-ai-eg-model";
/// The members of a reference to a backend that are read.
const BACKEND_REF: [&str; 5] = ["name", "namespace", "group", "kind", "modelNameOverride"];

/// A route to providers.
pub(super) struct AiRoute {
    /// The models of each provider.
    pub(super) rights: Rights,
    /// The SecurityPolicies in effect, by their places.
    pub(super) policies: Vec<String>,
    /// The reasons for which a key of the route must not be used unseen.
    pub(super) faults: Vec<String>,
}

/// The closeness of a policy to a route: the closest are in effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Closeness {
    Gateway,
    Route,
}

/// Reads the routes with a backend that is imported.
pub(super) fn read(objects: &Objects<'_>, backends: &Backends, draft: &mut Draft) -> Vec<AiRoute> {
    let mut routes = Vec::new();
    for route in objects.of_kind("AIGatewayRoute") {
        let read = ["parentRefs", "rules"];
        draft.note_rest(&route.place(), route.spec(), &read);
        let mut faults = Vec::new();
        let mut used: Vec<Id> = Vec::new();
        let mut rights = Rights::default();
        for (index, rule) in list(route.spec(), "rules").enumerate() {
            let place = format!("{} rules[{index}]", route.place());
            draft.note_rest(&place, rule, &["name", "matches", "backendRefs"]);
            let models = models(rule, &mut faults, &route.place());
            for reference in list(rule, "backendRefs") {
                draft.note_rest(&place, reference, &BACKEND_REF);
                let id = match backend(reference, route, objects) {
                    Ok(id) if backends.contains_key(&id) => id,
                    Ok((_, name)) => {
                        draft.note(&place, format!("its backend `{name}` is not imported: left out"));
                        continue;
                    }
                    Err(reason) => {
                        draft.note(&place, format!("{reason}: left out"));
                        continue;
                    }
                };
                let provider = backends.get(&id).map_or("", String::as_str);
                match text(reference, "modelNameOverride") {
                    Some(model) => rights.add(provider, model),
                    None => models.iter().for_each(|model| rights.add(provider, model)),
                }
                used.push(id);
            }
        }
        let policies = policies(route, objects, &mut faults);
        faults.extend(restricting(route, &used, objects));
        if !rights.is_empty() && !policies.iter().any(|policy| policy.spec().get("apiKeyAuth").is_some()) {
            draft.note(
                &route.place(),
                "no `apiKeyAuth` is in effect: its callers have no keys, so mint tokens for them",
            );
        }
        let policies = policies.iter().map(|policy| policy.place()).collect();
        routes.push(AiRoute { rights, policies, faults });
    }
    routes
}

/// Returns the models that a rule matches: names, or all.
fn models(rule: &Value, faults: &mut Vec<String>, place: &str) -> Vec<String> {
    let mut models = Vec::new();
    let mut has_all = list(rule, "matches").next().is_none();
    for one in list(rule, "matches") {
        let mut has_model = false;
        for header in list(one, "headers") {
            let text = |name: &str| header.get(name).and_then(Value::as_str).unwrap_or_default();
            let is_exact = matches!(text("type"), "" | "Exact");
            match (text("name").eq_ignore_ascii_case(MODEL), is_exact) {
                (true, true) => {
                    has_model = true;
                    models.push(text("value").to_owned());
                }
                (true, false) => faults.push(format!("{place} matches models by a pattern")),
                (false, _) => {
                    faults.push(format!("{place} matches by `{}`, which may restrict it", text("name")));
                }
            }
        }
        has_all = has_all || !has_model;
    }
    if has_all { vec![ALL.to_owned()] } else { models }
}

/// Returns the AIServiceBackend that a rule refers to.
fn backend(reference: &Value, route: &Object<'_>, objects: &Objects<'_>) -> Result<Id, String> {
    let name = text(reference, "name").unwrap_or_default();
    if text(reference, "kind").is_some_and(|kind| kind != "AIServiceBackend") {
        return Err(format!("`{name}` is no AIServiceBackend"));
    }
    let namespace = text(reference, "namespace").or(route.namespace);
    let is_granted = namespace == route.namespace
        || objects.grants(("AIGatewayRoute", route.namespace), ("AIServiceBackend", namespace, name));
    if !is_granted {
        return Err(format!("no ReferenceGrant in the input permits `{name}` of another namespace"));
    }
    Ok((namespace.map(str::to_owned), name.to_owned()))
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Returns the SecurityPolicies in effect on a route: its own, else those of its gateways.
fn policies<'o, 'v>(
    route: &Object<'_>,
    objects: &'o Objects<'v>,
    faults: &mut Vec<String>,
) -> Vec<&'o Object<'v>> {
    let mut of_route = Vec::new();
    for policy in objects.of_kind("SecurityPolicy") {
        if policy.namespace == route.namespace && policy.spec().get("targetSelectors").is_some() {
            faults.push(format!("{} may be in effect on its route, by `targetSelectors`", policy.place()));
        }
        let Some((closeness, has_section)) = closeness(policy, route) else { continue };
        if has_section {
            faults.push(format!("{} is for a section of its route or gateway", policy.place()));
        }
        if policy.spec().get("mergeType").is_some() {
            faults.push(format!("{} is merged with that of its gateway", policy.place()));
        }
        of_route.push((policy, closeness));
    }
    let closest = of_route.iter().map(|(_, closeness)| *closeness).max();
    of_route.iter().filter(|(_, it)| Some(*it) == closest).map(|(policy, _)| *policy).collect()
}

/// Returns how closely a policy is for a route, and whether it is for a section only; `None` where it is not for it.
fn closeness(policy: &Object<'_>, route: &Object<'_>) -> Option<(Closeness, bool)> {
    let gateways: Vec<(&str, Option<&str>)> = list(route.spec(), "parentRefs")
        .filter_map(|parent| Some((text(parent, "name")?, text(parent, "namespace").or(route.namespace))))
        .collect();
    let closeness = |kind: &str, name: &str| match kind {
        // The gateway makes an HTTPRoute with the name of the route.
        "HTTPRoute" | "AIGatewayRoute" if name == route.name && policy.namespace == route.namespace => {
            Some(Closeness::Route)
        }
        "Gateway" if gateways.contains(&(name, policy.namespace)) => Some(Closeness::Gateway),
        _ => None,
    };
    let targets = policy.targets();
    let found = targets.iter().filter_map(|it| Some((closeness(it.kind, it.name)?, it.has_section)));
    found.max_by_key(|(closeness, _)| *closeness)
}

/// Returns the reasons for which other policies may restrict the keys of a route with these backends.
fn restricting(route: &Object<'_>, backends: &[Id], objects: &Objects<'_>) -> Vec<String> {
    const READ: [&str; 3] = ["SecurityPolicy", "BackendSecurityPolicy", "BackendTLSPolicy"];
    let restricts = |policy: &&Object<'_>| {
        let has =
            |names: &[&str]| names.iter().any(|name| policy.spec().get(name).is_some_and(|it| !is_empty(it)));
        match policy.kind {
            "BackendTrafficPolicy" => has(&["rateLimit", "faultInjection", "requestBuffer"]),
            "ClientTrafficPolicy" => has(&["tls"]),
            kind => !READ.contains(&kind),
        }
    };
    let is_for = |policy: &&Object<'_>| {
        let of_backend = policy.targets().iter().any(|target| {
            let id = (policy.namespace.map(str::to_owned), target.name.to_owned());
            target.kind == "AIServiceBackend" && backends.contains(&id)
        });
        let is_anywhere =
            policy.spec().get("targetSelectors").is_some() && policy.namespace == route.namespace;
        of_backend || is_anywhere || closeness(policy, route).is_some()
    };
    let policies = objects.iter().filter(|object| object.is_policy());
    policies
        .filter(restricts)
        .filter(is_for)
        .map(|it| format!("{} may restrict it as well", it.place()))
        .collect()
}
