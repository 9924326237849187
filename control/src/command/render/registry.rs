//! The registry of the renderings for a mesh: its options, and the TLS of the calls to it.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Args;

use super::common::{Image, label};
use super::parts::Trust;
use super::plan::{Callout, Plan};
use super::text::{self, fill, quoted};
use crate::command::terminal::input;
use crate::command::{environment, rate};
use crate::kubernetes::{Bounds, MAX_BOUNDS_BYTES};
use crate::server::ProxyUrl;
use crate::text::yaml;

/// The options of the registry, and of the calls to it.
#[derive(Args)]
pub(super) struct RegistryOptions {
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
    /// Secret with the registry's certificate (`tls.crt`, `tls.key`): the registry then speaks TLS
    #[arg(long, value_name = "NAME", requires = "registry_image", value_parser = label)]
    registry_tls_secret: Option<String>,
    /// Secret with the authority of the registry's certificate (`ca.crt`), in the namespace of the proxies: they trust it in
    /// place of the system's authorities
    #[arg(long, value_name = "NAME", value_parser = label)]
    registry_ca_secret: Option<String>,
    /// Call the registry with a client certificate: `tls.crt` and `tls.key` of `--registry-ca-secret`. The registry requires
    /// one that is signed by `ca.crt` of `--registry-tls-secret`
    #[arg(long, requires = "registry_ca_secret")]
    registry_client_certificates: bool,
    /// `ClusterIssuer` of cert-manager that is to fill the Secrets of `--registry-tls-secret` and `--registry-ca-secret`
    #[arg(long, value_name = "NAME", requires = "registry_tls_secret", value_parser = label)]
    cert_manager: Option<String>,
    /// File for `keyswap serve --kubernetes-tokens`: the registry takes tokens from the Secrets of its namespaces, and gets the
    /// right to read them
    #[arg(long, value_name = "FILE", requires = "registry_image")]
    kubernetes_tokens: Option<PathBuf>,
}

/// The file of bounds of tokens in Secrets, and its namespaces.
pub(super) struct TokenBounds {
    pub(super) text: String,
    pub(super) namespaces: Vec<String>,
}

impl TokenBounds {
    /// Returns the file as an object, and the right to read the Secrets of each namespace.
    pub(super) fn objects(&self, namespace: &str) -> String {
        let values = [("namespace", namespace), ("bounds", self.text.as_str())];
        let mut text = fill(include_str!("templates/registry_bounds.yaml"), &values);
        for of in &self.namespaces {
            let values = [("namespace", namespace), ("token_namespace", of.as_str())];
            text.push_str(&fill(include_str!("templates/registry_secrets.yaml"), &values));
        }
        text
    }
}

/// The parts of the registry's manifest that a mesh adds.
pub(super) struct InMesh<'m> {
    /// The labels of the registry's pods.
    pub(super) labels: &'m str,
    /// The ports of the mesh's tunnel.
    pub(super) tunnel: &'m str,
    /// Objects of the mesh.
    pub(super) objects: &'m str,
}

