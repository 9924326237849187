//! The keys of an issuer: the number of fetches, and the requests while no keys are available.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use keyswap_tests::{
    Issuer, Request, Script, Scripted, SigningKey, Testbed, faults, under_load, unix_now, until, with,
};
use serde_json::{Value, json};

const UNAVAILABLE: &str = "503 issuer_keys_unavailable";
const INVALID: &str = "401 token_invalid";

fn url(name: &str) -> String {
    format!("https://{name}.example")
}

/// Returns a generic issuer whose keys have a configured address.
fn of_jwks(name: &str, jwks: &Value) -> Value {
    let address = json!({"url": format!("{}/jwks", url(name)), "timeout": "500ms"});
    json!({"jwks": with(&address, jwks)})
}

fn policy(issuers: &[(&str, Value)]) -> Value {
    let issuer = |(name, more): &(&str, Value)| {
        let issuer = json!({
            "name": name, "preset": "oidc", "issuer": url(name), "audiences": ["keyswap"], "principals": "any",
            "providers": ["openai"],
        });
        with(&issuer, more)
    };
    json!({
        "version": "keyswap/v1",
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "issuers": issuers.iter().map(issuer).collect::<Vec<_>>(),
    })
}

/// Starts one issuer, `id`, and an Envoy with one worker.
fn start(keys: &[&SigningKey], more: &Value) -> Result<Testbed> {
    start_with(keys, more, 1)
}

fn start_with(keys: &[&SigningKey], more: &Value, workers: u32) -> Result<Testbed> {
    let issuers = vec![Issuer::start(&url("id"), keys)?];
    Testbed::trusting(issuers, &policy(&[("id", more.clone())]), |setup| setup.concurrency(workers))
}

/// Returns the outcome of a request with a token of this key.
fn ask(bed: &Testbed, key: &SigningKey) -> Result<String> {
    Ok(bed.host.send(&request(key, "id", 0)?)?.verdict())
}

fn request(key: &SigningKey, issuer: &str, number: usize) -> Result<Request> {
    let claims = json!({
        "iss": url(issuer), "aud": "keyswap", "sub": "robot", "jti": number, "exp": unix_now() + 300,
    });
    Ok(Request::get("/v1/models").bearer(&key.sign(&claims)?))
}

#[test]
fn an_issuer_of_no_help_lets_nobody_in_while_cold_and_nobody_known_out_while_warm() -> Result<()> {
    let (old, new) = (SigningKey::p256("old")?, SigningKey::p256("new")?);
    let attacker = Scripted::start(|_| Script::answer(200, "{}"))?;
    let faults = faults::of_issuer(&attacker);
    let short = |name: &str| of_jwks(name, &json!({"cache_duration": "1s", "refetch_cooldown": "1s"}));
    let policies: Vec<_> = faults.iter().map(|(name, _)| (*name, short(name))).collect();
    let mut issuers = Vec::new();
    for (name, script) in &faults {
        let issuer = Issuer::start(&url(name), &[&old])?;
        let script = script.clone();
        issuer.server().now(move |_| script.clone());
        issuers.push(issuer);
    }
    let bed = Testbed::trusting(issuers, &policy(&policies), |setup| setup)?;
    let issuers: Vec<_> = faults.iter().map(|(name, _)| *name).zip(&bed.issuers).collect();
    for (name, issuer) in &issuers {
        for number in 0..20 {
            let started = Instant::now();
            let response = bed.host.send(&request(&old, name, number)?)?;
            ensure!(response.verdict() == UNAVAILABLE, "it {name}, cold: {}", response.verdict());
            ensure!(response.header("retry-after") == Some("1"), "it {name}: {response:?}");
            ensure!(started.elapsed() < Duration::from_secs(3), "it {name}: {:?}", started.elapsed());
        }
        // The twenty requests fit into the first pause, unless the first fetch timed out.
        ensure!(issuer.fetches() <= 3, "it {name}, cold: {} fetches", issuer.fetches());
    }
    ensure!(bed.standin.take().is_empty(), "a request went on");

    for (name, issuer) in &issuers {
        issuer.publish(&[&old]);
        until(name, || Ok(bed.host.send(&request(&old, name, 0)?)?.verdict() == "200"))?;
    }
    let memory = bed.host.memory()?;
    for ((_, issuer), (_, script)) in issuers.iter().zip(&faults) {
        let script = script.clone();
        issuer.server().now(move |_| script.clone());
    }
    let before: Vec<usize> = issuers.iter().map(|(_, issuer)| issuer.fetches()).collect();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(5) {
        for (name, _) in &issuers {
            let found = bed.host.send(&request(&old, name, 0)?)?.verdict();
            ensure!(found == "200", "it {name}, warm: {found}");
        }
    }
    for ((name, issuer), before) in issuers.iter().zip(before) {
        // After a failure at 1 s the pauses are about 1 s, 2 s and 4 s.
        let fetches = issuer.fetches() - before;
        ensure!((1..=5).contains(&fetches), "it {name}, warm: {fetches} fetches");
        // Without the issuer a new key cannot be recognised.
        let found = bed.host.send(&request(&new, name, 0)?)?.verdict();
        ensure!(found == UNAVAILABLE, "it {name}, warm, another key: {found}");
    }
    ensure!(attacker.calls().is_empty(), "a redirect was followed");
    let grown = bed.host.memory()?.saturating_sub(memory);
    ensure!(grown < 64 * 1024 * 1024, "Envoy has grown by {grown} bytes");
    Ok(())
}

