//! The rows of budgets, windows and leases, and the budgets that administrators set.

use keyswap_core::base::UnixTime;
use sqlx::AnyConnection;

use super::database::Store;
use super::reach::payer_within;
use super::write::Write;
use crate::registry::record::amount::Unit;
use crate::registry::record::budget::{Budget, Payer};
use crate::registry::record::clock::now;
use crate::registry::record::error::RegistryError;
use crate::registry::record::lease::Lease;
use crate::registry::record::reach::Reach;
use crate::registry::record::window::{Per, Window, Zone};

const LEASES: &str =
    "SELECT id, unit, starts_at, ends_at, node, granted, spent, returned, expires_at, nonce, successor
     FROM leases
     WHERE subject = $1 AND unit = $2 AND starts_at = $3 AND ends_at = $4 ORDER BY expires_at, id";

pub(super) const BUDGET: &str = "SELECT subject, unit, amount, per, timezone FROM budgets WHERE subject = $1";

const WINDOWS: &str =
    "SELECT subject, unit, starts_at, ends_at, amount, per, timezone, settled FROM budget_windows
     WHERE subject = $1 AND starts_at <= $2 AND ends_at > $2 ORDER BY unit, ends_at";

#[derive(sqlx::FromRow)]
pub(super) struct LeaseRow {
    id: String,
    unit: String,
    starts_at: i64,
    ends_at: i64,
    node: String,
    granted: i64,
    spent: i64,
    returned: i64,
    expires_at: i64,
    nonce: String,
    successor: Option<String>,
}

#[derive(sqlx::FromRow)]
pub(super) struct BudgetRow {
    subject: String,
    unit: String,
    amount: i64,
    per: String,
    timezone: String,
}

#[derive(sqlx::FromRow)]
struct WindowRow {
    subject: String,
    unit: String,
    starts_at: i64,
    ends_at: i64,
    amount: i64,
    per: String,
    timezone: String,
    settled: i64,
}

/// A window of a subject's budget, as it is stored.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Opened {
    pub(in crate::registry) subject: Payer,
    pub(in crate::registry) budget: Budget,
    pub(in crate::registry) window: Window,
    pub(in crate::registry) settled: i64,
}

impl Store {
    /// Returns the budget that an administrator set for a subject.
    pub(in crate::registry) async fn budget(&self, subject: &Payer) -> Result<Option<Budget>, RegistryError> {
        let row: Option<BudgetRow> =
            sqlx::query_as(BUDGET).bind(subject.to_string()).fetch_optional(&self.reader).await?;
        row.map(|row| Ok(row.read()?.1)).transpose()
    }

    /// Returns the budgets that administrators set in a part of the registry, in the order of their subjects.
    pub(in crate::registry) async fn budgets(
        &self,
        reach: &Reach,
        limit: i64,
    ) -> Result<Vec<(Payer, Budget)>, RegistryError> {
        let rows: Vec<BudgetRow> = sqlx::query_as(concat!(
            "SELECT subject, unit, amount, per, timezone FROM budgets WHERE ",
            payer_within!("$1", "$2"),
            " ORDER BY subject LIMIT $3"
        ))
        .bind(reach.teams())
        .bind(reach.owner())
        .bind(limit)
        .fetch_all(&self.reports)
        .await?;
        rows.into_iter().map(BudgetRow::read).collect()
    }

    /// Returns the windows of a subject that a moment lies in.
    pub(in crate::registry) async fn windows(
        &self,
        subject: &Payer,
        at: UnixTime,
    ) -> Result<Vec<Opened>, RegistryError> {
        let rows: Vec<WindowRow> =
            sqlx::query_as(WINDOWS).bind(subject.to_string()).bind(at.0).fetch_all(&self.reader).await?;
        rows.into_iter().map(WindowRow::read).collect()
    }

