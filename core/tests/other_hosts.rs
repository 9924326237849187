//! Hosts that are not Envoy: their instances share no memory, are never asked what is due, and cannot upgrade a
//! connection. A setting that needs an ability which such a host lacks is an error. Budgets at the registry hold for
//! all.

use std::cell::RefCell;

use keyswap_core::answer::Reason;
use keyswap_core::base::Digest;
use keyswap_core::host::{Capabilities, Environment, Forgetful, MemoryStore};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::Verdict;
use keyswap_core::policy::Policy;
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};

use crate::support::with;
use crate::support::worker::{Answer, TOKEN, Worker, at, at_ms, known, registry_policy, unknown};

struct Secrets;

impl Environment for Secrets {
    fn variable(&self, _: &str) -> Option<Vec<u8>> {
        Some(b"secret-value-0123456789".to_vec())
    }
}

fn component(policy: &Value) -> Worker {
    Worker::on(policy, Secrets, Capabilities::COMPONENT)
}

fn limited(more: &Value) -> Value {
    registry_policy(
        &json!({"rate_limit": with(&json!({"store": "registry", "requests": 3, "per": "60s"}), more)}),
    )
}

/// A registry that keeps budgets of three, and counts the questions that it gets.
#[derive(Default)]
struct Registry {
    taken: RefCell<u32>,
    asked: RefCell<Vec<String>>,
}

impl Registry {
    fn answer(&self, path: &str) -> Answer {
        self.asked.borrow_mut().push(path.to_owned());
        match path {
            "/v1/limits" => {
                let mut taken = self.taken.borrow_mut();
                let allowed = *taken < 3;
                *taken += u32::from(allowed);
                let answer = json!({
                    "allowed": allowed, "limit": 3, "remaining": 3 - *taken, "retry_after": if allowed { 0 } else { 20 },
                    "reset": 20 * *taken, "window": 60,
                });
                Answer(200, answer.to_string())
            }
            path if path.starts_with("/v1/changes") => feed(1, &json!([])),
            path => known(path),
        }
    }

    fn count(&self, prefix: &str) -> usize {
        self.asked.borrow().iter().filter(|path| path.starts_with(prefix)).count()
    }
}

fn feed(sequence: u64, changes: &Value) -> Answer {
    let history = format!("{sequence:016x}");
    let part = json!({"sequence": sequence, "history": history, "reset": false, "changes": changes});
    Answer(200, part.to_string())
}

/// Returns the errors of a policy that needs more abilities than the component's hosts have.
fn errors(policy: &Value) -> Vec<String> {
    let policy = Policy::from_json(policy.to_string().as_bytes()).unwrap();
    assert_eq!(policy.fits(Capabilities::ENVOY), Ok(()), "it fits Envoy");
    let errors = policy.fits(Capabilities::COMPONENT).err();
    errors.map(|errors| errors.0.into_iter().map(|error| error.path).collect()).unwrap_or_default()
}

#[test]
fn what_no_host_of_the_component_has_is_an_error_with_its_place() {
    let sha256 = Digest::of(TOKEN.as_bytes()).to_hex();
    let token = json!({
        "sha256": sha256, "label": "l", "providers": ["openai"], "rate_limit": {"requests": 1, "per": "1s"},
    });
    let people = json!([
        {"email": "a@example.com", "providers": ["openai"], "rate_limit": {"requests": 1, "per": "1s"}},
    ]);
    for (changes, expect) in [
        (json!({}), vec![]),
        (json!({"rate_limit": {"requests": 3}}), vec!["rate_limit"]),
        (json!({"rate_limit": {"store": "memory"}}), vec!["rate_limit"]),
        (json!({"rate_limit": {"store": "registry"}}), vec![]),
        (json!({"tokens": [token]}), vec!["tokens[0].rate_limit"]),
        (json!({"tokens": [token], "rate_limit": {}}), vec!["rate_limit", "tokens[0].rate_limit"]),
        (json!({"tokens": [token], "rate_limit": {"store": "registry"}}), vec![]),
        (json!({"principals": people}), vec!["principals"]),
        (
            json!({"credentials": {"openai": [{"inject_by": "host"}]}}),
            vec!["credentials.openai[0].inject_by"],
        ),
    ] {
        assert_eq!(errors(&registry_policy(&changes)), expect, "{changes}");
    }
}

#[test]
fn a_limit_that_a_registry_is_to_keep_needs_one_that_does() {
    let mut introspection = registry_policy(&json!({"rate_limit": {"store": "registry"}}));
    introspection["registry"]["introspection"] = json!({"providers": ["openai"]});
    let none = json!({
        "version": "keyswap/v1", "credentials": {"openai": [{"env": "OPENAI"}]}, "rate_limit": {"store": "registry"},
    });
    for policy in [introspection, none] {
        let errors = Policy::from_json(policy.to_string().as_bytes()).unwrap_err();
        assert_eq!(
            errors.0.iter().map(|error| error.path.as_str()).collect::<Vec<_>>(),
            ["rate_limit.store"]
        );
    }
}

