//! Limits and rules of sessions over WebSocket, whose messages follow each other for as long as both sides like.

use keyswap_core::base::Digest;
use keyswap_core::host::MemoryStore;
use keyswap_core::judge::AnswerFields;
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::worker::Exchange;
use serde_json::{Value, json};

use crate::support::plane::{Plane, TOKEN, policy};
use crate::support::with;
use crate::support::worker::{Answer, at, nobody_is_asked, registry_policy};
use crate::wire::frame;

const MASK: Option<[u8; 4]> = Some([7, 1, 0xfe, 9]);
/// The tokens that a limit has, and those that an answer is taken to have at most.
const LIMIT: u64 = 10_000;
const USUAL: u64 = 4096;

struct Session {
    plane: Plane,
    store: MemoryStore,
    exchange: Exchange,
    /// The unit of the budget.
    unit: &'static str,
}

impl Session {
    fn open(changes: &Value) -> Self {
        Self::open_at("/v1/realtime?model=m", changes)
    }

    fn open_at(path: &str, changes: &Value) -> Self {
        let plane = Plane::new(&with(&policy(&["openai"]), changes));
        let (store, authorization) = (MemoryStore::default(), format!("Bearer {TOKEN}"));
        let headers = [
            Header { name: b"authorization", value: authorization.as_bytes() },
            Header { name: b"connection", value: b"upgrade" },
            Header { name: b"upgrade", value: b"websocket" },
        ];
        let head = RequestHead::new(b"GET", path.as_bytes(), &headers);
        let mut exchange = plane.send(&store, &head, at(0), &nobody_is_asked, |_| ()).1;
        exchange.begin_answer(&AnswerFields { status: 101, fields: &[] });
        Self { plane, store, exchange, unit: "tokens" }
    }

    /// Sends a message. The first may wait, and its calls get the answers of the registry. Returns the reason of a refusal, and whether a call
    /// was begun that no message waits for.
    fn say(&mut self, opcode: u8, message: &[u8], seconds: i64) -> Result<bool, &'static str> {
        let (now, frames) = (at(seconds), frame(0x80 | opcode, message, MASK));
        let mut sent = self.exchange.request_body(&frames, false, now, &self.store);
        loop {
            let slice = sent.map_err(|refusal| refusal.reason)?;
            match &slice.fetch {
                Some(fetch) if slice.waits => {
                    self.plane.call(fetch, now, &self.store, &|_| leased(self.unit));
                }
                fetch => return Ok(fetch.is_some()),
            }
            sent = self.exchange.resume_request(now, &self.store);
        }
    }

    /// Ends the session, and checks that a request of this many tokens fits into what is left, and one of a token more does not.
    fn assert_left(mut self, left: u64) {
        self.exchange.end(at(0), &self.store);
        let Self { plane, store, .. } = self;
        let authorization = format!("Bearer {TOKEN}");
        let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
        let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
        // As long whatever the number.
        let body = |output: u64| format!(r#"{{"model":"m","max_tokens":{output:>8}}}"#);
        let input = u64::try_from(body(left).len()).unwrap().div_ceil(3);
        for (output, is_refused) in [(left - input + 1, true), (left - input, false)] {
            let mut exchange = plane.send(&store, &head, at(0), &nobody_is_asked, |_| ()).1;
            let sent = exchange.request_body(body(output).as_bytes(), true, at(0), &store);
            // Where it waits for a slice, there is not enough.
            let goes_on = sent.is_ok_and(|slice| !slice.waits);
            assert_eq!(!goes_on, is_refused, "{output} of {left}");
            exchange.begin_answer(&AnswerFields { status: 400, fields: &[] });
            exchange.answer_body(b"", true, at(0), &store).unwrap();
            exchange.end(at(0), &store);
        }
    }

    /// Takes the usage of an answer.
    fn hear(&mut self, tokens: u64) {
        let usage = json!({"type": "response.done", "response": {"usage": {"input_tokens": 0, "output_tokens": tokens}}});
        let frames = frame(0x81, usage.to_string().as_bytes(), None);
        self.exchange.answer_body(&frames, false, at(0), &self.store).unwrap();
    }
}