impl RegistryOptions {
    /// Returns the namespace of the registry, `None` if it is that of all objects.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.registry_namespace.as_deref()
    }

    /// Returns the image of the registry, if it is to be deployed.
    pub(super) fn image(&self) -> Option<&Image> {
        self.registry_image.as_ref()
    }

    /// Returns the variables of the settings that are given, as elements of a YAML list.
    pub(super) fn settings(&self) -> String {
        let proxy_url = self.proxy_url.as_ref().map(ToString::to_string);
        let settings = [
            ("KEYSWAP_USAGE_RETENTION", &self.usage_retention),
            ("KEYSWAP_PROXY_URL", &proxy_url),
            ("KEYSWAP_ENVIRONMENT", &self.environment),
        ];
        let line = |(name, value): (&str, &Option<String>)| {
            Some(format!("- {{name: {name}, value: {}}}\n", quoted(value.as_ref()?)))
        };
        settings.into_iter().filter_map(line).collect()
    }

    /// Returns true if the registry is deployed and speaks TLS.
    pub(super) fn speaks_tls(&self) -> bool {
        self.registry_tls_secret.is_some()
    }

    /// Returns the Secret with the authority of the registry, if the proxies have one.
    pub(super) fn ca_secret(&self) -> Option<&str> {
        self.registry_ca_secret.as_deref()
    }

    /// Returns true if the proxies show a certificate to the registry.
    pub(super) fn has_client_certificates(&self) -> bool {
        self.registry_client_certificates
    }

    /// Returns the files of the Secret that the proxies need, as elements of a YAML list. No other is mounted.
    pub(super) fn items(&self) -> String {
        let names: &[&str] =
            if self.registry_client_certificates { &["ca.crt", "tls.crt", "tls.key"] } else { &["ca.crt"] };
        let items: Vec<String> = names.iter().map(|name| format!("{{key: {name}, path: {name}}}")).collect();
        items.join(", ")
    }

    /// Returns the trust in the server of a callout.
    pub(super) fn trust(&self, callout: &Callout) -> Trust {
        if callout.is_registry() && self.registry_ca_secret.is_some() {
            Trust::Mounted { has_client_certificate: self.registry_client_certificates }
        } else {
            Trust::System
        }
    }

    /// Checks that the calls to the registry are as its options say. A call that does not fit them would fail in the mesh only.
    pub(super) fn check(&self, plan: &Plan, namespace: &str) -> anyhow::Result<()> {
        let service = format!("keyswap-registry.{namespace}.svc");
        let is_ours = |host: &str| {
            host.strip_prefix(&service).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let mut is_asked = false;
        for Callout { cluster, site, .. } in plan.callouts.iter().filter(|callout| callout.is_registry()) {
            is_asked = true;
            ensure!(
                site.is_tls || self.registry_ca_secret.is_none(),
                "`--registry-ca-secret` is for TLS, and `{cluster}` is called at {site}: give it a server with `https://`"
            );
            if self.registry_image.is_some() && is_ours(&site.host) && site.is_tls != self.speaks_tls() {
                let (has, needs) =
                    if site.is_tls { ("no", "`http://`, or set") } else { ("a", "`https://`, or leave out") };
                bail!(
                    "the registry has {has} certificate, and `{cluster}` is called at {site}: write {needs} `--registry-tls-secret`"
                );
            }
        }
        ensure!(
            is_asked || self.registry_ca_secret.is_none(),
            "`--registry-ca-secret` is for the registry, and the policy asks none"
        );
        Ok(())
    }

    /// Returns the objects that have cert-manager fill the Secrets, with the names of the registry and the namespaces of both
    /// Secrets; nothing without an issuer.
    pub(super) fn certificates(&self, hosts: &[String], registry: &str, proxies: &str) -> String {
        let (Some(issuer), Some(server)) = (&self.cert_manager, &self.registry_tls_secret) else {
            return String::new();
        };
        let certificate = |secret: &str, namespace: &str, subject: &str, usage: &str| {
            let fields = [
                ("secret", secret),
                ("namespace", namespace),
                ("issuer", issuer),
                ("subject", subject),
                ("usage", usage),
            ];
            fill(include_str!("templates/certificate.yaml"), &fields)
        };
        let mut text =
            certificate(server, registry, &format!("dnsNames: [{}]\n", hosts.join(", ")), "server auth");
        if let Some(clients) = self.registry_ca_secret.as_ref().filter(|clients| *clients != server) {
            text.push_str(&certificate(clients, proxies, "commonName: keyswap-data-plane\n", "client auth"));
        }
        text
    }

    /// Returns the file of bounds, `None` if the registry takes no tokens from Secrets.
    pub(super) fn token_bounds(&self) -> anyhow::Result<Option<TokenBounds>> {
        let Some(path) = &self.kubernetes_tokens else { return Ok(None) };
        let document = input::read(path, MAX_BOUNDS_BYTES).context("`--kubernetes-tokens`")?;
        let bounds = Bounds::read(&document).context("`--kubernetes-tokens`")?;
        let document = yaml::parse(&document).map_err(|error| anyhow!("`--kubernetes-tokens`: {error}"))?;
        let text = text::yaml(&document)?;
        Ok(Some(TokenBounds { text, namespaces: bounds.names().map(str::to_owned).collect() }))
    }

    /// Returns the variables, the mount and the volume of the registry's certificate.
    pub(super) fn server_tls(&self) -> (String, &'static str, String) {
        let Some(secret) = &self.registry_tls_secret else { return Default::default() };
        let clients = if self.registry_client_certificates {
            include_str!("templates/registry_client_ca.yaml")
        } else {
            ""
        };
        (
            fill(include_str!("templates/registry_tls_variables.yaml"), &[("clients", clients)]),
            include_str!("templates/registry_tls_mount.yaml"),
            fill(include_str!("templates/registry_tls_volume.yaml"), &[("secret", secret)]),
        )
    }
}

/// Checks a time as `keyswap serve` reads it.
fn retention(text: &str) -> Result<String, String> {
    rate::parse_retention(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}
