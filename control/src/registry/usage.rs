//! The use of tokens: the day of the last use, and hourly usage for reports to people.

use keyswap_core::base::{Digest, UnixTime};

use super::handle::{Registry, Result};
use super::record::amount::MAX_NUMBER;
use super::record::clock::now;
use super::record::day::Day;
use super::record::error::RegistryError;
use super::record::lease::is_unique_id;
use super::record::mark::Mark;
use super::record::usage::{
    Counts, UsageBy, UsageDetail, UsageQuery, UsageReport, UsageRow, UsageSummary, UsageTotal,
};

/// The largest number of marks in one call.
const MAX_MARKS: usize = 500;

/// The largest number of rows in one report.
const MAX_ROWS: usize = 500;

/// A report may come late by this much: a data plane keeps it while the registry is away.
const MAX_LATE_SECONDS: i64 = 7 * 86_400;

/// The clocks of data planes may be ahead by this much.
const MAX_AHEAD_SECONDS: i64 = 86_400;

/// The time for which the id of a report is kept.
const ID_KEPT_SECONDS: i64 = 86_400;

const MAX_NAME_CHARS: usize = 254;

impl Registry {
    /// Stores the last use of tokens, all marks or none. Unknown tokens are ignored: they may have been deleted since.
    /// The tokens' records and versions do not change.
    pub async fn mark_used(&self, mut marks: Vec<Mark>) -> Result<()> {
        let invalid = |expected: String| RegistryError::Invalid { field: "marks", expected };
        if marks.len() > MAX_MARKS {
            return Err(invalid(format!("expected at most {MAX_MARKS}")));
        }
        // A data plane's clock may be ahead, but a day in the far future would hide every use until then.
        let tomorrow = Day(Day::of(now()).0 + 1);
        if marks.iter().any(|mark| mark.day > tomorrow) {
            return Err(invalid("expected no day after tomorrow".to_owned()));
        }
        // One order for all batches, so that two with the same tokens cannot deadlock.
        marks.sort_unstable();
        marks.dedup();
        self.0.mark_used(&marks).await
    }

    /// Counts a report of usage, all rows or none. A report with an id that was counted within a day counts nothing.
    pub async fn report_usage(&self, report: UsageReport) -> Result<()> {
        let invalid = |field, expected: String| RegistryError::Invalid { field, expected };
        if !is_unique_id(&report.id) {
            return Err(invalid("report", "expected 32 hexadecimal digits".to_owned()));
        }
        if report.rows.len() > MAX_ROWS {
            return Err(invalid("rows", format!("expected at most {MAX_ROWS}")));
        }
        let now = now();
        let span = now.0.saturating_sub(MAX_LATE_SECONDS)..=now.0.saturating_add(MAX_AHEAD_SECONDS);
        if report.rows.iter().any(|row| !span.contains(&row.hour.0)) {
            return Err(invalid(
                "hour",
                "expected an hour of the last 7 days, at most a day ahead".to_owned(),
            ));
        }
        let mut rows: Vec<UsageRow> = report.rows.into_iter().map(normal).collect();
        // One order for all reports, so that two with the same rows cannot deadlock.
        rows.sort_by(|one, other| key(one).cmp(&key(other)));
        self.0.add_usage(&report.id, &rows, now).await
    }

    /// Returns the usage of a span by a dimension, at most `limit` lines, those of the greatest cost first.
    pub async fn usage(&self, query: &UsageQuery, by: UsageBy, limit: u32) -> Result<UsageSummary> {
        let items = self.0.usage(query, by, limit).await?;
        Ok(UsageSummary { items, total: self.0.usage_total(query).await? })
    }

    /// Returns the usage of a span by day, caller and model, at most `limit` rows, in the order of the days.
    pub async fn usage_details(&self, query: &UsageQuery, limit: u32) -> Result<Vec<UsageDetail>> {
        self.0.usage_details(query, limit).await
    }

    /// Returns the sums of all time by team, provider and model. Their number is bounded.
    pub async fn usage_totals(&self) -> Result<Vec<UsageTotal>> {
        self.0.usage_totals().await
    }

    /// Deletes what is not kept any more: usage before a moment, ids of old reports, expired objects, old leases and windows. Each run
    /// deletes a day of usage at most, so that it blocks no one for long.
    pub async fn tidy(&self, now: UnixTime, usage_before: UnixTime) -> Result<()> {
        self.0.forget_reports(UnixTime(now.0.saturating_sub(ID_KEPT_SECONDS))).await?;
        self.0.forget_usage(usage_before).await?;
        self.forget_expired_objects(now).await?;
        self.forget_sessions(now).await?;
        self.settle_old_leases(now).await
    }
}

/// Returns the row as it is stored: whole hours, bounded texts and numbers.
fn normal(row: UsageRow) -> UsageRow {
    let UsageRow { hour, principal, kind, label, owner, team, provider, model, counts } = row;
    UsageRow {
        hour: UnixTime(hour.0.div_euclid(3600).saturating_mul(3600)),
        principal,
        kind,
        label: bounded(&label),
        owner: owner.map(|owner| bounded(&owner).to_lowercase()),
        team: team.map(|team| bounded(&team)),
        provider: bounded(&provider),
        model: bounded(&model),
        counts: Counts::of(counts.numbers().map(|number| number.clamp(0, MAX_NUMBER))),
    }
}

/// Returns a text of a data plane without characters that move a cursor or reverse a line, and not longer than people can
/// read.
pub(super) fn bounded(text: &str) -> String {
    let is_hidden =
        |char: char| char.is_control() || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|char| !is_hidden(*char)).take(MAX_NAME_CHARS).collect()
}

fn key(row: &UsageRow) -> (i64, Digest, Option<&str>, Option<&str>, &str, &str) {
    let UsageRow { hour, principal, owner, team, provider, model, .. } = row;
    (hour.0, *principal, owner.as_deref(), team.as_deref(), provider, model)
}
