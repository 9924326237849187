//! The credentials that requests carry upstream: the sources, the renewal, and the choice among several.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use keyswap_core::base::{Digest, Moment};
use keyswap_core::host::{Capabilities, Environment, MemoryStore};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::{Decision, Request, Verdict};
use keyswap_core::policy::{Policy, PolicyErrors, RolloutPolicy};
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::services::FetchAnswer;
use keyswap_core::worker::{self, Entry, Exchange, Next};
use serde_json::{Value, json};

use crate::support::worker::{Answer, Worker, answered, at, at_ms};
use crate::support::{NOW, Signer, claims, oidc, with};

const TOKEN: &str = "ptk_of-a-caller-0123456789";

fn sha256(token: &str) -> String {
    Digest::of(token.as_bytes()).to_hex()
}

/// Returns a policy whose only provider is `openai`.
fn policy(chain: &Value) -> Value {
    json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": sha256(TOKEN), "label": "l", "providers": ["openai"]}],
        "credentials": {"openai": chain},
    })
}

/// Returns an agent that is asked 10 seconds before a value expires.
fn agent() -> Value {
    json!({"http": {
        "url": "http://agent.internal/token", "plaintext": "trusted_network", "value": "/token", "expires_in": "/in", "refresh_before": "10s",
    }})
}

struct Variables(&'static [(&'static str, &'static str)]);

impl Environment for Variables {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_bytes().to_vec())
    }
}

const NOTHING: Variables = Variables(&[]);

fn compile(policy: &Value, variables: Variables) -> Result<worker::Worker, PolicyErrors> {
    let policy = RolloutPolicy::from_json(policy.to_string().as_bytes())?;
    worker::Worker::of(policy, Box::new(variables), Box::new(PureRust), Capabilities::ENVOY)
}

/// Returns the credential that is forwarded, or the reason why nothing is.
fn carried(decision: &Decision<'_>) -> String {
    let Verdict::Forward(rewrite) = &decision.verdict else { return decision.reason_code().to_owned() };
    let set = rewrite.set.iter().find(|(name, _)| *name == "authorization");
    set.map_or("nothing".to_owned(), |(_, value)| String::from_utf8_lossy(value).into_owned())
}

fn ask_with(
    worker: &Worker,
    headers: &[(&str, &str)],
    now: Moment,
    service: &dyn Fn(&str) -> Answer,
) -> String {
    let headers: Vec<Header<'_>> = headers
        .iter()
        .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
        .collect();
    let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
    worker.decide(&MemoryStore::default(), &head, now, service, carried)
}

fn ask(worker: &Worker, now: Moment, service: &dyn Fn(&str) -> Answer) -> String {
    ask_with(worker, &[("authorization", &format!("Bearer {TOKEN}"))], now, service)
}

fn token(value: &str, seconds: u64) -> Answer {
    Answer(200, json!({"token": value, "in": seconds}).to_string())
}

fn down(_: &str) -> Answer {
    Answer(503, String::new())
}

fn nobody(path: &str) -> Answer {
    panic!("{path} was asked for")
}

#[test]
fn the_first_source_that_has_a_value_wins() {
    let chain = json!([{"env": "A"}, {"env": "B"}, agent(), {"env": "C"}]);
    let worker = |variables| Worker::within(&policy(&chain), Variables(variables));
    assert_eq!(ask(&worker(&[("A", "a"), ("B", "b")]), at(0), &nobody), "Bearer a");
    assert_eq!(ask(&worker(&[("B", "b"), ("C", "c")]), at(0), &nobody), "Bearer b");
    assert_eq!(ask(&worker(&[("C", "c")]), at(0), &|_| token("fetched", 60)), "Bearer fetched");
    assert_eq!(ask(&worker(&[("C", "c")]), at(0), &down), "Bearer c");
    assert_eq!(ask(&worker(&[]), at(0), &down), "upstream_credential_unavailable");
}

#[test]
fn a_value_is_fetched_once_renewed_ahead_of_its_expiry_and_never_used_up_to_it() {
    let worker = Worker::within(&policy(&json!([agent()])), NOTHING);
    let store = MemoryStore::default();
    assert_eq!(ask(&worker, at(0), &|_| token("first", 60)), "Bearer first");
    // The pause before the renewal is up to an eighth shorter than it could be.
    for second in 1..43 {
        assert_eq!(ask(&worker, at(second), &nobody), "Bearer first");
        worker.work(&store, at(second), &nobody);
    }
    // The value is renewed without a request for it.
    worker.work(&store, at(50), &|_| token("second", 60));
    assert_eq!(ask(&worker, at(51), &nobody), "Bearer second");
    // A request that finds a due value renews it, too; that request does not wait.
    assert_eq!(ask(&worker, at(102), &|_| token("third", 60)), "Bearer second");
    assert_eq!(ask(&worker, at(102), &nobody), "Bearer third");
    assert_eq!(ask(&worker, at_ms(160_999), &down), "Bearer third");
    // A request that leaves now would arrive when it has expired.
    assert_eq!(ask(&worker, at(161), &down), "upstream_credential_unavailable");
}

