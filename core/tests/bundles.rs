//! Policies that are fetched: the signatures that count, the revisions, and answers that change nothing.

use std::cell::{Cell, RefCell};

use keyswap_core::base::Digest;
use keyswap_core::host::{MemoryStore, Store, Update, slot_keys};
use keyswap_core::services::{BUNDLE_TYPE, BundleError, SignedBundle};
use serde_json::{Value, json};

use crate::support::plane::{Plane, TOKEN, policy};
use crate::support::worker::{Answer, at, registry_policy};
use crate::support::{Signer, with};

const OPENAI: &str = "/v1/chat/completions";
const FORWARD: &str = "forward to api.openai.com";

/// Returns a policy that lets the token call these providers.
fn payload(revision: u64, policy: &Value) -> Value {
    json!({"name": "prod", "revision": revision, "created_at": "2027-01-15T08:00:00Z", "policy": policy})
}

fn header(signer: &Signer) -> Value {
    with(&signer.header(), &json!({"typ": BUNDLE_TYPE}))
}

fn sign(signer: &Signer, revision: u64, policy: &Value) -> String {
    signer.sign_raw(&header(signer).to_string(), payload(revision, policy).to_string())
}

fn configuration(signer: &Signer, more: &Value) -> Value {
    let document = json!({
        "version": "keyswap-bundle/v1",
        "url": "http://registry.example:7070", "plaintext": "trusted_network",
        "credential": {"env": "REGISTRY"},
        "name": "prod",
        "keys": {"keys": [signer.jwk()]},
        "poll": "5s",
    });
    with(&document, more)
}

fn down(_: &str) -> Answer {
    Answer(503, String::new())
}

fn ask(plane: &Plane, store: &dyn Store, seconds: i64, service: &dyn Fn(&str) -> Answer) -> String {
    plane.ask(store, TOKEN, OPENAI, at(seconds), service)
}

#[test]
fn a_worker_takes_the_newest_policy_and_asks_for_it_again_and_again() {
    let signer = Signer::new(1, "k");
    let plane = Plane::new(&configuration(&signer, &json!({})));
    let store = MemoryStore::default();
    let paths: RefCell<Vec<String>> = RefCell::default();
    let serve = |bundle: String| {
        let paths = &paths;
        move |path: &str| {
            paths.borrow_mut().push(path.to_owned());
            Answer(200, bundle.clone())
        }
    };
    let first = sign(&signer, 3, &policy(&["anthropic"]));
    assert_eq!(ask(&plane, &store, 0, &serve(first.clone())), "provider_not_allowed");
    for second in 1..=30 {
        plane.work(&store, at(second), &serve(first.clone()));
    }
    let asked = paths.take();
    assert!((6..=9).contains(&asked.len()), "{asked:?}");
    assert_eq!(asked[0], "/v1/policies/prod?plane=plane-1");
    assert_eq!(asked[1], "/v1/policies/prod?plane=plane-1&running=3");
    for second in 31..=40 {
        plane.work(&store, at(second), &serve(sign(&signer, 4, &policy(&["openai"]))));
    }
    assert_eq!(ask(&plane, &store, 41, &down), FORWARD);
    assert!(plane.notes.borrow().contains(&"revision 4 of the policy is in force".to_owned()));
}

#[test]
fn without_a_policy_nothing_is_forwarded_and_it_is_asked_for_at_a_pace() {
    let signer = Signer::new(1, "k");
    let plane = Plane::new(&configuration(&signer, &json!({})));
    let store = MemoryStore::default();
    let asked = Cell::new(0);
    let counts = |_: &str| {
        asked.set(asked.get() + 1);
        Answer(503, String::new())
    };
    for second in 0..60 {
        assert_eq!(ask(&plane, &store, second, &counts), "policy_unavailable");
        plane.work(&store, at(second), &counts);
    }
    assert!((4..=8).contains(&asked.get()), "{}", asked.get());
    let first = sign(&signer, 1, &policy(&["openai"]));
    for second in 60..130 {
        plane.work(&store, at(second), &|_| Answer(200, first.clone()));
    }
    assert_eq!(ask(&plane, &store, 130, &down), FORWARD);
}

