//! Brokered credentials: what a provider mints goes to the caller as a token of ours, which works for its session, at its
//! provider, as long as its parent does; nothing else of an answer that mints goes out.

use keyswap_core::base::{Digest, Moment};
use keyswap_core::host::{Capabilities, Environment, MemoryStore};
use keyswap_core::judge::{Decision, FieldValue, Verdict};
use keyswap_core::policy::Policy;
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::worker::{Exchange, MintFault};
use serde_json::{Value, json};

use crate::support::with;
use crate::support::worker::{Answer, Worker, at, nobody_is_asked, registry_policy, unknown};

const PARENT: &str = "ptk_parent-0123456789";
const REAL: &str = "sk-real-0123456789";
const EPHEMERAL: &str = "ek_68af296e8e408191";
const BEGIN: i64 = 1_800_000_000;

/// An environment with one key for brokers.
struct Variables(char);

impl Environment for Variables {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        Some(match name {
            "BROKER" => String::from(self.0).repeat(64).into_bytes(),
            _ => REAL.as_bytes().to_vec(),
        })
    }
}

fn sha256(token: &str) -> String {
    Digest::of(token.as_bytes()).to_hex()
}

fn policy(changes: &Value) -> Value {
    let scope = ["openai:mint", "grok:mint", "cartesia:mint", "deepgram:mint", "azure-openai:mint"];
    with(
        &json!({
            "version": "keyswap/v1",
            "tokens": [
                {"sha256": sha256(PARENT), "label": "parent", "providers": scope},
                {"sha256": sha256("ptk_everything-else"), "label": "all", "providers": ["openai:*"]},
            ],
            "credentials": {
                "openai": [{"env": "A"}], "grok": [{"env": "A"}], "cartesia": [{"env": "A"}],
                "deepgram": [{"env": "A"}], "azure-openai": [{"env": "A"}],
            },
            "providers": {"azure-openai": {"url": "https://acme.openai.azure.com/openai/v1"}},
            "broker": {"key": {"env": "BROKER"}},
        }),
        changes,
    )
}

fn plane(changes: &Value) -> Worker {
    Worker::within(&policy(changes), Variables('a'))
}

/// The outcome of a request: what goes upstream, or the reason of the refusal.
type Sent = Result<Vec<String>, String>;

fn sent(decision: &Decision<'_>) -> Sent {
    match &decision.verdict {
        Verdict::Forward(rewrite) => {
            let line = |(name, value): &(&str, FieldValue<'_>)| {
                format!("{name}: {}", String::from_utf8_lossy(value))
            };
            let target = format!("{}{}", rewrite.authority, String::from_utf8_lossy(&rewrite.path));
            Ok(std::iter::once(target).chain(rewrite.set.iter().map(line)).collect())
        }
        Verdict::Reply(reason, _) => Err(reason.code().to_owned()),
        _ => panic!("neither forwarded nor refused"),
    }
}

fn ask(
    worker: &Worker,
    request: &str,
    headers: &[(&str, &str)],
    now: Moment,
    service: &dyn Fn(&str) -> Answer,
) -> (Sent, Exchange) {
    let (method, path) = request.split_once(' ').unwrap();
    let handshake = [("connection", "Upgrade"), ("upgrade", "websocket")];
    let is_upgrade = method == "WS";
    let headers: Vec<Header<'_>> = headers
        .iter()
        .chain(handshake.iter().filter(|_| is_upgrade))
        .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
        .collect();
    let method = if is_upgrade { "GET" } else { method };
    let head = RequestHead::new(method.as_bytes(), path.as_bytes(), &headers);
    worker.send(&MemoryStore::default(), &head, now, service, sent)
}

fn by_bearer(worker: &Worker, request: &str, token: &str, now: Moment) -> Sent {
    let bearer = format!("Bearer {token}");
    ask(worker, request, &[("authorization", &bearer)], now, &nobody_is_asked).0
}

fn mint(worker: &Worker, path: &str) -> Exchange {
    let bearer = format!("Bearer {PARENT}");
    let headers = [("authorization", bearer.as_str()), ("origin", "https://app.example")];
    let (sent, exchange) = ask(worker, &format!("POST {path}"), &headers, at(0), &nobody_is_asked);
    assert!(sent.is_ok() && exchange.is_minting(), "{path}: {sent:?}");
    exchange
}

