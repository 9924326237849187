//! Upstreams that answer before they have the whole request.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use keyswap_tests::{Envoy, Wasmtime};
use serde_json::{Value, json};

use super::{KEY, TOKEN, body, policy};

/// The bytes after which the upstream answers.
const ENOUGH: usize = 64 * 1024;

/// Starts an upstream that answers with a status behind the first bytes of a request, and reads on.
fn early(status: u16, enough: usize) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream, status, enough));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, status: u16, enough: usize) -> std::io::Result<()> {
    let (mut buffer, mut read) = (vec![0; 16_384], 0);
    while read < enough {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            size => read += size,
        }
    }
    let body = r#"{"early":true,"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} Early\r\ncontent-type: application/json\r\ncontent-length: {length}");
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes())?;
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Sends the beginning of a request, and returns what comes back.
fn begin(address: SocketAddr, framing: &str, beginning: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: keyswap.test\r\nconnection: close\r\n{framing}\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    // The answer may come before all is sent.
    let _ = stream.write_all(beginning.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn without_rules() -> Value {
    let mut policy = policy();
    policy["tokens"][0].as_object_mut().map(|token| token.remove("models"));
    policy
}

fn metered() -> Value {
    let mut policy = without_rules();
    policy["metering"] = json!({});
    policy
}

fn envoy(policy: &Value, upstream: SocketAddr) -> Result<Envoy> {
    Envoy::with(policy).env("OPENAI_API_KEY", KEY).plain_upstream(upstream).start()
}

fn wasmtime(policy: &Value, upstream: SocketAddr) -> Result<Wasmtime> {
    let mut policy = policy.clone();
    policy["providers"] = json!({"openai": {"url": format!("http://{upstream}")}});
    Wasmtime::with(&policy).env("OPENAI_API_KEY", KEY).start()
}

#[test]
fn an_early_error_goes_on_and_an_early_success_only_where_the_body_can_refuse_nothing() -> Result<()> {
    let whole = body("gpt-5-mini", 1_000_000);
    let length = format!("content-length: {}", whole.len());
    let (beginning, _) = whole.split_at(4 * ENOUGH);
    for status in [200, 302, 413] {
        let upstream = early(status, ENOUGH)?;
        for (policy, is_judged) in [(without_rules(), false), (metered(), false), (policy(), true)] {
            let (envoy, wasmtime) = (envoy(&policy, upstream)?, wasmtime(&policy, upstream)?);
            for (host, address) in [("Envoy", envoy.address()), ("Wasmtime", wasmtime.address())] {
                let answer = begin(address, &length, beginning)?;
                let context = format!("{status} in {host}, judged: {is_judged}: {answer:.600}");
                if is_judged && status < 400 {
                    ensure!(answer.starts_with("HTTP/1.1 502"), "{context}");
                    ensure!(answer.contains("upstream_early") && !answer.contains("\"early\""), "{context}");
                } else {
                    ensure!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{context}");
                    ensure!(answer.contains("\"early\""), "{context}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn an_answer_behind_the_closing_brace_goes_on_though_the_framing_has_not_ended() -> Result<()> {
    let whole = body("gpt-5-mini", ENOUGH);
    let chunk = format!("{:x}\r\n{whole}\r\n", whole.len());
    let upstream = early(200, whole.len())?;
    let envoy = envoy(&policy(), upstream)?;
    let answer = begin(envoy.address(), "transfer-encoding: chunked", &chunk)?;
    ensure!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"early\""), "{answer}");
    Ok(())
}
