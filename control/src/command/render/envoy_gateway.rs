//! `keyswap render envoy-gateway`: the filter on a Gateway of Envoy Gateway, and the routes to its upstreams.
//!
//! The filter makes its callouts by the names of clusters. Envoy Gateway gives its clusters names of its own, so the
//! callouts' clusters are patched into the proxy's bootstrap, where any name is possible.

use anyhow::ensure;
use clap::Args;

use super::common::{Common, File};
use super::kubernetes::{Code, Kubernetes, spread};
use super::parts::{self, COUNTERS_AS_NAMED, PRIVATE_HEADERS, STATS_TAGS};
use super::plan::{Callout, Plan};
use super::registry::{InMesh, RegistryOptions};
use super::site::Named;
use super::text::{self, fill, quoted, scalar};
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
    #[arg(long, value_name = "NAME", default_value = "eg", value_parser = super::common::label)]
    gateway_class: String,
    /// Namespace in which Envoy Gateway runs its proxies; the registry accepts calls from it
    #[arg(
        long,
        value_name = "NAME",
        default_value = "envoy-gateway-system",
        value_parser = super::common::label
    )]
    proxy_namespace: String,
}

/// The oldest Envoy Gateway that takes the manifests: the source and the header of `responseOverride` are of this one.
const OLDEST: &str = "1.9";

