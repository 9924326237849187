//! Tokens that lie, and answers of another sign-in.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jwt_simple::claims::JWTClaims;
use jwt_simple::prelude::Duration;
use keyswap::registry::AuditQuery;
use serde_json::{Value, json};

use super::provider::Issuer;
use super::setup::{ALICE, CODE, Setup, claims, person, session};
use crate::key_server::Signer;
use crate::support::{Database, run};

/// A token for a nonce.
type Make<'a> = Box<dyn Fn(&str) -> String + 'a>;

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
