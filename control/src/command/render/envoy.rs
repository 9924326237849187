//! `keyswap render envoy`: a complete bootstrap for a standalone Envoy.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use keyswap_core::policy::Configuration;
use serde_json::Value;

use super::common::{Common, File, Remote};
use super::parts::{self, Trust};
use super::plan::Plan;
use super::site::Named;
use super::text::{self, fill, quoted, scalar};
use crate::command::terminal::exit::{self, Exit};
use crate::text::yaml;

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
    #[command(flatten)]
    envoy: Envoy,
}

#[derive(Args)]
struct Envoy {
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Port to listen on
    #[arg(long, value_name = "PORT", default_value_t = 10000)]
    port: u16,
    /// Port of the admin interface, on the loopback address
    #[arg(long, value_name = "PORT", default_value_t = 9901)]
    admin_port: u16,
    /// Run the dynamic module in place of the filter: faster, and without a sandbox
    #[arg(long, conflicts_with_all = ["module_file", "module_url"])]
    native: bool,
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
        self.common.render(self.envoy.native, |plan| {
            Ok(vec![File { name: "bootstrap.yaml", text: self.envoy.bootstrap(&plan)? }])
        })
    }
}

/// The addresses and the code of an Envoy that is started here.
pub(in crate::command) struct Local<'l> {
    /// The address that callers reach.
    pub(in crate::command) listen: SocketAddr,
    /// The port of the admin interface.
    pub(in crate::command) admin_port: u16,
    /// The file of the filter, `None` for the dynamic module.
    pub(in crate::command) filter: Option<&'l Path>,
}

/// Returns the bootstrap of an Envoy that is started here, with all that the configuration needs. `document` is the configuration as JSON.
pub(in crate::command) fn bootstrap(
    configuration: &Configuration,
    document: Value,
    local: &Local<'_>,
) -> anyhow::Result<Value> {
    let plan = Plan::of(configuration, document, &[], &[], &[])?;
    let envoy = Envoy {
        listen: local.listen.ip(),
        port: local.listen.port(),
        admin_port: local.admin_port,
        native: local.filter.is_none(),
        module_file: local.filter.map(Path::to_path_buf).unwrap_or_default(),
        module: RemoteModule { module_url: None, module_sha256: None },
    };
    yaml::parse(envoy.bootstrap(&plan)?.as_bytes()).context("the rendered configuration is not YAML")
}

impl Envoy {
    fn bootstrap(&self, plan: &Plan) -> anyhow::Result<String> {
        let (code, module) = self.code();
        let upstreams = plan.upstreams.iter().chain(&module).map(parts::upstream);
        let callouts = plan.callouts.iter().map(|callout| parts::callout(callout, Trust::System));
        let clusters: String = callouts.chain(upstreams).collect();
        Ok(fill(
            include_str!("templates/envoy.yaml"),
            &[
                ("steps", &self.steps(plan)),
                ("metrics", &self.metrics()),
                ("runtime", if self.native { parts::COUNTERS_AS_NAMED } else { "" }),
                ("http_manager", &parts::http_manager(plan)),
                ("private_headers", parts::PRIVATE_HEADERS),
                ("admin_port", &self.admin_port.to_string()),
                ("listener_address", &quoted(&self.listen.to_string())),
                ("listener_port", &self.port.to_string()),
                ("filter", &self.filter(plan, &code)?),
                ("virtual_hosts", &plan.upstreams.iter().map(virtual_host).collect::<String>()),
                ("clusters", &clusters),
            ],
        ))
    }

    fn steps(&self, plan: &Plan) -> String {
        let steps = if self.native {
            include_str!("templates/envoy_module_steps.yaml")
        } else {
            include_str!("templates/envoy_filter_steps.yaml")
        };
        fill(steps, &[("variables", &parts::names(&plan.variables))])
    }

    /// Returns the rules for metrics. The module's have labels without them.
    fn metrics(&self) -> String {
        if self.native {
            return include_str!("templates/envoy_module_metrics.yaml").to_owned();
        }
        fill(include_str!("templates/envoy_metrics.yaml"), &[("stats_tags", parts::STATS_TAGS)])
    }

    fn filter(&self, plan: &Plan, code: &str) -> anyhow::Result<String> {
        if self.native {
            return parts::module(plan);
        }
        let (variables, policy) = (parts::names(&plan.variables), text::json(&plan.document)?);
        let values = [("code", code), ("variables", &variables), ("policy", &policy)];
        Ok(fill(include_str!("templates/envoy_filter.yaml"), &values))
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