#[test]
fn what_is_stale_is_used_no_longer_than_the_policy_says() -> Result<()> {
    let key = SigningKey::p256("k")?;
    let bed = start(&[&key], &of_jwks("id", &json!({"cache_duration": "1s", "stale_if_error": "2s"})))?;
    ensure!(ask(&bed, &key)? == "200");
    bed.issuers[0].server().now(|_| Script::answer(503, "{}"));
    let passed = until("the keys are too old", || Ok(ask(&bed, &key)? == UNAVAILABLE))?;
    ensure!((2000..4000).contains(&passed.as_millis()), "{passed:?}");
    bed.issuers[0].publish(&[&key]);
    until("the issuer is back", || Ok(ask(&bed, &key)? == "200"))?;
    Ok(())
}

#[test]
fn failures_are_followed_by_longer_and_longer_pauses_also_where_discovery_succeeds() -> Result<()> {
    let key = SigningKey::p256("k")?;
    let bed = start(&[&key], &json!({}))?;
    let discovery = json!({"issuer": url("id"), "jwks_uri": format!("{}/jwks", url("id"))}).to_string();
    bed.issuers[0].server().now(move |call| {
        if call.target == "/jwks" {
            Script::answer(500, "{}")
        } else {
            Script::answer(200, discovery.clone())
        }
    });
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(8) {
        ensure!(ask(&bed, &key)? == UNAVAILABLE);
        thread::sleep(Duration::from_millis(5));
    }
    // The fetches are at about 0 s, 1 s, 3 s and 7 s.
    let fetches = bed.issuers[0].fetches();
    ensure!((3..=5).contains(&fetches), "{fetches} fetches in eight seconds");
    bed.issuers[0].publish(&[&key]);
    until("the issuer is back", || Ok(ask(&bed, &key)? == "200"))?;
    Ok(())
}

#[test]
fn an_unknown_key_is_asked_for_once_per_cooldown_and_worker_however_many_there_are() -> Result<()> {
    let (key, unknown) = (SigningKey::p256("k")?, SigningKey::p256("unknown")?);
    let bed = start(&[&key], &of_jwks("id", &json!({"refetch_cooldown": "1h"})))?;
    ensure!(ask(&bed, &key)? == "200" && bed.issuers[0].fetches() == 1);
    for _ in 0..20 {
        ensure!(ask(&bed, &unknown)? == INVALID);
    }
    ensure!(bed.issuers[0].fetches() == 2, "{} fetches", bed.issuers[0].fetches());

    let bed = start_with(&[&key], &of_jwks("id", &json!({"refetch_cooldown": "2s"})), 2)?;
    let header = |kid: usize| with(&unknown.header(), &json!({"kid": format!("flood-{kid}")})).to_string();
    let claims = json!({"iss": url("id"), "aud": "keyswap", "sub": "robot", "exp": unix_now() + 300});
    let started = Instant::now();
    for batch in 0..50 {
        let tokens: Vec<Request> = (0..200)
            .map(|number| {
                let token = unknown.sign_raw(&header(200 * batch + number), claims.to_string())?;
                Ok(Request::get("/v1/models").bearer(&token))
            })
            .collect::<Result<_>>()?;
        for answer in bed.host.burst(&tokens)? {
            ensure!(answer.verdict() == INVALID, "{}", answer.verdict());
        }
        ensure!(ask(&bed, &key)? == "200", "a known key was refused");
    }
    let seconds = usize::try_from(started.elapsed().as_secs())?;
    let fetches = bed.issuers[0].fetches();
    // Each worker fetches once, once right after it, and once every two seconds.
    ensure!(fetches <= 2 * (2 + seconds.div_ceil(2)), "{fetches} fetches in {seconds} s");
    Ok(())
}