/// The answer of a registry that grants all that is left.
fn leased(unit: &str) -> Answer {
    let lease = json!({
        "subject": format!("token:{}", Digest::of(TOKEN.as_bytes()).to_hex()), "id": "lease-1", "unit": unit, "limit": LIMIT,
        "granted": LIMIT, "remaining": 0, "resets_at": "2027-06-30T00:00:00Z", "expires_in": 60,
    });
    Answer(200, json!({"leases": [lease]}).to_string())
}

fn budgets() -> Value {
    let registry = registry_policy(&json!({}))["registry"].take();
    json!({"registry": registry, "objects": "shared", "budgets": {"token": {"tokens": LIMIT, "per": "day"}}})
}

fn limits() -> Value {
    json!({"rate_limit": {"tokens": LIMIT, "per": "1d"}})
}

const SOUND: &[u8] = b"\x01\x02\x03";
const NEXT: &[u8] = br#"{"type":"response.create"}"#;

#[test]
fn a_session_goes_on_while_its_answers_and_the_next_one_fit_into_the_limit_and_no_longer() {
    for (changes, reason) in [(limits(), "tokens_limited"), (budgets(), "budget_exceeded")] {
        let mut session = Session::open(&changes);
        assert_eq!(session.say(1, NEXT, 0), Ok(false));
        session.hear(2000);
        for _ in 0..20 {
            assert_eq!(session.say(1, NEXT, 0), Ok(false), "what is told once is reserved once");
        }
        session.hear(LIMIT - USUAL - 2000 - 1000);
        assert_eq!(session.say(1, NEXT, 0), Ok(false));
        session.hear(1001);
        assert_eq!(session.say(1, NEXT, 0), Err(reason));
    }
}

#[test]
fn what_a_session_took_is_charged_once_however_often_it_reserved() {
    for changes in [limits(), budgets()] {
        let mut session = Session::open(&changes);
        for _ in 0..3 {
            session.say(1, NEXT, 0).unwrap();
            session.hear(1000);
        }
        session.say(1, NEXT, 0).unwrap();
        session.exchange.answer_body(b"", true, at(0), &session.store).unwrap();
        session.assert_left(LIMIT - 3000);
    }
}

#[test]
fn a_session_that_ends_by_a_refusal_is_charged_what_it_took() {
    for changes in [limits(), budgets()] {
        let mut session = Session::open(&changes);
        session.say(1, NEXT, 0).unwrap();
        session.hear(1000);
        session.say(1, NEXT, 0).unwrap();
        session.hear(1500);
        assert_eq!(session.say(1, b"{x", 0), Err("body_invalid"));
        session.assert_left(LIMIT - 2500);
        // One whose limit ends it.
        let mut session = Session::open(&changes);
        session.say(1, NEXT, 0).unwrap();
        session.hear(LIMIT - USUAL + 1);
        session.say(1, NEXT, 0).unwrap_err();
        session.assert_left(USUAL - 1);
    }
}

#[test]
fn a_session_without_a_slice_is_charged_all_the_same() {
    let mut session = Session::open(&budgets());
    session.say(1, NEXT, 0).unwrap();
    session.hear(LIMIT - 2000);
    assert_eq!(session.say(1, NEXT, 30), Ok(true), "it goes on without");
    session.hear(500);
    assert_eq!(session.say(1, NEXT, 31), Ok(true));
    session.hear(500);
    session.assert_left(1000);
}

#[test]
fn the_bytes_of_a_session_are_no_measure_of_its_tokens() {
    for changes in [limits(), budgets()] {
        let mut session = Session::open(&changes);
        for _ in 0..10 {
            session.say(1, NEXT, 0).unwrap();
            let sound = json!({"type": "input_audio_buffer.append", "audio": "A".repeat(20_000)}).to_string();
            session.say(1, sound.as_bytes(), 0).unwrap();
            session.hear(100);
        }
    }
}

#[test]
fn a_session_whose_slice_is_used_up_goes_on_for_as_long_as_a_call_takes() {
    let mut session = Session::open(&budgets());
    session.say(1, NEXT, 0).unwrap();
    session.hear(LIMIT);
    for seconds in [30, 31, 32, 33] {
        assert_eq!(session.say(1, NEXT, seconds), Ok(true), "{seconds}");
    }
    assert_eq!(session.say(1, NEXT, 34), Err("budget_unavailable"));
}

