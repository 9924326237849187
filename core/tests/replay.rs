//! Requests of an access log, judged under another policy: the outcome is what that policy really decides.

use std::collections::BTreeMap;

use keyswap_core::base::{Digest, Moment, UnixTime};
use keyswap_core::host::{Capabilities, Environment, MemoryStore};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::{
    Decision, LoggedRequest, NotReplayable, ReplayOutcome, ReplayPolicy, ReplayVerdict, Request as Judged,
    Verdict,
};
use keyswap_core::policy::{Policy, RolloutPolicy};
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::services::Services;
use keyswap_core::worker::Worker;
use serde_json::{Value, json};

/// 2027-01-15T08:00:00Z.
const NOW: UnixTime = UnixTime(1_800_000_000);

struct Placeholders;

impl Environment for Placeholders {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        Some(format!("<{name}>").into_bytes())
    }
}

/// A policy, and a worker that runs it.
struct Judge {
    policy: ReplayPolicy,
    worker: Worker,
}

fn judge(policy: &Value) -> Judge {
    let document = policy.to_string();
    let policy = Policy::from_json(document.as_bytes()).unwrap_or_else(|errors| panic!("{errors}"));
    let services = Services::new(Box::new(PureRust), Capabilities::ENVOY);
    Judge {
        policy: ReplayPolicy::new(policy.clone(), &Placeholders, &services).unwrap(),
        worker: Worker::of(
            RolloutPolicy::of(policy),
            Box::new(Placeholders),
            Box::new(PureRust),
            Capabilities::ENVOY,
        )
        .unwrap(),
    }
}

/// Returns both sets of members.
fn with(one: &Value, other: &Value) -> Value {
    let mut both = one.clone();
    both.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    both
}

fn sha256(token: &str) -> String {
    Digest::of(token.as_bytes()).to_hex()
}

fn id(token: &str) -> String {
    sha256(token)[..16].to_owned()
}

/// Returns a policy with two tokens, and `more` in it.
fn policy(alice: &[&str], more: &Value) -> Value {
    let mut policy = json!({
        "version": "keyswap/v1",
        "tokens": [
            {"sha256": sha256("ptk_alice"), "label": "alice", "providers": alice},
            {"sha256": sha256("ptk_bob"), "label": "bob", "providers": ["openai"], "expires_at": "2027-01-15T08:00:00Z"},
        ],
        "credentials": {"openai": [{"env": "A"}], "anthropic": [{"env": "B"}], "gemini": [{"env": "C"}],
                        "groq": [{"env": "D"}]},
    });
    for (name, value) in more.as_object().unwrap() {
        match (&mut policy[name], value) {
            (Value::Object(members), Value::Object(more)) => members.extend(more.clone()),
            (member, value) => *member = value.clone(),
        }
    }
    policy
}

fn policies() -> Vec<Value> {
    let all = ["openai", "anthropic", "gemini", "groq"];
    let cloudflare = |more: &Value| {
        let mut gateway = json!({"account": "a", "gateway": "g", "credential": "cf", "mode": "provider_key"});
        gateway.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({
            "gateway": {"cloudflare": gateway},
            "credentials": {"cf": [{"env": "X"}], "compat": [{"env": "Y"}]},
        })
    };
    let vercel = json!({
        "gateway": {"vercel": {"credential": "v"}}, "credentials": {"v": [{"env": "V"}]},
    });
    let with_universal = cloudflare(&json!({"universal_endpoint": true}));
    vec![
        policy(&all, &json!({})),
        policy(&["openai", "gemini"], &json!({})),
        policy(&all, &json!({"providers": {"openai": {"url": "https://own.example/v1"}}})),
        policy(&all, &cloudflare(&json!({}))),
        policy(&["openai", "compat", "groq"], &cloudflare(&json!({"openai": "compat"}))),
        policy(&["openai", "universal", "groq"], &with_universal),
        policy(&["openai", "vercel", "groq"], &vercel),
        policy(
            &all,
            &json!({"tokens": [{"sha256": sha256("ptk_bob"), "label": "bob", "providers": ["openai"]}]}),
        ),
        policy(&all, &json!({"providers": {"own": {"url": "https://own.example", "credential": "openai"}}})),
        policy(&all, &for_alice_only()),
    ]
}

