//! The credentials' rows.

use keyswap_core::base::{Digest, UnixTime};
use sqlx::Any;

use super::database::Store;
use super::write::Write;
use crate::registry::record::credential::{Credential, Role};
use crate::registry::record::error::RegistryError;

const ALL: &str = "SELECT digest, name, role, created_at, last_seen FROM credentials
     ORDER BY name, created_at, ordinal, digest";

const FIND: &str = "SELECT digest, name, role, created_at, last_seen FROM credentials WHERE digest = $1";

#[derive(sqlx::FromRow)]
struct Row {
    digest: String,
    name: String,
    role: String,
    created_at: i64,
    last_seen: Option<i64>,
}

impl Store {
    pub(in crate::registry) async fn credential(
        &self,
        digest: &Digest,
    ) -> Result<Option<Credential>, RegistryError> {
        let row: Option<Row> =
            sqlx::query_as(FIND).bind(digest.to_hex()).fetch_optional(&self.reader).await?;
        row.map(Credential::try_from).transpose()
    }

    pub(in crate::registry) async fn credentials(&self) -> Result<Vec<Credential>, RegistryError> {
        let rows: Vec<Row> = sqlx::query_as(ALL).fetch_all(&self.reader).await?;
        rows.into_iter().map(Credential::try_from).collect()
    }
}

impl Write {
    pub(in crate::registry) async fn credentials(&mut self) -> Result<Vec<Credential>, RegistryError> {
        let rows: Vec<Row> = sqlx::query_as(ALL).fetch_all(self.connection()).await?;
        rows.into_iter().map(Credential::try_from).collect()
    }

    pub(in crate::registry) async fn insert_credential(
        &mut self,
        credential: &Credential,
    ) -> Result<(), RegistryError> {
        sqlx::query::<Any>(
            "INSERT INTO credentials (digest, name, role, created_at, ordinal)
             VALUES ($1, $2, $3, $4, (SELECT coalesce(max(ordinal), 0) + 1 FROM credentials))",
        )
        .bind(credential.digest.to_hex())
        .bind(&credential.name)
        .bind(credential.role.name())
        .bind(credential.created_at.0)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

impl TryFrom<Row> for Credential {
    type Error = RegistryError;

    fn try_from(row: Row) -> Result<Self, RegistryError> {
        Ok(Self {
            digest: Digest::from_hex(&row.digest).ok_or(RegistryError::Corrupt("credential"))?,
            name: row.name,
            role: Role::from_name(&row.role).ok_or(RegistryError::Corrupt("role"))?,
            created_at: UnixTime(row.created_at),
            last_seen: row.last_seen.map(UnixTime),
        })
    }
}
