//! The parts that Istio and Envoy Gateway share: names, the code to run, references to Secrets.

use std::collections::BTreeSet;

use anyhow::ensure;
use clap::Args;

use super::common::{File, Image, Remote, label};
use super::plan::Plan;
use super::registry::{InMesh, RegistryOptions};
use super::text::{fill, scalar};

/// The arguments that the renderings for Istio and for Envoy Gateway share.
#[derive(Args)]
pub(super) struct Kubernetes {
    /// Namespace of all objects
    #[arg(long, value_name = "NAME", default_value = "keyswap", value_parser = label)]
    pub(super) namespace: String,
    #[command(flatten)]
    module: Module,
    /// Run the dynamic module in place of the filter: faster, and without a sandbox. `--image` is then an image with
    /// `libkeyswap.so` in its root
    #[arg(long, requires = "image", conflicts_with = "url")]
    pub(super) native: bool,
    /// Secret that holds the credentials, each under the name of its variable
    #[arg(long, value_name = "NAME", default_value = "keyswap-credentials", value_parser = label)]
    credentials_secret: String,
    /// Secret with the certificate that the gateway presents to callers
    #[arg(long, value_name = "NAME", default_value = "keyswap-tls", value_parser = label)]
    pub(super) tls_secret: String,
    /// Port that callers connect to
    #[arg(long, value_name = "PORT", default_value_t = 443)]
    pub(super) port: u16,
    /// Number of proxies, and of registry servers
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(super) replicas: u16,
    /// Greatest number of proxies: they are then as many as their load takes, from `--replicas` on
    #[arg(long, value_name = "N")]
    max_replicas: Option<u16>,
    /// Seconds that the streams of a proxy have to end when the proxy has to go
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(10..=86_400))]
    pub(super) drain: u32,
    /// Secret for pulling images; repeatable
    #[arg(long = "pull-secret", value_name = "NAME", value_parser = label)]
    pull_secrets: Vec<String>,
    #[command(flatten)]
    pub(super) registry: RegistryOptions,
}

/// The source of the filter's code: an image or a URL, pinned by a digest.
#[derive(Args)]
struct Module {
    /// Image of the filter, pinned by its digest: `registry.example.com/keyswap-filter@sha256:…`
    #[arg(long, value_name = "IMAGE", required_unless_present = "url", conflicts_with = "url")]
    image: Option<Image>,
    /// URL to fetch the filter from, in place of an image
    #[arg(id = "url", long = "module-url", value_name = "URL", requires = "sha256")]
    url: Option<Remote>,
    /// SHA-256 of the fetched filter; no other is run
    #[arg(id = "sha256", long = "module-sha256", value_name = "HEX", requires = "url", value_parser = super::common::digest)]
    sha256: Option<String>,
}

/// The source of the filter's code, for a manifest.
pub(super) enum Code<'c> {
    Image { name: &'c str, digest: &'c str },
    Http { url: &'c str, sha256: &'c str },
}

