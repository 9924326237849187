//! Sums of hourly usage.
//!
//! A sum of large numbers could overflow in the database. So the database adds the billions and the rest apart, and the
//! two are joined here.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Row as _};

use super::database::Store;
use super::reach::within;
use crate::registry::record::day::Day;
use crate::registry::record::error::RegistryError;
use crate::registry::record::usage::{Counts, UsageBy, UsageDetail, UsageLine, UsageQuery, UsageTotal};

const BILLION: i64 = 1_000_000_000;

/// The two sums of each number, in the order of [`Counts::numbers`].
macro_rules! sums {
    () => {
        concat!(
            sums!(@two "requests"), ", ", sums!(@two "unmetered"), ", ", sums!(@two "unpriced"), ", ",
            sums!(@two "input"), ", ", sums!(@two "cached"), ", ", sums!(@two "cache_write"), ", ",
            sums!(@two "output"), ", ", sums!(@two "reasoning"), ", ", sums!(@two "audio"), ", ", sums!(@two "cost")
        )
    };
    (@two $column:literal) => {
        concat!(
            "CAST(coalesce(sum(", $column, " / 1000000000), 0) AS BIGINT), CAST(coalesce(sum(", $column,
            " % 1000000000), 0) AS BIGINT)"
        )
    };
}

/// The rows of a question: its span and its filters.
macro_rules! asked {
    () => {
        concat!(
            " FROM usage WHERE hour >= $1 AND hour < $2 AND ($3 = '' OR principal = $3) AND ($4 = '' OR owner = $4)
              AND ($5 = '' OR team = $5) AND ($6 = '' OR provider = $6) AND ($7 = '' OR model = $7) AND ",
            within!("$8", "$9", "team", "owner")
        )
    };
}

/// Builds the statement for a dimension: its key, its label, its sums.
macro_rules! by {
    ($key:literal, $label:literal, $order:literal) => {
        concat!(
            "SELECT ",
            $key,
            ", ",
            $label,
            ", ",
            sums!(),
            asked!(),
            " GROUP BY ",
            $key,
            " ORDER BY ",
            $order,
            " LIMIT $10"
        )
    };
}

const TOTAL: &str = concat!("SELECT ", sums!(), asked!());

const DETAILS: &str = concat!(
    "SELECT hour / 86400, principal, max(kind), max(label), owner, team, provider, model, ",
    sums!(),
    asked!(),
    " GROUP BY hour / 86400, principal, owner, team, provider, model
      ORDER BY hour / 86400, principal, owner, team, provider, model LIMIT $10"
);

const ALL_TIME: &str =
    "SELECT team, provider, model, requests, unmetered, unpriced, input, cached, cache_write, output, reasoning,
         audio, cost
     FROM usage_totals ORDER BY team, provider, model";

/// Returns the statement for a dimension.
fn statement(by: UsageBy) -> &'static str {
    macro_rules! dearest {
        ($key:literal, $label:literal) => {
            by!($key, $label, "sum(CAST(cost AS DOUBLE PRECISION)) DESC, sum(requests) DESC, 1")
        };
    }
    match by {
        UsageBy::Token => dearest!("principal", "max(label)"),
        UsageBy::Owner => dearest!("owner", "''"),
        UsageBy::Team => dearest!("team", "''"),
        UsageBy::Provider => dearest!("provider", "''"),
        UsageBy::Model => dearest!("model", "''"),
        UsageBy::Day => by!("hour / 86400", "''", "1"),
    }
}

impl Store {
    pub(in crate::registry) async fn usage(
        &self,
        query: &UsageQuery,
        by: UsageBy,
        limit: u32,
    ) -> Result<Vec<UsageLine>, RegistryError> {
        let rows = with_question(sqlx::query(statement(by)), query)
            .bind(i64::from(limit))
            .fetch_all(&self.reader)
            .await?;
        rows.iter()
            .map(|row| {
                let key = match by {
                    UsageBy::Day => Day(row.try_get(0)?).to_string(),
                    _ => row.try_get(0)?,
                };
                Ok(UsageLine { key, label: row.try_get(1)?, counts: counts(row, 2)? })
            })
            .collect()
    }

    pub(in crate::registry) async fn usage_total(&self, query: &UsageQuery) -> Result<Counts, RegistryError> {
        let row = with_question(sqlx::query(TOTAL), query).fetch_one(&self.reader).await?;
        counts(&row, 0)
    }

    pub(in crate::registry) async fn usage_details(
        &self,
        query: &UsageQuery,
        limit: u32,
    ) -> Result<Vec<UsageDetail>, RegistryError> {
        let rows =
            with_question(sqlx::query(DETAILS), query).bind(i64::from(limit)).fetch_all(&self.reader).await?;
        rows.iter()
            .map(|row| {
                Ok(UsageDetail {
                    day: Day(row.try_get(0)?),
                    principal: row.try_get(1)?,
                    kind: row.try_get(2)?,
                    label: row.try_get(3)?,
                    owner: row.try_get(4)?,
                    team: row.try_get(5)?,
                    provider: row.try_get(6)?,
                    model: row.try_get(7)?,
                    counts: counts(row, 8)?,
                })
            })
            .collect()
    }

    pub(in crate::registry) async fn usage_totals(&self) -> Result<Vec<UsageTotal>, RegistryError> {
        let rows = sqlx::query(ALL_TIME).fetch_all(&self.reader).await?;
        rows.iter()
            .map(|row| {
                let mut numbers = [0; 10];
                for (place, number) in numbers.iter_mut().enumerate() {
                    *number = row.try_get(3 + place)?;
                }
                let counts = Counts::of(numbers);
                Ok(UsageTotal {
                    team: row.try_get(0)?,
                    provider: row.try_get(1)?,
                    model: row.try_get(2)?,
                    counts,
                })
            })
            .collect()
    }
}

fn with_question<'q>(
    statement: Query<'q, Any, AnyArguments>,
    query: &UsageQuery,
) -> Query<'q, Any, AnyArguments> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    statement
        .bind(query.since.0)
        .bind(query.until.0)
        .bind(query.token.map(|digest| digest.to_hex()).unwrap_or_default())
        .bind(text(&query.owner))
        .bind(text(&query.team))
        .bind(text(&query.provider))
        .bind(text(&query.model))
        .bind(query.reach.teams())
        .bind(query.reach.owner().to_owned())
}

/// Reads the counts from the pairs of sums that begin at `first`.
fn counts(row: &AnyRow, first: usize) -> Result<Counts, RegistryError> {
    let mut numbers = [0; 10];
    for (place, number) in numbers.iter_mut().enumerate() {
        let (billions, rest): (i64, i64) =
            (row.try_get(first + 2 * place)?, row.try_get(first + 2 * place + 1)?);
        *number = billions.saturating_mul(BILLION).saturating_add(rest);
    }
    Ok(Counts::of(numbers))
}