/// Mints at OpenAI, and returns the token.
fn minted(worker: &Worker) -> String {
    let answer = json!({"value": EPHEMERAL, "expires_at": BEGIN + 60, "session": {}}).to_string();
    let body = mint(worker, "/v1/realtime/client_secrets").broker(200, answer.as_bytes(), at(0)).unwrap();
    text(&serde_json::from_str(&body).unwrap(), "/value")
}

fn text(document: &Value, pointer: &str) -> String {
    document.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer}")).to_owned()
}

#[test]
fn a_minted_credential_reaches_its_caller_as_a_token_of_ours_for_its_session_and_nothing_else() {
    let worker = plane(&json!({"status": {"allow": ["tokens"]}}));
    let token = minted(&worker);
    assert!(token.starts_with("ksb_") && !token.contains(EPHEMERAL));
    let ephemeral = format!("authorization: Bearer {EPHEMERAL}");
    for (request, expect) in [
        ("WS /v1/realtime?model=m", Ok("api.openai.com/v1/realtime?model=m")),
        ("WS /openai?model=m", Ok("api.openai.com/v1/realtime?model=m")),
        ("WS /v1/REALTIME/", Ok("api.openai.com/v1/REALTIME/")),
        ("POST /v1/realtime/calls", Ok("api.openai.com/v1/realtime/calls")),
        ("POST /v1/realtime/client_secrets", Err("endpoint_class_not_allowed")),
        ("POST /v1/realtime/sessions", Err("endpoint_class_not_allowed")),
        ("POST /v1/chat/completions", Err("endpoint_class_not_allowed")),
        ("GET /v1/models", Err("endpoint_class_not_allowed")),
        ("GET /v1/files", Err("endpoint_class_not_allowed")),
        ("GET /v1/organization/users", Err("endpoint_class_not_allowed")),
        ("GET /v1/unknown", Err("endpoint_not_allowed")),
        ("GET /.well-known/keyswap/me", Err("endpoint_class_not_allowed")),
        ("GET /.well-known/keyswap", Err("endpoint_class_not_allowed")),
        ("POST /v1/messages", Err("token_invalid")),
        ("WS /grok/v1/realtime", Err("token_invalid")),
        ("WS /cartesia/tts/websocket", Err("token_invalid")),
    ] {
        match (by_bearer(&worker, request, &token, at(1)), expect) {
            (Ok(lines), Ok(target)) => {
                assert_eq!(lines[0], target);
                assert!(lines.contains(&ephemeral), "{request}: {lines:?}");
                assert!(!lines.iter().any(|line| line.contains(REAL)), "{request}: {lines:?}");
            }
            (found, expect) => assert_eq!(found.err().as_deref(), expect.err(), "{request}"),
        }
    }
}

#[test]
fn a_brokered_token_stands_in_every_slot() {
    let worker = plane(&json!({}));
    let token = minted(&worker);
    let query = format!("WS /openai?key={token}");
    let (openai, xai) =
        (format!("realtime, openai-insecure-api-key.{token}"), format!("xai-client-secret.{token}"));
    for (request, header) in [
        ("WS /openai", ("authorization", format!("Bearer {token}"))),
        ("WS /openai", ("api-key", token.clone())),
        ("WS /openai", ("x-api-key", token.clone())),
        ("WS /openai", ("x-goog-api-key", token.clone())),
        ("WS /openai", ("sec-websocket-protocol", openai)),
        ("WS /openai", ("sec-websocket-protocol", xai)),
        (query.as_str(), ("accept", "*/*".to_owned())),
    ] {
        let (sent, _) = ask(&worker, request, &[(header.0, &header.1)], at(1), &nobody_is_asked);
        let lines = sent.unwrap_or_else(|reason| panic!("{request}, {}: {reason}", header.0));
        assert!(!lines.iter().any(|line| line.contains("ksb_")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains(EPHEMERAL)), "{lines:?}");
    }
}

