//! The cost of a whole request, in set-ups whose programs differ.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::{
    bench::{
        kind::Kind,
        plan::Plan,
        set_ups::SetUp,
        stage::Stage,
        turns::{Entry, take_turns},
        watch::Watch,
    },
    figures::{Metric, Table},
};

/// Measures set-ups in slices of this length: a slow program needs long ones.
pub(super) fn measure(
    kind: Kind,
    set_ups: &[SetUp],
    slice: Duration,
    stage: &Stage,
    plan: &Plan,
    watch: &mut Watch<'_>,
) -> Result<Table> {
    let mut entries = Vec::new();
    for set_up in set_ups {
        watch.at(&format!("starting {}", set_up.name), 0.0)?;
        entries.push(Entry::new(set_up, "", set_up.start(stage, 1)?));
    }
    let rows = take_turns(kind.name(), plan, watch, &entries, |entry| {
        let mut samples = entry.saturated(stage, slice)?;
        samples.push((Metric::MemoryMegabytes, entry.memory()?));
        Ok(samples)
    })?;
    // The set-ups must still work after the measurement.
    entries.iter().try_for_each(|entry| entry.running.prove(stage).with_context(|| entry.name()))?;
    Ok(kind.table(rows))
}
