//! Tokens that need attention, and the order of lists.

use keyswap::registry::{Attention, Day, Listing, Mark, NewToken, Order, Registry, Source, Status};

use crate::support::{Database, admin, new_token, on_both_databases};

on_both_databases!(tokens_that_need_attention_are_found, lists_are_sorted_and_have_pages_back);

const DAY: i64 = 86_400;

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn time(seconds: i64) -> String {
    keyswap_core::base::UnixTime(seconds).to_string()
}

async fn add(registry: &Registry, new: NewToken) -> keyswap_core::base::Digest {
    registry.create_token(Source::Mint, new, &admin()).await.unwrap().record.digest
}

async fn labels(registry: &Registry, listing: Listing) -> Vec<String> {
    let page = registry.tokens(&listing).await.unwrap();
    page.items.into_iter().map(|token| token.label).collect()
}

async fn tokens_that_need_attention_are_found(database: &Database) {
    let registry = database.open().await;
    let expires =
        |label: &str, seconds: i64| NewToken { expires_at: Some(time(now() + seconds)), ..new_token(label) };
    add(&registry, expires("soon", 6 * DAY)).await;
    add(&registry, expires("later", 8 * DAY)).await;
    add(&registry, expires("over", -DAY)).await;
    let rotated = add(&registry, expires("rotated", 5 * DAY)).await;
    registry
        .rotate_token(&rotated, Source::Mint, std::time::Duration::from_hours(1), &admin())
        .await
        .unwrap();
    let disabled = add(&registry, expires("disabled", DAY)).await;
    registry.set_token_status(&disabled, Status::Disabled, &admin()).await.unwrap();
    add(&registry, NewToken { owner: None, ..new_token("no owner") }).await;
    let of = async |attention| {
        labels(&registry, Listing { attention: Some(attention), ..Listing::default() }).await
    };
    assert_eq!(
        of(Attention::Expiring).await,
        ["rotated", "soon"],
        "the successor of a rotation expires, too"
    );
    assert_eq!(of(Attention::Unowned).await, ["no owner"]);
    // No token is old enough to count as unused.
    assert_eq!(of(Attention::Unused).await, Vec::<String>::new());
}

async fn lists_are_sorted_and_have_pages_back(database: &Database) {
    let registry = database.open().await;
    for (label, owner, expiry, used) in [
        ("b", Some("z@acme.example"), None, Some(20_000)),
        ("C", None, Some(20), None),
        ("a", Some("Y@acme.example"), Some(10), Some(19_000)),
    ] {
        let owner = owner.map(str::to_owned);
        let expires_at = expiry.map(|days: i64| time(now() + days * DAY));
        let digest = add(&registry, NewToken { owner, expires_at, ..new_token(label) }).await;
        if let Some(day) = used {
            registry.mark_used(vec![Mark { digest, day: Day(day) }]).await.unwrap();
        }
    }
    for (order, expect) in [
        (Order::Newest, ["a", "C", "b"]),
        (Order::Label, ["a", "b", "C"]),
        (Order::Owner, ["a", "b", "C"]),
        (Order::Expiry, ["a", "C", "b"]),
        (Order::LastUsed, ["C", "a", "b"]),
    ] {
        assert_eq!(labels(&registry, Listing { order, ..Listing::default() }).await, expect, "{order:?}");
        for (skip, label) in (0..).zip(expect) {
            let listing = Listing { order, skip, limit: Some(1), ..Listing::default() };
            assert_eq!(labels(&registry, listing).await, [label], "{order:?} {skip}");
        }
    }
}
