//! A writing transaction.
//!
//! It holds the lock on the change sequence from beginning to end. Changes are therefore serialized, are committed in
//! the order of their numbers, and see all earlier commits. A dropped transaction is rolled back.

use serde_json::Value;
use sqlx::{Any, AnyConnection, AnyPool};
use sqlx::{Executor as _, Transaction};

use super::dialect::Dialect;
use super::wake::Wake;
use crate::registry::record::actor::Actor;
use crate::registry::record::change::Subject;
use crate::registry::record::error::RegistryError;

/// The newest changes whose histories are kept. A reader that is farther behind starts anew, which is cheaper by then.
const MAX_HISTORIES: i64 = 100_000;

/// An open writing transaction.
pub(in crate::registry) struct Write {
    transaction: Transaction<'static, Any>,
    dialect: Dialect,
    wake: Wake,
}

impl Write {
    pub(super) async fn begin(pool: &AnyPool, dialect: Dialect, wake: Wake) -> Result<Self, RegistryError> {
        let mut transaction = pool.begin_with(dialect.begin).await?;
        transaction.execute(dialect.lock).await?;
        Ok(Self { transaction, dialect, wake })
    }

    pub(super) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }

    /// Records a change of `key` in the change feed, and returns its sequence number.
    pub(in crate::registry) async fn change(
        &mut self,
        subject: Subject,
        key: &str,
    ) -> Result<i64, RegistryError> {
        let sequence: i64 =
            sqlx::query_scalar("UPDATE change_sequence SET value = value + 1 RETURNING value")
                .fetch_one(self.connection())
                .await?;
        sqlx::query(
            "INSERT INTO changes (kind, key, sequence) VALUES ($1, $2, $3)
             ON CONFLICT (kind, key) DO UPDATE SET sequence = excluded.sequence",
        )
        .bind(subject.name())
        .bind(key)
        .bind(sequence)
        .execute(self.connection())
        .await?;
        sqlx::query("INSERT INTO change_histories (sequence, history) VALUES ($1, $2)")
            .bind(sequence)
            .bind(random_history()?)
            .execute(self.connection())
            .await?;
        sqlx::query("DELETE FROM change_histories WHERE sequence <= $1")
            .bind(sequence.saturating_sub(MAX_HISTORIES))
            .execute(self.connection())
            .await?;
        // Readers that are farther behind start anew. Objects are many, so their old changes are deleted, one with each number.
        sqlx::query("DELETE FROM changes WHERE sequence = $1 AND kind = 'object'")
            .bind(sequence.saturating_sub(MAX_HISTORIES))
            .execute(self.connection())
            .await?;
        Ok(sequence)
    }

    /// Adds an entry to the audit log.
    pub(in crate::registry) async fn audit(
        &mut self,
        actor: &Actor,
        action: &str,
        subject: &str,
        detail: &Value,
    ) -> Result<(), RegistryError> {
        sqlx::query("INSERT INTO audit (at, actor, action, subject, detail) VALUES ($1, $2, $3, $4, $5)")
            .bind(crate::registry::record::clock::now().0)
            .bind(actor.name())
            .bind(action)
            .bind(subject)
            .bind(detail.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    /// Commits the transaction, then notifies other replicas and wakes all waiters.
    pub(in crate::registry) async fn commit(mut self) -> Result<(), RegistryError> {
        if let Some(notify) = self.dialect.notify {
            self.transaction.execute(notify).await?;
        }
        self.transaction.commit().await?;
        self.wake.announce();
        Ok(())
    }
}

/// Returns 64 random bits. Two histories part by chance only, so they need not be secret.
fn random_history() -> Result<String, RegistryError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)?;
    Ok(format!("{:016x}", u64::from_be_bytes(random)))
}
