//! Sign-in by an `OpenID` provider: a real one over HTTP, its rotations and its lies.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response as Answer};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jwt_simple::claims::{Claims, JWTClaims};
use jwt_simple::prelude::Duration;
use keyswap::registry::AuditQuery;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::key_server::Signer;
use crate::server::{Server, builder};
use crate::support::{Database, on_both_databases, run};

on_both_databases!(a_person_signs_in_with_a_role_and_out_again);

const SECRET: &str = "SENTINEL-client:secret";
const CODE: &str = "SENTINEL-code";
const ALICE: &str = "alice@acme.example";
const ROLES: &str = "
roles:
  - {claim: groups, value: admins, role: admin}
  - {claim: groups, value: red-leads, role: team_owner, teams: [red]}
  - {email: carol@acme.example, role: auditor}
  - {claim: groups, value: staff, role: self_service}
";

/// A token for a nonce.
type Make<'a> = Box<dyn Fn(&str) -> String + 'a>;

/// The answers of the issuer.
struct Says {
    keys: String,
    /// The ID token of the next exchanges, by the code.
    tokens: BTreeMap<String, String>,
    document: Value,
    token_status: u16,
}

/// The head and the form of an exchange.
type Exchanged = (HeaderMap, BTreeMap<String, String>);

/// An `OpenID` provider.
#[derive(Clone)]
struct Issuer {
    url: String,
    says: Arc<Mutex<Says>>,
    exchanges: Arc<Mutex<Vec<Exchanged>>>,
    /// The number of fetches of keys.
    fetches: Arc<Mutex<usize>>,
}

