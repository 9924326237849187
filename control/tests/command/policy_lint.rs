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

/// Returns the bootstrap with the dynamic module in the place of the filter.
fn module() -> Value {
    let mut bootstrap = Bootstrap::shipped().unwrap();
    bootstrap.set_policy(&as_json()).unwrap();
    bootstrap.use_module().unwrap();
    bootstrap.json().clone()
}

const MODULE: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config";

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
        in_gateway("envoy-policy-differs", "/config", other.clone(), "spec.wasm[0]"),
        (
            "envoy-policy-differs",
            module(),
            format!("{MODULE}/filter_config/value"),
            json!(other.to_string()),
            ".typed_config",
        ),
    ]
}

#[test]
fn each_finding_in_an_envoy_configuration_is_told_with_its_place() {
    for document in [bootstrap(), module(), wasm_plugin(), extension_policy()] {
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
fn a_policy_that_the_filter_would_refuse_and_the_module_not_is_told_of_the_filter_only() {
    let of_file = policy("").replace("[{env: OPENAI_API_KEY}]", "[{file: /run/secrets/openai}]");
    assert!(of_file.contains("file:"), "{of_file}");
    let document: Value = serde_saphyr::from_str(&of_file).unwrap();
    let mut filter = bootstrap();
    *filter.pointer_mut(&format!("{PLUGIN}/configuration/value")).unwrap() = document.to_string().into();
    let mut native = module();
    *native.pointer_mut(&format!("{MODULE}/filter_config/value")).unwrap() = document.to_string().into();
    for (configuration, finds) in [(filter, true), (native, false)] {
        let folder = Folder::new();
        let file = folder.file("envoy.yaml", configuration.to_string());
        let found = codes(&lint(&of_file, &["--envoy", &file, "--format", "json"]));
        assert_eq!(found.iter().any(|code| code.starts_with("envoy-policy-unfit ")), finds, "{found:?}");
        assert_eq!(found.len(), usize::from(finds), "{found:?}");
    }
}

#[test]
fn a_configuration_that_reads_values_which_the_policy_leaves_out_is_told() {
    let without = policy("access_log: none\n");
    let document: Value = serde_saphyr::from_str(&without).unwrap();
    let mut with_log = bootstrap();
    *with_log.pointer_mut(&format!("{PLUGIN}/configuration/value")).unwrap() = document.to_string().into();
    let mut without_log = with_log.clone();
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    without_log.pointer_mut(manager).unwrap()["access_log"] = json!([]);
    let limit = json!({"name": "ratelimit", "text": "filter_state['wasm.keyswap_principal']"});
    let mut with_limit = without_log.clone();
    let filters = with_limit.pointer_mut(&format!("{manager}/http_filters")).unwrap();
    filters.as_array_mut().unwrap().push(limit);
    for (policy, configuration, expect) in [
        (&without, &with_log, Some(".access_log[0]")),
        (&without, &with_limit, Some(".http_filters[")),
        (&without, &without_log, None),
        (&policy(""), &bootstrap(), None),
    ] {
        let folder = Folder::new();
        let file = folder.file("envoy.yaml", configuration.to_string());
        let found = codes(&lint(policy, &["--envoy", &file, "--format", "json"]));
        assert_eq!(found.len(), usize::from(expect.is_some()), "{found:?}");
        if let Some(place) = expect {
            assert!(found[0].starts_with("envoy-values-absent ") && found[0].contains(place), "{found:?}");
        }
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

fn istio_gateway() -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "keyswap", "namespace": "k"},
        "spec": {"selector": {"app": "g"}, "servers": [{"hosts": ["./*"], "port": {"number": 443}}]},
    })
}

fn telemetry() -> Value {
    json!({
        "apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry", "metadata": {"name": "keyswap", "namespace": "k"},
        "spec": {
            "selector": {"matchLabels": {"app": "g"}}, "tracing": [{"disableSpanReporting": true}],
            "accessLogging": [{"providers": [{"name": "envoy"}], "disabled": true}],
        },
    })
}

/// Returns the Deployment of istiod with a variable.
fn istiod(name: &str, value: &str) -> Value {
    let container = json!({"name": "discovery", "env": [{"name": name, "value": value}]});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {"containers": [container]}}}})
}

const SCOPE: &str = "PILOT_SCOPE_GATEWAY_TO_NAMESPACE";

fn with(mut document: Value, pointer: &str, value: Value) -> Value {
    *document.pointer_mut(pointer).unwrap() = value;
    document
}

