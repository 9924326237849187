//! The points of a review of both meshes' manifests: routes that others can bring, secrets and logs that they can read, and pods
//! that go.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::rendered;
use serde_json::{Value, json};

use crate::chart::image;
use crate::schemas::Schemas;

const REGISTRY: &str = "keyswap-registry=http://keyswap-registry.keyswap.svc.cluster.local:7070";

/// Renders the shipped policy for a mesh, with more arguments. All objects fit their schemas.
pub(crate) fn objects(mesh: &str, more: &[&str]) -> Result<Vec<Value>> {
    let (image, server) = (image("keyswap-filter"), image("keyswap"));
    let arguments = ["--policy", "envoy/policy-mesh.yaml", "--cluster", REGISTRY, "--image", &image];
    let registry = ["--registry-image", &server];
    let text = rendered::render(&[&[mesh], &arguments[..], &registry, more].concat())?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    let schemas = Schemas::read()?;
    objects.iter().try_for_each(|object| schemas.check(object))?;
    Ok(objects)
}

pub(crate) fn find<'o>(objects: &'o [Value], kind: &str, name: &str) -> Result<&'o Value> {
    let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects.iter().find(is_it).with_context(|| format!("no {kind} {name}"))
}

pub(crate) fn pod(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]
}

pub(crate) const SELECTED: [&str; 2] = ["--selector", "istio=ingressgateway"];

#[test]
fn no_other_namespace_can_add_a_route_to_a_gateway() -> Result<()> {
    for more in [&[][..], &SELECTED, &["--native"]] {
        let objects = objects("istio", more)?;
        let gateway = find(&objects, "Gateway", "keyswap")?;
        for server in gateway["spec"]["servers"].as_array().context("servers")? {
            ensure!(server["hosts"] == json!(["./*"]), "{server}");
        }
        for route in objects.iter().filter(|object| object["kind"] == "VirtualService") {
            ensure!(route["spec"]["exportTo"] == json!(["."]), "{route}");
        }
    }
    let objects = objects("envoy-gateway", &[])?;
    let gateway = find(&objects, "Gateway", "keyswap")?;
    ensure!(gateway["spec"]["listeners"][0]["allowedRoutes"]["namespaces"]["from"] == "Same", "{gateway}");
    Ok(())
}

#[test]
fn in_the_gateway_api_filter_settings_and_routes_are_attached_to_one_gateway_with_pods_of_our_own()
-> Result<()> {
    let target = json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "keyswap"}]);
    for (more, kind) in [
        (&["--gateway-api"][..], "WasmPlugin"),
        (&["--gateway-api", "--istio-version", "1.29.2"], "WasmPlugin"),
        (&["--gateway-api", "--istio-version", "1.30"], "TrafficExtension"),
        (&["--gateway-api", "--native"], "EnvoyFilter"),
    ] {
        let objects = objects("istio", more)?;
        let gateway = &find(&objects, "Gateway", "keyswap")?;
        ensure!(gateway["apiVersion"] == "gateway.networking.k8s.io/v1", "{gateway}");
        let listener = &gateway["spec"]["listeners"][0];
        ensure!(listener["allowedRoutes"]["namespaces"]["from"] == "Same", "{listener}");
        ensure!(listener["tls"]["certificateRefs"] == json!([{"name": "keyswap-tls"}]), "{listener}");
        // Istio starts no pods for a Gateway with an address, and takes those of the Service.
        let service = find(&objects, "Service", "keyswap-gateway")?;
        let address = json!([{"type": "Hostname", "value": "keyswap-gateway.keyswap.svc.cluster.local"}]);
        ensure!(gateway["spec"]["addresses"] == address, "{gateway}");
        ensure!(service["spec"]["ports"][0]["port"] == listener["port"], "{service}");
        let name = if kind == "EnvoyFilter" { "keyswap-module" } else { "keyswap" };
        for (kind, name) in [(kind, name), ("Telemetry", "keyswap"), ("EnvoyFilter", "keyswap")] {
            let object = find(&objects, kind, name)?;
            ensure!(object["spec"]["targetRefs"] == target, "{object}");
        }
        let deployment = find(&objects, "Deployment", "keyswap-gateway")?;
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        ensure!(labels["gateway.networking.k8s.io/gateway-name"] == "keyswap", "{labels}");
        let routes: Vec<&Value> = objects.iter().filter(|object| object["kind"] == "HTTPRoute").collect();
        ensure!(routes.len() == 2, "{} routes", routes.len());
        for route in routes {
            let host = route["spec"]["hostnames"][0].as_str().context("a host")?;
            let expect =
                json!([{"group": "networking.istio.io", "kind": "Hostname", "name": host, "port": 443}]);
            ensure!(route["spec"]["rules"][0]["backendRefs"] == expect, "{route}");
            ensure!(route["spec"]["rules"][0]["timeouts"]["request"] == "0s", "{route}");
            find(&objects, "ServiceEntry", host)?;
            find(&objects, "DestinationRule", host)?;
        }
        ensure!(objects.iter().all(|object| object["kind"] != "VirtualService"));
    }
    Ok(())
}

