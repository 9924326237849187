//! Two policies of which one is tried, and a policy in shadow mode: the one that decides, the reports, and that nothing
//! else happens.

use keyswap_core::base::{Digest, Moment};
use keyswap_core::host::MemoryStore;
use keyswap_core::judge::{Decision, Verdict};
use keyswap_core::policy::RolloutPolicy;
use keyswap_core::request::RequestHead;
use serde_json::{Value, json};

use crate::support::plane::Plane;
use crate::support::with;
use crate::support::worker::{Answer, at, nobody_is_asked};

const OPENAI: &str = "/v1/chat/completions";
const FORWARD: &str = "forward to api.openai.com";

fn sha256(token: &str) -> String {
    Digest::of(token.as_bytes()).to_hex()
}

fn token(number: usize) -> String {
    format!("ptk_caller-{number}-0123456789")
}

/// Returns a policy with these callers, which may call these providers.
fn policy(callers: usize, providers: &[&str], more: &Value) -> Value {
    let tokens: Vec<Value> = (0..callers)
        .map(|number| json!({"sha256": sha256(&token(number)), "label": format!("caller-{number}"), "providers": providers}))
        .collect();
    let document = json!({
        "version": "keyswap/v1",
        "tokens": tokens,
        "credentials": {"openai": [{"env": "OPENAI"}], "anthropic": [{"env": "ANTHROPIC"}]},
    });
    with(&document, more)
}

fn rollout(stable: &Value, candidate: &Value, more: &Value) -> Value {
    let document = json!({"version": "keyswap-rollout/v1", "stable": stable, "candidate": candidate});
    with(&document, more)
}

fn nobody(path: &str) -> Answer {
    panic!("{path} was asked for")
}

fn ask(plane: &Plane, store: &MemoryStore, number: usize, now: Moment) -> String {
    plane.ask(store, &token(number), OPENAI, now, &nobody)
}

#[test]
fn at_no_percent_the_stable_policy_decides_for_all_and_every_difference_is_told() {
    let stable = policy(20, &["openai", "anthropic"], &json!({}));
    let candidate = policy(20, &["anthropic"], &json!({}));
    let plane = Plane::new(&rollout(&stable, &candidate, &json!({})));
    let store = MemoryStore::default();
    for number in 0..20 {
        assert_eq!(ask(&plane, &store, number, at(0)), FORWARD);
        assert_eq!(
            plane.ask(&store, &token(number), "/v1/messages", at(0), &nobody),
            "forward to api.anthropic.com"
        );
    }
    assert_eq!(plane.ask(&store, "ptk_nobody-0123456789", OPENAI, at(0), &nobody), "token_invalid");
    let lines: Vec<String> = plane.observed.borrow().iter().filter_map(|it| it.line.clone()).collect();
    assert_eq!(lines.len(), 20);
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    let principal = &sha256(&token(0))[..16];
    assert_eq!(
        line,
        json!({
            "event": "diverged", "stable": "allowed", "candidate": "provider_not_allowed", "decided_by": "stable",
            "provider": "openai", "principal": principal, "label": "caller-0", "request_id": null,
        })
    );
    let metrics = plane.metrics();
    let count = |metric: &str| metrics.iter().filter(|other| *other == metric).count();
    assert_eq!(
        count("keyswap.divergences.stable.allowed.candidate.provider_not_allowed.provider.openai"),
        20
    );
    assert_eq!(count("keyswap.comparisons.result.different.decided_by.stable"), 20);
    assert_eq!(count("keyswap.comparisons.result.same.decided_by.stable"), 21);
    assert_eq!(metrics.len(), 61);
}

#[test]
fn a_caller_that_only_the_stable_policy_knows_is_named_where_the_candidate_refuses_it() {
    let plane =
        Plane::new(&rollout(&policy(1, &["openai"], &json!({})), &policy(0, &[], &json!({})), &json!({})));
    assert_eq!(ask(&plane, &MemoryStore::default(), 0, at(0)), FORWARD);
    let line = plane.observed.borrow().iter().find_map(|it| it.line.clone()).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    let principal = &sha256(&token(0))[..16];
    assert_eq!(
        (&line["candidate"], &line["principal"], &line["label"]),
        (&json!("token_invalid"), &json!(principal), &json!("caller-0"))
    );
}

