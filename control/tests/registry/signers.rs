//! The keys that may sign a policy: revisions of others are refused, and no administrator puts keys in their place.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keyswap::registry::{Registry, RegistryError, Report, SIGNERS_TYPE, SignerKeys};
use keyswap_core::base::Digest;
use keyswap_core::services::BUNDLE_TYPE;
use keyswap_tests::SigningKey;
use reqwest::Method;
use serde_json::{Value, json};

use crate::revisions::insert_revision;
use crate::server::Server;
use crate::support::{Database, admin, on_both_databases};

on_both_databases!(
    a_revision_counts_only_with_a_signature_and_the_digest_of_the_one_before,
    what_another_writer_put_into_the_database_bricks_no_name,
    a_name_that_is_older_than_its_keys_takes_nothing_until_they_are_registered,
    only_a_registered_key_or_the_database_changes_the_keys,
    keys_that_do_not_serve_are_not_registered,
    an_administrator_without_a_key_neither_publishes_nor_registers,
);

pub(crate) fn keys(keys: &[&SigningKey]) -> SignerKeys {
    let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
    SignerKeys::of(json!({ "keys": keys })).unwrap()
}

pub(crate) fn sign(key: &SigningKey, payload: &Value) -> String {
    sign_as(key, BUNDLE_TYPE, payload)
}

pub(crate) fn sign_as(key: &SigningKey, typ: &str, payload: &Value) -> String {
    let mut header = key.header();
    header["typ"] = json!(typ);
    key.sign_raw(&header.to_string(), payload.to_string()).unwrap()
}

pub(crate) fn follows(revision: i64, text: &str) -> Value {
    json!({"revision": revision, "sha256": Digest::of(text.as_bytes()).to_hex()})
}

fn policy(label: &str) -> Value {
    json!({
        "version": "keyswap/v1",
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "tokens": [{"sha256": "a".repeat(64), "label": label, "providers": ["openai"]}],
    })
}

fn payload(revision: u64, follows: &Value) -> Value {
    json!({"name": "prod", "revision": revision, "follows": follows, "policy": policy("a")})
}

fn p256(kid: &str) -> SigningKey {
    SigningKey::p256(kid).unwrap()
}

/// Replaces the signature of a bundle.
fn forge(bundle: &str) -> String {
    let text = bundle.rsplit_once('.').unwrap().0;
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode([7; 64]))
}

async fn insert(database: &Database, revision: i64, bundle: &str) {
    insert_revision(&database.url(), revision, bundle).await;
}

async fn publish(registry: &Registry, bundle: &str, keys: &SignerKeys) -> Result<i64, &'static str> {
    let published = registry.publish(bundle, Some(keys), &admin()).await;
    published.map(|published| published.change.revision).map_err(|error| error.code())
}

async fn a_revision_counts_only_with_a_signature_and_the_digest_of_the_one_before(database: &Database) {
    let registry = database.open().await;
    let (key, other) = (p256("k"), p256("k"));
    let own = keys(&[&key]);
    let first = sign(&key, &payload(1, &Value::Null));
    assert_eq!(publish(&registry, &forge(&first), &own).await, Err("untrusted_signer"));
    assert!(registry.policy("prod").await.is_err(), "a refused bundle registers no key");
    assert_eq!(publish(&registry, &first, &own).await, Ok(1));
    let second = sign(&key, &payload(2, &follows(1, &first)));
    let of = |revision, base: &Value| sign(&key, &payload(revision, base));
    let base = follows(1, &first);
    let rows = [
        ("another key", sign(&other, &payload(2, &base)), Err("untrusted_signer")),
        ("a random signature", forge(&second), Err("untrusted_signer")),
        ("a random signature, far", forge(&of(1 << 52, &base)), Err("untrusted_signer")),
        ("a random signature, beyond all", forge(&of(1 << 62, &base)), Err("untrusted_signer")),
        ("another type", sign_as(&key, SIGNERS_TYPE, &payload(2, &base)), Err("invalid_bundle")),
        ("too far", of(1_000_002, &base), Err("invalid_bundle")),
        ("beyond all", of(1 << 62, &base), Err("invalid_bundle")),
        ("of itself", of(2, &follows(2, &first)), Err("invalid_bundle")),
        ("of none", of(2, &Value::Null), Err("stale_revision")),
        ("of another digest", of(2, &follows(1, &second)), Err("stale_revision")),
        ("of a revision that is not there", of(9, &follows(8, &first)), Err("stale_revision")),
        ("the same number", of(1, &Value::Null), Err("stale_revision")),
        ("the next", second.clone(), Ok(2)),
        ("the next again", second.clone(), Err("stale_revision")),
        ("of the one before the newest", of(3, &base), Err("stale_revision")),
        ("as far as can be", of(1_000_002, &follows(2, &second)), Ok(1_000_002)),
    ];
    // The keys that come with a bundle count for the first one only.
    let theirs = keys(&[&other]);
    for (what, bundle, expect) in rows {
        assert_eq!(publish(&registry, &bundle, &theirs).await, expect, "{what}");
    }
}

