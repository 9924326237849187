//! Rights on things: what lists have, what a person may give, and what an undo may do.

use keyswap::registry::{
    Actor, AuditQuery, NewToken, NewUser, Reach, RegistryError, RoleName, Source, Status, TokenPatch,
};
use keyswap_core::base::Digest;
use reqwest::Method;
use serde_json::{Value, json};

use super::setup::{ALICE, BOB, Body, Setup, Things, role};
use crate::support::{Database, admin, new_token, on_both_databases, run};

on_both_databases!(
    lists_have_what_a_role_may_see_and_no_more,
    a_person_has_no_more_rights_than_its_user,
    an_undo_does_no_more_than_its_author_could_by_hand,
);

async fn lists_have_what_a_role_may_see_and_no_more(database: &Database) {
    let setup = Setup::start(database).await;
    let registry = &setup.registry;
    let red = Things::make(registry, "red", ALICE).await;
    let blue = Things::make(registry, "blue", BOB).await;
    // A token of Alice in another team, and one that only sounds like hers.
    let mut new = new_token("elsewhere");
    (new.owner, new.team) = (Some("Alice@acme.example".to_owned()), Some("blue".to_owned()));
    registry.create_token(Source::Mint, new, &admin()).await.unwrap();
    for (label, team) in [("case", "Red"), ("wild", "r_d"), ("longer", "redder"), ("none", "")] {
        let mut new = new_token(label);
        (new.owner, new.team) = (Some("malice@acme.example".to_owned()), Some(team.to_owned()));
        registry.create_token(Source::Mint, new, &admin()).await.unwrap();
    }
    let (own, foreign) = (red.token.label.as_str(), blue.token.label.as_str());
    let unowned = NewToken { owner: None, ..new_token("unowned") };
    registry.create_token(Source::Mint, unowned, &admin()).await.unwrap();
    let all = vec!["case", "elsewhere", "longer", "none", own, foreign, "unowned", "wild"];
    for (name, tokens) in [
        (RoleName::Admin, all.clone()),
        (RoleName::Auditor, all),
        (RoleName::TeamOwner, vec![own]),
        (RoleName::SelfService, vec!["elsewhere", own]),
    ] {
        let role = role(name);
        let page = setup.get(&role, "/tokens").await;
        let items = page["items"].as_array().unwrap();
        let mut labels: Vec<&str> = items.iter().map(|token| token["label"].as_str().unwrap()).collect();
        labels.sort_unstable();
        let mut tokens = tokens;
        tokens.sort_unstable();
        assert_eq!(labels, tokens, "{name:?}");
        assert_eq!(page["total"], json!(labels.len()), "{name:?}: the number is of the same tokens");
        let (users, objects, budgets) = match name {
            RoleName::Admin | RoleName::Auditor => (4, 2, 2),
            RoleName::TeamOwner => (2, 1, 1),
            RoleName::SelfService => (1, 1, 1),
        };
        assert_eq!(setup.get(&role, "/users").await["total"], json!(users), "{name:?}");
        assert_eq!(setup.get(&role, "/objects").await["total"], json!(objects), "{name:?}");
        let found = setup.get(&role, "/budgets").await["items"].as_array().unwrap().len();
        assert_eq!(found, budgets, "{name:?}");
        // An address has no more than the lists, and a count for attention neither.
        let owned = setup.get(&role, &format!("/owners/{BOB}")).await;
        let sees_all = matches!(name, RoleName::Admin | RoleName::Auditor);
        let found = (owned["tokens"].as_array().unwrap().len(), owned["user"].is_object());
        assert_eq!(found, (usize::from(sees_all), sees_all), "{name:?}");
        let unowned = setup.get(&role, "/tokens?attention=unowned").await["total"].as_i64().unwrap();
        assert_eq!(unowned, i64::from(sees_all), "{name:?}");
        // A filter does not widen the part.
        let searched =
            setup.get(&role, &format!("/tokens?search={foreign}")).await["total"].as_i64().unwrap();
        assert_eq!(searched, i64::from(sees_all), "{name:?}");
        let me = setup.get(&role, "/me").await;
        assert_eq!(me["role"], json!(name), "{me}");
    }
}

