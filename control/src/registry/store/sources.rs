//! The tokens that a source outside declares, and the process that applies the source.

use keyswap_core::base::UnixTime;
use sqlx::{Any, AssertSqlSafe};

use super::database::Store;
use super::tokens::{COLUMNS, Row};
use super::write::Write;
use crate::registry::record::error::RegistryError;
use crate::registry::record::model::Token;

impl Store {
    /// Makes a process the holder of a source until a time, if no other process is. Returns false if another one is.
    pub(in crate::registry) async fn hold_source(
        &self,
        source: &str,
        holder: &str,
        now: UnixTime,
        until: UnixTime,
    ) -> Result<bool, RegistryError> {
        let done = sqlx::query::<Any>(
            "INSERT INTO source_leases (source, holder, expires_at) VALUES ($1, $2, $3)
             ON CONFLICT (source) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
                 WHERE source_leases.holder = excluded.holder OR source_leases.expires_at <= $4",
        )
        .bind(source)
        .bind(holder)
        .bind(until.0)
        .bind(now.0)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends the time of a holder, so that another process can follow at once.
    pub(in crate::registry) async fn release_source(
        &self,
        source: &str,
        holder: &str,
    ) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM source_leases WHERE source = $1 AND holder = $2")
            .bind(source)
            .bind(holder)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Returns the sources that have tokens which are not withdrawn.
    pub(in crate::registry) async fn sources(&self) -> Result<Vec<String>, RegistryError> {
        let sources = sqlx::query_scalar(
            "SELECT DISTINCT source FROM tokens WHERE source IS NOT NULL AND status = 'active' ORDER BY source",
        );
        Ok(sources.fetch_all(&self.reader).await?)
    }
}

impl Write {
    /// Returns true if this process is the holder of a source.
    pub(in crate::registry) async fn holds_source(
        &mut self,
        source: &str,
        holder: &str,
        now: UnixTime,
    ) -> Result<bool, RegistryError> {
        let held: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM source_leases WHERE source = $1 AND holder = $2 AND expires_at > $3",
        )
        .bind(source)
        .bind(holder)
        .bind(now.0)
        .fetch_one(self.connection())
        .await?;
        Ok(held == 1)
    }

    /// Returns the tokens of a source, those that are withdrawn among them.
    pub(in crate::registry) async fn tokens_of_source(
        &mut self,
        source: &str,
    ) -> Result<Vec<Token>, RegistryError> {
        let sql = format!("SELECT {COLUMNS} FROM tokens WHERE source = $1 ORDER BY ordinal");
        let rows: Vec<Row> =
            sqlx::query_as(AssertSqlSafe(sql)).bind(source).fetch_all(self.connection()).await?;
        rows.into_iter().map(Token::try_from).collect()
    }
}
