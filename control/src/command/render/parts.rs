//! Parts of Envoy's configuration that a bootstrap, Istio's overlay and Envoy Gateway's patch share.

use super::plan::{Callout, Plan};
use super::site::{Named, Site};
use super::text::{self, fill, scalar};

/// The rules that turn parts of a metric's name into labels.
pub(super) const STATS_TAGS: &str = include_str!("templates/stats_tags.yaml");

/// The setting that shows the module's counters without a word of Envoy's in front.
pub(super) const COUNTERS_AS_NAMED: &str =
    "envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix: true";

/// The expression for every offer of an upgrade but that of a WebSocket, in any case. (Envoy's expressions cannot negate, and may not
/// be long.)
const NO_WEBSOCKET: &str = "[ -VX-vx-~][ -~]*|[wW](?:[ -DF-df-~][ -~]*|[eE](?:[ -AC-ac-~][ -~]*|[bB](?:[ -RT-rt-~][ -~]*|[sS](?:[ -NP-np-~][ -~]*|[oO](?:[ -BD-bd-~][ -~]*|[cC](?:[ -JL-jl-~][ -~]*|[kK](?:[ -DF-df-~][ -~]*|[eE](?:[ -SU-su-~][ -~]*|[tT][ -~]+)?)?)?)?)?)?)?)?";

/// The fields of the access log.
const ACCESS_LOG: &str = include_str!("templates/access_log.yaml");

/// The request headers that are removed before a request reaches a provider.
pub(super) const PRIVATE_HEADERS: &str = include_str!("templates/private_headers.yaml");

/// Returns the settings of Envoy's HTTP connection manager, with the access log.
pub(super) fn http_manager(plan: &Plan) -> String {
    fill(
        include_str!("templates/http_manager.yaml"),
        &[("access_log", &access_log(plan)), ("no_websocket", &no_websocket())],
    )
}

/// Returns the expression for every offer of an upgrade but that of a WebSocket, as a YAML scalar.
pub(super) fn no_websocket() -> String {
    text::quoted(NO_WEBSOCKET)
}

/// Returns the fields of the access log. Those of Keyswap's values are left out where no request has any.
pub(super) fn access_log(plan: &Plan) -> String {
    let is_written = |line: &&str| !(plan.leaves_values_out && line.contains("FILTER_STATE(wasm.keyswap_"));
    ACCESS_LOG.lines().filter(is_written).flat_map(|line| [line, "\n"]).collect()
}

/// Returns names as elements of a YAML list, quoted where needed: `NO` is a valid variable, and a boolean in YAML 1.1.
pub(super) fn names<'n>(names: impl IntoIterator<Item = &'n String>) -> String {
    names.into_iter().map(|name| scalar(name)).collect::<Vec<_>>().join(", ")
}

/// Returns the dynamic module as an HTTP filter, with its configuration.
pub(super) fn module(plan: &Plan) -> anyhow::Result<String> {
    Ok(fill(include_str!("templates/envoy_module.yaml"), &[("policy", &text::json(&plan.document)?)]))
}

/// Returns the part of a mesh's bootstrap that the metrics need: rules for labels, or the module's names.
pub(super) fn mesh_metrics(is_native: bool) -> String {
    if is_native {
        fill(include_str!("templates/mesh_module_metrics.yaml"), &[("runtime", COUNTERS_AS_NAMED)])
    } else {
        fill(include_str!("templates/mesh_filter_metrics.yaml"), &[("stats_tags", STATS_TAGS)])
    }
}

/// The authorities of a server's certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Those of the system.
    System,
    /// That of a mounted Secret.
    Mounted {
        /// Set if the Secret has a certificate, too, that the proxy shows to the server.
        has_client_certificate: bool,
    },
}

/// Returns the cluster of an upstream.
pub(super) fn upstream(upstream: &Named) -> String {
    cluster(include_str!("templates/envoy_upstream.yaml"), &upstream.name, &upstream.site, Trust::System)
}

/// Returns the cluster of a callout.
pub(super) fn callout(callout: &Callout, trust: Trust) -> String {
    cluster(include_str!("templates/envoy_callout.yaml"), &callout.cluster, &callout.site, trust)
}

fn cluster(template: &str, name: &str, site: &Site, trust: Trust) -> String {
    let tls = if site.is_tls { tls(site, trust) } else { String::new() };
    let port = site.port.to_string();
    fill(template, &[("name", &scalar(name)), ("host", &site.host), ("port", &port), ("tls", &tls)])
}

fn tls(site: &Site, trust: Trust) -> String {
    // SNI permits no addresses (RFC 6066, section 3).
    let (sni, san_type) = if site.is_address() { ("", "IP_ADDRESS") } else { (site.host.as_str(), "DNS") };
    let names = [("host", site.host.as_str()), ("san_type", san_type)];
    let trust = match trust {
        Trust::System => fill(include_str!("templates/envoy_system_trust.yaml"), &names),
        Trust::Mounted { has_client_certificate } => {
            let trust = fill(include_str!("templates/envoy_mounted_trust.yaml"), &names);
            let shown = include_str!("templates/envoy_mounted_certificate.yaml");
            trust + if has_client_certificate { shown } else { "" }
        }
    };
    fill(include_str!("templates/envoy_tls.yaml"), &[("sni", sni), ("trust", &trust)])
}