#[test]
fn manifests_are_for_no_istio_that_does_not_take_them() -> Result<()> {
    for version in ["1.26", "1.x", "2.0", "30", ""] {
        ensure!(objects("istio", &["--istio-version", version]).is_err(), "`{version}` is taken");
    }
    for version in ["1.27", "1.28.4"] {
        objects("istio", &["--istio-version", version])?;
    }
    Ok(())
}

#[test]
fn the_certificate_of_a_gateway_of_its_own_comes_up_without_a_right_to_read_secrets() -> Result<()> {
    let own = objects("istio", &["--tls-secret", "callers"])?;
    let tls = &find(&own, "Gateway", "keyswap")?["spec"]["servers"][0]["tls"];
    let pod = pod(find(&own, "Deployment", "keyswap-gateway")?);
    let mounts = pod["containers"][0]["volumeMounts"].as_array().context("mounts")?;
    let mount = mounts.iter().find(|mount| mount["name"] == "keyswap-tls").context("no mount")?;
    for (field, file) in [("serverCertificate", "tls.crt"), ("privateKey", "tls.key")] {
        let path = format!("{}/{file}", mount["mountPath"].as_str().context("a path")?);
        ensure!(tls[field] == json!(path) && tls["credentialName"].is_null(), "{tls}");
    }
    let volumes = pod["volumes"].as_array().context("volumes")?;
    let volume = volumes.iter().find(|volume| volume["name"] == "keyswap-tls").context("no volume")?;
    ensure!(volume["secret"]["secretName"] == "callers", "{volume}");
    ensure!(
        pod["securityContext"]["fsGroup"] == pod["containers"][0]["securityContext"]["runAsGroup"],
        "{pod}"
    );
    for kind in ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"] {
        ensure!(own.iter().all(|object| object["kind"] != kind), "there is a {kind}");
    }
    // The account of a gateway that exists has its rights already.
    let selected = objects("istio", &[&SELECTED[..], &["--tls-secret", "callers"]].concat())?;
    ensure!(
        find(&selected, "Gateway", "keyswap")?["spec"]["servers"][0]["tls"]["credentialName"] == "callers"
    );
    Ok(())
}

#[test]
fn no_account_of_a_pod_is_mounted_into_it() -> Result<()> {
    for mesh in ["istio", "envoy-gateway"] {
        for object in objects(mesh, &[])? {
            let mounts = match object["kind"].as_str() {
                Some("Deployment") => &pod(&object)["automountServiceAccountToken"],
                Some("ServiceAccount") => &object["automountServiceAccountToken"],
                _ => continue,
            };
            ensure!(*mounts == false, "{mesh}: {}", object["metadata"]["name"]);
        }
    }
    Ok(())
}

