//! JWTs of sessions that the registry issues: verified offline, and refused once the registry says that the session has ended.

use keyswap_core::host::MemoryStore;
use serde_json::{Value, json};

use crate::support::worker::{Answer, Worker, at, nobody_is_asked, registry_policy};
use crate::support::{NOW, Signer, b64u, errors, with};

const ISSUER: &str = "https://keyswap.example";

fn signer() -> Signer {
    Signer::new(3, "s1")
}

fn entry(changes: &Value) -> Value {
    let entry = json!({
        "name": "sessions", "preset": "keyswap", "issuer": ISSUER, "audiences": ["keyswap"],
        "jwks": {"inline": {"keys": [signer().jwk()]}},
    });
    with(&entry, changes)
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "keyswap", "sub": "alice@example.com", "client_id": "keyswap", "sid": "s-1", "jti": "j",
        "iat": NOW, "exp": NOW + 900, "email": "alice@example.com", "email_verified": true,
    })
}

fn jwt(changes: &Value) -> String {
    let header = json!({"alg": "ES256", "kid": "s1", "typ": "at+jwt"}).to_string();
    signer().sign_raw(&header, with(&claims(), changes).to_string())
}

/// Returns the registry's word about Alice.
fn alice(changes: &Value) -> impl Fn(&str) -> Answer + use<> {
    let record =
        json!({"email": "alice@example.com", "status": "active", "providers": ["openai"], "version": 2});
    let record = with(&record, changes).to_string();
    move |path| {
        assert_eq!(path, "/v1/principals/alice%40example.com");
        Answer(200, record.clone())
    }
}

fn worker(changes: &Value) -> Worker {
    Worker::new(&registry_policy(&with(&json!({"issuers": [entry(&json!({}))]}), changes)))
}

/// Returns the status of a request with a JWT, to a worker that has asked for nothing yet.
fn ask(worker: &Worker, jwt: &str, service: &dyn Fn(&str) -> Answer) -> u16 {
    worker.ask(&MemoryStore::default(), jwt, at(1), service)
}

