//! Counters of decisions, lookups and fetches, defined with the host when they are first needed.
//!
//! Their names hold words that are ours or the policy's: a client cannot make more of them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use keyswap_core::judge::{Decision, Observation};
use keyswap_core::services::FetchOutcome;

use crate::host::{self, Counter};

/// The counters defined so far. There are at most as many as reasons times providers, and a few.
#[derive(Default)]
pub(crate) struct Metrics {
    rows: RefCell<Vec<Row>>,
    /// The counters with more parts, by their names.
    named: RefCell<BTreeMap<String, Counter>>,
}

/// A counter with its name: a family, a fixed word, and a word that is fixed or the policy's.
struct Row {
    family: &'static str,
    word: &'static str,
    other: Box<str>,
    counter: Counter,
}

impl Metrics {
    /// Counts a decision. One that waits for the body of its request is counted with that.
    pub(crate) fn count(&self, decision: &Decision<'_>) {
        let reason = decision.reason_code();
        if !decision.is_pending() {
            self.increment("decisions", reason, decision.facts.provider, || {
                let (verdict, provider) = (decision.verdict_name(), decision.facts.provider);
                format!("keyswap.decisions.verdict.{verdict}.reason.{reason}.provider.{provider}")
            });
        }
        if let Some(source) = decision.facts.record_source {
            let from = source.name();
            self.increment("lookups", from, "", || format!("keyswap.lookups.from.{from}"));
        }
    }

    /// Counts an observation.
    pub(crate) fn observe(&self, observation: &Observation) {
        let Ok(mut named) = self.named.try_borrow_mut() else { return };
        if let Some(counter) = named.get(&observation.metric) {
            counter.add(observation.count);
        } else if let Some(counter) = Counter::define(&observation.metric) {
            counter.add(observation.count);
            named.insert(observation.metric.clone(), counter);
        }
    }

    /// Counts a fetch.
    pub(crate) fn count_fetch(&self, kind: &'static str, outcome: FetchOutcome) {
        let outcome = outcome.name();
        self.increment("fetches", kind, outcome, || format!("keyswap.fetches.kind.{kind}.outcome.{outcome}"));
    }

    /// Increments a counter. A host that cannot count is not a reason to refuse a request.
    fn increment(
        &self,
        family: &'static str,
        word: &'static str,
        other: &str,
        name: impl FnOnce() -> String,
    ) {
        let Ok(mut rows) = self.rows.try_borrow_mut() else { return };
        let is_it = |row: &&Row| row.family == family && row.word == word && *row.other == *other;
        if let Some(row) = rows.iter().find(is_it) {
            return row.counter.add(1);
        }
        if let Some(counter) = Counter::define(&name()) {
            counter.add(1);
            rows.push(Row { family, word, other: other.into(), counter });
        }
    }
}

/// Tells the access log the principal and the outcome of a request (`%FILTER_STATE(wasm.keyswap_…:PLAIN)%`).
pub(crate) fn publish(decision: &Decision<'_>) {
    host::set_filter_state("keyswap_provider", decision.facts.provider.as_bytes());
    host::set_filter_state("keyswap_reason", decision.reason_code().as_bytes());
    if let Some(principal) = &decision.facts.principal {
        host::set_filter_state("keyswap_principal", principal.id().as_bytes());
        host::set_filter_state("keyswap_label", principal.label().as_bytes());
        if let Some(team) = principal.team() {
            host::set_filter_state("keyswap_team", team.as_bytes());
        }
    }
}