#[test]
fn an_initial_policy_serves_until_the_first_one_came() {
    let signer = Signer::new(1, "k");
    let plane = Plane::new(&configuration(&signer, &json!({"initial": policy(&["openai"])})));
    let store = MemoryStore::default();
    assert_eq!(ask(&plane, &store, 0, &|path| panic!("{path}")), FORWARD);
    plane.work(&store, at(0), &|_| Answer(200, sign(&signer, 1, &policy(&["anthropic"]))));
    assert_eq!(ask(&plane, &store, 0, &down), "provider_not_allowed");
}

/// Checks that a ticket's lookup under the first policy is not used by the second.
#[test]
fn a_request_that_waited_is_judged_by_the_policy_that_is_in_force_when_it_goes_on() {
    for (next, outcome) in [(policy(&["openai"]), FORWARD), (policy(&["anthropic"]), "provider_not_allowed")]
    {
        let signer = Signer::new(1, "k");
        let initial = registry_policy(&json!({}));
        let plane = Plane::new(&configuration(&signer, &json!({"initial": initial})));
        let store = MemoryStore::default();
        let asked: RefCell<Vec<String>> = RefCell::default();
        let lookup = |path: &str| {
            asked.borrow_mut().push(path.to_owned());
            plane.work(&store, at(0), &|_| Answer(200, sign(&signer, 1, &next)));
            Answer::unknown()
        };
        assert_eq!(ask(&plane, &store, 0, &lookup), outcome);
        assert_eq!(asked.borrow().len(), 1, "{asked:?}");
        assert!(asked.borrow()[0].starts_with("/v1/tokens/"), "{asked:?}");
    }
}

/// Returns every answer that is no newer policy of the right signer, from a registry or from a server in its place.
fn bad_answers(signer: &Signer) -> Vec<(&'static str, Answer)> {
    let good = policy(&["anthropic"]);
    let answer = |header: &Value, payload: &Value| {
        Answer(200, signer.sign_raw(&header.to_string(), payload.to_string()))
    };
    let head = header(signer);
    let payload = payload(9, &good);
    let whole = sign(signer, 9, &good);
    let tampered = {
        let [header, body, signature] = whole.split('.').collect::<Vec<_>>()[..] else {
            panic!("three parts")
        };
        let other = sign(signer, 10, &good);
        let other = other.split('.').nth(1).unwrap();
        assert_ne!(body, other);
        format!("{header}.{other}.{signature}")
    };
    vec![
        ("another signer", Answer(200, sign(&Signer::new(2, "k"), 9, &good))),
        ("another signer's key id", Answer(200, sign(&Signer::new(2, "other"), 9, &good))),
        ("tampered with", Answer(200, tampered)),
        ("cut off", Answer(200, whole[..whole.len() - 10].to_owned())),
        ("a token's type", answer(&with(&head, &json!({"typ": "JWT"})), &payload)),
        ("no type", answer(&with(&head, &json!({"typ": null})), &payload)),
        ("no algorithm", answer(&with(&head, &json!({"alg": "none"})), &payload)),
        ("symmetric", answer(&with(&head, &json!({"alg": "HS256"})), &payload)),
        (
            "with a key of its own",
            answer(&with(&head, &json!({"crit": ["jwk"], "jwk": signer.jwk()})), &payload),
        ),
        ("another name", answer(&head, &with(&payload, &json!({"name": "staging"})))),
        ("no name", answer(&head, &with(&payload, &json!({"name": null})))),
        ("no revision", answer(&head, &with(&payload, &json!({"revision": null})))),
        ("an odd revision", answer(&head, &with(&payload, &json!({"revision": "9"})))),
        ("older", answer(&head, &with(&payload, &json!({"revision": 4})))),
        ("no policy", answer(&head, &with(&payload, &json!({"policy": null})))),
        ("a bad policy", answer(&head, &with(&payload, &json!({"policy": {"version": "keyswap/v1"}})))),
        (
            "a policy whose secret is not here",
            answer(
                &head,
                &with(
                    &payload,
                    &json!({"policy": with(&good, &json!({
                        "credentials": {"openai": [{"env": "UNSET"}], "anthropic": [{"env": "ANTHROPIC"}]},
                    }))}),
                ),
            ),
        ),
        ("plain", Answer(200, good.to_string())),
        ("nothing", Answer(200, String::new())),
        ("html", Answer(200, "<html>".to_owned())),
        ("too long", Answer(200, " ".repeat(2 << 20))),
        ("moved", Answer(302, String::new())),
        ("gone", Answer(404, String::new())),
        ("down", Answer(503, String::new())),
        ("unreachable", Answer(0, String::new())),
    ]
}

