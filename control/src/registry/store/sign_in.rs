//! The rows of sign-in: the hash of the password, attempts, and sessions.

use keyswap_core::base::{Digest, UnixTime};
use sqlx::Any;

use super::database::Store;
use super::write::Write;
use crate::registry::record::admin_role::AdminRole;
use crate::registry::record::error::RegistryError;
use crate::registry::record::secret_text::SecretText;

const PASSWORD_HASH: &str = "admin_password_hash";
const SEAL_KEY: &str = "seal_key";

impl Store {
    pub(in crate::registry) async fn password_hash(&self) -> Result<Option<String>, RegistryError> {
        let hash = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
            .bind(PASSWORD_HASH)
            .fetch_optional(&self.reader)
            .await?;
        Ok(hash)
    }

    pub(in crate::registry) async fn seal_key(&self) -> Result<Option<SecretText>, RegistryError> {
        let key: Option<String> = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
            .bind(SEAL_KEY)
            .fetch_optional(&self.writer)
            .await?;
        Ok(key.map(SecretText::new))
    }

    /// Stores the key unless there is one.
    pub(in crate::registry) async fn insert_seal_key(&self, key: &SecretText) -> Result<(), RegistryError> {
        sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(SEAL_KEY)
            .bind(key.expose())
            .execute(&self.writer)
            .await?;
        Ok(())
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

    pub(in crate::registry) async fn person_of_session(
        &self,
        id: &Digest,
        settings: &Digest,
        now: UnixTime,
    ) -> Result<Option<(String, AdminRole)>, RegistryError> {
        let found: Option<(String, String)> = sqlx::query_as(
            "SELECT name, role FROM person_sessions WHERE digest = $1 AND settings = $2 AND expires_at > $3",
        )
        .bind(id.to_hex())
        .bind(settings.to_hex())
        .bind(now.0)
        .fetch_optional(&self.reader)
        .await?;
        found.map(|(name, role)| Ok((name, AdminRole::from_json(&role)?))).transpose()
    }

    /// Stores the digest of a sign-in's state, and deletes expired ones. Returns false if it is stored already.
    pub(in crate::registry) async fn insert_ended_sign_in(
        &self,
        state: &Digest,
        expires_at: UnixTime,
        now: UnixTime,
    ) -> Result<bool, RegistryError> {
        sqlx::query("DELETE FROM ended_sign_ins WHERE expires_at <= $1")
            .bind(now.0)
            .execute(&self.writer)
            .await?;
        let done = sqlx::query::<Any>(
            "INSERT INTO ended_sign_ins (digest, expires_at) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING",
        )
        .bind(state.to_hex())
        .bind(expires_at.0)
        .execute(&self.writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Deletes a session, and all expired ones.
    pub(in crate::registry) async fn delete_session(
        &self,
        id: &Digest,
        now: UnixTime,
    ) -> Result<(), RegistryError> {
        for sql in [
            "DELETE FROM sessions WHERE digest = $1 OR expires_at <= $2",
            "DELETE FROM person_sessions WHERE digest = $1 OR expires_at <= $2",
        ] {
            sqlx::query(sql).bind(id.to_hex()).bind(now.0).execute(&self.writer).await?;
        }
        Ok(())
    }

    /// Counts an attempt if the window before it has fewer than `most`. Otherwise returns the milliseconds until an
    /// attempt is permitted. Concurrent attempts are serialized.
    pub(in crate::registry) async fn count_try(
        &self,
        client: &str,
        most: i64,
        window: i64,
        clock: impl Fn() -> i64,
    ) -> Result<Option<u64>, RegistryError> {
        let mut transaction = self.writer.begin_with(self.dialect.begin).await?;
        if let Some(lock_key) = self.dialect.lock_key {
            // One lock for all clients, since old attempts of all clients are deleted below.
            sqlx::query(lock_key).bind("sign-in").execute(&mut *transaction).await?;
        }
        let now = clock();
        // A time in the far future comes from a clock that was set back since; it must not block a client.
        sqlx::query("DELETE FROM sign_in_tries WHERE at <= $1 OR at > $2")
            .bind(now.saturating_sub(window))
            .bind(now.saturating_add(window))
            .execute(&mut *transaction)
            .await?;
        // The attempt that must leave the window before the next is permitted, if `most` are in it.
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
    pub(in crate::registry) async fn insert_person_session(
        &mut self,
        id: &Digest,
        person: &str,
        role: &AdminRole,
        settings: &Digest,
        expires_at: UnixTime,
    ) -> Result<(), RegistryError> {
        sqlx::query(
            "INSERT INTO person_sessions (digest, name, role, settings, expires_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id.to_hex())
        .bind(person)
        .bind(role.to_json()?)
        .bind(settings.to_hex())
        .bind(expires_at.0)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Deletes the open sessions of a person in the dashboard. Returns their number. A sign-in stores an address in lower case, as users
    /// have it.
    pub(in crate::registry) async fn delete_person_sessions(
        &mut self,
        email: &str,
        now: UnixTime,
    ) -> Result<u64, RegistryError> {
        let done = sqlx::query::<Any>("DELETE FROM person_sessions WHERE name = $1 AND expires_at > $2")
            .bind(email)
            .bind(now.0)
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected())
    }

    /// Stores the hash unless there is one. Returns true if it was stored.
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

    /// Replaces the hash and deletes all sessions.
    pub(in crate::registry) async fn replace_password_hash(
        &mut self,
        hash: &str,
    ) -> Result<(), RegistryError> {
        sqlx::query::<Any>("UPDATE settings SET value = $2 WHERE name = $1")
            .bind(PASSWORD_HASH)
            .bind(hash)
            .execute(self.connection())
            .await?;
        for sql in ["DELETE FROM sessions", "DELETE FROM person_sessions"] {
            sqlx::query::<Any>(sql).execute(self.connection()).await?;
        }
        Ok(())
    }
}
