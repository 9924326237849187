//! Objects of callers: claims, holders, changes of holders, expiry and rotation.

use std::time::Duration;

use keyswap::registry::{
    Holder, HolderState, KeptObject, Listing, NewUser, ObjectClaim, ObjectKey, ObjectListing, Registry,
    RegistryError, Source, Status, Subject,
};
use keyswap_core::base::{Digest, UnixTime};
use keyswap_core::identity::person_digest;
use tokio::task::JoinSet;

use crate::support::{Database, admin, create, new_token, on_both_databases};

on_both_databases!(
    the_first_claim_wins,
    an_object_is_found_by_its_exact_id,
    claims_of_many_data_planes_agree_on_one_holder,
    a_claim_is_no_change_and_a_removal_is_one,
    an_expired_object_is_claimed_anew,
    a_later_expiry_counts,
    claims_that_make_no_sense_are_refused,
    a_rotated_token_shares_its_objects_with_its_successors,
    objects_of_a_leaver_stay_and_are_transferred,
    an_adoption_gives_only_what_has_no_holder,
    a_transfer_of_all_goes_in_parts,
    each_change_of_a_holder_is_in_the_feed_and_the_audit_log,
    lists_are_filtered_and_paged,
    expired_objects_are_deleted_after_a_day,
    a_change_and_a_claim_of_one_object_at_the_same_time_end_well,
);

fn now() -> UnixTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixTime(i64::try_from(since.as_secs()).unwrap())
}

fn key(id: &str) -> ObjectKey {
    ObjectKey::new("openai", id).unwrap()
}

fn claim(id: &str, principal: Digest) -> ObjectClaim {
    ObjectClaim {
        key: key(id),
        kind: "file".to_owned(),
        principal,
        owner: None,
        team: None,
        expires_at: None,
    }
}

async fn claimed(registry: &Registry, claim: ObjectClaim) -> KeptObject {
    registry.claim_objects(vec![claim]).await.unwrap().remove(0)
}

async fn holder(registry: &Registry, id: &str) -> Option<Digest> {
    registry.find_objects(&[key(id).digest()]).await.unwrap().first().map(|object| object.principal)
}

fn alice() -> Holder {
    Holder::parse("person:alice@acme.example").unwrap()
}

async fn the_first_claim_wins(database: &Database) {
    let registry = database.open().await;
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let first = claimed(&registry, ObjectClaim { team: Some("red".to_owned()), ..claim("file-1", a) }).await;
    assert_eq!((first.principal, first.team.as_deref(), first.kind.as_str()), (a, Some("red"), "file"));
    let again = claimed(&registry, claim("file-1", a)).await;
    assert_eq!(again, first, "a repeated claim changes nothing");
    let other = ObjectClaim { kind: "batch".to_owned(), owner: Some("b@b".to_owned()), ..claim("file-1", b) };
    assert_eq!(claimed(&registry, other).await, first);
    // Several at once, one of them known and one named twice: the first of the two wins.
    let many = vec![claim("file-1", b), claim("file-2", b), claim("file-2", a)];
    assert_eq!(registry.claim_objects(many).await.unwrap().len(), 2);
    assert_eq!((holder(&registry, "file-1").await, holder(&registry, "file-2").await), (Some(a), Some(b)));
}

async fn an_object_is_found_by_its_exact_id(database: &Database) {
    let registry = database.open().await;
    claimed(&registry, claim("file-abc", Digest::of(b"a"))).await;
    for (provider, id) in [
        ("openai", "FILE-abc"),
        ("openai", "file-abc "),
        ("openai", "file%2Dabc"),
        ("openai", "file-ab"),
        ("OpenAI", "file-abc"),
        ("groq", "file-abc"),
    ] {
        let other = ObjectKey::new(provider, id).unwrap().digest();
        assert!(registry.find_objects(&[other]).await.unwrap().is_empty(), "{provider} {id}");
    }
    // Any number up to 200, with unknown and repeated ones.
    let known = key("file-abc").digest();
    for count in [0, 1, 2, 19, 20, 21, 199, 200] {
        let mut asked: Vec<Digest> =
            (0..count).map(|number| key(&format!("file-{number}")).digest()).collect();
        assert!(registry.find_objects(&asked).await.unwrap().is_empty(), "{count}");
        if let Some(last) = asked.last_mut() {
            *last = known;
            assert_eq!(registry.find_objects(&asked).await.unwrap().len(), 1, "{count}");
        }
    }
}

