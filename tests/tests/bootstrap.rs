//! The behaviour of `envoy/bootstrap.yaml` itself, for platform teams that copy it.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{Bootstrap, Envoy, FILTER, Request, Setup, Standin, releases, tools};
use serde_json::{Value, json};

const TOKEN: &str = "ptk_bootstrap-tests-0123456789abcdefghij";
const TOKEN_SHA256: &str = "39b2b6b66b2cd7b0a71b6a7bcb993ce333a77542e4fd00ccaa99dd95aeabf4ad";
const KEYS: [(&str, &str); 4] = [
    ("OPENAI_API_KEY", "sk-real-openai"),
    ("ANTHROPIC_API_KEY", "sk-real-anthropic"),
    ("GEMINI_API_KEY", "real-gemini"),
    ("CF_AIG_TOKEN", "real-gateway-token"),
];

/// Returns the shipped policy, with the token of these tests.
fn policy() -> Result<Value> {
    let mut policy = Bootstrap::shipped()?.policy()?;
    policy["tokens"][0]["sha256"] = json!(TOKEN_SHA256);
    Ok(policy)
}

fn setup(policy: &Value) -> Setup {
    KEYS.into_iter().fold(Envoy::with(policy), |setup, (name, value)| setup.env(name, value))
}

fn models() -> Request {
    Request::get("/v1/models").bearer(TOKEN)
}

/// Envoy loads modules of other releases, and these calls came with 1.37 to 1.40.
#[test]
fn an_envoy_that_lacks_calls_of_the_module_is_not_served_and_all_of_them_are_named() -> Result<()> {
    let log = setup(&policy()?).on(&releases::OLDEST_ENVOY).native().refused()?;
    let (_, rest) = log
        .split_once("keyswap: this Envoy lacks calls of the ABI v0.2.0 (Envoy 1.40): ")
        .with_context(|| format!("no names in the log:\n{log}"))?;
    let names: Vec<&str> = rest.lines().next().unwrap_or_default().split(", ").collect();
    ensure!(names.len() > 1, "only {names:?}");
    ensure!(names.iter().all(|name| name.starts_with("envoy_dynamic_module_callback_")), "{names:?}");
    ensure!(!log.contains("undefined symbol"), "the loader refused the library:\n{log}");
    Ok(())
}

#[test]
fn envoy_accepts_the_file_as_it_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bootstrap.yaml");
    let text = fs::read_to_string(tools::project_root().join("envoy/bootstrap.yaml"))?;
    // Only the values that depend on the machine are replaced.
    let text = text
        .replace("/etc/keyswap/keyswap_filter.wasm", &FILTER.path()?.to_string_lossy())
        .replace("/etc/ssl/certs/ca-certificates.crt", &Bootstrap::system_ca_file()?.to_string_lossy());
    fs::write(&file, text)?;
    let output = Command::new(tools::envoy()?)
        .args(["--mode", "validate", "--log-level", "warning", "-c"])
        .arg(&file)
        .env_clear()
        .envs(KEYS)
        .output()?;
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert!(!log.contains("warning"), "a platform team should see no warning:\n{log}");
    Ok(())
}

#[test]
fn the_gateway_gets_the_request_under_its_own_name() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = setup(&policy()?).upstream(&standin).start()?;
    assert_eq!(envoy.send(&models())?.status, 200);
    let received = standin.take().pop().context("nothing was forwarded")?;
    assert_eq!(received.sni, "gateway.ai.cloudflare.com");
    assert_eq!(received.header("host"), Some("gateway.ai.cloudflare.com"));
    assert_eq!(received.path(), "/v1/0123456789abcdef0123456789abcdef/prod/openai/v1/models");
    Ok(())
}

#[test]
fn without_a_gateway_each_provider_gets_its_own_requests() -> Result<()> {
    let mut policy = policy()?;
    let members = policy.as_object_mut().context("the policy is an object")?;
    members.remove("gateway");
    policy["credentials"].as_object_mut().context("credentials are an object")?.remove("cf_aig");
    let standin = Standin::start()?;
    let envoy = setup(&policy).upstream(&standin).start()?;

    let hosts = [
        ("/v1/models", "api.openai.com"),
        ("/anthropic/v1/models", "api.anthropic.com"),
        ("/v1beta/models", "generativelanguage.googleapis.com"),
    ];
    for (path, host) in hosts {
        assert_eq!(envoy.send(&Request::get(path).bearer(TOKEN))?.status, 200, "{path}");
        let received = standin.take().pop().context("nothing was forwarded")?;
        assert_eq!((received.sni.as_str(), received.header("host")), (host, Some(host)), "{path}");
    }
    Ok(())
}

