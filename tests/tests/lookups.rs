//! Token lookups by the filter: the number of calls, waiting requests, and faults of the registry.

use std::{
    collections::BTreeSet,
    io::Write as _,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{
    Call, Envoy, Registry, Request, Response, Script, Scripted, Setup, Standin, Testbed, faults, releases,
    until, with,
};
use serde_json::{Value, json};

const GOOD: &str = "ptk_looked-up-and-good";

fn policy(more: &Value) -> Value {
    let mut policy = Testbed::registry_policy();
    for (name, value) in more.as_object().into_iter().flatten() {
        policy["registry"][name] = value.clone();
    }
    policy
}

fn setup(policy: &Value, standin: &Standin) -> Setup {
    Envoy::with(policy)
        .env("OPENAI_API_KEY", "sk-real")
        .env("KEYSWAP_REGISTRY_TOKEN", "the-registry-token-of-a-test")
        .upstream(standin)
}

fn in_front_of(registry: &Scripted, standin: &Standin) -> Setup {
    setup(&policy(&json!({})), standin).registry(registry.address())
}

fn models(token: &str) -> Request {
    Request::get("/v1/models").bearer(token)
}

fn digest(token: &str) -> String {
    Digest::of(token.as_bytes()).to_hex()
}

fn record(digest: &str, version: u64) -> Vec<u8> {
    let record = json!({"sha256": digest, "label": "good", "providers": ["openai"], "version": version});
    record.to_string().into_bytes()
}

/// Answers like a registry. It knows the tokens for whose digest `knows` returns true.
fn healthy(call: &Call, knows: impl Fn(&str) -> bool) -> Script {
    match call.target.strip_prefix("/v1/tokens/") {
        Some(digest) if knows(digest) => Script::answer(200, record(digest, 1)),
        Some(_) => Script::answer(404, r#"{"code":"unknown_token"}"#),
        None => quiet_feed(call),
    }
}

/// Answers like a change feed without changes.
fn quiet_feed(call: &Call) -> Script {
    let nothing =
        Script::answer(200, r#"{"sequence":1,"history":"00000000000000aa","reset":false,"changes":[]}"#);
    if call.target.contains("wait=") {
        return Script::After(Duration::from_secs(4), Box::new(nothing));
    }
    if call.target == "/v1/usage" { Script::answer(204, "") } else { nothing }
}

fn is_unavailable(response: &Response) -> bool {
    let reason = response.header("x-keyswap-reason");
    response.status == 503
        && reason == Some("token_store_unavailable")
        && response.header("retry-after") == Some("1")
}

/// Waits until all workers follow the feed: before that a worker repeats its lookups. Envoy's main thread runs the
/// filter too, and follows the feed.
fn until_followed(registry: &Scripted, workers: usize) -> Result<()> {
    until("the feed is followed", || Ok(registry.count("/v1/changes?since=") > workers)).map(drop)
}

#[test]
fn a_token_is_asked_for_once_with_the_registrys_credential_and_never_sent_itself() -> Result<()> {
    let registry = Scripted::start(|call| healthy(call, |_| true))?;
    let standin = Standin::start()?;
    let envoy = in_front_of(&registry, &standin).start()?;
    until_followed(&registry, 1)?;
    for _ in 0..20 {
        ensure!(envoy.send(&models(GOOD))?.status == 200);
    }
    let calls: Vec<Call> = registry.calls().into_iter().filter(|it| it.target.contains("/tokens/")).collect();
    let [call] = calls.as_slice() else { anyhow::bail!("{} calls", calls.len()) };
    ensure!(call.method == "GET" && call.target == format!("/v1/tokens/{}", digest(GOOD)), "{call:?}");
    let credential = ("authorization".to_owned(), "Bearer the-registry-token-of-a-test".to_owned());
    ensure!(call.headers.contains(&credential), "{call:?}");
    ensure!(!format!("{:?}", registry.calls()).contains(GOOD), "the token itself was sent");
    ensure!(standin.received().iter().all(|it| it.header("authorization") == Some("Bearer sk-real")));
    let counts = [
        "keyswap.lookups.from.registry: 1",
        "keyswap.lookups.from.worker: 19",
        "keyswap.fetches.kind.token.outcome.found: 1",
    ];
    envoy.has_counted("/stats?filter=keyswap", &counts)
}

#[test]
fn a_thousand_callers_of_one_token_make_one_call_a_worker_and_the_first_to_leave_changes_nothing()
-> Result<()> {
    let registry = Scripted::start(|call| {
        let answer = healthy(call, |_| true);
        if call.target.contains("/tokens/") {
            return Script::After(Duration::from_millis(300), Box::new(answer));
        }
        answer
    })?;
    let standin = Standin::start()?;
    // However slow the machine is, the call is not given up.
    let patient = policy(&json!({"timeout": "30s"}));
    let envoy = setup(&patient, &standin).registry(registry.address()).concurrency(2).start()?;
    until_followed(&registry, 2)?;
    let head = format!("GET /v1/models HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {GOOD}\r\n\r\n");
    let mut first = TcpStream::connect(envoy.address())?;
    first.write_all(head.as_bytes())?;
    until("the first request is waiting", || Ok(registry.count("/v1/tokens/") == 1))?;
    drop(first);
    let answers = envoy.burst(&vec![models(GOOD); 1000])?;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    ensure!(served == 1000, "{served} of 1000 were served");
    let calls = registry.count("/v1/tokens/");
    ensure!(calls <= 2, "{calls} calls");
    Ok(())
}

#[test]
fn a_thousand_tokens_at_once_are_all_answered_and_never_more_than_the_cap_are_asked_for() -> Result<()> {
    let registry = Scripted::start(|call| {
        let answer = healthy(call, |_| true);
        if call.target.contains("/tokens/") {
            return Script::After(Duration::from_millis(20), Box::new(answer));
        }
        answer
    })?;
    let standin = Standin::start()?;
    let envoy = in_front_of(&registry, &standin).concurrency(2).start()?;
    let requests: Vec<Request> =
        (0..1000).map(|number| models(&format!("ptk_distinct-{number:06}"))).collect();
    let answers = envoy.burst(&requests)?;
    ensure!(answers.iter().all(|answer| answer.status == 200 || is_unavailable(answer)));
    let most = registry.most_at_once();
    ensure!((2..=128).contains(&most), "{most} at once, with two workers that make 64 each");
    // Requests that waited too long in the queue succeed on a retry.
    for request in &requests {
        until("every token is served", || Ok(envoy.send(request)?.status == 200))?;
    }
    Ok(())
}

#[test]
fn ten_thousand_bad_tokens_make_few_calls_take_no_memory_and_harm_no_good_one() -> Result<()> {
    let good = digest(GOOD);
    let registry = Scripted::start(move |call| healthy(call, |digest| digest == good))?;
    let standin = Standin::start()?;
    let envoy = in_front_of(&registry, &standin).concurrency(2).start()?;
    for _ in 0..20 {
        ensure!(envoy.send(&models(GOOD))?.status == 200);
    }
    let before = envoy.memory()?;
    let started = Instant::now();
    for batch in 0..50 {
        let bad: Vec<Request> =
            (0..200).map(|number| models(&format!("ptk_bad-{batch:03}-{number:03}"))).collect();
        for answer in envoy.burst(&bad)? {
            ensure!(answer.status == 401 || is_unavailable(&answer), "a bad token got {}", answer.status);
        }
        ensure!(envoy.send(&models(GOOD))?.status == 200, "a good token was refused");
    }
    // Each of two workers may look up fifty unknown tokens a second, with a burst of a hundred.
    let seconds = usize::try_from(started.elapsed().as_secs())? + 1;
    let calls = registry.count("/v1/tokens/");
    ensure!(calls <= 2 * (50 * seconds + 100) + 2, "{calls} calls in {seconds} s");
    let grown = envoy.memory()?.saturating_sub(before);
    ensure!(grown < 64 * 1024 * 1024, "Envoy has grown by {grown} bytes");
    Ok(())
}

#[test]
fn what_cannot_be_a_token_is_not_asked_for() -> Result<()> {
    let registry = Scripted::start(|call| healthy(call, |_| true))?;
    let standin = Standin::start()?;
    let envoy = in_front_of(&registry, &standin).start()?;
    for token in ["undefined", "null", "short", "caf\u{e9}-caf\u{e9}-caf\u{e9}", &"x".repeat(5000)] {
        let status = envoy.send(&models(token))?.status;
        ensure!(status == 401, "`{token:.20}`: {status}");
    }
    ensure!(registry.count("/v1/tokens/") == 0);
    Ok(())
}

#[test]
fn a_registry_that_is_of_no_help_lets_nobody_new_in_and_nobody_known_out() -> Result<()> {
    bears_faults(faults::of_registry(&digest(GOOD), &lie()), |setup| setup)
}

#[test]
fn in_the_oldest_envoy_too_a_registry_that_is_of_no_help_lets_nobody_new_in_and_nobody_known_out()
-> Result<()> {
    let faults = faults::of_each_kind(faults::of_registry(&digest(GOOD), &lie()));
    bears_faults(faults, |setup| setup.on(&releases::OLDEST_ENVOY))
}

/// Returns the record of another token than the one that is asked for.
fn lie() -> Vec<u8> {
    record(&digest("ptk_somebody-else"), 1)
}

fn bears_faults(faults: Vec<(&'static str, Script)>, change: fn(Setup) -> Setup) -> Result<()> {
    let standin = Standin::start()?;
    for (fault, script) in faults {
        let registry = Scripted::start(|call| healthy(call, |_| true))?;
        let envoy = change(in_front_of(&registry, &standin)).start()?;
        until_followed(&registry, 1)?;
        ensure!(envoy.send(&models(GOOD))?.status == 200);
        let before = envoy.memory()?;
        standin.take();
        registry.now(
            move |call| {
                if call.target.contains("/tokens/") { script.clone() } else { quiet_feed(call) }
            },
        );
        for number in 0..8 {
            let started = Instant::now();
            let answer = envoy.send(&models(&format!("ptk_nobody-knows-{number}")))?;
            ensure!(is_unavailable(&answer), "while {fault}: {} {}", answer.status, answer.text());
            ensure!(started.elapsed() < Duration::from_secs(5), "while {fault}: {:?}", started.elapsed());
        }
        ensure!(standin.take().is_empty(), "while {fault}: a request went on");
        ensure!(envoy.send(&models(GOOD))?.status == 200, "while {fault}: a known token was refused");
        let grown = envoy.memory()?.saturating_sub(before);
        ensure!(grown < 16 * 1024 * 1024, "while {fault}: Envoy has grown by {grown} bytes");
        // The filter makes at most one call for each token, pauses after failures, and notices that the registry is
        // back.
        let calls = registry.count("/v1/tokens/");
        ensure!(calls <= 9, "while {fault}: {calls} calls");
        registry.now(|call| healthy(call, |_| true));
        until("the registry is back", || Ok(envoy.send(&models("ptk_after-the-fault"))?.status == 200))?;
        let vms = envoy.admin("/stats?filter=vm_reload|wasm_vm")?;
        ensure!(!vms.contains("vm_reload_success: 1"), "while {fault}: the filter was loaded anew\n{vms}");
    }
    Ok(())
}

#[test]
fn a_registry_that_is_not_there_and_a_cluster_that_is_not_are_answered_at_once() -> Result<()> {
    let standin = Standin::start()?;
    let address = Scripted::start(|call| healthy(call, |_| true))?.address();
    let gone = setup(&policy(&json!({})), &standin).registry(address).start()?;
    ensure!(is_unavailable(&gone.send(&models(GOOD))?));
    let misnamed = setup(&policy(&json!({"cluster": "no-such-cluster"})), &standin).start()?;
    for _ in 0..10 {
        ensure!(is_unavailable(&misnamed.send(&models(GOOD))?));
    }
    ensure!(standin.take().is_empty(), "a request went on");
    Ok(())
}

#[test]
fn a_token_that_is_taken_back_is_refused_on_every_worker_within_five_seconds() -> Result<()> {
    let registry = Registry::start()?;
    let standin = Standin::start()?;
    let envoy = setup(&policy(&json!({})), &standin).registry(registry.address()).concurrency(2).start()?;
    let changes: [(&str, &str, Value); 3] = [
        ("it is disabled", "PATCH", json!({"status": "disabled"})),
        ("it is deleted", "DELETE", Value::Null),
        ("it expires", "PATCH", json!({"expires_at": "2020-01-01T00:00:00Z"})),
    ];
    for (change, method, body) in changes {
        let created = registry.create_token(&json!({"label": "l", "providers": ["openai"]}))?;
        let token = created["token"].as_str().unwrap_or_default();
        let path = format!("/tokens/{}", digest(token));
        // Enough connections to reach every worker.
        let served = |status: u16| {
            let answers = envoy.burst(&vec![models(token); 40])?;
            Ok(answers.iter().all(|answer| answer.status == status))
        };
        until("the token works on every worker", || served(200))?;
        let started = Instant::now();
        registry.admin(method, &path, &body)?;
        until("the token works nowhere", || served(401))?;
        ensure!(started.elapsed() < Duration::from_secs(5), "{change}: {:?}", started.elapsed());
    }
    Ok(())
}

#[test]
fn a_token_that_comes_into_being_is_known_although_it_was_unknown_before() -> Result<()> {
    let registry = Registry::start()?;
    let standin = Standin::start()?;
    let envoy = setup(&policy(&json!({"cache": {"negative": "10m"}})), &standin)
        .registry(registry.address())
        .start()?;
    let token = "a-token-of-my-own-choice";
    ensure!(envoy.send(&models(token))?.status == 401);
    registry.create_token(&json!({"label": "l", "providers": ["openai"], "token": token}))?;
    until("the token works", || Ok(envoy.send(&models(token))?.status == 200))?;
    Ok(())
}

#[test]
fn a_late_answer_does_not_bring_a_token_back() -> Result<()> {
    // The lookup is answered with the old record, after the feed has reported the change.
    let revoked = Arc::new(AtomicBool::new(false));
    let is_revoked = Arc::clone(&revoked);
    let registry = Scripted::start(move |call| {
        let is_revoked = is_revoked.load(Ordering::SeqCst);
        let feed = |changes: &[Value]| {
            let sequence = if is_revoked { 2 } else { 1 };
            let history = format!("{sequence:016x}");
            let feed = json!({"sequence": sequence, "history": history, "reset": false, "changes": changes});
            Script::After(Duration::from_millis(100), Box::new(Script::answer(200, feed.to_string())))
        };
        match call.target.strip_prefix("/v1/tokens/") {
            Some(_) if is_revoked => Script::answer(404, r#"{"code":"unknown_token"}"#),
            Some(digest) => {
                Script::After(Duration::from_secs(4), Box::new(Script::answer(200, record(digest, 1))))
            }
            None if is_revoked && call.target.contains("since=1&") => {
                feed(&[json!({"kind": "token", "key": digest(GOOD), "sequence": 2})])
            }
            None => feed(&[]),
        }
    })?;
    let standin = Standin::start()?;
    let slow = json!({"timeout": "10s"});
    let envoy = setup(&policy(&slow), &standin).registry(registry.address()).start()?;
    until_followed(&registry, 1)?;
    thread::scope(|scope| {
        let waiting = scope.spawn(|| envoy.send(&models(GOOD)));
        until("the lookup is on its way", || Ok(registry.count("/v1/tokens/") > 0))?;
        revoked.store(true, Ordering::SeqCst);
        let status = waiting.join().map_err(|_| anyhow::anyhow!("panicked"))??.status;
        // Envoy's main thread follows the feed too.
        ensure!(registry.count("/v1/changes?since=2&") >= 2, "the change was told too late for this test");
        ensure!(status == 401, "the late answer let the request in: {status}");
        ensure!(envoy.send(&models(GOOD))?.status == 401);
        Ok(())
    })
}

#[test]
fn without_a_feed_the_time_to_live_is_the_bound_and_a_record_in_use_is_renewed_before_it() -> Result<()> {
    let known = Arc::new(AtomicBool::new(true));
    let is_known = Arc::clone(&known);
    let registry = Scripted::start(move |call| {
        let is_known = is_known.load(Ordering::SeqCst);
        if call.target.contains("/tokens/") {
            healthy(call, |_| is_known)
        } else {
            Script::answer(404, r#"{"code":"unknown_token"}"#)
        }
    })?;
    let standin = Standin::start()?;
    let short = json!({"cache": {"positive": "2s", "negative": "1s"}});
    let envoy = setup(&policy(&short), &standin).registry(registry.address()).concurrency(2).start()?;
    let started = Instant::now();
    let mut slowest = Duration::ZERO;
    while started.elapsed() < Duration::from_secs(4) {
        let asked = Instant::now();
        ensure!(envoy.send(&models(GOOD))?.status == 200);
        slowest = slowest.max(asked.elapsed());
    }
    let calls = registry.count("/v1/tokens/");
    ensure!((3..=12).contains(&calls), "{calls} calls in four seconds");
    known.store(false, Ordering::SeqCst);
    let gone = until("the token is refused", || Ok(envoy.send(&models(GOOD))?.status == 401))?;
    ensure!(gone < Duration::from_secs(3), "{gone:?}");
    Ok(())
}

#[test]
fn the_days_on_which_tokens_were_used_are_reported_once_and_again_after_a_failure() -> Result<()> {
    let mut registry = Registry::start()?;
    let standin = Standin::start()?;
    let envoy = setup(&policy(&json!({})), &standin).registry(registry.address()).start()?;
    let mut digests = BTreeSet::new();
    for _ in 0..3 {
        let created = registry.create_token(&json!({"label": "l", "providers": ["openai"]}))?;
        let token = created["token"].as_str().unwrap_or_default();
        for _ in 0..5 {
            ensure!(envoy.send(&models(token))?.status == 200);
        }
        digests.insert(digest(token));
    }
    // The report is due while the registry is down.
    registry.kill();
    // Envoy answers for a registry that refuses connections.
    until("a report fails", || {
        Ok(envoy.admin("/stats?filter=kind.usage.outcome.unavailable")?.contains(": 1"))
    })?;
    registry.restart()?;
    let used = |sha256: &String| {
        let token = registry.admin("GET", &format!("/tokens/{sha256}"), &Value::Null)?;
        Ok(token["last_used"].is_string())
    };
    until("every token was reported", || {
        digests.iter().map(used).collect::<Result<Vec<bool>>>().map(|used| used.into_iter().all(|it| it))
    })?;
    Ok(())
}

#[test]
fn another_authorization_server_can_tell_of_tokens() -> Result<()> {
    let registry = Scripted::start(|call| {
        let body = String::from_utf8_lossy(&call.body).into_owned();
        match body.strip_prefix("token=") {
            Some("opaque%2Ftoken%3D1") => {
                Script::answer(200, r#"{"active":true,"username":"bob@example.com","exp":4000000000}"#)
            }
            Some(_) => Script::answer(200, r#"{"active":false}"#),
            None => Script::answer(400, "{}"),
        }
    })?;
    let standin = Standin::start()?;
    let introspection = json!({"url": "http://idp.test/oauth2/introspect", "plaintext": "trusted_network", "introspection": {"providers": ["openai"]}});
    let envoy = setup(&policy(&introspection), &standin).registry(registry.address()).start()?;
    ensure!(envoy.send(&models("opaque/token=1"))?.status == 200);
    ensure!(envoy.send(&models("opaque/token=1"))?.status == 200);
    ensure!(envoy.send(&models("opaque/token=2"))?.status == 401);
    let calls = registry.calls();
    ensure!(calls.len() == 2, "{} calls", calls.len());
    ensure!(calls.iter().all(|call| call.method == "POST" && call.target == "/oauth2/introspect"));
    let log = envoy.log();
    ensure!(!log.contains("opaque"), "the token is in the log");
    Ok(())
}

#[test]
fn heads_that_are_kept_for_comparisons_take_bounded_memory() -> Result<()> {
    let registry = Scripted::start(|call| match call.target.strip_prefix("/v1/tokens/") {
        Some(_) => Script::Hang,
        None => quiet_feed(call),
    })?;
    let standin = Standin::start()?;
    let shadow = with(&policy(&json!({"timeout": "30s"})), &json!({"mode": "shadow"}));
    let envoy = setup(&shadow, &standin).registry(registry.address()).start()?;
    let large = models(GOOD).header("host", "api.openai.com").header("x-pad", "p".repeat(50_000));
    ensure!(envoy.burst(&vec![large.clone(); 50])?.iter().all(|answer| answer.status == 200));
    let before = envoy.memory()?;
    // All wait for one call, so that nothing but the bound frees a head: 25 MB would be kept without it.
    for _ in 0..10 {
        ensure!(envoy.burst(&vec![large.clone(); 50])?.iter().all(|answer| answer.status == 200));
    }
    ensure!(registry.count("/v1/tokens/") == 1, "the call did not go on");
    let grown = envoy.memory()?.saturating_sub(before);
    ensure!(grown < 12 << 20, "Envoy has grown by {grown} bytes");
    Ok(())
}
