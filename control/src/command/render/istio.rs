//! `keyswap render istio`: the filter in an Istio gateway, and the objects for its egress.
//!
//! Istio creates the clusters, so the filter's configuration uses Istio's names for them.

use std::collections::BTreeSet;
use std::str::FromStr;

use anyhow::ensure;
use clap::Args;

use super::common::{Common, File};
use super::kubernetes::{Code, Kubernetes};
use super::parts::{self, PRIVATE_HEADERS};
use super::plan::Plan;
use super::site::Site;
use super::text::{self, fill, quoted, scalar};
use crate::command::terminal::exit::{self, Exit};

/// Write manifests for Istio
///
/// Writes a gateway with the credentials from a Secret, the filter (`WasmPlugin`), and for each upstream a
/// `ServiceEntry`, a `DestinationRule` for TLS and a `VirtualService`.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap render istio --policy policy.yaml --image registry.example.com/keyswap-filter@sha256:… --output istio/\n  \
     kubectl apply -f istio/"
))]
pub(crate) struct RenderIstio {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    kubernetes: Kubernetes,
    /// Label of an existing gateway's pods, to use it in place of a new gateway
    #[arg(long, value_name = "KEY=VALUE")]
    selector: Option<Selector>,
}

/// A label with its value.
#[derive(Clone)]
struct Selector(String);

/// The label of the rendered gateway's pods.
const OWN_PODS: &str = "istio: keyswap-gateway";

impl RenderIstio {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        self.common.render(|mut plan| {
            plan.rename_clusters(cluster);
            let hosts = self.hosts(&plan)?;
            let mut files = vec![self.filter(&plan)?, self.gateway(&plan), hosts];
            let peer = format!("podSelector: {{matchLabels: {{{}}}}}", self.selector());
            files.extend(self.kubernetes.registry("sidecar.istio.io/inject: \"true\"\n", &peer));
            Ok(files)
        })
    }

    fn selector(&self) -> &str {
        self.selector.as_ref().map_or(OWN_PODS, |Selector(label)| label)
    }

    fn filter(&self, plan: &Plan) -> anyhow::Result<File> {
        let module = match self.kubernetes.code() {
            Code::Image { name, digest } => {
                format!("url: {}\nimagePullPolicy: IfNotPresent\n", quoted(&format!("oci://{name}@{digest}")))
            }
            Code::Http { url, sha256 } => format!("url: {}\nsha256: \"{sha256}\"\n", quoted(url)),
        };
        let variable = |name: &String| format!("- {{name: {}, valueFrom: HOST}}", scalar(name));
        let variables: Vec<String> = plan.variables.iter().map(variable).collect();
        let text = fill(
            include_str!("templates/istio_filter.yaml"),
            &[
                ("namespace", &self.kubernetes.namespace),
                ("selector", self.selector()),
                ("module", &module),
                ("variables", &variables.join("\n")),
                ("policy", &text::yaml(&plan.document)?),
            ],
        );
        Ok(File { name: "filter.yaml", text })
    }

    fn gateway(&self, plan: &Plan) -> File {
        let kubernetes = &self.kubernetes;
        let values = [
            ("namespace", kubernetes.namespace.as_str()),
            ("selector", self.selector()),
            ("port", &kubernetes.port.to_string()),
            ("replicas", &kubernetes.replicas.to_string()),
            ("tls_secret", &kubernetes.tls_secret),
            ("http_manager", &parts::http_manager()),
            ("stats_tags", parts::STATS_TAGS),
            ("environment", &kubernetes.environment(plan)),
        ];
        let mut text = fill(include_str!("templates/istio_gateway.yaml"), &values);
        if self.selector.is_none() {
            text.push_str("---\n");
            text.push_str(&fill(include_str!("templates/istio_deployment.yaml"), &values));
        }
        File { name: "gateway.yaml", text }
    }

    /// Returns the objects of every host outside of the mesh, each host once: `ServiceEntry`, `DestinationRule`, and a
    /// route for upstreams.
    fn hosts(&self, plan: &Plan) -> anyhow::Result<File> {
        let mut known = BTreeSet::new();
        let upstreams = plan.upstreams.iter().map(|upstream| (&upstream.site, true));
        let callouts = plan.callouts.iter().map(|callout| (&callout.site, false));
        let mut objects = Vec::new();
        for (site, is_upstream) in upstreams.chain(callouts) {
            ensure!(
                !site.is_address(),
                "Istio needs a host name in place of the address {site}: set one, or override the cluster with `--cluster`"
            );
            if known.insert(site.object_name()) {
                objects.push(self.host(site, is_upstream));
            }
        }
        objects.retain(|object| !object.is_empty());
        Ok(File { name: "hosts.yaml", text: objects.join("---\n") })
    }

    fn host(&self, site: &Site, is_upstream: bool) -> String {
        let (port_name, protocol) = if site.is_tls { ("https", "HTTPS") } else { ("http", "HTTP") };
        let values = [
            ("namespace", self.kubernetes.namespace.as_str()),
            ("object", &site.object_name()),
            ("host", &site.host),
            ("port", &site.port.to_string()),
            ("port_name", port_name),
            ("protocol", protocol),
            ("private_headers", PRIVATE_HEADERS),
        ];
        let mut text = String::new();
        if !site.is_of_kubernetes() {
            text.push_str(&fill(include_str!("templates/istio_host.yaml"), &values));
        }
        if site.is_tls {
            text.push_str(&fill(include_str!("templates/istio_tls.yaml"), &values));
        }
        if is_upstream {
            text.push_str(&fill(include_str!("templates/istio_route.yaml"), &values));
        }
        text
    }
}

/// Returns Istio's name for the cluster of a host.
fn cluster(site: &Site) -> String {
    format!("outbound|{}||{}", site.port, site.host)
}

impl FromStr for Selector {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (key, value) = text.split_once('=').unwrap_or_default();
        let is_part = |part: &str, also: &[u8]| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte))
        };
        ensure!(
            is_part(key, b"-_./") && is_part(value, b"-_."),
            "expected a label such as `istio=ingressgateway`"
        );
        Ok(Self(format!("{key}: {}", quoted(value))))
    }
}
