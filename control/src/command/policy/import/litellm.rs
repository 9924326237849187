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

/// Make a policy from a LiteLLM proxy's configuration
///
/// The providers of `model_list` come with their credentials, by the names of their variables. `--keys` has the virtual
/// keys: the answer of `GET /key/list?return_full_object=true`, of `GET /key/info`, or the rows of the table
/// `LiteLLM_VerificationToken` as JSON. LiteLLM keeps the SHA-256 of a key, as a policy does, so callers keep their keys.
///
/// What is not taken over is told on standard error, a line each: budgets, limits by tokens, routing. A key that was
/// restricted to models comes in disabled, since a policy looks at providers and not at models.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap policy import litellm config.yaml > policy.yaml\n  \
     keyswap policy import litellm config.yaml --keys keys.json --widen-models > policy.yaml"
))]
pub(crate) struct Litellm {
    /// LiteLLM's `config.yaml`; `-` is standard input
    #[arg(value_name = "FILE")]
    config: PathBuf,
    /// Virtual keys, as JSON
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Let a key that was for some models have all models of their providers
    #[arg(long)]
    widen_models: bool,
}

impl Litellm {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        if input::is_stdin(&self.config) && self.keys.as_deref().is_some_and(input::is_stdin) {
            bail!("configuration and keys cannot both be `-`: name a file for one of them");
        }
        let name = input::name(&self.config);
        let config = yaml::parse(&input::read(&self.config, MAX_BYTES)?)
            .map_err(|error| anyhow!("{name}: {error}"))?;
        let mut draft = Draft::default();
        let models = Models::read(config.get("model_list").unwrap_or(&Value::Null), &mut draft);
        if models.providers().is_empty() {
            bail!("{name} has no `model_list` with a provider that a policy has");
        }
        note_settings(&config, &mut draft);
        if let Some(keys) = &self.keys {
            litellm_keys::read(&read_json(keys)?, &models, self.widen_models, &mut draft);
        }
        draft.finish("LiteLLM")
    }
}

/// Reads JSON documents, one after the other. An error repeats nothing of them.
fn read_json(path: &std::path::Path) -> anyhow::Result<Vec<Value>> {
    let bytes = input::read(path, MAX_BYTES)?;
    let documents: Result<Vec<Value>, _> = Deserializer::from_slice(&bytes).into_iter().collect();
    documents.map_err(|error| {
        anyhow!("{}: not valid JSON at line {} column {}", input::name(path), error.line(), error.column())
    })
}

/// Notes the settings in the rest of the configuration.
fn note_settings(config: &Value, draft: &mut Draft) {
    if config.pointer("/general_settings/master_key").is_some() {
        draft.note(
            "general_settings.master_key",
            "not taken over: `keyswap serve` has administrators of its own",
        );
    }
    let others = [
        ("router_settings", "routing and retries are not taken over"),
        ("litellm_settings", "callbacks, caching and fallbacks are not taken over"),
        ("environment_variables", "values are not taken over: set the variables where the filter runs"),
        ("guardrails", "not taken over"),
        ("mcp_servers", "not taken over"),
    ];
    for (name, message) in others {
        if config.get(name).is_some_and(|it| !it.is_null()) {
            draft.note(name, message);
        }
    }
}
