//! The administration API: tokens, users and the audit log.

use keyswap_core::base::Digest;
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::Server;
use crate::support::{Database, on_both_databases};

on_both_databases!(
    a_token_lives_from_creation_to_deletion,
    custom_tokens_and_digests_are_taken,
    lists_are_searched_and_paged,
    users_are_managed,
    markup_and_sql_are_text,
);

/// A server with a signed-in administrator.
struct Admin {
    server: Server,
    cookie: String,
}

impl Admin {
    async fn start(database: &Database) -> Self {
        let server = Server::start(&database.url());
        let cookie = server.sign_in().await;
        Self { server, cookie }
    }

    /// Sends a request, asserts the status, and returns the answer.
    async fn ask(&self, method: Method, path: &str, body: Value, status: u16) -> Value {
        let mut request = self.server.admin(&self.cookie, method, &format!("/api{path}"));
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let (got, text) = (response.status(), response.text().await.unwrap());
        assert_eq!(got, status, "{path}: {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, Value::Null, 200).await
    }

    async fn create(&self, label: &str) -> Value {
        let new = json!({"label": label, "owner": "alice@acme.example", "providers": ["openai"]});
        self.ask(Method::POST, "/tokens", new, 201).await
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn a_token_lives_from_creation_to_deletion(database: &Database) {
    let admin = Admin::start(database).await;
    let created = admin.create("alice-laptop").await;
    let token = text(&created["token"]);
    let hex = Digest::of(token.as_bytes()).to_hex();
    assert_eq!(text(&created["record"]["sha256"]), hex);
    assert_eq!(text(&created["record"]["last4"]), &token[token.len() - 4..]);
    let path = format!("/tokens/{hex}");
    assert_eq!(admin.get(&path).await, created["record"]);

    let disabled = admin.ask(Method::PATCH, &path, json!({"status": "disabled"}), 200).await;
    assert_eq!(disabled["status"], "disabled");
    let later = "2099-01-01T00:00:00Z";
    let change = json!({"status": "active", "expires_at": "2099-01-01T01:00:00+01:00"});
    let changed = admin.ask(Method::PATCH, &path, change, 200).await;
    assert_eq!((&changed["status"], &changed["expires_at"]), (&json!("active"), &json!(later)));
    assert_eq!(admin.ask(Method::PATCH, &path, json!({}), 200).await, changed);
    // The patch is one change. Where a part is invalid, nothing is changed.
    let limit = json!({"requests": 5, "per": "60s"});
    let change = json!({"status": "disabled", "expires_at": "2098-01-01T00:00:00Z", "rate_limit": limit});
    let together = admin.ask(Method::PATCH, &path, change, 200).await;
    assert_eq!(together["version"].as_i64().unwrap(), changed["version"].as_i64().unwrap() + 1);
    assert_eq!((&together["rate_limit"], &together["status"]), (&limit, &json!("disabled")));
    let broken = json!({"status": "active", "rate_limit": null, "expires_at": "soon"});
    admin.ask(Method::PATCH, &path, broken, 422).await;
    assert_eq!(admin.get(&path).await, together);
    let back = json!({"status": "active", "rate_limit": null, "expires_at": later});
    assert_eq!(admin.ask(Method::PATCH, &path, back, 200).await["rate_limit"], Value::Null);
    let cleared = admin.ask(Method::PATCH, &path, json!({"expires_at": null}), 200).await;
    assert_eq!(cleared["expires_at"], Value::Null);

    let rotate = format!("{path}/rotate");
    let rotated = admin.ask(Method::POST, &rotate, json!({"grace": "1h"}), 200).await;
    assert_eq!(rotated["retiring"]["successor"], rotated["record"]["sha256"]);
    assert_eq!(rotated["retiring"]["expires_at"], rotated["retiring"]["retires_at"]);
    let successor = Digest::of(text(&rotated["token"]).as_bytes()).to_hex();
    assert_eq!(text(&rotated["record"]["sha256"]), successor);
    let seen = admin.server.get(&format!("/v1/tokens/{successor}")).send().await.unwrap();
    assert_eq!(seen.status(), 200);
    let refused = admin.ask(Method::POST, &rotate, json!({}), 409).await;
    assert_eq!(refused["code"], "already_rotated");

    admin.ask(Method::DELETE, &path, Value::Null, 204).await;
    admin.ask(Method::GET, &path, Value::Null, 404).await;
    let audit = admin.get(&format!("/audit?subject={hex}&limit=2")).await;
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|entry| text(&entry["action"])).collect();
    assert_eq!(actions, ["token.delete", "token.rotate"]);
    let rest = admin.get(&format!("/audit?subject={hex}&after={}", audit["next"])).await;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (11, &Value::Null));
    assert!(!audit.to_string().contains(token));
}

async fn custom_tokens_and_digests_are_taken(database: &Database) {
    let admin = Admin::start(database).await;
    let custom = "custom-token-0123456789";
    let new = json!({"label": "a", "providers": ["openai"], "token": custom});
    let created = admin.ask(Method::POST, "/tokens", new.clone(), 201).await;
    assert_eq!(text(&created["token"]), custom);
    assert_eq!(admin.ask(Method::POST, "/tokens", new, 409).await["code"], "duplicate_token");
    let hex = Digest::of(b"another-token").to_hex();
    let new = json!({"label": "b", "providers": ["openai"], "sha256": hex, "models": ["gpt-5"],
                     "rate_limit": {"requests": 5, "per": "60s"}});
    let created = admin.ask(Method::POST, "/tokens", new, 201).await;
    assert_eq!((&created["token"], &created["record"]["last4"]), (&Value::Null, &json!("")));
    assert_eq!(created["record"]["models"], json!(["gpt-5"]));
}

async fn lists_are_searched_and_paged(database: &Database) {
    let admin = Admin::start(database).await;
    for label in ["red", "green", "blue"] {
        admin.create(label).await;
    }
    let first = admin.get("/tokens?limit=2").await;
    assert_eq!(first["total"], 3);
    let labels = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| text(&item["label"]).to_owned()).collect()
    };
    assert_eq!(labels(&first), ["blue", "green"]);
    let second = admin.get(&format!("/tokens?limit=2&after={}", first["next"])).await;
    assert_eq!((labels(&second), &second["next"]), (vec!["red".to_owned()], &Value::Null));
    assert_eq!(labels(&admin.get("/tokens?search=REE").await), ["green"]);
    assert!(labels(&admin.get("/tokens?status=disabled").await).is_empty());
}

