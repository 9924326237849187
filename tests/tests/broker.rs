//! Brokered credentials in real hosts: the caller never sees what the provider minted, and the token that it gets works
//! through Keyswap only, for its session, as long as the token that it was minted with.

use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{
    Envoy, Received, Refusal, Registry, Request, Response, Script, Scripted, Server, Setup, Standin, TOKEN,
    Testbed, Wasmtime,
    clients::{Call, Event, Mode, matrix::WS},
    until,
};
use serde_json::{Value, json};

const EPHEMERAL: &str = "ek_sentinel-68af296e8e408191";
const KEY: &str = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e";
const REAL: &str = "sk-real-openai";
const SECRETS: &str = "/v1/realtime/client_secrets";
const CALLS: &str = "/v1/realtime/calls";

fn policy() -> Value {
    let mut policy = Testbed::policy();
    policy["tokens"][0]["providers"] = json!(["openai", "openai:mint", "gemini"]);
    policy["broker"] = json!({"key": {"env": "KEYSWAP_BROKER_KEY"}});
    policy
}

fn in_envoy(policy: &Value, standin: &Standin) -> Setup {
    Testbed::setup_with(policy, standin).env("KEYSWAP_BROKER_KEY", KEY)
}

fn in_seconds(seconds: u64) -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + seconds)
}

/// Returns the answer of an API that mints, which its host may follow with headers that are not for callers.
fn answer(expires_at: u64) -> Value {
    json!({"value": EPHEMERAL, "expires_at": expires_at, "session": {"id": "sess_1", "model": "m"}})
}

/// Has the stand-in mint.
fn mints(standin: &Standin, expires_at: u64) {
    standin.refuse_if(move |request| {
        let is_minted = request.path() == SECRETS;
        let headers = [
            ("set-cookie", EPHEMERAL.to_owned()),
            ("location", format!("/x?key={EPHEMERAL}")),
            ("x-debug", EPHEMERAL.to_owned()),
            ("x-request-id", "req_1".to_owned()),
        ];
        let minted = Refusal { status: 200, headers: headers.to_vec(), body: answer(expires_at) };
        let called = Refusal { status: 201, headers: Vec::new(), body: json!("v=0") };
        if is_minted { Some(minted) } else { (request.path() == CALLS).then_some(called) }
    });
}

fn mint(token: &str) -> Request {
    let body = json!({"session": {"type": "realtime", "model": "m"}});
    Request::post(SECRETS, &body).bearer(token).header("accept-encoding", "gzip, br")
}

fn call(token: &str) -> Request {
    Request::post(CALLS, &json!({"sdp": "v=0"})).bearer(token)
}

/// Returns the token of an answer that shows nothing else of what was minted.
fn token(answer: &Response) -> Result<String> {
    ensure!(answer.status == 200, "{answer:?}: {}", answer.text());
    let all = format!("{:?} {}", answer.headers, answer.text());
    ensure!(!all.contains(EPHEMERAL) && !all.contains(REAL), "{all}");
    for gone in ["set-cookie", "location", "x-debug"] {
        ensure!(answer.header(gone).is_none(), "{gone} went on");
    }
    ensure!(answer.header("cache-control") == Some("no-store"));
    ensure!(answer.header("content-type") == Some("application/json"));
    let body = answer.json()?;
    ensure!(body["session"] == json!({"id": "sess_1", "model": "m"}), "{body}");
    let token = body["value"].as_str().context("a token")?;
    ensure!(token.starts_with("ksb_"), "{token}");
    Ok(token.to_owned())
}

/// Ensures that the request that minted carried the real key, and asked for an answer as it is.
fn check_minting(request: &Received) -> Result<()> {
    ensure!(request.credentials() == [format!("authorization: Bearer {REAL}")], "{request:?}");
    ensure!(request.header("accept-encoding") == Some("identity"), "{request:?}");
    ensure!(request.json()["session"]["model"] == "m", "the body went on as it was");
    Ok(())
}

fn check_session(request: &Received, token: &str) -> Result<()> {
    ensure!(request.credentials() == [format!("authorization: Bearer {EPHEMERAL}")], "{request:?}");
    ensure!(!request.contains(token) && !request.contains(REAL), "{request:?}");
    Ok(())
}