#[test]
fn one_request_takes_one_from_the_budget_that_the_registry_keeps_wherever_it_is_served() {
    let registry = Registry::default();
    let store = MemoryStore::default();
    let workers =
        [component(&limited(&json!({}))), component(&limited(&json!({}))), Worker::new(&limited(&json!({})))];
    let served: Vec<u16> = (0..6)
        .map(|number| workers[number % 3].ask(&store, TOKEN, at(0), &|path| registry.answer(path)))
        .collect();
    assert_eq!(served, [200, 200, 200, 429, 429, 429]);
    assert_eq!(registry.count("/v1/limits"), 6);
}

#[test]
fn a_refused_request_and_one_that_has_no_key_take_nothing() {
    let registry = Registry::default();
    let policy = limited(&json!({}));
    let mut unavailable = policy.clone();
    unavailable["credentials"]["openai"] = json!([{"http": {"url": "http://agent.example/key", "plaintext": "trusted_network", "max_age": "1m"}}]);
    let down = |path: &str| if path == "/key" { Answer(500, String::new()) } else { registry.answer(path) };
    assert_eq!(component(&unavailable).ask(&Forgetful, TOKEN, at(0), &down), 503);
    assert_eq!(component(&policy).ask(&Forgetful, "undefined", at(0), &|path| registry.answer(path)), 401);
    assert_eq!(component(&policy).ask(&Forgetful, TOKEN, at(0), &unknown), 401);
    assert_eq!(registry.count("/v1/limits"), 0);
    assert_eq!(component(&policy).ask(&Forgetful, TOKEN, at(0), &|path| registry.answer(path)), 200);
    assert_eq!(*registry.taken.borrow(), 1);
}