#[test]
fn what_is_no_newer_policy_of_the_right_signer_changes_nothing_and_is_told_once() {
    let signer = Signer::new(1, "k");
    for (what, Answer(status, body)) in bad_answers(&signer) {
        let plane = Plane::new(&configuration(&signer, &json!({})));
        let store = MemoryStore::default();
        let first = sign(&signer, 5, &policy(&["openai"]));
        assert_eq!(ask(&plane, &store, 0, &|_| Answer(200, first.clone())), FORWARD);
        let before = plane.notes.take();
        assert_eq!(before, ["revision 5 of the policy is in force"]);
        for second in 1..60 {
            plane.work(&store, at(second), &|_| Answer(status, body.clone()));
            assert_eq!(ask(&plane, &store, second, &down), FORWARD, "{what}");
        }
        let notes = plane.notes.take();
        assert!(notes.len() <= 1, "{what}: {notes:?}");
        assert!(notes.iter().all(|note| note.contains("the one in force stays")), "{what}: {notes:?}");
        // And a good one is taken as before.
        let next = sign(&signer, 6, &policy(&["anthropic"]));
        for second in 60..130 {
            plane.work(&store, at(second), &|_| Answer(200, next.clone()));
        }
        assert_eq!(ask(&plane, &store, 130, &down), "provider_not_allowed", "{what}");
        // A worker that has no policy yet is given none by such an answer either.
        let fresh = Plane::new(&configuration(&signer, &json!({"minimum_revision": 5})));
        let alone = MemoryStore::default();
        assert_eq!(ask(&fresh, &alone, 0, &|_| Answer(status, body.clone())), "policy_unavailable", "{what}");
    }
}

#[test]
fn what_is_wrong_is_reported_with_the_next_call() {
    let signer = Signer::new(1, "k");
    let plane = Plane::new(&configuration(&signer, &json!({"initial": policy(&["openai"])})));
    let store = MemoryStore::default();
    let mut bad = policy(&["openai"]);
    bad["credentials"]["openai"] = json!([{"env": "UNSET"}]);
    let bundle = sign(&signer, 2, &bad);
    let paths: RefCell<Vec<String>> = RefCell::default();
    for second in 0..20 {
        plane.work(&store, at(second), &|path| {
            paths.borrow_mut().push(path.to_owned());
            Answer(200, bundle.clone())
        });
    }
    let paths = paths.take();
    let expect = format!(
        "/v1/policies/prod?plane=plane-1&refused={}&problem=bad_policy&detail=error%20at%20%60credentials.openai%60%3A%20\
         the%20environment%20variable%20%60UNSET%60%20is%20not%20set",
        Digest::of(bundle.as_bytes()).to_hex()
    );
    assert_eq!(paths[1], expect);
}

