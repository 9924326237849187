//! The transfer of requests and answers: bodies, events, trailers, and connections that end early.

use std::{
    io::{BufRead, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::answer::{LocalReply, UpstreamFailure};
use keyswap_tests::{Bootstrap, Request, Script, Scripted, Standin, WITH_TRAILERS, promises, until};
use serde_json::Value;

use crate::{KEY, TOKEN, chat, ensure_old_callers_are_served, in_front_of, models, setup};

#[test]
fn an_upstream_that_gives_no_answer_is_told_of_as_in_envoy() -> Result<()> {
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let mut bootstrap = Bootstrap::shipped()?;
    let mappers = bootstrap.json().pointer(&format!("{manager}/local_reply_config/mappers"));
    let mappers = mappers.and_then(Value::as_array).context("the bootstrap has mappers")?;
    for failure in [UpstreamFailure::Unreachable, UpstreamFailure::TooSlow] {
        let reply = LocalReply::upstream(failure);
        let ours: Value = serde_json::from_str(&reply.body)?;
        let mapper = mappers.iter().find(|mapper| mapper["body_format_override"]["json_format"] == ours);
        let mapper = mapper.with_context(|| format!("{failure:?}: Envoy never says {ours}"))?;
        let status = mapper.get("status_code");
        ensure!(status.is_none_or(|status| *status == reply.status), "{failure:?}: {status:?}");
    }

    for script in [None, Some(Script::Close)] {
        let upstream = Scripted::start(|_| Script::answer(200, "{}"))?;
        let wasmtime = in_front_of(upstream.address())?;
        match script {
            Some(script) => upstream.now(move |_| script.clone()),
            None => drop(upstream),
        }
        let request = chat(false).header("origin", "https://app.example");
        let answer = wasmtime.send(&request)?;
        promises::tells_of(UpstreamFailure::Unreachable, &answer)?;
        ensure!(answer.header("access-control-allow-origin") == Some("https://app.example"), "{answer:?}");
        wasmtime.until_logged("no answer from `127.0.0.1:")?;
    }
    Ok(())
}

#[test]
fn an_answer_that_is_cut_off_is_cut_off_for_the_caller() -> Result<()> {
    let (has_head, may_go) = std::sync::mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> Result<()> {
        let (mut connection, _) = listener.accept()?;
        skip_head(&mut BufReader::new(connection.try_clone()?))?;
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"id\":")?;
        // If the upstream closed at once, the host might notice before the caller has the head.
        Ok(may_go.recv()?)
    });
    let wasmtime = in_front_of(address)?;
    let answer = wasmtime.open(&chat(false))?;
    ensure!(answer.status() == 200);
    has_head.send(())?;
    ensure!(answer.finish().is_err(), "an answer that was cut off seems whole");
    Ok(())
}

#[test]
fn an_upstream_to_which_no_connection_comes_about_is_given_up_after_five_seconds() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    // The queue of the listener holds one connection. With a full queue the system answers no other.
    rustix::net::listen(&listener, 0)?;
    let _waiting = TcpStream::connect(address)?;
    let wasmtime = in_front_of(address)?;
    let started = Instant::now();
    let answer = wasmtime.send(&chat(false))?;
    promises::tells_of(UpstreamFailure::Unreachable, &answer)?;
    ensure!(started.elapsed() >= Duration::from_secs(5), "it took {:?}", started.elapsed());
    Ok(())
}

#[test]
fn callers_and_providers_learn_only_what_they_should_of_each_other() -> Result<()> {
    let bootstrap = Bootstrap::shipped()?;
    let standin = Standin::start()?;
    let wasmtime = setup().upstream(&standin).start()?;
    let mut request =
        models().header("te", "trailers").header("x-hop", "1").header("x_api_key", "sentinel-key");
    let removed = bootstrap.removed_from_requests()?;
    ensure!(removed.len() > 10, "the bootstrap removes {removed:?}");
    for name in &removed {
        request = request.header(name, "sentinel-of-a-proxy");
    }
    let answer = wasmtime.send(&request)?;
    ensure!(answer.status == 200, "{answer:?}");
    for name in bootstrap.removed_from_responses()? {
        ensure!(answer.header(&name).is_none(), "`{name}` reached the caller: {answer:?}");
    }
    ensure!(
        answer.header("server") == Some("stand-in") && answer.header("x-request-id") == Some("req_standin")
    );
    standin.take_one_without(&[TOKEN, "sentinel-of-a-proxy", "sentinel-key"]).map(drop)
}

