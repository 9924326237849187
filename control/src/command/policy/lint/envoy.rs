//! Findings in Envoy configurations and manifests: settings that weaken the policy that they run.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::bail;
use keyswap_core::host::{Capabilities, Environment};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::policy::PolicyErrors;
use keyswap_core::worker::Worker;
use serde_json::{Value, json};

use super::plugin::{self, Plugin};
use super::warning::Warning;
use crate::command::policy::variables::variables;
use crate::command::terminal::{input, output};
use crate::text::yaml;

/// The largest file: a manifest, or a bootstrap that contains a policy.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A kind of finding.
#[derive(Clone, Copy)]
pub(super) enum EnvoyLint {
    FailOpen,
    LiteralVariable,
    VariableMissing,
    CodeUnpinned,
    Precompiled,
    PolicyDiffers,
}

impl EnvoyLint {
    pub(super) const ALL: [Self; 6] = [
        Self::FailOpen,
        Self::LiteralVariable,
        Self::VariableMissing,
        Self::CodeUnpinned,
        Self::Precompiled,
        Self::PolicyDiffers,
    ];

    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::FailOpen => "envoy-fail-open",
            Self::LiteralVariable => "envoy-literal-variable",
            Self::VariableMissing => "envoy-variable-missing",
            Self::CodeUnpinned => "envoy-code-unpinned",
            Self::Precompiled => "envoy-precompiled",
            Self::PolicyDiffers => "envoy-policy-differs",
        }
    }

    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::FailOpen => "requests pass unchecked while the filter cannot run",
            Self::LiteralVariable => {
                "the configuration contains a secret's value, which `/config_dump` shows"
            }
            Self::VariableMissing => "a variable that the policy names is not passed to the filter",
            Self::CodeUnpinned => "the filter's code is fetched without a check of its digest",
            Self::Precompiled => {
                "precompiled machine code in the module is run without a check of its origin"
            }
            Self::PolicyDiffers => "the configuration contains another policy",
        }
    }

    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::FailOpen => {
                "set `failure_policy`, or Istio's `failStrategy`, to `FAIL_RELOAD`, and remove `failOpen`"
            }
            Self::LiteralVariable => {
                "pass it from the host's environment: `host_env_keys`, `valueFrom: HOST`, `hostKeys`"
            }
            Self::VariableMissing => "add it to `host_env_keys`, `vmConfig.env` or `hostKeys`",
            Self::CodeUnpinned => "set `sha256`, or name an image by its digest",
            Self::Precompiled => "remove `allow_precompiled`",
            Self::PolicyDiffers => "update the configuration, or lint the policy that it contains",
        }
    }
}

/// Lints every Wasm plugin of a file that runs Keyswap. `configuration` is the expected configuration, in JSON. A file
/// without such a plugin is an error.
pub(super) fn lint(path: &Path, configuration: &[u8]) -> anyhow::Result<Vec<Warning>> {
    let bytes = input::read(path, MAX_BYTES)?;
    let name =
        if input::is_stdin(path) { input::name(path) } else { output::visible(&path.display().to_string()) };
    let documents = yaml::parse_all(&bytes).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
    let mut plugins = Vec::new();
    for document in &documents {
        plugin::find(document, "", &mut plugins);
    }
    plugins.retain(Plugin::is_ours);
    if plugins.is_empty() {
        bail!("{name} does not run the filter with a policy: is it the right file?");
    }
    Ok(plugins.iter().flat_map(|plugin| lint_plugin(plugin, configuration, &name)).collect())
}

fn lint_plugin(plugin: &Plugin, configuration: &[u8], file: &str) -> Vec<Warning> {
    let warning = |lint: EnvoyLint, path: &str, detail: &str| Warning {
        code: lint.code(),
        file: file.to_owned(),
        path: path.to_owned(),
        message: if detail.is_empty() {
            lint.about().to_owned()
        } else {
            format!("{}: `{detail}`", lint.about())
        },
        remedy: lint.remedy(),
    };
    let mut warnings = Vec::new();
    warnings.extend(plugin.fails_open.iter().map(|path| warning(EnvoyLint::FailOpen, path, "")));
    let secrets = variables(configuration);
    let literals = plugin.literals.iter().filter(|(name, _)| secrets.contains(name));
    warnings.extend(literals.map(|(name, path)| warning(EnvoyLint::LiteralVariable, path, name)));
    let missing = start(configuration, Passed::of(plugin)).err().into_iter().flat_map(|errors| errors.0);
    warnings.extend(missing.map(|error| Warning {
        message: format!("{}: {error}", EnvoyLint::VariableMissing.about()),
        ..warning(EnvoyLint::VariableMissing, &plugin.path, "")
    }));
    warnings.extend(plugin.unpinned.iter().map(|path| warning(EnvoyLint::CodeUnpinned, path, "")));
    warnings.extend(plugin.precompiled.iter().map(|path| warning(EnvoyLint::Precompiled, path, "")));
    if !is_same(plugin, serde_json::from_slice(configuration).ok()) {
        warnings.push(warning(EnvoyLint::PolicyDiffers, &plugin.path, ""));
    }
    warnings
}

/// Returns true if the plugin has this configuration. Names of clusters are ignored where a mesh assigns them.
fn is_same(plugin: &Plugin, configuration: Option<Value>) -> bool {
    let name = |it: Option<Value>| if plugin.mesh_names_clusters { it.map(without_clusters) } else { it };
    name(plugin.configuration.clone()) == name(configuration)
}

fn without_clusters(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(name, _)| name != "cluster");
            let members = members.map(|(name, value)| (name, without_clusters(value)));
            // A `jwks` that holds only a cluster equals an absent `jwks`.
            members.filter(|(name, value)| name != "jwks" || *value != json!({})).collect()
        }
        Value::Array(items) => items.into_iter().map(without_clusters).collect(),
        other => other,
    }
}

/// The environment of a plugin. Every variable has the same dummy value: only its presence counts.
struct Passed(BTreeSet<String>);

impl Passed {
    fn of(plugin: &Plugin) -> Self {
        let literals = plugin.literals.iter().map(|(name, _)| name);
        Self(plugin.passed.iter().chain(literals).cloned().collect())
    }
}

impl Environment for Passed {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.0.contains(name).then(|| b"value".to_vec())
    }

    fn is_stand_in(&self) -> bool {
        true
    }
}

fn start(configuration: &[u8], environment: impl Environment + 'static) -> Result<Worker, PolicyErrors> {
    Worker::start(configuration, Box::new(environment), Box::new(PureRust), Capabilities::ENVOY, "")
}