#[test]
fn a_life_counts_from_when_the_value_was_asked_for() {
    let worker = compile(&policy(&json!([agent()])), NOTHING).unwrap();
    let store = MemoryStore::default();
    let due = worker.due(at(0), &store).fetches;
    let [fetch] = due.as_slice() else { panic!("one call is due") };
    let body = br#"{"token":"slow","in":30}"#;
    let answer = FetchAnswer::Response { status: 200, body };
    worker.accept(&fetch.key, fetch.as_of, &answer, at(20), &store);
    let authorization = format!("Bearer {TOKEN}");
    let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
    let head = RequestHead::new(b"GET", b"/v1/models", &headers);
    let begin =
        |now| match worker.in_force(&store).judge(Entry::New, &Request { head: &head, now, store: &store }) {
            Next::Decide(decision, _) => carried(&decision),
            Next::Fetch(..) => "waits".to_owned(),
        };
    assert_eq!(begin(at(28)), "Bearer slow");
    assert_eq!(begin(at(29)), "waits");
}

#[test]
fn a_value_that_lives_shortly_is_renewed_in_the_middle_of_its_life() {
    let worker = Worker::within(&policy(&json!([agent()])), NOTHING);
    let asked = Cell::new(0);
    let count = |_: &str| {
        asked.set(asked.get() + 1);
        token("short", 2)
    };
    for tick in 0..200 {
        assert_eq!(ask(&worker, at_ms(tick * 100), &count), "Bearer short");
    }
    // Twenty seconds are ten lives, and twenty halves of one.
    assert!((19..=25).contains(&asked.get()), "{}", asked.get());
}

#[test]
fn failures_are_followed_by_a_pause_and_three_leave_the_agent_alone_for_half_a_minute() {
    let worker = Worker::within(&policy(&json!([agent()])), NOTHING);
    let asked = Cell::new(0);
    let fails = |_: &str| {
        asked.set(asked.get() + 1);
        Answer(500, String::new())
    };
    let ask_until = |until: i64, times: usize| {
        for tick in 0..until * 10 {
            assert_eq!(ask(&worker, at_ms(tick * 100), &fails), "upstream_credential_unavailable");
        }
        assert_eq!(asked.get(), times, "within {until} s");
        asked.set(0);
    };
    ask_until(25, 3);
    assert_eq!(ask(&worker, at(33), &fails), "upstream_credential_unavailable");
    assert_eq!(ask(&worker, at(34), &nobody), "upstream_credential_unavailable");
    assert_eq!(ask(&worker, at(64), &|_| token("back", 60)), "Bearer back");
    // A clock that was put back by a day does not keep it closed.
    let worker = Worker::within(&policy(&json!([agent()])), NOTHING);
    for second in 0..3 {
        ask(&worker, at(86_400 + second * 2), &down);
    }
    assert_eq!(ask(&worker, at(0), &|_| token("back", 60)), "Bearer back");
}

#[test]
fn an_agent_that_is_gone_for_a_moment_is_asked_again_before_its_value_has_expired() {
    let worker = Worker::within(&policy(&json!([agent()])), NOTHING);
    assert_eq!(ask(&worker, at(0), &|_| token("old", 60)), "Bearer old");
    let asked = Cell::new(0);
    let fails = |_: &str| {
        asked.set(asked.get() + 1);
        Answer(500, String::new())
    };
    for tick in 0..5 {
        assert_eq!(ask(&worker, at_ms(51_000 + tick), &fails), "Bearer old");
    }
    assert_eq!(asked.get(), 1, "five requests at once are one reason to ask");
    assert_eq!(ask(&worker, at(52), &|_| token("new", 60)), "Bearer old");
    assert_eq!(ask(&worker, at(52), &nobody), "Bearer new");
}

#[test]
fn a_fresh_value_takes_the_place_of_one_that_would_last_longer() {
    let worker = Worker::within(&policy(&json!([agent()])), NOTHING);
    assert_eq!(ask(&worker, at(0), &|_| token("old", 3600)), "Bearer old");
    assert_eq!(ask(&worker, at(3595), &|_| token("new", 5)), "Bearer old");
    assert_eq!(ask(&worker, at(3595), &nobody), "Bearer new");
}

#[test]
fn a_clock_that_is_put_back_prolongs_no_value() {
    for chain in [
        json!([agent()]),
        json!([{"http": {"url": "http://agent.internal/token", "plaintext": "trusted_network", "max_age": "60s"}}]),
    ] {
        let worker = Worker::within(&policy(&chain), NOTHING);
        let value = |_: &str| {
            let is_document = chain.to_string().contains("expires_in");
            if is_document { token("value", 60) } else { Answer(200, "value".to_owned()) }
        };
        assert_eq!(ask(&worker, at(36_000), &value), "Bearer value");
        assert_eq!(ask(&worker, at(0), &down), "upstream_credential_unavailable", "{chain}");
    }
}

