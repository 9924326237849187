//! The manifests in `envoy/`: all fields are in the schemas, all rules of their kinds hold, and containers have only the rights that
//! they need.

mod chart;
mod registry;
mod reviewed;
mod rights;
mod rules;
mod schemas;
mod values;

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::rendered::{self, documents, manifests};
use serde_json::{Value, json};

use schemas::Schemas;

#[test]
fn every_manifest_has_only_fields_that_its_kind_knows() -> Result<()> {
    let schemas = Schemas::read()?;
    let manifests = manifests()?;
    ensure!(manifests.len() >= 8, "{} files only", manifests.len());
    for (path, objects) in manifests {
        for object in objects {
            schemas.check(&object).with_context(|| path.clone())?;
        }
    }
    Ok(())
}

#[test]
fn a_manifest_with_a_field_that_its_kind_does_not_know_is_refused() -> Result<()> {
    let schemas = Schemas::read()?;
    for (file, kind, pointer) in [
        ("istio/filter.yaml", "WasmPlugin", "/spec"),
        ("istio/filter.yaml", "WasmPlugin", "/metadata"),
        ("istio/hosts.yaml", "VirtualService", "/spec/http/0"),
        ("istio/hosts.yaml", "DestinationRule", "/spec/trafficPolicy/tls"),
        ("istio/gateway.yaml", "Gateway", "/spec/servers/0/tls"),
        ("istio/gateway.yaml", "EnvoyFilter", "/spec/configPatches/0/match"),
        ("istio/gateway.yaml", "Deployment", "/spec/template/spec/containers/0/securityContext"),
        ("gateway/filter.yaml", "EnvoyExtensionPolicy", "/spec/wasm/0/env"),
        ("gateway/gateway.yaml", "EnvoyProxy", "/spec/provider/kubernetes/envoyDeployment/container/env/0"),
        ("gateway/gateway.yaml", "Gateway", "/spec/listeners/0"),
        ("gateway/gateway.yaml", "BackendTrafficPolicy", "/spec/responseOverride/0/match"),
        ("gateway/gateway.yaml", "ClientTrafficPolicy", "/spec/http1"),
        ("istio/gateway.yaml", "Telemetry", "/spec/tracing/0"),
        ("gateway-native/filter.yaml", "EnvoyExtensionPolicy", "/spec/dynamicModule/0"),
        ("gateway-native/gateway.yaml", "EnvoyProxy", "/spec/dynamicModules/0/source/local"),
        ("istio-native/gateway.yaml", "Deployment", "/spec/template/spec/volumes/2/image"),
        ("gateway/upstreams.yaml", "BackendTLSPolicy", "/spec/validation"),
        ("gateway/registry.yaml", "NetworkPolicy", "/spec/ingress/0"),
    ] {
        let mut objects = documents(file)?;
        let object = objects.iter_mut().find(|object| object["kind"] == kind).context(kind)?;
        let place = object.pointer_mut(pointer).and_then(Value::as_object_mut);
        place.with_context(|| format!("{kind} has no {pointer}"))?.insert("unknown".into(), json!(1));
        ensure!(schemas.check(object).is_err(), "{kind} may have anything at {pointer}");
    }
    Ok(())
}

#[test]
fn every_rule_of_every_kind_is_one_that_is_evaluated() -> Result<()> {
    let count = Schemas::read()?.compile_rules()?;
    ensure!(count > 400, "{count} rules only");
    Ok(())
}

#[test]
fn an_object_that_breaks_a_rule_of_its_kind_is_refused() -> Result<()> {
    let schemas = Schemas::read()?;
    for (file, kind, pointer, value, message) in [
        (
            "istio/filter.yaml",
            "WasmPlugin",
            "/spec/url",
            json!("ftp://example.com/filter"),
            "url must have schema",
        ),
        (
            "istio/gateway.yaml",
            "EnvoyFilter",
            "/spec/targetRefs",
            json!([{"kind": "Gateway", "name": "g"}]),
            "only one of",
        ),
        (
            "istio/gateway.yaml",
            "Telemetry",
            "/spec/targetRefs",
            json!([{"kind": "Gateway", "name": "g"}]),
            "only one of",
        ),
        (
            "istio/hosts.yaml",
            "DestinationRule",
            "/spec/trafficPolicy/connectionPool/tcp/connectTimeout",
            json!("0s"),
            "duration",
        ),
        (
            "istio/registry.yaml",
            "AuthorizationPolicy",
            "/spec/rules/0/from/0/source/namespaces",
            json!(["keyswap"]),
            "Cannot set serviceAccounts with namespaces",
        ),
        (
            "gateway/filter.yaml",
            "EnvoyExtensionPolicy",
            "/spec/targetRefs/0/kind",
            json!("Service"),
            "targetRefs",
        ),
        (
            "gateway/gateway.yaml",
            "Gateway",
            "/spec/listeners/0/protocol",
            json!("HTTP"),
            "tls must not be specified",
        ),
        (
            "gateway/gateway.yaml",
            "EnvoyProxy",
            "/spec/provider/kubernetes/envoyPDB/minAvailable",
            json!(1),
            "minAvailable",
        ),
        ("gateway/upstreams.yaml", "HTTPRoute", "/spec/rules/0/matches/0/path/value", json!("/a//b"), "//"),
        (
            "gateway/upstreams.yaml",
            "Backend",
            "/spec/endpoints/0/ip",
            json!({"address": "192.0.2.1", "port": 1}),
            "one of",
        ),
        (
            "gateway/upstreams.yaml",
            "BackendTLSPolicy",
            "/spec/validation/caCertificateRefs",
            json!([{"group": "", "kind": "ConfigMap", "name": "ca"}]),
            "caCertificateRefs",
        ),
    ] {
        let mut objects = documents(file)?;
        let object = objects.iter_mut().find(|object| object["kind"] == kind).context(kind)?;
        schemas.check(object)?;
        let (parent, name) = pointer.rsplit_once('/').context("a pointer")?;
        let parent = object.pointer_mut(parent).with_context(|| format!("{kind} has no {parent}"))?;
        parent[name] = value;
        let error = schemas.check(object).err().with_context(|| format!("{kind}: {pointer} may be that"))?;
        ensure!(error.to_string().contains(message), "{kind}: {pointer}: {error}");
    }
    Ok(())
}

