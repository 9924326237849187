//! What a forwarded request costs in the component on `wasmtime serve`, beside a component that only forwards.
//!
//! `cargo run -p keyswap-tests --example component_cost`
//!
//! Measured is the processor time of the whole Wasmtime per request, by the kernel's account, in rounds that take turns.
//! The instances are warm: policy compiled, token or signature known. Each request makes a new connection upstream, as
//! `wasmtime serve` does.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::TokenDigest;
use keyswap_tests::{Script, Scripted, Server, SigningKey, Wasmtime, unix_now};
use serde_json::{Value, json};

const ROUNDS: usize = 15;
const CONNECTIONS: usize = 1;
const REQUESTS: usize = 400;
const TOKEN: &str = "ptk_of-the-measurement-0123456789abcdef";
/// As many bytes as a short chat has.
const BODY: &str = r#"{"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Say hello."}]}"#;

fn main() -> Result<()> {
    let upstream = Scripted::start(|_| Script::answer(200, r#"{"choices": []}"#))?;
    let key = SigningKey::rsa(0, "rsa")?;
    let claims =
        json!({"iss": "https://id.example", "aud": "keyswap", "sub": "robot", "exp": unix_now() + 3600});
    let jwt = key.sign(&claims)?;

    let plain = Wasmtime::passthrough(upstream.address()).start()?;
    let policy = policy(upstream.address(), &key.jwk());
    let keyswap = Wasmtime::with(&policy).env("OPENAI_API_KEY", "sk-real").start()?;
    let subjects =
        [("only forwarded", &*plain, TOKEN), ("a proxy token", &*keyswap, TOKEN), ("a JWT", &*keyswap, &jwt)];
    for (_, server, token) in subjects {
        spend(server, token)?;
    }
    let mut rounds = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (spent, (_, server, token)) in rounds.iter_mut().zip(subjects) {
            spent.push(spend(server, token)?);
        }
    }
    // Others of this machine can only add to a round, so the cheapest one tells most.
    let each = rounds.map(|spent| {
        let requests = u32::try_from(CONNECTIONS * REQUESTS).unwrap_or(1);
        spent.into_iter().min().unwrap_or_default().as_secs_f64() * 1e6 / f64::from(requests)
    });
    for ((name, ..), cost) in subjects.iter().zip(each) {
        println!("{name}: {cost:.1} us, {:.2} times, {:+.1} us", cost / each[0], cost - each[0]);
    }
    Ok(())
}

/// The processor time for a round.
fn spend(server: &Server, token: &str) -> Result<Duration> {
    let before = server.processor_time()?;
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CONNECTIONS).map(|_| scope.spawn(|| send(server.address(), token))).collect();
        clients.into_iter().try_for_each(|client| client.join().map_err(|_| anyhow::anyhow!("panicked"))?)
    })?;
    Ok(server.processor_time()?.saturating_sub(before))
}

/// Sends requests one after another on one connection.
fn send(address: SocketAddr, token: &str) -> Result<()> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(Duration::from_secs(30)))?;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: keyswap.test\r\nauthorization: Bearer {token}\r\n\
         accept: application/json\r\ncontent-type: application/json\r\nuser-agent: OpenAI/Python 3.54.0\r\n\
         x-stainless-lang: python\r\nx-stainless-os: Linux\r\nx-stainless-retry-count: 0\r\n\
         content-length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut buffer = Vec::new();
    for _ in 0..REQUESTS {
        connection.write_all(request.as_bytes())?;
        buffer.clear();
        // The answer and its end are known.
        while !buffer.ends_with(b"}") {
            let mut some = [0; 4096];
            let read = connection.read(&mut some)?;
            ensure!(read > 0, "the connection was closed after {:?}", String::from_utf8_lossy(&buffer));
            buffer.extend_from_slice(some.get(..read).context("as many as were read")?);
        }
        ensure!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer));
    }
    Ok(())
}

fn policy(upstream: SocketAddr, jwk: &Value) -> Value {
    json!({
        "version": "keyswap/v1",
        "tokens": [{
            "sha256": TokenDigest::of(TOKEN.as_bytes()).to_hex(), "label": "measured", "providers": ["openai"],
        }],
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "providers": {"openai": {"url": format!("http://{upstream}")}},
        "issuers": [{
            "name": "id", "preset": "oidc", "issuer": "https://id.example", "audiences": ["keyswap"],
            "principals": "any", "jwks": {"inline": {"keys": [jwk]}},
        }],
    })
}
