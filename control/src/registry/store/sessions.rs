//! The rows of people's sessions on devices.

use keyswap_core::base::{Digest, UnixTime};
use sqlx::Any;

use super::database::Store;
use super::write::Write;
use crate::registry::record::error::RegistryError;
use crate::registry::record::session::{ENDED_SECONDS, Session};

/// Selects among the sessions that are open at the time `$1`.
macro_rules! open_session {
    ($rest:literal) => {
        concat!(
            "SELECT sid, email, name, address, latest, created_at, refreshed_at, expires_at \
             FROM device_sessions WHERE ended_at IS NULL AND expires_at > $1 ",
            $rest
        )
    };
}

#[derive(sqlx::FromRow)]
struct SessionRow {
    sid: String,
    email: String,
    name: String,
    address: String,
    latest: String,
    created_at: i64,
    refreshed_at: i64,
    expires_at: i64,
}

impl Store {
    /// Returns true if a session has this family of refresh tokens, open or not.
    pub(in crate::registry) async fn has_family(&self, family: &Digest) -> Result<bool, RegistryError> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT expires_at FROM device_sessions WHERE family = $1")
                .bind(family.to_hex())
                .fetch_optional(&self.reader)
                .await?;
        Ok(found.is_some())
    }

    /// Returns the open sessions of a person, newest first.
    pub(in crate::registry) async fn sessions(
        &self,
        email: &str,
        now: UnixTime,
    ) -> Result<Vec<Session>, RegistryError> {
        let sql = open_session!("AND email = $2 ORDER BY created_at DESC, sid");
        let rows: Vec<SessionRow> =
            sqlx::query_as(sql).bind(now.0).bind(email).fetch_all(&self.reader).await?;
        Ok(rows.into_iter().map(|row| row.split().0).collect())
    }

    /// Returns the ids of the sessions of a person that have ended, and of which a JWT may not have expired.
    pub(in crate::registry) async fn ended_sessions(
        &self,
        email: &str,
        now: UnixTime,
    ) -> Result<Vec<String>, RegistryError> {
        let sids = sqlx::query_scalar(
            "SELECT sid FROM device_sessions WHERE email = $1 AND ended_at > $2 ORDER BY sid",
        )
        .bind(email)
        .bind(now.0.saturating_sub(ENDED_SECONDS))
        .fetch_all(&self.reader)
        .await?;
        Ok(sids)
    }

    /// Deletes devices that expired before `expired`, and sessions that are neither open nor told to data planes.
    pub(in crate::registry) async fn forget_sessions(
        &self,
        now: UnixTime,
        expired: UnixTime,
    ) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM device_requests WHERE expires_at <= $1")
            .bind(expired.0)
            .execute(&self.writer)
            .await?;
        sqlx::query(
            "DELETE FROM device_sessions WHERE (ended_at IS NULL AND expires_at <= $1) OR ended_at <= $2",
        )
        .bind(now.0)
        .bind(now.0.saturating_sub(ENDED_SECONDS))
        .execute(&self.writer)
        .await?;
        Ok(())
    }
}

impl Write {
    /// Returns the number of a person's sessions that are open or told to data planes.
    pub(in crate::registry) async fn count_sessions(
        &mut self,
        email: &str,
        now: UnixTime,
    ) -> Result<i64, RegistryError> {
        let count = sqlx::query_scalar(
            "SELECT COUNT(*) FROM device_sessions
             WHERE email = $1 AND ((ended_at IS NULL AND expires_at > $2) OR ended_at > $3)",
        )
        .bind(email)
        .bind(now.0)
        .bind(now.0.saturating_sub(ENDED_SECONDS))
        .fetch_one(self.connection())
        .await?;
        Ok(count)
    }

    pub(in crate::registry) async fn insert_session(
        &mut self,
        session: &Session,
        family: &Digest,
        latest: &Digest,
    ) -> Result<(), RegistryError> {
        sqlx::query(
            "INSERT INTO device_sessions (sid, email, name, address, family, latest, created_at, refreshed_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&session.sid)
        .bind(&session.email)
        .bind(&session.name)
        .bind(&session.address)
        .bind(family.to_hex())
        .bind(latest.to_hex())
        .bind(session.created_at.0)
        .bind(session.refreshed_at.0)
        .bind(session.expires_at.0)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    /// Returns the open session of a family, with the digest of the refresh token that is current.
    pub(in crate::registry) async fn session_of_family(
        &mut self,
        family: &Digest,
        now: UnixTime,
    ) -> Result<Option<(Session, Digest)>, RegistryError> {
        let sql = open_session!("AND family = $2");
        let row: Option<SessionRow> =
            sqlx::query_as(sql).bind(now.0).bind(family.to_hex()).fetch_optional(self.connection()).await?;
        let Some((session, latest)) = row.map(SessionRow::split) else { return Ok(None) };
        let latest = Digest::from_hex(&latest).ok_or(RegistryError::Corrupt("session"))?;
        Ok(Some((session, latest)))
    }

    pub(in crate::registry) async fn session(
        &mut self,
        sid: &str,
        now: UnixTime,
    ) -> Result<Session, RegistryError> {
        let sql = open_session!("AND sid = $2");
        let row: Option<SessionRow> =
            sqlx::query_as(sql).bind(now.0).bind(sid).fetch_optional(self.connection()).await?;
        row.map(|row| row.split().0).ok_or(RegistryError::UnknownSession)
    }

    /// Stores the digest of the next refresh token of a session, and the time of the refresh.
    pub(in crate::registry) async fn refresh_session(
        &mut self,
        session: &Session,
        latest: &Digest,
    ) -> Result<(), RegistryError> {
        sqlx::query("UPDATE device_sessions SET latest = $2, refreshed_at = $3 WHERE sid = $1")
            .bind(&session.sid)
            .bind(latest.to_hex())
            .bind(session.refreshed_at.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    pub(in crate::registry) async fn end_session(
        &mut self,
        sid: &str,
        now: UnixTime,
    ) -> Result<(), RegistryError> {
        sqlx::query("UPDATE device_sessions SET ended_at = $2 WHERE sid = $1 AND ended_at IS NULL")
            .bind(sid)
            .bind(now.0)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Ends all open sessions of a person, and what was approved for the person but has not begun. Returns the number of sessions.
    pub(in crate::registry) async fn end_sessions(
        &mut self,
        email: &str,
        now: UnixTime,
    ) -> Result<u64, RegistryError> {
        sqlx::query("DELETE FROM device_requests WHERE email = $1")
            .bind(email)
            .execute(self.connection())
            .await?;
        let done = sqlx::query::<Any>(
            "UPDATE device_sessions SET ended_at = $2 WHERE email = $1 AND ended_at IS NULL AND expires_at > $2",
        )
        .bind(email)
        .bind(now.0)
        .execute(self.connection())
        .await?;
        Ok(done.rows_affected())
    }
}

impl SessionRow {
    /// Returns the session, and the digest of its current refresh token as text.
    fn split(self) -> (Session, String) {
        let session = Session {
            sid: self.sid,
            email: self.email,
            name: self.name,
            address: self.address,
            created_at: UnixTime(self.created_at),
            refreshed_at: UnixTime(self.refreshed_at),
            expires_at: UnixTime(self.expires_at),
        };
        (session, self.latest)
    }
}
