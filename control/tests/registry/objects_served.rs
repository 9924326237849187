//! Objects over HTTP: the routes of data planes, the admin API, the dashboard and the metric.

use keyswap_core::base::Digest;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::Server;
use crate::support::{Database, create, on_both_databases};

on_both_databases!(
    data_planes_claim_find_and_remove,
    requests_that_make_no_sense_change_nothing,
    administrators_adopt_transfer_and_forget,
    pages_show_objects_and_give_them_to_others,
);

async fn json_of(request: RequestBuilder, status: u16) -> Value {
    let response = request.send().await.unwrap();
    let (got, text) = (response.status().as_u16(), response.text().await.unwrap());
    assert_eq!(got, status, "{text}");
    if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
}

fn digest(id: &str) -> String {
    Digest::of(format!("object\0openai\0{id}").as_bytes()).to_hex()
}

fn object(id: &str, principal: &str) -> Value {
    json!({"provider": "openai", "kind": "file", "id": id, "principal": principal})
}

async fn claim(server: &Server, id: &str, principal: &str) -> Value {
    let body = json!({"objects": [object(id, principal)]});
    json_of(server.post("/v1/objects/claim").json(&body), 200).await["objects"][0].clone()
}

async fn data_planes_claim_find_and_remove(database: &Database) {
    let registry = database.open().await;
    let token = create(&registry, "ci").await.record.digest.to_hex();
    let server = Server::start(&database.url());
    let record = json_of(server.get(&format!("/v1/tokens/{token}")), 200).await;
    assert_eq!(record["holder"], json!(token));
    let expiry = 4_000_000_000_i64;
    let body = json!({"objects": [{
        "provider": "openai", "kind": "file", "id": "file-1", "principal": token, "owner": "Alice@acme.example",
        "team": "red", "expires_at": expiry,
    }]});
    let expect = json!({
        "sha256": digest("file-1"), "kind": "file", "principal": token, "owner": "alice@acme.example", "team": "red",
        "version": 1, "expires_at": expiry,
    });
    let claimed = json_of(server.post("/v1/objects/claim").json(&body), 200).await;
    assert_eq!(claimed, json!({"objects": [expect]}));
    let foreign = claim(&server, "file-1", &"b".repeat(64)).await;
    assert_eq!(foreign["principal"], json!(token), "the answer tells who has it");
    let find = json!({"sha256": [digest("file-2"), digest("file-1")]});
    let found = json_of(server.post("/v1/objects/find").json(&find), 200).await;
    assert_eq!((&found["objects"][0]["principal"], &found["objects"][1]), (&json!(token), &Value::Null));
    for _ in 0..2 {
        let removed = server.post("/v1/objects/remove").json(&json!({"sha256": [digest("file-1")]}));
        assert_eq!(json_of(removed, 204).await, Value::Null);
    }
    assert_eq!(json_of(server.post("/v1/objects/find").json(&find), 200).await, json!({"objects": []}));
    let feed = json_of(server.get("/v1/changes?since=1"), 200).await;
    assert_eq!(feed["changes"], json!([{"kind": "object", "key": digest("file-1"), "sequence": 2}]));
    for path in ["find", "claim", "remove"] {
        let bare = server.client.post(format!("{}/v1/objects/{path}", server.url));
        json_of(bare.json(&json!({})), 401).await;
    }
    // The largest claim fits into a request.
    let (id, text) = ("i".repeat(509), "t".repeat(254));
    let many: Vec<Value> = (100..150)
        .map(|number| {
            json!({"provider": "p".repeat(64), "kind": "k".repeat(64), "id": format!("{number}{id}"), "principal": token,
                   "owner": text, "team": "t".repeat(64), "expires_at": expiry})
        })
        .collect();
    let answer = json_of(server.post("/v1/objects/claim").json(&json!({"objects": many})), 200).await;
    assert_eq!(answer["objects"].as_array().unwrap().len(), 50);
}

