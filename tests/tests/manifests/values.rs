//! The values of the Helm chart: described, known to the schema, and refused where they make no sense.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    KEYSWAP,
    helm::{self, Release, Rendered},
    tools,
};
use serde_json::{Value, json};

use crate::chart::{WITH_TLS, gateway, image, manifests, manifests_with, values};

fn read(name: &str) -> Result<String> {
    fs::read_to_string(helm::chart().join(name)).with_context(|| name.to_owned())
}

/// Ensures that values and schema have the same names, at every place whose names are fixed.
fn ensure_same_names(values: &Value, schema: &Value, place: &str) -> Result<()> {
    let Some(properties) = schema["properties"].as_object() else { return Ok(()) };
    let values = values.as_object().with_context(|| format!("{place} is an object"))?;
    let names = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<BTreeSet<_>>();
    ensure!(names(values) == names(properties), "{place}: {values:?}");
    ensure!(schema["additionalProperties"] == false, "{place} may have anything");
    properties.iter().try_for_each(|(name, schema)| {
        if name == "global" {
            Ok(())
        } else {
            ensure_same_names(&values[name], schema, &format!("{place}.{name}"))
        }
    })
}

#[test]
fn every_value_is_described_and_in_the_schema() -> Result<()> {
    let text = read("values.yaml")?;
    let schema: Value = serde_json::from_str(&read("values.schema.json")?)?;
    ensure_same_names(&serde_saphyr::from_str(&text)?, &schema, "values")?;
    let mut before = "";
    for line in text.lines() {
        let line = line.trim();
        let value = line.split_once(':').filter(|_| !line.starts_with('#')).map(|(_, value)| value);
        // A name without a value holds others, which are described.
        let is_described = before.starts_with('#') || value.is_none_or(str::is_empty);
        ensure!(is_described, "no comment is above `{line}`");
        before = line;
    }
    Ok(())
}

#[test]
fn the_variables_of_the_schema_are_those_of_the_command_that_hold_no_secret() -> Result<()> {
    let help = tools::run(Command::new(KEYSWAP.path()?).args(["serve", "--help"]), "it was built")?;
    let variables: BTreeSet<&str> = help
        .split("[env: ")
        .skip(1)
        .filter_map(|rest| rest.split(|char: char| char != '_' && !char.is_ascii_uppercase()).next())
        .collect();
    ensure!(variables.len() > 10, "{help}");
    let schema: Value = serde_json::from_str(&read("values.schema.json")?)?;
    let names = &schema["properties"]["registry"]["properties"]["env"]["propertyNames"]["enum"];
    let names: BTreeSet<&str> = names.as_array().context("names")?.iter().filter_map(Value::as_str).collect();
    let templates = read("templates/registry.yaml")?;
    let set_by_the_chart = |name: &&&str| {
        templates.contains(&format!("name: {name},")) || templates.contains(&format!("name: {name}\n"))
    };
    let (of_the_chart, others): (Vec<&&str>, Vec<&&str>) =
        variables.iter().partition(|name| set_by_the_chart(name));
    ensure!(of_the_chart.len() >= 5, "{of_the_chart:?}");
    ensure!(names == others.into_iter().copied().collect(), "the schema has {names:?}");
    Ok(())
}

#[test]
fn the_version_of_the_chart_is_that_of_the_workspace() -> Result<()> {
    let chart: Value = serde_saphyr::from_str(&read("Chart.yaml")?)?;
    for field in ["version", "appVersion"] {
        ensure!(chart[field] == env!("CARGO_PKG_VERSION"), "{field}: {}", chart[field]);
    }
    Ok(())
}

