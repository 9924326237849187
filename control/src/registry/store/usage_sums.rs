//! Sums of hourly usage.
//!
//! A sum of large numbers could overflow in the database. So the database adds the billions and the rest apart, and the
//! two are joined here.

use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Row as _};

use super::conditions::Conditions;
use super::database::Store;
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

const DETAILS: &str = "hour / 86400, principal, max(kind), max(label), owner, team, provider, model";

const DETAILS_KEY: &str = "hour / 86400, principal, owner, team, provider, model";

const ALL_TIME: &str =
    "SELECT team, provider, model, requests, unmetered, unpriced, input, cached, cache_write, output, reasoning,
         audio, cost
     FROM usage_totals ORDER BY team, provider, model";

/// Returns the columns of a dimension: its key, its label, and the order of its lines.
fn columns(by: UsageBy) -> [&'static str; 3] {
    const DEAREST: &str = "sum(CAST(cost AS DOUBLE PRECISION)) DESC, sum(requests) DESC, 1";
    match by {
        UsageBy::Token => ["principal", "max(label)", DEAREST],
        UsageBy::Owner => ["owner", "''", DEAREST],
        UsageBy::Team => ["team", "''", DEAREST],
        UsageBy::Provider => ["provider", "''", DEAREST],
        UsageBy::Model => ["model", "''", DEAREST],
        UsageBy::Day => ["hour / 86400", "''", "1"],
    }
}

/// Returns the conditions of a question: its span and its filters. The database has indexes of principals, owners and teams.
fn asked(query: &UsageQuery) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.with_number("hour >= ?", query.since.0);
    conditions.with_number("hour < ?", query.until.0);
    conditions.with_text("principal = ?", query.token.map(|digest| digest.to_hex()));
    conditions.with_text("owner = ?", query.owner.clone());
    conditions.with_text("team = ?", query.team.clone());
    conditions.with_text("provider = ?", query.provider.clone());
    conditions.with_text("model = ?", query.model.clone());
    conditions.within(&query.reach, "team", "owner");
    conditions
}

/// Returns the statement that sums the usage of a question by a key, at most `limit` lines.
fn sums_by(conditions: &mut Conditions, columns: &str, key: &str, order: &str, limit: u32) -> String {
    let limit = conditions.number(limit.into());
    let asked = conditions.sql();
    format!(
        "SELECT {columns}, {} FROM usage WHERE {asked} GROUP BY {key} ORDER BY {order} LIMIT {limit}",
        sums!()
    )
}

impl Store {
    pub(in crate::registry) async fn usage(
        &self,
        query: &UsageQuery,
        by: UsageBy,
        limit: u32,
    ) -> Result<Vec<UsageLine>, RegistryError> {
        let mut conditions = asked(query);
        let [key, label, order] = columns(by);
        let sql = sums_by(&mut conditions, &format!("{key}, {label}"), key, order, limit);
        let rows = self.sums(sql, &conditions).await?;
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
        let conditions = asked(query);
        let sql = format!("SELECT {} FROM usage WHERE {}", sums!(), conditions.sql());
        let rows = self.sums(sql, &conditions).await?;
        counts(rows.first().ok_or(RegistryError::Corrupt("sum of usage"))?, 0)
    }

    pub(in crate::registry) async fn usage_details(
        &self,
        query: &UsageQuery,
        limit: u32,
    ) -> Result<Vec<UsageDetail>, RegistryError> {
        let mut conditions = asked(query);
        let sql = sums_by(&mut conditions, DETAILS, DETAILS_KEY, DETAILS_KEY, limit);
        let rows = self.sums(sql, &conditions).await?;
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

    async fn sums(&self, sql: String, conditions: &Conditions) -> Result<Vec<AnyRow>, RegistryError> {
        let query = sqlx::query_with::<Any, _>(AssertSqlSafe(sql), conditions.arguments()?);
        Ok(query.fetch_all(&self.reports).await?)
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

#[cfg(test)]
mod tests {
    use keyswap_core::base::{Digest, UnixTime};

    use super::*;
    use crate::registry::record::reach::Reach;
    use crate::registry::store::url::DatabaseUrl;

    #[tokio::test]
    async fn a_question_about_a_part_reads_that_part_only() {
        let folder = tempfile::tempdir().unwrap();
        let url: DatabaseUrl = format!("sqlite://{}", folder.path().join("a.db").display()).parse().unwrap();
        let store = Store::open(&url).await.unwrap();
        let all = UsageQuery::between(UnixTime(0), UnixTime(i64::MAX));
        let person = Reach::Person("alice@acme.example".to_owned());
        let teams = Reach::Teams(["red".to_owned(), "blue".to_owned()].into());
        for (query, index) in [
            (UsageQuery { reach: person.clone(), ..all.clone() }, "usage_by_owner"),
            (UsageQuery { reach: person, model: Some("gpt-5".to_owned()), ..all.clone() }, "usage_by_owner"),
            (UsageQuery { reach: teams, ..all.clone() }, "usage_by_team"),
            (UsageQuery { team: Some("red".to_owned()), ..all.clone() }, "usage_by_team"),
            (UsageQuery { token: Some(Digest::of(b"a")), ..all }, "usage_by_principal"),
        ] {
            let mut conditions = asked(&query);
            let sql = sums_by(&mut conditions, DETAILS, DETAILS_KEY, DETAILS_KEY, 10);
            let plan = store.sums(format!("EXPLAIN QUERY PLAN {sql}"), &conditions).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
            assert!(plan.iter().any(|step| step.contains(index)), "{index}: {plan:?}");
        }
    }
}
