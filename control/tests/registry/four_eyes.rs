//! Names that require several signatures: proposals, the signatures that complete them, and who changes the number.

use keyswap::registry::{AuditQuery, Registry, SIGNERS_TYPE, SignerKeys};
use keyswap_core::identity::jwt::JwsSignatures;
use keyswap_core::services::MAX_BUNDLE_BYTES;
use keyswap_tests::SigningKey;
use reqwest::Method;
use serde_json::{Value, json};

use crate::revisions::insert_revision;
use crate::server::Server;
use crate::signers::{follows, keys, sign, sign_as};
use crate::support::{Database, admin, on_both_databases};

on_both_databases!(
    a_revision_is_served_once_enough_keys_have_signed_it,
    a_new_proposal_replaces_an_unfinished_one_and_signatures_are_gathered,
    one_key_and_the_database_neither_publish_nor_brick,
    keys_and_number_change_with_as_many_signatures,
    a_server_takes_proposals_and_signatures,
);

fn team(required: usize, of: &[&SigningKey]) -> SignerKeys {
    keys(of).requiring(required).unwrap()
}

fn three() -> [SigningKey; 3] {
    ["a", "b", "c"].map(|kid| SigningKey::p256(kid).unwrap())
}

fn payload(revision: u64, follows: &Value, label: &str) -> Value {
    json!({"name": "prod", "revision": revision, "follows": follows, "policy": {
        "version": "keyswap/v1",
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "tokens": [{"sha256": "a".repeat(64), "label": label, "providers": ["openai"]}],
    }})
}

/// Returns the general form of these compact JWS, which have one payload.
fn joined(all: &[&str]) -> String {
    let parts: Vec<Vec<&str>> = all.iter().map(|jws| jws.split('.').collect()).collect();
    let signatures: Vec<Value> =
        parts.iter().map(|part| json!({"protected": part[0], "signature": part[2]})).collect();
    json!({"payload": parts[0][1], "signatures": signatures}).to_string()
}

/// Publishes, and returns the signers and the number that is required.
async fn publish(
    registry: &Registry,
    text: &str,
    keys: &SignerKeys,
) -> Result<(Vec<String>, usize), &'static str> {
    let published = registry.publish(text, Some(keys), &admin()).await;
    published.map(|it| (it.signed_by, it.required)).map_err(|error| error.code())
}

async fn add(registry: &Registry, text: &str) -> Result<bool, &'static str> {
    let signed = registry.sign("prod", text, &admin()).await;
    signed.map(|it| it.is_complete()).map_err(|error| error.code())
}

async fn proposed_by(registry: &Registry) -> Option<Vec<String>> {
    registry.policy("prod").await.unwrap().proposal.map(|proposal| proposal.signed_by)
}

async fn a_revision_is_served_once_enough_keys_have_signed_it(database: &Database) {
    let registry = database.open().await;
    let [a, b, c] = three();
    let a_again = a.renamed("a-again");
    let team = team(2, &[&a, &b, &a_again]);
    let first = payload(1, &Value::Null, "first");
    let texts = [&a, &b, &c, &a_again].map(|key| sign(key, &first));
    let [by_a, by_b, by_c, by_a_again] = texts.each_ref();
    assert_eq!(publish(&registry, by_a, &team).await.unwrap(), (vec!["a".to_owned()], 2));
    let unserved = async || {
        assert!(registry.policies().await.unwrap().is_empty());
        assert!(
            registry.bundle("prod", None).await.is_err() && registry.newest_revision("prod").await.is_err()
        );
        proposed_by(&registry).await
    };
    assert_eq!(unserved().await, Some(vec!["a".to_owned()]));
    let forged = format!("{}.{}", by_b.rsplit_once('.').unwrap().0, "A".repeat(86));
    for (what, text, expect) in [
        ("the same again", by_a.clone(), Ok(false)),
        ("the same key under another name", by_a_again.clone(), Ok(false)),
        ("both names", joined(&[by_a, by_a_again]), Ok(false)),
        ("an unknown key", by_c.clone(), Err("untrusted_signer")),
        ("a random signature", forged.clone(), Err("untrusted_signer")),
        ("its own and a random one", joined(&[by_a, &forged]), Ok(false)),
        ("another payload", sign(&b, &payload(1, &Value::Null, "other")), Err("stale_proposal")),
        ("another type", sign_as(&b, SIGNERS_TYPE, &first), Err("invalid_bundle")),
    ] {
        assert_eq!(add(&registry, &text).await, expect, "{what}");
        assert_eq!(unserved().await, Some(vec!["a".to_owned()]), "{what}");
    }
    assert_eq!(add(&registry, by_b).await, Ok(true));
    let (number, text) = registry.bundle("prod", None).await.unwrap();
    let jws = JwsSignatures::parse(text.as_bytes(), MAX_BUNDLE_BYTES).unwrap();
    assert_eq!((number, jws.compact().collect::<Vec<_>>()), (1, vec![by_a.clone(), by_b.clone()]));
    assert_eq!(proposed_by(&registry).await, None);
    assert_eq!(add(&registry, by_b).await, Err("unknown_proposal"));
    // Both at once, and a replay of the one before.
    let second = payload(2, &follows(1, &text), "second");
    let [second_by_a, second_by_b] = [&a, &b].map(|key| sign(key, &second));
    assert_eq!(publish(&registry, &joined(&[&second_by_a, by_b]), &team).await.unwrap().0, ["a"]);
    assert_eq!(registry.newest_revision("prod").await.unwrap(), 1);
    assert_eq!(publish(&registry, &joined(&[&second_by_b, &second_by_a]), &team).await.unwrap().0.len(), 2);
    assert_eq!(registry.newest_revision("prod").await.unwrap(), 2);
    let audit = registry.audit(&AuditQuery::default()).await.unwrap().items;
    let told: Vec<&Value> =
        audit.iter().filter(|it| it.action == "policy.publish").map(|it| &it.detail["signed_by"]).collect();
    assert_eq!(told, [&json!(["a", "b"]); 2], "the proposal has the signature of a");
}

