//! The targets for the cost of Keyswap, and the check of each. A target whose figures a report lacks is left out.

use super::{
    report::{Metric, Report, Row, Table},
    statistics::{self, spread},
};

/// A target, with the measured figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The claim.
    pub claim: String,
    /// The upper bound of the figure.
    pub allowed: String,
    /// The measured figure.
    pub measured: String,
    /// Set if the claim holds.
    pub holds: bool,
    /// Set if the claim is an aim, not a target.
    pub is_aim: bool,
}

/// The upper bounds of the cost that a warm decision adds, as multiples of what a set-up adds: set-up, text, factor.
const COMPARED: [(&str, &str, f64); 5] = [
    ("jwt-authn", "1.25 × what `jwt_authn`, `local_ratelimit` and `header_mutation` add", 1.25),
    ("jwt-authn", "what these three add", 1.0),
    ("lua", "what Lua adds", 1.0),
    ("ext-authz-grpc", "a fifth of what `ext_authz` adds by gRPC", 0.2),
    ("ext-authz-http", "a fifth of what `ext_authz` adds by HTTP", 0.2),
];
/// The CPU time of plain Envoy for a request on the reference machine, in microseconds. Targets in microseconds are
/// scaled to machines on which Envoy takes longer.
const REFERENCE: f64 = 35.0;
/// The largest cost over an empty Wasm filter, in microseconds of the reference machine.
const OVER_EMPTY: f64 = 6.0;
/// The largest memory over an empty Wasm filter for each worker, in megabytes.
const MEMORY_OVER_EMPTY: f64 = 8.0;
/// The largest growth of memory that counts as flat, in megabytes.
const FLAT: f64 = 1.0;
const P99_RATIO: f64 = 1.15;
/// The largest cost of a request in the component, relative to a component that only forwards.
const COMPONENT_RATIO: f64 = 1.2;
/// The largest cost that a warm decision adds in the component, in microseconds of the reference machine.
const COMPONENT_ADDED: f64 = 25.0;
/// The largest increase of a decision's cost with many tokens, in percent.
const GROWTH_PERCENT: f64 = 5.0;
/// The smallest measurable cost of an event, in percent of Envoy's own work for it.
const MEASURABLE_PERCENT: f64 = 2.0;

/// Returns the targets whose figures the report has.
pub fn targets(report: &Report) -> Vec<Target> {
    let mut targets = Vec::new();
    let set_ups = report.table("set-ups");
    if let Some(table) = set_ups {
        for (set_up, what) in [("keyswap-token", "a proxy token"), ("keyswap-jwt", "a JWT")] {
            targets.extend(warm(table, set_up, what));
        }
        targets.extend(cold(table));
        targets.extend(refusals(table));
        targets.extend(memory_over_empty(table));
        targets.extend(latency(table));
    }
    let pace = set_ups.and_then(pace);
    targets.extend(report.table("component").into_iter().flat_map(|table| component(table, pace)));
    targets.extend(report.table("tokens").into_iter().flat_map(growth));
    targets.extend(report.table("workers").and_then(further_worker));
    targets.extend(report.table("streams").and_then(streams));
    targets.extend(report.table("memory").into_iter().flat_map(flat));
    targets
}

/// Returns the factor between this machine's and the reference machine's times.
fn pace(set_ups: &Table) -> Option<f64> {
    Some(median(set_ups.row("bare", ""), Metric::ProcessorMicros)? / REFERENCE)
}

fn warm(table: &Table, set_up: &str, what: &str) -> Vec<Target> {
    let Some(own) = added(table, set_up) else { return Vec::new() };
    let compared = COMPARED.iter().filter_map(|(other, name, factor)| {
        let claim = format!("{what} adds at most {name}");
        let is_aim = *other == "jwt-authn" && *factor <= 1.0;
        Some(Target { is_aim, ..micros(claim, added(table, other)? * factor, own) })
    });
    let over = difference(table, set_up, "empty-filter", Metric::ProcessorMicros);
    let over_empty = over.zip(pace(table)).map(|(over, pace)| {
        let claim = format!("{what} adds at most {} to an empty Wasm filter", of_reference(OVER_EMPTY));
        Target { is_aim: true, ..micros(claim, OVER_EMPTY * pace, over) }
    });
    compared.chain(over_empty).collect()
}