#[test]
fn a_share_of_principals_is_decided_by_the_candidate_always_the_same_ones() {
    let stable = policy(1000, &["openai"], &json!({}));
    let candidate = policy(1000, &["anthropic"], &json!({}));
    let mut before: Vec<usize> = Vec::new();
    for percent in [1, 10, 50, 100] {
        let plane = Plane::new(&rollout(&stable, &candidate, &json!({"percent": percent})));
        let store = MemoryStore::default();
        let refused = |now| -> Vec<usize> {
            (0..1000).filter(|number| ask(&plane, &store, *number, now) != FORWARD).collect()
        };
        let chosen = refused(at(0));
        assert!(chosen.len().abs_diff(percent * 10) < 40, "{percent} %: {}", chosen.len());
        assert_eq!(chosen, refused(at(1000)), "{percent} %");
        assert!(before.iter().all(|number| chosen.contains(number)), "somebody left at {percent} %");
        before = chosen;
    }
}

#[test]
fn a_caller_that_only_the_candidate_knows_gets_in_by_its_share_of_requests() {
    let stable = policy(0, &[], &json!({}));
    let candidate = policy(1, &["openai"], &json!({}));
    let plane = Plane::new(&rollout(&stable, &candidate, &json!({"percent": 30})));
    let store = MemoryStore::default();
    let at_micro = |micro: u64| Moment(at(0).0 + micro * 1000);
    let forwarded = (0..1000).filter(|micro| ask(&plane, &store, 0, at_micro(*micro)) == FORWARD).count();
    assert_eq!(forwarded, 300);
}

#[test]
fn where_both_forward_to_different_places_that_is_a_difference() {
    let stable = policy(1, &["openai"], &json!({}));
    let gateway = json!({"gateway": {"cloudflare": {
        "account": "a", "gateway": "g", "credential": "cf", "mode": "provider_key",
    }}});
    let mut candidate = policy(1, &["openai"], &gateway);
    candidate["credentials"]["cf"] = json!([{"env": "CF"}]);
    let plane = Plane::new(&rollout(&stable, &candidate, &json!({})));
    assert_eq!(ask(&plane, &MemoryStore::default(), 0, at(0)), FORWARD);
    let metrics = plane.metrics();
    let expect = "keyswap.divergences.stable.allowed.candidate.allowed_elsewhere.provider.openai";
    assert!(metrics.contains(&expect.to_owned()), "{metrics:?}");
}

#[test]
fn the_policy_that_does_not_decide_takes_nothing_from_a_budget_and_is_as_strict_as_if_it_did() {
    let limit = |requests: u32| json!({"rate_limit": {"requests": requests, "per": "60s"}});
    for (stable, candidate, percent, forwarded, diverged) in [
        // The stable policy decides: its ten pass, and the candidate would have let three pass of them.
        (10, 3, 0, 10, 7),
        (3, 10, 0, 3, 7),
        // The candidate decides.
        (10, 3, 100, 3, 7),
        (3, 10, 100, 10, 7),
        (5, 5, 50, 5, 0),
    ] {
        let stable = policy(1, &["openai"], &limit(stable));
        let candidate = policy(1, &["openai"], &limit(candidate));
        let plane = Plane::new(&rollout(&stable, &candidate, &json!({"percent": percent})));
        let store = MemoryStore::default();
        let passed = (0..20).filter(|_| ask(&plane, &store, 0, at(0)) == FORWARD).count();
        assert_eq!(passed, forwarded, "{percent} %");
        let told = plane.metrics();
        let differences = told.iter().filter(|metric| metric.starts_with("keyswap.divergences.")).count();
        assert_eq!(differences, diverged, "{percent} %: {told:?}");
    }
}

