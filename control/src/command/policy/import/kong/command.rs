//! `keyswap policy import kong`: the AI plugins, consumers and keys of Kong's declarative configuration.
//!
//! A consumer's key may do what the routes permit on which it is accepted: by `key-auth`, `acl` and the models of the AI
//! plugins. Any other plugin there may restrict the key as well, so the key is disabled.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use serde_json::Value;

use super::consumers::{self, Credentials};
use super::plugins::Plugins;
use super::routes;
use crate::command::policy::import::documents;
use crate::command::policy::import::draft::Draft;
use crate::command::policy::import::outputs::Outputs;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::input;

/// The members of the configuration that are read, and those that describe it.
const READ: [&str; 14] = [
    "_format_version",
    "_transform",
    "_info",
    "_konnect",
    "_workspace",
    "_comment",
    "services",
    "routes",
    "plugins",
    "consumers",
    "consumer_groups",
    "keyauth_credentials",
    "keyauth_enc_credentials",
    "acls",
];

/// Create a policy from Kong's declarative configuration
///
/// Reads `kong.yaml` as decK dumps it, or as Kong without a database loads it. The targets of `ai-proxy` and
/// `ai-proxy-advanced` become providers and credentials. Each key of `key-auth` becomes a token for the providers and
/// models of the AI routes that accept it, by the `acl` of each.
///
/// A key may do no more than before: where another plugin, or a setting that policies do not have, may restrict it, it is
/// imported as disabled, with the reason. Each setting that has no counterpart has a line on standard error.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap policy import kong kong.yaml > policy.yaml\n  \
     deck gateway dump -o - | keyswap policy import kong - --tests policy.tests.yaml > policy.yaml"
))]
pub(crate) struct Kong {
    /// Kong's configuration, in YAML or JSON; `-` reads standard input
    #[arg(value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    outputs: Outputs,
}

impl Kong {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let name = input::name(&self.config);
        let documents = documents::read(&self.config)?;
        let [config] = documents.as_slice() else { bail!("{name}: expected one document") };
        if config.get("_format_version").is_none() {
            bail!("{name} is no declarative configuration of Kong: it has no `_format_version`");
        }
        let mut draft = Draft::default();
        let plugins = Plugins::of(config, &mut draft);
        let routes = routes::read(config, &plugins, &mut draft);
        if routes.is_empty() {
            bail!("{name} has no route with `ai-proxy` or `ai-proxy-advanced` and a supported provider");
        }
        note_rest(config, &mut draft);
        let credentials = Credentials::of(config);
        consumers::read(config, &credentials, &plugins, &routes, &mut draft);
        draft.finish("Kong", &self.outputs)
    }
}

/// Notes each list of the configuration that is not read. Credentials of other plugins are no API keys.
fn note_rest(config: &Value, draft: &mut Draft) {
    for (name, _) in
        config.as_object().into_iter().flatten().filter(|(name, _)| !READ.contains(&name.as_str()))
    {
        let hint = if name.ends_with("_credentials") || name.ends_with("_secrets") {
            ": no keys of `key-auth`, so its holders need tokens"
        } else {
            ""
        };
        draft.note(name, format!("not imported{hint}"));
    }
}
