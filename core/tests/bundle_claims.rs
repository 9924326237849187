//! Policies that are fetched: the revision that the signer built on, the greatest revision, and the expiry.

use std::cell::RefCell;

use keyswap_core::base::Digest;
use keyswap_core::host::MemoryStore;
use keyswap_core::identity::jwt::{JwkSet, PureRust, Quorum};
use keyswap_core::services::{BUNDLE_TYPE, MAX_REVISION, SignedBundle};
use serde_json::{Value, json};

use crate::support::plane::{Plane, TOKEN, policy};
use crate::support::worker::{Answer, at};
use crate::support::{Signer, with};

const OPENAI: &str = "/v1/chat/completions";
const FORWARD: &str = "forward to api.openai.com";

/// Returns a bundle with more members, or with others in their place.
fn bundle(signer: &Signer, revision: u64, provider: &str, more: &Value) -> String {
    let header = with(&signer.header(), &json!({"typ": BUNDLE_TYPE}));
    let payload = json!({"name": "prod", "revision": revision, "policy": policy(&[provider])});
    signer.sign_raw(&header.to_string(), with(&payload, more).to_string())
}

fn configuration(signer: &Signer) -> Value {
    json!({
        "version": "keyswap-bundle/v1", "url": "https://registry.example:7070", "credential": {"env": "REGISTRY"},
        "name": "prod", "keys": {"keys": [signer.jwk()]}, "poll": "5s",
    })
}

fn follows(revision: u64) -> Value {
    json!({"follows": {"revision": revision, "sha256": Digest::of(b"the one before").to_hex()}})
}

/// Returns the time of the tests' clock after some seconds.
fn written(seconds: i64) -> String {
    at(seconds).unix().to_string()
}

#[test]
fn what_a_bundle_says_of_itself_is_read_or_refused() {
    let signer = Signer::new(1, "k");
    let keys = JwkSet::parse(json!({"keys": [signer.jwk()]}).to_string().as_bytes()).unwrap();
    let keys = Quorum::new(keys, 1).unwrap();
    let rows = [
        (7, json!({}), Ok((None, None))),
        (7, json!({"follows": null, "expires_at": null}), Ok((None, None))),
        (7, follows(6), Ok((Some(6), None))),
        // A data plane may have missed some, and a restored registry skips some.
        (7, follows(2), Ok((Some(2), None))),
        (7, json!({"expires_at": "2027-01-15T08:00:00Z"}), Ok((None, Some(1_800_000_000)))),
        (MAX_REVISION, follows(6), Ok((Some(6), None))),
        (7, follows(7), Err("malformed")),
        (7, follows(8), Err("malformed")),
        (7, json!({"follows": 6}), Err("malformed")),
        (7, json!({"follows": {"revision": 6}}), Err("malformed")),
        (7, json!({"follows": {"revision": -6, "sha256": "a".repeat(64)}}), Err("malformed")),
        (7, json!({"follows": {"revision": 6, "sha256": "a".repeat(63)}}), Err("malformed")),
        (7, json!({"expires_at": "tomorrow"}), Err("malformed")),
        (7, json!({"expires_at": "2027-01-15T08:00:00"}), Err("malformed")),
        (7, json!({"expires_at": 1_800_000_000}), Err("malformed")),
        (MAX_REVISION + 1, json!({}), Err("malformed")),
        (1 << 62, json!({}), Err("malformed")),
        (u64::MAX, json!({}), Err("malformed")),
    ];
    for (revision, more, expect) in rows {
        let text = bundle(&signer, revision, "openai", &more);
        let opened = SignedBundle::open(text.as_bytes(), "prod", &keys, &PureRust);
        let read = opened.map(|it| (it.follows.map(|it| it.revision), it.expires_at.map(|at| at.0)));
        assert_eq!(read.map_err(|error| error.code()), expect, "{revision} {more}");
        assert_eq!(SignedBundle::claimed_name(text.as_bytes()).unwrap(), "prod");
    }
}

#[test]
fn an_expired_bundle_is_not_installed_and_the_one_in_force_stays() {
    let signer = Signer::new(1, "k");
    let plane = Plane::new(&configuration(&signer));
    let store = MemoryStore::default();
    let first = bundle(&signer, 1, "openai", &json!({}));
    assert_eq!(plane.ask(&store, TOKEN, OPENAI, at(0), &|_| Answer(200, first.clone())), FORWARD);
    let expired = bundle(&signer, 2, "anthropic", &json!({"expires_at": written(5)}));
    let paths: RefCell<Vec<String>> = RefCell::default();
    let serve = |path: &str| {
        paths.borrow_mut().push(path.to_owned());
        Answer(200, expired.clone())
    };
    plane.notes.take();
    for second in 6..30 {
        plane.work(&store, at(second), &serve);
    }
    assert_eq!(plane.ask(&store, TOKEN, OPENAI, at(30), &serve), FORWARD);
    let refused = Digest::of(expired.as_bytes()).to_hex();
    let told = format!("&refused={refused}&problem=expired&detail=it%20has%20expired");
    assert!(paths.borrow().last().unwrap().ends_with(&told), "{paths:?}");
    assert_eq!(plane.notes.take(), ["a policy was refused, and the one in force stays: it has expired"]);
    // A data plane that starts anew has none in force.
    let fresh = Plane::new(&configuration(&signer));
    let alone = MemoryStore::default();
    assert_eq!(fresh.ask(&alone, TOKEN, OPENAI, at(30), &serve), "policy_unavailable");
}

#[test]
fn a_policy_that_expires_in_force_goes_on_and_is_reported() {
    let signer = Signer::new(1, "k");
    let plane = Plane::new(&configuration(&signer));
    let store = MemoryStore::default();
    let first = bundle(&signer, 1, "openai", &json!({"expires_at": written(10)}));
    let paths: RefCell<Vec<String>> = RefCell::default();
    let serve = |path: &str| {
        paths.borrow_mut().push(path.to_owned());
        Answer(200, first.clone())
    };
    for second in 0..30 {
        assert_eq!(plane.ask(&store, TOKEN, OPENAI, at(second), &serve), FORWARD, "{second}");
        plane.work(&store, at(second), &serve);
    }
    let paths = paths.take();
    let problem = "&problem=expired&detail=the%20policy%20in%20force%20has%20expired";
    assert!(!paths[1].contains("problem="), "{paths:?}");
    assert!(paths.last().unwrap().contains(problem), "{paths:?}");
    let notes = plane.notes.take();
    assert_eq!(notes.iter().filter(|note| note.contains("has expired")).count(), 1, "{notes:?}");
    // A new worker of the process gets it from the others.
    let worker = Plane::new(&configuration(&signer));
    assert_eq!(worker.ask(&store, TOKEN, OPENAI, at(30), &|_| Answer(503, String::new())), FORWARD);
    // The next one ends the report.
    let next = bundle(&signer, 2, "anthropic", &with(&follows(1), &json!({"expires_at": written(99)})));
    for second in 31..40 {
        plane.work(&store, at(second), &|path| {
            let is_told = path.contains("running=2") && path.contains("problem");
            assert!(!is_told, "{path}");
            Answer(200, next.clone())
        });
    }
    assert_eq!(plane.ask(&store, TOKEN, OPENAI, at(40), &serve), "provider_not_allowed");
}
