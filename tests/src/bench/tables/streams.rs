//! Many concurrent event streams: the cost of an event, and the memory of a stream.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, Result};

use super::compared::{COMPARED, RULED, set_up};
use crate::{
    bench::{
        kind::Kind,
        load::{Requests, Streams},
        plan::Plan,
        stage::Stage,
        turns::{Entry, take_turns},
        upstream::EVENT,
        watch::Watch,
    },
    figures::{Metric, Table},
};

/// The milliseconds between two events of a stream.
const PAUSE: u32 = 100;

pub(super) fn measure(stage: &Stage, plan: &Plan, watch: &mut Watch<'_>) -> Result<Table> {
    let count = plan.scale(1000, 20);
    let mut entries = Vec::new();
    for name in COMPARED.into_iter().chain(RULED) {
        watch.at(&format!("starting {name}"), 0.0)?;
        let set_up = set_up(name)?;
        let running = set_up.start(stage, 1)?;
        let requests = Requests::new([request(running.requests.first())?], 200);
        entries.push(Entry { requests, ..Entry::new(set_up, format!("{count} streams"), running) });
    }
    // A proxy keeps freed memory for later, so memory is counted from before the first streams.
    let first: RefCell<BTreeMap<&str, f64>> = RefCell::default();
    let rows = take_turns("streams", plan, watch, &entries, |entry| {
        let before = *first.borrow_mut().entry(entry.set_up).or_insert(entry.memory()?);
        let host = &entry.running.host;
        let streams = Streams {
            address: host.address(),
            requests: Arc::clone(&entry.requests),
            count,
            warm_up: plan.slice / 2,
            window: plan.slice * 2,
        };
        let held = stage.loader.run(streams.run(host.meter())).with_context(|| entry.name())?;
        #[expect(clippy::cast_precision_loss, reason = "less than 2^52")]
        let (events, count) = (held.bytes as f64 / EVENT.len() as f64, count as f64);
        Ok(vec![
            (Metric::EventMicros, held.processor.as_secs_f64() * 1e6 / events),
            (Metric::StreamKilobytes, (held.memory - before) * 1000.0 / count),
        ])
    })?;
    Ok(Kind::Streams.table(rows))
}

/// Returns the usual request, with a header that asks for events.
fn request(usual: &[u8]) -> Result<String> {
    let (line, rest) = str::from_utf8(usual)?.split_once("\r\n").context("a request has a head")?;
    Ok(format!("{line}\r\nx-bench-events: {PAUSE}\r\n{rest}"))
}
