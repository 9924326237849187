//! The charge for a metered request, whatever a caller writes to have it cheaper.

use keyswap_core::base::Digest;
use keyswap_core::host::MemoryStore;
use keyswap_core::judge::AnswerFields;
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};

use crate::support::plane::{Plane, TOKEN, policy};
use crate::support::with;
use crate::support::worker::{at, nobody_is_asked};

/// A request, with what comes of it.
struct Sent {
    path: &'static str,
    header: (&'static str, &'static str),
    body: String,
    /// The changes of its policy.
    more: Value,
}

impl Sent {
    /// Returns the nano-dollars that the request is charged, with the name of the model. Without an answer that is what it has
    /// reserved. Input is free.
    fn charged(&self, answer: Option<(&str, &str)>) -> (u64, String) {
        self.charged_by("reserve", answer, true)
    }

    fn charged_by(&self, when_left: &str, answer: Option<(&str, &str)>, is_last: bool) -> (u64, String) {
        let changes = json!({
            "rate_limit": {"tokens": 10_000_000, "per": "1d"},
            "metering": {"when_left": when_left},
            "credentials": {"openai": [{"env": "A"}], "anthropic": [{"env": "B"}], "gemini": [{"env": "C"}]},
            "prices": {
                "dear": {"input": 0, "output": 1000, "max_output": 100_000},
                "cheap": {"input": 0, "output": 1, "max_output": 1000},
            },
        });
        let plane =
            Plane::new(&with(&with(&policy(&["openai", "anthropic", "gemini"]), &changes), &self.more));
        let (store, authorization) = (MemoryStore::default(), format!("Bearer {TOKEN}"));
        let headers = [
            Header { name: b"authorization", value: authorization.as_bytes() },
            Header { name: b"content-type", value: b"application/json" },
            Header { name: self.header.0.as_bytes(), value: self.header.1.as_bytes() },
        ];
        let head = RequestHead::new(b"POST", self.path.as_bytes(), &headers);
        let mut exchange = plane.send(&store, &head, at(0), &nobody_is_asked, |_| ()).1;
        exchange.request_body(self.body.as_bytes(), true, at(0), &store).unwrap();
        if let Some((content_type, answer)) = answer {
            let fields: &[(&[u8], &[u8])] = &[(b"content-type", content_type.as_bytes())];
            exchange.begin_answer(&AnswerFields { status: 200, fields });
            exchange.answer_body(answer.as_bytes(), is_last, at(0), &store).unwrap();
        }
        let ended = exchange.end(at(0), &store);
        let value =
            |name: &str| ended.values.iter().find(|(own, _)| *own == name).map(|(_, value)| value.clone());
        let cost = value("keyswap_cost_nano_usd").map_or(0, |cost| cost.parse().unwrap());
        (cost, value("keyswap_model").unwrap_or_default())
    }
}

fn answer(more: &Value) -> String {
    with(&json!({"usage": {"prompt_tokens": 1, "completion_tokens": 10}}), more).to_string()
}

const JSON: &str = "application/json";
/// The cost of a token of output, in nano-dollars.
const DEAR: u64 = 1_000_000;
const CHEAP: u64 = 1000;

#[test]
fn the_dearest_model_that_a_request_names_is_reserved_and_charged_unless_the_answer_names_another() {
    let of = |path, header, body: Value| {
        let body = with(&json!({"max_tokens": 50, "max_output_tokens": 50, "messages": []}), &body);
        Sent { path, header, body: body.to_string(), more: json!({}) }
    };
    let (chat, none) = ("/v1/chat/completions", ("x-none", ""));
    for sent in [
        of(chat, none, json!({"model": "dear"})),
        of(chat, ("x-model-id", "cheap"), json!({"model": "dear"})),
        of(chat, ("ai-model-id", "cheap,cheap"), json!({"model": "dear"})),
        of("/v1/chat/completions?model=cheap", none, json!({"model": "dear"})),
        of("/v1/chat/completions?deployment=cheap", none, json!({"model": "dear"})),
        of(chat, none, json!({"preset": "cheap", "model": "dear"})),
        of(chat, none, json!({"model": "cheap", "engine": "dear"})),
        of(chat, none, json!({"models": ["cheap", "dear"], "model": "cheap"})),
        of(chat, none, json!({"model": "cheap", "fallbacks": [{"model": "dear"}]})),
        of(
            "/v1/responses",
            none,
            json!({"tools": [{"type": "image_generation", "model": "cheap"}], "model": "dear"}),
        ),
        of(chat, none, json!({"model": "dear", "engine": "unknown"})),
    ] {
        let shown = (sent.path, sent.header, &sent.body);
        assert_eq!(sent.charged(None).0, 50 * DEAR, "{shown:?}");
        let silent = answer(&json!({}));
        assert_eq!(sent.charged(Some((JSON, &silent))), (10 * DEAR, "dear".to_owned()), "{shown:?}");
        let named = answer(&json!({"model": "cheap"}));
        assert_eq!(sent.charged(Some((JSON, &named))), (10 * CHEAP, "cheap".to_owned()), "{shown:?}");
        let unknown = answer(&json!({"model": "dear-but-unknown"}));
        assert_eq!(sent.charged(Some((JSON, &unknown))), (10 * DEAR, "dear".to_owned()), "{shown:?}");
    }
    let cheap = of(chat, none, json!({"model": "cheap"}));
    assert_eq!(cheap.charged(None).0, 50 * CHEAP);
    let upgraded = answer(&json!({"model": "dear"}));
    assert_eq!(cheap.charged(Some((JSON, &upgraded))), (10 * DEAR, "dear".to_owned()));
}

