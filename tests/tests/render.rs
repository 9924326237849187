//! The output of `keyswap render`: it equals the files of `envoy/`, and Envoy runs it.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{
    Bootstrap, Envoy, FILTER, Registry, Request, Script, Scripted, Setup, Standin, TOKEN,
    docs::{self, UPDATE},
    rendered, tools,
};
use serde_json::{Value, json};

/// Configurations that other tests start, with the test.
const STARTED_BY: [(&str, &str); 5] = [
    ("bootstrap.yaml", "bootstrap.rs"),
    ("geo-fallback.yaml", "geo_fallback.rs"),
    ("ratelimit.yaml", "global_ratelimit.rs"),
    ("credential-injector.yaml", "upstream_credentials.rs"),
    ("mirror.yaml", "leaks.rs"),
];

/// Files other than a proxy's configuration, with the test that reads each.
const READ_BY: [(&str, &str); 8] = [
    ("grafana/dashboard.json", "metrics.rs"),
    ("prometheus/alerts.yaml", "metrics.rs"),
    ("policy.yaml", "docs.rs"),
    ("policy.tests.yaml", "docs.rs"),
    ("policy-registry.yaml", "render.rs"),
    ("policy-mesh.yaml", "render.rs"),
    ("policy-credentials.yaml", "render.rs"),
    ("policy-exchange.yaml", "exchange_services.rs"),
];

#[test]
fn the_files_of_the_repository_are_what_the_command_writes() -> Result<()> {
    for rendered in &rendered::RENDERED {
        if docs::is_update() {
            rendered.update()?;
        }
        for (path, text) in rendered.files()? {
            let found = fs::read_to_string(tools::project_root().join(&path))
                .with_context(|| path.display().to_string())?;
            ensure!(found == text, "{} is out of date: run this test with {UPDATE}=1", path.display());
        }
    }
    Ok(())
}

#[test]
fn every_file_has_a_test_that_starts_validates_or_reads_it() -> Result<()> {
    let tests = tools::project_root().join("tests/tests");
    let mut left = tools::files_below("envoy")?;
    left.remove("README.md");
    for (path, test) in STARTED_BY.iter().chain(&READ_BY) {
        ensure!(left.remove(*path), "{path} is not there");
        let text = fs::read_to_string(tests.join(test))?;
        let is_used = text.contains(path) || *path == "bootstrap.yaml";
        ensure!(is_used || text.contains("Bootstrap::shipped"), "{test} does not use {path}");
    }
    for (path, _) in rendered::manifests()? {
        left.remove(&path);
    }
    ensure!(left.is_empty(), "no test claims {left:?}");
    Ok(())
}

/// Renders a bootstrap for Envoy with a policy.
fn bootstrap(policy: &Value, arguments: &[&str]) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("policy.json");
    fs::write(&file, policy.to_string())?;
    rendered::render(&[&["envoy", "--policy", &file.to_string_lossy()], arguments].concat())
}

fn policy(more: Value) -> Result<Value> {
    let mut policy = json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "t", "providers": ["groq", "own"]}],
        "credentials": {"groq": [{"env": "GROQ_API_KEY"}], "own": [{"env": "OWN_KEY"}]},
        "providers": {"own": {"url": "https://llm.example.com:8443/v2"}},
    });
    let Value::Object(more) = more else { anyhow::bail!("members are an object") };
    policy.as_object_mut().context("a policy is an object")?.extend(more);
    Ok(policy)
}

fn keys(setup: Setup) -> Setup {
    setup.env("GROQ_API_KEY", "real-groq").env("OWN_KEY", "real-own")
}

#[test]
fn requests_reach_every_upstream_of_a_policy_that_was_rendered() -> Result<()> {
    let standin = Standin::start_with(0, &["api.groq.com", "llm.example.com"])?;
    let text = bootstrap(&policy(json!({}))?, &[])?;
    let envoy = keys(Envoy::with_bootstrap(&text)).upstream(&standin).start()?;
    for (path, host, name, key) in [
        ("/groq/models", "api.groq.com", "api.groq.com", "Bearer real-groq"),
        ("/own/models", "llm.example.com:8443", "llm.example.com", "Bearer real-own"),
    ] {
        envoy.send(&Request::get(path).bearer(TOKEN))?;
        let received = standin.take().pop().with_context(|| format!("{path} was not forwarded"))?;
        ensure!(received.sni == name && received.header("host") == Some(host), "{received:?}");
        ensure!(received.header("authorization") == Some(key), "{received:?}");
    }
    ensure!(envoy.send(&Request::get("/v1/models").bearer(TOKEN))?.status == 403);
    ensure!(standin.take().is_empty());
    Ok(())
}

