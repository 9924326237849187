//! The charge for a metered request: when its caller leaves, when it refuses usage, and by the way it was served.

use keyswap_core::host::MemoryStore;
use keyswap_core::judge::{AnswerFields, AnswerHead};
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::worker::Exchange;
use serde_json::{Value, json};

use crate::support::plane::{Plane, TOKEN, policy};
use crate::support::with;
use crate::support::worker::{Answer, at, nobody_is_asked, registry_policy, status};

const LIMIT: u64 = 100_000;
const OUTPUT: u64 = 500;

fn metered(more: &Value) -> Plane {
    let changes = json!({
        "rate_limit": {"tokens": LIMIT, "per": "1d"},
        "prices": {"model": {"input": 1, "output": 10, "factors": {"fast": 2, "us": 1.1}}},
    });
    Plane::new(&with(&with(&policy(&["openai", "anthropic"]), &changes), more))
}

fn begin(plane: &Plane, store: &MemoryStore, path: &str) -> Exchange {
    let authorization = format!("Bearer {TOKEN}");
    let headers = [
        Header { name: b"authorization", value: authorization.as_bytes() },
        Header { name: b"content-type", value: b"application/json" },
    ];
    let head = RequestHead::new(b"POST", path.as_bytes(), &headers);
    plane.send(store, &head, at(0), &nobody_is_asked, |_| ()).1
}

/// Sends a body, and returns the one that goes on.
fn send(exchange: &mut Exchange, body: &str, store: &MemoryStore) -> String {
    let sent = exchange.request_body(body.as_bytes(), true, at(0), store).unwrap();
    assert!(sent.observation.is_some(), "the body has passed");
    sent.bytes.map_or_else(|| body.to_owned(), |bytes| String::from_utf8(bytes).unwrap())
}

fn begin_answer(exchange: &mut Exchange, content_type: &'static [u8]) {
    exchange.begin_answer(&AnswerFields { status: 200, fields: &[(b"content-type", content_type)] });
}

fn chat(more: &Value) -> String {
    with(&json!({"model": "model", "stream": true, "max_tokens": OUTPUT, "messages": []}), more).to_string()
}

fn input(body: &str) -> u64 {
    u64::try_from(body.len()).unwrap().div_ceil(3)
}

