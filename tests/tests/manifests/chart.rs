//! The objects of the Helm chart: valid, as `keyswap render` writes them where it writes them, and of use.

use std::{collections::BTreeMap, fs, process::Command};

use anyhow::{Context as _, Result, bail, ensure};
use keyswap_tests::{
    KEYSWAP, Registry,
    helm::{self, Release, Rendered},
    rendered,
};
use serde_json::{Value, json};

use crate::rights;
use crate::schemas::Schemas;

/// The meshes, as `mesh` and `native` of the chart and as arguments of `keyswap render`.
const MESHES: [(&str, bool); 4] =
    [("istio", false), ("istio", true), ("envoy-gateway", false), ("envoy-gateway", true)];

const REGISTRY: &str = "keyswap-registry=http://keyswap-registry.keyswap.svc.cluster.local:7070";

/// Returns an image with a digest.
pub(crate) fn image(name: &str) -> String {
    format!("registry.example.com/{name}@sha256:{}", "0".repeat(64))
}

/// Returns the output of `keyswap render` for a mesh, with the registry or without it.
pub(crate) fn manifests(mesh: &str, is_native: bool, with_registry: bool) -> Result<String> {
    let (image, server) = (image("keyswap-filter"), image("keyswap"));
    let mut arguments =
        vec![mesh, "--policy", "envoy/policy-mesh.yaml", "--cluster", REGISTRY, "--image", &image];
    arguments.extend(is_native.then_some("--native"));
    if with_registry {
        arguments.extend(["--registry-image", &server]);
    }
    rendered::render(&arguments)
}

/// The arguments of `keyswap render` for a registry that speaks TLS.
pub(crate) const WITH_TLS: [&str; 5] = [
    "--cluster",
    "keyswap-registry=https://keyswap-registry.keyswap.svc.cluster.local:7070",
    "--registry-ca-secret",
    "keyswap-data-plane",
    "--registry-client-certificates",
];

/// Returns the output of `keyswap render` for a mesh with more arguments, without the registry.
pub(crate) fn manifests_with(mesh: &str, more: &[&str]) -> Result<String> {
    let image = image("keyswap-filter");
    let arguments = ["--policy", "envoy/policy-mesh.yaml", "--cluster", REGISTRY, "--image", &image];
    rendered::render(&[&[mesh], &arguments[..], more].concat())
}

/// Sets the values at their places, such as `registry.image`, over the least that the chart needs.
pub(crate) fn values(places: &[(&str, Value)]) -> Value {
    let mut values = json!({"registry": {"image": image("keyswap")}});
    for (place, value) in places {
        let place = place.split('.').fold(&mut values, |values, name| &mut values[name]);
        *place = value.clone();
    }
    values
}

/// Returns the values of a gateway in a mesh.
pub(crate) fn gateway(mesh: &str, is_native: bool) -> Result<Value> {
    let manifests = manifests(mesh, is_native, false)?;
    Ok(values(&[
        ("mesh", json!(mesh)),
        ("native", json!(is_native)),
        ("gateway.manifests", json!(manifests)),
        ("gateway.podMonitor.enabled", json!(true)),
    ]))
}

/// Returns the values of a gateway in a mesh, and of a registry that requires client certificates.
pub(crate) fn gateway_with_tls(mesh: &str, is_native: bool) -> Result<Value> {
    let mut values = gateway(mesh, is_native)?;
    values["registry"]["tls"] = json!({"secret": "registry-tls", "clientCertificates": true});
    let native = if is_native { &["--native"][..] } else { &[] };
    values["gateway"]["manifests"] = json!(manifests_with(mesh, &[&WITH_TLS[..], native].concat())?);
    Ok(values)
}

