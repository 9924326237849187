//! Sums of usage on pages: numbers, charts, the greatest of a dimension, and links to downloads.

use maud::{Markup, html};

use super::chart::{Bars, Series, compact, share_bar};
use super::list::table;
use super::payer_address::address_of;
use crate::registry::{
    Counts, Day, RegistryError, Unit, UsageBy, UsageLine, UsageQuery, UsageSummary, amount,
};
use crate::server::admin::gate::Reader;

/// Returns the sums and the charts of a question.
pub(super) async fn history(reader: &Reader, query: &UsageQuery) -> Result<Markup, RegistryError> {
    let days = reader.usage(query, UsageBy::Day, 100).await?;
    let labels: Vec<String> =
        (Day::of(query.since).0..Day::of(query.until).0).map(|day| Day(day).to_string()).collect();
    let values = |number: fn(&Counts) -> i64| -> Vec<i64> {
        let of = |label: &String| days.items.iter().find(|line| line.key == *label);
        labels.iter().map(|label| of(label).map_or(0, |line| number(&line.counts))).collect()
    };
    let cost = [Series { name: "Cost", class: "series-1", values: values(|counts| counts.cost) }];
    let tokens = [
        Series { name: "Input", class: "series-1", values: values(|counts| counts.input) },
        Series { name: "Output", class: "series-2", values: values(|counts| counts.output) },
    ];
    let dollars = |nano| Unit::Usd.shown(nano);
    let costs = Bars { id: "cost", title: "Cost by day", labels: &labels, series: &cost, shown: dollars };
    let amounts =
        Bars { id: "tokens", title: "Tokens by day", labels: &labels, series: &tokens, shown: compact };
    Ok(html! {
        (sums(&days.total))
        div .columns.charts {
            section .card { (costs.markup()) }
            section .card { (amounts.markup()) }
        }
    })
}

fn sums(total: &Counts) -> Markup {
    html! {
        dl .tiles {
            div { dt { "Cost" } dd { (Unit::Usd.shown(total.cost)) } }
            div { dt { "Requests" } dd { (amount::grouped(total.requests)) } }
            div { dt { "Input tokens" } dd { (compact(total.input)) } }
            div { dt { "of these cached" } dd { (compact(total.cached)) } }
            div { dt { "Output tokens" } dd { (compact(total.output)) } }
            @if total.unmetered > 0 {
                div .attention { dt { "Requests of unknown usage" } dd { (amount::grouped(total.unmetered)) } }
            }
            @if total.unpriced > 0 {
                div .attention { dt { "Requests without a price" } dd { (amount::grouped(total.unpriced)) } }
            }
        }
    }
}

/// Returns the list of the greatest lines, with their share of the cost or, without costs, of the tokens.
pub(super) fn greatest(title: &str, by: UsageBy, summary: &UsageSummary) -> Markup {
    let is_free = summary.total.cost == 0;
    let number = |counts: &Counts| if is_free { counts.tokens() } else { counts.cost };
    let row = |line: &UsageLine| {
        html! {
            tr {
                th scope="row" { (name(by, line)) }
                td data-label="Cost" { (Unit::Usd.shown(line.counts.cost)) }
                td data-label="Tokens" { (compact(line.counts.tokens())) }
                td data-label="Share" { (share_bar(number(&line.counts), number(&summary.total))) }
            }
        }
    };
    html! {
        section .card {
            h2 { "By " (title.to_lowercase()) }
            @if summary.items.is_empty() {
                p .empty { "No usage." }
            } @else {
                (table(&[title, "Cost", "Tokens", "Share"], &summary.items.iter().map(row).collect::<Vec<_>>()))
            }
        }
    }
}

fn name(by: UsageBy, line: &UsageLine) -> Markup {
    let shown = if line.label.is_empty() { &line.key } else { &line.label };
    html! {
        @match address_of(by, &line.key) {
            _ if line.key.is_empty() => { "none" }
            Some(address) => { a href=(address) { (shown) } }
            None => { (shown) }
        }
    }
}

/// Returns the links to downloads. `filter` is a part of a query, such as `&team=red`.
pub(super) fn downloads(query: &UsageQuery, filter: &str) -> Markup {
    let address = |more: &str| {
        format!(
            "/admin/usage.csv?since={}&until={}{filter}{more}",
            Day::of(query.since),
            Day::of(query.until)
        )
    };
    html! {
        section .card {
            h2 { "Downloads" }
            p .links {
                @for by in ["day", "model", "provider", "team", "owner", "token"] {
                    a href=(address(&format!("&by={by}"))) download { "CSV by " (by) }
                }
                a href=(address("&form=focus")) download { "FOCUS 1.2" }
            }
        }
    }
}
