//! The parts that Istio and Envoy Gateway share: names, the filter's code, references to Secrets, the registry.

use std::str::FromStr;

use anyhow::ensure;
use clap::Args;

use super::common::{File, Remote};
use super::plan::Plan;
use super::text::{fill, quoted, scalar};
use crate::command::rate;

/// The arguments that the renderings for Istio and for Envoy Gateway share.
#[derive(Args)]
pub(super) struct Kubernetes {
    /// Namespace of all objects
    #[arg(long, value_name = "NAME", default_value = "keyswap", value_parser = label)]
    pub(super) namespace: String,
    #[command(flatten)]
    module: Module,
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
    /// Image of the registry to deploy as well, pinned by its digest
    #[arg(long, value_name = "IMAGE")]
    registry_image: Option<Image>,
    /// Time for which the registry keeps hourly usage, from `1d` to `4000d`; `400d` if absent
    #[arg(long, value_name = "TIME", requires = "registry_image", value_parser = retention)]
    usage_retention: Option<String>,
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

    /// Returns the variables of the proxy's container, as references to the Secret.
    pub(super) fn environment(&self, plan: &Plan) -> String {
        let variable = |name: &String| {
            let secret = self.credentials_secret.as_str();
            fill(include_str!("templates/environment.yaml"), &[("name", &scalar(name)), ("secret", secret)])
        };
        plan.variables.iter().map(variable).collect()
    }

    /// Returns the manifest of the registry, `None` without `--registry-image`. `labels` are the labels of its pods,
    /// `peer` selects the pods that may call it.
    pub(super) fn registry(&self, labels: &str, peer: &str) -> Option<File> {
        let image = self.registry_image.as_ref()?;
        let retention = self
            .usage_retention
            .as_ref()
            .map(|time| format!("- {{name: KEYSWAP_USAGE_RETENTION, value: {}}}\n", quoted(time)));
        let text = fill(
            include_str!("templates/registry.yaml"),
            &[
                ("namespace", &self.namespace),
                ("replicas", &self.replicas.to_string()),
                ("image", &quoted(&format!("{}@{}", image.name, image.digest))),
                ("labels", labels),
                ("retention", &retention.unwrap_or_default()),
                ("peer", peer),
            ],
        );
        Some(File { name: "registry.yaml", text })
    }
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