/// Returns the tokens that were taken from the limit.
fn taken(plane: &Plane, store: &MemoryStore) -> u64 {
    let mut exchange = begin(plane, store, "/v1/chat/completions");
    let body = r#"{"max_tokens":0}"#;
    send(&mut exchange, body, store);
    let left = exchange.response().own().find(|(name, _)| *name == b"x-ratelimit-remaining-tokens");
    let left: u64 = String::from_utf8(left.unwrap().1.to_vec()).unwrap().parse().unwrap();
    // An error takes nothing.
    exchange.begin_answer(&AnswerFields { status: 400, fields: &[] });
    exchange.answer_body(b"", true, at(0), store).unwrap();
    exchange.end(at(0), store);
    LIMIT - input(body) - left
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

#[test]
fn what_a_caller_that_leaves_is_charged_is_the_choice_of_the_policy() {
    let text = event(&json!({"choices": [{"delta": {"content": "x"}}]}));
    let told = event(&json!({"choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 1}}));
    let answers = [None, Some(format!("{text}{text}")), Some(format!("{told}{text}{text}"))];
    let body = chat(&json!({"stream_options": {"include_usage": true}}));
    let (estimate, most) = (input(&body), input(&body) + OUTPUT);
    for (when_left, expect) in [
        (None, [estimate, estimate + 2, 8 + 2]),
        (Some("estimate"), [estimate, estimate + 2, 8 + 2]),
        (Some("reserve"), [most, most, most]),
        (Some("seen"), [0, 0, 8 + 1]),
    ] {
        for (answer, expect) in answers.iter().zip(expect) {
            let metering = when_left.map_or(json!({}), |when_left| json!({"when_left": when_left}));
            let plane = metered(&json!({"metering": metering}));
            let store = MemoryStore::default();
            let mut exchange = begin(&plane, &store, "/v1/chat/completions");
            send(&mut exchange, &body, &store);
            if let Some(answer) = answer {
                begin_answer(&mut exchange, b"text/event-stream");
                exchange.answer_body(answer.as_bytes(), false, at(0), &store).unwrap();
            }
            exchange.end(at(0), &store);
            assert_eq!(taken(&plane, &store), expect, "{when_left:?} {answer:?}");
        }
    }
}

#[test]
fn a_body_that_cannot_be_read_is_refused_where_its_cost_must_be_known() {
    let registry = registry_policy(&json!({}))["registry"].take();
    let budget = |unpriced: &str| {
        let token = json!({"usd": 1, "per": "day"});
        json!({"registry": registry, "objects": "shared", "budgets": {"token": token, "unpriced": unpriced}})
    };
    let limit = |failure_mode_allow: bool| json!({"rate_limit": {"tokens": 100, "per": "1d", "failure_mode_allow": failure_mode_allow}});
    for (changes, is_refused) in [
        (json!({"metering": {}}), false),
        (budget("refuse"), true),
        (budget("allow"), false),
        (limit(false), true),
        (limit(true), false),
    ] {
        let plane = Plane::new(&with(&policy(&["openai"]), &changes));
        let authorization = format!("Bearer {TOKEN}");
        let headers = [
            Header { name: b"authorization", value: authorization.as_bytes() },
            Header { name: b"content-type", value: b"application/json" },
            Header { name: b"content-encoding", value: b"gzip" },
        ];
        let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
        let none = |_: &str| Answer(0, String::new());
        let reason = plane.decide(&MemoryStore::default(), &head, at(0), &none, status);
        assert_eq!(reason == 415, is_refused, "{reason} {changes}");
    }
}

#[test]
fn what_an_exchange_took_is_told_behind_its_answer() {
    let registry = registry_policy(&json!({}))["registry"].take();
    let plane = metered(&json!({"registry": registry, "metering": {}, "objects": "shared"}));
    let store = MemoryStore::default();
    let mut exchange = begin(&plane, &store, "/v1/chat/completions");
    send(&mut exchange, &chat(&json!({"stream": false})), &store);
    begin_answer(&mut exchange, b"application/json");
    exchange.answer_body(br#"{"usage": {"prompt_tokens": 8}}"#, true, at(0), &store).unwrap();
    exchange.end(at(0), &store);
    let told: Vec<_> = exchange.reports(at(10), &store).iter().map(|fetch| fetch.key.kind()).collect();
    assert_eq!(told, ["spend"]);
}

#[test]
fn an_answer_that_came_whole_is_charged_alike_whatever_is_charged_when_callers_leave() {
    for when_left in ["estimate", "reserve", "seen"] {
        let plane = metered(&json!({"metering": {"when_left": when_left}}));
        let store = MemoryStore::default();
        for (usage, expect) in [(json!({"prompt_tokens": 8, "completion_tokens": 1}), 9), (json!(null), 0)] {
            let before = taken(&plane, &store);
            let body = chat(&json!({"stream": false}));
            let mut exchange = begin(&plane, &store, "/v1/chat/completions");
            send(&mut exchange, &body, &store);
            begin_answer(&mut exchange, b"application/json");
            exchange
                .answer_body(json!({"usage": usage}).to_string().as_bytes(), true, at(0), &store)
                .unwrap();
            exchange.end(at(0), &store);
            // An answer that tells nothing takes what was reserved.
            let expect = if expect == 0 { input(&body) + OUTPUT } else { expect };
            assert_eq!(taken(&plane, &store) - before, expect, "{when_left} {usage}");
        }
    }
}

#[test]
fn an_error_of_the_upstream_takes_nothing_even_where_its_caller_left() {
    for when_left in ["estimate", "reserve", "seen"] {
        for (body, is_last) in [("", true), ("<html>", true), (r#"{"error": "#, false), ("", false)] {
            let plane = metered(&json!({"metering": {"when_left": when_left}}));
            let store = MemoryStore::default();
            let mut exchange = begin(&plane, &store, "/v1/chat/completions");
            send(&mut exchange, &chat(&json!({})), &store);
            let fields: &[(&[u8], &[u8])] = &[(b"content-type", b"application/json")];
            exchange.begin_answer(&AnswerFields { status: 529, fields });
            exchange.answer_body(body.as_bytes(), is_last, at(0), &store).unwrap();
            exchange.end(at(0), &store);
            assert_eq!(taken(&plane, &store), 0, "{when_left} {body}");
        }
    }
}

/// The host's own answer, of which nothing is known.
struct OfHost;

impl AnswerHead for OfHost {
    fn value(&self, _name: &'static str) -> Option<Vec<u8>> {
        None
    }

    fn is_of_upstream(&self) -> bool {
        false
    }
}

#[test]
fn a_request_that_its_host_answers_takes_nothing() {
    for is_sent in [true, false] {
        let (plane, store) = (metered(&json!({})), MemoryStore::default());
        let mut exchange = begin(&plane, &store, "/v1/chat/completions");
        if is_sent {
            send(&mut exchange, &chat(&json!({})), &store);
        }
        exchange.begin_answer(&OfHost);
        assert!(exchange.end(at(0), &store).values.is_empty());
        assert_eq!(taken(&plane, &store), 0, "{is_sent}");
    }
}

#[test]
fn a_caller_that_refuses_usage_is_overruled_where_its_tokens_must_count_and_sees_no_usage() {
    let refusing = chat(&json!({"stream_options": {"include_usage": false}}));
    let usage = event(&json!({"choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 1}}));
    let text = event(&json!({"choices": [{"delta": {"content": "x"}}], "usage": null}));
    for (more, is_overruled) in [
        (json!({}), true),
        (json!({"metering": {"ask_usage": false}}), false),
        (json!({"rate_limit": {"tokens": LIMIT, "per": "1d", "failure_mode_allow": true}}), false),
    ] {
        let plane = metered(&more);
        let store = MemoryStore::default();
        let mut exchange = begin(&plane, &store, "/v1/chat/completions");
        let sent = send(&mut exchange, &refusing, &store);
        let asked: Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(asked["stream_options"]["include_usage"], is_overruled, "{more}");
        begin_answer(&mut exchange, b"text/event-stream");
        let answer = if is_overruled {
            format!("{text}{usage}data: [DONE]\n\n")
        } else {
            format!("{text}data: [DONE]\n\n")
        };
        let seen = exchange.answer_body(answer.as_bytes(), true, at(0), &store).unwrap();
        let seen = seen.bytes.map_or(answer, |bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(seen, format!("{text}data: [DONE]\n\n"), "{more}");
        exchange.end(at(0), &store);
        let expect = if is_overruled { 9 } else { input(&refusing) + OUTPUT };
        assert_eq!(taken(&plane, &store), expect, "{more}");
    }
}

#[test]
fn the_speed_and_the_region_that_an_answer_names_multiply_its_price() {
    for (way, per_mille) in [
        (json!({}), 1000),
        (json!({"speed": "standard", "inference_geo": "global"}), 1000),
        (json!({"speed": "fast"}), 2000),
        (json!({"inference_geo": "us"}), 1100),
        (json!({"speed": "fast", "inference_geo": "us"}), 2200),
    ] {
        let plane = metered(&json!({"metering": {}}));
        let store = MemoryStore::default();
        let mut exchange = begin(&plane, &store, "/v1/messages");
        send(&mut exchange, &chat(&json!({"stream": false})), &store);
        begin_answer(&mut exchange, b"application/json");
        let usage = with(&json!({"input_tokens": 1000, "output_tokens": 100}), &way);
        exchange
            .answer_body(
                json!({"model": "model", "usage": usage}).to_string().as_bytes(),
                true,
                at(0),
                &store,
            )
            .unwrap();
        let ended = exchange.end(at(0), &store);
        let cost = ended.values.iter().find(|(name, _)| *name == "keyswap_cost_nano_usd");
        assert_eq!(cost.unwrap().1, (2000 * per_mille).to_string(), "{way}");
    }
}

/// Returns the cost of a request by its tier: what is reserved of it, and what it is charged where its answer names another tier, or
/// none.
fn cost(tier: &Value, answer: Option<&Value>) -> u64 {
    let price = json!({"input": 1, "output": 10, "flex": {"input": 0.5, "output": 5}, "priority": {"input": 2, "output": 20}});
    let plane = metered(&json!({"prices": {"model": price}, "metering": {"when_left": "reserve"}}));
    let store = MemoryStore::default();
    let mut exchange = begin(&plane, &store, "/v1/chat/completions");
    // The tokens are the same, whatever the length of the tier.
    let mut body = chat(&with(&json!({"stream": false}), tier));
    body.push_str(&" ".repeat(200 - body.len()));
    send(&mut exchange, &body, &store);
    if let Some(answer) = answer {
        begin_answer(&mut exchange, b"application/json");
        let usage = json!({"usage": {"prompt_tokens": 1000, "completion_tokens": 100}});
        exchange.answer_body(with(&usage, answer).to_string().as_bytes(), true, at(0), &store).unwrap();
    }
    let ended = exchange.end(at(0), &store);
    let cost = ended.values.iter().find(|(name, _)| *name == "keyswap_cost_nano_usd");
    cost.unwrap().1.parse().unwrap()
}

#[test]
fn the_tier_that_a_request_asks_for_is_reserved_where_it_is_dearer_and_charged_unless_the_answer_names_one() {
    let reserved = 67 * 1000 + OUTPUT * 10_000;
    let (plain, priority, flex) = (2_000_000, 4_000_000, 1_000_000);
    let [default, silent] = [json!({"service_tier": "default"}), json!({})];
    for (asked, is_dearer) in [
        (json!({}), false),
        (json!({"service_tier": "auto"}), false),
        (json!({"service_tier": null}), false),
        (json!({"service_tier": "flex"}), false),
        (json!({"service_tier": "priority"}), true),
        (json!({"serviceTier": "priority"}), true),
        (json!({"serviceTier": {"type": "priority"}}), true),
        // Which of two counts depends on the API.
        (json!({"service_tier": "priority", "serviceTier": "flex"}), true),
        (json!({"service_tier": "flex", "serviceTier": "priority"}), true),
    ] {
        let times = if is_dearer { 2 } else { 1 };
        assert_eq!(cost(&asked, None), reserved * times, "{asked}");
        assert_eq!(cost(&asked, Some(&silent)), plain * times, "{asked}");
        assert_eq!(cost(&asked, Some(&default)), plain, "{asked}");
        assert_eq!(cost(&asked, Some(&json!({"service_tier": "priority"}))), priority, "{asked}");
        assert_eq!(cost(&asked, Some(&json!({"service_tier": "flex"}))), flex, "{asked}");
        // Vertex AI has names of its own. One that is not known says nothing.
        assert_eq!(cost(&asked, Some(&json!({"service_tier": "ON_DEMAND"}))), plain, "{asked}");
        assert_eq!(cost(&asked, Some(&json!({"service_tier": "ON_DEMAND_FLEX"}))), flex, "{asked}");
        assert_eq!(cost(&asked, Some(&json!({"service_tier": "ON_DEMAND_PRIORITY"}))), priority, "{asked}");
        assert_eq!(cost(&asked, Some(&json!({"service_tier": "of_tomorrow"}))), plain * times, "{asked}");
    }
}
