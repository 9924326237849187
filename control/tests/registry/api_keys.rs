//! API keys of programs: what they open, what they do not, and how they end.

use keyswap::registry::{AdminRole, AuditQuery, Registry, RoleName};
use keyswap_core::base::{Digest, UnixTime};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::server::{Server, builder};
use crate::support::{Database, admin, on_both_databases, run};

on_both_databases!(a_key_opens_the_api_for_its_role_until_it_ends, an_unknown_key_is_a_failed_try);

async fn key(registry: &Registry, name: &str, role: RoleName, teams: &[&str]) -> String {
    let teams: Vec<String> = teams.iter().map(|team| (*team).to_owned()).collect();
    let role = AdminRole::new(role, &teams, None).unwrap();
    registry.create_api_key(name, role, None, &admin()).await.unwrap().key.expose().to_owned()
}

/// Sends a request as a program does: without a cookie, and without the header of the command.
async fn ask(server: &Server, key: &str, method: Method, path: &str, body: &Value) -> Response {
    let request =
        builder().build().unwrap().request(method, format!("{}/admin{path}", server.url)).bearer_auth(key);
    let request = if body.is_null() { request } else { request.json(body) };
    request.send().await.unwrap()
}

async fn code(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

async fn a_key_opens_the_api_for_its_role_until_it_ends(database: &Database) {
    let registry = database.open().await;
    let server = Server::start(&database.url());
    let session = server.sign_in().await;
    let new = json!({"name": "terraform", "role": "team_owner", "teams": ["red"]});
    let made = server.admin(&session, Method::POST, "/api/api-keys").json(&new).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let made: Value = serde_json::from_str(&made.text().await.unwrap()).unwrap();
    let secret = made["api_key"].as_str().unwrap();
    assert!(secret.starts_with("kak_") && secret.len() == 47, "{secret}");
    assert_eq!((&made["record"]["role"], &made["record"]["teams"]), (&json!("team_owner"), &json!(["red"])));
    assert_eq!(made["record"]["created_by"], "admin");

    let token = json!({"label": "ci", "providers": ["openai"]});
    let created = ask(&server, secret, Method::POST, "/api/tokens", &token).await;
    assert_eq!(created.status(), 201);
    let created: Value = serde_json::from_str(&created.text().await.unwrap()).unwrap();
    assert_eq!(created["record"]["team"], "red", "the only team of the key");
    let foreign = json!({"label": "ci", "providers": ["openai"], "team": "blue"});
    let refused = code(ask(&server, secret, Method::POST, "/api/tokens", &foreign).await).await;
    assert_eq!(refused, (403, "beyond_role".to_owned()));
    let audit = registry.audit(&AuditQuery::default()).await.unwrap();
    assert_eq!(
        (audit.items[0].action.as_str(), audit.items[0].actor.as_deref()),
        ("token.create", Some("api-key:terraform"))
    );

    // A key is for the API alone: not for pages, and not for data planes.
    let page = ask(&server, secret, Method::GET, "", &Value::Null).await;
    assert_eq!(page.url().path(), "/admin/sign-in");
    let lookup = server.client.get(format!("{}/v1/changes?since=0", server.url)).bearer_auth(secret);
    assert_eq!(lookup.send().await.unwrap().status(), 401);
    // A request with a key is judged by it alone, whatever session it has.
    let both = server.admin(&session, Method::GET, "/api/audit").bearer_auth(secret).send().await.unwrap();
    assert_eq!(code(both).await, (403, "not_permitted".to_owned()));

    // It was used, it is listed without the secret, and it ends at once.
    let listed =
        server.admin(&session, Method::GET, "/api/api-keys").send().await.unwrap().text().await.unwrap();
    assert!(listed.contains("terraform") && !listed.contains(secret));
    let sha256 = made["record"]["sha256"].as_str().unwrap();
    let revoked =
        server.admin(&session, Method::DELETE, &format!("/api/api-keys/{sha256}")).send().await.unwrap();
    assert_eq!(revoked.status(), 204);
    let ended = ask(&server, secret, Method::GET, "/api/tokens", &Value::Null).await;
    assert!(ended.headers().contains_key("www-authenticate"));
    assert_eq!(code(ended).await, (401, "invalid_api_key".to_owned()));
    server.terminate();
    let (_, log) = server.wait();
    let dump = String::from_utf8_lossy(&database.dump()).into_owned();
    assert!(!log.contains(secret) && !dump.contains(secret));
}

async fn an_unknown_key_is_a_failed_try(database: &Database) {
    let registry = database.open().await;
    let server = Server::start(&database.url());
    let good = key(&registry, "good", RoleName::Auditor, &[]).await;
    for number in 0..12 {
        let wrong = format!("kak_SENTINEL-{number}");
        let expect = if number < 10 { (401, "invalid_api_key") } else { (429, "too_many_tries") };
        let got = code(ask(&server, &wrong, Method::GET, "/api/tokens", &Value::Null).await).await;
        assert_eq!((got.0, got.1.as_str()), expect, "{number}");
    }
    // Neither the right key nor the password is shut out by it.
    assert_eq!(ask(&server, &good, Method::GET, "/api/tokens", &Value::Null).await.status(), 200);
    server.sign_in().await;
    let tries = registry
        .audit(&AuditQuery { subject: Some("127.0.0.1".to_owned()), ..AuditQuery::default() })
        .await
        .unwrap();
    let refused: Vec<_> = tries.items.iter().filter(|entry| entry.action == "api_key.refused").collect();
    assert!(refused.len() == 10 && refused.iter().all(|entry| entry.actor.is_none()));
    assert!(!String::from_utf8_lossy(&database.dump()).contains("SENTINEL-"));
}

#[test]
fn a_key_makes_no_keys_and_ends_by_itself() {
    run(
        async |database| {
            let registry = database.open().await;
            let server = Server::start(&database.url());
            let all = key(&registry, "all", RoleName::Admin, &[]).await;
            for (role, teams) in
                [("admin", json!([])), ("auditor", json!([])), ("team_owner", json!(["red"]))]
            {
                let new = json!({"name": "more", "role": role, "teams": teams});
                let answer = ask(&server, &all, Method::POST, "/api/api-keys", &new).await;
                assert_eq!(code(answer).await, (403, "not_permitted".to_owned()), "{role}");
            }
            // What a key of an administrator may else do, it may.
            let credential = json!({"name": "dp", "role": "metrics"});
            assert_eq!(ask(&server, &all, Method::POST, "/api/credentials", &credential).await.status(), 201);

            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            let at = |seconds: i64| Some(UnixTime(i64::try_from(now).unwrap() + seconds));
            for seconds in [-1, 0, 400 * 86_400] {
                let made = registry.create_api_key("wrong", AdminRole::Auditor, at(seconds), &admin()).await;
                assert_eq!(made.unwrap_err().code(), "invalid_field", "{seconds}");
            }
            let twice = registry.create_api_key("all", AdminRole::Auditor, None, &admin()).await;
            assert_eq!(twice.unwrap_err().code(), "duplicate_api_key");
            let brief = registry.create_api_key("brief", AdminRole::Auditor, at(1), &admin()).await.unwrap();
            let digest = Digest::of(brief.key.expose().as_bytes());
            while registry.valid_api_key(&digest).await.unwrap().is_some() {
                tokio::task::yield_now().await;
            }
            let ended = ask(&server, brief.key.expose(), Method::GET, "/api/tokens", &Value::Null).await;
            assert_eq!(ended.status(), 401);
            // The name of an expired key is free.
            registry.create_api_key("brief", AdminRole::Auditor, None, &admin()).await.unwrap();
        },
        &Database::sqlite(),
    );
}
