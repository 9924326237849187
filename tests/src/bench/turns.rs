//! Turns: in each round the entries of a table are measured one after the other.

use std::{collections::BTreeMap, rc::Rc, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};

use super::{
    load::{Pace, Requests, Slice, Taken},
    numbers::{fraction, megabytes},
    plan::Plan,
    set_ups::{Running, SetUp},
    stage::Stage,
    watch::Watch,
};
use crate::figures::{Metric, Row};

/// The number of connections that saturate a proxy.
const SATURATING: usize = 16;
/// The number of connections at a fixed rate.
const AT_A_RATE: usize = 64;
/// The fraction of a slice before the measurement.
const WARM_UP: f64 = 0.15;
/// The largest number of turns before the first round.
const LONGEST_WARM_UP: usize = 10;
/// The largest relative difference of two turns that counts as steady.
const STEADY: f64 = 0.05;

/// A row of a table during the measurement.
pub(super) struct Entry {
    pub(super) set_up: &'static str,
    pub(super) title: &'static str,
    pub(super) baseline: &'static str,
    pub(super) condition: String,
    pub(super) running: Rc<Running>,
    pub(super) requests: Arc<Requests>,
}

/// The samples of a turn.
pub(super) type Samples = Vec<(Metric, f64)>;

impl Entry {
    /// Returns an entry for a set-up, with its own requests.
    pub(super) fn new(set_up: &SetUp, condition: impl Into<String>, running: Running) -> Self {
        let requests = Arc::clone(&running.requests);
        Self {
            set_up: set_up.name,
            title: set_up.title,
            baseline: set_up.baseline,
            condition: condition.into(),
            running: Rc::new(running),
            requests,
        }
    }

    /// Measures CPU time and rate at saturation.
    pub(super) fn saturate(&self, stage: &Stage, slice: Duration, connections: usize) -> Result<Samples> {
        let taken = self.load(stage, Pace::Saturating, slice, connections)?;
        let busy = taken.processor.as_secs_f64() / taken.window.as_secs_f64() * 100.0;
        Ok(vec![
            (Metric::ProcessorMicros, taken.processor_each()),
            (Metric::RequestsPerSecond, taken.rate()),
            (Metric::BusyPercent, busy),
        ])
    }

    /// Measures CPU time and rate with [`SATURATING`] connections.
    pub(super) fn saturated(&self, stage: &Stage, slice: Duration) -> Result<Samples> {
        self.saturate(stage, slice, SATURATING)
    }

    /// Measures latencies at a fixed rate.
    pub(super) fn at_rate(&self, stage: &Stage, slice: Duration, rate: f64) -> Result<Samples> {
        let taken = self.load(stage, Pace::PerSecond(rate), slice, AT_A_RATE)?;
        let percentiles = [
            (Metric::P50Micros, 50.0),
            (Metric::P90Micros, 90.0),
            (Metric::P99Micros, 99.0),
            (Metric::P999Micros, 99.9),
        ];
        percentiles
            .into_iter()
            .map(|(metric, hundredths)| Ok((metric, taken.percentile(hundredths)?.as_secs_f64() * 1e6)))
            .collect()
    }

    /// Returns the proxy's memory, in megabytes.
    pub(super) fn memory(&self) -> Result<f64> {
        Ok(megabytes(self.running.host.meter().memory()?))
    }

    /// Sends requests at saturation. Returns the number of answers.
    pub(super) fn send(&self, stage: &Stage, slice: Duration) -> Result<usize> {
        let taken = self.load(stage, Pace::Saturating, slice, SATURATING)?;
        Ok(usize::try_from(taken.all)?)
    }

    fn load(&self, stage: &Stage, pace: Pace, window: Duration, connections: usize) -> Result<Taken> {
        let host = &self.running.host;
        let slice = Slice {
            address: host.address(),
            requests: Arc::clone(&self.requests),
            connections,
            pace,
            warm_up: window.mul_f64(WARM_UP),
            window,
        };
        stage.loader.run(slice.run(host.meter())).with_context(|| self.name())
    }

    pub(super) fn name(&self) -> String {
        let separator = if self.condition.is_empty() { "" } else { ", " };
        format!("{}{separator}{}", self.set_up, self.condition)
    }
}

/// Measures every entry once a round. The first round is discarded: it warms up until the figures are steady.
pub(super) fn take_turns(
    table: &str,
    plan: &Plan,
    watch: &mut Watch<'_>,
    entries: &[Entry],
    mut turn: impl FnMut(&Entry) -> Result<Samples>,
) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = entries.iter().map(Entry::row).collect();
    let turns = (plan.rounds + 1) * entries.len();
    for round in 0..=plan.rounds {
        for (place, (entry, row)) in entries.iter().zip(&mut rows).enumerate() {
            let what = match round {
                0 => format!("{table}, warming up: {}", entry.name()),
                round => format!("{table}, round {round} of {}: {}", plan.rounds, entry.name()),
            };
            watch.at(&what, fraction(round * entries.len() + place, turns))?;
            match round {
                0 => warm_up(plan, entry, &mut turn)?,
                _ => row.note(turn(entry)?),
            }
        }
    }
    Ok(rows)
}

/// Measures an entry until two turns agree, or the longest warm-up is over.
fn warm_up(plan: &Plan, entry: &Entry, turn: &mut impl FnMut(&Entry) -> Result<Samples>) -> Result<()> {
    let mut last: Option<f64> = None;
    for _ in 0..plan.scale(LONGEST_WARM_UP, 1) {
        let cost = turn(entry)?.first().map(|(_, value)| *value);
        if last.zip(cost).is_some_and(|(last, cost)| (cost - last).abs() <= STEADY * last) {
            break;
        }
        last = cost;
    }
    Ok(())
}

impl Entry {
    /// Returns the row of the entry, without samples.
    pub(super) fn row(&self) -> Row {
        Row {
            set_up: self.set_up.to_owned(),
            title: self.title.to_owned(),
            condition: self.condition.clone(),
            baseline: self.baseline.to_owned(),
            samples: BTreeMap::new(),
        }
    }
}

impl Row {
    pub(super) fn note(&mut self, samples: Samples) {
        for (metric, value) in samples {
            // Three decimals are finer than any difference of interest.
            self.samples.entry(metric).or_default().push((value * 1000.0).round() / 1000.0);
        }
    }
}
