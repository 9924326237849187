//! The backends of an Envoy AI Gateway: the provider, the address and the key of each.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::command::policy::import::draft::Draft;
use crate::command::policy::import::hosts::{Host, Hosts, Key};
use crate::command::policy::import::list::list;
use crate::command::policy::import::objects::{Object, Objects, Target};
use crate::command::policy::import::vendors::{self, Variables};

/// The API schemas that providers of a policy speak, by the provider.
const SCHEMAS: [(&str, &str); 4] =
    [("OpenAI", "openai"), ("Anthropic", "anthropic"), ("Cohere", "cohere"), ("AzureOpenAI", "azure-openai")];
/// The types of a BackendSecurityPolicy that hold a key, with the member that names its Secret.
const KEYS: [(&str, &str); 3] =
    [("APIKey", "apiKey"), ("AnthropicAPIKey", "anthropicAPIKey"), ("AzureAPIKey", "azureAPIKey")];

/// Namespace and name of a backend.
pub(super) type Id = (Option<String>, String);
/// The providers of AIServiceBackends.
pub(super) type Backends = BTreeMap<Id, String>;

/// Reads the backends, and adds their providers and credentials to the draft.
pub(super) fn read(objects: &Objects<'_>, draft: &mut Draft) -> Backends {
    let mut variables = Variables::default();
    let mut found = Vec::new();
    for backend in objects.of_kind("AIServiceBackend") {
        draft.note_rest(&backend.place(), backend.spec(), &["schema", "backendRef"]);
        let read = host(objects, backend, draft)
            .and_then(|host| Ok((host, key(objects, backend, &mut variables, draft)?)));
        match read {
            Ok((host, key)) => found.push((backend, host, key)),
            Err(reason) => draft.note(&backend.place(), format!("{reason}: left out")),
        }
    }
    let mut hosts = Hosts::name(found.iter().map(|(_, host, _)| host.clone()));
    let mut backends = BTreeMap::new();
    for (backend, host, key) in found {
        let key = key.unwrap_or_else(|| Key::Usual(usual(&host)));
        if let Some(provider) = hosts.add(&host, key, &backend.place(), draft) {
            backends.insert((backend.namespace.map(str::to_owned), backend.name.to_owned()), provider);
        }
    }
    hosts.write(draft);
    for policy in objects.of_kind("BackendSecurityPolicy") {
        let is_used = |target: &Target<'_>| {
            backends.contains_key(&(policy.namespace.map(str::to_owned), target.name.to_owned()))
        };
        if !policy.targets().iter().any(is_used) {
            draft.note(&policy.place(), "not imported: for no backend that is imported");
        }
    }
    backends
}

/// Returns whether a Secret holds the key of a backend.
pub(super) fn names_secret(objects: &Objects<'_>, secret: &Object<'_>) -> bool {
    objects.of_kind("BackendSecurityPolicy").any(|policy| {
        let members = policy.spec().as_object().into_iter().flatten();
        let mut references = members.flat_map(|(_, member)| {
            ["secretRef", "clientSecretRef"]
                .into_iter()
                .filter_map(|name| member.get(name))
                .chain(member.pointer("/credentialsFile/secretRef"))
        });
        references.any(|reference| {
            let text = |name: &str| reference.get(name).and_then(Value::as_str);
            text("name") == Some(secret.name) && text("namespace").or(policy.namespace) == secret.namespace
        })
    })
}

fn usual(host: &Host) -> &'static str {
    vendors::of_id(host.id).map_or("OPENAI_API_KEY", |vendor| vendor.variable)
}

/// Returns the address of a backend.
fn host(objects: &Objects<'_>, backend: &Object<'_>, draft: &mut Draft) -> Result<Host, String> {
    let text = |path: &str| backend.spec().pointer(path).and_then(Value::as_str);
    let schema = text("/schema/name").unwrap_or_default();
    let Some((_, of_schema)) = SCHEMAS.iter().find(|(name, _)| *name == schema) else {
        return Err(format!("the API `{schema}` is not supported"));
    };
    let name = text("/backendRef/name").unwrap_or_default();
    if text("/backendRef/kind") != Some("Backend") {
        return Err("its `backendRef` is no Backend: add the provider with its `url` by hand".to_owned());
    }
    let namespace = text("/backendRef/namespace").or(backend.namespace);
    if namespace != backend.namespace {
        return Err("its Backend is in another namespace".to_owned());
    }
    let Some(target) = objects.find("Backend", namespace, name) else {
        return Err(format!("its Backend `{name}` is not in the input"));
    };
    draft.note_rest(&target.place(), target.spec(), &["endpoints", "tls", "type"]);
    let (host, port) = endpoint(target)?;
    let https = is_tls(objects, target, &host)? || port == 443;
    if !https {
        draft.note_once(&target.place(), "plain HTTP: no BackendTLSPolicy in the input is for it");
    }
    let vendor = vendors::of_host(&host).filter(|_| https && port == 443);
    let id = vendor.map_or(*of_schema, |vendor| vendor.id);
    let prefix = text("/schema/prefix").map(|prefix| format!("/{}", prefix.trim_matches('/')));
    let prefix = match (id, prefix) {
        ("azure-openai" | "anthropic" | "cohere", None) => String::new(),
        (_, None) => "/v1".to_owned(),
        (_, Some(prefix)) => prefix,
    };
    let protocol = if https { "https" } else { "http" };
    Host::at(id, &format!("{protocol}://{host}:{port}{prefix}"))
        .map_err(|error| format!("its address: {error}"))
}