#[test]
fn a_session_of_sound_has_the_limits_of_others() {
    let of = |budget: Value| with(&budgets(), &json!({"budgets": budget}));
    let tokens = json!({"token": {"tokens": LIMIT, "per": "day"}, "default_output": LIMIT + 1});
    assert_eq!(Session::open(&of(tokens)).say(2, SOUND, 0), Err("budget_exceeded"));
    let mut unpriced =
        Session { unit: "usd", ..Session::open(&of(json!({"token": {"usd": 1, "per": "day"}}))) };
    assert_eq!(unpriced.say(2, SOUND, 0), Err("model_unpriced"));
    assert_eq!(Session::open(&budgets()).say(2, SOUND, 0), Ok(false));
}

#[test]
fn halves_of_two_messages_make_no_request_of_the_universal_endpoint() {
    let changes = json!({
        "tokens": [{"sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "l", "providers": ["universal", "openai", "huggingface"]}],
        "credentials": {"cf": [{"env": "A"}]},
        "providers": {"huggingface": {}},
        "gateway": {"cloudflare": {"account": "a", "gateway": "g", "credential": "cf", "mode": "byok", "universal_endpoint": true}},
    });
    let request = |provider: &str, endpoint: &str| {
        json!({"request": {"provider": provider, "endpoint": endpoint, "query": {}}}).to_string()
    };
    let mut session = Session::open_at("/", &changes);
    let mut say = |message: &str| session.say(1, message.as_bytes(), 0).err();
    assert_eq!(say(&request("openai", "chat/completions")), None);
    assert_eq!(say(&request("openai", "v1/responses")), None);
    assert_eq!(say(r#"{"request":{"provider":"huggingface"}}"#), Some("body_invalid"));
    for (message, reason) in [
        (request("openai", "v1/realtime/client_secrets"), "endpoint_class_not_allowed"),
        (r#"{"request":{"endpoint":"chat/completions"}}"#.to_owned(), "body_invalid"),
    ] {
        let mut session = Session::open_at("/", &changes);
        assert_eq!(session.say(1, message.as_bytes(), 0), Err(reason), "{message}");
    }
}

#[test]
fn binary_messages_are_judged_where_they_may_be_json_and_sound_is_not() {
    let mut rules = policy(&["openai"])["tokens"].take();
    rules[0]["models"] = json!(["m"]);
    let foreign = br#"{"session":{"model":"other"}}"#;
    let wide = |big: bool| -> Vec<u8> {
        foreign.iter().flat_map(|byte| if big { [0, *byte] } else { [*byte, 0] }).collect()
    };
    let quiet: Vec<u8> =
        [123i16, -4, 5, -6, 12, 3, -1, 0, 8].iter().flat_map(|it| it.to_le_bytes()).collect();
    for (opcode, message, expect) in [
        (1, foreign.to_vec(), Some("model_not_allowed")),
        (2, foreign.to_vec(), Some("model_not_allowed")),
        (2, [b"\n \t", &foreign[..]].concat(), Some("model_not_allowed")),
        (2, [b"\xef\xbb\xbf", &foreign[..]].concat(), Some("body_invalid")),
        (1, [b"\xef\xbb\xbf", &foreign[..]].concat(), Some("body_invalid")),
        (2, wide(true), Some("body_invalid")),
        (2, wide(false), Some("body_invalid")),
        (2, "{\"\u{43a}\u{43b}\u{44e}\u{447}\":1,\"model\":\"other\"}".into(), Some("model_not_allowed")),
        (2, br#"{"model":"m","model":"m"}"#.to_vec(), Some("body_invalid")),
        (1, b"{\x01\x02\x03".to_vec(), Some("body_invalid")),
        (2, b"{}".to_vec(), None),
        (2, b"{\x01\x02\x03".to_vec(), None),
        (2, b"{\"\x80\x81\x82\x90\xa5\x05\x11".to_vec(), None),
        (2, quiet, None),
        (2, b"RIFF{".to_vec(), None),
    ] {
        let mut session = Session::open(&json!({"tokens": rules}));
        assert_eq!(session.say(opcode, &message, 0).err(), expect, "{opcode} {message:x?}");
    }
}
