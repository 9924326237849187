//! The rows of hourly usage, and their sums of all time.
//!
//! The number of rows is bounded, also for a data plane that invents callers or models: beyond, rows are counted as
//! `other`. Each number saturates, so that no sum can overflow.

use std::collections::{BTreeMap, BTreeSet};

use keyswap_core::base::UnixTime;
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection};

use super::database::Store;
use crate::registry::record::error::RegistryError;
use crate::registry::record::usage::{Counts, UsageRow};

/// The rows of an hour.
const MAX_ROWS_PER_HOUR: i64 = 50_000;

/// The rows of sums of all time: as many as a monitoring system takes.
const MAX_TOTALS: i64 = 2000;

/// The name of callers, providers and models beyond the bounds.
const OTHER: &str = "other";

const NOBODYS_DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The span that one run deletes.
const MAX_FORGOTTEN_SECONDS: i64 = 86_400;

/// Builds the statement that adds a row's numbers to a table, at most up to a bound.
macro_rules! upsert {
    ($table:literal, $keys:literal, $conflict:literal, $values:literal, $bound:literal $(, $also:literal)?) => {
        concat!(
            "INSERT INTO ", $table, " (", $keys,
            ", requests, unmetered, unpriced, input, cached, cache_write, output, reasoning, audio, cost) VALUES (",
            $values, ") ON CONFLICT (", $conflict, ") DO UPDATE SET ", $($also, ", ",)?
            upsert!(@add $table, "requests", $bound), ", ", upsert!(@add $table, "unmetered", $bound), ", ",
            upsert!(@add $table, "unpriced", $bound), ", ", upsert!(@add $table, "input", $bound), ", ",
            upsert!(@add $table, "cached", $bound), ", ", upsert!(@add $table, "cache_write", $bound), ", ",
            upsert!(@add $table, "output", $bound), ", ", upsert!(@add $table, "reasoning", $bound), ", ",
            upsert!(@add $table, "audio", $bound), ", ", upsert!(@add $table, "cost", $bound)
        )
    };
    (@add $table:literal, $column:literal, $bound:literal) => {
        concat!(
            $column, " = CASE WHEN ", $table, ".", $column, " > ", $bound, " - excluded.", $column, " THEN ", $bound,
            " ELSE ", $table, ".", $column, " + excluded.", $column, " END"
        )
    };
}

const ADD: &str = upsert!(
    "usage",
    "hour, principal, kind, label, owner, team, provider, model",
    "hour, principal, owner, team, provider, model",
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18",
    "9000000000000000",
    "label = excluded.label"
);

const ADD_TOTAL: &str = upsert!(
    "usage_totals",
    "team, provider, model",
    "team, provider, model",
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13",
    "9000000000000000000"
);

const IS_KNOWN: &str = "SELECT count(*) FROM usage
     WHERE hour = $1 AND principal = $2 AND owner = $3 AND team = $4 AND provider = $5 AND model = $6";

const IS_KNOWN_TOTAL: &str =
    "SELECT count(*) FROM usage_totals WHERE team = $1 AND provider = $2 AND model = $3";

