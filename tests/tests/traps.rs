//! Faults of our own: the filter traps, and the module panics, in each callback in turn.
//!
//! Whatever fails, nothing goes upstream with another credential than the real one, what reached no upstream is refused, and
//! requests pass again.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{
    Envoy, FILTER, Request, Script, Scripted, Setup, Standin, Testbed, WITH_TRAILERS, hardening::tell,
    trapping, until,
};
use serde_json::{Value, json};

const TOKEN: &str = "ptk_that-meets-a-fault-0123456789";
const REAL: &str = "sk-real-openai";
/// A request with a body in two slices, and trailers.
const REQUEST: &str = "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer ptk_that-meets-a-fault-0123456789\r\n\
    content-type: application/json\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\nconnection: close\r\n\r\n\
    d\r\n{\"model\":\"m\",\r\ne\r\n\"messages\":[]}\r\n0\r\nx-sum: 9\r\n\r\n";

/// The callbacks of the filter that a request leads to, each with the number of the call that traps. The first calls are those
/// of the start. A request that waits while its worker's filter traps gets no answer: Envoy ends it when it is idle for too
/// long. So those of calls and ticks trap when no request waits any more.
const CALLBACKS: [(&str, i32); 10] = [
    ("proxy_on_context_create", 4),
    ("proxy_on_request_headers", 3),
    ("proxy_on_request_body", 3),
    ("proxy_on_request_trailers", 2),
    ("proxy_on_http_call_response", 4),
    ("proxy_on_response_headers", 3),
    ("proxy_on_response_body", 3),
    ("proxy_on_response_trailers", 2),
    ("proxy_on_delete", 3),
    ("proxy_on_tick", 12),
];

/// The hooks of the module, as `module/src/faults.rs` knows them.
const HOOKS: [&str; 10] = [
    "request_headers",
    "request_body",
    "request_trailers",
    "answer",
    "work",
    "response_headers",
    "response_body",
    "response_trailers",
    "stream_complete",
    "remove",
];

/// An upstream, and a registry that knows one token and has a change for every call.
struct Bed {
    upstream: Scripted,
    registry: Scripted,
}

