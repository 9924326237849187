//! `keyswap policy import litellm`: the models and virtual keys of a LiteLLM proxy.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail, ensure};
use clap::Args;
use serde_json::{Deserializer, Value, json};

use super::keys::Keys;
use super::models::Models;
use super::owners::Owners;
use super::settings;
use crate::command::policy::import::documents::MAX_BYTES;
use crate::command::policy::import::draft::Draft;
use crate::command::policy::import::outputs::Outputs;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::input;

/// The answer with the virtual keys.
const KEYS: &str = "the answer of `GET /key/list?return_full_object=true`";

/// Create a policy from a LiteLLM proxy's configuration
///
/// Imports the providers of `model_list` and their credentials, by the names of their variables. `--keys` adds the
/// virtual keys: the answer of `GET /key/list?return_full_object=true` or of `GET /key/info`, or the rows of the table
/// `LiteLLM_VerificationToken` as JSON. LiteLLM stores the SHA-256 of a key, as a policy does, so callers keep their
/// keys.
///
/// A key may use no more than before: its models, and those of its team or user (`--teams`, `--users`), become `models`
/// of the token, and access groups become `model_groups`. A key that is restricted in a way that policies do not have is
/// imported as disabled, with the reason; `--without` names restrictions that may be lost. An export without a key is an error. With `--registry`, budgets
/// that last an hour, a day, a week or a month are imported.
///
/// Files that `include` names are read. Settings that have no counterpart, such as routing, are listed on standard error,
/// one a line.
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
    /// Teams of the keys, in JSON: the answer of `GET /team/list`
    #[arg(long, value_name = "FILE", requires = "keys")]
    teams: Option<PathBuf>,
    /// Users of the keys, in JSON: the answer of `GET /user/list`
    #[arg(long, value_name = "FILE", requires = "keys")]
    users: Option<PathBuf>,
    /// Allow a key whose models no list can say all models of their providers
    #[arg(long)]
    widen_models: bool,
    /// Import keys that this setting restricts as active, without it: `max_budget`, `guardrails`. Can be repeated
    #[arg(long, value_name = "SETTING", requires = "keys")]
    without: Vec<String>,
    /// URL of the registry that keeps budgets; its credential is read from `KEYSWAP_REGISTRY_TOKEN`
    #[arg(long, value_name = "URL", requires = "keys")]
    registry: Option<String>,
    #[command(flatten)]
    outputs: Outputs,
}

impl Litellm {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let files = [Some(&self.config), self.keys.as_ref(), self.teams.as_ref(), self.users.as_ref()];
        if files.into_iter().flatten().filter(|file| input::is_stdin(file)).count() > 1 {
            bail!("only one of the files can be `-`: pass a path for the others");
        }
        let name = input::name(&self.config);
        let config = &settings::read(&self.config)?;
        let mut draft = Draft::default();
        let models = Models::read(config, &mut draft);
        settings::note(config, &mut draft);
        if models.all(None).is_empty() {
            bail!("{name} has no `model_list` with a supported provider");
        }
        if let Some(keys) = &self.keys {
            draft.note("model_list", "LiteLLM's pass-through routes stay open to keys for all models, with every model of their providers; a key for some models has each at its own provider only");
            let owners = |file: Option<&PathBuf>, kind: &str, draft: &mut Draft| {
                let answer = format!("the answer of `GET /{kind}/list`");
                let documents = file.map(|file| read_json(file, &answer)).transpose()?.unwrap_or_default();
                anyhow::Ok(Owners::read(&documents, kind, draft))
            };
            let teams = owners(self.teams.as_ref(), "team", &mut draft)?;
            let users = owners(self.users.as_ref(), "user", &mut draft)?;
            let registry =
                |url: &String| json!({"url": url, "credential": {"env": "KEYSWAP_REGISTRY_TOKEN"}});
            draft.registry = self.registry.as_ref().map(registry);
            let (widen, has_registry) = (self.widen_models, self.registry.is_some());
            let (without, of_all) = (self.without.into_iter().collect(), settings::of_all_keys(config));
            let keys_of = Keys { models: &models, teams, users, widen, without, of_all, has_registry };
            keys_of.read(&read_json(keys, KEYS)?, &mut draft)?;
            ensure!(
                draft.has_keys(),
                "{} has no key: export it with the master key, or leave `--keys` out",
                input::name(keys)
            );
        }
        draft.finish("LiteLLM", &self.outputs)
    }
}

/// Reads a sequence of JSON documents. No document, or an answer of LiteLLM that is an error, is an error: `answer` is the
/// expected one. Errors do not quote the documents: they hold keys.
fn read_json(path: &Path, answer: &str) -> anyhow::Result<Vec<Value>> {
    let (bytes, name) = (input::read(path, MAX_BYTES)?, input::name(path));
    let documents: Result<Vec<Value>, _> = Deserializer::from_slice(&bytes).into_iter().collect();
    let documents = documents.map_err(|error| {
        anyhow!("{name}: not valid JSON at line {} column {}", error.line(), error.column())
    })?;
    ensure!(!documents.is_empty(), "{name} is empty: expected {answer}");
    let is_failed = |document: &Value| ["error", "detail"].iter().any(|name| document.get(name).is_some());
    ensure!(
        !documents.iter().any(is_failed),
        "{name} has an error that LiteLLM answered: export it again with the master key; expected {answer}"
    );
    Ok(documents)
}