#[test]
fn one_worker_of_a_process_asks_and_the_others_take_what_it_took() {
    let signer = Signer::new(1, "k");
    let store = MemoryStore::default();
    let planes: Vec<Plane> = (0..4).map(|_| Plane::new(&configuration(&signer, &json!({})))).collect();
    let asked = Cell::new(0);
    let serve = |revision: u64, providers: &'static [&'static str]| {
        let bundle = sign(&signer, revision, &policy(providers));
        let asked = &asked;
        move |_: &str| {
            asked.set(asked.get() + 1);
            Answer(200, bundle.clone())
        }
    };
    let first = serve(1, &["openai"]);
    for plane in &planes {
        plane.work(&store, at(0), &first);
    }
    assert_eq!(asked.take(), 1, "the others found it in shared memory");
    for plane in &planes {
        assert_eq!(ask(plane, &store, 1, &down), FORWARD);
    }
    for second in 1..=50 {
        for plane in &planes {
            plane.work(&store, at(second), &first);
        }
    }
    assert!((8..=12).contains(&asked.take()), "one call a period");
    let second = serve(2, &["anthropic"]);
    for now in 51..=57 {
        for plane in &planes {
            plane.work(&store, at(now), &second);
        }
    }
    for plane in &planes {
        assert_eq!(ask(plane, &store, 58, &down), "provider_not_allowed");
    }
    // A new worker has the policy at once and asks no registry; with its first request already.
    let first = Plane::new(&configuration(&signer, &json!({})));
    assert_eq!(ask(&first, &store, 58, &|path| panic!("{path}")), "provider_not_allowed");
    let late = Plane::new(&configuration(&signer, &json!({})));
    late.work(&store, at(58), &|path| panic!("{path}"));
    assert_eq!(ask(&late, &store, 58, &down), "provider_not_allowed");
}

#[test]
fn garbage_in_shared_memory_is_no_policy_and_keeps_none_out() {
    let signer = Signer::new(1, "k");
    let store = MemoryStore::default();
    let first = sign(&signer, 1, &policy(&["openai"]));
    let plane = Plane::new(&configuration(&signer, &json!({})));
    assert_eq!(ask(&plane, &store, 0, &|_| Answer(200, first.clone())), FORWARD);
    let of = |kind: &str| {
        let key = slot_keys().find(|key| key.contains(kind) && store.get(key).unwrap().is_some()).unwrap();
        let value = store.get(&key).unwrap().unwrap();
        (key, value)
    };
    let (bundle_key, bundle) = of(".bundle.");
    let (turn_key, turn) = of(".turn.");
    let forged = [&bundle[..32], sign(&Signer::new(2, "k"), 9, &policy(&["anthropic"])).as_bytes()].concat();
    let far_ahead = [&turn[..40], &u64::MAX.to_be_bytes()].concat();
    for (bundle, turn) in [
        (forged.clone(), far_ahead.clone()),
        (vec![0; 100], far_ahead.clone()),
        (Vec::new(), far_ahead),
        (forged, vec![1, 2, 3]),
    ] {
        store.update(&bundle_key, &mut |_| Update::Set(bundle.clone())).unwrap();
        store.update(&turn_key, &mut |_| Update::Set(turn.clone())).unwrap();
        let other = Plane::new(&configuration(&signer, &json!({})));
        let next = sign(&signer, 2, &policy(&["anthropic"]));
        for second in 0..10 {
            plane.work(&store, at(second), &|_| Answer(200, first.clone()));
            assert_eq!(ask(&plane, &store, second, &down), FORWARD);
        }
        for second in 10..20 {
            other.work(&store, at(second), &|_| Answer(200, next.clone()));
        }
        assert_eq!(ask(&other, &store, 20, &down), "provider_not_allowed");
    }
}

#[test]
fn whoever_comes_while_the_first_policy_is_fetched_shares_the_call() {
    let signer = Signer::new(1, "k");
    let store = MemoryStore::default();
    for by_tick in [false, true] {
        let plane = Plane::new(&configuration(&signer, &json!({})));
        let first = if by_tick {
            plane.inner.due(at(0), &store).fetches.pop().unwrap()
        } else {
            plane.inner.first_policy(at(0)).unwrap()
        };
        assert_eq!(plane.inner.first_policy(at(0)).unwrap().key, first.key);
        assert_eq!(plane.inner.first_policy(at(1)).unwrap().key, first.key);
        plane.call(&first, at(1), &store, &down);
        // The call failed just now, so no request waits for another one yet.
        assert!(plane.inner.first_policy(at(1)).is_none());
        assert!(plane.inner.first_policy(at(3)).is_some());
    }
}

