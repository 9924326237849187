//! Sign-in by Cloudflare Access: accepted and refused tokens, and the number of fetches of keys.

use jwt_simple::claims::JWTClaims;
use jwt_simple::prelude::Duration;
use keyswap::registry::AuditQuery;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::key_server::{KeyServer, Signer, claims};
use crate::server::{CREDENTIAL, PASSWORD, Server, builder, command};
use crate::support::{Database, on_both_databases, run};
use crate::tls::behind_tls;

const ISSUER: &str = "https://acme.cloudflareaccess.com";
const ALICE: &str = "alice@acme.example";
const HEADER: &str = "cf-access-jwt-assertion";

on_both_databases!(an_administrator_comes_in_by_access_and_stands_in_the_audit_log);

fn start(database: &Database, keys_url: &str) -> Server {
    let arguments = [
        "--access-issuer",
        ISSUER,
        "--access-audience",
        "4714",
        "--access-admin",
        "Alice@Acme.example",
        "--access-admin",
        "root@acme.example",
        "--access-keys-url",
        keys_url,
    ];
    Server::start_with(&database.url(), &arguments)
}

async fn list(server: &Server, token: &str) -> Response {
    server.client.get(format!("{}/admin/api/tokens", server.url)).header(HEADER, token).send().await.unwrap()
}

