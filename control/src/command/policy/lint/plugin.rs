//! The settings that run the filter, in one form for Envoy, Istio and Envoy Gateway.

use serde_json::Value;

/// A Wasm plugin of a configuration, or the dynamic module.
#[derive(Default)]
pub(super) struct Plugin {
    /// The path of the plugin in its document.
    pub(super) path: String,
    /// The configuration of the plugin, `None` if it is absent or not JSON.
    pub(super) configuration: Option<Value>,
    /// Set where the mesh names the clusters, so that these names differ from the policy's.
    pub(super) mesh_names_clusters: bool,
    /// The path of the setting that lets requests pass while the filter cannot run.
    pub(super) fails_open: Option<String>,
    /// Variables whose values the configuration contains, with their paths.
    pub(super) literals: Vec<(String, String)>,
    /// Variables that are passed from the host's environment.
    pub(super) passed: Vec<String>,
    /// Set where the dynamic module runs it, which has all variables of the host, and files.
    pub(super) is_module: bool,
    /// The path of code that is fetched without a digest.
    pub(super) unpinned: Option<String>,
    /// The path of the setting that accepts precompiled machine code.
    pub(super) precompiled: Option<String>,
}

impl Plugin {
    /// Returns true if the plugin runs Keyswap, as the `version` of its configuration shows.
    pub(super) fn is_ours(&self) -> bool {
        let version = self.configuration.as_ref().and_then(|document| document.get("version")?.as_str());
        let kind = version.and_then(|version| version.split_once('/')).map(|(kind, _)| kind);
        matches!(kind, Some("keyswap" | "keyswap-rollout" | "keyswap-bundle"))
    }
}

