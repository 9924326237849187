//! The cost of a request in each set-up, latencies at a fixed rate, and the memory of the proxy.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::compared::KEYSWAP;
use crate::{
    bench::{
        kind::Kind,
        plan::Plan,
        set_ups::{BARE, FORMER, SET_UPS},
        stage::Stage,
        turns::{Entry, take_turns},
        watch::Watch,
    },
    figures::{Metric, Table},
};

pub(super) fn measure(stage: &Stage, plan: &Plan, watch: &mut Watch<'_>) -> Result<Table> {
    let entries = start(stage, plan, watch)?;
    watch.at("idle proxies", 0.0)?;
    let idle = idle_percent(&entries, plan.slice)?;
    let rate = match plan.rate {
        Some(rate) => f64::from(rate),
        None => half_of_saturation(stage, plan, &entries)?,
    };
    let rows = take_turns("set-ups", plan, watch, &entries, |entry| {
        let mut samples = entry.saturated(stage, plan.slice)?;
        samples.extend(entry.at_rate(stage, plan.slice, rate)?);
        samples.push((Metric::MemoryMegabytes, entry.memory()?));
        Ok(samples)
    })?;
    // The set-ups must still work after the measurement.
    entries.iter().try_for_each(|entry| entry.running.prove(stage).with_context(|| entry.name()))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "far less than 2^32")]
    Ok(Table { rate: Some(rate as u32), idle_percent: Some(idle), ..Kind::SetUps.table(rows) })
}

fn start(stage: &Stage, plan: &Plan, watch: &mut Watch<'_>) -> Result<Vec<Entry>> {
    let is_chosen = |name: &str| {
        plan.set_ups.is_empty() || name == BARE || plan.set_ups.iter().any(|chosen| chosen == name)
    };
    let mut entries = Vec::new();
    let former = plan.former.is_some().then_some(&FORMER);
    for set_up in SET_UPS.iter().filter(|set_up| is_chosen(set_up.name)).chain(former) {
        watch.at(&format!("starting {}", set_up.name), 0.0)?;
        entries.push(Entry::new(set_up, "", set_up.start(stage, 1)?));
    }
    Ok(entries)
}

/// Returns the CPU use of all idle proxies together, in percent of a core.
fn idle_percent(entries: &[Entry], time: Duration) -> Result<f64> {
    let used =
        || entries.iter().map(|entry| entry.running.host.meter().processor_time()).sum::<Result<Duration>>();
    let before = used()?;
    std::thread::sleep(time);
    let percent = used()?.saturating_sub(before).as_secs_f64() / time.as_secs_f64() * 100.0;
    Ok((percent * 100.0).round() / 100.0)
}

/// Returns half of the maximal rate of Keyswap with a token, or else of Envoy alone, in whole hundreds.
fn half_of_saturation(stage: &Stage, plan: &Plan, entries: &[Entry]) -> Result<f64> {
    let keyswap = entries.iter().find(|entry| entry.set_up == KEYSWAP).or(entries.first());
    let entry = keyswap.context("there is nothing to measure")?;
    // The first run only warms up.
    entry.saturated(stage, plan.slice)?;
    let samples = entry.saturated(stage, plan.slice)?;
    let rate = samples.iter().find(|(metric, _)| *metric == Metric::RequestsPerSecond);
    let (_, rate) = rate.context("a saturated proxy has a rate")?;
    Ok((rate / 200.0).floor().max(1.0) * 100.0)
}