async fn what_another_writer_put_into_the_database_bricks_no_name(database: &Database) {
    let registry = database.open().await;
    let (key, thief) = (p256("k"), p256("k"));
    let own = keys(&[&key]);
    let first = sign(&key, &payload(1, &Value::Null));
    let second = sign(&key, &payload(2, &follows(1, &first)));
    for bundle in [&first, &second] {
        publish(&registry, bundle, &own).await.unwrap();
    }
    let forged = sign(&thief, &payload(3, &follows(2, &second)));
    insert(database, 3, &forged).await;
    insert(database, 4, "no bundle").await;
    // A revision of the right signer, under another number.
    insert(database, 5, &first).await;
    insert(database, 1 << 62, &forge(&forged)).await;
    insert(database, i64::MAX, &forged).await;
    let upon = |revision, number, text: &str| sign(&key, &payload(revision, &follows(number, text)));
    let report = Report {
        plane: "edge".to_owned(),
        running: Some(2),
        refused: Some(Digest::of(forged.as_bytes())),
        problem: Some("bad_signature".to_owned()),
        ..Report::default()
    };
    registry.report("prod", report).await.unwrap();
    assert!(registry.policy("prod").await.unwrap().planes[0].refused.is_some());
    assert_eq!(publish(&registry, &upon(3, 2, &second), &own).await, Ok(3));
    // The number is used again: a data plane that refused the other one does not refuse this one.
    let plane = registry.policy("prod").await.unwrap().planes.remove(0);
    assert_eq!((plane.revision, plane.refused, plane.problem), (Some(2), None, None));
    let revisions = registry.policy("prod").await.unwrap().revisions;
    assert_eq!(revisions.iter().map(|it| it.revision).collect::<Vec<_>>(), [3, 2, 1]);
    insert(database, i64::MAX, &forged).await;
    assert_eq!(publish(&registry, &upon(3, 2, &second), &own).await, Err("stale_revision"), "3 is signed");
    let third = registry.bundle("prod", Some(3)).await.unwrap().1;
    assert_eq!(publish(&registry, &upon(4, 3, &third), &own).await, Ok(4));
    assert_eq!(registry.newest_revision("prod").await.unwrap(), 4);
    let audit = registry.audit(&keyswap::registry::AuditQuery::default()).await.unwrap().items;
    let discarded = audit.iter().filter(|entry| entry.action == "policy.discard");
    let told: Vec<&Value> = discarded.map(|entry| &entry.detail["revisions"]).collect();
    assert_eq!(told, [&json!([i64::MAX]), &json!([3, 4, 5, 1_i64 << 62, i64::MAX])]);
}

async fn a_name_that_is_older_than_its_keys_takes_nothing_until_they_are_registered(database: &Database) {
    let registry = database.open().await;
    let key = p256("k");
    let own = keys(&[&key]);
    // A revision of a registry that knew no keys.
    let first = sign(&key, &payload(1, &Value::Null));
    insert(database, 1, &first).await;
    let second = sign(&key, &payload(2, &follows(1, &first)));
    assert_eq!(publish(&registry, &second, &own).await, Err("no_signers"));
    assert!(registry.policy("prod").await.unwrap().signers.is_none());
    let change = json!({"name": "prod", "version": 1, "keys": own.document()});
    let change = sign_as(&key, SIGNERS_TYPE, &change);
    let trusted = registry.trust_signed("prod", &change, &admin()).await;
    assert!(matches!(trusted, Err(RegistryError::NoSigners)), "{trusted:?}");
    registry.trust("prod", &own, &admin()).await.unwrap();
    assert_eq!(publish(&registry, &second, &own).await, Ok(2));
}

