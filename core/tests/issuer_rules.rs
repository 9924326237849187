//! The rules of an issuer: the claims of a JWT decide what its caller may do.

use keyswap_core::base::Digest;
use keyswap_core::host::MemoryStore;
use keyswap_core::judge::Decision;
use keyswap_core::policy::{Configuration, Policy};
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};

use crate::support;
use crate::support::worker::{Worker, at, nobody_is_asked, registry_policy};
use crate::support::{Signer, claims, oidc, with};

fn signer() -> Signer {
    Signer::new(1, "k1")
}

/// Returns a policy with an issuer that has these members.
fn policy(issuers: &[Value], more: &Value) -> Value {
    let open = |changes: &Value| {
        with(&with(&oidc(&json!([signer().jwk()])), &json!({"principals": "any"})), changes)
    };
    let all = json!({"registry": null, "issuers": issuers.iter().map(open).collect::<Vec<_>>()});
    with(&registry_policy(&all), more)
}

/// Two repositories of an organisation under one audience, and everything else of the organisation.
fn of_repositories() -> Value {
    json!({"rules": [
        {
            "when": {"repository": ["acme/web"], "ref": ["refs/heads/*"]}, "providers": ["openai"],
            "rate_limit": {"requests": 2, "per": "60s"}, "team": "web", "label": {"claim": "workflow"},
        },
        {
            "when": {"repository": ["acme/ml"]}, "providers": ["gemini"], "team": {"claim": "environment"},
            "rate_limit": {"requests": 1, "per": "60s"},
        },
        {"when": {"repository_owner": ["acme"], "/actor/kind": ["bot", "app"]}, "providers": ["openai", "gemini"]},
    ]})
}

/// Returns the principal in the access log's words, the refusal if there is one, and the checks on rules.
fn told(decision: &Decision<'_>) -> (String, Vec<String>) {
    let principal = decision.facts.principal.as_ref();
    let principal = principal.map_or_else(String::new, |it| format!("{} of {:?}", it.label(), it.team()));
    let checks = decision.facts.checks.iter().map(ToString::to_string);
    (principal, checks.filter(|check| check.contains("rule")).collect())
}

fn send(worker: &Worker, store: &MemoryStore, path: &str, changed: &Value) -> (u16, (String, Vec<String>)) {
    let authorization = format!("Bearer {}", signer().sign(&with(&claims(), changed)));
    let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
    let head = RequestHead::new(b"GET", path.as_bytes(), &headers);
    worker.decide(store, &head, at(0), &nobody_is_asked, |decision| {
        (support::worker::status(decision), told(decision))
    })
}

#[test]
fn the_first_rule_that_fits_gives_scope_limit_team_and_label() {
    let (worker, store) = (Worker::new(&policy(&[of_repositories()], &json!({}))), MemoryStore::default());
    let web = json!({"sub": "web", "repository": "acme/web", "ref": "refs/heads/main", "workflow": "deploy"});
    let ml = json!({"sub": "ml", "repository": "acme/ml", "environment": "research"});
    let bot = json!({"sub": "bot", "repository_owner": "acme", "actor": {"kind": "app"}});
    for (path, changed, status, principal) in [
        ("/openai/v1/models", &web, 200, "deploy of Some(\"web\")"),
        ("/google-ai-studio/v1beta/models", &web, 403, "deploy of Some(\"web\")"),
        ("/openai/v1/models", &web, 200, "deploy of Some(\"web\")"),
        ("/openai/v1/models", &web, 429, "deploy of Some(\"web\")"),
        ("/openai/v1/models", &ml, 403, "alice@example.com of Some(\"research\")"),
        ("/google-ai-studio/v1beta/models", &ml, 200, "alice@example.com of Some(\"research\")"),
        ("/google-ai-studio/v1beta/models", &ml, 429, "alice@example.com of Some(\"research\")"),
        ("/google-ai-studio/v1beta/models", &bot, 200, "alice@example.com of None"),
        ("/openai/v1/models", &bot, 200, "alice@example.com of None"),
    ] {
        let (found, (told, _)) = send(&worker, &store, path, changed);
        assert_eq!((found, told.as_str()), (status, principal), "{path} {changed}");
    }
}

