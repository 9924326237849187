//! The audit log's rows. [`super::write::Write::audit`] adds them, and triggers of the database refuse to change them.

use keyswap_core::base::UnixTime;

use super::database::Store;
use crate::registry::record::actor::Actor;
use crate::registry::record::error::RegistryError;
use crate::registry::record::model::{AuditEntry, Listing, Page};

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    at: i64,
    actor: String,
    action: String,
    subject: String,
    detail: String,
}

impl Store {
    pub(in crate::registry) async fn audit_page(
        &self,
        listing: &Listing,
    ) -> Result<Page<AuditEntry>, RegistryError> {
        let subject = listing.search.as_deref().unwrap_or_default();
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, at, actor, action, subject, detail FROM audit
             WHERE ($1 = '' OR subject = $1) AND id < $2 ORDER BY id DESC LIMIT $3",
        )
        .bind(subject)
        .bind(listing.after.unwrap_or(i64::MAX))
        .bind(listing.size_and_one())
        .fetch_all(&self.reader)
        .await?;
        let total = sqlx::query_scalar("SELECT count(*) FROM audit WHERE ($1 = '' OR subject = $1)")
            .bind(subject)
            .fetch_one(&self.reader)
            .await?;
        Page::of(rows, listing, total, |row| row.id, AuditEntry::try_from)
    }
}

impl TryFrom<Row> for AuditEntry {
    type Error = RegistryError;

    fn try_from(row: Row) -> Result<Self, RegistryError> {
        Ok(Self {
            id: row.id,
            at: UnixTime(row.at),
            actor: Actor::shown(row.actor),
            action: row.action,
            subject: row.subject,
            detail: serde_json::from_str(&row.detail)
                .map_err(|_| RegistryError::Corrupt("detail of an audit entry"))?,
        })
    }
}
