//! `keyswap policy import litellm`: the models and virtual keys of a LiteLLM proxy.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::Args;
use serde_json::{Deserializer, Value};

use super::draft::Draft;
use super::litellm_keys;
use super::litellm_models::Models;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::input;
use crate::text::yaml;

const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Create a policy from a LiteLLM proxy's configuration
///
/// Imports the providers of `model_list` and their credentials, by the names of their variables. `--keys` adds the
/// virtual keys: the answer of `GET /key/list?return_full_object=true` or of `GET /key/info`, or the rows of the table
/// `LiteLLM_VerificationToken` as JSON. LiteLLM stores the SHA-256 of a key, as a policy does, so callers keep their
/// keys.
///
/// Settings that have no counterpart, such as budgets, token limits and routing, are listed on standard error, one a
/// line. A key that is restricted to models is imported as disabled, since policies restrict providers, not models.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap policy import litellm config.yaml > policy.yaml\n  \
     keyswap policy import litellm config.yaml --keys keys.json --widen-models > policy.yaml"
))]
pub(crate) struct Litellm {
    /// LiteLLM's `config.yaml`; `-` reads standard input
    #[arg(value_name = "FILE")]
    config: PathBuf,
    /// Virtual keys, in JSON
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Allow a key that is restricted to models all models of their providers
    #[arg(long)]
    widen_models: bool,
}

impl Litellm {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        if input::is_stdin(&self.config) && self.keys.as_deref().is_some_and(input::is_stdin) {
            bail!("configuration and keys cannot both be `-`: pass a path for one of them");
        }
        let name = input::name(&self.config);
        let config = yaml::parse(&input::read(&self.config, MAX_BYTES)?)
            .map_err(|error| anyhow!("{name}: {error}"))?;
        let mut draft = Draft::default();
        let models = Models::read(config.get("model_list").unwrap_or(&Value::Null), &mut draft);
        if models.providers().is_empty() {
            bail!("{name} has no `model_list` with a supported provider");
        }
        note_settings(&config, &mut draft);
        if let Some(keys) = &self.keys {
            litellm_keys::read(&read_json(keys)?, &models, self.widen_models, &mut draft);
        }
        draft.finish("LiteLLM")
    }
}

/// Reads a sequence of JSON documents. Errors do not quote them: they hold keys.
fn read_json(path: &std::path::Path) -> anyhow::Result<Vec<Value>> {
    let bytes = input::read(path, MAX_BYTES)?;
    let documents: Result<Vec<Value>, _> = Deserializer::from_slice(&bytes).into_iter().collect();
    documents.map_err(|error| {
        anyhow!("{}: not valid JSON at line {} column {}", input::name(path), error.line(), error.column())
    })
}

/// Notes the settings outside of `model_list` that are not imported.
fn note_settings(config: &Value, draft: &mut Draft) {
    if config.pointer("/general_settings/master_key").is_some() {
        draft.note("general_settings.master_key", "not imported: `keyswap serve` has its own administrators");
    }
    let others = [
        ("router_settings", "not imported: routing and retries"),
        ("litellm_settings", "not imported: callbacks, caching and fallbacks"),
        ("environment_variables", "not imported: set the variables where the filter runs"),
        ("guardrails", "not imported"),
        ("mcp_servers", "not imported"),
    ];
    for (name, message) in others {
        if config.get(name).is_some_and(|it| !it.is_null()) {
            draft.note(name, message);
        }
    }
}