/// Returns releases that use every value, by their names.
fn releases() -> Result<Vec<(String, Value)>> {
    let everything = values(&[
        ("registry.imagePullSecrets", json!(["pull"])),
        ("registry.replicas", json!(3)),
        ("registry.secret.recordsKey", json!("records-key")),
        ("registry.tls", json!({"secret": "registry-tls", "clientCertificates": true})),
        (
            "registry.env",
            json!({"KEYSWAP_PROXY_URL": "https://llm.example.com", "KEYSWAP_MAX_CONNECTIONS": 9}),
        ),
        ("registry.nodeSelector", json!({"disk": "ssd"})),
        ("registry.tolerations", json!([{"key": "llm", "operator": "Exists"}])),
        ("registry.affinity", json!({"nodeAffinity": {}})),
        ("registry.priorityClassName", json!("high")),
        ("registry.podAnnotations", json!({"example.com/on": "true"})),
        ("registry.serviceAccountAnnotations", json!({"example.com/role": "keyswap"})),
        (
            "registry.networkPolicy",
            json!({"from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
                "adminFrom": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}]}),
        ),
        (
            "registry.podMonitor",
            json!({"enabled": true, "labels": {"release": "prometheus"}, "clientSecret": "prometheus-tls"}),
        ),
    ]);
    let sqlite = [("registry.replicas", json!(1)), ("registry.storage.kind", json!("sqlite"))];
    let on_claim = ("registry.storage", json!({"kind": "sqlite", "existingClaim": "mine"}));
    let mut releases = vec![
        ("postgresql".to_owned(), values(&[])),
        ("everything".to_owned(), everything),
        (
            "sqlite".to_owned(),
            values(&[&sqlite[..], &[("registry.storage.storageClass", json!("fast"))]].concat()),
        ),
        ("claim".to_owned(), values(&[sqlite[0].clone(), on_claim])),
        ("own credentials".to_owned(), values(&[("registry.secret.registryToken", json!(""))])),
        // Names that YAML reads as another type.
        (
            "names".to_owned(),
            values(&[("registry.secret.name", json!("1e3")), ("registry.topologyKeys", json!(["on"]))]),
        ),
        ("nothing".to_owned(), json!({"registry": {"enabled": false}})),
    ];
    for (mesh, is_native) in MESHES {
        releases.push((format!("{mesh}, native: {is_native}"), gateway(mesh, is_native)?));
    }
    let mut in_mesh = gateway("istio", false)?;
    in_mesh["registry"]["authorizationPolicy"] = json!({"from": [{"serviceAccounts": ["monitoring/prometheus"]}],
        "adminFrom": [{"namespaces": ["ingress"]}]});
    releases.push(("identities".to_owned(), in_mesh));
    for (mesh, is_native) in MESHES {
        releases.push((format!("{mesh}, native: {is_native}, with TLS"), gateway_with_tls(mesh, is_native)?));
    }
    for more in [
        &["--gateway-api"][..],
        &["--gateway-api", "--istio-version", "1.30"],
        &["--gateway-api", "--native"],
    ] {
        let is_native = more.contains(&"--native");
        let mut values = gateway("istio", is_native)?;
        values["gateway"]["manifests"] = json!(manifests_with("istio", more)?);
        releases.push((format!("{more:?}"), values));
    }
    Ok(releases)
}

/// Renders releases, none of which is refused.
fn render(values: Vec<Value>) -> Result<Vec<BTreeMap<String, String>>> {
    let releases: Vec<Release> =
        values.into_iter().map(|values| Release { namespace: "keyswap", values }).collect();
    let files = helm::render(&releases)?.into_iter().map(|rendered| match rendered {
        Rendered::Error { error } => bail!("{error}"),
        Rendered::Files { files, lint } => {
            let wrong: Vec<_> = lint.iter().filter(|finding| finding.severity > 1).collect();
            ensure!(wrong.is_empty(), "{wrong:?}");
            Ok(files)
        }
    });
    files.collect()
}

/// Renders one release, and returns its objects.
pub(crate) fn release(values: Value) -> Result<Vec<Value>> {
    objects(&render(vec![values])?.remove(0))
}

/// Returns the objects of a release; not its notes.
fn objects(files: &BTreeMap<String, String>) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| !path.ends_with("/NOTES.txt")) {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text).with_context(|| path.clone())?;
        objects.extend(documents.into_iter().filter(|document| !document.is_null()));
    }
    Ok(objects)
}

#[test]
fn every_object_of_the_chart_has_only_fields_that_its_kind_knows() -> Result<()> {
    let schemas = Schemas::read()?;
    let (names, values): (Vec<_>, Vec<_>) = releases()?.into_iter().unzip();
    for (name, files) in names.iter().zip(render(values)?) {
        let objects = objects(&files)?;
        ensure!(objects.is_empty() == (name == "nothing"), "{name} has {} objects", objects.len());
        for object in objects {
            schemas.check(&object).with_context(|| name.clone())?;
            ensure!(object["metadata"]["namespace"] == "keyswap", "{name}: {object}");
        }
        let notes = files.iter().find(|(path, _)| path.ends_with("NOTES.txt"));
        let (_, notes) = notes.with_context(|| format!("{name} has no notes"))?;
        ensure!(notes.contains("namespace keyswap") && notes.contains("keyswap render"), "{notes}");
    }
    Ok(())
}

#[test]
fn what_runs_in_a_release_runs_with_the_least_that_it_needs() -> Result<()> {
    let (names, values): (Vec<_>, Vec<_>) = releases()?.into_iter().unzip();
    for (name, files) in names.iter().zip(render(values)?) {
        for object in objects(&files)? {
            let pod = match object["kind"].as_str() {
                Some("Deployment") => &object["spec"]["template"]["spec"],
                Some("Pod") => &object["spec"],
                _ => continue,
            };
            rights::ensure_least(&format!("{name}: {}", object["metadata"]["name"]), pod)?;
        }
    }
    Ok(())
}

