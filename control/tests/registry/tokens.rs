//! The life of a token.

use std::time::Duration;

use keyswap::registry::{
    AuditQuery, Listing, NewToken, RateLimit, RegistryError, SecretText, Source, Status,
};
use keyswap_core::base::{Digest, UnixTime};

use crate::support::{Database, admin, create, new_token, on_both_databases};

on_both_databases!(
    a_token_is_made_once_and_known_by_its_digest,
    what_is_wrong_with_a_new_token_is_told,
    a_token_is_disabled_enabled_and_deleted,
    a_rotated_token_works_until_it_retires,
    a_token_moves_between_teams,
    an_expiry_is_set_and_cleared,
    lists_are_paged_and_searched,
    every_change_is_in_the_audit_log,
    hostile_labels_are_only_text,
);

fn custom(text: &str) -> Source {
    Source::Custom(SecretText::new(text.to_owned()))
}

async fn a_token_is_made_once_and_known_by_its_digest(database: &Database) {
    let registry = database.open().await;
    let created = create(&registry, " alice-laptop ").await;
    let token = created.token.unwrap();
    assert!(token.expose().starts_with("ptk_") && token.expose().len() == 36);
    assert_eq!(created.record.digest, Digest::of(token.expose().as_bytes()));
    assert_eq!(created.record.label, "alice-laptop");
    assert!(token.expose().ends_with(&created.record.last4) && created.record.last4.len() == 4);
    assert_eq!(created.record.models, ["*"]);
    assert_eq!(registry.token(&created.record.digest).await.unwrap(), created.record);

    for source in [custom(token.expose()), Source::Digest(created.record.digest)] {
        let again = registry.create_token(source, new_token("again"), &admin()).await;
        assert!(matches!(again, Err(RegistryError::DuplicateToken)));
    }
    let known = registry
        .create_token(Source::Digest(Digest::of(b"imported-token")), new_token("imported"), &admin())
        .await
        .unwrap();
    assert!(known.token.is_none());
    assert_eq!(known.record.last4, "");
}

async fn what_is_wrong_with_a_new_token_is_told(database: &Database) {
    let registry = database.open().await;
    let valid = new_token("a");
    let cases = [
        (NewToken { label: " ".to_owned(), ..valid.clone() }, "label_required", "label is required"),
        (
            NewToken { team: Some("a b".to_owned()), ..valid.clone() },
            "invalid_field",
            "invalid team: expected 1 to 64 letters, digits, `-` or `_`",
        ),
        (
            NewToken { certificate_sha256: Some("aa:bb".to_owned()), ..valid.clone() },
            "invalid_field",
            "invalid certificate: expected its SHA-256, 64 hexadecimal digits",
        ),
        (NewToken { providers: vec![], ..valid.clone() }, "providers_required", "pick at least one provider"),
        (
            NewToken { expires_at: Some("2027-01-01T00:00:00".to_owned()), ..valid.clone() },
            "invalid_expiry",
            "invalid expiry: expected a time with an offset, such as `2027-06-30T00:00:00Z`",
        ),
        (
            NewToken { label: "a\nb".to_owned(), ..valid.clone() },
            "invalid_field",
            "invalid label: expected 1 to 64 characters on one line",
        ),
        (
            NewToken { owner: Some("alice".to_owned()), ..valid.clone() },
            "invalid_field",
            "invalid email address: expected an email address such as `alice@example.com`",
        ),
        (
            NewToken { models: vec!["a b".to_owned()], ..valid.clone() },
            "invalid_field",
            "invalid models: expected at most 64 names of 1 to 128 visible ASCII characters",
        ),
        (
            NewToken { models: vec!["!gpt-5".to_owned(), "!group:large".to_owned()], ..valid.clone() },
            "invalid_field",
            "invalid models: every entry takes models away, so none is left: add `*` or the models that are allowed",
        ),
        (
            NewToken { models: vec!["*".to_owned(), "!".to_owned()], ..valid.clone() },
            "invalid_field",
            "invalid models: expected a name behind one `!`",
        ),
    ];
    for (new, code, message) in cases {
        let error = registry.create_token(Source::Mint, new, &admin()).await.unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (code, message));
    }
    let short = registry.create_token(custom("elevenchars"), valid.clone(), &admin()).await.unwrap_err();
    assert_eq!(short.to_string(), "custom token too short (min 12 chars)");
    // Data planes look no longer text up.
    for (length, code) in [(4096, None), (4097, Some("invalid_field"))] {
        let created = registry.create_token(custom(&"x".repeat(length)), valid.clone(), &admin()).await;
        let found = created.as_ref().err().map(RegistryError::code);
        assert_eq!(found, code, "{length}");
        if let Ok(created) = created {
            registry.delete_token(&created.record.digest, &admin()).await.unwrap();
        }
    }
    let spaced = registry.create_token(custom("twelve chars"), valid.clone(), &admin()).await.unwrap_err();
    assert_eq!(spaced.code(), "invalid_field");
    registry.create_token(custom("dgk_twelve-1"), valid, &admin()).await.unwrap();
    assert_eq!(registry.tokens(&Listing::default()).await.unwrap().total, 1);
}