impl Kubernetes {
    pub(super) fn code(&self) -> Code<'_> {
        match (&self.module.image, &self.module.url, &self.module.sha256) {
            (Some(image), ..) => Code::Image { name: &image.name, digest: &image.digest },
            (None, Some(remote), Some(sha256)) => Code::Http { url: &remote.url, sha256 },
            // Clap requires an image or both other arguments.
            _ => Code::Image { name: "", digest: "" },
        }
    }

    /// Returns the namespace of the registry.
    pub(super) fn registry_namespace(&self) -> &str {
        self.registry.namespace().unwrap_or(&self.namespace)
    }

    /// Checks that the calls to the registry are as its options say.
    pub(super) fn check_registry(&self, plan: &Plan) -> anyhow::Result<()> {
        self.registry.check(plan, self.registry_namespace())
    }

    /// Returns the objects that have cert-manager fill the Secrets of the registry and the proxies, whose namespace is given.
    pub(super) fn certificates(&self, plan: &Plan, proxies: &str) -> String {
        let namespace = self.registry_namespace();
        let service = format!("keyswap-registry.{namespace}.svc");
        // The names that the proxies call, then those of a port that is forwarded.
        let called =
            plan.callouts.iter().filter(|callout| callout.is_registry()).map(|callout| &callout.site);
        let mut hosts: Vec<String> =
            called.filter(|site| !site.is_address()).map(|site| site.host.clone()).collect();
        hosts.extend([service, "localhost".to_owned()]);
        let mut seen = BTreeSet::new();
        hosts.retain(|host| seen.insert(host.clone()));
        self.registry.certificates(&hosts, namespace, proxies)
    }

    /// Returns the manifest of the registry, `None` without `--registry-image`. `peer` selects the pods that may call it.
    pub(super) fn manifest_of_registry(
        &self,
        peer: &str,
        mesh: &InMesh<'_>,
        certificates: &str,
    ) -> anyhow::Result<Option<File>> {
        let registry = &self.registry;
        let Some(image) = registry.image() else { return Ok(None) };
        let (variables, mount, volume) = registry.server_tls();
        let bounds = registry.token_bounds()?;
        let of_bounds = |text| if bounds.is_some() { text } else { "" };
        let scheme = if registry.speaks_tls() { "https" } else { "http" };
        let mut text = fill(
            include_str!("templates/registry.yaml"),
            &[
                ("namespace", self.registry_namespace()),
                ("replicas", &self.replicas.to_string()),
                ("pull_secrets", &self.pull_secrets()),
                ("spread", &spread("app.kubernetes.io/name: keyswap-registry")),
                ("tunnel", mesh.tunnel),
                ("image", &image.pinned()),
                ("labels", mesh.labels),
                ("settings", &registry.settings()),
                ("peer", peer),
                ("scheme", scheme),
                ("probe_scheme", &scheme.to_ascii_uppercase()),
                ("tls_variables", &variables),
                ("tls_mount", mount),
                ("tls_volume", &volume),
                (
                    "bounds_variables",
                    of_bounds("- {name: KEYSWAP_KUBERNETES_TOKENS, value: /etc/keyswap/tokens.yaml}\n"),
                ),
                ("bounds_mount", of_bounds(include_str!("templates/registry_bounds_mount.yaml"))),
                ("bounds_volume", of_bounds(include_str!("templates/registry_bounds_volume.yaml"))),
            ],
        );
        text.push_str(mesh.objects);
        text.push_str(certificates);
        text.push_str(&bounds.map(|it| it.objects(self.registry_namespace())).unwrap_or_default());
        Ok(Some(File { name: "registry.yaml", text }))
    }

    /// Returns the volume that has the dynamic module, with its place in the proxy's container; nothing for the filter.
    pub(super) fn library(&self) -> (String, &'static str) {
        let Some(image) = self.module.image.as_ref().filter(|_| self.native) else {
            return (String::new(), "");
        };
        (
            fill(include_str!("templates/library_volume.yaml"), &[("image", &image.pinned())]),
            include_str!("templates/library_mount.yaml"),
        )
    }

    /// Returns the variables of the proxy's container, as references to the Secret.
    pub(super) fn environment(&self, plan: &Plan) -> String {
        let variable = |name: &String| {
            let secret = self.credentials_secret.as_str();
            fill(include_str!("templates/environment.yaml"), &[("name", &scalar(name)), ("secret", secret)])
        };
        plan.variables.iter().map(variable).collect()
    }

    /// Returns the number of proxies in a manifest, unless an autoscaler says it: then each change of the manifest would set it
    /// back.
    pub(super) fn replicas(&self) -> String {
        if self.max_replicas.is_some() { String::new() } else { format!("replicas: {}\n", self.replicas) }
    }

    /// Returns the fields of an autoscaler that both meshes have, in a template; nothing without `--max-replicas`.
    pub(super) fn autoscaler(&self, template: &str) -> anyhow::Result<String> {
        let Some(most) = self.max_replicas else { return Ok(String::new()) };
        ensure!(most >= self.replicas, "`--max-replicas` is less than `--replicas`");
        let (least, most) = (self.replicas.to_string(), most.to_string());
        let fields = [("replicas", least.as_str()), ("max_replicas", &most)];
        let autoscaling = fill(include_str!("templates/autoscaling.yaml"), &fields);
        Ok(fill(template, &[("namespace", &self.namespace), ("autoscaling", &autoscaling)]))
    }

    /// Returns the Secrets for pulling images, as a field of a pod.
    pub(super) fn pull_secrets(&self) -> String {
        let secrets: Vec<String> =
            self.pull_secrets.iter().map(|name| format!("{{name: {}}}", scalar(name))).collect();
        if secrets.is_empty() {
            String::new()
        } else {
            format!("imagePullSecrets: [{}]\n", secrets.join(", "))
        }
    }

    /// Returns the Secret for pulling the filter, for which meshes take one only.
    pub(super) fn pull_secret(&self) -> Option<&str> {
        self.pull_secrets.first().filter(|_| self.module.image.is_some()).map(String::as_str)
    }
}

/// Returns the constraints that spread pods with these labels over nodes and zones, as far as there are any.
pub(super) fn spread(labels: &str) -> String {
    fill(include_str!("templates/spread.yaml"), &[("labels", labels)])
}