async fn a_new_proposal_replaces_an_unfinished_one_and_signatures_are_gathered(database: &Database) {
    let registry = database.open().await;
    let [a, b, c] = three();
    let team = team(3, &[&a, &b, &c]);
    let [old, new] = ["old", "new"].map(|label| payload(1, &Value::Null, label));
    publish(&registry, &sign(&a, &old), &team).await.unwrap();
    assert_eq!(add(&registry, &sign(&b, &old)).await, Ok(false));
    publish(&registry, &sign(&c, &new), &team).await.unwrap();
    assert_eq!(proposed_by(&registry).await, Some(vec!["c".to_owned()]));
    assert_eq!(add(&registry, &sign(&c, &old)).await, Err("stale_proposal"));
    assert_eq!(add(&registry, &sign(&b, &new)).await, Ok(false));
    // A caller that posts the first signature again loses none of the others.
    publish(&registry, &sign(&c, &new), &team).await.unwrap();
    assert_eq!(proposed_by(&registry).await, Some(vec!["c".to_owned(), "b".to_owned()]));
    assert_eq!(add(&registry, &sign(&a, &new)).await, Ok(true));
    let audit = registry.audit(&AuditQuery::default()).await.unwrap().items;
    assert_eq!(audit.iter().filter(|it| it.action == "policy.propose").count(), 5);
}

async fn one_key_and_the_database_neither_publish_nor_brick(database: &Database) {
    let registry = database.open().await;
    let [a, b, _] = three();
    let team = team(2, &[&a, &b]);
    let first = payload(1, &Value::Null, "first");
    publish(&registry, &joined(&[&sign(&a, &first), &sign(&b, &first)]), &team).await.unwrap();
    let text = registry.bundle("prod", None).await.unwrap().1;
    // A revision of one key that another writer put there is one that nobody signed.
    let theirs = sign(&a, &payload(2, &follows(1, &text), "theirs"));
    insert_revision(&database.url(), 2, &theirs).await;
    let second = payload(2, &follows(1, &text), "second");
    publish(&registry, &sign(&b, &second), &team).await.unwrap();
    assert_eq!(registry.bundle("prod", None).await.unwrap().1, theirs, "a proposal discards nothing");
    assert_eq!(add(&registry, &sign(&a, &second)).await, Ok(true));
    let (number, text) = registry.bundle("prod", None).await.unwrap();
    assert!(number == 2 && text != theirs, "{text}");
    // What is in the table of proposals counts by its signatures.
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&database.url()).await.unwrap();
    for jws in ["no bundle", "", &theirs.replace('.', ".A")] {
        sqlx::query::<sqlx::Any>("DELETE FROM policy_proposals").execute(&pool).await.unwrap();
        let insert = "INSERT INTO policy_proposals (name, kind, jws, proposed_at, proposed_by)
                      VALUES ('prod', $1, $2, 1, 'x')";
        for kind in ["revision", "signers"] {
            sqlx::query::<sqlx::Any>(insert).bind(kind).bind(jws).execute(&pool).await.unwrap();
        }
        let status = registry.policy("prod").await.unwrap();
        assert!(status.proposal.is_none() && status.proposed_signers.is_none(), "{jws}");
        assert_eq!(add(&registry, &sign(&b, &second)).await, Err("unknown_proposal"), "{jws}");
    }
    pool.close().await;
}

