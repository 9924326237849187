//! `keyswap render envoy-gateway`: the filter on a Gateway of Envoy Gateway, and the routes to its upstreams.
//!
//! The filter makes its callouts by the names of clusters. Envoy Gateway gives its clusters names of its own, so the
//! callouts' clusters are patched into the proxy's bootstrap, where any name is possible.

use anyhow::ensure;
use clap::Args;

use super::common::{Common, File};
use super::kubernetes::{Code, Kubernetes};
use super::parts::{self, ACCESS_LOG, PRIVATE_HEADERS, STATS_TAGS};
use super::plan::{Callout, Plan};
use super::site::Named;
use super::text::{self, fill, quoted};
use crate::command::terminal::exit::{self, Exit};

/// Write manifests for Envoy Gateway
///
/// Writes a Gateway with its `EnvoyProxy`, whose environment comes from a Secret, the filter (`EnvoyExtensionPolicy`),
/// and for each upstream an `HTTPRoute`, a `Backend` and a `BackendTLSPolicy`. Envoy Gateway needs `enableBackend:
/// true`.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap render envoy-gateway --policy policy.yaml --image registry.example.com/keyswap-filter@sha256:… \\\n    \
     --output gateway/\n  kubectl apply -f gateway/"
))]
pub(crate) struct RenderEnvoyGateway {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    kubernetes: Kubernetes,
    /// `GatewayClass` that Envoy Gateway manages
    #[arg(long, value_name = "NAME", default_value = "eg", value_parser = super::kubernetes::label)]
    gateway_class: String,
    /// Namespace in which Envoy Gateway runs its proxies; the registry accepts calls from it
    #[arg(
        long,
        value_name = "NAME",
        default_value = "envoy-gateway-system",
        value_parser = super::kubernetes::label
    )]
    proxy_namespace: String,
}

impl RenderEnvoyGateway {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        self.common.render(|plan| {
            let upstreams = self.upstreams(&plan)?;
            let mut files = vec![self.filter(&plan)?, self.gateway(&plan), upstreams];
            let peer = fill(
                include_str!("templates/gateway_peer.yaml"),
                &[("proxy_namespace", &self.proxy_namespace), ("namespace", &self.kubernetes.namespace)],
            );
            files.extend(self.kubernetes.registry("", &peer));
            Ok(files)
        })
    }

    fn filter(&self, plan: &Plan) -> anyhow::Result<File> {
        let module = match self.kubernetes.code() {
            Code::Image { name, digest } => {
                format!("type: Image\nimage: {{url: {}}}\n", quoted(&format!("{name}@{digest}")))
            }
            Code::Http { url, sha256 } => {
                format!("type: HTTP\nhttp: {{url: {}, sha256: \"{sha256}\"}}\n", quoted(url))
            }
        };
        let text = fill(
            include_str!("templates/gateway_filter.yaml"),
            &[
                ("namespace", &self.kubernetes.namespace),
                ("module", &module),
                ("variables", &parts::names(&plan.variables)),
                ("policy", &text::yaml(&plan.document)?),
            ],
        );
        Ok(File { name: "filter.yaml", text })
    }

    fn gateway(&self, plan: &Plan) -> File {
        let text = fill(
            include_str!("templates/gateway_gateway.yaml"),
            &[
                ("namespace", &self.kubernetes.namespace),
                ("replicas", &self.kubernetes.replicas.to_string()),
                ("environment", &self.kubernetes.environment(plan)),
                ("access_log", ACCESS_LOG),
                ("stats_tags", STATS_TAGS),
                ("clusters", &plan.callouts.iter().map(cluster_patch).collect::<String>()),
                ("gateway_class", &self.gateway_class),
                ("port", &self.kubernetes.port.to_string()),
                ("tls_secret", &self.kubernetes.tls_secret),
            ],
        );
        File { name: "gateway.yaml", text }
    }

    fn upstreams(&self, plan: &Plan) -> anyhow::Result<File> {
        let mut objects = Vec::new();
        for upstream in &plan.upstreams {
            ensure!(
                !upstream.site.is_address(),
                "Envoy Gateway needs a host name in place of the address {}",
                upstream.site
            );
            objects.push(self.upstream(upstream));
        }
        Ok(File { name: "upstreams.yaml", text: objects.join("---\n") })
    }

    fn upstream(&self, Named { site, .. }: &Named) -> String {
        let values = [
            ("namespace", self.kubernetes.namespace.as_str()),
            ("object", &site.object_name()),
            ("host", &site.host),
            ("port", &site.port.to_string()),
            ("private_headers", PRIVATE_HEADERS),
        ];
        let mut text = fill(include_str!("templates/gateway_upstream.yaml"), &values);
        if site.is_tls {
            text.push_str(&fill(include_str!("templates/gateway_tls.yaml"), &values));
        }
        text
    }
}

/// Returns a patch that adds a callout's cluster to a bootstrap.
fn cluster_patch(callout: &Callout) -> String {
    let cluster = parts::callout(callout);
    // The template is an indented list item below a comment; the patch needs the item alone.
    let lines = cluster.lines().filter(|line| !line.starts_with('#'));
    let lines: Vec<&str> = lines.map(|line| line.get(2..).unwrap_or_default()).collect();
    let cluster = lines.join("\n");
    fill(include_str!("templates/gateway_cluster.yaml"), &[("cluster", &cluster)])
}
