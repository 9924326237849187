//! Leavers with a role: what ends with their user, and what they cannot undo.

use keyswap::registry::{
    Actor, AdminRole, AuditEntry, AuditQuery, NewUser, Reach, Registry, RoleName, Status, UserPatch,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::setup::{ALICE, BOB, Body, Setup, role};
use crate::support::{Database, admin, on_both_databases};

on_both_databases!(
    the_end_of_a_user_ends_its_sessions_in_the_dashboard,
    the_owners_of_a_team_keep_nobody_from_a_role_beyond_it,
    an_address_without_a_user_is_offboarded_and_its_api_keys_are_named,
    a_team_owner_neither_enables_nor_deletes_itself,
);

async fn add(registry: &Registry, email: &str) {
    let user = NewUser {
        email: email.to_owned(),
        team: Some("red".to_owned()),
        providers: vec!["openai".to_owned()],
        ..NewUser::default()
    };
    registry.create_user(user, &admin()).await.unwrap();
}

fn status(status: Status) -> UserPatch {
    UserPatch { status: Some(status), ..UserPatch::default() }
}

async fn newest(registry: &Registry, action: &str) -> AuditEntry {
    let query = AuditQuery { action: Some(action.to_owned()), ..AuditQuery::default() };
    registry.audit(&query).await.unwrap().items.remove(0)
}

fn code<T>(done: keyswap::registry::Result<T>) -> &'static str {
    done.err().map_or("done", |error| error.code())
}

/// Returns the status of a request with the session of this cookie.
async fn me(setup: &Setup, cookie: &str) -> u16 {
    setup.ask_with(cookie, &Method::GET, "/admin/api/me", &Body::None).await.0
}

async fn the_end_of_a_user_ends_its_sessions_in_the_dashboard(database: &Database) {
    let setup = Setup::start(database).await;
    let registry = &setup.registry;
    add(registry, ALICE).await;
    for what in ["disabled", "offboarded", "deleted"] {
        for name in [RoleName::Admin, RoleName::TeamOwner] {
            if registry.user(ALICE).await.is_err() {
                add(registry, ALICE).await;
            }
            registry.update_user(ALICE, status(Status::Active), &admin()).await.unwrap();
            let role = role(name);
            let alice = setup.session_of(ALICE, &role).await.unwrap();
            let bob = setup.session_of(BOB, &role).await.unwrap();
            assert_eq!((me(&setup, &alice).await, me(&setup, &bob).await), (200, 200), "{what}");
            let address = ALICE.to_uppercase();
            match what {
                "disabled" => {
                    registry.update_user(&address, status(Status::Disabled), &admin()).await.unwrap();
                }
                "offboarded" => drop(registry.offboard(&address, &admin()).await.unwrap()),
                _ => registry.delete_user(&address, &admin()).await.unwrap(),
            }
            assert_eq!((me(&setup, &alice).await, me(&setup, &bob).await), (401, 200), "{what}");
            let entry = newest(registry, "session.end").await;
            assert_eq!(entry.subject, ALICE);
            assert!(entry.detail["dashboard_sessions"].as_u64() >= Some(1), "{}", entry.detail);
            // The user is of a team, whose owners do not keep an administrator out.
            let again = setup.session_of(ALICE, &role).await;
            assert_eq!(again.is_some(), what == "deleted" || name == RoleName::Admin, "{what}");
        }
    }
}

async fn the_owners_of_a_team_keep_nobody_from_a_role_beyond_it(database: &Database) {
    let setup = Setup::start(database).await;
    let registry = &setup.registry;
    add(registry, BOB).await;
    let red = Actor::within(ALICE, Reach::Teams(["red".to_owned()].into()));
    let owner_of = |team: &str| AdminRole::TeamOwner([team.to_owned()].into());
    let roles = [AdminRole::Admin, AdminRole::Auditor, owner_of("blue"), owner_of("red")];
    let mut before = Vec::new();
    for role in &roles {
        before.push(setup.session_of(BOB, role).await.unwrap());
    }
    registry.update_user(BOB, status(Status::Disabled), &red).await.unwrap();
    for (role, session) in roles.iter().zip(&before) {
        assert_eq!(me(&setup, session).await, 200, "{role:?}");
        let is_let_in = setup.session_of(BOB, role).await.is_some();
        assert_eq!(is_let_in, *role != owner_of("red"), "{role:?}");
    }
}