#[test]
fn requests_reach_the_upstreams_of_a_policy_that_was_rendered_for_the_module() -> Result<()> {
    let standin = Standin::start_with(0, &["api.groq.com", "llm.example.com"])?;
    let text = bootstrap(&policy(json!({}))?, &["--native"])?;
    ensure!(text.contains("libkeyswap.so") && !text.contains("wasm.v3"), "{text}");
    let envoy = keys(Envoy::with_bootstrap(&text)).native().upstream(&standin).start()?;
    envoy.send(&Request::get("/groq/models").bearer(TOKEN))?;
    let received = standin.take().pop().context("nothing was forwarded")?;
    ensure!(received.header("authorization") == Some("Bearer real-groq"), "{received:?}");
    ensure!(envoy.send(&Request::get("/v1/models").bearer(TOKEN))?.status == 403);
    let counted =
        r#"keyswap_decisions{keyswap_verdict="forward",keyswap_reason="allowed",keyswap_provider="groq"} 1"#;
    envoy.has_counted("/stats/prometheus", &[counted])
}

#[test]
fn envoy_accepts_what_is_rendered_of_every_kind_of_configuration() -> Result<()> {
    let key = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "alg": "EdDSA",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]});
    let rollout = json!({"version": "keyswap-rollout/v1", "stable": policy(json!({}))?,
        "candidate": policy(json!({"rate_limit": {"requests": 1, "per": "1s"}}))?});
    let bundle = |initial: Option<&Value>| {
        let mut bundle = json!({"version": "keyswap-bundle/v1", "url": "https://registry.example.com",
            "credential": {"env": "REGISTRY"}, "name": "prod", "keys": key});
        if let Some(initial) = initial {
            bundle["initial"] = initial.clone();
        }
        bundle
    };
    let fetched: &[&str] = &["--upstream", "groq=https://api.groq.com", "--env", "GROQ_API_KEY"];
    let listening: &[&str] = &["--listen", "::1", "--port", "0", "--cluster", "other=http://[::1]:9"];
    let files = [
        "policy.yaml",
        "policy-registry.yaml",
        "policy-mesh.yaml",
        "policy-credentials.yaml",
        "policy-exchange.yaml",
    ];
    let mut configurations: Vec<(Value, &[&str])> = vec![
        (rollout.clone(), &[]),
        (bundle(None), fetched),
        (bundle(Some(&rollout)), listening),
        (policy(json!({"providers": {"own": {"url": "https://[2001:db8::1]/v2"}}}))?, &[]),
    ];
    // Valid names that YAML reads as another type, or that end a scalar.
    configurations.push((
        policy(json!({"registry": {"url": "http://r.example:7070", "plaintext": "trusted_network", "cluster": "a\"b:#{{host}}",
            "credential": {"env": "NO"}}}))?,
        &["--upstream", "null=https://[::1]:8443"],
    ));
    for file in files {
        configurations.push((rendered::documents(file)?.remove(0), &[]));
    }
    for (configuration, arguments) in configurations {
        let text = bootstrap(&configuration, arguments)?;
        let mut setup = Envoy::with_bootstrap(&text);
        for name in variables(&text)? {
            setup = setup.env(&name, "a-value-of-a-secret");
        }
        let log = setup.real_upstreams().validate()?;
        ensure!(!log.contains("[error]"), "{log}");
    }
    Ok(())
}

#[test]
fn a_cluster_without_tls_needs_a_policy_that_trusts_the_network() -> Result<()> {
    let registry = |url: &str, more: Value| {
        let mut registry = json!({"url": url, "cluster": "r", "credential": {"env": "R"}});
        registry.as_object_mut().context("an object")?.extend(more.as_object().cloned().unwrap_or_default());
        policy(json!({"registry": registry}))
    };
    let strict = registry("https://r.example:7070", json!({}))?;
    let trusting = registry("http://r.example:7070", json!({"plaintext": "trusted_network"}))?;
    for (policy, server, accepted) in [
        (&strict, "r=http://other.example:7070", false),
        (&strict, "r=http://[2001:db8::1]:7070", false),
        (&strict, "r=https://other.example:7070", true),
        (&strict, "r=http://127.0.0.1:7070", true),
        (&strict, "r=http://[::1]:7070", true),
        (&strict, "unasked=http://other.example", true),
        (&trusting, "r=http://other.example:7070", true),
    ] {
        let rendered = bootstrap(policy, &["--cluster", server]);
        ensure!(rendered.is_ok() == accepted, "{server}: {rendered:?}");
    }
    ensure!(bootstrap(&strict, &[])?.contains("sni: \"r.example\""), "an https address gets TLS");
    Ok(())
}