impl RenderEnvoyGateway {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        self.common.render(self.kubernetes.native, |plan| {
            self.kubernetes.check_registry(&plan)?;
            let upstreams = self.upstreams(&plan)?;
            let mut files = vec![self.filter(&plan)?, self.gateway(&plan)?, upstreams];
            let peer = fill(
                include_str!("templates/gateway_peer.yaml"),
                &[("proxy_namespace", &self.proxy_namespace), ("namespace", &self.kubernetes.namespace)],
            );
            let mesh = InMesh { labels: "", tunnel: "", objects: "" };
            let certificates = self.kubernetes.certificates(&plan, &self.proxy_namespace);
            files.extend(self.kubernetes.manifest_of_registry(&peer, &mesh, &certificates)?);
            Ok(files)
        })
    }

    fn filter(&self, plan: &Plan) -> anyhow::Result<File> {
        let text = fill(
            include_str!("templates/gateway_filter.yaml"),
            &[
                ("namespace", &self.kubernetes.namespace),
                ("version", OLDEST),
                ("extension", &self.extension(plan)?),
            ],
        );
        Ok(File { name: "filter.yaml", text })
    }

    fn extension(&self, plan: &Plan) -> anyhow::Result<String> {
        let policy = text::yaml(&plan.document)?;
        if self.kubernetes.native {
            return Ok(fill(include_str!("templates/gateway_module.yaml"), &[("policy", &policy)]));
        }
        let module = match self.kubernetes.code() {
            Code::Image { name, digest } => {
                let secret = self.kubernetes.pull_secret();
                let secret = secret.map(|name| format!(", pullSecretRef: {{name: {}}}", scalar(name)));
                let image = quoted(&format!("{name}@{digest}"));
                format!("type: Image\nimage: {{url: {image}{}}}\n", secret.unwrap_or_default())
            }
            Code::Http { url, sha256 } => {
                format!("type: HTTP\nhttp: {{url: {}, sha256: \"{sha256}\"}}\n", quoted(url))
            }
        };
        let variables = parts::names(&plan.variables);
        let values = [("module", module.as_str()), ("variables", &variables), ("policy", &policy)];
        Ok(fill(include_str!("templates/gateway_wasm.yaml"), &values))
    }

    fn gateway(&self, plan: &Plan) -> anyhow::Result<File> {
        let kubernetes = &self.kubernetes;
        let (volumes, mounts) = self.files();
        let library = if kubernetes.native { include_str!("templates/gateway_library.yaml") } else { "" };
        let metrics = if kubernetes.native {
            fill(include_str!("templates/gateway_runtime.yaml"), &[("runtime", COUNTERS_AS_NAMED)])
        } else {
            fill(include_str!("templates/gateway_labels.yaml"), &[("stats_tags", &labels())])
        };
        // A panic of the module is caught.
        let (concurrency, liveness) = if kubernetes.native {
            ("", String::new())
        } else {
            (include_str!("templates/gateway_concurrency.yaml"), self.liveness())
        };
        let pods = fill(include_str!("templates/gateway_pods.yaml"), &[("namespace", &kubernetes.namespace)]);
        let text = fill(
            include_str!("templates/gateway_gateway.yaml"),
            &[
                ("namespace", &kubernetes.namespace),
                ("version", OLDEST),
                ("concurrency", concurrency),
                ("replicas", &kubernetes.replicas()),
                ("pull_secrets", &kubernetes.pull_secrets()),
                ("spread", &spread(&pods)),
                ("annotations", &annotations(&kubernetes.registry)),
                ("volumes", &volumes),
                ("environment", &kubernetes.environment(plan)),
                ("mounts", &mounts),
                ("liveness", &liveness),
                ("autoscaler", &kubernetes.autoscaler(include_str!("templates/gateway_autoscaler.yaml"))?),
                ("drain", &format!("{}s", kubernetes.drain)),
                ("library", library),
                ("access_log", &parts::access_log(plan)),
                ("metrics", &metrics),
                (
                    "clusters",
                    &plan.callouts.iter().map(|callout| self.cluster_patch(callout)).collect::<String>(),
                ),
                ("gateway_class", &self.gateway_class),
                ("port", &kubernetes.port.to_string()),
                ("tls_secret", &kubernetes.tls_secret),
                ("no_websocket", &parts::no_websocket()),
            ],
        );
        Ok(File { name: "gateway.yaml", text })
    }

    /// Returns the volumes of the pods and the mounts of Envoy's container: the module, and the files for calls to the registry.
    fn files(&self) -> (String, String) {
        let (mut volumes, mount) = self.kubernetes.library();
        let mut mounts = mount.to_owned();
        let registry = &self.kubernetes.registry;
        if let Some(secret) = registry.ca_secret() {
            let file = |(name, _): &(&str, &str)| {
                fill(include_str!("templates/gateway_registry_file.yaml"), &[("name", name)])
            };
            let files: String = secrets(registry).iter().map(file).collect();
            let values = [("secret", secret), ("items", &registry.items()), ("files", &files)];
            volumes.push_str(&fill(include_str!("templates/gateway_registry_volumes.yaml"), &values));
            mounts.push_str(include_str!("templates/gateway_registry_mounts.yaml"));
        }
        if volumes.is_empty() {
            return Default::default();
        }
        (
            fill(include_str!("templates/gateway_volumes.yaml"), &[("volume", &volumes)]),
            fill(include_str!("templates/gateway_mounts.yaml"), &[("mount", &mounts)]),
        )
    }

    /// Returns a patch that adds a callout's cluster to a bootstrap.
    fn cluster_patch(&self, callout: &Callout) -> String {
        let cluster = parts::callout(callout, self.kubernetes.registry.trust(callout));
        // The template is an indented list item below a comment; the patch needs the item alone.
        let lines = cluster.lines().filter(|line| !line.starts_with('#'));
        let lines: Vec<&str> = lines.map(|line| line.get(2..).unwrap_or_default()).collect();
        let cluster = lines.join("\n");
        fill(include_str!("templates/gateway_cluster.yaml"), &[("cluster", &cluster)])
    }

    /// Returns the probe that asks the filter. Envoy Gateway gives a container no port below 1024.
    fn liveness(&self) -> String {
        let port = self.kubernetes.port;
        let port = if port < 1024 { port.saturating_add(10000) } else { port };
        fill(include_str!("templates/gateway_liveness.yaml"), &[("container_port", &port.to_string())])
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

/// Returns patches that add the rules for labels to those that are there.
fn labels() -> String {
    let rules = STATS_TAGS.lines().filter_map(|line| line.strip_prefix("- "));
    rules.map(|rule| fill(include_str!("templates/gateway_label.yaml"), &[("stats_tag", rule)])).collect()
}

/// Returns the secrets by whose names Envoy verifies the registry and shows itself to it, each with its annotation.
fn secrets(registry: &RegistryOptions) -> &'static [(&'static str, &'static str)] {
    const AUTHORITY: (&str, &str) = ("authority", include_str!("templates/gateway_authority.yaml"));
    const CERTIFICATE: (&str, &str) = ("certificate", include_str!("templates/gateway_certificate.yaml"));
    match (registry.ca_secret(), registry.has_client_certificates()) {
        (None, _) => &[],
        (Some(_), false) => &[AUTHORITY],
        (Some(_), true) => &[AUTHORITY, CERTIFICATE],
    }
}

/// Returns the annotations of the pods, of which Envoy's secrets are made. (A `ConfigMap` would be in the namespace of the proxies, which
/// is not that of all objects.)
fn annotations(registry: &RegistryOptions) -> String {
    let annotations: String = secrets(registry).iter().map(|(_, annotation)| *annotation).collect();
    if annotations.is_empty() {
        return annotations;
    }
    fill(include_str!("templates/gateway_annotations.yaml"), &[("annotations", &annotations)])
}
