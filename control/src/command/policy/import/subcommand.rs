//! The subcommands of `keyswap policy import`.

use clap::Subcommand;

use super::{ai_gateway, api_key, kong, litellm, portkey};
use crate::command::terminal::exit::{self, Exit};

/// Create a policy from another gateway's configuration
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap policy import litellm config.yaml --keys keys.json > policy.yaml\n  \
     keyswap policy import api-key-auth envoy.yaml --provider openai > policy.yaml\n  \
     keyswap policy import kong kong.yaml --tests policy.tests.yaml > policy.yaml"
))]
pub(in crate::command) enum Command {
    Litellm(litellm::Litellm),
    ApiKeyAuth(api_key::ApiKeyAuth),
    Kong(kong::Kong),
    AiGateway(ai_gateway::AiGateway),
    Portkey(portkey::Portkey),
}

impl Command {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Litellm(command) => command.run(),
            Self::ApiKeyAuth(command) => command.run(),
            Self::Kong(command) => command.run(),
            Self::AiGateway(command) => command.run(),
            Self::Portkey(command) => command.run(),
        }
    }
}
