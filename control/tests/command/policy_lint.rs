//! `policy lint`: findings with code, place and remedy, in policies and in the configurations that run them.

use keyswap_tests::{Bootstrap, tools};
use serde_json::{Value, json};

use crate::support::{DIGEST, Folder, Run, assert_only_text, keyswap, policy};

const AT: [&str; 2] = ["--at", "2026-06-30T00:00:00Z"];

fn lint(policy: &str, args: &[&str]) -> Run {
    let folder = Folder::new();
    let file = folder.file("policy.yaml", policy);
    keyswap(&[&["policy", "lint", &file], &AT[..], args].concat())
}

/// Returns the findings, each as `code path`.
fn codes(run: &Run) -> Vec<String> {
    let answer = run.json();
    let findings = answer["findings"].as_array().unwrap_or_else(|| panic!("{}", run.all()));
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    findings.iter().map(|it| format!("{} {}", text(it, "code"), text(it, "path"))).collect()
}

#[test]
fn a_policy_without_findings_is_said_to_have_none() {
    for args in [&[][..], &["--deny-warnings"]] {
        let run = lint(&policy(""), args);
        assert_eq!((run.code, run.stdout.as_str()), (0, ""));
        assert!(run.stderr.ends_with("policy.yaml: no findings\n"), "{}", run.stderr);
    }
}

#[test]
fn a_finding_has_a_code_a_place_a_sentence_and_a_remedy() {
    let bob = format!("  - {{sha256: {}, label: bob, providers: [openai]}}\n", "ab".repeat(32));
    let run = lint(&policy(&bob), &[]);
    assert_eq!(run.code, 0);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(
        lines[0].starts_with("warning [token-without-expiry] ")
            && lines[0].contains("policy.yaml at `tokens[1]`: ")
    );
    assert!(lines[0].ends_with("works until it is revoked: set `expires_at`"), "{}", lines[0]);
    assert!(lines[1].starts_with("warning [token-without-owner] "), "{}", lines[1]);
    assert!(run.stderr.ends_with("policy.yaml: 2 findings\n"), "{}", run.stderr);

    assert_eq!(lint(&policy(&bob), &["--deny-warnings"]).code, 2);
    let allowed = ["--deny-warnings", "--allow", "token-without-expiry", "--allow", "token-without-owner"];
    assert_eq!(lint(&policy(&bob), &allowed).code, 0);
    let run = lint(&policy(&bob), &["--format", "json", "--allow", "token-without-owner"]);
    assert_eq!(codes(&run), ["token-without-expiry tokens[1]"]);
    assert!(!run.all().contains(DIGEST));
}

#[test]
fn an_expiry_is_judged_as_of_the_time_that_is_asked_for() {
    let folder = Folder::new();
    let file = folder.file("policy.yaml", policy(""));
    let at = |time: &str| codes(&keyswap(&["policy", "lint", &file, "--format", "json", "--at", time]));
    assert_eq!(at("2027-06-29T23:59:59Z"), Vec::<String>::new());
    assert_eq!(at("2027-06-30T00:00:00Z"), ["token-expired tokens[0].expires_at"]);
}

