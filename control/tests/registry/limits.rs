//! Rate limits and marks of use.

use keyswap::registry::{Day, Mark, NewToken, RateLimit, RegistryError, Source};
use keyswap_core::base::Digest;
use tokio::task::JoinSet;

use crate::support::{Database, admin, create, new_token, on_both_databases};

on_both_databases!(
    no_more_is_taken_than_there_is,
    the_tokens_own_limit_goes_before_the_policys,
    the_latest_day_of_use_is_kept,
);

async fn no_more_is_taken_than_there_is(database: &Database) {
    let replicas = [database.open().await, database.open().await];
    let digest = create(&replicas[0], "a").await.record.digest;
    // A request becomes available after 40 minutes, so none does during the test.
    let limit = RateLimit::new(36, 86_400).unwrap();
    let mut clients = JoinSet::new();
    for client in 0..90 {
        let registry = replicas[client % 2].clone();
        clients.spawn(async move { registry.take(&digest, Some(limit)).await.unwrap() });
    }
    let answers = clients.join_all().await;
    let mut remaining: Vec<_> =
        answers.iter().filter(|answer| answer.allowed).map(|answer| answer.remaining).collect();
    remaining.sort_unstable();
    assert_eq!(remaining, (0..36).collect::<Vec<_>>());
    for refused in answers.iter().filter(|answer| !answer.allowed) {
        assert!((1..=2400).contains(&refused.retry_after) && refused.remaining == 0 && refused.limit == 36);
        assert!((86_000..=86_400).contains(&refused.reset), "{refused:?}");
    }
}

async fn the_tokens_own_limit_goes_before_the_policys(database: &Database) {
    let registry = database.open().await;
    let own = RateLimit::new(2, 86_400).unwrap();
    let policys = RateLimit::new(9, 86_400).unwrap();
    let limited = NewToken { rate_limit: Some(own), ..new_token("limited") };
    let limited = registry.create_token(Source::Mint, limited, &admin()).await.unwrap().record.digest;
    let free = create(&registry, "free").await.record.digest;
    let unknown = Digest::of(b"somebody who signed in elsewhere");
    assert_eq!(registry.take(&limited, None).await.unwrap().limit, 2);
    assert_eq!(registry.take(&limited, Some(policys)).await.unwrap().remaining, 0);
    assert_eq!(registry.take(&free, Some(policys)).await.unwrap().limit, 9);
    assert_eq!(registry.take(&unknown, Some(policys)).await.unwrap().limit, 9);
    // A limit of its own in tokens is none in requests.
    let of_tokens =
        NewToken { rate_limit: Some(RateLimit::of(None, Some(900), 60).unwrap()), ..new_token("tokens") };
    let of_tokens = registry.create_token(Source::Mint, of_tokens, &admin()).await.unwrap().record;
    assert_eq!(registry.token(&of_tokens.digest).await.unwrap().rate_limit, of_tokens.rate_limit);
    assert_eq!(registry.take(&of_tokens.digest, Some(policys)).await.unwrap().limit, 9);
    assert!(matches!(registry.take(&of_tokens.digest, None).await, Err(RegistryError::NoRateLimit)));
    assert!(matches!(registry.take(&free, None).await, Err(RegistryError::NoRateLimit)));
    assert!(matches!(registry.take(&Digest::of(b"?"), None).await, Err(RegistryError::UnknownToken)));
}

async fn the_latest_day_of_use_is_kept(database: &Database) {
    let registry = database.open().await;
    let token = create(&registry, "a").await.record;
    let unknown = Digest::of(b"deleted since");
    let day = |text| Day::parse(text).unwrap();
    for (marked, kept) in
        [("2026-01-02", "2026-01-02"), ("2026-01-01", "2026-01-02"), ("2026-01-03", "2026-01-03")]
    {
        let marks = [token.digest, unknown].map(|digest| Mark { digest, day: day(marked) });
        registry.mark_used(marks.to_vec()).await.unwrap();
        let after = registry.token(&token.digest).await.unwrap();
        assert_eq!((after.last_used, after.version), (Some(day(kept)), token.version));
    }
    let far = vec![Mark { digest: token.digest, day: day("9999-01-01") }];
    assert_eq!(registry.mark_used(far).await.unwrap_err().code(), "invalid_field");
    let many = vec![Mark { digest: token.digest, day: day("2026-01-01") }; 501];
    assert_eq!(registry.mark_used(many).await.unwrap_err().code(), "invalid_field");
}