async fn a_token_is_disabled_enabled_and_deleted(database: &Database) {
    let registry = database.open().await;
    let token = create(&registry, "a").await.record;
    let mut version = token.version;
    for status in [Status::Disabled, Status::Active] {
        let changed = registry.set_token_status(&token.digest, status, &admin()).await.unwrap();
        assert_eq!((changed.status, changed.is_active_now()), (status, status == Status::Active));
        assert!(changed.version > version);
        version = changed.version;
        // Setting the present status is not a change.
        let again = registry.set_token_status(&token.digest, status, &admin()).await.unwrap();
        assert_eq!(again.version, version);
    }
    registry.delete_token(&token.digest, &admin()).await.unwrap();
    assert!(matches!(registry.token(&token.digest).await, Err(RegistryError::UnknownToken)));
    assert!(matches!(registry.delete_token(&token.digest, &admin()).await, Err(RegistryError::UnknownToken)));
}

async fn a_rotated_token_works_until_it_retires(database: &Database) {
    let registry = database.open().await;
    let limit = Some(RateLimit::new(5, 60).unwrap());
    let bound = Digest::of(b"certificate");
    let new = NewToken {
        models: vec!["gpt-5".to_owned()],
        expires_at: Some("2099-01-01T00:00:00Z".to_owned()),
        rate_limit: limit,
        team: Some("research".to_owned()),
        certificate_sha256: Some(bound.to_hex()),
        ..new_token("a")
    };
    let old = registry.create_token(Source::Mint, new, &admin()).await.unwrap().record;
    let hour = Duration::from_hours(1);
    let rotation = registry.rotate_token(&old.digest, Source::Mint, hour, &admin()).await.unwrap();
    let heir = &rotation.successor.record;
    assert_eq!((&heir.label, &heir.owner, &heir.models), (&old.label, &old.owner, &old.models));
    assert_eq!((heir.own_expiry, heir.rate_limit), (old.own_expiry, limit));
    assert_eq!(heir.team.as_deref(), Some("research"), "a binding of the team survives");
    assert_eq!(
        (old.certificate, heir.certificate),
        (Some(bound), Some(bound)),
        "and so does that to a certificate"
    );
    let record = serde_json::to_value(heir.record()).unwrap();
    assert_eq!(record["certificate_sha256"], bound.to_hex(), "data planes are told");
    assert!(heir.is_active_now() && rotation.successor.token.is_some());

    let retiring = registry.token(&old.digest).await.unwrap();
    assert_eq!(retiring, rotation.retiring);
    assert_eq!(retiring.successor, Some(heir.digest));
    assert!(retiring.is_active_now() && retiring.version > old.version);
    let ends = retiring.expires_at().unwrap();
    assert_eq!(retiring.retires_at, Some(ends));
    assert!(retiring.is_active(UnixTime(ends.0 - 1)) && !retiring.is_active(ends));

    let again = registry.rotate_token(&old.digest, Source::Mint, hour, &admin()).await;
    assert!(matches!(again, Err(RegistryError::AlreadyRotated)));

    // The token's own expiry still applies if it is earlier, not if it is later.
    let earlier = UnixTime(ends.0 - 60);
    let token = registry.set_token_expiry(&old.digest, Some(&earlier.to_string()), &admin()).await.unwrap();
    assert_eq!(token.expires_at(), Some(earlier));
    assert_eq!(
        registry.set_token_expiry(&old.digest, None, &admin()).await.unwrap().expires_at(),
        Some(ends)
    );

    let at_once = registry.rotate_token(&heir.digest, Source::Mint, Duration::ZERO, &admin()).await.unwrap();
    assert!(!at_once.retiring.is_active_now() && at_once.successor.record.is_active_now());

    let disabled = create(&registry, "b").await.record;
    registry.set_token_status(&disabled.digest, Status::Disabled, &admin()).await.unwrap();
    let refused = registry.rotate_token(&disabled.digest, Source::Mint, hour, &admin()).await;
    assert!(matches!(refused, Err(RegistryError::TokenDisabled)));
    let expired = create(&registry, "c").await.record;
    registry.set_token_expiry(&expired.digest, Some("2020-01-01T00:00:00Z"), &admin()).await.unwrap();
    let refused = registry.rotate_token(&expired.digest, Source::Mint, hour, &admin()).await;
    assert!(matches!(refused, Err(RegistryError::TokenExpired)));
}