#[test]
fn wrong_usage_is_1_and_an_invalid_policy_is_3() {
    let run = lint(&policy(""), &["--allow", "nonsense"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("unknown kind of finding `nonsense`"), "{}", run.stderr);
    assert_eq!(lint("version: keyswap/v2\ncredentials: {}\n", &[]).code, 3);
    assert_eq!(keyswap(&["policy", "lint"]).code, 1);
    let folder = Folder::new();
    let other = folder.file("other.yaml", "static_resources: {}\n");
    let run = lint(&policy(""), &["--envoy", &other]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("does not run the filter with a policy"), "{}", run.stderr);
}

#[test]
fn the_list_has_every_kind_of_finding_and_what_to_do_about_it() {
    let run = keyswap(&["policy", "lint", "--list"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let rows: Vec<Vec<&str>> = run.stdout.lines().skip(2).map(|line| line.split(" | ").collect()).collect();
    assert!(rows.iter().all(|row| row.len() == 3), "{}", run.stdout);
    for lint in keyswap_core::policy::Lint::ALL {
        assert!(run.stdout.contains(&format!("| `{}` | {} |", lint.code(), lint.about())), "{}", lint.code());
    }
    for (name, ..) in rows_of_envoy() {
        assert!(run.stdout.contains(&format!("| `{name}` | ")), "{name}");
    }
}

/// Returns the usual policy as JSON.
fn as_json() -> Value {
    serde_saphyr::from_str(&policy("")).unwrap()
}

const VARIABLES: [&str; 3] = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "CF_AIG_TOKEN"];

/// Returns the bootstrap of this repository with the usual policy.
fn bootstrap() -> Value {
    let mut bootstrap = Bootstrap::shipped().unwrap();
    bootstrap.set_policy(&as_json()).unwrap();
    bootstrap.set_environment(VARIABLES.map(str::to_owned).iter()).unwrap();
    bootstrap.json().clone()
}

fn wasm_plugin() -> Value {
    json!({
        "apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin", "metadata": {"name": "keyswap"},
        "spec": {
            "url": "oci://registry.example/keyswap@sha256:0123", "phase": "AUTHN", "failStrategy": "FAIL_RELOAD",
            "pluginConfig": as_json(),
            "vmConfig": {"env": VARIABLES.map(|name| json!({"name": name, "valueFrom": "HOST"}))},
        },
    })
}

fn extension_policy() -> Value {
    json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyExtensionPolicy", "metadata": {"name": "keyswap"},
        "spec": {"wasm": [{
            "name": "keyswap", "rootID": "keyswap", "config": as_json(), "env": {"hostKeys": VARIABLES},
            "code": {"type": "Image", "image": {"url": "registry.example/keyswap:1", "sha256": "0123"}},
        }]},
    })
}

const PLUGIN: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config";

