//! The rows that signing in needs: the hash of the password, and the sessions.

use keyswap_core::{TokenDigest, UnixTime};
use sqlx::Any;

use super::{Store, Write};
use crate::registry::error::RegistryError;

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
        id: &TokenDigest,
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
        id: &TokenDigest,
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
        id: &TokenDigest,
        now: UnixTime,
    ) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM sessions WHERE digest = $1 OR expires_at <= $2")
            .bind(id.to_hex())
            .bind(now.0)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Gives a key of the rate limits its full budget back.
    pub(in crate::registry) async fn refill(&self, key: &TokenDigest) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM rate_limits WHERE key = $1")
            .bind(key.to_hex())
            .execute(&self.writer)
            .await?;
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
