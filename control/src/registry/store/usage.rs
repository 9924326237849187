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
        // Rows that reports share come last, in one order for all reports: two cannot deadlock.
        let mut others: BTreeMap<i64, Counts> = BTreeMap::new();
        for row in rows {
            if full.contains(&row.hour.0) && !is_known(&mut transaction, row).await? {
                others.entry(row.hour.0).or_default().add(&row.counts);
            } else {
                add(&mut transaction, row.hour.0, texts(row), &row.counts).await?;
            }
        }
        for (hour, counts) in others {
            let texts = [NOBODYS_DIGEST, OTHER, OTHER, "", "", OTHER, OTHER].map(str::to_owned);
            add(&mut transaction, hour, texts, &counts).await?;
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

/// Returns the texts of a row in the order of [`ADD`].
fn texts(row: &UsageRow) -> [String; 7] {
    let some = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        row.principal.to_hex(),
        row.kind.name().to_owned(),
        row.label.clone(),
        some(&row.owner),
        some(&row.team),
        row.provider.clone(),
        row.model.clone(),
    ]
}

async fn is_known(connection: &mut AnyConnection, row: &UsageRow) -> Result<bool, RegistryError> {
    let known: i64 = sqlx::query_scalar(IS_KNOWN)
        .bind(row.hour.0)
        .bind(row.principal.to_hex())
        .bind(row.owner.as_deref().unwrap_or(""))
        .bind(row.team.as_deref().unwrap_or(""))
        .bind(&row.provider)
        .bind(&row.model)
        .fetch_one(connection)
        .await?;
    Ok(known > 0)
}

async fn add(
    connection: &mut AnyConnection,
    hour: i64,
    texts: [String; 7],
    counts: &Counts,
) -> Result<(), RegistryError> {
    let query = texts.into_iter().fold(sqlx::query(ADD).bind(hour), Query::bind);
    with_numbers(query, counts).execute(connection).await?;
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
    let mut others = Counts::default();
    for (key, counts) in sums {
        let [team, provider, model] = key;
        let known: i64 = sqlx::query_scalar(IS_KNOWN_TOTAL)
            .bind(team)
            .bind(provider)
            .bind(model)
            .fetch_one(&mut *connection)
            .await?;
        if known == 0 && places <= 0 {
            others.add(&counts);
            continue;
        }
        if known == 0 {
            places = places.saturating_sub(1);
        }
        add_total(connection, key, &counts).await?;
    }
    if others != Counts::default() {
        add_total(connection, [OTHER; 3], &others).await?;
    }
    Ok(())
}

async fn add_total(
    connection: &mut AnyConnection,
    key: [&str; 3],
    counts: &Counts,
) -> Result<(), RegistryError> {
    let query = key.map(str::to_owned).into_iter().fold(sqlx::query(ADD_TOTAL), Query::bind);
    with_numbers(query, counts).execute(connection).await?;
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
