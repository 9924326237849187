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
const COMPARED: [(&str, &str, f64); 4] = [
    ("jwt-authn", "what `jwt_authn`, `local_ratelimit` and `header_mutation` add", 1.0),
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
const MEMORY_OVER_EMPTY: f64 = 12.0;
/// The largest memory of the module over Envoy alone, in megabytes.
const MEMORY_OF_MODULE: f64 = 5.0;
/// The largest cost that the filter adds, relative to what the former release adds that the project measures itself
/// against (commit ae9a463).
const OF_FORMER: f64 = 0.6;
/// The largest growth of memory that counts as flat, in megabytes.
const FLAT: f64 = 1.0;
const P99_RATIO: f64 = 1.15;
/// The largest cost of a request in the component, relative to a component that only forwards.
const COMPONENT_RATIO: f64 = 1.2;
/// The largest cost that a warm decision adds in the component, in microseconds of the reference machine.
const COMPONENT_ADDED: f64 = 25.0;
/// Other gateways, with the least multiple of the whole cost of Envoy with Keyswap: set-up, text, factor.
const GATEWAYS: [(&str, &str, f64); 2] =
    [("portkey", "Portkey's gateway", 10.0), ("litellm", "LiteLLM's proxy", 80.0)];
/// The largest increase of a decision's cost with many tokens, in percent.
const GROWTH_PERCENT: f64 = 5.0;
/// The smallest measurable cost of an event, in percent of Envoy's own work for it.
const MEASURABLE_PERCENT: f64 = 2.0;

/// The set-ups with a warm decision. What those in Wasm add to Envoy is compared with native filters as an aim only: the
/// sandbox itself costs more than these do.
const WARM: [(&str, &str); 4] = [
    ("module-token", "in the module a proxy token"),
    ("module-jwt", "in the module a JWT"),
    ("keyswap-token", "a proxy token"),
    ("keyswap-jwt", "a JWT"),
];

/// Returns the targets whose figures the report has.
pub fn targets(report: &Report) -> Vec<Target> {
    let mut targets = Vec::new();
    let set_ups = report.table("set-ups");
    if let Some(table) = set_ups {
        for (set_up, what) in WARM {
            targets.extend(warm(table, set_up, what));
        }
        targets.extend(cold(table));
        targets.extend(former(table));
        targets.extend(refusals(table));
        targets.extend(memory_over_empty(table));
        targets.extend(memory_of_module(table));
        targets.extend(latency(table));
    }
    let pace = set_ups.and_then(pace);
    targets.extend(report.table("component").into_iter().flat_map(|table| component(table, pace)));
    targets.extend(report.table("gateways").into_iter().flat_map(gateways));
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
    let is_aim = is_wasm(set_up);
    let compared = COMPARED.iter().filter_map(|(other, name, factor)| {
        let claim = format!("{what} adds at most {name}");
        Some(Target { is_aim, ..micros(claim, added(table, other)? * factor, own) })
    });
    let over = difference(table, set_up, "empty-filter", Metric::ProcessorMicros).filter(|_| is_wasm(set_up));
    let over_empty = over.zip(pace(table)).map(|(over, pace)| {
        let claim = format!("{what} adds at most {} to an empty Wasm filter", of_reference(OVER_EMPTY));
        Target { is_aim: true, ..micros(claim, OVER_EMPTY * pace, over) }
    });
    compared.chain(over_empty).collect()
}

fn is_wasm(set_up: &str) -> bool {
    set_up.starts_with("keyswap-")
}

fn cold(table: &Table) -> Vec<Target> {
    let target = |(set_up, what, factor): (&str, &str, f64)| {
        let (own, native) = (added(table, set_up)?, added(table, "jwt-authn-cold")?);
        let claim = format!("{what} adds at most {factor} × what these three add without the cache");
        Some(micros(claim, native * factor, own))
    };
    let compared = [
        ("module-jwt-cold", "in the module a new JWT each time", 1.3),
        ("keyswap-jwt-cold", "a new JWT each time", 2.0),
    ];
    compared.into_iter().filter_map(target).collect()
}

/// Returns the target for what the filter adds, compared with a former release in the same run.
fn former(table: &Table) -> Option<Target> {
    let (own, former) = (added(table, "keyswap-token")?, added(table, "former-token")?);
    let claim = format!("a proxy token adds at most {OF_FORMER} × what it added in the former release");
    Some(micros(claim, former * OF_FORMER, own))
}

fn memory_of_module(table: &Table) -> Option<Target> {
    let more = difference(table, "module-token", "bare", Metric::MemoryMegabytes)?;
    let claim = format!("a process with the module has at most {MEMORY_OF_MODULE} MB more than Envoy alone");
    Some(at_most(claim, MEMORY_OF_MODULE, more, "MB"))
}

fn refusals(table: &Table) -> Vec<Target> {
    let accepted = median(table.row("keyswap-token", ""), Metric::ProcessorMicros);
    let refused = [("unknown", "an unknown token"), ("malformed", "what is no token")];
    let whole = |(name, what): (&str, &str)| {
        let row = table.row(&format!("keyswap-refused-{name}"), "");
        let claim = format!("refusing {what} costs no more than accepting a token");
        Some(micros(claim, accepted?, median(row, Metric::ProcessorMicros)?))
    };
    // A refusal includes a new connection, whatever refuses.
    let more = |(name, what): (&str, &str)| {
        let set_up = format!("keyswap-refused-{name}");
        let own = difference(table, &set_up, "refusing", Metric::ProcessorMicros)?;
        let claim = format!(
            "refusing {what} adds no more to an Envoy that refuses by itself than accepting a token adds to Envoy alone"
        );
        Some(micros(claim, added(table, "keyswap-token")?, own))
    };
    refused.into_iter().filter_map(whole).chain(refused.into_iter().filter_map(more)).collect()
}

fn memory_over_empty(table: &Table) -> Option<Target> {
    let more = difference(table, "keyswap-token", "empty-filter", Metric::MemoryMegabytes)?;
    let claim = format!(
        "a process with one worker has at most {MEMORY_OVER_EMPTY} MB more than with an empty Wasm filter"
    );
    Some(at_most(claim, MEMORY_OVER_EMPTY, more, "MB"))
}

/// Returns the target for the memory of a second worker, compared with an empty filter. Other memory exists once.
fn further_worker(table: &Table) -> Option<Target> {
    let grown = |set_up: &str| {
        let of = |workers| table.row(set_up, workers)?.samples.get(&Metric::MemoryMegabytes);
        Some(spread(&statistics::differences(of("2 workers")?, of("1 worker")?))?.median)
    };
    let claim =
        format!("a further worker has at most {MEMORY_OVER_EMPTY} MB more than with an empty Wasm filter");
    let more = grown("keyswap-token")? - grown("empty-filter")?;
    Some(at_most(claim, MEMORY_OVER_EMPTY, more, "MB"))
}

fn latency(table: &Table) -> Vec<Target> {
    let ratio = |set_up: &str| {
        let of = |name| table.row(name, "")?.samples.get(&Metric::P99Micros);
        Some(spread(&statistics::ratios(of(set_up)?, of("bare")?))?.median)
    };
    let target = |(set_up, what): (&str, &str)| {
        let claim = format!("{what} has a p99 of at most {P99_RATIO} × that of Envoy alone");
        Some(at_most(claim, P99_RATIO, ratio(set_up)?, "×"))
    };
    WARM.into_iter().filter_map(target).collect()
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

/// Returns the targets for the whole of Envoy with Keyswap, compared with other gateways.
fn gateways(table: &Table) -> Vec<Target> {
    let target = |(set_up, name, factor): &(&str, &str, f64)| {
        let of = |name: &str| table.row(name, "")?.samples.get(&Metric::ProcessorMicros);
        let measured = spread(&statistics::ratios(of("keyswap-token")?, of(set_up)?))?.median;
        let claim =
            format!("a request costs in Envoy with Keyswap at most 1/{factor} of what it costs in {name}");
        Some(at_most(claim, 100.0 / factor, measured * 100.0, "%"))
    };
    GATEWAYS.iter().filter_map(target).collect()
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
mod tests;