#[test]
fn a_token_that_was_changed_or_sealed_with_another_key_is_refused_like_an_unknown_one() {
    let worker = plane(&json!({}));
    let token = minted(&worker);
    let other = minted(&Worker::within(&policy(&json!({})), Variables('b')));
    let changed = token[..token.len() - 1].to_owned() + if token.ends_with('A') { "B" } else { "A" };
    let elsewhere = plane(&json!({"providers": {
        "azure-openai": {"url": "https://acme.openai.azure.com/openai/v1"},
        "openai": {"url": "https://openai.example"},
    }}));
    let found = by_bearer(&elsewhere, "WS /v1/realtime", &token, at(1));
    assert_eq!(found, Err("token_invalid".to_owned()), "the provider has another host there");
    for token in [&other, &changed, "ksb_", "ksb_AAAA", &format!("ksb_{}", "A".repeat(9000))] {
        let found = by_bearer(&worker, "WS /v1/realtime", token, at(1));
        assert_eq!(found, Err("token_invalid".to_owned()), "{token:.40}");
    }
    assert!(by_bearer(&worker, "WS /v1/realtime", &token, at(1)).is_ok());
}

#[test]
fn a_brokered_token_ends_with_its_secret_with_the_policys_longest_life_and_with_its_parent() {
    let worker = plane(&json!({}));
    let token = minted(&worker);
    assert!(by_bearer(&worker, "WS /v1/realtime", &token, at(59)).is_ok());
    assert_eq!(by_bearer(&worker, "WS /v1/realtime", &token, at(60)), Err("token_expired".to_owned()));

    let short = plane(&json!({"broker": {"key": {"env": "BROKER"}, "max_ttl": "30s"}}));
    let token = minted(&short);
    assert!(by_bearer(&short, "WS /v1/realtime", &token, at(29)).is_ok());
    assert_eq!(by_bearer(&short, "WS /v1/realtime", &token, at(30)), Err("token_expired".to_owned()));

    let parent = |member: &str, value: Value| {
        let mut changed = policy(&json!({}));
        changed["tokens"][0][member] = value;
        Worker::within(&changed, Variables('a'))
    };
    let token = minted(&worker);
    for (worker, reason) in [
        (parent("status", json!("disabled")), "token_invalid"),
        (parent("expires_at", json!("2027-01-15T08:00:01Z")), "token_expired"),
        (parent("sha256", json!(sha256("another"))), "token_invalid"),
        (parent("providers", json!(["grok:mint"])), "provider_not_allowed"),
        (parent("providers", json!(["openai:*"])), "endpoint_class_not_allowed"),
    ] {
        assert_eq!(by_bearer(&worker, "WS /v1/realtime", &token, at(1)), Err(reason.to_owned()));
    }
}

#[test]
fn a_brokered_token_takes_from_its_parents_budget_and_is_its_parent_in_every_log() {
    let mut document = policy(&json!({}));
    document["tokens"][0]["rate_limit"] = json!({"requests": 2, "per": "60s"});
    let worker = Worker::within(&document, Variables('a'));
    let store = MemoryStore::default();
    let bearer = |token: &str| format!("Bearer {token}");
    let ask = |method: &[u8], path: &[u8], token: &str| {
        let value = bearer(token);
        let headers = [
            Header { name: b"authorization", value: value.as_bytes() },
            Header { name: b"upgrade", value: b"websocket" },
        ];
        let headers = if method == b"GET" { &headers[..] } else { &headers[..1] };
        let head = RequestHead::new(method, path, headers);
        let label = |decision: &Decision<'_>| {
            let label = decision.facts.principal.as_ref().map(|it| it.label().to_owned());
            (decision.reason_code(), label)
        };
        worker.send(&store, &head, at(0), &nobody_is_asked, label)
    };
    let ((_, label), exchange) = ask(b"POST", b"/v1/realtime/client_secrets", PARENT);
    assert_eq!(label.as_deref(), Some("parent"));
    let answer = json!({"value": EPHEMERAL, "expires_at": BEGIN + 60}).to_string();
    let body: Value = serde_json::from_str(&exchange.broker(200, answer.as_bytes(), at(0)).unwrap()).unwrap();
    let token = text(&body, "/value");
    assert_eq!(ask(b"GET", b"/v1/realtime", &token).0, ("allowed", label.clone()));
    assert_eq!(ask(b"GET", b"/v1/realtime", &token).0, ("rate_limited", label));
}

