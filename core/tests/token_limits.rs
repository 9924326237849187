//! Rate limits in tokens of models: reserved before a request goes on, settled by what its answer tells.

use keyswap_core::base::Moment;
use keyswap_core::host::{Capabilities, MemoryStore, Store, StoreError, Update};
use keyswap_core::judge::{AnswerFields, AnswerHead, Decision, Refusal, Verdict};
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::worker::Exchange;
use serde_json::{Value, json};

use crate::support;
use crate::support::plane::{Plane, TOKEN, policy};
use crate::support::with;
use crate::support::worker::{Answer, Secrets, Worker, at, nobody_is_asked, registry_policy};

const PLAIN: &[(&str, &str)] = &[("content-type", "application/json")];

fn limited(rate_limit: &Value) -> Value {
    with(&policy(&["openai", "anthropic"]), &json!({"rate_limit": rate_limit}))
}

/// Sends the head of a request, and returns its exchange.
fn begin(worker: &Worker, store: &dyn Store, path: &str, more: &[(&str, &str)], now: Moment) -> Exchange {
    let authorization = format!("Bearer {TOKEN}");
    let mut headers = vec![Header { name: b"authorization", value: authorization.as_bytes() }];
    headers
        .extend(more.iter().map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }));
    let head = RequestHead::new(b"POST", path.as_bytes(), &headers);
    worker.send(store, &head, now, &|_| Answer(0, String::new()), |_| ()).1
}

fn body(output: u64) -> String {
    json!({"model": "gpt-test", "max_tokens": output, "messages": []}).to_string()
}

fn send(exchange: &mut Exchange, output: u64, now: Moment, store: &dyn Store) -> Result<(), Box<Refusal>> {
    exchange.request_body(body(output).as_bytes(), true, now, store).map(|_| ())
}

/// Sends a request that may take this much output.
fn ask(plane: &Worker, store: &dyn Store, output: u64, now: Moment) -> Result<Exchange, Box<Refusal>> {
    let mut exchange = begin(plane, store, "/v1/chat/completions", PLAIN, now);
    send(&mut exchange, output, now, store).map(|()| exchange)
}

/// Answers a request, with this usage.
fn answer(exchange: &mut Exchange, input: u64, output: u64, now: Moment, store: &dyn Store) {
    exchange.begin_answer(&AnswerFields { status: 200, fields: &[(b"content-type", b"application/json")] });
    let body = json!({"model": "gpt-test", "usage": {"prompt_tokens": input, "completion_tokens": output}});
    exchange.answer_body(body.to_string().as_bytes(), true, now, store).unwrap();
    exchange.end(now, store);
}

fn header(exchange: &Exchange, name: &str) -> Option<String> {
    let set = exchange.response().own().find(|(other, _)| *other == name.as_bytes());
    set.map(|(_, value)| String::from_utf8(value.to_vec()).unwrap())
}

fn of_reply<'r>(refusal: &'r Refusal, name: &str) -> Option<&'r str> {
    refusal.reply.headers.iter().find(|(other, _)| *other == name).map(|(_, value)| &**value)
}

/// The answer of a host whose upstream gave none.
struct OfHost;

impl AnswerHead for OfHost {
    fn value(&self, name: &'static str) -> Option<Vec<u8>> {
        (name == ":status").then(|| b"502".to_vec())
    }

    fn is_of_upstream(&self) -> bool {
        false
    }
}

/// A memory that cannot be written.
struct Broken;

impl Store for Broken {
    fn get(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn update(&self, _: &str, _: &mut dyn FnMut(Option<&[u8]>) -> Update) -> Result<(), StoreError> {
        Err(StoreError::Contended)
    }
}

#[test]
fn a_request_reserves_its_estimate_and_takes_what_its_answer_tells() {
    let plane = Plane::new(&limited(&json!({"tokens": 6000, "per": "60s"})));
    let store = MemoryStore::default();
    let mut first = ask(&plane, &store, 5000, at(0)).unwrap();
    assert_eq!(header(&first, "x-ratelimit-limit-tokens").as_deref(), Some("6000"));
    let estimate = 5000 + body(5000).len().div_ceil(3);
    assert_eq!(header(&first, "x-ratelimit-remaining-tokens"), Some((6000 - estimate).to_string()));
    assert_eq!(header(&first, "x-ratelimit-reset-tokens").as_deref(), Some("50.18s"));
    assert_eq!(header(&first, "ratelimit"), None, "requests are not limited");

    let refused = ask(&plane, &store, 2000, at(0)).map(|_| ()).unwrap_err();
    assert_eq!((refused.reason, refused.reply.status), ("tokens_limited", 429));
    assert_eq!(of_reply(&refused, "retry-after"), Some("11"));
    assert_eq!(of_reply(&refused, "x-ratelimit-remaining-tokens"), Some("982"));
    let error: Value = serde_json::from_str(&refused.reply.body).unwrap();
    assert_eq!(error["error"]["type"], "rate_limit_error");

    answer(&mut first, 40, 60, at(1), &store);
    let second = ask(&plane, &store, 5000, at(1)).unwrap();
    assert_eq!(header(&second, "x-ratelimit-remaining-tokens"), Some((6000 - 100 - estimate).to_string()));
}

/// Returns what a caller is told of its limit.
fn told(plane: &Worker, store: &dyn Store, now: Moment) -> Value {
    let authorization = format!("Bearer {TOKEN}");
    let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
    let head = RequestHead::new(b"GET", b"/.well-known/keyswap/me", &headers);
    let body = |decision: &Decision<'_>| match &decision.verdict {
        Verdict::Answer(reply) => reply.body.clone(),
        other => panic!("{other:?}"),
    };
    let (body, _) = plane.send(store, &head, now, &|_| Answer(0, String::new()), body);
    serde_json::from_str::<Value>(&body).unwrap()["token_limit"].clone()
}

