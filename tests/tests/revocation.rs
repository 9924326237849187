//! Callers who lose their right while an exchange goes on: `revoke: streams`.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{
    Envoy, Issuer, Registry, Request, Setup, SigningKey, Standin, Testbed, unix_now, until, with,
};
use serde_json::{Value, json};

/// Changes that take a token's right away, and what is counted then.
const REVOCATIONS: [(&str, &str, &str, &str); 3] = [
    ("disabled", "PATCH", r#"{"status":"disabled"}"#, "token_invalid.provider.openai: 1"),
    ("deleted", "DELETE", "null", "token_invalid.provider.openai: 2"),
    ("expired", "PATCH", r#"{"expires_at":"2026-01-01T00:00:00Z"}"#, "token_expired.provider.openai: 1"),
];

fn setup(policy: &Value, registry: &Registry, standin: &Standin) -> Setup {
    Envoy::with(policy)
        .env("OPENAI_API_KEY", "sk-real")
        .env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token())
        .registry(registry.address())
        .upstream(standin)
}

fn policy(changes: &Value) -> Value {
    with(&Testbed::registry_policy(), changes)
}

fn stream(token: &str) -> Request {
    let body = json!({"model": "m", "stream": true, "messages": []});
    Request::post("/v1/chat/completions", &body).bearer(token)
}

fn models(token: &str) -> Request {
    Request::get("/v1/models").bearer(token)
}

/// Creates a token and returns it.
fn token(registry: &Registry, label: &str) -> Result<String> {
    let created = registry.create_token(&json!({"label": label, "providers": ["openai"]}))?;
    Ok(created["token"].as_str().context("no token")?.to_owned())
}

fn path(token: &str) -> String {
    format!("/tokens/{}", Digest::of(token.as_bytes()).to_hex())
}

/// Waits until exchanges have ended for a reason.
fn until_ended(envoy: &Envoy, counted: &str) -> Result<()> {
    let counted = format!("keyswap.ended.reason.{counted}");
    until(&counted, || Ok(envoy.admin("/stats?filter=keyswap.ended")?.contains(&counted))).map(drop)
}

#[test]
fn a_stream_ends_when_its_token_loses_the_right_and_that_of_another_token_goes_on() -> Result<()> {
    let (registry, standin) = (Registry::start()?, Standin::start()?);
    let envoy = setup(&policy(&json!({"revoke": "streams"})), &registry, &standin).start()?;
    let other = token(&registry, "other")?;
    for (what, method, body, counted) in REVOCATIONS {
        let own = token(&registry, what)?;
        let held = standin.hold();
        let (mut ended, mut kept) = (envoy.open(&stream(&own))?, envoy.open(&stream(&other))?);
        ensure!(ended.status() == 200 && ended.next_event()?.is_some() && kept.next_event()?.is_some());
        registry.admin(method, &path(&own), &serde_json::from_str(body)?)?;
        until_ended(&envoy, counted)?;
        ensure!(ended.finish().is_err(), "{what}: the stream has come to its own end");
        drop(held);
        let rest = kept.finish()?.text();
        ensure!(rest.contains("[DONE]"), "{what}: the other stream was cut off: {rest}");
        let refused = envoy.send(&stream(&own))?;
        ensure!(refused.status == 401, "{what}: {}", refused.status);
    }
    let lines = envoy.log();
    let line =
        lines.lines().find(|line| line.contains(r#""event":"ended""#)).context("nothing was logged")?;
    ensure!(line.contains(r#""label":"disabled""#) && !lines.contains("ptk_"), "{line}");
    let vms = envoy.admin("/stats?filter=wasm.envoy.wasm.runtime")?;
    ensure!(envoy.is_native() || vms.contains("active"), "the VM is gone");
    Ok(())
}

#[test]
fn a_websocket_ends_with_the_token_and_an_upload_too() -> Result<()> {
    let (registry, standin) = (Registry::start()?, Standin::start()?);
    // The upload is no whole form, so no rule may read it.
    let policy = policy(&json!({"revoke": "streams", "objects": "shared"}));
    let envoy = setup(&policy, &registry, &standin).start()?;
    let own = token(&registry, "own")?;
    let websocket = format!(
        "GET /v1/realtime?model=m HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {own}\r\nconnection: upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let upload = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {own}\r\ncontent-length: 9\r\n\r\nhalf"
    );
    let mut session = BufReader::new(connect(&envoy, &websocket)?);
    let mut status = String::new();
    session.read_line(&mut status)?;
    ensure!(status.contains("101"), "{status}");
    let mut upload = connect(&envoy, &upload)?;
    until("the upload has begun", || Ok(standin.wire().ends_with(b"half")))?;
    registry.admin("PATCH", &path(&own), &json!({"status": "disabled"}))?;
    until_ended(&envoy, "token_invalid.provider.openai: 2")?;
    // What was on its way arrives; then the connection is at its end, cleanly or not.
    let _ = session.read_to_end(&mut Vec::new());
    let mut answer = Vec::new();
    let _ = upload.read_to_end(&mut answer);
    ensure!(!String::from_utf8_lossy(&answer).contains("200 OK"), "the upload was answered");
    until("nothing goes on", || Ok(envoy.stat("http.keyswap.downstream_rq_active")? == 0)).map(drop)
}

#[test]
fn a_stream_of_a_person_ends_when_the_person_is_disabled() -> Result<()> {
    const ISSUER: &str = "https://id.example/realms/a";
    let (registry, key) = (Registry::start()?, SigningKey::p256("k")?);
    registry.admin("POST", "/users", &json!({"email": "ada@example.com", "providers": ["openai"]}))?;
    let issuer = json!({"name": "id", "preset": "oidc", "issuer": ISSUER, "audiences": ["keyswap"]});
    for principals in ["known", "any"] {
        registry.admin("PATCH", "/users/ada@example.com", &json!({"status": "active"}))?;
        let issuers = json!([with(&issuer, &json!({"principals": principals}))]);
        let policy = policy(&json!({"revoke": "streams", "issuers": issuers}));
        let testbed = Testbed::trusting(vec![Issuer::start(ISSUER, &[&key])?], &policy, |setup| {
            setup.env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token()).registry(registry.address())
        })?;
        let jwt = key.sign(&json!({
            "iss": ISSUER, "aud": "keyswap", "sub": "1", "email": "ada@example.com", "email_verified": true,
            "exp": unix_now() + 300,
        }))?;
        let held = testbed.standin.hold();
        let mut ended = testbed.host.open(&stream(&jwt))?;
        ensure!(ended.status() == 200 && ended.next_event()?.is_some(), "{principals}");
        registry.admin("PATCH", "/users/ada@example.com", &json!({"status": "disabled"}))?;
        until_ended(&testbed.host, "principal_unknown.provider.openai: 1")?;
        ensure!(ended.finish().is_err(), "{principals}: the stream has come to its own end");
        drop(held);
    }
    Ok(())
}

#[test]
fn a_stream_goes_on_where_the_policy_does_not_end_it_and_while_the_registry_cannot_be_asked() -> Result<()> {
    let (mut registry, standin) = (Registry::start()?, Standin::start()?);
    let positive = json!({"cache": {"positive": "1s"}});
    let short = with(&Testbed::registry(), &positive);
    let revoked = setup(&policy(&json!({"registry": short})), &registry, &standin).start()?;
    let unreachable =
        setup(&policy(&json!({"registry": short, "revoke": "streams"})), &registry, &standin).start()?;
    let (own, other) = (token(&registry, "own")?, token(&registry, "other")?);
    let held = standin.hold();
    let (mut first, mut second) = (revoked.open(&stream(&own))?, unreachable.open(&stream(&other))?);
    ensure!(first.next_event()?.is_some() && second.next_event()?.is_some());
    registry.admin("PATCH", &path(&own), &json!({"status": "disabled"}))?;
    until("the token is refused", || Ok(revoked.send(&models(&own))?.status == 401))?;
    registry.kill();
    until("the other token cannot be looked up", || Ok(unreachable.send(&models(&other))?.status == 503))?;
    drop(held);
    for (what, answer) in [("no `revoke`", first), ("no registry", second)] {
        ensure!(answer.finish()?.text().contains("[DONE]"), "{what}: the stream was cut off");
    }
    Ok(())
}

fn connect(envoy: &Envoy, bytes: &str) -> Result<TcpStream> {
    let mut connection = TcpStream::connect(envoy.address())?;
    connection.set_read_timeout(Some(Duration::from_secs(30)))?;
    connection.write_all(bytes.as_bytes())?;
    Ok(connection)
}
