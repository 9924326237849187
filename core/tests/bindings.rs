//! Bindings: the credential that a caller has for itself, and the words that choose none.

use keyswap_core::base::{Digest, Moment};
use keyswap_core::host::{Environment, MemoryStore};
use keyswap_core::judge::{Decision, Verdict};
use keyswap_core::policy::Policy;
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::worker::Exchange;
use serde_json::{Value, json};

use crate::support::plane::Plane;
use crate::support::worker::{Answer, Worker, answered, at, nobody_is_asked, registry_policy, registry_with};
use crate::support::{Signer, claims, oidc, with};

/// Tokens that a registry may be asked for.
const TOKENS: [&str; 2] = ["token-of-a-0123456789", "token-of-b-0123456789"];

fn sha256(token: &str) -> String {
    Digest::of(token.as_bytes()).to_hex()
}

/// An environment in which the value of every variable is its name.
struct Names;

impl Environment for Names {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        Some(name.as_bytes().to_vec())
    }
}

/// Returns a policy with two credentials beside the usual one, and these settings of `openai`.
fn bound(openai: &Value, more: &Value) -> Value {
    let document = json!({
        "version": "keyswap/v1",
        "credentials": {"a": [{"env": "A"}], "b": [{"env": "B"}]},
        "providers": {"openai": openai},
    });
    with(&document, more)
}

/// Returns the credential that is forwarded, or the reason why nothing is.
fn carried(decision: &Decision<'_>) -> String {
    let Verdict::Forward(rewrite) = &decision.verdict else { return decision.reason_code().to_owned() };
    let set = rewrite.set.iter().find(|(name, _)| *name == "authorization");
    set.map_or("nothing".to_owned(), |(_, value)| String::from_utf8_lossy(value).into_owned())
}

fn send(
    worker: &Worker,
    store: &MemoryStore,
    token: &str,
    now: Moment,
    service: &dyn Fn(&str) -> Answer,
) -> (String, Exchange) {
    let authorization = format!("Bearer {token}");
    let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
    let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
    worker.send(store, &head, now, service, carried)
}

fn ask(worker: &Worker, store: &MemoryStore, token: &str, service: &dyn Fn(&str) -> Answer) -> String {
    send(worker, store, token, at(0), service).0
}

fn token(number: usize) -> String {
    format!("ptk_caller-{number}-0123456789")
}

#[test]
fn a_bound_caller_keeps_its_credential_and_lets_it_rest_for_nobody() {
    // The callers with an even number are of the team that has `a`, which the others share with `b`.
    let of = |number: usize| {
        let team = if number.is_multiple_of(2) { "research" } else { "sales" };
        json!({"sha256": sha256(&token(number)), "label": "l", "team": team, "providers": ["openai"]})
    };
    let tokens: Vec<Value> = (0..40).map(of).collect();
    let openai =
        json!({"credentials": {"a": 1, "b": 1}, "cooldown": "30s", "bindings": {"teams": {"research": "a"}}});
    let worker = Worker::within(&bound(&openai, &json!({"tokens": tokens})), Names);
    let store = MemoryStore::default();
    let keys = |parity: usize| -> Vec<String> {
        let of_team = (0..40).filter(|number| number % 2 == parity);
        of_team.map(|number| ask(&worker, &store, &token(number), &nobody_is_asked)).collect()
    };
    let refuse = |number: usize, status: &str| {
        let (_, exchange) = send(&worker, &store, &token(number), at(0), &nobody_is_asked);
        answered(&store, &exchange, at(0), &[(":status", status)]);
    };
    let before = keys(1);
    assert!(before.iter().any(|key| key == "Bearer A") && before.iter().any(|key| key == "Bearer B"));
    for status in ["429", "401"] {
        (0..40).step_by(2).for_each(|number| refuse(number, status));
        assert_eq!(keys(0), vec!["Bearer A"; 20], "bound callers have no other");
        assert_eq!(keys(1), before, "and take none away");
    }
    // Two of the pool's own callers let the key rest, which is no matter of the bound ones.
    let sharers = (0..20).filter(|place| before[*place] == "Bearer A").map(|place| place * 2 + 1);
    sharers.take(2).for_each(|number| refuse(number, "429"));
    assert_eq!(keys(1), vec!["Bearer B"; 20]);
    assert_eq!(keys(0), vec!["Bearer A"; 20]);
}

