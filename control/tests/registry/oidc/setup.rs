//! A server that signs people in at an issuer, and the browser of a person.

use jwt_simple::claims::{Claims, JWTClaims};
use jwt_simple::prelude::Duration;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::provider::Issuer;
use crate::server::{Server, builder};
use crate::support::Database;

pub(super) const SECRET: &str = "SENTINEL-client:secret";
pub(super) const CODE: &str = "SENTINEL-code";
pub(super) const ALICE: &str = "alice@acme.example";
const ROLES: &str = "
roles:
  - {claim: groups, value: admins, role: admin}
  - {claim: groups, value: red-leads, role: team_owner, teams: [red]}
  - {email: carol@acme.example, role: auditor}
  - {claim: groups, value: staff, role: self_service}
";

/// A server that signs people in at an issuer.
pub(super) struct Setup {
    pub(super) server: Server,
    pub(super) client: Client,
    _files: TempDir,
}

/// A sign-in that a browser has begun.
pub(super) struct Begun {
    pub(super) cookie: String,
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) location: Url,
}

impl Setup {
    pub(super) fn start(database: &Database, issuer: &Issuer) -> Self {
        Self::start_with(database, issuer, ROLES)
    }

    pub(super) fn start_with(database: &Database, issuer: &Issuer, roles: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let [secret, file] = ["secret", "roles.yaml"].map(|name| files.path().join(name));
        std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
        std::fs::write(&file, roles).unwrap();
        let arguments = [
            "--oidc-issuer",
            &issuer.url,
            "--oidc-client-id",
            "keyswap",
            "--oidc-client-secret-file",
            secret.to_str().unwrap(),
            "--oidc-roles",
            file.to_str().unwrap(),
            "--oidc-scope",
            "email,groups",
            "--public-url",
            "https://keyswap.example",
        ];
        let server = Server::start_with(&database.url(), &arguments);
        let client = builder().redirect(Policy::none()).build().unwrap();
        Self { server, client, _files: files }
    }

    pub(super) async fn begin(&self) -> Begun {
        let answer =
            self.client.get(format!("{}/admin/sign-in/provider", self.server.url)).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        assert!(
            cookie.ends_with("; Path=/admin/sign-in/provider; Max-Age=600; HttpOnly; SameSite=Lax"),
            "{cookie}"
        );
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let location = Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        let said = |name: &str| location.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        Begun { cookie, state: said("state"), nonce: said("nonce"), location }
    }

    pub(super) fn way_back(&self, cookie: &str, parameters: &[(&str, &str)]) -> RequestBuilder {
        let mut url = Url::parse(&format!("{}/admin/sign-in/provider/callback", self.server.url)).unwrap();
        url.query_pairs_mut().extend_pairs(parameters);
        self.client.get(url).header("cookie", cookie)
    }

    pub(super) async fn come_back(&self, cookie: &str, parameters: &[(&str, &str)]) -> Response {
        self.way_back(cookie, parameters).send().await.unwrap()
    }

    /// Signs in with a token for the nonce of the sign-in.
    pub(super) async fn sign_in(&self, issuer: &Issuer, token: impl Fn(&str) -> String) -> Response {
        let begun = self.begin().await;
        let code = format!("{CODE}-{}", begun.state);
        issuer.gives(&code, &token(&begun.nonce));
        self.come_back(&begun.cookie, &[("code", &code), ("state", &begun.state)]).await
    }
}

pub(super) fn session(answer: &Response) -> Option<String> {
    let cookies = answer.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let session = cookies.into_iter().find(|cookie| cookie.starts_with("keyswap_session="))?;
    assert!(session.ends_with("; Path=/admin; Max-Age=86400; HttpOnly; SameSite=Strict"), "{session}");
    Some(session.split(';').next().unwrap().to_owned())
}

pub(super) fn claims(issuer: &Issuer, nonce: &str, custom: Value) -> JWTClaims<Value> {
    Claims::with_custom_claims(custom, Duration::from_secs(300))
        .with_issuer(&issuer.url)
        .with_audience("keyswap")
        .with_subject("24400320")
        .with_nonce(nonce)
}

pub(super) fn person(email: &str, groups: &[&str]) -> Value {
    json!({"email": email, "email_verified": true, "groups": groups})
}
