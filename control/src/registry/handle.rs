//! The handle of a registry, with the operations that concern no single token, user or policy.

use std::sync::Arc;

use super::record::actor::Actor;
use super::record::error::RegistryError;
use super::record::model::{AuditEntry, Page};
use super::record::selection::AuditQuery;
use super::store::database::Store;
use super::store::url::DatabaseUrl;

/// The result of a registry's operations.
pub type Result<T> = std::result::Result<T, RegistryError>;

/// A registry in a database. Clones share its connections.
///
/// Several registries, in one process or in many, may use the same database.
#[derive(Clone)]
pub struct Registry(pub(super) Arc<Store>);

impl Registry {
    /// Opens the database and migrates its tables. A missing SQLite file is created.
    pub async fn open(url: &DatabaseUrl) -> Result<Self> {
        Store::open(url).await.map(|store| Self(Arc::new(store)))
    }

    /// Checks that the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.0.sequence().await.map(drop)
    }

    /// Writes all of a database that is one file into that file, at the end of a server: a copy of the file alone is whole
    /// then. Another process that reads meanwhile may prevent it.
    pub async fn checkpoint(&self) -> Result<()> {
        self.0.checkpoint().await
    }

    /// Returns entries of the audit log, newest first.
    pub async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>> {
        self.0.audit_page(query).await
    }

    /// Returns the number of entries of the audit log that a question is about.
    pub async fn count_audit(&self, query: &AuditQuery) -> Result<i64> {
        self.0.count_audit(query).await
    }

    /// Returns at most `count` entries of the audit log, newest first. The limit of the question does not apply.
    pub async fn audit_entries(&self, query: &AuditQuery, count: u32) -> Result<Vec<AuditEntry>> {
        self.0.audit_entries(query, count).await
    }

    /// Adds an entry to the audit log that is not part of a change, such as a sign-in.
    pub async fn note(&self, actor: &Actor, action: &'static str, subject: &str) -> Result<()> {
        let mut write = self.0.write().await?;
        write.audit(actor, action, subject, &serde_json::json!({})).await?;
        write.commit().await
    }
}