#[test]
fn in_envoy_what_was_minted_opens_its_session_over_http_and_websocket_and_is_seen_by_nobody() -> Result<()> {
    let bed = Testbed::with(|standin| in_envoy(&policy(), standin).filter_log_level("trace").start())?;
    mints(&bed.standin, in_seconds(600)?);
    let token = token(&bed.host.send(&mint(TOKEN))?)?;
    check_minting(&bed.take_last()?)?;

    ensure!(bed.host.send(&call(&token))?.status == 201);
    check_session(&bed.take_last()?, &token)?;
    let url = format!("ws://{}/v1/realtime?model=gpt-realtime", bed.host.address());
    for mode in [Mode::Subprotocol, Mode::Header] {
        let events = WS.run(&Call { mode, base_url: &url, token: &token, headers: &[] })?;
        ensure!(matches!(events.first(), Some(Event::Open { .. })), "{mode:?}: {events:?}");
        ensure!(events.last() == Some(&Event::Done { text: "1000".to_owned() }), "{mode:?}");
        check_session(&bed.take_last()?, &token)?;
    }

    for (what, request, expect) in [
        ("mints again", mint(&token), "403 endpoint_class_not_allowed"),
        (
            "chats",
            Request::post("/v1/chat/completions", &json!({})).bearer(&token),
            "403 endpoint_class_not_allowed",
        ),
        (
            "goes to another provider",
            Request::get("/google-ai-studio/v1beta/models").bearer(&token),
            "401 token_invalid",
        ),
        ("is changed", call(&token.replacen("ksb_", "ksb_A", 1)), "401 token_invalid"),
        ("is cut", call(&token[..60]), "401 token_invalid"),
        ("is empty", call("ksb_"), "401 token_invalid"),
    ] {
        bed.expect(what, &request, expect)?;
    }
    let log = bed.host.log();
    for secret in [EPHEMERAL, &token, REAL, KEY] {
        ensure!(!log.contains(secret), "a log has `{secret}`");
    }
    Ok(())
}

#[test]
fn in_wasmtime_what_was_minted_opens_its_session_and_is_seen_by_nobody() -> Result<()> {
    let standin = Standin::start()?;
    let wasmtime = Wasmtime::with(&policy())
        .upstream(&standin)
        .env("OPENAI_API_KEY", REAL)
        .env("ANTHROPIC_API_KEY", "a")
        .env("GEMINI_API_KEY", "g")
        .env("KEYSWAP_BROKER_KEY", KEY)
        .start()?;
    mints(&standin, in_seconds(600)?);
    let token = token(&wasmtime.send(&mint(TOKEN))?)?;
    check_minting(standin.take().last().context("a request")?)?;
    ensure!(wasmtime.send(&call(&token))?.status == 201);
    check_session(standin.take().last().context("a request")?, &token)?;
    ensure!(wasmtime.send(&call(&format!("{token}A")))?.verdict() == "401 token_invalid");
    ensure!(wasmtime.send(&mint(&token))?.verdict() == "403 endpoint_class_not_allowed");
    ensure!(standin.take().is_empty());
    let log = wasmtime.log();
    for secret in [EPHEMERAL, &token, REAL, KEY] {
        ensure!(!log.contains(secret), "the log has `{secret}`");
    }
    Ok(())
}

#[test]
fn a_brokered_token_dies_with_the_token_of_a_registry_that_it_was_minted_with() -> Result<()> {
    let (registry, standin) = (Registry::start()?, Standin::start()?);
    let mut policy = Testbed::registry_policy();
    policy["broker"] = json!({"key": {"env": "KEYSWAP_BROKER_KEY"}});
    let start = || {
        Envoy::with(&policy)
            .env("OPENAI_API_KEY", REAL)
            .env("KEYSWAP_BROKER_KEY", KEY)
            .env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token())
            .upstream(&standin)
            .registry(registry.address())
            .concurrency(2)
            .start()
    };
    let (envoy, other) = (start()?, start()?);
    mints(&standin, in_seconds(600)?);
    let created = registry.create_token(&json!({"label": "l", "providers": ["openai:mint"]}))?;
    let parent = created["token"].as_str().context("a token")?;
    let token = token(&envoy.send(&mint(parent))?)?;
    for envoy in [&envoy, &other] {
        ensure!(envoy.send(&call(&token))?.status == 201, "every data plane with the key takes it");
    }
    let started = Instant::now();
    let path = format!("/tokens/{}", Digest::of(parent.as_bytes()).to_hex());
    registry.admin("PATCH", &path, &json!({"status": "disabled"}))?;
    for envoy in [&envoy, &other] {
        until("the brokered token is refused", || Ok(envoy.send(&call(&token))?.status == 401))?;
    }
    ensure!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    Ok(())
}

#[test]
fn a_brokered_token_dies_at_its_expiry() -> Result<()> {
    let bed = Testbed::with(|standin| in_envoy(&policy(), standin).start())?;
    mints(&bed.standin, in_seconds(3)?);
    let token = token(&bed.host.send(&mint(TOKEN))?)?;
    ensure!(bed.host.send(&call(&token))?.status == 201);
    until("the token has expired", || Ok(bed.host.send(&call(&token))?.verdict() == "401 token_expired"))?;
    Ok(())
}

