//! Pages: what each role is offered, and secrets that only the browser which made them is shown.

use keyswap::registry::{AdminRole, RoleName};
use reqwest::{Method, Response};

use super::setup::{ALICE, BOB, Body, Setup, Things, role};
use crate::support::{Database, admin, run};

#[test]
fn a_page_shows_the_name_and_offers_what_the_role_may() {
    run(
        async |database| {
            let setup = Setup::start(database).await;
            let things = Things::make(&setup.registry, "red", ALICE).await;
            Things::make(&setup.registry, "blue", BOB).await;
            let token = format!("/admin/tokens/{}", things.token.digest.to_hex());
            let form = Body::Form(vec![("clear", "yes".to_owned())]);
            let (status, _) =
                setup.ask(&role(RoleName::TeamOwner), &Method::POST, &format!("{token}/expiry"), &form).await;
            assert_eq!(status, 303);
            let changing = "New token, Disable, Rotate this token";
            for (name, word, tokens, offered, hidden) in [
                (
                    RoleName::Admin,
                    "administrator",
                    2,
                    format!(
                        "{changing}, Never expire, Newest changes, Audit log, History, /undo, Offboard a leaver"
                    ),
                    "",
                ),
                (
                    RoleName::Auditor,
                    "auditor",
                    2,
                    "Audit log, Newest changes, History".to_owned(),
                    "New token, Disable, Rotate this token, /undo, Offboard a leaver",
                ),
                (
                    RoleName::TeamOwner,
                    "team owner",
                    1,
                    format!("{changing}, Never expire, Your changes, /undo"),
                    "Audit log, Credentials, Newest changes, History, Offboard a leaver",
                ),
                (
                    RoleName::SelfService,
                    "self-service",
                    1,
                    changing.to_owned(),
                    "Audit log, Policies, Newest changes, Never expire, Save, History, Your changes",
                ),
            ] {
                let mut pages = String::new();
                for path in ["/admin", "/admin/tokens", "/admin/users", &token] {
                    let (status, page) = setup.ask(&role(name), &Method::GET, path, &Body::None).await;
                    assert_eq!(status, 200, "{path}");
                    pages.push_str(&page);
                }
                assert!(pages.contains(&format!("{}@people.example · {word}", name.name())), "{pages}");
                assert!(pages.contains(&format!("Active tokens</a></dt><dd>{tokens}</dd>")), "{name:?}");
                for text in offered.split(", ") {
                    assert!(pages.contains(text), "{name:?} {text}");
                }
                for text in hidden.split(", ").filter(|text| !text.is_empty()) {
                    assert!(!pages.contains(text), "{name:?} {text}");
                }
            }
            // A page of an operation that the role lacks says so.
            let (status, page) =
                setup.ask(&role(RoleName::TeamOwner), &Method::GET, "/admin/audit", &Body::None).await;
            assert!(
                status == 403 && page.contains("the role `team_owner` may not read the audit log"),
                "{page}"
            );
        },
        &Database::sqlite(),
    );
}

#[test]
fn an_auditor_reads_the_api_keys_and_makes_and_revokes_none() {
    run(
        async |database| {
            let setup = Setup::start(database).await;
            let made =
                setup.registry.create_api_key("siem", AdminRole::Auditor, None, &admin()).await.unwrap();
            let get = async |name: RoleName, path: &str| {
                setup.ask(&role(name), &Method::GET, path, &Body::None).await
            };
            let offered = ["New API key", "Revoke"];
            for (name, expect) in [(RoleName::Admin, true), (RoleName::Auditor, false)] {
                let (status, page) = get(name, "/admin/api-keys").await;
                assert!(
                    status == 200 && page.contains("siem") && page.contains("auditor"),
                    "{name:?}: {page}"
                );
                assert!(!page.contains(made.key.expose()));
                assert!(offered.iter().all(|text| page.contains(text) == expect), "{name:?}: {page}");
            }
            let (_, page) = get(RoleName::TeamOwner, "/admin").await;
            assert!(!page.contains("API keys"), "{page}");
            // Each other role is refused whatever the form says, also a stronger role for the key.
            for name in [RoleName::Auditor, RoleName::TeamOwner, RoleName::SelfService] {
                let new = Body::Form(vec![("name", "more".to_owned()), ("role", "admin".to_owned())]);
                let revoke = format!("/admin/api-keys/{}/revoke", made.record.digest.to_hex());
                for (path, form) in [("/admin/api-keys", &new), (revoke.as_str(), &Body::None)] {
                    let (status, text) = setup.ask(&role(name), &Method::POST, path, form).await;
                    assert_eq!(status, 403, "{name:?} {path}: {text}");
                }
            }
            let names: Vec<String> =
                setup.registry.api_keys().await.unwrap().into_iter().map(|key| key.name).collect();
            assert_eq!(names, ["siem"]);
        },
        &Database::sqlite(),
    );
}

#[test]
fn a_new_secret_is_not_shown_in_another_session_of_a_provider() {
    run(
        async |database| {
            let setup = Setup::start(database).await;
            let send = async |method: Method, path: &str, cookies: &[&str], form: &[(&str, &str)]| {
                let request = setup.client.request(method, format!("{}{path}", setup.server.url));
                let request = request.header("cookie", cookies.join("; ")).header("x-keyswap-client", "test");
                request.form(form).send().await.unwrap()
            };
            let cookie = |answer: &Response| {
                let cookie = answer.headers()["set-cookie"].to_str().unwrap();
                cookie.split(';').next().unwrap().to_owned()
            };
            let [own, again] =
                [setup.session(&AdminRole::Admin).await, setup.session(&AdminRole::Admin).await];
            let other = setup.session(&role(RoleName::TeamOwner)).await;
            let forms = [
                ("/admin/tokens", "ptk_", vec![("label", "a"), ("provider", "openai"), ("team", "red")]),
                ("/admin/api-keys", "kak_", vec![("name", "a"), ("role", "auditor")]),
            ];
            let mut seals = Vec::new();
            for (path, secret, form) in &forms {
                let made = send(Method::POST, path, &[&own], form).await;
                assert_eq!(made.status(), 303, "{path}");
                let page = made.headers()["location"].to_str().unwrap().to_owned();
                let seal = cookie(&made);
                let shown = async |session: &str, seal: &str| {
                    let answer = send(Method::GET, &page, &[session, seal], &[]).await;
                    let status = answer.status().as_u16();
                    (status, answer.text().await.unwrap().contains(secret))
                };
                assert_eq!(shown(&own, &seal).await, (200, true), "{path}");
                // The same person in another session, and another person who may see the token.
                assert_eq!(shown(&again, &seal).await, (410, false), "{path}");
                let (status, has_it) = shown(&other, &seal).await;
                assert!([403, 410].contains(&status) && !has_it, "{path}: {status}");
                // The seal of another secret, also under the name of this one's cookie.
                for (name, value) in &seals {
                    let renamed = format!("{}={value}", seal.split_once('=').unwrap().0);
                    for seal in [format!("{name}={value}"), renamed] {
                        assert_eq!(shown(&own, &seal).await, (410, false), "{path}");
                    }
                }
                let (name, value) = seal.split_once('=').unwrap();
                seals.push((name.to_owned(), value.to_owned()));
            }
        },
        &Database::sqlite(),
    );
}
