//! Hourly usage: reports that count once, sums, bounds and retention.

use keyswap::registry::{
    CallerKind, Counts, Registry, UsageBy, UsageQuery, UsageReport, UsageRow, UsageSummary,
};
use keyswap_core::base::{Digest, UnixTime};
use tokio::task::JoinSet;

use crate::support::{Database, on_both_databases};

on_both_databases!(
    a_report_counts_once,
    usage_is_summed_by_every_dimension,
    no_number_overflows,
    a_flood_of_callers_fills_a_bounded_number_of_rows,
    reports_that_make_no_sense_are_refused,
    old_usage_is_deleted,
    concurrent_reports_lose_nothing,
);

fn now() -> UnixTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixTime(i64::try_from(since.as_secs()).unwrap())
}

fn id(number: u32) -> String {
    format!("{number:032x}")
}

fn row(caller: &str, team: Option<&str>, provider: &str, model: &str, cost: i64) -> UsageRow {
    UsageRow {
        hour: now(),
        principal: Digest::of(caller.as_bytes()),
        kind: CallerKind::Token,
        label: caller.to_owned(),
        owner: Some(format!("{caller}@Acme.example")),
        team: team.map(str::to_owned),
        provider: provider.to_owned(),
        model: model.to_owned(),
        counts: Counts { requests: 1, input: 100, cached: 40, output: 10, cost, ..Counts::default() },
    }
}

async fn report(registry: &Registry, number: u32, rows: Vec<UsageRow>) {
    registry.report_usage(UsageReport { id: id(number), rows }).await.unwrap();
}

fn all() -> UsageQuery {
    UsageQuery::between(UnixTime(now().0 - 86_400), UnixTime(now().0 + 86_400))
}

async fn usage(registry: &Registry, by: UsageBy) -> UsageSummary {
    registry.usage(&all(), by, 100).await.unwrap()
}

async fn a_report_counts_once(database: &Database) {
    let replicas = [database.open().await, database.open().await];
    for replica in [0, 1, 0] {
        report(&replicas[replica], 1, vec![row("a", None, "openai", "gpt-5", 5)]).await;
    }
    report(&replicas[1], 2, vec![row("a", None, "openai", "gpt-5", 5)]).await;
    let total = usage(&replicas[0], UsageBy::Token).await.total;
    assert_eq!((total.requests, total.input, total.cost), (2, 200, 10));
    // An id is forgotten after a day. A data plane does not send a report for so long.
    let later = UnixTime(now().0 + 86_402);
    replicas[0].tidy(later, UnixTime(0)).await.unwrap();
    report(&replicas[0], 1, vec![row("a", None, "openai", "gpt-5", 5)]).await;
    assert_eq!(usage(&replicas[0], UsageBy::Token).await.total.requests, 3);
}

async fn usage_is_summed_by_every_dimension(database: &Database) {
    let registry = database.open().await;
    let rows = vec![
        row("a", Some("red"), "openai", "gpt-5", 1_500_000_000),
        row("a", Some("red"), "anthropic", "claude", 4),
        row("b", Some("blue"), "openai", "gpt-5", 2_000_000_000),
        row("c", None, "openai", "other", 0),
    ];
    report(&registry, 1, rows).await;
    let blue = |name: &str| Digest::of(name.as_bytes()).to_hex();
    for (by, expect) in [
        (UsageBy::Token, vec![(blue("b"), "b"), (blue("a"), "a"), (blue("c"), "c")]),
        (
            UsageBy::Owner,
            vec![
                ("b@acme.example".to_owned(), ""),
                ("a@acme.example".to_owned(), ""),
                ("c@acme.example".to_owned(), ""),
            ],
        ),
        (UsageBy::Team, vec![("blue".to_owned(), ""), ("red".to_owned(), ""), (String::new(), "")]),
        (UsageBy::Provider, vec![("openai".to_owned(), ""), ("anthropic".to_owned(), "")]),
        (UsageBy::Model, vec![("gpt-5".to_owned(), ""), ("claude".to_owned(), ""), ("other".to_owned(), "")]),
    ] {
        let summary = usage(&registry, by).await;
        let lines: Vec<(String, &str)> =
            summary.items.iter().map(|line| (line.key.clone(), line.label.as_str())).collect();
        assert_eq!(lines, expect, "{by:?}");
        assert_eq!((summary.total.requests, summary.total.cost), (4, 3_500_000_004));
    }
    let days = usage(&registry, UsageBy::Day).await.items;
    assert_eq!((days.len(), days[0].counts.tokens()), (1, 440));
    let only = UsageQuery { team: Some("red".to_owned()), provider: Some("openai".to_owned()), ..all() };
    assert_eq!(registry.usage(&only, UsageBy::Model, 9).await.unwrap().total.cost, 1_500_000_000);
    let only =
        UsageQuery { token: Some(Digest::of(b"b")), owner: Some("b@acme.example".to_owned()), ..all() };
    assert_eq!(registry.usage(&only, UsageBy::Model, 9).await.unwrap().total.requests, 1);
    let none = UsageQuery { model: Some("?".to_owned()), ..all() };
    assert_eq!(registry.usage(&none, UsageBy::Day, 9).await.unwrap().total, Counts::default());
    let first = registry.usage(&all(), UsageBy::Token, 1).await.unwrap();
    assert_eq!((first.items.len(), first.items[0].label.as_str(), first.total.requests), (1, "b", 4));
    let details = registry.usage_details(&all(), 100).await.unwrap();
    assert_eq!((details.len(), details.iter().map(|row| row.counts.cost).sum::<i64>()), (4, 3_500_000_004));
    let totals = registry.usage_totals().await.unwrap();
    let names: Vec<[&str; 3]> =
        totals.iter().map(|row| [row.team.as_str(), row.provider.as_str(), row.model.as_str()]).collect();
    assert_eq!(
        names,
        [
            ["", "openai", "other"],
            ["blue", "openai", "gpt-5"],
            ["red", "anthropic", "claude"],
            ["red", "openai", "gpt-5"]
        ]
    );
}