#[test]
fn events_keep_their_spacing() -> Result<()> {
    let standin = Standin::start()?;
    let wasmtime = setup().upstream(&standin).start()?;
    promises::events_keep_their_spacing(&standin, &wasmtime, &chat(true))
}

#[test]
fn the_upstream_is_given_up_when_the_caller_leaves_also_while_it_is_silent() -> Result<()> {
    let (left, gone) = std::sync::mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> Result<()> {
        let (mut connection, _) = listener.accept()?;
        let mut reader = BufReader::new(connection.try_clone()?);
        skip_head(&mut reader)?;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        connection.write_all(format!("{head}c\r\ndata: first\n\r\n").as_bytes())?;
        // The caller sends nothing more, and the other side disconnects.
        connection.set_read_timeout(Some(Duration::from_secs(20)))?;
        left.send(matches!(reader.read(&mut [0]), Ok(0) | Err(_)))?;
        Ok(())
    });
    let wasmtime = in_front_of(address)?;
    let mut caller = TcpStream::connect(wasmtime.address())?;
    caller.write_all(
        format!("GET /v1/models HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {TOKEN}\r\n\r\n").as_bytes(),
    )?;
    let mut reader = BufReader::new(caller.try_clone()?);
    let mut line = String::new();
    while !line.contains("first") {
        line.clear();
        ensure!(reader.read_line(&mut line)? > 0, "the stream ended");
    }
    let started = Instant::now();
    drop((caller, reader));
    ensure!(gone.recv_timeout(Duration::from_secs(10))?, "the upstream was not hung up on");
    ensure!(started.elapsed() < Duration::from_secs(4), "it took {:?}", started.elapsed());
    Ok(())
}

#[test]
fn both_directions_move_at_once() -> Result<()> {
    // The upstream answers each line at once. The caller sends a line after the answer to the previous one.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> Result<()> {
        let (mut connection, _) = listener.accept()?;
        let mut reader = BufReader::new(connection.try_clone()?);
        skip_head(&mut reader)?;
        connection.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        loop {
            let chunk = read_chunk(&mut reader)?;
            connection.write_all(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes())?;
            if chunk.is_empty() {
                return Ok(());
            }
        }
    });
    let wasmtime = in_front_of(address)?;
    let mut caller = TcpStream::connect(wasmtime.address())?;
    caller.set_read_timeout(Some(Duration::from_secs(20)))?;
    let head = format!(
        "POST /v1/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {TOKEN}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    caller.write_all(head.as_bytes())?;
    let mut reader = BufReader::new(caller.try_clone()?);
    for number in 0..20 {
        let said = format!("line {number}\n");
        caller.write_all(format!("{:x}\r\n{said}\r\n", said.len()).as_bytes())?;
        if number == 0 {
            skip_head(&mut reader)?;
        }
        let echoed = read_chunk(&mut reader)?;
        ensure!(echoed == said, "`{echoed}` instead of `{said}`");
    }
    caller.write_all(b"0\r\n\r\n")?;
    ensure!(read_chunk(&mut reader)?.is_empty(), "the answer has no end");
    Ok(())
}

/// Reads a head up to the empty line.
fn skip_head(reader: &mut impl BufRead) -> Result<()> {
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    Ok(())
}

fn read_chunk(reader: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    ensure!(reader.read_line(&mut line)? > 0, "the connection was closed");
    let mut chunk = vec![0; usize::from_str_radix(line.trim(), 16)? + 2];
    reader.read_exact(&mut chunk)?;
    chunk.truncate(chunk.len() - 2);
    Ok(String::from_utf8(chunk)?)
}