#[test]
fn routes_of_others_and_logs_of_the_query_are_found_in_the_objects_beside_the_filter() {
    let scoped = || istiod(SCOPE, "true");
    let (routes, unscoped, logged) = (
        "envoy-routes-open spec.servers[0].hosts",
        "envoy-gateway-unscoped spec.selector",
        "envoy-query-logged spec.selector",
    );
    let hosts = |hosts: Value| with(istio_gateway(), "/spec/servers/0/hosts", hosts);
    let silent =
        |pointer: &str, value: Value| vec![istio_gateway(), scoped(), with(telemetry(), pointer, value)];
    let of_api = |from: &str| {
        let listener = json!({"name": "https", "allowedRoutes": {"namespaces": {"from": from}}});
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "spec": {"listeners": [listener]}})
    };
    // A Gateway of Istio's in the Gateway API, and a Telemetry for the one of this name.
    let of_istio = |name: &str| {
        let mut silent = telemetry();
        silent["spec"]["selector"] = Value::Null;
        silent["spec"]["targetRefs"] =
            json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name}]);
        let mut gateway = of_api("Same");
        gateway["spec"]["gatewayClassName"] = json!("istio");
        gateway["metadata"] = json!({"name": "keyswap", "namespace": "k"});
        [gateway, silent]
    };
    let proxy = |telemetry: Value| json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy", "spec": {"telemetry": telemetry}});
    let format = |path: &str| json!({"accessLog": {"settings": [{"format": {"type": "JSON", "json": {"path": path}}}]}});
    let of_envoy = |path: &str| json!({"access_log": [{"log_format": {"json_format": {"path": path}}}]});
    let in_envoy = "envoy-query-logged access_log[0].log_format.json_format.path";
    let in_proxy = "envoy-query-logged spec.telemetry.accessLog";
    for (documents, expect) in [
        (vec![istio_gateway(), telemetry(), scoped()], &[][..]),
        (vec![hosts(json!(["k/*"])), telemetry(), json!({"pilot": {"env": {SCOPE: true}}})], &[]),
        (vec![istio_gateway(), telemetry()], &[unscoped]),
        (vec![istio_gateway(), telemetry(), istiod(SCOPE, "false")], &[unscoped]),
        (vec![istio_gateway(), telemetry(), istiod("OTHER", "true")], &[unscoped]),
        (vec![istio_gateway(), scoped()], &[logged]),
        (silent("/metadata/namespace", json!("other")), &[logged]),
        (silent("/spec/selector/matchLabels", json!({"app": "other"})), &[logged]),
        (silent("/spec/accessLogging/0", json!({"disabled": true})), &[logged]),
        (silent("/spec/accessLogging/0/disabled", json!(false)), &[logged]),
        (silent("/spec/tracing", json!([])), &[logged]),
        (silent("/spec/selector", Value::Null), &[]),
        (vec![hosts(json!(["*"])), telemetry(), scoped()], &[routes]),
        (vec![hosts(json!(["./*", "*/api.openai.com"])), telemetry(), scoped()], &[routes]),
        (vec![hosts(json!(["other/*"])), telemetry(), scoped()], &[routes]),
        ([&of_istio("keyswap")[..], &[scoped()]].concat(), &[]),
        ([&of_istio("other")[..], &[scoped()]].concat(), &["envoy-query-logged spec.gatewayClassName"]),
        (of_istio("keyswap").to_vec(), &["envoy-gateway-unscoped spec.gatewayClassName"]),
        (vec![of_api("Same")], &[]),
        (vec![of_api("All")], &["envoy-routes-open spec.listeners[0].allowedRoutes"]),
        (vec![of_api("Selector")], &["envoy-routes-open spec.listeners[0].allowedRoutes"]),
        (vec![proxy(format("%REQ_WITHOUT_QUERY(:PATH)%"))], &[]),
        (vec![proxy(json!({"accessLog": {"disable": true}}))], &[]),
        (vec![proxy(json!({}))], &[in_proxy]),
        (vec![proxy(json!({"accessLog": {"settings": [{"sinks": []}]}}))], &[in_proxy]),
        (
            vec![proxy(format("%REQ(:PATH)%"))],
            &["envoy-query-logged spec.telemetry.accessLog.settings[0].format.json.path"],
        ),
        (
            vec![proxy(json!({"accessLog": {"disable": true}, "tracing": {}}))],
            &["envoy-query-logged spec.telemetry.tracing"],
        ),
        (vec![of_envoy("%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)% %PATH(NQ:ORIG)%")], &[]),
        (vec![of_envoy("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH):64%")], &[in_envoy]),
        (vec![of_envoy("%req(:path)%")], &[in_envoy]),
        (vec![of_envoy("%PATH(WQ:ORIG)%")], &[in_envoy]),
        (vec![json!({"http_filters": [], "tracing": {}})], &["envoy-query-logged tracing"]),
    ] {
        let folder = Folder::new();
        let filter = folder.file("filter.yaml", wasm_plugin().to_string());
        let beside: Vec<String> = documents.iter().map(Value::to_string).collect();
        let beside = folder.file("beside.yaml", beside.join("\n---\n"));
        let run = lint(&policy(""), &["--envoy", &filter, &beside, "--format", "json"]);
        assert_eq!(codes(&run), expect, "{documents:?}");
    }
}