async fn no_number_overflows(database: &Database) {
    let registry = database.open().await;
    for number in 0..3 {
        let mut huge: Vec<UsageRow> =
            (0..500).map(|caller| row(&format!("c{caller}"), None, "openai", "gpt-5", i64::MAX)).collect();
        huge[0].counts = Counts::of([i64::MAX; 10]);
        huge[1].counts = Counts::of([i64::MIN; 10]);
        report(&registry, number, huge).await;
    }
    let summary = usage(&registry, UsageBy::Token).await;
    assert!(summary.items.iter().all(|line| (0..=9_000_000_000_000_000).contains(&line.counts.cost)));
    assert_eq!(summary.items[0].counts.cost, 9_000_000_000_000_000);
    assert_eq!(summary.total.cost, 499 * 9_000_000_000_000_000);
    assert_eq!(registry.usage_totals().await.unwrap()[0].counts.cost, 27_000_000_000_000_000);
}

async fn a_flood_of_callers_fills_a_bounded_number_of_rows(database: &Database) {
    let registry = database.open().await;
    let hour = UnixTime(now().0 / 3600 * 3600);
    for number in 0..104 {
        let rows = (0..500).map(|place| UsageRow {
            hour,
            ..row(
                &format!("{number} {place}"),
                Some(&format!("t{number}")),
                "openai",
                &format!("m{place}"),
                1,
            )
        });
        report(&registry, number, rows.collect()).await;
    }
    let known = UsageRow { hour, ..row("0 0", Some("t0"), "openai", "m0", 1) };
    report(&registry, 1000, vec![known]).await;
    let summary = registry.usage(&all(), UsageBy::Token, u32::MAX).await.unwrap();
    assert_eq!((summary.items.len(), summary.total.requests), (50_001, 52_001));
    assert_eq!((summary.items[0].label.as_str(), summary.items[0].counts.requests), ("other", 2000));
    let known = summary.items.iter().find(|line| line.label == "0 0").unwrap();
    assert_eq!(known.counts.requests, 2);
    let totals = registry.usage_totals().await.unwrap();
    assert_eq!(totals.len(), 2001);
    assert_eq!(totals.iter().map(|row| row.counts.requests).sum::<i64>(), 52_001);
}

async fn reports_that_make_no_sense_are_refused(database: &Database) {
    let registry = database.open().await;
    let at = |hour: i64| UsageRow { hour: UnixTime(hour), ..row("a", None, "openai", "gpt-5", 1) };
    let many = vec![at(now().0); 501];
    for (id, rows) in [
        (id(1), vec![at(now().0 - 8 * 86_400)]),
        (id(1), vec![at(now().0 + 2 * 86_400)]),
        (id(1), vec![at(i64::MIN)]),
        (id(1), many),
        ("1".to_owned(), vec![]),
        ("G".repeat(32), vec![]),
    ] {
        let refused = registry.report_usage(UsageReport { id, rows }).await;
        assert_eq!(refused.unwrap_err().code(), "invalid_field");
    }
    // A refused report has taken no id.
    report(&registry, 1, vec![at(now().0 - 6 * 86_400)]).await;
    let query = UsageQuery::between(UnixTime(0), now());
    assert_eq!(registry.usage(&query, UsageBy::Day, 9).await.unwrap().total.requests, 1);
}

async fn old_usage_is_deleted(database: &Database) {
    let registry = database.open().await;
    let days_ago = |days: i64| UsageRow {
        hour: UnixTime(now().0 - days * 86_400),
        ..row("a", None, "openai", "gpt-5", 1)
    };
    report(&registry, 1, (0..6).map(days_ago).collect()).await;
    let left = async || {
        let query = UsageQuery::between(UnixTime(0), UnixTime(now().0 + 3600));
        registry.usage(&query, UsageBy::Day, 99).await.unwrap().items.len()
    };
    // Each run deletes a day at most.
    let before = UnixTime(now().0 - 3 * 86_400 + 3600);
    let mut days = vec![left().await];
    for _ in 0..4 {
        registry.tidy(now(), before).await.unwrap();
        days.push(left().await);
    }
    assert_eq!(days, [6, 5, 4, 3, 3]);
    // The sums of all time stay.
    assert_eq!(registry.usage_totals().await.unwrap()[0].counts.requests, 6);
}

async fn concurrent_reports_lose_nothing(database: &Database) {
    let replicas = [database.open().await, database.open().await];
    let mut planes = JoinSet::new();
    for number in 0..40_u32 {
        let registry = replicas[number as usize % 2].clone();
        planes.spawn(async move {
            let mut rows: Vec<UsageRow> =
                (0..20).map(|caller| row(&format!("c{caller}"), Some("t"), "openai", "gpt-5", 1)).collect();
            if number % 3 == 0 {
                rows.reverse();
            }
            // Each report is sent twice.
            report(&registry, number / 2, rows).await;
        });
    }
    planes.join_all().await;
    assert_eq!(usage(&replicas[0], UsageBy::Team).await.total.requests, 400);
}
