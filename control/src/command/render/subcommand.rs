//! The subcommands of `keyswap render`.

use clap::Subcommand;

use super::{envoy, envoy_gateway, istio};
use crate::command::terminal::exit::{self, Exit};

/// Write the configuration that runs the filter in Envoy, Istio or Envoy Gateway
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap render envoy --policy policy.yaml > bootstrap.yaml\n  \
     keyswap render istio --policy policy.yaml --output istio/ --image registry.example.com/keyswap-filter@sha256:…"
))]
pub(in crate::command) enum Command {
    Envoy(envoy::RenderEnvoy),
    Istio(istio::RenderIstio),
    EnvoyGateway(envoy_gateway::RenderEnvoyGateway),
}

impl Command {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Envoy(command) => command.run(),
            Self::Istio(command) => command.run(),
            Self::EnvoyGateway(command) => command.run(),
        }
    }
}