#[test]
fn an_upload_of_100_mb_takes_no_memory() -> Result<()> {
    const SIZE: usize = 100_000_000;
    let upstream = Scripted::start(|call| Script::answer(200, format!("{} bytes", call.body.len())))?;
    let wasmtime = in_front_of(upstream.address())?;
    ensure!(wasmtime.send(&models())?.status == 200);
    let before = wasmtime.memory()?;
    let mut caller = TcpStream::connect(wasmtime.address())?;
    caller.set_read_timeout(Some(Duration::from_mins(1)))?;
    let head = format!(
        "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: h\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {SIZE}\r\n\r\n"
    );
    caller.write_all(head.as_bytes())?;
    let piece = vec![b'x'; 1_000_000];
    let mut most = 0;
    for _ in 0..SIZE / piece.len() {
        caller.write_all(&piece)?;
        most = most.max(wasmtime.memory()?);
    }
    let mut answer = String::new();
    caller.read_to_string(&mut answer)?;
    ensure!(answer.ends_with(&format!("{SIZE} bytes")), "{answer}");
    let grown = most.saturating_sub(before);
    ensure!(grown < 16 * 1024 * 1024, "Wasmtime has grown by {grown} bytes");
    Ok(())
}

#[test]
fn callers_of_an_older_version_of_http_or_with_an_offer_to_upgrade_it_are_served() -> Result<()> {
    let standin = Standin::start()?;
    let wasmtime = setup().upstream(&standin).start()?;
    ensure_old_callers_are_served(&wasmtime, &standin, TOKEN)
}

#[test]
fn lengths_and_bodies_are_what_they_were() -> Result<()> {
    let upstream = Scripted::start(|call| match (call.method.as_str(), call.target.as_str()) {
        (_, "/v1/embeddings") => Script::Answer(204, vec![("x-own", "1".to_owned())], Vec::new()),
        (_, "/v1/models/same") => Script::Answer(304, vec![("etag", "\"a\"".to_owned())], Vec::new()),
        ("HEAD", _) => Script::Answer(200, Vec::new(), Vec::new()),
        _ => Script::answer(200, "0123456789"),
    })?;
    let wasmtime = in_front_of(upstream.address())?;
    let ask = |method: &str, target: &str| wasmtime.send(&Request::new(method, target).bearer(TOKEN));
    let answer = ask("GET", "/v1/models")?;
    ensure!(answer.header("content-length") == Some("10") && answer.text() == "0123456789", "{answer:?}");
    ensure!(ask("HEAD", "/v1/models")?.status == 200);
    let nothing = ask("POST", "/v1/embeddings")?;
    ensure!(
        nothing.status == 204 && nothing.header("x-own") == Some("1") && nothing.body.is_empty(),
        "{nothing:?}"
    );
    let same = ask("GET", "/v1/models/same")?;
    ensure!(same.status == 304 && same.header("etag") == Some("\"a\"") && same.body.is_empty(), "{same:?}");
    // Requests without a body, and with an empty body, are forwarded without a change of framing.
    for call in upstream.calls().iter().filter(|call| call.method != "POST") {
        let framing = |name: &str| call.headers.iter().any(|(header, _)| header == name);
        ensure!(!framing("transfer-encoding") && !framing("content-length"), "{call:?}");
    }
    let chunked = b"POST /v1/completions HTTP/1.1\r\nhost: h\r\nconnection: close\r\nauthorization: Bearer ptk_of-the-component-0123456789abcdef\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    ensure!(wasmtime.open_raw(chunked)?.finish()?.status == 200);
    let long = Request::new("POST", "/v1/completions").bearer(TOKEN).body("defg");
    ensure!(wasmtime.send(&long)?.status == 200);
    let bodies: Vec<_> = upstream
        .calls()
        .iter()
        .filter(|call| call.target == "/v1/completions")
        .map(|call| call.body.clone())
        .collect();
    ensure!(bodies == [b"abc", b"defg".as_slice()], "{bodies:?}");
    Ok(())
}

#[test]
fn half_a_request_is_none() -> Result<()> {
    let standin = Standin::start()?;
    let wasmtime = setup().upstream(&standin).start()?;
    let mut caller = TcpStream::connect(wasmtime.address())?;
    let head = format!(
        "POST /v1/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: 10\r\n\r\nhalf"
    );
    caller.write_all(head.as_bytes())?;
    until("the beginning has arrived", || Ok(!standin.wire().is_empty()))?;
    drop(caller);
    // The instance serves other requests afterwards.
    ensure!(wasmtime.send(&models())?.status == 200);
    until("the good one has arrived", || Ok(standin.received().iter().any(|it| it.target == "/v1/models")))?;
    ensure!(standin.take().iter().all(|it| it.target == "/v1/models"), "half a request was taken for one");
    Ok(())
}

