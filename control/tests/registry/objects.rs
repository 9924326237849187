//! Objects of callers: claims, holders, changes of holders, expiry and rotation.

use std::time::Duration;

use keyswap::registry::{Holder, KeptObject, ObjectClaim, ObjectKey, ObjectListing, Registry, Subject};
use keyswap_core::base::{Digest, UnixTime};
use tokio::task::JoinSet;

use crate::support::{Database, create, on_both_databases};

on_both_databases!(
    the_first_claim_wins,
    an_object_is_found_by_its_exact_id,
    claims_of_many_data_planes_agree_on_one_holder,
    a_claim_is_no_change_and_a_removal_is_one,
    an_expired_object_is_claimed_anew,
    a_later_expiry_counts,
    claims_that_make_no_sense_are_refused,
    lists_are_filtered_and_paged,
    expired_objects_are_deleted_after_a_day,
    a_change_and_a_claim_of_one_object_at_the_same_time_end_well,
);

pub(crate) fn now() -> UnixTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixTime(i64::try_from(since.as_secs()).unwrap())
}

pub(crate) fn key(id: &str) -> ObjectKey {
    ObjectKey::new("openai", id).unwrap()
}

pub(crate) fn claim(id: &str, principal: Digest) -> ObjectClaim {
    ObjectClaim {
        key: key(id),
        kind: "file".to_owned(),
        principal,
        owner: None,
        team: None,
        expires_at: None,
    }
}

pub(crate) async fn claimed(registry: &Registry, claim: ObjectClaim) -> KeptObject {
    registry.claim_objects(vec![claim]).await.unwrap().remove(0)
}

pub(crate) async fn holder(registry: &Registry, id: &str) -> Option<Digest> {
    registry.find_objects(&[key(id).digest()]).await.unwrap().first().map(|object| object.principal)
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
    assert_eq!(holder(&registry, "files/name").await, None, "no data plane keeps what may be given anew");
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
        assert_eq!(
            (got.join(" "), page.total),
            (ids.to_owned(), i64::try_from(got.len()).unwrap()),
            "{listing:?}"
        );
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