#[test]
fn a_candidate_that_refuses_too_much_decides_for_nobody_any_more() {
    let stable = policy(100, &["openai"], &json!({}));
    let candidate = policy(100, &["anthropic"], &json!({}));
    let more = json!({"percent": 50, "fallback": {"refusals": 5, "per": "60s"}});
    let plane = Plane::new(&rollout(&stable, &candidate, &more));
    let other = Plane::new(&rollout(&stable, &candidate, &more));
    let store = MemoryStore::default();
    // Refusals that are the stable policy's, too, count for nothing.
    for _ in 0..50 {
        plane.ask(&store, "ptk_nobody-0123456789", OPENAI, at(0), &nobody);
    }
    // One caller has one vote, however often it is refused.
    let all = || (0..100).filter(|number| ask(&plane, &store, *number, at(0)) != FORWARD);
    let first = all().next().unwrap();
    let of_one = (0..50).filter(|_| ask(&plane, &store, first, at(0)) != FORWARD).count();
    assert_eq!(of_one, 50);
    assert!(!plane.metrics().contains(&"keyswap.fallbacks".to_owned()));
    assert_eq!(all().count(), 5);
    assert_eq!(plane.metrics().iter().filter(|metric| *metric == "keyswap.fallbacks").count(), 1);
    // The other worker takes the failure over with its next round.
    other.work(&store, at(1), &nobody);
    assert!((0..100).all(|number| ask(&other, &store, number, at(1)) == FORWARD));
    // A difference is still reported.
    assert!(other.metrics().iter().any(|metric| metric.starts_with("keyswap.divergences.")));
}

#[test]
fn one_caller_over_its_new_limit_ends_no_trial() {
    let limit = |requests: u32| json!({"rate_limit": {"requests": requests, "per": "60s"}});
    let (stable, candidate) = (policy(2, &["openai"], &limit(100)), policy(2, &["openai"], &limit(3)));
    let more = json!({"percent": 100, "fallback": {"refusals": 2, "per": "60s"}});
    let plane = Plane::new(&rollout(&stable, &candidate, &more));
    let store = MemoryStore::default();
    let fallbacks = |number: usize| {
        (0..20).for_each(|_| _ = ask(&plane, &store, number, at(0)));
        plane.metrics().iter().filter(|metric| *metric == "keyswap.fallbacks").count()
    };
    assert_eq!((fallbacks(0), fallbacks(0), fallbacks(1)), (0, 0, 1));
}

#[test]
fn a_share_of_requests_is_compared_where_the_document_says_so() {
    let both = policy(1, &["openai"], &json!({}));
    let store = MemoryStore::default();
    for (compare, expect) in [(0, 0), (25, 250), (100, 1000)] {
        let plane = Plane::new(&rollout(&both, &both, &json!({"compare": compare})));
        for micro in 0..1000 {
            assert_eq!(ask(&plane, &store, 0, Moment(at(0).0 + micro * 1000)), FORWARD);
        }
        assert_eq!(plane.metrics().len(), expect);
    }
}

/// A part of the change feed without changes.
const QUIET_FEED: &str = r#"{"sequence":1,"history":"00000000000000aa","reset":false,"changes":[]}"#;

/// Returns a registry that knows every token and person, for these providers.
fn registry(providers: &'static [&'static str]) -> impl Fn(&str) -> Answer {
    move |path| match path.strip_prefix("/v1/tokens/") {
        Some(digest) => {
            let record = json!({"sha256": digest, "label": "l", "providers": providers, "version": 1});
            Answer(200, record.to_string())
        }
        None => Answer(200, QUIET_FEED.to_owned()),
    }
}

fn asks_registry(url: &str) -> Value {
    json!({"registry": {"url": url, "credential": {"env": "REGISTRY"}}, "objects": "shared"})
}

#[test]
fn both_policies_ask_one_registry_once_and_a_comparison_delays_nobody() {
    let one = asks_registry("https://one.example");
    let stable = policy(0, &[], &one);
    let plane = Plane::new(&rollout(&stable, &policy(0, &[], &one), &json!({})));
    let store = MemoryStore::default();
    let calls = std::cell::Cell::new(0);
    let counted = |path: &str| {
        calls.set(calls.get() + 1);
        registry(&["openai"])(path)
    };
    assert_eq!(plane.ask(&store, &token(0), OPENAI, at(0), &counted), FORWARD);
    assert_eq!((calls.get(), plane.backgrounds.get()), (1, 0), "what one asked the other knows");

    let other = policy(0, &[], &asks_registry("https://other.example"));
    let plane = Plane::new(&rollout(&stable, &other, &json!({})));
    let store = MemoryStore::default();
    assert_eq!(plane.ask(&store, &token(0), OPENAI, at(0), &registry(&["openai"])), FORWARD);
    assert_eq!(plane.backgrounds.get(), 1, "the request did not wait for the other registry");
    assert_eq!(plane.metrics(), ["keyswap.comparisons.result.same.decided_by.stable"]);

    // Where the candidate decides, the request waits for it like for any policy.
    let plane = Plane::new(&rollout(&stable, &other, &json!({"percent": 100})));
    let store = MemoryStore::default();
    assert_eq!(plane.ask(&store, &token(0), OPENAI, at(0), &registry(&["openai"])), FORWARD);
    assert_eq!(plane.backgrounds.get(), 0);
    assert_eq!(plane.metrics(), ["keyswap.comparisons.result.same.decided_by.candidate"]);
}

