//! A sign-in from its beginning to the sign-out, and the settings.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use keyswap::registry::{AuditQuery, NewUser, Status, UserPatch};
use reqwest::Method;
use serde_json::{Value, json};

use super::provider::Issuer;
use super::setup::{ALICE, CODE, SECRET, Setup, claims, person, session};
use crate::key_server::Signer;
use crate::support::{Database, admin, on_both_databases};

on_both_databases!(
    a_person_signs_in_with_a_role_and_out_again,
    tries_of_the_password_and_of_the_provider_are_counted_apart,
    a_disabled_user_is_refused_whatever_role_the_provider_gives,
);

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

async fn tries_of_the_password_and_of_the_provider_are_counted_apart(database: &Database) {
    let signer = Signer::first("k1");
    let issuer = Issuer::start(&signer).await;
    let setup = Setup::start(database, &issuer);
    let guess = async || {
        let request = setup.server.client.post(format!("{}/admin/session", setup.server.url));
        request.json(&json!({"password": "SENTINEL-wrong"})).send().await.unwrap().status().as_u16()
    };
    let by_provider = async || {
        let sign = |nonce: &str| signer.sign(claims(&issuer, nonce, person(ALICE, &["staff"])));
        setup.sign_in(&issuer, sign).await.status().as_u16()
    };
    for _ in 0..9 {
        assert_eq!(guess().await, 401);
    }
    assert_eq!(by_provider().await, 200);
    assert_eq!((guess().await, guess().await), (401, 429), "no account at a provider gives tries back");
    assert_eq!(by_provider().await, 200, "wrong passwords shut out no person of the provider");
}

async fn a_disabled_user_is_refused_whatever_role_the_provider_gives(database: &Database) {
    let signer = Signer::first("k1");
    let issuer = Issuer::start(&signer).await;
    let setup = Setup::start(database, &issuer);
    let registry = database.open().await;
    let new = NewUser { email: ALICE.to_owned(), providers: vec!["openai".to_owned()], ..NewUser::default() };
    registry.create_user(new, &admin()).await.unwrap();
    let sign_in = async |email: &str, group: &str| {
        let sign = |nonce: &str| signer.sign(claims(&issuer, nonce, person(email, &[group])));
        setup.sign_in(&issuer, sign).await
    };
    let me = async |cookie: &str| {
        setup.server.admin(cookie, Method::GET, "/api/me").send().await.unwrap().status().as_u16()
    };
    let before = session(&sign_in("Alice@acme.example", "admins").await).unwrap();
    assert_eq!(me(&before).await, 200);
    for (status, expect) in [(Status::Disabled, 403), (Status::Active, 200)] {
        let patch = UserPatch { status: Some(status), ..UserPatch::default() };
        registry.update_user(ALICE, patch, &admin()).await.unwrap();
        assert_eq!(me(&before).await, 401, "the session of before has ended");
        for group in ["admins", "red-leads", "staff"] {
            let answer = sign_in("Alice@acme.example", group).await;
            let found = (answer.status().as_u16(), session(&answer).is_some());
            assert_eq!(found, (expect, expect == 200), "{group}");
            let page = answer.text().await.unwrap();
            assert_eq!(page.contains("your user is disabled here"), expect == 403, "{group}: {page}");
            let newest = registry.audit(&AuditQuery::default()).await.unwrap().items.remove(0);
            let action = if expect == 200 { "admin.sign_in" } else { "admin.sign_in_failed" };
            assert_eq!((newest.action.as_str(), newest.actor.is_some()), (action, expect == 200));
        }
        let other = sign_in("carol@acme.example", "none").await;
        assert_eq!(other.status(), 200, "a person without a user is not disabled");
    }
}

fn ring_sha256(text: &[u8]) -> Vec<u8> {
    let hex = keyswap_core::base::Digest::of(text).to_hex();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
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
