//! Databases for tests, and shared steps.

use std::path::Path;

use keyswap::registry::{Actor, Created, NewToken, Registry, Source};
use tempfile::TempDir;

use crate::postgres::Postgres;

/// The database of one test.
pub(crate) enum Database {
    Sqlite(TempDir),
    Postgres(Postgres),
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) fn postgres() -> Self {
        Self::Postgres(Postgres::start())
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => {
                format!("sqlite://{}", folder.path().join("a key swap?.db").display()).replace('?', "ö")
            }
            Self::Postgres(postgres) => postgres.url(),
        }
    }

    pub(crate) async fn open(&self) -> Registry {
        Registry::open(&self.url().parse().unwrap()).await.unwrap()
    }

    /// Returns the content of the database: its files, or a dump.
    pub(crate) fn dump(&self) -> Vec<u8> {
        match self {
            Self::Sqlite(folder) => files(folder.path()),
            Self::Postgres(postgres) => postgres.dump(),
        }
    }
}

fn files(folder: &Path) -> Vec<u8> {
    std::fs::read_dir(folder).unwrap().flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

/// Runs each of the functions on both databases.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                $crate::support::run(super::$name, &$crate::support::Database::sqlite());
            })+
        }

        mod postgres {
            $(#[test]
            fn $name() {
                $crate::support::run(super::$name, &$crate::support::Database::postgres());
            })+
        }
    };
}
pub(crate) use on_both_databases;

pub(crate) fn run(test: impl AsyncFnOnce(&Database), database: &Database) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test(database));
}

pub(crate) fn admin() -> Actor {
    Actor::new("admin")
}

/// Returns a valid new token.
pub(crate) fn new_token(label: &str) -> NewToken {
    NewToken {
        label: label.to_owned(),
        owner: Some("alice@acme.example".to_owned()),
        providers: vec!["openai".to_owned()],
        ..NewToken::default()
    }
}

pub(crate) async fn create(registry: &Registry, label: &str) -> Created {
    registry.create_token(Source::Mint, new_token(label), &admin()).await.unwrap()
}