#[test]
fn what_runs_in_a_cluster_runs_with_the_least_that_it_needs() -> Result<()> {
    let manifests = manifests()?;
    let objects = manifests.iter().flat_map(|(_, objects)| objects);
    let deployments: Vec<&Value> = objects.filter(|object| object["kind"] == "Deployment").collect();
    ensure!(deployments.len() == 4, "{} deployments", deployments.len());
    for deployment in deployments {
        let name = deployment["metadata"]["name"].to_string();
        rights::ensure_least(&name, &deployment["spec"]["template"]["spec"])?;
    }
    Ok(())
}

#[test]
fn the_gateway_in_istio_shows_the_counters_of_envoy_that_alerts_watch() -> Result<()> {
    for file in ["istio/gateway.yaml", "istio-native/gateway.yaml"] {
        let objects = documents(file)?;
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment").context("a gateway")?;
        let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
        let config = annotations["proxy.istio.io/config"].as_str().context("a configuration of the proxy")?;
        let config: Value = serde_saphyr::from_str(config)?;
        let shown = &config["proxyStatsMatcher"]["inclusionRegexps"];
        // By status code and cluster: a provider that rejects the real key.
        for pattern in [r".*upstream_rq_\d.*", ".*keyswap.*"] {
            ensure!(shown.as_array().context("patterns")?.contains(&json!(pattern)), "{file}: {shown}");
        }
    }
    Ok(())
}

#[test]
fn istio_gets_its_own_names_of_clusters() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("policy.yaml");
    let issuer = json!({"name": "access", "preset": "cloudflare_access", "issuer": "https://acme.cloudflareaccess.com",
        "audiences": ["a"], "principals": "any"});
    let policy = json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": Digest::of(b"ptk_t").to_hex(), "label": "t", "providers": ["groq", "own"]}],
        "credentials": {"groq": [{"env": "GROQ_API_KEY"}], "own": [{"env": "OWN_KEY"}]},
        "providers": {"own": {"url": "https://llm.example.com:8443/v2"}},
        "issuers": [issuer],
        "registry": {"url": "http://registry.keyswap.svc:7070", "plaintext": "trusted_network", "cluster": "keyswap-registry", "credential": {"env": "R"}},
    });
    fs::write(&file, json!({"version": "keyswap-rollout/v1", "stable": policy}).to_string())?;
    let digest = "0".repeat(64);
    let image = format!("registry.example.com/keyswap-filter@sha256:{digest}");
    let text = rendered::render(&["istio", "--policy", &file.to_string_lossy(), "--image", &image])?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    let plugin = objects.iter().find(|object| object["kind"] == "WasmPlugin").context("a plugin")?;
    let stable = &plugin["spec"]["pluginConfig"]["stable"];
    ensure!(stable["registry"]["cluster"] == "outbound|7070||registry.keyswap.svc.cluster.local", "{stable}");
    ensure!(stable["issuers"][0]["jwks"]["cluster"] == "outbound|443||acme.cloudflareaccess.com", "{stable}");
    let hosts: BTreeSet<&str> = objects
        .iter()
        .filter(|object| object["kind"] == "ServiceEntry")
        .filter_map(|object| object["spec"]["hosts"][0].as_str())
        .collect();
    let expect = ["acme.cloudflareaccess.com", "api.groq.com", "llm.example.com"];
    ensure!(hosts == BTreeSet::from(expect), "{hosts:?}");
    let routes = objects.iter().filter(|object| object["kind"] == "VirtualService").count();
    ensure!(routes == 2, "only upstreams have routes: {routes}");
    let schemas = Schemas::read()?;
    objects.iter().try_for_each(|object| schemas.check(object))
}