#[test]
fn a_model_in_the_path_computes_whatever_else_names_one() {
    let body = json!({"model": "dear", "generationConfig": {"maxOutputTokens": 50}}).to_string();
    let path = "/v1beta/models/cheap:generateContent?model=dear";
    let sent = Sent { path, header: ("x-model-id", "dear"), body, more: json!({}) };
    assert_eq!(sent.charged(Some((JSON, &answer(&json!({}))))).0, 10 * DEAR, "the query names one, too");
    let sent = Sent { path: "/v1beta/models/cheap:generateContent", header: ("x-none", ""), ..sent };
    assert_eq!(sent.charged(Some((JSON, &answer(&json!({}))))), (10 * CHEAP, "cheap".to_owned()));
}

fn chat(more: &Value) -> Sent {
    let body = with(&json!({"model": "dear", "messages": []}), more).to_string();
    Sent { path: "/v1/chat/completions", header: ("x-none", ""), body, more: json!({}) }
}

#[test]
fn a_price_of_the_policy_for_the_one_model_that_is_named_comes_before_that_of_the_answer() {
    let deployed = json!({"prices": {"deployed": {"input": 0, "output": 1}}});
    for (body, cost) in [
        (json!({"model": "deployed"}), 10 * CHEAP),
        // Of several it is not known which computed.
        (json!({"model": "deployed", "models": ["gpt-4o"]}), 2500 + 10 * 10_000),
    ] {
        let sent = Sent { more: deployed.clone(), ..chat(&body) };
        let answer = answer(&json!({"model": "gpt-4o-2024-08-06"}));
        assert_eq!(sent.charged(Some((JSON, &answer))).0, cost, "{body}");
    }
}