async fn claims_of_many_data_planes_agree_on_one_holder(database: &Database) {
    let replicas = [database.open().await, database.open().await];
    let mut planes = JoinSet::new();
    for plane in 0..8_usize {
        let registry = replicas[plane % 2].clone();
        planes.spawn(async move {
            let mut ids: Vec<usize> = (0..20).collect();
            ids.rotate_left(plane);
            let principal = Digest::of(&[u8::try_from(plane).unwrap()]);
            let claims = ids.iter().map(|id| claim(&format!("file-{id}"), principal)).collect();
            let objects = registry.claim_objects(claims).await.unwrap();
            objects.into_iter().map(|object| (object.digest, object.principal)).collect::<Vec<_>>()
        });
    }
    for answer in planes.join_all().await {
        assert_eq!(answer.len(), 20);
        for (digest, principal) in answer {
            assert_eq!(replicas[0].object(&digest).await.unwrap().principal, principal);
        }
    }
}

async fn a_claim_is_no_change_and_a_removal_is_one(database: &Database) {
    let registry = database.open().await;
    create(&registry, "a").await;
    let object = claimed(&registry, claim("file-1", Digest::of(b"a"))).await;
    assert_eq!((object.version, registry.newest_change().await.unwrap().sequence), (1, 1));
    registry.remove_objects(&[object.digest, key("file-2").digest(), object.digest]).await.unwrap();
    assert_eq!(holder(&registry, "file-1").await, None);
    let feed = registry.changes(1, None, Duration::ZERO).await.unwrap();
    let changes: Vec<_> = feed.changes.iter().map(|change| (change.kind, change.key.as_str())).collect();
    assert_eq!(changes, [(Subject::Object, object.digest.to_hex().as_str())]);
    // A record after the removal is not older than it, so that data planes use it.
    let again = claimed(&registry, claim("file-1", Digest::of(b"b"))).await;
    assert_eq!((again.version, again.principal), (2, Digest::of(b"b")));
    registry.remove_objects(&[]).await.unwrap();
    assert_eq!(registry.newest_change().await.unwrap().sequence, 2);
}

async fn an_expired_object_is_claimed_anew(database: &Database) {
    let registry = database.open().await;
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let past = Some(UnixTime(now().0 - 1));
    let old = claimed(&registry, ObjectClaim { expires_at: past, ..claim("files/name", a) }).await;
    assert_eq!(old.principal, a);
    // A caller chose the name again after the provider had deleted the object.
    let new = claimed(&registry, claim("files/name", b)).await;
    assert_eq!((new.principal, new.expires_at), (b, None));
    let feed = registry.changes(0, None, Duration::ZERO).await.unwrap();
    assert_eq!(
        (feed.changes.len(), feed.changes[0].sequence),
        (1, new.version),
        "data planes know the old holder"
    );
}

async fn a_later_expiry_counts(database: &Database) {
    let registry = database.open().await;
    let a = Digest::of(b"a");
    let soon = now().0 + 1000;
    for (told, expect) in [
        (Some(soon), Some(soon)),
        (Some(soon - 1), Some(soon)),
        (Some(soon + 5), Some(soon + 5)),
        (None, None),
        (Some(soon), None),
    ] {
        let object = ObjectClaim { expires_at: told.map(UnixTime), ..claim("cachedContents/1", a) };
        assert_eq!(claimed(&registry, object).await.expires_at, expect.map(UnixTime), "{told:?}");
    }
}

async fn claims_that_make_no_sense_are_refused(database: &Database) {
    let registry = database.open().await;
    let a = Digest::of(b"a");
    for kind in ["", "File", "a b", "a\0", &"k".repeat(65)] {
        let wrong = ObjectClaim { kind: kind.to_owned(), ..claim("file-1", a) };
        let refused = registry.claim_objects(vec![claim("file-2", a), wrong]).await;
        assert_eq!(refused.unwrap_err().code(), "invalid_field", "{kind:?}");
    }
    assert_eq!(holder(&registry, "file-2").await, None, "half a claim");
    let many = (0..51).map(|number| claim(&format!("file-{number}"), a)).collect();
    assert_eq!(registry.claim_objects(many).await.unwrap_err().code(), "invalid_field");
    let digests = vec![a; 201];
    assert_eq!(registry.find_objects(&digests).await.unwrap_err().code(), "invalid_field");
    assert_eq!(registry.remove_objects(&digests[..51]).await.unwrap_err().code(), "invalid_field");
    // Texts of data planes are shown to people.
    let odd = ObjectClaim {
        owner: Some("A\u{202e}B@c".to_owned()),
        team: Some("x\u{1b}[2J".repeat(100)),
        ..claim("file-3", a)
    };
    let kept = claimed(&registry, odd).await;
    assert_eq!(
        (kept.owner.as_deref(), kept.team.map(|team| team.chars().count())),
        (Some("ab@c"), Some(254))
    );
}