async fn only_a_registered_key_or_the_database_changes_the_keys(database: &Database) {
    let registry = database.open().await;
    let (one, two, thief) = (p256("one"), p256("two"), p256("one"));
    let first = sign(&one, &payload(1, &Value::Null));
    publish(&registry, &first, &keys(&[&one])).await.unwrap();
    let change = |name: &str, version: i64, set: &[&SigningKey]| json!({"name": name, "version": version, "keys": keys(set).document()});
    let both = sign_as(&one, SIGNERS_TYPE, &change("prod", 2, &[&one, &two]));
    let of = |key: &SigningKey, change: &Value| sign_as(key, SIGNERS_TYPE, change);
    for (what, request, expect) in [
        ("another key", of(&thief, &change("prod", 2, &[&thief])), Err("untrusted_signer")),
        ("a key of its own set", of(&two, &change("prod", 2, &[&two])), Err("untrusted_signer")),
        ("another name", of(&one, &change("staging", 2, &[&two])), Err("untrusted_signer")),
        ("the version of now", of(&one, &change("prod", 1, &[&two])), Err("outdated_signers")),
        ("a later version", of(&one, &change("prod", 3, &[&two])), Err("outdated_signers")),
        ("a bundle's type", sign(&one, &change("prod", 2, &[&two])), Err("invalid_bundle")),
        ("no change", of(&one, &json!({"name": "prod"})), Err("invalid_bundle")),
        ("nothing", String::new(), Err("invalid_bundle")),
        ("both keys", both.clone(), Ok(2)),
        ("the same again", both.clone(), Err("outdated_signers")),
        ("the new key alone", of(&two, &change("prod", 3, &[&two])), Ok(3)),
        ("the old key", of(&one, &change("prod", 4, &[&one])), Err("untrusted_signer")),
    ] {
        let changed = registry.trust_signed("prod", &request, &admin()).await;
        assert_eq!(changed.map(|it| it.change.version).map_err(|error| error.code()), expect, "{what}");
    }
    assert_eq!(registry.policy("prod").await.unwrap().signers.unwrap().keys, json!({"keys": [two.jwk()]}));
    let second = payload(2, &follows(1, &first));
    assert_eq!(publish(&registry, &sign(&one, &second), &keys(&[&one])).await, Err("untrusted_signer"));
    // What another key signed before is in force until it is followed.
    assert_eq!(publish(&registry, &sign(&two, &second), &keys(&[&two])).await, Ok(2));
    assert_eq!(registry.trust("prod", &keys(&[&one]), &admin()).await.unwrap().version, 4);
    let audit = registry.audit(&keyswap::registry::AuditQuery::default()).await.unwrap().items;
    assert_eq!(audit.iter().filter(|entry| entry.action == "policy.trust").count(), 4);
}

async fn keys_that_do_not_serve_are_not_registered(database: &Database) {
    let registry = database.open().await;
    let key = p256("k").jwk();
    let with = |name: &str, value: Value| {
        let mut key = key.clone();
        key[name] = value;
        key
    };
    for (what, set) in [
        ("none", json!({"keys": []})),
        ("no set", json!([])),
        ("a private key", json!({"keys": [with("d", json!("AQAB"))]})),
        ("a name twice", json!({"keys": [key, p256("k").jwk()]})),
        ("no name", json!({"keys": [with("kid", Value::Null)]})),
        ("a symmetric key", json!({"keys": [{"kty": "oct", "k": "AQAB", "kid": "k"}]})),
        ("an odd curve", json!({"keys": [with("crv", json!("P-521"))]})),
        ("too many", json!({"keys": vec![&key; 65]})),
        ("too long", json!({"keys": [with("x", json!("A".repeat(300_000)))]})),
    ] {
        let error = SignerKeys::of(set).expect_err(what);
        assert_eq!(error.code(), "invalid_field", "{what}: {error}");
    }
    let set = keys(&[&p256("k")]);
    for name in ["", "a/b", "..", "ü"] {
        assert!(registry.trust(name, &set, &admin()).await.is_err(), "{name}");
    }
}

async fn an_administrator_without_a_key_neither_publishes_nor_registers(database: &Database) {
    let registry = database.open().await;
    let (key, thief) = (p256("k"), p256("k"));
    let first = sign(&key, &payload(1, &Value::Null));
    publish(&registry, &first, &keys(&[&key])).await.unwrap();
    let server = Server::start(&database.url());
    let cookie = server.sign_in().await;
    let theirs = json!({"keys": [thief.jwk()]});
    let change = sign_as(&thief, SIGNERS_TYPE, &json!({"name": "prod", "version": 2, "keys": theirs}));
    let forged = sign(&thief, &payload(2, &follows(1, &first)));
    for (method, path, body, status) in [
        (Method::POST, "/api/policies", json!({"bundle": forged, "keys": theirs}), 422),
        (Method::POST, "/api/policies", json!({"bundle": forged}), 422),
        (Method::PUT, "/api/policies/prod/signers", json!({"request": change}), 422),
        (Method::PUT, "/api/policies/prod/signers", json!({"keys": theirs}), 422),
        (Method::PUT, "/api/policies/other/signers", json!({"request": change}), 409),
    ] {
        let request = server.admin(&cookie, method.clone(), path).json(&body);
        assert_eq!(request.send().await.unwrap().status(), status, "{method} {path} {body}");
    }
    assert_eq!(registry.bundle("prod", None).await.unwrap(), (1, first));
    assert_eq!(registry.policy("prod").await.unwrap().signers.unwrap().version, 1);
}