#[test]
fn a_candidate_with_other_bindings_is_told_and_decides_for_its_share() {
    let record = json!([{"sha256": sha256(&token(0)), "label": "l", "team": "t", "providers": ["openai"]}]);
    let to = |name: &str| {
        let openai = json!({"credential": "a", "bindings": {"teams": {"t": name}, "owners": {"x@y.z": "b"}}});
        bound(&openai, &json!({"tokens": record}))
    };
    let unbound = json!({"bindings": {"owners": {"x@y.z": "b"}, "teams": {"u": "a"}}});
    let unbound = bound(&unbound, &json!({"tokens": record}));
    for (candidate, percent, key, told) in [
        (to("a"), 0, "Bearer secret-of-A", None),
        (to("b"), 0, "Bearer secret-of-A", Some("allowed_elsewhere")),
        (to("b"), 100, "Bearer secret-of-B", Some("allowed_elsewhere")),
        (unbound, 0, "Bearer secret-of-A", Some("upstream_credential_unbound")),
    ] {
        let mut document =
            json!({"version": "keyswap-rollout/v1", "stable": to("a"), "candidate": candidate});
        document["percent"] = percent.into();
        let plane = Plane::new(&document);
        assert_eq!(ask(&plane, &MemoryStore::default(), &token(0), &nobody_is_asked), key);
        let lines: Vec<String> = plane.observed.borrow().iter().filter_map(|it| it.line.clone()).collect();
        let read = |line: &String| serde_json::from_str::<Value>(line).unwrap()["candidate"].clone();
        assert_eq!(
            lines.iter().map(read).collect::<Vec<_>>(),
            told.map(Value::from).into_iter().collect::<Vec<_>>()
        );
    }
}

#[test]
fn the_owner_that_another_server_tells_chooses_nothing_on_any_worker() {
    let bindings =
        json!({"owners": {"ada@b.c": "a"}, "teams": {"research": "a"}, "tokens": {(sha256(TOKENS[1])): "b"}});
    let mut document = registry_with("introspection", &json!({"providers": ["openai"]}));
    document["providers"] = json!({"openai": {"bindings": bindings}});
    document["credentials"] = json!({"a": [{"env": "A"}], "b": [{"env": "B"}]});
    let tells = |_: &str| {
        Answer(
            200,
            json!({"active": true, "username": "ada@b.c", "owner": "ada@b.c", "team": "research"})
                .to_string(),
        )
    };
    let (store, workers) = (MemoryStore::default(), [(); 2].map(|()| Worker::within(&document, Names)));
    assert_eq!(ask(&workers[0], &store, TOKENS[0], &tells), "upstream_credential_unbound");
    // The other worker reads the record from the memory that they share.
    assert_eq!(ask(&workers[1], &store, TOKENS[0], &nobody_is_asked), "upstream_credential_unbound");
    assert_eq!(ask(&workers[0], &store, TOKENS[1], &tells), "Bearer B");
    assert_eq!(ask(&workers[1], &store, TOKENS[1], &nobody_is_asked), "Bearer B");
}

#[test]
fn a_jwt_chooses_a_credential_by_its_verified_address_and_by_nothing_else() {
    let signer = Signer::new(7, "k");
    let issuer = with(&oidc(&json!([signer.jwk()])), &json!({"principals": "any", "providers": ["openai"]}));
    let principal = Digest::of(b"id\0u1").to_hex();
    let bindings = json!({
        "people": {"kate@example.com": "a"}, "owners": {"bob@example.com": "b"}, "teams": {"research": "a", "of-bob": "a"},
        "tokens": {(&principal[..16]): "a"},
    });
    let people = json!([{"email": "carol@example.com", "team": "research", "providers": ["openai"]}]);
    let more = json!({"issuers": [issuer], "principals": people});
    let worker = Worker::within(&bound(&json!({"bindings": bindings}), &more), Names);
    for (changes, expect) in [
        (json!({"email": "kate@example.com"}), "Bearer A"),
        (json!({"email": "Kate@EXAMPLE.com"}), "Bearer A"),
        (json!({"email": "bob@example.com"}), "Bearer B"),
        (json!({"email": "carol@example.com"}), "Bearer A"),
        (json!({"email": "kate@example.com", "email_verified": false}), "upstream_credential_unbound"),
        (json!({"email": "kate@example.com", "email_verified": null}), "upstream_credential_unbound"),
        (json!({"email": "carol@example.com", "email_verified": false}), "upstream_credential_unbound"),
        // The Kelvin sign, and a Cyrillic letter.
        (json!({"email": "\u{212a}ate@example.com"}), "upstream_credential_unbound"),
        (json!({"email": "k\u{430}te@example.com"}), "upstream_credential_unbound"),
        (
            json!({
                "email": "eve@example.com", "team": "research", "teams": ["research"], "owner": "bob@example.com",
                "label": "research", "groups": ["research"], "name": "kate@example.com", "upn": "kate@example.com",
                "preferred_username": "kate@example.com", "credential": "a",
            }),
            "upstream_credential_unbound",
        ),
        (json!({"email": null, "sub": "kate@example.com"}), "upstream_credential_unbound"),
    ] {
        let jwt = signer.sign(&with(&claims(), &changes));
        let key = ask(&worker, &MemoryStore::default(), &jwt, &nobody_is_asked);
        assert_eq!(key, expect, "{changes}");
    }
}