#[test]
fn where_the_registry_cannot_count_the_policy_says_what_becomes_of_a_request() {
    for (fault, answer) in [
        ("it is down", Answer(0, String::new())),
        ("it fails", Answer(500, "{}".to_owned())),
        ("it is busy", Answer(429, "{}".to_owned())),
        ("it does not know us", Answer(401, "{}".to_owned())),
        ("it has no such path", Answer(404, r#"{"code":"not_found"}"#.to_owned())),
        ("it answers something else", Answer(200, "{}".to_owned())),
        ("it is cut off", Answer(200, r#"{"allowed":tr"#.to_owned())),
    ] {
        for (allow, expect) in [(false, 503), (true, 200)] {
            let worker = component(&limited(&json!({"failure_mode_allow": allow})));
            let service = |path: &str| match path {
                "/v1/limits" => Answer(answer.0, answer.1.clone()),
                path => known(path),
            };
            assert_eq!(worker.ask(&Forgetful, TOKEN, at(0), &service), expect, "{fault}, {allow}");
        }
    }
}

#[test]
fn a_limit_of_a_record_is_kept_by_the_registry_where_no_memory_is_shared() {
    let registry = Registry::default();
    let service = |path: &str| {
        if path.starts_with("/v1/tokens/") {
            let sha256 = Digest::of(TOKEN.as_bytes()).to_hex();
            let record = json!({
                "sha256": sha256, "label": "l", "providers": ["openai"], "version": 1,
                "rate_limit": {"requests": 3, "per": "1h"},
            });
            return Answer(200, record.to_string());
        }
        registry.answer(path)
    };
    let worker = component(&registry_policy(&json!({})));
    let served: Vec<u16> = (0..4).map(|_| worker.ask(&Forgetful, TOKEN, at(0), &service)).collect();
    assert_eq!(served, [200, 200, 200, 429]);
}

fn upgrade(worker: &Worker, authorization: &str, service: &dyn Fn(&str) -> Answer) -> Option<Reason> {
    let headers = [
        Header { name: b"authorization", value: authorization.as_bytes() },
        Header { name: b"upgrade", value: b"websocket" },
        Header { name: b"connection", value: b"upgrade" },
    ];
    let head = RequestHead::new(b"GET", b"/v1/realtime", &headers);
    worker.decide(&Forgetful, &head, at(0), service, |decision| match &decision.verdict {
        Verdict::Reply(reason, _) => Some(*reason),
        _ => None,
    })
}

#[test]
fn an_upgrade_is_refused_where_there_can_be_none_and_takes_nothing() {
    let registry = Registry::default();
    let worker = component(&limited(&json!({})));
    let service = |path: &str| registry.answer(path);
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(upgrade(&worker, &bearer, &service), Some(Reason::UpgradeUnsupported));
    assert_eq!(registry.count("/v1/limits"), 0);
    // A caller that may not call learns no more than any other.
    assert_eq!(upgrade(&worker, "Bearer undefined", &service), Some(Reason::TokenInvalid));
    assert_eq!(upgrade(&worker, "", &service), Some(Reason::CredentialMissing));
    assert_eq!(upgrade(&Worker::new(&limited(&json!({}))), &bearer, &service), None, "Envoy can");
}

#[test]
fn where_nobody_asks_what_is_due_the_feed_is_heard_before_a_remembered_record_is_believed() {
    let worker = component(&registry_policy(&json!({})));
    let revoked = RefCell::new(false);
    let changes = RefCell::new(0);
    let service = |path: &str| match (path.strip_prefix("/v1/changes"), *revoked.borrow()) {
        (Some(query), is_revoked) => {
            *changes.borrow_mut() += 1;
            assert!(!query.contains("wait"), "it must not wait: {query}");
            let key = Digest::of(TOKEN.as_bytes()).to_hex();
            let change = json!([{"kind": "token", "key": key, "sequence": 2}]);
            if is_revoked { feed(2, &change) } else { feed(1, &json!([])) }
        }
        (None, true) => Answer::unknown(),
        (None, false) => known(path),
    };
    assert_eq!(worker.ask(&Forgetful, TOKEN, at(0), &service), 200);
    assert_eq!(*changes.borrow(), 0, "a record that came just now needs none");
    worker.work(&Forgetful, at(0), &service);
    assert_eq!(*changes.borrow(), 1, "what is due is the feed");
    for second in 1..4 {
        assert_eq!(worker.ask(&Forgetful, TOKEN, at(second), &service), 200);
    }
    assert_eq!(*changes.borrow(), 1, "it was heard not long ago");
    assert_eq!(worker.ask(&Forgetful, TOKEN, at(10), &service), 200);
    assert_eq!(*changes.borrow(), 2, "nobody listened meanwhile");
    revoked.replace(true);
    assert_eq!(worker.ask(&Forgetful, TOKEN, at(15), &service), 401);
}

#[test]
fn a_registry_that_cannot_be_heard_costs_one_call_per_pause_and_keeps_nobody_out() {
    let worker = component(&registry_policy(&json!({})));
    assert_eq!(worker.ask(&Forgetful, TOKEN, at(0), &known), 200);
    worker.calls();
    let down = |_: &str| Answer(0, String::new());
    for tenth in 50..300 {
        assert_eq!(worker.ask(&Forgetful, TOKEN, at_ms(tenth * 100), &down), 200, "after {tenth}00 ms");
    }
    let calls = worker.calls();
    assert!(calls <= 10, "{calls} calls in 25 s");
    assert_eq!(worker.ask(&Forgetful, TOKEN, at(61), &down), 503, "the record is too old");
}

#[test]
fn what_is_due_between_requests_is_due_at_most_every_two_seconds() {
    let worker = component(&registry_policy(&json!({})));
    let service =
        |path: &str| if path.starts_with("/v1/changes") { feed(1, &json!([])) } else { known(path) };
    worker.calls();
    for hundredth in 0..1000 {
        worker.work(&Forgetful, at_ms(hundredth * 10), &service);
    }
    let calls = worker.calls();
    assert!((5..=6).contains(&calls), "{calls} calls in ten seconds");
}

#[test]
fn a_store_that_forgets_at_once_costs_lookups_and_lets_nobody_in() {
    let worker = component(&registry_policy(&json!({})));
    assert_eq!(worker.ask(&Forgetful, TOKEN, at(0), &known), 200);
    // The record is renewed behind a request, as with shared memory.
    let feed =
        |path: &str| if path.starts_with("/v1/changes") { feed(1, &json!([])) } else { Answer::unknown() };
    assert_eq!(worker.ask(&Forgetful, TOKEN, at(40), &feed), 200);
    assert_eq!(worker.ask(&Forgetful, TOKEN, at(41), &feed), 401);
}

/// Returns the errors that keep a configuration from being started where the component runs.
fn errors_at_start(configuration: &Value) -> Vec<String> {
    let document = configuration.to_string();
    let start = |host| {
        keyswap_core::worker::Worker::start(
            document.as_bytes(),
            Box::new(Secrets),
            Box::new(PureRust),
            host,
            "plane",
        )
    };
    assert!(start(Capabilities::ENVOY).is_ok(), "it can be started in Envoy");
    let errors = start(Capabilities::COMPONENT).err();
    errors.map(|errors| errors.0.into_iter().map(|error| error.path).collect()).unwrap_or_default()
}

#[test]
fn a_rollout_that_needs_what_the_host_has_not_is_refused_when_it_starts() {
    let enforce = registry_policy(&json!({}));
    let shadow = with(&enforce, &json!({"mode": "shadow"}));
    let rollout = |stable: &Value, candidate: &Value, more: Value| {
        let document = json!({"version": "keyswap-rollout/v1", "stable": stable, "candidate": candidate});
        with(&document, &more)
    };
    let fallback = json!({"percent": 10, "fallback": {"refusals": 3, "per": "1m"}});
    for (configuration, expect) in [
        (enforce.clone(), vec![]),
        (shadow.clone(), vec!["mode"]),
        (rollout(&enforce, &enforce, json!({"percent": 10})), vec![]),
        (rollout(&shadow, &shadow, json!({})), vec!["stable.mode", "candidate.mode"]),
        (rollout(&enforce, &enforce, fallback.clone()), vec!["fallback"]),
        (rollout(&enforce, &shadow, fallback), vec!["candidate.mode", "fallback"]),
    ] {
        assert_eq!(errors_at_start(&configuration), expect, "{configuration}");
    }
}