#[test]
fn the_registry_may_have_a_namespace_of_its_own_which_admits_the_gateway_alone() -> Result<()> {
    for mesh in ["istio", "envoy-gateway"] {
        let objects = objects(mesh, &["--registry-namespace", "vault"])?;
        for object in &objects {
            let is_of_registry =
                object["metadata"]["name"] == "keyswap-registry" && object["kind"] != "ServiceEntry";
            let expect = if is_of_registry { "vault" } else { "keyswap" };
            ensure!(object["metadata"]["namespace"] == expect, "{mesh}: {object}");
        }
        let from = &find(&objects, "NetworkPolicy", "keyswap-registry")?["spec"]["ingress"][0]["from"];
        let labels = &from[0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"];
        let expect = if mesh == "istio" { "keyswap" } else { "envoy-gateway-system" };
        ensure!(from.as_array().map(Vec::len) == Some(1) && labels == expect, "{from}");
        ensure!(from[0]["podSelector"].is_object(), "{from}");
    }
    Ok(())
}

#[test]
fn the_meshs_own_log_and_traces_are_off_for_the_pods_of_the_gateway() -> Result<()> {
    for (more, pods) in
        [(&[][..], json!({"istio": "keyswap-gateway"})), (&SELECTED, json!({"istio": "ingressgateway"}))]
    {
        let objects = objects("istio", more)?;
        let telemetry = &find(&objects, "Telemetry", "keyswap")?["spec"];
        ensure!(telemetry["selector"]["matchLabels"] == pods, "{telemetry}");
        // Without a provider Istio would go on with `meshConfig.accessLogFile`.
        ensure!(
            telemetry["accessLogging"] == json!([{"providers": [{"name": "envoy"}], "disabled": true}]),
            "{telemetry}"
        );
        ensure!(telemetry["tracing"] == json!([{"disableSpanReporting": true}]), "{telemetry}");
    }
    Ok(())
}

#[test]
fn no_rendered_format_of_a_log_holds_the_query() -> Result<()> {
    for mesh in ["istio", "envoy-gateway"] {
        let text = Value::from(objects(mesh, &[])?).to_string();
        let paths: BTreeSet<&str> = text.split('%').filter(|part| part.contains(":PATH")).collect();
        ensure!(paths == BTreeSet::from(["REQ_WITHOUT_QUERY(:PATH)"]), "{mesh}: {paths:?}");
    }
    Ok(())
}

#[test]
fn a_filter_of_envoy_gateway_that_is_stuck_has_its_pod_started_again() -> Result<()> {
    for (port, expect) in [("443", 10443), ("80", 10080), ("8443", 8443)] {
        let objects = objects("envoy-gateway", &["--port", port])?;
        let proxy = find(&objects, "EnvoyProxy", "keyswap")?;
        // One worker, so that every probe asks the filter that serves.
        ensure!(proxy["spec"]["concurrency"] == 1, "{proxy}");
        let patch = &proxy["spec"]["provider"]["kubernetes"]["envoyDeployment"]["patch"]["value"];
        let container = &patch["spec"]["template"]["spec"]["containers"][0];
        let probe = &container["livenessProbe"]["httpGet"];
        ensure!(container["name"] == "envoy", "{patch}");
        let asked = json!({"path": "/.well-known/keyswap/live", "port": expect, "scheme": "HTTPS"});
        ensure!(*probe == asked, "{probe}");
    }
    let native = objects("envoy-gateway", &["--native"])?;
    let proxy = find(&native, "EnvoyProxy", "keyswap")?;
    ensure!(proxy["spec"]["concurrency"].is_null(), "the module catches a panic: {proxy}");
    Ok(())
}

#[test]
fn envoy_gateway_has_the_limits_and_the_errors_of_a_standalone_envoy() -> Result<()> {
    let objects = objects("envoy-gateway", &[])?;
    let callers = &find(&objects, "ClientTrafficPolicy", "keyswap")?["spec"];
    let upstreams = &find(&objects, "BackendTrafficPolicy", "keyswap")?["spec"];
    let envoy = rendered::documents("bootstrap.yaml")?.remove(0);
    let manager = envoy
        .pointer("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config")
        .context("a manager")?;
    let common = &manager["common_http_protocol_options"];
    ensure!(callers["timeout"]["http"]["idleTimeout"] == common["idle_timeout"], "{callers}");
    ensure!(callers["timeout"]["http"]["streamIdleTimeout"] == manager["stream_idle_timeout"], "{callers}");
    let streams = &manager["http2_protocol_options"]["max_concurrent_streams"];
    ensure!(callers["http2"]["maxConcurrentStreams"] == *streams, "{callers}");
    ensure!(callers["path"] == json!({"escapedSlashesAction": "KeepUnchanged", "disableMergeSlashes": true}));
    let underscores = common["headers_with_underscores_action"] == "DROP_HEADER";
    ensure!(underscores && callers["headers"]["withUnderscoresAction"] == "DropHeader", "{callers}");
    let clusters = envoy["static_resources"]["clusters"].as_array().context("clusters")?;
    let upstream = clusters.iter().find(|cluster| cluster["name"] == "openai").context("an upstream")?;
    let limits = &upstream["circuit_breakers"]["thresholds"][0];
    for (ours, envoys) in [
        ("maxConnections", "max_connections"),
        ("maxParallelRequests", "max_requests"),
        ("maxPendingRequests", "max_pending_requests"),
    ] {
        ensure!(upstreams["circuitBreaker"][ours] == limits[envoys], "{ours}: {limits}");
    }
    let retries =
        json!({"numRetries": 2, "retryOn": {"triggers": ["connect-failure", "reset-before-request"]}});
    ensure!(
        upstreams["retry"] == retries && upstreams["timeout"]["http"]["requestTimeout"] == "0s",
        "{upstreams}"
    );
    // The filter's own refusals are local to Envoy, too, and JSON.
    let error = &upstreams["responseOverride"][0];
    ensure!(error["source"] == "Local", "{error}");
    let header = json!([{"name": "content-type", "value": {"type": "Exact", "value": "text/plain"}}]);
    ensure!(error["match"]["responseHeaders"] == header, "{error}");
    let body: Value = serde_json::from_str(error["response"]["body"]["inline"].as_str().context("a body")?)?;
    ensure!(body["type"] == "error" && body["error"]["type"] == "api_error", "{body}");
    Ok(())
}

#[test]
fn streams_have_time_to_end_when_pods_go() -> Result<()> {
    for (more, seconds) in [(&[][..], 600), (&["--drain", "1800"], 1800)] {
        let istio = objects("istio", more)?;
        let gateway = find(&istio, "Deployment", "keyswap-gateway")?;
        ensure!(pod(gateway)["terminationGracePeriodSeconds"] == seconds + 30, "{gateway}");
        let variables = pod(gateway)["containers"][0]["env"].as_array().context("variables")?;
        ensure!(variables.contains(&json!({"name": "EXIT_ON_ZERO_ACTIVE_CONNECTIONS", "value": "true"})));
        ensure!(gateway["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0, "{gateway}");
        let eg = objects("envoy-gateway", more)?;
        let proxy = &find(&eg, "EnvoyProxy", "keyswap")?["spec"];
        ensure!(proxy["shutdown"]["drainTimeout"] == format!("{seconds}s"), "{proxy}");
        let strategy = &proxy["provider"]["kubernetes"]["envoyDeployment"]["strategy"];
        ensure!(strategy["rollingUpdate"]["maxUnavailable"] == 0, "{strategy}");
    }
    Ok(())
}

#[test]
fn a_node_can_drain_whatever_the_number_of_pods_is() -> Result<()> {
    for replicas in ["1", "2", "5"] {
        for mesh in ["istio", "envoy-gateway"] {
            let objects = objects(mesh, &["--replicas", replicas])?;
            let budgets = objects.iter().filter(|object| object["kind"] == "PodDisruptionBudget");
            let proxy = objects.iter().filter(|object| object["kind"] == "EnvoyProxy");
            let own = budgets.map(|budget| &budget["spec"]);
            let all: Vec<&Value> =
                own.chain(proxy.map(|proxy| &proxy["spec"]["provider"]["kubernetes"]["envoyPDB"])).collect();
            ensure!(all.len() == 2, "{mesh}: {all:?}");
            ensure!(
                all.iter().all(|it| it["maxUnavailable"] == 1 && it["minAvailable"].is_null()),
                "{all:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn an_autoscaler_says_the_number_of_proxies_alone() -> Result<()> {
    let more = ["--replicas", "3", "--max-replicas", "9"];
    let istio = objects("istio", &more)?;
    let scaler = &find(&istio, "HorizontalPodAutoscaler", "keyswap-gateway")?["spec"];
    ensure!(scaler["minReplicas"] == 3 && scaler["maxReplicas"] == 9, "{scaler}");
    ensure!(find(&istio, "Deployment", "keyswap-gateway")?["spec"]["replicas"].is_null());
    let eg = objects("envoy-gateway", &more)?;
    let kubernetes = &find(&eg, "EnvoyProxy", "keyswap")?["spec"]["provider"]["kubernetes"];
    ensure!(
        kubernetes["envoyHpa"]["minReplicas"] == 3 && kubernetes["envoyHpa"]["maxReplicas"] == 9,
        "{kubernetes}"
    );
    ensure!(kubernetes["envoyDeployment"]["replicas"].is_null(), "{kubernetes}");
    ensure!(objects("istio", &["--max-replicas", "1"]).is_err(), "fewer at most than at least");
    Ok(())
}

#[test]
fn secrets_for_pulling_and_the_revision_of_istio_are_where_they_belong() -> Result<()> {
    let pulls = ["--pull-secret", "a", "--pull-secret", "b"];
    let names = json!([{"name": "a"}, {"name": "b"}]);
    let istio = objects("istio", &[&pulls[..], &["--revision", "canary"]].concat())?;
    for name in ["keyswap-gateway", "keyswap-registry"] {
        let deployment = find(&istio, "Deployment", name)?;
        ensure!(pod(deployment)["imagePullSecrets"] == names, "{deployment}");
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        ensure!(
            labels["istio.io/rev"] == "canary" && labels["sidecar.istio.io/inject"] == "true",
            "{labels}"
        );
    }
    ensure!(find(&istio, "WasmPlugin", "keyswap")?["spec"]["imagePullSecret"] == "a");
    let eg = objects("envoy-gateway", &pulls)?;
    let kubernetes = &find(&eg, "EnvoyProxy", "keyswap")?["spec"]["provider"]["kubernetes"];
    ensure!(kubernetes["envoyDeployment"]["pod"]["imagePullSecrets"] == names, "{kubernetes}");
    let wasm = &find(&eg, "EnvoyExtensionPolicy", "keyswap")?["spec"]["wasm"][0]["code"]["image"];
    ensure!(wasm["pullSecretRef"]["name"] == "a", "{wasm}");
    Ok(())
}

#[test]
fn pods_are_spread_and_closed_to_all_but_their_callers() -> Result<()> {
    let istio = objects("istio", &[])?;
    for name in ["keyswap-gateway", "keyswap-registry"] {
        let deployment = find(&istio, "Deployment", name)?;
        let constraints = pod(deployment)["topologySpreadConstraints"].as_array().context("constraints")?;
        let labels = &deployment["spec"]["selector"]["matchLabels"];
        ensure!(
            constraints.len() == 2
                && constraints.iter().all(|it| it["labelSelector"]["matchLabels"] == *labels)
        );
        let policy = &find(&istio, "NetworkPolicy", name)?["spec"];
        ensure!(policy["podSelector"]["matchLabels"] == *labels, "{policy}");
        let ports = policy["ingress"][0]["ports"].as_array().context("ports")?;
        // 15008 is the tunnel of an ambient mesh.
        ensure!(ports.iter().any(|port| port["port"] == 15008), "{policy}");
        ensure!(ports.iter().all(|port| port["port"] != 15000), "the admin port is open: {policy}");
    }
    let eg = objects("envoy-gateway", &[])?;
    let pod =
        &find(&eg, "EnvoyProxy", "keyswap")?["spec"]["provider"]["kubernetes"]["envoyDeployment"]["pod"];
    ensure!(pod["topologySpreadConstraints"].as_array().map(Vec::len) == Some(2), "{pod}");
    Ok(())
}

#[test]
fn services_have_the_names_that_istio_gives_them_in_a_cluster_of_any_domain() -> Result<()> {
    let upstream = "local=https://llm.models.svc:8443";
    for (more, domain) in
        [(&[][..], "cluster.local"), (&["--cluster-domain", "corp.example"], "corp.example")]
    {
        let cluster = "keyswap-registry=http://keyswap-registry.keyswap.svc:7070";
        let objects = objects("istio", &[&["--upstream", upstream, "--cluster", cluster], more].concat());
        let objects = objects?;
        let plugin = &find(&objects, "WasmPlugin", "keyswap")?["spec"]["pluginConfig"];
        let name = format!("outbound|7070||keyswap-registry.keyswap.svc.{domain}");
        ensure!(plugin["registry"]["cluster"] == name, "{plugin}");
        let service = format!("llm.models.svc.{domain}");
        let route = &find(&objects, "VirtualService", "llm.models.svc-8443")?["spec"];
        // The filter writes the host as the policy has it; Istio knows the service by its full name.
        ensure!(route["hosts"] == json!(["llm.models.svc"]), "{route}");
        ensure!(route["http"][0]["route"][0]["destination"]["host"] == service, "{route}");
        let rule = &find(&objects, "DestinationRule", "llm.models.svc-8443")?["spec"];
        ensure!(rule["host"] == service && rule["trafficPolicy"]["tls"]["sni"] == "llm.models.svc", "{rule}");
        ensure!(
            find(&objects, "ServiceEntry", "llm.models.svc-8443").is_err(),
            "a service is known to Istio"
        );
    }
    Ok(())
}

#[test]
fn every_object_names_no_more_headers_to_remove_than_the_gateway_api_takes() -> Result<()> {
    let routes = objects("envoy-gateway", &[])?;
    let of_istio = objects("istio", &["--gateway-api"])?;
    let filters = routes.iter().chain(&of_istio).filter(|object| object["kind"] == "HTTPRoute");
    let filters =
        filters.flat_map(|route| route["spec"]["rules"][0]["filters"].as_array().into_iter().flatten());
    let mut counted = 0;
    for filter in filters {
        for name in ["requestHeaderModifier", "responseHeaderModifier"] {
            let Some(remove) = filter[name]["remove"].as_array() else { continue };
            ensure!((1..=16).contains(&remove.len()), "{} in {name}", remove.len());
            counted += 1;
        }
    }
    ensure!(counted == 8, "{counted}");
    Ok(())
}