/// Returns the cases: kind of finding, configuration, place to change, new value, place of the finding.
fn rows_of_envoy() -> Vec<(&'static str, Value, String, Value, &'static str)> {
    let in_bootstrap =
        |name, pointer: &str, value, place| (name, bootstrap(), format!("{PLUGIN}{pointer}"), value, place);
    let in_istio =
        |name, pointer: &str, value, place| (name, wasm_plugin(), format!("/spec{pointer}"), value, place);
    let in_gateway = |name, pointer: &str, value, place| {
        (name, extension_policy(), format!("/spec/wasm/0{pointer}"), value, place)
    };
    let other = json!({"version": "keyswap/v1", "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]}});
    let remote = json!({"remote": {"http_uri": {"uri": "https://x", "cluster": "x", "timeout": "5s"}}});
    vec![
        in_bootstrap("envoy-fail-open", "/failure_policy", json!("FAIL_OPEN"), ".failure_policy"),
        in_bootstrap("envoy-fail-open", "/fail_open", json!(true), ".fail_open"),
        in_istio("envoy-fail-open", "/failStrategy", json!("FAIL_OPEN"), "spec.failStrategy"),
        in_gateway("envoy-fail-open", "/failOpen", json!(true), "spec.wasm[0].failOpen"),
        in_bootstrap(
            "envoy-literal-variable",
            "/vm_config/environment_variables/key_values",
            json!({"OPENAI_API_KEY": "SENTINEL", "TZ": "UTC"}),
            ".vm_config.environment_variables.key_values.OPENAI_API_KEY",
        ),
        in_istio(
            "envoy-literal-variable",
            "/vmConfig/env/0",
            json!({"name": "OPENAI_API_KEY", "value": "SENTINEL"}),
            "spec.vmConfig.env[0]",
        ),
        in_bootstrap(
            "envoy-variable-missing",
            "/vm_config/environment_variables/host_env_keys",
            json!(VARIABLES[1..]),
            ".config",
        ),
        in_istio(
            "envoy-variable-missing",
            "/vmConfig/env/0",
            json!({"name": "OTHER", "valueFrom": "HOST"}),
            "spec",
        ),
        in_gateway("envoy-variable-missing", "/env/hostKeys", json!(VARIABLES[1..]), "spec.wasm[0]"),
        in_bootstrap("envoy-code-unpinned", "/vm_config/code", remote, ".vm_config.code.remote"),
        in_istio("envoy-code-unpinned", "/url", json!("oci://registry.example/keyswap:1"), "spec.url"),
        in_gateway("envoy-code-unpinned", "/code/image/sha256", json!(""), "spec.wasm[0].code.image"),
        in_bootstrap(
            "envoy-precompiled",
            "/vm_config/allow_precompiled",
            json!(true),
            ".vm_config.allow_precompiled",
        ),
        in_bootstrap("envoy-policy-differs", "/configuration/value", json!(other.to_string()), ".config"),
        in_istio("envoy-policy-differs", "/pluginConfig", other.clone(), "spec"),
        in_gateway("envoy-policy-differs", "/config", other, "spec.wasm[0]"),
    ]
}

#[test]
fn each_finding_in_an_envoy_configuration_is_told_with_its_place() {
    for document in [bootstrap(), wasm_plugin(), extension_policy()] {
        let folder = Folder::new();
        let file = folder.file("envoy.json", document.to_string());
        let run = lint(&policy(""), &["--envoy", &file, "--format", "json"]);
        assert_eq!((run.code, codes(&run)), (0, Vec::new()), "{document}");
    }
    for (name, mut document, pointer, value, place) in rows_of_envoy() {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
        match parent {
            Value::Array(items) => items[member.parse::<usize>().unwrap()] = value,
            parent => parent[member] = value,
        }
        let folder = Folder::new();
        let file = folder.file("envoy.yaml", document.to_string());
        let run = lint(&policy(""), &["--envoy", &file, "--format", "json"]);
        let found = codes(&run);
        assert!(found.len() == 1 && found[0].starts_with(&format!("{name} ")), "{name} {pointer}: {found:?}");
        assert!(found[0].ends_with(place), "{name} {pointer}: {found:?}");
        assert!(!run.all().contains("SENTINEL"));
    }
}

#[test]
fn several_manifests_in_one_file_are_read_and_those_of_other_plugins_left_alone() {
    let mut other = wasm_plugin();
    other["spec"]["pluginConfig"] = json!({"other": "plugin"});
    other["spec"]["failStrategy"] = json!("FAIL_OPEN");
    let mut ours = wasm_plugin();
    ours["spec"]["failStrategy"] = json!("FAIL_OPEN");
    let folder = Folder::new();
    let file = folder.file("all.yaml", format!("{other}\n---\n---\n{ours}\n"));
    let run = lint(&policy(""), &["--envoy", &file, "--format", "json"]);
    assert_eq!(codes(&run), ["envoy-fail-open spec.failStrategy"]);
}

#[test]
fn the_configurations_that_are_shipped_have_no_findings_of_their_own() {
    let folder = tools::project_root().join("envoy");
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let run = keyswap(&[
        "policy",
        "lint",
        &file("policy.yaml"),
        "--envoy",
        &file("bootstrap.yaml"),
        "--deny-warnings",
    ]);
    assert_eq!(run.code, 0, "{}", run.all());
}

#[test]
fn names_in_a_configuration_write_nothing_but_text() {
    const HOSTILE: &str = "a\n\u{1b}[2J\u{202e}";
    let document = json!({HOSTILE: [{HOSTILE: wasm_plugin()}]});
    let mut document = document;
    document[HOSTILE][0][HOSTILE]["spec"]["failStrategy"] = json!("FAIL_OPEN");
    let folder = Folder::new();
    let run = lint(&policy(""), &["--envoy", &folder.file("x.json", document.to_string())]);
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(run.stdout.contains("[envoy-fail-open]"), "{}", run.all());
    assert_only_text(&run);
}
