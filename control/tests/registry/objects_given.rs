//! Objects that change their holder: rotated tokens, leavers, adoptions and transfers.

use std::time::Duration;

use keyswap::registry::{
    AuditQuery, Holder, HolderState, KeptObject, NewToken, NewUser, ObjectClaim, ObjectListing,
    RegistryError, Source, Status, Subject,
};
use keyswap_core::base::{Digest, UnixTime};
use keyswap_core::identity::person_digest;

use crate::objects::{claim, claimed, holder, key, now};
use crate::support::{Database, admin, create, new_token, on_both_databases};

on_both_databases!(
    a_rotated_token_shares_its_objects_with_its_successors,
    objects_of_a_leaver_stay_and_are_transferred,
    an_adoption_gives_only_what_has_no_holder,
    a_transfer_of_all_goes_in_parts,
    each_change_of_a_holder_is_in_the_feed_and_the_audit_log,
);

fn alice() -> Holder {
    Holder::parse("person:alice@acme.example").unwrap()
}

async fn a_rotated_token_shares_its_objects_with_its_successors(database: &Database) {
    let registry = database.open().await;
    let first = create(&registry, "ci").await.record;
    assert_eq!(first.holder, first.digest);
    claimed(&registry, claim("file-1", first.digest)).await;
    let grace = Duration::from_hours(1);
    let rotate = async |digest: &Digest| {
        registry.rotate_token(digest, Source::Mint, grace, &admin()).await.unwrap().successor.record
    };
    let second = rotate(&first.digest).await;
    let third = rotate(&second.digest).await;
    assert_eq!((second.holder, third.holder), (first.digest, first.digest));
    assert_eq!(registry.token(&first.digest).await.unwrap().holder, first.digest);
    // Each of them makes objects for all, whichever digest a data plane tells.
    for (id, token) in [("file-2", &first), ("file-3", &second), ("file-4", &third)] {
        let object = claimed(&registry, claim(id, token.digest)).await;
        assert_eq!((object.principal, object.label.as_str()), (first.digest, "ci"), "{id}");
    }
    for token in [&first, &second, &third] {
        let listing = ObjectListing { holder: Some(Holder::Token(token.digest)), ..ObjectListing::default() };
        assert_eq!(registry.objects(&listing).await.unwrap().total, 4);
    }
    // Without the first one the line goes on.
    registry.delete_token(&first.digest, &admin()).await.unwrap();
    let object = claimed(&registry, claim("file-5", third.digest)).await;
    assert_eq!((object.principal, object.holder), (first.digest, HolderState::Active));
    // Another token does not come into the line, also not with the label of one.
    assert_ne!(create(&registry, "ci").await.record.holder, first.digest);
}

async fn objects_of_a_leaver_stay_and_are_transferred(database: &Database) {
    let registry = database.open().await;
    let email = "alice@acme.example";
    let new = NewUser {
        email: email.to_owned(),
        providers: vec!["openai".to_owned()],
        team: Some("red".to_owned()),
        ..NewUser::default()
    };
    registry.create_user(new, &admin()).await.unwrap();
    let token = create(&registry, "ci").await.record;
    let person = person_digest(email);
    let of_person = ObjectClaim { owner: Some(email.to_owned()), ..claim("file-p", person) };
    assert_eq!(claimed(&registry, of_person).await.label, email);
    claimed(&registry, claim("file-t", token.digest)).await;
    let left = async || {
        let listing = ObjectListing { left: true, ..ObjectListing::default() };
        let page = registry.objects(&listing).await.unwrap();
        assert_eq!(page.total, i64::try_from(page.items.len()).unwrap());
        page.items.into_iter().map(|object| (object.id, object.holder.name())).collect::<Vec<_>>()
    };
    assert_eq!(left().await, []);
    registry.set_token_status(&token.digest, Status::Disabled, &admin()).await.unwrap();
    assert_eq!(left().await, [("file-t".to_owned(), "inactive")]);
    registry.set_token_status(&token.digest, Status::Active, &admin()).await.unwrap();
    registry.set_token_expiry(&token.digest, Some("2020-01-01T00:00:00Z"), &admin()).await.unwrap();
    assert_eq!(left().await, [("file-t".to_owned(), "inactive")]);
    registry.delete_token(&token.digest, &admin()).await.unwrap();
    registry.delete_user(email, &admin()).await.unwrap();
    assert_eq!(left().await, [("file-t".to_owned(), "unknown"), ("file-p".to_owned(), "unknown")]);
    // The label of the deleted token is still known.
    assert_eq!(registry.object(&key("file-t").digest()).await.unwrap().label, "ci");
    let heir = registry
        .create_token(Source::Mint, NewToken { team: Some("blue".to_owned()), ..new_token("heir") }, &admin())
        .await
        .unwrap()
        .record;
    for from in [Holder::Token(token.digest), alice()] {
        let moved = registry.transfer_objects(&from, &Holder::Token(heir.digest), &admin()).await.unwrap();
        assert_eq!((moved.moved, moved.more), (1, false));
    }
    assert_eq!(left().await, []);
    let object = registry.object(&key("file-p").digest()).await.unwrap();
    assert_eq!((object.principal, object.team.as_deref()), (heir.digest, Some("blue")));
}