#[test]
fn the_gateway_of_a_release_is_what_the_command_rendered() -> Result<()> {
    for (mesh, is_native) in MESHES {
        let given = manifests(mesh, is_native, false)?;
        let files = render(vec![gateway(mesh, is_native)?])?.remove(0);
        let found = files.get("keyswap/templates/gateway.yaml").context("a gateway")?;
        ensure!(found.trim() == given.trim(), "{mesh}, native: {is_native}: the chart changed it");
    }
    Ok(())
}

/// Ensures that `whole` has all members of `part`. Of a list each element must be in some element.
fn ensure_within(part: &Value, whole: &Value, place: &str) -> Result<()> {
    match (part, whole) {
        (Value::Object(part), Value::Object(_)) => part
            .iter()
            .try_for_each(|(name, part)| ensure_within(part, &whole[name], &format!("{place}.{name}"))),
        (Value::Array(part), Value::Array(whole)) => part.iter().try_for_each(|part| {
            let is_in = whole.iter().any(|whole| ensure_within(part, whole, place).is_ok());
            ensure!(is_in, "{place}: {part} is not in the chart");
            Ok(())
        }),
        _ => {
            ensure!(part == whole, "{place}: {part} is {whole} in the chart");
            Ok(())
        }
    }
}

#[test]
fn the_registry_of_the_chart_has_all_that_the_rendered_one_has() -> Result<()> {
    for mesh in ["istio", "envoy-gateway"] {
        let ours = release(gateway(mesh, false)?)?;
        let mut compared = 0;
        for theirs in serde_saphyr::from_multiple::<Value>(&manifests(mesh, false, true)?)? {
            if theirs["metadata"]["name"] != "keyswap-registry" {
                continue;
            }
            let same = |ours: &&Value| {
                ours["kind"] == theirs["kind"] && ours["metadata"]["name"] == theirs["metadata"]["name"]
            };
            let ours =
                ours.iter().find(same).with_context(|| format!("the chart has no {}", theirs["kind"]))?;
            ensure_within(&theirs, ours, &format!("{mesh}: {}", theirs["kind"]))?;
            compared += 1;
        }
        ensure!(compared >= 5, "{mesh}: {compared} objects of the registry");
    }
    Ok(())
}

#[test]
fn a_field_that_the_chart_lacks_is_found() {
    let whole = json!({"a": [{"b": 1, "c": 2}], "d": 3});
    for (part, is_within) in [
        (json!({"a": [{"b": 1}]}), true),
        (json!({"a": [{"b": 2}]}), false),
        (json!({"a": [{"b": 1}, {"e": 1}]}), false),
        (json!({"d": 3, "e": null}), true),
        (json!({"e": false}), false),
    ] {
        assert_eq!(ensure_within(&part, &whole, "").is_ok(), is_within, "{part}");
    }
}

#[test]
fn only_the_gateway_and_the_peers_that_are_named_may_call_the_registry() -> Result<()> {
    let peer = json!({"namespaceSelector": {"matchLabels": {"name": "monitoring"}}});
    let named = ("registry.networkPolicy.from", json!([peer]));
    let ingress = json!({"namespaceSelector": {"matchLabels": {"name": "ingress"}}});
    let of_admins = ("registry.networkPolicy.adminFrom", json!([ingress]));
    let istio = json!({"podSelector": {"matchLabels": {"istio": "keyswap-gateway"}}});
    let api = json!({"podSelector": {"matchLabels": {"gateway.networking.k8s.io/gateway-name": "keyswap"}}});
    let mut of_api = gateway("istio", false)?;
    of_api["gateway"]["manifests"] = json!(manifests_with("istio", &["--gateway-api"])?);
    let envoy_gateway = json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "envoy-gateway-system"}},
        "podSelector": {"matchLabels": {
            "gateway.envoyproxy.io/owning-gateway-name": "keyswap",
            "gateway.envoyproxy.io/owning-gateway-namespace": "keyswap",
        }},
    });
    let test = json!({"podSelector": {"matchLabels": {"app.kubernetes.io/name": "keyswap-registry-test"}}});
    for (values, peers, administrators) in [
        (values(&[]), vec![], vec![&test]),
        (values(&[named]), vec![&peer], vec![&test]),
        (values(&[of_admins]), vec![], vec![&test, &ingress]),
        (gateway("istio", false)?, vec![&istio], vec![&test]),
        (gateway("istio", true)?, vec![&istio], vec![&test]),
        (of_api, vec![&api], vec![&test]),
        (gateway("envoy-gateway", false)?, vec![&envoy_gateway], vec![&test]),
        (gateway("envoy-gateway", true)?, vec![&envoy_gateway], vec![&test]),
    ] {
        let objects = release(values)?;
        let of_registry = |object: &&Value| {
            object["kind"] == "NetworkPolicy" && object["metadata"]["name"] == "keyswap-registry"
        };
        let policy = objects.iter().find(of_registry).context("a policy")?;
        let rules = policy["spec"]["ingress"].as_array().context("rules")?;
        for (port, expect) in [(7070, peers), (7071, administrators)] {
            let has_port = |rule: &&Value| {
                rule["ports"].as_array().is_some_and(|it| it.iter().any(|it| it["port"] == port))
            };
            let from: Vec<&Value> =
                rules.iter().filter(has_port).filter_map(|rule| rule["from"].as_array()).flatten().collect();
            ensure!(from == expect, "{port}: {from:?}");
        }
    }
    Ok(())
}