#[test]
fn new_keys_are_known_within_one_fetch_and_old_ones_until_they_leave() -> Result<()> {
    let (old, new) = (SigningKey::rsa(0, "old")?, SigningKey::rsa(1, "new")?);
    for more in [of_jwks("id", &json!({"cache_duration": "2s", "refetch_cooldown": "1s"})), json!({})] {
        let is_discovered = more.get("jwks").is_none();
        let bed = start(&[&old], &more)?;
        ensure!(ask(&bed, &old)? == "200" && bed.issuers[0].fetches() == 1);
        bed.issuers[0].publish(&[&old, &new]);
        ensure!(ask(&bed, &new)? == "200", "the first token with the new key was refused");
        ensure!(bed.issuers[0].fetches() == 2 && ask(&bed, &old)? == "200");
        bed.issuers[0].publish(&[&new]);
        ensure!(ask(&bed, &old)? == "200", "the old key left before the set was fetched");
        if !is_discovered {
            until("the old key has left", || Ok(ask(&bed, &old)? == INVALID))?;
        }
        ensure!(ask(&bed, &new)? == "200");
    }
    Ok(())
}

#[test]
fn a_new_key_is_found_while_the_set_is_being_refreshed_and_after_a_failure() -> Result<()> {
    let (old, new) = (SigningKey::p256("old")?, SigningKey::p256("new")?);
    let bed = start(&[&old], &of_jwks("id", &json!({"cache_duration": "1s"})))?;
    ensure!(ask(&bed, &old)? == "200");
    thread::sleep(Duration::from_millis(1100));
    let both = Issuer::key_set(&[&old, &new]);
    bed.issuers[0]
        .server()
        .now(move |_| Script::After(Duration::from_millis(300), Box::new(Script::answer(200, both.clone()))));
    // The first request finds the set stale and triggers the refresh; the others arrive meanwhile.
    for _ in 0..3 {
        ensure!(ask(&bed, &old)? == "200");
        let found = ask(&bed, &new)?;
        ensure!(found == "200", "a new key was refused during the refresh: {found}");
    }

    // A discovered address of the keys is discovered again after a failure, then the keys are fetched.
    let bed = start(&[&old], &json!({"jwks": {"refetch_cooldown": "1h"}}))?;
    ensure!(ask(&bed, &old)? == "200");
    bed.issuers[0].server().now(|_| Script::answer(500, "{}"));
    let found = ask(&bed, &new)?;
    ensure!(found == UNAVAILABLE, "a key that may be new was refused: {found}");
    bed.issuers[0].publish(&[&old, &new]);
    until("the new key is known", || Ok(ask(&bed, &new)? == "200"))?;
    Ok(())
}

#[test]
fn keys_that_rotate_every_two_seconds_under_load_refuse_nobody_and_are_fetched_once_a_second() -> Result<()> {
    const PERIODS: usize = 6;
    const PERIOD: Duration = Duration::from_secs(2);
    let kids: Vec<String> = (0..PERIODS + 3).map(|number| format!("k{number}")).collect();
    let keys = kids.iter().map(|kid| SigningKey::p256(kid)).collect::<Result<Vec<_>>>()?;
    // The previous key stays published for a while, and the next key is published before it signs.
    let published = |now: usize| keys[now.saturating_sub(1)..=now + 1].iter().collect::<Vec<_>>();
    let bed = start_with(&published(0), &of_jwks("id", &json!({"refetch_cooldown": "1s"})), 2)?;
    let started = Instant::now();
    let period = || usize::try_from(started.elapsed().as_millis() / PERIOD.as_millis()).unwrap_or(PERIODS);
    let call = |_, number| -> Result<()> {
        let now = period().min(PERIODS);
        let found = bed.host.send(&request(&keys[now], "id", number)?)?.verdict();
        ensure!(found == "200", "{found} for k{now} after {:?}", started.elapsed());
        Ok(())
    };
    under_load(4, call, |load| {
        for next in 1..=PERIODS {
            until("the period ends", || Ok(period() >= next))?;
            bed.issuers[0].publish(&published(next));
        }
        load.passes(100)
    })?;
    let fetches = bed.issuers[0].fetches();
    // One fetch a second by each of two workers would be 24.
    ensure!(fetches <= PERIODS * 2 + 2, "{fetches} fetches in {PERIODS} periods of two seconds");
    Ok(())
}