async fn users_are_managed(database: &Database) {
    let admin = Admin::start(database).await;
    let new = json!({"email": "Alice+a@Acme.example", "label": "Alice", "providers": ["openai"],
                     "rate_limit": {"requests": 5, "per": "1m"}});
    let created = admin.ask(Method::POST, "/users", new.clone(), 201).await;
    assert_eq!(text(&created["email"]), "alice+a@acme.example");
    assert_eq!(admin.ask(Method::POST, "/users", new, 409).await["code"], "duplicate_user");
    let path = "/users/alice%2Ba%40acme.example";
    assert_eq!(admin.get(path).await, created);
    let change = json!({"status": "disabled", "providers": ["anthropic"], "rate_limit": null});
    let changed = admin.ask(Method::PATCH, path, change, 200).await;
    assert_eq!((&changed["status"], &changed["label"]), (&json!("disabled"), &json!("Alice")));
    assert_eq!((&changed["providers"], &changed["rate_limit"]), (&json!(["anthropic"]), &Value::Null));
    assert_eq!(admin.get("/users?search=acme").await["total"], 1);
    admin.ask(Method::DELETE, path, Value::Null, 204).await;
    assert_eq!(admin.ask(Method::GET, path, Value::Null, 404).await["code"], "unknown_user");
}

async fn markup_and_sql_are_text(database: &Database) {
    let admin = Admin::start(database).await;
    for label in ["'; DROP TABLE tokens; --", "<script>alert(1)</script>", "\"%_!\\", "Zoë 🦀 ' OR '1'='1"]
    {
        let created = admin.create(label).await;
        let hex = text(&created["record"]["sha256"]);
        assert_eq!(text(&admin.get(&format!("/tokens/{hex}")).await["label"]), label);
    }
    assert_eq!(admin.get("/tokens?search=%27%20OR%20%271%27%3D%271").await["total"], 1);
    assert_eq!(admin.get("/tokens").await["total"], 4);
}