#[test]
fn trailers_of_an_answer_tell_no_more_of_the_account_than_its_headers() -> Result<()> {
    let upstream = Scripted::start(|_| WITH_TRAILERS)?;
    let wasmtime = in_front_of(upstream.address())?;
    let head = format!(
        "GET /v1/models HTTP/1.1\r\nhost: h\r\nconnection: close\r\nte: trailers\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    );
    let mut caller = TcpStream::connect(wasmtime.address())?;
    caller.write_all(head.as_bytes())?;
    let mut answer = String::new();
    caller.read_to_string(&mut answer)?;
    ensure!(answer.contains("2\r\n{}\r\n0\r\n") && !answer.contains("org-1"), "{answer}");
    ensure!(!answer.contains("remaining-tokens: 7"), "{answer}");
    Ok(())
}

#[test]
fn a_credential_in_a_trailer_is_not_judged_and_not_forwarded() -> Result<()> {
    let standin = Standin::start()?;
    let wasmtime = setup().upstream(&standin).start()?;
    let request = |credential: &str| {
        format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{credential}\
             transfer-encoding: chunked\r\ntrailer: authorization, x-api-key, x-checksum\r\n\r\n\
             2\r\n{{}}\r\n0\r\nauthorization: Bearer {TOKEN}\r\nX-Api-Key: of-a-trailer\r\nx-checksum: 7\r\n\r\n"
        )
    };
    ensure!(wasmtime.open_raw(request("").as_bytes())?.status() == 401, "a trailer was judged");
    let credential = format!("authorization: Bearer {TOKEN}\r\n");
    let answer = wasmtime.open_raw(request(&credential).as_bytes())?.finish()?;
    ensure!(answer.status == 200, "{answer:?}");
    let upstream = standin.take_one_without(&[TOKEN, "of-a-trailer"])?;
    let names: Vec<&str> = upstream.trailers.iter().map(|(name, _)| name.as_str()).collect();
    ensure!(names == ["x-checksum"], "trailers that went on: {names:?}");
    Ok(())
}

#[test]
fn any_byte_in_any_header_is_a_pass_or_a_4xx() -> Result<()> {
    let standin = Standin::start()?;
    let wasmtime = setup().upstream(&standin).start()?;
    for byte in 0..=u8::MAX {
        for name in ["authorization", "x-api-key", "cookie", "sec-websocket-protocol", "x-any"] {
            let value = [b"a", &[byte][..], b"b"].concat();
            for request in [models().header(name, &value), Request::get("/v1/models").header(name, &value)] {
                let status = wasmtime.send(&request)?.status;
                ensure!(
                    status == 200 || (400..500).contains(&status),
                    "byte {byte:#04x} in `{name}`: {status}"
                );
            }
        }
    }
    ensure!(wasmtime.send(&models())?.status == 200);
    let log = wasmtime.log();
    ensure!(!log.contains("wasm trap") && !log.contains("panicked"), "{log}");
    Ok(())
}

#[test]
fn no_secret_and_no_token_is_in_logs_or_answers() -> Result<()> {
    let upstream = Scripted::start(|_| Script::Close)?;
    let wasmtime = in_front_of(upstream.address())?;
    for request in [
        models(),
        Request::get(format!("/v1/models?user={TOKEN}")).bearer(TOKEN),
        Request::get("/v1/models").bearer("ptk_somebody-else-0123456789"),
        Request::get(format!("/v1beta/models?key={TOKEN}")),
    ] {
        let answer = wasmtime.send(&request)?;
        let shown = format!("{answer:?} {}", answer.text());
        ensure!([TOKEN, KEY, "ptk_somebody-else"].iter().all(|secret| !shown.contains(secret)), "{shown}");
    }
    wasmtime.until_logged("no answer from")?;
    let log = wasmtime.log();
    ensure!(log.contains("token_misplaced"), "{log}");
    ensure!([TOKEN, KEY, "ptk_somebody-else"].iter().all(|secret| !log.contains(secret)), "{log}");
    Ok(())
}