#[test]
fn a_brokered_token_dies_with_its_parent_in_a_registry() {
    let policy = registry_policy(&json!({"broker": {"key": {"env": "BROKER"}}}));
    let worker = Worker::within(&policy, Variables('a'));
    let known = |_: &str| {
        let record =
            json!({"sha256": sha256(PARENT), "label": "l", "providers": ["openai:mint"], "version": 1});
        Answer(200, record.to_string())
    };
    let bearer = format!("Bearer {PARENT}");
    let (sent, exchange) =
        ask(&worker, "POST /v1/realtime/client_secrets", &[("authorization", &bearer)], at(0), &known);
    assert!(sent.is_ok(), "{sent:?}");
    let answer = json!({"value": EPHEMERAL, "expires_at": BEGIN + 7200}).to_string();
    let body: Value = serde_json::from_str(&exchange.broker(200, answer.as_bytes(), at(0)).unwrap()).unwrap();
    let bearer = format!("Bearer {}", text(&body, "/value"));
    let use_it = |worker: &Worker, now, service: &dyn Fn(&str) -> Answer| {
        ask(worker, "WS /v1/realtime", &[("authorization", &bearer)], now, service).0
    };
    // Another data plane knows nothing but the digest, and asks for that.
    let other = Worker::within(&policy, Variables('a'));
    let by_digest = |path: &str| {
        assert_eq!(path, format!("/v1/tokens/{}", sha256(PARENT)));
        known(path)
    };
    assert!(use_it(&other, at(1), &by_digest).is_ok());
    let third = Worker::within(&policy, Variables('a'));
    assert_eq!(use_it(&third, at(2), &unknown), Err("token_invalid".to_owned()));
    let down = |_: &str| Answer(503, String::new());
    let fourth = Worker::within(&policy, Variables('a'));
    assert_eq!(use_it(&fourth, at(2), &down), Err("token_store_unavailable".to_owned()));
}

#[test]
fn an_open_session_goes_on_while_its_parent_may_mint() {
    let ends = |changes: Value| plane(&with(&json!({"revoke": "streams"}), &changes));
    let parent =
        |scope: &str| json!({"tokens": [{"sha256": sha256(PARENT), "label": "p", "providers": [scope]}]});
    let before = ends(json!({}));
    let bearer = format!("Bearer {}", minted(&before));
    let headers = [("authorization", bearer.as_str())];
    let (sent, exchange) = ask(&before, "WS /v1/realtime?model=m", &headers, at(1), &nobody_is_asked);
    assert!(sent.is_ok() && exchange.may_end(), "{sent:?}");
    for (after, reason) in [
        (before, None),
        (ends(parent("openai:mint")), None),
        (ends(parent("openai")), Some("endpoint_class_not_allowed")),
        (ends(json!({"tokens": []})), Some("token_invalid")),
    ] {
        let ended = after.look_again(&MemoryStore::default(), &exchange, at(2), &nobody_is_asked);
        let expect = reason.map(|reason| format!("keyswap.ended.reason.{reason}.provider.openai"));
        assert_eq!(ended, expect);
    }
}

#[test]
fn what_mints_is_closed_unless_a_scope_a_broker_and_a_row_open_it() {
    let worker = plane(&json!({}));
    let mut without = policy(&json!({}));
    without.as_object_mut().unwrap().remove("broker");
    without["tokens"].as_array_mut().unwrap().remove(0);
    let without = Worker::within(&without, Variables('a'));
    let closed = Err("endpoint_not_allowed".to_owned());
    for (worker, request, token, expect) in [
        (
            &worker,
            "POST /v1/realtime/client_secrets",
            "ptk_everything-else",
            Err("endpoint_class_not_allowed".to_owned()),
        ),
        (&without, "POST /v1/realtime/client_secrets", "ptk_everything-else", closed.clone()),
        (&worker, "POST /v1/realtime/calls", PARENT, closed.clone()),
        (&worker, "POST /v1/chatkit/sessions", PARENT, closed.clone()),
        (&worker, "POST /v1/organization/admin_api_keys", PARENT, closed.clone()),
        (&worker, "OPTIONS /v1/realtime/client_secrets", PARENT, closed.clone()),
        (&worker, "POST /grok/v1/files/f/public-url", PARENT, closed.clone()),
        (&worker, "PUT /cartesia/access-token", PARENT, closed.clone()),
        (&worker, "GET /v1/organization/users", PARENT, closed.clone()),
        (&worker, "POST /v1/chat/completions", PARENT, Err("endpoint_class_not_allowed".to_owned())),
    ] {
        assert_eq!(by_bearer(worker, request, token, at(0)), expect, "{request}");
    }
    let upgraded = [("authorization", "Bearer ptk_parent-0123456789"), ("upgrade", "websocket")];
    let (sent, _) = ask(&worker, "POST /v1/realtime/client_secrets", &upgraded, at(0), &nobody_is_asked);
    assert_eq!(sent, Err("method_not_allowed".to_owned()));
}