#[test]
fn an_answer_that_cannot_be_used_never_replaces_a_value_that_can() {
    for body in [
        r#"{"token":"a\r\nx: y","in":60}"#,
        r#"{"token":"a\u0000","in":60}"#,
        r#"{"token":"é","in":60}"#,
        r#"{"token":"","in":60}"#,
        r#"{"token":"a","in":0}"#,
        r#"{"token":"a","in":1800000060000}"#,
        r#"{"token":"a"}"#,
        "<html>",
    ] {
        let worker = Worker::within(&policy(&json!([agent()])), NOTHING);
        let asked = Cell::new(0);
        let answer = |_: &str| {
            asked.set(asked.get() + 1);
            Answer(200, body.to_owned())
        };
        assert_eq!(ask(&worker, at(0), &|_| token("good", 60)), "Bearer good");
        assert_eq!(ask(&worker, at(55), &answer), "Bearer good", "{body}");
        assert_eq!(asked.get(), 1, "{body}");
        assert_eq!(ask(&worker, at_ms(58_999), &answer), "Bearer good", "{body}");
        assert_eq!(ask(&worker, at(60), &answer), "upstream_credential_unavailable", "{body}");
    }
}

#[test]
fn what_is_wrong_with_an_answer_is_said_with_the_sources_name_and_without_its_value() {
    let worker = compile(&policy(&json!([{"env": "A"}, agent()])), NOTHING).unwrap();
    let store = MemoryStore::default();
    let due = worker.due(at(0), &store).fetches;
    let [fetch] = due.as_slice() else { panic!("one call is due") };
    let body = br#"{"token":"sentinel\r\nx: y","in":60}"#;
    let answer = FetchAnswer::Response { status: 200, body };
    let notes = worker.accept(&fetch.key, fetch.as_of, &answer, at(0), &store).notes;
    assert_eq!(
        notes,
        ["`credentials.openai[1].http`: the value has a byte at position 8 that is not visible ASCII: a \
          credential has none"]
    );
    let answer = FetchAnswer::Response { status: 403, body: b"sentinel" };
    let notes = worker.accept(&fetch.key, fetch.as_of, &answer, at(0), &store).notes;
    assert_eq!(notes, ["`credentials.openai[1].http`: the answer has status 403"]);
}

#[test]
fn an_agent_is_asked_with_the_policys_headers_and_its_own_credential() {
    let chain = json!([{"http": {
        "url": "https://vault.internal:8200/v1/kv/data/openai?version=2", "value": "/data/data/key", "max_age": "5m",
        "credential": {"env": "VAULT_TOKEN"}, "auth": "header:x-vault-token",
        "headers": {"x-vault-namespace": "team-a"}, "cluster": "vault", "timeout": "300ms",
    }}]);
    let document = policy(&chain);
    let worker = compile(&document, Variables(&[("VAULT_TOKEN", "hvs.x")])).unwrap();
    let due = worker.due(at(0), &MemoryStore::default()).fetches;
    let [fetch] = due.as_slice() else { panic!("one call is due") };
    let headers: Vec<String> =
        fetch.request.headers.iter().map(|(name, value)| format!("{name}: {}", value.as_str())).collect();
    assert_eq!(
        headers,
        [
            ":method: GET",
            ":path: /v1/kv/data/openai?version=2",
            ":authority: vault.internal:8200",
            "accept: application/json",
            "x-vault-namespace: team-a",
            "x-vault-token: hvs.x",
        ]
    );
    assert_eq!((fetch.request.cluster.as_str(), fetch.request.timeout.as_millis()), ("vault", 300));
    let missing = compile(&document, NOTHING);
    let expect =
        "error at `credentials.openai[0].http.credential`: the environment variable `VAULT_TOKEN` is not set";
    assert_eq!(missing.err().unwrap().to_string(), expect);
}

#[test]
fn a_request_header_is_a_credential_only_where_its_jwt_was_verified() {
    let signer = Signer::new(1, "k");
    let issuer = with(
        &oidc(&json!([signer.jwk()])),
        &json!({"principals": "any", "slots": ["header:x-platform-token", "header:x-other-token"]}),
    );
    let chain = json!([{"request_header": "x-platform-token"}]);
    let document = with(&policy(&chain), &json!({"issuers": [issuer]}));
    let worker = Worker::within(&document, NOTHING);
    let jwt = signer.sign(&claims());
    let bearer = format!("Bearer {TOKEN}");
    let forged = Signer::new(2, "k").sign(&claims());
    let expired = signer.sign(&with(&claims(), &json!({"exp": NOW - 30})));
    for (headers, expect) in [
        (&[("x-platform-token", jwt.as_str())][..], format!("Bearer {jwt}")),
        (&[("x-platform-token", &jwt), ("authorization", &bearer)], format!("Bearer {jwt}")),
        // The JWT vouches for its caller there, but the policy does not pass that header on.
        (&[("x-other-token", &jwt)], "upstream_credential_unavailable".to_owned()),
        (&[("authorization", &format!("Bearer {jwt}"))], "upstream_credential_unavailable".to_owned()),
        (&[("authorization", &bearer)], "upstream_credential_unavailable".to_owned()),
        // Its caller may be a little late, by the clock of another; the upstream has a clock of its own.
        (&[("x-platform-token", &expired)], "upstream_credential_unavailable".to_owned()),
        (
            &[("x_platform_token", &jwt), ("authorization", &bearer)],
            "upstream_credential_unavailable".to_owned(),
        ),
        (&[("x-platform-token", &jwt), ("x-platform-token", &jwt)], "credential_ambiguous".to_owned()),
        (&[("x-platform-token", &forged), ("authorization", &bearer)], "token_invalid".to_owned()),
        (&[("x-platform-token", "anything"), ("authorization", &bearer)], "token_invalid".to_owned()),
    ] {
        assert_eq!(ask_with(&worker, headers, at(0), &nobody), expect, "{headers:?}");
    }
    let errors = Policy::from_json(policy(&chain).to_string().as_bytes()).err().unwrap().to_string();
    let expect = "error at `credentials.openai[0].request_header`: no issuer verifies what this header holds: only then \
                  may it go upstream";
    assert_eq!(errors, expect);
}

