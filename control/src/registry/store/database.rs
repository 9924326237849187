//! An open database.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use sqlx::AnyPool;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::dialect::Dialect;
use super::wake::{Waiter, Wake};
use super::write::Write;
use crate::registry::record::error::RegistryError;

/// An open database.
pub(in crate::registry) struct Store {
    pub(super) reader: AnyPool,
    /// The connections for lists and reports, which people ask for: few, so that lookups of data planes never wait for them.
    pub(super) reports: AnyPool,
    /// The same pool as `reader` with PostgreSQL. With SQLite a pool of one connection: writers queue here in their
    /// order of arrival; in the database they would poll for the lock.
    pub(super) writer: AnyPool,
    pub(super) dialect: Dialect,
    pub(super) wake: Wake,
    /// The time of the last deletion of full rate limits, in seconds since 1970.
    pub(in crate::registry) forgotten_at: AtomicU64,
    /// The number of windows of budgets, about: it is counted again and again.
    pub(in crate::registry) open_windows: AtomicU64,
    /// The number of objects, about: it is counted again and again.
    pub(in crate::registry) objects: AtomicU64,
    /// The one task at a time that stores the use of a credential.
    pub(in crate::registry) noting: Arc<Semaphore>,
    /// The task that announces changes of other processes.
    pub(super) _listener: Background,
}

/// A task that ends with the store.
pub(super) struct Background(pub(super) JoinHandle<()>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Store {
    /// Returns a waiter for the next change, by any process.
    pub(in crate::registry) fn waiter(&self) -> Waiter {
        self.wake.waiter()
    }

    /// Writes what the log of a file has into the file, where the database is one.
    pub(in crate::registry) async fn checkpoint(&self) -> Result<(), RegistryError> {
        if let Some(statement) = self.dialect.checkpoint {
            sqlx::query(statement).execute(&self.writer).await?;
        }
        Ok(())
    }

    /// Begins a transaction for a change.
    pub(in crate::registry) async fn write(&self) -> Result<Write, RegistryError> {
        Write::begin(&self.writer, self.dialect, self.wake.clone()).await
    }
}

#[cfg(test)]
mod tests {
    use keyswap_core::base::Digest;

    use super::*;
    use crate::registry::store::url::DatabaseUrl;

    #[tokio::test]
    async fn a_lookup_does_not_wait_for_reports() {
        let folder = tempfile::tempdir().unwrap();
        let url: DatabaseUrl = format!("sqlite://{}", folder.path().join("a.db").display()).parse().unwrap();
        let store = Store::open(&url).await.unwrap();
        let mut reports = Vec::new();
        for _ in 0..store.reports.options().get_max_connections() {
            reports.push(store.reports.acquire().await.unwrap());
        }
        assert!(store.reports.try_acquire().is_none());
        let found = store.token(&Digest::of(b"unknown")).await;
        assert!(matches!(found, Err(RegistryError::UnknownToken)), "{found:?}");
    }
}