async fn a_person_has_no_more_rights_than_its_user(database: &Database) {
    let setup = Setup::start(database).await;
    let alice = role(RoleName::SelfService);
    let create = async |new: Value| {
        let (status, text) = setup.ask(&alice, &Method::POST, "/admin/api/tokens", &Body::Json(new)).await;
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let (status, answer) = create(json!({"label": "a", "providers": ["openai"]})).await;
    assert_eq!((status, &answer["code"]), (403, &json!("beyond_role")), "{answer}");
    let user = NewUser {
        email: ALICE.to_owned(),
        team: Some("red".to_owned()),
        providers: vec!["openai".to_owned(), "openai:files".to_owned()],
        models: vec!["gpt-4o".to_owned(), "o3".to_owned()],
        ..NewUser::default()
    };
    setup.registry.create_user(user, &admin()).await.unwrap();
    let (status, answer) = create(json!({"label": "a"})).await;
    assert_eq!(status, 201, "{answer}");
    let record = &answer["record"];
    assert_eq!((&record["owner"], &record["team"]), (&json!(ALICE), &json!("red")));
    assert_eq!(
        (&record["providers"], &record["models"]),
        (&json!(["openai", "openai:files"]), &json!(["gpt-4o", "o3"]))
    );
    for beyond in [
        json!({"label": "a", "owner": BOB}),
        json!({"label": "a", "team": "blue"}),
        json!({"label": "a", "providers": ["anthropic"]}),
        json!({"label": "a", "providers": ["openai:*"]}),
        json!({"label": "a", "models": ["*"]}),
        json!({"label": "a", "models": ["gpt-4o", "o1"]}),
        json!({"label": "a", "rate_limit": {"requests": 1000, "per": "1s"}}),
        json!({"label": "a", "token": "SENTINEL-custom-token"}),
        json!({"label": "a", "sha256": "0".repeat(64)}),
    ] {
        let (status, answer) = create(beyond.clone()).await;
        assert_eq!((status, &answer["code"]), (403, &json!("beyond_role")), "{beyond}: {answer}");
    }
    // Rights are not given back to oneself.
    let path = format!("/admin/api/tokens/{}", record["sha256"].as_str().unwrap());
    for (patch, expect) in [
        (json!({"status": "disabled"}), 200),
        (json!({"status": "active"}), 403),
        (json!({"team": "blue"}), 403),
        (json!({"label": "b"}), 403),
        (json!({"owner": BOB}), 403),
        (json!({"owner": null}), 403),
        (json!({"providers": ["anthropic"]}), 403),
        (json!({"models": []}), 403),
        (json!({"expires_at": null}), 403),
        (json!({"rate_limit": null}), 403),
    ] {
        let (status, text) = setup.ask(&alice, &Method::PATCH, &path, &Body::Json(patch.clone())).await;
        assert_eq!(status, expect, "{patch}: {text}");
    }
    // A team owner moves nothing out of the team, and takes nothing in.
    let owner = role(RoleName::TeamOwner);
    for (patch, expect) in
        [(json!({"team": "blue"}), 403), (json!({"team": null}), 403), (json!({"team": "red"}), 200)]
    {
        let (status, text) = setup.ask(&owner, &Method::PATCH, &path, &Body::Json(patch.clone())).await;
        assert_eq!(status, expect, "{patch}: {text}");
    }
    let audit = setup.get(&role(RoleName::Auditor), "/audit?limit=200").await;
    let made = audit["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == "token.create");
    let actors: Vec<&Value> = made.map(|entry| &entry["actor"]).collect();
    assert_eq!(actors, [&json!("self_service@people.example")]);
}

async fn an_undo_does_no_more_than_its_author_could_by_hand(database: &Database) {
    let setup = Setup::start(database).await;
    let red = Things::make(&setup.registry, "red", ALICE).await;
    let blue = Things::make(&setup.registry, "blue", BOB).await;
    let (of_red, of_blue) = (red.token.digest, blue.token.digest);
    let change = async |digest: &Digest, patch: TokenPatch| {
        setup.registry.update_token(digest, patch, &admin()).await.unwrap();
        let query = AuditQuery { subject: Some(digest.to_hex()), ..AuditQuery::default() };
        setup.registry.audit(&query).await.unwrap().items[0].id
    };
    let status = |status| TokenPatch { status: Some(status), ..TokenPatch::default() };
    let team = |team: &str| TokenPatch { team: Some(Some(team.to_owned())), ..TokenPatch::default() };
    let undo = async |name: RoleName, digest: &Digest, entry: i64| {
        let form = Body::Form(vec![("entry", entry.to_string())]);
        let path = format!("/admin/tokens/{}/undo", digest.to_hex());
        setup.ask(&role(name), &Method::POST, &path, &form).await.0
    };
    let disabled = change(&of_red, status(Status::Disabled)).await;
    assert_eq!(undo(RoleName::SelfService, &of_red, disabled).await, 403, "a person enables nothing");
    assert_eq!(undo(RoleName::Auditor, &of_red, disabled).await, 403);
    assert_eq!(undo(RoleName::TeamOwner, &of_red, disabled).await, 303);
    // The entry of a foreign token undoes nothing, by neither token.
    let foreign = change(&of_blue, status(Status::Disabled)).await;
    assert_eq!(undo(RoleName::TeamOwner, &of_red, foreign).await, 409);
    assert_eq!(undo(RoleName::TeamOwner, &of_blue, foreign).await, 404);
    // The token came from another team, where the team owner cannot put it.
    let moved = change(&of_blue, team("red")).await;
    assert_eq!(undo(RoleName::TeamOwner, &of_blue, moved).await, 403);
    assert_eq!(undo(RoleName::Admin, &of_blue, moved).await, 303);
    assert_eq!(setup.registry.token(&of_blue).await.unwrap().team.as_deref(), Some("blue"));
}

#[test]
fn all_of_an_owner_is_disabled_by_actors_with_all_in_reach_only() {
    run(
        async |database| {
            let registry = database.open().await;
            let things = Things::make(&registry, "red", ALICE).await;
            for reach in [Reach::Teams(["red".to_owned()].into()), Reach::Person(ALICE.to_owned())] {
                let refused = registry.offboard(ALICE, &Actor::within("x", reach)).await;
                assert!(matches!(refused, Err(RegistryError::BeyondRole(_))), "{refused:?}");
            }
            assert_eq!(registry.token(&things.token.digest).await.unwrap().status, Status::Active);
        },
        &Database::sqlite(),
    );
}