fn cold(table: &Table) -> Vec<Target> {
    let (Some(own), Some(native)) = (added(table, "keyswap-jwt-cold"), added(table, "jwt-authn-cold")) else {
        return Vec::new();
    };
    let target = |factor: f64, is_aim| {
        let claim =
            format!("a new JWT each time adds at most {factor} × what these three add without the cache");
        Target { is_aim, ..micros(claim, native * factor, own) }
    };
    vec![target(2.0, false), target(1.3, true)]
}

fn refusals(table: &Table) -> Vec<Target> {
    let accepted = median(table.row("keyswap-token", ""), Metric::ProcessorMicros);
    let refused = [("unknown", "an unknown token"), ("malformed", "what is no token")];
    let target = |(name, what): (&str, &str)| {
        let row = table.row(&format!("keyswap-refused-{name}"), "");
        let claim = format!("refusing {what} costs no more than accepting a token");
        Some(micros(claim, accepted?, median(row, Metric::ProcessorMicros)?))
    };
    refused.into_iter().filter_map(target).collect()
}

fn memory_over_empty(table: &Table) -> Option<Target> {
    let more = difference(table, "keyswap-token", "empty-filter", Metric::MemoryMegabytes)?;
    let claim = "a process with one worker has at most 8 MB more than with an empty Wasm filter".to_owned();
    Some(at_most(claim, MEMORY_OVER_EMPTY, more, "MB"))
}

/// Returns the target for the memory of a second worker, compared with an empty filter. Other memory exists once.
fn further_worker(table: &Table) -> Option<Target> {
    let grown = |set_up: &str| {
        let of = |workers| table.row(set_up, workers)?.samples.get(&Metric::MemoryMegabytes);
        Some(spread(&statistics::differences(of("2 workers")?, of("1 worker")?))?.median)
    };
    let claim = "a further worker has at most 8 MB more than with an empty Wasm filter".to_owned();
    let more = grown("keyswap-token")? - grown("empty-filter")?;
    Some(at_most(claim, MEMORY_OVER_EMPTY, more, "MB"))
}

fn latency(table: &Table) -> Vec<Target> {
    let ratio = |set_up: &str| {
        let of = |name| table.row(name, "")?.samples.get(&Metric::P99Micros);
        Some(spread(&statistics::ratios(of(set_up)?, of("bare")?))?.median)
    };
    let target = |(set_up, what): (&str, &str)| {
        let claim = format!("the p99 with {what} is at most {P99_RATIO} × that of Envoy alone");
        Some(at_most(claim, P99_RATIO, ratio(set_up)?, "×"))
    };
    [("keyswap-token", "a proxy token"), ("keyswap-jwt", "a JWT")].into_iter().filter_map(target).collect()
}

/// Returns the targets for a warm decision in the component, compared with a component that only forwards.
fn component(table: &Table, pace: Option<f64>) -> Vec<Target> {
    let target = |(set_up, what): (&str, &str)| {
        let row = table.row(set_up, "")?;
        let of = |row: &Row| row.samples.get(&Metric::ProcessorMicros).cloned();
        let ratios = statistics::ratios(&of(row)?, &of(table.row(&row.baseline, "")?)?);
        let claim =
            format!("{what} costs at most {COMPONENT_RATIO} × what a component that only forwards does");
        let ratio = at_most(claim, COMPONENT_RATIO, spread(&ratios)?.median, "×");
        let added = added(table, set_up).zip(pace).map(|(added, pace)| {
            let claim = format!("{what} adds at most {} to it", of_reference(COMPONENT_ADDED));
            micros(claim, COMPONENT_ADDED * pace, added)
        });
        Some([ratio].into_iter().chain(added))
    };
    let set_ups =
        [("component-token", "in the component a proxy token"), ("component-jwt", "in the component a JWT")];
    set_ups.into_iter().filter_map(target).flatten().collect()
}

