//! Requests and answers with bodies of equal size, each a JSON document with one long text.

use std::rc::Rc;

use anyhow::{Context as _, Result};

use super::compared::{COMPARED, RULED, set_up};
use crate::{
    bench::{
        kind::Kind,
        load::Requests,
        plan::Plan,
        stage::Stage,
        turns::{Entry, take_turns},
        watch::Watch,
    },
    figures::Table,
};

const SIZES: [(usize, &str); 4] =
    [(1_000, "1 KB"), (100_000, "100 KB"), (1_000_000, "1 MB"), (10_000_000, "10 MB")];
/// The body of a request around its long text.
const BODY: [&str; 2] = [r#"{"model": "gpt-5-mini", "messages": [{"role": "user", "content": ""#, r#""}]}"#];
/// The number of connections: few, so that the bodies in flight exceed every cache and fit into every memory.
const CONNECTIONS: usize = 4;

pub(super) fn measure(stage: &Stage, plan: &Plan, watch: &mut Watch<'_>) -> Result<Table> {
    let mut running = Vec::new();
    for name in COMPARED.into_iter().chain(RULED) {
        watch.at(&format!("starting {name}"), 0.0)?;
        let set_up = set_up(name)?;
        running.push((set_up, Rc::new(set_up.start(stage, 1)?)));
    }
    let mut entries = Vec::new();
    for (size, condition) in SIZES {
        for (set_up, running) in &running {
            let [front, tail] = BODY;
            let text = size.saturating_sub(front.len() + tail.len());
            let requests = Requests::padded(request(running.requests.first(), size)? + front, text, tail);
            let (running, condition) = (Rc::clone(running), condition.to_owned());
            let (title, baseline) = (set_up.title, set_up.baseline);
            entries.push(Entry { set_up: set_up.name, title, baseline, condition, running, requests });
        }
    }
    let rows =
        take_turns("bodies", plan, watch, &entries, |entry| entry.saturate(stage, plan.slice, CONNECTIONS))?;
    Ok(Kind::Bodies.table(rows))
}

/// Returns the head of the usual request, for a body and an answer of this size.
fn request(usual: &[u8], size: usize) -> Result<String> {
    let (head, body) = str::from_utf8(usual)?.split_once("\r\n\r\n").context("a request has a head")?;
    let length = format!("content-length: {}", body.len());
    Ok(head.replace(&length, &format!("content-length: {size}\r\nx-bench-answer: {size}")) + "\r\n\r\n")
}
