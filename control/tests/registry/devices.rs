//! Sign-in of devices: the whole flow with a real server, and what an attacker may try.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use keyswap::registry::{Actor, AuditQuery, NewUser, Registry, Status, UserPatch};
use keyswap_core::base::UnixTime;
use keyswap_core::identity::jwt::{Issuer, JwkSet, PureRust, UnverifiedJwt};
use keyswap_core::policy::Policy;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::key_server::{KeyServer, Signer, claims};
use crate::server::{CREDENTIAL, Server, builder, command};
use crate::support::{Database, admin, on_both_databases, run};

on_both_databases!(a_person_signs_a_device_in_and_it_refreshes_and_signs_out);

const ACCESS: &str = "https://acme.cloudflareaccess.com";
const ALICE: &str = "alice@acme.example";
const BOB: &str = "bob@acme.example";
const PUBLIC_URL: &str = "http://127.0.0.1:7070";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A server that signs devices in, and the people of a team that may do so.
struct Setup {
    server: Server,
    registry: Registry,
    signer: Signer,
    files: TempDir,
}

impl Setup {
    async fn start(database: &Database) -> Self {
        let signer = Signer::first("k1");
        let keys = KeyServer::start(signer.set()).await;
        let files = tempfile::tempdir().unwrap();
        let key = files.path().join("session.key").display().to_string();
        assert!(
            command()
                .args(["policy", "keygen", &key, "--algorithm", "es256"])
                .output()
                .unwrap()
                .status
                .success()
        );
        let registry = database.open().await;
        let new =
            NewUser { email: ALICE.to_owned(), providers: vec!["openai".to_owned()], ..NewUser::default() };
        registry.create_user(new, &admin()).await.unwrap();
        let arguments = [
            ["--access-issuer", ACCESS],
            ["--access-audience", "4714"],
            ["--access-admin", ALICE],
            ["--access-admin", BOB],
            ["--access-keys-url", &keys.url],
            ["--public-url", PUBLIC_URL],
            ["--session-key", &key],
        ];
        let server = Server::start_with(&database.url(), &arguments.concat());
        Self { server, registry, signer, files }
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        // As a client of another make: without the header of the command.
        let fields: Vec<_> = [("client_id", "keyswap")].iter().chain(fields).collect();
        let request = builder().build().unwrap().post(format!("{}/oauth/{path}", self.server.url));
        let response = request.form(&fields).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
    }

    /// Asks to be signed in. Returns the device's code and the person's.
    async fn ask(&self, name: &str) -> (String, String) {
        let (status, answer) = self.post("device_authorization", &[("device_name", name)]).await;
        assert_eq!(status, 200, "{answer}");
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        assert_eq!(text("verification_uri"), format!("{PUBLIC_URL}/device"));
        (text("device_code"), text("user_code"))
    }

    async fn poll(&self, device_code: &str) -> Result<Value, String> {
        result(self.post("token", &[("grant_type", DEVICE_CODE), ("device_code", device_code)]).await)
    }

    async fn refresh(&self, token: &Value) -> Result<Value, String> {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str().unwrap())];
        result(self.post("token", &fields).await)
    }

    /// Returns a request of a person for a page.
    fn page(&self, email: &str, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let request = self.server.client.post(format!("{}/admin/sessions{path}", self.server.url));
        request.header("cf-access-jwt-assertion", self.signer.sign(claims(ACCESS, email))).form(fields)
    }

    async fn decide(&self, email: &str, user_code: &str, decision: &str) -> u16 {
        let fields = [("code", user_code), ("decision", decision)];
        self.page(email, "/device", &fields).send().await.unwrap().status().as_u16()
    }

    /// Signs a device of Alice's in. Returns its tokens.
    async fn begin(&self) -> Value {
        let (device, user) = self.ask("laptop").await;
        assert_eq!(self.decide(ALICE, &user, "approve").await, 200);
        self.poll(&device).await.unwrap()
    }

    async fn principal(&self) -> Value {
        let response = self.server.get(&format!("/v1/principals/{ALICE}")).send().await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    /// Verifies a JWT as a data plane does, with the keys that the server publishes. Returns its claims.
    async fn verify(&self, jwt: &str) -> Value {
        let keys = self.server.client.get(format!("{}/oauth/jwks", self.server.url)).send().await.unwrap();
        let keys = JwkSet::parse(&keys.bytes().await.unwrap()).unwrap();
        let policy = json!({
            "version": "keyswap/v1", "credentials": {"openai": [{"env": "K"}]},
            "registry": {"url": "http://127.0.0.1:1", "credential": {"env": "R"}},
            "issuers": [{"name": "s", "preset": "keyswap", "issuer": PUBLIC_URL, "audiences": ["keyswap"]}],
        });
        let policy = Policy::from_json(policy.to_string().as_bytes()).unwrap();
        let parsed = UnverifiedJwt::parse(jwt.as_bytes()).unwrap();
        let issuer = Issuer::find(policy.issuers(), &parsed, None).unwrap();
        let now = UnixTime(jiff::Timestamp::now().as_second());
        let identity = issuer.verify(parsed, &keys, &PureRust, now).unwrap();
        assert_eq!(identity.email(), Some(ALICE));
        payload(jwt)
    }

    /// Returns the actions of the audit log about Alice, with their details, oldest first.
    async fn audit(&self) -> Vec<(String, Value)> {
        let query = AuditQuery { subject: Some(ALICE.to_owned()), ..AuditQuery::default() };
        let items = self.registry.audit(&query).await.unwrap().items;
        items.into_iter().rev().map(|entry| (entry.action, entry.detail)).collect()
    }
}

