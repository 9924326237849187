//! The API keys' rows.

use keyswap_core::base::{Digest, UnixTime};
use sqlx::Any;

use super::database::Store;
use super::write::Write;
use crate::registry::record::admin_role::AdminRole;
use crate::registry::record::api_key::ApiKey;
use crate::registry::record::error::RegistryError;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT digest, name, role, created_at, created_by, expires_at, last_seen FROM api_keys ",
            $rest
        )
    };
}

const ALL: &str = select!("ORDER BY name");

const FIND: &str = select!("WHERE digest = $1");

#[derive(sqlx::FromRow)]
struct Row {
    digest: String,
    name: String,
    role: String,
    created_at: i64,
    created_by: String,
    expires_at: i64,
    last_seen: Option<i64>,
}

impl Store {
    pub(in crate::registry) async fn api_key(
        &self,
        digest: &Digest,
    ) -> Result<Option<ApiKey>, RegistryError> {
        let row: Option<Row> =
            sqlx::query_as(FIND).bind(digest.to_hex()).fetch_optional(&self.reader).await?;
        row.map(ApiKey::try_from).transpose()
    }

    pub(in crate::registry) async fn api_keys(&self) -> Result<Vec<ApiKey>, RegistryError> {
        let rows: Vec<Row> = sqlx::query_as(ALL).fetch_all(&self.reader).await?;
        rows.into_iter().map(ApiKey::try_from).collect()
    }
}

impl Write {
    pub(in crate::registry) async fn api_key(
        &mut self,
        digest: &Digest,
    ) -> Result<Option<ApiKey>, RegistryError> {
        let row: Option<Row> =
            sqlx::query_as(FIND).bind(digest.to_hex()).fetch_optional(self.connection()).await?;
        row.map(ApiKey::try_from).transpose()
    }

    pub(in crate::registry) async fn api_keys(&mut self) -> Result<Vec<ApiKey>, RegistryError> {
        let rows: Vec<Row> = sqlx::query_as(ALL).fetch_all(self.connection()).await?;
        rows.into_iter().map(ApiKey::try_from).collect()
    }

    /// Adds a key, in place of an expired one of the same name.
    pub(in crate::registry) async fn insert_api_key(&mut self, key: &ApiKey) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM api_keys WHERE name = $1 AND expires_at <= $2")
            .bind(&key.name)
            .bind(key.created_at.0)
            .execute(self.connection())
            .await?;
        let done = sqlx::query::<Any>(
            "INSERT INTO api_keys (digest, name, role, created_at, created_by, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING",
        )
        .bind(key.digest.to_hex())
        .bind(&key.name)
        .bind(key.role.to_json()?)
        .bind(key.created_at.0)
        .bind(&key.created_by)
        .bind(key.expires_at.0)
        .execute(self.connection())
        .await?;
        (done.rows_affected() == 1).then_some(()).ok_or(RegistryError::DuplicateApiKey)
    }
}

impl TryFrom<Row> for ApiKey {
    type Error = RegistryError;

    fn try_from(row: Row) -> Result<Self, RegistryError> {
        Ok(Self {
            digest: Digest::from_hex(&row.digest).ok_or(RegistryError::Corrupt("API key"))?,
            name: row.name,
            role: AdminRole::from_json(&row.role)?,
            created_at: UnixTime(row.created_at),
            created_by: row.created_by,
            expires_at: UnixTime(row.expires_at),
            last_seen: row.last_seen.map(UnixTime),
        })
    }
}