#[test]
fn a_sign_in_is_told_by_how_it_begins_and_goes_where_its_provider_takes_it() {
    let expected =
        "expected how the provider's own sign-in tokens begin, in 6 to 32 characters, such as `sk-ant-oat`";
    for (beginning, providers, expect) in [
        ("sk-ant-oat", json!({"anthropic": {"auth": "bearer"}}), None),
        (
            "short",
            json!({"anthropic": {"auth": "bearer"}}),
            Some(("credentials.anthropic[0].sign_in", expected)),
        ),
        (
            "ptk_abc",
            json!({"anthropic": {"auth": "bearer"}}),
            Some(("credentials.anthropic[0].sign_in", expected)),
        ),
        (
            "eyJhbGciOi",
            json!({"anthropic": {"auth": "bearer"}}),
            Some(("credentials.anthropic[0].sign_in", expected)),
        ),
        (
            "with a space",
            json!({"anthropic": {"auth": "bearer"}}),
            Some(("credentials.anthropic[0].sign_in", expected)),
        ),
        (
            "sk-ant-oat",
            json!({}),
            Some(("providers.anthropic", "a sign-in goes in `authorization`: add `auth: bearer`")),
        ),
    ] {
        let document = json!({
            "version": "keyswap/v1", "providers": providers, "credentials": {"anthropic": [{"sign_in": beginning}]},
        });
        let errors =
            Policy::from_json(document.to_string().as_bytes()).err().map(|errors| errors.to_string());
        let expect = expect.map(|(place, message)| format!("error at `{place}`: {message}"));
        assert_eq!(errors, expect, "{beginning}");
    }
}

#[test]
fn where_the_host_has_the_credential_every_slot_is_stripped_and_none_written() {
    let worker = Worker::within(&policy(&json!([{"inject_by": "host"}])), NOTHING);
    assert_eq!(ask(&worker, at(0), &nobody), "nothing");
    let beside = |credentials: Value, more: Value| {
        let mut document = policy(&json!([{"inject_by": "host"}]));
        for (name, chain) in credentials.as_object().unwrap() {
            document["credentials"][name] = chain.clone();
        }
        let errors = Policy::from_json(with(&document, &more).to_string().as_bytes()).err();
        errors.map(|errors| errors.to_string())
    };
    let env = json!([{"env": "A"}]);
    let one_host = Some(
        "error at `credentials.openai`: requests for `openai` and `anthropic` go to one host, where the host would write \
         this credential into both: name another source"
            .to_owned(),
    );
    let gateway = json!({"gateway": {"cloudflare": {"account": "a", "gateway": "g", "credential": "cf", "mode": "provider_key"}}});
    let own_host = json!({"providers": {"anthropic": {"url": "https://api.openai.com"}}});
    for (credentials, more, expect) in [
        (json!({"anthropic": env}), json!({}), None),
        (json!({"anthropic": env, "cf": env}), gateway.clone(), one_host.clone()),
        (json!({"cf": env}), gateway, None),
        (json!({"anthropic": env}), own_host, one_host),
        (
            json!({"a": env}),
            json!({"providers": {"openai": {"credentials": {"a": 1, "openai": 1}}}}),
            Some(
                "error at `providers.openai.credentials`: the host writes `openai` into every request, so there is \
                 nothing to choose from"
                    .to_owned(),
            ),
        ),
    ] {
        assert_eq!(beside(credentials.clone(), more.clone()), expect, "{credentials} {more}");
    }
    let mixed = policy(&json!([{"env": "A"}, {"inject_by": "host"}]));
    let errors = Policy::from_json(mixed.to_string().as_bytes()).err().unwrap().to_string();
    let expect = "error at `credentials.openai`: a chain cannot see whether the host has a value: `inject_by: host` \
                  stands alone";
    assert_eq!(errors, expect);
}

