//! The rate limits' rows: one number per key.

use keyswap_core::base::Digest;
use keyswap_core::limit::{Gcra, Taken};

use super::database::Store;
use crate::registry::record::error::RegistryError;

impl Store {
    /// Takes one request, if there is one. Another that asks for the same key at the same time comes before or after, and
    /// the clock is read in between, so times never go back from one to the next on one machine.
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

    /// Forgets the keys whose budget is full: a key that is not there has a full one.
    pub(in crate::registry) async fn forget_full(&self, now: i64) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM rate_limits WHERE tat < $1").bind(now).execute(&self.writer).await?;
        Ok(())
    }
}
