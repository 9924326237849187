//! Scale: many tokens, many people, many providers, a large policy, and many streams that end early.
//!
//! In CI the numbers are small. In `cargo xtask scale` they are those of the promises, and each test leaves its figures.

use std::{
    fs,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{
    Envoy, Issuer, KEYSWAP, Leave, Registry, Request, SigningKey, Standin, Testbed,
    hardening::{is_recorded, tell},
    tools, unix_now, until, with,
};
use serde_json::{Map, Value, json};

use crate::postgres::Postgres;

const ISSUER: &str = "https://id.scale.example/realms/a";
const REAL: &str = "sk-real-openai";
/// The clients that send at the same time.
const CLIENTS: usize = 4;
/// The tokens of one document to import: it has at most 8 MiB.
const MOST_TOKENS_OF_A_DOCUMENT: usize = 25_000;
/// The requests between two looks at what has reached the upstream.
const BATCH: usize = 1000;
/// The tokens that are used once more without the registry.
const RECENT: usize = 1000;
/// The growth of memory that is none, in bytes: buffers of what is on its way.
const SPARE_MEMORY: u64 = 24 << 20;

/// Returns the number for CI, or that of the promise.
fn number(of_ci: usize, promised: usize) -> usize {
    if is_recorded() { promised } else { of_ci }
}

/// Calls `call` with each number of a range, by several clients at the same time.
fn each(numbers: std::ops::Range<usize>, call: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(numbers.start);
    thread::scope(|scope| {
        let client = || loop {
            match next.fetch_add(1, Ordering::SeqCst) {
                number if number < numbers.end => call(number)?,
                _ => return Ok(()),
            }
        };
        let running: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        running.into_iter().try_for_each(|it| it.join().unwrap_or_else(|_| anyhow::bail!("a panic")))
    })
}

/// Does the same in batches, and takes what has reached the upstream after each.
fn in_batches(
    number: usize,
    standin: &Standin,
    secrets: &[&str],
    call: impl Fn(usize) -> Result<()> + Sync,
) -> Result<()> {
    for begin in (0..number).step_by(BATCH) {
        each(begin..number.min(begin + BATCH), &call)?;
        for request in standin.take_without(secrets)? {
            ensure!(request.credentials() == [format!("authorization: Bearer {REAL}")], "{request:?}");
        }
    }
    Ok(())
}

fn expect(envoy: &Envoy, request: &Request, expected: &str) -> Result<()> {
    let response = envoy.send(request)?;
    ensure!(
        response.verdict() == expected,
        "{} instead of {expected}: {}",
        response.verdict(),
        response.text()
    );
    Ok(())
}

/// Returns the policy of a registry whose records are good for an hour, so that each is asked for once.
fn policy() -> Value {
    let registry =
        with(&Testbed::registry(), &json!({"cache": {"positive": "1h", "negative": "10s"}, "timeout": "5s"}));
    with(&Testbed::registry_policy(), &json!({"registry": registry, "objects": "shared"}))
}

fn small_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[test]
fn each_of_many_tokens_is_used_without_the_registry_once_it_is_known() -> Result<()> {
    let number = number(300, 100_000);
    let token = |number: usize| format!("ptk_of-many-{number:06}-0123456789abcdef");
    let entry = |number| {
        let sha256 = Digest::of(token(number).as_bytes()).to_hex();
        json!({"sha256": sha256, "label": format!("token {number}"), "providers": ["openai"]})
    };
    let (postgres, folder) = (Postgres::start(), tempfile::tempdir()?);
    let mut registry = Registry::setup().database(&postgres.url()).start()?;
    for begin in (0..number).step_by(MOST_TOKENS_OF_A_DOCUMENT) {
        let tokens = (begin..number.min(begin + MOST_TOKENS_OF_A_DOCUMENT)).map(entry);
        let document = json!({"tokens": tokens.collect::<Vec<_>>()});
        let file = folder.path().join("tokens.json");
        fs::write(&file, document.to_string())?;
        let mut import = Command::new(KEYSWAP.path()?);
        import.args(["token", "import"]).arg(&file).args(["--database", &postgres.url()]);
        tools::run(&mut import, "the registry is there")?;
    }

    let standin = Standin::start()?;
    let setup = Envoy::with(&policy()).env("OPENAI_API_KEY", REAL);
    let setup = setup.env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token()).registry(registry.address());
    let envoy = setup.upstream(&standin).concurrency(2).without_access_log().start()?;
    let ask = |number: usize, expected: &str| {
        expect(&envoy, &Request::get("/v1/models").bearer(&token(number)), expected)
    };
    let before = envoy.memory()?;
    // A record of the time before the feed of changes began is asked for again. Envoy's main thread follows the feed, too.
    let found = |kind| envoy.stat(&format!("wasmcustom.keyswap.fetches.kind.{kind}.outcome.found"));
    until("each worker follows the feed", || Ok(found("changes")? >= 3))?;
    in_batches(number, &standin, &["ptk_"], |number| ask(number, "200"))?;
    let (after, calls) = (envoy.memory()?, found("token")?);
    ensure!(calls >= small_u64(number), "{calls} calls");
    in_batches(number, &standin, &["ptk_"], |number| ask(number, "200"))?;
    let again = found("token")? - calls;
    // Those that were used last are known, as many as memory holds.
    registry.kill();
    let recent = number.min(RECENT);
    in_batches(recent, &standin, &["ptk_"], |place| ask(number - recent + place, "200"))?;
    let at_last = envoy.memory()?;
    ensure!(at_last <= after + SPARE_MEMORY, "memory grows by use: from {after} to {at_last}");
    ask(number, "503 token_store_unavailable")?;
    tell(
        "tokens",
        &[
            (small_u64(number), "tokens"),
            (2 * small_u64(number), "passed"),
            (calls, "calls at first use"),
            (again, "at second use"),
            (small_u64(recent), "passed without the registry"),
            ((at_last.saturating_sub(before)) >> 20, "MiB more in two workers"),
        ],
    )
}

