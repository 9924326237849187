//! Several replicas on one database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keyswap::registry::{AuditQuery, Listing, Registry, RegistryError, SecretText, Source, Status, Token};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{Database, admin, create, new_token, on_both_databases};

on_both_databases!(
    replicas_that_start_together_share_an_empty_database,
    one_of_many_gets_a_digest,
    one_of_many_rotations_wins,
    fifty_clients_lose_no_update_and_a_reader_misses_nothing,
);

const CLIENTS: usize = 50;

async fn replicas_that_start_together_share_an_empty_database(database: &Database) {
    let mut starting = JoinSet::new();
    let together = Arc::new(Barrier::new(6));
    for _ in 0..6 {
        let (url, together) = (database.url().parse().unwrap(), Arc::clone(&together));
        starting.spawn(async move {
            together.wait().await;
            Registry::open(&url).await.unwrap()
        });
    }
    let replicas = starting.join_all().await;
    let digest = create(&replicas[0], "a").await.record.digest;
    for replica in &replicas {
        assert_eq!(replica.token(&digest).await.unwrap().label, "a");
    }
}

async fn one_of_many_gets_a_digest(database: &Database) {
    let replicas = [database.open().await, database.open().await];
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let registry = replicas[client % 2].clone();
        clients.spawn(async move {
            let source = Source::Custom(SecretText::new("the-same-custom-token".to_owned()));
            registry.create_token(source, new_token(&client.to_string()), &admin()).await
        });
    }
    let (winners, losers): (Vec<_>, Vec<_>) = clients.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((winners.len(), losers.len()), (1, CLIENTS - 1));
    assert!(losers.iter().all(|lost| matches!(lost, Err(RegistryError::DuplicateToken))));
    let kept = replicas[0].tokens(&Listing::default()).await.unwrap().items;
    assert_eq!(kept, [winners.into_iter().next().unwrap().unwrap().record]);
    // The losing replica has written nothing: no number, no entry in the log.
    assert_eq!(replicas[1].changes(0, None, Duration::ZERO).await.unwrap().sequence, 1);
    assert_eq!(replicas[1].audit(&AuditQuery::default()).await.unwrap().total, 1);
}

async fn one_of_many_rotations_wins(database: &Database) {
    let replicas = [database.open().await, database.open().await];
    let digest = create(&replicas[0], "a").await.record.digest;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let registry = replicas[client % 2].clone();
        clients.spawn(async move {
            registry.rotate_token(&digest, Source::Mint, Duration::from_mins(1), &admin()).await
        });
    }
    let mut winners = clients.join_all().await.into_iter().filter_map(Result::ok);
    let winner = winners.next().unwrap();
    assert!(winners.next().is_none());
    let successor = winner.successor.record.digest;
    assert_eq!(replicas[1].token(&digest).await.unwrap().successor, Some(successor));
    assert_eq!(replicas[1].tokens(&Listing::default()).await.unwrap().total, 2);
}

async fn fifty_clients_lose_no_update_and_a_reader_misses_nothing(database: &Database) {
    let replicas = [database.open().await, database.open().await];
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(follow(replicas[1].clone(), Arc::clone(&done)));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (here, there) = (replicas[client % 2].clone(), replicas[(client + 1) % 2].clone());
        clients.spawn(live(here, there, client));
    }
    let expected: BTreeMap<String, Token> =
        clients.join_all().await.into_iter().flatten().map(|token| (token.digest.to_hex(), token)).collect();
    done.store(true, Ordering::Release);
    // The last change wakes the reader, which must see it last.
    let last = create(&replicas[0], "last").await.record;

    let known = reader.await.unwrap();
    let mut all = expected;
    all.insert(last.digest.to_hex(), last);
    assert_eq!(known, all);
    let listed = replicas[0].tokens(&Listing { limit: Some(200), ..Listing::default() }).await.unwrap();
    assert_eq!(listed.total, i64::try_from(all.len()).unwrap());
}

/// Changes tokens as a client: each replica sees the writes of the other. Returns the tokens that are left.
async fn live(here: Registry, there: Registry, client: usize) -> Vec<Token> {
    let first = create(&here, &format!("{client} first")).await.record;
    let rotation =
        there.rotate_token(&first.digest, Source::Mint, Duration::from_mins(10), &admin()).await.unwrap();
    let heir = rotation.successor.record.digest;
    there.set_token_status(&heir, Status::Disabled, &admin()).await.unwrap();
    let expiry = Some("2099-01-01T00:00:00Z");
    let heir = here.set_token_expiry(&heir, expiry, &admin()).await.unwrap();
    assert_eq!(heir.status, Status::Disabled);
    assert_eq!(there.token(&heir.digest).await.unwrap(), heir);
    if client.is_multiple_of(2) {
        here.delete_token(&first.digest, &admin()).await.unwrap();
        vec![heir]
    } else {
        vec![rotation.retiring, heir]
    }
}

/// Follows the feed and looks up changed tokens, like a data plane, until the last change.
async fn follow(registry: Registry, done: Arc<AtomicBool>) -> BTreeMap<String, Token> {
    let mut known = BTreeMap::new();
    let mut since = 0;
    loop {
        let feed = registry.changes(since, None, Duration::from_secs(200)).await.unwrap();
        let numbers: BTreeSet<i64> = feed.changes.iter().map(|change| change.sequence).collect();
        assert!(numbers.iter().all(|number| (since + 1..=feed.sequence).contains(number)));
        since = feed.sequence;
        for change in feed.changes {
            let digest = keyswap_core::base::Digest::from_hex(&change.key).unwrap();
            match registry.token(&digest).await {
                Ok(token) => known.insert(change.key, token),
                Err(RegistryError::UnknownToken) => known.remove(&change.key),
                Err(error) => panic!("{error}"),
            };
        }
        if done.load(Ordering::Acquire) && known.values().any(|token| token.label == "last") {
            return known;
        }
    }
}