async fn a_rotated_token_shares_its_objects_with_its_successors(database: &Database) {
    let registry = database.open().await;
    let first = create(&registry, "ci").await.record;
    assert_eq!(first.holder, first.digest);
    claimed(&registry, claim("file-1", first.digest)).await;
    let grace = Duration::from_secs(3600);
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
        .create_token(
            Source::Mint,
            keyswap::registry::NewToken { team: Some("blue".to_owned()), ..new_token("heir") },
            &admin(),
        )
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
        let listing = Listing { search: Some(subject.to_owned()), ..Listing::default() };
        let page = registry.audit(&listing).await.unwrap();
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

async fn lists_are_filtered_and_paged(database: &Database) {
    let registry = database.open().await;
    let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
    let of = |provider: &str, kind: &str, id: &str, principal| ObjectClaim {
        key: ObjectKey::new(provider, id).unwrap(),
        kind: kind.to_owned(),
        owner: Some(format!("{id}@Acme.example")),
        team: Some("red' OR '1'='1".to_owned()).filter(|_| principal == b),
        ..claim(id, principal)
    };
    for claim in [
        of("openai", "file", "f1", a),
        of("openai", "batch", "b1", a),
        of("anthropic", "file", "f2", b),
        of("openai", "file", "f3", b),
    ] {
        claimed(&registry, claim).await;
    }
    let some = |text: &str| Some(text.to_owned());
    let all = ObjectListing::default;
    for (listing, ids) in [
        (all(), "f3 f2 b1 f1"),
        (ObjectListing { provider: some("openai"), ..all() }, "f3 b1 f1"),
        (ObjectListing { kind: some("file"), provider: some("openai"), ..all() }, "f3 f1"),
        (ObjectListing { holder: Some(Holder::Token(b)), ..all() }, "f3 f2"),
        (ObjectListing { owner: some("F1@acme.example"), ..all() }, "f1"),
        (ObjectListing { team: some("red' OR '1'='1"), ..all() }, "f3 f2"),
        (ObjectListing { team: some("' OR '1'='1"), ..all() }, ""),
        (ObjectListing { left: true, kind: some("batch"), ..all() }, "b1"),
    ] {
        let page = registry.objects(&listing).await.unwrap();
        let got: Vec<_> = page.items.iter().map(|object| object.id.as_str()).collect();
        assert_eq!((got.join(" "), page.total), (ids.to_owned(), got.len() as i64), "{listing:?}");
        // The same in pages of one.
        let (mut after, mut paged) = (None, Vec::new());
        loop {
            let listing = ObjectListing { after, limit: Some(1), ..listing.clone() };
            let page = registry.objects(&listing).await.unwrap();
            paged.extend(page.items.into_iter().map(|object| object.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(paged.join(" "), ids, "{listing:?}");
    }
    let counts = registry.object_counts().await.unwrap();
    let counts: Vec<_> = counts.iter().map(|row| format!("{} {} {}", row.0, row.1, row.2)).collect();
    assert_eq!(counts, ["openai file 2", "anthropic file 1", "openai batch 1"]);
}

async fn expired_objects_are_deleted_after_a_day(database: &Database) {
    let registry = database.open().await;
    let a = Digest::of(b"a");
    let expiry = now().0 + 1000;
    claimed(&registry, ObjectClaim { expires_at: Some(UnixTime(expiry)), ..claim("file-1", a) }).await;
    claimed(&registry, claim("file-2", a)).await;
    for (at, is_there) in [(expiry, true), (expiry + 86_400, true), (expiry + 86_401, false)] {
        registry.tidy(UnixTime(at), UnixTime(0)).await.unwrap();
        assert_eq!(holder(&registry, "file-1").await.is_some(), is_there, "{}", at - expiry);
    }
    assert_eq!(holder(&registry, "file-2").await, Some(a));
}

async fn a_change_and_a_claim_of_one_object_at_the_same_time_end_well(database: &Database) {
    let (registry, other) = (database.open().await, database.open().await);
    let (a, digest) = (Digest::of(b"a"), key("file-1").digest());
    for _ in 0..20 {
        claimed(&registry, claim("file-1", a)).await;
        let (removing, claiming) = (other.clone(), registry.clone());
        let remove = tokio::spawn(async move { removing.remove_objects(&[digest]).await.unwrap() });
        let answer =
            tokio::spawn(async move { claiming.claim_objects(vec![claim("file-1", a)]).await.unwrap() });
        remove.await.unwrap();
        answer.await.unwrap();
        // A record that is there after the removal is not older than the change, or no data plane would use it.
        let newest = registry.newest_change().await.unwrap().sequence;
        if let Some(object) = registry.find_objects(&[digest]).await.unwrap().first() {
            assert_eq!(object.version, newest);
        }
    }
}