#[test]
fn a_request_that_mints_asks_for_an_answer_as_it_is() {
    let worker = plane(&json!({}));
    let bearer = format!("Bearer {PARENT}");
    let headers = [("authorization", bearer.as_str()), ("Accept-Encoding", "gzip, br")];
    let (sent, _) = ask(&worker, "POST /v1/realtime/client_secrets", &headers, at(0), &nobody_is_asked);
    let lines = sent.unwrap();
    assert!(lines.contains(&"accept-encoding: identity".to_owned()), "{lines:?}");
    assert!(lines.contains(&format!("authorization: Bearer {REAL}")), "{lines:?}");
    let other = by_bearer(&worker, "WS /v1/realtime", &minted(&worker), at(1)).unwrap();
    assert!(!other.iter().any(|line| line.starts_with("accept-encoding")), "{other:?}");
}

#[test]
fn every_form_of_answer_gets_the_token_and_its_expiry_in_place_of_the_secret_and_its_own() {
    let worker = plane(&json!({}));
    let (soon, late) = (BEGIN + 60, BEGIN + 86_400);
    let capped = BEGIN + 600;
    for (path, answer, secrets, expiries) in [
        (
            "/v1/realtime/client_secrets",
            json!({"value": EPHEMERAL, "expires_at": soon, "session": {"id": "sess_1", "tools": [{"type": "function"}]}}),
            &["/value"][..],
            &[("/expires_at", soon)][..],
        ),
        (
            "/v1/realtime/client_secrets",
            json!({"value": EPHEMERAL, "expires_at": late,
                   "session": {"client_secret": {"value": EPHEMERAL, "expires_at": soon}}}),
            &["/value", "/session/client_secret/value"],
            &[("/expires_at", capped), ("/session/client_secret/expires_at", soon)],
        ),
        (
            "/v1/realtime/client_secrets",
            json!({"value": EPHEMERAL, "expires_at": soon, "session": {"client_secret": null}}),
            &["/value"],
            &[("/expires_at", soon)],
        ),
        (
            "/v1/realtime/sessions",
            json!({"id": "sess_1", "client_secret": {"value": EPHEMERAL, "expires_at": soon}}),
            &["/client_secret/value"],
            &[("/client_secret/expires_at", soon)],
        ),
        (
            "/v1/realtime/transcription_sessions",
            json!({"client_secret": {"value": EPHEMERAL, "expires_at": soon}}),
            &["/client_secret/value"],
            &[("/client_secret/expires_at", soon)],
        ),
        (
            "/azure-openai/realtime/client_secrets",
            json!({"value": EPHEMERAL, "expires_at": soon, "session": {}}),
            &["/value"],
            &[("/expires_at", soon)],
        ),
        (
            "/grok/v1/realtime/client_secrets",
            json!({"value": EPHEMERAL, "expires_at": late}),
            &["/value"],
            &[("/expires_at", capped)],
        ),
        ("/cartesia/access-token", json!({"token": EPHEMERAL}), &["/token"], &[]),
        (
            "/deepgram/v1/auth/grant",
            json!({"access_token": EPHEMERAL, "expires_in": 30.0}),
            &["/access_token"],
            &[("/expires_in", 30)],
        ),
        (
            "/deepgram/v1/auth/grant",
            json!({"access_token": EPHEMERAL, "expires_in": 3600}),
            &["/access_token"],
            &[("/expires_in", 600)],
        ),
    ] {
        let exchange = mint(&worker, path);
        let body = exchange.broker(201, answer.to_string().as_bytes(), at(0)).unwrap();
        assert!(!body.contains(EPHEMERAL), "{path}: {body}");
        let mut body: Value = serde_json::from_str(&body).unwrap();
        let mut expect = answer;
        for pointer in secrets {
            assert!(text(&body, pointer).starts_with("ksb_"), "{path}: {body}");
            *body.pointer_mut(pointer).unwrap() = json!(EPHEMERAL);
        }
        for (pointer, value) in expiries {
            *expect.pointer_mut(pointer).unwrap() = json!(value);
        }
        assert_eq!(body, expect, "{path}: the rest stays as it is");
    }
}

