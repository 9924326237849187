//! Every error of the administration is a problem with a code, and changes nothing.

use keyswap::registry::Listing;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::Server;
use crate::support::{Database, run};

async fn problem(request: RequestBuilder, status: u16, code: &str) -> String {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), status, "{code}: {response:?}");
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers.contains_key("www-authenticate"), status == 401);
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!((&body["code"], &body["status"]), (&json!(code), &json!(status)), "{body}");
    body["detail"].as_str().unwrap().to_owned()
}

#[test]
fn a_token_that_cannot_be_is_refused() {
    run(
        async |database| {
            let server = Server::start(&database.url());
            let cookie = server.sign_in().await;
            let hex = "0".repeat(64);
            let good = json!({"label": "a", "providers": ["openai"]});
            let with = |field: &str, value: Value| {
                let mut new = good.clone();
                new[field] = value;
                new
            };
            for (new, code, detail) in [
                (json!({}), "label_required", "label is required"),
                (with("label", json!("  ")), "label_required", "label is required"),
                (json!({"label": "a"}), "providers_required", "pick at least one provider"),
                (with("providers", json!([])), "providers_required", "pick at least one provider"),
                (
                    with("token", json!("SENTINEL")),
                    "token_too_short",
                    "custom token too short (min 12 chars)",
                ),
                (with("expires_at", json!("2030-01-01T00:00:00")), "invalid_expiry", "invalid expiry"),
                (with("expires_at", json!("tomorrow")), "invalid_expiry", "invalid expiry"),
                (with("owner", json!("nobody")), "invalid_field", ""),
                (with("token", json!("with a space in it")), "invalid_field", ""),
                (with("models", json!([""])), "invalid_field", ""),
                (with("label", json!(1)), "invalid_body", ""),
                (with("label", json!(null)), "invalid_body", ""),
                (with("providers", json!("openai")), "invalid_body", ""),
                (with("rate_limit", json!({"requests": 0, "per": "60s"})), "invalid_body", ""),
                (with("SENTINEL", json!(1)), "invalid_body", "the body has an unknown field"),
                (with("rate_limit", json!({"SENTINEL": 1})), "invalid_body", "the body has an unknown field"),
                (with("rate_limit", json!({"requests": 1, "per": 1})), "invalid_body", "`rate_limit.per` in"),
                (with("models", json!([1])), "invalid_body", "`models[0]` in"),
                (json!([]), "invalid_body", ""),
            ] {
                let request = server.admin(&cookie, Method::POST, "/api/tokens").json(&new);
                let said = problem(request, 422, code).await;
                assert!(said.contains(detail) && !said.contains("SENTINEL"), "{new}: {said}");
            }
            let mut both = with("token", json!("custom-token-0123456789"));
            both["sha256"] = json!(hex);
            problem(server.admin(&cookie, Method::POST, "/api/tokens").json(&both), 422, "invalid_body")
                .await;
            let short = with("sha256", json!("abc"));
            problem(server.admin(&cookie, Method::POST, "/api/tokens").json(&short), 400, "invalid_digest")
                .await;
            let tokens = database.open().await.tokens(&Listing::default()).await.unwrap();
            assert_eq!(tokens.total, 0);
        },
        &Database::sqlite(),
    );
}

#[test]
fn what_cannot_be_read_or_found_is_refused() {
    run(
        async |database| {
            let server = Server::start(&database.url());
            let cookie = server.sign_in().await;
            let ask = |method, path: &str| server.admin(&cookie, method, path);
            let token = format!("/api/tokens/{}", "0".repeat(64));
            let rotate = format!("{token}/rotate");
            problem(ask(Method::GET, &token), 404, "unknown_token").await;
            problem(ask(Method::DELETE, &token), 404, "unknown_token").await;
            problem(ask(Method::PATCH, &token).json(&json!({})), 404, "unknown_token").await;
            problem(ask(Method::POST, &rotate).json(&json!({})), 404, "unknown_token").await;
            for grace in ["", "1", "-1s", "1w", "367d", "99999999999d"] {
                let request = ask(Method::POST, &rotate).json(&json!({"grace": grace}));
                problem(request, 422, "invalid_field").await;
            }
            problem(ask(Method::GET, "/api/tokens/abc"), 400, "invalid_digest").await;
            problem(ask(Method::GET, "/api/users/a@b.example"), 404, "unknown_user").await;
            problem(ask(Method::POST, "/api/users").json(&json!({})), 422, "invalid_field").await;
            let patch = ask(Method::PATCH, &token).json(&json!({"expires_at": "soon"}));
            problem(patch, 422, "invalid_expiry").await;
            let import =
                |tokens: Value| ask(Method::POST, "/api/tokens/import").json(&json!({"tokens": tokens}));
            let known =
                json!({"sha256": "1".repeat(64), "label": "a", "providers": ["openai"], "status": "active"});
            let mut wrong = known.clone();
            wrong["sha256"] = json!("2".repeat(64));
            wrong["label"] = json!("");
            problem(import(json!([known, wrong])), 422, "label_required").await;
            wrong["SENTINEL"] = json!(1);
            problem(import(json!([known, wrong])), 422, "invalid_body").await;
            wrong = json!({"sha256": "1", "label": "a", "providers": ["openai"], "status": "active"});
            problem(import(json!([known, wrong])), 400, "invalid_digest").await;
            let none = database.open().await.tokens(&Listing::default()).await.unwrap();
            assert_eq!(none.total, 0, "half an import");
            let patch = ask(Method::PATCH, &token).json(&json!({"status": "gone"}));
            problem(patch, 422, "invalid_body").await;
            problem(ask(Method::GET, "/api/tokens?limit=x"), 400, "invalid_parameter").await;
            problem(ask(Method::GET, "/api/tokens?status=gone"), 400, "invalid_parameter").await;
            problem(ask(Method::GET, "/api/nothing"), 404, "not_found").await;
            problem(ask(Method::PUT, &token), 405, "method_not_allowed").await;
            let post = || ask(Method::POST, "/api/tokens");
            problem(post().body("{}"), 415, "unsupported_media_type").await;
            problem(post().form(&[("label", "a")]), 415, "unsupported_media_type").await;
            let json_type = |body: String| post().header("content-type", "application/json").body(body);
            problem(json_type("{\"label\"".to_owned()), 400, "malformed_json").await;
            problem(json_type(" ".repeat(65 * 1024)), 413, "body_too_large").await;
            let nested = "[".repeat(10_000);
            problem(json_type(nested), 400, "malformed_json").await;
        },
        &Database::sqlite(),
    );
}

#[test]
fn without_a_session_nothing_is_told() {
    run(
        async |database| {
            let server = Server::start(&database.url());
            for (method, path) in [
                (Method::GET, "/api/tokens"),
                (Method::POST, "/api/tokens"),
                (Method::GET, "/api/tokens/abc"),
                (Method::GET, "/api/users"),
                (Method::GET, "/api/audit"),
                (Method::DELETE, "/session"),
            ] {
                problem(server.admin("a=b", method, path), 401, "unauthorized").await;
            }
            let request = server.get("/admin/api/tokens");
            problem(request, 401, "unauthorized").await;
            let sign_in = || server.admin("a=b", Method::POST, "/session");
            problem(sign_in().json(&json!({"password": "wrong"})), 401, "wrong_password").await;
            problem(sign_in().json(&json!({})), 422, "invalid_body").await;
            problem(sign_in().form(&[("password", "wrong")]), 415, "unsupported_media_type").await;
        },
        &Database::sqlite(),
    );
}