fn result((status, answer): (u16, Value)) -> Result<Value, String> {
    if status == 200 { Ok(answer) } else { Err(answer["error"].as_str().unwrap_or_default().to_owned()) }
}

fn payload(jwt: &str) -> Value {
    use base64::Engine as _;
    let part = jwt.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

async fn text(response: Response) -> String {
    response.text().await.unwrap()
}

async fn a_person_signs_a_device_in_and_it_refreshes_and_signs_out(database: &Database) {
    let setup = Setup::start(database).await;
    let (waiting, _) = setup.ask("other").await;
    assert_eq!(setup.poll(&waiting).await.unwrap_err(), "authorization_pending");
    assert_eq!(setup.poll(&waiting).await.unwrap_err(), "slow_down");

    let (device, user) = setup.ask("alice-laptop <b>ok</b>").await;
    let page = text(setup.page(ALICE, "", &[("code", &user.to_lowercase())]).send().await.unwrap()).await;
    assert!(page.contains("alice-laptopbokb"), "{page}");
    assert!(page.contains("127.0.0.1") && page.contains(ALICE), "{page}");
    assert_eq!(setup.decide(ALICE, &user, "approve").await, 200);
    let first = setup.poll(&device).await.unwrap();
    assert_eq!((&first["token_type"], &first["expires_in"]), (&json!("Bearer"), &json!(900)));
    let stated = setup.verify(first["access_token"].as_str().unwrap()).await;
    assert_eq!((&stated["sub"], &stated["iss"]), (&json!(ALICE), &json!(PUBLIC_URL)));
    let second = setup.refresh(&first["refresh_token"]).await.unwrap();
    let restated = setup.verify(second["access_token"].as_str().unwrap()).await;
    assert!(stated["sid"] == restated["sid"] && stated["jti"] != restated["jti"]);
    assert_eq!(setup.principal().await.get("ended_sessions"), None);

    let before = setup.principal().await["version"].clone();
    setup.post("revoke", &[("token", second["refresh_token"].as_str().unwrap())]).await;
    let principal = setup.principal().await;
    assert_eq!(principal["ended_sessions"], json!([stated["sid"]]));
    assert!(principal["version"].as_i64() > before.as_i64());
    let feed = setup.server.get("/v1/changes").send().await.unwrap();
    let feed: Value = serde_json::from_str(&text(feed).await).unwrap();
    assert!(feed.to_string().contains(&principal["version"].to_string()), "{feed}");
    assert_eq!(setup.refresh(&second["refresh_token"]).await.unwrap_err(), "invalid_grant");

    let audit = setup.audit().await;
    let actions: Vec<&str> = audit.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["user.create", "session.approve", "session.begin", "session.end"]);
    assert_eq!(audit[3].1["because"], "signed_out");
    let secrets = [&first["access_token"], &first["refresh_token"], &second["refresh_token"]];
    setup.server.terminate();
    let (_, log) = setup.server.wait();
    let dump = database.dump();
    let dump = String::from_utf8_lossy(&dump);
    for secret in secrets.map(|secret| secret.as_str().unwrap()).into_iter().chain([device.as_str(), &user]) {
        // The second part of a refresh token alone is no use, either.
        let end = &secret[secret.len().saturating_sub(9)..];
        assert!(!log.contains(end) && !dump.contains(end), "{end}");
    }
}