#[test]
fn envoy_runs_the_module_that_it_fetched_if_it_has_the_digest_and_no_other() -> Result<()> {
    let module = fs::read(FILTER.path()?)?;
    let right = Digest::of(&module).to_hex();
    let server = Scripted::start(move |_| Script::answer(200, module.clone()))?;
    let url = format!("http://{}/keyswap_filter.wasm", server.address());
    let standin = Standin::start_with(0, &["api.groq.com", "llm.example.com"])?;
    for (digest, status, forwarded) in [(right, 200, 1), ("0".repeat(64), 503, 0)] {
        let text = bootstrap(&policy(json!({}))?, &["--module-url", &url, "--module-sha256", &digest])?;
        // The fetch cannot succeed, so one retry suffices.
        let text = text.replace("retry_policy: {num_retries: 10}", "retry_policy: {num_retries: 1}");
        let envoy = keys(Envoy::with_bootstrap(&text)).upstream(&standin).start()?;
        let answer = envoy.send(&Request::get("/groq/models").bearer(TOKEN))?;
        ensure!(answer.status == status, "{} for {digest}:\n{}", answer.status, envoy.log());
        ensure!(standin.take().len() == forwarded, "{digest}");
    }
    ensure!(server.count("/keyswap_filter.wasm") >= 2, "it was not fetched");
    Ok(())
}

/// Returns the variables that a bootstrap passes to the filter.
fn variables(text: &str) -> Result<Vec<String>> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("host_env_keys: ["));
    let names = line.context("no variables")?.trim_end_matches(']').split(", ");
    Ok(names.map(|name| name.trim_matches('"').to_owned()).collect())
}

/// Returns the object of a kind in a file.
fn object(file: &str, kind: &str) -> Result<Value> {
    rendered::documents(file)?
        .into_iter()
        .find(|object| object["kind"] == kind)
        .with_context(|| format!("{file}: {kind}"))
}

/// Merges like Envoy and Istio: objects are merged, lists are concatenated, other values are replaced.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(from)) => into.extend(from),
        (into, from) => *into = from,
    }
}

const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

#[test]
fn the_patches_for_both_meshes_work_in_envoy() -> Result<()> {
    let registry = Registry::start()?;
    let made =
        registry.create_token(&json!({"label": "r", "owner": "r@example.com", "providers": ["openai"]}))?;
    let token = made["token"].as_str().context("a token")?;
    for mesh in ["istio", "gateway", "istio-native", "gateway-native"] {
        let standin = Standin::start()?;
        let setup = Envoy::with_bootstrap(&patched(mesh)?.to_string())
            .env("OPENAI_API_KEY", "sk-real")
            .env("ANTHROPIC_API_KEY", "sk-real")
            .env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token())
            .registry(registry.address())
            .upstream(&standin);
        let envoy = if mesh.ends_with("-native") { setup.native() } else { setup }.start()?;
        envoy.has_counted("/stats/prometheus", &["keyswap_fallbacks{} 0"]).context(mesh)?;
        let answer = envoy.send(&Request::get("/v1/models").bearer(token).header("x_api_key", "x"))?;
        ensure!(answer.status == 200, "{mesh}: {}", answer.status);
        ensure!(standin.take().len() == 1);
        let answer = envoy.send(&Request::get("/.well-known/keyswap/live"))?;
        ensure!(answer.status == 200 && standin.take().is_empty(), "{mesh}: {}", answer.status);
        let line = r#"keyswap_decisions{keyswap_verdict="forward",keyswap_reason="allowed",keyswap_provider="openai"} 1"#;
        envoy.has_counted("/stats/prometheus", &[line]).context(mesh)?;
        ensure!(envoy.access_log(1)?[0]["label"] == "r", "{mesh}");
        old_callers_are_served(&envoy, &standin, token, "/v1/models").context(mesh)?;
    }
    Ok(())
}

#[test]
fn callers_of_another_version_of_http_or_with_an_offer_to_upgrade_it_are_served() -> Result<()> {
    let standin = Standin::start_with(0, &["api.groq.com", "llm.example.com"])?;
    let text = bootstrap(&policy(json!({}))?, &[])?;
    let envoy = keys(Envoy::with_bootstrap(&text)).upstream(&standin).start()?;
    old_callers_are_served(&envoy, &standin, TOKEN, "/groq/models")
}

/// Ensures that requests as nginx, Apache's client for Java and old servers for HTTP/2 send them reach an upstream, without the
/// offer of another protocol.
fn old_callers_are_served(envoy: &Envoy, standin: &Standin, token: &str, path: &str) -> Result<()> {
    let offer = |names: &str| format!("connection: Upgrade\r\nupgrade: {names}\r\n");
    for (version, lines) in [
        ("1.0", String::new()),
        ("1.0", "connection: keep-alive\r\n".to_owned()),
        ("1.1", offer("TLS/1.2")),
        ("1.1", offer("TLS/1.2, HTTP/2.0")),
        ("1.1", offer("h2c")),
        ("1.1", offer("websockets")),
        ("1.1", offer("w")),
    ] {
        let head = format!(
            "GET {path} HTTP/{version}\r\nhost: llm.example.com\r\nauthorization: Bearer {token}\r\n{lines}\r\n"
        );
        let status = envoy.open_raw(head.as_bytes())?.status();
        let received = standin.take();
        ensure!(status == 200 && received.len() == 1, "{status} and {} requests for {head}", received.len());
        ensure!(
            received[0].header("upgrade").is_none() && received[0].header("host") != Some("llm.example.com")
        );
    }
    Ok(())
}

