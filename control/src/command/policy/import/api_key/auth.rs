//! `keyswap policy import api-key-auth`: the key lists of Envoy, Envoy Gateway and Higress.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::key::{Found, token};
use super::lists::Search;
use crate::command::policy::import::documents;
use crate::command::policy::import::draft::Draft;
use crate::command::policy::import::outputs::Outputs;
use crate::command::terminal::exit::{self, Exit};

/// Create a policy from a list of API keys
///
/// Reads Envoy's `api_key_auth` filter in any configuration, Envoy Gateway's SecurityPolicy with the Secrets that it
/// names, and Higress' `key-auth` plugin, in YAML or JSON, also several documents in a file. Each key becomes a token
/// with the client's name as its label. The keys themselves are not written.
///
/// Such lists do not name providers, so `--provider` is required. Settings that have no counterpart are listed on
/// standard error, one a line. `keyswap token import` imports the resulting tokens into a registry.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap policy import api-key-auth envoy.yaml --provider openai --provider anthropic > policy.yaml\n  \
     kubectl get securitypolicy,secret -o yaml | keyswap policy import api-key-auth - --provider openai"
))]
pub(crate) struct ApiKeyAuth {
    /// Configurations or manifests to read; `-` reads standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Provider that every key may call; repeatable
    #[arg(long = "provider", value_name = "PROVIDER", required = true)]
    providers: Vec<String>,
    #[command(flatten)]
    outputs: Outputs,
}

impl ApiKeyAuth {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let (mut search, mut draft) = (Search::default(), Draft::default());
        for file in &self.files {
            for document in &documents::read(file)? {
                search.walk(document, "", &mut draft);
            }
        }
        let found = search.finish(&mut draft);
        if found.is_empty() {
            bail!(
                "no list of keys found: expected `api_key_auth`, a SecurityPolicy with its Secrets, or `key-auth`"
            );
        }
        for provider in &self.providers {
            draft.credential(provider, &variable(provider));
            draft
                .note(provider, format!("set the provider's own key in the variable {}", variable(provider)));
        }
        for found in found {
            self.add(&found, &mut draft);
        }
        draft.finish("a list of API keys", &self.outputs)
    }

    fn add(&self, found: &Found, draft: &mut Draft) {
        match token(&found.key, &found.client, self.providers.clone()) {
            Ok(mut token) => {
                found.faults.iter().for_each(|fault| token.disable(fault));
                draft.add(&found.place, token);
            }
            Err(reason) => draft.leave_out(&format!("{} ({})", found.place, found.client), reason),
        }
    }
}

/// Returns the usual variable for a provider's key.
fn variable(provider: &str) -> String {
    format!("{}_API_KEY", provider.to_ascii_uppercase().replace('-', "_"))
}
