//! A report for people, as Markdown.

use std::fmt::Write as _;

use super::{
    report::{Metric, Report, Row, Table},
    statistics::Spread,
    targets::targets,
};

/// The least use of its core, in percent, of a proxy that was not waiting for something slower.
const SATURATED: f64 = 90.0;

/// Returns the tables of a report, each under a heading, and the targets that it missed.
pub fn document(report: &Report) -> String {
    let mut text = conditions(report);
    for table in &report.tables {
        let (heading, content) = match table.name.as_str() {
            "set-ups" => ("One request", set_ups(table)),
            "component" => ("In Wasmtime", component(table)),
            "gateways" => ("Beside other gateways", gateways(table)),
            "tokens" => ("With many tokens", growth("tokens", table)),
            "workers" => ("With several workers", growth("workers", table)),
            "bodies" => ("With large bodies", growth("size of request and answer", table)),
            "streams" => ("With many streams", streams(table)),
            "memory" => ("Memory over time", memory(table)),
            _ => continue,
        };
        let _ = write!(text, "\n## {heading}\n\n{content}");
    }
    text + &missed(report)
}

/// Returns the gateways with their cost as multiples of one, for the first page.
pub fn summary(report: &Report) -> String {
    let mut text = heading(&["gateway", "CPU of a request", "beside Envoy with Keyswap"]);
    let Some(table) = report.table("gateways") else { return text };
    for row in &table.rows {
        let cells = [row.title.clone(), value(row.spread(Metric::ProcessorMicros), "µs"), beside(table, row)];
        line(&mut text, &cells);
    }
    text
}

/// Returns the targets with the measured figures and verdicts, for the output of the bench.
pub fn judgement(report: &Report) -> String {
    let mut text = heading(&["target", "at most", "measured", ""]);
    for target in targets(report) {
        let verdict = match (target.holds, target.is_aim) {
            (true, _) => "holds",
            (false, true) => "aim missed",
            (false, false) => "**missed**",
        };
        line(&mut text, &[target.claim, target.allowed, target.measured, verdict.to_owned()]);
    }
    text
}

/// Returns a sentence for each target that was missed.
fn missed(report: &Report) -> String {
    let all = targets(report);
    let missed: Vec<_> = all.iter().filter(|target| !target.holds).collect();
    if all.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n## Targets\n\nThe project sets itself {} targets; this run met {} of them. It missed these:\n\n",
        all.len(),
        all.len() - missed.len()
    );
    for target in missed {
        let kind = if target.is_aim { " (an aim)" } else { "" };
        let _ = writeln!(
            text,
            "- Target{kind}: {}. That is {} here; measured: {}.",
            target.claim, target.allowed, target.measured
        );
    }
    text
}

fn conditions(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = String::new();
    if machine.quick {
        text.push_str("**A quick run: these figures say nothing.**\n\n");
    }
    let _ = writeln!(
        text,
        "Measured with `cargo xtask bench` on {}, in {} rounds of {} ms, on {} cores ({}) with Envoy {}.",
        machine.date, machine.rounds, machine.slice_millis, machine.cores, machine.processor, machine.envoy
    );
    text
}

fn set_ups(table: &Table) -> String {
    let mut text = heading(&["set-up", "CPU of a request", "added to Envoy alone", "p50", "p99", "memory"]);
    for row in &table.rows {
        line(
            &mut text,
            &[
                row.title.clone(),
                value(row.spread(Metric::ProcessorMicros), "µs"),
                added(table, row, Metric::ProcessorMicros, "µs"),
                millis(row, Metric::P50Micros),
                millis(row, Metric::P99Micros),
                value(row.spread(Metric::MemoryMegabytes), "MB"),
            ],
        );
    }
    if let Some(rate) = table.rate {
        let _ = write!(text, "\nLatencies are those at {rate} requests a second");
        let idle = table.idle_percent.unwrap_or_default();
        let _ =
            writeln!(text, "; the proxies that waited for their turn used {idle:.1} % of a core together.");
    }
    text.push_str(&waiting(table));
    text
}

/// Returns a sentence on the proxies that were not saturated.
fn waiting(table: &Table) -> String {
    let waited = table.rows.iter().filter_map(|row| {
        let busy = row.spread(Metric::BusyPercent)?.median;
        (busy < SATURATED).then(|| format!("{} ({busy:.0} %)", row.title))
    });
    let waited: Vec<_> = waited.collect();
    if waited.is_empty() {
        return String::new();
    }
    let waited = waited.join("; ");
    format!("\nThese waited for something slower, and used less of their core than they could: {waited}.\n")
}