#[test]
fn a_caller_is_told_what_is_left_of_its_tokens() {
    let plane = Plane::new(&limited(&json!({"tokens": 6000, "per": "60s"})));
    let store = MemoryStore::default();
    let limit = |left: usize| json!({"tokens": 6000, "per_seconds": 60, "left": left});
    assert_eq!(told(&plane, &store, at(0)), limit(6000));
    let mut exchange = ask(&plane, &store, 5000, at(0)).unwrap();
    assert_eq!(told(&plane, &store, at(0)), limit(1000 - body(5000).len().div_ceil(3)));
    answer(&mut exchange, 40, 60, at(0), &store);
    assert_eq!(told(&plane, &store, at(0)), limit(5900));
    assert_eq!(told(&plane, &store, at(1)), limit(6000), "a hundred tokens come back in a second");
}

#[test]
fn what_never_reached_an_upstream_takes_nothing() {
    let plane = Plane::new(&limited(&json!({"tokens": 6000, "per": "60s"})));
    let store = MemoryStore::default();
    let mut lost = ask(&plane, &store, 6000, at(0)).unwrap();
    assert!(ask(&plane, &store, 1, at(0)).is_err());
    lost.begin_answer(&OfHost);
    lost.end(at(0), &store);
    // An exchange ends once.
    lost.end(at(0), &store);
    assert!(ask(&plane, &store, 6000, at(0)).is_ok());
}

#[test]
fn the_own_limit_goes_before_that_of_the_policy_for_requests_and_tokens_each() {
    for (own, rule, tokens, requests) in [
        (json!(null), json!({"tokens": 6000, "per": "60s"}), Some("6000"), None),
        (json!(null), json!({"requests": 9, "tokens": 6000, "per": "60s"}), Some("6000"), Some(9)),
        (json!(null), json!({"requests": 9, "per": "60s"}), None, Some(9)),
        (json!(null), json!({}), None, Some(100)),
        (json!({"tokens": 50, "per": "1h"}), json!(null), Some("50"), None),
        (json!({"tokens": 50, "per": "1h"}), json!({"requests": 9, "tokens": 6000}), Some("50"), Some(9)),
        (json!({"requests": 5, "per": "1h"}), json!({"requests": 9, "tokens": 6000}), Some("6000"), Some(5)),
    ] {
        let mut document = policy(&["openai"]);
        document["tokens"][0]["rate_limit"] = own.clone();
        document["rate_limit"] = rule.clone();
        for (place, value) in [("/tokens/0", &own), ("", &rule)] {
            if value.is_null() {
                document.pointer_mut(place).unwrap().as_object_mut().unwrap().remove("rate_limit");
            }
        }
        let plane = Plane::new(&document);
        let store = MemoryStore::default();
        let exchange = ask(&plane, &store, 1, at(0)).unwrap();
        assert_eq!(header(&exchange, "x-ratelimit-limit-tokens").as_deref(), tokens, "{own} {rule}");
        let requests = requests.map(|number: u32| format!("q={number};"));
        let shown = header(&exchange, "ratelimit-policy");
        assert_eq!(shown.is_some(), requests.is_some(), "{own} {rule}");
        assert!(shown.is_none_or(|shown| shown.contains(&requests.unwrap())), "{own} {rule}");
    }
}

#[test]
fn tokens_that_cannot_be_counted_pass_only_where_the_policy_says_so() {
    for (allows, expect) in [(false, Err("rate_limit_unavailable")), (true, Ok(()))] {
        let rule = json!({"tokens": 6000, "per": "60s", "failure_mode_allow": allows});
        let plane = Plane::new(&limited(&rule));
        let found = ask(&plane, &Broken, 1, at(0)).map(|_| ()).map_err(|refusal| refusal.reason);
        assert_eq!(found, expect, "{allows}");
        let mut exchange = begin(&plane, &MemoryStore::default(), "/v1/chat/completions", PLAIN, at(0));
        let found = exchange.request_body(b"no json", true, at(0), &MemoryStore::default());
        let expect = expect.map_err(|_| "body_invalid");
        assert_eq!(found.map(|_| ()).map_err(|refusal| refusal.reason), expect, "{allows}");
    }
}

