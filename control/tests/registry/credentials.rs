//! Credentials of data planes and of introspection clients: roles, rotation, revocation, last use.

use std::time::{Duration, Instant};

use keyswap::registry::{
    AuditQuery, Credential, Kind, NewToken, Registry, RegistryError, Role, Source, Status,
};
use keyswap_core::base::UnixTime;
use reqwest::Method;
use serde_json::{Value, json};

use crate::objects::now;
use crate::server::{CREDENTIAL, Server};
use crate::support::{Database, admin, create, new_token, on_both_databases};

on_both_databases!(
    a_role_opens_its_routes_only,
    a_revoked_credential_is_refused_at_once_and_its_successor_is_not,
    a_name_has_at_most_two_credentials,
    the_use_of_a_credential_is_noted,
    an_administrator_creates_lists_and_revokes_credentials,
    a_credential_in_the_database_suffices_to_start,
    metrics_tell_the_uses_of_credentials_and_the_tokens_that_expire,
);

async fn status(server: &Server, credential: &str, method: Method, path: &str) -> u16 {
    let request = server.client.request(method.clone(), format!("{}{path}", server.url));
    let request = request.bearer_auth(credential);
    let request = match path {
        "/introspect" => request.form(&[("token", "unknown")]),
        _ if method == Method::POST => request.json(&json!({})),
        _ => request,
    };
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    assert_eq!(response.headers().contains_key("www-authenticate"), matches!(status, 401 | 403));
    status
}

async fn mint(registry: &Registry, name: &str, role: Role) -> (String, Credential) {
    let created = registry.create_credential(name, role, &admin()).await.unwrap();
    (created.credential.expose().to_owned(), created.record)
}

async fn a_role_opens_its_routes_only(database: &Database) {
    let registry = database.open().await;
    let server = Server::start(&database.url());
    let known = create(&registry, "a").await.record.digest.to_hex();
    let (plane, _) = mint(&registry, "istio", Role::DataPlane).await;
    let (introspection, _) = mint(&registry, "billing", Role::Introspection).await;
    for (method, path, passed) in [
        (Method::GET, format!("/v1/tokens/{known}"), 200),
        (Method::GET, "/v1/principals/a@acme.example".to_owned(), 404),
        (Method::GET, "/v1/changes".to_owned(), 200),
        (Method::POST, "/v1/usage".to_owned(), 422),
        (Method::POST, "/v1/limits".to_owned(), 422),
        (Method::GET, "/v1/policies/prod".to_owned(), 404),
    ] {
        for (credential, expect) in
            [(CREDENTIAL, passed), (plane.as_str(), passed), (&introspection, 403), ("krc_unknown", 401)]
        {
            assert_eq!(status(&server, credential, method.clone(), &path).await, expect, "{path}");
        }
    }
    for (credential, expect) in
        [(CREDENTIAL, 200), (plane.as_str(), 200), (&introspection, 200), ("krc_unknown", 401)]
    {
        assert_eq!(status(&server, credential, Method::POST, "/introspect").await, expect);
    }
    // The administration takes none of them.
    let url = format!("{}/admin/api/credentials", server.url);
    assert_eq!(server.client.get(url).bearer_auth(&plane).send().await.unwrap().status(), 401);

    server.terminate();
    let (_, log) = server.wait();
    let dump = database.dump();
    for secret in [&plane, &introspection] {
        assert!(secret.len() >= 43, "32 random bytes");
        assert!(!log.contains(secret.as_str()), "in the log");
        assert!(!dump.windows(secret.len()).any(|window| window == secret.as_bytes()), "in the database");
    }
}

async fn a_revoked_credential_is_refused_at_once_and_its_successor_is_not(database: &Database) {
    let registry = database.open().await;
    let server = Server::start(&database.url());
    let (old, record) = mint(&registry, "istio", Role::DataPlane).await;
    let (new, _) = mint(&registry, "istio", Role::DataPlane).await;
    for credential in [&old, &new] {
        assert_eq!(status(&server, credential, Method::GET, "/v1/changes").await, 200);
    }
    registry.revoke_credential(&record.digest, &admin()).await.unwrap();
    assert_eq!(status(&server, &old, Method::GET, "/v1/changes").await, 401);
    assert_eq!(status(&server, &new, Method::GET, "/v1/changes").await, 200);
    let again = registry.revoke_credential(&record.digest, &admin()).await.unwrap_err();
    assert!(matches!(again, RegistryError::UnknownCredential));
    let audit = registry.audit(&AuditQuery::default()).await.unwrap();
    let actions: Vec<&str> = audit
        .items
        .iter()
        .filter(|entry| entry.subject == "istio")
        .map(|entry| entry.action.as_str())
        .collect();
    assert_eq!(actions, ["credential.revoke", "credential.create", "credential.create"]);
}

