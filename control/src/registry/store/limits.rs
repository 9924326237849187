//! The rate limits' rows: one number per key.

use super::Store;
use crate::registry::error::RegistryError;
use crate::registry::gcra::{Gcra, Taken};

impl Store {
    /// Takes one request, if there is one, in a single statement: whoever asks at the same time is counted.
    pub(in crate::registry) async fn take(
        &self,
        key: &str,
        gcra: Gcra,
        now: i64,
    ) -> Result<Taken, RegistryError> {
        let mut transaction = self.writer.begin_with(self.dialect.begin).await?;
        let taken: Option<i64> = sqlx::query_scalar(
            "INSERT INTO rate_limits (key, tat) VALUES ($1, $2 + $3)
             ON CONFLICT (key) DO UPDATE
                 SET tat = CASE WHEN rate_limits.tat < $2 THEN $2 ELSE rate_limits.tat END + $3
                 WHERE rate_limits.tat <= $2 + $4
             RETURNING tat",
        )
        .bind(key)
        .bind(now)
        .bind(gcra.interval)
        .bind(gcra.burst - gcra.interval)
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(tat) = taken {
            transaction.commit().await?;
            return Ok(gcra.answer(true, tat, now));
        }
        // Nothing was taken. A time beyond the burst is from a clock that was put back, or a limit that was higher.
        let furthest = now + gcra.burst;
        sqlx::query("UPDATE rate_limits SET tat = $2 WHERE key = $1 AND tat > $2")
            .bind(key)
            .bind(furthest)
            .execute(&mut *transaction)
            .await?;
        let tat: Option<i64> = sqlx::query_scalar("SELECT tat FROM rate_limits WHERE key = $1")
            .bind(key)
            .fetch_optional(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(gcra.answer(false, tat.unwrap_or(furthest), now))
    }

    /// Forgets the keys whose budget is full: a key that is not there has a full one.
    pub(in crate::registry) async fn forget_full(&self, now: i64) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM rate_limits WHERE tat < $1").bind(now).execute(&self.writer).await?;
        Ok(())
    }
}
