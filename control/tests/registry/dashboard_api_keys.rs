//! The page of API keys: a key is shown once, to its maker, and revoked by a form of this site.

use keyswap_core::base::Digest;
use reqwest::Method;

use crate::dashboard_token::{Browser, cookie};
use crate::server::Server;
use crate::support::{Database, on_both_databases, run};

on_both_databases!(a_key_is_made_shown_once_and_revoked_on_its_page);

const PAGE: &str = "/admin/api-keys";

async fn a_key_is_made_shown_once_and_revoked_on_its_page(database: &Database) {
    let registry = database.open().await;
    let server = Server::start(&database.url());
    let browser = Browser::of(&server);
    let session = browser.sign_in().await;
    let get = async |path: &str, cookies: &[&str]| {
        let answer = browser.send(Method::GET, path, &cookies.join("; "), &[]).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert!(get(PAGE, &[&session]).await.1.contains("No API keys."));

    let form = [("name", "terraform"), ("role", "team_owner"), ("teams", "red, blue")];
    let made = browser.send(Method::POST, PAGE, &session, &form).await;
    assert_eq!(made.status(), 303);
    let attributes = made.headers()["set-cookie"].to_str().unwrap().to_owned();
    let shown = made.headers()["location"].to_str().unwrap().to_owned();
    assert!(
        attributes.contains(&format!("; Path={shown}; Max-Age=600; HttpOnly; SameSite=Strict")),
        "{attributes}"
    );
    let seal = cookie(&made);
    assert!(!made.text().await.unwrap().contains("kak_"));
    let mut key = String::new();
    for _ in 0..2 {
        let (status, page) = get(&shown, &[&session, &seal]).await;
        assert_eq!(status, 200);
        key = format!("kak_{}", page.split("kak_").nth(1).unwrap().get(..43).unwrap());
        assert!(shown.contains(&Digest::of(key.as_bytes()).to_hex()) && !seal.contains(&key[4..]));
    }
    assert_eq!(registry.api_keys().await.unwrap().len(), 1, "a reload makes no key");
    for cookies in [vec![session.as_str()], vec![&session, "keyswap_new_api_key=AAAA"]] {
        let (status, page) = get(&shown, &cookies).await;
        assert!(status == 410 && !page.contains("kak_"), "{cookies:?}");
    }
    let forgotten = browser.send(Method::POST, &shown, &format!("{session}; {seal}"), &[]).await;
    assert_eq!(forgotten.headers()["location"], PAGE);
    assert!(forgotten.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));

    let (_, list) = get(PAGE, &[&session]).await;
    for text in ["terraform", "team owner of blue, red", ">admin<", "1 API key", "never"] {
        assert!(list.contains(text), "{text}: {list}");
    }
    assert!(!list.contains(&key));
    let me = async || {
        server.client.get(format!("{}/admin/api/me", server.url)).bearer_auth(&key).send().await.unwrap()
    };
    assert_eq!(me().await.status(), 200);
    let revoke = format!("{PAGE}/{}/revoke", Digest::of(key.as_bytes()).to_hex());
    assert_eq!(get(&revoke, &[&session]).await.0, 405, "a link revokes nothing");
    assert_eq!(me().await.status(), 200);
    let revoked = browser.send(Method::POST, &revoke, &session, &[]).await;
    assert_eq!(revoked.headers()["location"], PAGE);
    assert_eq!(me().await.status(), 401);
    assert_eq!(get(&shown, &[&session, &seal]).await.0, 404, "a revoked key is shown no more");
    server.terminate();
    let (_, log) = server.wait();
    let dump = String::from_utf8_lossy(&database.dump()).into_owned();
    assert!(!log.contains(&key) && !dump.contains(&key) && !log.contains(&seal));
}

#[test]
fn a_form_that_is_refused_or_of_another_site_makes_no_key() {
    run(
        async |database| {
            let server = Server::start(&database.url());
            let browser = Browser::of(&server);
            let session = browser.sign_in().await;
            for (form, words) in [
                (vec![("name", "a<b"), ("role", "auditor")], "invalid name"),
                (vec![("name", "ci"), ("role", "team_owner")], "needs 1 to 64 names of teams"),
                (vec![("name", "ci"), ("role", "self_service")], "needs an email address"),
                (vec![("name", "ci"), ("role", "root")], "invalid role"),
                (vec![("name", "ci")], "invalid role"),
                (
                    vec![("name", "ci"), ("role", "auditor"), ("expires_at", "2020-01-01T00:00")],
                    "expected a time in the future",
                ),
                (
                    vec![("name", "ci"), ("role", "auditor"), ("expires_at", "2999-01-01T00:00")],
                    "at most 366 days",
                ),
                (vec![("name", "ci"), ("role", "admin"), ("teams", "red")], "only the role `team_owner`"),
            ] {
                let answer = browser.send(Method::POST, PAGE, &session, &form).await;
                assert!(answer.headers().get("set-cookie").is_none());
                let status = answer.status();
                let page = answer.text().await.unwrap();
                assert!(status == 422 && page.contains(words), "{form:?}: {status} {page}");
                let kept = form[0].1.replace('<', "&lt;");
                assert!(page.contains(&format!(r#"value="{kept}""#)), "{form:?}: {page}");
            }
            let origins = [
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-site", "same-site"),
                ("origin", "https://evil.example"),
                ("origin", "null"),
                ("x-none", ""),
            ];
            for (name, value) in origins {
                let request =
                    browser.client().post(format!("{}{PAGE}", server.url)).header("cookie", &session);
                let form = [("name", "ci"), ("role", "admin")];
                let answer = request.header(name, value).form(&form).send().await.unwrap();
                assert_eq!(answer.status(), 403, "{name}: {value}");
            }
            assert!(database.open().await.api_keys().await.unwrap().is_empty());
        },
        &Database::sqlite(),
    );
}
