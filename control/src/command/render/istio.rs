//! `keyswap render istio`: the filter in an Istio gateway, and the objects for its egress.
//!
//! Istio creates the clusters, so the filter's configuration uses Istio's names for them.

mod registry;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, ensure};
use clap::Args;

use super::common::{Common, File};
use super::kubernetes::{Code, Kubernetes, spread};
use super::parts::{self, PRIVATE_HEADERS, Trust};
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
    /// Write a `Gateway` and routes of the Gateway API in place of Istio's own
    #[arg(long, conflicts_with = "selector")]
    gateway_api: bool,
    /// Oldest Istio that the manifests are for. From 1.30 on, the filter is a `TrafficExtension`
    #[arg(long, value_name = "VERSION", default_value = "1.27")]
    istio_version: Version,
    /// Revision of Istio that injects the proxies (default: the one that is in force)
    #[arg(long, value_name = "NAME", value_parser = super::common::label)]
    revision: Option<String>,
    /// Domain of the cluster's services
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local", value_parser = domain)]
    cluster_domain: String,
}

/// A label with its value.
#[derive(Clone)]
struct Selector(String);

/// The label of the rendered gateway's pods.
const OWN_PODS: &str = "istio: keyswap-gateway";

/// A minor version of Istio 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32);

/// The oldest Istio that takes the manifests: `FAIL_RELOAD` is of this one.
const OLDEST: Version = Version(27);

/// The first Istio that has `TrafficExtension`.
const WITH_EXTENSIONS: Version = Version(30);