async fn requests_that_make_no_sense_change_nothing(database: &Database) {
    let server = Server::start(&database.url());
    let hex = "a".repeat(64);
    let with = |member: &str, value: Value| {
        let mut one = object("file-1", &hex);
        one[member] = value;
        json!({"objects": [object("file-2", &hex), one]})
    };
    for (body, code) in [
        (with("id", json!("")), "invalid_field"),
        (with("id", json!("a\u{0}b")), "invalid_field"),
        (with("id", json!("i".repeat(513))), "invalid_field"),
        (with("provider", json!("open ai")), "invalid_field"),
        (with("kind", json!("File")), "invalid_field"),
        (with("principal", json!("ptk_SENTINEL")), "invalid_body"),
        (with("principal", json!("A".repeat(64))), "invalid_body"),
        (with("expires_at", json!("soon")), "invalid_body"),
        (with("sha256", json!(hex)), "invalid_body"),
        (json!({"objects": vec![object("file-1", &hex); 51]}), "invalid_field"),
        (json!({"objects": [["openai", "file", "file-1", hex]]}), "invalid_body"),
        (json!({"objects": null}), "invalid_body"),
        (json!([]), "invalid_body"),
    ] {
        let refused = json_of(server.post("/v1/objects/claim").json(&body), 422).await;
        assert_eq!(refused["code"], json!(code), "{body}");
        assert!(!refused.to_string().contains("SENTINEL"), "{refused}");
    }
    for (path, sha256) in [
        ("find", json!(vec![hex.clone(); 201])),
        ("remove", json!(vec![hex.clone(); 51])),
        ("find", json!(["abc"])),
        ("find", json!([7])),
        ("remove", json!(hex)),
    ] {
        let body = json!({"sha256": sha256});
        json_of(server.post(&format!("/v1/objects/{path}")).json(&body), 422).await;
    }
    assert_eq!(database.open().await.object_counts().await.unwrap(), []);
    // Times beyond any calendar are no error of the caller that made the object.
    for (told, kept) in [(i64::MAX, json!(253_402_300_799_i64)), (i64::MIN, json!(0))] {
        let mut one = object(&format!("file{told}"), &hex);
        one["expires_at"] = json!(told);
        let body = json!({"objects": [one]});
        let answer = json_of(server.post("/v1/objects/claim").json(&body), 200).await;
        assert_eq!(answer["objects"][0]["expires_at"], kept);
    }
}

async fn administrators_adopt_transfer_and_forget(database: &Database) {
    let registry = database.open().await;
    let token = create(&registry, "ci").await.record.digest.to_hex();
    let server = Server::start(&database.url());
    let cookie = server.sign_in().await;
    let ask = async |method, path: &str, body: Value, status| {
        let mut request = server.admin(&cookie, method, &format!("/api/objects{path}"));
        if !body.is_null() {
            request = request.json(&body);
        }
        json_of(request, status).await
    };
    let to_ci = format!("token:{token}");
    claim(&server, "file-1", &"b".repeat(64)).await;
    let adopt = json!({"provider": "openai", "ids": ["file-1", "file-2"], "kind": "file", "holder": to_ci});
    let answer = ask(Method::POST, "/adopt", adopt.clone(), 200).await;
    let two = &answer["adopted"][0];
    assert_eq!(
        (&two["id"], &two["label"], &two["holder"]),
        (&json!("file-2"), &json!("ci"), &json!("active"))
    );
    assert_eq!(
        (&answer["held"][0]["id"], &answer["held"][0]["holder"]),
        (&json!("file-1"), &json!("unknown"))
    );
    let path = format!("/{}", digest("file-2"));
    assert_eq!(&ask(Method::GET, &path, Value::Null, 200).await, two);
    let list = ask(Method::GET, &format!("?holder={to_ci}&provider=&left="), Value::Null, 200).await;
    assert_eq!((&list["items"][0], &list["total"]), (two, &json!(1)));
    let to_person = json!({"to": "person:Bob@acme.example"});
    let given = ask(Method::POST, &format!("{path}/transfer"), to_person, 200).await;
    assert_eq!((&given["owner"], &given["holder"]), (&json!("bob@acme.example"), &json!("unknown")));
    let all = json!({"from": "person:bob@acme.example", "to": to_ci});
    let moved = ask(Method::POST, "/transfer", all, 200).await;
    assert_eq!(moved, json!({"moved": 1, "more": false}));
    ask(Method::DELETE, &path, Value::Null, 204).await;
    for (method, path, body, status, code) in [
        (Method::GET, path.as_str(), Value::Null, 404, "unknown_object"),
        (Method::DELETE, &path, Value::Null, 404, "unknown_object"),
        (Method::POST, &format!("{path}/transfer"), json!({"to": to_ci}), 404, "unknown_object"),
        (Method::POST, "/transfer", json!({"from": to_ci, "to": to_ci}), 422, "invalid_field"),
        (Method::POST, "/transfer", json!({"from": "ci", "to": to_ci}), 422, "invalid_field"),
        (Method::GET, "?holder=ci", Value::Null, 422, "invalid_field"),
        (Method::GET, "?sort=id", Value::Null, 400, "invalid_parameter"),
        (Method::GET, "/abc", Value::Null, 400, "invalid_digest"),
    ] {
        let refused = ask(method, path, body, status).await;
        assert_eq!(refused["code"], json!(code), "{path}");
    }
    let anonymous = server.client.get(format!("{}/admin/api/objects", server.url));
    json_of(anonymous, 401).await;
    let metrics = server.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("\nkeyswap_registry_objects{provider=\"openai\",kind=\"file\"} 1\n"),
        "{metrics}"
    );
}