#[test]
fn what_an_agent_cannot_be_is_an_error_with_its_place() {
    let http = |http: Value| {
        let document = policy(&json!([{"http": http}])).to_string();
        Policy::from_json(document.as_bytes()).err().map(|errors: PolicyErrors| errors.to_string())
    };
    let error =
        |path: &str, message: &str| Some(format!("error at `credentials.openai[0].http{path}`: {message}"));
    let pointer = "expected a JSON pointer such as `/data/token`";
    let url = "https://agent/token";
    for (document, expect) in [
        (json!({"url": url, "max_age": "5m"}), None),
        (json!({"value": "/a"}), error("", "the field `url` is missing")),
        (json!({"url": url, "value": "token"}), error(".value", pointer)),
        (json!({"url": url, "value": "/a~2"}), error(".value", pointer)),
        (json!({"url": url, "value": "/a~"}), error(".value", pointer)),
        (
            json!({"url": url, "expires_in": "/b"}),
            error("", "where the answer is a document, `value` must point at the credential in it"),
        ),
        (
            json!({"url": "http://agent/token?api_key=0123", "plaintext": "trusted_network", "max_age": "5m"}),
            error(".url", "a parameter here may hold a secret: send it as the `credential`"),
        ),
        (
            json!({"url": url, "headers": {"x-vault-token": "0123"}}),
            error(
                ".headers.x-vault-token",
                "a header of this name may hold a secret: send it as the `credential`, by `auth`",
            ),
        ),
        (
            json!({"url": url, "headers": {"x-a": "1"}, "credential": {"env": "A"}, "auth": "header:x-a"}),
            error("", "`auth` names a header that stands in `headers`, too: remove it there"),
        ),
        (
            json!({"url": url, "headers": {"x-a": "Basic dXNlcjpwYXNz"}}),
            error(
                ".headers.x-a",
                "this looks like a credential: a policy only names secrets, as in `{env: OPENAI_API_KEY}`",
            ),
        ),
        (
            json!({"url": url, "value": "/a", "expires_in": "/b", "expires_at": "/c"}),
            error("", "expected `expires_at` or `expires_in`, not both"),
        ),
        (
            json!({"url": url, "auth": "bearer"}),
            error("", "`auth` says how a `credential` is sent: add one, or remove this"),
        ),
        (
            json!({"url": url, "headers": {"Metadata": "true"}}),
            error(
                ".headers.Metadata",
                "expected the name of a header in lower case that carries nothing else",
            ),
        ),
        (
            json!({"url": url, "headers": {"metadata": "a\r\nb"}}),
            error(".headers.metadata", "expected 1 to 1024 characters of plain ASCII"),
        ),
        (json!({"url": url, "max_age": "2d"}), error(".max_age", "expected a duration from `1s` to `24h`")),
    ] {
        assert_eq!(http(document.clone()), expect, "{document}");
    }
    let both = policy(&json!([{"env": "A", "request_header": "x"}, {}]));
    let errors = Policy::from_json(both.to_string().as_bytes()).err().unwrap().to_string();
    let expected = "expected one of `env`, `file`, `request_header`, `sign_in`, `http`, `inject_by`";
    assert_eq!(
        errors.lines().take(2).collect::<Vec<_>>(),
        [
            format!("error at `credentials.openai[0]`: {expected}"),
            format!("error at `credentials.openai[1]`: {expected}"),
        ]
    );
}

/// Three keys for `openai`, of which `c` serves half of all, and many callers.
struct Pool {
    workers: Vec<Worker>,
    store: MemoryStore,
    tokens: Vec<String>,
}

impl Pool {
    fn new() -> Self {
        let tokens: Vec<String> = (0..400).map(|number| format!("ptk_caller-{number}-0123456789")).collect();
        let entries: Vec<Value> = tokens
            .iter()
            .map(|token| json!({"sha256": sha256(token), "label": "l", "providers": ["openai"]}))
            .collect();
        let document = json!({
            "version": "keyswap/v1",
            "tokens": entries,
            "credentials": {"a": [{"env": "A"}], "b": [{"env": "B"}], "c": [{"env": "C"}]},
            "providers": {"openai": {"credentials": {"a": 1, "b": 1, "c": 2}, "cooldown": "30s"}},
        });
        let variables = || Variables(&[("A", "a"), ("B", "b"), ("C", "c")]);
        let workers = (0..2).map(|_| Worker::within(&document, variables())).collect();
        Self { workers, store: MemoryStore::default(), tokens }
    }

    fn ask(&self, worker: usize, token: &str, now: Moment) -> (String, Exchange) {
        let authorization = format!("Bearer {token}");
        let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
        let head = RequestHead::new(b"POST", b"/v1/responses", &headers);
        let show = |decision: &Decision<'_>| carried(decision);
        self.workers[worker].send(&self.store, &head, now, &nobody, show)
    }

    /// Returns the key that each principal gets.
    fn keys(&self, worker: usize, now: Moment) -> Vec<String> {
        self.tokens.iter().map(|token| self.ask(worker, token, now).0).collect()
    }

