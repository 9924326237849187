//! What an Envoy configuration or a manifest does to the promises of a policy.

use std::path::Path;

use anyhow::bail;
use keyswap_core::jwt::PureRust;
use keyswap_core::{Capabilities, Engine, Environment, Policy, Services};
use serde_json::{Value, json};

use super::Warning;
use super::plugin::{self, Plugin};
use crate::command::policy::variables;
use crate::{input, output, yaml};

/// A manifest, or a bootstrap with a policy in it.
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
            Self::FailOpen => "requests pass without a check while the filter cannot run",
            Self::LiteralVariable => {
                "a secret's value stands in the configuration, which `/config_dump` shows"
            }
            Self::VariableMissing => "the filter does not get a variable that the policy names",
            Self::CodeUnpinned => "the filter's code is fetched, and any code would be taken for it",
            Self::Precompiled => "machine code in the module is run, whoever compiled it",
            Self::PolicyDiffers => "the configuration holds another policy",
        }
    }

    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::FailOpen => {
                "set `failure_policy`, or Istio's `failStrategy`, to `FAIL_RELOAD`, and no `failOpen`"
            }
            Self::LiteralVariable => {
                "pass it from the host's environment: `host_env_keys`, `valueFrom: HOST`, `hostKeys`"
            }
            Self::VariableMissing => "add it to `host_env_keys`, `vmConfig.env` or `hostKeys`",
            Self::CodeUnpinned => "set `sha256`, or name an image by its digest",
            Self::Precompiled => "remove `allow_precompiled`",
            Self::PolicyDiffers => "put this policy into it, or lint the one that is there",
        }
    }
}

/// Looks at every plugin of a file whose configuration is a policy. There must be one.
pub(super) fn lint(path: &Path, policy: &Policy, document: &Value) -> anyhow::Result<Vec<Warning>> {
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
        bail!("{name} runs no filter with a policy: is it the right file?");
    }
    Ok(plugins.iter().flat_map(|plugin| lint_plugin(plugin, policy, document, &name)).collect())
}

fn lint_plugin(plugin: &Plugin, policy: &Policy, document: &Value, file: &str) -> Vec<Warning> {
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
    let secrets = variables(policy);
    let literals = plugin.literals.iter().filter(|(name, _)| secrets.contains(name));
    warnings.extend(literals.map(|(name, path)| warning(EnvoyLint::LiteralVariable, path, name)));
    let refused =
        Engine::new(policy.clone(), &Passed(plugin), &Services::new(Box::new(PureRust), Capabilities::ENVOY))
            .err();
    let missing = refused.into_iter().flat_map(|errors| errors.0);
    warnings.extend(missing.map(|error| Warning {
        message: format!("{}: {error}", EnvoyLint::VariableMissing.about()),
        ..warning(EnvoyLint::VariableMissing, &plugin.path, "")
    }));
    warnings.extend(plugin.unpinned.iter().map(|path| warning(EnvoyLint::CodeUnpinned, path, "")));
    warnings.extend(plugin.precompiled.iter().map(|path| warning(EnvoyLint::Precompiled, path, "")));
    if !plugin.policy.as_ref().is_some_and(|held| is_same(held, plugin, policy, document)) {
        warnings.push(warning(EnvoyLint::PolicyDiffers, &plugin.path, ""));
    }
    warnings
}

/// Whether what a plugin holds is the policy, where a mesh names clusters but for their names.
fn is_same(held: &Value, plugin: &Plugin, policy: &Policy, document: &Value) -> bool {
    let Ok(read) = Policy::from_json(held.to_string().as_bytes()) else { return false };
    read.sha256() == policy.sha256()
        || plugin.mesh_names_clusters && without_clusters(held) == without_clusters(document)
}

fn without_clusters(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().filter(|(name, _)| *name != "cluster");
            let members = members.map(|(name, value)| (name.clone(), without_clusters(value)));
            // `jwks` with nothing but a cluster is one that was left out.
            members.filter(|(name, value)| name != "jwks" || *value != json!({})).collect()
        }
        Value::Array(items) => items.iter().map(without_clusters).collect(),
        other => other.clone(),
    }
}

/// The environment that a plugin has. What the values are is no matter.
struct Passed<'p>(&'p Plugin);

impl Environment for Passed<'_> {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        let mut literals = self.0.literals.iter().map(|(name, _)| name);
        let is_there = self.0.passed.iter().any(|it| it == name) || literals.any(|it| it == name);
        is_there.then(|| b"value".to_vec())
    }
}
