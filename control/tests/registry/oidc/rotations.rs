//! Changes of the provider's keys, and of the rules.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::provider::Issuer;
use super::setup::{ALICE, CODE, Setup, claims, person, session};
use crate::key_server::Signer;
use crate::server::Server;
use crate::support::{Database, run};

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