    /// Returns the windows of owners and teams in a part of the registry that a moment lies in.
    pub(in crate::registry) async fn shared_windows(
        &self,
        reach: &Reach,
        at: UnixTime,
        limit: i64,
    ) -> Result<Vec<Opened>, RegistryError> {
        let rows: Vec<WindowRow> = sqlx::query_as(concat!(
            "SELECT subject, unit, starts_at, ends_at, amount, per, timezone, settled FROM budget_windows
             WHERE ends_at > $1 AND starts_at <= $1 AND subject NOT LIKE 'token:%' AND ",
            payer_within!("$2", "$3"),
            " ORDER BY subject, unit, ends_at LIMIT $4"
        ))
        .bind(at.0)
        .bind(reach.teams())
        .bind(reach.owner())
        .bind(limit)
        .fetch_all(&self.reports)
        .await?;
        rows.into_iter().map(WindowRow::read).collect()
    }

    /// Returns the subject that counts the spending of a subject. A token counts under the first one of its line of rotations, so
    /// that a line spends one budget. A deleted token counts where its `lease` does.
    pub(in crate::registry) async fn account(
        &self,
        subject: &Payer,
        lease: Option<&str>,
    ) -> Result<Payer, RegistryError> {
        let Payer::Token(digest) = subject else { return Ok(subject.clone()) };
        let holder: Option<String> = sqlx::query_scalar("SELECT holder FROM tokens WHERE digest = $1")
            .bind(digest.to_hex())
            .fetch_optional(&self.reader)
            .await?;
        if let Some(holder) = holder {
            // A replica of an older release, which still runs, adds tokens without one.
            return if holder.is_empty() { Ok(subject.clone()) } else { payer(&format!("token:{holder}")) };
        }
        let account: Option<String> =
            sqlx::query_scalar("SELECT subject FROM leases WHERE id = $1 AND subject LIKE 'token:%'")
                .bind(lease.unwrap_or_default())
                .fetch_optional(&self.reader)
                .await?;
        account.map_or_else(|| Ok(subject.clone()), |account| payer(&account))
    }

    /// Returns the leases of a window.
    pub(in crate::registry) async fn leases_of(&self, opened: &Opened) -> Result<Vec<Lease>, RegistryError> {
        let mut connection = self.reader.acquire().await?;
        leases(&mut connection, &opened.subject, opened.budget.unit, opened.window).await
    }

    /// Returns the number of leases that have not expired.
    pub(in crate::registry) async fn live_leases(&self, at: UnixTime) -> Result<i64, RegistryError> {
        let count = sqlx::query_scalar("SELECT count(*) FROM leases WHERE expires_at > $1")
            .bind(at.0)
            .fetch_one(&self.reader)
            .await?;
        Ok(count)
    }

    /// Returns subjects with leases that expired before a moment.
    pub(in crate::registry) async fn subjects_with_leases_before(
        &self,
        at: UnixTime,
        limit: i64,
    ) -> Result<Vec<Payer>, RegistryError> {
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT subject FROM leases WHERE expires_at < $1 LIMIT $2")
                .bind(at.0)
                .bind(limit)
                .fetch_all(&self.reader)
                .await?;
        rows.iter().map(|subject| payer(subject)).collect()
    }

    /// Deletes windows that ended before a moment and have no lease.
    pub(in crate::registry) async fn forget_windows(&self, before: UnixTime) -> Result<(), RegistryError> {
        sqlx::query(
            "DELETE FROM budget_windows WHERE ends_at < $1 AND NOT EXISTS (
                 SELECT 1 FROM leases WHERE leases.subject = budget_windows.subject
                     AND leases.unit = budget_windows.unit AND leases.starts_at = budget_windows.starts_at
                     AND leases.ends_at = budget_windows.ends_at)",
        )
        .bind(before.0)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Returns the number of windows that are kept.
    pub(in crate::registry) async fn count_windows(&self) -> Result<i64, RegistryError> {
        Ok(sqlx::query_scalar("SELECT count(*) FROM budget_windows").fetch_one(&self.reader).await?)
    }
}