async fn an_adoption_gives_only_what_has_no_holder(database: &Database) {
    let registry = database.open().await;
    let a = Digest::of(b"a");
    claimed(&registry, claim("file-1", a)).await;
    let past = Some(UnixTime(now().0 - 1));
    claimed(&registry, ObjectClaim { expires_at: past, ..claim("file-2", a) }).await;
    let keys = [key("file-1"), key("file-2"), key("file-3"), key("file-3")];
    let answer = registry.adopt_objects(&keys, Some("file"), &alice(), &admin()).await.unwrap();
    let ids = |objects: &[KeptObject]| {
        let mut ids: Vec<_> = objects.iter().map(|object| object.id.clone()).collect();
        ids.sort();
        ids.join(" ")
    };
    assert_eq!((ids(&answer.adopted), ids(&answer.held)), ("file-2 file-3".to_owned(), "file-1".to_owned()));
    assert_eq!(holder(&registry, "file-3").await, Some(person_digest("alice@acme.example")));
    assert_eq!(holder(&registry, "file-1").await, Some(a));
    let again = registry.adopt_objects(&keys, None, &Holder::Token(a), &admin()).await.unwrap();
    assert_eq!((again.adopted.len(), again.held.len()), (0, 3));
    let many: Vec<_> = (0..201).map(|number| key(&format!("file-{number}"))).collect();
    let refused = registry.adopt_objects(&many, None, &alice(), &admin()).await;
    assert_eq!(refused.unwrap_err().code(), "invalid_field");
    let refused = registry.adopt_objects(&keys, Some("A File"), &alice(), &admin()).await;
    assert_eq!(refused.unwrap_err().code(), "invalid_field");
}

async fn a_transfer_of_all_goes_in_parts(database: &Database) {
    let registry = database.open().await;
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    for part in 0..9 {
        let claims = (0..50).map(|number| claim(&format!("file-{part}-{number}"), a)).collect();
        registry.claim_objects(claims).await.unwrap();
    }
    claimed(&registry, claim("file-other", Digest::of(b"c"))).await;
    let (from, to) = (Holder::Token(a), Holder::Token(b));
    let mut parts = Vec::new();
    loop {
        let part = registry.transfer_objects(&from, &to, &admin()).await.unwrap();
        parts.push(part.moved);
        if !part.more {
            break;
        }
    }
    assert_eq!(parts, [200, 200, 50]);
    let total = async |holder: Holder| {
        let listing = ObjectListing { holder: Some(holder), ..ObjectListing::default() };
        registry.objects(&listing).await.unwrap().total
    };
    assert_eq!((total(from.clone()).await, total(to).await), (0, 450));
    assert_eq!(registry.transfer_objects(&from, &alice(), &admin()).await.unwrap().moved, 0);
    let same = registry.transfer_objects(&from, &from, &admin()).await;
    assert_eq!(same.unwrap_err().code(), "invalid_field");
}

async fn each_change_of_a_holder_is_in_the_feed_and_the_audit_log(database: &Database) {
    let registry = database.open().await;
    let digest = key("file-1").digest();
    registry.adopt_objects(&[key("file-1")], Some("file"), &alice(), &admin()).await.unwrap();
    let given = registry.transfer_object(&digest, &Holder::Token(Digest::of(b"b")), &admin()).await.unwrap();
    assert_eq!((given.principal, given.version), (Digest::of(b"b"), 2));
    registry.transfer_objects(&Holder::Token(Digest::of(b"b")), &alice(), &admin()).await.unwrap();
    registry.forget_object(&digest, &admin()).await.unwrap();
    let feed = registry.changes(0, None, Duration::ZERO).await.unwrap();
    let newest = &feed.changes[0];
    assert_eq!((feed.changes.len(), newest.kind, newest.sequence), (1, Subject::Object, 4));
    assert_eq!(newest.key, digest.to_hex());
    let audit = async |subject: &str| {
        let query = AuditQuery { subject: Some(subject.to_owned()), ..AuditQuery::default() };
        let page = registry.audit(&query).await.unwrap();
        page.items.into_iter().map(|entry| (entry.action, entry.detail)).collect::<Vec<_>>()
    };
    let of_object = audit("openai/file-1").await;
    let actions: Vec<_> = of_object.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["object.forget", "object.transfer", "object.adopt"]);
    assert_eq!(of_object[1].1["from"]["owner"], "alice@acme.example");
    assert_eq!(of_object[1].1["to"]["sha256"], Digest::of(b"b").to_hex());
    let of_holder = audit(&Digest::of(b"b").to_hex()).await;
    assert_eq!((of_holder[0].0.as_str(), &of_holder[0].1["objects"]), ("object.transfer_all", &1.into()));
    for result in [
        registry.forget_object(&digest, &admin()).await,
        registry.transfer_object(&digest, &alice(), &admin()).await.map(drop),
        registry.object(&digest).await.map(drop),
    ] {
        assert!(matches!(result, Err(RegistryError::UnknownObject)));
    }
}
