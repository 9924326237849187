//! Targets, judged by reports of few figures.

use std::collections::BTreeMap;

use super::*;
use crate::figures::report::Machine;

fn row(set_up: &str, condition: &str, metric: Metric, samples: &[f64]) -> Row {
    Row {
        set_up: set_up.to_owned(),
        title: set_up.to_owned(),
        condition: condition.to_owned(),
        baseline: "bare".to_owned(),
        samples: BTreeMap::from([(metric, samples.to_vec())]),
    }
}

fn report(name: &str, rows: Vec<Row>) -> Report {
    let machine = Machine {
        cores: 2,
        processor: "a processor".to_owned(),
        envoy: "1.0.0".to_owned(),
        date: "2027-01-01".to_owned(),
        rounds: 3,
        slice_millis: 1000,
        quick: false,
    };
    let table = Table { name: name.to_owned(), seconds: 1, rate: None, idle_percent: None, rows };
    Report { machine, tables: vec![table] }
}

/// Returns the measured figure and the result of each target.
fn judged(report: &Report) -> Vec<(String, bool)> {
    targets(report).into_iter().map(|target| (target.measured, target.holds)).collect()
}

#[test]
fn a_token_is_compared_round_by_round_with_what_the_native_chain_adds() {
    let cpu = |name, samples: [f64; 3]| row(name, "", Metric::ProcessorMicros, &samples);
    // The machine was slow in the second round.
    let with = |own: [f64; 3]| {
        report(
            "set-ups",
            vec![
                cpu("bare", [30.0, 60.0, 30.0]),
                cpu("jwt-authn", [38.0, 68.0, 38.0]),
                cpu("module-token", own),
            ],
        )
    };
    let held = |report: &Report| judged(report).into_iter().map(|(_, holds)| holds).collect::<Vec<_>>();
    assert_eq!(held(&with([38.1, 68.1, 38.1])), [false]);
    assert_eq!(held(&with([37.0, 67.0, 37.0])), [true]);
}

#[test]
fn the_component_is_compared_with_one_that_only_forwards() {
    let cpu = |name: &str, baseline: &str, value: f64| Row {
        baseline: baseline.to_owned(),
        ..row(name, "", Metric::ProcessorMicros, &[value])
    };
    let rows = vec![
        cpu("passthrough-token", "passthrough-token", 100.0),
        cpu("component-token", "passthrough-token", 120.0),
        cpu("passthrough-jwt", "passthrough-jwt", 110.0),
        cpu("component-jwt", "passthrough-jwt", 136.0),
    ];
    let held = |report: &Report| judged(report).into_iter().map(|(_, holds)| holds).collect::<Vec<_>>();
    let mut report = report("component", rows);
    assert_eq!(held(&report), [true, false], "nothing tells how fast the machine is");
    // A machine half as fast as the reference.
    let bare = vec![row("bare", "", Metric::ProcessorMicros, &[70.0])];
    report.tables.push(Table { name: "set-ups".to_owned(), rows: bare, ..report.tables[0].clone() });
    assert_eq!(held(&report), [true, true, false, true]);
    report.tables[1].rows[0].samples.insert(Metric::ProcessorMicros, vec![35.0]);
    assert_eq!(held(&report), [true, true, false, false], "26 is above 25");
}

#[test]
fn other_gateways_are_compared_by_the_whole_request() {
    let cpu = |name, samples: [f64; 2]| row(name, "", Metric::ProcessorMicros, &samples);
    let rows = |portkey| vec![cpu("keyswap-token", [100.0, 200.0]), cpu("portkey", portkey)];
    assert_eq!(judged(&report("gateways", rows([1000.0, 2000.0]))), [("10.00 %".to_owned(), true)]);
    assert_eq!(judged(&report("gateways", rows([900.0, 1800.0]))), [("11.11 %".to_owned(), false)]);
}

#[test]
fn a_further_worker_and_an_event_are_compared_with_those_of_an_empty_filter() {
    let memory = |set_up, workers, value: f64| row(set_up, workers, Metric::MemoryMegabytes, &[value]);
    let workers = |own: f64| {
        vec![
            memory("empty-filter", "1 worker", 90.0),
            memory("empty-filter", "2 workers", 95.0),
            memory("keyswap-token", "1 worker", 110.0),
            memory("keyswap-token", "2 workers", own),
        ]
    };
    assert_eq!(judged(&report("workers", workers(126.5))), [("11.50 MB".to_owned(), true)]);
    assert_eq!(judged(&report("workers", workers(127.5))), [("12.50 MB".to_owned(), false)]);
    let event = |set_up, value: f64| row(set_up, "9 streams", Metric::EventMicros, &[value]);
    let streams = |own| vec![event("bare", 40.0), event("empty-filter", 44.0), event("keyswap-token", own)];
    assert_eq!(judged(&report("streams", streams(44.4))), [("1.00 %".to_owned(), true)]);
    assert_eq!(judged(&report("streams", streams(46.0))), [("5.00 %".to_owned(), false)]);
}

#[test]
fn growth_is_told_of_what_the_decision_costs_not_of_the_whole_request() {
    let cpu = |condition: &str, value: f64| {
        let name = if condition.is_empty() { "bare" } else { "keyswap-token" };
        row(name, condition, Metric::ProcessorMicros, &[value])
    };
    let rows = vec![
        cpu("", 30.0),
        cpu("10 in the registry", 40.0),
        cpu("1000 in the registry", 90.0),
        cpu("100000 in the registry", 40.4),
        cpu("10 in the policy", 40.0),
        cpu("100000 in the policy", 41.0),
        cpu("100000 in the policy, all in use", 50.0),
    ];
    let found = judged(&report("tokens", rows));
    assert_eq!(found, [("4.00 %".to_owned(), true), ("10.00 %".to_owned(), false)]);
}

#[test]
fn memory_is_judged_after_the_first_tenth() {
    let rows = vec![
        row("keyswap-token", "5 requests", Metric::MemoryMegabytes, &[60.0, 60.5, 60.9]),
        row("keyswap-token", "5 tokens", Metric::MemoryMegabytes, &[60.0, 61.0, 62.0]),
    ];
    let found = judged(&report("memory", rows));
    assert_eq!(found, [("0.90 MB".to_owned(), true), ("2.00 MB".to_owned(), false)]);
}

#[test]
fn a_report_without_the_figures_has_no_targets() {
    assert_eq!(judged(&report("set-ups", Vec::new())), []);
}