async fn an_address_without_a_user_is_offboarded_and_its_api_keys_are_named(database: &Database) {
    let setup = Setup::start(database).await;
    let registry = &setup.registry;
    let bob = setup.session_of(BOB, &AdminRole::Admin).await.unwrap();
    let create = async |name: &str, by: &Actor| {
        registry.create_api_key(name, AdminRole::Auditor, None, by).await.unwrap().record.digest
    };
    let siem = create("siem", &Actor::new(BOB)).await;
    create("other", &admin()).await;
    let done = registry.offboard(BOB, &admin()).await.unwrap();
    assert!(done.user.is_none() && done.tokens.is_empty());
    assert_eq!(done.api_keys, ["siem"]);
    assert_eq!(me(&setup, &bob).await, 401);
    assert_eq!(newest(registry, "user.offboard").await.subject, BOB);
    for (name, expect) in [
        (RoleName::Admin, json!(["siem"])),
        (RoleName::Auditor, json!(["siem"])),
        (RoleName::TeamOwner, json!([])),
        (RoleName::SelfService, json!([])),
    ] {
        let owned = setup.get(&role(name), &format!("/owners/{BOB}")).await;
        assert_eq!(owned["api_keys"], expect, "{name:?}");
    }
    registry.revoke_api_key(&siem, &admin()).await.unwrap();
    assert!(registry.owned_by(BOB).await.unwrap().api_keys.is_empty());
}

async fn a_team_owner_neither_enables_nor_deletes_itself(database: &Database) {
    let setup = Setup::start(database).await;
    let registry = &setup.registry;
    let own = "team_owner@people.example";
    for email in [ALICE, BOB, own] {
        add(registry, email).await;
    }
    let actor = |name: &str| Actor::within(name, Reach::Teams(["red".to_owned()].into()));
    for name in [ALICE, "Alice@ACME.example"] {
        let alice = actor(name);
        assert_eq!(code(registry.update_user(ALICE, status(Status::Disabled), &alice).await), "beyond_role");
        registry.update_user(ALICE, status(Status::Disabled), &admin()).await.unwrap();
        let entry = newest(registry, "user.update").await.id;
        assert_eq!(code(registry.update_user(ALICE, status(Status::Active), &alice).await), "beyond_role");
        assert_eq!(code(registry.undo_user(ALICE, entry, &alice).await), "beyond_role");
        assert_eq!(code(registry.delete_user(ALICE, &alice).await), "beyond_role");
        assert_eq!(registry.user(ALICE).await.unwrap().status, Status::Disabled);
        assert_eq!(code(registry.update_user(ALICE, status(Status::Active), &actor(BOB)).await), "done");
    }
    let path = format!("/admin/api/users/{own}");
    for (method, body, expect) in [
        (Method::PATCH, json!({"status": "disabled"}), Some("beyond_role")),
        (Method::PATCH, json!({"status": "disabled", "label": "a"}), Some("beyond_role")),
        (Method::DELETE, Value::Null, Some("beyond_role")),
        (Method::PATCH, json!({"label": "a"}), None),
    ] {
        let sent = if body.is_null() { Body::None } else { Body::Json(body) };
        let (status, text) = setup.ask(&role(RoleName::TeamOwner), &method, &path, &sent).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["code"].as_str(), expect, "{method}: {text}");
        assert_eq!(status, if expect.is_some() { 403 } else { 200 }, "{method}: {text}");
    }
}