async fn a_name_has_at_most_two_credentials(database: &Database) {
    let registry = database.open().await;
    let (_, first) = mint(&registry, "istio", Role::DataPlane).await;
    mint(&registry, "istio", Role::DataPlane).await;
    let third = registry.create_credential("istio", Role::DataPlane, &admin()).await.unwrap_err();
    assert_eq!((third.kind(), third.code()), (Kind::Conflict, "too_many_credentials"));
    registry.revoke_credential(&first.digest, &admin()).await.unwrap();
    mint(&registry, "istio", Role::DataPlane).await;
    for name in ["", "a b", "a/b", "é", &"a".repeat(65)] {
        let error = registry.create_credential(name, Role::DataPlane, &admin()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{name}");
    }
}

async fn the_use_of_a_credential_is_noted(database: &Database) {
    let registry = database.open().await;
    let server = Server::start(&database.url());
    let (credential, record) = mint(&registry, "istio", Role::DataPlane).await;
    mint(&registry, "unused", Role::DataPlane).await;
    assert_eq!(record.last_seen, None);
    assert_eq!(status(&server, &credential, Method::GET, "/v1/changes").await, 200);
    let started = Instant::now();
    let seen = loop {
        let all = registry.credentials().await.unwrap();
        assert_eq!(all[1].last_seen, None, "the other one is not in use");
        if let Some(at) = all[0].last_seen {
            break at;
        }
        // Noted in the background, without delaying the request.
        assert!(started.elapsed() < Duration::from_secs(15));
    };
    assert!(seen >= record.created_at);
}

async fn an_administrator_creates_lists_and_revokes_credentials(database: &Database) {
    let server = Server::start(&database.url());
    let cookie = server.sign_in().await;
    let ask = async |method: Method, path: &str, body: Value| {
        let mut request = server.admin(&cookie, method, &format!("/api/credentials{path}"));
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
        (status, serde_json::from_str::<Value>(&text).unwrap_or_default())
    };
    let new = json!({"name": "istio", "role": "data_plane"});
    let (created, answer) = ask(Method::POST, "", new.clone()).await;
    assert_eq!(created, 201);
    let credential = answer["credential"].as_str().unwrap();
    assert_eq!(status(&server, credential, Method::GET, "/v1/changes").await, 200);
    let (_, list) = ask(Method::GET, "", Value::Null).await;
    assert_eq!(list["items"][0]["sha256"], answer["record"]["sha256"]);
    assert!(!list.to_string().contains(credential));
    let page = server.admin(&cookie, Method::GET, "/credentials").send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("istio") && page.contains("data_plane") && !page.contains(credential), "{page}");
    for (body, expect) in [
        (json!({"name": "a", "role": "admin"}), 422),
        (json!({"name": "a"}), 422),
        (json!({"name": "a b", "role": "introspection"}), 422),
        (new.clone(), 201),
        (new, 409),
    ] {
        assert_eq!(ask(Method::POST, "", body.clone()).await.0, expect, "{body}");
    }
    let path = format!("/{}", answer["record"]["sha256"].as_str().unwrap());
    assert_eq!(ask(Method::DELETE, &path, Value::Null).await.0, 204);
    assert_eq!(ask(Method::DELETE, &path, Value::Null).await.0, 404);
    assert_eq!(status(&server, credential, Method::GET, "/v1/changes").await, 401);
}

async fn a_credential_in_the_database_suffices_to_start(database: &Database) {
    let (credential, _) = mint(&database.open().await, "istio", Role::DataPlane).await;
    let server = Server::start_without_credential(&database.url());
    assert_eq!(status(&server, &credential, Method::GET, "/v1/changes").await, 200);
    assert_eq!(status(&server, CREDENTIAL, Method::GET, "/v1/changes").await, 401);
}

async fn metrics_tell_the_uses_of_credentials_and_the_tokens_that_expire(database: &Database) {
    let registry = database.open().await;
    let expires = |days: i64| NewToken {
        expires_at: Some(UnixTime(now().0 + days * 86_400 - 60).to_string()),
        ..new_token("expires")
    };
    let created =
        async |new: NewToken| registry.create_token(Source::Mint, new, &admin()).await.unwrap().record.digest;
    for days in [1, 7, 8] {
        created(expires(days)).await;
    }
    created(new_token("never")).await;
    let (disabled, rotated) = (created(expires(1)).await, created(expires(1)).await);
    registry.set_token_status(&disabled, Status::Disabled, &admin()).await.unwrap();
    registry.rotate_token(&rotated, Source::Mint, Duration::from_hours(1), &admin()).await.unwrap();
    let server = Server::start(&database.url());
    let (named, record) = mint(&registry, "istio", Role::DataPlane).await;
    let started = Instant::now();
    let seen = format!(
        "keyswap_registry_credential_last_seen_timestamp_seconds{{name=\"istio\",role=\"data_plane\",id=\"{}\"}} ",
        record.id()
    );
    let text = loop {
        let request = server.client.get(format!("{}/metrics", server.url)).bearer_auth(&named);
        let text = request.send().await.unwrap().text().await.unwrap();
        if text.contains(&seen) {
            break text;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{text}");
    };
    for line in [
        r#"keyswap_registry_tokens_expiring{within="1d"} 2"#,
        r#"keyswap_registry_tokens_expiring{within="7d"} 3"#,
        "keyswap_registry_shared_credential_requests_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    // Plain HTTP has no certificate.
    assert!(!text.contains("\nkeyswap_registry_certificate"), "{text}");
    let page = |cookie: String| {
        let request = server.admin(&cookie, Method::GET, "/credentials");
        async { request.send().await.unwrap().text().await.unwrap() }
    };
    let cookie = server.sign_in().await;
    assert!(page(cookie.clone()).await.contains("No request to this server has used it"));
    assert_eq!(status(&server, CREDENTIAL, Method::GET, "/v1/changes").await, 200);
    let text = server.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(text.contains("\nkeyswap_registry_shared_credential_requests_total 2\n"), "{text}");
    assert!(page(cookie).await.contains("that used it since its start: 2."));
}
