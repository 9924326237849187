//! The cost of a request in the component on `wasmtime serve`, whose instances serve many requests.

use anyhow::{Context as _, Result};

use crate::{
    bench::{
        kind::Kind,
        plan::Plan,
        set_ups::COMPONENT_SET_UPS,
        stage::Stage,
        turns::{Entry, take_turns},
        watch::Watch,
    },
    figures::{Metric, Table},
};

pub(super) fn measure(stage: &Stage, plan: &Plan, watch: &mut Watch<'_>) -> Result<Table> {
    watch.at("compiling the components", 0.0)?;
    // Compiling takes memory. Started once before, the measured processes use Wasmtime's cache.
    COMPONENT_SET_UPS.iter().try_for_each(|set_up| set_up.start(stage, 1).map(drop))?;
    let mut entries = Vec::new();
    for set_up in &COMPONENT_SET_UPS {
        watch.at(&format!("starting {}", set_up.name), 0.0)?;
        entries.push(Entry::new(set_up, "", set_up.start(stage, 1)?));
    }
    let rows = take_turns("component", plan, watch, &entries, |entry| {
        let mut samples = entry.saturated(stage, plan.slice)?;
        samples.push((Metric::MemoryMegabytes, entry.memory()?));
        Ok(samples)
    })?;
    // The set-ups must still work after the measurement.
    entries.iter().try_for_each(|entry| entry.running.prove(stage).with_context(|| entry.name()))?;
    Ok(Kind::Component.table(rows))
}
