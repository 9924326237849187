//! The limits of a team owner: it takes no principal of others, and no address that is in use outside of its teams.

use std::time::{Duration, SystemTime};

use keyswap::registry::{
    Actor, AuditQuery, Budget, CallerKind, Counts, Holder, KnownToken, NewToken, NewUser, ObjectClaim,
    ObjectKey, Payer, Per, RateLimit, Reach, Registry, RoleName, SecretText, Source, Status, Token,
    TokenPatch, UsageReport, UsageRow, UserPatch, Zone,
};
use keyswap_core::base::{Digest, UnixTime};
use reqwest::Method;

use super::setup::{ALICE, BOB, Body, Setup, role};
use crate::support::{Database, admin, new_token, on_both_databases, run};

on_both_databases!(
    a_token_is_brought_by_its_digest_by_administrators_only,
    a_principal_of_another_is_no_new_token,
    what_a_token_has_spent_keeps_it_from_nothing,
    a_policys_token_is_imported_with_what_it_has,
    a_team_owner_adds_no_address_that_is_in_use_elsewhere,
    the_owner_of_a_teams_token_is_a_person_of_the_team,
);

const RAW: &str = "a-token-that-was-known-before";

fn owner() -> Actor {
    Actor::within("owner", Reach::Teams(["red".to_owned()].into()))
}

fn new(team: &str, of: Option<&str>) -> NewToken {
    NewToken { owner: of.map(str::to_owned), team: Some(team.to_owned()), ..new_token("a") }
}

fn user(email: &str, team: &str) -> NewUser {
    NewUser {
        email: email.to_owned(),
        team: Some(team.to_owned()),
        providers: vec!["openai".to_owned()],
        ..NewUser::default()
    }
}

fn raw(rest: &str) -> Source {
    Source::Custom(SecretText::new(format!("{RAW}-{rest}")))
}

fn budget() -> Budget {
    Budget::of_dollars("5", Per::Day, Zone::default()).unwrap()
}

fn code<T>(done: keyswap::registry::Result<T>) -> &'static str {
    done.err().map_or("done", |error| error.code())
}

async fn claim(registry: &Registry, principal: Digest) {
    let claim = ObjectClaim {
        key: ObjectKey::new("openai", "file-1").unwrap(),
        kind: "file".to_owned(),
        principal,
        owner: None,
        team: Some("blue".to_owned()),
        expires_at: None,
    };
    registry.claim_objects(vec![claim]).await.unwrap();
}

async fn a_token_is_brought_by_its_digest_by_administrators_only(database: &Database) {
    let registry = database.open().await;
    let person = Digest::of(format!("person\0{BOB}").as_bytes());
    registry.set_budget(&Payer::Token(person), &budget(), &admin()).await.unwrap();
    let taken = registry.create_token(Source::Digest(person), new("red", None), &owner()).await;
    assert_eq!(code(taken), "beyond_role");
    assert_eq!(code(registry.set_budget(&Payer::Token(person), &budget(), &owner()).await), "unknown_budget");
    assert_eq!(code(registry.create_token(raw(""), new("red", None), &owner()).await), "done");
}

async fn a_principal_of_another_is_no_new_token(database: &Database) {
    let registry = database.open().await;
    for what in ["budget", "object", "line"] {
        let digest = Digest::of(format!("{RAW}-{what}").as_bytes());
        match what {
            "budget" => registry.set_budget(&Payer::Token(digest), &budget(), &admin()).await.unwrap(),
            "object" => claim(&registry, digest).await,
            _ => {
                registry.create_token(raw(what), new("blue", None), &admin()).await.unwrap();
                registry.rotate_token(&digest, Source::Mint, Duration::ZERO, &admin()).await.unwrap();
                registry.delete_token(&digest, &admin()).await.unwrap();
            }
        }
        for actor in [owner(), admin()] {
            let taken = registry.create_token(raw(what), new("red", None), &actor).await;
            assert_eq!(code(taken), "principal_in_use", "{what}");
        }
        let brought = registry.create_token(Source::Digest(digest), new("red", None), &admin()).await;
        assert_eq!(code(brought), "done", "an administrator brings it back by its digest: {what}");
    }
}

async fn what_a_token_has_spent_keeps_it_from_nothing(database: &Database) {
    let registry = database.open().await;
    let digest = Digest::of(format!("{RAW}-spent").as_bytes());
    registry.create_token(raw("spent"), new("red", None), &owner()).await.unwrap();
    registry.take(&digest, Some(RateLimit::new(5, 60).unwrap())).await.unwrap();
    registry.delete_token(&digest, &admin()).await.unwrap();
    registry.take(&digest, Some(RateLimit::new(5, 60).unwrap())).await.unwrap();
    assert_eq!(code(registry.create_token(raw("spent"), new("red", None), &owner()).await), "done");
}

async fn a_policys_token_is_imported_with_what_it_has(database: &Database) {
    let registry = database.open().await;
    let digest = Digest::of(RAW.as_bytes());
    registry.set_budget(&Payer::Token(digest), &budget(), &admin()).await.unwrap();
    claim(&registry, digest).await;
    let known = KnownToken { digest, new: new_token("imported"), status: Status::Active };
    assert_eq!(registry.import_tokens(vec![known], &admin()).await.unwrap().len(), 1);
    let person = ObjectKey::new("openai", "file-2").unwrap();
    let of_bob = Digest::of(format!("person\0{BOB}").as_bytes());
    registry.adopt_objects(&[person], None, &Holder::Person(BOB.to_owned()), &admin()).await.unwrap();
    let known = KnownToken { digest: of_bob, new: new_token("person"), status: Status::Active };
    assert_eq!(code(registry.import_tokens(vec![known], &admin()).await), "principal_in_use");
}