/// Finds every Wasm plugin of a document, at any depth: of an Envoy configuration or a Kubernetes manifest.
pub(super) fn find(document: &Value, path: &str, found: &mut Vec<Plugin>) {
    match document {
        Value::Object(members) => {
            match document.get("kind").and_then(Value::as_str) {
                Some("WasmPlugin") => {
                    found.extend(document.get("spec").map(|spec| istio(spec, &join(path, "spec"))));
                }
                Some("TrafficExtension") => {
                    let wasm = document.pointer("/spec/wasm");
                    found.extend(wasm.map(|wasm| istio(wasm, &join(path, "spec.wasm"))));
                }
                Some("EnvoyExtensionPolicy") => {
                    let list = document.pointer("/spec/wasm").and_then(Value::as_array);
                    for (index, wasm) in list.into_iter().flatten().enumerate() {
                        found.push(envoy_gateway(wasm, &join(path, &format!("spec.wasm[{index}]"))));
                    }
                }
                _ => {}
            }
            if document.get("vm_config").is_some() {
                found.push(envoy(document, path));
            }
            if document.get("dynamic_module_config").is_some() {
                found.push(module(document, path));
            }
            for (name, value) in members {
                find(value, &join(path, name), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find(item, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// Reads Envoy's `PluginConfig` (envoy.extensions.wasm.v3).
fn envoy(plugin: &Value, path: &str) -> Plugin {
    let at = |name: &str| Some(join(path, name));
    let vm = plugin.get("vm_config").unwrap_or(&Value::Null);
    let values = vm.pointer("/environment_variables/key_values").and_then(Value::as_object);
    let remote = vm.pointer("/code/remote");
    let fails_open = match (plugin.get("failure_policy"), plugin.get("fail_open")) {
        (Some(policy), _) if policy == "FAIL_OPEN" => at("failure_policy"),
        (_, Some(Value::Bool(true))) => at("fail_open"),
        _ => None,
    };
    Plugin {
        path: path.to_owned(),
        configuration: document_of(plugin.get("configuration")),
        mesh_names_clusters: false,
        is_module: false,
        fails_open,
        literals: values
            .into_iter()
            .flatten()
            .map(|(name, _)| {
                (name.clone(), join(path, &format!("vm_config.environment_variables.key_values.{name}")))
            })
            .collect(),
        passed: texts(vm.pointer("/environment_variables/host_env_keys")),
        unpinned: remote
            .filter(|remote| is_blank(remote.get("sha256")))
            .and_then(|_| at("vm_config.code.remote")),
        precompiled: vm
            .get("allow_precompiled")
            .filter(|it| **it == true)
            .and_then(|_| at("vm_config.allow_precompiled")),
    }
}

/// Reads Envoy's `DynamicModuleFilter` (`envoy.extensions.filters.http.dynamic_modules.v3`).
fn module(filter: &Value, path: &str) -> Plugin {
    let configuration = document_of(filter.get("filter_config"));
    Plugin { path: path.to_owned(), configuration, is_module: true, ..Plugin::default() }
}

/// Returns the document in a `StringValue` or a `Struct`.
fn document_of(given: Option<&Value>) -> Option<Value> {
    let given = given.unwrap_or(&Value::Null);
    match given.get("value").unwrap_or(given) {
        Value::String(text) => serde_json::from_str(text).ok(),
        other => Some(other.clone()),
    }
}

/// Reads the `spec` of Istio's `WasmPlugin`, or `spec.wasm` of its `TrafficExtension`.
fn istio(spec: &Value, path: &str) -> Plugin {
    let at = |name: &str| Some(join(path, name));
    let variables = spec.pointer("/vmConfig/env").and_then(Value::as_array);
    let mut plugin = Plugin {
        path: path.to_owned(),
        configuration: spec.get("pluginConfig").cloned(),
        mesh_names_clusters: true,
        fails_open: spec.get("failStrategy").filter(|it| *it == "FAIL_OPEN").and_then(|_| at("failStrategy")),
        ..Plugin::default()
    };
    for (index, variable) in variables.into_iter().flatten().enumerate() {
        let name = variable.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        if variable.get("valueFrom").is_some_and(|from| from == "HOST") {
            plugin.passed.push(name);
        } else {
            plugin.literals.push((name, join(path, &format!("vmConfig.env[{index}]"))));
        }
    }
    // An image is pinned by the digest in its URL, other code by `sha256`. A local file needs neither.
    let url = spec.get("url").and_then(Value::as_str).unwrap_or_default();
    let is_pinned = url.starts_with("file://") || url.contains("@sha256:") || !is_blank(spec.get("sha256"));
    plugin.unpinned = (!is_pinned).then(|| join(path, "url"));
    plugin
}

/// Reads an entry of `wasm` of Envoy Gateway's `EnvoyExtensionPolicy`.
fn envoy_gateway(wasm: &Value, path: &str) -> Plugin {
    let code = wasm.get("code").unwrap_or(&Value::Null);
    let source = ["http", "image"].into_iter().find_map(|kind| Some((kind, code.get(kind)?)));
    let unpinned = source.and_then(|(kind, source)| {
        let url = source.get("url").and_then(Value::as_str).unwrap_or_default();
        let is_pinned = !is_blank(source.get("sha256")) || url.contains("@sha256:");
        (!is_pinned).then(|| join(path, &format!("code.{kind}")))
    });
    Plugin {
        path: path.to_owned(),
        configuration: wasm.get("config").cloned(),
        fails_open: wasm.get("failOpen").filter(|it| **it == true).map(|_| join(path, "failOpen")),
        passed: texts(wasm.pointer("/env/hostKeys")),
        unpinned,
        ..Plugin::default()
    }
}

fn is_blank(value: Option<&Value>) -> bool {
    value.and_then(Value::as_str).is_none_or(|text| text.trim().is_empty())
}

fn texts(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Returns the first place of a document that reads a value of Keyswap's in the state of a request.
pub(super) fn reader_of_values(document: &Value, path: &str) -> Option<String> {
    match document {
        Value::String(text) => text.contains("wasm.keyswap_").then(|| path.to_owned()),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| reader_of_values(item, &format!("{path}[{index}]")))
        }
        Value::Object(members) => {
            members.iter().find_map(|(name, value)| reader_of_values(value, &join(path, name)))
        }
        _ => None,
    }
}