#[test]
fn five_hundred_first_requests_at_once_share_one_fetch_per_worker() -> Result<()> {
    let key = SigningKey::p256("k")?;
    let bed = start_with(&[], &of_jwks("id", &json!({"timeout": "5s"})), 2)?;
    let set = Issuer::key_set(&[&key]);
    bed.issuers[0]
        .server()
        .now(move |_| Script::After(Duration::from_secs(1), Box::new(Script::answer(200, set.clone()))));
    let requests = (0..500).map(|number| request(&key, "id", number)).collect::<Result<Vec<_>>>()?;
    for answer in bed.host.burst(&requests)? {
        ensure!(answer.verdict() == "200", "{}", answer.verdict());
    }
    ensure!(bed.issuers[0].fetches() <= 2, "{} fetches", bed.issuers[0].fetches());
    ensure!(bed.standin.take().len() == 500);
    Ok(())
}

#[test]
fn a_shared_kid_names_nobody_and_a_bad_key_is_left_out_alone() -> Result<()> {
    let (good, twin, rsa) =
        (SigningKey::p256("good")?, SigningKey::p256("twin")?, SigningKey::rsa(0, "rsa")?);
    let bed = start(&[], &of_jwks("id", &json!({})))?;
    let other_twin = with(&SigningKey::p256("twin")?.jwk(), &json!({}));
    let keys = json!({"keys": [
        twin.jwk(), good.jwk(), other_twin, rsa.jwk(),
        {"kty": "oct", "kid": "secret", "k": "AAAA"},
        {"kty": "RSA", "kid": "short", "n": "AQAB", "e": "AQAB"},
        with(&good.jwk(), &json!({"kid": "off-curve", "y": good.jwk()["x"]})),
        7, null,
    ]});
    bed.issuers[0].publish_raw(keys.to_string());
    for (key, expected) in [(&twin, INVALID), (&good, "200"), (&rsa, "200")] {
        let found = ask(&bed, key)?;
        ensure!(found == expected, "{}: {found}", key.header());
    }
    let log = bed.host.log();
    for place in [4, 5, 6, 7, 8] {
        ensure!(log.contains(&format!("key {place} is left out: ")), "key {place} is not in the log:\n{log}");
    }
    Ok(())
}

#[test]
fn a_discovery_document_of_another_issuer_or_with_keys_elsewhere_is_not_followed() -> Result<()> {
    let key = SigningKey::p256("k")?;
    let attacker = Scripted::start(|_| Script::answer(200, "{}"))?;
    let elsewhere = format!("http://{}/jwks", attacker.address());
    let beside = |name: &str| format!("{}/jwks", url(name));
    let documents = [
        ("another", url("evil"), beside("another")),
        ("slash", format!("{}/", url("slash")), beside("slash")),
        ("attacker", url("attacker"), elsewhere),
        ("other-host", url("other-host"), "https://evil.example/jwks".to_owned()),
        ("plain", url("plain"), "http://plain.example/jwks".to_owned()),
        ("port", url("port"), "https://port.example:8443/jwks".to_owned()),
        ("file", url("file"), "file:///etc/passwd".to_owned()),
    ];
    let policies: Vec<_> = documents.iter().map(|(name, ..)| (*name, json!({}))).collect();
    let mut issuers = Vec::new();
    for (name, issuer, jwks_uri) in documents {
        let document = json!({"issuer": issuer, "jwks_uri": jwks_uri}).to_string();
        let issuer = Issuer::start(&url(name), &[&key])?;
        issuer.server().now(move |_| Script::answer(200, document.clone()));
        issuers.push(issuer);
    }
    let bed = Testbed::trusting(issuers, &policy(&policies), |setup| setup)?;
    for ((name, _), issuer) in policies.iter().zip(&bed.issuers) {
        let found = bed.host.send(&request(&key, name, 0)?)?.verdict();
        ensure!(found == UNAVAILABLE, "{name}: {found}");
        ensure!(issuer.server().count("/.well-known/") == 1 && issuer.fetches() == 0, "{name}");
    }
    ensure!(attacker.calls().is_empty() && bed.standin.take().is_empty());
    Ok(())
}
