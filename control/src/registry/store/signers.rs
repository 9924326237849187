//! The rows of the keys that may sign policies.

use keyswap_core::base::UnixTime;
use sqlx::Any;

use super::database::Store;
use super::write::Write;
use crate::registry::record::error::RegistryError;
use crate::registry::record::signers::Signers;

const SIGNERS: &str = "SELECT version, keys, changed_at, changed_by FROM policy_signers WHERE name = $1";

#[derive(sqlx::FromRow)]
struct SignersRow {
    version: i64,
    keys: String,
    changed_at: i64,
    changed_by: String,
}

impl Store {
    pub(in crate::registry) async fn signers(&self, name: &str) -> Result<Option<Signers>, RegistryError> {
        let row: Option<SignersRow> = sqlx::query_as(SIGNERS).bind(name).fetch_optional(&self.reader).await?;
        row.map(Signers::try_from).transpose()
    }
}

impl Write {
    pub(in crate::registry) async fn signers(
        &mut self,
        name: &str,
    ) -> Result<Option<Signers>, RegistryError> {
        let row: Option<SignersRow> =
            sqlx::query_as(SIGNERS).bind(name).fetch_optional(self.connection()).await?;
        row.map(Signers::try_from).transpose()
    }

    pub(in crate::registry) async fn put_signers(
        &mut self,
        name: &str,
        signers: &Signers,
    ) -> Result<(), RegistryError> {
        sqlx::query::<Any>(
            "INSERT INTO policy_signers (name, version, keys, changed_at, changed_by) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (name) DO UPDATE SET version = excluded.version, keys = excluded.keys,
                 changed_at = excluded.changed_at, changed_by = excluded.changed_by",
        )
        .bind(name)
        .bind(signers.version)
        .bind(signers.keys.to_string())
        .bind(signers.changed_at.0)
        .bind(&signers.changed_by)
        .execute(self.connection())
        .await?;
        Ok(())
    }
}

impl TryFrom<SignersRow> for Signers {
    type Error = RegistryError;

    fn try_from(row: SignersRow) -> Result<Self, RegistryError> {
        let SignersRow { version, keys, changed_at, changed_by } = row;
        let keys =
            serde_json::from_str(&keys).map_err(|_| RegistryError::Corrupt("set of a policy's keys"))?;
        Ok(Self { version, keys, changed_at: UnixTime(changed_at), changed_by })
    }
}