impl RenderIstio {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        self.common.render(self.kubernetes.native, |mut plan| {
            self.kubernetes.check_registry(&plan)?;
            plan.rename_clusters(|site| self.cluster(site));
            let hosts = self.hosts(&plan)?;
            let mut files = vec![self.filter(&plan)?, self.gateway(&plan)?, hosts];
            files.extend(self.registry(&plan)?);
            Ok(files)
        })
    }

    /// Returns the labels of pods into which Istio injects a proxy.
    fn injection(&self) -> String {
        let revision = self.revision.as_ref().map(|name| format!("istio.io/rev: {}\n", scalar(name)));
        format!("sidecar.istio.io/inject: \"true\"\n{}", revision.unwrap_or_default())
    }

    /// Returns the labels of the gateway's pods. In the Gateway API one names the Gateway, so that what is attached to it is for
    /// them.
    fn gateway_labels(&self) -> String {
        let of_api = if self.gateway_api { "gateway.networking.k8s.io/gateway-name: keyswap\n" } else { "" };
        self.injection() + of_api
    }

    /// Returns the fields that attach an object to the gateway: those of most objects, and those of an `EnvoyFilter`.
    fn attachment(&self) -> (String, String) {
        if self.gateway_api {
            let targets = include_str!("templates/istio_targets.yaml");
            return (targets.to_owned(), targets.to_owned());
        }
        let pods = self.selector();
        (
            format!("selector:\n  matchLabels:\n    {pods}\n"),
            format!("workloadSelector:\n  labels:\n    {pods}\n"),
        )
    }

    /// Returns Istio's name for the cluster of a host.
    fn cluster(&self, site: &Site) -> String {
        format!("outbound|{}||{}", site.port, self.host_in_mesh(site))
    }

    /// Returns the name of a host in Istio.
    fn host_in_mesh(&self, site: &Site) -> String {
        site.service(&self.cluster_domain).unwrap_or_else(|| site.host.clone())
    }

    fn selector(&self) -> &str {
        self.selector.as_ref().map_or(OWN_PODS, |Selector(label)| label)
    }

    fn filter(&self, plan: &Plan) -> anyhow::Result<File> {
        if self.kubernetes.native {
            return self.module(plan);
        }
        let module = match self.kubernetes.code() {
            Code::Image { name, digest } => {
                format!("url: {}\nimagePullPolicy: IfNotPresent\n", quoted(&format!("oci://{name}@{digest}")))
            }
            Code::Http { url, sha256 } => format!("url: {}\nsha256: \"{sha256}\"\n", quoted(url)),
        };
        let pull_secret =
            self.kubernetes.pull_secret().map(|name| format!("imagePullSecret: {}\n", scalar(name)));
        let variable = |name: &String| format!("- {{name: {}, valueFrom: HOST}}", scalar(name));
        let variables: Vec<String> = plan.variables.iter().map(variable).collect();
        let wasm = fill(
            include_str!("templates/istio_wasm.yaml"),
            &[
                ("module", &module),
                ("pull_secret", &pull_secret.unwrap_or_default()),
                ("variables", &variables.join("\n")),
                ("policy", &text::yaml(&plan.document)?),
            ],
        );
        let template = if self.istio_version >= WITH_EXTENSIONS {
            include_str!("templates/istio_extension.yaml")
        } else {
            include_str!("templates/istio_filter.yaml")
        };
        let values = [
            ("namespace", self.kubernetes.namespace.as_str()),
            ("version", &self.istio_version.to_string()),
            ("attached", &self.attachment().0),
            ("wasm", &wasm),
        ];
        Ok(File { name: "filter.yaml", text: fill(template, &values) })
    }

    fn module(&self, plan: &Plan) -> anyhow::Result<File> {
        let text = fill(
            include_str!("templates/istio_module.yaml"),
            &[
                ("namespace", &self.kubernetes.namespace),
                ("selected", &self.attachment().1),
                ("filter", &parts::module(plan)?),
            ],
        );
        Ok(File { name: "filter.yaml", text })
    }

    fn gateway(&self, plan: &Plan) -> anyhow::Result<File> {
        let kubernetes = &self.kubernetes;
        let (attached, selected) = self.attachment();
        let address = format!("keyswap-gateway.{}.svc.{}", kubernetes.namespace, self.cluster_domain);
        let values = [
            ("namespace", kubernetes.namespace.as_str()),
            ("version", &self.istio_version.to_string()),
            ("selector", self.selector()),
            ("address", &address),
            ("port", &kubernetes.port.to_string()),
            ("certificate", &self.certificate()),
            ("tls_secret", &kubernetes.tls_secret),
            ("attached", &attached),
            ("selected", &selected),
            ("retries", if self.gateway_api { include_str!("templates/istio_api_retries.yaml") } else { "" }),
            ("http_manager", &parts::http_manager(plan)),
        ];
        let gateway = if self.gateway_api {
            include_str!("templates/istio_api_gateway.yaml")
        } else {
            include_str!("templates/istio_gateway.yaml")
        };
        let mut text = fill(gateway, &values);
        text.push_str(&fill(include_str!("templates/istio_settings.yaml"), &values));
        if self.selector.is_none() {
            text.push_str("---\n");
            text.push_str(&self.deployment(plan)?);
        }
        Ok(File { name: "gateway.yaml", text })
    }

    fn deployment(&self, plan: &Plan) -> anyhow::Result<String> {
        let kubernetes = &self.kubernetes;
        let (volume, mount) = kubernetes.library();
        let search_path =
            if kubernetes.native { include_str!("templates/library_search_path.yaml") } else { "" };
        // A Gateway of the Gateway API gets the certificate of its own namespace.
        let (certificate_volume, certificate_mount) = if self.gateway_api {
            (String::new(), "")
        } else {
            let secret = [("tls_secret", kubernetes.tls_secret.as_str())];
            (
                fill(include_str!("templates/certificate_volume.yaml"), &secret),
                include_str!("templates/certificate_mount.yaml"),
            )
        };
        let (registry_volume, registry_mount) = self.registry_files();
        // The proxy goes by itself once no stream is left; the rest is for its own end.
        let grace = kubernetes.drain.saturating_add(30);
        Ok(fill(
            include_str!("templates/istio_deployment.yaml"),
            &[
                ("namespace", kubernetes.namespace.as_str()),
                ("selector", self.selector()),
                ("port", &kubernetes.port.to_string()),
                ("replicas", &kubernetes.replicas()),
                ("metrics", &parts::mesh_metrics(kubernetes.native)),
                ("injection", &self.gateway_labels()),
                ("pull_secrets", &kubernetes.pull_secrets()),
                ("grace", &grace.to_string()),
                ("certificate_volume", &certificate_volume),
                ("certificate_mount", certificate_mount),
                ("registry_volume", &registry_volume),
                ("registry_mount", registry_mount),
                ("volume", &volume),
                ("mount", mount),
                ("spread", &spread(self.selector())),
                ("search_path", search_path),
                ("environment", &kubernetes.environment(plan)),
                ("autoscaler", &kubernetes.autoscaler(include_str!("templates/istio_autoscaler.yaml"))?),
            ],
        ))
    }

    /// Returns the place of the gateway's certificate: a file where the pods are our own. To name a Secret takes the right to
    /// list all of the namespace, which the account of a gateway that exists may have.
    fn certificate(&self) -> String {
        match self.selector {
            None => {
                "serverCertificate: /etc/keyswap-tls/tls.crt, privateKey: /etc/keyswap-tls/tls.key".to_owned()
            }
            Some(_) => format!("credentialName: {}", self.kubernetes.tls_secret),
        }
    }

    /// Returns the objects of every host outside of the mesh, each host once: `ServiceEntry`, `DestinationRule`, and a
    /// route for upstreams.
    fn hosts(&self, plan: &Plan) -> anyhow::Result<File> {
        let mut known = BTreeSet::new();
        let upstreams = plan.upstreams.iter().map(|upstream| (&upstream.site, true, Trust::System));
        let trust = |callout| self.kubernetes.registry.trust(callout);
        let callouts = plan.callouts.iter().map(|callout| (&callout.site, false, trust(callout)));
        let mut objects = Vec::new();
        for (site, is_upstream, trust) in upstreams.chain(callouts) {
            ensure!(
                !site.is_address(),
                "Istio needs a host name in place of the address {site}: set one, or override the cluster with `--cluster`"
            );
            if known.insert(site.object_name()) {
                let text = self.host(site, is_upstream, trust);
                // A service of the cluster has no first object.
                objects.push(text.strip_prefix("---\n").unwrap_or(&text).to_owned());
            }
        }
        objects.retain(|object| !object.is_empty());
        Ok(File { name: "hosts.yaml", text: objects.join("---\n") })
    }

    fn host(&self, site: &Site, is_upstream: bool, trust: Trust) -> String {
        let (port_name, protocol) = if site.is_tls { ("https", "HTTPS") } else { ("http", "HTTP") };
        let values = [
            ("namespace", self.kubernetes.namespace.as_str()),
            ("object", &site.object_name()),
            ("host", &site.host),
            ("mesh_host", &self.host_in_mesh(site)),
            ("port", &site.port.to_string()),
            ("port_name", port_name),
            ("protocol", protocol),
            ("private_headers", PRIVATE_HEADERS),
            ("trust", &self.trust(site, trust)),
        ];
        let mut text = String::new();
        if site.service(&self.cluster_domain).is_none() {
            text.push_str(&fill(include_str!("templates/istio_host.yaml"), &values));
        }
        if site.is_tls {
            text.push_str(&fill(include_str!("templates/istio_tls.yaml"), &values));
        }
        if is_upstream {
            let route = if self.gateway_api {
                include_str!("templates/istio_api_route.yaml")
            } else {
                include_str!("templates/istio_route.yaml")
            };
            text.push_str(&fill(route, &values));
        }
        text
    }
}

/// Parses the domain of a cluster.
fn domain(text: &str) -> Result<String, String> {
    let is_domain = text.split('.').all(|part| super::common::label(part).is_ok());
    is_domain.then(|| text.to_owned()).ok_or_else(|| "expected a domain such as `cluster.local`".to_owned())
}

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let minor = text.strip_prefix("1.").and_then(|minor| minor.split('.').next()?.parse().ok());
        let version = Self(minor.context("expected a version such as `1.30`")?);
        ensure!(version >= OLDEST, "the manifests need Istio {OLDEST} or newer");
        Ok(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "1.{}", self.0)
    }
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
