//! Counters of decisions, defined with the host when they are first needed.
//!
//! Their names hold a verdict, a reason and a provider, all of them ours or the policy's: a client cannot make more
//! of them.

use std::cell::RefCell;

use keyswap_core::Decision;

use crate::host::{self, Counter};

/// The counters defined so far. There are at most as many as reasons times providers.
#[derive(Default)]
pub(crate) struct Metrics(RefCell<Vec<Row>>);

struct Row {
    reason: &'static str,
    provider: Box<str>,
    counter: Counter,
}

impl Metrics {
    /// Counts a decision. A host that cannot count is not a reason to refuse a request.
    pub(crate) fn count(&self, decision: &Decision<'_>) {
        let reason = decision.reason_code();
        let Ok(mut rows) = self.0.try_borrow_mut() else { return };
        if let Some(row) = rows.iter().find(|row| row.reason == reason && *row.provider == *decision.provider)
        {
            return row.counter.increment();
        }
        let name = format!(
            "keyswap.decisions.verdict.{}.reason.{reason}.provider.{}",
            decision.verdict_name(),
            decision.provider
        );
        if let Some(counter) = Counter::define(&name) {
            counter.increment();
            rows.push(Row { reason, provider: decision.provider.into(), counter });
        }
    }
}

/// Tells the access log who the request was from and what became of it (`%FILTER_STATE(wasm.keyswap_…:PLAIN)%`).
pub(crate) fn publish(decision: &Decision<'_>) {
    host::set_filter_state("keyswap_provider", decision.provider.as_bytes());
    host::set_filter_state("keyswap_reason", decision.reason_code().as_bytes());
    if let Some(principal) = &decision.principal {
        host::set_filter_state("keyswap_principal", principal.id().as_bytes());
        host::set_filter_state("keyswap_label", principal.label().as_bytes());
    }
}
