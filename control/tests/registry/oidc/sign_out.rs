//! Signing out: here, and then at the provider, at no other address.

use keyswap::registry::AuditQuery;
use reqwest::Method;
use serde_json::json;

use super::provider::Issuer;
use super::setup::{ALICE, Setup, claims, person, session};
use crate::key_server::Signer;
use crate::server::PASSWORD;
use crate::support::{Database, run};

/// Signs a person in and out. Returns the status, the address of the answer and its page.
async fn in_and_out(setup: &Setup, issuer: &Issuer, signer: &Signer) -> (u16, String, String) {
    let token = |nonce: &str| signer.sign(claims(issuer, nonce, person(ALICE, &["admins"])));
    let cookie = session(&setup.sign_in(issuer, token).await).unwrap();
    // No part of a request leads elsewhere.
    let path = "/admin/sign-out?post_logout_redirect_uri=https://evil.example&url=https://evil.example";
    let request = setup.client.post(format!("{}{path}", setup.server.url));
    let request = request.header("cookie", &cookie).header("sec-fetch-site", "same-origin");
    let form = [("post_logout_redirect_uri", "https://evil.example"), ("state", "https://evil.example")];
    let answer = request.form(&form).send().await.unwrap();
    let removed = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(removed.starts_with("keyswap_session=; ") && removed.contains("Max-Age=0"), "{removed}");
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
    let me = setup.server.admin(&cookie, Method::GET, "/api/me").send().await.unwrap();
    assert_eq!(me.status(), 401, "the session here has ended");
    let to = answer.headers().get("location").map_or("", |to| to.to_str().unwrap()).to_owned();
    (answer.status().as_u16(), to, answer.text().await.unwrap())
}

#[test]
fn a_person_signs_out_here_and_at_the_provider_where_it_can() {
    run(
        async |database| {
            let signer = Signer::first("k1");
            let issuer = Issuer::start(&signer).await;
            let end = format!("{}/end?tenant=a", issuer.url);
            issuer.says.lock().unwrap().document["end_session_endpoint"] = json!(end);
            let setup = Setup::start(database, &issuer);
            let (status, to, page) = in_and_out(&setup, &issuer, &signer).await;
            assert_eq!((status, to.as_str()), (200, ""));
            let back = "https%3A%2F%2Fkeyswap.example%2Fadmin%2Fsign-in";
            let url = format!("{end}&amp;client_id=keyswap&amp;post_logout_redirect_uri={back}");
            assert!(page.contains(&format!(r#"http-equiv="refresh" content="0; url={url}""#)), "{page}");
            assert!(page.contains(&format!(r#"href="{url}""#)), "{page}");
            // Neither a token nor a name goes into a URL.
            assert!(!page.contains("id_token") && !page.contains(ALICE) && !page.contains("evil"), "{page}");
            let audit = database.open().await.audit(&AuditQuery::default()).await.unwrap();
            assert_eq!(audit.items[0].action, "admin.sign_out");
            // A session of the password is none of the provider's.
            let password = setup.server.sign_in().await;
            let request = setup.client.post(format!("{}/admin/sign-out", setup.server.url));
            let answer = request.header("cookie", &password).header("x-keyswap-client", "test").send();
            assert_eq!(answer.await.unwrap().headers()["location"], "/admin/sign-in");
            // Another site's page signs no one out.
            let token = |nonce: &str| signer.sign(claims(&issuer, nonce, person(ALICE, &["admins"])));
            let cookie = session(&setup.sign_in(&issuer, token).await).unwrap();
            let request = setup.client.post(format!("{}/admin/sign-out", setup.server.url));
            let foreign = request.header("cookie", &cookie).header("sec-fetch-site", "cross-site").send();
            assert_eq!(foreign.await.unwrap().status(), 403);
            let me = setup.server.admin(&cookie, Method::GET, "/api/me").send().await.unwrap();
            assert_eq!(me.status(), 200);
            setup.server.terminate();
            let (_, log) = setup.server.wait();
            assert!(!log.contains(PASSWORD) && !log.contains("eyJ"), "no token is in the log");
        },
        &Database::sqlite(),
    );
}

#[test]
fn a_person_signs_out_here_alone_where_the_provider_has_no_safe_address_for_it() {
    run(
        async |database| {
            let signer = Signer::first("k1");
            for endpoint in [
                json!(null),
                json!("http://id.example/end"),
                json!("javascript:alert(1)"),
                json!("https://user@id.example/end"),
            ] {
                let issuer = Issuer::start(&signer).await;
                issuer.says.lock().unwrap().document["end_session_endpoint"] = endpoint.clone();
                let setup = Setup::start(database, &issuer);
                let (status, to, page) = in_and_out(&setup, &issuer, &signer).await;
                assert_eq!((status, to.as_str(), page.as_str()), (303, "/admin/sign-in", ""), "{endpoint}");
            }
        },
        &Database::sqlite(),
    );
}