#[test]
fn a_token_that_moves_to_another_team_gets_the_credential_of_that_team() {
    let mut document =
        registry_policy(&json!({"providers": {"openai": {"bindings": {"teams": {"x": "a", "y": "b"}}}}}));
    document["credentials"] = json!({"a": [{"env": "A"}], "b": [{"env": "B"}]});
    let worker = Worker::within(&document, Names);
    let store = MemoryStore::default();
    let record = |team: &Value, version: u64| {
        let record = json!({"sha256": sha256(TOKENS[0]), "label": "l", "providers": ["openai"], "team": team, "version": version});
        move |_: &str| Answer(200, record.to_string())
    };
    for (version, team, expect) in [
        (1, json!("x"), "Bearer A"),
        (2, json!("y"), "Bearer B"),
        (3, Value::Null, "upstream_credential_unbound"),
        (4, json!("x"), "Bearer A"),
    ] {
        let change = json!({"kind": "token", "key": sha256(TOKENS[0]), "sequence": version});
        let feed = json!({"sequence": version, "reset": false, "changes": [change]});
        worker.hear(&store, at(i64::try_from(version).unwrap() * 5), &feed);
        let now = at(i64::try_from(version).unwrap() * 5 + 1);
        assert_eq!(send(&worker, &store, TOKENS[0], now, &record(&team, version)).0, expect, "{team}");
    }
}

#[test]
fn bindings_that_nobody_could_mean_are_errors_with_their_places() {
    let id = "0123456789abcdef";
    let whole = format!("{id}{}", "0".repeat(48));
    let gateway = json!({"gateway": {"cloudflare": {"account": "a", "gateway": "g", "credential": "b", "mode": "byok"}}});
    let place = "providers.openai.bindings";
    for (openai, more, expect) in [
        (json!({"bindings": {}}), json!({}), format!("`{place}`: expected at least one of")),
        (json!({"bindings": {"teams": {}}}), json!({}), format!("`{place}`: expected at least one of")),
        (json!({"bindings": {"groups": {"x": "a"}}}), json!({}), format!("`{place}.groups`: unknown field")),
        (
            json!({"bindings": {"teams": {"a b": "a"}}}),
            json!({}),
            format!("`{place}.teams.\"a b\"`: expected 1 to 64"),
        ),
        (
            json!({"bindings": {"teams": {"x": "c"}}}),
            json!({}),
            format!("`{place}.teams.x`: no such credential"),
        ),
        (
            json!({"bindings": {"teams": {"x": {"a": 1}}}}),
            json!({}),
            format!("`{place}.teams.x`: expected a string"),
        ),
        (
            json!({"bindings": {"owners": {"ada": "a"}}}),
            json!({}),
            format!("`{place}.owners.ada`: expected an email"),
        ),
        (
            json!({"bindings": {"people": {"a@b.c": "a", "A@b.c": "b"}}}),
            json!({}),
            format!("`{place}.people.\"a@b.c\"`: another name here is of the same caller"),
        ),
        (
            json!({"bindings": {"tokens": {(id): "a", (whole.as_str()): "b"}}}),
            json!({}),
            format!("`{place}.tokens.{whole}`: another name here is of the same caller"),
        ),
        (
            json!({"bindings": {"tokens": {"0123456789ABCDEF": "a"}}}),
            json!({}),
            format!("`{place}.tokens.0123456789ABCDEF`: expected the id of a token"),
        ),
        (
            json!({"bindings": {"tokens": {"0123": "a"}}}),
            json!({}),
            format!("`{place}.tokens.0123`: expected the id"),
        ),
        (json!({"bindings": {"teams": {"x": "a"}}}), gateway, format!("`{place}`: the gateway has the key")),
        // Without a credential for the others there is no default.
        (
            json!({"bindings": {"teams": {"x": "a", "y": "b"}}}),
            json!({"credentials": {"a": [{"env": "A"}], "b": [{"env": "B"}], "openai": [{"env": "C"}]}}),
            "`credentials.openai`: nothing uses this credential".to_owned(),
        ),
    ] {
        let document = bound(&openai, &more).to_string();
        let errors = Policy::from_json(document.as_bytes()).err().map(|errors| errors.to_string());
        assert!(errors.as_ref().is_some_and(|errors| errors.contains(&expect)), "{document}: {errors:?}");
    }
}
