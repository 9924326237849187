//! The rows that signing in needs: the hash of the password, the tries, and the sessions.

use keyswap_core::base::{Digest, UnixTime};
use sqlx::Any;

use super::database::Store;
use super::write::Write;
use crate::registry::record::error::RegistryError;

const PASSWORD_HASH: &str = "admin_password_hash";

impl Store {
    pub(in crate::registry) async fn password_hash(&self) -> Result<Option<String>, RegistryError> {
        let hash = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
            .bind(PASSWORD_HASH)
            .fetch_optional(&self.reader)
            .await?;
        Ok(hash)
    }

    pub(in crate::registry) async fn insert_session(
        &self,
        id: &Digest,
        expires_at: UnixTime,
    ) -> Result<(), RegistryError> {
        sqlx::query("INSERT INTO sessions (digest, expires_at) VALUES ($1, $2)")
            .bind(id.to_hex())
            .bind(expires_at.0)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    pub(in crate::registry) async fn has_session(
        &self,
        id: &Digest,
        now: UnixTime,
    ) -> Result<bool, RegistryError> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT expires_at FROM sessions WHERE digest = $1 AND expires_at > $2")
                .bind(id.to_hex())
                .bind(now.0)
                .fetch_optional(&self.reader)
                .await?;
        Ok(found.is_some())
    }

    /// Removes a session, and all that are over.
    pub(in crate::registry) async fn delete_session(
        &self,
        id: &Digest,
        now: UnixTime,
    ) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM sessions WHERE digest = $1 OR expires_at <= $2")
            .bind(id.to_hex())
            .bind(now.0)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Counts a try, if there were fewer than `most` in the window before it; else answers in how many milliseconds
    /// there will have been. A client that tries at the same time comes before or after.
    pub(in crate::registry) async fn count_try(
        &self,
        client: &str,
        most: i64,
        window: i64,
        clock: impl Fn() -> i64,
    ) -> Result<Option<u64>, RegistryError> {
        let mut transaction = self.writer.begin_with(self.dialect.begin).await?;
        if let Some(lock_key) = self.dialect.lock_key {
            // One for all, since the old tries of all clients are forgotten below.
            sqlx::query(lock_key).bind("sign-in").execute(&mut *transaction).await?;
        }
        let now = clock();
        // A time far ahead is from a clock that was put back since; it must keep no client out for longer.
        sqlx::query("DELETE FROM sign_in_tries WHERE at <= $1 OR at > $2")
            .bind(now.saturating_sub(window))
            .bind(now.saturating_add(window))
            .execute(&mut *transaction)
            .await?;
        // The one that has to be forgotten before the next may come, if there are so many.
        let oldest: Option<i64> = sqlx::query_scalar(
            "SELECT at FROM sign_in_tries WHERE client = $1 ORDER BY at DESC LIMIT 1 OFFSET $2",
        )
        .bind(client)
        .bind(most - 1)
        .fetch_optional(&mut *transaction)
        .await?;
        if oldest.is_none() {
            sqlx::query("INSERT INTO sign_in_tries (client, at) VALUES ($1, $2)")
                .bind(client)
                .bind(now)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(oldest.map(|at| u64::try_from((at + window - now).clamp(1, window)).unwrap_or(1)))
    }

    pub(in crate::registry) async fn forget_tries(&self, client: &str) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM sign_in_tries WHERE client = $1").bind(client).execute(&self.writer).await?;
        Ok(())
    }
}

impl Write {
    /// Keeps the hash if there is none yet. True if it was kept.
    pub(in crate::registry) async fn insert_password_hash(
        &mut self,
        hash: &str,
    ) -> Result<bool, RegistryError> {
        let done = sqlx::query::<Any>(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        )
        .bind(PASSWORD_HASH)
        .bind(hash)
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Replaces the hash, and ends what was begun with another password.
    pub(in crate::registry) async fn replace_password_hash(
        &mut self,
        hash: &str,
    ) -> Result<(), RegistryError> {
        sqlx::query::<Any>("UPDATE settings SET value = $2 WHERE name = $1")
            .bind(PASSWORD_HASH)
            .bind(hash)
            .execute(self.connection())
            .await?;
        sqlx::query::<Any>("DELETE FROM sessions").execute(self.connection()).await?;
        Ok(())
    }
}