/// Answers of which nothing may go out, and whether a head tells so.
fn odd_answers() -> Result<Vec<(&'static str, Script)>> {
    let good = answer(in_seconds(600)?);
    let with = |status, headers: &[(&'static str, &str)], body: String| {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Script::Answer(status, headers, body.into_bytes())
    };
    let twice = good.to_string().replacen('{', &format!("{{\"value\":\"{EPHEMERAL}\","), 1);
    let mut elsewhere = good.clone();
    elsewhere["session"]["id"] = json!(EPHEMERAL);
    let mut long = good.clone();
    long["session"]["instructions"] = json!("x".repeat(200 * 1024));
    let moved = json!({"client_secret": {"value": EPHEMERAL, "expires_at": 1}});
    Ok(vec![
        ("no JSON", with(200, &[], format!("<p>{EPHEMERAL}</p>"))),
        ("events", with(200, &[("content-type", "text/event-stream")], format!("data: {good}\n\n"))),
        ("a compressed answer", with(200, &[("content-encoding", "br")], format!("\u{b}{EPHEMERAL}"))),
        ("a member that stands twice", with(200, &[], twice)),
        ("the secret at another place, too", with(200, &[], elsewhere.to_string())),
        ("the secret at another place only", with(200, &[], moved.to_string())),
        ("a long answer", with(200, &[], long.to_string())),
        ("an answer without a body", with(200, &[], String::new())),
        ("an answer that is cut off", Script::CutOff),
        ("a redirect", with(302, &[("location", &format!("/x?key={EPHEMERAL}"))], good.to_string())),
        ("an error with the secret", with(400, &[], json!({"error": {}, "value": EPHEMERAL}).to_string())),
    ])
}

/// Ensures that nothing of an odd answer goes out. An Envoy that has sent the head resets the stream.
fn check_withheld(host: &Server, upstream: &Scripted, resets: bool) -> Result<()> {
    for (what, script) in odd_answers()? {
        upstream.now(move |_| script.clone());
        match host.open(&mint(TOKEN)).and_then(keyswap_tests::Answer::finish) {
            Ok(answer) => {
                let all = format!("{:?} {}", answer.headers, answer.text());
                ensure!(!all.contains(EPHEMERAL) && answer.status >= 400, "{what}: {} {all}", answer.status);
                let code = answer.json()?["error"]["code"].clone();
                let expect = if what == "an answer that is cut off" {
                    answer.status >= 502
                } else {
                    code == "upstream_not_brokered"
                };
                ensure!(expect, "{what}: {all}");
            }
            Err(error) => ensure!(resets && !format!("{error:#}").contains(EPHEMERAL), "{what}: {error:#}"),
        }
    }
    let error = json!({"error": {"message": "no such model", "type": "invalid_request_error"}});
    let body = error.clone();
    upstream.now(move |_| Script::answer(400, body.to_string()));
    let answer = host.send(&mint(TOKEN))?;
    ensure!(answer.status == 400 && answer.json()? == error, "{answer:?}: {}", answer.text());
    let body = answer_in_pieces()?;
    upstream.now(move |_| Script::Answer(200, vec![("x-request-id", "r".to_owned())], body.clone()));
    let _ = token_of_pieces(&host.send(&mint(TOKEN))?)?;
    Ok(())
}

/// Returns an answer that comes in many pieces.
fn answer_in_pieces() -> Result<Vec<u8>> {
    let mut body = answer(in_seconds(600)?);
    body["session"]["instructions"] = json!("x".repeat(60 * 1024));
    Ok(body.to_string().into_bytes())
}

fn token_of_pieces(answer: &Response) -> Result<String> {
    let body = answer.json()?;
    ensure!(answer.status == 200 && !answer.text().contains(EPHEMERAL), "{}", answer.status);
    ensure!(body["session"]["instructions"].as_str().map(str::len) == Some(60 * 1024));
    Ok(body["value"].as_str().context("a token")?.to_owned())
}

#[test]
fn in_envoy_nothing_of_an_odd_answer_that_mints_goes_out() -> Result<()> {
    let upstream = Scripted::start(|_| Script::Close)?;
    let envoy = Envoy::with(&policy())
        .env("OPENAI_API_KEY", REAL)
        .env("ANTHROPIC_API_KEY", "a")
        .env("GEMINI_API_KEY", "g")
        .env("KEYSWAP_BROKER_KEY", KEY)
        .plain_upstream(upstream.address())
        .start()?;
    check_withheld(&envoy, &upstream, true)?;
    let log = envoy.log();
    ensure!(log.contains("was not brokered, and is withheld") && !log.contains(EPHEMERAL), "{log}");
    upstream.now(|_| Script::Close);
    let answer = envoy.send(&mint(TOKEN))?;
    ensure!(answer.json()?["error"]["code"] == "upstream_unreachable", "{}", answer.text());
    let vms = envoy.admin("/stats?filter=vm_reload")?;
    ensure!(!vms.contains("vm_reload_success: 1"), "{vms}");
    Ok(())
}

#[test]
fn in_wasmtime_nothing_of_an_odd_answer_that_mints_goes_out() -> Result<()> {
    let upstream = Scripted::start(|_| Script::Close)?;
    let mut policy = policy();
    policy["providers"] = json!({"openai": {"url": plain(upstream.address())}});
    let wasmtime = Wasmtime::with(&policy)
        .env("OPENAI_API_KEY", REAL)
        .env("ANTHROPIC_API_KEY", "a")
        .env("GEMINI_API_KEY", "g")
        .env("KEYSWAP_BROKER_KEY", KEY)
        .start()?;
    check_withheld(&wasmtime, &upstream, false)?;
    let log = wasmtime.log();
    ensure!(log.contains("was not brokered, and is withheld") && !log.contains(EPHEMERAL), "{log}");
    Ok(())
}

fn plain(address: SocketAddr) -> String {
    format!("http://{address}")
}