async fn a_token_moves_between_teams(database: &Database) {
    let registry = database.open().await;
    let before = create(&registry, "a").await.record;
    assert_eq!(before.team, None);
    for (text, team) in [("research", Some("research")), (" sales ", Some("sales")), ("", None)] {
        let after = registry.set_token_team(&before.digest, text, &admin()).await.unwrap();
        assert_eq!(after.team.as_deref(), team);
        assert!(after.version > before.version, "data planes hear of it");
        assert_eq!(registry.token(&before.digest).await.unwrap(), after);
        let listing = Listing { search: Some(text.trim().to_owned()), ..Listing::default() };
        assert_eq!(registry.tokens(&listing).await.unwrap().total, 1, "a search finds the team");
    }
    for odd in ["a b", "é", &"x".repeat(65), "a\nb"] {
        let error = registry.set_token_team(&before.digest, odd, &admin()).await.unwrap_err();
        assert_eq!(error.code(), "invalid_field", "{odd}");
    }
    let audit = registry.audit(&AuditQuery::default()).await.unwrap().items;
    let moves = audit.iter().filter(|entry| entry.action == "token.set_team");
    let moves: Vec<_> =
        moves.map(|entry| (entry.detail["from"].clone(), entry.detail["to"].clone())).collect();
    let text = |team: &str| serde_json::Value::from(team);
    assert_eq!(
        moves,
        [
            (text("sales"), serde_json::Value::Null),
            (text("research"), text("sales")),
            (serde_json::Value::Null, text("research")),
        ]
    );
}

async fn an_expiry_is_set_and_cleared(database: &Database) {
    let registry = database.open().await;
    let digest = create(&registry, "a").await.record.digest;
    let set = async |expiry| registry.set_token_expiry(&digest, expiry, &admin()).await;
    let token = set(Some("2099-06-30T02:00:00+02:00")).await.unwrap();
    assert_eq!(token.expires_at().unwrap().to_string(), "2099-06-30T00:00:00Z");
    assert!(!set(Some("2020-01-01T00:00:00Z")).await.unwrap().is_active_now());
    assert_eq!(set(Some("")).await.unwrap().expires_at(), None);
    assert!(matches!(set(Some("tomorrow")).await, Err(RegistryError::InvalidExpiry)));
    assert!(matches!(
        registry.set_token_expiry(&Digest::of(b"?"), None, &admin()).await,
        Err(RegistryError::UnknownToken)
    ));
}

