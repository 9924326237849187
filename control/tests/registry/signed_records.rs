//! Records that the registry signs for data planes which ask for that.

use keyswap::registry::NewUser;
use keyswap_core::base::Digest;
use keyswap_core::identity::jwt::{JwkSet, PureRust};
use keyswap_core::services::{BUNDLE_TYPE, MAX_RECORD_SECONDS, RECORD_TYPE, objects_name, verified_payload};
use serde_json::{Value, json};

use crate::server::{CREDENTIAL, Server, command};
use crate::support::{Database, admin, create, on_both_databases};

on_both_databases!(
    a_record_and_an_absence_are_signed_for_who_asks_for_that,
    the_holders_of_objects_are_signed_for_exactly_those_that_were_asked_for,
);

async fn a_record_and_an_absence_are_signed_for_who_asks_for_that(database: &Database) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.key");
    let file = file.to_str().unwrap();
    let made = command().args(["policy", "keygen", file, "--algorithm", "es256"]).output().unwrap();
    let keys = JwkSet::parse(&made.stdout).unwrap();
    let registry = database.open().await;
    let digest = create(&registry, "a").await.record.digest.to_hex();
    let providers = vec!["openai".to_owned()];
    let user = NewUser { email: "a+b@acme.example".to_owned(), providers, ..NewUser::default() };
    registry.create_user(user, &admin()).await.unwrap();

    let server = Server::start_with(&database.url(), &["--records-key", file]);
    let token = format!("/v1/tokens/{digest}");
    let nobody = "0".repeat(64);
    for (path, accept, subject, key) in [
        (token.clone(), "application/jose", format!("token:{digest}"), Some("sha256")),
        (token.clone(), "text/plain, Application/JOSE;q=0.5", format!("token:{digest}"), Some("sha256")),
        (format!("/v1/tokens/{nobody}"), "application/jose", format!("token:{nobody}"), None),
        (
            "/v1/principals/a%2Bb%40acme.example".to_owned(),
            "application/jose",
            "user:a+b@acme.example".to_owned(),
            Some("email"),
        ),
        (
            "/v1/principals/c@acme.example".to_owned(),
            "application/jose",
            "user:c@acme.example".to_owned(),
            None,
        ),
    ] {
        // A version that the client has is no reason for an answer without a signature.
        let request = server.get(&path).header("accept", accept).header("if-none-match", "*");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), if key.is_some() { 200 } else { 404 }, "{path}");
        assert_eq!(response.headers()["content-type"], "application/jose", "{path}");
        assert_eq!(response.headers()["cache-control"], "no-store", "{path}");
        let text = response.text().await.unwrap();
        assert!(verified_payload(text.as_bytes(), BUNDLE_TYPE, &keys, &PureRust).is_err(), "{path}");
        let payload = verified_payload(text.as_bytes(), RECORD_TYPE, &keys, &PureRust).unwrap();
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(payload["sub"], subject, "{path}");
        let [issued_at, expires_at] = ["iat", "exp"].map(|name| payload[name].as_i64().unwrap());
        assert!((1..=MAX_RECORD_SECONDS).contains(&(expires_at - issued_at)), "{path}");
        match key {
            Some(name) => {
                let plain = server.get(&path).send().await.unwrap();
                let plain: Value = serde_json::from_str(&plain.text().await.unwrap()).unwrap();
                assert_eq!(payload["record"], plain, "{path}");
                assert_eq!(subject.split_once(':').unwrap().1, plain[name], "{path}");
            }
            None => assert_eq!(payload["record"], Value::Null, "{path}"),
        }
    }
    // Data planes whose policy pins no key get what they always got, with the version that saves an answer.
    let response = server.get(&token).header("accept", "application/json").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let version = response.headers()["etag"].to_str().unwrap().to_owned();
    let response = server.get(&token).header("if-none-match", version).send().await.unwrap();
    assert_eq!(response.status(), 304);
    // A failed lookup is no absence.
    let wrong = server.get("/v1/tokens/abc").header("accept", "application/jose").send().await.unwrap();
    assert_eq!(wrong.status(), 400);
    assert_eq!(wrong.headers()["content-type"], "application/problem+json");
    drop(server);

    // Without a key nothing is signed, whatever is asked for; and what is no key is no start.
    let server = Server::start(&database.url());
    let response = server.get(&token).header("accept", "application/jose").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    std::fs::write(file, json!(keys.keys().len()).to_string()).unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database", &database.url(), "--records-key", file];
    let ended = command().args(serve).env("KEYSWAP_REGISTRY_TOKEN", CREDENTIAL).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && said.contains("cannot sign records with"), "{said}");
}

async fn the_holders_of_objects_are_signed_for_exactly_those_that_were_asked_for(database: &Database) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.key");
    let file = file.to_str().unwrap();
    let made = command().args(["policy", "keygen", file, "--algorithm", "es256"]).output().unwrap();
    let keys = JwkSet::parse(&made.stdout).unwrap();
    drop(database.open().await);
    let server = Server::start_with(&database.url(), &["--records-key", file]);
    let digest = |id: &str| Digest::of(format!("object\0openai\0{id}").as_bytes());
    let object =
        |id: &str| json!({"provider": "openai", "kind": "file", "id": id, "principal": "a".repeat(64)});
    let claim = json!({"objects": [object("b"), object("a")]});
    let find = json!({"sha256": [digest("a").to_hex(), digest("never-was").to_hex()]});
    for (path, body, asked, known) in [
        ("/v1/objects/claim", &claim, [digest("b"), digest("a")], 2),
        ("/v1/objects/claim", &claim, [digest("b"), digest("a")], 2),
        ("/v1/objects/find", &find, [digest("a"), digest("never-was")], 1),
    ] {
        let request = server.post(path).header("accept", "application/jose").json(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "application/jose", "{path}");
        let text = response.text().await.unwrap();
        let payload = verified_payload(text.as_bytes(), RECORD_TYPE, &keys, &PureRust).unwrap();
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(payload["sub"], objects_name(&asked), "{path}");
        assert_eq!(payload["record"]["objects"].as_array().unwrap().len(), known, "{path}");
        let plain: Value = server.post(path).json(body).send().await.unwrap().json().await.unwrap();
        assert_eq!(payload["record"], plain, "{path}");
    }
    let many: Vec<String> = (0..201).map(|id| digest(&id.to_string()).to_hex()).collect();
    let request = server.post("/v1/objects/find").header("accept", "application/jose");
    let refused = request.json(&json!({"sha256": many})).send().await.unwrap();
    assert_eq!(refused.headers()["content-type"], "application/problem+json", "a refusal is no answer");
}
