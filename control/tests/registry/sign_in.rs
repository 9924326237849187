//! Sign-in: the password, attempts, sessions, and the protection of sessions.

use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::process::Stdio;

use keyswap::registry::AuditQuery;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::server::{CREDENTIAL, PASSWORD, Server, builder, client, command};
use crate::support::{Database, on_both_databases};

on_both_databases!(
    a_session_is_opened_kept_and_closed,
    ten_wrong_tries_are_the_most,
    tries_at_the_same_time_are_counted_one_by_one,
    a_failed_sign_in_has_no_known_author_and_locks_out_no_other_address,
    a_new_password_ends_all_sessions,
    the_first_password_is_shown_once,
);

async fn try_password(server: &Server, password: &str) -> reqwest::Response {
    let request = server.client.post(format!("{}/admin/session", server.url));
    request.json(&json!({"password": password})).send().await.unwrap()
}

async fn status(server: &Server, cookie: &str) -> u16 {
    server.admin(cookie, Method::GET, "/api/tokens").send().await.unwrap().status().as_u16()
}

async fn a_session_is_opened_kept_and_closed(database: &Database) {
    let server = Server::start(&database.url());
    let response = try_password(&server, PASSWORD).await;
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/admin; Max-Age=86400; HttpOnly; SameSite=Strict");
    for (name, value) in [("host", "keyswap.example"), ("x-forwarded-proto", "https")] {
        let request = server.client.post(format!("{}/admin/session", server.url)).header(name, value);
        let response = request.json(&json!({"password": PASSWORD})).send().await.unwrap();
        assert!(response.headers()["set-cookie"].to_str().unwrap().ends_with("; Secure"), "{name}");
    }
    assert_eq!(status(&server, pair).await, 200);
    assert_eq!(status(&server, "keyswap_session=").await, 401);
    assert_eq!(status(&server, "keyswap_session=wrong").await, 401);
    assert_eq!(status(&server, "other=1").await, 401);
    let secret = pair.split_once('=').unwrap().1;
    let dump = database.dump();
    assert!(!dump.windows(secret.len()).any(|window| window == secret.as_bytes()), "in the database");

    // A session survives a restart.
    drop(server);
    let server = Server::start(&database.url());
    assert_eq!(status(&server, pair).await, 200);
    let response = server.admin(pair, Method::DELETE, "/session").send().await.unwrap();
    assert_eq!(response.status(), 204);
    assert!(response.headers()["set-cookie"].to_str().unwrap().starts_with("keyswap_session=; "));
    assert_eq!(status(&server, pair).await, 401);

    let audit = database.open().await.audit(&AuditQuery::default()).await.unwrap();
    let actions: Vec<&str> = audit.items.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(
        actions,
        ["admin.sign_out", "admin.sign_in", "admin.sign_in", "admin.sign_in", "admin.set_password"]
    );
    assert_eq!(audit.items[0].subject, "127.0.0.1");
    server.terminate();
    let (_, log) = server.wait();
    assert!(!log.contains(secret) && !log.contains("SENTINEL"), "in the log");
}

async fn ten_wrong_tries_are_the_most(database: &Database) {
    let server = Server::start(&database.url());
    for _ in 0..9 {
        assert_eq!(try_password(&server, "SENTINEL-wrong").await.status(), 401);
    }
    // The right password resets the count.
    assert_eq!(try_password(&server, PASSWORD).await.status(), 204);
    let tries = (0..20).map(|_| try_password(&server, "SENTINEL-wrong"));
    let mut refused = 0;
    for response in tries {
        let response = response.await;
        if response.status() == 429 {
            let seconds: u32 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&seconds));
            refused += 1;
        } else {
            assert_eq!(response.status(), 401);
            assert!(response.headers().contains_key("www-authenticate"));
        }
    }
    assert_eq!(refused, 10);
    // The right password waits as well: the answer does not reveal it.
    assert_eq!(try_password(&server, PASSWORD).await.status(), 429);
    let dump = database.dump();
    assert!(!String::from_utf8_lossy(&dump).contains("SENTINEL-wrong"), "in the database");
}

async fn tries_at_the_same_time_are_counted_one_by_one(database: &Database) {
    let server = Server::start(&database.url());
    let mut tries = JoinSet::new();
    for _ in 0..30 {
        let request = server.client.post(format!("{}/admin/session", server.url));
        tries.spawn(request.json(&json!({"password": "SENTINEL-wrong"})).send());
    }
    let answers = tries.join_all().await;
    let wrong = answers.iter().filter(|answer| answer.as_ref().unwrap().status() == 401).count();
    assert_eq!(wrong, 10);
}

