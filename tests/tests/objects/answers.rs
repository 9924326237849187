//! Answers that tell of objects: what goes out while the registry is slow or away, and what is claimed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Call, Envoy, Request, Script, Scripted, until};
use serde_json::{Value, json};

use crate::bed::{plane, quiet_feed};

const TOKEN: &str = "ptk_of-a-caller-with-objects";
const PAUSE: Duration = Duration::from_millis(700);

/// The ids that were claimed, and when.
type Told = Arc<Mutex<Vec<(String, Instant)>>>;

/// A registry with one token, which notes claims, and answers them by a script of its own.
struct Claims {
    server: Scripted,
    told: Told,
}

impl Claims {
    fn start(script: impl Fn(Script) -> Script + Send + Sync + 'static) -> Result<Self> {
        let told = Told::default();
        let server = Scripted::start(Self::handler(Arc::clone(&told), script))?;
        Ok(Self { server, told })
    }

    /// Answers claims by another script from now on.
    fn now(&self, script: impl Fn(Script) -> Script + Send + Sync + 'static) {
        self.server.now(Self::handler(Arc::clone(&self.told), script));
    }

    fn handler(
        told: Told,
        script: impl Fn(Script) -> Script + Send + Sync + 'static,
    ) -> impl Fn(&Call) -> Script + Send + Sync + 'static {
        move |call| {
            let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
            match call.target.as_str() {
                "/v1/objects/claim" => {
                    let objects: Vec<Value> =
                        body["objects"].as_array().into_iter().flatten().map(confirmed).collect();
                    let ids = body["objects"].as_array().into_iter().flatten();
                    let ids = ids.filter_map(|it| Some((it["id"].as_str()?.to_owned(), Instant::now())));
                    told.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
                    script(Script::answer(200, json!({"objects": objects}).to_string()))
                }
                "/v1/objects/find" => Script::answer(200, r#"{"objects":[]}"#),
                target if target.starts_with("/v1/tokens/") => {
                    let sha256 = Digest::of(TOKEN.as_bytes()).to_hex();
                    let record =
                        json!({"sha256": sha256, "label": "t", "providers": ["openai:*"], "version": 1});
                    Script::answer(200, record.to_string())
                }
                target => quiet_feed(target),
            }
        }
    }

    /// Returns the ids that were claimed, each once.
    fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> =
            self.told.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|it| it.0.clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    fn first_at(&self, id: &str) -> Option<Instant> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().find(|it| it.0 == id).map(|it| it.1)
    }
}

pub(crate) fn confirmed(claim: &Value) -> Value {
    let text = |name: &str| claim[name].as_str().unwrap_or_default();
    let key = ["object", text("provider"), text("id")].join("\0");
    json!({
        "sha256": Digest::of(key.as_bytes()).to_hex(), "kind": claim["kind"], "principal": claim["principal"],
        "owner": null, "team": null, "version": 7, "expires_at": null,
    })
}

fn start(claims: &Claims, upstream: &Scripted) -> Result<Envoy> {
    plane(upstream.address(), claims.server.address()).start()
}

fn create(target: &str, body: &Value) -> Request {
    Request::post(target, body).bearer(TOKEN)
}

fn get(target: &str) -> Request {
    Request::get(target).bearer(TOKEN)
}

const STREAM: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n\
    event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\"}}\n\n";

