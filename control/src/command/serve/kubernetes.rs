//! The arguments of `keyswap serve` for tokens that Secrets of Kubernetes declare.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::command::terminal::input;
use crate::kubernetes::{Api, Bounds, MAX_BOUNDS_BYTES};

/// The settings of the source.
#[derive(Args)]
#[command(next_help_heading = "Tokens in Secrets of Kubernetes")]
pub(super) struct KubernetesArgs {
    /// File with the namespaces whose Secrets declare tokens, and the most that such a token may have, in YAML or JSON
    #[arg(long = "kubernetes-tokens", env = "KEYSWAP_KUBERNETES_TOKENS", value_name = "FILE")]
    bounds: Option<PathBuf>,
    /// Address of the API server, if this process is no pod of the cluster; plain HTTP only for a loopback address
    #[arg(
        long = "kubernetes-api",
        env = "KEYSWAP_KUBERNETES_API",
        value_name = "URL",
        requires_all = ["bounds", "folder"]
    )]
    api: Option<String>,
    /// Folder with the credential for that address (`token`) and its authority (`ca.crt`)
    #[arg(
        id = "folder",
        long = "kubernetes-credentials",
        env = "KEYSWAP_KUBERNETES_CREDENTIALS",
        value_name = "FOLDER",
        requires = "api"
    )]
    folder: Option<PathBuf>,
}

impl KubernetesArgs {
    /// Returns the API server and the bounds, `None` if there is no such source.
    pub(super) fn settings(self) -> anyhow::Result<Option<(Api, Bounds)>> {
        let Some(bounds) = self.bounds else { return Ok(None) };
        let document = input::read(&bounds, MAX_BOUNDS_BYTES).context("`--kubernetes-tokens`")?;
        let bounds = Bounds::read(&document).context("`--kubernetes-tokens`")?;
        let api = match (self.api, self.folder) {
            (Some(url), Some(folder)) => Api::at(&url, &folder).context("`--kubernetes-api`")?,
            _ => Api::in_cluster()?,
        };
        api.check()?;
        Ok(Some((api, bounds)))
    }
}
