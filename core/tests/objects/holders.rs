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
        plane.tick("/v1/objects/");
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

/// The requests that may name another caller's object, with `@` for its id.
const GUESSES: [(&str, &str, &str, &str); 8] = [
    ("GET", "/openai/v1/files/@", "", ""),
    ("DELETE", "/openai/v1/files/@", "", ""),
    ("GET", "/openai/v1/files?after=@", "", ""),
    ("POST", "/openai/v1/batches", "application/json", r#"{"input_file_id":"@"}"#),
    ("POST", "/openai/v1/responses", "application/json", r#"{"stream":true,"previous_response_id":"@"}"#),
    (
        "POST",
        "/openai/v1/videos",
        "multipart/form-data; boundary=b",
        "--b\r\nContent-Disposition: form-data; name=\"file_ids[]\"\r\n\r\n@\r\n--b--\r\n",
    ),
    ("POST", "/openai/v1/chat/completions", "application/json", r#"{"model":"ft:@"}"#),
    (
        "POST",
        "/google-ai-studio/v1beta/models/m:generateContent",
        "application/json",
        r#"{"cachedContent":"cachedContents/@"}"#,
    ),
];

#[test]
fn another_callers_object_costs_the_same_calls_and_the_same_memory_as_one_that_never_was() {
    for (method, path, content_type, body) in GUESSES {
        let registry = Registry::default();
        let knowing = Plane::new(&registry, &json!({}));
        for id in ["known", "cold"] {
            let id = if body.contains("ft:") { format!("ft:{id}") } else { id.to_owned() };
            for made_at in ["/openai/v1/files", "/google-ai-studio/v1beta/cachedContents"] {
                let answer = json!({"id": id, "name": format!("cachedContents/{id}")}).to_string();
                knowing.post(A, made_at, "{}", &json_answer(&answer));
            }
        }
        // Foreign and known, foreign and not yet known to this data plane, and none; each for the first time and again.
        let planes = [Plane::new(&registry, &json!({})), Plane::new(&registry, &json!({}))];
        let cost = |plane: &Plane<'_>, id: &str| {
            registry.calls();
            plane.store.counts.take();
            let (path, body) = (path.replace('@', id), body.replace('@', id));
            let got = plane.send(B, (method, &path), (content_type, &[body.as_bytes()]), &json_answer("{}"));
            assert_eq!(got.reason(), "object_not_found", "{method} {path} {body}");
            (got, registry.calls(), plane.store.counts.take())
        };
        let [first, second] = &planes;
        let expect = cost(first, "never");
        assert_eq!(expect.1, ["find"], "{method} {path}");
        assert_eq!(cost(second, "cold"), expect, "{method} {path}: of another, for the first time");
        assert_eq!(cost(second, "cold"), cost(first, "never"), "{method} {path}: of another, again");
        for again in [false, true] {
            let known = cost(&knowing, "known");
            assert_eq!(known, cost(&knowing, "other"), "{method} {path}: known as another's, again: {again}");
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

#[test]
fn a_caller_that_guesses_ids_is_slowed_down_and_no_other() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    for id in 0..300 {
        plane.post(A, "/openai/v1/files", "{}", &json_answer(&format!(r#"{{"id":"file-{id}"}}"#)));
    }
    let cold = || Plane::new(&registry, &json!({}));
    let plane = cold();
    let named = |token: &str, id: &str, plane: &Plane<'_>| {
        plane.post(token, "/openai/v1/batches", &json!({"input_file_id": id}).to_string(), &json_answer("{}"))
    };
    registry.calls();
    let mut refused = 0;
    for number in 0..200 {
        // Another caller's object and one that never was cost the same.
        let id = if number % 2 == 0 { "file-1" } else { "never-was" };
        let by_path = plane.get(B, &format!("/openai/v1/files/{id}"));
        let by_body = named(B, id, &plane);
        for got in [by_path, by_body] {
            match got.reason() {
                "object_not_found" => {}
                "rate_limited" => refused += 1,
                other => panic!("{other}"),
            }
        }
    }
    assert_eq!((refused, registry.calls().len()), (300, 100));
    for id in 0..150 {
        assert_eq!(plane.get(A, &format!("/openai/v1/files/file-{id}")).reason(), "forward", "{id}");
        assert_eq!(named(A, &format!("file-{}", id + 150), &plane).reason(), "forward", "{id}");
    }
    // One of them is known since the other caller named it.
    assert_eq!(registry.calls().len(), 299, "an object of one's own is no guess");
    let elements: Vec<Value> = (0..50).map(|id| json!({"id": format!("f{id}")})).collect();
    let list = json!({"data": elements}).to_string();
    for _ in 0..150 {
        let got = plane.ask(B, ("GET", "/openai/v1/files"), &Value::Null, &json_answer(&list));
        assert_eq!(got.reason(), "forward", "a list guesses nothing");
    }
    plane.now.set(at(1));
    for reason in [
        "object_not_found",
        "object_not_found",
        "object_not_found",
        "object_not_found",
        "object_not_found",
        "rate_limited",
    ] {
        assert_eq!(plane.get(B, "/openai/v1/files/file-1").reason(), reason);
    }
    // While the registry is away nothing is found, and that is no guess of the caller's.
    let plane = cold();
    plane.now.set(at(2));
    registry.is_down.set(true);
    for _ in 0..150 {
        assert_eq!(plane.get(B, "/openai/v1/files/never-was").reason(), "registry_unavailable");
    }
    registry.is_down.set(false);
    plane.now.set(at(4));
    assert_eq!(plane.get(B, "/openai/v1/files/never-was").reason(), "object_not_found");
}
