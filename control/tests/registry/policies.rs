//! Signed policies: ascending revisions, and the reports of data planes.

use std::sync::LazyLock;

use keyswap::registry::{Plane, Registry, RegistryError, Report, Revision};
use keyswap_core::base::Digest;
use keyswap_tests::SigningKey;
use serde_json::{Value, json};

use crate::server::Server;
use crate::signers::{follows, keys, sign};
use crate::support::{Database, admin, on_both_databases};

on_both_databases!(
    every_revision_is_newer_than_the_one_before,
    of_those_who_publish_at_once_one_wins,
    what_no_data_plane_could_take_is_not_published,
    data_planes_are_known_by_what_they_told_last,
    no_number_of_names_fills_the_table,
    a_data_plane_gets_the_newest_text_once_and_is_listed,
);

fn policy(label: &str) -> Value {
    json!({
        "version": "keyswap/v1",
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "tokens": [{"sha256": "a".repeat(64), "label": label, "providers": ["openai"]}],
    })
}

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::p256("k").unwrap());

/// Returns a bundle that follows none.
fn bundle(name: &str, revision: u64, policy: &Value) -> String {
    sign(&KEY, &json!({"name": name, "revision": revision, "policy": policy}))
}

/// Returns a bundle that follows the newest revision of the registry.
async fn next(registry: &Registry, revision: u64, policy: &Value) -> String {
    let mut payload = json!({"name": "prod", "revision": revision, "policy": policy});
    if let Ok((number, text)) = registry.bundle("prod", None).await {
        payload["follows"] = follows(number, &text);
    }
    sign(&KEY, &payload)
}

async fn publish(registry: &Registry, revision: u64) -> Result<Revision, RegistryError> {
    let text = next(registry, revision, &policy("a")).await;
    let published = registry.publish(&text, Some(&keys(&[&KEY])), &admin()).await?;
    assert!(published.is_complete());
    Ok(published.change)
}

async fn every_revision_is_newer_than_the_one_before(database: &Database) {
    let registry = database.open().await;
    assert!(registry.policies().await.unwrap().is_empty());
    assert!(matches!(registry.policy("prod").await, Err(RegistryError::UnknownPolicy)));
    assert!(matches!(registry.bundle("prod", None).await, Err(RegistryError::UnknownPolicy)));
    let first = publish(&registry, 1).await.unwrap();
    assert_eq!((first.revision, first.percent, first.published_by.as_str()), (1, None, "admin"));
    for stale in [0, 1] {
        assert!(publish(&registry, stale).await.is_err(), "{stale}");
    }
    let rollout = json!({"version": "keyswap-rollout/v1", "stable": policy("a"), "candidate": policy("b"), "percent": 25});
    let text = next(&registry, 7, &rollout).await;
    let second = registry.publish(&text, None, &admin()).await.unwrap().change;
    assert_eq!((second.revision, second.percent), (7, Some(25)));
    let late = bundle("prod", 8, &policy("a"));
    let late = registry.publish(&late, None, &admin()).await;
    assert!(matches!(late, Err(RegistryError::StaleRevision)), "{late:?}");
    // Each name has its own numbers.
    let staging = bundle("staging", 1, &policy("a"));
    registry.publish(&staging, Some(&keys(&[&KEY])), &admin()).await.unwrap();

    let names: Vec<(String, i64)> =
        registry.policies().await.unwrap().into_iter().map(|it| (it.name, it.revision)).collect();
    assert_eq!(names, [("prod".to_owned(), 7), ("staging".to_owned(), 1)]);
    let revisions = registry.policy("prod").await.unwrap().revisions;
    assert_eq!(revisions, [second, first]);
    assert_eq!(registry.bundle("prod", None).await.unwrap(), (7, text));
    assert_eq!(registry.bundle("prod", Some(1)).await.unwrap().0, 1);
    assert!(matches!(registry.bundle("prod", Some(2)).await, Err(RegistryError::UnknownPolicy)));
    let audit = registry.audit(&keyswap::registry::AuditQuery::default()).await.unwrap();
    assert_eq!(audit.items.iter().filter(|entry| entry.action == "policy.publish").count(), 3);
}

async fn of_those_who_publish_at_once_one_wins(database: &Database) {
    let registry = database.open().await;
    let other = database.open().await;
    for revision in 1..=10 {
        let text = next(&registry, revision, &policy("a")).await;
        let keys = keys(&[&KEY]);
        let (one, two) = (admin(), admin());
        let (one, two) =
            tokio::join!(registry.publish(&text, Some(&keys), &one), other.publish(&text, Some(&keys), &two));
        assert_ne!(one.is_ok(), two.is_ok(), "revision {revision}");
        let lost = one.err().or(two.err()).unwrap();
        assert!(matches!(lost, RegistryError::StaleRevision), "{lost:?}");
    }
}

