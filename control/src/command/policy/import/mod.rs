//! `keyswap policy import`: a policy from what another gateway is configured with.
//!
//! Keys become digests at once: no key is written anywhere. What a policy does not have is said, and a key that was
//! restricted by it comes in disabled, never wider than it was.

mod api_key_auth;
mod draft;
mod litellm;
mod litellm_keys;
mod litellm_models;

use clap::Subcommand;

use crate::exit::{self, Exit};

/// Make a policy from the configuration of another gateway
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap policy import litellm config.yaml --keys keys.json > policy.yaml\n  \
     keyswap policy import api-key-auth envoy.yaml --provider openai > policy.yaml"
))]
pub(crate) enum Command {
    Litellm(litellm::Litellm),
    ApiKeyAuth(api_key_auth::ApiKeyAuth),
}

impl Command {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Litellm(command) => command.run(),
            Self::ApiKeyAuth(command) => command.run(),
        }
    }
}