async fn pages_show_objects_and_give_them_to_others(database: &Database) {
    let registry = database.open().await;
    let token = create(&registry, "<b>ci</b>").await.record.digest.to_hex();
    let server = Server::start(&database.url());
    let cookie = server.sign_in().await;
    claim(&server, "<script>alert(1)</script>", &token).await;
    let get = async |path: &str| {
        let response = server.admin(&cookie, Method::GET, path).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let post = async |path: &str, form: &[(&str, &str)]| {
        let response = server.admin(&cookie, Method::POST, path).form(form).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let of_token = format!("/objects?holder=token%3A{token}");
    let page = format!("/objects/{}", digest("<script>alert(1)</script>"));
    for path in ["/objects", &of_token, &page] {
        let (status, text) = get(path).await;
        assert_eq!(status, 200, "{text}");
        assert!(text.contains("&lt;script&gt;alert(1)") && text.contains("&lt;b&gt;ci"), "{text}");
        assert!(!text.contains("<script>alert") && !text.contains("<b>ci"), "{text}");
    }
    assert!(get(&format!("/tokens/{token}")).await.1.contains(&of_token));
    let ids = "file-1, file-2\nfile-3";
    let holder = format!("token:{token}");
    let adopt = [("provider", "openai"), ("ids", ids), ("kind", "file"), ("holder", holder.as_str())];
    assert_eq!(post("/objects", &adopt).await.0, 200);
    assert!(get(&of_token).await.1.contains("4 objects"));
    let bob = "person:bob@acme.example";
    assert_eq!(post("/objects/transfer", &[("from", &holder), ("to", bob), ("sure", "yes")]).await.0, 200);
    assert!(get("/objects?left=yes").await.1.contains("4 objects"));
    assert!(get(&page).await.1.contains("knows no active token"));
    let (status, text) = post(&format!("{page}/transfer"), &[("to", &holder)]).await;
    assert!(status == 200 && text.contains("badge active"), "{text}");
    let (status, text) = post(&format!("{page}/forget"), &[]).await;
    assert!(status == 200 && !text.contains("alert(1)"), "{text}");
    assert_eq!(get(&page).await.0, 404);
    let other = format!("/objects/{}/transfer", digest("file-1"));
    for (path, form, said) in [
        ("/objects", &[("provider", "openai"), ("ids", " ,"), ("holder", bob)][..], "invalid ids"),
        ("/objects", &[("provider", "a b"), ("ids", "file-9"), ("holder", bob)], "invalid provider"),
        ("/objects", &[("provider", "openai"), ("ids", "file-9"), ("holder", "bob")], "invalid holder"),
        ("/objects/transfer", &[("from", bob), ("to", bob), ("sure", "yes")], "invalid holder"),
        ("/objects/transfer", &[("from", bob), ("to", &holder)], "invalid confirmation"),
        (&other, &[("to", "team:red")], "invalid holder"),
    ] {
        let (status, text) = post(path, form).await;
        assert!(status == 422 && text.contains(said), "{form:?}: {text}");
    }
    assert_eq!(get("/objects?holder=ci").await.0, 422);
}