#[test]
fn a_token_that_no_rule_fits_is_refused_and_the_checks_say_why() {
    let (worker, store) = (Worker::new(&policy(&[of_repositories()], &json!({}))), MemoryStore::default());
    let missed = |rule: usize, claim: &str| {
        format!("`rules[{rule}]` does not fit: the claim `{claim}` has none of its values")
    };
    let refused = "no rule of the issuer `id` fits the claims".to_owned();
    for (changed, expect) in [
        (json!({}), [missed(0, "ref"), missed(1, "repository"), missed(2, "/actor/kind"), refused.clone()]),
        (
            json!({"repository": "acme/web", "ref": "refs/tags/v1", "repository_owner": "acme"}),
            [missed(0, "ref"), missed(1, "repository"), missed(2, "/actor/kind"), refused.clone()],
        ),
        // The case of letters counts, and so does the whole text.
        (
            json!({"repository": "Acme/web", "repository_owner": "acme", "actor": {"kind": "robot"}}),
            [missed(0, "ref"), missed(1, "repository"), missed(2, "/actor/kind"), refused.clone()],
        ),
        // A team must have a name that budgets and bindings can have.
        (
            json!({"repository": "acme/ml", "environment": "a b"}),
            [missed(0, "ref"), missed(1, "environment"), missed(2, "/actor/kind"), refused.clone()],
        ),
    ] {
        let (status, (_, checks)) = send(&worker, &store, "/openai/v1/models", &changed);
        assert_eq!((status, checks), (403, expect.to_vec()), "{changed}");
    }
    let fits = json!({"repository": "acme/ml", "environment": "dev"});
    let (_, (_, checks)) = send(&worker, &store, "/google-ai-studio/v1beta/models", &fits);
    assert_eq!(checks, [missed(0, "ref"), "`rules[1]` fits".to_owned()]);
}

#[test]
fn of_several_entries_for_one_issuer_and_audience_the_one_whose_claims_fit_judges() {
    let entry = |name: &str, group: &str, provider: &str| json!({"name": name, "claims": {"groups": [group]}, "providers": [provider]});
    let issuers = [entry("a", "web", "openai"), entry("b", "ml", "gemini")];
    let (worker, store) = (Worker::new(&policy(&issuers, &json!({}))), MemoryStore::default());
    for (groups, path, expect) in [
        (json!(["web"]), "/openai/v1/models", 200),
        (json!(["ml"]), "/openai/v1/models", 403),
        (json!(["ml"]), "/google-ai-studio/v1beta/models", 200),
        // The first of two.
        (json!(["ml", "web"]), "/google-ai-studio/v1beta/models", 403),
        (json!(["sales"]), "/openai/v1/models", 401),
    ] {
        let (status, _) = send(&worker, &store, path, &json!({"groups": groups}));
        assert_eq!(status, expect, "{groups} {path}");
    }
    let lints = |issuers: &[Value]| {
        let document = policy(issuers, &json!({})).to_string();
        let findings = Configuration::from_json(document.as_bytes()).unwrap().lint(at(0).unix());
        findings.iter().any(|finding| finding.path == "issuers[1].audiences")
    };
    assert!(!lints(&issuers));
    assert!(lints(&[json!({"name": "a"}), entry("b", "ml", "gemini")]));
}

#[test]
fn a_known_person_keeps_its_own_record_within_the_rule() {
    let rules = json!({"principals": "known", "rules": [
        {"when": {"groups": ["ml"]}, "providers": ["openai"], "team": "ml", "rate_limit": {"requests": 9, "per": "60s"}},
        {"providers": ["gemini"]},
    ]});
    let person = |more: Value| {
        let person =
            json!({"email": "alice@example.com", "label": "Alice", "providers": ["openai", "gemini"]});
        json!({"principals": [with(&person, &more)]})
    };
    for (more, changed, path, status, principal) in [
        (json!({}), json!({"groups": "ml"}), "/openai/v1/models", 200, "Alice of Some(\"ml\")"),
        (json!({"team": "own"}), json!({"groups": "ml"}), "/openai/v1/models", 200, "Alice of Some(\"own\")"),
        (
            json!({"providers": ["gemini"]}),
            json!({"groups": "ml"}),
            "/openai/v1/models",
            403,
            "Alice of Some(\"ml\")",
        ),
        (json!({}), json!({}), "/openai/v1/models", 403, "Alice of None"),
        (json!({}), json!({}), "/google-ai-studio/v1beta/models", 200, "Alice of None"),
        (json!({}), json!({"email": "bob@example.com", "groups": "ml"}), "/openai/v1/models", 403, ""),
    ] {
        let worker = Worker::new(&policy(std::slice::from_ref(&rules), &person(more.clone())));
        let (found, (told, _)) = send(&worker, &MemoryStore::default(), path, &changed);
        assert_eq!((found, told.as_str()), (status, principal), "{more} {changed} {path}");
    }
}

#[test]
fn what_a_rule_leaves_out_is_as_the_issuer_has_it() {
    let issuer = json!({
        "providers": ["openai"], "team": "all", "rate_limit": {"requests": 1, "per": "60s"},
        "rules": [{"when": {"groups": ["ml"]}, "team": "ml"}, {}],
    });
    let (worker, store) = (Worker::new(&policy(&[issuer], &json!({}))), MemoryStore::default());
    for (subject, groups, team) in [("a", "ml", "ml"), ("b", "x", "all")] {
        for (path, status) in
            [("/openai/v1/models", 200), ("/openai/v1/models", 429), ("/google-ai-studio/v1beta/models", 403)]
        {
            let changed = json!({"sub": subject, "email": null, "groups": groups});
            let (found, (told, _)) = send(&worker, &store, path, &changed);
            assert_eq!((found, told), (status, format!("{subject} of Some(\"{team}\")")), "{path}");
        }
    }
}

