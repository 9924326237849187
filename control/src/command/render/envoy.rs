//! `keyswap render envoy`: a complete bootstrap for a standalone Envoy.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use super::common::{Common, File, Remote};
use super::parts;
use super::plan::Plan;
use super::site::Named;
use super::text::{self, fill, quoted, scalar};
use crate::command::terminal::exit::{self, Exit};

/// Write a bootstrap configuration for Envoy
///
/// The configuration has a listener, the filter with the policy, and a virtual host and a cluster for each upstream.
/// Envoy reads the credentials from its environment.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap render envoy --policy policy.yaml > bootstrap.yaml\n  \
     keyswap render envoy --policy bundle.yaml --upstream openai=https://api.openai.com --env OPENAI_API_KEY"
))]
pub(crate) struct RenderEnvoy {
    #[command(flatten)]
    common: Common,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Port to listen on
    #[arg(long, value_name = "PORT", default_value_t = 10000)]
    port: u16,
    /// Port of the admin interface, on the loopback address
    #[arg(long, value_name = "PORT", default_value_t = 9901)]
    admin_port: u16,
    /// File of the filter
    #[arg(long, value_name = "PATH", default_value = "/etc/keyswap/keyswap_filter.wasm")]
    module_file: PathBuf,
    #[command(flatten)]
    module: RemoteModule,
}

#[derive(Args)]
struct RemoteModule {
    /// URL that Envoy fetches the filter from, in place of a file
    #[arg(long, value_name = "URL", requires = "module_sha256", conflicts_with = "module_file")]
    module_url: Option<Remote>,
    /// SHA-256 of the fetched filter; Envoy runs no other
    #[arg(long, value_name = "HEX", requires = "module_url", value_parser = super::common::digest)]
    module_sha256: Option<String>,
}

impl RenderEnvoy {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        self.common.render(|plan| Ok(vec![self.bootstrap(&plan)?]))
    }

    fn bootstrap(&self, plan: &Plan) -> anyhow::Result<File> {
        let (code, module) = self.code();
        let upstreams = plan.upstreams.iter().chain(&module).map(parts::upstream);
        let clusters: String = plan.callouts.iter().map(parts::callout).chain(upstreams).collect();
        let text = fill(
            include_str!("templates/envoy.yaml"),
            &[
                ("stats_tags", parts::STATS_TAGS),
                ("http_manager", &parts::http_manager()),
                ("private_headers", parts::PRIVATE_HEADERS),
                ("admin_port", &self.admin_port.to_string()),
                ("listener_address", &quoted(&self.listen.to_string())),
                ("listener_port", &self.port.to_string()),
                ("code", &code),
                ("variables", &parts::names(&plan.variables)),
                ("policy", &text::json(&plan.document)?),
                ("virtual_hosts", &plan.upstreams.iter().map(virtual_host).collect::<String>()),
                ("clusters", &clusters),
            ],
        );
        Ok(File { name: "bootstrap.yaml", text })
    }

    /// Returns the source of the filter's code, and the cluster to fetch it from, if it is fetched.
    fn code(&self) -> (String, Option<Named>) {
        let (Some(remote), Some(sha256)) = (&self.module.module_url, &self.module.module_sha256) else {
            let file = quoted(&self.module_file.to_string_lossy());
            return (format!("local: {{filename: {file}}}"), None);
        };
        let name = "keyswap-module";
        let code = fill(
            include_str!("templates/envoy_remote_code.yaml"),
            &[("url", &quoted(&remote.url)), ("sha256", sha256), ("cluster", name)],
        );
        (code, Some(Named { name: name.to_owned(), site: remote.site.clone() }))
    }
}

fn virtual_host(upstream: &Named) -> String {
    fill(
        include_str!("templates/envoy_virtual_host.yaml"),
        &[("name", &scalar(&upstream.name)), ("authority", &upstream.site.authority)],
    )
}