impl Store {
    /// Adds the rows of a report, unless a report with this id was added.
    pub(in crate::registry) async fn add_usage(
        &self,
        id: &str,
        rows: &[UsageRow],
        now: UnixTime,
    ) -> Result<(), RegistryError> {
        let mut transaction = self.writer.begin_with(self.dialect.begin).await?;
        let taken =
            sqlx::query("INSERT INTO usage_reports (id, at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
                .bind(id)
                .bind(now.0)
                .execute(&mut *transaction)
                .await?;
        if taken.rows_affected() == 0 {
            return Ok(());
        }
        let full = full_hours(&mut transaction, rows).await?;
        for row in rows {
            add(&mut transaction, row, full.contains(&row.hour.0)).await?;
        }
        add_totals(&mut transaction, rows).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes the ids of reports before a moment.
    pub(in crate::registry) async fn forget_reports(&self, before: UnixTime) -> Result<(), RegistryError> {
        sqlx::query("DELETE FROM usage_reports WHERE at < $1").bind(before.0).execute(&self.writer).await?;
        Ok(())
    }

    /// Deletes the oldest day of usage before a moment.
    pub(in crate::registry) async fn forget_usage(&self, before: UnixTime) -> Result<(), RegistryError> {
        let oldest: Option<i64> =
            sqlx::query_scalar("SELECT min(hour) FROM usage").fetch_one(&self.reader).await?;
        let Some(oldest) = oldest.filter(|oldest| *oldest < before.0) else { return Ok(()) };
        sqlx::query("DELETE FROM usage WHERE hour < $1")
            .bind(before.0.min(oldest.saturating_add(MAX_FORGOTTEN_SECONDS)))
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

/// Returns the hours of a report that have no place for more rows.
async fn full_hours(
    connection: &mut AnyConnection,
    rows: &[UsageRow],
) -> Result<BTreeSet<i64>, RegistryError> {
    let hours: BTreeSet<i64> = rows.iter().map(|row| row.hour.0).collect();
    let mut full = BTreeSet::new();
    for hour in hours {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM usage WHERE hour = $1")
            .bind(hour)
            .fetch_one(&mut *connection)
            .await?;
        if count >= MAX_ROWS_PER_HOUR {
            full.insert(hour);
        }
    }
    Ok(full)
}

/// Adds a row. In an hour that is full, an unknown row is counted as `other`.
async fn add(connection: &mut AnyConnection, row: &UsageRow, is_full: bool) -> Result<(), RegistryError> {
    let hex = row.principal.to_hex();
    let (owner, team) = (row.owner.as_deref().unwrap_or(""), row.team.as_deref().unwrap_or(""));
    let mut texts = [&hex, row.kind.name(), &row.label, owner, team, &row.provider, &row.model];
    if is_full {
        let known: i64 = sqlx::query_scalar(IS_KNOWN)
            .bind(row.hour.0)
            .bind(&hex)
            .bind(owner)
            .bind(team)
            .bind(&row.provider)
            .bind(&row.model)
            .fetch_one(&mut *connection)
            .await?;
        if known == 0 {
            texts = [NOBODYS_DIGEST, OTHER, OTHER, "", "", OTHER, OTHER];
        }
    }
    let mut query = sqlx::query(ADD).bind(row.hour.0);
    for text in texts {
        query = query.bind(text.to_owned());
    }
    with_numbers(query, &row.counts).execute(connection).await?;
    Ok(())
}

/// Adds the rows to the sums of all time. Without a place for more, unknown ones are counted as `other`.
async fn add_totals(connection: &mut AnyConnection, rows: &[UsageRow]) -> Result<(), RegistryError> {
    let mut sums: BTreeMap<[&str; 3], Counts> = BTreeMap::new();
    for row in rows {
        let key = [row.team.as_deref().unwrap_or(""), &row.provider, &row.model];
        sums.entry(key).or_default().add(&row.counts);
    }
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM usage_totals").fetch_one(&mut *connection).await?;
    let mut places = MAX_TOTALS.saturating_sub(count);
    for (mut key, counts) in sums {
        let [team, provider, model] = key;
        let known: i64 = sqlx::query_scalar(IS_KNOWN_TOTAL)
            .bind(team)
            .bind(provider)
            .bind(model)
            .fetch_one(&mut *connection)
            .await?;
        if known == 0 {
            if places <= 0 {
                key = [OTHER; 3];
            }
            places = places.saturating_sub(1);
        }
        let mut query = sqlx::query(ADD_TOTAL);
        for text in key {
            query = query.bind(text.to_owned());
        }
        with_numbers(query, &counts).execute(&mut *connection).await?;
    }
    Ok(())
}

fn with_numbers<'q>(
    mut query: Query<'q, Any, AnyArguments>,
    counts: &Counts,
) -> Query<'q, Any, AnyArguments> {
    for number in counts.numbers() {
        query = query.bind(number);
    }
    query
}