impl Write {
    /// Returns the budget of a subject.
    pub(in crate::registry) async fn budget(
        &mut self,
        subject: &Payer,
    ) -> Result<Option<Budget>, RegistryError> {
        let row: Option<BudgetRow> =
            sqlx::query_as(BUDGET).bind(subject.to_string()).fetch_optional(self.connection()).await?;
        row.map(|row| Ok(row.read()?.1)).transpose()
    }

    /// Stores the budget of a subject, in place of the present one.
    pub(in crate::registry) async fn put_budget(
        &mut self,
        subject: &Payer,
        budget: &Budget,
    ) -> Result<(), RegistryError> {
        sqlx::query(
            "INSERT INTO budgets (subject, unit, amount, per, timezone, changed_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (subject) DO UPDATE SET unit = excluded.unit, amount = excluded.amount,
                 per = excluded.per, timezone = excluded.timezone, changed_at = excluded.changed_at",
        )
        .bind(subject.to_string())
        .bind(budget.unit.name())
        .bind(budget.amount)
        .bind(budget.per.name())
        .bind(budget.zone.name())
        .bind(now().0)
        .execute(self.connection())
        .await?;
        Ok(())
    }

    pub(in crate::registry) async fn delete_budget(&mut self, subject: &Payer) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM budgets WHERE subject = $1")
            .bind(subject.to_string())
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

/// Returns the leases of a window, those that expire first before others.
pub(super) async fn leases(
    connection: &mut AnyConnection,
    subject: &Payer,
    unit: Unit,
    window: Window,
) -> Result<Vec<Lease>, RegistryError> {
    let rows: Vec<LeaseRow> = sqlx::query_as(LEASES)
        .bind(subject.to_string())
        .bind(unit.name())
        .bind(window.starts_at.0)
        .bind(window.ends_at.0)
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(Lease::try_from).collect()
}

fn payer(text: &str) -> Result<Payer, RegistryError> {
    Payer::parse(text).map_err(|_| RegistryError::Corrupt("subject of a budget"))
}

fn unit(text: &str) -> Result<Unit, RegistryError> {
    Unit::from_name(text).ok_or(RegistryError::Corrupt("unit of a budget"))
}

fn window(starts_at: i64, ends_at: i64) -> Window {
    Window { starts_at: UnixTime(starts_at), ends_at: UnixTime(ends_at) }
}

fn budget(text: &str, amount: i64, per: &str, zone: &str) -> Result<Budget, RegistryError> {
    Ok(Budget {
        unit: unit(text)?,
        amount,
        per: Per::from_name(per).ok_or(RegistryError::Corrupt("period of a budget"))?,
        zone: Zone::parse(zone).map_err(|_| RegistryError::Corrupt("time zone"))?,
    })
}

impl BudgetRow {
    pub(super) fn read(self) -> Result<(Payer, Budget), RegistryError> {
        let budget = budget(&self.unit, self.amount, &self.per, &self.timezone)?;
        Ok((payer(&self.subject)?, budget))
    }
}

impl WindowRow {
    fn read(self) -> Result<Opened, RegistryError> {
        Ok(Opened {
            subject: payer(&self.subject)?,
            budget: budget(&self.unit, self.amount, &self.per, &self.timezone)?,
            window: window(self.starts_at, self.ends_at),
            settled: self.settled,
        })
    }
}

impl TryFrom<LeaseRow> for Lease {
    type Error = RegistryError;

    fn try_from(row: LeaseRow) -> Result<Self, RegistryError> {
        Ok(Self {
            unit: unit(&row.unit)?,
            window: window(row.starts_at, row.ends_at),
            id: row.id,
            node: row.node,
            granted: row.granted,
            spent: row.spent,
            returned: row.returned,
            expires_at: UnixTime(row.expires_at),
            nonce: row.nonce,
            successor: row.successor,
        })
    }
}