#[test]
fn each_request_at_the_universal_endpoint_has_the_price_of_its_own_model() {
    let more = json!({
        "tokens": [{"sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "l", "providers": ["universal", "openai", "gemini"]}],
        "credentials": {"cf": [{"env": "A"}]},
        "gateway": {"cloudflare": {"account": "a", "gateway": "g", "credential": "cf", "mode": "byok", "universal_endpoint": true}},
    });
    let openai = |model: &str| json!({"provider": "openai", "endpoint": "chat/completions", "query": {"model": model, "max_tokens": 50}});
    let gemini = |model: &str, query: Value| {
        let endpoint = format!("v1beta/models/{model}:generateContent");
        json!({"query": query, "endpoint": endpoint, "provider": "google-ai-studio"})
    };
    for (body, cost) in [
        (json!([openai("cheap")]), 1000 * CHEAP),
        (json!([openai("dear")]), 4096 * DEAR),
        (json!([openai("cheap"), openai("dear")]), 4096 * DEAR),
        (json!([gemini("cheap", json!({}))]), 1000 * CHEAP),
        (json!([gemini("dear", json!({"model": "cheap"}))]), 4096 * DEAR),
        (json!([openai("cheap"), gemini("dear", json!({}))]), 4096 * DEAR),
    ] {
        let sent = Sent { path: "/", body: body.to_string(), more: more.clone(), ..chat(&json!({})) };
        assert_eq!(sent.charged(None).0, cost, "{body}");
    }
}

#[test]
fn the_greatest_output_that_any_member_allows_is_reserved() {
    const USUAL: u64 = 4096;
    for (body, tokens) in [
        (json!({}), USUAL),
        (json!({"max_tokens": null}), USUAL),
        (json!({"max_tokens": 50}), 50),
        (json!({"max_tokens": 0}), 0),
        (json!({"max_tokens": 1, "max_completion_tokens": 60_000}), 60_000),
        (json!({"max_completion_tokens": 60_000, "max_tokens": 1}), 60_000),
        (json!({"inferenceConfig": {"maxTokens": 60_000}, "max_tokens": 1}), 60_000),
        (json!({"max_tokens": 1_000_000_000}), 100_000),
        (json!({"max_tokens": "60000"}), 60_000),
        (json!({"max_tokens": 6e4}), 60_000),
        (json!({"max_tokens": 50, "n": 3}), 150),
        (json!({"max_tokens": 50, "n": 3.0}), 150),
        (json!({"max_tokens": 50, "n": "3"}), 150),
        (json!({"max_tokens": 50, "n": 2, "best_of": 3}), 150),
        // What no reader takes for a number is no limit.
        (json!({"max_tokens": -1}), USUAL),
        (json!({"max_tokens": true}), USUAL),
        (json!({"max_tokens": [1]}), USUAL),
        (json!({"max_tokens": "1", "max_output_tokens": "many"}), USUAL),
        (json!({"max_output_tokens": false, "max_tokens": 1}), USUAL),
        // Nor is a member that the endpoint does not read.
        (json!({"max_output_tokens": 1}), USUAL),
        (json!({"options": {"num_predict": 1}}), USUAL),
        (json!({"inferenceConfig": {"maxTokens": 1}, "max_tokens_to_sample": 1}), USUAL),
        (json!({"generationConfig": {"maxOutputTokens": 60_000}}), 60_000),
    ] {
        assert_eq!(chat(&body).charged(None).0, tokens * DEAR, "{body}");
    }
}

#[test]
fn an_answer_that_tells_no_usage_costs_the_most_that_it_can_have_cost() {
    const MOST: u64 = 100_000 * DEAR;
    let text = "data: {\"choices\": [{\"delta\": {\"content\": \"x\"}}]}\n\n";
    for when_left in ["estimate", "reserve", "seen"] {
        for answer in [
            (JSON, r#"{"status": "queued", "usage": null}"#),
            (JSON, "{}"),
            ("text/event-stream", text),
            ("audio/mpeg", "ID3"),
            ("application/x-protobuf", "\u{8}"),
            ("text/javascript", r#"f({"usage": {"prompt_tokens": 1}})"#),
        ] {
            assert_eq!(chat(&json!({})).charged_by(when_left, Some(answer), true).0, MOST, "{answer:?}");
            let limited = chat(&json!({"max_tokens": 50})).charged_by(when_left, Some(answer), true);
            assert_eq!(limited.0, 50 * DEAR, "{answer:?}");
        }
    }
    // More events than the request allowed tokens.
    let many = text.repeat(60);
    let limited = chat(&json!({"max_tokens": 50})).charged(Some(("text/event-stream", &many)));
    assert_eq!(limited.0, 60 * DEAR);
}

#[test]
fn of_an_answer_that_cannot_be_read_all_is_taken_to_have_come_where_its_caller_left() {
    for (when_left, tokens) in [("estimate", 50), ("reserve", 50), ("seen", 0)] {
        let charged =
            chat(&json!({"max_tokens": 50})).charged_by(when_left, Some(("audio/mpeg", "ID3")), false);
        assert_eq!(charged.0, tokens * DEAR, "{when_left}");
    }
}

#[test]
fn an_answer_in_the_background_is_made_to_its_end_whether_its_caller_stays_or_not() {
    let text = "data: {\"type\": \"response.output_text.delta\", \"delta\": \"x\"}\n\n";
    for (more, tokens) in [
        (json!({"background": true}), 100_000),
        (json!({"background": true, "max_output_tokens": 50}), 50),
        (json!({"background": false}), 1),
        (json!({"background": null}), 1),
        // That of a picture.
        (json!({"background": "transparent"}), 1),
    ] {
        let sent = Sent { path: "/v1/responses", ..chat(&with(&json!({"stream": true}), &more)) };
        let left = sent.charged_by("estimate", Some(("text/event-stream", text)), false);
        assert_eq!(left.0, tokens * DEAR, "{more}");
    }
    let sent = Sent { path: "/v1/responses", ..chat(&json!({"background": true})) };
    assert_eq!(sent.charged_by("seen", None, false).0, 100_000 * DEAR, "before an answer came");
}

#[test]
fn input_that_no_answer_tells_is_estimated() {
    let priced = json!({"prices": {"reads": {"input": 3, "output": 0, "max_output": 10}}});
    let cost = |more: Value, answer: &str| {
        let body = with(&json!({"model": "reads", "input": "x"}), &more).to_string() + &" ".repeat(300);
        let sent = Sent {
            path: "/v1/responses",
            body: body[..300].to_owned(),
            more: priced.clone(),
            ..chat(&json!({}))
        };
        sent.charged(Some((JSON, answer))).0
    };
    assert_eq!(cost(json!({}), r#"{"usage": {"input_tokens": 7, "output_tokens": 1}}"#), 7 * 3000);
    assert_eq!(cost(json!({}), r#"{"usage": {"output_tokens": 1}}"#), 100 * 3000, "told in part");
    assert_eq!(cost(json!({}), r#"{"usage": null}"#), 100 * 3000);
    for stored in [
        json!({"previous_response_id": "resp_1"}),
        json!({"conversation": {"id": "conv_1"}}),
        json!({"cachedContent": "cachedContents/c"}),
    ] {
        assert_eq!(cost(stored.clone(), r#"{"usage": null}"#), 1_000_000 * 3000, "{stored}");
        assert_eq!(cost(stored.clone(), r#"{"usage": {"input_tokens": 7}}"#), 7 * 3000, "{stored}");
    }
    assert_eq!(cost(json!({"previous_response_id": null}), "{}"), 100 * 3000);
}

#[test]
fn a_model_that_the_answering_one_asks_is_charged_at_the_dearest_price_that_the_request_names() {
    let sent = Sent {
        path: "/v1/messages",
        ..chat(&json!({"model": "cheap", "max_tokens": 50, "tools": [{"type": "advisor", "model": "dear"}]}))
    };
    let pass = |kind: &str, output: u64| json!({"type": kind, "input_tokens": 1, "output_tokens": output});
    for (passes, cost) in [
        (json!([]), 10 * CHEAP),
        (json!([pass("message", 10)]), 10 * CHEAP),
        (json!([pass("message", 10), pass("compaction", 5)]), 15 * CHEAP),
        (json!([pass("message", 6), pass("advisor_message", 5), pass("message", 4)]), 10 * CHEAP + 5 * DEAR),
        (json!([pass("advisor_message", 5), pass("advisor_message", 2)]), 10 * CHEAP + 7 * DEAR),
        (json!([pass("of_tomorrow", 5)]), 10 * CHEAP + 5 * DEAR),
        // Where a model declines, another goes on in its place. What the first had put out is billed.
        (json!([pass("message", 0), pass("fallback_message", 10)]), 10 * CHEAP),
        (json!([pass("message", 3), pass("fallback_message", 10)]), 10 * CHEAP + 3 * DEAR),
        (json!([pass("message", 3), pass("fallback_message", 4), pass("message", 6)]), 10 * CHEAP + 3 * DEAR),
        (
            json!([pass("message", 3), pass("compaction", 2), pass("fallback_message", 10)]),
            12 * CHEAP + 3 * DEAR,
        ),
        (json!([{"output_tokens": 5}]), 10 * CHEAP),
    ] {
        let usage = json!({"input_tokens": 1, "output_tokens": 10, "iterations": passes});
        let answer = json!({"model": "cheap", "usage": usage}).to_string();
        assert_eq!(sent.charged(Some((JSON, &answer))), (cost, "cheap".to_owned()), "{passes}");
        let message =
            json!({"message": {"model": "cheap", "usage": {"input_tokens": 1, "output_tokens": 1}}});
        let events = format!("data: {message}\n\ndata: {}\n\n", json!({"usage": usage}));
        assert_eq!(sent.charged(Some(("text/event-stream", &events))).0, cost, "{passes}");
    }
}

#[test]
fn a_model_that_is_asked_beside_the_one_of_the_path_is_charged_at_its_own_price() {
    let vertex = json!({
        "tokens": [{"sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "l", "providers": ["google-vertex-ai"]}],
        "credentials": {"google-vertex-ai": [{"env": "A"}]},
    });
    let body = json!({"max_tokens": 50, "messages": [], "tools": [{"type": "advisor", "model": "dear"}]});
    let path = "/v1/projects/p/locations/l/publishers/anthropic/models/cheap:rawPredict";
    let sent = Sent { path, body: body.to_string(), more: vertex, ..chat(&json!({})) };
    let passes = json!([{"type": "advisor_message", "input_tokens": 1, "output_tokens": 5}]);
    let usage = json!({"input_tokens": 1, "output_tokens": 10, "iterations": passes});
    assert_eq!(sent.charged(None).0, 50 * CHEAP);
    assert_eq!(sent.charged(Some((JSON, &json!({"usage": usage}).to_string()))).0, 10 * CHEAP + 5 * DEAR);
}

#[test]
fn counting_tokens_is_free() {
    for path in ["/v1/messages/count_tokens", "/v1/responses/input_tokens", "/v1beta/models/dear:countTokens"]
    {
        let sent = Sent { path, ..chat(&json!({})) };
        for answer in [None, Some((JSON, r#"{"input_tokens": 14, "totalTokens": 14}"#))] {
            assert_eq!(sent.charged(answer), (0, String::new()), "{path}");
        }
    }
}