/// Returns the targets for the growth with the number of tokens: the first row of a place has the fewest, the last has
/// the most.
fn growth(table: &Table) -> Vec<Target> {
    let target = |place: &str| {
        let rows: Vec<&Row> = table.rows.iter().filter(|row| row.condition.ends_with(place)).collect();
        let (few, many) = (rows.first()?, rows.last()?);
        let own = table.added(few, Metric::ProcessorMicros)?.median;
        let samples = |row: &Row| row.samples.get(&Metric::ProcessorMicros).cloned();
        let more = spread(&statistics::differences(&samples(many)?, &samples(few)?))?.median;
        let claim =
            format!("a decision with {} costs at most 5 % more than with {}", many.condition, few.condition);
        Some(at_most(claim, GROWTH_PERCENT, more / own * 100.0, "%"))
    };
    ["in the registry", "in the policy"].into_iter().filter_map(target).collect()
}

/// Returns the target for the filter's own work for an event. The cost of an empty filter is the host's.
fn streams(table: &Table) -> Option<Target> {
    let of = |name: &str| table.rows.iter().find(|row| row.set_up == name);
    let (bare, empty, own) = (of("bare")?, of("empty-filter")?, of("keyswap-token")?);
    let samples = |row: &Row| row.samples.get(&Metric::EventMicros).cloned();
    let more = spread(&statistics::differences(&samples(own)?, &samples(empty)?))?.median;
    let percent = more / bare.spread(Metric::EventMicros)?.median * 100.0;
    let claim =
        format!("an event of {} costs no measurable time more than with an empty Wasm filter", own.condition);
    Some(at_most(claim, MEASURABLE_PERCENT, percent, "%"))
}

fn flat(table: &Table) -> Vec<Target> {
    let target = |row: &Row| {
        let samples = row.samples.get(&Metric::MemoryMegabytes)?;
        let grown = samples.last()? - samples.first()?;
        let claim = format!("memory is flat over {}, after the first tenth", row.condition);
        Some(at_most(claim, FLAT, grown, "MB"))
    };
    table.rows.iter().filter(|row| row.set_up != "bare").filter_map(target).collect()
}

/// Returns the cost of a set-up beyond its baseline, in microseconds.
fn added(table: &Table, set_up: &str) -> Option<f64> {
    Some(table.added(table.row(set_up, "")?, Metric::ProcessorMicros)?.median)
}

fn difference(table: &Table, one: &str, other: &str, metric: Metric) -> Option<f64> {
    let of = |name| table.row(name, "")?.samples.get(&metric);
    Some(spread(&statistics::differences(of(one)?, of(other)?))?.median)
}

fn median(row: Option<&Row>, metric: Metric) -> Option<f64> {
    Some(row?.spread(metric)?.median)
}

/// Returns the text of a bound in microseconds of the reference machine.
fn of_reference(micros: f64) -> String {
    format!("{micros} µs (where Envoy alone takes {REFERENCE} µs)")
}

fn micros(claim: String, allowed: f64, measured: f64) -> Target {
    at_most(claim, allowed, measured, "µs")
}

fn at_most(claim: String, allowed: f64, measured: f64, unit: &str) -> Target {
    let show = |value: f64| format!("{value:.2} {unit}");
    Target {
        claim,
        allowed: show(allowed),
        measured: show(measured),
        holds: measured <= allowed,
        is_aim: false,
    }
}

#[cfg(test)]
mod tests {
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
                    cpu("keyswap-token", own),
                ],
            )
        };
        let held = |report: &Report| judged(report).into_iter().map(|(_, holds)| holds).collect::<Vec<_>>();
        assert_eq!(held(&with([40.0, 70.0, 40.0])), [true, false], "10 is 1.25 × 8, and above 8");
        assert_eq!(held(&with([40.1, 70.1, 40.1])), [false, false]);
        assert_eq!(held(&with([37.0, 67.0, 37.0])), [true, true]);
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
        assert_eq!(judged(&report("workers", workers(122.5))), [("7.50 MB".to_owned(), true)]);
        assert_eq!(judged(&report("workers", workers(123.5))), [("8.50 MB".to_owned(), false)]);
        let event = |set_up, value: f64| row(set_up, "9 streams", Metric::EventMicros, &[value]);
        let streams =
            |own| vec![event("bare", 40.0), event("empty-filter", 44.0), event("keyswap-token", own)];
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
}