#[test]
fn a_code_is_of_use_once_and_to_its_own_device() {
    run(
        async |database| {
            let setup = Setup::start(database).await;
            let (device, user) = setup.ask("a").await;
            let (other, other_user) = setup.ask("b").await;
            assert_eq!(setup.decide(ALICE, &user, "approve").await, 200);
            assert_eq!(setup.decide(ALICE, &user, "approve").await, 404, "it is decided");
            assert_eq!(setup.poll(&other).await.unwrap_err(), "authorization_pending");
            assert_eq!(setup.decide(ALICE, &other_user, "refuse").await, 200);
            assert!(setup.poll(&device).await.is_ok());
            assert_eq!(setup.poll(&device).await.unwrap_err(), "invalid_grant", "it has begun");
            assert_eq!(setup.poll("made-up").await.unwrap_err(), "invalid_grant");
            let grant = [("grant_type", DEVICE_CODE), ("device_code", device.as_str())];
            for (fields, error) in [
                (vec![("device_code", device.as_str())], "invalid_request"),
                (vec![("grant_type", DEVICE_CODE)], "invalid_request"),
                (vec![grant[0], grant[1], grant[1]], "invalid_request"),
                (vec![("grant_type", "password"), ("password", "x")], "unsupported_grant_type"),
            ] {
                assert_eq!(result(setup.post("token", &fields).await).unwrap_err(), error, "{fields:?}");
            }
            let foreign = builder().build().unwrap().post(format!("{}/oauth/token", setup.server.url));
            let foreign = foreign.form(&[("client_id", "other"), grant[0], grant[1]]).send().await.unwrap();
            assert!(text(foreign).await.contains("invalid_client"));
        },
        &Database::sqlite(),
    );
}

#[test]
fn a_reused_token_ends_the_session_and_so_does_disabling_the_person() {
    run(
        async |database| {
            let setup = Setup::start(database).await;
            let first = setup.begin().await;
            let second = setup.refresh(&first["refresh_token"]).await.unwrap();
            assert_eq!(setup.refresh(&first["refresh_token"]).await.unwrap_err(), "invalid_grant");
            assert_eq!(setup.refresh(&second["refresh_token"]).await.unwrap_err(), "invalid_grant");
            let reused = payload(first["access_token"].as_str().unwrap())["sid"].clone();
            assert_eq!(setup.principal().await["ended_sessions"], json!([reused]));
            assert_eq!(setup.audit().await.last().unwrap().1["because"], "refresh_token_reused");

            let third = setup.begin().await;
            let patch = |status| UserPatch { status: Some(status), ..UserPatch::default() };
            for status in [Status::Disabled, Status::Active] {
                setup.registry.update_user(ALICE, patch(status), &admin()).await.unwrap();
            }
            assert_eq!(setup.refresh(&third["refresh_token"]).await.unwrap_err(), "invalid_grant");
            let ended = setup.principal().await["ended_sessions"].as_array().unwrap().len();
            assert_eq!(ended, 2, "an enabled person has no session of before");

            // A person that is deleted and added again is another one.
            let fourth = setup.begin().await;
            setup.registry.delete_user(ALICE, &admin()).await.unwrap();
            assert_eq!(setup.refresh(&fourth["refresh_token"]).await.unwrap_err(), "invalid_grant");
        },
        &Database::sqlite(),
    );
}

#[test]
fn a_page_of_another_site_a_guess_and_a_stranger_sign_no_device_in() {
    run(
        async |database| {
            let setup = Setup::start(database).await;
            let (device, user) = setup.ask("a").await;
            let forged =
                builder().build().unwrap().post(format!("{}/admin/sessions/device", setup.server.url));
            let forged = forged
                .header("cf-access-jwt-assertion", setup.signer.sign(claims(ACCESS, ALICE)))
                .header("sec-fetch-site", "cross-site")
                .form(&[("code", user.as_str()), ("decision", "approve")]);
            assert_eq!(forged.send().await.unwrap().status(), 403);
            assert_eq!(setup.decide(BOB, &user, "approve").await, 403, "Bob is no user of the registry");
            let password = setup.server.sign_in().await;
            let by_password = setup.server.client.post(format!("{}/admin/sessions/device", setup.server.url));
            let by_password = by_password
                .header("cookie", password)
                .form(&[("code", user.as_str()), ("decision", "approve")]);
            assert_eq!(by_password.send().await.unwrap().status(), 403, "a password is no person");
            // A code in a link fills in nothing.
            let linked = setup.server.client.get(format!("{}/device?user_code={user}", setup.server.url));
            let linked = linked.header("cf-access-jwt-assertion", setup.signer.sign(claims(ACCESS, ALICE)));
            assert!(!text(linked.send().await.unwrap()).await.contains(&user));
            let guesses = ["BCDF-GHJK", "BCDF-GHJL", "", "x", "BCDF-GHJM", "BCDF-GHJN", "BCDF-GHJP"];
            for guess in guesses.into_iter().chain(["BCDF-GHJQ"; 3]) {
                let found = setup.page(ALICE, "", &[("code", guess)]).send().await.unwrap();
                assert_eq!(found.status(), 404, "{guess}");
            }
            let right = setup.page(ALICE, "", &[("code", user.as_str())]).send().await.unwrap();
            assert_eq!(right.status(), 429, "ten codes a minute");
            assert_eq!(setup.poll(&device).await.unwrap_err(), "authorization_pending");
            let mut asked = 1;
            while setup.post("device_authorization", &[]).await.0 == 200 {
                asked += 1;
            }
            assert_eq!(asked, 10, "ten devices a minute from one address");
        },
        &Database::sqlite(),
    );
}

