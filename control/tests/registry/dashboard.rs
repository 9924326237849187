//! The dashboard over plain HTTP: the content of its pages, and its forms without the script.

use keyswap::registry::RateLimit;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, redirect};
use serde_json::json;

use crate::server::{PASSWORD, Server, builder};
use crate::support::{Database, admin, create, on_both_databases, run};

on_both_databases!(forms_do_what_they_say, a_rate_limit_of_a_user_is_set_and_cleared);

fn client() -> Client {
    let browser = HeaderMap::from_iter([(
        HeaderName::from_static("sec-fetch-site"),
        HeaderValue::from_static("same-origin"),
    )]);
    builder().redirect(redirect::Policy::none()).default_headers(browser).build().unwrap()
}

fn location(response: &Response) -> String {
    assert_eq!(response.status(), 303, "{response:?}");
    response.headers()["location"].to_str().unwrap().to_owned()
}

async fn forms_do_what_they_say(database: &Database) {
    let registry = database.open().await;
    let server = Server::start_with(&database.url(), &["--proxy-url", "https://llm.acme.example/"]);
    let client = client();
    let url = |path: &str| format!("{}/admin{path}", server.url);
    assert_eq!(location(&client.get(url("")).send().await.unwrap()), "/admin/sign-in");
    let form = [("password", PASSWORD)];
    let response = client.post(url("/sign-in")).form(&form).send().await.unwrap();
    assert_eq!(location(&response), "/admin");
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let post = async |path: &str, form: &[(&str, &str)]| {
        client.post(url(path)).header("cookie", &cookie).form(form).send().await.unwrap()
    };
    let get = async |path: &str| {
        let response = client.get(url(path)).header("cookie", &cookie).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };

    let token = create(&registry, "<script>alert(1)</script>").await;
    let hex = token.record.digest.to_hex();
    let path = format!("/tokens/{hex}");
    for page in [get("/tokens").await.1, get(&path).await.1] {
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
        assert!(!page.contains("<script>alert") && !page.contains(token.token.as_ref().unwrap().expose()));
    }
    let now = async || registry.token(&token.record.digest).await.unwrap();
    let page = format!("/admin{path}");
    assert_eq!(location(&post(&format!("{path}/status"), &[("status", "disabled")]).await), page);
    assert_eq!(now().await.status.name(), "disabled");
    post(&format!("{path}/status"), &[("status", "active")]).await;
    post(&format!("{path}/expiry"), &[("expires_at", "2099-01-01T00:00")]).await;
    assert_eq!(now().await.own_expiry.unwrap().to_string(), "2099-01-01T00:00:00Z");
    post(&format!("{path}/expiry"), &[("expires_at", "2099-01-01T00:00"), ("clear", "yes")]).await;
    assert_eq!(now().await.own_expiry, None);
    let limit = async |form: &[(&str, &str)]| {
        assert_eq!(location(&post(&format!("{path}/rate-limit"), form).await), page);
        now().await.rate_limit.map(|limit| (limit.requests().unwrap_or(0), limit.seconds()))
    };
    let fields = [("rate_requests", "60"), ("rate_per", "10m")];
    assert_eq!(limit(&fields).await, Some((60, 600)));
    let shown = get(&path).await.1;
    assert!(shown.contains(r#"name="rate_requests""#) && shown.contains(r#"value="600s""#), "{shown}");
    assert_eq!(limit(&[fields[0], fields[1], ("clear", "yes")]).await, None);
    assert_eq!(limit(&[("rate_requests", " 5 "), ("rate_per", "1s")]).await, Some((5, 1)));
    let fields = [("rate_requests", "5"), ("rate_tokens", "900"), ("rate_per", "1m")];
    limit(&fields).await;
    assert_eq!(now().await.rate_limit, Some(RateLimit::of(Some(5), Some(900), 60).unwrap()));
    assert!(get(&path).await.1.contains(r#"autocomplete="off" value="900""#));
    limit(&fields[1..]).await;
    assert_eq!(now().await.rate_limit, Some(RateLimit::of(None, Some(900), 60).unwrap()));
    assert_eq!(limit(&[("rate_requests", ""), ("rate_per", "")]).await, None);
    for wrong in [[("rate_requests", "5"), ("rate_per", "")], [("rate_requests", "-1"), ("rate_per", "1s")]] {
        let response = post(&format!("{path}/rate-limit"), &wrong).await;
        assert_eq!(response.status(), 422);
        assert!(response.text().await.unwrap().contains("invalid rate limit"));
    }
    for (action, form, status, said) in [
        ("expiry", [("expires_at", "soon")], 422, "invalid expiry"),
        ("rotate", [("grace", "long")], 422, "invalid grace"),
        ("rotate", [("grace", "1h")], 303, ""),
        ("rotate", [("grace", "1h")], 409, "the token has a successor already"),
    ] {
        let response = post(&format!("{path}/{action}"), &form).await;
        assert_eq!(response.status(), status);
        assert!(response.text().await.unwrap().contains(said), "{said}");
    }
    assert_eq!(location(&post(&format!("{path}/delete"), &[]).await), "/admin/tokens");
    let (status, text) = get(&path).await;
    assert!(status == 404 && text.contains("no such token") && text.contains("<h1>"), "{text}");
    for (form, said) in [
        (vec![("label", " "), ("provider", "openai")], "label is required"),
        (vec![("label", "a\"b")], "pick at least one provider"),
        (vec![("label", "a"), ("provider", "openai"), ("token", "short")], "custom token too short"),
        (vec![("label", "a"), ("provider", "openai"), ("rate_requests", "5")], "invalid rate limit"),
    ] {
        let response = post("/tokens", &form).await;
        assert_eq!(response.status(), 422);
        assert!(response.text().await.unwrap().contains(said), "{said}");
    }
    let new = [
        ("label", "two"),
        ("provider", "openai"),
        ("provider", "gemini"),
        ("other_providers", "acme, b"),
        ("rate_requests", "60"),
        ("rate_per", "1m"),
    ];
    let response = post("/tokens", &new).await;
    let page = url(location(&response).strip_prefix("/admin").unwrap());
    let both = format!("{cookie}; {}", response.headers()["set-cookie"].to_str().unwrap());
    // The examples can be pasted unchanged.
    let shown = client.get(page).header("cookie", both).send().await.unwrap().text().await.unwrap();
    assert!(shown.contains("curl https://llm.acme.example/v1") && !shown.contains("127.0.0.1"), "{shown}");
    let list = registry.tokens(&keyswap::registry::Listing::default()).await.unwrap();
    assert_eq!(list.items[0].providers, ["openai", "gemini", "acme", "b"]);
    assert_eq!(list.items[0].rate_limit, Some(RateLimit::new(60, 60).unwrap()));
    assert_eq!(location(&post("/sign-out", &[]).await), "/admin/sign-in");
    assert_eq!(
        location(&client.get(url("")).header("cookie", &cookie).send().await.unwrap()),
        "/admin/sign-in"
    );
}

async fn a_rate_limit_of_a_user_is_set_and_cleared(database: &Database) {
    let registry = database.open().await;
    let server = Server::start(&database.url());
    let cookie = server.sign_in().await;
    let post = async |path: &str, form: &[(&str, &str)]| {
        let response = server.admin(&cookie, Method::POST, path).form(form).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let limit = async || {
        let limit = registry.user("a@acme.example").await.unwrap().rate_limit;
        limit.map(|limit| (limit.requests().unwrap_or(0), limit.seconds()))
    };
    let user =
        [("email", "a@acme.example"), ("provider", "openai"), ("rate_requests", "2"), ("rate_per", "1d")];
    assert_eq!((post("/users", &user).await.0, limit().await), (200, Some((2, 86_400))));
    let page = "/users/a%40acme.example";
    let (status, text) = post(page, &[("provider", "openai"), ("rate_requests", "2")]).await;
    assert!(status == 422 && text.contains("invalid rate limit"), "{text}");
    assert_eq!(
        (limit().await, registry.user("a@acme.example").await.unwrap().version),
        (Some((2, 86_400)), 1)
    );
    assert_eq!((post(page, &[("provider", "openai")]).await.0, limit().await), (200, None));
}

#[test]
fn pages_are_protected_and_not_kept() {
    run(
        async |database| {
            let registry = database.open().await;
            create(&registry, "a").await;
            let server = Server::start(&database.url());
            let cookie = server.sign_in().await;
            for path in [
                "",
                "/tokens",
                "/sign-in",
                "/users",
                "/offboard",
                "/audit",
                "/style.css",
                "/script.js",
                "/tokens/abc",
            ] {
                let response = server.admin(&cookie, Method::GET, path).send().await.unwrap();
                let headers = response.headers();
                for (name, value) in [
                    (
                        "content-security-policy",
                        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src \
                         'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
                    ),
                    ("x-content-type-options", "nosniff"),
                    ("referrer-policy", "no-referrer"),
                    ("cache-control", "no-store"),
                ] {
                    assert_eq!(headers[name], value, "{path}");
                }
                assert_eq!(response.status(), if path == "/tokens/abc" { 400 } else { 200 }, "{path}");
            }
            for _ in 0..10 {
                let wrong = [("password", "wrong")];
                server.admin("a=b", Method::POST, "/sign-in").form(&wrong).send().await.unwrap();
            }
            let request = server.admin("a=b", Method::POST, "/sign-in").form(&[("password", "wrong")]);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 429);
            assert!(response.headers().contains_key("retry-after"));
            assert!(response.text().await.unwrap().contains("too many attempts; wait"));
            let foreign =
                server.admin(&cookie, Method::POST, "/sign-out").header("origin", "https://evil.example");
            assert_eq!(foreign.form(&json!({})).send().await.unwrap().status(), 403);
            registry.note(&admin(), "test", "<i>subject</i>").await.unwrap();
            let audit =
                server.admin(&cookie, Method::GET, "/audit").send().await.unwrap().text().await.unwrap();
            assert!(audit.contains("&lt;i&gt;subject"));
        },
        &Database::sqlite(),
    );
}
