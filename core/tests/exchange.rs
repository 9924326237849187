//! Exchanges of a caller's identity for a credential of its own upstream.

use keyswap_core::host::MemoryStore;
use keyswap_core::policy::{Policy, PolicyErrors};
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};

use crate::support::exchange::{ask, carried, given, jwt, policy};
use crate::support::worker::{Answer, Worker, answered, at, nobody_is_asked};
use crate::support::{NOW, Signer, claims, with};

/// Returns a source that exchanges the caller's JWT (RFC 8693), with these changes.
fn exchange(changes: &Value) -> Value {
    let source = json!({
        "url": "https://sts.example/token",
        "form": {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": {"caller": "jwt"},
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        },
        "subject": "caller",
        "value": "/access_token",
        "expires_in": "/expires_in",
        "refresh_before": "10s",
    });
    json!([{"http": with(&source, changes)}])
}

#[test]
fn a_callers_jwt_is_exchanged_once_for_a_credential_that_no_other_caller_gets() {
    let signer = Signer::new(1, "k");
    let worker = Worker::new(&policy(&signer, &exchange(&json!({}))));
    let [alice, bob] = ["alice", "bob"].map(|subject| jwt(&signer, subject));
    assert_eq!(ask(&worker, &alice, at(0), &|_| given("of-alice", 60)), "Bearer of-alice");
    assert_eq!(
        worker.body(),
        format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={alice}\
             &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt"
        )
    );
    assert_eq!(ask(&worker, &alice, at(1), &nobody_is_asked), "Bearer of-alice");
    assert_eq!(ask(&worker, &bob, at(1), &|_| given("of-bob", 60)), "Bearer of-bob");
    assert_eq!(ask(&worker, &alice, at(2), &nobody_is_asked), "Bearer of-alice");
    // Ahead of its end it is renewed by a request that does not wait. Nothing is renewed without a request.
    worker.work(&MemoryStore::default(), at(55), &nobody_is_asked);
    assert_eq!(ask(&worker, &alice, at(55), &|_| given("newer", 60)), "Bearer of-alice");
    assert_eq!(ask(&worker, &alice, at(56), &nobody_is_asked), "Bearer newer");
    // A JWT that was not seen before is exchanged itself, even of the same subject: its claims may be others.
    let another = signer.sign(&with(&claims(), &json!({"sub": "alice", "exp": NOW + 9999})));
    assert_eq!(ask(&worker, &another, at(56), &|_| given("narrower", 60)), "Bearer narrower");
}

#[test]
fn a_body_has_texts_of_the_policy_secrets_of_the_environment_and_claims_of_the_caller() {
    let signer = Signer::new(1, "k");
    let body = json!({
        "assertion": {"caller": "jwt"}, "account": {"claim": "/team/account"}, "lifetime": 600, "scopes": ["a", {"env": "SECRET"}],
        "options": {"is_short": true, "none": {}, "empty": []}, "client_secret": {"env": "SECRET"},
    });
    let chain = exchange(&json!({"form": null, "json": body, "method": "PUT"}));
    let mut document = policy(&signer, &chain);
    document["credentials"]["openai"][0]["http"].as_object_mut().unwrap().remove("form");
    let worker = Worker::new(&document);
    let alice = jwt(&signer, "ali\"ce");
    assert_eq!(ask(&worker, &alice, at(0), &|_| given("t", 60)), "Bearer t");
    let secret = "secret-value-0123456789";
    let expect = json!({
        "assertion": alice, "account": "sa-ali\"ce", "lifetime": 600, "scopes": ["a", secret],
        "options": {"is_short": true, "none": {}, "empty": []}, "client_secret": secret,
    });
    assert_eq!(serde_json::from_str::<Value>(&worker.body()).unwrap(), expect);
    // A caller whose JWT lacks the claim has no credential, and the service is not asked.
    let nameless = signer.sign(&with(&claims(), &json!({"sub": "n"})));
    assert_eq!(ask(&worker, &nameless, at(0), &nobody_is_asked), "upstream_credential_unavailable");
}

