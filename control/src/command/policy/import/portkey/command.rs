//! `keyswap policy import portkey`: the providers of Portkey's configs.
//!
//! A config has no callers, and Portkey shows an API key only when it is made. So the result has no tokens.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use super::targets::Targets;
use crate::command::policy::import::documents;
use crate::command::policy::import::draft::Draft;
use crate::command::policy::import::outputs::Outputs;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::input;
use crate::command::terminal::output::visible;

/// Create a policy from Portkey's configs
///
/// Reads configs: as you write them, or as `GET /v1/configs/{slug}` answers. The targets of a config become providers and
/// credentials. A virtual key, or a provider such as `@team-openai`, does not say which provider it is for: a list of them
/// does, the answer of `GET /v1/virtual-keys/{slug}` or the `integrations` of a self-hosted gateway, and so does
/// `--virtual-key`.
///
/// The result has no tokens: Portkey shows an API key only when it is made. Settings that have no counterpart, such as
/// strategies and guardrails, are listed on standard error, one a line.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap policy import portkey config.json > policy.yaml\n  \
     keyswap policy import portkey config.json --virtual-key main-258f4d=openai > policy.yaml"
))]
pub(crate) struct Portkey {
    /// Configs and lists of virtual keys, in JSON; `-` reads standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Virtual key with Portkey's name of its provider; repeatable
    #[arg(long = "virtual-key", value_name = "SLUG=PROVIDER", value_parser = slug)]
    virtual_keys: Vec<(String, String)>,
    #[command(flatten)]
    outputs: Outputs,
}

impl Portkey {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let mut draft = Draft::default();
        let mut targets = Targets::new(self.virtual_keys.iter().cloned());
        let mut configs = Vec::new();
        for file in &self.files {
            for document in documents::read(file)? {
                if !targets.learn(&document, &mut draft) {
                    let config = config(document);
                    configs.push(
                        config.with_context(|| format!("{} is no config of Portkey's", input::name(file)))?,
                    );
                }
            }
        }
        let count = configs.len();
        for (index, config) in configs.iter().enumerate() {
            targets.walk(
                config,
                &if count > 1 { format!("config[{index}]") } else { String::new() },
                &mut draft,
            );
        }
        if let Some((slug, _)) = self.virtual_keys.iter().find(|(slug, _)| !targets.uses(slug)) {
            bail!("no target has the virtual key `{}` of `--virtual-key`: check its spelling", visible(slug));
        }
        if targets.is_empty() {
            bail!("no target with a supported provider{}", draft.see_lines());
        }
        targets.write(&mut draft);
        draft.note(
            "callers",
            "Portkey's API keys are not in its exports: mint tokens with `keyswap token create`",
        );
        draft.finish("Portkey", &self.outputs)
    }
}

/// Returns the config of a document: itself, or that of an answer of Portkey's API. `None` where it is neither.
fn config(document: Value) -> Option<Value> {
    let answered = document.pointer("/data/config").or_else(|| document.get("config")).cloned();
    let config = match answered {
        // The API may answer with the text of the config.
        Some(Value::String(text)) => serde_json::from_str(&text).ok()?,
        Some(config) => config,
        None => document,
    };
    let known = ["targets", "provider", "virtual_key", "virtualKey", "strategy", "api_key", "apiKey"];
    known.iter().any(|member| config.get(member).is_some()).then_some(config)
}

/// Reads `SLUG=PROVIDER`.
fn slug(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((slug, provider)) if !slug.is_empty() && !provider.is_empty() => {
            Ok((slug.trim_start_matches('@').to_owned(), provider.to_owned()))
        }
        _ => Err("expected a slug and a provider, such as `main-258f4d=openai`".to_owned()),
    }
}
