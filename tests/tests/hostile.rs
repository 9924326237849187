//! Hostile requests: the filter answers each correctly and keeps working.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Envoy, Request, Scripted, Setup, Standin, WITH_TRAILERS};
use serde_json::{Value, json};

const TOKEN: &str = "ptk_hostile";

fn setup(standin: &Standin) -> Setup {
    setup_without_upstream().upstream(standin)
}

fn setup_without_upstream() -> Setup {
    let policy = json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "t", "providers": ["openai"]}],
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
    });
    Envoy::with(&policy).env("OPENAI_API_KEY", "sk-real")
}

fn connection_manager(bootstrap: &mut Value) -> &mut Value {
    bootstrap
        .pointer_mut("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config")
        .expect("the bootstrap has a connection manager")
}

/// Returns the HTTP options of Envoy's upstream clusters.
fn upstream_options(bootstrap: &mut Value) -> impl Iterator<Item = &mut Value> {
    let clusters = bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
    clusters.into_iter().flatten().filter_map(|cluster| {
        let options = cluster.get_mut("typed_extension_protocol_options")?;
        options.get_mut("envoy.extensions.upstreams.http.v3.HttpProtocolOptions")
    })
}

/// Returns a request that a working filter forwards.
fn good() -> Request {
    Request::get("/v1/models").bearer(TOKEN)
}

/// Envoy with the filter, and its number of VMs at the start.
struct Patient {
    envoy: Envoy,
    vms: String,
}

impl Patient {
    fn start(setup: Setup) -> Result<Self> {
        let envoy = setup.start()?;
        let vms = vms(&envoy)?;
        Ok(Self { envoy, vms })
    }

    /// Asserts that no VM has ended, that none was created, that no fault was caught, and that a valid request passes.
    fn assert_unharmed(&self) -> Result<()> {
        let status = self.envoy.send(&good())?.status;
        ensure!(status == 200, "a good request gets {status} afterwards");
        let vms = vms(&self.envoy)?;
        ensure!(vms == self.vms, "VMs ended or were built anew:\n{vms}\ninstead of\n{}", self.vms);
        Ok(())
    }
}

fn vms(envoy: &Envoy) -> Result<String> {
    if envoy.is_native() {
        ensure!(!envoy.log().contains("a fault of Keyswap"), "a fault was caught: {}", envoy.log());
        return Ok(String::new());
    }
    let stats = envoy.admin("/stats?filter=^wasm\\.(envoy|keyswap|wasm_vm)")?;
    ensure!(
        stats.contains("wasm.keyswap.vm_reload: 0") && stats.contains("v8.created"),
        "no VM statistics: {stats}"
    );
    Ok(stats)
}

#[test]
fn any_byte_in_any_header_is_a_pass_or_a_4xx() -> Result<()> {
    let standin = Standin::start()?;
    let patient = Patient::start(setup(&standin))?;
    let envoy = &patient.envoy;
    let headers = [
        "authorization",
        "x-api-key",
        "x-goog-api-key",
        "cookie",
        "x-request-id",
        "sec-websocket-protocol",
        "x-any",
    ];
    for byte in 0..=u8::MAX {
        for name in headers {
            let value = [b"a", &[byte][..], b"b"].concat();
            // The byte is in another slot than the judged one, and then in the judged one.
            for request in [good().header(name, &value), Request::get("/v1/models").header(name, &value)] {
                let status = envoy.send(&request)?.status;
                ensure!(
                    status == 200 || (400..500).contains(&status),
                    "byte {byte:#04x} in `{name}`: {status}"
                );
            }
        }
        let bearer =
            Request::get("/v1/models").header("authorization", [b"Bearer a", &[byte][..], b"b"].concat());
        let status = envoy.send(&bearer)?.status;
        ensure!((400..500).contains(&status), "byte {byte:#04x} in a token: {status}");
        let target = Request::get([b"/v1/models", &[byte][..], b"x?key=", &[byte][..]].concat());
        let status = envoy.send(&target)?.status;
        ensure!((400..500).contains(&status), "byte {byte:#04x} in the target: {status}");
    }
    patient.assert_unharmed()
}