#[test]
fn each_of_many_people_is_let_in_and_asked_for_once() -> Result<()> {
    let number = number(300, 10_000);
    let key = SigningKey::p256("k")?;
    let issuer = Issuer::start(ISSUER, &[&key])?;
    let (mut registry, standin) = (Registry::start()?, Standin::start()?);
    let issuers = json!([{
        "name": "id", "preset": "oidc", "issuer": ISSUER, "audiences": ["keyswap"], "principals": "any",
        "providers": ["openai"],
    }]);
    let setup = Envoy::with(&with(&policy(), &json!({"issuers": issuers}))).env("OPENAI_API_KEY", REAL);
    let setup = setup.env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token()).registry(registry.address());
    // A person without a record is no record that workers could share: each asks for itself.
    let setup = setup.cluster(issuer.host(), issuer.server().address()).upstream(&standin).concurrency(1);
    let envoy = setup.without_access_log().start()?;
    let ask = |number: usize| {
        let jwt = key.sign(&json!({
            "iss": ISSUER, "aud": "keyswap", "sub": number.to_string(), "exp": unix_now() + 300,
            "email": format!("person-{number}@example.com"), "email_verified": true,
        }))?;
        expect(&envoy, &Request::get("/v1/models").bearer(&jwt), "200")
    };
    let before = envoy.memory()?;
    in_batches(number, &standin, &["eyJ"], ask)?;
    let after = envoy.memory()?;
    registry.kill();
    in_batches(number, &standin, &["eyJ"], ask)?;
    ensure!(issuer.fetches() == 1, "{} fetches of keys", issuer.fetches());
    tell(
        "people",
        &[
            (small_u64(number), "people"),
            (2 * small_u64(number), "passed"),
            (after.saturating_sub(before) >> 20, "MiB more"),
        ],
    )
}