#[test]
fn a_caller_without_a_jwt_gets_the_next_source_or_nothing() {
    let signer = Signer::new(1, "k");
    let token = "ptk_of-a-caller-0123456789";
    let sha256 = keyswap_core::base::Digest::of(token.as_bytes()).to_hex();
    let tokens = json!([{"sha256": sha256, "label": "l", "providers": ["openai"]}]);
    let mut chain = exchange(&json!({}));
    for expect in ["upstream_credential_unavailable", "Bearer secret-value-0123456789"] {
        let document = with(&policy(&signer, &chain), &json!({"tokens": tokens}));
        let worker = Worker::new(&document);
        let bearer = format!("Bearer {token}");
        let headers = [Header { name: b"authorization", value: bearer.as_bytes() }];
        let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
        let store = MemoryStore::default();
        assert_eq!(worker.decide(&store, &head, at(0), &nobody_is_asked, carried), expect);
        chain.as_array_mut().unwrap().push(json!({"env": "OPENAI"}));
    }
}

#[test]
fn an_answer_for_another_subject_is_refused() {
    let signer = Signer::new(1, "k");
    let expected = json!({"expect": {"/account": {"claim": "/team/account"}, "/token_type": "Bearer"}});
    let worker = Worker::new(&policy(&signer, &exchange(&expected)));
    let alice = jwt(&signer, "alice");
    let answer = |account: Value, kind: &str| {
        let answer = json!({"access_token": "t", "expires_in": 60, "account": account, "token_type": kind});
        move |_: &str| Answer(200, answer.to_string())
    };
    let mut now = 0;
    for (account, kind) in [
        (json!("sa-bob"), "Bearer"),
        (json!(null), "Bearer"),
        (json!(["sa-alice"]), "Bearer"),
        (json!("sa-alice"), "DPoP"),
    ] {
        assert_eq!(ask(&worker, &alice, at(now), &answer(account, kind)), "upstream_credential_unavailable");
        // The pauses of a caller's failures are over.
        now += 60;
    }
    let notes = worker.notes.borrow().join("\n");
    assert!(
        notes.contains(
            "`credentials.openai[0].http`: the answer has another text than it must have by `expect`"
        )
    );
    assert!(!notes.contains("sa-") && !notes.contains(&alice), "{notes}");
    assert_eq!(ask(&worker, &alice, at(now), &answer(json!("sa-alice"), "Bearer")), "Bearer t");
}

#[test]
fn a_caller_whose_exchange_fails_takes_nothing_from_the_others() {
    let signer = Signer::new(1, "k");
    for status in [400, 401, 403, 500, 0] {
        let worker = Worker::new(&policy(&signer, &exchange(&json!({}))));
        let refused = jwt(&signer, "refused");
        for second in 0..60 {
            let service = |_: &str| Answer(status, "sentinel".to_owned());
            assert_eq!(ask(&worker, &refused, at(second), &service), "upstream_credential_unavailable");
        }
        let calls = worker.calls();
        assert!((4..=6).contains(&calls), "{calls} calls for {status}");
        assert_eq!(ask(&worker, &jwt(&signer, "alice"), at(60), &|_| given("t", 60)), "Bearer t", "{status}");
    }
}

#[test]
fn an_outage_that_several_callers_meet_leaves_the_service_alone_and_known_credentials_in_use() {
    let signer = Signer::new(1, "k");
    let worker = Worker::new(&policy(&signer, &exchange(&json!({}))));
    let alice = jwt(&signer, "alice");
    assert_eq!(ask(&worker, &alice, at(0), &|_| given("t", 600)), "Bearer t");
    worker.calls();
    for number in 0..10 {
        let another = jwt(&signer, &format!("n{number}"));
        let down = |_: &str| Answer(503, String::new());
        assert_eq!(ask(&worker, &another, at(1), &down), "upstream_credential_unavailable");
    }
    assert_eq!(worker.calls(), 3);
    assert_eq!(ask(&worker, &alice, at(2), &nobody_is_asked), "Bearer t");
    assert_eq!(ask(&worker, &jwt(&signer, "n1"), at(32), &|_| given("back", 60)), "Bearer back");
    // Refusals of many callers are no outage.
    for number in 20..30 {
        let another = jwt(&signer, &format!("n{number}"));
        assert_eq!(
            ask(&worker, &another, at(33), &|_| Answer(400, String::new())),
            "upstream_credential_unavailable"
        );
    }
    assert_eq!(ask(&worker, &jwt(&signer, "n40"), at(33), &|_| given("good", 60)), "Bearer good");
}

