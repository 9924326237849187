//! The database: connections, transactions that change something, and the SQL.
//!
//! One text of SQL serves SQLite and PostgreSQL; only opening, migrating and hearing of others' changes differ.

mod audit;
mod changes;
mod limits;
mod page;
mod policies;
mod postgres;
mod sign_in;
mod sqlite;
mod tokens;
mod url;
mod users;
mod write;

use std::sync::atomic::AtomicU64;

use sqlx::AnyPool;
use tokio::task::JoinHandle;

pub use url::DatabaseUrl;
pub(super) use write::Write;

use super::error::RegistryError;
use super::wake::{Waiter, Wake};

/// An open database.
pub(super) struct Store {
    reader: AnyPool,
    /// The same as `reader` with PostgreSQL. With SQLite one connection: writers queue here in the order in which
    /// they come, and not in the database, where they would poll.
    writer: AnyPool,
    dialect: Dialect,
    wake: Wake,
    /// When the rate limits with a full budget were last forgotten, in seconds since 1970.
    pub(super) forgotten_at: AtomicU64,
    /// Announces what others change in the database.
    _listener: Background,
}

/// What the two databases do not have in common.
#[derive(Clone, Copy)]
struct Dialect {
    /// Begins a transaction that changes something.
    begin: &'static str,
    /// Reads the change sequence and keeps everybody else from changing anything until the transaction's end.
    lock: &'static str,
    /// Keeps everybody else from a key of the rate limits until the transaction's end, where beginning did not.
    lock_key: Option<&'static str>,
    /// Tells the other replicas, when the transaction is committed, that it was.
    notify: Option<&'static str>,
}

/// A task that ends with the store.
struct Background(JoinHandle<()>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Store {
    pub(super) async fn open(url: &DatabaseUrl) -> Result<Self, RegistryError> {
        sqlx::any::install_default_drivers();
        match url {
            DatabaseUrl::Sqlite(path) => sqlite::open(path).await,
            DatabaseUrl::Postgres(url) => postgres::open(url.expose()).await,
        }
    }

    /// Somebody who waits for a change, whoever makes it.
    pub(super) fn waiter(&self) -> Waiter {
        self.wake.waiter()
    }

    /// Begins a change.
    pub(super) async fn write(&self) -> Result<Write, RegistryError> {
        Write::begin(&self.writer, self.dialect, self.wake.clone()).await
    }
}

fn to_json(list: &[String]) -> String {
    serde_json::Value::from(list).to_string()
}

fn from_json(text: &str) -> Result<Vec<String>, RegistryError> {
    serde_json::from_str(text).map_err(|_| RegistryError::Corrupt("list of names"))
}