/// Returns the one endpoint of a Backend.
fn endpoint(backend: &Object<'_>) -> Result<(String, u64), String> {
    let endpoints: Vec<&Value> = list(backend.spec(), "endpoints").collect();
    let [endpoint] = endpoints.as_slice() else {
        return Err(format!("its Backend has {} endpoints, and a provider has one address", endpoints.len()));
    };
    let text = |path: &str| endpoint.pointer(path).and_then(Value::as_str);
    let host = match (text("/fqdn/hostname"), text("/ip/address")) {
        (Some(hostname), None) => hostname.to_ascii_lowercase(),
        (None, Some(address)) if address.contains(':') => format!("[{address}]"),
        (None, Some(address)) => address.to_owned(),
        _ => return Err("the endpoint of its Backend is no host name or address".to_owned()),
    };
    let is_host = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '[' | ']' | ':');
    if !host.chars().all(is_host) {
        return Err("the endpoint of its Backend is no host name or address".to_owned());
    }
    let port =
        endpoint.pointer("/fqdn/port").or_else(|| endpoint.pointer("/ip/port")).and_then(Value::as_u64);
    Ok((host, port.ok_or("the endpoint of its Backend has no port")?))
}

/// Returns whether requests to a Backend go over TLS, to the name that Keyswap verifies as well.
fn is_tls(objects: &Objects<'_>, backend: &Object<'_>, host: &str) -> Result<bool, String> {
    let policies: Vec<&Object<'_>> = objects
        .of_kind("BackendTLSPolicy")
        .filter(|policy| policy.namespace == backend.namespace)
        .filter(|policy| policy.targets().iter().any(|it| it.kind == "Backend" && it.name == backend.name))
        .collect();
    let own = backend.spec().get("tls").filter(|tls| !tls.is_null());
    if own.is_some_and(|tls| tls.get("insecureSkipVerify") == Some(&Value::Bool(true))) {
        return Err("its Backend verifies no certificate".to_owned());
    }
    let of_policies = policies.iter().map(|policy| policy.spec().pointer("/validation/hostname"));
    let own_name = own.and_then(|tls| tls.get("sni")).map(Some);
    let names: Vec<Option<&Value>> = of_policies.chain(own_name).collect();
    let is_other = |name: Option<&Value>| {
        !name.and_then(Value::as_str).is_some_and(|name| name.eq_ignore_ascii_case(host))
    };
    if names.into_iter().any(is_other) {
        return Err("its certificate is for another name than its endpoint".to_owned());
    }
    Ok(!policies.is_empty() || own.is_some())
}

/// Returns the key of a backend, in a variable of its own; `None` where it has none.
fn key(
    objects: &Objects<'_>,
    backend: &Object<'_>,
    variables: &mut Variables,
    draft: &mut Draft,
) -> Result<Option<Key>, String> {
    let policies: Vec<&Object<'_>> = objects
        .of_kind("BackendSecurityPolicy")
        .filter(|policy| policy.namespace == backend.namespace)
        .filter(|policy| {
            policy.targets().iter().any(|it| it.kind == "AIServiceBackend" && it.name == backend.name)
        })
        .collect();
    let policy = match policies.as_slice() {
        [] => {
            draft.note(&backend.place(), "no BackendSecurityPolicy in the input is for it: set its key in the variable of its credential");
            return Ok(None);
        }
        [policy] => policy,
        _ => return Err("several BackendSecurityPolicies are for it".to_owned()),
    };
    let kind = policy.spec().get("type").and_then(Value::as_str).unwrap_or_default();
    let Some((_, member)) = KEYS.iter().find(|(name, _)| *name == kind) else {
        return Err(format!(
            "`{kind}` of its BackendSecurityPolicy is no key: add the provider with its credential by hand"
        ));
    };
    let text =
        |name: &str| policy.spec().pointer(&format!("/{member}/secretRef/{name}")).and_then(Value::as_str);
    let Some(name) = text("name") else {
        return Err("its BackendSecurityPolicy names no Secret".to_owned());
    };
    let namespace = text("namespace").or(policy.namespace);
    let secret = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"));
    let variable = variables.of(&secret, "_SECRET");
    draft.note_once(
        &policy.place(),
        format!("set the variable {variable} to `apiKey` of the Secret `{secret}`"),
    );
    Ok(Some(Key::Variable(variable)))
}
