//! The configuration of a LiteLLM proxy as a whole: the files that it includes, and the settings beside its models.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use crate::command::policy::import::documents;
use crate::command::policy::import::draft::{Draft, is_empty};
use crate::command::policy::import::list::list;
use crate::command::terminal::input;

/// The sections that the import reads.
const READ: [&str; 3] = ["model_list", "credential_list", "include"];
/// The members of sections that the import reads.
const READ_MEMBERS: [&str; 2] = ["model_group_alias", "model_alias_map"];

/// The settings that restrict every key, with their section. A policy has none of them.
const OF_ALL_KEYS: [(&str, &str); 9] = [
    ("general_settings", "allowed_ips"),
    ("general_settings", "allowed_routes"),
    ("general_settings", "enforce_user_param"),
    ("general_settings", "global_max_parallel_requests"),
    ("general_settings", "max_parallel_requests"),
    ("general_settings", "max_request_size_mb"),
    ("litellm_settings", "block_requests_for_models_without_pricing"),
    ("litellm_settings", "max_budget"),
    ("litellm_settings", "max_end_user_budget"),
];

/// The most files of one configuration.
const MAX_FILES: usize = 100;

/// Reads a configuration with the files that it includes. As in LiteLLM, lists are extended and other values replaced.
///
/// # Errors
/// A file that is missing or cannot be read, also one that is included: it may have a setting that restricts a key.
pub(super) fn read(path: &Path) -> anyhow::Result<Value> {
    // One file has many spellings.
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut seen = BTreeSet::from([whole(path)]);
    let mut config = read_one(path)?;
    let mut pending: Vec<(PathBuf, PathBuf)> = included(&config, path)?;
    while !pending.is_empty() {
        let (file, declared_in) = pending.remove(0);
        if !seen.insert(whole(&file)) {
            continue;
        }
        if seen.len() > MAX_FILES {
            bail!("{} and what it includes are more than {MAX_FILES} files", input::name(path));
        }
        let more = read_one(&file).with_context(|| format!("{} includes it", input::name(&declared_in)))?;
        pending.extend(included(&more, &file)?);
        let (Some(config), Value::Object(more)) = (config.as_object_mut(), more) else {
            bail!("{}: expected a mapping", input::name(&file))
        };
        merge(config, more);
    }
    Ok(config)
}

fn read_one(path: &Path) -> anyhow::Result<Value> {
    let documents = documents::read(path)?;
    let [config] = documents.as_slice() else { bail!("{}: expected one document", input::name(path)) };
    Ok(config.clone())
}

/// Returns the files that a configuration includes, beside itself.
fn included(config: &Value, path: &Path) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    let Some(include) = config.get("include").filter(|it| !is_empty(it)) else { return Ok(Vec::new()) };
    let name = input::name(path);
    if input::is_stdin(path) {
        bail!("{name} includes other files: pass its path");
    }
    let files: Option<Vec<&str>> = crate::command::policy::import::list::texts(include);
    let files = files.with_context(|| format!("{name}: `include` is no list of files"))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(files.into_iter().map(|file| (folder.join(file), path.to_owned())).collect())
}

fn merge(config: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        match (config.get_mut(&name), value) {
            (Some(Value::Array(items)), Value::Array(more)) => items.extend(more),
            (_, value) => _ = config.insert(name, value),
        }
    }
}

/// Returns the settings of the proxy that restrict every key.
pub(super) fn of_all_keys(config: &Value) -> Vec<&'static str> {
    let is_set = |(section, name): &&(&str, &str)| {
        config.get(section).and_then(|it| it.get(name)).is_some_and(|it| !is_empty(it))
    };
    let mut names: Vec<&'static str> = OF_ALL_KEYS.iter().filter(is_set).map(|(_, name)| *name).collect();
    let is_on =
        |guardrail: &Value| guardrail.pointer("/litellm_params/default_on").is_some_and(|it| !is_empty(it));
    names.extend(list(config, "guardrails").any(is_on).then_some("guardrails"));
    names
}

/// Notes each setting outside of the models: none is imported.
pub(super) fn note(config: &Value, draft: &mut Draft) {
    let sections = config.as_object().into_iter().flatten();
    for (section, value) in
        sections.filter(|(name, value)| !READ.contains(&name.as_str()) && !value.is_null())
    {
        let Some(members) = value.as_object() else {
            draft.note(section, "not imported");
            continue;
        };
        for name in members.keys().filter(|name| !READ_MEMBERS.contains(&name.as_str())) {
            let hint = match (section.as_str(), name.as_str()) {
                ("general_settings", "master_key") => ": `keyswap serve` has its own administrators",
                ("environment_variables", _) => ": set the variable where Keyswap runs",
                _ => "",
            };
            draft.note(&format!("{section}.{name}"), format!("not imported{hint}"));
        }
    }
}
