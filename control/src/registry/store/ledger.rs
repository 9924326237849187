//! Transactions on windows and leases.
//!
//! A [`Ledger`] holds the locks of its subjects. So all that concerns one subject happens in turn, on all replicas.

use keyswap_core::base::UnixTime;
use sqlx::{Any, Transaction};

use super::budgets::{BUDGET, BudgetRow, LeaseRow, Opened, leases};
use super::database::Store;
use crate::registry::record::amount::Unit;
use crate::registry::record::budget::{Budget, Payer};
use crate::registry::record::error::RegistryError;
use crate::registry::record::lease::Lease;
use crate::registry::record::window::Window;

const LEASE: &str =
    "SELECT id, unit, starts_at, ends_at, node, granted, spent, returned, expires_at, nonce, successor
     FROM leases
     WHERE id = $1 AND subject = $2";

const LEASE_BY_NONCE: &str =
    "SELECT id, unit, starts_at, ends_at, node, granted, spent, returned, expires_at, nonce, successor
     FROM leases
     WHERE nonce = $1 AND subject = $2 ORDER BY expires_at DESC, id LIMIT 1";

/// A transaction that holds the locks of subjects. A dropped one is rolled back.
pub(in crate::registry) struct Ledger {
    transaction: Transaction<'static, Any>,
}

impl Store {
    /// Begins a transaction and locks the subjects, in their order, so that two transactions cannot deadlock.
    pub(in crate::registry) async fn ledger(&self, subjects: &[Payer]) -> Result<Ledger, RegistryError> {
        let mut transaction = self.writer.begin_with(self.dialect.begin).await?;
        if let Some(lock_key) = self.dialect.lock_key {
            let mut keys: Vec<String> =
                subjects.iter().map(|subject| format!("budget of {subject}")).collect();
            keys.sort_unstable();
            for key in keys {
                sqlx::query(lock_key).bind(key).execute(&mut *transaction).await?;
            }
        }
        Ok(Ledger { transaction })
    }
}

impl Ledger {
    /// Returns the budget that an administrator set for a subject.
    pub(in crate::registry) async fn budget(
        &mut self,
        subject: &Payer,
    ) -> Result<Option<Budget>, RegistryError> {
        let row: Option<BudgetRow> =
            sqlx::query_as(BUDGET).bind(subject.to_string()).fetch_optional(&mut *self.transaction).await?;
        row.map(|row| Ok(row.read()?.1)).transpose()
    }

    /// Returns a lease of this subject, `None` if it is not kept.
    pub(in crate::registry) async fn lease(
        &mut self,
        subject: &Payer,
        id: &str,
    ) -> Result<Option<Lease>, RegistryError> {
        let row: Option<LeaseRow> = sqlx::query_as(LEASE)
            .bind(id)
            .bind(subject.to_string())
            .fetch_optional(&mut *self.transaction)
            .await?;
        row.map(Lease::try_from).transpose()
    }

    /// Returns the newest lease of this subject that a first request with this nonce began.
    pub(in crate::registry) async fn lease_by_nonce(
        &mut self,
        subject: &Payer,
        nonce: &str,
    ) -> Result<Option<Lease>, RegistryError> {
        let row: Option<LeaseRow> = sqlx::query_as(LEASE_BY_NONCE)
            .bind(nonce)
            .bind(subject.to_string())
            .fetch_optional(&mut *self.transaction)
            .await?;
        row.map(Lease::try_from).transpose()
    }

    /// Returns the leases of a window, those that expire first before others.
    pub(in crate::registry) async fn leases(
        &mut self,
        subject: &Payer,
        unit: Unit,
        window: Window,
    ) -> Result<Vec<Lease>, RegistryError> {
        leases(&mut self.transaction, subject, unit, window).await
    }