/// Returns the change by which only one token has a credential for `openai`.
fn for_alice_only() -> Value {
    json!({"providers": {"openai": {"bindings": {"tokens": {(id("ptk_alice")): "openai"}}}}})
}

type Request = (&'static str, String, Vec<(&'static str, String)>);

/// Returns requests in every way that leads to a provider.
fn requests() -> Vec<Request> {
    let mut requests = Vec::new();
    for token in ["ptk_alice", "ptk_bob"] {
        for path in [
            "/",
            "/v1/models",
            "/v1/chat/completions",
            "/v1/messages",
            "/v1beta/models/g:generateContent",
            "/v1beta/openai/chat/completions",
            "/openai/v1/models",
            "/openai",
            "/anthropic/v1/messages",
            "/google-ai-studio/v1beta/models",
            "/groq/chat/completions",
            "/groq/v1/models",
            "/groq/openai/v1/models",
            "/compat/chat/completions",
            "/vercel/models",
            "/own/models",
            "/nobody/models",
            "/v1//models",
        ] {
            for (name, value) in [
                ("authorization", format!("Bearer {token}")),
                ("x-api-key", token.to_owned()),
                ("x-goog-api-key", token.to_owned()),
            ] {
                for method in ["GET", "POST"] {
                    requests.push((method, path.to_owned(), vec![(name, value.clone())]));
                }
            }
        }
        for path in ["/v1/realtime", "/google", "/openai", "/google-ai-studio/v1beta/models"] {
            let bearer = ("authorization", format!("Bearer {token}"));
            requests.push(("GET", path.to_owned(), vec![bearer, ("upgrade", "websocket".to_owned())]));
        }
    }
    requests
}

/// The line of a request in the log.
#[derive(Debug)]
struct Line {
    principal: String,
    path: String,
    provider: String,
    reason: &'static str,
    upgraded: bool,
}

