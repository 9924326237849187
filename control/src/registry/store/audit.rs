//! The audit log's rows. [`super::write::Write::audit`] adds them, and triggers of the database refuse to change them.

use keyswap_core::base::UnixTime;
use sqlx::{Any, AssertSqlSafe};

use super::conditions::Conditions;
use super::database::Store;
use crate::registry::record::actor::Actor;
use crate::registry::record::error::RegistryError;
use crate::registry::record::model::{AuditEntry, Listing, Page};
use crate::registry::record::selection::AuditQuery;

/// The name that stands for an unknown actor in questions.
const UNKNOWN: &str = "unknown";

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    at: i64,
    actor: String,
    action: String,
    subject: String,
    detail: String,
}

/// Returns the conditions of a question. The database has an index of subjects.
fn conditions(query: &AuditQuery) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.with_text("subject = ?", query.subject.clone());
    let actor = query.actor.as_ref().map(|actor| if actor == UNKNOWN { "" } else { actor });
    conditions.with_text("actor = ?", actor.map(str::to_owned));
    let pattern = query.action.as_ref().map(|action| {
        let escaped = action.replace('!', "!!").replace('%', "!%").replace('_', "!_");
        if action.contains('.') { escaped } else { format!("{escaped}.%") }
    });
    conditions.with_text("action LIKE ? ESCAPE '!'", pattern);
    for (comparison, moment) in [("at >= ?", query.since), ("at < ?", query.until)] {
        if let Some(at) = moment {
            conditions.with_number(comparison, at.0);
        }
    }
    conditions
}

impl Store {
    pub(in crate::registry) async fn audit_page(
        &self,
        query: &AuditQuery,
    ) -> Result<Page<AuditEntry>, RegistryError> {
        let size = Listing { limit: query.limit, ..Listing::default() };
        let rows = self.audit_rows(query, size.size_and_one()).await?;
        Page::of(rows, &size, self.count_audit(query).await?, |row| row.id, AuditEntry::try_from)
    }

    /// Returns `count` entries, newest first.
    pub(in crate::registry) async fn audit_entries(
        &self,
        query: &AuditQuery,
        count: u32,
    ) -> Result<Vec<AuditEntry>, RegistryError> {
        self.audit_rows(query, i64::from(count)).await?.into_iter().map(AuditEntry::try_from).collect()
    }

    async fn audit_rows(&self, query: &AuditQuery, count: i64) -> Result<Vec<Row>, RegistryError> {
        let mut conditions = conditions(query);
        conditions.with_number("id < ?", query.after.unwrap_or(i64::MAX));
        let [limit, skip] = [count, i64::from(query.skip)].map(|number| conditions.number(number));
        let sql = format!(
            "SELECT id, at, actor, action, subject, detail FROM audit
             WHERE {} ORDER BY id DESC LIMIT {limit} OFFSET {skip}",
            conditions.sql()
        );
        let rows = sqlx::query_as_with::<Any, Row, _>(AssertSqlSafe(sql), conditions.arguments()?);
        Ok(rows.fetch_all(&self.reports).await?)
    }

    /// Returns the number of entries on all pages.
    pub(in crate::registry) async fn count_audit(&self, query: &AuditQuery) -> Result<i64, RegistryError> {
        let conditions = conditions(query);
        let sql = format!("SELECT count(*) FROM audit WHERE {}", conditions.sql());
        let count = sqlx::query_scalar_with::<Any, i64, _>(AssertSqlSafe(sql), conditions.arguments()?);
        Ok(count.fetch_one(&self.reports).await?)
    }

    /// Returns an entry, `None` if the log has none of this number.
    pub(in crate::registry) async fn audit_entry(
        &self,
        id: i64,
    ) -> Result<Option<AuditEntry>, RegistryError> {
        let row: Option<Row> =
            sqlx::query_as("SELECT id, at, actor, action, subject, detail FROM audit WHERE id = $1")
                .bind(id)
                .fetch_optional(&self.reader)
                .await?;
        row.map(AuditEntry::try_from).transpose()
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
