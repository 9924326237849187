//! The tokens and the money that requests took, gathered by hour, principal, provider and model, and reported in batches.
//!
//! A report that has no answer is sent again as it was, under its id, which the registry takes once. Memory is bounded: first
//! the models of a principal are put together, then requests are counted that no report tells.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::base::{Digest, Moment, Pause, UnixTime};
use crate::identity::{CallerKind, CallerRecord};
use crate::price::{Counts, Nano};

/// The most rows in a report: the registry takes no more.
const BATCH: usize = 500;
/// The rows beyond which the models of a principal are put together, and the most rows there are.
const MANY_ROWS: usize = 2000;
const MAX_ROWS: usize = 4000;
/// The pause after a failure.
const RETRY_TIME: Duration = Duration::from_secs(2);
/// The time after which a report without an answer is sent again.
const LOST_AFTER: Duration = Duration::from_secs(30);
/// The name of models that are told together.
const OTHER: &str = "other";

const HOUR: i64 = 3600;

/// A request that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metered<'m> {
    pub(crate) caller: &'m CallerRecord,
    pub(crate) provider: &'m str,
    /// The model's name in the table of prices; `None` for one that is not there.
    pub(crate) model: Option<&'m str>,
    /// The tokens; `None` where they are not known.
    pub(crate) counts: Option<Counts>,
    /// The cost; `None` where the model has no price.
    pub(crate) cost: Option<Nano>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RowKey {
    /// The hour since 1970.
    hour: i64,
    principal: Digest,
    provider: String,
    model: String,
}

#[derive(Clone, Debug)]
struct Row {
    kind: &'static str,
    label: String,
    owner: Option<String>,
    team: Option<String>,
    requests: u64,
    unmetered: u64,
    unpriced: u64,
    counts: Counts,
    cost: Nano,
}

pub(super) struct Spend {
    pending: BTreeMap<RowKey, Row>,
    /// The report that is on its way, with its id.
    sent: Option<(String, Vec<(RowKey, Row)>)>,
    /// The requests that no report tells.
    lost: u64,
    /// The time in which rows are gathered.
    gathering: Duration,
    pause: Pause,
}

impl Spend {
    pub(super) fn new(gathering: Duration) -> Self {
        Self { pending: BTreeMap::new(), sent: None, lost: 0, gathering, pause: Pause::at_most(LOST_AFTER) }
    }

    /// Adds a request.
    pub(super) fn add(&mut self, metered: &Metered<'_>, now: Moment) {
        if self.pending.is_empty() && self.sent.is_none() {
            self.pause.begin(self.gathering, now);
        }
        let mut key = RowKey {
            hour: now.unix().0.div_euclid(HOUR),
            principal: metered.caller.digest,
            provider: metered.provider.to_owned(),
            model: metered.model.unwrap_or(OTHER).to_owned(),
        };
        if self.pending.len() >= MANY_ROWS && !self.pending.contains_key(&key) {
            OTHER.clone_into(&mut key.model);
        }
        if self.pending.len() >= MAX_ROWS && !self.pending.contains_key(&key) {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        self.pending.entry(key).or_insert_with(|| Row::of(metered.caller)).add(metered);
    }

    /// Returns the report that is due. `id` makes an id that no other report has.
    pub(super) fn report(&mut self, now: Moment, id: impl FnOnce() -> String) -> Option<Vec<u8>> {
        if !self.pause.is_over(now) {
            return None;
        }
        if self.sent.is_none() && !self.pending.is_empty() {
            let mut rows = Vec::new();
            while rows.len() < BATCH {
                let Some(row) = self.pending.pop_first() else { break };
                rows.push(row);
            }
            self.sent = Some((id(), rows));
        }
        let (id, rows) = self.sent.as_ref()?;
        self.pause.begin(LOST_AFTER, now);
        let rows: Vec<Value> = rows.iter().map(|(key, row)| row.told(key)).collect();
        Some(json!({"report": id, "rows": rows}).to_string().into_bytes())
    }

    /// Notes that the registry has taken the report, or never will.
    pub(super) fn settle(&mut self, is_taken: bool, now: Moment) {
        let requests = |(_, rows): (String, Vec<(RowKey, Row)>)| {
            rows.iter().fold(0_u64, |sum, (_, row)| sum.saturating_add(row.requests))
        };
        let sent = self.sent.take().map_or(0, requests);
        if !is_taken {
            self.lost = self.lost.saturating_add(sent);
        }
        if self.pending.len() >= BATCH {
            self.pause.end(now);
        } else {
            self.pause.begin(self.gathering, now);
        }
    }

    /// Lets the report be sent again.
    pub(super) fn retry(&mut self, now: Moment) {
        self.pause.begin(RETRY_TIME, now);
    }

    /// Returns the number of rows that the registry has not taken.
    pub(super) fn len(&self) -> usize {
        self.pending.len().saturating_add(self.sent.as_ref().map_or(0, |(_, rows)| rows.len()))
    }

    /// Returns the number of requests that no report tells.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}

impl Row {
    fn of(caller: &CallerRecord) -> Self {
        Self {
            kind: match caller.kind {
                CallerKind::Token => "token",
                CallerKind::Introspected => "introspected",
                CallerKind::Person => "person",
            },
            label: caller.label.clone(),
            owner: caller.owner.clone(),
            team: caller.team.clone(),
            requests: 0,
            unmetered: 0,
            unpriced: 0,
            counts: Counts::default(),
            cost: Nano(0),
        }
    }

    fn add(&mut self, metered: &Metered<'_>) {
        self.requests = self.requests.saturating_add(1);
        if metered.counts.is_none() {
            self.unmetered = self.unmetered.saturating_add(1);
        }
        if metered.cost.is_none() {
            self.unpriced = self.unpriced.saturating_add(1);
        }
        self.counts = self.counts.saturating_add(&metered.counts.unwrap_or_default());
        self.cost = self.cost.saturating_add(metered.cost.unwrap_or_default());
    }

    fn told(&self, key: &RowKey) -> Value {
        let Counts { input, cached, cache_write, output, reasoning, audio_input, audio_output, .. } =
            self.counts;
        json!({
            "hour": UnixTime(key.hour.saturating_mul(HOUR)).to_string(),
            "sha256": key.principal.to_hex(),
            "kind": self.kind,
            "label": self.label,
            "owner": self.owner,
            "team": self.team,
            "provider": key.provider,
            "model": key.model,
            "requests": self.requests,
            "unmetered": self.unmetered,
            "unpriced": self.unpriced,
            "input": input,
            "cached": cached,
            "cache_write": cache_write,
            "output": output,
            "reasoning": reasoning,
            "audio": audio_input.saturating_add(audio_output),
            "cost": self.cost.0,
        })
    }
}
