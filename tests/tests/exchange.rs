//! Exchanges of callers' identities for credentials of their own, in Envoy: the faults of services, and many callers at
//! once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::exchange::{ISSUER, jwt, members, subject};
use keyswap_tests::{Call, Envoy, Request, Script, Scripted, Setup, SigningKey, Standin, under_load, until};
use serde_json::{Value, json};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The header by which the upstream sees the caller's name: the JWT does not reach it.
const SENTINEL: &str = "x-sentinel";

fn issuer(key: &SigningKey) -> Value {
    json!({
        "name": "cluster", "preset": "oidc", "issuer": ISSUER, "audiences": ["keyswap"], "principals": "any",
        "jwks": {"inline": {"keys": [key.jwk()]}},
    })
}

/// Returns a set-up whose callers' JWTs are exchanged at this service.
fn with_exchange(key: &SigningKey, service: &Scripted, standin: &Standin, timeout: &str) -> Setup {
    let policy = json!({
        "version": "keyswap/v1",
        "issuers": [issuer(key)],
        "credentials": {"openai": [{"http": {
            "url": "http://sts/token", "plaintext": "trusted_network", "form": {"grant_type": EXCHANGE, "subject_token": {"caller": "jwt"}},
            "subject": "caller", "expect": {"/subject": {"claim": "sub"}}, "value": "/access_token", "expires_in": "/expires_in",
            "refresh_before": "0s", "timeout": timeout,
        }}]},
    });
    Envoy::with(&policy).upstream(standin).cluster("sts", service.address())
}

/// Returns the same set-up with a call before: the credential of that one stands in the exchange.
fn with_chain(key: &SigningKey, service: &Scripted, standin: &Standin) -> Setup {
    let source = |path: &str, form: Value| {
        json!({
            "url": format!("http://sts{path}"), "plaintext": "trusted_network", "form": form, "subject": "caller",
            "expect": {"/subject": {"claim": "sub"}}, "value": "/access_token", "expires_in": "/expires_in",
            "refresh_before": "0s", "timeout": "30s",
        })
    };
    let mut exchange = source("/token", json!({"subject_token": {"caller": "jwt"}}));
    exchange["credential"] = json!({"credential": "federated"});
    let policy = json!({
        "version": "keyswap/v1",
        "issuers": [issuer(key)],
        "credentials": {
            "openai": [{"http": exchange}],
            "federated": [{"http": source("/first", json!({"subject_token": {"caller": "jwt"}}))}],
        },
    });
    Envoy::with(&policy).upstream(standin).cluster("sts", service.address())
}

/// Answers both calls of that chain. The second one takes the credential of the first only, for the same subject.
fn chained(call: &Call, seconds: u64, number: usize) -> Script {
    let of = members(call).get("subject_token").and_then(|jwt| subject(jwt)).unwrap_or_default();
    let is_its_own = |value: &str| value.starts_with(&format!("Bearer of.{of}."));
    let mut headers = call.headers.iter();
    if call.target == "/token" && !headers.any(|(name, value)| name == "authorization" && is_its_own(value)) {
        return Script::answer(401, "{}");
    }
    exchanged(call, seconds, number)
}

/// Exchanges a JWT as it should be: the credential names the subject, and another one each time.
fn exchanged(call: &Call, seconds: u64, number: usize) -> Script {
    let subject = members(call).get("subject_token").and_then(|jwt| subject(jwt)).unwrap_or_default();
    let answer = json!({
        "access_token": format!("of.{subject}.{number}"), "subject": subject, "token_type": "Bearer", "expires_in": seconds,
    });
    Script::answer(200, answer.to_string())
}

fn models(jwt: &str, subject: &str) -> Request {
    Request::get("/v1/models").header("authorization", format!("Bearer {jwt}")).header(SENTINEL, subject)
}