    /// Has an upstream refuse the key of this caller.
    fn refuse(&self, worker: usize, token: &str, now: Moment, answer: &[(&'static str, &str)]) -> String {
        let (key, sent) = self.ask(worker, token, now);
        answered(&self.store, &sent, now, answer);
        key
    }
}

#[test]
fn several_keys_serve_callers_by_their_weights_and_each_caller_keeps_its_key() {
    let pool = Pool::new();
    let keys = pool.keys(0, at(0));
    assert_eq!(keys, pool.keys(0, at(1000)));
    assert_eq!(keys, pool.keys(1, at(0)), "every worker gives the same");
    let share = |key: &str| keys.iter().filter(|other| *other == key).count();
    assert!((70..=130).contains(&share("Bearer a")), "{}", share("Bearer a"));
    assert!((70..=130).contains(&share("Bearer b")), "{}", share("Bearer b"));
    assert!((170..=230).contains(&share("Bearer c")), "{}", share("Bearer c"));
}

#[test]
fn a_key_that_was_refused_rests_and_nobody_else_moves() {
    for (answer, seconds) in [
        (&[(":status", "401")][..], 30),
        (&[(":status", "429")], 30),
        (&[(":status", "429"), ("retry-after", "7")], 7),
        (&[(":status", "429"), ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], 30),
        // At most ten times what the policy says.
        (&[(":status", "429"), ("retry-after", "300")], 300),
        (&[(":status", "429"), ("retry-after", "301")], 300),
        (&[(":status", "429"), ("retry-after", "999999")], 300),
        (&[(":status", "429"), ("retry-after", "0")], 1),
        (&[(":status", "401"), ("retry-after", "7")], 30),
    ] {
        let pool = Pool::new();
        let before = pool.keys(0, at(0));
        let refused = before[0].clone();
        // Two of its callers, so that it is not the doing of one.
        let its = pool.tokens.iter().zip(&before).filter(|(_, key)| **key == refused).take(2);
        let sent: Vec<Exchange> = its.map(|(token, _)| pool.ask(0, token, at(0)).1).collect();
        for sent in sent {
            answered(&pool.store, &sent, at(0), answer);
        }
        for now in [at(0), at_ms(seconds * 1000 - 1)] {
            for (key, before) in pool.keys(0, now).iter().zip(&before) {
                assert_ne!(*key, refused, "{answer:?}");
                assert!(key == before || *before == refused, "{answer:?}: {before} became {key}");
            }
        }
        assert_eq!(pool.keys(0, at(seconds)), before, "{answer:?}");
        // The other worker takes the cooldown over with its next round.
        assert_eq!(pool.keys(1, at(0)), before);
        pool.workers[1].work(&pool.store, at(0), &nobody);
        assert_eq!(pool.keys(1, at(0)), pool.keys(0, at(0)), "{answer:?}");
    }
}

#[test]
fn one_caller_however_often_refused_moves_nobody_but_itself() {
    for status in ["401", "429"] {
        let pool = Pool::new();
        let before = pool.keys(0, at(0));
        let answer = [(":status", status), ("retry-after", "30")];
        for _ in 0..20 {
            // Its requests go by one key after the other, until each is refused to it.
            pool.refuse(0, &pool.tokens[0], at(0), &answer);
        }
        for worker in [0, 1] {
            pool.workers[worker].work(&pool.store, at(0), &nobody);
            let after = pool.keys(worker, at(0));
            assert_eq!(after[1..], before[1..], "{status}, worker {worker}");
        }
        let pool = Pool::new();
        pool.refuse(0, &pool.tokens[0], at(0), &answer);
        assert_ne!(pool.ask(0, &pool.tokens[0], at(0)).0, before[0], "{status}: it has another key at once");
        assert_eq!(pool.ask(0, &pool.tokens[0], at(30)).0, before[0], "{status}");
    }
}

#[test]
fn other_answers_leave_a_key_in_use() {
    let pool = Pool::new();
    let before = pool.keys(0, at(0));
    for status in ["200", "101", "400", "403", "404", "500", "503", "4290", ""] {
        pool.refuse(0, &pool.tokens[0], at(0), &[(":status", status)]);
    }
    assert_eq!(pool.keys(0, at(0)), before);
}

#[test]
fn where_every_key_rests_the_one_is_used_that_would_be_anyway() {
    let pool = Pool::new();
    let before = pool.keys(0, at(0));
    let sent: Vec<Exchange> = pool.tokens.iter().map(|token| pool.ask(0, token, at(0)).1).collect();
    for sent in sent {
        answered(&pool.store, &sent, at(0), &[(":status", "429")]);
    }
    assert_eq!(pool.keys(0, at(0)), before);
}

#[test]
fn a_value_that_was_refused_late_says_nothing_of_its_successor() {
    let document = json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": sha256(TOKEN), "label": "l", "providers": ["openai"]}],
        "credentials": {"a": [agent()], "b": [{"env": "B"}]},
        "providers": {"openai": {"credentials": {"a": 1000, "b": 1}, "cooldown": "10m"}},
    });
    let worker = Worker::within(&document, Variables(&[("B", "b")]));
    let store = MemoryStore::default();
    let authorization = format!("Bearer {TOKEN}");
    let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
    let head = RequestHead::new(b"GET", b"/v1/models", &headers);
    let send = |now, service: &dyn Fn(&str) -> Answer| worker.send(&store, &head, now, service, carried);
    let (first, old) = send(at(0), &|_| token("first", 60));
    assert_eq!(first, "Bearer first");
    worker.work(&store, at(51), &|_| token("second", 60));
    for _ in 0..5 {
        answered(&store, &old, at(52), &[(":status", "401")]);
    }
    assert_eq!(send(at(52), &nobody).0, "Bearer second");
    // The new one is refused as well: then it rests, until there is another.
    let (_, new) = send(at(53), &nobody);
    answered(&store, &new, at(53), &[(":status", "401")]);
    assert_eq!(send(at(54), &nobody).0, "Bearer b");
    worker.work(&store, at(101), &|_| token("third", 60));
    assert_eq!(send(at(102), &nobody).0, "Bearer third");
}

