//! The programs that embed the authorizer by its packages, in front of a stand-in: their behaviour other than the decisions,
//! which `cases` tests.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::answer::UpstreamFailure;
use keyswap_core::base::Digest;
use keyswap_core::services::BUNDLE_TYPE;
use keyswap_tests::{
    AUTHORIZER, Embedding, RUST_EXAMPLE, Request, Script, Scripted, Server, SigningKey, Standin, TOKEN,
    Testbed, Wasmtime,
    clients::{Call, Client, Event, Language, Mode, Sdk},
    packages::{self, Package},
    promises, until,
};
use serde_json::{Value, json};

fn chat(stream: bool) -> Request {
    Request::post("/v1/chat/completions", &json!({"model": "m", "stream": stream, "messages": []}))
        .bearer(TOKEN)
}

/// Starts an example in front of another upstream.
fn in_front_of(upstream: &Scripted, embedding: Embedding) -> Result<Server> {
    at(upstream.address(), embedding)
}

fn at(upstream: SocketAddr, embedding: Embedding) -> Result<Server> {
    Wasmtime::with(&policy(upstream)).env("OPENAI_API_KEY", "sk-real").start_embedded(embedding)
}

fn policy(upstream: SocketAddr) -> Value {
    json!({
        "version": "keyswap/v1",
        "tokens": [{
            "sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "alice-laptop", "providers": ["openai"],
        }],
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "providers": {"openai": {"url": format!("http://{upstream}")}},
    })
}

fn each(check: impl Fn(Embedding) -> Result<()>) -> Result<()> {
    Embedding::ALL.into_iter().try_for_each(|it| check(it).with_context(|| format!("{it:?}")))
}

#[test]
fn a_request_is_swapped_and_a_stranger_refused() -> Result<()> {
    each(|embedding| {
        let standin = Standin::start()?;
        let server = Testbed::wasmtime(&standin).start_embedded(embedding)?;
        let answer = server.send(&chat(false))?;
        ensure!(answer.status == 200 && answer.text().contains("sk-real-openai"), "{answer:?}");
        let refused = server.send(&Request::get("/v1/models").bearer("ptk_nobody-knows-this-one"))?;
        ensure!(refused.status == 401, "{refused:?}");
        ensure!(refused.header("x-keyswap-reason") == Some("token_invalid"), "{refused:?}");
        standin.take_one_without(&[TOKEN])?;
        until("the refusal is logged", || Ok(server.log().contains("token_invalid")))?;
        ensure!(!server.log().contains("ptk_"), "{}", server.log());
        Ok(())
    })
}

#[test]
fn an_sdk_is_served_unmodified() -> Result<()> {
    each(|embedding| {
        let standin = Standin::start()?;
        let server = Testbed::wasmtime(&standin).start_embedded(embedding)?;
        let client = Client { language: Language::Node, sdk: Sdk::OpenAi };
        let events =
            client.run(&Call { mode: Mode::Chat, base_url: &server.url(), token: TOKEN, headers: &[] })?;
        let [Event::Done { text }] = &*events else { anyhow::bail!("no answer but {events:?}") };
        ensure!(text.contains("sk-real-openai"), "{text}");
        standin.take_one_without(&[TOKEN]).map(drop)
    })
}

#[test]
fn an_upgrade_is_judged_and_never_forwarded() -> Result<()> {
    each(|embedding| {
        let standin = Standin::start()?;
        let server = Testbed::wasmtime(&standin).start_embedded(embedding)?;
        for (token, status, reason) in
            [(TOKEN, 501, "upgrade_unsupported"), ("ptk_nobody-knows-this-one", 401, "token_invalid")]
        {
            let head = format!(
                "GET /v1/realtime?model=m HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 authorization: Bearer {token}\r\n\r\n"
            );
            let answer = server.open_raw(head.as_bytes())?;
            ensure!(answer.status() == status, "{token}: {}", answer.status());
            ensure!(answer.header("x-keyswap-reason") == Some(reason), "{token}: {reason}");
        }
        ensure!(standin.take().is_empty(), "an upgrade was forwarded");
        Ok(())
    })
}