#[test]
fn long_tokens_paths_and_many_headers_are_a_pass_or_a_4xx() -> Result<()> {
    let standin = Standin::start()?;
    let patient = Patient::start(setup(&standin))?;
    let envoy = &patient.envoy;
    let many =
        |count: usize| (0..count).fold(good(), |request, index| request.header(format!("x-{index}"), "v"));
    for (what, request, expected) in [
        ("an 8 KiB token", Request::get("/v1/models").bearer(&"t".repeat(8192)), 401),
        ("a longer token", Request::get("/v1/models").bearer(&"t".repeat(8193)), 401),
        ("a 40 KiB token", Request::get("/v1/models").bearer(&"t".repeat(40_000)), 401),
        (
            "a 40 KiB path, which is no endpoint",
            Request::get(format!("/v1/{}", "a".repeat(40_000))).bearer(TOKEN),
            403,
        ),
        (
            "a query of a thousand keys",
            Request::get(format!("/v1?{}", "key=a&".repeat(1000))).bearer(TOKEN),
            400,
        ),
        ("a thousand headers", many(1000), 431),
        ("a megabyte of dots", Request::get("/v1/models").bearer(&".".repeat(1 << 20)), 431),
    ] {
        let status = envoy.send(&request)?.status;
        ensure!(status == expected, "{what}: {status} instead of {expected}");
    }
    patient.assert_unharmed()
}

#[test]
fn a_head_of_any_size_that_envoy_lets_in_is_judged_to_its_end() -> Result<()> {
    let standin = Standin::start()?;
    let patient = Patient::start(setup(&standin).tweak(|bootstrap| {
        let manager = connection_manager(bootstrap);
        manager["common_http_protocol_options"]["max_headers_count"] = 4000.into();
        manager["common_http_protocol_options"]["headers_with_underscores_action"] = "ALLOW".into();
        manager["max_request_headers_kb"] = 2048.into();
        for options in upstream_options(bootstrap) {
            options["common_http_protocol_options"]["max_headers_count"] = 4000.into();
        }
    }))?;
    let envoy = &patient.envoy;
    let many = (0..1500).fold(good(), |request, index| request.header(format!("x-{index}"), "v"));
    let large = good().header("x-large", "v".repeat(300_000));
    for (what, request) in [("1500 headers", many), ("a header of 300 KB", large)] {
        let response = envoy.send(&request.header("x_api_key", "sentinel").header("cookie", "sentinel"))?;
        ensure!(response.status == 200, "{what}: {response:?}");
        let received = standin.take();
        ensure!(received.len() == 1 && !received[0].contains("sentinel"), "{what}: a credential went on");
    }
    patient.assert_unharmed()
}

/// Sends an HTTP/2 request on its own connection, and waits for any answer.
fn send_h2(envoy: &Envoy, fields: &[(&str, &str)]) -> Result<()> {
    const ANSWERS: [u8; 3] = [1, 3, 7]; // HEADERS, RST_STREAM, GOAWAY
    let mut connection = TcpStream::connect(envoy.address())?;
    connection.set_read_timeout(Some(Duration::from_secs(30)))?;
    connection.write_all(&h2(fields)?)?;
    loop {
        let mut head = [0; 9];
        match connection.read_exact(&mut head) {
            // Closing the connection counts as an answer.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            result => result?,
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        io::copy(&mut (&mut connection).take(length.into()), &mut io::sink())?;
        if ANSWERS.contains(&head[3]) {
            return Ok(());
        }
    }
}

/// Returns a connection's first bytes, with literal header fields without indexing (RFC 7541, section 6.2.2).
fn h2(fields: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.extend([&[0, u8::try_from(name.len())?], name.as_bytes()].concat());
        block.extend([&[u8::try_from(value.len())?], value.as_bytes()].concat());
    }
    let length = u32::try_from(block.len())?.to_be_bytes();
    let (settings, end_stream_and_headers) = ([0, 0, 0, 4, 0, 0, 0, 0, 0], 5);
    let headers = [&length[1..], &[1, end_stream_and_headers, 0, 0, 0, 1], &block].concat();
    Ok([&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings, &headers].concat())
}

