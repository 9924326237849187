//! Findings in Envoy configurations and manifests: settings that weaken the policy that they run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::bail;
use keyswap_core::host::{Capabilities, Environment, SecretFile, SecretFileError};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::policy::{Configuration, PolicyErrors};
use keyswap_core::worker::Worker;
use serde_json::{Value, json};

use super::certificates;
use super::kinds::EnvoyLint;
use super::mesh;
use super::plugin::{self, Plugin};
use super::warning::Warning;
use crate::command::policy::variables::variables;
use crate::command::terminal::{input, output};
use crate::text::yaml;

/// The largest file: a manifest, or a bootstrap that contains a policy.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Lints every Wasm plugin of some files that runs Keyswap, and what else is in the files. `configuration` is the expected
/// configuration, in JSON. Files without such a plugin are an error.
pub(super) fn lint(paths: &[PathBuf], configuration: &[u8]) -> anyhow::Result<Vec<Warning>> {
    let files = paths.iter().map(|path| read(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let named =
        || files.iter().flat_map(|(name, documents)| documents.iter().map(move |it| (name.as_str(), it)));
    let mut warnings = Vec::new();
    let mut runs = false;
    for (name, document) in named() {
        let mut plugins = Vec::new();
        plugin::find(document, "", &mut plugins);
        for plugin in plugins.iter().filter(|plugin| plugin.is_ours()) {
            runs = true;
            warnings.extend(lint_plugin(plugin, configuration, name));
        }
    }
    if !runs {
        let searched: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        bail!("{} does not run the filter with a policy: is it the right file?", searched.join(", "));
    }
    if Configuration::from_json(configuration).is_ok_and(|it| it.leaves_values_out()) {
        let readers = named().find_map(|(name, it)| Some((name, plugin::reader_of_values(it, "")?)));
        warnings.extend(readers.map(|(name, path)| warning(EnvoyLint::ValuesAbsent, name, &path, "")));
    }
    if Configuration::from_json(configuration).is_ok_and(|it| takes_certificates(&it)) {
        let listeners = named().flat_map(|(name, it)| {
            certificates::unverified(it, "").into_iter().map(move |path| (name, path))
        });
        let listeners =
            listeners.map(|(name, path)| warning(EnvoyLint::CertificatesUnverified, name, &path, ""));
        warnings.extend(listeners);
    }
    let documents: Vec<mesh::Named<'_>> = named().collect();
    let found = mesh::lint(&documents).into_iter();
    warnings.extend(found.map(|(lint, name, path)| warning(lint, name, &path, "")));
    Ok(warnings)
}

/// Returns true if a policy takes client certificates as identities.
fn takes_certificates(configuration: &Configuration) -> bool {
    configuration.policies().into_iter().any(|(_, policy)| !policy.client_certificates().is_empty())
}

/// Reads the documents of a file. Returns them with its name.
fn read(path: &Path) -> anyhow::Result<(String, Vec<Value>)> {
    let bytes = input::read(path, MAX_BYTES)?;
    let name =
        if input::is_stdin(path) { input::name(path) } else { output::visible(&path.display().to_string()) };
    let documents = yaml::parse_all(&bytes).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
    Ok((name, documents))
}

fn lint_plugin(plugin: &Plugin, configuration: &[u8], file: &str) -> Vec<Warning> {
    let warning = |lint, path: &str, detail: &str| warning(lint, file, path, detail);
    let mut warnings = Vec::new();
    warnings.extend(plugin.fails_open.iter().map(|path| warning(EnvoyLint::FailOpen, path, "")));
    let secrets = variables(configuration);
    let literals = plugin.literals.iter().filter(|(name, _)| secrets.contains(name));
    warnings.extend(literals.map(|(name, path)| warning(EnvoyLint::LiteralVariable, path, name)));
    let (kind, errors) = faults(plugin, configuration);
    warnings.extend(errors.0.into_iter().map(|error| Warning {
        message: format!("{}: {error}", kind.about()),
        ..warning(kind, &plugin.path, "")
    }));
    warnings.extend(plugin.unpinned.iter().map(|path| warning(EnvoyLint::CodeUnpinned, path, "")));
    warnings.extend(plugin.precompiled.iter().map(|path| warning(EnvoyLint::Precompiled, path, "")));
    if !is_same(plugin, serde_json::from_slice(configuration).ok()) {
        warnings.push(warning(EnvoyLint::PolicyDiffers, &plugin.path, ""));
    }
    warnings
}

fn warning(lint: EnvoyLint, file: &str, path: &str, detail: &str) -> Warning {
    Warning {
        code: lint.code(),
        file: file.to_owned(),
        path: path.to_owned(),
        message: if detail.is_empty() {
            lint.about().to_owned()
        } else {
            format!("{}: `{detail}`", lint.about())
        },
        remedy: lint.remedy(),
    }
}

/// Returns the errors with which the plugin would refuse the configuration, all of one kind.
fn faults(plugin: &Plugin, configuration: &[u8]) -> (EnvoyLint, PolicyErrors) {
    let host = if plugin.is_module { Capabilities::MODULE } else { Capabilities::ENVOY };
    if let Err(errors) = Configuration::from_json(configuration).and_then(|it| it.fits(host)) {
        return (EnvoyLint::PolicyUnfit, errors);
    }
    let started = Worker::start(configuration, Box::new(Passed::of(plugin)), Box::new(PureRust), host, "");
    (EnvoyLint::VariableMissing, started.err().unwrap_or(PolicyErrors(Vec::new())))
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
struct Passed {
    names: BTreeSet<String>,
    are_all: bool,
}

impl Passed {
    fn of(plugin: &Plugin) -> Self {
        let literals = plugin.literals.iter().map(|(name, _)| name);
        Self { names: plugin.passed.iter().chain(literals).cloned().collect(), are_all: plugin.is_module }
    }
}

impl Environment for Passed {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        (self.are_all || self.names.contains(name)).then(|| b"value".to_vec())
    }

    /// Has every file: no configuration of Envoy says which there are.
    fn file(&self, _: &str) -> Result<SecretFile, SecretFileError> {
        Ok(SecretFile { bytes: b"value".to_vec(), is_open_to_all: false })
    }

    fn is_stand_in(&self) -> bool {
        true
    }
}
