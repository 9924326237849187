//! The rate limits' rows: the theoretical arrival time (GCRA) of each key.

use keyswap_core::base::Digest;
use keyswap_core::limit::{Gcra, Taken};

use super::database::Store;
use crate::registry::record::error::RegistryError;

impl Store {
    /// Takes one request from a key's limit, if one remains. Requests for one key are serialized, and the clock is read
    /// under the lock, so on one machine times do not go back between requests.
    pub(in crate::registry) async fn take(
        &self,
        key: &Digest,
        gcra: Gcra,
        clock: impl Fn() -> i64,
    ) -> Result<Taken, RegistryError> {
        let key = key.to_hex();
        let mut transaction = self.writer.begin_with(self.dialect.begin).await?;
        if let Some(lock_key) = self.dialect.lock_key {
            sqlx::query(lock_key).bind(&key).execute(&mut *transaction).await?;
        }
        let tat: Option<i64> = sqlx::query_scalar("SELECT tat FROM rate_limits WHERE key = $1")
            .bind(&key)
            .fetch_optional(&mut *transaction)
            .await?;
        let (tat, taken) = gcra.take(tat, clock());
        if taken.allowed {
            sqlx::query(
                "INSERT INTO rate_limits (key, tat) VALUES ($1, $2)
                 ON CONFLICT (key) DO UPDATE SET tat = excluded.tat",
            )
            .bind(&key)
            .bind(tat)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(taken)
    }

    /// Deletes the keys whose budget is full: an absent key has a full budget.
    pub(in crate::registry) async fn forget_full(&self, now: i64) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM rate_limits WHERE tat < $1").bind(now).execute(&self.writer).await?;
        Ok(())
    }
}