    /// Returns the leases of a subject that expired before a moment.
    pub(in crate::registry) async fn leases_before(
        &mut self,
        subject: &Payer,
        at: UnixTime,
    ) -> Result<Vec<Lease>, RegistryError> {
        let rows: Vec<LeaseRow> = sqlx::query_as(
            "SELECT id, unit, starts_at, ends_at, node, granted, spent, returned, expires_at, nonce, successor
     FROM leases
             WHERE subject = $1 AND expires_at < $2",
        )
        .bind(subject.to_string())
        .bind(at.0)
        .fetch_all(&mut *self.transaction)
        .await?;
        rows.into_iter().map(Lease::try_from).collect()
    }

    /// Returns what leases that are not kept spent in a window, `None` if the window is not open.
    pub(in crate::registry) async fn settled(
        &mut self,
        subject: &Payer,
        unit: Unit,
        window: Window,
    ) -> Result<Option<i64>, RegistryError> {
        let settled = sqlx::query_scalar(
            "SELECT settled FROM budget_windows
             WHERE subject = $1 AND unit = $2 AND starts_at = $3 AND ends_at = $4",
        )
        .bind(subject.to_string())
        .bind(unit.name())
        .bind(window.starts_at.0)
        .bind(window.ends_at.0)
        .fetch_optional(&mut *self.transaction)
        .await?;
        Ok(settled)
    }

    /// Stores a window.
    pub(in crate::registry) async fn put_window(&mut self, opened: &Opened) -> Result<(), RegistryError> {
        sqlx::query(
            "INSERT INTO budget_windows (subject, unit, starts_at, ends_at, amount, settled, per, timezone)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (subject, unit, starts_at, ends_at) DO UPDATE SET amount = excluded.amount,
                 settled = excluded.settled, per = excluded.per, timezone = excluded.timezone",
        )
        .bind(opened.subject.to_string())
        .bind(opened.budget.unit.name())
        .bind(opened.window.starts_at.0)
        .bind(opened.window.ends_at.0)
        .bind(opened.budget.amount)
        .bind(opened.settled)
        .bind(opened.budget.per.name())
        .bind(opened.budget.zone.name())
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Stores what leases that are not kept spent in a window, if the window is open.
    pub(in crate::registry) async fn put_settled(
        &mut self,
        subject: &Payer,
        lease: &Lease,
        settled: i64,
    ) -> Result<(), RegistryError> {
        sqlx::query(
            "UPDATE budget_windows SET settled = $5
             WHERE subject = $1 AND unit = $2 AND starts_at = $3 AND ends_at = $4",
        )
        .bind(subject.to_string())
        .bind(lease.unit.name())
        .bind(lease.window.starts_at.0)
        .bind(lease.window.ends_at.0)
        .bind(settled)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Stores a lease.
    pub(in crate::registry) async fn put_lease(
        &mut self,
        subject: &Payer,
        lease: &Lease,
    ) -> Result<(), RegistryError> {
        sqlx::query(
            "INSERT INTO leases (id, subject, unit, starts_at, ends_at, node, granted, spent, returned, expires_at,
                 nonce, successor)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (id) DO UPDATE SET node = excluded.node, granted = excluded.granted,
                 spent = excluded.spent, returned = excluded.returned, expires_at = excluded.expires_at, successor = excluded.successor",
        )
        .bind(&lease.id)
        .bind(subject.to_string())
        .bind(lease.unit.name())
        .bind(lease.window.starts_at.0)
        .bind(lease.window.ends_at.0)
        .bind(&lease.node)
        .bind(lease.granted)
        .bind(lease.spent)
        .bind(lease.returned)
        .bind(lease.expires_at.0)
        .bind(&lease.nonce)
        .bind(lease.successor.as_deref())
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    pub(in crate::registry) async fn delete_lease(&mut self, id: &str) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM leases WHERE id = $1").bind(id).execute(&mut *self.transaction).await?;
        Ok(())
    }

    pub(in crate::registry) async fn commit(self) -> Result<(), RegistryError> {
        Ok(self.transaction.commit().await?)
    }
}