#[test]
fn shadow_mode_tells_upstreams_what_it_would_have_done_only_where_the_policy_says_so() {
    for (header, tells) in [(Value::Null, false), (json!(false), false), (json!(true), true)] {
        let shadow = if header.is_null() { json!({}) } else { json!({"header": header}) };
        let plane = Plane::new(&policy(1, &["openai"], &json!({"mode": "shadow", "shadow": shadow})));
        let head = RequestHead::new(b"POST", OPENAI.as_bytes(), &[]);
        let tell = |decision: &Decision<'_>| match &decision.verdict {
            Verdict::Pass(passed) => passed.header().is_some(),
            _ => panic!("shadow mode decides nothing"),
        };
        assert_eq!(plane.decide(&MemoryStore::default(), &head, at(0), &nobody, tell), tells, "{header}");
    }
}

#[test]
fn a_policy_in_shadow_mode_refuses_nobody_waits_for_nothing_and_tells_what_it_would_have_done() {
    let shadow = json!({"mode": "shadow"});
    let plane = Plane::new(&policy(1, &["openai"], &shadow));
    let store = MemoryStore::default();
    assert_eq!(ask(&plane, &store, 0, at(0)), "pass: allowed");
    assert_eq!(plane.ask(&store, "ptk_nobody-0123456789", OPENAI, at(0), &nobody), "pass: token_invalid");
    assert_eq!(plane.ask(&store, &token(0), "/v1/../x", at(0), &nobody), "pass: path_invalid");
    let told = plane.observed.take();
    let metrics: Vec<&str> = told.iter().map(|it| it.metric.as_str()).collect();
    assert_eq!(
        metrics,
        [
            "keyswap.shadow_decisions.verdict.forward.reason.allowed.provider.openai",
            "keyswap.shadow_decisions.verdict.reply.reason.token_invalid.provider.openai",
            "keyswap.shadow_decisions.verdict.reply.reason.path_invalid.provider.openai",
        ]
    );
    let lines: Vec<Value> =
        told.iter().filter_map(|it| serde_json::from_str(it.line.as_ref()?).ok()).collect();
    assert_eq!(
        lines[0],
        json!({"event": "would_refuse", "reason": "token_invalid", "provider": "openai", "request_id": null})
    );
    assert_eq!(lines.len(), 2);

    let plane = Plane::new(&policy(0, &[], &with(&asks_registry("https://one.example"), &shadow)));
    let store = MemoryStore::default();
    assert_eq!(plane.ask(&store, &token(0), OPENAI, at(0), &registry(&["openai"])), "pass: undecided");
    assert_eq!(plane.backgrounds.get(), 1);
    assert_eq!(plane.metrics(), ["keyswap.shadow_decisions.verdict.forward.reason.allowed.provider.openai"]);
    assert_eq!(plane.ask(&store, &token(0), OPENAI, at(0), &registry(&["openai"])), "pass: allowed");
}

#[test]
fn a_policy_can_be_enforced_from_shadow_mode_on_for_a_share() {
    let stable = policy(1000, &["anthropic"], &json!({"mode": "shadow"}));
    let candidate = policy(1000, &["anthropic"], &json!({}));
    let plane = Plane::new(&rollout(&stable, &candidate, &json!({"percent": 20})));
    let store = MemoryStore::default();
    let said: Vec<String> = (0..1000).map(|number| ask(&plane, &store, number, at(0))).collect();
    let refused = said.iter().filter(|said| *said == "provider_not_allowed").count();
    let passed = said.iter().filter(|said| *said == "pass: provider_not_allowed").count();
    assert!(refused.abs_diff(200) < 40 && refused + passed == 1000, "{refused} and {passed}");
}

