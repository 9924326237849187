//! The change feed: no change is missed, and every waiter is woken.

use std::time::Duration;

use keyswap::registry::{NewUser, Status, Subject};

use crate::support::{Database, admin, create, on_both_databases};

on_both_databases!(
    each_key_is_there_once_with_its_newest_change,
    a_wait_ends_with_the_change_of_another_replica,
    a_wait_without_a_change_ends_empty,
    a_reader_that_is_ahead_begins_anew,
    a_reader_of_another_database_or_of_another_life_of_this_one_begins_anew,
    a_long_feed_comes_in_parts,
);

/// A wait longer than any test: if it ends earlier, a change ended it.
const LONG: Duration = Duration::from_secs(200);

async fn each_key_is_there_once_with_its_newest_change(database: &Database) {
    let registry = database.open().await;
    let first = create(&registry, "a").await.record.digest;
    let second = create(&registry, "b").await.record.digest;
    let providers = vec!["openai".to_owned()];
    let user = NewUser { email: "a@b.example".to_owned(), providers, ..NewUser::default() };
    registry.create_user(user, &admin()).await.unwrap();
    let seen = registry.changes(0, None, Duration::ZERO).await.unwrap();
    assert_eq!((seen.sequence, seen.reset), (3, false));
    registry.set_token_status(&first, Status::Disabled, &admin()).await.unwrap();
    registry.delete_token(&second, &admin()).await.unwrap();
    registry.set_token_status(&first, Status::Active, &admin()).await.unwrap();
    let feed = registry.changes(seen.sequence, None, LONG).await.unwrap();
    let keys: Vec<_> =
        feed.changes.iter().map(|change| (change.kind, change.key.clone(), change.sequence)).collect();
    assert_eq!(keys, [(Subject::Token, second.to_hex(), 5), (Subject::Token, first.to_hex(), 6)]);
    let all = registry.changes(0, None, LONG).await.unwrap();
    assert_eq!(all.changes.len(), 3);
    assert!(registry.changes(feed.sequence, None, Duration::ZERO).await.unwrap().changes.is_empty());
}

async fn a_wait_ends_with_the_change_of_another_replica(database: &Database) {
    let (reader, writer) = (database.open().await, database.open().await);
    let mut since = 0;
    // Changes come during a wait and, as likely, between two waits.
    for round in 0..5 {
        let waiting = {
            let reader = reader.clone();
            tokio::spawn(async move { reader.changes(since, None, LONG).await.unwrap() })
        };
        let digest = create(&writer, &format!("round {round}")).await.record.digest;
        let feed = waiting.await.unwrap();
        assert_eq!(feed.changes.len(), 1);
        assert_eq!(feed.changes[0].key, digest.to_hex());
        since = feed.sequence;
    }
}

async fn a_wait_without_a_change_ends_empty(database: &Database) {
    let registry = database.open().await;
    let feed = registry.changes(0, None, Duration::from_millis(200)).await.unwrap();
    assert_eq!((feed.sequence, feed.reset, feed.changes.len()), (0, false, 0));
}

async fn a_reader_that_is_ahead_begins_anew(database: &Database) {
    let registry = database.open().await;
    create(&registry, "a").await;
    let feed = registry.changes(7, None, LONG).await.unwrap();
    assert_eq!((feed.sequence, feed.reset, feed.changes.len()), (1, true, 1));
}

async fn a_reader_of_another_database_or_of_another_life_of_this_one_begins_anew(database: &Database) {
    let registry = database.open().await;
    let other = Database::sqlite();
    let other = other.open().await;
    let (born, elsewhere) = (registry.newest_change().await.unwrap(), other.newest_change().await.unwrap());
    assert_ne!(born.history, elsewhere.history, "a database has a history of its own from its creation");
    for label in ["a", "b", "c"] {
        create(&registry, label).await;
        create(&other, label).await;
    }
    let now = registry.newest_change().await.unwrap();
    let told = elsewhere.history.clone().unwrap();
    for (since, history, is_reset) in [
        (0, born.history.as_deref(), false),
        (3, now.history.as_deref(), false),
        (3, other.newest_change().await.unwrap().history.as_deref(), true),
        (0, Some(told.as_str()), true),
        (3, born.history.as_deref(), true),
        (0, now.history.as_deref(), true),
        (3, Some(""), true),
        (4, now.history.as_deref(), true),
        (3, None, false),
    ] {
        let feed = registry.changes(since, history, Duration::ZERO).await.unwrap();
        assert_eq!(feed.reset, is_reset, "{since} {history:?}");
        assert_eq!((feed.sequence, &feed.history), (3, &now.history), "{since} {history:?}");
        assert_eq!(feed.changes.len(), if is_reset || since == 0 { 3 } else { 0 }, "{since} {history:?}");
    }
}

async fn a_long_feed_comes_in_parts(database: &Database) {
    let registry = database.open().await;
    for label in 0..1001 {
        create(&registry, &label.to_string()).await;
    }
    let first = registry.changes(0, None, LONG).await.unwrap();
    assert_eq!((first.changes.len(), first.sequence), (1000, 1000));
    let second = registry.changes(first.sequence, None, LONG).await.unwrap();
    assert_eq!((second.changes.len(), second.sequence), (1, 1001));
}