/// Answers like an upstream that makes objects.
fn upstream(call: &Call) -> Script {
    match (call.method.as_str(), call.target.as_str()) {
        ("POST", "/v1/responses") => {
            Script::Answer(200, vec![("content-type", "text/event-stream".to_owned())], STREAM.into())
        }
        ("GET", "/v1/files/file-1/content" | "/v1/batches/batch_1/content") => {
            Script::answer(200, r#"{"id":"file-2","output_file_id":"file-3","response":{"id":"resp_9"}}"#)
        }
        ("POST", "/v1/batches") => Script::answer(200, r#"{"id":"batch_1"}"#),
        ("GET", "/v1/batches/batch_1") => Script::answer(200, r#"{"id":"batch_1","output_file_id":"file-4"}"#),
        ("POST", "/v1/vector_stores") => {
            Script::Answer(200, vec![("content-encoding", "gzip".to_owned())], br#"{"id":"vs_1"}"#.to_vec())
        }
        ("POST", "/v1/uploads") => Script::Cut(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"id\":\"upload_1\",",
        ),
        _ => Script::answer(200, r#"{"id":"file-1","object":"file"}"#),
    }
}

#[test]
fn the_last_byte_of_an_answer_waits_until_the_registry_knows_the_object() -> Result<()> {
    let claims = Claims::start(|answer| Script::After(PAUSE, Box::new(answer)))?;
    let upstream = Scripted::start(upstream)?;
    let envoy = start(&claims, &upstream)?;
    for (target, id, whole) in
        [("/v1/files", "file-1", r#"{"id":"file-1","object":"file"}"#), ("/v1/responses", "resp_1", STREAM)]
    {
        let response = envoy.send(&create(target, &json!({"model": "m"})))?;
        let came = Instant::now();
        ensure!(response.text() == whole, "{target}: {}", response.text());
        let waited = claims.first_at(id).map(|at| came.duration_since(at));
        ensure!(
            waited.is_some_and(|waited| waited >= PAUSE),
            "{target}: it came {waited:?} behind the claim"
        );
    }
    Ok(())
}

#[test]
fn an_answer_that_cannot_be_claimed_is_cut_off_and_claimed_later() -> Result<()> {
    let claims = Claims::start(|_| Script::answer(503, ""))?;
    let upstream = Scripted::start(upstream)?;
    let envoy = start(&claims, &upstream)?;
    for target in ["/v1/files", "/v1/responses"] {
        let answer = envoy.send(&create(target, &json!({"model": "m"})));
        ensure!(answer.is_err(), "{target}: {answer:?}");
    }
    let called = claims.server.count("/v1/objects/claim");
    claims.now(|answer| answer);
    until("the claims are repeated", || Ok(claims.server.count("/v1/objects/claim") >= called + 2))?;
    let own = envoy.send(&get("/v1/files/file-1"))?;
    ensure!(own.status == 200, "{}", own.verdict());
    Ok(())
}

#[test]
fn an_answer_that_is_compressed_is_withheld_and_one_that_breaks_off_is_claimed() -> Result<()> {
    let claims = Claims::start(|answer| answer)?;
    let upstream = Scripted::start(upstream)?;
    let envoy = start(&claims, &upstream)?;
    let compressed = envoy.send(&create("/v1/vector_stores", &json!({})))?;
    ensure!(compressed.status == 502 && !compressed.text().contains("vs_1"), "{}", compressed.text());
    ensure!(
        envoy.send(&create("/v1/uploads", &json!({}))).is_err(),
        "a part of an answer went out as a whole"
    );
    until("the part is claimed", || Ok(claims.ids() == ["upload_1"])).map(drop)
}

#[test]
fn what_a_caller_downloads_claims_nothing() -> Result<()> {
    let claims = Claims::start(|answer| answer)?;
    let upstream = Scripted::start(upstream)?;
    let envoy = start(&claims, &upstream)?;
    for request in [
        create("/v1/files", &json!({})),
        create("/v1/batches", &json!({})),
        get("/v1/files/file-1/content"),
        get("/v1/batches/batch_1/content"),
        get("/v1/batches/batch_1"),
    ] {
        let response = envoy.send(&request)?;
        ensure!(response.status == 200, "{request:?}: {}", response.verdict());
    }
    ensure!(claims.ids() == ["batch_1", "file-1", "file-4"], "{:?}", claims.ids());
    Ok(())
}

#[test]
fn a_caller_in_a_hurry_keeps_what_it_made() -> Result<()> {
    let claims = Claims::start(|answer| Script::After(PAUSE, Box::new(answer)))?;
    let upstream = Scripted::start(upstream)?;
    let envoy = start(&claims, &upstream)?;
    thread::scope(|scope| {
        let making = scope.spawn(|| envoy.send(&create("/v1/files", &json!({}))));
        until("the claim is told", || Ok(claims.first_at("file-1").is_some()))?;
        // The worker knows its own claim before the registry does.
        let own = envoy.send(&get("/v1/files/file-1"))?;
        ensure!(own.status == 200, "{}", own.verdict());
        let made = making.join().map_err(|_| anyhow::anyhow!("the request failed"))??;
        ensure!(made.status == 200, "{}", made.verdict());
        Ok(())
    })
}
