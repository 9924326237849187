//! Bodies that wait for the registry and go on in parts: upstream gets each byte once.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{Envoy, Request, Scripted, Setup, releases, until};

use crate::bed::plane;
use crate::slices::{TOKEN, naming, registry};

/// The parts of a body. The first names an object, for which the registry is asked.
const PARTS: [&str; 4] = [
    r#"{"previous_response_id":"resp_0own","#,
    r#""store":false,"model":"m","#,
    r#""input":"two","#,
    r#""metadata":{"end":"1"}}"#,
];

/// An upstream that keeps every byte, and answers behind the end of the body.
struct Wire {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
}

fn lock(seen: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, seen) = (listener.local_addr()?, Arc::new(Mutex::default()));
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &seen));
            }
        });
        Ok(Self { address, seen })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.seen)).into_owned()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<u8>>) -> std::io::Result<()> {
    let mut buffer = [0; 16_384];
    loop {
        let size = stream.read(&mut buffer)?;
        if size == 0 {
            return Ok(());
        }
        let read = buffer.get(..size).unwrap_or_default();
        lock(seen).extend_from_slice(read);
        if String::from_utf8_lossy(read).contains("\"end\"") {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")?;
        }
    }
}

/// Begins a request: its head arrives upstream.
fn begin(envoy: SocketAddr, wire: &Wire) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(envoy)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let length: usize = PARTS.iter().map(|part| part.len()).sum();
    let head = format!(
        "POST /v1/responses HTTP/1.1\r\nhost: keyswap.test\r\nconnection: close\r\ncontent-length: {length}\r\n\
         content-type: application/json\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let length = format!("content-length: {length}");
    until("the head has arrived", || Ok(wire.text().contains(&length)))?;
    Ok(stream)
}

/// Sends the parts, each one when the former has arrived upstream. Returns the answer.
fn finish(mut stream: TcpStream, wire: &Wire) -> Result<String> {
    for part in PARTS {
        stream.write_all(part.as_bytes())?;
        until("the part has arrived", || Ok(wire.text().contains(part)))?;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn goes_up_once(change: fn(Setup) -> Setup, meanwhile: fn(&Envoy) -> Result<()>) -> Result<()> {
    let (registry, wire) = (Scripted::start(registry)?, Wire::start()?);
    let envoy = change(plane(wire.address, registry.address())).start()?;
    // A worker that has not heard of changes asks again.
    until("the worker has begun", || {
        Ok(envoy.send(&naming("resp_none", 1))?.verdict() == "404 object_not_found")
    })?;
    let before = registry.count("/v1/objects/find");
    let stream = begin(envoy.address(), &wire)?;
    meanwhile(&envoy)?;
    let answer = finish(stream, &wire)?;
    let seen = wire.text();
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}\n{seen}");
    ensure!(registry.count("/v1/objects/find") == before + 1, "it did not wait");
    ensure!(seen.ends_with(&format!("\r\n\r\n{}", PARTS.concat())), "{seen}");
    Ok(())
}

#[test]
fn a_body_that_has_waited_goes_up_once() -> Result<()> {
    goes_up_once(|setup| setup, |_| Ok(()))
}

#[test]
fn in_the_oldest_envoy_too_a_body_that_has_waited_goes_up_once() -> Result<()> {
    goes_up_once(|setup| setup.on(&releases::OLDEST_ENVOY), |_| Ok(()))
}

#[test]
fn a_body_waits_as_before_when_another_request_was_a_fault_of_the_module() -> Result<()> {
    goes_up_once(
        |setup| setup.native().env("KEYSWAP_FAULT", "request_headers:40"),
        |envoy| {
            let live = Request::get("/.well-known/keyswap/live");
            until("a fault was caught", || Ok(envoy.send(&live)?.status == 503)).map(drop)
        },
    )
}

/// Starts an upstream that answers with an object in parts, each one when it is told to.
fn in_parts() -> Result<(SocketAddr, mpsc::Sender<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (address, (tell, told)) = (listener.local_addr()?, mpsc::channel());
    thread::spawn(move || -> Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut buffer = [0; 16_384];
        let mut request = String::new();
        while !request.contains('}') {
            let size = stream.read(&mut buffer)?;
            request += &String::from_utf8_lossy(buffer.get(..size).unwrap_or_default());
        }
        let length: usize = ANSWER.iter().map(|part| part.len()).sum();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {length}\r\n\r\n"
        )?;
        for part in ANSWER {
            stream.write_all(part.as_bytes())?;
            told.recv()?;
        }
        Ok(())
    });
    Ok((address, tell))
}

/// The parts of an answer. The first tells an object, whose holder the registry notes.
const ANSWER: [&str; 4] = [
    "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_7\",\"object\":\"response\"}}\n\n",
    "data: {\"type\":\"a\"}\n\n",
    "data: {\"type\":\"b\"}\n\n",
    "data: {\"type\":\"c\"}\n\n",
];

fn comes_down_once(change: fn(Setup) -> Setup) -> Result<()> {
    let (registry, (upstream, next)) = (Scripted::start(registry)?, in_parts()?);
    let envoy = change(plane(upstream, registry.address())).start()?;
    let mut stream = TcpStream::connect(envoy.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let body = r#"{"model":"m","input":"i","stream":true}"#;
    write!(
        stream,
        "POST /v1/responses HTTP/1.1\r\nhost: keyswap.test\r\nconnection: close\r\ncontent-length: {}\r\n\
         content-type: application/json\r\nauthorization: Bearer {TOKEN}\r\n\r\n{body}",
        body.len()
    )?;
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    for part in ANSWER {
        // The last byte of a part may wait for the registry.
        while !answer.contains(part.trim_end()) {
            let size = stream.read(&mut buffer).with_context(|| answer.clone())?;
            ensure!(size > 0, "{part} did not come: {answer}");
            answer += &String::from_utf8_lossy(buffer.get(..size).unwrap_or_default());
        }
        next.send(())?;
    }
    drop(next);
    stream.read_to_string(&mut answer)?;
    ensure!(registry.count("/v1/objects/claim") == 1, "it did not wait");
    ensure!(answer.ends_with(&format!("\r\n\r\n{}", ANSWER.concat())), "{answer}");
    Ok(())
}

#[test]
fn an_answer_that_has_waited_comes_down_once() -> Result<()> {
    comes_down_once(|setup| setup)
}

#[test]
fn in_the_oldest_envoy_too_an_answer_that_has_waited_comes_down_once() -> Result<()> {
    comes_down_once(|setup| setup.on(&releases::OLDEST_ENVOY))
}
