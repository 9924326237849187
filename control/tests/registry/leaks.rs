//! Raw tokens and passwords reach no database and no log, in valid and in malformed requests.

use keyswap::registry::{SecretText, Source};
use reqwest::Method;
use reqwest::redirect::Policy;
use serde_json::json;

use crate::server::{CREDENTIAL, PASSWORD, Server, builder};
use crate::support::{Database, admin, create, new_token, on_both_databases};

on_both_databases!(no_secret_is_in_the_database_or_the_logs);

const CUSTOM: &str = "SENTINEL-custom-token-0123456789";

async fn no_secret_is_in_the_database_or_the_logs(database: &Database) {
    let registry = database.open().await;
    let minted = create(&registry, "minted").await.token.unwrap();
    let custom = Source::Custom(SecretText::new(CUSTOM.to_owned()));
    registry.create_token(custom, new_token("custom"), &admin()).await.unwrap();
    let shown = format!("{minted:?} {:?}", Source::Custom(SecretText::new(CUSTOM.to_owned())));
    assert!(!shown.contains(minted.expose()) && !shown.contains("SENTINEL"));

    let server = Server::start(&database.url());
    let mut answers = String::new();
    for token in [minted.expose(), CUSTOM] {
        let requests = [
            server.post("/introspect").form(&[("token", token)]),
            server.post("/introspect").form(&[("other", token)]),
            // Tokens in wrong places.
            server.get(&format!("/v1/tokens/{token}")),
            server.get(&format!("/v1/principals/{token}")),
            server.get(&format!("/{token}?token={token}")),
            server.get(&format!("/v1/changes?since={token}")),
            server.post("/v1/limits").json(&json!({"sha256": token})),
            server.post("/v1/limits").json(&json!({"sha256": token, "requests": token})),
            server.post("/v1/usage").json(&json!({"marks": [{"sha256": token, "day": token}]})),
            server.post("/v1/usage").body(token.to_owned()),
            server.post("/v1/usage").json(&json!({"report": token, "rows": [{"sha256": token}]})),
            server.post("/v1/leases").json(&json!({"leases": [{"subject": token, "id": token, "need": 1}]})),
            server.post("/v1/leases").json(&json!({"leases": [
                {"subject": "team:a", "budget": {"usd": token, "per": token, "timezone": token}},
            ]})),
            server.post("/v1/objects/find").json(&json!({"sha256": [token]})),
            server
                .post("/v1/objects/claim")
                .json(&json!({"objects": [{"provider": token, "principal": token}]})),
            server.client.get(format!("{}/v1/changes?since=0", server.url)).bearer_auth(token),
            server.client.get(format!("{}/v1/changes?since=0", server.url)).basic_auth("admin", Some(token)),
        ];
        for request in requests {
            let response = request.send().await.unwrap();
            answers.push_str(&format!("{response:?}").replace(response.url().as_str(), ""));
            answers.push_str(&response.text().await.unwrap());
        }
    }
    let cookie = server.sign_in().await;
    let ask = |path: &str| server.admin(&cookie, Method::POST, path);
    let new = json!({"label": "SENTINEL-2", "providers": ["openai"]});
    for request in [
        ask("/session").json(&json!({"password": CUSTOM})),
        ask("/api/tokens").json(&json!({"label": CUSTOM, "token": CUSTOM, "sha256": CUSTOM})),
        ask("/api/tokens").json(&json!({"token": CUSTOM})),
        ask("/api/tokens").json(&json!({"label": "a", "providers": ["openai"], "owner": CUSTOM})),
        ask("/api/tokens").json(&json!({"label": "a", "providers": ["openai"], "expires_at": CUSTOM})),
        ask("/api/tokens").json(&json!({"label": "custom", "providers": ["openai"], "token": CUSTOM})),
        ask(&format!("/api/tokens/{CUSTOM}/rotate")).json(&json!({"grace": CUSTOM})),
        ask(&format!("/api/{CUSTOM}?a={CUSTOM}")).json(&new),
        server.admin(&cookie, Method::PUT, &format!("/api/budgets/{CUSTOM}")).json(&json!({"usd": CUSTOM})),
        server.admin(&cookie, Method::GET, &format!("/api/usage?by={CUSTOM}")),
        server.admin(&cookie, Method::GET, &format!("/api/usage?token={CUSTOM}")),
        server.admin(&cookie, Method::GET, &format!("/usage/{CUSTOM}")),
        ask("/sign-in").form(&[("password", CUSTOM)]),
        ask("/tokens").form(&[("label", ""), ("token", CUSTOM)]),
    ] {
        let response = request.send().await.unwrap();
        assert!(response.status().is_client_error(), "{response:?}");
        answers.push_str(&format!("{response:?}").replace(response.url().as_str(), ""));
        answers.push_str(&response.text().await.unwrap());
    }
    // The page of a new token, with the cookie that has it sealed.
    let form =
        builder().redirect(Policy::none()).build().unwrap().post(format!("{}/admin/tokens", server.url));
    let form = form.header("cookie", &cookie).header("sec-fetch-site", "same-origin");
    let made = form.form(&[("label", "shown"), ("provider", "openai")]).send().await.unwrap();
    let sealed = made.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let page = made.headers()["location"].to_str().unwrap().strip_prefix("/admin").unwrap();
    let shown = server.admin(&format!("{cookie}; {sealed}"), Method::GET, page).send().await.unwrap();
    let shown = shown.text().await.unwrap();
    let shown = shown.split("ptk_").nth(1).unwrap().get(..32).unwrap();
    server.terminate();
    let (status, log) = server.wait();
    assert!(status.success());
    assert!(log.contains("/introspect"), "there is no log");
    let dump = database.dump();
    assert!(String::from_utf8_lossy(&dump).contains("minted"), "there is no dump");
    let (session, sealed) = (cookie.split_once('=').unwrap().1, sealed.split_once('=').unwrap().1);
    for secret in [minted.expose(), "SENTINEL", CREDENTIAL, PASSWORD, shown, session, sealed] {
        assert!(!log.contains(secret), "in the log");
        assert!(!answers.contains(secret), "in an answer");
        assert!(!dump.windows(secret.len()).any(|window| window == secret.as_bytes()), "in the database");
    }
}