/// Returns the status and the code of a JSON answer.
async fn told(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

async fn an_administrator_comes_in_by_access_and_stands_in_the_audit_log(database: &Database) {
    let signer = Signer::first("k1");
    let keys = KeyServer::start(signer.set()).await;
    let server = start(database, &keys.url);
    // The case of the address in the token does not matter.
    let token = signer.sign(claims(ISSUER, "Alice@ACME.example"));
    let cookie = format!("theme=dark; CF_Authorization={token}");
    for (index, (name, value)) in [(HEADER, &token), ("cookie", &cookie)].into_iter().enumerate() {
        let ask = |method, path: &str| {
            server.client.request(method, format!("{}/admin{path}", server.url)).header(name, value)
        };
        let page = ask(Method::GET, "").send().await.unwrap();
        assert_eq!((page.status().as_u16(), page.url().path()), (200, "/admin"));
        let new = json!({"label": format!("a{index}"), "providers": ["openai"]});
        assert_eq!(ask(Method::POST, "/api/tokens").json(&new).send().await.unwrap().status(), 201);
        let form = [("email", format!("bob{index}@acme.example")), ("provider", "openai".to_owned())];
        assert!(ask(Method::POST, "/users").form(&form).send().await.unwrap().status().is_success());
        let bye = ask(Method::POST, "/sign-out").send().await.unwrap().text().await.unwrap();
        assert!(bye.contains(r#"href="/cdn-cgi/access/logout""#), "{bye}");
    }
    let audit = database.open().await.audit(&AuditQuery::default()).await.unwrap();
    let by = |actor: &str| {
        let entries = audit.items.iter().filter(|entry| entry.actor.as_deref() == Some(actor));
        entries.map(|entry| entry.action.as_str()).collect::<Vec<_>>()
    };
    let each = ["admin.sign_out", "user.create", "token.create"];
    assert_eq!(by(ALICE), [each, each].concat());
    assert_eq!(by("admin"), ["admin.set_password"]);
    assert_eq!(keys.asked(), 1, "the keys are kept");

    // Requests from another site's page are refused, with any valid sign-in.
    let foreign = builder().build().unwrap().post(format!("{}/admin/api/tokens", server.url));
    let foreign = foreign.header("cookie", &cookie).header("sec-fetch-site", "cross-site");
    assert_eq!(told(foreign.send().await.unwrap()).await, refused(403, "foreign_origin"));

    server.terminate();
    let (_, log) = server.wait();
    let dump = database.dump();
    for secret in token.split('.') {
        assert!(!log.contains(secret), "in the log");
        assert!(!String::from_utf8_lossy(&dump).contains(secret), "in the database");
    }
}

#[test]
fn a_token_that_does_not_let_in_is_refused_whatever_else_the_request_has() {
    run(
        async |database| {
            let (signer, other) = (Signer::first("k1"), Signer::second("k1"));
            let keys = KeyServer::start(signer.set()).await;
            let server = start(database, &keys.url);
            let session = server.sign_in().await;
            let alice = || claims(ISSUER, ALICE);
            let custom = |custom: Value| signer.sign(JWTClaims { custom, ..alice() });
            let past = alice().expires_at.map(|at| at - Duration::from_secs(300 + 120));
            let good = signer.sign(alice());
            let (invalid, nobody) = ("access_token_invalid", "not_an_administrator");
            for (what, token, status, code) in [
                (
                    "another audience",
                    signer.sign(alice().with_audiences(["4715".to_owned()].into())),
                    401,
                    invalid,
                ),
                (
                    "another issuer",
                    signer.sign(claims("https://evil.cloudflareaccess.com", ALICE)),
                    401,
                    invalid,
                ),
                ("another's key", other.sign(alice()), 401, invalid),
                (
                    "expired",
                    signer.sign(JWTClaims { expires_at: past, ..alice() }),
                    401,
                    "access_token_expired",
                ),
                (
                    "a sign-in for no application",
                    custom(json!({"email": ALICE, "type": "org"})),
                    401,
                    invalid,
                ),
                (
                    "a service token",
                    signer.sign(JWTClaims {
                        subject: Some(String::new()),
                        custom: json!({"common_name": "ci.access", "type": "app"}),
                        ..alice()
                    }),
                    403,
                    nobody,
                ),
                (
                    "a service token with an address",
                    custom(json!({"common_name": "ci.access", "email": ALICE, "type": "app"})),
                    403,
                    nobody,
                ),
                ("no address", custom(json!({"type": "app"})), 403, nobody),
                ("somebody else", signer.sign(claims(ISSUER, "mallory@acme.example")), 403, nobody),
                ("a lookalike", signer.sign(claims(ISSUER, "alice@acme.example.evil")), 403, nobody),
                ("a longer name", signer.sign(claims(ISSUER, "malice@acme.example")), 403, nobody),
                ("no JWT", "opaque".to_owned(), 401, invalid),
                ("no signature", format!("{}.", good.rsplit_once('.').unwrap().0), 401, invalid),
                ("two tokens", format!("{good},{good}"), 401, invalid),
            ] {
                // A request with a refused token cannot use a session or the password.
                let ask = |method, path: &str| server.admin(&session, method, path).header(HEADER, &token);
                let response = ask(Method::GET, "/api/tokens").send().await.unwrap();
                assert_eq!(response.headers().contains_key("www-authenticate"), status == 401, "{what}");
                assert_eq!(told(response).await, refused(status, code), "{what}");
                let right = json!({"password": PASSWORD});
                let response = ask(Method::POST, "/session").json(&right).send().await.unwrap();
                assert!(!response.headers().contains_key("set-cookie"), "{what}");
                assert_eq!(told(response).await, refused(status, code), "{what}");
                let page = ask(Method::GET, "").send().await.unwrap();
                assert_eq!((page.status().as_u16(), page.url().path()), (status, "/admin"), "{what}");
                let form =
                    ask(Method::POST, "/sign-in").form(&[("password", PASSWORD)]).send().await.unwrap();
                assert_eq!(form.status(), status, "{what}");
            }
            // A session suffices for a request without a token. An empty header does not count as a token.
            let without = server.admin(&session, Method::GET, "/api/tokens").header(HEADER, "");
            assert_eq!(without.send().await.unwrap().status(), 200);
            assert_eq!(list(&server, "").await.status(), 401);
            assert_eq!(list(&server, &good).await.status(), 200);
            // The data planes' routes ignore the token.
            let lookup =
                server.client.get(format!("{}/v1/changes?since=0", server.url)).header(HEADER, &good);
            assert_eq!(lookup.send().await.unwrap().status(), 401);
            // Tokens of another issuer, and texts that are not a JWT, have caused no fetch.
            assert_eq!(keys.asked(), 1);
        },
        &Database::sqlite(),
    );
}

#[test]
fn without_access_its_tokens_mean_nothing() {
    run(
        async |database| {
            let server = Server::start(&database.url());
            let session = server.sign_in().await;
            let token = Signer::first("k1").sign(claims(ISSUER, ALICE));
            assert_eq!(list(&server, &token).await.status(), 401);
            let with = server.admin(&session, Method::GET, "/api/tokens").header(HEADER, "x");
            assert_eq!(with.send().await.unwrap().status(), 200);
        },
        &Database::sqlite(),
    );
}

#[test]
fn a_rotated_key_is_found_by_one_fetch_and_unknown_ones_lead_to_no_more() {
    run(
        async |database| {
            let (first, second) = (Signer::first("k1"), Signer::second("k2"));
            let keys = KeyServer::start(first.set()).await;
            let server = start(database, &keys.url);
            let (old, new) = (first.sign(claims(ISSUER, ALICE)), second.sign(claims(ISSUER, ALICE)));
            assert_eq!(list(&server, &old).await.status(), 200);
            keys.says(200, second.set());
            assert_eq!(list(&server, &new).await.status(), 200);
            assert_eq!(told(list(&server, &old).await).await, refused(401, "access_token_invalid"));
            assert_eq!(keys.asked(), 2);

            let mut flood = JoinSet::new();
            for number in 0..60 {
                let token = Signer::first(&format!("unknown-{number}")).sign(claims(ISSUER, ALICE));
                let request = server.client.get(format!("{}/admin/api/tokens", server.url));
                flood.spawn(request.header(HEADER, token).send());
            }
            for answer in flood.join_all().await {
                assert_eq!(told(answer.unwrap()).await, refused(401, "access_token_invalid"));
            }
            assert_eq!(keys.asked(), 2);
            assert_eq!(list(&server, &new).await.status(), 200);
        },
        &Database::sqlite(),
    );
}

#[test]
fn many_at_once_wait_for_one_fetch() {
    run(
        async |database| {
            let signer = Signer::first("k1");
            let keys = KeyServer::start(signer.set()).await;
            let server = start(database, &keys.url);
            let token = signer.sign(claims(ISSUER, ALICE));
            let mut crowd = JoinSet::new();
            for _ in 0..30 {
                let request = server.client.get(format!("{}/admin/api/tokens", server.url));
                crowd.spawn(request.header(HEADER, &token).send());
            }
            assert!(crowd.join_all().await.into_iter().all(|answer| answer.unwrap().status() == 200));
            assert_eq!(keys.asked(), 1);
        },
        &Database::sqlite(),
    );
}

#[test]
fn without_keys_nobody_comes_in_by_access_until_they_are_back() {
    run(
        async |database| {
            let signer = Signer::first("k1");
            let token = signer.sign(claims(ISSUER, ALICE));
            let keys = KeyServer::start(signer.set()).await;
            let padded = format!("{}{}", " ".repeat(256 * 1024), signer.set());
            for (status, body) in
                [(500, signer.set()), (302, signer.set()), (200, "<html>".to_owned()), (200, padded)]
            {
                keys.says(status, body);
                let asked = keys.asked();
                let server = start(database, &keys.url);
                let response = list(&server, &token).await;
                assert_eq!(response.headers()["retry-after"], "1");
                assert_eq!(told(response).await, refused(503, "access_keys_unavailable"), "{status}");
                assert_eq!(keys.asked(), asked + 1, "{status}: a redirect was followed");
                let session = server.sign_in().await;
                let with_session = server.admin(&session, Method::GET, "/api/tokens");
                assert_eq!(with_session.send().await.unwrap().status(), 200);
                // The dashboard's pages refuse the request too.
                let page = server.admin(&session, Method::GET, "").header(HEADER, &token);
                assert_eq!(page.send().await.unwrap().status(), 503);
            }
            let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
            let server = start(database, &format!("http://{nobody}/certs"));
            assert_eq!(list(&server, &token).await.status(), 503);

            let server = start(database, &keys.url);
            assert_eq!(list(&server, &token).await.status(), 503);
            keys.says(200, signer.set());
            let begin = std::time::Instant::now();
            while list(&server, &token).await.status() != 200 {
                assert!(begin.elapsed().as_secs() < 30, "the keys are not fetched again");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            // The cached keys are used while the key server fails.
            keys.says(500, "");
            assert_eq!(list(&server, &token).await.status(), 200);
            let unknown = Signer::second("k2").sign(claims(ISSUER, ALICE));
            assert_eq!(told(list(&server, &unknown).await).await, refused(503, "access_keys_unavailable"));
            assert_eq!(list(&server, &token).await.status(), 200);
        },
        &Database::sqlite(),
    );
}

#[test]
fn a_key_server_that_does_not_answer_is_not_waited_for_for_ever() {
    run(
        async |database| {
            let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let server = start(database, &format!("http://{}/", silent.local_addr().unwrap()));
            let token = Signer::first("k1").sign(claims(ISSUER, ALICE));
            assert_eq!(told(list(&server, &token).await).await, refused(503, "access_keys_unavailable"));
        },
        &Database::sqlite(),
    );
}

#[test]
fn keys_are_fetched_by_tls_from_whom_this_machine_trusts() {
    run(
        async |database| {
            let signer = Signer::first("k1");
            let keys = KeyServer::start(signer.set()).await;
            let folder = tempfile::tempdir().unwrap();
            let (url, trusted) = behind_tls(keys.address, "localhost", folder.path());
            let token = signer.sign(claims(ISSUER, "root@acme.example"));
            let environment = [
                ("KEYSWAP_ACCESS_ISSUER", ISSUER),
                ("KEYSWAP_ACCESS_AUDIENCE", "4713,4714"),
                ("KEYSWAP_ACCESS_ADMIN", "alice@acme.example,root@acme.example"),
                ("KEYSWAP_ACCESS_KEYS_URL", &url),
                ("SSL_CERT_FILE", &trusted),
            ];
            let (without, with) = (&environment[..4], &environment[..]);
            let server = Server::start_in(&database.url(), without);
            assert_eq!(list(&server, &token).await.status(), 503);
            assert_eq!(keys.asked(), 0);
            let server = Server::start_in(&database.url(), with);
            assert_eq!(list(&server, &token).await.status(), 200);
            assert_eq!(keys.asked(), 1);
        },
        &Database::sqlite(),
    );
}

#[test]
fn half_a_setting_keeps_the_server_from_starting() {
    let issuer = ["--access-issuer", ISSUER];
    let audience = ["--access-audience", "4714"];
    let admin = ["--access-admin", ALICE];
    let keys = ["--access-keys-url", "http://keys.example/certs"];
    for (arguments, words) in [
        (issuer.to_vec(), "--access-audience"),
        ([issuer, audience].concat(), "--access-admin"),
        ([issuer, admin].concat(), "--access-audience"),
        (audience.to_vec(), "--access-issuer"),
        (admin.to_vec(), "--access-issuer"),
        (keys.to_vec(), "--access-issuer"),
        ([issuer, audience, admin, keys].concat(), "invalid `--access-keys-url`: expected `https://"),
        (
            [["--access-issuer", "http://a/b"], audience, admin].concat(),
            "invalid `--access-issuer`: expected",
        ),
        ([issuer, ["--access-audience", ""], admin].concat(), "invalid `--access-audience`: expected"),
        ([issuer, audience, ["--access-admin", "everybody"]].concat(), "invalid `--access-admin`: expected"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command();
        command.current_dir(folder.path()).env("KEYSWAP_REGISTRY_TOKEN", CREDENTIAL);
        let output = command.args(["serve", "--listen", "127.0.0.1:0"]).args(&arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(words), "{arguments:?}: {said}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "{arguments:?}: there is a database");
    }
}
