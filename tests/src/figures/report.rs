//! The report of a run: samples by round, from which all shown figures are computed.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::statistics::{Spread, differences, ratios, spread};
use crate::tools::project_root;

/// The file with the figures of the documents.
pub const FILE: &str = "tests/bench/results.json";

/// A measured quantity of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Metric {
    /// The proxy's CPU time for each request, in microseconds.
    ProcessorMicros,
    /// The number of requests a second at saturation.
    RequestsPerSecond,
    /// The share of a core that the proxy used at saturation, in percent.
    BusyPercent,
    /// The median latency at a fixed rate, from the time that a request is due, in microseconds.
    P50Micros,
    /// The 90th percentile of the latency, in microseconds.
    P90Micros,
    /// The 99th percentile of the latency, in microseconds.
    P99Micros,
    /// The 99.9th percentile of the latency, in microseconds.
    P999Micros,
    /// The proxy's memory, in megabytes. Several values are a series over time.
    MemoryMegabytes,
    /// The proxy's CPU time for each event of a stream, in microseconds.
    EventMicros,
    /// The proxy's memory for each open stream, in kilobytes.
    StreamKilobytes,
}

/// One run of the bench.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The machine, and the settings of the run.
    pub machine: Machine,
    /// The measured tables.
    pub tables: Vec<Table>,
}

/// The machine and the settings of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The number of cores.
    pub cores: usize,
    /// The model of the processor.
    pub processor: String,
    /// The release of Envoy.
    pub envoy: String,
    /// The day, as `2026-01-31`.
    pub date: String,
    /// The number of rounds.
    pub rounds: usize,
    /// The time of each measurement in a round, in milliseconds.
    pub slice_millis: u64,
    /// Set for a run that only checked that everything works, whose figures are meaningless.
    pub quick: bool,
}

/// Set-ups that were measured in turns.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The name of the table.
    pub name: String,
    /// The time of the measurement, in seconds.
    pub seconds: u64,
    /// The rate at which latencies were measured, in requests a second. `None` without latencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// The CPU use of all idle proxies together, in percent of a core. `None` if it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_percent: Option<f64>,
    /// The rows, one for each set-up and condition.
    pub rows: Vec<Row>,
}

/// A set-up under one condition.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The name of the set-up.
    pub set_up: String,
    /// The title of the set-up.
    pub title: String,
    /// The condition. Empty if the table has only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// The name of the set-up whose cost, under the same condition, is subtracted.
    pub baseline: String,
    /// The measured values, one a round.
    pub samples: BTreeMap<Metric, Vec<f64>>,
}

/// Returns the model of this machine's processor.
pub(crate) fn processor() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("an unnamed processor", |(_, model)| model.trim()).to_owned()
}

impl Report {
    /// Reads the figures of the documents.
    pub fn committed() -> Result<Self> {
        let text =
            fs::read_to_string(project_root().join(FILE)).with_context(|| format!("cannot read `{FILE}`"))?;
        serde_json::from_str(&text).with_context(|| format!("`{FILE}` is not the result of a run"))
    }

    /// Returns the report as JSON.
    pub fn to_json(&self) -> Result<String> {
        // One row a line, for readable diffs.
        Ok(serde_json::to_string(self)?.replace("{\"set_up\"", "\n{\"set_up\"") + "\n")
    }

    /// Returns a table by its name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }
}

impl Table {
    /// Returns a row by its set-up and condition.
    pub fn row(&self, set_up: &str, condition: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.set_up == set_up && row.condition == condition)
    }

    /// Returns the difference of a row and its baseline, round by round. One baseline may serve all conditions.
    pub fn added(&self, row: &Row, metric: Metric) -> Option<Spread> {
        let baseline = self.row(&row.baseline, &row.condition).or_else(|| self.row(&row.baseline, ""))?;
        spread(&differences(row.samples.get(&metric)?, baseline.samples.get(&metric)?))
    }

    /// Returns the quotient of a row and another set-up's, round by round.
    pub fn ratio(&self, row: &Row, other: &str, metric: Metric) -> Option<Spread> {
        spread(&ratios(row.samples.get(&metric)?, self.row(other, "")?.samples.get(&metric)?))
    }
}

impl Row {
    /// Returns the median and the quartiles of a metric.
    pub fn spread(&self, metric: Metric) -> Option<Spread> {
        spread(self.samples.get(&metric)?)
    }
}
