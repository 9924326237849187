//! Edits of tokens and users: all fields, two editors at a time, undo, and leavers.

use keyswap::registry::{
    AuditEntry, AuditQuery, NewToken, NewUser, Registry, RegistryError, Source, Status, TokenPatch, UserPatch,
};
use keyswap_core::base::Digest;
use reqwest::Method;
use serde_json::json;

use crate::server::Server;
use crate::support::{Database, admin, create, new_token, on_both_databases};

on_both_databases!(
    every_field_of_a_token_can_be_changed,
    two_editors_do_not_overwrite_each_other,
    a_change_is_undone_by_its_entry,
    a_leaver_is_disabled_at_once,
);

async fn newest(registry: &Registry, subject: &str) -> AuditEntry {
    let query = AuditQuery { subject: Some(subject.to_owned()), ..AuditQuery::default() };
    registry.audit(&query).await.unwrap().items.remove(0)
}

async fn every_field_of_a_token_can_be_changed(database: &Database) {
    let registry = database.open().await;
    let digest = create(&registry, "a").await.record.digest;
    let patch = TokenPatch {
        label: Some(" b ".to_owned()),
        owner: Some(Some("bob@acme.example".to_owned())),
        providers: Some(vec!["gemini".to_owned(), "openai:files".to_owned()]),
        models: Some(vec!["gpt-5".to_owned()]),
        ..TokenPatch::default()
    };
    let token = registry.update_token(&digest, patch, &admin()).await.unwrap();
    assert_eq!(registry.token(&digest).await.unwrap(), token);
    assert_eq!((token.label.as_str(), token.owner.as_deref()), ("b", Some("bob@acme.example")));
    assert_eq!((token.providers.len(), token.models.as_slice()), (2, ["gpt-5".to_owned()].as_slice()));
    let listing = keyswap::registry::Listing {
        search: Some("bob@".to_owned()),
        ..keyswap::registry::Listing::default()
    };
    assert_eq!(registry.tokens(&listing).await.unwrap().total, 1, "a search finds the new owner");
    let query = AuditQuery { action: Some("token".to_owned()), ..AuditQuery::default() };
    let entries = registry.audit(&query).await.unwrap().items;
    let changes: Vec<_> =
        entries.iter().rev().skip(1).map(|it| (it.action.as_str(), &it.detail["from"])).collect();
    let expect = [
        ("token.set_label", json!("a")),
        ("token.set_owner", json!("alice@acme.example")),
        ("token.set_providers", json!(["openai"])),
        ("token.set_models", json!(["*"])),
    ];
    assert_eq!(changes, expect.iter().map(|(action, from)| (*action, from)).collect::<Vec<_>>());
    for patch in [
        TokenPatch { label: Some(" ".to_owned()), ..TokenPatch::default() },
        TokenPatch { owner: Some(Some("nobody".to_owned())), ..TokenPatch::default() },
        TokenPatch { providers: Some(Vec::new()), ..TokenPatch::default() },
        TokenPatch { models: Some(vec!["!a".to_owned()]), ..TokenPatch::default() },
    ] {
        assert!(registry.update_token(&digest, patch.clone(), &admin()).await.is_err(), "{patch:?}");
    }
    assert_eq!(registry.token(&digest).await.unwrap(), token);
    let none = TokenPatch { owner: Some(None), models: Some(Vec::new()), ..TokenPatch::default() };
    let token = registry.update_token(&digest, none, &admin()).await.unwrap();
    assert_eq!((token.owner, token.models), (None, vec!["*".to_owned()]));
}

