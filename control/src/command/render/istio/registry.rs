//! The registry in Istio: the identities that may call it, and the TLS of the calls.

use super::RenderIstio;
use crate::command::render::common::File;
use crate::command::render::parts::Trust;
use crate::command::render::plan::Plan;
use crate::command::render::registry::InMesh;
use crate::command::render::site::Site;
use crate::command::render::text::{fill, scalar};

/// The port of the tunnel in an ambient mesh.
const TUNNEL: &str = "- {protocol: TCP, port: 15008}\n";

impl RenderIstio {
    /// Returns the manifest of the registry: in the mesh, or with TLS of its own outside of it.
    pub(super) fn registry(&self, plan: &Plan) -> anyhow::Result<Option<File>> {
        let kubernetes = &self.kubernetes;
        if kubernetes.registry.speaks_tls() {
            let labels = include_str!("../templates/istio_registry_outside.yaml");
            let mesh = InMesh { labels, tunnel: "", objects: "" };
            let certificates = kubernetes.certificates(plan, &kubernetes.namespace);
            return kubernetes.manifest_of_registry(&self.peer(), &mesh, &certificates);
        }
        // The account of a gateway that exists is not known here.
        let source = match self.selector {
            None => format!("{{serviceAccounts: [{}/keyswap-gateway]}}", kubernetes.namespace),
            Some(_) => format!("{{namespaces: [{}]}}", scalar(&kubernetes.namespace)),
        };
        let objects = fill(
            include_str!("../templates/istio_registry.yaml"),
            &[
                ("registry_namespace", kubernetes.registry_namespace()),
                ("source", &source),
                ("domain", &self.cluster_domain),
            ],
        );
        let mesh = InMesh { labels: &self.injection(), tunnel: TUNNEL, objects: &objects };
        kubernetes.manifest_of_registry(&self.peer(), &mesh, "")
    }

    /// Returns the pods that may call the registry.
    fn peer(&self) -> String {
        let pods = format!("podSelector: {{matchLabels: {{{}}}}}\n", self.selector());
        let namespace = &self.kubernetes.namespace;
        if self.kubernetes.registry_namespace() == namespace {
            return pods;
        }
        format!("namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}\n{pods}")
    }

    /// Returns the volume of the files for calls to the registry, with its mount.
    pub(super) fn registry_files(&self) -> (String, &'static str) {
        let registry = &self.kubernetes.registry;
        let Some(secret) = registry.ca_secret() else { return Default::default() };
        let values = [("secret", secret), ("items", &registry.items())];
        (
            fill(include_str!("../templates/istio_registry_volume.yaml"), &values),
            include_str!("../templates/istio_registry_mount.yaml"),
        )
    }

    /// Returns the TLS of a `DestinationRule`. The files of a Secret are mounted where the pods are our own.
    pub(super) fn trust(&self, site: &Site, trust: Trust) -> String {
        let Trust::Mounted { has_client_certificate } = trust else {
            return fill(include_str!("../templates/istio_system_trust.yaml"), &[("host", &site.host)]);
        };
        let files = if let (Some(_), Some(secret)) = (&self.selector, self.kubernetes.registry.ca_secret()) {
            format!("credentialName: {}\n", scalar(secret))
        } else {
            let shown = include_str!("../templates/istio_mounted_certificate.yaml");
            let authority = include_str!("../templates/istio_mounted_files.yaml");
            authority.to_owned() + if has_client_certificate { shown } else { "" }
        };
        let mode = if has_client_certificate { "MUTUAL" } else { "SIMPLE" };
        let values = [("host", site.host.as_str()), ("mode", mode), ("files", &files)];
        fill(include_str!("../templates/istio_mounted_trust.yaml"), &values)
    }
}
