//! The page of a new token: it can be loaded again by the browser that made the token, and by no other.

use keyswap::registry::Listing;
use keyswap_core::base::Digest;
use reqwest::{Client, Method, Response, redirect};

use crate::server::{PASSWORD, Server, builder};
use crate::support::{Database, on_both_databases, run};

on_both_databases!(a_new_token_is_shown_again_to_its_maker_only);

/// A browser without a store of cookies: each request names those that it sends.
pub(crate) struct Browser<'s> {
    server: &'s Server,
    client: Client,
}

impl<'s> Browser<'s> {
    pub(crate) fn of(server: &'s Server) -> Self {
        Self { server, client: builder().redirect(redirect::Policy::none()).build().unwrap() }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        cookies: &str,
        form: &[(&str, &str)],
    ) -> Response {
        let request = self.client.request(method, format!("{}{path}", self.server.url));
        request
            .header("sec-fetch-site", "same-origin")
            .header("cookie", cookies)
            .form(form)
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn sign_in(&self) -> String {
        let response = self.send(Method::POST, "/admin/sign-in", "", &[("password", PASSWORD)]).await;
        cookie(&response)
    }
}

pub(crate) fn cookie(response: &Response) -> String {
    response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

async fn a_new_token_is_shown_again_to_its_maker_only(database: &Database) {
    let registry = database.open().await;
    let server = Server::start(&database.url());
    let browser = Browser::of(&server);
    let session = browser.sign_in().await;
    let mint = async |label: &str| {
        let form = [("label", label), ("provider", "openai")];
        browser.send(Method::POST, "/admin/tokens", &session, &form).await
    };
    let made = mint("a").await;
    assert_eq!(made.status(), 303);
    let attributes = made.headers()["set-cookie"].to_str().unwrap().to_owned();
    let page = made.headers()["location"].to_str().unwrap().to_owned();
    assert!(
        attributes.contains(&format!("; Path={page}; Max-Age=600; HttpOnly; SameSite=Strict")),
        "{attributes}"
    );
    let sealed = cookie(&made);
    assert!(!made.text().await.unwrap().contains("ptk_"));
    let get = async |path: &str, cookies: &[&str]| {
        let response = browser.send(Method::GET, path, &cookies.join("; "), &[]).await;
        assert_eq!(response.headers()["cache-control"], "no-store");
        (response.status().as_u16(), response.text().await.unwrap())
    };
    for _ in 0..2 {
        let (status, text) = get(&page, &[&session, &sealed]).await;
        assert_eq!(status, 200);
        let token = text.split("ptk_").nth(1).unwrap().get(..32).unwrap();
        assert!(page.contains(&Digest::of(format!("ptk_{token}").as_bytes()).to_hex()));
        assert!(!sealed.contains(token));
    }
    assert_eq!(registry.tokens(&Listing::default()).await.unwrap().total, 1, "a reload mints nothing");

    // Another session of the same administrator, another token's page, and a changed seal.
    let other = browser.sign_in().await;
    let second = mint("b").await;
    let (second_page, second_seal) =
        (second.headers()["location"].to_str().unwrap().to_owned(), cookie(&second));
    let cut = &sealed[..sealed.len() - 2];
    for (path, cookies) in [
        (&page, vec![session.as_str()]),
        (&page, vec![&other, &sealed]),
        (&page, vec![&session, &second_seal]),
        (&second_page, vec![&session, &sealed]),
        (&page, vec![&session, cut]),
        (&page, vec![&session, "keyswap_new_token="]),
        (&page, vec![&session, "keyswap_new_token=AAAA"]),
    ] {
        let (status, text) = get(path, &cookies).await;
        assert!(status == 410 && !text.contains("ptk_"), "{cookies:?}: {text}");
    }
    let stranger = browser.send(Method::GET, &page, &sealed, &[]).await;
    assert_eq!(stranger.headers()["location"], "/admin/sign-in");
    let forgotten = browser.send(Method::POST, &page, &format!("{session}; {sealed}"), &[]).await;
    let removed = forgotten.headers()["set-cookie"].to_str().unwrap();
    assert!(removed.starts_with("keyswap_new_token=; ") && removed.contains("Max-Age=0"), "{removed}");
    // The database can open no seal without the cookie, and has no token.
    assert!(!String::from_utf8_lossy(&database.dump()).contains("ptk_"));
}

#[test]
fn the_head_names_release_and_environment() {
    run(
        async |database| {
            let server = Server::start_with(&database.url(), &["--environment", "production"]);
            let cookie = server.sign_in().await;
            let get = async |path: &str| {
                server.admin(&cookie, Method::GET, path).send().await.unwrap().text().await.unwrap()
            };
            let page = get("").await;
            let release = format!("Release {}", env!("CARGO_PKG_VERSION"));
            assert!(page.contains(&release) && page.contains(">production</strong>"), "{page}");
            assert!(page.contains("First steps") && get("/tokens").await.contains("Create a token"));
            let outside =
                server.admin("a=b", Method::GET, "/sign-in").send().await.unwrap().text().await.unwrap();
            assert!(!outside.contains(&release), "strangers do not learn the release");
        },
        &Database::sqlite(),
    );
}
