//! Bodies that come in slices while the registry is asked for the objects that they name.

use std::time::Duration;

use anyhow::{Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Call, Request, Script, Scripted, until};
use serde_json::{Value, json};

use crate::answers::confirmed;
use crate::bed::{plane, quiet_feed};

pub(crate) const TOKEN: &str = "ptk_of-a-caller-with-objects";
const PAUSE: Duration = Duration::from_millis(300);
const KIB: usize = 1024;

fn object(id: &str) -> String {
    Digest::of(["object", "openai", id].join("\0").as_bytes()).to_hex()
}

/// Answers like a registry with one token, which holds the objects whose ids end with `own`, and takes its time.
pub(crate) fn registry(call: &Call) -> Script {
    let sha256 = Digest::of(TOKEN.as_bytes()).to_hex();
    match call.target.as_str() {
        "/v1/objects/find" => {
            let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
            let asked = body["sha256"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let is_own = |asked: &&str| (0..SIZES.len() * LIMITS.len()).any(|n| object(&own(n)) == *asked);
            let told = |asked: &str| json!({"sha256": asked, "kind": "response", "principal": sha256, "owner": null, "team": null, "version": 1});
            let objects: Vec<Value> = asked.filter(is_own).map(told).collect();
            Script::After(PAUSE, Box::new(Script::answer(200, json!({"objects": objects}).to_string())))
        }
        "/v1/objects/claim" => {
            let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
            let objects: Vec<Value> =
                body["objects"].as_array().into_iter().flatten().map(confirmed).collect();
            Script::answer(200, json!({"objects": objects}).to_string())
        }
        target if target.starts_with("/v1/tokens/") => {
            let record = json!({"sha256": sha256, "label": "t", "providers": ["openai:*"], "version": 1});
            Script::answer(200, record.to_string())
        }
        target => quiet_feed(target),
    }
}

/// The bytes that Envoy keeps of a body: the least that a gateway's own settings have, and its own default.
const LIMITS: [Option<u32>; 2] = [Some(32 * 1024), None];
/// The lengths of bodies, and whether one waits.
const SIZES: [(usize, bool); 5] =
    [(KIB, true), (31 * KIB, true), (40 * KIB, false), (900 * KIB, false), (3000 * KIB, false)];

fn own(number: usize) -> String {
    format!("resp_{number}own")
}

/// A request whose body names an object at its beginning.
pub(crate) fn naming(id: &str, size: usize) -> Request {
    let text = "x".repeat(size);
    let body = format!(r#"{{"previous_response_id":"{id}","store":false,"model":"m","input":"{text}"}}"#);
    Request::new("POST", "/v1/responses").bearer(TOKEN).header("content-type", "application/json").body(body)
}

#[test]
fn a_body_of_any_length_gets_its_answer_at_the_second_try_at_the_latest() -> Result<()> {
    let registry = Scripted::start(registry)?;
    let upstream = Scripted::start(|_| Script::answer(200, "{}"))?;
    let mut number = 0;
    for limit in LIMITS {
        let setup = plane(upstream.address(), registry.address());
        let setup = match limit {
            Some(limit) => setup.buffer_limit(limit),
            None => setup,
        };
        let envoy = setup.start()?;
        // A worker that has not heard of changes asks again.
        until("the worker has begun", || {
            Ok(envoy.send(&naming("resp_none", 1))?.verdict() == "404 object_not_found")
        })?;
        for (size, waits) in SIZES {
            for (id, verdict) in [(own(number), "200"), (format!("resp_{number}"), "404 object_not_found")] {
                let request = naming(&id, size);
                let first = envoy.send(&request)?.verdict();
                let is_late = !waits && first == "503 registry_unavailable";
                ensure!(first == verdict || is_late, "{limit:?}, {size} bytes, {id}: {first}");
                until("the answer has come", || Ok(envoy.send(&request)?.verdict() == verdict))?;
            }
            number += 1;
        }
    }
    Ok(())
}
