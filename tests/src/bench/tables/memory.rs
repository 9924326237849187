//! The memory of a proxy over many requests, and over many tokens that are used once each.

use anyhow::Result;

use super::compared::{KEYSWAP, set_up};
use crate::{
    bench::{
        kind::Kind,
        numbers::fraction,
        plan::Plan,
        set_ups::{BARE, keyswap},
        stage::{Stage, numbered_token},
        turns::Entry,
        watch::Watch,
    },
    figures::{Metric, Row, Table},
};

/// The number of memory samples.
const SAMPLES: usize = 10;
const IN_USE: usize = 10;

pub(super) fn measure(stage: &Stage, plan: &Plan, watch: &mut Watch<'_>) -> Result<Table> {
    let (requests, tokens) = (plan.scale(200_000, 500), plan.scale(100_000, 100));
    let (bare, keyswap_set_up) = (set_up(BARE)?, set_up(KEYSWAP)?);
    let many_requests = format!("{requests} requests");
    watch.at(&format!("memory: a registry with {tokens} tokens"), 0.0)?;
    let (registry, _folder) = stage.registry_of(tokens)?;
    let policy = Stage::policy(&registry)?;
    let mut rows = Vec::new();
    let alone = Entry::new(bare, many_requests.clone(), bare.start(stage, 1)?);
    rows.push(over(stage, plan, watch, &alone, requests, 0.2)?);
    let running = keyswap(stage, 1, &registry, &policy, (0..IN_USE.min(tokens)).map(numbered_token))?;
    running.prove(stage)?;
    let one = Entry::new(keyswap_set_up, many_requests, running);
    rows.push(over(stage, plan, watch, &one, requests, 0.4)?);
    let running = keyswap(stage, 1, &registry, &policy, (0..tokens).map(numbered_token))?;
    let each = Entry::new(keyswap_set_up, format!("{tokens} tokens"), running);
    rows.push(over(stage, plan, watch, &each, tokens, 0.7)?);
    Ok(Kind::Memory.table(rows))
}

/// Sends requests, and samples the memory after each tenth of them.
fn over(
    stage: &Stage,
    plan: &Plan,
    watch: &mut Watch<'_>,
    entry: &Entry,
    requests: usize,
    begin: f64,
) -> Result<Row> {
    let mut row = entry.row();
    let mut sent = 0;
    for sample in 1..=SAMPLES {
        while sent * SAMPLES < requests * sample {
            let what = format!("memory: {} after {sent} requests", entry.name());
            watch.at(&what, begin + 0.3 * fraction(sent, requests))?;
            sent += entry.send(stage, plan.slice / 4)?;
        }
        row.note(vec![(Metric::MemoryMegabytes, entry.memory()?)]);
    }
    Ok(row)
}
