//! A run of the bench: samples, round by round, from which all that is shown is worked out.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::statistics::{Spread, differences, spread};
use crate::tools::project_root;

/// The file with the figures of the documents.
pub const FILE: &str = "tests/bench/results.json";

/// A quantity that is measured of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Metric {
    /// Processor time of the proxy for each request, in microseconds.
    ProcessorMicros,
    /// Requests a second, as many as went.
    RequestsPerSecond,
    /// The share of a core that the proxy used at that, in percent.
    BusyPercent,
    /// Half of the requests took no longer, in microseconds; at a fixed rate, from when they were due.
    P50Micros,
    /// 90 % of the requests.
    P90Micros,
    /// 99 % of the requests.
    P99Micros,
    /// 99.9 % of the requests.
    P999Micros,
    /// Memory of the proxy, in megabytes; where several are given, over time.
    MemoryMegabytes,
    /// Processor time of the proxy for each event of a stream, in microseconds.
    EventMicros,
    /// Memory of the proxy for each open stream, in kilobytes.
    StreamKilobytes,
}

/// One run of the bench.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The machine, and the settings of the run.
    pub machine: Machine,
    /// The tables that it measured.
    pub tables: Vec<Table>,
}

/// The machine and the settings of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The cores that it could use.
    pub cores: usize,
    /// The model of the processor.
    pub processor: String,
    /// The release of Envoy.
    pub envoy: String,
    /// The day, as `2026-01-31`.
    pub date: String,
    /// The rounds in which each was measured.
    pub rounds: usize,
    /// The time that each took in a round, in milliseconds.
    pub slice_millis: u64,
    /// Set where the run only made sure that everything works: such figures say nothing.
    pub quick: bool,
}

/// Set-ups that were measured in turns.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The time that it took.
    pub seconds: u64,
    /// The rate at which latencies were measured, where they were, in requests a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// The share of a core that the proxies used together that were not measured, in percent, where that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_percent: Option<f64>,
    /// The set-ups, each under one condition.
    pub rows: Vec<Row>,
}

/// A set-up under one condition.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The name of the set-up.
    pub set_up: String,
    /// Its title, for people.
    pub title: String,
    /// The condition; empty where the table has only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub condition: String,
    /// The set-up whose cost, under the same condition, is not its own.
    pub baseline: String,
    /// The measured values, one a round.
    pub samples: BTreeMap<Metric, Vec<f64>>,
}

impl Report {
    /// Returns the figures of the documents.
    pub fn committed() -> Result<Self> {
        let text =
            fs::read_to_string(project_root().join(FILE)).with_context(|| format!("cannot read `{FILE}`"))?;
        serde_json::from_str(&text).with_context(|| format!("`{FILE}` is not the result of a run"))
    }

    /// Returns the text of a file.
    pub fn to_json(&self) -> Result<String> {
        // A row a line, so that people can compare two of them.
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

    /// Returns what a row has more than its baseline, round by round. The baseline may have been measured once for all conditions.
    pub fn added(&self, row: &Row, metric: Metric) -> Option<Spread> {
        let baseline = self.row(&row.baseline, &row.condition).or_else(|| self.row(&row.baseline, ""))?;
        spread(&differences(row.samples.get(&metric)?, baseline.samples.get(&metric)?))
    }
}

impl Row {
    /// Returns the median of a metric, and how far its rounds lie apart.
    pub fn spread(&self, metric: Metric) -> Option<Spread> {
        spread(self.samples.get(&metric)?)
    }
}