#[test]
fn what_an_upstream_tells_of_its_account_is_for_callers_only_where_the_policy_says_so() {
    let upstreams: [(&[u8], &[u8]); 5] = [
        (b"content-type", b"application/json"),
        (b"x-ratelimit-remaining-tokens", b"9"),
        (b"openai-organization", b"org-1"),
        (b"retry-after", b"1"),
        (b"location", b"/v1/models?key=1"),
    ];
    for (pass, expect) in [
        (None, "content-type retry-after location"),
        (Some(json!([])), "content-type retry-after location"),
        (Some(json!(["limits"])), "content-type x-ratelimit-remaining-tokens retry-after location"),
        (Some(json!(["account"])), "content-type openai-organization retry-after location"),
        (
            Some(json!(["account", "limits"])),
            "content-type x-ratelimit-remaining-tokens openai-organization retry-after location",
        ),
    ] {
        let mut document = json!({
            "version": "keyswap/v1",
            "tokens": [{"sha256": sha256(TOKEN), "label": "l", "providers": ["openai"]}],
            "credentials": {"openai": [{"env": "A"}]},
        });
        if let Some(pass) = &pass {
            document["answers"] = json!({ "pass": pass });
        }
        let worker = Worker::within(&document, Variables(&[("A", "a")]));
        let authorization = format!("Bearer {TOKEN}");
        let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
        let head = RequestHead::new(b"GET", b"/v1/models", &headers);
        let (_, exchange) = worker.send(&MemoryStore::default(), &head, at(0), &nobody, carried);
        let names = exchange.response().fields(&upstreams).map(|(name, _)| str::from_utf8(name).unwrap());
        assert_eq!(names.collect::<Vec<_>>().join(" "), expect, "{pass:?}");
        assert_eq!(exchange.response().replaces(Some(b"404")), None);
    }
}

#[test]
fn an_upstream_whose_target_held_the_key_shows_it_to_nobody() {
    let document = json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": sha256(TOKEN), "label": "l", "providers": ["gemini"]}],
        "credentials": {"gemini": [{"env": "G"}]},
        "answers": {"pass": ["limits", "account"]},
    });
    let worker = Worker::within(&document, Variables(&[("G", "real-key")]));
    let path =
        format!("/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key={TOKEN}");
    let headers = [
        Header { name: b"upgrade", value: b"websocket" },
        Header { name: b"origin", value: b"https://app.example" },
    ];
    let head = RequestHead::new(b"GET", path.as_bytes(), &headers);
    let ((), exchange) = worker.send(&MemoryStore::default(), &head, at(0), &nobody, |_| ());
    let response = exchange.response();
    let upstreams: [(&[u8], &[u8]); 6] = [
        (b"upgrade", b"websocket"),
        (b"sec-websocket-accept", b"x"),
        (b"Location", b"/ws?key=real-key"),
        (b"www-authenticate", b"Bearer"),
        (b"x-debug", b"GET /ws?Key=real-key"),
        (b"x-trace", b"1"),
    ];
    let names = response.fields(&upstreams).map(|(name, _)| str::from_utf8(name).unwrap());
    let expect = [
        "sec-websocket-accept",
        "x-trace",
        "access-control-allow-origin",
        "access-control-expose-headers",
        "vary",
    ];
    assert_eq!(names.collect::<Vec<_>>(), expect);
    assert_eq!(response.replaces(Some(b"101")), None);
    for (status, expect) in [
        (&b"200"[..], 502),
        (b"302", 502),
        (b"400", 400),
        (b"401", 401),
        (b"429", 429),
        (b"503", 503),
        (b"", 502),
        (b"99999", 502),
    ] {
        let reply = response.replaces(Some(status)).unwrap();
        assert_eq!(reply.status, expect, "{status:?}");
        assert!(reply.body.contains("upstream_refused"), "{}", reply.body);
        assert!(reply.headers.iter().any(|(name, _)| *name == "access-control-allow-origin"));
    }
    assert_eq!(response.replaces(None).unwrap().status, 502);
}

#[test]
fn a_callers_own_identity_that_is_refused_rests_nobodys_key() {
    let signer = Signer::new(1, "k");
    let issuer = with(
        &oidc(&json!([signer.jwk()])),
        &json!({"principals": "any", "slots": ["header:x-platform-token"]}),
    );
    let document = json!({
        "version": "keyswap/v1",
        "issuers": [issuer],
        "credentials": {"own": [{"request_header": "x-platform-token"}], "b": [{"env": "B"}]},
        "providers": {"openai": {"credentials": {"own": 1000, "b": 1}}},
    });
    let worker = Worker::within(&document, Variables(&[("B", "b")]));
    let store = MemoryStore::default();
    let jwt = signer.sign(&claims());
    let headers = [Header { name: b"x-platform-token", value: jwt.as_bytes() }];
    let head = RequestHead::new(b"GET", b"/v1/models", &headers);
    for status in ["401", "401", "401", "429"] {
        let ((), sent) = worker.send(&store, &head, at(0), &nobody, |_| ());
        answered(&store, &sent, at(0), &[(":status", status)]);
    }
    let found = worker.decide(&store, &head, at(0), &nobody, carried);
    assert_eq!(found, format!("Bearer {jwt}"));
}

