//! Budgets of rotated tokens: a line of rotations spends one budget.

use std::time::Duration;

use keyswap::registry::{AuditQuery, Budget, LeaseRequest, Leased, Payer, Per, Registry, Source, Zone};
use keyswap_core::base::{Digest, UnixTime};

use crate::support::{Database, admin, create, on_both_databases};

on_both_databases!(
    a_rotation_renews_no_budget,
    what_a_deleted_token_spent_counts_when_it_is_told,
    a_successor_is_found_in_the_audit_log,
);

/// The noon of 30 November 2026, in UTC.
const NOON: i64 = 1_796_040_000;

const HOUR: Duration = Duration::from_hours(1);

async fn lease(registry: &Registry, token: Digest, id: Option<&str>, spent: i64, need: i64) -> Leased {
    let request = LeaseRequest {
        subject: Payer::Token(token),
        id: id.map(str::to_owned),
        nonce: None,
        spent,
        returned: 0,
        need,
        budget: None,
    };
    registry.lease("envoy-1", &[request], || UnixTime(NOON)).await.unwrap().remove(0)
}

/// Returns what was granted to a lease, and what remains of the budget.
fn numbers(leased: &Leased) -> (i64, i64) {
    let state = leased.state.as_ref().unwrap();
    (state.granted, state.remaining)
}

async fn rotate(registry: &Registry, token: &Digest) -> Digest {
    let rotation = registry.rotate_token(token, Source::Mint, HOUR, &admin()).await.unwrap();
    rotation.successor.record.digest
}

async fn with_budget(registry: &Registry, tokens: u64) -> Digest {
    let token = create(registry, "a").await.record.digest;
    let budget = Budget::of_tokens(tokens, Per::Day, Zone::default()).unwrap();
    registry.set_budget(&Payer::Token(token), &budget, &admin()).await.unwrap();
    token
}

async fn a_rotation_renews_no_budget(database: &Database) {
    let registry = database.open().await;
    let first = with_budget(&registry, 800).await;
    let held = lease(&registry, first, None, 0, 300).await;
    assert_eq!(numbers(&held), (300, 800));
    lease(&registry, first, held.id.as_deref(), 200, 0).await;
    let second = rotate(&registry, &first).await;
    let third = rotate(&registry, &second).await;
    // 200 are spent, and 100 are held by the first token still.
    assert_eq!(numbers(&lease(&registry, third, None, 0, 10_000).await), (500, 500));
    assert_eq!(numbers(&lease(&registry, second, None, 0, 1).await), (0, 0));
    assert_eq!(numbers(&lease(&registry, first, held.id.as_deref(), 300, 0).await).1, 0);
    for token in [first, second, third] {
        let state = registry.budget(&Payer::Token(token), UnixTime(NOON)).await.unwrap().remove(0);
        assert_eq!((state.subject, state.spent, state.leased), (Payer::Token(token), 300, 500));
    }
    let left = async |token| registry.budget(&Payer::Token(token), UnixTime(NOON)).await.unwrap()[0].left();
    // Each token has an amount of its own, and the spending of all counts against it.
    let more = Budget::of_tokens(1000, Per::Day, Zone::default()).unwrap();
    registry.set_budget(&Payer::Token(third), &more, &admin()).await.unwrap();
    assert_eq!((left(third).await, left(first).await), (700, 500));
}

async fn what_a_deleted_token_spent_counts_when_it_is_told(database: &Database) {
    let registry = database.open().await;
    let first = with_budget(&registry, 800).await;
    let second = rotate(&registry, &first).await;
    let held = lease(&registry, second, None, 0, 300).await;
    let third = rotate(&registry, &second).await;
    registry.delete_token(&second, &admin()).await.unwrap();
    lease(&registry, second, held.id.as_deref(), 300, 0).await;
    let state = registry.budget(&Payer::Token(third), UnixTime(NOON)).await.unwrap().remove(0);
    assert_eq!((state.spent, state.leased), (300, 0));
}

async fn a_successor_is_found_in_the_audit_log(database: &Database) {
    let registry = database.open().await;
    let first = with_budget(&registry, 800).await;
    let second = rotate(&registry, &first).await;
    let about = async |subject: String| {
        let query = AuditQuery { subject: Some(subject), ..AuditQuery::default() };
        registry.audit(&query).await.unwrap().items.remove(0)
    };
    let made = about(second.to_hex()).await;
    assert_eq!((made.action.as_str(), &made.detail["predecessor"]), ("token.create", &first.to_hex().into()));
    assert_eq!(made.detail["label"], "a");
    let budget = about(Payer::Token(second).to_string()).await;
    assert_eq!((budget.action.as_str(), &budget.detail["to"]["tokens"]), ("budget.set", &800.into()));
}