/// Returns the shipped bootstrap without what a mesh does not have, and with what is rendered for the mesh.
fn patched(mesh: &str) -> Result<Value> {
    let mut bootstrap = Bootstrap::shipped()?;
    let mut policy = rendered::documents("policy-mesh.yaml")?[0].clone();
    // However slow the machine is, a call is not given up.
    policy["registry"]["timeout"] = json!("30s");
    bootstrap.set_policy(&policy)?;
    let json = bootstrap.json();
    let members = json.as_object_mut().context("an object")?;
    members.remove("stats_config");
    json.pointer_mut(MANAGER).context("a manager")?["http_protocol_options"].take();
    if mesh.starts_with("istio") {
        let file = format!("{mesh}/gateway.yaml");
        // Istio's gateway has none of the patched settings.
        let manager = json.pointer_mut(MANAGER).context("a manager")?;
        let settings = object(&file, "EnvoyFilter")?;
        let value = settings["spec"]["configPatches"][0]["patch"]["value"]["typed_config"].clone();
        let names: Vec<String> = value.as_object().context("a patch")?.keys().cloned().collect();
        let members = manager.as_object_mut().context("a manager")?;
        for name in &names {
            members.remove(name);
        }
        merge(manager, value);
        if mesh == "istio-native" {
            let filter = object("istio-native/filter.yaml", "EnvoyFilter")?;
            let filter = filter["spec"]["configPatches"][0]["patch"]["value"].to_string();
            // The bootstrap has a cluster where Istio has its own, of another name.
            let cluster = "outbound|7070||keyswap-registry.keyswap.svc.cluster.local";
            ensure!(filter.contains(cluster), "{filter}");
            manager["http_filters"][0] = serde_json::from_str(&filter.replace(cluster, "keyswap-registry"))?;
        }
        let overlay = object(&file, "ConfigMap")?;
        let overlay = overlay["data"]["bootstrap.yaml"].as_str().context("text")?;
        merge(json, serde_saphyr::from_str(overlay)?);
    } else {
        let clusters = json.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
        clusters.context("clusters")?.retain(|cluster| cluster["name"] != "keyswap-registry");
        let proxy = object(&format!("{mesh}/gateway.yaml"), "EnvoyProxy")?;
        // What Envoy Gateway has there itself stays.
        json["stats_config"] = json!({"use_all_default_tags": true, "stats_tags": [{"tag_name": "of_envoy_gateway", "regex": "^x(.)"}]});
        let patches = proxy["spec"]["bootstrap"]["jsonPatches"].as_array().context("patches")?;
        patches.iter().try_for_each(|patch| add(json, patch))?;
        let kept = &json["stats_config"]["stats_tags"][0]["tag_name"];
        ensure!(
            json["stats_config"]["use_all_default_tags"] == true && kept == "of_envoy_gateway",
            "a patch replaces"
        );
        let policy = object(&format!("{mesh}/gateway.yaml"), "ClientTrafficPolicy")?;
        json.pointer_mut(MANAGER).context("a manager")?["http_protocol_options"] =
            http1(&policy["spec"]["http1"])?;
    }
    Ok(json.clone())
}

/// Returns Envoy's options for the settings of a `ClientTrafficPolicy`, as Envoy Gateway makes them.
fn http1(settings: &Value) -> Result<Value> {
    let ignored = settings["ignoredUpgradeTypes"].as_array().context("upgrades")?.iter();
    let ignored: Vec<Value> = ignored.map(|one| json!({"safe_regex": {"regex": one["value"]}})).collect();
    Ok(json!({"accept_http_10": settings["http10"].is_object(), "ignore_http_11_upgrade": ignored}))
}

/// Applies an `add` operation of a JSON patch (RFC 6902).
fn add(document: &mut Value, patch: &Value) -> Result<()> {
    ensure!(patch["op"] == "add", "{patch}");
    let place = patch["path"].as_str().context("a path")?;
    let (parent, name) = place.rsplit_once('/').context("a pointer")?;
    match document.pointer_mut(parent).with_context(|| format!("nothing at {parent}"))? {
        Value::Array(items) if name == "-" => items.push(patch["value"].clone()),
        Value::Object(members) => drop(members.insert(name.to_owned(), patch["value"].clone())),
        _ => anyhow::bail!("{place} cannot be added"),
    }
    Ok(())
}