impl Bed {
    fn start() -> Result<Self> {
        let record = json!({"sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "t", "providers": ["openai"], "version": 1});
        let registry = Scripted::start(move |call| match call.target.as_str() {
            changes if changes.starts_with("/v1/changes") => Script::answer(503, ""),
            token if token.starts_with("/v1/tokens/") => Script::answer(200, record.to_string()),
            _ => Script::answer(204, ""),
        })?;
        Ok(Self { upstream: Scripted::start(|_| WITH_TRAILERS)?, registry })
    }

    fn setup(&self) -> Setup {
        // Records are asked for again and again, so that calls have answers.
        let mut policy = Testbed::registry_policy();
        policy["registry"]["cache"] = json!({"positive": "1s", "negative": "1s"});
        Envoy::with(&policy)
            .env("OPENAI_API_KEY", REAL)
            .env("KEYSWAP_REGISTRY_TOKEN", "registry-secret")
            .registry(self.registry.address())
            .plain_upstream(self.upstream.address())
            .http1_trailers()
    }

    /// Sends requests until one meets the fault, and until one passes again. Returns what the first of those got.
    fn until_recovered(&self, envoy: &Envoy, has_failed: impl Fn() -> Result<bool>) -> Result<Vec<String>> {
        let mut seen = Vec::new();
        let ask =
            || envoy.open_raw(REQUEST.as_bytes()).map(|answer| (answer.status(), answer.finish().is_ok()));
        let begun = until("the fault has come about", || {
            seen.push(match ask() {
                Ok((200, true)) => "200".to_owned(),
                Ok((200, false)) => "cut off".to_owned(),
                Ok((status, _)) => status.to_string(),
                Err(_) => "closed".to_owned(),
            });
            has_failed()
        });
        begun.with_context(|| {
            let seen: std::collections::BTreeSet<&String> = seen.iter().collect();
            format!("{seen:?}, {:?}: {}", self.registry.calls().len(), envoy.last_lines())
        })?;
        let passes = until("requests pass again", || Ok(ask().is_ok_and(|it| it == (200, true))));
        passes.with_context(|| format!("{seen:?}, and then {:?}", ask()))?;
        self.ensure_clean()?;
        let strange = seen.iter().find(|it| !matches!(it.as_str(), "200" | "503" | "cut off" | "closed"));
        ensure!(strange.is_none(), "{seen:?}");
        Ok(seen)
    }

    /// Ensures that nothing went upstream but with the real credential.
    fn ensure_clean(&self) -> Result<()> {
        for call in self.upstream.calls() {
            let text = format!("{call:?}");
            let keys: Vec<&str> = call
                .headers
                .iter()
                .filter(|(name, _)| name == "authorization")
                .map(|(_, value)| &**value)
                .collect();
            ensure!(keys == [format!("Bearer {REAL}")] && !text.contains("ptk_"), "{text}");
        }
        Ok(())
    }
}

/// A copy of the filter with a trap, in a folder that ends with it.
struct Trapping(tempfile::TempDir);

impl Trapping {
    fn at(callback: &str, nth: i32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("filter.wasm"), trapping(&fs::read(FILTER.path()?)?, callback, nth)?)?;
        Ok(Self(folder))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("filter.wasm")
    }
}

#[test]
fn a_filter_that_traps_forwards_nothing_and_is_loaded_anew() -> Result<()> {
    let mut all = Vec::new();
    for (callback, nth) in CALLBACKS {
        let (bed, trap) = (Bed::start()?, Trapping::at(callback, nth)?);
        let envoy = bed.setup().filter(&trap.path()).start()?;
        let has_failed = || Ok(envoy.stat("wasm.keyswap.vm_reload_success")? > 0);
        let seen = bed.until_recovered(&envoy, has_failed).with_context(|| callback.to_owned())?;
        let of_requests = callback.contains("_request_") || callback.contains("_create");
        ensure!(!of_requests || seen.iter().any(|it| it != "200"), "{callback}: {seen:?}");
        all.extend(seen);
    }
    tell_of("filter", CALLBACKS.len(), "callbacks", &all)
}

/// Tells the faults, and what became of the requests around them.
fn tell_of(name: &str, faults: usize, places: &str, seen: &[String]) -> Result<()> {
    let passed = seen.iter().filter(|it| *it == "200").count();
    let [faults, passed, all] =
        [faults, passed, seen.len()].map(|number| u64::try_from(number).unwrap_or(u64::MAX));
    tell(name, &[(faults, places), (passed, "requests passed"), (all - passed, "refused or cut off")])
}

#[test]
fn a_filter_that_traps_at_its_start_serves_nothing() -> Result<()> {
    let (bed, trap) = (Bed::start()?, Trapping::at("proxy_on_configure", 1)?);
    let log = bed.setup().filter(&trap.path()).refused()?;
    ensure!(bed.upstream.calls().is_empty(), "{log}");
    Ok(())
}

#[test]
fn a_module_that_panics_forwards_nothing_and_goes_on() -> Result<()> {
    let mut all = Vec::new();
    // Only the first request waits for a record, and is woken.
    for (hook, nth) in HOOKS.into_iter().map(|hook| (hook, 2)).chain([("wake", 1)]) {
        let bed = Bed::start()?;
        let envoy = bed.setup().native().env("KEYSWAP_FAULT", &format!("{hook}:{nth}")).start()?;
        let has_failed = || Ok(envoy.log().contains("a fault of Keyswap was caught"));
        let seen = bed.until_recovered(&envoy, has_failed).with_context(|| hook.to_owned())?;
        ensure!(!hook.starts_with("request_") || seen.iter().any(|it| it != "200"), "{hook}: {seen:?}");
        until("the fault is counted", || Ok(envoy.admin("/stats?filter=keyswap")?.contains("host_failure")))
            .map(drop)?;
        all.extend(seen);
    }
    tell_of("module", HOOKS.len() + 1, "hooks", &all)
}

/// Has the listener hand connections to its workers in turn.
fn in_turn(bootstrap: &mut Value) {
    let listener =
        bootstrap.pointer_mut("/static_resources/listeners/0").expect("the bootstrap has a listener");
    listener["connection_balance_config"] = json!({"exact_balance": {}});
}

#[test]
fn the_streams_of_other_workers_go_on() -> Result<()> {
    const STREAMS: usize = 6;
    let trap = Trapping::at("proxy_on_request_headers", 5)?;
    for is_native in [false, true] {
        let (standin, policy) = (Standin::start()?, Testbed::policy());
        let setup = Testbed::setup_with(&policy, &standin).concurrency(2).tweak(in_turn);
        let setup = if is_native {
            setup.native().env("KEYSWAP_FAULT", "request_headers:8")
        } else {
            setup.filter(&trap.path())
        };
        let envoy = setup.start()?;
        let body = json!({"model": "m", "stream": true, "messages": []});
        let request = Request::post("/v1/chat/completions", &body).bearer(keyswap_tests::TOKEN);
        let held = standin.hold();
        let mut streams = (0..STREAMS).map(|_| envoy.open(&request)).collect::<Result<Vec<_>>>()?;
        for stream in &mut streams {
            ensure!(stream.next_event()?.is_some(), "a stream has not begun");
        }
        // The models are answered at once, so these do not wait.
        let models = Request::get("/v1/models").bearer(keyswap_tests::TOKEN);
        until("a worker has failed", || Ok(envoy.send(&models).map_or(503, |answer| answer.status) == 503))?;
        drop(held);
        let whole = streams.into_iter().filter_map(|stream| stream.finish().ok());
        let whole = whole.filter(|answer| answer.text().contains("[DONE]")).count();
        // A panic ends its own stream only; a trap ends those of its worker.
        ensure!(
            if is_native { whole == STREAMS } else { whole == STREAMS / 2 },
            "{is_native}: {whole} went on"
        );
        until("requests pass again", || Ok(envoy.send(&models)?.status == 200))?;
        standin.take_without(&[keyswap_tests::TOKEN])?;
    }
    Ok(())
}