#[test]
fn a_credential_that_the_upstream_refuses_is_renewed_for_its_caller_only() {
    let signer = Signer::new(1, "k");
    let worker = Worker::new(&policy(&signer, &exchange(&json!({}))));
    let [alice, bob] = ["alice", "bob"].map(|subject| jwt(&signer, subject));
    assert_eq!(ask(&worker, &alice, at(0), &|_| given("a1", 600)), "Bearer a1");
    assert_eq!(ask(&worker, &bob, at(0), &|_| given("b1", 600)), "Bearer b1");
    let store = MemoryStore::default();
    let headers = [Header { name: b"x-id", value: alice.as_bytes() }];
    let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
    let (_, exchange) = worker.send(&store, &head, at(20), &nobody_is_asked, carried);
    answered(&store, &exchange, at(20), &[(":status", "401")]);
    assert_eq!(ask(&worker, &bob, at(21), &nobody_is_asked), "Bearer b1");
    assert_eq!(ask(&worker, &alice, at(21), &|_| given("a2", 600)), "Bearer a1");
    assert_eq!(ask(&worker, &alice, at(21), &nobody_is_asked), "Bearer a2");
}

#[test]
fn what_a_call_cannot_be_is_an_error_with_its_place() {
    let signer = Signer::new(1, "k");
    let error = |changes: &Value| {
        let mut document = policy(&signer, &exchange(changes));
        let http = document["credentials"]["openai"][0]["http"].as_object_mut().unwrap();
        http.retain(|_, value| !value.is_null());
        Policy::from_json(document.to_string().as_bytes())
            .err()
            .map(|errors: PolicyErrors| errors.to_string())
    };
    let at =
        |place: &str, message: &str| Some(format!("error at `credentials.openai[0].http{place}`: {message}"));
    let place =
        "expected a text, or one of `{env: NAME}`, `{credential: NAME}`, `{caller: jwt}`, `{claim: NAME}`";
    for (changes, expect) in [
        (json!({}), None),
        (json!({"subject": null}), at("", "the call is made for one caller: say so with `subject: caller`")),
        (
            json!({"form": {"a": "b"}}),
            at("", "nothing in the call names the caller: put `{caller: jwt}` into `form` or `json`"),
        ),
        (
            json!({"subject": "data_plane", "form": {"a": "b"}, "expect": {"/a": {"claim": "sub"}}}),
            at("", "the call is made for one caller: say so with `subject: caller`"),
        ),
        (json!({"json": {"a": {"caller": "jwt"}}}), at("", "expected `form` or `json`, not both")),
        (
            json!({"method": "GET"}),
            at(".method", "a `GET` has no body: remove `form` or `json`, or expect `POST`"),
        ),
        (json!({"method": "DELETE"}), at(".method", "expected one of `GET`, `POST`, `PUT`")),
        (
            json!({"form": {"client_secret": "hunter2", "t": {"caller": "jwt"}}}),
            at(
                ".form.client_secret",
                "a member of this name may hold a secret: name its variable, as in `{env: CLIENT_SECRET}`",
            ),
        ),
        (
            json!({"form": null, "json": {"a": {"api_key": "hunter2"}, "t": {"caller": "jwt"}}}),
            at(
                ".json.a.api_key",
                "a member of this name may hold a secret: name its variable, as in `{env: CLIENT_SECRET}`",
            ),
        ),
        (
            json!({"form": {"a": {"caller": "name"}, "t": {"caller": "jwt"}}}),
            at(".form.a.caller", "expected `jwt`"),
        ),
        (json!({"form": {"a": {}, "t": {"caller": "jwt"}}}), at(".form.a", place)),
        (json!({"form": {"a": {"env": "A", "claim": "b"}, "t": {"caller": "jwt"}}}), at(".form.a", place)),
        (
            json!({"form": {"a": 7, "t": {"caller": "jwt"}}}),
            at(".form.a", "expected a string: put it in quotes"),
        ),
        (
            json!({"expect": {}}),
            at(
                ".expect",
                "expected at least one JSON pointer with its text, such as `{/subject: {claim: sub}}`",
            ),
        ),
        (json!({"expect": {"sub": "a"}}), at(".expect.sub", "expected a JSON pointer such as `/data/token`")),
        (json!({"expect": {"/a": {"env": "A"}}}), at(".expect./a", "expected a text or `{claim: NAME}`")),
        (
            json!({"value": null, "expires_in": null, "expect": {"/a": "b"}}),
            at("", "where the answer is a document, `value` must point at the credential in it"),
        ),
    ] {
        assert_eq!(error(&changes), expect, "{changes}");
    }
}