#[test]
fn the_command_signs_in_and_its_helper_serves_callers_at_a_time() {
    run(
        async |database| {
            let setup = Setup::start(database).await;
            let file = setup.files.path().join("state/session.json");
            let path = file.to_str().unwrap();
            let keyswap = |args: &[&str]| {
                let mut command = command();
                command
                    .args(args)
                    .args(["--session-file", path])
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped());
                command
            };
            let mut login =
                keyswap(&["login", "--server", &setup.server.url, "--name", "box"]).spawn().unwrap();
            let mut told = String::new();
            BufReader::new(login.stderr.take().unwrap()).read_line(&mut told).unwrap();
            let user = told.trim().rsplit(' ').next().unwrap();
            assert_eq!(setup.decide(ALICE, user, "approve").await, 200, "{told}");
            assert!(login.wait().unwrap().success());
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);

            // As after half of the lifetime: one of the callers refreshes, and the others wait for it.
            let mut kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let before = kept["access_token"].clone();
            kept["refresh_at"] = json!(0);
            std::fs::write(&file, kept.to_string()).unwrap();
            let callers: Vec<_> = (0..8).map(|_| keyswap(&["session", "token"]).spawn().unwrap()).collect();
            let tokens: Vec<String> = callers
                .into_iter()
                .map(|caller| {
                    let output = caller.wait_with_output().unwrap();
                    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
                    String::from_utf8(output.stdout).unwrap()
                })
                .collect();
            assert!(tokens.iter().all(|token| *token == tokens[0]) && json!(tokens[0].trim()) != before);
            setup.verify(tokens[0].trim()).await;

            assert!(keyswap(&["logout"]).output().unwrap().status.success());
            assert!(!file.exists());
            let output = keyswap(&["session", "token"]).output().unwrap();
            assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
            assert_eq!(setup.principal().await["ended_sessions"].as_array().unwrap().len(), 1);
        },
        &Database::sqlite(),
    );
}

#[test]
fn sessions_are_listed_and_ended_by_the_person_and_by_an_administrator() {
    run(
        async |database| {
            let setup = Setup::start(database).await;
            let [first, second] = [setup.begin().await, setup.begin().await];
            let sid = |tokens: &Value| {
                payload(tokens["access_token"].as_str().unwrap())["sid"].as_str().unwrap().to_owned()
            };
            let url = database.url();
            let list = || {
                let output = command()
                    .args(["session", "list", ALICE, "--format", "json", "--database", &url])
                    .output();
                let told: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
                told["items"].as_array().unwrap().len()
            };
            assert_eq!(list(), 2);
            let ended = setup.page(ALICE, &format!("/{}/end", sid(&first)), &[]).send().await.unwrap();
            assert!(ended.status().is_success() && list() == 1);
            let end = ["session", "end", &sid(&second), "--yes", "--database", &url];
            assert!(command().args(end).output().unwrap().status.success() && list() == 0);
            for tokens in [&first, &second] {
                assert_eq!(setup.refresh(&tokens["refresh_token"]).await.unwrap_err(), "invalid_grant");
            }
            assert!(
                setup.registry.end_device_session(&sid(&first), &Actor::new("admin")).await.is_err(),
                "it has ended"
            );
        },
        &Database::sqlite(),
    );
}

#[test]
fn a_server_without_a_key_signs_no_device_in_and_one_without_people_does_not_start() {
    run(
        async |database| {
            let server = Server::start(&database.url());
            for path in ["/oauth/token", "/oauth/device_authorization", "/oauth/revoke"] {
                let answer =
                    server.client.post(format!("{}{path}", server.url)).form(&[("a", "b")]).send().await;
                assert_eq!(answer.unwrap().status(), 404, "{path}");
            }
            for path in ["/oauth/jwks", "/device", "/.well-known/oauth-authorization-server"] {
                let answer = server.client.get(format!("{}{path}", server.url)).send().await.unwrap();
                assert_eq!(answer.status(), 404, "{path}");
            }
            let files = tempfile::tempdir().unwrap();
            let key = files.path().join("key").display().to_string();
            assert!(command().args(["policy", "keygen", &key]).output().unwrap().status.success());
            let output = command()
                .env("KEYSWAP_REGISTRY_TOKEN", CREDENTIAL)
                .args([
                    "serve",
                    "--session-key",
                    &key,
                    "--public-url",
                    PUBLIC_URL,
                    "--database",
                    &database.url(),
                ])
                .output()
                .unwrap();
            assert!(
                String::from_utf8_lossy(&output.stderr)
                    .contains("people sign devices in under their own names")
            );
        },
        &Database::sqlite(),
    );
}