#[test]
fn the_status_tells_what_is_tried() {
    let mut stable = policy(1, &["openai"], &json!({"status": {"allow": ["tokens"]}}));
    stable["tokens"][0]["providers"] = json!(["keyswap-status"]);
    let candidate = policy(1, &["openai"], &json!({}));
    let document = rollout(&stable, &candidate, &json!({"percent": 0}));
    let plane = Plane::new(&document);
    let headers_path = "/.well-known/keyswap";
    let store = MemoryStore::default();
    // The status is asked for with GET only, so this is a request like any other.
    assert_eq!(plane.ask(&store, &token(0), headers_path, at(0), &nobody), "provider_not_allowed");
    let authorization = format!("Bearer {}", token(0));
    let headers = [keyswap_core::request::Header { name: b"authorization", value: authorization.as_bytes() }];
    let head = RequestHead::new(b"GET", headers_path.as_bytes(), &headers);
    let said = plane.decide(&store, &head, at(0), &nobody_is_asked, |decision| match &decision.verdict {
        Verdict::Answer(answer) => answer.body.clone(),
        _ => panic!("no answer"),
    });
    let body: Value = serde_json::from_str(&said).unwrap();
    let sha256 = |policy: &Value| RolloutPolicy::from_json(policy.to_string().as_bytes()).unwrap().sha256();
    assert_eq!(
        body["policy"],
        json!({
            "sha256": sha256(&stable),
            "revision": null,
            "candidate": {"sha256": sha256(&candidate), "percent": 0, "has_failed": false},
        })
    );
}

#[test]
fn errors_of_both_policies_are_told_with_their_places() {
    let good = policy(0, &[], &json!({}));
    let bad = with(&good, &json!({"tokns": []}));
    for (document, expect) in [
        (
            rollout(&bad, &bad, &json!({"percent": 101, "x": 1})),
            "error at `stable.tokns`: unknown field; expected `version`, `credentials`, `gateway`, `objects`, `providers`, `slots`, \
             `second_credential`, `tokens`, `registry`, `rate_limit`, `metering`, `prices`, `budgets`, `cors`, \
             `resource`, `status`, `answers`, `revoke`, `access_log`, \
             `broker`, `mode`, `shadow`, `hosts`, `model_groups`, `issuers`, \
             `principals`, `client_certificates`\n\
             error at `candidate.tokns`: unknown field; expected `version`, `credentials`, `gateway`, `objects`, `providers`, \
             `slots`, `second_credential`, `tokens`, `registry`, `rate_limit`, `metering`, `prices`, `budgets`, `cors`, \
             `resource`, `status`, `answers`, `revoke`, `access_log`, \
             `broker`, `mode`, `shadow`, `hosts`, `model_groups`, `issuers`, \
             `principals`, `client_certificates`\n\
             error at `percent`: expected a number from 0 to 100\n\
             error at `x`: unknown field; expected `version`, `stable`, `candidate`, `percent`, `compare`, `fallback`",
        ),
        (
            json!({"version": "keyswap-rollout/v1", "stable": good, "percent": 5}),
            "error: `percent`, `compare` and `fallback` need a `candidate`: add one, or remove them",
        ),
        (json!({"version": "keyswap-rollout/v1"}), "error: the field `stable` is missing"),
        (
            rollout(&good, &good, &json!({"fallback": {"refusals": 0, "per": "0s"}})),
            "error at `fallback.refusals`: expected a number from 1 to 1000\n\
             error at `fallback.per`: expected a duration from `1s` to `24h`",
        ),
        (
            with(&good, &json!({"mode": "enforce", "shadow": {"header": true}})),
            "error at `shadow`: this is for `mode: shadow`: remove it",
        ),
    ] {
        let errors = RolloutPolicy::from_json(document.to_string().as_bytes()).err();
        assert_eq!(errors.map(|errors| errors.to_string()).as_deref(), Some(expect));
    }
    // The error of a missing secret has its place, too.
    let mut unset = good.clone();
    unset["credentials"]["openai"] = json!([{"env": "UNSET"}]);
    let errors = Plane::start(&rollout(&good, &unset, &json!({}))).err().map(|errors| errors.to_string());
    let expect = "error at `candidate.credentials.openai`: the environment variable `UNSET` is not set";
    assert_eq!(errors.as_deref(), Some(expect));
}