#[test]
fn the_session_of_every_provider_takes_the_secret_as_bearer_and_no_other_key() {
    let worker = plane(&json!({}));
    for (path, answer, pointer, session, target) in [
        (
            "/azure-openai/realtime/client_secrets",
            json!({"value": EPHEMERAL, "expires_at": BEGIN + 60}),
            "/value",
            "POST /azure-openai/realtime/calls",
            "acme.openai.azure.com/openai/v1/realtime/calls",
        ),
        (
            "/grok/v1/realtime/client_secrets",
            json!({"value": EPHEMERAL, "expires_at": BEGIN + 60}),
            "/value",
            "WS /grok/v1/realtime",
            "api.x.ai/v1/realtime",
        ),
        (
            "/cartesia/access-token",
            json!({"token": EPHEMERAL}),
            "/token",
            "POST /cartesia/tts/bytes",
            "api.cartesia.ai/tts/bytes",
        ),
        (
            "/deepgram/v1/auth/grant",
            json!({"access_token": EPHEMERAL, "expires_in": 30}),
            "/access_token",
            "POST /deepgram/v1/listen",
            "api.deepgram.com/v1/listen",
        ),
    ] {
        let body = mint(&worker, path).broker(200, answer.to_string().as_bytes(), at(0)).unwrap();
        let token = text(&serde_json::from_str(&body).unwrap(), pointer);
        let lines = by_bearer(&worker, session, &token, at(1)).unwrap();
        let credentials: Vec<&String> =
            lines.iter().filter(|line| line.contains(EPHEMERAL) || line.contains(REAL)).collect();
        assert_eq!(credentials, [&format!("authorization: Bearer {EPHEMERAL}")], "{path}: {lines:?}");
        assert_eq!(lines[0], target);
    }
}