#[test]
fn a_gateways_token_that_is_refused_is_renewed() {
    let document = json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": sha256(TOKEN), "label": "l", "providers": ["openai"]}],
        "credentials": {"cf": [agent()]},
        "gateway": {"cloudflare": {"account": "a", "gateway": "g", "credential": "cf", "mode": "unified_billing"}},
    });
    let worker = Worker::within(&document, NOTHING);
    let store = MemoryStore::default();
    let authorization = format!("Bearer {TOKEN}");
    let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
    let head = RequestHead::new(b"GET", b"/v1/models", &headers);
    let first = |_: &str| token("first", 3600);
    worker.work(&store, at(0), &first);
    let ((), sent) = worker.send(&store, &head, at(20), &nobody, |_| ());
    answered(&store, &sent, at(20), &[(":status", "401")]);
    let asked = Cell::new(0);
    worker.work(&store, at(20), &|_| {
        asked.set(asked.get() + 1);
        token("second", 3600)
    });
    assert_eq!(asked.get(), 1);
}

#[test]
fn a_key_without_a_value_is_passed_over() {
    let document = json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": sha256(TOKEN), "label": "l", "providers": ["openai"]}],
        "credentials": {"a": [agent()], "b": [{"env": "B"}]},
        "providers": {"openai": {"credentials": {"a": 1000, "b": 1}}},
    });
    let worker = Worker::within(&document, Variables(&[("B", "b")]));
    let asked: RefCell<BTreeMap<String, usize>> = RefCell::default();
    let fails = |path: &str| {
        *asked.borrow_mut().entry(path.to_owned()).or_default() += 1;
        Answer(500, String::new())
    };
    assert_eq!(ask(&worker, at(0), &fails), "Bearer b");
    assert_eq!(asked.borrow()["/token"], 1);
    assert_eq!(ask(&worker, at(2), &|_| token("a", 60)), "Bearer a");
}

#[test]
fn a_fetched_value_that_the_upstream_refuses_is_renewed_but_not_at_once() {
    let worker = Worker::within(&policy(&json!([agent()])), NOTHING);
    let store = MemoryStore::default();
    let authorization = format!("Bearer {TOKEN}");
    let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
    let head = RequestHead::new(b"POST", b"/v1/responses", &headers);
    let refuse = |now, service: &dyn Fn(&str) -> Answer| {
        let ((), sent) = worker.send(&store, &head, now, service, |_| ());
        answered(&store, &sent, now, &[(":status", "401")]);
    };
    refuse(at(0), &|_| token("first", 3600));
    worker.work(&store, at(5), &nobody);
    refuse(at(20), &nobody);
    worker.work(&store, at(20), &|_| token("second", 3600));
    assert_eq!(ask(&worker, at(21), &nobody), "Bearer second");
}

#[test]
fn weights_and_cooldowns_that_mean_nothing_are_errors() {
    let entry = |entry: Value| {
        let document = json!({
            "version": "keyswap/v1",
            "credentials": {"a": [{"env": "A"}], "openai": [{"env": "B"}]},
            "providers": {"openai": entry},
        });
        let errors = Policy::from_json(document.to_string().as_bytes()).err();
        errors.and_then(|errors| errors.0.first().map(ToString::to_string))
    };
    let error = |path: &str, message: &str| Some(format!("error at `providers.openai{path}`: {message}"));
    for (document, expect) in [
        (json!({"credentials": {"a": 1, "openai": 2}, "cooldown": "10s"}), None),
        (
            json!({"credentials": {"a": 1, "openai": 0}}),
            error(".credentials.openai", "expected a weight from 1 to 1000"),
        ),
        (
            json!({"credentials": {"a": 1, "openai": -1}}),
            error(".credentials.openai", "expected a whole number from 0"),
        ),
        (
            json!({"credentials": {}}),
            error(".credentials", "expected 1 to 32 names of credentials, each with its weight"),
        ),
        (
            json!({"credentials": {"a": 1}, "credential": "openai"}),
            error("", "expected `credential` or `credentials`, not both"),
        ),
        (
            json!({"cooldown": "10s"}),
            error(
                ".cooldown",
                "one key has no other to take its place: a cooldown needs two or more `credentials`",
            ),
        ),
        (
            json!({"credentials": {"a": 1}, "cooldown": "10s"}),
            error(
                ".cooldown",
                "one key has no other to take its place: a cooldown needs two or more `credentials`",
            ),
        ),
        (
            json!({"credentials": {"a": 1, "openai": 1}, "cooldown": "2h"}),
            error(".cooldown", "expected a duration from `1s` to `1h`"),
        ),
    ] {
        assert_eq!(entry(document.clone()), expect, "{document}");
    }
}
