//! Parts of Envoy's configuration that a bootstrap, Istio's overlay and Envoy Gateway's patch share.

use super::plan::Callout;
use super::site::{Named, Site};
use super::text::{fill, scalar};

/// The rules that turn parts of a metric's name into labels.
pub(super) const STATS_TAGS: &str = include_str!("templates/stats_tags.yaml");

/// The fields of the access log.
pub(super) const ACCESS_LOG: &str = include_str!("templates/access_log.yaml");

/// The request headers that are removed before a request reaches a provider.
pub(super) const PRIVATE_HEADERS: &str = include_str!("templates/private_headers.yaml");

/// Returns the settings of Envoy's HTTP connection manager, with the access log.
pub(super) fn http_manager() -> String {
    fill(include_str!("templates/http_manager.yaml"), &[("access_log", ACCESS_LOG)])
}

/// Returns names as elements of a YAML list, quoted where needed: `NO` is a valid variable, and a boolean in YAML 1.1.
pub(super) fn names<'n>(names: impl IntoIterator<Item = &'n String>) -> String {
    names.into_iter().map(|name| scalar(name)).collect::<Vec<_>>().join(", ")
}

/// Returns the cluster of an upstream.
pub(super) fn upstream(upstream: &Named) -> String {
    cluster(include_str!("templates/envoy_upstream.yaml"), &upstream.name, &upstream.site)
}

/// Returns the cluster of a callout.
pub(super) fn callout(callout: &Callout) -> String {
    cluster(include_str!("templates/envoy_callout.yaml"), &callout.cluster, &callout.site)
}

fn cluster(template: &str, name: &str, site: &Site) -> String {
    let tls = if site.is_tls { tls(site) } else { String::new() };
    let port = site.port.to_string();
    fill(template, &[("name", &scalar(name)), ("host", &site.host), ("port", &port), ("tls", &tls)])
}

fn tls(site: &Site) -> String {
    // SNI permits no addresses (RFC 6066, section 3).
    let (sni, san_type) = if site.is_address() { ("", "IP_ADDRESS") } else { (site.host.as_str(), "DNS") };
    fill(
        include_str!("templates/envoy_tls.yaml"),
        &[("sni", sni), ("host", &site.host), ("san_type", san_type)],
    )
}
