//! The audit log's rows. [`super::write::Write::audit`] adds them, and triggers of the database refuse to change them.

use keyswap_core::base::UnixTime;
use sqlx::any::AnyArguments;
use sqlx::query::{QueryAs, QueryScalar};
use sqlx::{Any, AssertSqlSafe};

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

/// The conditions of a question, with the values of their parameters. Conditions without a value are left out, so that
/// the database can use its index of subjects.
struct Conditions {
    sql: String,
    texts: Vec<String>,
    numbers: Vec<i64>,
}

impl Conditions {
    fn of(query: &AuditQuery) -> Self {
        let mut texts = Vec::new();
        let mut conditions = Vec::new();
        if let Some(subject) = &query.subject {
            texts.push(subject.clone());
            conditions.push(format!("subject = ${}", texts.len()));
        }
        if let Some(actor) = &query.actor {
            texts.push(if actor == UNKNOWN { String::new() } else { actor.clone() });
            conditions.push(format!("actor = ${}", texts.len()));
        }
        if let Some(action) = &query.action {
            let escaped = action.replace('!', "!!").replace('%', "!%").replace('_', "!_");
            texts.push(if action.contains('.') { escaped } else { format!("{escaped}.%") });
            conditions.push(format!("action LIKE ${} ESCAPE '!'", texts.len()));
        }
        let mut numbers = Vec::new();
        for (comparison, moment) in [("at >=", query.since), ("at <", query.until)] {
            if let Some(at) = moment {
                numbers.push(at.0);
                conditions.push(format!("{comparison} ${}", texts.len().saturating_add(numbers.len())));
            }
        }
        let sql = if conditions.is_empty() { "1 = 1".to_owned() } else { conditions.join(" AND ") };
        Self { sql, texts, numbers }
    }

    /// Returns the place of the parameter that is `further` behind those of the conditions.
    fn place(&self, further: usize) -> usize {
        self.texts.len().saturating_add(self.numbers.len()).saturating_add(further)
    }
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
        let conditions = Conditions::of(query);
        let [after, limit, skip] = [1, 2, 3].map(|further| conditions.place(further));
        let sql = format!(
            "SELECT id, at, actor, action, subject, detail FROM audit
             WHERE {} AND id < ${after} ORDER BY id DESC LIMIT ${limit} OFFSET ${skip}",
            conditions.sql
        );
        let mut rows: QueryAs<'_, Any, Row, AnyArguments> = sqlx::query_as(AssertSqlSafe(sql));
        rows = conditions.texts.iter().fold(rows, |rows, text| rows.bind(text.as_str()));
        rows = conditions.numbers.iter().fold(rows, |rows, number| rows.bind(*number));
        let rows = rows
            .bind(query.after.unwrap_or(i64::MAX))
            .bind(count)
            .bind(i64::from(query.skip))
            .fetch_all(&self.reader);
        Ok(rows.await?)
    }

    /// Returns the number of entries on all pages.
    pub(in crate::registry) async fn count_audit(&self, query: &AuditQuery) -> Result<i64, RegistryError> {
        let conditions = Conditions::of(query);
        let sql = format!("SELECT count(*) FROM audit WHERE {}", conditions.sql);
        let mut count: QueryScalar<'_, Any, i64, AnyArguments> = sqlx::query_scalar(AssertSqlSafe(sql));
        count = conditions.texts.iter().fold(count, |count, text| count.bind(text.as_str()));
        count = conditions.numbers.iter().fold(count, |count, number| count.bind(*number));
        Ok(count.fetch_one(&self.reader).await?)
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