#[test]
fn every_error_of_a_rule_is_told_with_its_place() {
    for (rules, expect) in [
        (json!([]), "`issuers[0].rules`: expected 1 to 256 rules"),
        (
            json!([{}, {"when": {"a": ["b"]}}]),
            "`issuers[0].rules[0]`: the rule is for every token, so that no rule behind it is reached: put it last",
        ),
        (json!([{"when": {"a": []}}]), "`issuers[0].rules[0].when.a`: expected at least one value"),
        (
            json!([{"when": {"iss": ["x"]}}]),
            "`issuers[0].rules[0].when.iss`: this claim is always judged, by fields of its own: remove it",
        ),
        (
            json!([{"providers": ["x"]}]),
            "`issuers[0].rules[0].providers[0]`: no such provider; expected one of `openai`, `gemini`",
        ),
        (
            json!([{"team": "a b"}]),
            "`issuers[0].rules[0].team`: expected 1 to 64 letters, digits, `-` or `_`",
        ),
        (json!([{"team": {}}]), "`issuers[0].rules[0].team`: the field `claim` is missing"),
        (
            json!([{"label": {"claim": "/a~b"}}]),
            "`issuers[0].rules[0].label.claim`: expected the name of a claim, or a JSON pointer such as `/realm_access/roles`",
        ),
        (
            json!([{"principals": "any"}]),
            "`issuers[0].rules[0].principals`: unknown field; expected `when`, `providers`, `models`, `rate_limit`, `budget`, `team`, `label`",
        ),
    ] {
        let document = policy(&[json!({"rules": rules})], &json!({})).to_string();
        let errors = Policy::from_json(document.as_bytes()).err().map(|errors| errors.to_string());
        assert_eq!(errors, Some(format!("error at {expect}")), "{rules}");
    }
}

#[test]
fn an_exchange_ends_once_its_rule_is_gone_or_closes_the_provider() {
    let begun =
        |rules: &Value| Worker::new(&policy(&[json!({"rules": rules})], &json!({"revoke": "streams"})));
    let rule = json!({"when": {"groups": ["ml"]}, "providers": ["openai"]});
    for (rules, ended) in [
        (json!([rule]), None),
        (json!([{"when": {"groups": ["web"]}, "providers": ["gemini"]}, rule]), None),
        (json!([with(&rule, &json!({"providers": ["gemini"]}))]), Some("provider_not_allowed")),
        (json!([{"when": {"groups": ["web"]}, "providers": ["openai"]}]), Some("principal_unknown")),
    ] {
        let (first, store) = (begun(&json!([rule])), MemoryStore::default());
        let authorization = format!("Bearer {}", signer().sign(&with(&claims(), &json!({"groups": "ml"}))));
        let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
        let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
        let (status, exchange) = first.send(&store, &head, at(0), &nobody_is_asked, support::worker::status);
        assert_eq!(status, 200);
        let found = begun(&rules).look_again(&store, &exchange, at(1), &nobody_is_asked);
        let ended = ended.map(|reason| format!("keyswap.ended.reason.{reason}.provider.openai"));
        assert_eq!(found, ended, "{rules}");
    }
}

#[test]
fn the_record_of_a_rule_is_that_of_the_subject() {
    // Budgets and objects stay with a subject whose rule changes.
    let digest = Digest::of(b"id\0u1").to_hex();
    for rules in [json!([{"label": "one"}]), json!([{"when": {"email_verified": [true]}, "label": "two"}])] {
        let worker = Worker::new(&policy(&[json!({"rules": rules})], &json!({})));
        let authorization = format!("Bearer {}", signer().sign(&claims()));
        let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
        let head = RequestHead::new(b"GET", b"/v1/models", &headers);
        let id = worker.decide(&MemoryStore::default(), &head, at(0), &nobody_is_asked, |decision| {
            decision.facts.principal.as_ref().map(keyswap_core::identity::Principal::id)
        });
        assert_eq!(id.as_deref(), Some(&digest[..16]), "{rules}");
    }
}

#[test]
fn a_team_that_the_token_does_not_have_is_told_by_its_claim() {
    let issuer = json!({"team": {"claim": "/org/team"}, "label": {"claim": "job"}});
    let (worker, store) = (Worker::new(&policy(&[issuer], &json!({}))), MemoryStore::default());
    let told = |changed: &Value| {
        let authorization = format!("Bearer {}", signer().sign(&with(&claims(), changed)));
        let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
        let head = RequestHead::new(b"GET", b"/v1/models", &headers);
        worker.decide(&store, &head, at(0), &nobody_is_asked, |decision| {
            let last = decision.facts.checks.last().map(ToString::to_string);
            (support::worker::status(decision), last.unwrap_or_default())
        })
    };
    let refused = "the claim `/org/team` gives no team: it is missing, or no name of 1 to 64 letters, digits, `-` or `_`";
    for changed in
        [json!({}), json!({"org": {"team": "a b"}}), json!({"org": {"team": ["a"]}}), json!({"org": "a"})]
    {
        assert_eq!(told(&changed), (403, refused.to_owned()), "{changed}");
    }
    assert_eq!(told(&json!({"org": {"team": "ml"}})).0, 200);
}