async fn a_team_owner_adds_no_address_that_is_in_use_elsewhere(database: &Database) {
    let registry = database.open().await;
    let usage = |owner: &str, team: &str, id: u32| {
        let hour = UnixTime(i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap());
        let row = UsageRow {
            hour,
            principal: Digest::of(owner.as_bytes()),
            kind: CallerKind::Person,
            label: String::new(),
            owner: Some(owner.to_owned()),
            team: Some(team.to_owned()),
            provider: "openai".to_owned(),
            model: "gpt-5".to_owned(),
            counts: Counts { requests: 1, ..Counts::default() },
        };
        UsageReport { id: format!("{id:032x}"), rows: vec![row] }
    };
    let address = |name: &str| format!("{name}@acme.example");
    let holder = new("blue", Some(&address("token")));
    registry.create_token(Source::Mint, holder, &admin()).await.unwrap();
    registry.set_budget(&Payer::Owner(address("budget")), &budget(), &admin()).await.unwrap();
    registry.report_usage(usage(&address("usage"), "blue", 1)).await.unwrap();
    registry.report_usage(usage(&address("teamless"), "", 2)).await.unwrap();
    registry.report_usage(usage(&address("red"), "red", 3)).await.unwrap();
    registry.create_token(Source::Mint, new("red", Some(&address("red"))), &admin()).await.unwrap();
    for (name, expect) in [
        ("token", "beyond_role"),
        ("Token", "beyond_role"),
        ("budget", "beyond_role"),
        ("usage", "beyond_role"),
        ("teamless", "beyond_role"),
        ("red", "done"),
        ("new", "done"),
        ("new", "duplicate_user"),
    ] {
        assert_eq!(code(registry.create_user(user(&address(name), "red"), &owner()).await), expect, "{name}");
    }
    assert_eq!(
        code(registry.delete_budget(&Payer::Owner(address("budget")), &owner()).await),
        "unknown_budget"
    );
    assert_eq!(code(registry.create_user(user(&address("token"), "blue"), &admin()).await), "done");
}

async fn the_owner_of_a_teams_token_is_a_person_of_the_team(database: &Database) {
    let registry = database.open().await;
    registry.create_user(user(ALICE, "red"), &admin()).await.unwrap();
    registry.create_user(user(BOB, "blue"), &admin()).await.unwrap();
    let stranger = "carol@acme.example";
    for (of, expect) in [
        (None, "done"),
        (Some(" "), "done"),
        (Some(ALICE), "done"),
        (Some("Alice@acme.example"), "done"),
        (Some(BOB), "beyond_role"),
        (Some(stranger), "beyond_role"),
    ] {
        let made = registry.create_token(Source::Mint, new("red", of), &owner()).await;
        assert_eq!(code(made), expect, "{of:?}");
    }
    let own = registry.create_token(Source::Mint, new("red", Some(BOB)), &admin()).await.unwrap().record;
    let patch = |owner: &str| TokenPatch { owner: Some(Some(owner.to_owned())), ..TokenPatch::default() };
    for (of, expect) in [
        (BOB, "done"),
        ("Bob@acme.example", "done"),
        (stranger, "beyond_role"),
        (ALICE, "done"),
        (BOB, "beyond_role"),
    ] {
        assert_eq!(code(registry.update_token(&own.digest, patch(of), &owner()).await), expect, "{of}");
    }
    let entry = newest_change_of_owner(&registry, &own).await;
    assert_eq!(code(registry.undo_token(&own.digest, entry, &owner()).await), "beyond_role");
    assert_eq!(code(registry.undo_token(&own.digest, entry, &admin()).await), "done");
    let rotated = registry.rotate_token(&own.digest, Source::Mint, Duration::ZERO, &owner()).await;
    assert_eq!(code(rotated), "done", "the owner stays");
    // A person that leaves the team is no owner of new tokens.
    let moved = UserPatch { team: Some(Some("blue".to_owned())), ..UserPatch::default() };
    registry.update_user(ALICE, moved, &admin()).await.unwrap();
    assert_eq!(
        code(registry.create_token(Source::Mint, new("red", Some(ALICE)), &owner()).await),
        "beyond_role"
    );
}

#[test]
fn forms_of_the_dashboard_tell_what_is_refused() {
    run(
        async |database| {
            let setup = Setup::start(database).await;
            setup.registry.create_user(user(BOB, "blue"), &admin()).await.unwrap();
            let used = new("blue", Some("carol@acme.example"));
            setup.registry.create_token(Source::Mint, used, &admin()).await.unwrap();
            for (path, name, address, words) in [
                ("/admin/tokens", "owner", BOB, "the owner is a user of your teams"),
                ("/admin/users", "email", "carol@acme.example", "in use outside of your teams"),
            ] {
                let fields = [("label", "a"), ("provider", "openai"), ("team", "red"), (name, address)];
                let form = Body::Form(fields.map(|(name, value)| (name, value.to_owned())).to_vec());
                let (status, page) = setup.ask(&role(RoleName::TeamOwner), &Method::POST, path, &form).await;
                assert!(status == 403 && page.contains(words), "{path}: {status}: {page}");
            }
        },
        &Database::sqlite(),
    );
}

async fn newest_change_of_owner(registry: &Registry, token: &Token) -> i64 {
    let query = AuditQuery {
        subject: Some(token.digest.to_hex()),
        action: Some("token.set_owner".to_owned()),
        ..AuditQuery::default()
    };
    registry.audit(&query).await.unwrap().items[0].id
}
