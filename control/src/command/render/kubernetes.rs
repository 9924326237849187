//! The parts that Istio and Envoy Gateway share: names, the code to run, references to Secrets, the registry.

use std::str::FromStr;

use anyhow::ensure;
use clap::Args;

use super::common::{File, Remote};
use super::plan::Plan;
use super::text::{fill, quoted, scalar};
use crate::command::{environment, rate};
use crate::server::ProxyUrl;

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
    /// Image of the registry to deploy as well, pinned by its digest
    #[arg(long, value_name = "IMAGE")]
    registry_image: Option<Image>,
    /// Namespace of the registry (default: that of all objects). With one of its own, accounts of the gateway's namespace
    /// have no way to the registry's Secret
    #[arg(long, value_name = "NAME", requires = "registry_image", value_parser = label)]
    registry_namespace: Option<String>,
    /// Time for which the registry keeps hourly usage, from `1d` to `4000d`; `400d` if absent
    #[arg(long, value_name = "TIME", requires = "registry_image", value_parser = retention)]
    usage_retention: Option<String>,
    /// URL at which callers reach the gateway, such as `https://llm.example.com`: the registry's dashboard has examples with it
    #[arg(long, value_name = "URL", requires = "registry_image")]
    proxy_url: Option<ProxyUrl>,
    /// Name of the environment in the head of the registry's dashboard, such as `production`
    #[arg(long, value_name = "NAME", requires = "registry_image", value_parser = environment::parse)]
    environment: Option<String>,
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

/// An image pinned by its digest. A tag could be moved to another image.
#[derive(Clone)]
pub(super) struct Image {
    name: String,
    digest: String,
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
        self.registry_namespace.as_ref().unwrap_or(&self.namespace)
    }

    /// Returns the volume that has the dynamic module, with its place in the proxy's container; nothing for the filter.
    pub(super) fn library(&self) -> (String, &'static str) {
        let Some(image) = self.module.image.as_ref().filter(|_| self.native) else {
            return (String::new(), "");
        };
        let reference = quoted(&format!("{}@{}", image.name, image.digest));
        (
            fill(include_str!("templates/library_volume.yaml"), &[("image", &reference)]),
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

    /// Returns the manifest of the registry, `None` without `--registry-image`. `labels` are the labels of its pods,
    /// `peer` selects the pods that may call it, `tunnel` are the ports of the mesh by which they do.
    pub(super) fn registry(&self, labels: &str, peer: &str, tunnel: &str) -> Option<File> {
        let image = self.registry_image.as_ref()?;
        let proxy_url = self.proxy_url.as_ref().map(ToString::to_string);
        let settings: String = [
            ("KEYSWAP_USAGE_RETENTION", &self.usage_retention),
            ("KEYSWAP_PROXY_URL", &proxy_url),
            ("KEYSWAP_ENVIRONMENT", &self.environment),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some(format!("- {{name: {name}, value: {}}}\n", quoted(value.as_ref()?))))
        .collect();
        let text = fill(
            include_str!("templates/registry.yaml"),
            &[
                ("namespace", self.registry_namespace()),
                ("replicas", &self.replicas.to_string()),
                ("pull_secrets", &self.pull_secrets()),
                ("spread", &spread("app.kubernetes.io/name: keyswap-registry")),
                ("tunnel", tunnel),
                ("image", &quoted(&format!("{}@{}", image.name, image.digest))),
                ("labels", labels),
                ("settings", &settings),
                ("peer", peer),
            ],
        );
        Some(File { name: "registry.yaml", text })
    }
}

/// Returns the constraints that spread pods with these labels over nodes and zones, as far as there are any.
pub(super) fn spread(labels: &str) -> String {
    fill(include_str!("templates/spread.yaml"), &[("labels", labels)])
}

impl FromStr for Image {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (name, digest) = text.split_once("@sha256:").unwrap_or_default();
        let name_is_plain = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte));
        ensure!(
            name_is_plain && super::common::digest(digest).is_ok(),
            "expected an image with its digest, such as `registry.example.com/keyswap-filter@sha256:…`"
        );
        Ok(Self { name: name.to_owned(), digest: format!("sha256:{digest}") })
    }
}

/// Checks a time as `keyswap serve` reads it.
fn retention(text: &str) -> Result<String, String> {
    rate::parse_retention(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Parses a DNS label (RFC 1123), the form of names in Kubernetes.
pub(super) fn label(text: &str) -> Result<String, String> {
    let is_label = (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    is_label.then(|| text.to_owned()).ok_or_else(|| "expected lower-case letters, digits and `-`".to_owned())
}