async fn what_no_data_plane_could_take_is_not_published(database: &Database) {
    let registry = database.open().await;
    let secret = "sk-SENTINEL-0123456789";
    let mut literal = policy("a");
    literal["credentials"]["openai"] = json!([{"env": secret}]);
    for (what, text) in [
        ("nothing", String::new()),
        ("no bundle", "a.b.c".to_owned()),
        ("no policy", bundle("prod", 1, &json!({"version": "keyswap/v1"}))),
        ("a bundle of a bundle", bundle("prod", 1, &json!({"version": "keyswap-bundle/v1"}))),
        ("a secret", bundle("prod", 1, &literal)),
        ("a name for a path", bundle("../prod", 1, &policy("a"))),
        ("no name", bundle("", 1, &policy("a"))),
        ("no revision", bundle("prod", 0, &policy("a"))),
        ("a revision beyond all", bundle("prod", u64::MAX, &policy("a"))),
        ("a first revision too far", bundle("prod", 1_000_001, &policy("a"))),
        (
            "expired",
            sign(
                &KEY,
                &json!({"name": "prod", "revision": 1, "policy": policy("a"), "expires_at": "2020-01-01T00:00:00Z"}),
            ),
        ),
        ("too long", bundle("prod", 1, &policy("a")) + &" ".repeat(2 << 20)),
    ] {
        let error = registry.publish(&text, Some(&keys(&[&KEY])), &admin()).await.expect_err(what);
        assert_eq!(error.code(), "invalid_bundle", "{what}: {error}");
        assert!(!error.to_string().contains("SENTINEL"), "{error}");
    }
    assert!(registry.policies().await.unwrap().is_empty());
}

async fn data_planes_are_known_by_what_they_told_last(database: &Database) {
    let registry = database.open().await;
    publish(&registry, 1).await.unwrap();
    let text = next(&registry, 2, &policy("b")).await;
    registry.publish(&text, None, &admin()).await.unwrap();
    let report = |plane: &str, running| Report { plane: plane.to_owned(), running, ..Report::default() };
    registry.report("prod", report("edge-2", None)).await.unwrap();
    registry.report("prod", report("edge-1", Some(1))).await.unwrap();
    let refusal = Report {
        refused: Some(Digest::of(text.as_bytes())),
        problem: Some("bad_policy".to_owned()),
        detail: Some("error at `x`:\n\u{1b}[2J".to_owned() + &"y".repeat(1000)),
        ..report("edge-1", Some(1))
    };
    registry.report("prod", refusal).await.unwrap();
    let planes = registry.policy("prod").await.unwrap().planes;
    let [first, second] = &planes[..] else { panic!("{planes:?}") };
    assert_eq!((first.plane.as_str(), first.revision, first.refused), ("edge-1", Some(1), Some(2)));
    assert_eq!(first.problem.as_deref(), Some("bad_policy"));
    let detail = first.detail.as_deref().unwrap();
    assert!(detail.starts_with("error at `x`:  [2Jy") && detail.chars().count() == 300, "{detail:?}");
    assert_eq!((second.plane.as_str(), second.revision, &second.problem), ("edge-2", None, &None));
    // A solved problem is not reported any more. A refused bundle of another registry has no number.
    registry.report("prod", report("edge-1", Some(2))).await.unwrap();
    let unknown = Report { refused: Some(Digest::of(b"x")), ..report("edge-2", None) };
    registry.report("prod", unknown).await.unwrap();
    let planes = registry.policy("prod").await.unwrap().planes;
    let told = |plane: &Plane| (plane.revision, plane.refused, plane.problem.is_some());
    assert_eq!(planes.iter().map(told).collect::<Vec<_>>(), [(Some(2), None, false), (None, None, false)]);
}

async fn no_number_of_names_fills_the_table(database: &Database) {
    let registry = database.open().await;
    publish(&registry, 1).await.unwrap();
    let report =
        |number: u32| Report { plane: format!("plane {number}"), running: Some(1), ..Report::default() };
    for number in 0..1010 {
        registry.report("prod", report(number)).await.unwrap();
    }
    let planes = registry.policy("prod").await.unwrap().planes;
    assert_eq!(planes.len(), 1000);
    // Known data planes can still report.
    registry.report("prod", Report { running: None, ..report(5) }).await.unwrap();
    let planes = registry.policy("prod").await.unwrap().planes;
    assert_eq!(planes.iter().filter(|plane| plane.revision.is_none()).count(), 1);
}

async fn a_data_plane_gets_the_newest_text_once_and_is_listed(database: &Database) {
    let registry = database.open().await;
    let text = bundle("prod", 3, &policy("a"));
    let server = Server::start(&database.url());
    assert_eq!(server.get("/v1/policies/prod?plane=p").send().await.unwrap().status(), 404);
    registry.publish(&text, Some(&keys(&[&KEY])), &admin()).await.unwrap();
    let response = server.get("/v1/policies/prod?plane=edge%201").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/jose");
    assert_eq!(response.headers()["etag"], "\"3\"");
    assert_eq!(response.text().await.unwrap(), text);
    let again = server.get("/v1/policies/prod?plane=edge%201&running=3").header("if-none-match", "\"3\"");
    let again = again.send().await.unwrap();
    assert_eq!((again.status().as_u16(), again.text().await.unwrap().as_str()), (304, ""));
    let planes = registry.policy("prod").await.unwrap().planes;
    assert_eq!((planes[0].plane.as_str(), planes[0].revision), ("edge 1", Some(3)));
    for (path, status) in [
        ("/v1/policies/prod?running=x", 400),
        ("/v1/policies/prod?refused=abc", 400),
        ("/v1/policies/prod?secret=abc", 400),
        ("/v1/policies/..%2fprod", 404),
    ] {
        assert_eq!(server.get(path).send().await.unwrap().status(), status, "{path}");
    }
    let bare = reqwest::get(format!("{}/v1/policies/prod", server.url)).await.unwrap();
    assert_eq!(bare.status(), 401);
}