/// Returns values that are refused, with the place and the words of the refusal.
// Long: one row for each refusal.
fn refused() -> Result<Vec<(Value, &'static str, &'static str)>> {
    let set = |place: &str, value: Value| values(&[(place, value)]);
    let with = |text: &str| values(&[("mesh", json!("istio")), ("gateway.manifests", json!(text))]);
    let object =
        |kind: &str| format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: n, namespace: keyswap}}\n");
    let istio = manifests("istio", false, false)?;
    let after = |more: &str| with(&format!("{istio}\n{more}"));
    let change = |mesh: &str, is_native: bool, place: &str, value: Value| -> Result<Value> {
        let mut values = gateway(mesh, is_native)?;
        values[place] = value;
        Ok(values)
    };
    Ok(vec![
        (json!({}), "/registry/image", "minLength"),
        (set("registry.image", json!("registry.example.com/keyswap:latest")), "/registry/image", "pattern"),
        (set("registry.image", json!(format!("{}\n", image("a")))), "/registry/image", "pattern"),
        (set("msh", json!("istio")), "msh", "not allowed"),
        (set("mesh", json!("linkerd")), "/mesh", "envoy-gateway"),
        (set("registry.replica", json!(2)), "/registry", "replica"),
        (set("registry.replicas", json!(0)), "/registry/replicas", "minimum"),
        (set("registry.replicas", json!("2")), "/registry/replicas", "integer"),
        (set("registry.storage.kind", json!("sqlite")), "registry.replicas", "SQLite is for one server"),
        (
            set("registry.tls.clientCertificates", json!(true)),
            "registry.tls.clientCertificates",
            "registry.tls.secret",
        ),
        (
            values(&[
                ("registry.tls", json!({"secret": "tls", "clientCertificates": true})),
                ("registry.podMonitor.enabled", json!(true)),
            ]),
            "registry.podMonitor.clientSecret",
            "registry.tls.clientCertificates",
        ),
        (set("registry.secret.password", json!("x")), "/registry/secret", "password"),
        (set("registry.secret.name", json!("a, b: c")), "/registry/secret/name", "pattern"),
        (
            set("registry.env", json!({"KEYSWAP_ADMIN_PASSWORD": "x"})),
            "KEYSWAP_ADMIN_PASSWORD",
            "propertyName",
        ),
        (set("registry.env", json!({"KEYSWAP_DATABASE": "x"})), "KEYSWAP_DATABASE", "propertyName"),
        (set("registry.resources", json!({"limit": {}})), "limit", "propertyName"),
        (set("registry.networkPolicy.from", json!([{}])), "/registry/networkPolicy/from/0", "minProperties"),
        (set("gateway.podMonitor.enabled", json!(true)), "gateway.podMonitor.enabled", "no gateway"),
        (set("mesh", json!("istio")), "gateway.manifests", "keyswap render istio --namespace keyswap"),
        (set("gateway.manifests", json!("a: b")), "mesh", "mesh: istio"),
        (change("istio", false, "mesh", json!("envoy-gateway"))?, "gateway.manifests", "another mesh"),
        (change("envoy-gateway", true, "mesh", json!("istio"))?, "gateway.manifests", "another mesh"),
        (change("istio", true, "native", json!(false))?, "native", "no sandbox"),
        (change("envoy-gateway", true, "native", json!(false))?, "native", "no sandbox"),
        (change("istio", false, "native", json!(true))?, "native", "--native"),
        (change("envoy-gateway", false, "native", json!(true))?, "native", "--native"),
        (with(&manifests_with("istio", &WITH_TLS)?), "gateway.manifests", "registry.tls.secret"),
        (
            change(
                "envoy-gateway",
                false,
                "registry",
                json!({"image": image("keyswap"), "tls": {"secret": "tls"}}),
            )?,
            "gateway.manifests",
            "https://",
        ),
        (
            change("istio", false, "registry", json!({"image": image("keyswap"), "tls": {"secret": "tls"}}))?,
            "gateway.manifests",
            "https://",
        ),
        (with(&manifests("istio", false, true)?), "gateway.manifests", "--registry-image"),
        (with("a: [b"), "gateway.manifests", "document 0 is no object"),
        (with("- a"), "gateway.manifests", "document 0 is no object"),
        (with("# nothing"), "gateway.manifests", "0 objects run Keyswap"),
        (with(&object("ConfigMap")), "gateway.manifests", "0 objects run Keyswap"),
        (after(&format!("---\n{istio}")), "gateway.manifests", "2 objects run Keyswap"),
        (after(&format!("---\n{}", object("Secret"))), "gateway.manifests", "a Secret"),
        // Helm ends a document at every line that begins with `---`.
        (
            after("--- {apiVersion: v1, kind: Secret, metadata: {name: n, namespace: keyswap}}"),
            "gateway.manifests",
            "a Secret",
        ),
        (after(&format!("---\t # more\n{}", object("Secret"))), "gateway.manifests", "no object"),
        (
            after("---\napiVersion: v1\nkind: List\nitems: []\nmetadata: {namespace: keyswap}\n"),
            "gateway.manifests",
            "a list",
        ),
        (
            after("---\napiVersion: v1\nmetadata: {name: n, namespace: keyswap}\n"),
            "gateway.manifests",
            "nothing",
        ),
        (
            after("---\napiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n"),
            "gateway.manifests",
            "--namespace keyswap",
        ),
    ])
}

#[test]
fn values_that_make_no_sense_are_refused_with_their_place() -> Result<()> {
    let refused = refused()?;
    let releases: Vec<Release> =
        refused.iter().map(|(values, ..)| Release { namespace: "keyswap", values: values.clone() }).collect();
    for ((_, place, words), rendered) in refused.iter().zip(helm::render(&releases)?) {
        let Rendered::Error { error } = rendered else {
            anyhow::bail!("`{place}: … {words}` is not refused");
        };
        ensure!(
            error.contains(place) && error.contains(words),
            "expected `{place}: … {words}`, found: {error}"
        );
    }
    Ok(())
}

#[test]
fn a_gateway_that_was_rendered_for_another_namespace_is_refused() -> Result<()> {
    let values = gateway("istio", false)?;
    let text = values["gateway"]["manifests"].as_str().context("a text")?;
    let with = |text: String| {
        let mut values = values.clone();
        values["gateway"]["manifests"] = json!(text);
        values
    };
    let of_objects = text.replace("keyswap-registry.keyswap.svc", "keyswap-registry.other.svc");
    let of_the_registry = text.replace("namespace: keyswap\n", "namespace: other\n");
    for (values, words) in [
        (with(of_objects), "render with `--namespace other`"),
        (with(of_the_registry), "they call `keyswap-registry.keyswap.svc`"),
    ] {
        let release = Release { namespace: "other", values };
        let Rendered::Error { error } = helm::render(&[release])?.remove(0) else {
            anyhow::bail!("expected `{words}`, and it is rendered");
        };
        ensure!(error.contains(words), "{error}");
    }
    Ok(())
}
