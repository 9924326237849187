//! What a team owner cannot take: principals of others.

use std::time::Duration;

use keyswap::registry::{
    Actor, Budget, Holder, KnownToken, NewToken, ObjectClaim, ObjectKey, Payer, Per, RateLimit, Reach,
    Registry, SecretText, Source, Status, Zone,
};
use keyswap_core::base::Digest;

use super::setup::BOB;
use crate::support::{Database, admin, new_token, on_both_databases};

on_both_databases!(
    a_token_is_brought_by_its_digest_by_administrators_only,
    a_principal_of_another_is_no_new_token,
    a_policys_token_is_imported_with_what_it_has,
);

const RAW: &str = "a-token-that-was-known-before";

fn owner() -> Actor {
    Actor::within("owner", Reach::Teams(["red".to_owned()].into()))
}

fn new(team: &str, of: Option<&str>) -> NewToken {
    NewToken { owner: of.map(str::to_owned), team: Some(team.to_owned()), ..new_token("a") }
}

fn raw(rest: &str) -> Source {
    Source::Custom(SecretText::new(format!("{RAW}-{rest}")))
}

fn budget() -> Budget {
    Budget::of_dollars("5", Per::Day, Zone::default()).unwrap()
}

fn code<T>(done: keyswap::registry::Result<T>) -> &'static str {
    done.err().map_or("done", |error| error.code())
}

async fn claim(registry: &Registry, principal: Digest) {
    let claim = ObjectClaim {
        key: ObjectKey::new("openai", "file-1").unwrap(),
        kind: "file".to_owned(),
        principal,
        owner: None,
        team: Some("blue".to_owned()),
        expires_at: None,
    };
    registry.claim_objects(vec![claim]).await.unwrap();
}

async fn a_token_is_brought_by_its_digest_by_administrators_only(database: &Database) {
    let registry = database.open().await;
    let person = Digest::of(format!("person\0{BOB}").as_bytes());
    registry.set_budget(&Payer::Token(person), &budget(), &admin()).await.unwrap();
    let taken = registry.create_token(Source::Digest(person), new("red", None), &owner()).await;
    assert_eq!(code(taken), "beyond_role");
    assert_eq!(code(registry.set_budget(&Payer::Token(person), &budget(), &owner()).await), "unknown_budget");
    assert_eq!(code(registry.create_token(raw(""), new("red", None), &owner()).await), "done");
}

async fn a_principal_of_another_is_no_new_token(database: &Database) {
    let registry = database.open().await;
    for what in ["budget", "object", "rate-limit", "line"] {
        let digest = Digest::of(format!("{RAW}-{what}").as_bytes());
        match what {
            "budget" => registry.set_budget(&Payer::Token(digest), &budget(), &admin()).await.unwrap(),
            "object" => claim(&registry, digest).await,
            "rate-limit" => {
                registry.take(&digest, Some(RateLimit::new(5, 60).unwrap())).await.unwrap();
            }
            _ => {
                registry.create_token(raw(what), new("blue", None), &admin()).await.unwrap();
                registry.rotate_token(&digest, Source::Mint, Duration::ZERO, &admin()).await.unwrap();
                registry.delete_token(&digest, &admin()).await.unwrap();
            }
        }
        for actor in [owner(), admin()] {
            let taken = registry.create_token(raw(what), new("red", None), &actor).await;
            assert_eq!(code(taken), "principal_in_use", "{what}");
        }
        let brought = registry.create_token(Source::Digest(digest), new("red", None), &admin()).await;
        assert_eq!(code(brought), "done", "an administrator brings it back by its digest: {what}");
    }
}

async fn a_policys_token_is_imported_with_what_it_has(database: &Database) {
    let registry = database.open().await;
    let digest = Digest::of(RAW.as_bytes());
    registry.set_budget(&Payer::Token(digest), &budget(), &admin()).await.unwrap();
    claim(&registry, digest).await;
    let known = KnownToken { digest, new: new_token("imported"), status: Status::Active };
    assert_eq!(registry.import_tokens(vec![known], &admin()).await.unwrap().len(), 1);
    let person = ObjectKey::new("openai", "file-2").unwrap();
    let of_bob = Digest::of(format!("person\0{BOB}").as_bytes());
    registry.adopt_objects(&[person], None, &Holder::Person(BOB.to_owned()), &admin()).await.unwrap();
    let known = KnownToken { digest: of_bob, new: new_token("person"), status: Status::Active };
    assert_eq!(code(registry.import_tokens(vec![known], &admin()).await), "principal_in_use");
}