#[test]
fn a_request_that_a_budget_refuses_gives_its_tokens_back() {
    let rule = json!({"tokens": 6000, "per": "60s"});
    let changes = json!({"rate_limit": rule, "budgets": {"token": {"tokens": 100, "per": "day"}}});
    let document = with(&registry_policy(&changes), &json!({"tokens": policy(&["openai"])["tokens"]}));
    let worker = Worker::new(&document);
    let store = MemoryStore::default();
    let mut exchange = begin(&worker, &store, "/v1/chat/completions", PLAIN, at(0));
    let waiting = exchange.request_body(body(5000).as_bytes(), true, at(0), &store).unwrap();
    let fetch = waiting.fetch.expect("a call for a slice");
    worker.call(&fetch, at(0), &store, &|_| Answer(0, String::new()));
    let mut refused = exchange.resume_request(at(0), &store);
    while let Ok(slice) = &refused {
        worker.call(slice.fetch.as_ref().unwrap(), at(0), &store, &|_| Answer(0, String::new()));
        refused = exchange.resume_request(at(0), &store);
    }
    assert_eq!(refused.unwrap_err().reason, "budget_unavailable");
    exchange.end(at(0), &store);
    let other = Plane::new(&limited(&rule));
    let left = ask(&other, &store, 0, at(0)).unwrap();
    let estimate = body(0).len().div_ceil(3);
    assert_eq!(header(&left, "x-ratelimit-remaining-tokens"), Some((6000 - estimate).to_string()));
}

#[test]
fn endpoints_that_compute_nothing_take_no_tokens() {
    let plane = Plane::new(&limited(&json!({"tokens": 1, "per": "1d"})));
    let store = MemoryStore::default();
    for _ in 0..3 {
        let authorization = format!("Bearer {TOKEN}");
        let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
        let head = RequestHead::new(b"GET", b"/v1/models", &headers);
        let (status, exchange) = plane.send(&store, &head, at(0), &nobody_is_asked, support::worker::status);
        assert_eq!((status, exchange.has_end()), (200, false));
    }
}

#[test]
fn a_host_without_shared_memory_refuses_what_it_cannot_count() {
    let rule = json!({"requests": 9, "tokens": 6000, "per": "60s", "store": "registry"});
    let own = json!({"tokens": 5, "per": "60s"});
    let mut document = with(
        &registry_policy(&json!({"rate_limit": rule})),
        &json!({"tokens": policy(&["openai"])["tokens"]}),
    );
    document["tokens"][0]["rate_limit"] = own;
    let read = keyswap_core::policy::Policy::from_json(document.to_string().as_bytes()).unwrap();
    let errors = read.fits(Capabilities::COMPONENT).unwrap_err();
    let places: Vec<&str> = errors.0.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(places, ["rate_limit.tokens", "tokens[0].rate_limit.tokens"]);
    assert!(read.fits(Capabilities::ENVOY).is_ok());

    // A record of the registry may have a limit in tokens all the same.
    let record = |_: &str| {
        let sha256 = keyswap_core::base::Digest::of(TOKEN.as_bytes()).to_hex();
        let record = json!({
            "sha256": sha256, "label": "l", "status": "active", "providers": ["openai"], "models": ["*"],
            "rate_limit": {"tokens": 5, "per": "60s"}, "version": 3,
        });
        Answer(200, record.to_string())
    };
    for (allows, expect) in [(false, Err("rate_limit_unavailable")), (true, Ok(()))] {
        let rule = json!({"requests": 9, "per": "60s", "store": "registry", "failure_mode_allow": allows});
        let worker =
            Worker::on(&registry_policy(&json!({"rate_limit": rule})), Secrets, Capabilities::COMPONENT);
        let authorization = format!("Bearer {TOKEN}");
        let headers = [
            Header { name: b"authorization", value: authorization.as_bytes() },
            Header { name: b"content-type", value: b"application/json" },
        ];
        let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
        let store = MemoryStore::default();
        let service = |path: &str| match path {
            "/v1/limits" => {
                let left = json!({"allowed": true, "limit": 9, "remaining": 8, "retry_after": 0, "reset": 7});
                Answer(200, left.to_string())
            }
            path => record(path),
        };
        let ((), mut exchange) = worker.send(&store, &head, at(0), &service, |_| ());
        let found = send(&mut exchange, 1, at(0), &store).map_err(|refusal| refusal.reason);
        assert_eq!(found, expect, "{allows}");
    }
}
