//! `keyswap usage`: what callers used and what it cost, as a table, JSON, CSV or FOCUS.

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use keyswap_core::base::UnixTime;
use serde_json::json;

use super::budget::principal;
use super::connection::operations::Operations;
use super::connection::target::RegistryArgs;
use super::terminal::exit::{self, Exit};
use super::terminal::output;
use super::terminal::table::{NONE, Table};
use crate::export;
use crate::registry::{Counts, Unit, UsageBy, UsageQuery, UsageSummary, amount, now};

/// The most lines of an answer. More would be too long for a table, and a server answers no more.
const MAX_LINES: u32 = 50_000;

/// Show the usage that data planes reported, and its cost
///
/// Costs are those of the policy's price table. Requests whose usage or price is not known are counted as `unmetered` and
/// `unpriced`.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap usage --by team --since 30d --database sqlite://keyswap.db\n  \
     keyswap usage --since 2026-11-01 --until 2026-12-01 --format focus > november.csv"
))]
pub(crate) struct Usage {
    /// Dimension to sum by
    #[arg(long, value_enum, default_value_t = By::Model)]
    by: By,
    /// Begin of the span: a day in UTC, a time with an offset, or a time ago such as `7d`
    #[arg(long, value_name = "TIME", default_value = "30d")]
    since: String,
    /// End of the span, which is not part of it; by default now
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Show only this token: a label, the beginning of a label, or digits of a SHA-256; `-` reads it from standard input
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Show only this owner
    #[arg(long, value_name = "EMAIL")]
    owner: Option<String>,
    /// Show only this team
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Show only this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Show only this model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Maximum number of lines, those of the greatest cost first
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    limit: u32,
    /// Output format
    #[arg(long, alias = "output", value_enum, default_value_t)]
    format: UsageFormat,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// The dimension on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum By {
    /// Token or person
    Token,
    /// Owner
    Owner,
    /// Team
    Team,
    /// Provider
    Provider,
    /// Model
    Model,
    /// Day in UTC
    Day,
}

/// The output format.
#[derive(Clone, Copy, Default, ValueEnum)]
enum UsageFormat {
    /// Table for people
    #[default]
    #[value(alias = "table")]
    Human,
    /// JSON for programs
    Json,
    /// CSV with exact dollars
    Csv,
    /// FOCUS 1.2 as CSV, a row for each day, caller and model; `--by` does not apply
    Focus,
}

impl From<By> for UsageBy {
    fn from(by: By) -> Self {
        match by {
            By::Token => Self::Token,
            By::Owner => Self::Owner,
            By::Team => Self::Team,
            By::Provider => Self::Provider,
            By::Model => Self::Model,
            By::Day => Self::Day,
        }
    }
}

impl Usage {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.registry.open()?;
        let query = self.query(&*registry)?;
        let by = self.by.into();
        match self.format {
            UsageFormat::Human => print_table(&registry.usage(&query, by, self.limit)?, by)?,
            UsageFormat::Json => {
                let summary = registry.usage(&query, by, self.limit)?;
                output::print_json(&json!({
                    "by": by,
                    "since": query.since.to_string(),
                    "until": query.until.to_string(),
                    "items": summary.items,
                    "total": summary.total,
                }))?;
            }
            UsageFormat::Csv => {
                let summary = registry.usage(&query, by, self.limit)?;
                output::print(export::summary(by, &summary.items).trim_end())?;
            }
            UsageFormat::Focus => {
                let rows = registry.usage_details(&query, MAX_LINES)?;
                let is_whole = rows.len() < usize::try_from(MAX_LINES).unwrap_or(usize::MAX);
                ensure!(is_whole, "there are more than {MAX_LINES} rows: take a shorter span");
                output::print(export::focus(&rows).trim_end())?;
            }
        }
        Ok(Exit::Ok)
    }

    fn query(&self, registry: &dyn Operations) -> anyhow::Result<UsageQuery> {
        let now = now();
        let moment = |option: &str, text: &str| {
            UsageQuery::moment(text, now).with_context(|| {
                format!(
                    "invalid `{option}`: expected a day such as `2026-11-01`, a time with an offset, or `7d`"
                )
            })
        };
        let since = moment("--since", &self.since)?;
        // Clocks of data planes may be ahead.
        let tomorrow = UnixTime(now.0.saturating_add(86_400));
        let until = self.until.as_deref().map_or(Ok(tomorrow), |text| moment("--until", text))?;
        ensure!(
            since < until,
            "the span is empty: `--since` must be before `--until`, or before now without `--until`"
        );
        let token = self.token.as_deref().map(|token| principal(token, registry)).transpose()?;
        Ok(UsageQuery {
            token,
            owner: self.owner.as_ref().map(|owner| owner.to_lowercase()),
            team: self.team.clone(),
            provider: self.provider.clone(),
            model: self.model.clone(),
            ..UsageQuery::between(since, until)
        })
    }
}

fn print_table(summary: &UsageSummary, by: UsageBy) -> anyhow::Result<()> {
    if summary.items.is_empty() {
        output::note("no usage");
        return Ok(());
    }
    let mut table = Table::new(match by {
        UsageBy::Token => {
            &["caller", "cost", "requests", "input", "cached", "output", "unmetered", "unpriced"]
        }
        UsageBy::Owner => {
            &["owner", "cost", "requests", "input", "cached", "output", "unmetered", "unpriced"]
        }
        UsageBy::Team => &["team", "cost", "requests", "input", "cached", "output", "unmetered", "unpriced"],
        UsageBy::Provider => {
            &["provider", "cost", "requests", "input", "cached", "output", "unmetered", "unpriced"]
        }
        UsageBy::Model => {
            &["model", "cost", "requests", "input", "cached", "output", "unmetered", "unpriced"]
        }
        UsageBy::Day => &["day", "cost", "requests", "input", "cached", "output", "unmetered", "unpriced"],
    });
    for line in &summary.items {
        let name = match by {
            UsageBy::Token => {
                format!("{} ({})", line.label, line.key.chars().take(16).collect::<String>())
            }
            _ if line.key.is_empty() => NONE.to_owned(),
            _ => line.key.clone(),
        };
        table.add(cells(name, &line.counts));
    }
    table.add(cells("total".to_owned(), &summary.total));
    output::print(&table.to_text())
}

fn cells(name: String, counts: &Counts) -> [String; 8] {
    let Counts { requests, input, cached, output, unmetered, unpriced, cost, .. } = *counts;
    let [requests, input, cached, output, unmetered, unpriced] =
        [requests, input, cached, output, unmetered, unpriced].map(amount::grouped);
    [name, Unit::Usd.shown(cost), requests, input, cached, output, unmetered, unpriced]
}
