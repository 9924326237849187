//! A person's own tokens: what a rotation gives, and how many there are.

use std::time::Duration;

use keyswap::registry::{
    Actor, NewToken, NewUser, RateLimit, Reach, Registry, Source, Status, TokenPatch, UserPatch,
};
use keyswap_core::base::Digest;

use super::setup::ALICE;
use crate::support::{Database, admin, on_both_databases};

on_both_databases!(
    a_person_rotates_no_token_that_it_could_not_create,
    a_person_has_so_many_tokens_and_no_more,
);

const HOUR: Duration = Duration::from_hours(1);

fn alice() -> Actor {
    Actor::within(ALICE, Reach::Person(ALICE.to_owned()))
}

async fn registry_with_alice(database: &Database) -> Registry {
    let registry = database.open().await;
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let user = NewUser {
        email: ALICE.to_owned(),
        team: Some("red".to_owned()),
        providers: list(&["openai", "anthropic"]),
        models: list(&["gpt-4o", "o3"]),
        ..NewUser::default()
    };
    registry.create_user(user, &admin()).await.unwrap();
    registry
}

async fn create(registry: &Registry) -> keyswap::registry::Result<Digest> {
    let new = NewToken { label: "own".to_owned(), ..NewToken::default() };
    Ok(registry.create_token(Source::Mint, new, &alice()).await?.record.digest)
}

async fn a_person_rotates_no_token_that_it_could_not_create(database: &Database) {
    let registry = registry_with_alice(database).await;
    let rotate =
        async |digest: &Digest, by: &Actor| registry.rotate_token(digest, Source::Mint, HOUR, by).await;
    let list = |name: &str| Some(vec![name.to_owned()]);
    let none = UserPatch::default;
    let present = UserPatch {
        team: Some(Some("red".to_owned())),
        providers: Some(vec!["openai".to_owned(), "anthropic".to_owned()]),
        models: Some(vec!["gpt-4o".to_owned(), "o3".to_owned()]),
        status: Some(Status::Active),
        ..none()
    };
    for (what, patch) in [
        ("disabled", UserPatch { status: Some(Status::Disabled), ..none() }),
        ("fewer providers", UserPatch { providers: list("openai"), ..none() }),
        ("fewer models", UserPatch { models: list("o3"), ..none() }),
        ("another team", UserPatch { team: Some(Some("blue".to_owned())), ..none() }),
    ] {
        let token = create(&registry).await.unwrap();
        registry.update_user(ALICE, patch, &admin()).await.unwrap();
        let refused = rotate(&token, &alice()).await.map(drop);
        assert_eq!(refused.unwrap_err().code(), "beyond_role", "{what}");
        assert!(rotate(&token, &admin()).await.is_ok(), "an administrator gives the rights: {what}");
        registry.update_user(ALICE, present.clone(), &admin()).await.unwrap();
    }
    // A limit that the person has by now is that of the successor, too. One that an administrator gave the token stays.
    let [slow, slower] = [60, 10].map(|requests| RateLimit::new(requests, 60).unwrap());
    let token = create(&registry).await.unwrap();
    let patch = TokenPatch { rate_limit: Some(Some(slower)), ..TokenPatch::default() };
    registry.update_token(&token, patch, &admin()).await.unwrap();
    let heir = rotate(&token, &alice()).await.unwrap().successor.record;
    assert_eq!(heir.rate_limit, Some(slower));
    let token = create(&registry).await.unwrap();
    registry
        .update_user(ALICE, UserPatch { rate_limit: Some(Some(slow)), ..none() }, &admin())
        .await
        .unwrap();
    assert_eq!(rotate(&token, &alice()).await.unwrap().successor.record.rate_limit, Some(slow));
    assert_eq!(rotate(&heir.digest, &alice()).await.unwrap().successor.record.rate_limit, Some(slower));
    let mut token = create(&registry).await.unwrap();
    for (limit, expect) in [(120, 60), (30, 30)] {
        let limit = RateLimit::new(limit, 60).unwrap();
        let patch = UserPatch { rate_limit: Some(Some(limit)), ..none() };
        registry.update_user(ALICE, patch, &admin()).await.unwrap();
        let heir = rotate(&token, &alice()).await.unwrap().successor.record;
        assert_eq!(heir.rate_limit, RateLimit::new(expect, 60).ok(), "the stricter one");
        token = heir.digest;
    }
    let token = create(&registry).await.unwrap();
    registry.delete_user(ALICE, &admin()).await.unwrap();
    assert_eq!(rotate(&token, &alice()).await.unwrap_err().code(), "beyond_role", "the user is deleted");
}

async fn a_person_has_so_many_tokens_and_no_more(database: &Database) {
    let registry = registry_with_alice(database).await;
    let mut last = create(&registry).await.unwrap();
    for _ in 1..100 {
        last = create(&registry).await.unwrap();
    }
    let code = |made: keyswap::registry::Result<Digest>| made.map_err(|error| error.code());
    assert_eq!(code(create(&registry).await), Err("too_many_tokens"));
    let rotated = registry.rotate_token(&last, Source::Mint, HOUR, &alice()).await;
    assert_eq!(rotated.unwrap_err().code(), "too_many_tokens", "both would work for a time");
    registry.set_token_status(&last, Status::Disabled, &alice()).await.unwrap();
    assert!(create(&registry).await.is_ok());
    // An administrator is not bound.
    let new = NewToken {
        label: "more".to_owned(),
        owner: Some(ALICE.to_owned()),
        providers: vec!["openai".to_owned()],
        ..NewToken::default()
    };
    assert!(registry.create_token(Source::Mint, new, &admin()).await.is_ok());
}
