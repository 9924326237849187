//! A database of a release that kept no objects: its tokens and changes stay, and rotated tokens share what they make.

use keyswap::registry::{Holder, HolderState, KeptObject, ObjectClaim, ObjectKey, Subject};
use keyswap_core::base::Digest;
use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use crate::support::{Database, admin, create, on_both_databases};

on_both_databases!(
    rotated_tokens_of_an_older_database_are_one_line,
    a_token_of_an_older_replica_holds_its_own_objects,
);

/// The migration that adds objects.
const VERSION: i64 = 12;

fn hex(name: &str) -> String {
    Digest::of(name.as_bytes()).to_hex()
}

/// Returns the statements of an older release that add a token, with its change.
fn row(name: &str, successor: Option<&str>, number: usize) -> String {
    let digest = hex(name);
    let successor = successor.map_or("NULL".to_owned(), |name| format!("'{}'", hex(name)));
    format!(
        "INSERT INTO tokens (digest, ordinal, label, last4, providers, models, status, created_at, successor,
             version, search)
         VALUES ('{digest}', {number}, '{name}', '', '[\"openai\"]', '[\"*\"]', 'active', 0, {successor}, {number}, '');
         INSERT INTO changes (kind, key, sequence) VALUES ('token', '{digest}', {number});
         UPDATE change_sequence SET value = {number};"
    )
}

/// Returns the statements that add a line of three tokens, and a token alone.
fn rows() -> String {
    let names = [("a", Some("b")), ("b", Some("c")), ("c", None), ("alone", None)];
    let row = |(number, (name, successor)): (usize, &(&str, Option<&str>))| row(name, *successor, number + 1);
    names.iter().enumerate().map(row).collect()
}

/// Executes statements, after the migrations before a version.
async fn execute(database: &Database, before: i64, sql: String) {
    let url = database.url();
    let sql = sqlx::AssertSqlSafe(sql);
    match database {
        Database::Sqlite(_) => {
            let file = url.strip_prefix("sqlite://").unwrap();
            let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
            let pool = SqlitePool::connect_with(options).await.unwrap();
            let mut migrations = sqlx::migrate!("migrations/sqlite");
            migrations.migrations.to_mut().retain(|migration| migration.version < before);
            migrations.run(&pool).await.unwrap();
            sqlx::raw_sql(sql).execute(&pool).await.unwrap();
            pool.close().await;
        }
        Database::Postgres(_) => {
            let pool = PgPool::connect(&url).await.unwrap();
            let mut migrations = sqlx::migrate!("migrations/postgres");
            migrations.migrations.to_mut().retain(|migration| migration.version < before);
            migrations.run(&pool).await.unwrap();
            sqlx::raw_sql(sql).execute(&pool).await.unwrap();
            pool.close().await;
        }
    }
}

async fn rotated_tokens_of_an_older_database_are_one_line(database: &Database) {
    execute(database, VERSION, rows()).await;
    let registry = database.open().await;
    for (name, first) in [("a", "a"), ("b", "a"), ("c", "a"), ("alone", "alone")] {
        let token = registry.token(&Digest::of(name.as_bytes())).await.unwrap();
        assert_eq!(token.holder.to_hex(), hex(first), "{name}");
    }
    let feed = registry.changes(0, None, std::time::Duration::ZERO).await.unwrap();
    let kinds: Vec<_> = feed.changes.iter().map(|change| (change.kind, change.sequence)).collect();
    assert_eq!(kinds, [1, 2, 3, 4].map(|sequence| (Subject::Token, sequence)));
    assert_eq!(create(&registry, "new").await.record.version, 5);
}

async fn a_token_of_an_older_replica_holds_its_own_objects(database: &Database) {
    let registry = database.open().await;
    execute(database, i64::MAX, row("old", None, 1)).await;
    let digest = Digest::of(b"old");
    assert_eq!(registry.token(&digest).await.unwrap().holder, digest);
    let key = ObjectKey::new("openai", "file-1").unwrap();
    registry.adopt_objects(std::slice::from_ref(&key), None, &Holder::Token(digest), &admin()).await.unwrap();
    let claim = ObjectClaim {
        key: ObjectKey::new("openai", "file-2").unwrap(),
        kind: "file".to_owned(),
        principal: digest,
        owner: None,
        team: None,
        expires_at: None,
    };
    for object in [
        registry.object(&key.digest()).await.unwrap(),
        registry.claim_objects(vec![claim]).await.unwrap().remove(0),
    ] {
        let KeptObject { principal, label, holder, .. } = object;
        assert_eq!((principal, label.as_str(), holder), (digest, "old", HolderState::Active));
    }
}