#[test]
fn a_body_that_breaks_a_rule_is_no_request_upstream() -> Result<()> {
    each(|embedding| {
        let upstream = Scripted::start(|_| Script::answer(200, "{}"))?;
        let mut policy = policy(upstream.address());
        policy["tokens"][0]["models"] = json!(["gpt-5-mini"]);
        let server = Wasmtime::with(&policy).env("OPENAI_API_KEY", "sk-real").start_embedded(embedding)?;
        let ask = |model: &str| {
            let body = json!({"input": "x".repeat(200_000), "model": model});
            Request::post("/v1/chat/completions", &body).bearer(TOKEN)
        };
        for is_chunked in [false, true] {
            let refused = server.send_sliced(&ask("gpt-5"), 30_000, is_chunked)?;
            ensure!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
            ensure!(refused.contains("model_not_allowed"), "{refused}");
            ensure!(upstream.calls().is_empty(), "it has arrived");
        }
        // What breaks off shows at the end only. With its length it would be whole upstream.
        let broken = Request::new("POST", "/v1/chat/completions")
            .bearer(TOKEN)
            .header("content-type", "application/json")
            .body(r#"{"model": "gpt-5-mini""#);
        ensure!(server.send(&broken)?.verdict() == "400 body_invalid");
        for is_chunked in [false, true] {
            let answer = server.send_sliced(&ask("gpt-5-mini"), 30_000, is_chunked)?;
            ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        let arrived = upstream.calls();
        ensure!(arrived.len() == 2 && arrived.iter().all(|call| call.body.len() > 200_000), "not whole");
        // Half a body is none upstream, either.
        let half = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {TOKEN}\r\n\
             content-type: application/json\r\ncontent-length: 99\r\n\r\n{{\"model\": \"gpt-5-mini\""
        );
        let mut caller = TcpStream::connect(server.address())?;
        caller.write_all(half.as_bytes())?;
        drop(caller);
        ensure!(server.send(&ask("gpt-5-mini"))?.status == 200);
        ensure!(upstream.calls().len() == 3, "half a request has arrived");
        Ok(())
    })
}

#[test]
fn an_answer_that_comes_compressed_is_one_that_the_caller_can_read() -> Result<()> {
    // `{}`, compressed.
    const GZIP: [u8; 22] =
        [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xab, 0xae, 5, 0, 0x43, 0xbf, 0xa6, 0xa3, 2, 0, 0, 0];
    each(|embedding| {
        let answer =
            |coding: &str| Script::Answer(200, vec![("content-encoding", coding.into())], GZIP.into());
        let gzip = answer("gzip");
        let upstream = Scripted::start(move |_| gzip.clone())?;
        let server = in_front_of(&upstream, embedding)?;
        let seen = server.send(&chat(false).header("accept-encoding", "gzip"))?;
        let expected = match embedding {
            Embedding::Express | Embedding::Python => (Some("gzip"), &GZIP[..]),
            // `fetch` decodes it, whatever was asked for.
            Embedding::Hono | Embedding::Fetch => (None, &b"{}"[..]),
        };
        ensure!((seen.header("content-encoding"), seen.body.as_slice()) == expected, "{seen:?}");
        let unknown = answer("x-own");
        upstream.now(move |_| unknown.clone());
        let seen = server.send(&chat(false))?;
        match embedding {
            Embedding::Express | Embedding::Python => {
                ensure!(seen.header("content-encoding") == Some("x-own"));
            }
            // Whether that was decoded, nothing tells.
            Embedding::Hono | Embedding::Fetch => promises::tells_of(UpstreamFailure::Unreachable, &seen)?,
        }
        Ok(())
    })
}

#[test]
fn a_caller_waits_for_no_other() -> Result<()> {
    // More than the pools of HTTP clients hold unless told otherwise.
    const OTHERS: usize = 110;
    each(|embedding| {
        let upstream = Scripted::start(|call| match call.target.as_str() {
            "/v1/models" => Script::answer(200, "{}"),
            _ => Script::Hang,
        })?;
        let server = in_front_of(&upstream, embedding)?;
        let head = format!("GET /v1/models/m HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
        let others = (0..OTHERS)
            .map(|_| {
                let mut other = TcpStream::connect(server.address())?;
                other.write_all(head.as_bytes())?;
                Ok(other)
            })
            .collect::<Result<Vec<_>>>()?;
        until("all others wait", || Ok(upstream.count("/v1/models/m") == OTHERS))?;
        ensure!(server.send(&Request::get("/v1/models").bearer(TOKEN))?.status == 200);
        drop(others);
        Ok(())
    })
}

#[test]
fn programs_fit_the_types_of_the_packages() -> Result<()> {
    Package::ALL.into_iter().try_for_each(packages::check_types)
}

#[test]
fn events_come_while_the_rest_is_held_back() -> Result<()> {
    each(|embedding| {
        let standin = Standin::start()?;
        let server = Testbed::wasmtime(&standin).start_embedded(embedding)?;
        promises::events_keep_their_spacing(&standin, &server, &chat(true))
    })
}

#[test]
fn an_upload_arrives_whole_with_its_length_and_without_one() -> Result<()> {
    const SIZE: usize = 5_000_000;
    each(|embedding| {
        let standin = Standin::start()?;
        let server = Testbed::wasmtime(&standin).start_embedded(embedding)?;
        let upload = Request::new("POST", "/v1/audio/transcriptions").bearer(TOKEN).body(vec![b'x'; SIZE]);
        ensure!(server.send(&upload)?.status == 200);
        let chunked = format!(
            "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: h\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n\
             transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
        );
        ensure!(server.open_raw(chunked.as_bytes())?.status() == 200);
        let bodies: Vec<Vec<u8>> = standin.take().into_iter().map(|received| received.body).collect();
        ensure!(bodies == [vec![b'x'; SIZE], b"abcdefg".to_vec()], "bodies of other lengths arrived");
        Ok(())
    })
}

#[test]
fn an_upstream_that_gives_no_answer_is_told_of_as_everywhere() -> Result<()> {
    each(|embedding| {
        let upstream = Scripted::start(|_| Script::Close)?;
        let server = in_front_of(&upstream, embedding)?;
        let answer = server.send(&chat(false))?;
        promises::tells_of(UpstreamFailure::Unreachable, &answer)?;
        // An answer that is cut off is cut off for the caller too.
        upstream.now(|_| Script::CutOff);
        let answer = server.open(&chat(false))?;
        ensure!(answer.status() == 200 && answer.finish().is_err(), "half an answer seems whole");
        Ok(())
    })
}

#[test]
fn the_upstream_is_given_up_when_the_caller_leaves() -> Result<()> {
    each(|embedding| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (says, hears) = mpsc::channel();
        thread::spawn(move || -> Result<()> {
            let (mut connection, _) = listener.accept()?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                connection.read_exact(&mut byte)?;
                head.extend(byte);
            }
            says.send("it has arrived")?;
            connection.set_read_timeout(Some(Duration::from_secs(20)))?;
            let is_over = connection.read(&mut [0]).is_ok_and(|read| read == 0);
            Ok(says.send(if is_over { "it is over" } else { "it goes on" })?)
        });
        let server = at(address, embedding)?;
        let mut caller = TcpStream::connect(server.address())?;
        let head = format!("GET /v1/models HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
        caller.write_all(head.as_bytes())?;
        ensure!(hears.recv_timeout(Duration::from_secs(30))? == "it has arrived");
        drop(caller);
        ensure!(hears.recv_timeout(Duration::from_secs(30))? == "it is over");
        Ok(())
    })
}

#[test]
fn tokens_are_looked_up_and_the_registry_has_its_say() -> Result<()> {
    each(|embedding| {
        let standin = Standin::start()?;
        let registry = Scripted::start(|call| match call.target.strip_prefix("/v1/tokens/") {
            Some(digest) => {
                let record = json!({"sha256": digest, "label": "l", "providers": ["openai"], "version": 1});
                Script::answer(200, record.to_string())
            }
            None => Script::answer(
                200,
                r#"{"sequence":1,"history":"00000000000000aa","reset":false,"changes":[]}"#,
            ),
        })?;
        let server = Wasmtime::with(&Testbed::registry_policy())
            .env("OPENAI_API_KEY", "sk-real")
            .env("KEYSWAP_REGISTRY_TOKEN", "the-registry-token-of-a-test")
            .upstream(&standin)
            .registry(registry.address())
            .start_embedded(embedding)?;
        let answer = server.send(&chat(false)).context("the lookup")?;
        ensure!(answer.status == 200, "{answer:?}");
        // The feed is followed in the background, without a waiting request.
        until("the feed is followed", || Ok(registry.count("/v1/changes") > 0))?;
        registry.now(|_| Script::Close);
        let refused = server.send(&Request::get("/v1/models").bearer("ptk_somebody-else-0123456789"))?;
        ensure!(refused.header("x-keyswap-reason") == Some("token_store_unavailable"), "{refused:?}");
        Ok(())
    })
}

#[test]
fn a_policy_that_does_not_hold_keeps_the_program_from_starting_and_says_why() -> Result<()> {
    each(|embedding| {
        let setup = Wasmtime::with(&json!({"version": "keyswap/v2"}));
        let error = setup.start_embedded(embedding).err().context("it has started")?;
        let said = format!("{error:#}");
        ensure!(said.contains("error at `version`: expected `keyswap/v1`"), "{said}");
        Ok(())
    })
}

#[test]
fn a_policy_in_shadow_mode_lets_the_program_go_on() -> Result<()> {
    each(|embedding| {
        let mut policy: Value = Testbed::policy();
        policy["mode"] = json!("shadow");
        let standin = Standin::start()?;
        let setup = Wasmtime::with(&policy).upstream(&standin);
        let setup = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"]
            .into_iter()
            .fold(setup, |setup, name| setup.env(name, "key-0123456789"));
        let server = setup.start_embedded(embedding)?;
        // The examples have no routes after the middleware.
        ensure!(server.send(&Request::get("/v1/models").bearer("ptk_nobody-knows-this-one"))?.status == 404);
        until("what would have been is logged", || Ok(server.log().contains("would_refuse")))?;
        Ok(())
    })
}

#[test]
fn a_policy_is_fetched_before_the_first_request_and_replaced_between_two() -> Result<()> {
    let key = SigningKey::p256("policies")?;
    let signed = |revision: u64, policy: &Value| -> Result<Script> {
        let mut header = key.header();
        header["typ"] = json!(BUNDLE_TYPE);
        let payload = json!({"name": "prod", "revision": revision, "policy": policy});
        Ok(Script::answer(200, key.sign_raw(&header.to_string(), payload.to_string())?))
    };
    each(|embedding| {
        let upstream = Scripted::start(|_| Script::answer(200, "{}"))?;
        let mut policy = Testbed::policy();
        policy["providers"] = json!({"openai": {"url": format!("http://{}", upstream.address())}});
        let first = signed(1, &policy)?;
        let registry = Scripted::start(move |_| first.clone())?;
        let bundle = json!({
            "version": "keyswap-bundle/v1", "name": "prod", "poll": "1s",
            "url": format!("http://{}", registry.address()), "credential": {"env": "KEYSWAP_REGISTRY_TOKEN"},
            "keys": {"keys": [key.jwk()]},
        });
        let names = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "KEYSWAP_REGISTRY_TOKEN"];
        let setup = names
            .into_iter()
            .fold(Wasmtime::with(&bundle), |setup, name| setup.env(name, "key-0123456789abcdef"));
        let server = setup.start_embedded(embedding)?;
        ensure!(server.send(&chat(false))?.status == 200);
        policy["tokens"] = json!([]);
        let second = signed(2, &policy)?;
        registry.now(move |_| second.clone());
        until("the second revision is in force", || Ok(server.send(&chat(false))?.status == 401)).map(drop)
    })
}

#[test]
fn a_program_of_rust_judges_a_request() -> Result<()> {
    let policy = tempfile::NamedTempFile::new()?;
    std::fs::write(policy.path(), Testbed::policy().to_string())?;
    let bad = tempfile::NamedTempFile::new()?;
    std::fs::write(bad.path(), r#"{"version": "keyswap/v2"}"#)?;
    let bearer = format!("authorization: Bearer {TOKEN}");
    let stranger = "authorization: Bearer ptk_nobody-knows-this-one";
    for (policy, line, status, said) in [
        (&policy, bearer.as_str(), 0, "forward to https://api.openai.com"),
        (&policy, stranger, 2, "answer 401 {"),
        (&bad, stranger, 1, "error at `version`: expected `keyswap/v1`"),
    ] {
        let output = Command::new(RUST_EXAMPLE.path()?)
            .arg(AUTHORIZER.path()?)
            .arg(policy.path())
            .args(["POST", "/v1/chat/completions", line])
            .env_clear()
            .envs([
                ("OPENAI_API_KEY", "sk-real"),
                ("ANTHROPIC_API_KEY", "sk-real"),
                ("GEMINI_API_KEY", "sk-real"),
            ])
            .output()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        ensure!(output.status.code() == Some(status) && text.contains(said), "{}: {text}", output.status);
        ensure!(!text.contains("ptk_") && !text.contains("sk-real"), "{text}");
    }
    Ok(())
}