async fn a_failed_sign_in_has_no_known_author_and_locks_out_no_other_address(database: &Database) {
    let server = Server::start(&database.url());
    let stranger = builder().local_address(IpAddr::from([127, 0, 0, 2])).build().unwrap();
    let guess = async || {
        let request =
            stranger.post(format!("{}/admin/session", server.url)).header("x-keyswap-client", "test");
        request.json(&json!({"password": "SENTINEL-wrong"})).send().await.unwrap().status().as_u16()
    };
    for _ in 0..10 {
        assert_eq!(guess().await, 401);
    }
    assert_eq!(guess().await, 429);
    let cookie = server.sign_in().await;

    let audit = server.admin(&cookie, Method::GET, "/api/audit?subject=127.0.0.2").send().await.unwrap();
    let audit: Value = serde_json::from_str(&audit.text().await.unwrap()).unwrap();
    let entries = audit["items"].as_array().unwrap();
    assert_eq!(entries.len(), 10);
    for entry in entries {
        assert_eq!((&entry["action"], &entry["actor"]), (&json!("admin.sign_in_failed"), &Value::Null));
    }
    let page = server.admin(&cookie, Method::GET, "/audit?subject=127.0.0.2").send().await.unwrap();
    let page = page.text().await.unwrap();
    assert_eq!(page.matches(r#"<td data-label="Actor">unknown</td>"#).count(), 10, "{page}");
    assert!(!page.contains(r#"<td data-label="Actor">admin</td>"#), "{page}");
}

async fn a_new_password_ends_all_sessions(database: &Database) {
    let server = Server::start(&database.url());
    let cookie = server.sign_in().await;
    drop(server);
    let (mut process, lines) = serve(database, Some("SENTINEL-another-password"));
    let client = client();
    let list = client.get(format!("{}/admin/api/tokens", lines[0])).header("cookie", cookie);
    assert_eq!(list.send().await.unwrap().status(), 401);
    let sign_in = client.post(format!("{}/admin/session", lines[0]));
    assert_eq!(sign_in.json(&json!({"password": PASSWORD})).send().await.unwrap().status(), 401);
    process.kill().unwrap();
    process.wait().unwrap();
}

async fn the_first_password_is_shown_once(database: &Database) {
    let (mut process, lines) = serve(database, None);
    let line = lines[1].strip_prefix("first password: ").unwrap();
    let password = line.split_once(" (it is not shown again)").unwrap().0;
    assert_eq!(password.len(), 43);
    let client = client();
    let sign_in = client.post(format!("{}/admin/session", lines[0]));
    assert_eq!(sign_in.json(&json!({"password": password})).send().await.unwrap().status(), 204);
    process.kill().unwrap();
    process.wait().unwrap();
    let registry = database.open().await;
    let hash = registry.password_hash().await.unwrap().unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    assert!(!String::from_utf8_lossy(&database.dump()).contains(password), "in the database");
    // The password is valid after a restart, and no new one is generated.
    let server = Server::start_without_password(&database.url());
    assert_eq!(try_password(&server, password).await.status(), 204);
}

/// Starts a server with or without a password. Returns its first lines: the address, and the first password if one is
/// generated.
fn serve(database: &Database, password: Option<&str>) -> (std::process::Child, Vec<String>) {
    let mut command = command();
    command.args(["serve", "--listen", "127.0.0.1:0", "--database", &database.url()]);
    command
        .env("KEYSWAP_REGISTRY_TOKEN", CREDENTIAL)
        .envs(password.map(|text| ("KEYSWAP_ADMIN_PASSWORD", text)));
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut lines: Vec<String> = lines.take(if password.is_some() { 1 } else { 2 }).collect();
    let url = lines.remove(0);
    lines.insert(0, url.strip_prefix("listening on ").unwrap().to_owned());
    (process, lines)
}

#[test]
fn what_another_site_asks_for_is_refused() {
    crate::support::run(
        async |database| {
            let server = Server::start(&database.url());
            let cookie = server.sign_in().await;
            let authority = server.url.strip_prefix("http://").unwrap().to_owned();
            let own = format!("http://{authority}");
            let lookalike = format!("http://{authority}.evil.example");
            // A request with none of the three headers has no known origin.
            let client = builder().build().unwrap();
            for (headers, status) in [
                (vec![], 403),
                (vec![("x-keyswap-client", "")], 201),
                (vec![("x-keyswap-client", "a"), ("origin", "https://evil.example")], 403),
                (vec![("x-keyswap-client", "a"), ("sec-fetch-site", "cross-site")], 403),
                (vec![("origin", own.as_str())], 201),
                (vec![("sec-fetch-site", "same-origin"), ("origin", "null")], 201),
                (vec![("sec-fetch-site", "none")], 201),
                (vec![("origin", "https://evil.example")], 403),
                (vec![("origin", lookalike.as_str())], 403),
                (vec![("origin", "null")], 403),
                (vec![("origin", "")], 403),
                (vec![("sec-fetch-site", "cross-site"), ("origin", own.as_str())], 403),
                (vec![("sec-fetch-site", "same-site")], 403),
            ] {
                let mut request =
                    client.post(format!("{}/admin/api/tokens", server.url)).header("cookie", &cookie);
                for (name, value) in &headers {
                    request = request.header(*name, *value);
                }
                let new = json!({"label": "a", "providers": ["openai"]});
                let response = request.json(&new).send().await.unwrap();
                assert_eq!(response.status(), status, "{headers:?}");
                if status == 403 {
                    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
                    assert_eq!(body["code"], "foreign_origin");
                }
            }
            for (method, path) in [
                (Method::POST, "/session"),
                (Method::DELETE, "/session"),
                (Method::POST, "/sign-in"),
                (Method::POST, "/sign-out"),
                (Method::POST, "/tokens"),
            ] {
                let request = client.request(method, format!("{}/admin{path}", server.url));
                assert_eq!(request.header("cookie", &cookie).send().await.unwrap().status(), 403, "{path}");
            }
            assert_eq!(status(&server, &cookie).await, 200, "somebody signed the administrator out");
        },
        &Database::sqlite(),
    );
}