impl Issuer {
    async fn start(signer: &Signer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let url = format!("http://{address}");
        let document = json!({
            "issuer": url,
            "authorization_endpoint": format!("{url}/authorize?tenant=a"),
            "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/keys"),
        });
        let says = Says { keys: signer.set(), tokens: BTreeMap::new(), document, token_status: 200 };
        let issuer = Self {
            url,
            says: Arc::new(Mutex::new(says)),
            exchanges: Arc::default(),
            fetches: Arc::default(),
        };
        let handler = issuer.clone();
        let router = Router::new().fallback(async move |uri: Uri, head: HeaderMap, body: Bytes| {
            handler.answer(uri.path(), head, &body)
        });
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        issuer
    }

    fn answer(&self, path: &str, head: HeaderMap, body: &[u8]) -> Answer {
        let says = self.says.lock().unwrap();
        match path {
            "/.well-known/openid-configuration" => says.document.to_string().into_response(),
            "/keys" => {
                *self.fetches.lock().unwrap() += 1;
                says.keys.clone().into_response()
            }
            "/token" => {
                let form: BTreeMap<String, String> = serde_urlencoded::from_bytes(body).unwrap();
                let token = says.tokens.get(&form["code"]).cloned();
                self.exchanges.lock().unwrap().push((head, form));
                let status = StatusCode::from_u16(says.token_status).unwrap();
                match token {
                    Some(token) => (status, json!({"id_token": token, "token_type": "Bearer"}).to_string())
                        .into_response(),
                    None => (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"}).to_string())
                        .into_response(),
                }
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn gives(&self, code: &str, token: &str) {
        self.says.lock().unwrap().tokens.insert(code.to_owned(), token.to_owned());
    }
}

/// A server that signs people in at an issuer.
struct Setup {
    server: Server,
    client: Client,
    _files: TempDir,
}

/// A sign-in that a browser has begun.
struct Begun {
    cookie: String,
    state: String,
    nonce: String,
    location: Url,
}

impl Setup {
    fn start(database: &Database, issuer: &Issuer) -> Self {
        Self::start_with(database, issuer, ROLES)
    }

    fn start_with(database: &Database, issuer: &Issuer, roles: &str) -> Self {
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

    async fn begin(&self) -> Begun {
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

    fn way_back(&self, cookie: &str, parameters: &[(&str, &str)]) -> RequestBuilder {
        let mut url = Url::parse(&format!("{}/admin/sign-in/provider/callback", self.server.url)).unwrap();
        url.query_pairs_mut().extend_pairs(parameters);
        self.client.get(url).header("cookie", cookie)
    }

    async fn come_back(&self, cookie: &str, parameters: &[(&str, &str)]) -> Response {
        self.way_back(cookie, parameters).send().await.unwrap()
    }

    /// Signs in with a token for the nonce of the sign-in.
    async fn sign_in(&self, issuer: &Issuer, token: impl Fn(&str) -> String) -> Response {
        let begun = self.begin().await;
        let code = format!("{CODE}-{}", begun.state);
        issuer.gives(&code, &token(&begun.nonce));
        self.come_back(&begun.cookie, &[("code", &code), ("state", &begun.state)]).await
    }
}

fn session(answer: &Response) -> Option<String> {
    let cookies = answer.headers().get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap());
    let session = cookies.into_iter().find(|cookie| cookie.starts_with("keyswap_session="))?;
    assert!(session.ends_with("; Path=/admin; Max-Age=86400; HttpOnly; SameSite=Strict"), "{session}");
    Some(session.split(';').next().unwrap().to_owned())
}

fn claims(issuer: &Issuer, nonce: &str, custom: Value) -> JWTClaims<Value> {
    Claims::with_custom_claims(custom, Duration::from_secs(300))
        .with_issuer(&issuer.url)
        .with_audience("keyswap")
        .with_subject("24400320")
        .with_nonce(nonce)
}

fn person(email: &str, groups: &[&str]) -> Value {
    json!({"email": email, "email_verified": true, "groups": groups})
}

async fn a_person_signs_in_with_a_role_and_out_again(database: &Database) {
    let signer = Signer::first("k1");
    let issuer = Issuer::start(&signer).await;
    let setup = Setup::start(database, &issuer);
    let page = setup.client.get(format!("{}/admin/sign-in", setup.server.url)).send().await.unwrap();
    assert!(page.text().await.unwrap().contains("Sign in with 127.0.0.1"));

    let begun = setup.begin().await;
    let said: BTreeMap<_, _> = begun.location.query_pairs().into_owned().collect();
    let redirect_uri = "https://keyswap.example/admin/sign-in/provider/callback";
    for (name, value) in [
        ("tenant", "a"),
        ("response_type", "code"),
        ("client_id", "keyswap"),
        ("redirect_uri", redirect_uri),
        ("scope", "openid email groups"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(said[name], value, "{name}");
    }
    let secret = begun.cookie.split_once('=').unwrap().1;
    assert!(!begun.location.as_str().contains(secret), "the secret stays in the browser");
    issuer.gives(
        CODE,
        &signer.sign(claims(&issuer, &begun.nonce, person("Alice@acme.example", &["staff", "red-leads"]))),
    );
    let answer = setup.come_back(&begun.cookie, &[("code", CODE), ("state", &begun.state)]).await;
    assert_eq!(answer.status(), 200);
    let cookie = session(&answer).unwrap();
    assert!(answer.text().await.unwrap().contains(r#"http-equiv="refresh" content="0; url=/admin""#));

    // The exchange has the secret in its head, the verifier of the challenge, and the same address.
    let (head, form) = issuer.exchanges.lock().unwrap()[0].clone();
    let basic = BASE64_STANDARD.encode("keyswap:SENTINEL-client%3Asecret");
    assert_eq!(head["authorization"], format!("Basic {basic}"));
    assert_eq!(
        (form["grant_type"].as_str(), form["redirect_uri"].as_str()),
        ("authorization_code", redirect_uri)
    );
    assert!(!form.contains_key("client_secret"));
    let digest = ring_sha256(form["code_verifier"].as_bytes());
    assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(digest), said["code_challenge"]);

    let ask = async |method, path: &str| setup.server.admin(&cookie, method, path).send().await.unwrap();
    let me: Value = serde_json::from_str(&ask(Method::GET, "/api/me").await.text().await.unwrap()).unwrap();
    assert_eq!(me, json!({"name": ALICE, "role": "team_owner", "teams": ["red"]}));
    assert_eq!(ask(Method::GET, "/api/audit").await.status(), 403);
    // The same answer again is of no use, and neither is it in another browser.
    for cookie in [begun.cookie.as_str(), setup.begin().await.cookie.as_str(), ""] {
        let again = setup.come_back(cookie, &[("code", CODE), ("state", &begun.state)]).await;
        assert_eq!((again.status().as_u16(), session(&again)), (400, None));
    }
    assert_eq!(issuer.exchanges.lock().unwrap().len(), 1);

    assert_eq!(ask(Method::DELETE, "/session").await.status(), 204);
    assert_eq!(ask(Method::GET, "/api/me").await.status(), 401);
    let audit = database.open().await.audit(&AuditQuery::default()).await.unwrap();
    let by_alice: Vec<_> = audit.items.iter().filter(|entry| entry.actor.as_deref() == Some(ALICE)).collect();
    let actions: Vec<&str> = by_alice.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["admin.sign_out", "admin.sign_in"]);
    setup.server.terminate();
    let (_, log) = setup.server.wait();
    let dump = String::from_utf8_lossy(&database.dump()).into_owned();
    let token = issuer.says.lock().unwrap().tokens[CODE].clone();
    for text in [SECRET, CODE, "SENTINEL", secret, &begun.state, &begun.nonce, &form["code_verifier"], &token]
    {
        assert!(!log.contains(text), "in the log: {text}");
        assert!(!dump.contains(text), "in the database: {text}");
    }
}

fn ring_sha256(text: &[u8]) -> Vec<u8> {
    let hex = keyswap_core::base::Digest::of(text).to_hex();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_token_that_lies_signs_no_one_in() {
    run(
        async |database| {
            let (signer, other) = (Signer::first("k1"), Signer::second("k1"));
            let issuer = Issuer::start(&signer).await;
            let setup = Setup::start(database, &issuer);
            let good = |nonce: &str| claims(&issuer, nonce, person(ALICE, &["admins"]));
            let ago = |seconds| good("").issued_at.map(|at| at - Duration::from_secs(seconds));
            let with = |custom: Value| {
                let mut all = person(ALICE, &["admins"]);
                all.as_object_mut().unwrap().extend(custom.as_object().unwrap().clone());
                move |nonce: &str| JWTClaims { custom: all.clone(), ..good(nonce) }
            };
            let sign = |claims: JWTClaims<Value>| signer.sign(claims);
            let none = |nonce: &str| {
                let payload = sign(good(nonce)).split('.').nth(1).unwrap().to_owned();
                format!("{}.{payload}.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#))
            };
            let lies: Vec<(&str, Make<'_>)> = vec![
                ("another nonce", Box::new(|_| sign(good("other")))),
                ("no nonce", Box::new(|nonce| sign(JWTClaims { nonce: None, ..good(nonce) }))),
                ("another audience", Box::new(|nonce| sign(good(nonce).with_audience("other")))),
                (
                    "audiences without a party",
                    Box::new(|nonce| {
                        sign(good(nonce).with_audiences(["keyswap".to_owned(), "other".to_owned()].into()))
                    }),
                ),
                ("another party", Box::new(|nonce| sign(with(json!({"azp": "other"}))(nonce)))),
                ("another issuer", Box::new(|nonce| sign(good(nonce).with_issuer("https://evil.example")))),
                ("expired", Box::new(|nonce| sign(JWTClaims { expires_at: ago(120), ..good(nonce) }))),
                (
                    "of the future",
                    Box::new(|nonce| {
                        let later = good(nonce).issued_at.map(|at| at + Duration::from_secs(600));
                        sign(JWTClaims { issued_at: later, ..good(nonce) })
                    }),
                ),
                ("another's key", Box::new(|nonce| other.sign(good(nonce)))),
                ("no signature", Box::new(none)),
                (
                    "a cut signature",
                    Box::new(|nonce| format!("{}.", sign(good(nonce)).rsplit_once('.').unwrap().0)),
                ),
                ("no subject", Box::new(|nonce| sign(JWTClaims { subject: None, ..good(nonce) }))),
                ("no token", Box::new(|_| "opaque".to_owned())),
            ];
            for (what, token) in &lies {
                let answer = setup.sign_in(&issuer, token).await;
                let ended = answer
                    .headers()
                    .get_all("set-cookie")
                    .iter()
                    .any(|cookie| cookie.to_str().unwrap().starts_with("keyswap_sign_in=;"));
                assert_eq!((answer.status().as_u16(), session(&answer), ended), (401, None, true), "{what}");
                // The right person signs in after it, so the tries are forgotten.
                assert!(
                    session(&setup.sign_in(&issuer, |nonce| sign(good(nonce))).await).is_some(),
                    "{what}"
                );
            }
            // Two audiences are fine if the token is for this client.
            let both = |nonce: &str| {
                with(json!({"azp": "keyswap"}))(nonce)
                    .with_audiences(["keyswap".to_owned(), "api".to_owned()].into())
            };
            assert!(session(&setup.sign_in(&issuer, |nonce| sign(both(nonce))).await).is_some());
            // A person without a role has none, whatever the address claims to be.
            for custom in [
                json!({"groups": ["others"]}),
                json!({"email": "carol@acme.example"}),
                json!({"email": "carol@acme.example", "email_verified": false}),
                json!({"groups": ["staff"], "email": ALICE}),
                json!({"groups": "admins, staff"}),
            ] {
                let answer =
                    setup.sign_in(&issuer, |nonce| sign(claims(&issuer, nonce, custom.clone()))).await;
                assert_eq!((answer.status().as_u16(), session(&answer)), (403, None), "{custom}");
                setup.sign_in(&issuer, |nonce| sign(good(nonce))).await;
            }
            let audit = database
                .open()
                .await
                .audit(&AuditQuery { limit: Some(200), ..AuditQuery::default() })
                .await
                .unwrap();
            let failed = audit.items.iter().filter(|entry| entry.action == "admin.sign_in_failed");
            assert_eq!(failed.count(), lies.len() + 5);
            assert_eq!(*issuer.fetches.lock().unwrap(), 1, "no token led to a fetch");
        },
        &Database::sqlite(),
    );
}

#[test]
fn an_answer_of_another_sign_in_or_provider_is_refused_before_anything_is_asked() {
    run(
        async |database| {
            let signer = Signer::first("k1");
            let issuer = Issuer::start(&signer).await;
            let setup = Setup::start(database, &issuer);
            let begun = setup.begin().await;
            issuer.gives(CODE, &signer.sign(claims(&issuer, &begun.nonce, person(ALICE, &["admins"]))));
            let other = setup.begin().await;
            for (what, cookie, parameters, status) in [
                ("another state", &begun.cookie, vec![("code", CODE), ("state", other.state.as_str())], 400),
                ("no state", &begun.cookie, vec![("code", CODE)], 400),
                ("an empty state", &begun.cookie, vec![("code", CODE), ("state", "")], 400),
                (
                    "two states",
                    &begun.cookie,
                    vec![("code", CODE), ("state", &begun.state), ("state", &begun.state)],
                    400,
                ),
                ("another browser", &other.cookie, vec![("code", CODE), ("state", &begun.state)], 400),
                (
                    "another provider",
                    &begun.cookie,
                    vec![("code", CODE), ("state", &begun.state), ("iss", "https://evil.example")],
                    401,
                ),
                ("a refusal", &begun.cookie, vec![("error", "access_denied"), ("state", &begun.state)], 401),
            ] {
                let answer = setup.come_back(cookie, &parameters).await;
                assert_eq!((answer.status().as_u16(), session(&answer)), (status, None), "{what}");
                let page = answer.text().await.unwrap();
                assert!(!page.contains("access_denied") && !page.contains(CODE), "{what}: {page}");
            }
            assert!(issuer.exchanges.lock().unwrap().is_empty());
            // A provider that always names itself must do so.
            let strict = Issuer::start(&signer).await;
            strict.says.lock().unwrap().document["authorization_response_iss_parameter_supported"] =
                json!(true);
            let setup = Setup::start(&Database::sqlite(), &strict);
            for (iss, expect) in [(None, false), (Some(strict.url.as_str()), true)] {
                let begun = setup.begin().await;
                strict.gives(CODE, &signer.sign(claims(&strict, &begun.nonce, person(ALICE, &["admins"]))));
                let mut parameters = vec![("code", CODE), ("state", begun.state.as_str())];
                parameters.extend(iss.map(|iss| ("iss", iss)));
                assert_eq!(
                    session(&setup.come_back(&begun.cookie, &parameters).await).is_some(),
                    expect,
                    "{iss:?}"
                );
            }
        },
        &Database::sqlite(),
    );
}

#[test]
fn keys_rotate_under_load_without_a_failed_sign_in_and_an_outage_keeps_them() {
    run(
        async |database| {
            let (first, second) = (Signer::first("k1"), Signer::second("k2"));
            let issuer = Issuer::start(&first).await;
            let setup = Setup::start(database, &issuer);
            let admin = |nonce: &str| claims(&issuer, nonce, person(ALICE, &["admins"]));
            assert!(session(&setup.sign_in(&issuer, |nonce| first.sign(admin(nonce))).await).is_some());
            // The provider publishes a second key beside the first, and signs with it from now on.
            let keys = [&first, &second]
                .map(|signer| serde_json::from_str::<Value>(&signer.set()).unwrap()["keys"][0].clone());
            issuer.says.lock().unwrap().keys = json!({"keys": keys}).to_string();
            let mut begun = Vec::new();
            for number in 0..8 {
                let flow = setup.begin().await;
                let code = format!("{CODE}-{number}");
                let signer = if number % 2 == 0 { &first } else { &second };
                issuer.gives(&code, &signer.sign(admin(&flow.nonce)));
                begun.push((flow, code));
            }
            let mut crowd = JoinSet::new();
            for (flow, code) in begun {
                let request = setup.way_back(&flow.cookie, &[("code", &code), ("state", &flow.state)]);
                crowd.spawn(request.send());
            }
            assert!(crowd.join_all().await.iter().all(|answer| session(answer.as_ref().unwrap()).is_some()));
            assert_eq!(*issuer.fetches.lock().unwrap(), 2, "one fetch for all");
            // Unknown keys lead to no more fetches within the cooldown, and keys that are known still count.
            issuer.says.lock().unwrap().keys = "broken".to_owned();
            let unknown = setup.sign_in(&issuer, |nonce| Signer::first("k9").sign(admin(nonce))).await;
            assert_eq!(unknown.status(), 401);
            assert!(session(&setup.sign_in(&issuer, |nonce| second.sign(admin(nonce))).await).is_some());
            assert_eq!(*issuer.fetches.lock().unwrap(), 2);
            // A provider that does not exchange codes signs no one in.
            issuer.says.lock().unwrap().token_status = 500;
            let answer = setup.sign_in(&issuer, |nonce| second.sign(admin(nonce))).await;
            assert_eq!((answer.status().as_u16(), session(&answer)), (401, None));
        },
        &Database::sqlite(),
    );
}

#[test]
fn other_rules_end_the_sessions_that_the_old_ones_gave() {
    run(
        async |database| {
            let signer = Signer::first("k1");
            let issuer = Issuer::start(&signer).await;
            let token = |nonce: &str| signer.sign(claims(&issuer, nonce, person(ALICE, &["admins"])));
            let setup = Setup::start(database, &issuer);
            let cookie = session(&setup.sign_in(&issuer, token).await).unwrap();
            let status = async |setup: &Setup| {
                setup.server.admin(&cookie, Method::GET, "/api/me").send().await.unwrap().status().as_u16()
            };
            assert_eq!(status(&setup).await, 200);
            drop(setup);
            assert_eq!(status(&Setup::start(database, &issuer)).await, 200, "a restart ends no session");
            let fewer = "roles: [{claim: groups, value: others, role: admin}]";
            assert_eq!(status(&Setup::start_with(database, &issuer, fewer)).await, 401);
            let server = Server::start(&database.url());
            let without = server.admin(&cookie, Method::GET, "/api/me").send().await.unwrap();
            assert_eq!(without.status(), 401, "without the provider there are no sessions of it");
        },
        &Database::sqlite(),
    );
}

#[test]
fn the_settings_belong_together() {
    let files = tempfile::tempdir().unwrap();
    let roles = files.path().join("roles.yaml");
    std::fs::write(&roles, "roles: [{role: admin}]").unwrap();
    let all = [
        "--oidc-issuer",
        "https://id.example",
        "--oidc-client-id",
        "keyswap",
        "--oidc-roles",
        roles.to_str().unwrap(),
        "--public-url",
        "https://keyswap.example",
    ];
    for (arguments, words) in [
        (&all[..2], "--oidc-client-id"),
        (&all[2..4], "--oidc-issuer"),
        (&all[..6], "--public-url"),
        (&all[..], "a rule for everyone gives `self_service` only"),
    ] {
        let run = crate::server::command()
            .args(["serve", "--listen", "127.0.0.1:0", "--database"])
            .arg(format!("sqlite://{}", files.path().join("a.db").display()))
            .args(arguments)
            .env("KEYSWAP_REGISTRY_TOKEN", crate::server::CREDENTIAL)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success() && said.contains(words), "{arguments:?}: {said}");
    }
}
