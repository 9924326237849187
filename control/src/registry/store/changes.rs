//! The change feed's rows.

use super::database::Store;
use crate::registry::record::change::{Change, Subject};
use crate::registry::record::error::RegistryError;

#[derive(sqlx::FromRow)]
struct Row {
    kind: String,
    key: String,
    sequence: i64,
}

impl Store {
    /// Returns the sequence number of the newest change. All changes up to it are committed.
    pub(in crate::registry) async fn sequence(&self) -> Result<i64, RegistryError> {
        let value = sqlx::query_scalar("SELECT value FROM change_sequence").fetch_one(&self.reader).await?;
        Ok(value)
    }

    /// Returns the history of a change, `None` if it is not kept any more.
    pub(in crate::registry) async fn history(&self, sequence: i64) -> Result<Option<String>, RegistryError> {
        let found = sqlx::query_scalar("SELECT history FROM change_histories WHERE sequence = $1")
            .bind(sequence)
            .fetch_optional(&self.reader)
            .await?;
        Ok(found)
    }

    /// Returns the first `limit` changes after `since`, oldest first.
    pub(in crate::registry) async fn changes(
        &self,
        since: i64,
        limit: i64,
    ) -> Result<Vec<Change>, RegistryError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT kind, key, sequence FROM changes WHERE sequence > $1 ORDER BY sequence LIMIT $2",
        )
        .bind(since)
        .bind(limit)
        .fetch_all(&self.reader)
        .await?;
        rows.into_iter()
            .map(|row| {
                let kind = Subject::from_name(&row.kind).ok_or(RegistryError::Corrupt("kind of change"))?;
                Ok(Change { kind, key: row.key, sequence: row.sequence })
            })
            .collect()
    }
}