#[test]
fn an_answer_of_another_form_is_withheld_whole() {
    let exchange = mint(&plane(&json!({})), "/v1/realtime/client_secrets");
    let good = json!({"value": EPHEMERAL, "expires_at": BEGIN + 60, "session": {}});
    let changed = |changes: Value| with(&good, &changes).to_string();
    let escaped = EPHEMERAL.replacen('e', "\\u0065", 1);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let long = changed(json!({"session": {"instructions": "x".repeat(64 * 1024)}}));
    for (body, fault) in [
        (String::new(), MintFault::NotJson),
        ("\u{1f}\u{8b}gzip".to_owned(), MintFault::NotJson),
        (format!("{good}{good}"), MintFault::NotJson),
        (format!("data: {good}\n\n"), MintFault::NotJson),
        (
            format!(r#"{{"value": "a", "value": "{EPHEMERAL}", "expires_at": {}}}"#, BEGIN + 60),
            MintFault::NotJson,
        ),
        (
            format!(r#"{{"value": "a", "v\u0061lue": "{EPHEMERAL}", "expires_at": {}}}"#, BEGIN + 60),
            MintFault::NotJson,
        ),
        (
            changed(json!({"session": 1})).replacen("\"session\":1", &format!("\"session\":{deep}"), 1),
            MintFault::NotJson,
        ),
        (long, MintFault::TooLong),
        (json!([good]).to_string(), MintFault::NoSecret),
        (
            json!({"client_secret": {"value": EPHEMERAL, "expires_at": BEGIN + 60}}).to_string(),
            MintFault::NoSecret,
        ),
        (changed(json!({"value": null})), MintFault::NoSecret),
        (changed(json!({"value": 7})), MintFault::NoSecret),
        (changed(json!({"value": ""})), MintFault::NoSecret),
        (changed(json!({"value": "ek 1"})), MintFault::NoSecret),
        (changed(json!({"value": "ek_1\r\nx: y"})), MintFault::NoSecret),
        (changed(json!({"value": "x".repeat(5000)})), MintFault::NoSecret),
        (changed(json!({"session": {"client_secret": {"value": [EPHEMERAL]}}})), MintFault::NoSecret),
        (changed(json!({"expires_at": null})), MintFault::NoExpiry),
        (changed(json!({"expires_at": "soon"})), MintFault::NoExpiry),
        (changed(json!({"expires_at": BEGIN})), MintFault::NoExpiry),
        (changed(json!({"expires_at": 1e300})), MintFault::NoExpiry),
        (changed(json!({"session": {"client_secret": {"value": "ek_2"}}})), MintFault::NoExpiry),
        (changed(json!({"session": {"id": EPHEMERAL}})), MintFault::Elsewhere),
        (
            changed(json!({"session": {"tools": [{"url": format!("https://a/?key={EPHEMERAL}&b")}]}})),
            MintFault::Elsewhere,
        ),
        (changed(json!({"session": {EPHEMERAL: 1}})), MintFault::Elsewhere),
        (changed(json!({"session": {"id": "SECRET"}})).replacen("SECRET", &escaped, 1), MintFault::Elsewhere),
    ] {
        assert_eq!(exchange.broker(200, body.as_bytes(), at(0)), Err(fault), "{body:.200}");
    }
    let reply = exchange.withheld();
    assert_eq!(reply.status, 502);
    assert!(reply.body.contains("upstream_not_brokered"), "{}", reply.body);
    assert!(reply.headers.iter().any(|(name, _)| *name == "access-control-allow-origin"));
    let types = reply.headers.iter().filter(|(name, _)| *name == "content-type").count();
    assert_eq!(types, 1);
}

#[test]
fn of_an_error_its_status_and_its_words_reach_the_caller_unless_it_holds_a_secret() {
    let exchange = mint(&plane(&json!({})), "/v1/realtime/client_secrets");
    let error = json!({"message": "Unknown parameter: 'session.x'", "type": "invalid_request_error"});
    let replaced = |body: &str| exchange.broker(400, body.as_bytes(), at(0)).unwrap();
    let passed: Value =
        serde_json::from_str(&replaced(&json!({"error": error, "debug": "x"}).to_string())).unwrap();
    assert_eq!(passed, json!({"error": error}));
    for body in [
        String::new(),
        "<html>".to_owned(),
        json!({"detail": "no"}).to_string(),
        json!([1]).to_string(),
        json!({"error": error, "value": EPHEMERAL}).to_string(),
        json!({"error": error, "pad": "x".repeat(64 * 1024)}).to_string(),
    ] {
        let replaced = replaced(&body);
        assert!(replaced.contains("upstream_not_brokered") && !replaced.contains(EPHEMERAL), "{replaced}");
    }
}

#[test]
fn of_a_brokered_answer_a_few_headers_and_no_other_status_pass() {
    let exchange = mint(&plane(&json!({})), "/v1/realtime/client_secrets");
    let upstreams: [(&[u8], &[u8]); 9] = [
        (b"Content-Type", b"text/plain"),
        (b"content-length", b"99"),
        (b"content-encoding", b"gzip"),
        (b"location", b"/v1/x?key=ek"),
        (b"set-cookie", b"a=ek"),
        (b"openai-ek", b"ek"),
        (b"etag", b"ek"),
        (b"x-request-id", b"req_1"),
        (b"date", b"now"),
    ];
    let names: Vec<String> = exchange
        .response()
        .fields(&upstreams)
        .map(|(name, _)| String::from_utf8_lossy(name).into_owned())
        .filter(|name| !name.starts_with("access-control") && name != "vary")
        .collect();
    assert_eq!(names, ["x-request-id", "date", "content-type", "cache-control"]);
    for (status, passes) in [
        (&b"200"[..], true),
        (b"201", true),
        (b"400", true),
        (b"500", true),
        (b"101", false),
        (b"302", false),
        (b"304", false),
        (b"", false),
        (b"600", false),
    ] {
        let instead = exchange.response().replaces(Some(status));
        assert_eq!(instead.is_none(), passes, "{status:?}");
        assert!(instead.is_none_or(|reply| reply.status == 502 && reply.body.contains("not_brokered")));
    }
    for (status, is_of_upstream, is_held) in [
        (Some(200), true, true),
        (Some(200), false, true),
        (None, false, true),
        (Some(503), true, true),
        (Some(503), false, false),
    ] {
        assert_eq!(exchange.holds(status, is_of_upstream), is_held, "{status:?} {is_of_upstream}");
    }
}

#[test]
fn a_caller_whose_token_cannot_be_found_by_its_digest_mints_nothing() {
    let mut document = registry_policy(&json!({"broker": {"key": {"env": "BROKER"}}}));
    document["registry"]["introspection"] = json!({"providers": ["openai"]});
    let worker = Worker::within(&document, Variables('a'));
    let active = |_: &str| Answer(200, r#"{"active":true,"providers":["openai:mint"]}"#.to_owned());
    let bearer = format!("Bearer {PARENT}");
    let (sent, _) =
        ask(&worker, "POST /v1/realtime/client_secrets", &[("authorization", &bearer)], at(0), &active);
    assert_eq!(sent, Err("minting_not_allowed".to_owned()));
    // A brokered token of another data plane is not sent to that server.
    let token = minted(&plane(&json!({})));
    assert_eq!(by_bearer(&worker, "WS /v1/realtime", &token, at(1)), Err("token_invalid".to_owned()));
}

#[test]
fn where_the_host_writes_the_key_nothing_is_minted_and_nothing_minted_is_taken() {
    let mut document = policy(&json!({}));
    document["credentials"]["openai"] = json!([{"inject_by": "host"}]);
    let worker = Worker::within(&document, Variables('a'));
    let token = minted(&plane(&json!({})));
    for (request, token) in [("POST /v1/realtime/client_secrets", PARENT), ("WS /v1/realtime", &token)] {
        let found = by_bearer(&worker, request, token, at(1));
        assert_eq!(found, Err("minting_not_allowed".to_owned()), "{request}");
    }
}

#[test]
fn a_policy_says_where_its_broker_is_wrong() {
    let errors = |document: &Value| {
        let errors = Policy::from_json(document.to_string().as_bytes()).err().unwrap().0;
        errors.iter().map(|error| format!("{}: {}", error.path, error.message)).collect::<Vec<_>>().join("\n")
    };
    let mut without = policy(&json!({}));
    without.as_object_mut().unwrap().remove("broker");
    assert!(
        errors(&without)
            .starts_with("tokens[0].providers[0]: `mint` opens endpoints whose answer is brokered")
    );
    for (member, value, expect) in [
        ("broker", json!({}), "broker: the field `key` is missing"),
        ("broker", json!({"key": {"env": "B"}, "max_ttl": "3h"}), "broker.max_ttl: expected a duration from"),
        ("broker", json!({"key": {"env": "B"}, "max_ttl": "1s"}), "broker.max_ttl: expected a duration from"),
        (
            "principals",
            json!([{"email": "a@example.com", "label": "a", "providers": ["openai:mint"]}]),
            "principals[0].providers[0]: `mint` is for proxy tokens",
        ),
    ] {
        let found = errors(&policy(&json!({member: value})));
        assert!(found.contains(expect), "{member}: {found}");
    }
    let mut anthropic = policy(&json!({}));
    anthropic["credentials"]["anthropic"] = json!([{"env": "A"}]);
    anthropic["tokens"][0]["providers"] = json!(["anthropic:mint"]);
    assert!(errors(&anthropic).contains("`anthropic` has no endpoint that mints and whose answer"));
}

#[test]
fn a_host_without_the_key_or_the_ability_refuses_the_policy() {
    struct Short;
    impl Environment for Short {
        fn variable(&self, _: &str) -> Option<Vec<u8>> {
            Some(b"0123456789abcdef".to_vec())
        }
    }
    let document = policy(&json!({})).to_string();
    let start = |environment: Box<dyn Environment>, host| {
        let policy = keyswap_core::policy::RolloutPolicy::from_json(document.as_bytes()).unwrap();
        let verifier = Box::new(keyswap_core::identity::jwt::PureRust);
        keyswap_core::worker::Worker::of(policy, environment, verifier, host).err().map(|it| it.to_string())
    };
    let found = start(Box::new(Short), Capabilities::ENVOY).unwrap();
    assert!(found.contains("broker.key.env") && !found.contains("0123456789abcdef"), "{found}");
    let deaf = Capabilities { replaces_answers: false, ..Capabilities::ENVOY };
    let found = start(Box::new(Variables('a')), deaf).unwrap();
    assert!(found.contains("`broker`: this host passes answers on as they are"), "{found}");
    assert_eq!(start(Box::new(Variables('a')), Capabilities::ENVOY), None);
    assert_eq!(start(Box::new(Variables('a')), Capabilities::COMPONENT), None);
}
