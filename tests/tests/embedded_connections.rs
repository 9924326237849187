//! Connections of every kind at the servers that embed the authorizer: each is judged or refused before the application
//! behind the middleware has it. The application of these tests accepts whatever reaches it, and says so in its log.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    AUTHORIZER, Gate, RUST_EXAMPLE, Request, TOKEN, Testbed, Wasmtime, WasmtimeSetup, asgi_scopes, until,
};
use serde_json::{Value, json};

const STRANGER: &str = "ptk_nobody-knows-this-one";
const SECRETS: [&str; 3] = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"];
const SOCKET: &str = "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n\
                      sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn setup(policy: &Value) -> WasmtimeSetup {
    SECRETS.into_iter().fold(Wasmtime::with(policy), |setup, name| setup.env(name, "key-0123456789"))
}

fn each(check: impl Fn(Gate) -> Result<()>) -> Result<()> {
    Gate::ALL.into_iter().try_for_each(|gate| check(gate).with_context(|| format!("{gate:?}")))
}

fn head(first: &str, lines: &str) -> String {
    format!("{first} HTTP/1.1\r\nhost: h\r\n{lines}\r\n")
}

#[test]
fn every_kind_of_connection_is_judged_before_the_application_has_it() -> Result<()> {
    let upgrade = |lines: &str| head("GET /v1/realtime?model=m", &format!("{SOCKET}{lines}"));
    let subprotocols = |token: &str| {
        upgrade(&format!("sec-websocket-protocol: realtime, openai-insecure-api-key.{token}\r\n"))
    };
    let rows = [
        ("a WebSocket without a token", upgrade(""), 401, "credential_missing"),
        (
            "a WebSocket of a stranger",
            upgrade(&format!("authorization: Bearer {STRANGER}\r\n")),
            401,
            "token_invalid",
        ),
        ("a WebSocket with its token in a subprotocol", subprotocols(STRANGER), 401, "token_invalid"),
        ("a WebSocket of a known caller", subprotocols(TOKEN), 501, "upgrade_unsupported"),
        (
            "an upgrade to another protocol",
            head(
                "GET /v1/models",
                "upgrade: foo\r\nconnection: Upgrade\r\nauthorization: Bearer ptk_nobody\r\n",
            ),
            401,
            "token_invalid",
        ),
        ("CONNECT", head("CONNECT h:443", ""), 405, "method_not_allowed"),
        ("a request", head("GET /v1/models", "connection: close\r\n"), 401, "credential_missing"),
    ];
    each(|gate| {
        let server = setup(&Testbed::policy()).start_gate(gate)?;
        for (name, head, status, reason) in &rows {
            let answer = server.open_raw(head.as_bytes()).with_context(|| (*name).to_owned())?;
            ensure!(
                answer.status() == *status && answer.header("x-keyswap-reason") == Some(reason),
                "{name}: {} {:?}",
                answer.status(),
                answer.header("x-keyswap-reason")
            );
            let body = answer.finish()?.text();
            ensure!(body.contains(reason), "{name}: {body}");
        }
        until("the refusals are logged", || Ok(server.log().matches("token_invalid").count() >= 3))?;
        ensure!(!server.log().contains("the application has"), "{}", server.log());
        ensure!(!server.log().contains("ptk_"), "{}", server.log());
        Ok(())
    })
}

#[test]
fn an_upgrade_that_cannot_be_carried_out_is_closed_and_not_forwarded() -> Result<()> {
    let server = setup(&Testbed::policy()).start_gate(Gate::Node)?;
    let lines = format!("upgrade: foo\r\nconnection: Upgrade\r\nauthorization: Bearer {TOKEN}\r\n");
    ensure!(server.open_raw(head("GET /v1/models", &lines).as_bytes()).is_err(), "there was an answer");
    ensure!(!server.log().contains("the application has"), "{}", server.log());
    Ok(())
}

#[test]
fn a_body_that_was_read_before_the_middleware_is_not_waited_for() -> Result<()> {
    let server = setup(&Testbed::policy()).start_gate(Gate::Node)?;
    let request = Request::post("/v1/responses", &json!({"model": "m"})).bearer(TOKEN);
    ensure!(server.send(&request).is_err(), "there was an answer");
    until("the log says why", || Ok(server.log().contains("the body was read before Keyswap"))).map(drop)
}