#[test]
fn a_large_policy_with_many_providers_gives_each_its_own_credential() -> Result<()> {
    const HOST: &str = "api.openai.com";
    let (providers, tokens) = (number(50, 1000), number(200, 6000));
    let id = |number: usize| format!("provider-{number:04}");
    let rows: Map<String, Value> = (0..providers)
        .map(|number| (id(number), json!({"url": format!("https://{HOST}/{number}")})))
        .collect();
    let credentials: Map<String, Value> =
        (0..providers).map(|number| (id(number), json!([{"env": format!("KEY_{number}")}]))).collect();
    let token = |number: usize| format!("ptk_of-many-{number:06}-0123456789abcdef");
    let entry = |number: usize| {
        let scope = if number == 0 { (0..providers).map(id).collect() } else { vec![id(number % providers)] };
        json!({
            "sha256": Digest::of(token(number).as_bytes()).to_hex(), "label": format!("token {number}"),
            "owner": format!("owner-{number}@example.com"), "providers": scope,
        })
    };
    let policy = json!({
        "version": "keyswap/v1", "providers": rows, "credentials": credentials, "objects": "shared",
        "tokens": (0..tokens).map(entry).collect::<Vec<_>>(),
    });
    let standin = Standin::start()?;
    let mut figures = vec![
        (small_u64(policy.to_string().len()), "bytes"),
        (small_u64(providers), "providers"),
        (small_u64(tokens), "tokens"),
    ];
    for is_native in [false, true] {
        let setup = Envoy::with(&policy).upstream(&standin).without_access_log();
        let setup = (0..providers)
            .fold(setup, |setup, number| setup.env(&format!("KEY_{number}"), &format!("real-{number}")));
        let setup = if is_native { setup.native() } else { setup };
        let envoy = setup.start()?;
        let started = envoy.processor_time()?;
        each(0..providers, |number| {
            let target = format!("/{}/v1/chat/completions", id(number));
            let chat = Request::post(&target, &json!({"model": "m", "messages": []}));
            // One token for all, and one for its own provider.
            for sender in [0, number + providers] {
                expect(&envoy, &chat.clone().bearer(&token(sender)), "200")?;
            }
            let foreign = (number + 1) % providers + providers;
            expect(&envoy, &chat.bearer(&token(foreign)), "403 provider_not_allowed")
        })?;
        for request in standin.take_without(&["ptk_"])? {
            let place = request.target.split('/').nth(1).unwrap_or_default();
            ensure!(request.credentials() == [format!("authorization: Bearer real-{place}")], "{request:?}");
        }
        let milliseconds = u64::try_from(started.as_millis())?;
        figures.push((
            milliseconds,
            if is_native { "ms of CPU to start the module" } else { "ms of CPU to start the filter" },
        ));
    }
    tell("policy", &figures)
}

#[test]
fn streams_that_end_early_in_any_state_leave_nothing_behind() -> Result<()> {
    let number = number(1000, 100_000);
    let (standin, registry) = (Standin::start()?, Registry::start()?);
    // Some hundreds of requests can be reserved for, not as many as are left.
    let budget = json!({"tokens": 500_000 + 40 * number, "per": "month"});
    let metering = json!({"when_left": "seen"});
    let policy = with(&policy(), &json!({"budgets": {"token": budget}, "metering": metering}));
    let created = registry.create_token(&json!({"label": "scale", "providers": ["openai"]}))?;
    let token = created["token"].as_str().context("no token")?;
    for is_native in [false, true] {
        let setup = Envoy::with(&policy).env("OPENAI_API_KEY", REAL).upstream(&standin).concurrency(2);
        let setup =
            setup.env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token()).registry(registry.address());
        let setup = if is_native { setup.native() } else { setup };
        let envoy = setup.without_access_log().start()?;
        let chat = |stream: bool, sender: &str| {
            let body = json!({"model": "m", "max_tokens": 1000, "stream": stream, "messages": []});
            Request::post("/v1/chat/completions", &body).bearer(sender)
        };
        expect(&envoy, &chat(false, token), "200")?;
        let mut levels = Vec::new();
        for begin in (0..number / 2).step_by(BATCH) {
            each(begin / 50..(begin + BATCH).min(number / 2) / 50, |batch| {
                let of = |place: usize| {
                    let unknown = format!("ptk_unknown-{batch}-{place}-0123456789abcdef");
                    let sender = if place % 10 == 9 { &unknown } else { token };
                    (
                        chat(place.is_multiple_of(2), sender),
                        Leave::ALL[(batch + place / 2) % Leave::ALL.len()],
                    )
                };
                let requests: Vec<_> = (0..50).map(of).collect();
                for (status, (_, leave)) in envoy.leave_http2(&requests)?.into_iter().zip(&requests) {
                    let is_expected = matches!(status, None | Some(200 | 401 | 503));
                    ensure!(is_expected, "{status:?} where a client leaves {leave:?}");
                }
                Ok(())
            })?;
            standin.take_without(&["ptk_"])?;
            levels.push(envoy.memory()?);
        }
        until("no stream is left", || Ok(envoy.stat("http.keyswap.downstream_rq_active")? == 0))?;
        // What was reserved has come back: else the budget would be gone.
        each(0..100, |_| expect(&envoy, &chat(false, token), "200"))?;
        standin.take_without(&["ptk_"])?;
        let least = |levels: &[u64]| levels.iter().min().copied().unwrap_or_default();
        let (early, late) = levels.split_at(levels.len().div_ceil(2));
        ensure!(late.is_empty() || least(late) <= least(early) + SPARE_MEMORY, "memory grows: {levels:?}");
    }
    tell("streams", &[(small_u64(number), "streams reset"), (200, "passed afterwards")])
}