async fn lists_are_paged_and_searched(database: &Database) {
    let registry = database.open().await;
    for label in ["Laptop", "100%_!", "build", "laptop-2", "ci"] {
        create(&registry, label).await;
    }
    let labels = async |listing: Listing| {
        let page = registry.tokens(&listing).await.unwrap();
        (page.items.into_iter().map(|token| token.label).collect::<Vec<_>>(), page.next, page.total)
    };
    let (first, next, total) = labels(Listing { limit: Some(2), ..Listing::default() }).await;
    assert_eq!((first, total), (vec!["ci".to_owned(), "laptop-2".to_owned()], 5));
    let (second, next, _) = labels(Listing { limit: Some(2), after: next, ..Listing::default() }).await;
    assert_eq!(second, ["build", "100%_!"]);
    let (third, next, _) = labels(Listing { limit: Some(2), after: next, ..Listing::default() }).await;
    assert_eq!((third, next), (vec!["Laptop".to_owned()], None));
    for (search, expect) in [
        ("LAPTOP", vec!["laptop-2", "Laptop"]),
        ("%", vec!["100%_!"]),
        ("_!", vec!["100%_!"]),
        ("' OR 1=1 --", vec![]),
        ("alice@", vec!["ci", "laptop-2", "build", "100%_!", "Laptop"]),
    ] {
        let (found, _, total) =
            labels(Listing { search: Some(search.to_owned()), ..Listing::default() }).await;
        assert_eq!(
            (&found, total),
            (&expect.iter().map(ToString::to_string).collect(), i64::try_from(found.len()).unwrap())
        );
    }
    let token = &registry.tokens(&Listing::default()).await.unwrap().items[0];
    registry.set_token_status(&token.digest, Status::Disabled, &admin()).await.unwrap();
    let (found, ..) = labels(Listing { status: Some(Status::Disabled), ..Listing::default() }).await;
    assert_eq!(found, ["ci"]);
}

async fn every_change_is_in_the_audit_log(database: &Database) {
    let registry = database.open().await;
    let token = create(&registry, "a").await.record;
    registry.set_token_status(&token.digest, Status::Disabled, &admin()).await.unwrap();
    registry.set_token_status(&token.digest, Status::Active, &admin()).await.unwrap();
    registry.set_token_expiry(&token.digest, Some("2099-01-01T00:00:00Z"), &admin()).await.unwrap();
    registry.rotate_token(&token.digest, Source::Mint, Duration::ZERO, &admin()).await.unwrap();
    registry.delete_token(&token.digest, &admin()).await.unwrap();
    registry.note(&admin(), "admin.sign_in", "admin").await.unwrap();
    let all = registry.audit(&AuditQuery::default()).await.unwrap();
    let actions: Vec<_> = all.items.iter().rev().map(|entry| entry.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "token.create",
            "token.disable",
            "token.enable",
            "token.set_expiry",
            "token.rotate",
            "token.create",
            "token.delete",
            "admin.sign_in"
        ]
    );
    assert!(all.items.iter().all(|entry| entry.actor.as_deref() == Some("admin")));
    let of_token =
        AuditQuery { subject: Some(token.digest.to_hex()), limit: Some(4), ..AuditQuery::default() };
    let page = registry.audit(&of_token).await.unwrap();
    assert_eq!((page.items.len(), page.total, page.next.is_some()), (4, 6, true));
    // The failed change is not in the log.
    assert!(registry.delete_token(&token.digest, &admin()).await.is_err());
    assert_eq!(registry.audit(&AuditQuery::default()).await.unwrap().total, 8);
}

async fn hostile_labels_are_only_text(database: &Database) {
    let registry = database.open().await;
    for label in ["'); DROP TABLE tokens; --", "<script>alert(1)</script>", "$1 %s ${x} \\' \"", "ключ 🔑"]
    {
        let token = create(&registry, label).await.record;
        assert_eq!(registry.token(&token.digest).await.unwrap().label, label);
        let found = registry.tokens(&Listing { search: Some(label.to_owned()), ..Listing::default() }).await;
        assert_eq!(found.unwrap().items, [token]);
    }
}