#[test]
fn a_filter_at_a_waypoint_is_found() {
    let gateway = |class: &str, namespace: &str| {
        json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "spec": {"gatewayClassName": class},
            "metadata": {"name": "g", "namespace": namespace}})
    };
    let (waypoint, other) = (gateway("istio-waypoint", "k"), gateway("eg", "k"));
    for (kind, name, beside, is_found) in [
        ("Service", "llm", &other, true),
        ("ServiceEntry", "api.openai.com", &other, true),
        ("GatewayClass", "istio-waypoint", &other, true),
        ("Gateway", "g", &waypoint, true),
        ("Gateway", "h", &waypoint, false),
        ("Gateway", "g", &gateway("istio-waypoint", "of-others"), false),
        ("Gateway", "g", &other, false),
    ] {
        let folder = Folder::new();
        let mut filter = wasm_plugin();
        filter["metadata"] = json!({"name": "keyswap", "namespace": "k"});
        filter["spec"]["targetRefs"] = json!([{"kind": kind, "name": name}]);
        let filter = folder.file("filter.yaml", filter.to_string());
        let beside = folder.file("beside.yaml", beside.to_string());
        let run = lint(&policy(""), &["--envoy", &filter, &beside, "--format", "json"]);
        let codes = codes(&run);
        let found = codes.iter().any(|code| code == "envoy-waypoint spec.targetRefs");
        assert_eq!(found, is_found, "{kind} {name}: {codes:?}");
    }
}

#[test]
fn a_listener_that_does_not_verify_client_certificates_is_found_where_they_are_identities() {
    let entry = "client_certificates: [{name: mesh, trust_domain: example.org, providers: [openai]}]\n";
    let place = "static_resources.listeners[0].filter_chains[0].transport_socket.typed_config";
    let trusted = json!({"trusted_ca": {"filename": "ca.pem"}});
    let spiffe = json!({"custom_validator_config": {"name": "envoy.tls.cert_validator.spiffe"}});
    let untrusted =
        json!({"trusted_ca": {"filename": "ca.pem"}, "trust_chain_verification": "ACCEPT_UNTRUSTED"});
    let combined = |written: &Value| {
        json!({"combined_validation_context": {
            "default_validation_context": written, "validation_context_sds_secret_config": {"name": "ROOTCA"},
        }})
    };
    for (common, resumes, is_found) in [
        (json!({"validation_context": trusted}), false, false),
        (json!({"validation_context": spiffe}), false, false),
        (json!({"validation_context_sds_secret_config": {"name": "ROOTCA"}}), false, false),
        (combined(&json!({"match_typed_subject_alt_names": []})), false, false),
        (combined(&untrusted), false, true),
        (json!({"validation_context": untrusted}), false, true),
        (json!({"validation_context": {"verify_certificate_spki": ["a"]}}), false, true),
        (json!({}), false, true),
        (json!({"validation_context": trusted}), true, true),
    ] {
        let mut bootstrap = bootstrap();
        bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "disable_stateless_session_resumption": true,
                "disable_stateful_session_resumption": !resumes,
                "common_tls_context": common,
            },
        });
        let folder = Folder::new();
        let file = folder.file("bootstrap.json", bootstrap.to_string());
        let finds = |policy: &str| {
            let codes = codes(&lint(policy, &["--envoy", &file, "--format", "json"]));
            codes.contains(&format!("envoy-certificates-unverified {place}"))
        };
        assert_eq!(finds(&format!("{}{entry}", policy(""))), is_found, "{common} {resumes}");
        assert!(!finds(&policy("")), "{common}");
    }
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