#[test]
fn in_shadow_mode_a_websocket_is_judged_and_reaches_the_application() -> Result<()> {
    let mut policy = Testbed::policy();
    policy["mode"] = json!("shadow");
    each(|gate| {
        let server = setup(&policy).start_gate(gate)?;
        let upgrade = head("GET /v1/realtime", &format!("{SOCKET}authorization: Bearer {STRANGER}\r\n"));
        let status = server.open_raw(upgrade.as_bytes())?.status();
        ensure!(status == 101, "{status}");
        until("what would have been is logged", || Ok(server.log().contains("would_refuse"))).map(drop)
    })
}

#[test]
fn scopes_of_every_type_are_judged_or_refused_whatever_their_server_leaves_out() -> Result<()> {
    let denied = |status: u16| json!([{"type": "websocket.http.response.start", "status": status}, {"type": "websocket.http.response.body"}]);
    let can_answer = json!({"websocket.http.response": {}});
    let protocols = |token: &str| json!(["realtime", format!("openai-insecure-api-key.{token}")]);
    let rows = [
        (json!({"type": "lifespan"}), json!([{"type": "lifespan.startup.complete"}])),
        (json!({"type": "websocket"}), json!([{"type": "websocket.close", "code": 1008}])),
        (
            json!({"type": "websocket", "extensions": null}),
            json!([{"type": "websocket.close", "code": 1008}]),
        ),
        (json!({"type": "websocket", "extensions": can_answer}), denied(401)),
        // HTTP/2: no `upgrade`, and the subprotocols beside the head.
        (
            json!({"type": "websocket", "method": "CONNECT", "extensions": can_answer, "http_version": "2",
                   "path": "/v1/realtime", "subprotocols": protocols(TOKEN)}),
            denied(501),
        ),
        (
            json!({"type": "websocket", "extensions": can_answer, "path": "/v1/realtime",
                   "subprotocols": protocols(STRANGER)}),
            denied(401),
        ),
        (json!({"type": "webtransport"}), json!([{"error": "NotImplementedError"}])),
        (json!({"type": "HTTP"}), json!([{"error": "NotImplementedError"}])),
    ];
    let mut command = asgi_scopes(&Testbed::policy())?;
    command.envs(SECRETS.map(|name| (name, "key-0123456789")));
    let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut input = program.stdin.take().context("it has an input")?;
    rows.iter().try_for_each(|(scope, _)| writeln!(input, "{scope}"))?;
    drop(input);
    let output = program.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && !said.contains("the application has"), "{said}");
    let sent: Vec<Value> =
        String::from_utf8(output.stdout)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(sent.len() == rows.len(), "{said}");
    for ((scope, expected), sent) in rows.iter().zip(sent) {
        ensure!(sent == *expected, "{scope}: {sent}");
    }
    Ok(())
}

#[test]
fn the_program_of_rust_refuses_what_it_cannot_carry_out_or_read() -> Result<()> {
    let policy = tempfile::NamedTempFile::new()?;
    std::fs::write(policy.path(), Testbed::policy().to_string())?;
    let bearer = format!("authorization: Bearer {TOKEN}");
    for (arguments, status, said) in [
        (&["GET", "/v1/realtime", &bearer, "upgrade: websocket"][..], 2, "answer 501 {"),
        // A line without a space is one, too: another token beside the first.
        (&["GET", "/v1/models", &bearer, "authorization:Bearer ptk_another"], 2, "answer 400 {"),
        (&["GET", "/v1/models", &bearer, "no line of a head"], 1, "expected a line"),
    ] {
        let output = Command::new(RUST_EXAMPLE.path()?)
            .arg(AUTHORIZER.path()?)
            .arg(policy.path())
            .args(arguments)
            .env_clear()
            .envs(SECRETS.map(|name| (name, "key-0123456789")))
            .output()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        ensure!(output.status.code() == Some(status) && text.contains(said), "{arguments:?}: {text}");
    }
    Ok(())
}