#[test]
fn a_hundred_callers_on_two_workers_get_no_credential_but_their_own() -> Result<()> {
    let key = SigningKey::p256("k")?;
    let number = AtomicUsize::new(0);
    let service = Scripted::start(move |call| {
        let answer = chained(call, 3, number.fetch_add(1, Ordering::SeqCst));
        // Answers overtake each other.
        Script::After(
            Duration::from_millis(u64::from(call.body.last().copied().unwrap_or_default()) % 16),
            Box::new(answer),
        )
    })?;
    let standin = Standin::start()?;
    let foreign = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&foreign);
    standin.watch(move |request| {
        let own = request.header(SENTINEL).map(|subject| format!("Bearer of.{subject}."));
        let credential = request.header("authorization").unwrap_or_default();
        if !own.is_some_and(|own| credential.starts_with(&own)) {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let envoy = with_chain(&key, &service, &standin).concurrency(2).start()?;
    let callers = (0..100).map(|caller| format!("caller-{caller}"));
    let callers: Vec<(String, String)> =
        callers.map(|caller| Ok((jwt(&key, &caller)?, caller))).collect::<Result<_>>()?;
    under_load(
        8,
        |thread, number| {
            let (jwt, subject) = &callers[(thread * 37 + number) % callers.len()];
            let response = envoy.send(&models(jwt, subject))?;
            ensure!(response.status == 200, "{subject}: {response:?}");
            Ok(())
        },
        |load| {
            // Long enough for each caller to come back on both workers, and for every value to be renewed.
            let most = 2 * callers.len();
            until("values are renewed", || Ok(service.count("/token") > 2 * most))?;
            load.passes_each(callers.len())
        },
    )?;
    ensure!(foreign.load(Ordering::SeqCst) == 0, "{foreign:?} requests had the credential of another caller");
    Ok(())
}

#[test]
fn a_service_that_is_of_no_help_lets_nobody_new_in_and_nobody_known_out() -> Result<()> {
    let key = SigningKey::p256("k")?;
    let for_another =
        json!({"access_token": "of.bob.1", "subject": "bob", "token_type": "Bearer", "expires_in": 600});
    let without_subject = json!({"access_token": "t", "token_type": "Bearer", "expires_in": 600});
    let service = Scripted::start(|call| exchanged(call, 600, 1))?;
    let standin = Standin::start()?;
    let envoy = with_exchange(&key, &service, &standin, "500ms").start()?;
    let known = jwt(&key, "known")?;
    ensure!(envoy.send(&models(&known, "known"))?.status == 200);
    for (number, script) in [
        Script::Close,
        Script::Hang,
        Script::CutOff,
        Script::answer(200, for_another.to_string()),
        Script::answer(200, without_subject.to_string()),
        Script::answer(200, "{}"),
        Script::answer(200, "\u{0}".repeat(70_000)),
        Script::answer(302, "{}"),
        Script::answer(400, r#"{"error":"invalid_grant"}"#),
        Script::answer(503, "sentinel-of-the-service"),
    ]
    .into_iter()
    .enumerate()
    {
        let context = format!("{script:?}").chars().take(99).collect::<String>();
        let subject = format!("new-{number}");
        let fresh = jwt(&key, &subject)?;
        service.now(move |_| script.clone());
        let response = envoy.send(&models(&fresh, &subject))?;
        ensure!(response.status == 503, "{context}: {response:?}");
        ensure!(
            response.header("x-keyswap-reason") == Some("upstream_credential_unavailable"),
            "{context}: {response:?}"
        );
        ensure!(envoy.send(&models(&known, "known"))?.status == 200, "{context}");
        service.now(|call| exchanged(call, 600, 2));
        // The pause of an outage is over within half a minute; a caller's own after a second.
        let back =
            until("the service is asked again", || Ok(envoy.send(&models(&fresh, &subject))?.status == 200));
        back.with_context(|| context.clone())?;
    }
    ensure!(standin.take().iter().all(|it| {
        let own = it.header(SENTINEL).map(|subject| format!("Bearer of.{subject}."));
        own.is_some_and(|own| it.header("authorization").unwrap_or_default().starts_with(&own))
    }));
    let log = envoy.log();
    ensure!(!log.contains("eyJ") && !log.contains("sentinel-of") && !log.contains("of.bob"), "{log}");
    Ok(())
}

#[test]
fn callers_that_come_at_once_wait_for_one_exchange() -> Result<()> {
    let key = SigningKey::p256("k")?;
    let service =
        Scripted::start(|call| Script::After(Duration::from_millis(300), Box::new(exchanged(call, 600, 1))))?;
    let standin = Standin::start()?;
    let envoy = with_exchange(&key, &service, &standin, "30s").start()?;
    let one = jwt(&key, "one")?;
    thread::scope(|scope| {
        let calls: Vec<_> = (0..16).map(|_| scope.spawn(|| envoy.send(&models(&one, "one")))).collect();
        for call in calls {
            let response = call.join().map_err(|_| anyhow::anyhow!("a caller panicked"))??;
            ensure!(response.status == 200, "{response:?}");
        }
        ensure!(service.count("/token") == 1, "{} exchanges", service.count("/token"));
        Ok(())
    })
}