#[test]
fn a_node_can_drain_and_a_file_has_one_server() -> Result<()> {
    let sqlite = values(&[("registry.replicas", json!(1)), ("registry.storage.kind", json!("sqlite"))]);
    for (values, has_budget, strategy, keeps) in
        [(values(&[]), true, Value::Null, false), (sqlite, false, json!("Recreate"), true)]
    {
        let objects = release(values)?;
        let find = |kind: &str| objects.iter().find(|object| object["kind"] == kind);
        let budget = find("PodDisruptionBudget");
        ensure!(budget.is_some() == has_budget, "{budget:?}");
        ensure!(budget.is_none_or(|budget| budget["spec"]["maxUnavailable"] == 1));
        ensure!(find("Deployment").context("a server")?["spec"]["strategy"]["type"] == strategy);
        let claim = find("PersistentVolumeClaim");
        ensure!(claim.is_some() == keeps, "{claim:?}");
        ensure!(
            claim.is_none_or(|claim| claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep")
        );
    }
    Ok(())
}

#[test]
fn the_test_of_a_release_passes_with_a_registry_and_fails_without_one() -> Result<()> {
    let objects = release(values(&[]))?;
    let pod = objects.iter().find(|object| object["kind"] == "Pod").context("a test")?;
    ensure!(pod["metadata"]["annotations"]["helm.sh/hook"] == "test", "{pod}");
    let container = &pod["spec"]["containers"][0];
    let arguments: Vec<&str> =
        container["args"].as_array().context("arguments")?.iter().filter_map(Value::as_str).collect();
    let mut names: Vec<&str> = container["env"]
        .as_array()
        .context("variables")?
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    names.sort_unstable();
    ensure!(names == ["KEYSWAP_ADMIN_PASSWORD_FILE", "KEYSWAP_SERVER"], "{names:?}");
    let mut registry = Registry::start()?;
    registry.create_token(&json!({"label": "a-label", "owner": "o@example.com", "providers": ["openai"]}))?;
    let folder = tempfile::tempdir()?;
    let password = folder.path().join("admin-password");
    let url = registry.url();
    let run = || -> Result<_> {
        let mut command = Command::new(KEYSWAP.path()?);
        command.args(&arguments).env_clear().env("KEYSWAP_SERVER", &url);
        Ok(command.env("KEYSWAP_ADMIN_PASSWORD_FILE", &password).output()?)
    };
    for (text, passes) in [(registry.password(), true), ("another password", false)] {
        fs::write(&password, text)?;
        let output = run()?;
        ensure!(output.status.success() == passes, "{output:?}");
        ensure!(!String::from_utf8_lossy(&output.stdout).contains("a-label"), "it prints tokens: {output:?}");
    }
    fs::write(&password, registry.password())?;
    registry.stop()?;
    ensure!(!run()?.status.success(), "it passes without a registry");
    Ok(())
}

#[test]
fn the_test_of_a_release_with_tls_trusts_the_authority_of_its_secret_alone() -> Result<()> {
    let tls = values(&[("registry.tls.secret", json!("registry-tls"))]);
    let objects = release(tls)?;
    let pod = objects.iter().find(|object| object["kind"] == "Pod").context("a test")?;
    let container = &pod["spec"]["containers"][0];
    ensure!(!container["args"].to_string().contains("--allow-plaintext"), "{container}");
    let server = json!({
        "name": "KEYSWAP_SERVER",
        "value": "https://keyswap-registry.keyswap.svc.cluster.local:7071",
    });
    let trust = json!({"name": "SSL_CERT_FILE", "value": "/run/secrets/tls/ca.crt"});
    let variables = container["env"].as_array().context("variables")?;
    ensure!(variables.contains(&server) && variables.contains(&trust), "{container}");
    // The private key of the server is not in the pod.
    let items = json!([{"key": "ca.crt", "path": "ca.crt"}]);
    ensure!(pod["spec"]["volumes"][1]["secret"]["items"] == items, "{pod}");
    Ok(())
}