#[test]
fn a_key_can_be_replaced_and_an_edwards_curve_serves_as_well() {
    let (old, new) = (Signer::new(1, "old"), Signer::new(2, "new"));
    let both = json!({"keys": {"keys": [old.jwk(), new.jwk()]}});
    let plane = Plane::new(&configuration(&old, &both));
    let store = MemoryStore::default();
    assert_eq!(ask(&plane, &store, 0, &|_| Answer(200, sign(&old, 1, &policy(&["openai"])))), FORWARD);
    for second in 1..8 {
        plane.work(&store, at(second), &|_| Answer(200, sign(&new, 2, &policy(&["anthropic"]))));
    }
    assert_eq!(ask(&plane, &store, 8, &down), "provider_not_allowed");
}

#[test]
fn a_bundle_says_what_is_wrong_with_it() {
    let signer = Signer::new(1, "k");
    let set =
        keyswap_core::identity::jwt::JwkSet::parse(json!({"keys": [signer.jwk()]}).to_string().as_bytes())
            .unwrap();
    let set = keyswap_core::identity::jwt::Quorum::new(set, 1).unwrap();
    let open = |text: &str| {
        SignedBundle::open(text.as_bytes(), "prod", &set, &keyswap_core::identity::jwt::PureRust)
    };
    let good = open(&format!("{}\n", sign(&signer, 7, &policy(&["openai"])))).unwrap();
    assert_eq!((good.name.as_str(), good.revision), ("prod", 7));
    let codes: Vec<&str> = bad_answers(&signer)
        .iter()
        .filter(|(_, Answer(status, _))| *status == 200)
        .filter_map(|(_, Answer(_, body))| open(body).err().map(|fault: BundleError| fault.code()))
        .collect();
    let mut expect = vec!["bad_signature"; 4];
    expect.extend(["malformed"; 5]);
    expect.extend(["other_name"; 2]);
    expect.extend(["malformed"; 2]);
    expect.extend(["malformed", "bad_policy"]);
    expect.extend(["malformed"; 4]);
    assert_eq!(codes, expect);
}

#[test]
fn errors_of_the_configuration_are_told_with_their_places() {
    let signer = Signer::new(1, "k");
    let error = |more: Value| {
        let document = configuration(&signer, &more);
        Plane::start(&document).err().map(|errors| errors.to_string())
    };
    for (more, expect) in [
        (json!({"name": "a/b"}), "error at `name`: expected 1 to 64 letters, digits, `-` or `_`"),
        (json!({"keys": {"keys": []}}), "error at `keys`: expected at least one key in `keys`"),
        (
            json!({"keys": {"keys": [with(&signer.jwk(), &json!({"d": "AQAB"}))]}}),
            "error at `keys`: the key `keys[0]` cannot be used: the private part of the key is published with it",
        ),
        (
            json!({"required": 2}),
            "error at `required`: expected a whole number from 1 to 1, the number of different keys in `keys`",
        ),
        (
            json!({"required": 0}),
            "error at `required`: expected a whole number from 1 to 1, the number of different keys in `keys`",
        ),
        (
            json!({"keys": {"keys": [signer.jwk(), Signer::new(1, "again").jwk()], "required": 2}}),
            "error at `keys`: expected a whole number from 1 to 1, the number of different keys in `keys`",
        ),
        (
            json!({"keys": {"keys": [signer.jwk(), Signer::new(2, "two").jwk()], "required": 2}, "required": 1}),
            "error at `required`: `keys` has another `required`",
        ),
        (json!({"poll": "0s"}), "error at `poll`: expected a duration from `1s` to `1h`"),
        (
            json!({"credential": {"env": "UNSET"}}),
            "error at `credential`: the environment variable `UNSET` is not set",
        ),
        (
            json!({"initial": {"version": "keyswap/v1"}}),
            "error at `initial`: the field `credentials` is missing",
        ),
        (
            json!({"x": 1}),
            "error at `x`: unknown field; expected `version`, `url`, `plaintext`, `cluster`, `credential`, `name`, `keys`, `required`, `poll`, \
             `timeout`, `minimum_revision`, `initial`",
        ),
    ] {
        assert_eq!(error(more.clone()).as_deref(), Some(expect), "{more}");
    }
}
