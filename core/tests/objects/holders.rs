//! Holders: the first claim, teams, changes, deletions, and what workers remember.

use keyswap_core::base::Digest;
use keyswap_core::services::FetchAnswer;
use serde_json::{Value, json};

use crate::plane::{A, Answered, B, C, Plane, json_answer};
use crate::registry::Registry;
use crate::support::worker::at;

#[test]
fn the_first_claim_holds() {
    let registry = Registry::default();
    let [first, second] = [(); 2].map(|()| Plane::new(&registry, &json!({})));
    let answer = json_answer(r#"{"id":"file-1"}"#);
    first.post(A, "/openai/v1/files", "{}", &answer);
    assert_eq!(second.post(B, "/openai/v1/files", "{}", &answer).reason(), "forward");
    assert_eq!(second.get(B, "/openai/v1/files/file-1").reason(), "object_not_found");
    assert_eq!(second.get(A, "/openai/v1/files/file-1").reason(), "forward");
    // The same id at another provider is another object.
    assert_eq!(first.get(A, "/anthropic/v1/files/file-1").reason(), "object_not_found");
}

#[test]
fn what_was_deleted_is_forgotten() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    for (status, left) in [(404, 1), (200, 0)] {
        plane.post(A, "/openai/v1/files", "{}", &json_answer(r#"{"id":"file-1"}"#));
        for path in ["/openai/v1/files/file-1/content", "/openai/v1/files/file-1"] {
            let answer = Answered(status, "application/json", vec!["{}"]);
            assert_eq!(plane.ask(A, ("DELETE", path), &Value::Null, &answer).reason(), "forward");
            let known = registry.calls().iter().filter(|it| *it == "find").count();
            assert_eq!(known, 0, "{path}");
        }
        plane.tick();
        assert_eq!(registry.kinds().len(), left, "{status}");
    }
    assert_eq!(plane.get(A, "/openai/v1/files/file-1").reason(), "object_not_found");
}

#[test]
fn a_team_shares_where_the_policy_says_so_and_all_do_where_objects_are_shared() {
    for (changes, c, b) in [
        (json!({}), "object_not_found", "object_not_found"),
        (json!({"objects": "own"}), "object_not_found", "object_not_found"),
        (json!({"objects": "team"}), "forward", "object_not_found"),
        (json!({"objects": "shared"}), "forward", "forward"),
        (
            json!({"objects": "shared", "providers": {"openai": {"objects": "team"}}}),
            "forward",
            "object_not_found",
        ),
        (json!({"providers": {"openai": {"objects": "shared"}}}), "forward", "forward"),
        (json!({"objects": "shared", "registry": null}), "forward", "forward"),
        (json!({"registry": null}), "objects_unkept", "objects_unkept"),
    ] {
        let registry = Registry::default();
        let plane = Plane::new(&registry, &changes);
        plane.post(A, "/openai/v1/files", "{}", &json_answer(r#"{"id":"file-1"}"#));
        assert_eq!(plane.get(C, "/openai/v1/files/file-1").reason(), c, "{changes}");
        assert_eq!(plane.get(B, "/openai/v1/files/file-1").reason(), b, "{changes}");
        if b == "forward" {
            assert!(registry.calls().is_empty(), "{changes}");
        }
    }
}

/// Has a plane follow the feed, in which these objects have changed.
fn hear(plane: &Plane<'_>, sequence: u64, ids: &[&str]) {
    let fetches = plane.worker.due(plane.now.get(), &plane.store).fetches;
    let feed = fetches.iter().find(|fetch| fetch.key.kind() == "changes").expect("the feed is due");
    let digest = |id: &&str| Digest::of(format!("object\0openai\0{id}").as_bytes()).to_hex();
    let changes: Vec<Value> =
        ids.iter().map(|id| json!({"kind": "object", "key": digest(id), "sequence": sequence})).collect();
    let body = json!({
        "sequence": sequence, "history": format!("{:016x}", sequence + 1), "reset": false, "changes": changes
    });
    let body = body.to_string();
    let answer = FetchAnswer::Response { status: 200, body: body.as_bytes() };
    let accepted = plane.worker.accept(&feed.key, feed.as_of, &answer, plane.now.get(), &plane.store);
    assert!(accepted.outcome.is_healthy());
}

#[test]
fn an_object_that_an_administrator_gives_away_is_its_old_holders_no_more() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    hear(&plane, 5, &[]);
    for id in ["file-1", "file-2"] {
        plane.post(A, "/openai/v1/files", "{}", &json_answer(&format!(r#"{{"id":"{id}"}}"#)));
    }
    for object in registry.objects.borrow_mut().values_mut().filter(|it| it["id"] == "file-1") {
        object["principal"] = Digest::of(B.as_bytes()).to_hex().into();
        object["version"] = 7.into();
    }
    hear(&plane, 7, &["file-1"]);
    registry.calls();
    assert_eq!(plane.get(A, "/openai/v1/files/file-2").reason(), "forward");
    assert!(registry.calls().is_empty(), "nothing changed about the other one");
    assert_eq!(plane.get(A, "/openai/v1/files/file-1").reason(), "object_not_found");
    assert_eq!(plane.get(B, "/openai/v1/files/file-1").reason(), "forward");
    assert_eq!(registry.calls(), ["find"]);
}

#[test]
fn another_callers_object_costs_the_same_calls_as_one_that_never_was() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    plane.post(A, "/openai/v1/files", "{}", &json_answer(r#"{"id":"file-1"}"#));
    for _ in 0..3 {
        for id in ["file-1", "file-2"] {
            registry.calls();
            plane.get(B, &format!("/openai/v1/files/{id}"));
            plane.post(
                B,
                "/openai/v1/batches",
                &format!(r#"{{"input_file_id":"{id}"}}"#),
                &json_answer("{}"),
            );
            assert_eq!(registry.calls(), ["find", "find"], "{id}");
        }
    }
}

#[test]
fn what_a_worker_knows_all_workers_of_the_process_know_and_no_longer_than_the_registry_says() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    plane.post(A, "/openai/v1/files", "{}", &json_answer(r#"{"id":"file-1"}"#));
    let other = Plane { store: plane.store, ..Plane::new(&registry, &json!({})) };
    registry.calls();
    registry.is_down.set(true);
    assert_eq!(other.get(A, "/openai/v1/files/file-1").reason(), "forward");
    assert_eq!(other.get(B, "/openai/v1/files/file-1").reason(), "registry_unavailable");
    other.now.set(at(61));
    assert_eq!(other.get(A, "/openai/v1/files/file-1").reason(), "registry_unavailable");
    registry.is_down.set(false);
    other.now.set(at(63));
    assert_eq!(other.get(A, "/openai/v1/files/file-1").reason(), "forward");
}