#[test]
fn a_session_passes_until_the_registry_says_that_it_has_ended() {
    for (record, changes, status) in [
        (json!({}), json!({}), 200),
        (json!({"ended_sessions": []}), json!({}), 200),
        (json!({"ended_sessions": ["s-2"]}), json!({}), 200),
        (json!({"ended_sessions": ["s-2", "s-1"]}), json!({}), 401),
        (json!({"ended_sessions": ["s-2", "s-1"]}), json!({"sid": "s-3"}), 200),
        (json!({"status": "disabled"}), json!({}), 403),
        (json!({"providers": ["gemini"]}), json!({}), 403),
        // A list that cannot be read lets no session in.
        (json!({"ended_sessions": "s-1"}), json!({}), 503),
    ] {
        let found = ask(&worker(&json!({})), &jwt(&changes), &alice(&record));
        assert_eq!(found, status, "{record} {changes}");
    }
    let unknown = |_: &str| Answer(404, r#"{"code":"unknown_user"}"#.to_owned());
    assert_eq!(ask(&worker(&json!({})), &jwt(&json!({})), &unknown), 403);
}

#[test]
fn a_session_that_was_let_in_is_refused_after_the_feed_tells_a_change() {
    let (worker, store) = (worker(&json!({})), MemoryStore::default());
    worker.hear(&store, at(0), &json!({"sequence": 1, "reset": false, "changes": []}));
    let (first, other) = (jwt(&json!({})), jwt(&json!({"sid": "s-2"})));
    for token in [&first, &other] {
        assert_eq!(worker.ask(&store, token, at(1), &alice(&json!({"version": 1}))), 200);
    }
    assert_eq!(worker.ask(&store, &first, at(2), &nobody_is_asked), 200);
    let change = json!({"kind": "user", "key": "alice@example.com", "sequence": 2});
    worker.hear(&store, at(3), &json!({"sequence": 2, "reset": false, "changes": [change]}));
    let ended = alice(&json!({"ended_sessions": ["s-1"]}));
    assert_eq!(worker.ask(&store, &first, at(4), &ended), 401);
    assert_eq!(worker.ask(&store, &other, at(4), &nobody_is_asked), 200, "the other session goes on");
}

#[test]
fn a_record_of_the_policy_lets_no_ended_session_in_and_shuts_a_person_out() {
    let people = |changes: &Value| {
        let person = json!({"email": "alice@example.com", "providers": ["openai"]});
        worker(&json!({"principals": [with(&person, changes)]}))
    };
    let ended = alice(&json!({"ended_sessions": ["s-1"]}));
    assert_eq!(ask(&people(&json!({})), &jwt(&json!({})), &ended), 401);
    assert_eq!(ask(&people(&json!({})), &jwt(&json!({})), &alice(&json!({}))), 200);
    let disabled = people(&json!({"status": "disabled"}));
    assert_eq!(ask(&disabled, &jwt(&json!({})), &nobody_is_asked), 403);
}

#[test]
fn a_token_that_is_not_of_a_session_is_refused_before_anybody_is_asked() {
    for changes in [
        json!({"sid": null}),
        json!({"sid": ""}),
        json!({"sid": 7}),
        json!({"sid": "a\nb"}),
        json!({"email": null}),
        json!({"sub": null}),
        json!({"aud": "other"}),
        json!({"iss": "https://evil.example"}),
        json!({"exp": NOW - 600}),
        json!({"iat": NOW + 600}),
    ] {
        assert_eq!(ask(&worker(&json!({})), &jwt(&changes), &nobody_is_asked), 401, "{changes}");
    }
    let payload = b64u(claims().to_string());
    let header = |header: Value| b64u(header.to_string());
    let [_, _, signature] =
        jwt(&json!({})).split('.').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
    for token in [
        format!("{}.{payload}.", header(json!({"alg": "none"}))),
        format!("{}.{payload}.{signature}", header(json!({"alg": "HS256", "kid": "s1"}))),
        format!("{}.{payload}.{signature}", header(json!({"alg": "ES256", "kid": "s2"}))),
        // The signature is of a header with another type.
        format!("{}.{payload}.{signature}", header(json!({"alg": "ES256", "kid": "s1"}))),
        signer().sign_raw(&json!({"alg": "ES256", "typ": "at+jwt"}).to_string(), claims().to_string()),
        signer().sign_raw(
            &json!({"alg": "ES256", "kid": "s1", "typ": "keyswap-record+jws"}).to_string(),
            claims().to_string(),
        ),
    ] {
        assert_eq!(ask(&worker(&json!({})), &token, &nobody_is_asked), 401, "{token}");
    }
}

#[test]
fn the_preset_needs_a_registry_and_takes_its_people_only() {
    let with_registry = |changes: &Value| {
        let document = registry_policy(&json!({"issuers": [entry(changes)]})).to_string();
        keyswap_core::policy::Policy::from_json(document.as_bytes())
            .map_or_else(|errors| errors.to_string(), |_| String::new())
    };
    assert_eq!(with_registry(&json!({})), "");
    assert_eq!(with_registry(&json!({"jwks": null})), "");
    for (changes, expect) in [
        (
            json!({"principals": "any"}),
            "issuers[0].principals`: a session is of a person that the registry knows",
        ),
        (json!({"email_claim": "upn"}), "issuers[0].email_claim`"),
        (json!({"unverified_email": "allow"}), "issuers[0].unverified_email`"),
        (json!({"service_tokens": ["s"]}), "issuers[0].service_tokens`"),
        (json!({"tenants": ["t"]}), "issuers[0].tenants`"),
        (json!({"issuer": "keyswap"}), "issuers[0].issuer`"),
    ] {
        let found = with_registry(&changes);
        assert!(found.contains(expect), "{changes}: {found}");
    }
    let found = errors(&entry(&json!({})));
    assert!(found.contains("issuers[0].preset`: its sessions are those of a `registry`"), "{found}");
}