fn decide<T>(judge: &Judge, request: &Request, then: impl FnOnce(Box<Decision<'_>>) -> T) -> T {
    let (method, path, headers) = request;
    let headers: Vec<Header<'_>> = headers
        .iter()
        .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
        .collect();
    let head = RequestHead::new(method.as_bytes(), path.as_bytes(), &headers);
    let store = MemoryStore::default();
    let request = Judged { head: &head, now: Moment::from(NOW), store: &store };
    let in_force = judge.worker.in_force(&store);
    let (decision, _) = in_force.decide(&request, &mut |_| panic!("nothing is fetched here"));
    then(decision)
}

/// Returns the line that the access log of `envoy/bootstrap.yaml` has of a request: its path has no query.
fn log(judge: &Judge, request: &Request) -> Line {
    decide(judge, request, |decision| {
        let path = match &decision.verdict {
            Verdict::Forward(rewrite) => String::from_utf8(rewrite.path.clone()).unwrap(),
            _ => request.1.clone(),
        };
        Line {
            principal: decision
                .facts
                .principal
                .as_ref()
                .map(keyswap_core::identity::Principal::id)
                .unwrap_or_default(),
            path: path.split('?').next().unwrap_or_default().to_owned(),
            provider: decision.facts.provider.to_owned(),
            reason: decision.reason_code(),
            upgraded: matches!(decision.verdict, Verdict::Forward(_))
                && request.2.iter().any(|it| it.0 == "upgrade"),
        }
    })
}

fn recorded<'l>(line: &'l Line, method: &'l str) -> LoggedRequest<'l> {
    LoggedRequest {
        at: NOW,
        principal: &line.principal,
        method,
        path: &line.path,
        provider: &line.provider,
        reason: line.reason,
        upgraded: line.upgraded,
        model: "",
        input: None,
        output: None,
        cost: None,
    }
}

#[test]
fn what_is_said_of_a_recorded_request_is_what_the_other_policy_decides() {
    let engines: Vec<Judge> = policies().iter().map(judge).collect();
    let (mut judged, mut unjudged) = (0, BTreeMap::<NotReplayable, usize>::new());
    for (old, before) in engines.iter().enumerate() {
        for request in requests() {
            let line = log(before, &request);
            for (new, after) in engines.iter().enumerate() {
                let context = format!("{request:?}, {line:?}, policies {old} and {new}");
                match before.policy.replay(&recorded(&line, request.0), &after.policy) {
                    ReplayOutcome::Judged { before, after: said, .. } => {
                        judged += 1;
                        assert_eq!(
                            (before.reason, before.provider),
                            (line.reason, line.provider.clone()),
                            "{context}"
                        );
                        let is = log(after, &request);
                        // An upgrade that was refused is logged like any request.
                        if request.2.iter().any(|it| it.0 == "upgrade") && !line.upgraded {
                            continue;
                        }
                        assert_eq!((said.reason, said.provider), (is.reason, is.provider), "{context}");
                    }
                    ReplayOutcome::NotReplayable(why) => *unjudged.entry(why).or_default() += 1,
                }
            }
        }
    }
    // Most requests are judged. The others were refused before the caller was known, or asked in ways that matter.
    let left = |why| unjudged.get(&why).copied().unwrap_or_default();
    let known =
        left(NotReplayable::NoPrincipal) + left(NotReplayable::Ambiguous) + left(NotReplayable::Model);
    assert_eq!(unjudged.values().sum::<usize>(), known, "{unjudged:?}");
    assert!(judged > 5 * left(NotReplayable::Ambiguous), "{judged} judged, {unjudged:?}");
}

fn outlook(reason: &'static str, provider: &str) -> ReplayVerdict {
    ReplayVerdict { reason, provider: provider.to_owned() }
}

fn line(principal: &str, path: &str, provider: &str, reason: &'static str) -> Line {
    Line {
        principal: principal.to_owned(),
        path: path.to_owned(),
        provider: provider.to_owned(),
        reason,
        upgraded: false,
    }
}

fn replay(old: &Value, new: &Value, line: &Line) -> ReplayOutcome {
    judge(old).policy.replay(&recorded(line, "GET"), &judge(new).policy)
}

#[test]
fn an_upgrade_of_another_method_than_get_is_forwarded_by_no_policy() {
    let (old, new) = (policy(&["openai"], &json!({})), policy(&["openai"], &json!({})));
    let upgraded = Line { upgraded: true, ..line(&id("ptk_alice"), "/v1/realtime", "openai", "allowed") };
    for (method, is_judged) in [("GET", true), ("POST", false)] {
        let found = judge(&old).policy.replay(&recorded(&upgraded, method), &judge(&new).policy);
        let expect = if is_judged {
            matches!(found, ReplayOutcome::Judged { .. })
        } else {
            matches!(found, ReplayOutcome::NotReplayable(NotReplayable::AnotherPolicy))
        };
        assert!(expect, "{method}: {found:?}");
    }
}

#[test]
fn what_cannot_be_known_is_not_said() {
    let old = policy(&["openai"], &json!({}));
    let person = json!({
        "issuers": [{"name": "id", "preset": "oidc", "issuer": "https://id.example", "audiences": ["a"]}],
        "principals": [{"email": "p@example.com", "providers": ["openai"]}],
    });
    let with_registry =
        json!({"registry": {"url": "http://r", "plaintext": "trusted_network", "credential": {"env": "R"}}});
    let models = |who: &str, reason| line(who, "/v1/models", "openai", reason);
    for (old, new, line, why) in [
        (&old, &old, models(&id("ptk_nobody"), "allowed"), NotReplayable::UnknownPrincipal),
        (&old, &old, models("", "credential_missing"), NotReplayable::NoPrincipal),
        (&old, &old, models("", "answered"), NotReplayable::Answered),
        (&old, &old, models(&id("ptk_alice"), "provider_not_allowed"), NotReplayable::AnotherPolicy),
        (
            &old,
            &old,
            line(&id("ptk_alice"), "/elsewhere/v1/models", "mistral", "allowed"),
            NotReplayable::AnotherPolicy,
        ),
        (
            &policy(&["openai"], &person),
            &old,
            models(&sha256("person\0p@example.com")[..16], "allowed"),
            NotReplayable::Identity,
        ),
        (
            &old,
            &old,
            line(&id("ptk_alice"), "/.well-known/keyswap", "openai", "provider_not_allowed"),
            NotReplayable::Answered,
        ),
        // The token may have stood in a slot that is not looked at any more.
        (
            &old,
            &policy(&["openai"], &json!({"slots": ["authorization"]})),
            models(&id("ptk_alice"), "allowed"),
            NotReplayable::Ambiguous,
        ),
        // The registry's record of the token may have any scope.
        (
            &old,
            &policy(&["openai"], &json!({"tokens": [], "registry": with_registry["registry"]})),
            models(&id("ptk_alice"), "allowed"),
            NotReplayable::Registry,
        ),
        (
            &policy(&["openai"], &with_registry),
            &old,
            models(&id("ptk_nobody"), "provider_not_allowed"),
            NotReplayable::Registry,
        ),
        // The record may have a team or an owner that is bound.
        (
            &policy(&["openai"], &with_registry),
            &policy(&["openai"], &with(&with_registry, &for_alice_only())),
            models(&id("ptk_nobody"), "allowed"),
            NotReplayable::Registry,
        ),
        (
            &policy(&["openai"], &with(&with_registry, &for_alice_only())),
            &policy(&["openai"], &with_registry),
            models(&id("ptk_nobody"), "allowed"),
            NotReplayable::Registry,
        ),
    ] {
        assert_eq!(replay(old, new, &line), ReplayOutcome::NotReplayable(why), "{line:?}");
    }
}

#[test]
fn a_token_of_the_registry_has_the_provider_that_it_was_forwarded_to() {
    let registry =
        json!({"registry": {"url": "http://r", "plaintext": "trusted_network", "credential": {"env": "R"}}});
    let old = policy(&["openai"], &registry);
    let line = line(&id("ptk_registered"), "/v1/models", "openai", "allowed");
    let before = outlook("allowed", "openai");
    let without_openai = {
        let mut policy = policy(&["anthropic"], &registry);
        policy["credentials"].as_object_mut().unwrap().remove("openai");
        policy["tokens"] = json!([]);
        policy
    };
    for (new, after) in [
        (&old, outlook("allowed", "openai")),
        (&policy(&["openai"], &json!({})), outlook("token_invalid", "openai")),
        (&without_openai, outlook("provider_not_allowed", "openai")),
    ] {
        let expect = ReplayOutcome::Judged { before: before.clone(), after, charge: None };
        assert_eq!(replay(&old, new, &line), expect);
    }
}

#[test]
fn what_refused_a_request_for_the_moment_is_no_decision_of_the_policy() {
    let (old, new) = (policy(&["openai"], &json!({})), policy(&["groq"], &json!({})));
    for reason in ["rate_limited", "upstream_credential_unavailable", "host_failure"] {
        let line = line(&id("ptk_alice"), "/v1/models", "openai", reason);
        let expect = ReplayOutcome::Judged {
            before: outlook("allowed", "openai"),
            after: outlook("provider_not_allowed", "openai"),
            charge: None,
        };
        assert_eq!(replay(&old, &new, &line), expect, "{reason}");
    }
}

#[test]
fn an_expiry_is_judged_at_the_time_of_the_request() {
    let old = policy(&["openai"], &json!({}));
    let new = policy(
        &["openai"],
        &json!({"tokens": [
            {"sha256": sha256("ptk_alice"), "label": "alice", "providers": ["openai"], "expires_at": "2027-01-15T08:00:01Z"},
        ]}),
    );
    let line = line(&id("ptk_alice"), "/v1/models", "openai", "allowed");
    let (old, new) = (judge(&old), judge(&new));
    for (at, after) in [(0, "allowed"), (1, "token_expired")] {
        let recorded = LoggedRequest { at: UnixTime(NOW.0 + at), ..recorded(&line, "GET") };
        let expect = ReplayOutcome::Judged {
            before: outlook("allowed", "openai"),
            after: outlook(after, "openai"),
            charge: None,
        };
        assert_eq!(old.policy.replay(&recorded, &new.policy), expect);
    }
}