#[test]
fn what_only_http2_can_say_is_not_forwarded() -> Result<()> {
    let standin = Standin::start()?;
    let patient = Patient::start(setup(&standin))?;
    let envoy = &patient.envoy;
    let bearer = format!("Bearer {TOKEN}");
    let authority = (":authority", "keyswap.test");
    let (http, path, token) =
        ((":scheme", "http"), (":path", "/v1/models"), ("authorization", bearer.as_str()));
    send_h2(envoy, &[(":method", "GET"), http, authority, path, token])?;
    ensure!(standin.take().len() == 1, "an ordinary request was not forwarded");
    for fields in [
        &[(":method", "GET"), http, authority, token][..],
        &[(":method", "trace"), http, authority, path, token],
        &[(":method", "TRACK"), http, authority, path, token],
        &[(":method", "get"), http, authority, path, token],
        &[(":method", "CONNECT"), authority, token],
        &[(":method", "CONNECT"), (":protocol", "websocket"), http, authority, path, token],
    ] {
        send_h2(envoy, fields)?;
        ensure!(standin.take().is_empty(), "forwarded: {fields:?}");
    }
    let status =
        envoy.open_raw(b"CONNECT api.openai.com:443 HTTP/1.1\r\nhost: api.openai.com:443\r\n\r\n")?.status();
    ensure!(status == 405, "CONNECT: {status}");
    patient.assert_unharmed()?;
    ensure!(standin.take().len() == 1, "something else than the good request was forwarded");
    Ok(())
}

#[test]
fn a_credential_in_a_trailer_is_not_judged_and_not_forwarded() -> Result<()> {
    let standin = Standin::start()?;
    let patient = Patient::start(setup(&standin).http1_trailers())?;
    let envoy = &patient.envoy;
    let request = |credential: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{credential}\
             transfer-encoding: chunked\r\ntrailer: authorization, x-checksum\r\n\r\n\
             2\r\n{{}}\r\n0\r\nauthorization: Bearer {TOKEN}\r\nX-Api-Key: sentinel\r\n\
             sec-websocket-protocol: openai-insecure-api-key.{TOKEN}\r\nx-checksum: 7\r\n\r\n"
        )
    };
    let status = envoy.open_raw(request("").as_bytes())?.status();
    ensure!(status == 401, "a trailer was judged: {status}");
    let credential = format!("authorization: Bearer {TOKEN}\r\n");
    let response = envoy.open_raw(request(&credential).as_bytes())?.finish()?;
    ensure!(response.status == 200, "{}", response.status);
    let received = standin.take();
    let [upstream] = received.as_slice() else { anyhow::bail!("one request became {}", received.len()) };
    let names: Vec<&str> = upstream.trailers.iter().map(|(name, _)| name.as_str()).collect();
    ensure!(names == ["x-checksum"], "trailers that went on: {names:?}");
    patient.assert_unharmed()
}

#[test]
fn trailers_of_an_answer_tell_no_more_of_the_account_than_its_headers() -> Result<()> {
    let upstream = Scripted::start(|_| WITH_TRAILERS)?;
    let envoy = setup_without_upstream().plain_upstream(upstream.address()).http1_trailers().start()?;
    let head = format!(
        "GET /v1/models HTTP/1.1\r\nhost: h\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    );
    let mut caller = TcpStream::connect(envoy.address())?;
    caller.write_all(head.as_bytes())?;
    let mut answer = String::new();
    caller.read_to_string(&mut answer)?;
    ensure!(answer.ends_with("0\r\nx-sum: 9\r\n\r\n"), "{answer}");
    Ok(())
}

#[test]
fn a_client_that_leaves_at_any_moment_harms_nobody() -> Result<()> {
    let standin = Standin::start()?;
    let patient = Patient::start(setup(&standin))?;
    let envoy = &patient.envoy;
    for index in 0..300 {
        let hold = (index % 3 == 0).then(|| standin.hold());
        let body = json!({"model": "m", "stream": true, "messages": []});
        // Dropping the answer closes the connection while the stream is open.
        drop(envoy.open(&Request::post("/v1/chat/completions", &body).bearer(TOKEN)));
        drop(envoy.open_raw(b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n{"));
        drop(hold);
    }
    patient.assert_unharmed()
}
