//! One worker on its own core, and two workers with shared data on all cores together with the load.

use anyhow::Result;

use super::compared::{COMPARED, set_up};
use crate::{
    bench::{
        kind::Kind,
        plan::Plan,
        stage::Stage,
        turns::{Entry, take_turns},
        watch::Watch,
    },
    figures::{Metric, Table},
};

/// The number of connections for each worker.
const CONNECTIONS: usize = 16;

pub(super) fn measure(stage: &Stage, plan: &Plan, watch: &mut Watch<'_>) -> Result<Table> {
    let mut entries = Vec::new();
    for (workers, condition) in [(1, "1 worker"), (2, "2 workers")] {
        for name in COMPARED {
            watch.at(&format!("starting {name} with {condition}"), 0.0)?;
            let set_up = set_up(name)?;
            entries.push(Entry::new(set_up, condition, set_up.start(stage, workers)?));
        }
    }
    let rows = take_turns("workers", plan, watch, &entries, |entry| {
        let workers = if entry.condition == "1 worker" { 1 } else { 2 };
        let mut samples = entry.saturate(stage, plan.slice, CONNECTIONS * workers)?;
        samples.push((Metric::MemoryMegabytes, entry.memory()?));
        Ok(samples)
    })?;
    Ok(Kind::Workers.table(rows))
}