async fn keys_and_number_change_with_as_many_signatures(database: &Database) {
    let registry = database.open().await;
    let [a, b, c] = three();
    let both = team(2, &[&a, &b]);
    let first = payload(1, &Value::Null, "first");
    publish(&registry, &joined(&[&sign(&a, &first), &sign(&b, &first)]), &both).await.unwrap();
    let change =
        |version: i64, set: &SignerKeys| json!({"name": "prod", "version": version, "keys": set.document()});
    let of = |key: &SigningKey, change: &Value| sign_as(key, SIGNERS_TYPE, change);
    let lower = change(2, &keys(&[&a]));
    let next = change(2, &team(2, &[&a, &b, &c]));
    let text = registry.bundle("prod", None).await.unwrap().1;
    let waiting = sign(&a, &payload(2, &follows(1, &text), "second"));
    publish(&registry, &waiting, &both).await.unwrap();
    for (what, request, expect) in [
        ("one of two", of(&a, &lower), Ok((2, false))),
        ("the same again", of(&a, &lower), Ok((2, false))),
        ("an unknown key", of(&c, &lower), Err("untrusted_signer")),
        ("another change", of(&b, &next), Ok((2, false))),
        ("what was replaced", of(&a, &lower), Ok((2, false))),
        ("the other again", of(&b, &next), Ok((2, false))),
        ("a later version", of(&a, &change(3, &both)), Err("outdated_signers")),
        ("the second", of(&a, &next), Ok((2, true))),
        ("again", of(&a, &next), Err("outdated_signers")),
    ] {
        let changed = registry.trust_signed("prod", &request, &admin()).await;
        let told = changed.map(|it| (it.change.version, it.is_complete())).map_err(|error| error.code());
        assert_eq!(told, expect, "{what}");
        let status = registry.policy("prod").await.unwrap();
        assert_eq!(
            status.signers.unwrap().version,
            if what.ends_with("second") || what == "again" { 2 } else { 1 }
        );
    }
    let status = registry.policy("prod").await.unwrap();
    assert!(status.proposed_signers.is_none() && status.proposal.is_none(), "the keys are others");
    assert_eq!(status.signers.unwrap().keys["required"], 2);
    // The owner of the database needs no signature. No number is beyond the keys.
    registry.trust("prod", &keys(&[&a]), &admin()).await.unwrap();
    assert_eq!(publish(&registry, &waiting, &both).await.unwrap(), (vec!["a".to_owned()], 1));
    for number in [0, 3] {
        assert_eq!(keys(&[&a, &b]).requiring(number).unwrap_err().code(), "invalid_field");
    }
    let again = keys(&[&a, &a.renamed("x")]);
    assert_eq!(again.requiring(2).unwrap_err().code(), "invalid_field", "one key under two names");
    for number in [json!("2"), json!(1.5), json!(-1), json!(null)] {
        let mut document = keys(&[&a, &b]).document().clone();
        document["required"] = number;
        assert_eq!(SignerKeys::of(document).unwrap_err().code(), "invalid_field");
    }
}

async fn a_server_takes_proposals_and_signatures(database: &Database) {
    let registry = database.open().await;
    let [a, b, _] = three();
    let team = team(2, &[&a, &b]);
    let server = Server::start(&database.url());
    let cookie = server.sign_in().await;
    let first = payload(1, &Value::Null, "first");
    let [by_a, by_b] = [&a, &b].map(|key| sign(key, &first));
    let send = async |method: Method, path: &str, body: Value| {
        let answer = server.admin(&cookie, method, path).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let path = "/api/policies/prod/proposal";
    let (status, told) = send(Method::POST, path, json!({"bundle": by_a})).await;
    assert_eq!((status, &told["code"]), (409, &json!("no_signers")));
    let new = json!({"bundle": by_a, "keys": team.document()});
    let (status, told) = send(Method::POST, "/api/policies", new).await;
    assert_eq!((status, &told["signed_by"], &told["required"]), (202, &json!(["a"]), &json!(2)));
    assert_eq!(server.get("/v1/policies/prod?plane=p").send().await.unwrap().status(), 404);
    let (_, told) = send(Method::GET, path, json!({})).await;
    assert_eq!(told["bundle"], by_a);
    let (_, told) = send(Method::GET, "/api/policies/prod", json!({})).await;
    assert_eq!((&told["proposal"]["revision"], &told["proposal"]["signed_by"]), (&json!(1), &json!(["a"])));
    let page =
        server.admin(&cookie, Method::GET, "/policies/prod").send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Revision 1 is proposed, and 1 of 2 signatures are missing."), "{page}");
    assert!(page.contains("once 2 of these keys have signed it"), "{page}");
    let (status, told) = send(Method::POST, path, json!({"bundle": by_b})).await;
    assert_eq!((status, &told["signed_by"]), (201, &json!(["a", "b"])));
    let answer = server.get("/v1/policies/prod?plane=p").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/jose+json");
    assert_eq!(answer.text().await.unwrap(), registry.bundle("prod", None).await.unwrap().1);
    assert_eq!(send(Method::GET, path, json!({})).await.0, 404);
}