#[test]
fn an_upstream_that_cannot_prove_its_name_gets_nothing() -> Result<()> {
    let impostor = Standin::start_with(0, &["impostor.example", "ai.cloudflare.com"])?;
    let envoy = setup(&policy()?).upstream(&impostor).start()?;
    assert_eq!(envoy.send(&models())?.status, 502);
    assert!(impostor.wire().is_empty());
    Ok(())
}

#[test]
fn an_upstream_that_is_not_there_is_an_error_that_sdks_can_show() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = setup(&policy()?).upstream(&standin).start()?;
    drop(standin);
    let response = envoy.send(&models())?;
    assert_eq!(response.status, 502);
    assert_eq!(response.json()?["error"]["message"], "upstream request failed");
    Ok(())
}

#[test]
fn an_upstream_that_the_file_does_not_know_is_not_reached() -> Result<()> {
    let mut policy = policy()?;
    policy["gateway"]["cloudflare"]["url"] = json!("https://gateway.example.com");
    let standin = Standin::start()?;
    let envoy = setup(&policy).upstream(&standin).start()?;
    assert_eq!(envoy.send(&models())?.status, 404);
    assert!(standin.wire().is_empty());
    Ok(())
}

#[test]
fn callers_and_providers_learn_only_what_they_should_of_each_other() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = setup(&policy()?).upstream(&standin).start()?;
    let request = models()
        .header("x-forwarded-for", "10.1.2.3")
        .header("forwarded", "for=10.1.2.3")
        .header("x-envoy-upstream-rq-timeout-ms", "1")
        .header("x-envoy-max-retries", "9")
        .header("x_api_key", "sk-underscore");
    let response = envoy.send(&request)?;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("server"), Some("stand-in"), "the provider's, not Envoy's");
    assert_eq!(response.header("x-request-id"), Some("req_standin"), "the provider's, for its support");
    assert_eq!(response.header("set-cookie"), None);

    let received = standin.take().pop().context("nothing was forwarded")?;
    for private in ["10.1.2.3", "127.0.0.1", "x-envoy", "x-forwarded", "sk-underscore"] {
        let names = received.headers.iter().any(|(name, _)| name.starts_with(private));
        assert!(!names && !received.contains(private), "{private} reached the provider: {received:?}");
    }
    Ok(())
}

#[test]
fn the_access_log_tells_who_and_why_and_no_credential() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = setup(&policy()?).upstream(&standin).start()?;
    envoy.send(&Request::get(format!("/v1beta/models?key={TOKEN}&pageSize=7")))?;
    envoy.send(&Request::get("/v1beta/models?key=ptk_nobody"))?;

    let lines = envoy.access_log(2)?;
    let allowed = &lines[0];
    assert_eq!(allowed["label"], "alice-laptop");
    assert_eq!(allowed["provider"], "gemini");
    assert_eq!(allowed["reason"], "allowed");
    assert_eq!(allowed["upstream_cluster"], "cloudflare-ai-gateway");
    let path = "/v1/0123456789abcdef0123456789abcdef/prod/google-ai-studio/v1beta/models";
    assert_eq!(allowed["path"], path, "without the query");
    assert_eq!(lines[1]["reason"], "token_invalid");
    assert_eq!(lines[1]["status"], 401);
    for line in &lines {
        let line = line.to_string();
        let secrets = KEYS.map(|(_, value)| value).into_iter().chain([TOKEN, "ptk_nobody", "pageSize"]);
        assert_eq!(secrets.filter(|secret| line.contains(secret)).count(), 0, "{line}");
    }
    Ok(())
}

#[test]
fn decisions_are_counted_under_labels() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = setup(&policy()?).upstream(&standin).start()?;
    envoy.send(&models())?;
    envoy.send(&Request::get("/v1/models"))?;
    let lines = [("forward", "allowed"), ("reply", "credential_missing")].map(|(verdict, reason)| {
        format!(
            "\nkeyswap_decisions{{keyswap_verdict=\"{verdict}\",keyswap_reason=\"{reason}\",\
             keyswap_provider=\"openai\"}} 1\n"
        )
    });
    envoy.has_counted("/stats/prometheus", &lines.each_ref().map(String::as_str))
}

#[test]
fn a_policy_that_does_not_hold_keeps_envoy_from_starting() -> Result<()> {
    let mut policy = policy()?;
    policy["tokens"][0]["sha256"] = json!("not a digest");
    policy["gateway"]["cloudflare"]["mode"] = json!("free");
    let log = setup(&policy).refused()?;
    for path in ["tokens[0].sha256", "gateway.cloudflare.mode"] {
        assert!(log.contains(path), "`{path}` is not in:\n{log}");
    }
    Ok(())
}