fn component(table: &Table) -> String {
    let mut text = heading(&["on `wasmtime serve`", "CPU of a request", "added to forwarding", "memory"]);
    for row in &table.rows {
        line(
            &mut text,
            &[
                row.title.clone(),
                value(row.spread(Metric::ProcessorMicros), "µs"),
                added(table, row, Metric::ProcessorMicros, "µs"),
                value(row.spread(Metric::MemoryMegabytes), "MB"),
            ],
        );
    }
    text
}

fn gateways(table: &Table) -> String {
    let mut text =
        heading(&["gateway", "CPU of a request", "beside Envoy with Keyswap", "a second", "memory"]);
    for row in &table.rows {
        let rate = row.spread(Metric::RequestsPerSecond);
        line(
            &mut text,
            &[
                row.title.clone(),
                value(row.spread(Metric::ProcessorMicros), "µs"),
                beside(table, row),
                rate.map(|rate| format!("{:.0}", rate.median)).unwrap_or_default(),
                value(row.spread(Metric::MemoryMegabytes), "MB"),
            ],
        );
    }
    text.push_str(&waiting(table));
    text
}

fn growth(condition: &str, table: &Table) -> String {
    let has_memory = table.rows.iter().any(|row| row.samples.contains_key(&Metric::MemoryMegabytes));
    let columns = ["set-up", condition, "CPU of a request", "added to Envoy alone", "a second", "memory"];
    let shown = if has_memory { columns.len() } else { columns.len() - 1 };
    let mut text = heading(&columns[..shown]);
    for row in &table.rows {
        let rate = row.spread(Metric::RequestsPerSecond);
        let cells = [
            row.title.clone(),
            row.condition.clone(),
            value(row.spread(Metric::ProcessorMicros), "µs"),
            added(table, row, Metric::ProcessorMicros, "µs"),
            rate.map(|rate| format!("{:.0}", rate.median)).unwrap_or_default(),
            value(row.spread(Metric::MemoryMegabytes), "MB"),
        ];
        line(&mut text, &cells[..shown]);
    }
    text
}

fn streams(table: &Table) -> String {
    let mut text =
        heading(&["set-up", "open at once", "CPU of an event", "added to Envoy alone", "memory of a stream"]);
    for row in &table.rows {
        line(
            &mut text,
            &[
                row.title.clone(),
                row.condition.clone(),
                value(row.spread(Metric::EventMicros), "µs"),
                added(table, row, Metric::EventMicros, "µs"),
                value(row.spread(Metric::StreamKilobytes), "kB"),
            ],
        );
    }
    text
}

fn memory(table: &Table) -> String {
    let mut text = heading(&["set-up", "over", "memory after a tenth", "after a half", "at the end"]);
    for row in &table.rows {
        let samples = row.samples.get(&Metric::MemoryMegabytes).map_or(&[][..], Vec::as_slice);
        let at = |place: usize| samples.get(place).map(|value| format!("{value:.1} MB")).unwrap_or_default();
        let (half, last) = (samples.len() / 2, samples.len());
        line(
            &mut text,
            &[
                row.title.clone(),
                row.condition.clone(),
                at(0),
                at(half.saturating_sub(1)),
                at(last.saturating_sub(1)),
            ],
        );
    }
    text
}

/// Returns the median of what a row adds; empty where a row is its own baseline.
fn added(table: &Table, row: &Row, metric: Metric, unit: &str) -> String {
    if row.set_up == row.baseline {
        return String::new();
    }
    let Some(Spread { median, low, high }) = table.added(row, metric) else { return String::new() };
    format!("{median:+.1} {unit} ({low:+.1} to {high:+.1})")
}

/// Returns the median of the ratios, round by round, of the cost of a row and that of Envoy with Keyswap.
fn beside(table: &Table, row: &Row) -> String {
    let ratio = table.ratio(row, "keyswap-token", Metric::ProcessorMicros);
    ratio.map(|spread| format!("{:.1} ×", spread.median)).unwrap_or_default()
}

fn value(spread: Option<Spread>, unit: &str) -> String {
    spread.map(|spread| format!("{:.1} {unit}", spread.median)).unwrap_or_default()
}

fn millis(row: &Row, metric: Metric) -> String {
    let spread = row.spread(metric);
    spread.map(|spread| format!("{:.2} ms", spread.median / 1000.0)).unwrap_or_default()
}

/// Returns the first two lines of a table with these columns.
pub(crate) fn heading(names: &[&str]) -> String {
    format!("| {} |\n|{}\n", names.join(" | "), "---|".repeat(names.len()))
}

fn line(text: &mut String, cells: &[String]) {
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}