async fn two_editors_do_not_overwrite_each_other(database: &Database) {
    let registry = database.open().await;
    let before = create(&registry, "a").await.record;
    let server = Server::start(&database.url());
    let cookie = server.sign_in().await;
    let address = format!("/tokens/{}", before.digest.to_hex());
    let patch = async |label: &str| {
        let body = json!({"label": label, "version": before.version});
        server
            .admin(&cookie, Method::PATCH, &format!("/api{address}"))
            .json(&body)
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!((patch("first").await.as_u16(), patch("second").await.as_u16()), (200, 409));
    // The form of the dashboard names the version, too, and shows the present values after a conflict.
    let version = before.version.to_string();
    let form = [("label", "third"), ("provider", "openai"), ("version", &version)];
    let response = server.admin(&cookie, Method::POST, &address).form(&form).send().await.unwrap();
    assert_eq!(response.status(), 409);
    let page = response.text().await.unwrap();
    assert!(page.contains("changed meanwhile") && page.contains(r#"value="first""#), "{page}");
    let form = [("label", "fourth"), ("provider", "openai"), ("version", "x")];
    let response = server.admin(&cookie, Method::POST, &address).form(&form).send().await.unwrap();
    assert_eq!(response.status(), 409, "a version that is no number is none");
    assert_eq!(registry.token(&before.digest).await.unwrap().label, "first");
    let user = NewUser {
        email: "a@acme.example".to_owned(),
        providers: vec!["openai".to_owned()],
        ..NewUser::default()
    };
    let user = registry.create_user(user, &admin()).await.unwrap();
    let patch = |label: &str| UserPatch {
        version: Some(user.version),
        label: Some(label.to_owned()),
        ..UserPatch::default()
    };
    registry.update_user(&user.email, patch("A"), &admin()).await.unwrap();
    let refused = registry.update_user(&user.email, patch("B"), &admin()).await;
    assert!(matches!(refused, Err(RegistryError::ChangedMeanwhile)));
}

async fn a_change_is_undone_by_its_entry(database: &Database) {
    let registry = database.open().await;
    let before = create(&registry, "a").await.record;
    let hex = before.digest.to_hex();
    let limit = keyswap::registry::RateLimit::new(5, 60).unwrap();
    for patch in [
        TokenPatch { label: Some("b".to_owned()), ..TokenPatch::default() },
        TokenPatch { owner: Some(None), ..TokenPatch::default() },
        TokenPatch { team: Some(Some("red".to_owned())), ..TokenPatch::default() },
        TokenPatch { providers: Some(vec!["gemini".to_owned()]), ..TokenPatch::default() },
        TokenPatch { models: Some(vec!["gpt-5".to_owned()]), ..TokenPatch::default() },
        TokenPatch { expires_at: Some(Some("2099-01-01T00:00:00Z".to_owned())), ..TokenPatch::default() },
        TokenPatch { rate_limit: Some(Some(limit)), ..TokenPatch::default() },
        TokenPatch { status: Some(Status::Disabled), ..TokenPatch::default() },
    ] {
        registry.update_token(&before.digest, patch, &admin()).await.unwrap();
        let entry = newest(&registry, &hex).await;
        assert!(entry.is_undoable(), "{entry:?}");
        let undone = registry.undo_token(&before.digest, entry.id, &admin()).await.unwrap();
        assert_eq!(keyswap::registry::Token { version: before.version, ..undone }, before, "{entry:?}");
        let again = registry.undo_token(&before.digest, entry.id, &admin()).await;
        assert!(matches!(again, Err(RegistryError::ChangedMeanwhile)), "{entry:?}");
    }
    // Entries of other subjects, and of what cannot be undone, change nothing.
    let other = create(&registry, "c").await.record;
    let of_other = newest(&registry, &other.digest.to_hex()).await;
    assert!(!of_other.is_undoable());
    for entry in [of_other.id, i64::MAX] {
        let refused = registry.undo_token(&before.digest, entry, &admin()).await;
        assert!(matches!(refused, Err(RegistryError::NotUndoable)));
    }
    let new = NewUser {
        email: "a@acme.example".to_owned(),
        providers: vec!["openai".to_owned()],
        ..NewUser::default()
    };
    let user = registry.create_user(new, &admin()).await.unwrap();
    let patch = UserPatch {
        label: Some("A".to_owned()),
        status: Some(Status::Disabled),
        models: Some(vec!["gpt-5".to_owned()]),
        ..UserPatch::default()
    };
    registry.update_user(&user.email, patch, &admin()).await.unwrap();
    let entry = newest(&registry, &user.email).await;
    let undone = registry.undo_user(&user.email, entry.id, &admin()).await.unwrap();
    assert_eq!(keyswap::registry::User { version: user.version, ..undone }, user);
    assert!(registry.undo_user(&user.email, entry.id, &admin()).await.is_err());
}

async fn a_leaver_is_disabled_at_once(database: &Database) {
    let registry = database.open().await;
    let owned = |owner: &str| NewToken { owner: Some(owner.to_owned()), ..new_token("x") };
    let email = "Zoë_a@acme.example";
    let mut digests: Vec<Digest> = Vec::new();
    for owner in
        [email, "zoë_a@ACME.example", "zoëxa@acme.example", "a@acme.example", "zoë_a@acme.example.org"]
    {
        digests
            .push(registry.create_token(Source::Mint, owned(owner), &admin()).await.unwrap().record.digest);
    }
    let user =
        NewUser { email: email.to_owned(), providers: vec!["openai".to_owned()], ..NewUser::default() };
    registry.create_user(user, &admin()).await.unwrap();
    assert_eq!(registry.owned_by(email).await.unwrap().tokens.len(), 2);
    let done = registry.offboard(email, &admin()).await.unwrap();
    assert_eq!((done.tokens.len(), done.user.is_some()), (2, true));
    let mut active = Vec::new();
    for digest in &digests {
        active.push(registry.token(digest).await.unwrap().status == Status::Active);
    }
    assert_eq!(active, [false, false, true, true, true], "owners whose addresses are alike stay");
    assert_eq!(registry.user(email).await.unwrap().status, Status::Disabled);
    let again = registry.offboard(email, &admin()).await.unwrap();
    assert!(again.tokens.is_empty() && again.user.is_none());
    assert_eq!(newest(&registry, &email.to_lowercase()).await.action, "user.offboard");
    for odd in ["", "%", "acme.example", "a@acme.example b"] {
        assert!(registry.offboard(odd, &admin()).await.is_err(), "{odd}");
    }
    let server = Server::start(&database.url());
    let cookie = server.sign_in().await;
    let page = "/offboard?email=a%40acme.example";
    let shown = server.admin(&cookie, Method::GET, page).send().await.unwrap().text().await.unwrap();
    assert!(shown.contains("Disable 1 token<"), "{shown}");
    let form = [("email", "a@acme.example")];
    let done = server.admin(&cookie, Method::POST, "/offboard").form(&form).send().await.unwrap();
    assert!(done.text().await.unwrap().contains("Nothing of a@acme.example is active"));
    assert_eq!(registry.token(&digests[3]).await.unwrap().status, Status::Disabled);
}
